-- Invitations: an admin makes a link, hands it over by whatever way they trust, and whoever opens it first joins. Only the
-- hash of the link's token is kept. An invitation counts as long as the one who made it is an admin there.

create or replace function labelcrew.invitation_json(p_invitation labelcrew.invitations) returns jsonb
language sql stable set search_path = ''
as $$
  select jsonb_build_object(
    'id', p_invitation.id, 'dataset_id', p_invitation.dataset_id, 'email', p_invitation.email, 'role', p_invitation.role,
    'skills', p_invitation.skills, 'invited_by', p_invitation.invited_by, 'created_at', p_invitation.created_at,
    'expires_at', p_invitation.expires_at, 'accepted_at', p_invitation.accepted_at, 'accepted_by', p_invitation.accepted_by,
    'state', case
      when p_invitation.accepted_at is not null then 'accepted'
      when p_invitation.revoked_at is not null then 'revoked'
      when p_invitation.expires_at <= labelcrew.now() then 'expired'
      else 'open'
    end
  )
$$;

-- Inviting somebody again makes a new link; the old one counts no more.
create or replace function labelcrew_api.create_invitation(
  p_actor uuid, p_dataset uuid, p_email text, p_role text, p_token_hash text, p_skills text[] default '{}',
  p_ttl_seconds int default 604800
) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_email text := btrim(p_email);
  v_invitation labelcrew.invitations;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  perform labelcrew.require_person(p_actor);
  perform labelcrew.checked_role(p_role);
  if v_email is null or v_email !~ '^[^@[:space:]]+@[^@[:space:]]+$' or length(v_email) > 320 then
    perform labelcrew.fail('invalid', 'an invitation needs an email address');
  end if;
  if p_ttl_seconds is null or p_ttl_seconds not between 60 and 90 * 86400 then
    perform labelcrew.fail('invalid', 'an invitation lasts between a minute and 90 days');
  end if;
  if exists (
    select from labelcrew.members m join labelcrew.users u on u.id = m.user_id
    where m.dataset_id = p_dataset and lower(u.email) = lower(v_email)
  ) then
    perform labelcrew.fail('conflict', 'this person is a member already', p_hint => 'Change their role instead.');
  end if;
  perform from labelcrew.datasets d where d.id = p_dataset for no key update;
  update labelcrew.invitations set revoked_at = v_now
  where dataset_id = p_dataset and lower(email) = lower(v_email) and accepted_at is null and revoked_at is null;
  insert into labelcrew.invitations (dataset_id, email, role, skills, token_hash, invited_by, created_at, expires_at)
  values (p_dataset, v_email, p_role, labelcrew.checked_skills(p_skills), p_token_hash, p_actor, v_now,
    v_now + make_interval(secs => p_ttl_seconds))
  returning * into v_invitation;
  perform labelcrew.record_event(p_dataset, p_actor, 'member_invited', v_invitation.id, jsonb_build_object('role', p_role));
  return labelcrew.invitation_json(v_invitation);
end
$$;

-- Newest first.
create or replace function labelcrew_api.list_invitations(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  return (
    select coalesce(jsonb_agg(labelcrew.invitation_json(i) order by i.created_at desc, i.id desc), '[]')
    from (
      select * from labelcrew.invitations x where x.dataset_id = p_dataset order by x.created_at desc, x.id desc limit 1000
    ) i
  );
end
$$;

-- One that was accepted cannot be taken back: remove the member. Doing it twice is fine.
create or replace function labelcrew_api.delete_invitation(p_actor uuid, p_dataset uuid, p_invitation uuid) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_invitation labelcrew.invitations;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  select * into v_invitation from labelcrew.invitations where id = p_invitation and dataset_id = p_dataset for update;
  if not found then
    perform labelcrew.fail('not-found', 'no such invitation to this dataset', jsonb_build_object('invitation', p_invitation));
  end if;
  if v_invitation.accepted_at is not null then
    perform labelcrew.fail('conflict', 'this invitation was accepted', p_hint => 'Remove the member instead.');
  end if;
  if v_invitation.revoked_at is null then
    update labelcrew.invitations set revoked_at = labelcrew.now() where id = p_invitation returning * into v_invitation;
    perform labelcrew.record_event(p_dataset, p_actor, 'invitation_revoked', p_invitation);
  end if;
  return labelcrew.invitation_json(v_invitation);
end
$$;

-- The invitation behind a link, if it counts. One that never was and one that is over look the same.
create or replace function labelcrew.require_invitation(p_token_hash text) returns labelcrew.invitations
language plpgsql stable set search_path = ''
as $$
declare
  v_invitation labelcrew.invitations;
begin
  select * into v_invitation from labelcrew.invitations i
  where i.token_hash = p_token_hash and i.accepted_at is null and i.revoked_at is null and i.expires_at > labelcrew.now()
    and labelcrew.role_of(i.invited_by, i.dataset_id) = 'admin';
  if not found then
    perform labelcrew.fail('invitation-over', 'this invitation was used or withdrawn, or has expired');
  end if;
  return v_invitation;
end
$$;

-- What whoever holds the link is shown before they join: {dataset, email, role, invited_by, expires_at, account}.
-- `account` says whether they must sign in first. Called for nobody yet.
create or replace function labelcrew_api.find_invitation(p_token_hash text) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_invitation labelcrew.invitations := labelcrew.require_invitation(p_token_hash);
begin
  return (
    select jsonb_build_object(
      'dataset', d.name, 'email', v_invitation.email, 'role', v_invitation.role,
      'invited_by', coalesce(nullif(u.name, ''), u.email), 'expires_at', v_invitation.expires_at,
      'account', exists (select from labelcrew.users x where lower(x.email) = lower(v_invitation.email))
    )
    from labelcrew.datasets d, labelcrew.users u
    where d.id = v_invitation.dataset_id and u.id = v_invitation.invited_by
  );
end
$$;

-- Joins: as `p_user` when somebody is signed in, else by a new account with the invitation's email. An account that is
-- there already must be signed in: the admin who made the link would otherwise come in as them. Nobody's role gets lower.
create or replace function labelcrew_api.submit_invitation(
  p_token_hash text, p_user uuid default null, p_name text default '', p_password_hash text default null
) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_invitation labelcrew.invitations := labelcrew.require_invitation(p_token_hash);
  v_user labelcrew.users;
begin
  perform from labelcrew.datasets d where d.id = v_invitation.dataset_id for no key update;
  perform from labelcrew.invitations i where i.id = v_invitation.id for update;
  v_invitation := labelcrew.require_invitation(p_token_hash);
  if p_user is not null then
    v_user := labelcrew.require_person(p_user);
  else
    if exists (select from labelcrew.users u where lower(u.email) = lower(v_invitation.email)) then
      perform labelcrew.fail('account-exists', 'there is an account with the email of this invitation already');
    end if;
    v_user := labelcrew.insert_user(null, v_invitation.email, p_name, p_password_hash);
  end if;
  insert into labelcrew.members as m (dataset_id, user_id, role, skills)
  values (v_invitation.dataset_id, v_user.id, v_invitation.role, v_invitation.skills)
  on conflict (dataset_id, user_id) do update
  set role = case when labelcrew.rank_of(m.role) < labelcrew.rank_of(excluded.role) then excluded.role else m.role end,
      skills = labelcrew.checked_skills(m.skills || excluded.skills);
  update labelcrew.invitations set accepted_at = v_now, accepted_by = v_user.id where id = v_invitation.id;
  perform labelcrew.record_event(v_invitation.dataset_id, v_user.id, 'member_joined', v_user.id,
    jsonb_build_object('role', v_invitation.role, 'invitation', v_invitation.id));
  return jsonb_build_object('dataset_id', v_invitation.dataset_id, 'user', labelcrew.user_json(v_user),
    'member', labelcrew.member_json(v_invitation.dataset_id, v_user.id), 'created', p_user is null);
end
$$;
