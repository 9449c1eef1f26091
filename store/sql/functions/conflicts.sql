-- Conflicts: what the instruments found doubtful about the labels, and how people settled it.

-- Opens a conflict, or renews the one of the same fingerprint; anybody may call it in a transaction of their own. One that
-- people have settled stays settled until `evidence ->> 'stamp'`, the substance of the evidence, is another one; one that
-- had gone by itself opens again. Returns its id.
create or replace function labelcrew.open_conflict(
  p_dataset uuid, p_item uuid, p_kind text, p_severity float8, p_fingerprint text, p_evidence jsonb,
  p_proposal jsonb default null
) returns uuid
language plpgsql set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_old labelcrew.conflicts;
  v_id uuid;
  v_reopens bool;
begin
  insert into labelcrew.conflicts (
    dataset_id, item_id, kind, severity, fingerprint, evidence, proposal, created_at, updated_at
  ) values (
    p_dataset, p_item, p_kind, least(greatest(p_severity, 0), 1), p_fingerprint, coalesce(p_evidence, '{}'),
    nullif(p_proposal, 'null'), v_now, v_now
  )
  on conflict (dataset_id, fingerprint) do nothing
  returning id into v_id;
  if v_id is null then
    select * into v_old from labelcrew.conflicts
    where dataset_id = p_dataset and fingerprint = p_fingerprint for no key update;
    v_reopens := v_old.state <> 'open' and (
      v_old.resolution = 'gone' or v_old.evidence -> 'stamp' is distinct from p_evidence -> 'stamp');
    if v_old.state <> 'open' and not v_reopens then
      return v_old.id;
    end if;
    -- A verdict was about the evidence as it stood.
    update labelcrew.conflicts
    set severity = least(greatest(p_severity, 0), 1), evidence = coalesce(p_evidence, '{}'),
        proposal = nullif(p_proposal, 'null'), state = 'open', resolution = null, resolved_by = null, comment = '',
        verdict = case when v_old.evidence -> 'stamp' is not distinct from p_evidence -> 'stamp' then verdict end,
        updated_at = v_now
    where id = v_old.id and (
      v_reopens or (severity, evidence, proposal) is distinct from (p_severity, p_evidence, p_proposal));
    v_id := v_old.id;
  end if;
  if v_old.id is null or v_reopens then
    perform labelcrew.record_event(p_dataset, null, 'conflict_opened', v_id, jsonb_build_object(
      'kind', p_kind, 'item', p_item, 'severity', round(p_severity::numeric, 3), 'again', v_old.id is not null));
  end if;
  return v_id;
end
$$;

create or replace function labelcrew.conflict_json(c labelcrew.conflicts) returns jsonb
language sql stable
as $$
  select jsonb_build_object(
    'id', (c).id, 'dataset_id', (c).dataset_id, 'item_id', (c).item_id, 'kind', (c).kind, 'severity', (c).severity,
    'evidence', (c).evidence, 'proposal', (c).proposal, 'verdict', (c).verdict, 'state', (c).state,
    'resolution', (c).resolution, 'resolved_by', (c).resolved_by, 'comment', (c).comment,
    'created_at', (c).created_at, 'updated_at', (c).updated_at,
    'person', case when (c).evidence ->> 'person' ~ '^[0-9a-f-]{36}$' then (
      select jsonb_build_object('id', u.id, 'name', u.name, 'email', u.email)
      from labelcrew.users u where u.id = ((c).evidence ->> 'person')::uuid
    ) end
  )
$$;

-- The cursor is the severity and the id of the last conflict of a page, in URL-safe base64.
create or replace function labelcrew.read_conflict_cursor(p_cursor text, out o_severity float8, out o_id uuid)
language plpgsql immutable set search_path = ''
as $$
declare
  v_parts jsonb;
begin
  v_parts := convert_from(
    decode(rpad(translate(p_cursor, '-_', '+/'), (length(p_cursor) + 3) / 4 * 4, '='), 'base64'), 'UTF8')::jsonb;
  o_severity := (v_parts ->> 0)::float8;
  o_id := (v_parts ->> 1)::uuid;
  if o_severity is null or o_id is null then
    perform labelcrew.fail('invalid', 'this is not a cursor that a list has given');
  end if;
exception when data_exception then
  perform labelcrew.fail('invalid', 'this is not a cursor that a list has given');
end
$$;

-- The worst first. Each has `item`, {id, seq, state, text, payload} with the beginning of the text, or null. `counts` are
-- of all open ones by kind. Answers of others and verified labels show here, so annotators may not look.
create or replace function labelcrew_api.list_conflicts(
  p_actor uuid, p_dataset uuid, p_kinds text[] default null, p_states text[] default array['open'], p_item uuid default null,
  p_min_severity float8 default null, p_cursor text default null, p_limit int default 50
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_limit int := least(greatest(coalesce(p_limit, 50), 1), 200);
  v_severity float8;
  v_id uuid;
  v_page jsonb;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'reviewer');
  if not coalesce(p_states, '{}') <@ array['open', 'resolved', 'dismissed'] then
    perform labelcrew.fail('invalid', 'a conflict is open, resolved or dismissed');
  end if;
  if p_cursor is not null then
    select o_severity, o_id into v_severity, v_id from labelcrew.read_conflict_cursor(p_cursor);
  end if;
  select coalesce(jsonb_agg(labelcrew.conflict_json(c) || jsonb_build_object('item', case when i.id is not null then
      jsonb_build_object('id', i.id, 'seq', i.seq, 'state', i.state, 'text', left(i.text, 300),
        'payload', coalesce(a.payload, p.payload))
    end) order by (- c.severity), c.id), '[]')
  into v_page
  from (
    select x.* from labelcrew.conflicts x
    where x.dataset_id = p_dataset and x.state = any (coalesce(p_states, array['open', 'resolved', 'dismissed']))
      and (p_kinds is null or x.kind = any (p_kinds)) and (p_item is null or x.item_id = p_item)
      and (p_min_severity is null or x.severity >= p_min_severity)
      and (v_id is null or (- x.severity, x.id) > (- v_severity, v_id))
    order by (- x.severity), x.id limit v_limit + 1
  ) c
    left join labelcrew.items i on i.id = c.item_id
    left join labelcrew.annotations a on a.id = i.annotation_id
    left join labelcrew.predictions p on p.id = i.draft_id;
  return jsonb_build_object(
    'conflicts', coalesce((
      select jsonb_agg(e.value order by e.n) from jsonb_array_elements(v_page) with ordinality e (value, n)
      where e.n <= v_limit
    ), '[]'),
    'next_cursor', case when jsonb_array_length(v_page) > v_limit then translate(encode(convert_to(jsonb_build_array(
      v_page -> (v_limit - 1) -> 'severity', v_page -> (v_limit - 1) -> 'id')::text, 'UTF8'), 'base64'), E'+/=\n', '-_')
    end,
    'counts', (
      select coalesce(jsonb_object_agg(k.kind, k.n), '{}') from (
        select x.kind, count(*) as n from labelcrew.conflicts x
        where x.dataset_id = p_dataset and x.state = 'open' group by x.kind
      ) k
    )
  );
end
$$;

-- The dataset of a conflict, if `p_actor` has the role in it; else `not-found` or `forbidden`.
create or replace function labelcrew.require_conflict(p_actor uuid, p_conflict uuid, p_least text) returns labelcrew.conflicts
language plpgsql stable set search_path = ''
as $$
declare
  v_conflict labelcrew.conflicts;
begin
  select * into v_conflict from labelcrew.conflicts where id = p_conflict;
  if v_conflict.id is null or labelcrew.role_of(p_actor, v_conflict.dataset_id) is null then
    perform labelcrew.fail('not-found', 'no such conflict', jsonb_build_object('conflict', p_conflict));
  end if;
  perform labelcrew.require_role(p_actor, v_conflict.dataset_id, p_least);
  return v_conflict;
end
$$;

-- A conflict as it stands, with the whole item it is about and, in their order, the items that its evidence names.
create or replace function labelcrew.whole_conflict(p_conflict uuid) returns jsonb
language sql stable set search_path = ''
as $$
  select labelcrew.conflict_json(c) || jsonb_build_object(
    'item', case when c.item_id is not null then labelcrew.item_json_of(c.item_id) end,
    'others', labelcrew.items_json(array(
      select i.id
      from (
        select e.value ->> 'id' as id, min(e.n) as n
        from jsonb_array_elements(
          case when jsonb_typeof(c.evidence -> 'items') = 'array' then c.evidence -> 'items' else '[]' end
        ) with ordinality e (value, n)
        group by 1
      ) e join labelcrew.items i on i.id::text = e.id and i.dataset_id = c.dataset_id
      order by e.n limit 20
    ))
  )
  from labelcrew.conflicts c where c.id = p_conflict
$$;

create or replace function labelcrew_api.get_conflict(p_actor uuid, p_conflict uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_conflict(p_actor, p_conflict, 'reviewer');
  return labelcrew.whole_conflict(p_conflict);
end
$$;

-- Settles an open conflict. `relabel` gives the item another answer, as the reviewer's decision, in the same transaction:
-- `p_payload`, else what the QA agent's verdict or the finding proposes; what else proposed that same answer is settled
-- with it. `keep` says that the labels are right as they are, `dismiss` that this is no conflict. Doing again what one
-- has done changes nothing.
create or replace function labelcrew_api.resolve_conflict(
  p_actor uuid, p_conflict uuid, p_action text, p_payload jsonb default null, p_labelset_version int default null,
  p_comment text default ''
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_conflict labelcrew.conflicts := labelcrew.require_conflict(p_actor, p_conflict, 'reviewer');
  v_resolution text := case p_action when 'relabel' then 'relabelled' when 'keep' then 'kept' when 'dismiss' then 'dismissed' end;
  v_comment text := left(coalesce(p_comment, ''), 2000);
  v_payload jsonb;
  v_answer jsonb;
begin
  if v_resolution is null then
    perform labelcrew.fail('invalid', 'a conflict is settled by relabel, keep or dismiss');
  end if;
  -- Items come before conflicts, as where an answer opens one.
  if v_conflict.item_id is not null then
    perform labelcrew.share_workflow(v_conflict.dataset_id);
    perform from labelcrew.items where id = v_conflict.item_id for no key update;
  end if;
  select * into v_conflict from labelcrew.conflicts where id = p_conflict for no key update;
  if v_conflict.state <> 'open' then
    if v_conflict.resolution = v_resolution and v_conflict.resolved_by = p_actor then
      return labelcrew.whole_conflict(p_conflict);
    end if;
    perform labelcrew.fail('already-resolved', format('this conflict was settled before: %s', v_conflict.resolution),
      jsonb_build_object('conflict', p_conflict, 'resolution', v_conflict.resolution));
  end if;
  if p_action = 'relabel' then
    v_payload := coalesce(nullif(p_payload, 'null'), nullif(v_conflict.verdict -> 'payload', 'null'),
      nullif(v_conflict.proposal -> 'payload', 'null'));
    if v_conflict.item_id is null or v_payload is null then
      perform labelcrew.fail('invalid', case when v_conflict.item_id is null
        then 'this conflict is not about one item, so there is nothing to relabel'
        else 'nothing is proposed here: say which label it should be' end);
    end if;
    v_answer := labelcrew_api.submit_annotation(
      p_actor => p_actor, p_item => v_conflict.item_id, p_payload => v_payload,
      p_labelset_version => coalesce(p_labelset_version, (labelcrew.find_labelset(v_conflict.dataset_id)).version));
  end if;
  update labelcrew.conflicts
  set state = case p_action when 'dismiss' then 'dismissed' else 'resolved' end, resolution = v_resolution,
      resolved_by = p_actor, comment = v_comment, updated_at = v_now
  where id = p_conflict or (
    p_action = 'relabel' and item_id = v_conflict.item_id and state = 'open'
    and v_payload in (proposal -> 'payload', verdict -> 'payload'));
  perform labelcrew.record_event(v_conflict.dataset_id, p_actor,
    case p_action when 'dismiss' then 'conflict_dismissed' else 'conflict_resolved' end, p_conflict,
    jsonb_build_object('kind', v_conflict.kind, 'item', v_conflict.item_id, 'resolution', v_resolution,
      'annotation', v_answer -> 'annotation' -> 'id', 'comment', v_comment));
  return labelcrew.whole_conflict(p_conflict);
end
$$;

-- What a scan found, a kind or several at a time: rows of {item_id, kind, severity, fingerprint, evidence, proposal}. An
-- item has one conflict of a kind, whoever opened it. With `p_complete`, open ones of `p_kinds` (and of `p_items`, if
-- given) that are not among the rows, nor about `p_still`, no longer hold: they are resolved as `gone`. For workers.
-- Returns {opened, standing, gone}.
create or replace function labelcrew_api.save_findings(
  p_dataset uuid, p_kinds text[], p_rows jsonb, p_items uuid[] default null, p_complete bool default true,
  p_still uuid[] default '{}'
) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '120s'
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_row record;
  v_fingerprint text;
  v_id uuid;
  v_ids uuid[] := '{}';
  v_opened int;
  v_gone int := 0;
begin
  for v_row in
    select r.* from jsonb_to_recordset(p_rows) as r (
      item_id uuid, kind text, severity float8, fingerprint text, evidence jsonb, proposal jsonb
    )
    where r.item_id is null or exists (select from labelcrew.items i where i.id = r.item_id and i.dataset_id = p_dataset)
    order by r.fingerprint
  loop
    select c.fingerprint into v_fingerprint from labelcrew.conflicts c
    where c.item_id = v_row.item_id and c.kind = v_row.kind order by c.state = 'open' desc, c.updated_at desc limit 1;
    v_id := labelcrew.open_conflict(
      p_dataset, v_row.item_id, v_row.kind, v_row.severity, coalesce(v_fingerprint, v_row.fingerprint), v_row.evidence,
      v_row.proposal);
    v_ids := v_ids || v_id;
  end loop;
  select count(*) filter (where c.created_at >= v_now) into v_opened from labelcrew.conflicts c where c.id = any (v_ids);
  if p_complete then
    with gone as (
      update labelcrew.conflicts c
      set state = 'resolved', resolution = 'gone', resolved_by = null, updated_at = v_now
      where c.dataset_id = p_dataset and c.state = 'open' and c.kind = any (p_kinds)
        and (p_items is null or c.item_id = any (p_items)) and c.id <> all (v_ids)
        and (c.item_id is null or c.item_id <> all (p_still))
      returning c.id, c.kind, c.item_id
    ), told as (
      insert into labelcrew.events (dataset_id, kind, subject_id, data, created_at)
      select p_dataset, 'conflict_resolved', g.id,
        jsonb_build_object('kind', g.kind, 'item', g.item_id, 'resolution', 'gone'), v_now
      from gone g
    )
    select count(*) into v_gone from gone;
  end if;
  return jsonb_build_object('opened', v_opened, 'standing', cardinality(v_ids) - v_opened, 'gone', v_gone);
end
$$;

-- Closes, as `gone`, open conflicts about these items that doubt a label which they no longer have, whichever instrument
-- opened them. Returns how many. For workers.
create or replace function labelcrew_api.close_outdated(p_dataset uuid, p_items uuid[]) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_count int;
begin
  with gone as (
    update labelcrew.conflicts c
    set state = 'resolved', resolution = 'gone', resolved_by = null, updated_at = v_now
    from labelcrew.items i
      left join labelcrew.annotations a on a.id = i.annotation_id
      left join labelcrew.predictions p on p.id = i.draft_id
    where c.dataset_id = p_dataset and c.item_id = any (p_items) and i.id = c.item_id and c.state = 'open'
      and c.kind in ('label_error', 'model_disagrees', 'span_boundary', 'schema_violation')
      and c.evidence -> 'given' is distinct from coalesce(a.payload, p.payload)
    returning c.id, c.kind, c.item_id
  ), told as (
    insert into labelcrew.events (dataset_id, kind, subject_id, data, created_at)
    select p_dataset, 'conflict_resolved', g.id,
      jsonb_build_object('kind', g.kind, 'item', g.item_id, 'resolution', 'gone'), v_now
    from gone g
  )
  select count(*) into v_count from gone;
  return to_jsonb(v_count);
end
$$;

-- The worst open conflicts about single items that the QA agent has not judged as they stand. For workers.
create or replace function labelcrew_api.list_unjudged(p_dataset uuid, p_limit int default 20, p_min_severity float8 default 0)
returns jsonb
language sql stable security definer set search_path = ''
as $$
  select coalesce(jsonb_agg(labelcrew.whole_conflict(x.id) order by (- x.severity), x.id), '[]')
  from (
    select c.id, c.severity from labelcrew.conflicts c join labelcrew.items i on i.id = c.item_id
    where c.dataset_id = p_dataset and c.state = 'open' and c.verdict is null and c.severity >= p_min_severity
      and i.text is not null
    order by (- c.severity), c.id limit least(greatest(p_limit, 1), 1000)
  ) x
$$;

-- Verdicts of the QA agent: rows of {conflict, stamp, verdict}; none for a conflict that was settled, or whose evidence is
-- another by now. For workers.
-- Of the items that remain unclear, the worst `p_ask` that people have answered go to one person more. {judged, asked}.
create or replace function labelcrew_api.save_verdicts(p_dataset uuid, p_rows jsonb, p_ask int default 0) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_kept uuid[];
  v_item uuid;
  v_asked uuid[] := '{}';
begin
  -- Items come before conflicts, as where an answer opens one.
  if p_ask > 0 then
    perform labelcrew.share_workflow(p_dataset);
    perform from labelcrew.items where id in (
      select c.item_id from labelcrew.conflicts c join jsonb_to_recordset(p_rows) as r (conflict uuid) on c.id = r.conflict
      where c.dataset_id = p_dataset
    ) order by seq for no key update;
  end if;
  with judged as (
    update labelcrew.conflicts c set verdict = r.verdict, updated_at = labelcrew.now()
    from jsonb_to_recordset(p_rows) as r (conflict uuid, stamp text, verdict jsonb)
    where c.id = r.conflict and c.dataset_id = p_dataset and c.state = 'open'
      and c.evidence ->> 'stamp' is not distinct from r.stamp
    returning c.id
  )
  select coalesce(array_agg(id), '{}') into v_kept from judged;
  for v_item in
    select c.item_id from labelcrew.conflicts c
    where c.id = any (v_kept) and c.item_id is not null and c.verdict ->> 'verdict' = 'unclear'
    group by c.item_id order by max(c.severity) desc, c.item_id
  loop
    exit when cardinality(v_asked) >= p_ask;
    if labelcrew.ask_one_more(v_item) then
      v_asked := v_asked || v_item;
    end if;
  end loop;
  if v_kept <> '{}' then
    perform labelcrew.record_event(p_dataset, null, 'conflicts_judged', p_dataset,
      jsonb_build_object('count', cardinality(v_kept), 'asked', to_jsonb(v_asked)));
  end if;
  return jsonb_build_object('judged', cardinality(v_kept), 'asked', cardinality(v_asked));
end
$$;
