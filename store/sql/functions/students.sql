-- Students: the small models that learn from the verified answers of one dataset, and what they learn from.

-- {verified, last_change}: whether there is something new to learn. Sixteen rows, whatever the size of the dataset.
create or replace function labelcrew_api.training_stamp(p_dataset uuid) returns jsonb
language sql stable security definer set search_path = ''
as $$
  select jsonb_build_object('verified', coalesce(sum(n), 0), 'last_change', max(changed_at))
  from labelcrew.item_counts where dataset_id = p_dataset and state = 'verified'
$$;

-- Verified items with their answers, newest answer first: [{item_id, text, vector, payload, labelset_version}]. `vector`
-- is a list of 384 floats, or with `p_vectors` = 'base64' the same as 768 bytes (big-endian half precision), a fifth of
-- the size; null without an embedding.
create or replace function labelcrew_api.list_training_rows(
  p_actor uuid, p_dataset uuid, p_limit int default 20000, p_vectors text default 'floats'
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  if p_vectors not in ('floats', 'base64') then
    perform labelcrew.fail('invalid', 'vectors come as floats or base64');
  end if;
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'item_id', x.id, 'text', x.text, 'payload', x.payload, 'labelset_version', x.labelset_version,
      'vector', case p_vectors
        when 'base64' then to_jsonb(labelcrew.vector_base64(e.vector)) else e.vector::text::jsonb
      end
    ) order by x.number desc), '[]')
    from (
      select i.id, i.text, a.payload, a.labelset_version, a.number
      from labelcrew.items i join labelcrew.annotations a on a.id = i.annotation_id
      where i.dataset_id = p_dataset and i.state = 'verified'
      order by a.number desc limit p_limit
    ) x left join labelcrew.embeddings e on e.item_id = x.id
  );
end
$$;

-- Datasets whose verified answers changed since their newest student read them, or that got a new labelset since:
-- [{dataset_id, actor}], where `actor` is an admin to act for. Asked by the worker, for nobody.
create or replace function labelcrew_api.list_stale_students() returns jsonb
language sql stable security definer set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object('dataset_id', d.id, 'actor', m.user_id) order by v.last_change), '[]')
  from (
    select dataset_id, sum(n) as verified, max(changed_at) as last_change
    from labelcrew.item_counts where state = 'verified' group by dataset_id
  ) v
    join labelcrew.datasets d on d.id = v.dataset_id
    join lateral (
      select m.user_id from labelcrew.members m join labelcrew.users u on u.id = m.user_id and u.active
      where m.dataset_id = d.id and m.role = 'admin'
      order by m.user_id = d.owner_id desc, m.created_at limit 1
    ) m on true
    left join lateral (
      select s.seen_change, s.labelset_version from labelcrew.students s
      where s.dataset_id = d.id order by s.version desc limit 1
    ) s on true
  where v.verified > 0 and (
    s.seen_change is null or s.seen_change < v.last_change
    or s.labelset_version < (select max(version) from labelcrew.labelsets l where l.dataset_id = d.id)
  )
$$;

-- The next version. `p_blob` is base64. `p_seen_change` is the `last_change` that training_stamp gave before the rows were
-- read, so that answers given during the training are not missed; without it, everything up to now counts as seen.
create or replace function labelcrew_api.save_student(
  p_dataset uuid, p_labelset_version int, p_model text, p_metrics jsonb, p_blob text, p_trained_on int,
  p_seen_change timestamptz default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_version int;
begin
  perform from labelcrew.datasets where id = p_dataset for no key update;
  if not found then
    perform labelcrew.fail('not-found', 'no such dataset', jsonb_build_object('dataset', p_dataset));
  end if;
  insert into labelcrew.students (
    dataset_id, version, labelset_version, model, metrics, blob, trained_on, seen_change
  )
  select p_dataset, 1 + coalesce(max(version), 0), p_labelset_version, p_model, coalesce(p_metrics, '{}'),
    decode(p_blob, 'base64'), p_trained_on, coalesce(p_seen_change, labelcrew.now())
  from labelcrew.students where dataset_id = p_dataset
  returning version into v_version;
  -- Nobody asks for the weights of old students; their metrics are their history.
  update labelcrew.students set blob = '' where dataset_id = p_dataset and version <= v_version - 5 and blob <> '';
  perform labelcrew.record_event(p_dataset, null, 'student_saved', p_dataset,
    jsonb_build_object('version', v_version, 'model', p_model, 'trained_on', p_trained_on));
  return jsonb_build_object('version', v_version);
end
$$;

-- The version asked for, or the newest; null without one.
create or replace function labelcrew_api.get_student(p_dataset uuid, p_version int default null) returns jsonb
language sql stable security definer set search_path = ''
as $$
  select jsonb_build_object(
    'version', s.version, 'model', s.model, 'metrics', s.metrics,
    'blob', translate(encode(s.blob, 'base64'), E'\n', ''),
    'labelset_version', s.labelset_version, 'trained_on', s.trained_on, 'created_at', s.created_at
  )
  from labelcrew.students s
  where s.dataset_id = p_dataset and (p_version is null or s.version = p_version)
  order by s.version desc limit 1
$$;

-- Vectors of items that nobody has verified, always the same ones of a dataset, one after another as base64 of 384
-- big-endian half-precision floats each: {n, vectors}. What the student learns about the pool without labels.
create or replace function labelcrew_api.sample_vectors(p_actor uuid, p_dataset uuid, p_limit int default 4000)
returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  return (
    select jsonb_build_object(
      'n', count(*),
      'vectors', coalesce(translate(encode(string_agg(s.half, ''::bytea), 'base64'), E'\n', ''), '')
    )
    from (
      select substr(@extensions@.halfvec_send(e.vector), 5) as half
      from labelcrew.embeddings e join labelcrew.items i on i.id = e.item_id
      where e.dataset_id = p_dataset and i.state <> 'verified'
      order by hashtext(e.item_id::text) limit least(greatest(p_limit, 1), 20000)
    ) s
  );
end
$$;
