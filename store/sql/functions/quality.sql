-- What the instruments of the QA agent read: answers with their vectors, answers that no labelset allows any more, how
-- people work, and what has changed since the light scan looked last. All for workers, who ask for nobody.

-- Items with an answer or a draft, by seq: {rows: [{id, seq, text, state, payload, level, source, draft, probability,
-- model}], vectors, next}. `text` is its first 2,000 characters and `length` its whole length; `vectors` are base64 of 384
-- big-endian half-precision floats, one after another, of the rows whose `vector` is true.
create or replace function labelcrew_api.read_answers(p_dataset uuid, p_after bigint default 0, p_limit int default 5000)
returns json
language sql stable security definer set search_path = '' set statement_timeout = '60s'
as $$
  select json_build_object(
    'rows', coalesce(json_agg(json_build_object(
      'id', x.id, 'seq', x.seq, 'text', left(x.text, 2000), 'length', coalesce(length(x.text), 0), 'state', x.state,
      'payload', a.payload, 'level', a.level, 'source', a.source, 'draft', p.payload,
      'probability', coalesce(p.probability, p.confidence), 'model', p.model, 'vector', e.item_id is not null
    ) order by x.seq), '[]'),
    'vectors', coalesce(translate(encode(
      string_agg(substr(@extensions@.halfvec_send(e.vector), 5), ''::bytea order by x.seq), 'base64'), E'\n', ''), ''),
    'next', case when count(*) = least(greatest(p_limit, 1), 10000) then max(x.seq) end
  )
  from (
    select i.* from unnest(array['drafted', 'annotated', 'reviewed', 'verified', 'returned', 'auto_accepted']) s (state)
      cross join lateral (
        select i.id, i.seq, i.text, i.state, i.annotation_id, i.draft_id from labelcrew.items i
        where i.dataset_id = p_dataset and i.state = s.state and i.seq > p_after
        order by i.seq limit least(greatest(p_limit, 1), 10000)
      ) i
    order by i.seq limit least(greatest(p_limit, 1), 10000)
  ) x
    left join labelcrew.annotations a on a.id = x.annotation_id
    left join labelcrew.predictions p on p.id = x.draft_id
    left join labelcrew.embeddings e on e.item_id = x.id
$$;

-- Answers, else drafts, that the newest labelset does not allow: [{id, payload, source, version, problem}], at most
-- `p_limit`. What was given under the newest one was checked when it was stored. `p_items` looks at those only.
create or replace function labelcrew_api.list_violations(p_dataset uuid, p_items uuid[] default null, p_limit int default 1000)
returns jsonb
language sql stable security definer set search_path = '' set statement_timeout = '120s'
as $$
  with newest as (
    select l from labelcrew.labelsets l where l.dataset_id = p_dataset order by l.version desc limit 1
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'id', x.id, 'payload', x.payload, 'source', x.source, 'version', x.version, 'problem', x.problem)), '[]')
  from (
    select i.id, coalesce(a.payload, p.payload) as payload, case when a.id is null then 'draft' else 'answer' end as source,
      coalesce(a.labelset_version, p.labelset_version) as version, b.problem
    from newest n
      cross join lateral (
        -- One of the two is never run: an `or` would read the whole dataset for a few items.
        select i.id, i.seq, i.text, i.state, i.annotation_id, i.draft_id from labelcrew.items i
        where p_items is null and i.dataset_id = p_dataset
        union all
        select i.id, i.seq, i.text, i.state, i.annotation_id, i.draft_id
        from unnest(p_items) w (id) join labelcrew.items i on i.id = w.id
        where i.dataset_id = p_dataset
      ) i
      left join labelcrew.annotations a on a.id = i.annotation_id
      left join labelcrew.predictions p on p.id = i.draft_id and a.id is null
      cross join lateral (
        select labelcrew.payload_problem(n.l, coalesce(a.payload, p.payload), length(i.text)) as problem
      ) b
    where i.state in ('drafted', 'annotated', 'reviewed', 'verified', 'auto_accepted')
      and coalesce(a.labelset_version, p.labelset_version) < (n.l).version and b.problem is not null
    order by a.id is null, i.seq limit least(greatest(p_limit, 1), 10000)
  ) x
$$;

-- How people work, oldest answer first: {user, item, lead_ms, length, payload, current, final, decided} of the newest
-- `p_limit` answers that people gave at level 1. `final` is the answer that counts where others had a part in it: a
-- reviewer's decision (then `decided`), or that of several people; null where the answer decided alone.
create or replace function labelcrew_api.list_paces(p_dataset uuid, p_limit int default 50000) returns json
language sql stable security definer set search_path = '' set statement_timeout = '60s'
as $$
  select coalesce(json_agg(json_build_object(
    'user', x.user_id, 'item', x.item_id, 'lead_ms', x.lead_time_ms, 'length', coalesce(length(i.text), 0),
    'payload', x.payload, 'current', x.current, 'decided', coalesce(f.level > 1, false), 'final', case when f.id <> x.id then f.payload
      when exists (
        select from labelcrew.annotations o where o.item_id = x.item_id and o.current and o.user_id <> x.user_id
      ) then f.payload end
  ) order by x.number), '[]')
  from (
    select a.* from labelcrew.annotations a
    where a.dataset_id = p_dataset and a.source = 'human' and a.level = 1 and a.withdrawn_at is null
    order by a.number desc limit least(greatest(p_limit, 1), 100000)
  ) x
    join labelcrew.items i on i.id = x.item_id
    left join labelcrew.annotations f on f.id = i.annotation_id
$$;

-- Datasets whose answers changed since the light scan read them: [{dataset_id, changed_at, since, actor}], where `actor`
-- is an admin to act for.
create or replace function labelcrew_api.list_stale_scans() returns jsonb
language sql stable security definer set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'dataset_id', v.dataset_id, 'changed_at', v.changed_at, 'since', q.seen_at, 'actor', m.user_id
  ) order by v.changed_at), '[]')
  from (
    select c.dataset_id, max(c.changed_at) as changed_at from labelcrew.item_counts c
    where c.state in ('annotated', 'reviewed', 'verified') group by c.dataset_id having sum(c.n) > 0
  ) v
    join labelcrew.datasets d on d.id = v.dataset_id
    join lateral (
      select m.user_id from labelcrew.members m join labelcrew.users u on u.id = m.user_id and u.active
      where m.dataset_id = d.id and m.role = 'admin'
      order by m.user_id = d.owner_id desc, m.created_at limit 1
    ) m on true
    left join labelcrew.quality_marks q on q.dataset_id = v.dataset_id
  where q.seen_at is null or q.seen_at < v.changed_at
$$;

-- Answered items that changed after `p_since`, and those whose open conflict rests on one of them, each with its nearest
-- verified neighbours: [{id, text, length, payload, near: [{id, text, length, payload, similarity}]}]. `near` is null as
-- long as an item has no vector.
create or replace function labelcrew_api.list_changed_answers(p_dataset uuid, p_since timestamptz, p_limit int default 200)
returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '60s'
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', x.id, 'text', left(x.text, 2000), 'length', coalesce(length(x.text), 0), 'payload', x.payload,
      'near', case when x.vector is not null then (
        select coalesce(jsonb_agg(jsonb_build_object(
          'id', n.value -> 'item' -> 'id', 'text', left(n.value -> 'item' ->> 'text', 2000),
          'length', coalesce(length(n.value -> 'item' ->> 'text'), 0),
          'payload', n.value -> 'item' -> 'annotation' -> 'payload', 'similarity', n.value -> 'similarity'
        ) order by n.place), '[]')
        from jsonb_array_elements(labelcrew.nearest(p_dataset, x.vector, 12, true, x.id)) with ordinality n (value, place)
      ) end
    ) order by x.updated_at desc), '[]')
    from (
      with changed as (
        select i.id from unnest(array['annotated', 'reviewed', 'verified']) s (state) cross join lateral (
          select i.id, i.updated_at from labelcrew.items i
          where i.dataset_id = p_dataset and i.state = s.state and i.updated_at > coalesce(p_since, '-infinity')
          order by i.updated_at desc, i.seq desc limit least(greatest(p_limit, 1), 1000)
        ) i
        order by i.updated_at desc limit least(greatest(p_limit, 1), 1000)
      ), resting as (
        select c.item_id as id
        from labelcrew.conflicts c
          cross join lateral jsonb_array_elements(
            case when jsonb_typeof(c.evidence -> 'items') = 'array' then c.evidence -> 'items' else '[]' end) e
        where c.dataset_id = p_dataset and c.state = 'open' and c.kind in ('near_duplicates', 'neighbour_disagreement')
          and e.value ->> 'id' in (select w.id::text from changed w)
      )
      select i.id, i.text, a.payload, e.vector, i.updated_at
      from (select id from changed union select id from resting) w
        join labelcrew.items i on i.id = w.id
        join labelcrew.annotations a on a.id = i.annotation_id
        left join labelcrew.embeddings e on e.item_id = i.id
    ) x
  );
end
$$;

-- The light scan has read everything that was answered up to `p_seen_at`.
create or replace function labelcrew_api.mark_scanned(p_dataset uuid, p_seen_at timestamptz) returns jsonb
language sql security definer set search_path = ''
as $$
  insert into labelcrew.quality_marks (dataset_id, seen_at)
  select d.id, p_seen_at from labelcrew.datasets d where d.id = p_dataset
  on conflict (dataset_id) do update set seen_at = greatest(quality_marks.seen_at, excluded.seen_at)
  returning to_jsonb(seen_at)
$$;

-- The newest labelset of a dataset, or null. For workers.
create or replace function labelcrew_api.find_labelset(p_dataset uuid) returns jsonb
language sql stable security definer set search_path = ''
as $$
  select labelcrew.labelset_json(l) from labelcrew.labelsets l
  where l.dataset_id = p_dataset order by l.version desc limit 1
$$;
