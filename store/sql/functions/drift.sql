-- Drift: the windows that somebody chose, what is compared, and what was found. The statistics are learning/drift; a look
-- is made by a worker when enough has come since the last one (jobs/drift.py).

-- The seqs that an order for a reference means: {first: n}, the first n items, or {since, until}, what came in then.
create or replace function labelcrew.reference_seqs(
  p_dataset uuid, p_reference jsonb, out o_from bigint, out o_to bigint, out o_n bigint
)
language plpgsql stable set search_path = ''
as $$
begin
  if p_reference ? 'first' then
    select min(x.seq), max(x.seq), count(*) into o_from, o_to, o_n
    from (
      select i.seq
      from unnest(labelcrew.item_states()) s (state) cross join lateral (
        select i.seq from labelcrew.items i where i.dataset_id = p_dataset and i.state = s.state
        order by i.seq limit (p_reference ->> 'first')::int
      ) i
      order by i.seq limit (p_reference ->> 'first')::int
    ) x;
  else
    select min(i.seq), max(i.seq), count(*) into o_from, o_to, o_n
    from labelcrew.items i
    where i.dataset_id = p_dataset
      and i.created_at >= coalesce((p_reference ->> 'since')::timestamptz, '-infinity')
      and i.created_at < coalesce((p_reference ->> 'until')::timestamptz, 'infinity');
  end if;
end
$$;

-- Chooses what is compared with what, and begins to look anew. `p_reference` as above; compared are the newest `p_newest`
-- of the items that came after the reference. Needs the role admin.
create or replace function labelcrew_api.set_drift_windows(
  p_actor uuid, p_dataset uuid, p_reference jsonb, p_newest int, p_alpha float8
) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_from bigint;
  v_to bigint;
  v_n bigint;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  if (p_reference ->> 'since')::timestamptz >= (p_reference ->> 'until')::timestamptz then
    perform labelcrew.fail('invalid', 'the span ends before it begins');
  end if;
  select r.o_from, r.o_to, r.o_n into v_from, v_to, v_n from labelcrew.reference_seqs(p_dataset, p_reference) r;
  if v_n < 20 then
    perform labelcrew.fail('invalid', format('the reference holds %s items; it needs 20 at least', v_n));
  end if;
  insert into labelcrew.drift_monitors as m (dataset_id, windows, alpha, last_seq, created_by)
  values (
    p_dataset, jsonb_build_object('reference', p_reference, 'from', v_from, 'to', v_to, 'items', v_n, 'newest', p_newest),
    p_alpha, v_to, p_actor
  )
  on conflict (dataset_id) do update
  set windows = excluded.windows, alpha = excluded.alpha, last_seq = excluded.last_seq, created_by = excluded.created_by,
    created_at = labelcrew.now(), run = m.run + 1, looks = 0, seen = 0, alarmed_at = null, watches = '{}', watched_at = null;
  perform labelcrew.record_event(p_dataset, p_actor, 'drift_windows_set', p_dataset,
    jsonb_build_object('reference', p_reference, 'newest', p_newest, 'alpha', p_alpha));
  return labelcrew.drift_json(p_dataset);
end
$$;

-- {windows, alpha, run, looks, seen, alarmed_at, watches, watched_at, created_at, reports}; null where nobody chose windows.
create or replace function labelcrew.drift_json(p_dataset uuid) returns jsonb
language sql stable set search_path = ''
as $$
  select to_jsonb(m) || jsonb_build_object('reports', (
    select coalesce(jsonb_agg(to_jsonb(r) order by r.look desc), '[]')
    from (
      select look, score, alarm, report, created_at from labelcrew.drift_reports x
      where x.dataset_id = p_dataset and x.run = m.run order by look desc limit 100
    ) r
  ))
  from labelcrew.drift_monitors m where m.dataset_id = p_dataset
$$;

create or replace function labelcrew_api.get_drift(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  return labelcrew.drift_json(p_dataset);
end
$$;

-- How many items came after the last look, counting no further than `p_most`.
create or replace function labelcrew.fresh_items(p_dataset uuid, p_after bigint, p_most int) returns int
language sql stable set search_path = ''
as $$
  select count(*)::int
  from (
    select from unnest(labelcrew.item_states()) s (state) cross join lateral (
      select from labelcrew.items i
      where i.dataset_id = p_dataset and i.state = s.state and i.seq > p_after order by i.seq limit p_most
    ) i
    limit p_most
  ) x
$$;

-- Every monitored dataset, or one: [{dataset, run, looks, seen, fresh, windows, alpha, watched_at, changed_at}]. For workers.
create or replace function labelcrew_api.list_drift_monitors(p_dataset uuid default null) returns jsonb
language sql stable security definer set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'dataset', m.dataset_id, 'run', m.run, 'looks', m.looks, 'seen', m.seen, 'windows', m.windows, 'alpha', m.alpha,
    'fresh', labelcrew.fresh_items(m.dataset_id, m.last_seq, 100000), 'watches', m.watches, 'watched_at', m.watched_at,
    'changed_at', (
      select max(c.changed_at) from labelcrew.item_counts c where c.dataset_id = m.dataset_id and c.state = 'verified'
    )
  )), '[]')
  from labelcrew.drift_monitors m where p_dataset is null or m.dataset_id = p_dataset
$$;

-- Items of a range of seqs, by seq: the newest `p_newest` of them if given, and of those, if they are more than `p_most`,
-- as many drawn the same way every time. {n, last, ids, vectors, with_vector, drafts, answers}: n how many the range
-- holds, last its largest seq, vectors base64 of those of `with_vector` (places in ids), drafts and answers the class
-- keys an item has by its draft and by the answer that counts (null without one). For workers.
create or replace function labelcrew_api.read_drift_window(
  p_dataset uuid, p_from bigint, p_to bigint default null, p_newest int default null, p_most int default 2000
) returns json
language plpgsql stable security definer set search_path = '' set statement_timeout = '120s'
as $$
begin
  return (
    with range as materialized (
      select i.id, i.seq, i.draft_id, i.annotation_id
      from unnest(labelcrew.item_states()) s (state) cross join lateral (
        select * from labelcrew.items i
        where i.dataset_id = p_dataset and i.state = s.state and i.seq >= p_from and i.seq <= coalesce(p_to, 9223372036854775807)
        order by i.seq desc limit p_newest
      ) i
      order by i.seq desc limit p_newest
    ), drawn as materialized (
      select d.*, row_number() over (order by d.seq) - 1 as place
      from (select r.* from range r order by hashtextextended(r.id::text, 7) limit p_most) d
    ), held as materialized (
      select d.place, substr(@extensions@.halfvec_send(e.vector), 5) as half
      from drawn d join labelcrew.embeddings e on e.item_id = d.id
    )
    select json_build_object(
      'n', (select count(*) from range),
      'last', (select max(seq) from range),
      'ids', (select coalesce(json_agg(id order by place), '[]') from drawn),
      'with_vector', (select coalesce(json_agg(place order by place), '[]') from held),
      'vectors', (
        select coalesce(translate(encode(string_agg(half, ''::bytea order by place), 'base64'), E'\n', ''), '') from held
      ),
      'drafts', (
        select coalesce(json_agg(case when p.id is not null then labelcrew.labels_of(p.payload) end order by d.place), '[]')
        from drawn d left join labelcrew.predictions p on p.id = d.draft_id
      ),
      'answers', (
        select coalesce(json_agg(case when a.id is not null then labelcrew.labels_of(a.payload) end order by d.place), '[]')
        from drawn d left join labelcrew.annotations a on a.id = d.annotation_id
      )
    )
  );
end
$$;

-- What a look found. Of two who look at once the second changes nothing; nor does one whose windows were chosen anew
-- meanwhile. The first alarm of a run is an event. Returns whether it was kept.
create or replace function labelcrew_api.save_drift_report(
  p_dataset uuid, p_run int, p_look int, p_seen bigint, p_last_seq bigint, p_score float8, p_alarm bool, p_report jsonb
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_monitor labelcrew.drift_monitors;
begin
  select * into v_monitor from labelcrew.drift_monitors where dataset_id = p_dataset for no key update;
  if v_monitor.run is distinct from p_run or v_monitor.looks <> p_look - 1 then
    return to_jsonb(false);
  end if;
  insert into labelcrew.drift_reports (dataset_id, run, look, score, alarm, report)
  values (p_dataset, p_run, p_look, p_score, p_alarm, p_report);
  update labelcrew.drift_monitors
  set looks = p_look, seen = p_seen, last_seq = p_last_seq,
    alarmed_at = coalesce(alarmed_at, case when p_alarm then labelcrew.now() end)
  where dataset_id = p_dataset;
  if p_alarm and v_monitor.alarmed_at is null then
    perform labelcrew.record_event(p_dataset, null, 'drift_alarm', p_dataset, jsonb_build_object(
      'about', 'data', 'score', p_score, 'look', p_look, 'seen', p_seen, 'reason', p_report ->> 'reason'));
  end if;
  return to_jsonb(true);
end
$$;

-- Outcomes of people and models among the newest `p_limit` answers, oldest first: [[user, model, probability, like_draft,
-- like_others]], the last two null without a draft, and without anybody else's decision or gold. For workers.
create or replace function labelcrew_api.list_outcomes(p_dataset uuid, p_limit int default 20000) returns json
language sql stable security definer set search_path = '' set statement_timeout = '120s'
as $$
  select coalesce(json_agg(json_build_array(
    x.user_id, x.model, x.probability, case when x.draft is not null then labelcrew.same_answer(x.draft, x.payload) end,
    case when x.truth is not null then labelcrew.same_answer(x.payload, x.truth) end
  ) order by x.number), '[]')
  from (
    select a.number, a.user_id, a.payload, d.model, d.probability, d.payload as draft,
      coalesce(nullif(to_jsonb(i) -> 'gold_payload', 'null'), case when f.user_id <> a.user_id then f.payload end) as truth
    from (
      select * from labelcrew.annotations a
      where a.dataset_id = p_dataset and a.source = 'human' and a.revision = 1 and a.withdrawn_at is null
      order by a.number desc limit least(greatest(p_limit, 1), 50000)
    ) a
      join labelcrew.items i on i.id = a.item_id
      left join labelcrew.annotations f on f.id = i.annotation_id
      left join lateral (
        select p.model, p.payload, p.probability from labelcrew.predictions p
        where p.item_id = a.item_id and p.payload is not null and p.created_at <= a.created_at
        order by p.number desc limit 1
      ) d on true
  ) x
$$;

-- Keeps what the outcomes say. `p_alarms` are the watches that raise an alarm for the first time in this run: [{about,
-- who, score, reason}], each an event.
create or replace function labelcrew_api.save_drift_watches(p_dataset uuid, p_run int, p_watches jsonb, p_alarms jsonb)
returns jsonb
language plpgsql security definer set search_path = ''
as $$
begin
  update labelcrew.drift_monitors set watches = p_watches, watched_at = labelcrew.now()
  where dataset_id = p_dataset and run = p_run;
  if not found then
    return to_jsonb(false);
  end if;
  perform labelcrew.record_event(p_dataset, null, 'drift_alarm', p_dataset, a.alarm)
  from jsonb_array_elements(p_alarms) a (alarm);
  return to_jsonb(true);
end
$$;
