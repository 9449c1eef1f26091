-- Counting behind the work: answers, drafts and labels, from tables that only grow.
--
-- Measures, and what their `a`, `b` and `bin` say (n counts, total adds up). Those with fine bins are kept for all time
-- and by day, those for courses of time by day and by the quarter of an hour, so that no report reads many rows.
--   answers       a person, b what was shown, bin of the time taken (time_bin; -1 without one); total ms
--   work          a person, bin 1 where the time taken is known; total ms
--   judged        a model, b shown/kept or shown/changed, bin of twenty of the draft's probability (-1 without); total of it
--   verdicts      a model, b kept or changed
--   labels        a human, import or draft, b class key
--   drafts        a model, b route, bin 1 for failures; total USD
--   confidence    a model, bin of twenty; total of the confidences
--   probability   a model, bin of twenty; total of the probabilities
--   states        a state: how many items were in it when last looked at in that time
-- What was shown: blind (neither draft nor hint), hinted, plain.

create or replace function labelcrew.grains_of(p_measure text) returns int[]
language sql immutable
as $$
  select case
    when p_measure in ('answers', 'judged', 'confidence', 'probability') then array[0, 1]
    when p_measure = 'drafts' then array[0, 1, 2]
    else array[1, 2]
  end
$$;

create or replace function labelcrew.slot_of(p_grain int, p_time timestamptz) returns timestamptz
language sql immutable
as $$
  select case p_grain
    when 0 then '-infinity'::timestamptz
    when 1 then date_bin('1 day', p_time, '2000-01-03 00:00:00+00')
    else date_bin('15 minutes', p_time, '2000-01-03 00:00:00+00')
  end
$$;

-- Which of twenty equal bins; -1 for none.
create or replace function labelcrew.unit_bin(p_value float8) returns int
language sql immutable
as $$ select case when p_value is null then -1 else least(floor(p_value * 20)::int, 19) end $$;

-- Four bins to a doubling, from a quarter of a second; -1 for none.
create or replace function labelcrew.time_bin(p_ms int) returns int
language sql immutable
as $$
  select case when p_ms is null then -1 else greatest(0, least(floor(4 * ln(greatest(p_ms, 1) / 250.0) / ln(2.0))::int, 100)) end
$$;

-- The next rows of a table to count, at most about `p_most` twice: those above the mark, which moves, and those below it
-- that were not there when it passed. A number is given once.
create or replace function labelcrew.take_numbers(p_source text, p_most int) returns bigint[]
language plpgsql set search_path = ''
as $$
declare
  v_column text := case p_source when 'events' then 'id' else 'number' end;
  v_old timestamptz := labelcrew.now() - interval '20 minutes';  -- no transaction lives so long
  v_mark bigint;
  v_new bigint[];
  v_late bigint[];
  v_newest timestamptz;
begin
  insert into labelcrew.metric_marks (source) values (p_source) on conflict do nothing;
  select number into v_mark from labelcrew.metric_marks where source = p_source for update;
  execute format(
    'select array_agg(x.n) from labelcrew.metric_gaps g cross join lateral (
       select s.%1$I as n from labelcrew.%2$I s where s.%1$I between g.first and g.last limit $2
     ) x where g.source = $1', v_column, p_source) into v_late using p_source, p_most;
  if v_late is not null then
    with hit as (
      delete from labelcrew.metric_gaps g
      where g.source = p_source and exists (select from unnest(v_late) l (n) where l.n between g.first and g.last)
      returning g.*
    ), edge as (
      select h.id, h.since, h.first - 1 as at from hit h
      union all select h.id, h.since, l.n from hit h join unnest(v_late) l (n) on l.n between h.first and h.last
      union all select h.id, h.since, h.last + 1 from hit h
    ), piece as (
      select since, lag(at) over (partition by id order by at) + 1 as first, at - 1 as last from edge
    )
    insert into labelcrew.metric_gaps (source, first, last, since)
    select p_source, first, last, since from piece where first <= last;
  end if;
  execute format(
    'select array_agg(x.n order by x.n), max(x.created_at) from (
       select s.%1$I as n, s.created_at from labelcrew.%2$I s where s.%1$I > $1 order by s.%1$I limit $2
     ) x', v_column, p_source) into v_new, v_newest using v_mark, p_most;
  if v_new is not null then
    if v_newest > v_old then
      insert into labelcrew.metric_gaps (source, first, last)
      select p_source, x.before + 1, x.n - 1
      from (select n, lag(n, 1, v_mark) over (order by n) as before from unnest(v_new) n) x
      where x.n - x.before > 1;
    end if;
    update labelcrew.metric_marks set number = v_new[cardinality(v_new)] where source = p_source;
  end if;
  delete from labelcrew.metric_gaps where source = p_source and since < v_old;
  return coalesce(v_late, '{}') || coalesce(v_new, '{}');
end
$$;

-- Whether take_numbers has given this number.
create or replace function labelcrew.was_taken(p_source text, p_number bigint) returns bool
language sql stable set search_path = ''
as $$
  select exists (select from labelcrew.metric_marks where source = p_source and number >= p_number)
    and not exists (select from labelcrew.metric_gaps where source = p_source and p_number between first and last)
$$;

-- Whether the event that an answer was taken back has been read before the answer itself: then it never counts. Read
-- after it, the event takes it out again. Which of the two came first is all that matters, so each answer ends at zero.
create or replace function labelcrew.undo_was_taken(p_answer labelcrew.annotations) returns bool
language plpgsql stable set search_path = ''
as $$
begin
  return p_answer.withdrawn_at is not null and exists (
    select from labelcrew.events e
    where e.subject_id = p_answer.item_id and e.kind = 'submit_undone'
      and e.data ->> 'annotation' = p_answer.id::text and labelcrew.was_taken('events', e.id)
  );
end
$$;

-- Adds these answers to the counts, or with `p_sign` -1 takes out again what was counted before it was taken back.
create or replace function labelcrew.count_answers(p_numbers bigint[], p_sign int) returns void
language sql set search_path = ''
as $$
  with answer as materialized (
    select a.dataset_id, a.created_at as at, a.user_id::text as person, a.source, a.lead_time_ms,
      a.payload, a.revision, d.model, d.payload as draft, d.probability,
      case
        when i.arm in ('audit', 'blind') then 'blind'
        when exists (
          select from labelcrew.hints h
          where h.item_id = a.item_id and h.user_id = a.user_id and h.created_at <= a.created_at
        ) then 'hinted'
        else 'plain'
      end as shown
    from unnest(p_numbers) k (number)
      join labelcrew.annotations a on a.number = k.number
      join labelcrew.items i on i.id = a.item_id
      left join lateral (
        select p.model, p.payload, p.probability from labelcrew.predictions p
        where p.item_id = a.item_id and p.payload is not null and p.created_at <= a.created_at
        order by p.number desc limit 1
      ) d on a.source = 'human'
    where (p_sign < 0 or not labelcrew.undo_was_taken(a))
      and exists (select from labelcrew.datasets s where s.id = a.dataset_id)
  ), counted as (
    select dataset_id, 'answers' as measure, at, person as a, shown as b, labelcrew.time_bin(lead_time_ms) as bin,
      coalesce(lead_time_ms, 0)::float8 as value
    from answer where source = 'human'
    union all
    select dataset_id, 'work', at, person, '', (lead_time_ms is not null)::int, coalesce(lead_time_ms, 0)
    from answer where source = 'human'
    union all
    select dataset_id, 'judged', at, model,
      shown || case when labelcrew.same_answer(draft, payload) then '/kept' else '/changed' end,
      labelcrew.unit_bin(probability), coalesce(probability, 0)
    from answer where source = 'human' and revision = 1 and model is not null
    union all
    select dataset_id, 'verdicts', at, model, case when labelcrew.same_answer(draft, payload) then 'kept' else 'changed' end, 0, 0
    from answer where source = 'human' and revision = 1 and model is not null
    union all
    select x.dataset_id, 'labels', x.at, x.source, l.label, 0, 0
    from answer x cross join lateral unnest(labelcrew.labels_of(x.payload)) l (label)
  )
  insert into labelcrew.metric_counts as c (dataset_id, measure, grain, slot, a, b, bin, n, total)
  select x.dataset_id, x.measure, g.grain, labelcrew.slot_of(g.grain, x.at), x.a, x.b, x.bin, p_sign * count(*),
    p_sign * sum(x.value)
  from counted x cross join lateral unnest(labelcrew.grains_of(x.measure)) g (grain)
  group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5, 6, 7
  on conflict (dataset_id, measure, grain, slot, a, b, bin)
    do update set n = c.n + excluded.n, total = c.total + excluded.total
$$;

create or replace function labelcrew.count_drafts(p_numbers bigint[]) returns void
language sql set search_path = ''
as $$
  with draft as materialized (
    select p.dataset_id, p.created_at as at, p.model, p.route, p.payload, p.confidence, p.probability,
      p.cost_usd
    from unnest(p_numbers) k (number) join labelcrew.predictions p on p.number = k.number
    where exists (select from labelcrew.datasets s where s.id = p.dataset_id)
  ), counted as (
    select dataset_id, 'drafts' as measure, at, model as a, route as b, (payload is null)::int as bin, cost_usd::float8 as value
    from draft
    union all
    select dataset_id, 'confidence', at, model, '', labelcrew.unit_bin(confidence), confidence
    from draft where confidence is not null
    union all
    select dataset_id, 'probability', at, model, '', labelcrew.unit_bin(probability), probability
    from draft where probability is not null
    union all
    select x.dataset_id, 'labels', x.at, 'draft', l.label, 0, 0
    from draft x cross join lateral unnest(labelcrew.labels_of(x.payload)) l (label) where x.payload is not null
  )
  insert into labelcrew.metric_counts as c (dataset_id, measure, grain, slot, a, b, bin, n, total)
  select x.dataset_id, x.measure, g.grain, labelcrew.slot_of(g.grain, x.at), x.a, x.b, x.bin, count(*), sum(x.value)
  from counted x cross join lateral unnest(labelcrew.grains_of(x.measure)) g (grain)
  group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5, 6, 7
  on conflict (dataset_id, measure, grain, slot, a, b, bin)
    do update set n = c.n + excluded.n, total = c.total + excluded.total
$$;

-- After items went (an import was rolled back) what they had been counted for is no longer there to take out: the
-- dataset's drafts and labels are counted anew, by what was taken so far.
create or replace function labelcrew.recount_drafts(p_dataset uuid) returns void
language plpgsql set search_path = ''
as $$
begin
  delete from labelcrew.metric_counts
  where dataset_id = p_dataset and measure in ('drafts', 'confidence', 'probability', 'labels');
  perform labelcrew.count_drafts(array_agg(p.number)) from labelcrew.predictions p
  where p.dataset_id = p_dataset and labelcrew.was_taken('predictions', p.number);
  insert into labelcrew.metric_counts as c (dataset_id, measure, grain, slot, a, b, n)
  select p_dataset, 'labels', g.grain, labelcrew.slot_of(g.grain, a.created_at), a.source, l.label, count(*)
  from labelcrew.annotations a cross join lateral unnest(labelcrew.labels_of(a.payload)) l (label)
    cross join lateral unnest(labelcrew.grains_of('labels')) g (grain)
  where a.dataset_id = p_dataset and not labelcrew.undo_was_taken(a) and labelcrew.was_taken('annotations', a.number)
  group by 3, 4, 5, 6
  on conflict (dataset_id, measure, grain, slot, a, b, bin) do update set n = c.n + excluded.n;
end
$$;

-- How many items of each dataset are in each state, for the history: where something changed since the last look.
create or replace function labelcrew.note_states() returns void
language sql set search_path = ''
as $$
  insert into labelcrew.metric_counts as c (dataset_id, measure, grain, slot, a, n, total)
  select x.dataset_id, 'states', g.grain, labelcrew.slot_of(g.grain, labelcrew.now()), x.state, x.n,
    extract(epoch from x.changed_at)
  from (
    select i.dataset_id, i.state, sum(i.n)::bigint as n, max(i.changed_at) as changed_at
    from labelcrew.item_counts i group by 1, 2
  ) x
    join labelcrew.datasets d on d.id = x.dataset_id
    cross join lateral unnest(labelcrew.grains_of('states')) g (grain)
    left join lateral (
      select s.total from labelcrew.metric_counts s
      where s.dataset_id = x.dataset_id and s.measure = 'states' and s.grain = 2 and s.a = x.state
      order by s.slot desc limit 1
    ) before on true
  where before.total is distinct from extract(epoch from x.changed_at)::float8
  on conflict (dataset_id, measure, grain, slot, a, b, bin) do update set n = excluded.n, total = excluded.total
$$;

-- Counts what came since the last time, at most about `p_most` rows of each table; whoever comes while another counts
-- does nothing. Returns {counted, behind}: whether there may be more.
create or replace function labelcrew.roll_up(p_most int) returns jsonb
language plpgsql set search_path = ''
as $$
declare
  v_answers bigint[];
  v_drafts bigint[];
  v_events bigint[];
  v_undone bigint[];
  v_dataset uuid;
begin
  if not pg_try_advisory_xact_lock(7305244109115311) then
    return jsonb_build_object('counted', 0, 'behind', true);
  end if;
  v_events := labelcrew.take_numbers('events', p_most);
  select array_agg(a.number) into v_undone
  from labelcrew.events e join labelcrew.annotations a on a.id = (e.data ->> 'annotation')::uuid
  where e.id = any (v_events) and e.kind = 'submit_undone' and labelcrew.was_taken('annotations', a.number);
  if v_undone is not null then
    perform labelcrew.count_answers(v_undone, -1);
  end if;
  v_answers := labelcrew.take_numbers('annotations', p_most);
  if cardinality(v_answers) > 0 then
    perform labelcrew.count_answers(v_answers, 1);
  end if;
  v_drafts := labelcrew.take_numbers('predictions', p_most);
  if cardinality(v_drafts) > 0 then
    perform labelcrew.count_drafts(v_drafts);
  end if;
  for v_dataset in
    select distinct e.dataset_id from labelcrew.events e join labelcrew.datasets d on d.id = e.dataset_id
    where e.id = any (v_events) and e.kind = 'import_rolled_back'
  loop
    perform labelcrew.recount_drafts(v_dataset);
  end loop;
  perform labelcrew.note_states();
  return jsonb_build_object(
    'counted', cardinality(v_answers) + cardinality(v_drafts) + cardinality(v_events),
    'behind', greatest(cardinality(v_answers), cardinality(v_drafts), cardinality(v_events)) >= p_most
  );
end
$$;

-- For the worker, which comes again at once while `behind`.
create or replace function labelcrew_api.roll_up_metrics(p_most int default 20000) returns jsonb
language sql security definer set search_path = '' set statement_timeout = '120s'
as $$ select labelcrew.roll_up(p_most) $$;

-- What cannot be counted forward, of the dataset whose snapshot is most out of date: the labels of all items now, verified
-- items by the model of their draft, and how often people were right with and without a hint, by the answers that others
-- or gold then decided. A snapshot is taken anew at the earliest after twenty times as long as it took. Returns whether
-- one was taken. For the worker.
create or replace function labelcrew_api.take_snapshot() returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_began timestamptz := clock_timestamp();
  v_change timestamptz;
  v_dataset uuid;
  v_data jsonb;
begin
  select x.dataset_id, x.changed_at into v_dataset, v_change
  from (
    select dataset_id, max(changed_at) as changed_at from labelcrew.item_counts group by 1
  ) x
    join labelcrew.datasets d on d.id = x.dataset_id
    left join labelcrew.metric_snapshots s on s.dataset_id = x.dataset_id
  where s.dataset_id is null
    or (s.seen_change < x.changed_at and v_now - s.taken_at > greatest(s.took_ms * 20, 2000) * interval '1 ms')
  order by s.taken_at nulls first limit 1;
  if v_dataset is null then
    return to_jsonb(false);
  end if;
  select jsonb_build_object(
    'labels', (
      select coalesce(jsonb_object_agg(l.label, l.n), '{}')
      from (select label, count(*) as n from labelcrew.item_labels where dataset_id = v_dataset group by 1) l
    ),
    'verified_by_model', (
      select coalesce(jsonb_object_agg(m.model, m.n), '{}')
      from (
        select p.model, count(*) as n from labelcrew.items i join labelcrew.predictions p on p.id = i.draft_id
        where i.dataset_id = v_dataset and i.state = 'verified' group by 1
      ) m
    ),
    'arms', labelcrew.arms_of(v_dataset)
  ) into v_data;
  insert into labelcrew.metric_snapshots as s (dataset_id, seen_change, taken_at, took_ms, data)
  values (v_dataset, v_change, v_now, extract(epoch from clock_timestamp() - v_began) * 1000, v_data)
  on conflict (dataset_id) do update
  set seen_change = excluded.seen_change, taken_at = excluded.taken_at, took_ms = excluded.took_ms, data = excluded.data;
  return to_jsonb(true);
end
$$;

-- {blind|plain|hinted: {judged, right, suggested, followed}} over the newest 20,000 standing answers of level 1: how many
-- were decided by somebody else or by gold, and how many of those were right; how many hints suggested a label, and how
-- many answers then gave it.
create or replace function labelcrew.arms_of(p_dataset uuid) returns jsonb
language sql stable set search_path = ''
as $$
  select coalesce(jsonb_object_agg(x.shown, jsonb_build_object(
    'judged', x.judged, 'right', x.is_right, 'suggested', x.suggested, 'followed', x.followed)), '{}')
  from (
    select y.shown, count(y.truth) as judged, count(*) filter (where labelcrew.same_answer(y.payload, y.truth)) as is_right,
      count(y.suggestion) as suggested,
      count(*) filter (where labelcrew.same_answer(y.payload, y.suggestion)) as followed
    from (
      select a.payload, h.suggested as suggestion,
        case when i.arm in ('audit', 'blind') then 'blind' when h.id is not null then 'hinted' else 'plain' end as shown,
        coalesce(nullif(to_jsonb(i) -> 'gold_payload', 'null'), case when f.user_id <> a.user_id then f.payload end) as truth
      from (
        select * from labelcrew.annotations a
        where a.dataset_id = p_dataset and a.current and a.source = 'human' and a.level = 1
        order by a.number desc limit 20000
      ) a
        join labelcrew.items i on i.id = a.item_id
        left join labelcrew.annotations f on f.id = i.annotation_id and i.state = 'verified'
        left join lateral (
          select h.id, h.suggested from labelcrew.hints h
          where h.item_id = a.item_id and h.user_id = a.user_id and h.created_at <= a.created_at
          order by h.number desc limit 1
        ) h on true
    ) y
    group by 1
  ) x
$$;
