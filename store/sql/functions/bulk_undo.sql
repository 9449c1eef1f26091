-- Undoing an operation on many items: each goes back to what it was before, unless somebody has touched it since.

-- The registered code of an SQLSTATE of ours.
create or replace function labelcrew.code_of(p_sqlstate text) returns text
language sql immutable set search_path = ''
as $$
  select case p_sqlstate
@codes@
    else 'conflict'
  end
$$;

-- Orders the undoing of a bulk job that has ended, by whoever ordered it or an admin: a job of its own. Asked again it is
-- the same job.
create or replace function labelcrew_api.undo_bulk(p_actor uuid, p_job uuid) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_job labelcrew.jobs := labelcrew.visible_job(p_actor, p_job, 'reviewer');
  v_undo labelcrew.jobs;
  v_total int;
begin
  if v_job.created_by <> p_actor then
    perform labelcrew.require_role(p_actor, v_job.dataset_id, 'admin');
  end if;
  if v_job.kind <> 'bulk' or v_job.params ->> 'action' = 'undo' then
    perform labelcrew.fail('illegal-job-state', 'only an operation on many items can be undone, and only once',
      jsonb_build_object('job', p_job));
  end if;
  if v_job.state not in ('done', 'failed', 'cancelled') then
    perform labelcrew.refuse_job_state(v_job, 'be undone before it has ended');
  end if;
  insert into labelcrew.jobs (dataset_id, created_by, kind, params, key)
  values (v_job.dataset_id, p_actor, 'bulk', jsonb_build_object('action', 'undo', 'of', p_job), 'undo ' || p_job)
  on conflict (dataset_id, key) where key is not null do nothing
  returning * into v_undo;
  if v_undo.id is null then
    select * into v_undo from labelcrew.jobs where dataset_id = v_job.dataset_id and key = 'undo ' || p_job;
    return labelcrew.job_json(v_undo);
  end if;
  insert into labelcrew.bulk_rows (job_id, seq, item_id)
  select v_undo.id, r.seq, r.item_id from labelcrew.bulk_rows r where r.job_id = p_job and r.outcome = 'done';
  get diagnostics v_total = row_count;
  update labelcrew.jobs set total = v_total where id = v_undo.id returning * into v_undo;
  perform labelcrew.record_event(v_job.dataset_id, p_actor, 'job_created', v_undo.id,
    jsonb_build_object('kind', 'bulk', 'action', 'undo', 'of', p_job, 'items', v_total));
  return labelcrew.job_json(v_undo);
end
$$;

-- Puts the item of a row back to what it was before the operation `p_of`. What the operation said is taken back, not
-- forgotten. The caller has locked the item and made the snapshot of what it is now.
create or replace function labelcrew.undo_bulk_row(p_of uuid, p_row labelcrew.bulk_rows, p_actor uuid) returns void
language plpgsql set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_row labelcrew.bulk_rows;
  v_before jsonb;
  v_standing uuid[];
  v_final labelcrew.annotations;
  v_draft labelcrew.predictions;
  v_state text;
begin
  select * into v_row from labelcrew.bulk_rows where job_id = p_of and seq = p_row.seq;
  v_before := v_row.before;
  v_state := v_before ->> 'state';
  if v_row.outcome is distinct from 'done' or v_row.after - 'expiries' <> p_row.before - 'expiries' then
    perform labelcrew.fail('conflict', 'somebody has worked on the item since', jsonb_build_object('item', p_row.item_id));
  end if;
  v_standing := array(select jsonb_array_elements_text(v_before -> 'current')::uuid);
  update labelcrew.reviews set withdrawn_at = v_now
  where id in (
    select id from labelcrew.reviews where item_id = p_row.item_id
    order by number desc limit (v_row.after ->> 'reviews')::int - (v_before ->> 'reviews')::int
  ) and withdrawn_at is null;
  update labelcrew.annotations set current = false, withdrawn_at = v_now
  where id in (
    select id from labelcrew.annotations where item_id = p_row.item_id
    order by number desc limit (v_row.after ->> 'answers')::int - (v_before ->> 'answers')::int
  ) and withdrawn_at is null;
  update labelcrew.annotations set current = true where id = any (v_standing) and not current;
  if v_row.after ->> 'question' is distinct from v_before ->> 'question' then
    update labelcrew.arbitrations set closed_at = v_now where item_id = p_row.item_id and closed_at is null;
    update labelcrew.arbitrations set closed_at = null, outcome_id = null where id = (v_before ->> 'question')::uuid;
  end if;
  if v_state = 'auto_accepted' and not exists (
    select from labelcrew.licences where id = (v_before ->> 'licence')::uuid and state = 'granted'
  ) then
    v_state := 'drafted';
  end if;
  select * into v_final from labelcrew.annotations where id = (v_before ->> 'annotation')::uuid;
  select p.* into v_draft from labelcrew.predictions p join labelcrew.items i on i.draft_id = p.id where i.id = p_row.item_id;
  update labelcrew.items i
  set state = v_state, annotation_id = v_final.id,
      licence_id = case v_state when 'auto_accepted' then (v_before ->> 'licence')::uuid end,
      answered_by = array(
        select a.user_id from labelcrew.annotations a where a.item_id = i.id and a.current and a.level = 1 order by a.number
      ),
      reviewed_by = array(
        select distinct r.reviewer_id from labelcrew.reviews r where r.item_id = i.id and r.withdrawn_at is null
      ),
      reserved_for = (v_before ->> 'reserved_for')::uuid, reserved_until = (v_before ->> 'reserved_until')::timestamptz,
      reviewer_id = (v_before ->> 'reviewer')::uuid, reviewer_until = (v_before ->> 'reviewer_until')::timestamptz,
      expiries = (v_before ->> 'expiries')::int, gold_payload = nullif(v_before -> 'gold', 'null'),
      labels = coalesce(labelcrew.labels_of(coalesce(v_final.payload, v_draft.payload)), '{}'),
      source = coalesce(v_final.source, v_draft.route), updated_at = v_now
  where i.id = p_row.item_id;
  update labelcrew.bulk_rows set outcome = 'undone' where job_id = p_of and seq = p_row.seq;
  perform labelcrew.record_event((select dataset_id from labelcrew.items where id = p_row.item_id), p_actor, 'item_restored',
    p_row.item_id, jsonb_build_object('of', p_of, 'state', v_state));
end
$$;

-- What a bulk job did not do, and why, by the order of arrival: {refusals: [{item_id, seq, code, detail}], next}.
create or replace function labelcrew_api.list_refusals(p_actor uuid, p_job uuid, p_after bigint default 0, p_limit int default 100)
returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_limit int := least(greatest(p_limit, 1), 1000);
begin
  perform labelcrew.visible_job(p_actor, p_job, 'reviewer');
  return (
    select jsonb_build_object(
      'refusals', coalesce(jsonb_agg(jsonb_build_object(
        'item_id', r.item_id, 'seq', r.seq, 'code', r.code, 'detail', r.detail) order by r.seq), '[]'),
      'next', case when count(*) = v_limit then max(r.seq) end
    )
    from (
      select * from labelcrew.bulk_rows where job_id = p_job and outcome = 'refused' and seq > p_after
      order by seq limit v_limit
    ) r
  );
end
$$;
