-- Accounts and sign-in links.

create or replace function labelcrew.user_json(p_user labelcrew.users) returns jsonb
language sql stable set search_path = ''
as $$
  select jsonb_build_object(
    'id', p_user.id, 'email', p_user.email, 'name', p_user.name, 'active', p_user.active,
    'is_owner', p_user.is_owner, 'kind', p_user.kind, 'created_at', p_user.created_at
  )
$$;

-- The new account; the first of an installation is its owner. One at a time, so that there is one first.
create or replace function labelcrew.insert_user(p_id uuid, p_email text, p_name text, p_password_hash text)
returns labelcrew.users
language plpgsql set search_path = ''
as $$
declare
  v_user labelcrew.users;
  v_email text := btrim(p_email);
begin
  if v_email is null or v_email !~ '^[^@[:space:]]+@[^@[:space:]]+$' or length(v_email) > 320 then
    perform labelcrew.fail('invalid', 'an account needs an email address');
  end if;
  if length(btrim(p_name)) > 200 then
    perform labelcrew.fail('invalid', 'the name is longer than 200 characters');
  end if;
  perform pg_advisory_xact_lock(hashtextextended('labelcrew.users', 0));
  insert into labelcrew.users (id, email, name, password_hash, is_owner)
  values (
    coalesce(p_id, labelcrew.new_id()), v_email, coalesce(btrim(p_name), ''), p_password_hash,
    not exists (select from labelcrew.users)
  )
  on conflict do nothing
  returning * into v_user;
  if v_user.id is null then
    select * into v_user from labelcrew.users u where u.id = p_id;
    if not found then
      perform labelcrew.fail('duplicate-name', 'there is an account with this email already');
    end if;
    return v_user;
  end if;
  perform labelcrew.record_event(null, v_user.id, 'user_created', v_user.id);
  return v_user;
end
$$;

-- Called by whoever runs the server, not on behalf of anybody. The same id twice gives the account that is there.
create or replace function labelcrew_api.create_user(
  p_email text, p_name text, p_password_hash text default null, p_id uuid default null
) returns jsonb
language sql volatile security definer set search_path = ''
as $$
  select labelcrew.user_json(labelcrew.insert_user(p_id, p_email, p_name, p_password_hash))
$$;

-- The account of `p_actor`, who is a person: what gives others access is not left to programs.
create or replace function labelcrew.require_person(p_actor uuid) returns labelcrew.users
language plpgsql stable set search_path = ''
as $$
declare
  v_user labelcrew.users := labelcrew.require_user(p_actor);
begin
  if v_user.kind <> 'person' then
    perform labelcrew.fail('forbidden', 'this is for people who sign in, not for service accounts');
  end if;
  return v_user;
end
$$;

-- The account behind a token of somebody else's sign-in (Supabase), made at the first visit. Email and name follow the
-- token, so most calls only read. An account of another id never becomes theirs, whatever email the token holds.
create or replace function labelcrew_api.ensure_user(p_id uuid, p_email text, p_name text default '') returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_user labelcrew.users;
  v_email text := btrim(p_email);
  v_name text := left(btrim(p_name), 200);
begin
  select * into v_user from labelcrew.users u where u.id = p_id;
  if not found then
    return labelcrew.user_json(labelcrew.insert_user(p_id, v_email, v_name, null));
  end if;
  if not v_user.active then
    perform labelcrew.fail('user-inactive', 'this account is switched off');
  end if;
  if v_user.email <> v_email or (v_name <> '' and v_user.name <> v_name) then
    if exists (select from labelcrew.users u where lower(u.email) = lower(v_email) and u.id <> p_id) then
      perform labelcrew.fail('duplicate-name', 'there is another account with this email');
    end if;
    update labelcrew.users u
    set email = v_email, name = case when v_name = '' then u.name else v_name end
    where u.id = p_id
    returning * into v_user;
  end if;
  return labelcrew.user_json(v_user);
end
$$;

-- `p_issued_at`, in seconds since 1970, is when the session was begun by which the person asks: one from before the
-- account was last switched off does not come back to life when the account does.
create or replace function labelcrew_api.get_user(p_actor uuid, p_issued_at float8 default null) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_user labelcrew.users := labelcrew.require_user(p_actor);
begin
  if to_timestamp(p_issued_at) < v_user.signed_out_at then
    perform labelcrew.fail('unauthenticated', 'this session was ended; sign in again');
  end if;
  return labelcrew.user_json(v_user);
end
$$;

-- For checking a password; null when nobody has this email. `password_hash` is null for accounts without one.
create or replace function labelcrew_api.get_credentials(p_email text) returns jsonb
language sql stable security definer set search_path = ''
as $$
  select jsonb_build_object('user_id', u.id, 'password_hash', u.password_hash, 'active', u.active)
  from labelcrew.users u where lower(u.email) = lower(btrim(p_email))
$$;

-- The account that an operator at the server's own terminal acts as: the owner of the installation, or null.
create or replace function labelcrew_api.find_owner() returns jsonb
language sql stable security definer set search_path = ''
as $$
  select labelcrew.user_json(u) from labelcrew.users u where u.is_owner order by u.created_at limit 1
$$;

-- All accounts, for the owner of the installation.
create or replace function labelcrew_api.list_users(p_actor uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  if not (labelcrew.require_user(p_actor)).is_owner then
    perform labelcrew.fail('forbidden', 'only the owner of this installation sees all accounts',
      p_hint => 'Ask whoever set LabelCrew up.');
  end if;
  return (
    select coalesce(jsonb_agg(labelcrew.user_json(u) order by u.created_at, u.id), '[]') from labelcrew.users u
  );
end
$$;

create or replace function labelcrew_api.count_users() returns jsonb
language sql stable security definer set search_path = ''
as $$
  select to_jsonb(count(*)) from labelcrew.users
$$;

create or replace function labelcrew_api.set_password(p_actor uuid, p_password_hash text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_user labelcrew.users := labelcrew.require_user(p_actor);
begin
  update labelcrew.users u set password_hash = p_password_hash where u.id = p_actor;
  perform labelcrew.record_event(null, p_actor, 'user_password_set', p_actor);
  return labelcrew.user_json(v_user);
end
$$;

-- A link that signs `p_user` in, once, within `p_ttl_seconds`. Only the hash of its token is kept.
create or replace function labelcrew_api.create_login_link(p_user uuid, p_token_hash text, p_ttl_seconds int)
returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_expires_at timestamptz := v_now + make_interval(secs => p_ttl_seconds);
begin
  perform labelcrew.require_person(p_user);
  delete from labelcrew.login_links l where l.expires_at <= v_now;
  insert into labelcrew.login_links (token_hash, user_id, expires_at) values (p_token_hash, p_user, v_expires_at);
  return jsonb_build_object('expires_at', v_expires_at);
end
$$;

create or replace function labelcrew_api.redeem_login_link(p_token_hash text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_user uuid;
begin
  update labelcrew.login_links l set used_at = labelcrew.now()
  where l.token_hash = p_token_hash and l.used_at is null and l.expires_at > labelcrew.now()
  returning l.user_id into v_user;
  if not found then
    perform labelcrew.fail('link-used', 'this sign-in link was used or has expired');
  end if;
  return labelcrew.user_json(labelcrew.require_user(v_user));
end
$$;
