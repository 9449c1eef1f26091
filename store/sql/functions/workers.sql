-- What worker processes ask: which jobs wait, how to cut one into slices, who is alive, what a dead one left.
-- None of these takes an actor: a worker acts for the person who created the job.

create or replace function labelcrew_api.beat_worker(p_executor text, p_info jsonb default '{}') returns jsonb
language sql security definer set search_path = ''
begin atomic
  insert into labelcrew.workers (executor_id, info) values (p_executor, p_info)
  on conflict (executor_id) do update set seen_at = labelcrew.now(), info = excluded.info
  returning pg_catalog.to_jsonb(seen_at);
end;

-- A worker that ends in good order: whatever it leaves half done is taken over by the next one at once.
create or replace function labelcrew_api.leave_worker(p_executor text) returns jsonb
language sql security definer set search_path = ''
begin atomic
  update labelcrew.workers set seen_at = 'epoch' where executor_id = p_executor;
  select 'true'::jsonb;
end;

-- Removes the workers that were silent for longer than `p_silent_seconds`, and those of `p_executors` that are known to
-- be dead, and returns their names: whoever gets a name here, and nobody else, takes over what that worker was doing.
create or replace function labelcrew_api.reap_workers(p_silent_seconds int, p_executors text[] default '{}') returns jsonb
language sql security definer set search_path = ''
begin atomic
  with dead as (
    delete from labelcrew.workers
    where executor_id = any (p_executors)
       or seen_at < labelcrew.now() - pg_catalog.make_interval(secs => p_silent_seconds)
    returning executor_id
  )
  select coalesce(pg_catalog.jsonb_agg(executor_id), '[]') from dead;
end;

create or replace function labelcrew_api.list_workers(p_alive_seconds int default 30) returns jsonb
language sql stable security definer set search_path = ''
begin atomic
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(w) order by w.started_at), '[]')
  from labelcrew.workers w
  where w.seen_at >= labelcrew.now() - pg_catalog.make_interval(secs => p_alive_seconds);
end;

-- Jobs that nobody has begun: [{id, kind, run, place}], oldest first. Those that need the files of a place (a data folder)
-- are listed only for that place.
create or replace function labelcrew_api.list_queued_jobs(p_limit int default 20, p_place text default null) returns jsonb
language sql stable security definer set search_path = ''
begin atomic
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
    'id', q.id, 'kind', q.kind, 'run', q.runs, 'place', q.place)), '[]')
  from (
    select id, kind, runs, params ->> 'place' as place from labelcrew.jobs
    where state = 'queued' and (params ->> 'place' is null or params ->> 'place' = p_place)
    order by created_at limit least(p_limit, 1000)
  ) q;
end;

-- Stops a running job for a reason of the product's own (a budget that is used up); the person may resume it.
create or replace function labelcrew_api.pause_job(p_job uuid, p_note text) returns jsonb
language plpgsql security definer set search_path = ''
as $$
begin
  update labelcrew.jobs set state = 'paused', note = p_note where id = p_job and state = 'running';
  return labelcrew_api.find_job(p_job);
end
$$;

-- Raises or lowers the budget of a job that has not ended; never under what it has spent or holds.
create or replace function labelcrew_api.set_job_budget(p_actor uuid, p_job uuid, p_usd numeric) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_job labelcrew.jobs;
begin
  select * into v_job from labelcrew.jobs where id = p_job for update;
  if v_job.id is null then
    perform labelcrew.fail('not-found', 'no such job', pg_catalog.jsonb_build_object('job', p_job));
  end if;
  perform labelcrew.require_role(p_actor, v_job.dataset_id, 'admin');
  if v_job.state in ('done', 'failed', 'cancelled') then
    perform labelcrew.fail('illegal-job-state', 'the job has ended', pg_catalog.jsonb_build_object('state', v_job.state));
  end if;
  if p_usd < v_job.cost_usd + v_job.reserved_usd then
    perform labelcrew.fail('budget-exceeded', pg_catalog.format('%s USD are spent or held already', v_job.cost_usd + v_job.reserved_usd));
  end if;
  update labelcrew.jobs set budget_usd = p_usd where id = p_job;
  return labelcrew_api.get_job(p_actor, p_job);
end
$$;

-- Cuts what the job has still to do into slices of about `p_slice` items by their seq: {total, slices: [[after, until]]}.
-- A slice is `after < seq <= until`.
create or replace function labelcrew_api.plan_job(p_job uuid, p_slice int, p_exclude_human bool default true) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_dataset uuid := (select dataset_id from labelcrew.jobs where id = p_job);
begin
  return (
    with todo as (
      select i.seq, row_number() over (order by i.seq) - 1 as place
      from labelcrew.items i
      where i.dataset_id = v_dataset
        and (not p_exclude_human or (i.state in ('new', 'drafted', 'returned') and cardinality(i.answered_by) = 0))
        and not exists (select from labelcrew.predictions p where p.job_id = p_job and p.item_id = i.id)
    ), cut as (
      select place / greatest(p_slice, 1) as slice, min(seq) - 1 as after, max(seq) as until, count(*) as n
      from todo group by 1
    )
    select jsonb_build_object(
      'total', coalesce(sum(n), 0),
      'slices', coalesce(jsonb_agg(jsonb_build_array(after, until) order by slice), '[]')
    ) from cut
  );
end
$$;

-- Stores drafts of a job, each item's once, and counts them in its progress, all or nothing. Without a budget their cost
-- is booked here; with one it was settled call by call.
create or replace function labelcrew_api.save_job_drafts(p_job uuid, p_rows jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_job labelcrew.jobs;
  v_saved jsonb;
  v_cost numeric;
begin
  select * into v_job from labelcrew.jobs where id = p_job;
  v_saved := labelcrew_api.save_predictions(v_job.created_by, v_job.dataset_id, p_rows, p_job);
  if v_job.budget_usd is null then
    select coalesce(sum((r -> 'usage' ->> 'cost_usd')::numeric), 0) into v_cost from jsonb_array_elements(p_rows) r;
  end if;
  if (v_saved ->> 'created')::int > 0 and v_job.state not in ('done', 'failed') then
    perform labelcrew_api.progress_job(
      p_job, (v_saved ->> 'created')::int - (v_saved ->> 'errors')::int, (v_saved ->> 'errors')::int, null, v_cost
    );
  end if;
  return v_saved || (select jsonb_build_object('state', state, 'run', runs) from labelcrew.jobs where id = p_job);
end
$$;

-- A step that begins anew after a kill counts anew.
create or replace function labelcrew_api.restart_job_progress(p_job uuid, p_total int default null) returns jsonb
language plpgsql security definer set search_path = ''
as $$
begin
  delete from labelcrew.job_rejections where job_id = p_job;
  update labelcrew.jobs
  set done = 0, failed = 0, samples = '[]', total = coalesce(p_total, total)
  where id = p_job and state in ('queued', 'running');
  return labelcrew_api.find_job(p_job);
end
$$;

-- Rows of a file that were handled: `p_done` of them taken, and those of `p_rejections` ([{line, reason, code}]) not.
create or replace function labelcrew_api.note_import_progress(p_job uuid, p_done int, p_rejections jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
begin
  insert into labelcrew.job_rejections (job_id, line, reason, code)
  select p_job, r.line, left(r.reason, 2000), r.code
  from jsonb_to_recordset(p_rejections) as r (line bigint, reason text, code text)
  on conflict do nothing;
  return labelcrew_api.progress_job(p_job, p_done, jsonb_array_length(p_rejections));
end
$$;

create or replace function labelcrew_api.count_import(p_job uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_job labelcrew.jobs;
  v_created bigint;
begin
  select * into v_job from labelcrew.jobs where id = p_job;
  select count(*) into v_created from labelcrew.items where dataset_id = v_job.dataset_id and job_id = p_job;
  return jsonb_build_object('created', v_created, 'existing', v_job.done - v_created, 'rejected', v_job.failed);
end
$$;

-- The rows that an import did not take, by line: {rejections: [{line, reason, code}], next}.
create or replace function labelcrew_api.list_rejections(
  p_actor uuid, p_job uuid, p_after bigint default 0, p_limit int default 1000
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.visible_job(p_actor, p_job);
  return (
    select jsonb_build_object(
      'rejections', coalesce(jsonb_agg(jsonb_build_object('line', r.line, 'reason', r.reason, 'code', r.code) order by r.line), '[]'),
      'next', case when count(*) = least(greatest(p_limit, 1), 10000) then max(r.line) end
    )
    from (
      select * from labelcrew.job_rejections
      where job_id = p_job and line > p_after order by line limit least(greatest(p_limit, 1), 10000)
    ) r
  );
end
$$;

-- What a job drafted: {model, routes: {route: n}, errors: {code: n}}.
create or replace function labelcrew_api.summarise_drafts(p_job uuid) returns jsonb
language sql stable security definer set search_path = ''
as $$
  with drafts as (
    select p.model, p.route, p.error ->> 'code' as error from labelcrew.predictions p where p.job_id = p_job
  )
  select jsonb_build_object(
    'model', (select max(model) from drafts),
    'routes', (
      select coalesce(jsonb_object_agg(r.route, r.n), '{}')
      from (select route, count(*) as n from drafts where error is null group by 1) r
    ),
    'errors', (
      select coalesce(jsonb_object_agg(e.error, e.n), '{}')
      from (select error, count(*) as n from drafts where error is not null group by 1) e
    )
  )
$$;
