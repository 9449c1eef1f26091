-- How people come in and go out: invitations by a link that works once, accounts for programs with tokens of their own,
-- and switching an account off for good or for a while.

alter table labelcrew.users
  add column kind text not null default 'person' check (kind in ('person', 'service')),
  add column signed_out_at timestamptz;
comment on column labelcrew.users.kind is 'a person, or a program that comes with a service token and never signs in';
comment on column labelcrew.users.signed_out_at is 'sessions from before count no more';

alter table labelcrew.members
  add column if not exists skills text[] not null default '{}';
comment on column labelcrew.members.skills is 'what kinds of items this person is good for: languages, subjects';

create table labelcrew.invitations (
  id uuid primary key default labelcrew.new_id(),
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  email text not null check (email ~ '^[^@[:space:]]+@[^@[:space:]]+$' and length(email) <= 320),
  role text not null check (role in ('annotator', 'reviewer', 'super_reviewer', 'admin')),
  skills text[] not null default '{}',
  token_hash text not null unique check (length(token_hash) between 32 and 200),
  invited_by uuid not null references labelcrew.users (id),
  created_at timestamptz not null default labelcrew.now(),
  expires_at timestamptz not null,
  accepted_at timestamptz,
  accepted_by uuid references labelcrew.users (id),
  revoked_at timestamptz,
  check ((accepted_at is null) = (accepted_by is null)),
  check (accepted_at is null or revoked_at is null)
);
-- One that counts for a person at a time: asking again makes a new link and ends the old one.
create unique index invitations_open on labelcrew.invitations (dataset_id, lower(email))
  where accepted_at is null and revoked_at is null;
create index invitations_inviter on labelcrew.invitations (invited_by) where accepted_at is null and revoked_at is null;

-- The tokens of one account of kind service replace one another; while a new one settles in, two may count.
create table labelcrew.service_tokens (
  id uuid primary key default labelcrew.new_id(),
  user_id uuid not null references labelcrew.users (id) on delete cascade,
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  token_hash text not null unique check (length(token_hash) between 32 and 200),
  ending text not null check (length(ending) = 4),
  scopes text[] not null check (scopes <@ array['read', 'annotate', 'manage'] and cardinality(scopes) > 0),
  created_by uuid not null references labelcrew.users (id),
  created_at timestamptz not null default labelcrew.now(),
  expires_at timestamptz not null,
  last_used_at timestamptz,
  replaced_by uuid,
  revoked_at timestamptz
);
comment on column labelcrew.service_tokens.dataset_id is 'whose admins may replace and revoke it';
comment on column labelcrew.service_tokens.ending is 'its last characters, so that people know which one they look at';
create index service_tokens_dataset on labelcrew.service_tokens (dataset_id, created_at);
create index service_tokens_maker on labelcrew.service_tokens (created_by) where revoked_at is null;
create index service_tokens_user on labelcrew.service_tokens (user_id);
