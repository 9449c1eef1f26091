-- What to label next: the statistics choose outside (learning/strategies), the queue is told here.
--
-- Only the head of the queue gets a priority, between 1 and 2, so that renewing it costs the same at a hundred items and
-- at a million. Audit items stand above it, and whatever an admin has set by hand stays.

create or replace function labelcrew.audit_priority() returns float8
language sql immutable
as $$ select 10.0::float8 $$;

-- What may be ranked: open items that nobody holds or has answered, by seq, without those whose drafts are up for a
-- licence: were the unsure ones of them answered first, the audit would no longer speak about the rest. Asked by
-- workers, for nobody.
create or replace function labelcrew_api.list_rankable(p_dataset uuid) returns json
language sql stable security definer set search_path = ''
as $$
  select json_build_object('seqs', coalesce(json_agg(i.seq), '[]'))
  from labelcrew.items i
  where i.dataset_id = p_dataset and i.state in ('new', 'drafted', 'returned')
    and cardinality(i.held) = 0 and cardinality(i.answered_by) = 0 and i.priority between 0 and 2
    and not exists (
      select from labelcrew.licence_items l join labelcrew.licences c on c.id = l.licence_id
      where l.item_id = i.id and c.state = 'auditing'
    )
$$;

-- Vectors by seq: {seqs, vectors, next}, where `vectors` are base64 of 384 big-endian half-precision floats each, one
-- after another, and `next` is where to go on, null at the end.
create or replace function labelcrew_api.read_vectors(p_dataset uuid, p_after bigint default 0, p_limit int default 10000)
returns json
language sql stable security definer set search_path = ''
as $$
  select json_build_object(
    'seqs', coalesce(json_agg(v.seq order by v.seq), '[]'),
    'vectors', coalesce(translate(encode(string_agg(v.half, ''::bytea order by v.seq), 'base64'), E'\n', ''), ''),
    'next', case when count(*) = least(greatest(p_limit, 1), 20000) then max(v.seq) end
  )
  from (
    select i.seq, substr(@extensions@.halfvec_send(e.vector), 5) as half
    from unnest(labelcrew.item_states()) s (state) cross join lateral (
      select i.id, i.seq from labelcrew.items i
      where i.dataset_id = p_dataset and i.state = s.state and i.seq > p_after
        and exists (select from labelcrew.embeddings e where e.item_id = i.id)
      order by i.seq limit least(greatest(p_limit, 1), 20000)
    ) i join labelcrew.embeddings e on e.item_id = i.id
    order by i.seq limit least(greatest(p_limit, 1), 20000)
  ) v
$$;

-- How many items of the dataset have a vector, to tell whether those read before are still all.
create or replace function labelcrew_api.count_vectors(p_dataset uuid) returns jsonb
language sql stable security definer set search_path = ''
as $$ select to_jsonb(count(*)) from labelcrew.embeddings where dataset_id = p_dataset $$;

-- Seqs of the items that have been answered for good, newest answer first: what the next ones should not resemble.
create or replace function labelcrew_api.list_answered(p_dataset uuid, p_limit int default 20000) returns json
language sql stable security definer set search_path = ''
as $$
  select json_build_object('seqs', coalesce(json_agg(x.seq), '[]'))
  from (
    select i.seq from labelcrew.items i
    where i.dataset_id = p_dataset and i.state in ('verified', 'reviewed', 'annotated')
    order by i.updated_at desc limit least(greatest(p_limit, 1), 100000)
  ) x
$$;

-- Makes `p_seqs` the head of the queue, in this order; `p_control` are those of them that were drawn at random, and say
-- so on the item. What stood at the head before goes back to its place by arrival, unless somebody holds it. Items that
-- are being answered at this very moment are passed over. Returns {ranked, control}.
create or replace function labelcrew_api.rank_queue(
  p_dataset uuid, p_seqs bigint[], p_control bigint[] default '{}', p_info jsonb default '{}'
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_wanted uuid[];
  v_ranked int;
  v_control uuid[];
begin
  with concerned as (
    select i.id from labelcrew.items i
    where i.dataset_id = p_dataset and i.state in ('new', 'drafted', 'returned') and (- i.priority) < 0
    union
    select i.id from unnest(p_seqs) w (seq) cross join unnest(array['new', 'drafted', 'returned']) s (state)
      join labelcrew.items i on i.dataset_id = p_dataset and i.state = s.state and i.seq = w.seq
  ), locked as (
    select i.id, i.seq from labelcrew.items i
    where i.id in (select c.id from concerned c) and i.priority between 0 and 2
      and i.state in ('new', 'drafted', 'returned')
      and cardinality(i.held) = 0 and cardinality(i.answered_by) = 0
    order by i.seq for no key update skip locked
  ), wanted as (
    select l.id, l.seq, w.place from locked l left join unnest(p_seqs) with ordinality w (seq, place) using (seq)
  ), changed as (
    update labelcrew.items i
    set priority = coalesce(2 - (w.place - 1) / cardinality(p_seqs)::float8, 0),
        arm = case when w.place is not null and w.seq = any (p_control) then 'control' end
    from wanted w
    where i.id = w.id
    returning i.id, i.arm, w.place
  )
  select count(place), array_agg(id) filter (where arm = 'control') into v_ranked, v_control from changed;
  perform labelcrew.record_event(p_dataset, null, 'queue_ranked', p_dataset,
    p_info || jsonb_build_object('ranked', v_ranked, 'control', to_jsonb(coalesce(v_control, '{}'))));
  return jsonb_build_object('ranked', v_ranked, 'control', cardinality(coalesce(v_control, '{}')));
end
$$;
