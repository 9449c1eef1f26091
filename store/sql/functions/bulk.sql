-- One operation on many items: chosen when it is ordered, done by a job some hundred at a time, each item by itself, so
-- that one that refuses costs the others nothing; and undone as a whole.

create or replace function labelcrew.bulk_actions() returns text[]
language sql immutable
as $$ select array['approve', 'reject', 'set_class', 'assign', 'send_back'] $$;

-- What an operation is about: `p_ids`, or what a filter finds, {states, label, sources, q, min_probability,
-- max_probability}, of which each part may be left out.
create or replace function labelcrew.bulk_selection(p_dataset uuid, p_ids uuid[], p_filter jsonb)
returns setof labelcrew.items
language sql stable set search_path = ''
as $$
  with f as materialized (
    select
      case when p_filter ? 'states' then array(select jsonb_array_elements_text(p_filter -> 'states')) end as states,
      case when p_filter ? 'sources' then array(select jsonb_array_elements_text(p_filter -> 'sources')) end as sources,
      p_filter ->> 'label' as label, nullif(btrim(p_filter ->> 'q'), '') as q,
      labelcrew.words_query(p_filter ->> 'q') as words,
      (p_filter ->> 'min_probability')::float8 as least, (p_filter ->> 'max_probability')::float8 as most
  )
  select i.* from f join labelcrew.items i on i.dataset_id = p_dataset
  where (p_ids is null or i.id = any (p_ids))
    and (f.states is null or i.state = any (f.states)) and (f.label is null or i.labels @> array[f.label])
    and (f.sources is null or i.source = any (f.sources))
    and (f.least is null or i.probability >= f.least) and (f.most is null or i.probability <= f.most)
    and (f.q is null or i.external_id = f.q or coalesce((
      select w.words @@ f.words from labelcrew.item_words w where w.item_id = i.id), false))
$$;

-- The code with which an item is going to be refused, as far as that can be told without trying; null if it is not.
create or replace function labelcrew.bulk_refusal(i labelcrew.items, p_action text, p_actor uuid, p_rank int, p_now timestamptz)
returns text
language sql stable set search_path = ''
as $$
  select case
    when p_action = 'assign' then case when i.state not in ('new', 'drafted', 'returned') then 'illegal-transition' end
    when p_action = 'send_back' then case when i.state in ('new', 'drafted', 'returned') then 'illegal-transition' end
    when p_action = 'set_class' then case when exists (
      select from labelcrew.annotations a
      where a.item_id = i.id and a.current and a.user_id <> p_actor and a.level > least(p_rank, 3)
    ) then 'illegal-transition' end
    when p_action = 'approve' and i.state in ('drafted', 'auto_accepted') then null
    when i.state not in ('annotated', 'reviewed') then 'illegal-transition'
    when i.state = 'reviewed' and p_rank < 3 then 'forbidden'
    when exists (select from unnest(i.held) h where h.until > p_now and h.user_id <> p_actor) then 'conflict'
    when exists (
      select from labelcrew.annotations a
      where a.item_id = i.id and a.user_id = p_actor and a.source = 'human' and a.withdrawn_at is null
        and a.level < case i.state when 'annotated' then 2 else 3 end
    ) or (i.state = 'reviewed' and p_actor = any (i.reviewed_by)) then 'own-work'
  end
$$;

-- Refuses options that the action cannot be done with.
create or replace function labelcrew.check_bulk(p_actor uuid, p_dataset uuid, p_action text, p_options jsonb) returns void
language plpgsql set search_path = ''
as $$
declare
  v_problem text;
begin
  if p_action is null or p_action <> all (labelcrew.bulk_actions()) then
    perform labelcrew.fail('invalid', 'the action is approve, reject, set_class, assign or send_back');
  end if;
  if p_action = 'reject' and coalesce(btrim(p_options ->> 'comment'), '') = '' then
    perform labelcrew.fail('invalid', 'say why: the authors read the comment of a rejection');
  end if;
  if p_action = 'set_class' then
    v_problem := labelcrew.payload_problem(labelcrew.find_labelset(p_dataset), p_options -> 'payload', 0);
    if v_problem is not null then
      perform labelcrew.fail('invalid-payload', v_problem);
    end if;
  end if;
  if p_action = 'assign' and labelcrew.role_of((p_options ->> 'user')::uuid, p_dataset) is null then
    perform labelcrew.fail('not-found', 'no such member', jsonb_build_object('user', p_options ->> 'user'));
  end if;
end
$$;

-- Counts what an operation would do ({items, able, refused: {code: items}, states: {state: items}}), or orders it as a job
-- for the items that are chosen now. The same key again gives the same job.
create or replace function labelcrew_api.order_bulk(
  p_actor uuid, p_dataset uuid, p_action text, p_ids uuid[] default null, p_filter jsonb default null,
  p_options jsonb default '{}', p_dry_run bool default false, p_key text default null
) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_rank int := labelcrew.rank_of(labelcrew.require_role(p_actor, p_dataset, 'reviewer'));
  v_job labelcrew.jobs;
  v_total int;
begin
  p_filter := nullif(p_filter, 'null');
  if (p_ids is null) = (p_filter is null) then
    perform labelcrew.fail('invalid', 'name the items by their ids or by a filter');
  end if;
  if not coalesce(array(select jsonb_array_elements_text(p_filter -> 'states')), '{}') <@ labelcrew.item_states() then
    perform labelcrew.fail('invalid', 'there is no such state');
  end if;
  perform labelcrew.check_bulk(p_actor, p_dataset, p_action, p_options);
  if p_filter ? 'q' then
    perform labelcrew.index_words(p_dataset, 200000);
  end if;
  if p_dry_run then
    return (
      select jsonb_build_object('items', coalesce(sum(s.n), 0), 'able', coalesce(sum(s.n) filter (where s.code is null), 0),
        'refused', coalesce((
          select jsonb_object_agg(r.code, r.n) from (
            select x.code, sum(x.n) as n from jsonb_to_recordset(jsonb_agg(to_jsonb(s))) x (code text, n int)
            where x.code is not null group by 1
          ) r), '{}'),
        'states', coalesce((
          select jsonb_object_agg(r.state, r.n) from (
            select x.state, sum(x.n) as n from jsonb_to_recordset(jsonb_agg(to_jsonb(s))) x (state text, n int) group by 1
          ) r), '{}'))
      from (
        select i.state, labelcrew.bulk_refusal(i, p_action, p_actor, v_rank, v_now) as code, count(*) as n
        from labelcrew.bulk_selection(p_dataset, p_ids, p_filter) i group by 1, 2
      ) s
    );
  end if;
  insert into labelcrew.jobs (dataset_id, created_by, kind, params, key)
  values (p_dataset, p_actor, 'bulk', jsonb_build_object('action', p_action, 'options', p_options), p_key)
  on conflict (dataset_id, key) where key is not null do nothing
  returning * into v_job;
  if v_job.id is null then
    select * into v_job from labelcrew.jobs where dataset_id = p_dataset and key = p_key;
    return labelcrew.job_json(v_job);
  end if;
  insert into labelcrew.bulk_rows (job_id, seq, item_id)
  select v_job.id, i.seq, i.id from labelcrew.bulk_selection(p_dataset, p_ids, p_filter) i;
  get diagnostics v_total = row_count;
  update labelcrew.jobs set total = v_total where id = v_job.id returning * into v_job;
  perform labelcrew.record_event(p_dataset, p_actor, 'job_created', v_job.id,
    jsonb_build_object('kind', 'bulk', 'action', p_action, 'items', v_total));
  return labelcrew.job_json(v_job);
end
$$;

-- What an item is, as far as an operation may change it.
create or replace function labelcrew.bulk_snapshot(p_item uuid) returns jsonb
language sql stable set search_path = ''
as $$
  select jsonb_build_object(
    'state', i.state, 'annotation', i.annotation_id, 'token', i.token, 'licence', i.licence_id,
    'gold', i.gold_payload,
    'reserved_for', i.reserved_for, 'reserved_until', i.reserved_until, 'reviewer', i.reviewer_id,
    'reviewer_until', i.reviewer_until, 'expiries', i.expiries,
    'current', array(select a.id from labelcrew.annotations a where a.item_id = i.id and a.current order by a.number),
    'answers', (select count(*) from labelcrew.annotations a where a.item_id = i.id),
    'reviews', (select count(*) from labelcrew.reviews r where r.item_id = i.id),
    'question', (select q.id from labelcrew.arbitrations q where q.item_id = i.id and q.closed_at is null)
  )
  from labelcrew.items i where i.id = p_item
$$;

-- One item of an operation; raises what a person who tried it by hand would be told.
create or replace function labelcrew.apply_bulk(p_actor uuid, p_action text, p_options jsonb, p_item labelcrew.items) returns void
language plpgsql set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_draft labelcrew.predictions;
begin
  if p_action = 'send_back' then
    perform labelcrew.reopen_item(p_actor, p_item, p_options ->> 'comment', v_now);
  elsif p_action = 'set_class' then
    perform labelcrew_api.submit_annotation(p_actor, p_item.id, p_options -> 'payload',
      (labelcrew.find_labelset(p_item.dataset_id)).version);
  elsif p_action = 'assign' then
    if p_item.state not in ('new', 'drafted', 'returned') then
      perform labelcrew.fail('illegal-transition', format('the item is %s: only an open one can be assigned', p_item.state),
        jsonb_build_object('item', p_item.id, 'from', p_item.state));
    end if;
    update labelcrew.items
    set reserved_for = (p_options ->> 'user')::uuid,
        reserved_until = v_now + make_interval(hours => coalesce((p_options ->> 'hours')::int, 168))
    where id = p_item.id;
    perform labelcrew.record_event(p_item.dataset_id, p_actor, 'item_assigned', p_item.id,
      jsonb_build_object('user', p_options ->> 'user'));
  elsif p_action = 'approve' and p_item.state in ('drafted', 'auto_accepted') then
    select * into v_draft from labelcrew.predictions where id = p_item.draft_id;
    perform labelcrew_api.submit_annotation(p_actor, p_item.id, v_draft.payload, v_draft.labelset_version);
  else
    if exists (select from unnest(p_item.held) h where h.until > v_now and h.user_id <> p_actor) then
      perform labelcrew.fail('conflict', 'somebody else holds this item to review it', jsonb_build_object('item', p_item.id));
    end if;
    perform labelcrew.decide_review(
      p_actor, p_item, case p_action when 'approve' then 'approved' else 'rejected' end, null, null,
      p_options ->> 'comment', null, v_now);
  end if;
end
$$;

-- Does the next rows of a bulk job and counts them in the same transaction, so that none is done twice after a crash.
-- {done, refused, left}; nothing is done unless the job is running. For workers.
create or replace function labelcrew_api.run_bulk(p_job uuid, p_most int default 200) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '60s'
as $$
declare
  v_job labelcrew.jobs := labelcrew.lock_job(p_job);
  v_row labelcrew.bulk_rows;
  v_item labelcrew.items;
  v_code text;
  v_detail text;
  v_done int := 0;
  v_refused int := 0;
begin
  if v_job.state <> 'running' then
    return jsonb_build_object('done', 0, 'refused', 0, 'left', 0);
  end if;
  perform labelcrew.require_role(v_job.created_by, v_job.dataset_id, 'reviewer');
  perform labelcrew.share_workflow(v_job.dataset_id);
  for v_row in
    select * from labelcrew.bulk_rows where job_id = p_job and outcome is null order by seq limit p_most
  loop
    v_code := null;
    begin
      select * into v_item from labelcrew.items where id = v_row.item_id for no key update;
      v_row.before := labelcrew.bulk_snapshot(v_row.item_id);
      if v_job.params ->> 'action' = 'undo' then
        perform labelcrew.undo_bulk_row((v_job.params ->> 'of')::uuid, v_row, v_job.created_by);
      else
        perform labelcrew.apply_bulk(v_job.created_by, v_job.params ->> 'action', v_job.params -> 'options', v_item);
      end if;
    exception when others then
      if sqlstate not like 'LC%' then
        raise;
      end if;
      v_code := labelcrew.code_of(sqlstate);
      v_detail := sqlerrm;
    end;
    update labelcrew.bulk_rows
    set outcome = case when v_code is null then 'done' else 'refused' end, code = v_code,
        detail = case when v_code is not null then left(v_detail, 1000) end,
        before = case when v_code is null then v_row.before end,
        after = case when v_code is null then labelcrew.bulk_snapshot(v_row.item_id) end
    where job_id = p_job and seq = v_row.seq;
    v_done := v_done + (v_code is null)::int;
    v_refused := v_refused + (v_code is not null)::int;
  end loop;
  if v_done + v_refused > 0 then
    perform labelcrew_api.progress_job(p_job, v_done, v_refused);
  end if;
  return jsonb_build_object('done', v_done, 'refused', v_refused, 'left', (
    select count(*) from (select from labelcrew.bulk_rows where job_id = p_job and outcome is null limit 1) x
  ));
end
$$;

-- {done, refused: {code: items}}: what became of the items of a bulk job. For workers.
create or replace function labelcrew_api.count_bulk(p_job uuid) returns jsonb
language sql stable security definer set search_path = ''
as $$
  select jsonb_build_object(
    'done', (select count(*) from labelcrew.bulk_rows where job_id = p_job and outcome in ('done', 'undone')),
    'refused', (
      select coalesce(jsonb_object_agg(r.code, r.n), '{}')
      from (
        select code, count(*) as n from labelcrew.bulk_rows where job_id = p_job and outcome = 'refused' group by code
      ) r
    )
  )
$$;
