-- Tokens for programs. A service account is a member of datasets like a person, but never signs in: it comes with a token,
-- of which only the hash is kept, and may do no more than both its role and the token's scopes allow. The gateway checks
-- the scopes (api/scopes.py), the functions the role.

create or replace function labelcrew.service_token_json(p_token labelcrew.service_tokens) returns jsonb
language sql stable set search_path = ''
as $$
  select jsonb_build_object(
    'id', p_token.id, 'user_id', u.id, 'name', u.name, 'email', u.email, 'role', m.role, 'scopes', p_token.scopes,
    'ending', p_token.ending, 'created_by', p_token.created_by, 'created_at', p_token.created_at,
    'expires_at', p_token.expires_at, 'last_used_at', p_token.last_used_at,
    'state', case
      when p_token.revoked_at is not null then 'revoked'
      when p_token.expires_at <= labelcrew.now() then 'expired'
      when p_token.replaced_by is not null then 'replaced'
      else 'active'
    end
  )
  from labelcrew.users u left join labelcrew.members m on m.user_id = u.id and m.dataset_id = p_token.dataset_id
  where u.id = p_token.user_id
$$;

create or replace function labelcrew.insert_service_token(
  p_actor uuid, p_dataset uuid, p_user uuid, p_scopes text[], p_token_hash text, p_ending text, p_seconds numeric
) returns labelcrew.service_tokens
language plpgsql set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_token labelcrew.service_tokens;
begin
  if p_seconds is null or p_seconds not between 60 and 366 * 86400 then
    perform labelcrew.fail('invalid', 'a token lasts between a minute and 366 days');
  end if;
  insert into labelcrew.service_tokens (
    user_id, dataset_id, scopes, token_hash, ending, created_by, created_at, expires_at
  ) values (
    p_user, p_dataset, p_scopes, p_token_hash, p_ending, p_actor, v_now, v_now + make_interval(secs => p_seconds::float8)
  ) returning * into v_token;
  return v_token;
end
$$;

-- Ends a token whose row the caller has locked; with its last one a service account is off.
create or replace function labelcrew.end_service_token(p_actor uuid, p_token labelcrew.service_tokens) returns void
language plpgsql set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
begin
  update labelcrew.service_tokens set revoked_at = v_now where id = p_token.id and revoked_at is null;
  update labelcrew.users u set active = false, signed_out_at = v_now
  where u.id = p_token.user_id and u.active and not exists (
    select from labelcrew.service_tokens t where t.user_id = u.id and t.revoked_at is null and t.expires_at > v_now
  );
  if found then
    perform labelcrew.release_holds(p_token.user_id);
  end if;
  perform labelcrew.record_event(p_token.dataset_id, p_actor, 'service_token_revoked', p_token.id,
    jsonb_build_object('account', p_token.user_id));
end
$$;

-- The token, locked, if it belongs to this dataset.
create or replace function labelcrew.lock_service_token(p_dataset uuid, p_token uuid) returns labelcrew.service_tokens
language plpgsql set search_path = ''
as $$
declare
  v_token labelcrew.service_tokens;
begin
  select * into v_token from labelcrew.service_tokens where id = p_token and dataset_id = p_dataset for update;
  if not found then
    perform labelcrew.fail('not-found', 'no such token of this dataset', jsonb_build_object('token', p_token));
  end if;
  return v_token;
end
$$;

-- A service account with a role in the dataset, and its first token.
create or replace function labelcrew_api.create_service_token(
  p_actor uuid, p_dataset uuid, p_name text, p_role text, p_scopes text[], p_token_hash text, p_ending text,
  p_ttl_seconds int
) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_scopes text[] := array(select distinct s from unnest(p_scopes) s order by 1);
  v_id uuid := labelcrew.new_id();
  v_name text := labelcrew.checked_name(p_name);
  v_token labelcrew.service_tokens;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  perform labelcrew.require_person(p_actor);
  perform labelcrew.checked_role(p_role);
  if cardinality(v_scopes) = 0 or not v_scopes <@ array['read', 'annotate', 'manage'] then
    perform labelcrew.fail('invalid', 'scopes are one or more of read, annotate and manage');
  end if;
  insert into labelcrew.users (id, email, name, kind)
  values (v_id, format('service-%s@labelcrew.invalid', v_id), v_name, 'service');
  insert into labelcrew.members (dataset_id, user_id, role) values (p_dataset, v_id, p_role);
  v_token := labelcrew.insert_service_token(p_actor, p_dataset, v_id, v_scopes, p_token_hash, p_ending, p_ttl_seconds);
  perform labelcrew.record_event(p_dataset, p_actor, 'service_token_created', v_token.id,
    jsonb_build_object('account', v_id, 'role', p_role, 'scopes', v_scopes));
  return labelcrew.service_token_json(v_token);
end
$$;

create or replace function labelcrew_api.list_service_tokens(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  return (
    select coalesce(jsonb_agg(labelcrew.service_token_json(t) order by t.created_at, t.id), '[]')
    from labelcrew.service_tokens t where t.dataset_id = p_dataset
  );
end
$$;

-- A new token of the same account and scopes; the old one counts for `p_grace_seconds` more, so that programs can change
-- over one after another. Lasts as long as the old one was meant to, unless `p_ttl_seconds` says otherwise.
create or replace function labelcrew_api.renew_service_token(
  p_actor uuid, p_dataset uuid, p_token uuid, p_token_hash text, p_ending text, p_ttl_seconds int default null,
  p_grace_seconds int default 86400
) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_old labelcrew.service_tokens;
  v_new labelcrew.service_tokens;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  perform labelcrew.require_person(p_actor);
  v_old := labelcrew.lock_service_token(p_dataset, p_token);
  if v_old.revoked_at is not null or v_old.replaced_by is not null then
    perform labelcrew.fail('conflict', 'this token was revoked or replaced already; make a new one');
  end if;
  if p_grace_seconds is null or p_grace_seconds not between 0 and 30 * 86400 then
    perform labelcrew.fail('invalid', 'the old token may stay for 0 seconds to 30 days');
  end if;
  v_new := labelcrew.insert_service_token(p_actor, p_dataset, v_old.user_id, v_old.scopes, p_token_hash, p_ending,
    coalesce(p_ttl_seconds, extract(epoch from v_old.expires_at - v_old.created_at)));
  update labelcrew.service_tokens
  set replaced_by = v_new.id, expires_at = least(expires_at, v_now + make_interval(secs => p_grace_seconds))
  where id = v_old.id;
  -- It may have gone off with the last token that worked; had anybody meant that, this one would be revoked.
  update labelcrew.users set active = true where id = v_old.user_id and not active;
  perform labelcrew.record_event(p_dataset, p_actor, 'service_token_renewed', v_old.id,
    jsonb_build_object('account', v_old.user_id, 'by', v_new.id, 'grace_seconds', p_grace_seconds));
  return labelcrew.service_token_json(v_new);
end
$$;

-- Doing it twice is fine.
create or replace function labelcrew_api.delete_service_token(p_actor uuid, p_dataset uuid, p_token uuid) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_token labelcrew.service_tokens;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  perform labelcrew.require_person(p_actor);
  v_token := labelcrew.lock_service_token(p_dataset, p_token);
  if v_token.revoked_at is null then
    perform labelcrew.end_service_token(p_actor, v_token);
    select * into v_token from labelcrew.service_tokens where id = p_token;
  end if;
  return labelcrew.service_token_json(v_token);
end
$$;

-- Who comes with this token; called by the gateway for nobody yet. When it was last used is noted to five minutes, so that
-- a busy program does not write a row a request.
create or replace function labelcrew_api.find_service_token(p_token_hash text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_token labelcrew.service_tokens;
  v_user labelcrew.users;
begin
  select * into v_token from labelcrew.service_tokens where token_hash = p_token_hash;
  if not found or v_token.revoked_at is not null then
    perform labelcrew.fail('unauthenticated', 'the token is not valid', '{"reason": "invalid"}');
  end if;
  if v_token.expires_at <= v_now then
    perform labelcrew.fail('unauthenticated', 'the token has expired', '{"reason": "expired"}', 'Ask an admin for a new one.');
  end if;
  v_user := labelcrew.require_user(v_token.user_id);
  update labelcrew.service_tokens set last_used_at = v_now
  where id = v_token.id and (last_used_at is null or last_used_at < v_now - interval '5 minutes');
  return jsonb_build_object('token_id', v_token.id, 'user_id', v_user.id, 'email', v_user.email, 'scopes', v_token.scopes,
    'expires_at', extract(epoch from v_token.expires_at));
end
$$;
