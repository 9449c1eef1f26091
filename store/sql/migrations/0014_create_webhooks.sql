-- Webhooks: addresses that are told what happens in a dataset. What happens is in the audit log, so nothing is written
-- when it does: workers read the log on from where each webhook stands, make deliveries of what it asked for, and send.

create table labelcrew.webhooks (
  id uuid primary key default labelcrew.new_id(),
  dataset_id uuid not null references labelcrew.datasets (id) on delete cascade,
  url text not null check (length(url) between 1 and 2000),
  kinds text[] not null check (cardinality(kinds) between 1 and 50),
  secret text not null check (length(secret) between 20 and 200),
  active bool not null default true,
  note text not null default '' check (length(note) <= 500),
  last_event_id bigint not null default 0,
  created_by uuid not null,
  created_at timestamptz not null default labelcrew.now(),
  updated_at timestamptz not null default labelcrew.now()
);
comment on column labelcrew.webhooks.secret is 'signs; told once, when it is made';
comment on column labelcrew.webhooks.last_event_id is 'deliveries are made of everything up to here';
comment on column labelcrew.webhooks.note is 'why it is not active, where nobody switched it off';
create index webhooks_dataset on labelcrew.webhooks (dataset_id, id);

-- pending ──▶ delivered     dead: given up after its last attempt; it can be replayed, which makes it pending again
--    └──────▶ dead
create table labelcrew.webhook_deliveries (
  id uuid primary key default labelcrew.new_id(),
  number bigint not null generated always as identity,
  webhook_id uuid not null references labelcrew.webhooks (id) on delete cascade,
  event_id bigint not null,
  kind text not null,
  state text not null default 'pending' check (state in ('pending', 'delivered', 'dead')),
  attempts int not null default 0 check (attempts >= 0),
  due_at timestamptz not null default labelcrew.now(),
  status int,
  error text check (length(error) <= 500),
  created_at timestamptz not null default labelcrew.now(),
  updated_at timestamptz not null default labelcrew.now(),
  unique (webhook_id, event_id)
) with (fillfactor = 80);
create index webhook_deliveries_due on labelcrew.webhook_deliveries (due_at) where state = 'pending';
create index webhook_deliveries_page on labelcrew.webhook_deliveries (webhook_id, number);
create index webhook_deliveries_old on labelcrew.webhook_deliveries (updated_at) where state = 'delivered';
