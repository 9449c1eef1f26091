-- The ground everything else stands on: two schemas, one role, one clock, people, datasets and their members, jobs, the
-- audit log, and the two small tables behind the completion cache and the rate limits.
--
-- `labelcrew` holds tables and helpers and is exposed nowhere. `labelcrew_api` holds the functions that programs may
-- call. `labelcrew_service` is the role they call them as: it may execute those functions and do nothing else.

create schema if not exists labelcrew;
create schema if not exists labelcrew_api;

do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'labelcrew_service') then
    create role labelcrew_service nologin;
  end if;
  begin
    set local role labelcrew_service;
    reset role;
  exception when insufficient_privilege then  -- since Postgres 16, who creates a role may not yet become it
    grant labelcrew_service to current_user;
  end;
end
$$;

revoke all on schema labelcrew from public;
revoke all on schema labelcrew_api from public;
alter default privileges in schema labelcrew_api revoke execute on functions from public;
alter default privileges in schema labelcrew revoke execute on functions from public;
grant usage on schema labelcrew_api to labelcrew_service;

-- Time ---------------------------------------------------------------------------------------------------------------

-- One row. Nothing in the product changes it; tests do, to live through an hour in a millisecond.
create table labelcrew.clock (
  one bool primary key default true check (one),
  shift interval not null default interval '0'
);
insert into labelcrew.clock default values;

create function labelcrew.now() returns timestamptz
language sql stable set search_path = ''
return pg_catalog.statement_timestamp() + (select shift from labelcrew.clock);

-- UUIDs whose first 48 bits are the milliseconds since 1970 (version 7 of RFC 9562, which Postgres brings only since 18):
-- new rows land at the right end of an index.
create function labelcrew.new_id() returns uuid
language sql volatile set search_path = ''
return pg_catalog.encode(
  pg_catalog.set_bit(
    pg_catalog.set_bit(
      overlay(
        pg_catalog.uuid_send(pg_catalog.gen_random_uuid())
        placing substring(
          pg_catalog.int8send((extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint) from 3
        ) from 1 for 6
      ), 52, 1
    ), 53, 1
  ), 'hex'
)::uuid;

-- People -------------------------------------------------------------------------------------------------------------

create table labelcrew.users (
  id uuid primary key default labelcrew.new_id(),
  email text not null check (email ~ '^[^@[:space:]]+@[^@[:space:]]+$' and length(email) <= 320),
  name text not null default '' check (length(name) <= 200),
  password_hash text,
  active bool not null default true,
  is_owner bool not null default false,
  created_at timestamptz not null default labelcrew.now()
);
create unique index users_email on labelcrew.users (lower(email));
comment on column labelcrew.users.is_owner is 'the first account of an installation: may list all accounts';

create table labelcrew.login_links (
  token_hash text primary key check (length(token_hash) between 32 and 200),
  user_id uuid not null references labelcrew.users (id) on delete cascade,
  created_at timestamptz not null default labelcrew.now(),
  expires_at timestamptz not null,
  used_at timestamptz
);
create index login_links_user on labelcrew.login_links (user_id);

-- Datasets and who works in them -------------------------------------------------------------------------------------

create table labelcrew.datasets (
  id uuid primary key default labelcrew.new_id(),
  owner_id uuid not null references labelcrew.users (id),
  name text not null check (length(name) between 1 and 200),
  modality text not null default 'text' check (modality in ('text', 'image', 'audio', 'video')),
  guidelines text not null default '' check (length(guidelines) <= 200000),
  settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object'),
  embedding_model text,
  created_at timestamptz not null default labelcrew.now(),
  updated_at timestamptz not null default labelcrew.now(),
  unique (owner_id, name)
);

create table labelcrew.members (
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  user_id uuid not null references labelcrew.users (id) on delete cascade,
  role text not null check (role in ('annotator', 'reviewer', 'super_reviewer', 'admin')),
  created_at timestamptz not null default labelcrew.now(),
  primary key (dataset_id, user_id)
);
create index members_user on labelcrew.members (user_id);

-- Jobs ---------------------------------------------------------------------------------------------------------------

create table labelcrew.jobs (
  id uuid primary key default labelcrew.new_id(),
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  created_by uuid not null references labelcrew.users (id),
  kind text not null check (
    kind in ('import', 'export', 'embed', 'prelabel', 'train', 'rank', 'quality_scan', 'auto_accept', 'bulk')
  ),
  key text,
  params jsonb not null default '{}' check (jsonb_typeof(params) = 'object'),
  state text not null default 'queued' check (state in ('queued', 'running', 'paused', 'done', 'failed', 'cancelled')),
  total int check (total >= 0),
  done int not null default 0 check (done >= 0),
  failed int not null default 0 check (failed >= 0),
  samples jsonb not null default '[]',
  budget_usd numeric check (budget_usd >= 0),
  reserved_usd numeric not null default 0 check (reserved_usd >= 0),
  cost_usd numeric not null default 0 check (cost_usd >= 0),
  error jsonb,
  note text not null default '',
  result jsonb not null default '{}',
  created_at timestamptz not null default labelcrew.now(),
  started_at timestamptz,
  finished_at timestamptz,
  check ((finished_at is not null) = (state in ('done', 'failed', 'cancelled'))),
  check ((error is not null) = (state = 'failed'))
);
create unique index jobs_key on labelcrew.jobs (dataset_id, key) where key is not null;
create index jobs_dataset on labelcrew.jobs (dataset_id, created_at desc, id desc);
create index jobs_open on labelcrew.jobs (created_at) where state in ('queued', 'running');

-- Steps that a worker has reported, so that reporting one again after a crash changes nothing.
create table labelcrew.job_steps (
  job_id uuid not null references labelcrew.jobs (id) on delete cascade,
  key text not null check (length(key) between 1 and 200),
  part text not null check (part in ('progress', 'reserve', 'settle')),
  primary key (job_id, key, part)
);
comment on column labelcrew.jobs.samples is 'of the last half minute: [[seconds since 1970, items handled], …]';

-- The audit log ------------------------------------------------------------------------------------------------------

-- No foreign keys: what happened stays on record when what it happened to is deleted.
create table labelcrew.events (
  id bigint generated always as identity primary key,
  dataset_id uuid,
  actor_id uuid,
  kind text not null check (kind ~ '^[a-z]+(_[a-z]+)*$'),
  subject_id uuid,
  data jsonb not null default '{}' check (jsonb_typeof(data) = 'object'),
  created_at timestamptz not null default labelcrew.now()
);
create index events_dataset on labelcrew.events (dataset_id, id);
create index events_subject on labelcrew.events (subject_id, id) where subject_id is not null;

create function labelcrew.refuse_change() returns trigger
language plpgsql set search_path = ''
as $$
begin
  raise exception '% is append-only: % is refused', tg_table_name, lower(tg_op) using errcode = 'LCCNF';
end
$$;

create trigger events_append_only before update or delete on labelcrew.events
for each row execute function labelcrew.refuse_change();
create trigger events_no_truncate before truncate on labelcrew.events
for each statement execute function labelcrew.refuse_change();

-- Cache and rate limits ----------------------------------------------------------------------------------------------

create table labelcrew.completions (
  key text primary key check (length(key) between 1 and 200),
  value jsonb not null,
  expires_at timestamptz
);
create index completions_expiry on labelcrew.completions (expires_at) where expires_at is not null;

-- One row a key: when each hit of the last window fell. Unlogged: a crash forgives a minute's hits.
create unlogged table labelcrew.rate_limits (
  key text primary key check (length(key) between 1 and 200),
  hits timestamptz[] not null default '{}',
  expires_at timestamptz not null
);
create index rate_limits_expiry on labelcrew.rate_limits (expires_at);
