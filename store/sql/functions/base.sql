-- What every other function leans on: raising a domain error, asking for a role, writing the audit log.

-- Raises the registered error `p_code` (schemas/errors.py). `p_detail` says what happened here, `p_data` holds facts for
-- programs; a hint other than the registered one may be given.
create or replace function labelcrew.fail(p_code text, p_detail text, p_data jsonb default '{}', p_hint text default '')
returns void
language plpgsql set search_path = ''
as $$
declare
  v_sqlstate text := case p_code
@sqlstates@
  end;
begin
  if v_sqlstate is null then
    raise exception 'no SQLSTATE is registered for the error code %', p_code;
  end if;
  raise exception using errcode = v_sqlstate, message = p_detail, detail = p_data::text, hint = p_hint;
end
$$;

create or replace function labelcrew.rank_of(p_role text) returns int
language sql immutable set search_path = ''
return case p_role when 'annotator' then 1 when 'reviewer' then 2 when 'super_reviewer' then 3 when 'admin' then 4 end;

-- The role of a person in a dataset; null without one, and for an account that is switched off.
create or replace function labelcrew.role_of(p_actor uuid, p_dataset uuid) returns text
language sql stable set search_path = ''
as $$
  select m.role
  from labelcrew.members m join labelcrew.users u on u.id = m.user_id
  where m.dataset_id = p_dataset and m.user_id = p_actor and u.active
$$;

-- The role of `p_actor`, which is `p_least` or higher, else `forbidden`. A dataset that does not exist and one that is
-- not theirs look the same: `not-found`.
create or replace function labelcrew.require_role(p_actor uuid, p_dataset uuid, p_least text default 'annotator')
returns text
language plpgsql stable set search_path = ''
as $$
declare
  v_role text := labelcrew.role_of(p_actor, p_dataset);
begin
  if v_role is null then
    perform labelcrew.fail('not-found', 'no such dataset', jsonb_build_object('dataset', p_dataset));
  end if;
  if labelcrew.rank_of(v_role) < labelcrew.rank_of(p_least) then
    perform labelcrew.fail('forbidden', format('this needs the role %s; yours is %s', p_least, v_role),
      jsonb_build_object('needed', p_least, 'role', v_role));
  end if;
  return v_role;
end
$$;

-- The account of `p_actor`, which exists and is switched on.
create or replace function labelcrew.require_user(p_actor uuid) returns labelcrew.users
language plpgsql stable set search_path = ''
as $$
declare
  v_user labelcrew.users;
begin
  select * into v_user from labelcrew.users u where u.id = p_actor;
  if not found then
    perform labelcrew.fail('not-found', 'no such account', jsonb_build_object('user', p_actor));
  end if;
  if not v_user.active then
    perform labelcrew.fail('user-inactive', 'this account is switched off');
  end if;
  return v_user;
end
$$;

-- One line in the audit log. `p_kind` is noun_verb: item_claimed, job_created. What this transaction has changed of the
-- subject goes with it (labelcrew.note_change).
create or replace function labelcrew.record_event(
  p_dataset uuid, p_actor uuid, p_kind text, p_subject uuid default null, p_data jsonb default '{}'
) returns void
language sql set search_path = ''
as $$
  insert into labelcrew.events (dataset_id, actor_id, kind, subject_id, data, before, after)
  select p_dataset, p_actor, p_kind, p_subject, p_data, c.noted -> 'before', c.noted -> 'after'
  from (select nullif(current_setting('labelcrew.changed', true), '')::jsonb) n (noted)
    left join lateral (select n.noted where n.noted ->> 'subject' = p_subject::text) c on true
$$;

-- Which migrations and functions this database has; compared with what the program brings (store/migrate.py).
create or replace function labelcrew_api.get_schema_version() returns jsonb
language sql stable security definer set search_path = ''
as $$
  select jsonb_build_object(
    'version', (select max(m.version) from labelcrew.migrations m),
    'functions', md5((
      select string_agg(f.name || ':' || f.checksum || ';', '' order by f.name collate "C")
      from labelcrew.function_files f
    ))
  )
$$;
