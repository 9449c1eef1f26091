-- Jobs: work that runs for minutes, in a worker, with a price.
--
--   queued ──start──▶ running ──finish──▶ done
--     ▲  │               │ ╲
--     │  └─────pause─────┤  ╲──fail──▶ failed      (also from queued and paused)
--   resume               ▼
--     └─────────────── paused ──cancel──▶ cancelled  (also from queued and running)
--
-- What is in flight when a job is paused or cancelled still arrives: its progress and its cost are counted.
-- A function that asks for what already is (pause a paused job) answers with the job; anything else is refused with
-- `illegal-job-state`. Functions without an actor are for workers.
--
-- A worker that dies runs its last step again. `p_key`, where a function takes one, names the step within the job: the
-- second time changes nothing.

-- `rate` is items a second since the oldest sample of the last half minute, null unless running; `eta_seconds` follows.
create or replace function labelcrew.job_json(p_job labelcrew.jobs) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_now float8 := extract(epoch from labelcrew.now());
  v_handled int := p_job.done + p_job.failed;
  v_first jsonb;
  v_rate float8;
begin
  if p_job.state = 'running' then
    select s into v_first from jsonb_array_elements(p_job.samples) s
    where (s ->> 0)::float8 >= v_now - 30 order by (s ->> 0)::float8 limit 1;
    if v_now - (v_first ->> 0)::float8 > 0 then
      v_rate := (v_handled - (v_first ->> 1)::int) / (v_now - (v_first ->> 0)::float8);
    end if;
  end if;
  return jsonb_build_object(
    'id', p_job.id, 'dataset_id', p_job.dataset_id, 'run', p_job.runs, 'kind', p_job.kind, 'state', p_job.state, 'params', p_job.params,
    'total', p_job.total, 'done', p_job.done, 'failed', p_job.failed, 'rate', round(v_rate::numeric, 3),
    'eta_seconds', case when v_rate > 0 then round((greatest(0, p_job.total - v_handled) / v_rate)::numeric, 1) end,
    'budget_usd', p_job.budget_usd, 'reserved_usd', p_job.reserved_usd, 'cost_usd', p_job.cost_usd,
    'error', p_job.error, 'note', p_job.note, 'result', p_job.result, 'created_by', p_job.created_by,
    'created_at', p_job.created_at, 'started_at', p_job.started_at, 'finished_at', p_job.finished_at
  );
end
$$;

-- The job, locked, or `not-found`.
create or replace function labelcrew.lock_job(p_job uuid) returns labelcrew.jobs
language plpgsql set search_path = ''
as $$
declare
  v_job labelcrew.jobs;
begin
  select * into v_job from labelcrew.jobs j where j.id = p_job for no key update;
  if not found then
    perform labelcrew.fail('not-found', 'no such job', jsonb_build_object('job', p_job));
  end if;
  return v_job;
end
$$;

create or replace function labelcrew.refuse_job_state(p_job labelcrew.jobs, p_wanted text) returns void
language plpgsql set search_path = ''
as $$
begin
  perform labelcrew.fail('illegal-job-state', format('the job is %s; it cannot %s', p_job.state, p_wanted),
    jsonb_build_object('job', p_job.id, 'state', p_job.state));
end
$$;

-- The job as `p_actor` may see it: like any dataset that is not theirs, a job in one is `not-found`.
create or replace function labelcrew.visible_job(p_actor uuid, p_job uuid, p_least text default 'annotator')
returns labelcrew.jobs
language plpgsql stable set search_path = ''
as $$
declare
  v_job labelcrew.jobs;
begin
  select * into v_job from labelcrew.jobs j where j.id = p_job;
  if not found or labelcrew.role_of(p_actor, v_job.dataset_id) is null then
    perform labelcrew.fail('not-found', 'no such job', jsonb_build_object('job', p_job));
  end if;
  perform labelcrew.require_role(p_actor, v_job.dataset_id, p_least);
  return v_job;
end
$$;

-- The new job, with `created` true; the same dataset and key again give the job that is there, with `created` false.
create or replace function labelcrew_api.create_job(
  p_actor uuid, p_dataset uuid, p_kind text, p_params jsonb default '{}', p_budget_usd numeric default null,
  p_key text default null
) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_job labelcrew.jobs;
  v_created bool;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  if p_budget_usd < 0 then
    perform labelcrew.fail('invalid', 'a budget cannot be negative');
  end if;
  insert into labelcrew.jobs (dataset_id, created_by, kind, params, budget_usd, key)
  values (p_dataset, p_actor, p_kind, coalesce(p_params, '{}'), p_budget_usd, p_key)
  on conflict (dataset_id, key) where key is not null do nothing
  returning * into v_job;
  v_created := v_job.id is not null;
  if v_created then
    perform labelcrew.record_event(p_dataset, p_actor, 'job_created', v_job.id,
      jsonb_build_object('kind', p_kind, 'budget_usd', p_budget_usd));
  else
    select * into v_job from labelcrew.jobs j where j.dataset_id = p_dataset and j.key = p_key;
  end if;
  return labelcrew.job_json(v_job) || jsonb_build_object('created', v_created);
end
$$;

create or replace function labelcrew_api.get_job(p_actor uuid, p_job uuid) returns jsonb
language sql stable security definer set search_path = ''
as $$
  select labelcrew.job_json(labelcrew.visible_job(p_actor, p_job))
$$;

-- Newest first.
create or replace function labelcrew_api.list_jobs(p_actor uuid, p_dataset uuid, p_limit int default 50) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  return (
    select coalesce(jsonb_agg(labelcrew.job_json(j) order by j.created_at desc, j.id desc), '[]')
    from (
      select x.* from labelcrew.jobs x where x.dataset_id = p_dataset
      order by x.created_at desc, x.id desc limit least(greatest(p_limit, 1), 500)
    ) j
  );
end
$$;

create or replace function labelcrew_api.find_job(p_job uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_job labelcrew.jobs;
begin
  select * into v_job from labelcrew.jobs j where j.id = p_job;
  if not found then
    perform labelcrew.fail('not-found', 'no such job', jsonb_build_object('job', p_job));
  end if;
  return labelcrew.job_json(v_job);
end
$$;

-- What a worker that starts has to look after, oldest first.
create or replace function labelcrew_api.list_open_jobs() returns jsonb
language sql stable security definer set search_path = ''
as $$
  select coalesce(jsonb_agg(labelcrew.job_json(j) order by j.created_at, j.id), '[]')
  from labelcrew.jobs j where j.state in ('queued', 'running')
$$;

-- A worker takes the job up; again after a crash or a pause. `p_total` is how many items there are, where known.
create or replace function labelcrew_api.start_job(p_job uuid, p_total int default null) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_job labelcrew.jobs := labelcrew.lock_job(p_job);
  v_now timestamptz := labelcrew.now();
begin
  if v_job.state not in ('queued', 'running') then
    perform labelcrew.refuse_job_state(v_job, 'start');
  end if;
  update labelcrew.jobs j
  set state = 'running', started_at = coalesce(j.started_at, v_now), total = coalesce(p_total, j.total),
      samples = case
        when j.state = 'running' then j.samples
        else jsonb_build_array(jsonb_build_array(extract(epoch from v_now), j.done + j.failed))
      end
  where j.id = p_job
  returning * into v_job;
  return labelcrew.job_json(v_job);
end
$$;

-- Notes the step `p_key` of a job in the column `p_part`; false when it was noted before. The job's row is locked.
create or replace function labelcrew.note_step(p_job uuid, p_key text, p_part text) returns bool
language plpgsql set search_path = ''
as $$
begin
  if p_key is null then
    return true;
  end if;
  insert into labelcrew.job_steps (job_id, key, part) values (p_job, p_key, p_part) on conflict do nothing;
  return found;
end
$$;

-- Adds to what is done, failed and paid for. `p_total`, where given, replaces the total.
create or replace function labelcrew_api.progress_job(
  p_job uuid, p_done int, p_failed int default 0, p_total int default null, p_cost_usd numeric default null,
  p_key text default null
) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_job labelcrew.jobs := labelcrew.lock_job(p_job);
  v_now float8 := extract(epoch from labelcrew.now());
begin
  if v_job.state in ('done', 'failed') then
    perform labelcrew.refuse_job_state(v_job, 'make progress');
  end if;
  if labelcrew.note_step(p_job, p_key, 'progress') then
    update labelcrew.jobs j
    set done = j.done + p_done, failed = j.failed + p_failed, total = coalesce(p_total, j.total),
        cost_usd = j.cost_usd + coalesce(p_cost_usd, 0),
        samples = case
          when (j.samples -> -1 ->> 0)::float8 > v_now - 0.5 then j.samples
          else (
            select coalesce(jsonb_agg(s order by (s ->> 0)::float8), '[]')
            from jsonb_array_elements(j.samples) s where (s ->> 0)::float8 >= v_now - 30
          ) || jsonb_build_array(jsonb_build_array(v_now, j.done + j.failed + p_done + p_failed))
        end
    where j.id = p_job
    returning * into v_job;
  end if;
  return labelcrew.job_json(v_job);
end
$$;

create or replace function labelcrew_api.finish_job(p_job uuid, p_result jsonb default '{}', p_note text default '')
returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_job labelcrew.jobs := labelcrew.lock_job(p_job);
begin
  if v_job.state = 'done' then
    return labelcrew.job_json(v_job);
  end if;
  if v_job.state not in ('running', 'paused') then
    perform labelcrew.refuse_job_state(v_job, 'finish');
  end if;
  update labelcrew.jobs j
  set state = 'done', finished_at = labelcrew.now(), result = coalesce(p_result, '{}'), note = p_note, reserved_usd = 0
  where j.id = p_job
  returning * into v_job;
  delete from labelcrew.job_steps s where s.job_id = p_job;
  perform labelcrew.record_event(v_job.dataset_id, v_job.created_by, 'job_finished', p_job,
    jsonb_build_object('done', v_job.done, 'failed', v_job.failed, 'cost_usd', v_job.cost_usd));
  return labelcrew.job_json(v_job);
end
$$;

create or replace function labelcrew_api.fail_job(p_job uuid, p_code text, p_detail text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_job labelcrew.jobs := labelcrew.lock_job(p_job);
begin
  if v_job.state = 'failed' then
    return labelcrew.job_json(v_job);
  end if;
  if v_job.state not in ('queued', 'running', 'paused') then
    perform labelcrew.refuse_job_state(v_job, 'fail');
  end if;
  update labelcrew.jobs j
  set state = 'failed', finished_at = labelcrew.now(), reserved_usd = 0,
      error = jsonb_build_object('code', p_code, 'detail', p_detail)
  where j.id = p_job
  returning * into v_job;
  delete from labelcrew.job_steps s where s.job_id = p_job;
  perform labelcrew.record_event(v_job.dataset_id, v_job.created_by, 'job_failed', p_job,
    jsonb_build_object('code', p_code));
  return labelcrew.job_json(v_job);
end
$$;

create or replace function labelcrew_api.control_job(p_actor uuid, p_job uuid, p_action text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_job labelcrew.jobs;
  v_to text;
begin
  perform labelcrew.visible_job(p_actor, p_job, 'admin');
  v_job := labelcrew.lock_job(p_job);
  v_to := case
    when p_action = 'pause' and v_job.state in ('queued', 'running', 'paused') then 'paused'
    when p_action = 'resume' and v_job.state in ('paused', 'queued') then 'queued'
    when p_action = 'resume' and v_job.state = 'running' then 'running'
    when p_action = 'cancel' and v_job.state in ('queued', 'running', 'paused', 'cancelled') then 'cancelled'
  end;
  if v_to is null then
    if p_action not in ('pause', 'resume', 'cancel') then
      perform labelcrew.fail('invalid', format('no such action: %s', p_action), p_hint => 'Use pause, resume or cancel.');
    end if;
    perform labelcrew.refuse_job_state(v_job, p_action);
  end if;
  if v_to <> v_job.state then
    update labelcrew.jobs j
    set state = v_to, finished_at = case when v_to = 'cancelled' then labelcrew.now() end
    where j.id = p_job
    returning * into v_job;
    perform labelcrew.record_event(v_job.dataset_id, p_actor,
      case v_to when 'paused' then 'job_paused' when 'queued' then 'job_resumed' else 'job_cancelled' end, p_job);
  end if;
  return labelcrew.job_json(v_job);
end
$$;

-- Puts `p_usd` aside for a step that is about to be paid for. Granted only while what is spent, what is set aside and
-- this together stay within the budget; always, where there is none. `remaining` is what may still be set aside.
create or replace function labelcrew_api.reserve_budget(p_job uuid, p_usd numeric, p_key text default null)
returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_job labelcrew.jobs := labelcrew.lock_job(p_job);
  v_granted bool;
begin
  if p_usd < 0 then
    perform labelcrew.fail('invalid', 'what is set aside cannot be negative');
  end if;
  if v_job.state in ('done', 'failed', 'cancelled') then
    perform labelcrew.refuse_job_state(v_job, 'spend');
  end if;
  v_granted := exists (
    select from labelcrew.job_steps s where s.job_id = p_job and s.key = p_key and s.part = 'reserve'
  );
  if not v_granted and (v_job.budget_usd is null or v_job.cost_usd + v_job.reserved_usd + p_usd <= v_job.budget_usd) then
    perform labelcrew.note_step(p_job, p_key, 'reserve');
    update labelcrew.jobs j set reserved_usd = j.reserved_usd + p_usd where j.id = p_job returning * into v_job;
    v_granted := true;
  end if;
  return jsonb_build_object(
    'granted', v_granted,
    'remaining', case
      when v_job.budget_usd is not null then greatest(0, v_job.budget_usd - v_job.cost_usd - v_job.reserved_usd)
    end
  );
end
$$;

-- What was set aside is released and what it really cost is booked; counted in every state, for money is money.
create or replace function labelcrew_api.settle_budget(
  p_job uuid, p_reserved numeric, p_actual numeric, p_key text default null
) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_job labelcrew.jobs := labelcrew.lock_job(p_job);
begin
  if p_reserved < 0 or p_actual < 0 then
    perform labelcrew.fail('invalid', 'a cost cannot be negative');
  end if;
  if labelcrew.note_step(p_job, p_key, 'settle') then
    update labelcrew.jobs j
    set reserved_usd = greatest(0, j.reserved_usd - p_reserved), cost_usd = j.cost_usd + p_actual
    where j.id = p_job
    returning * into v_job;
  end if;
  return labelcrew.job_json(v_job);
end
$$;
