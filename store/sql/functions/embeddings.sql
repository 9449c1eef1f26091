-- Embeddings: one vector of 384 half-precision floats an item, and the search for neighbours.
--
-- Small sets are searched exactly, by reading all their vectors (0.5 µs each): exact beats any index where a filter leaves
-- few, and an index built for everybody knows nothing of the filter. Large ones go through the HNSW index, if it has been
-- made, which goes on looking (iterative_scan) until enough of what it finds passes the filter.

-- halfvec_send: two bytes each for the dimension and a reserved field, then the floats, big-endian.
create or replace function labelcrew.vector_base64(p_vector @extensions@.halfvec) returns text
language sql immutable set search_path = ''
as $$ select translate(encode(substr(@extensions@.halfvec_send(p_vector), 5), 'base64'), E'\n', '') $$;

-- Items without an embedding by `p_model`, by seq: [{id, seq, text}]. Giving the last seq as `p_after` saves walking over
-- those done already.
create or replace function labelcrew_api.list_unembedded(
  p_actor uuid, p_dataset uuid, p_model text, p_limit int default 1000, p_after bigint default 0
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_limit int := least(greatest(p_limit, 1), 10000);
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  return (
    select coalesce(jsonb_agg(jsonb_build_object('id', x.id, 'seq', x.seq, 'text', x.text) order by x.seq), '[]')
    from (
      select i.*
      from unnest(labelcrew.item_states()) s (state) cross join lateral (
        select i.id, i.seq, i.text from labelcrew.items i
        where i.dataset_id = p_dataset and i.state = s.state and i.seq > p_after and i.text is not null
          and not exists (select from labelcrew.embeddings e where e.item_id = i.id and e.model = p_model)
        order by i.seq limit v_limit
      ) i
      order by i.seq limit v_limit
    ) x
  );
end
$$;

-- Rows: [{id, vector: [384 floats]}]. A second vector of an item replaces the first.
create or replace function labelcrew_api.save_embeddings(p_actor uuid, p_dataset uuid, p_model text, p_rows jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_count int;
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  if exists (
    select from jsonb_array_elements(p_rows) r
    where jsonb_typeof(r -> 'vector') is distinct from 'array' or jsonb_array_length(r -> 'vector') <> 384
  ) then
    perform labelcrew.fail('invalid', 'an embedding is a list of 384 numbers');
  end if;
  insert into labelcrew.embeddings as e (item_id, dataset_id, model, vector)
  select distinct on (i.id) i.id, p_dataset, p_model, (r.vector::text)::@extensions@.halfvec(384)
  from jsonb_to_recordset(p_rows) as r (id uuid, vector jsonb)
    join labelcrew.items i on i.id = r.id and i.dataset_id = p_dataset
  order by i.id
  on conflict (item_id) do update set model = excluded.model, vector = excluded.vector;
  get diagnostics v_count = row_count;
  update labelcrew.datasets set embedding_model = p_model
  where id = p_dataset and embedding_model is distinct from p_model;
  return to_jsonb(v_count);
end
$$;

-- For the worker that embeds: makes the HNSW index, over the vectors of all datasets, once there are so many that reading
-- them all takes longer than a person notices. Later vectors go into it one by one. Returns whether it made it. Saving
-- waits meanwhile, reading does not (100,000 vectors: about a quarter of a minute).
create or replace function labelcrew_api.index_embeddings(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  if to_regclass('labelcrew.embeddings_near') is not null
    or (select count(*) from (select from labelcrew.embeddings limit 20001) e) <= 20000
  then
    return to_jsonb(false);
  end if;
  create index if not exists embeddings_near on labelcrew.embeddings
    using hnsw (vector @extensions@.halfvec_cosine_ops);
  analyze labelcrew.embeddings;
  return to_jsonb(true);
end
$$;

-- Through the HNSW index, which is what remains when nothing may be sorted. `state` is asked of one item after the other:
-- an `exists` might be turned into a hash of all verified items.
create or replace function labelcrew.nearest_by_index(
  p_dataset uuid, p_vector @extensions@.halfvec, p_limit int, p_verified bool, p_except uuid,
  out o_ids uuid[], out o_distances float8[]
)
language plpgsql set search_path = '' set enable_sort = off
as $$
begin
  perform set_config('hnsw.ef_search', '100', true), set_config('hnsw.iterative_scan', 'relaxed_order', true);
  select array_agg(f.id order by f.distance), array_agg(f.distance order by f.distance) into o_ids, o_distances
  from (
    select e.item_id as id, e.vector operator(@extensions@.<=>) p_vector as distance
    from labelcrew.embeddings e
    where e.dataset_id = p_dataset and e.item_id is distinct from p_except
      and (not p_verified or (select i.state from labelcrew.items i where i.id = e.item_id) = 'verified')
    order by e.vector operator(@extensions@.<=>) p_vector limit p_limit
  ) f;
end
$$;

-- [{item, similarity}], most similar first. `p_except` leaves one item out.
create or replace function labelcrew.nearest(
  p_dataset uuid, p_vector @extensions@.halfvec, p_limit int, p_verified bool, p_except uuid
) returns jsonb
language plpgsql set search_path = ''
as $$
declare
  v_limit int := least(greatest(coalesce(p_limit, 10), 1), 200);
  v_matching bigint;
  v_few bigint := case when p_verified then 4000 else 20000 end;
  v_all float8;
  v_ids uuid[];
  v_distances float8[];
begin
  select coalesce(sum(n), 0) into v_matching from labelcrew.item_counts
  where dataset_id = p_dataset and (state = 'verified' or not p_verified);
  select greatest(reltuples, 1) into v_all from pg_class where oid = to_regclass('labelcrew.embeddings_near');
  if v_all is null or v_matching <= v_few or v_matching < v_all / 20 then
    if p_verified then
      select array_agg(f.id order by f.distance), array_agg(f.distance order by f.distance) into v_ids, v_distances
      from (
        select i.id, (e.vector operator(@extensions@.<=>) p_vector) + 0 as distance
        from labelcrew.items i join labelcrew.embeddings e on e.item_id = i.id
        where i.dataset_id = p_dataset and i.state = 'verified' and i.id is distinct from p_except
        order by 2 limit v_limit
      ) f;
    else
      select array_agg(f.id order by f.distance), array_agg(f.distance order by f.distance) into v_ids, v_distances
      from (
        select e.item_id as id, (e.vector operator(@extensions@.<=>) p_vector) + 0 as distance
        from labelcrew.embeddings e
        where e.dataset_id = p_dataset and e.item_id is distinct from p_except
        order by 2 limit v_limit
      ) f;
    end if;
  else
    select o_ids, o_distances into v_ids, v_distances
    from labelcrew.nearest_by_index(p_dataset, p_vector, v_limit, p_verified, p_except);
  end if;
  return (
    select coalesce(jsonb_agg(jsonb_build_object('item', j.item, 'similarity', 1 - d.distance) order by j.n), '[]')
    from jsonb_array_elements(labelcrew.items_json(v_ids)) with ordinality j (item, n)
      join unnest(v_distances) with ordinality d (distance, n) using (n)
  );
end
$$;

-- None for an item that has no embedding yet.
create or replace function labelcrew_api.similar_items(
  p_actor uuid, p_item uuid, p_limit int default 10, p_verified bool default false
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_dataset uuid := labelcrew.require_item(p_actor, p_item);
  v_vector @extensions@.halfvec(384);
begin
  select vector into v_vector from labelcrew.embeddings where item_id = p_item;
  if v_vector is null then
    return '[]'::jsonb;
  end if;
  return labelcrew.nearest(v_dataset, v_vector, p_limit, p_verified, p_item);
end
$$;

-- The items nearest to a vector of one's own: 384 numbers.
create or replace function labelcrew_api.nearest_items(
  p_actor uuid, p_dataset uuid, p_vector jsonb, p_limit int default 10, p_verified bool default false
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  if jsonb_typeof(p_vector) is distinct from 'array' or jsonb_array_length(p_vector) <> 384 then
    perform labelcrew.fail('invalid', 'an embedding is a list of 384 numbers');
  end if;
  return labelcrew.nearest(p_dataset, p_vector::text::@extensions@.halfvec(384), p_limit, p_verified, null);
end
$$;
