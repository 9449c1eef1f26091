-- Reading the audit log.

create or replace function labelcrew.event_json(p_event labelcrew.events) returns jsonb
language sql stable set search_path = ''
as $$
  select jsonb_build_object(
    'id', p_event.id, 'dataset_id', p_event.dataset_id, 'actor_id', p_event.actor_id, 'kind', p_event.kind,
    'subject_id', p_event.subject_id, 'data', p_event.data, 'before', p_event.before, 'after', p_event.after,
    'request_id', p_event.request_id, 'created_at', p_event.created_at
  )
$$;

-- Oldest first. Without `p_after` the newest `p_limit`; with it, the ones that follow that id.
create or replace function labelcrew_api.list_events(
  p_actor uuid, p_dataset uuid, p_kinds text[] default null, p_after bigint default null, p_limit int default 100
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_limit int := least(greatest(p_limit, 1), 1000);
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'reviewer');
  if p_after is null then
    return (
      select coalesce(jsonb_agg(labelcrew.event_json(e) order by e.id), '[]')
      from (
        select x.* from labelcrew.events x
        where x.dataset_id = p_dataset and (p_kinds is null or x.kind = any (p_kinds))
        order by x.id desc limit v_limit
      ) e
    );
  end if;
  return (
    select coalesce(jsonb_agg(labelcrew.event_json(e) order by e.id), '[]')
    from (
      select x.* from labelcrew.events x
      where x.dataset_id = p_dataset and x.id > p_after and (p_kinds is null or x.kind = any (p_kinds))
      order by x.id limit v_limit
    ) e
  );
end
$$;
