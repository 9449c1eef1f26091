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
