-- What was answered: by models (predictions), by people (annotations), and who held an item when (leases). `dataset_id` is
-- that of the item, copied for indexes; it has no foreign key of its own because that of the item is enough.

create table labelcrew.predictions (
  id uuid primary key default gen_random_uuid(),
  number bigint not null generated always as identity,
  item_id uuid not null references labelcrew.items (id) on delete cascade,
  dataset_id uuid not null,
  job_id uuid,
  payload jsonb check (jsonb_typeof(payload) = 'object'),
  confidence float8 check (confidence between 0 and 1),
  probability float8 check (probability between 0 and 1),
  alternatives jsonb not null default '[]' check (jsonb_typeof(alternatives) = 'array'),
  rationale text not null default '',
  model text not null,
  prompt_hash text,
  labelset_version int not null,
  route text not null check (route in ('local', 'student', 'llm', 'crew', 'import', 'human')),
  route_reason text not null default '',
  input_tokens int not null default 0,
  cached_tokens int not null default 0,
  output_tokens int not null default 0,
  cost_usd numeric not null default 0,
  latency_ms float8 not null default 0,
  error jsonb,
  created_at timestamptz not null default labelcrew.now(),
  check ((payload is null) = (error is not null)),
  foreign key (dataset_id, labelset_version) references labelcrew.labelsets (dataset_id, version) on delete cascade
);
create unique index predictions_job_item on labelcrew.predictions (job_id, item_id) where job_id is not null;
create index predictions_item on labelcrew.predictions (item_id, number);
create index predictions_labelset on labelcrew.predictions (dataset_id, labelset_version);

-- Never overwritten: another answer of the same person is another row, and takes `current` away from the one before.
create table labelcrew.annotations (
  id uuid primary key default labelcrew.new_id(),
  number bigint not null generated always as identity,
  item_id uuid not null references labelcrew.items (id) on delete cascade,
  dataset_id uuid not null,
  user_id uuid not null references labelcrew.users (id),
  payload jsonb not null check (jsonb_typeof(payload) = 'object'),
  labelset_version int not null,
  level int not null check (level between 1 and 3),
  revision int not null check (revision >= 1),
  current bool not null default true,
  source text not null default 'human' check (source in ('human', 'import')),
  lead_time_ms int check (lead_time_ms >= 0),
  key text check (length(key) between 1 and 200),
  replaces uuid,
  state_before text not null,
  withdrawn_at timestamptz,
  created_at timestamptz not null default labelcrew.now(),
  unique (item_id, user_id, revision),
  check (not (current and withdrawn_at is not null)),
  foreign key (dataset_id, labelset_version) references labelcrew.labelsets (dataset_id, version) on delete cascade
);
comment on column labelcrew.annotations.replaces is 'the answer that was current before, and is again if this is taken back';
comment on column labelcrew.annotations.state_before is 'the state of the item before this answer';
create unique index annotations_current on labelcrew.annotations (item_id, user_id) where current;
create unique index annotations_key on labelcrew.annotations (user_id, key) where key is not null;
create index annotations_item on labelcrew.annotations (item_id, number);
create index annotations_person on labelcrew.annotations (dataset_id, user_id, number);

create function labelcrew.refuse_rewriting() returns trigger
language plpgsql set search_path = ''
as $$
begin
  raise exception 'an answer is never overwritten: give a new one' using errcode = 'LCCNF';
end
$$;
create trigger annotations_keep before update on labelcrew.annotations
for each row when (
  (old.id, old.item_id, old.user_id, old.payload, old.labelset_version, old.level, old.revision, old.source, old.created_at)
  is distinct from
  (new.id, new.item_id, new.user_id, new.payload, new.labelset_version, new.level, new.revision, new.source, new.created_at)
  or (old.withdrawn_at is not null and old.withdrawn_at is distinct from new.withdrawn_at)
) execute function labelcrew.refuse_rewriting();

-- The log behind `items.held`: a row here is open (`ended_at` is null) exactly while the item names its person there.
create table labelcrew.leases (
  id uuid primary key default labelcrew.new_id(),
  item_id uuid not null references labelcrew.items (id) on delete cascade,
  dataset_id uuid not null,
  user_id uuid not null references labelcrew.users (id) on delete cascade,
  token bigint not null,
  seconds int not null check (seconds between 10 and 86400),
  created_at timestamptz not null default labelcrew.now(),
  expires_at timestamptz not null,
  ended_at timestamptz,
  ended_by text check (ended_by in ('submitted', 'released', 'skipped', 'expired', 'closed')),
  unique (item_id, token),
  check ((ended_at is null) = (ended_by is null))
) with (fillfactor = 80);
create unique index leases_open on labelcrew.leases (item_id, user_id) where ended_at is null;
create index leases_person on labelcrew.leases (user_id, dataset_id) where ended_at is null;
