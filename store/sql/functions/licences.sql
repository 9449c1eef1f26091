-- Licences: which drafts may skip the human, on the strength of which audit. The statistics are made outside
-- (learning/auto_accept.py, learning/sequential.py); here is kept what they speak about, so that what is accepted is
-- exactly what was audited: the drafts as they were when the audit was planned, whatever newer drafts there are since.

create or replace function labelcrew.licence_json(p_licence labelcrew.licences) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_audits jsonb;
begin
  select coalesce(jsonb_object_agg(a.audit, jsonb_build_object(
    'drawn', a.drawn, 'answered', a.answered, 'wrong', a.wrong)), '{}')
  into v_audits
  from (
    select o.audit, count(*) as drawn, count(o.is_right) as answered, count(*) filter (where not o.is_right) as wrong
    from labelcrew.audit_outcomes(p_licence.id) o group by 1
  ) a;
  return jsonb_build_object(
    'id', p_licence.id, 'dataset_id', p_licence.dataset_id, 'job_id', p_licence.job_id, 'state', p_licence.state,
    'model', p_licence.model, 'labelset_version', p_licence.labelset_version,
    'student_version', p_licence.student_version, 'classes', p_licence.classes, 'alpha', p_licence.alpha,
    'delta', p_licence.delta, 'finite', p_licence.finite, 'audit_share', p_licence.audit_share,
    'candidates', p_licence.candidates, 'expected_coverage', p_licence.expected_coverage, 'regions', p_licence.regions,
    'threshold', p_licence.threshold, 'method', p_licence.method, 'coverage', p_licence.coverage,
    'bound', p_licence.bound, 'audit_size', p_licence.audit_size, 'audit_errors', p_licence.audit_errors,
    'accepted', p_licence.accepted, 'reason', p_licence.reason, 'watch_test', p_licence.watch,
    'audit', coalesce(v_audits -> 'first', '{"drawn": 0, "answered": 0, "wrong": 0}'),
    'watch', coalesce(v_audits -> 'watch', '{"drawn": 0, "answered": 0, "wrong": 0}'),
    'created_by', p_licence.created_by, 'created_at', p_licence.created_at, 'granted_at', p_licence.granted_at,
    'ended_at', p_licence.ended_at
  );
end
$$;

-- What people said about the audited drafts, in the order drawn: right, wrong, or null as long as nobody has decided.
-- An item that was skipped counts as wrong: nobody could confirm its draft.
create or replace function labelcrew.audit_outcomes(p_licence uuid)
returns table (audit text, place int, item_id uuid, confidence float8, is_right bool, decided_at timestamptz)
language sql stable rows 200
as $$
  select l.audit, l.place, l.item_id, l.confidence,
    case
      when i.state = 'verified' then coalesce(labelcrew.same_answer(p.payload, a.payload), false)
      when i.state = 'skipped' then false
    end,
    case when i.state in ('verified', 'skipped') then i.updated_at end
  from labelcrew.licence_items l
    join labelcrew.items i on i.id = l.item_id
    left join labelcrew.predictions p on p.id = l.prediction_id
    left join labelcrew.annotations a on a.id = i.annotation_id
  where l.licence_id = p_licence and l.audit is not null
$$;

-- The licence, locked, or `not-found`.
create or replace function labelcrew.lock_licence(p_licence uuid) returns labelcrew.licences
language plpgsql set search_path = ''
as $$
declare
  v_licence labelcrew.licences;
begin
  select * into v_licence from labelcrew.licences where id = p_licence for no key update;
  if not found then
    perform labelcrew.fail('not-found', 'no such licence', jsonb_build_object('licence', p_licence));
  end if;
  return v_licence;
end
$$;

-- Drafts that could be accepted: of one model (the one with most drafts, unless named), by the newest labelset, with a
-- probability, of items that nobody has answered or holds. {model, labelset_version, seqs, predictions, probabilities,
-- labels}, lists of one length; `labels` holds the class where there is exactly one, else null.
create or replace function labelcrew_api.list_accept_candidates(p_actor uuid, p_dataset uuid, p_model text default null)
returns json
language plpgsql stable security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_version int;
  v_model text := p_model;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  v_version := (labelcrew.find_labelset(p_dataset)).version;
  if v_model is null then
    select p.model into v_model
    from labelcrew.items i join labelcrew.predictions p on p.id = i.draft_id
    where i.dataset_id = p_dataset and i.state = 'drafted' and p.probability is not null
    group by 1 order by count(*) desc, 1 limit 1;
  end if;
  return (
    select json_build_object(
      'model', v_model, 'labelset_version', v_version,
      'seqs', coalesce(json_agg(i.seq), '[]'), 'predictions', coalesce(json_agg(p.id), '[]'),
      'probabilities', coalesce(json_agg(p.probability), '[]'),
      'labels', coalesce(json_agg(case when cardinality(i.labels) = 1 then i.labels[1] end), '[]')
    )
    from labelcrew.items i join labelcrew.predictions p on p.id = i.draft_id
    where i.dataset_id = p_dataset and i.state = 'drafted' and p.model = v_model and p.probability is not null
      and p.labelset_version = v_version and p.route <> 'human'
      and cardinality(i.held) = 0 and cardinality(i.answered_by) = 0 and i.arm is distinct from 'audit'
  );
end
$$;

-- Keeps a plan (learning/auto_accept.py) with the drafts it speaks about, and puts the audit items, in the order drawn, at
-- the head of the queue. Without an audit the licence is refused at once, for the plan's reason. Idempotent by job and
-- part. One audit at a time: while another job's is open this is a `conflict`.
create or replace function labelcrew_api.create_licence(
  p_actor uuid, p_dataset uuid, p_job uuid, p_plan jsonb, p_seqs bigint[], p_predictions uuid[], p_confidences float8[],
  p_audit bigint[], p_part int default 0
) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_licence labelcrew.licences;
  v_audit int := coalesce(cardinality(p_audit), 0);
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  perform from labelcrew.datasets where id = p_dataset for no key update;
  select * into v_licence from labelcrew.licences where job_id = p_job and part = p_part;
  if found then
    return labelcrew.licence_json(v_licence);
  end if;
  if exists (
    select from labelcrew.licences
    where dataset_id = p_dataset and state = 'auditing' and (p_job is null or job_id is distinct from p_job)
  ) then
    perform labelcrew.fail('conflict', 'an audit of this dataset is under way',
      p_hint => 'Answer its items, or decide it by what is answered, before planning another.');
  end if;
  insert into labelcrew.licences (
    dataset_id, job_id, part, state, model, labelset_version, student_version, classes, alpha, delta, finite, audit_share,
    candidates, expected_coverage, regions, reason, created_by, ended_at
  ) values (
    p_dataset, p_job, p_part, case when v_audit > 0 then 'auditing' else 'refused' end, p_plan ->> 'model',
    (p_plan ->> 'labelset_version')::int, (p_plan ->> 'student_version')::int,
    case when jsonb_typeof(p_plan -> 'classes') = 'array'
      then array(select jsonb_array_elements_text(p_plan -> 'classes')) end,
    (p_plan ->> 'alpha')::float8, (p_plan ->> 'delta')::float8, coalesce((p_plan ->> 'finite')::bool, false),
    coalesce((p_plan ->> 'audit_share')::float8, 0), (p_plan ->> 'candidates')::int,
    coalesce((p_plan ->> 'expected_coverage')::float8, 0), coalesce(p_plan -> 'regions', '[]'), p_plan ->> 'reason',
    p_actor, case when v_audit = 0 then labelcrew.now() end
  ) returning * into v_licence;
  if v_audit > 0 then
    insert into labelcrew.licence_items (licence_id, item_id, prediction_id, confidence, audit, place)
    select v_licence.id, i.id, r.prediction_id, r.confidence, case when a.place is not null then 'first' end, a.place
    from unnest(p_seqs, p_predictions, p_confidences) r (seq, prediction_id, confidence)
      join labelcrew.items i on i.dataset_id = p_dataset and i.state = 'drafted' and i.seq = r.seq
      left join unnest(p_audit) with ordinality a (seq, place) on a.seq = r.seq;
    perform labelcrew.queue_audit(v_licence.id, 'first');
  end if;
  perform labelcrew.record_event(p_dataset, p_actor,
    case when v_audit > 0 then 'audit_planned' else 'licence_refused' end, v_licence.id,
    jsonb_build_object('job', p_job, 'model', v_licence.model, 'alpha', v_licence.alpha, 'delta', v_licence.delta,
      'audit', v_audit, 'drafts', coalesce(cardinality(p_seqs), 0)));
  return labelcrew.licence_json(v_licence);
end
$$;

-- Puts a licence's audit items that are still open at the head of the queue, in the order drawn.
create or replace function labelcrew.queue_audit(p_licence uuid, p_audit text) returns void
language plpgsql set search_path = ''
as $$
begin
  perform from labelcrew.items i join labelcrew.licence_items l on l.item_id = i.id
  where l.licence_id = p_licence and l.audit = p_audit order by i.seq for no key update of i;
  update labelcrew.items i
  set arm = 'audit', priority = labelcrew.audit_priority() + case p_audit when 'first' then 1 else 0 end
    - l.place / (1.0 + count_of.n)
  from labelcrew.licence_items l,
    (select max(place) as n from labelcrew.licence_items where licence_id = p_licence and audit = p_audit) count_of
  where l.licence_id = p_licence and l.audit = p_audit and i.id = l.item_id and i.state in ('new', 'drafted', 'returned');
end
$$;

-- Takes what is still open of a licence's audits back into the ordinary queue.
create or replace function labelcrew.unqueue_audit(p_licence uuid) returns void
language plpgsql set search_path = ''
as $$
begin
  perform from labelcrew.items i join labelcrew.licence_items l on l.item_id = i.id
  where l.licence_id = p_licence and l.audit is not null order by i.seq for no key update of i;
  update labelcrew.items i set arm = null, priority = 0
  from labelcrew.licence_items l
  where l.licence_id = p_licence and l.audit is not null and i.id = l.item_id
    and i.state in ('new', 'drafted', 'returned') and i.arm = 'audit';
end
$$;

-- Licences about which people have said something new: those whose audit is complete, and granted ones whose further
-- audit has answers that were not tested yet. [{licence, dataset_id, state, actor}], `actor` an admin to act for. Asked by
-- the worker, for nobody.
create or replace function labelcrew_api.list_ripe_licences() returns jsonb
language sql stable security definer set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'licence', c.id, 'dataset_id', c.dataset_id, 'state', c.state, 'actor', m.user_id) order by c.id), '[]')
  from labelcrew.licences c
    join labelcrew.datasets d on d.id = c.dataset_id
    join lateral (
      select count(*) filter (where o.audit = 'first' and o.is_right is null) as missing,
        count(o.is_right) filter (where o.audit = 'watch') as watched
      from labelcrew.audit_outcomes(c.id) o
    ) o on true
    join lateral (
      select m.user_id from labelcrew.members m join labelcrew.users u on u.id = m.user_id and u.active
      where m.dataset_id = d.id and m.role = 'admin'
      order by m.user_id = c.created_by desc, m.user_id = d.owner_id desc, m.created_at limit 1
    ) m on true
  where (c.state = 'auditing' and o.missing = 0)
    or (c.state = 'granted' and o.watched > coalesce((c.watch ->> 'tested')::int, 0))
$$;

-- The licence and what was said about its audits: {licence, first: [{place, confidence, right}], watch: [...]}, `first` in
-- the order drawn, `watch` in the order answered and only what is answered. `confidences` are those of all its other
-- drafts. For workers.
create or replace function labelcrew_api.find_audit(p_licence uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_licence labelcrew.licences;
begin
  select * into v_licence from labelcrew.licences where id = p_licence;
  if not found then
    perform labelcrew.fail('not-found', 'no such licence', jsonb_build_object('licence', p_licence));
  end if;
  return (
    select jsonb_build_object(
      'licence', labelcrew.licence_json(v_licence),
      'first', coalesce(jsonb_agg(jsonb_build_object(
        'place', o.place, 'confidence', o.confidence, 'right', o.is_right) order by o.place)
        filter (where o.audit = 'first'), '[]'),
      'watch', coalesce(jsonb_agg(jsonb_build_object(
        'place', o.place, 'confidence', o.confidence, 'right', o.is_right) order by o.decided_at, o.place)
        filter (where o.audit = 'watch' and o.is_right is not null), '[]'),
      'confidences', (
        select coalesce(jsonb_agg(l.confidence), '[]') from labelcrew.licence_items l
        where l.licence_id = p_licence and l.audit is distinct from 'first'
      )
    )
    from labelcrew.audit_outcomes(p_licence) o
  );
end
$$;

-- Ends the audit of a licence that is auditing, by `p_verdict`: {granted, threshold, coverage, bound, audit_size,
-- audit_errors, method, reason}. Granted: the drafts at or above the threshold become their items' answers for now, but
-- for a random `audit_share` of them, which people go on checking. An item that somebody holds or has answered is theirs.
-- Whoever comes second finds the licence as it is.
create or replace function labelcrew_api.decide_licence(p_actor uuid, p_licence uuid, p_verdict jsonb) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_licence labelcrew.licences;
  v_granted bool := (p_verdict ->> 'granted')::bool;
  v_threshold float8 := (p_verdict ->> 'threshold')::float8;
  v_free uuid[];
  v_watched uuid[] := '{}';
  v_accepted int := 0;
begin
  select * into v_licence from labelcrew.licences where id = p_licence;
  if v_licence.id is null or labelcrew.role_of(p_actor, v_licence.dataset_id) is null then
    perform labelcrew.fail('not-found', 'no such licence', jsonb_build_object('licence', p_licence));
  end if;
  perform labelcrew.require_role(p_actor, v_licence.dataset_id, 'admin');
  v_licence := labelcrew.lock_licence(p_licence);
  if v_licence.state <> 'auditing' then
    return labelcrew.licence_json(v_licence);
  end if;
  perform labelcrew.unqueue_audit(p_licence);
  if v_granted then
    select array_agg(x.id) into v_free from (
      select i.id from labelcrew.items i join labelcrew.licence_items l on l.item_id = i.id
      where l.licence_id = p_licence and l.confidence >= v_threshold and i.state = 'drafted' and l.audit is null
        and cardinality(i.answered_by) = 0 and not exists (select from unnest(i.held) h where h.until > v_now)
      order by i.seq for no key update of i
    ) x;
    v_free := coalesce(v_free, '{}');
    select coalesce(array_agg(x.id), '{}') into v_watched from (
      select f.id from unnest(v_free) f (id) order by random()
      limit ceil(v_licence.audit_share * cardinality(v_free))
    ) x;
    update labelcrew.licence_items l set audit = 'watch', place = w.place
    from unnest(v_watched) with ordinality w (id, place) where l.licence_id = p_licence and l.item_id = w.id;
    perform labelcrew.queue_audit(p_licence, 'watch');
    update labelcrew.items i
    set state = 'auto_accepted', licence_id = p_licence, draft_id = p.id, probability = p.probability,
        labels = labelcrew.labels_of(p.payload), source = p.route, arm = null, priority = 0, updated_at = v_now
    from labelcrew.licence_items l join labelcrew.predictions p on p.id = l.prediction_id
    where l.licence_id = p_licence and l.audit is null and l.item_id = any (v_free) and i.id = l.item_id;
    get diagnostics v_accepted = row_count;
  end if;
  update labelcrew.licences
  set state = case when v_granted then 'granted' else 'refused' end,
      granted_at = case when v_granted then v_now end, ended_at = case when not v_granted then v_now end,
      threshold = case when v_granted then v_threshold end, coverage = (p_verdict ->> 'coverage')::float8,
      bound = (p_verdict ->> 'bound')::float8, audit_size = (p_verdict ->> 'audit_size')::int,
      audit_errors = (p_verdict ->> 'audit_errors')::int, method = p_verdict ->> 'method',
      reason = p_verdict ->> 'reason', accepted = v_accepted
  where id = p_licence
  returning * into v_licence;
  perform labelcrew.record_event(v_licence.dataset_id, p_actor,
    case when v_granted then 'licence_granted' else 'licence_refused' end, p_licence,
    jsonb_build_object('accepted', v_accepted, 'watched', cardinality(v_watched), 'bound', v_licence.bound,
      'audit_size', v_licence.audit_size, 'audit_errors', v_licence.audit_errors, 'alpha', v_licence.alpha,
      'delta', v_licence.delta));
  return labelcrew.licence_json(v_licence);
end
$$;

-- What the sequential test of the further audit says now; `tested` in it is how many answers it has seen. For workers.
create or replace function labelcrew_api.save_watch(p_licence uuid, p_watch jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_licence labelcrew.licences := labelcrew.lock_licence(p_licence);
begin
  update labelcrew.licences set watch = p_watch where id = p_licence and state = 'granted' returning * into v_licence;
  return to_jsonb(found);
end
$$;

-- Takes a licence back: what it had let pass is a draft again, and people see it. Taking it back twice is fine; an audit
-- that is under way ends without a licence.
create or replace function labelcrew_api.revoke_licence(
  p_actor uuid, p_licence uuid, p_reason text, p_watch jsonb default null
) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_licence labelcrew.licences;
  v_returned int;
begin
  select * into v_licence from labelcrew.licences where id = p_licence;
  if v_licence.id is null or labelcrew.role_of(p_actor, v_licence.dataset_id) is null then
    perform labelcrew.fail('not-found', 'no such licence', jsonb_build_object('licence', p_licence));
  end if;
  perform labelcrew.require_role(p_actor, v_licence.dataset_id, 'admin');
  v_licence := labelcrew.lock_licence(p_licence);
  if v_licence.state in ('refused', 'revoked') then
    return labelcrew.licence_json(v_licence);
  end if;
  perform labelcrew.unqueue_audit(p_licence);
  perform from labelcrew.items where licence_id = p_licence order by seq for no key update;
  update labelcrew.items set state = 'drafted', updated_at = v_now where licence_id = p_licence;
  get diagnostics v_returned = row_count;
  update labelcrew.licences
  set state = case v_licence.state when 'granted' then 'revoked' else 'refused' end, ended_at = v_now,
      reason = left(p_reason, 2000), watch = coalesce(p_watch, watch)
  where id = p_licence
  returning * into v_licence;
  perform labelcrew.record_event(v_licence.dataset_id, p_actor, 'licence_' || v_licence.state, p_licence,
    jsonb_build_object('returned', v_returned, 'reason', left(p_reason, 2000)));
  return labelcrew.licence_json(v_licence);
end
$$;

-- All that are in force or being audited, at once: how many.
create or replace function labelcrew_api.revoke_licences(p_actor uuid, p_dataset uuid, p_reason text) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_licence uuid;
  v_count int := 0;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  for v_licence in
    select id from labelcrew.licences where dataset_id = p_dataset and state in ('auditing', 'granted') order by id
  loop
    perform labelcrew_api.revoke_licence(p_actor, v_licence, p_reason);
    v_count := v_count + 1;
  end loop;
  return to_jsonb(v_count);
end
$$;

-- Newest first, with the progress of their audits.
create or replace function labelcrew_api.list_licences(p_actor uuid, p_dataset uuid, p_limit int default 50) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  return (
    select coalesce(jsonb_agg(labelcrew.licence_json(c) order by c.created_at desc, c.id desc), '[]')
    from (
      select x.* from labelcrew.licences x where x.dataset_id = p_dataset
      order by x.created_at desc, x.id desc limit least(greatest(p_limit, 1), 500)
    ) c
  );
end
$$;
