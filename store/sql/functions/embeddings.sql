-- Embeddings: one vector of 384 half-precision floats an item, and the search for neighbours.
--
-- Small sets are searched exactly, by reading all their vectors (0.5 µs each): exact beats any index where a filter leaves
-- few, and an index built for everybody knows nothing of the filter. Large ones go through the HNSW index, if it has been
-- made, which goes on looking (iterative_scan) until enough of what it finds passes the filter. Under a filter the same is
-- decided by how many items its narrowest part leaves, so that the answer is right and soon under every filter.

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

-- What a search may be narrowed to: {states, label, sources, annotator, since, until}, each left out or null for any.
-- `since` and `until` are about the last change of an item, `annotator` about a standing answer.
create or replace function labelcrew.check_filter(p_filter jsonb) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_filter jsonb := jsonb_strip_nulls(coalesce(nullif(p_filter, 'null'), '{}'));
begin
  if jsonb_typeof(v_filter) <> 'object'
    or v_filter - array['states', 'label', 'sources', 'annotator', 'since', 'until'] <> '{}'
    or jsonb_typeof(coalesce(v_filter -> 'states', '[]')) <> 'array'
    or jsonb_typeof(coalesce(v_filter -> 'sources', '[]')) <> 'array'
  then
    perform labelcrew.fail('invalid', 'a search is narrowed by states, label, sources, annotator, since and until');
  end if;
  if not labelcrew.texts_of(v_filter, 'states') <@ labelcrew.item_states() then
    perform labelcrew.fail('invalid', 'there is no such state');
  end if;
  return v_filter;
end
$$;

-- The list of texts under a key; null without it.
create or replace function labelcrew.texts_of(p_filter jsonb, p_key text) returns text[]
language sql immutable
as $$ select case when p_filter ? p_key then array(select jsonb_array_elements_text(p_filter -> p_key)) end $$;

-- The conditions of a checked filter on an item `i`, without the one named `p_but`. Every piece is a constant; the
-- values are parameters: $1 dataset, $2 states, $3 label, $4 sources, $5 annotator, $6 since, $7 until.
create or replace function labelcrew.filter_conditions(p_filter jsonb, p_but text default '') returns text
language sql immutable set search_path = ''
as $$
  select 'true'
    || case when p_filter ? 'states' and p_but <> 'states' then ' and i.state = any ($2)' else '' end
    || case when p_filter ? 'label' and p_but <> 'label' then ' and i.labels @> array[$3]' else '' end
    || case when p_filter ? 'sources' and p_but <> 'sources' then ' and i.source = any ($4)' else '' end
    || case when p_filter ? 'annotator' and p_but <> 'annotator' then
      ' and exists (select from labelcrew.annotations a where a.item_id = i.id and a.user_id = $5 and a.current)'
      else '' end
    || case when p_but = 'time' then '' else
      case when p_filter ? 'since' then ' and i.updated_at >= $6' else '' end
      || case when p_filter ? 'until' then ' and i.updated_at < $7' else '' end end
$$;

-- Where a filter's items are found by one part of it: rows with an `id`.
create or replace function labelcrew.filter_base(p_part text) returns text
language sql immutable set search_path = ''
as $$
  select case p_part
    when 'label' then 'select l.item_id as id from labelcrew.item_labels l where l.dataset_id = $1 and l.label = $3'
    when 'annotator' then
      'select a.item_id as id from labelcrew.annotations a where a.dataset_id = $1 and a.user_id = $5 and a.current'
    when 'states' then 'select i.id from labelcrew.items i where i.dataset_id = $1 and i.state = any ($2)'
    when 'sources' then 'select i.id from labelcrew.items i where i.dataset_id = $1 and i.source = any ($4)'
    when 'time' then
      'select i.id from unnest(labelcrew.item_states()) s (state) join labelcrew.items i
         on i.dataset_id = $1 and i.state = s.state
         and i.updated_at >= coalesce($6, ''-infinity'') and i.updated_at < coalesce($7, ''infinity'')'
    else 'select e.item_id as id from labelcrew.embeddings e where e.dataset_id = $1'
  end
$$;

-- The part of a filter that leaves fewest items, and how many those are, at most `p_most` + 1. Counting stops there,
-- and where it is no longer the narrowest.
create or replace function labelcrew.narrowest(p_dataset uuid, p_filter jsonb, p_most int, out o_part text, out o_n int)
language plpgsql stable set search_path = ''
as $$
declare
  v_part text;
  v_n int;
begin
  select least(coalesce(sum(n), 0), p_most + 1), 'all' into o_n, o_part from labelcrew.item_counts where dataset_id = p_dataset;
  foreach v_part in array array['states', 'label', 'annotator', 'sources', 'time'] loop
    continue when not (p_filter ? v_part or (v_part = 'time' and p_filter ?| array['since', 'until']));
    if v_part = 'states' then
      select least(coalesce(sum(n), 0), p_most + 1) into v_n from labelcrew.item_counts
      where dataset_id = p_dataset and state = any (labelcrew.texts_of(p_filter, 'states'));
    else
      execute 'select count(*) from (' || labelcrew.filter_base(v_part) || ' limit $8) x' into v_n
      using p_dataset, null::text[], p_filter ->> 'label', labelcrew.texts_of(p_filter, 'sources'),
        (p_filter ->> 'annotator')::uuid, (p_filter ->> 'since')::timestamptz, (p_filter ->> 'until')::timestamptz,
        least(p_most + 1, o_n);
    end if;
    if v_n < o_n or o_part = 'all' and v_n <= o_n then
      o_n := v_n;
      o_part := v_part;
    end if;
  end loop;
end
$$;

-- Whether a filter asks for verified items and no others: their vectors are kept side by side.
create or replace function labelcrew.only_verified(p_filter jsonb) returns bool
language sql immutable
as $$ select p_filter -> 'states' = '["verified"]' $$;

-- By reading every vector that the filter leaves, from its narrowest part; only of what passes all of it. For verified
-- items alone their own table is read: that it has a vector says that an item is one.
create or replace function labelcrew.nearest_by_reading(
  p_dataset uuid, p_vector @extensions@.halfvec, p_limit int, p_filter jsonb, p_part text, p_except uuid,
  out o_ids uuid[], out o_distances float8[]
)
language plpgsql stable set search_path = ''
as $$
declare
  v_verified bool := coalesce(labelcrew.only_verified(p_filter), false);
  v_more text := labelcrew.filter_conditions(case when v_verified then p_filter - 'states' else p_filter end, p_part);
begin
  execute
    'with f as materialized (
       select b.id, (b.vector operator(@extensions@.<=>) $8) + 0 as distance from ('
    || case when v_verified and p_part in ('states', 'all') then
      'select v.item_id as id, v.vector from labelcrew.verified_vectors v where v.dataset_id = $1'
    else
      'with p as materialized (' || labelcrew.filter_base(p_part) || ')
       select e.item_id as id, e.vector from p join '
      || case when v_verified then 'labelcrew.verified_vectors' else 'labelcrew.embeddings' end || ' e on e.item_id = p.id'
    end
    || ') b where b.id is distinct from $9 order by 2
     )
     select array_agg(n.id order by n.distance), array_agg(n.distance order by n.distance)
     from (
       select b.id, b.distance from f b'
    -- What else the filter says is asked of the nearest first, and only until enough have passed: a materialized part is
    -- read in the order in which it was made.
    || case when v_more = 'true' then '' else ' where (select ' || v_more || ' from labelcrew.items i where i.id = b.id)' end
    || ' limit $10
     ) n'
  into o_ids, o_distances
  using p_dataset, labelcrew.texts_of(p_filter, 'states'), p_filter ->> 'label', labelcrew.texts_of(p_filter, 'sources'),
    (p_filter ->> 'annotator')::uuid, (p_filter ->> 'since')::timestamptz, (p_filter ->> 'until')::timestamptz,
    p_vector, p_except, p_limit;
end
$$;

-- Through the HNSW index, which is what remains when nothing may be sorted. The filter is asked of one item after the
-- other: an `exists` might be turned into a hash of all that pass. The first `p_look` neighbours should hold enough that
-- pass; going on after them takes longer and, in a relaxed order, misses more. A few more than asked for are taken for
-- that order's sake.
create or replace function labelcrew.nearest_by_index(
  p_dataset uuid, p_vector @extensions@.halfvec, p_limit int, p_filter jsonb, p_except uuid, p_look int default 100,
  out o_ids uuid[], out o_distances float8[]
)
language plpgsql set search_path = '' set enable_sort = off
as $$
declare
  v_more text := labelcrew.filter_conditions(p_filter);
begin
  perform set_config('hnsw.ef_search', p_look::text, true), set_config('hnsw.iterative_scan', 'relaxed_order', true);
  execute
    'select array_agg(f.id order by f.distance), array_agg(f.distance order by f.distance)
     from (
       select e.item_id as id, e.vector operator(@extensions@.<=>) $8 as distance
       from labelcrew.embeddings e
       where e.dataset_id = $1 and e.item_id is distinct from $9'
    || case when v_more = 'true' then '' else ' and (select ' || v_more || ' from labelcrew.items i where i.id = e.item_id)' end
    || ' order by e.vector operator(@extensions@.<=>) $8 limit $10
     ) f'
  into o_ids, o_distances
  using p_dataset, labelcrew.texts_of(p_filter, 'states'), p_filter ->> 'label', labelcrew.texts_of(p_filter, 'sources'),
    (p_filter ->> 'annotator')::uuid, (p_filter ->> 'since')::timestamptz, (p_filter ->> 'until')::timestamptz,
    p_vector, p_except, p_limit + 5;
  o_ids := o_ids[:p_limit];
  o_distances := o_distances[:p_limit];
end
$$;

-- The ids nearest to a vector among those that a checked filter leaves, and their distances. Reading m vectors takes m
-- microseconds; the index, of which a share m / all passes the filter, about 80 all / m: they meet at the root of 80 all.
-- When the index gives up before it has found enough, everything is read.
create or replace function labelcrew.nearest_ids(
  p_dataset uuid, p_vector @extensions@.halfvec, p_limit int, p_filter jsonb, p_except uuid,
  out o_ids uuid[], out o_distances float8[]
)
language plpgsql set search_path = ''
as $$
declare
  v_all float8;
  v_few int;
  v_part text;
  v_n int;
  v_look float8;
begin
  select greatest(reltuples, 1) into v_all from pg_class where oid = to_regclass('labelcrew.embeddings_near');
  -- Vectors of verified items are read in a fifth of the time.
  v_few := case when v_all is null then 1000000000 else greatest(1500, sqrt(80 * v_all)) end
    * case when v_all is not null and labelcrew.only_verified(p_filter) then 2.2 else 1 end;
  select n.o_part, n.o_n into v_part, v_n
  from labelcrew.narrowest(p_dataset, p_filter, least(4 * v_few::bigint, 100000)::int) n;
  if v_n > v_few then
    -- Where several things narrow, fewer pass than its narrowest part says.
    v_look := 1.6 * p_limit * v_all / v_n * case when (select count(*) from jsonb_object_keys(p_filter)) > 1 then 2 else 1 end;
    select n.o_ids, n.o_distances into o_ids, o_distances
    from labelcrew.nearest_by_index(p_dataset, p_vector, p_limit, p_filter, p_except,
      least(greatest(v_look, 100), 800)::int) n;
  end if;
  if coalesce(cardinality(o_ids), 0) < p_limit then
    select n.o_ids, n.o_distances into o_ids, o_distances
    from labelcrew.nearest_by_reading(p_dataset, p_vector, p_limit, p_filter, v_part, p_except) n;
  end if;
end
$$;

-- [{item, similarity}], most similar first, each as `p_actor` may see it. `p_except` leaves one item out.
create or replace function labelcrew.nearest(
  p_dataset uuid, p_vector @extensions@.halfvec, p_limit int, p_filter jsonb, p_except uuid, p_actor uuid default null
) returns jsonb
language plpgsql set search_path = ''
as $$
declare
  v_ids uuid[];
  v_distances float8[];
begin
  select n.o_ids, n.o_distances into v_ids, v_distances
  from labelcrew.nearest_ids(p_dataset, p_vector, least(greatest(coalesce(p_limit, 10), 1), 200), p_filter, p_except) n;
  return (
    select coalesce(jsonb_agg(jsonb_build_object('item', j.item, 'similarity', 1 - d.distance) order by j.n), '[]')
    from jsonb_array_elements(labelcrew.items_json(v_ids, p_actor)) with ordinality j (item, n)
      join unnest(v_distances) with ordinality d (distance, n) using (n)
  );
end
$$;

-- Among all items, or the verified ones.
create or replace function labelcrew.nearest(
  p_dataset uuid, p_vector @extensions@.halfvec, p_limit int, p_verified bool, p_except uuid
) returns jsonb
language sql set search_path = ''
as $$
  select labelcrew.nearest(p_dataset, p_vector, p_limit,
    (case when p_verified then '{"states": ["verified"]}' else '{}' end)::jsonb, p_except)
$$;

-- None for an item that has no embedding yet. `p_verified` is short for the filter {states: [verified]}.
create or replace function labelcrew_api.similar_items(
  p_actor uuid, p_item uuid, p_limit int default 10, p_verified bool default false, p_filter jsonb default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_dataset uuid := labelcrew.require_item(p_actor, p_item);
  v_filter jsonb := labelcrew.check_filter(p_filter)
    || (case when p_verified then '{"states": ["verified"]}' else '{}' end)::jsonb;
  v_vector @extensions@.halfvec(384);
begin
  select vector into v_vector from labelcrew.embeddings where item_id = p_item;
  if v_vector is null then
    return '[]'::jsonb;
  end if;
  return labelcrew.nearest(v_dataset, v_vector, p_limit, v_filter, p_item, p_actor);
end
$$;

-- The items nearest to a vector of one's own: 384 numbers.
create or replace function labelcrew_api.nearest_items(
  p_actor uuid, p_dataset uuid, p_vector jsonb, p_limit int default 10, p_verified bool default false,
  p_filter jsonb default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  return labelcrew.nearest(p_dataset, labelcrew.vector_of(p_vector), p_limit,
    labelcrew.check_filter(p_filter)
    || (case when p_verified then '{"states": ["verified"]}' else '{}' end)::jsonb, null, p_actor);
end
$$;

-- 384 numbers as a vector.
create or replace function labelcrew.vector_of(p_vector jsonb) returns @extensions@.halfvec
language plpgsql immutable set search_path = ''
as $$
begin
  if jsonb_typeof(p_vector) is distinct from 'array' or jsonb_array_length(p_vector) <> 384 then
    perform labelcrew.fail('invalid', 'an embedding is a list of 384 numbers');
  end if;
  return p_vector::text::@extensions@.halfvec(384);
end
$$;
