-- What the assistant said: the hints that people saw, so that what they answered afterwards can be held against them; the
-- chat, a history for each person and item; and what the words of a language model cost in each dataset.

create table labelcrew.hints (
  id uuid primary key default labelcrew.new_id(),
  number bigint not null generated always as identity,
  item_id uuid not null references labelcrew.items (id) on delete cascade,
  dataset_id uuid not null,
  user_id uuid not null references labelcrew.users (id) on delete cascade,
  labelset_version int not null,
  suggested jsonb check (jsonb_typeof(suggested) = 'object'),
  probability float8 check (probability between 0 and 1),
  examples uuid[] not null default '{}',
  lines int[] not null default '{}',
  worded_by text not null,
  prompt_hash text,
  refused text not null default '',
  cost_usd numeric not null default 0,
  latency_ms float8 not null default 0,
  created_at timestamptz not null default labelcrew.now()
);
comment on column labelcrew.hints.suggested is 'the payload that was suggested; null when nothing could be';
comment on column labelcrew.hints.lines is 'lines of the guidelines, from 1, as they were then';
comment on column labelcrew.hints.worded_by is 'template, or the model whose words were shown';
comment on column labelcrew.hints.refused is 'why the words of a model were not shown';
create index hints_dataset on labelcrew.hints (dataset_id, number);
create index hints_item on labelcrew.hints (item_id, user_id, number);

-- `item_id` is null for what was asked about the dataset as a whole.
create table labelcrew.chat_messages (
  id uuid primary key default labelcrew.new_id(),
  number bigint not null generated always as identity,
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  user_id uuid not null references labelcrew.users (id) on delete cascade,
  item_id uuid references labelcrew.items (id) on delete cascade,
  role text not null check (role in ('user', 'assistant')),
  content text not null check (length(content) <= 100000),
  data jsonb not null default '{}' check (jsonb_typeof(data) = 'object'),
  created_at timestamptz not null default labelcrew.now()
);
comment on column labelcrew.chat_messages.data is 'of an answer: proposals, citations, tools, model, usage, how it ended';
create index chat_messages_thread on labelcrew.chat_messages (dataset_id, user_id, item_id, number);
create index chat_messages_item on labelcrew.chat_messages (item_id) where item_id is not null;

-- What hints and chat have cost in a dataset. What is set aside for a call under way counts too, but not for ever: a
-- process that was killed never settles.
create table labelcrew.guidance_costs (
  dataset_id uuid primary key references labelcrew.datasets (id) on delete cascade,
  calls bigint not null default 0,
  cost_usd numeric not null default 0
);
create table labelcrew.guidance_reservations (
  id uuid primary key default labelcrew.new_id(),
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  usd numeric not null check (usd >= 0),
  created_at timestamptz not null default labelcrew.now()
);
create index guidance_reservations_dataset on labelcrew.guidance_reservations (dataset_id);
