-- Who works in which dataset and as what, and what ends when somebody goes.

create or replace function labelcrew.member_json(p_dataset uuid, p_user uuid) returns jsonb
language sql stable set search_path = ''
as $$
  select jsonb_build_object(
    'user_id', u.id, 'email', u.email, 'name', u.name, 'role', m.role, 'skills', m.skills, 'kind', u.kind,
    'active', u.active, 'created_at', m.created_at
  )
  from labelcrew.members m join labelcrew.users u on u.id = m.user_id
  where m.dataset_id = p_dataset and m.user_id = p_user
$$;

create or replace function labelcrew_api.list_members(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset);
  return (
    select coalesce(jsonb_agg(labelcrew.member_json(m.dataset_id, m.user_id) order by m.created_at, m.user_id), '[]')
    from labelcrew.members m where m.dataset_id = p_dataset
  );
end
$$;

-- Refuses to take the role of admin from the last one. The dataset's row is locked by the caller, so two admins cannot
-- demote each other at once.
create or replace function labelcrew.keep_an_admin(p_dataset uuid, p_leaving uuid) returns void
language plpgsql set search_path = ''
as $$
begin
  if labelcrew.role_of(p_leaving, p_dataset) = 'admin' and not exists (
    select from labelcrew.members m join labelcrew.users u on u.id = m.user_id
    where m.dataset_id = p_dataset and m.role = 'admin' and m.user_id <> p_leaving and u.active and u.kind = 'person'
  ) then
    perform labelcrew.fail('last-admin', 'nobody else is admin of this dataset');
  end if;
end
$$;

-- The skills as they are kept: without blanks around them, each once, in order.
create or replace function labelcrew.checked_skills(p_skills text[]) returns text[]
language plpgsql immutable set search_path = ''
as $$
declare
  v_skills text[] := array(select distinct btrim(s) from unnest(p_skills) s order by 1);
begin
  if cardinality(v_skills) > 50 or exists (select from unnest(v_skills) s where s is null or length(s) not between 1 and 50)
  then
    perform labelcrew.fail('invalid', 'skills are at most 50 words of 1 to 50 characters');
  end if;
  return v_skills;
end
$$;

create or replace function labelcrew.checked_role(p_role text) returns text
language plpgsql immutable set search_path = ''
as $$
begin
  if labelcrew.rank_of(p_role) is null then
    perform labelcrew.fail('invalid', format('no such role: %s', p_role),
      p_hint => 'Use annotator, reviewer, super_reviewer or admin.');
  end if;
  return p_role;
end
$$;

-- Ends every hold of a person, in one dataset or in all, and whatever is kept for them, so that nothing waits for somebody
-- who will not come back. The number of items that they held.
create or replace function labelcrew.release_holds(p_user uuid, p_dataset uuid default null) returns int
language plpgsql set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_items uuid[];
  v_item uuid;
begin
  select array_agg(x.id) into v_items from (
    select i.id
    from labelcrew.leases l join labelcrew.items i on i.id = l.item_id
    where l.user_id = p_user and l.ended_at is null and (p_dataset is null or l.dataset_id = p_dataset)
    order by i.seq for no key update of i
  ) x;
  foreach v_item in array coalesce(v_items, '{}') loop
    perform labelcrew.end_hold(v_item, p_user, 'released', v_now);
  end loop;
  update labelcrew.items i set reserved_for = null, reserved_until = null
  where i.reserved_for = p_user and (p_dataset is null or i.dataset_id = p_dataset);
  update labelcrew.items i set reviewer_id = null, reviewer_until = null
  where i.reviewer_id = p_user and (p_dataset is null or i.dataset_id = p_dataset);
  return coalesce(cardinality(v_items), 0);
end
$$;

-- What somebody gave out as an admin ends when they are one no more: they may still hold the links and tokens. In one
-- dataset, or in all.
create or replace function labelcrew.withdraw_trust(p_actor uuid, p_user uuid, p_dataset uuid default null) returns jsonb
language plpgsql set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_invitations int;
  v_tokens int := 0;
  v_token labelcrew.service_tokens;
begin
  update labelcrew.invitations set revoked_at = v_now
  where invited_by = p_user and (p_dataset is null or dataset_id = p_dataset) and accepted_at is null and revoked_at is null;
  get diagnostics v_invitations = row_count;
  for v_token in
    select * from labelcrew.service_tokens
    where created_by = p_user and (p_dataset is null or dataset_id = p_dataset) and revoked_at is null
    order by id for update
  loop
    perform labelcrew.end_service_token(p_actor, v_token);
    v_tokens := v_tokens + 1;
  end loop;
  return jsonb_build_object('invitations_revoked', v_invitations, 'tokens_revoked', v_tokens);
end
$$;

-- Gives an account a role, or another role. People who never signed in have no account yet: they are invited.
create or replace function labelcrew_api.add_member(
  p_actor uuid, p_dataset uuid, p_email text, p_role text, p_skills text[] default null
) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_user uuid;
  v_skills text[] := labelcrew.checked_skills(p_skills);
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  perform labelcrew.checked_role(p_role);
  select u.id into v_user from labelcrew.users u where lower(u.email) = lower(btrim(p_email));
  if not found then
    perform labelcrew.fail('not-found', 'nobody with this email has an account here',
      p_hint => 'Invite them; or let them sign in once, or make an account for them with `labelcrew user add`.');
  end if;
  perform from labelcrew.datasets d where d.id = p_dataset for no key update;
  if p_role <> 'admin' then
    perform labelcrew.keep_an_admin(p_dataset, v_user);
    if labelcrew.role_of(v_user, p_dataset) = 'admin' then
      perform labelcrew.withdraw_trust(p_actor, v_user, p_dataset);
    end if;
  end if;
  insert into labelcrew.members as m (dataset_id, user_id, role, skills)
  values (p_dataset, v_user, p_role, v_skills)
  on conflict (dataset_id, user_id) do update
  set role = excluded.role, skills = case when p_skills is null then m.skills else excluded.skills end;
  perform labelcrew.record_event(p_dataset, p_actor, 'member_added', v_user, jsonb_build_object('role', p_role));
  return labelcrew.member_json(p_dataset, v_user);
end
$$;

-- Admins remove anybody; everybody may leave. What they hold is free at once.
create or replace function labelcrew_api.remove_member(p_actor uuid, p_dataset uuid, p_user uuid) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_member jsonb;
begin
  perform labelcrew.require_role(p_actor, p_dataset, case when p_actor = p_user then 'annotator' else 'admin' end);
  perform from labelcrew.datasets d where d.id = p_dataset for no key update;
  v_member := labelcrew.member_json(p_dataset, p_user);
  if v_member is null then
    perform labelcrew.fail('not-found', 'no such member of this dataset', jsonb_build_object('user', p_user));
  end if;
  perform labelcrew.keep_an_admin(p_dataset, p_user);
  delete from labelcrew.members m where m.dataset_id = p_dataset and m.user_id = p_user;
  perform labelcrew.record_event(p_dataset, p_actor, 'member_removed', p_user, jsonb_build_object(
    'leases_released', labelcrew.release_holds(p_user, p_dataset)
  ) || labelcrew.withdraw_trust(p_actor, p_user, p_dataset));
  return v_member;
end
$$;

-- Accounts as a whole ---------------------------------------------------------------------------------------------------

create or replace function labelcrew.require_owner(p_actor uuid) returns void
language plpgsql stable set search_path = ''
as $$
begin
  if not (labelcrew.require_person(p_actor)).is_owner then
    perform labelcrew.fail('forbidden', 'only the owner of this installation may do this',
      p_hint => 'Ask whoever set LabelCrew up.');
  end if;
end
$$;

-- Switches an account off: from now on it is nobody, here and in every session it has. What it holds is free, what it
-- gave out counts no more, and a dataset that loses its only admin by it gets the owner as one. Doing it twice is fine.
create or replace function labelcrew_api.deactivate_user(p_actor uuid, p_user uuid) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_user labelcrew.users;
  v_dataset uuid;
  v_taken uuid[] := '{}';
  v_ended jsonb;
begin
  perform labelcrew.require_owner(p_actor);
  if p_actor = p_user then
    perform labelcrew.fail('conflict', 'the owner of an installation cannot be switched off');
  end if;
  for v_dataset in
    select d.id from labelcrew.members m join labelcrew.datasets d on d.id = m.dataset_id
    where m.user_id = p_user and m.role = 'admin' order by d.id for no key update of d
  loop
    if not exists (
      select from labelcrew.members m join labelcrew.users u on u.id = m.user_id
      where m.dataset_id = v_dataset and m.role = 'admin' and m.user_id <> p_user and u.active and u.kind = 'person'
    ) then
      v_taken := v_taken || v_dataset;
      insert into labelcrew.members as m (dataset_id, user_id, role) values (v_dataset, p_actor, 'admin')
      on conflict (dataset_id, user_id) do update set role = 'admin';
      perform labelcrew.record_event(v_dataset, p_actor, 'member_added', p_actor, '{"role": "admin"}');
    end if;
  end loop;
  update labelcrew.users u set active = false, signed_out_at = v_now where u.id = p_user returning * into v_user;
  if not found then
    perform labelcrew.fail('not-found', 'no such account', jsonb_build_object('user', p_user));
  end if;
  delete from labelcrew.login_links l where l.user_id = p_user;
  update labelcrew.service_tokens set revoked_at = v_now where user_id = p_user and revoked_at is null;
  v_ended := jsonb_build_object('leases_released', labelcrew.release_holds(p_user), 'datasets_taken_over', to_jsonb(v_taken))
    || labelcrew.withdraw_trust(p_actor, p_user);
  perform labelcrew.record_event(null, p_actor, 'user_deactivated', p_user, v_ended);
  return v_ended || jsonb_build_object('user', labelcrew.user_json(v_user));
end
$$;

-- Switches it on again, with the roles it had; sessions, links and tokens from before stay ended.
create or replace function labelcrew_api.reactivate_user(p_actor uuid, p_user uuid) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_user labelcrew.users;
begin
  perform labelcrew.require_owner(p_actor);
  update labelcrew.users u set active = true where u.id = p_user and not u.active returning * into v_user;
  if found then
    perform labelcrew.record_event(null, p_actor, 'user_reactivated', p_user);
    return labelcrew.user_json(v_user);
  end if;
  return labelcrew.user_json(labelcrew.require_user(p_user));
end
$$;
