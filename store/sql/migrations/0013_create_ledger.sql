-- Pay. A dataset has a wallet in one currency; prices say what an answer or a review earns; a hold sets that aside when
-- the work is handed in; the ledger moves the money. Amounts are integers in the currency's minor unit (cents).
--
--   funding ──▶ escrow ──▶ held ──▶ payable ──▶ paying ──▶ paid        accounts; those from `held` on are a person's
--
-- Double entry: a transaction takes from one account and gives to another, its entries sum to zero, and neither is ever
-- changed. What happened stays on record when what it was about is deleted, so nothing here has foreign keys outside.

create table labelcrew.wallets (
  dataset_id uuid primary key,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  created_at timestamptz not null default labelcrew.now()
);
comment on table labelcrew.wallets is 'its row is locked by whatever moves money of the dataset';

create table labelcrew.prices (
  id bigint generated always as identity primary key,
  dataset_id uuid not null,
  task text check (task in ('classification', 'spans', 'boxes', 'polygons', 'segments')),
  level int not null check (level between 1 and 3),
  per text not null check (per in ('item', 'minute')),
  amount bigint not null check (amount between 0 and 100000000),
  max_seconds int check (max_seconds between 1 and 86400),
  created_by uuid not null,
  created_at timestamptz not null default labelcrew.now(),
  ended_at timestamptz,
  check ((per = 'minute') = (max_seconds is not null)),
  check (per = 'item' or level = 1)
);
comment on column labelcrew.prices.task is 'kind of the labelset; null: any that has no price of its own';
comment on column labelcrew.prices.max_seconds is 'no more of the time spent on one item is paid';
create unique index prices_now on labelcrew.prices (dataset_id, level, coalesce(task, '')) where ended_at is null;
create index prices_dataset on labelcrew.prices (dataset_id, level, id);

-- waiting ──▶ held ──▶ released ──▶ paid     waiting: the escrow did not hold enough; it is next in line
--    └─────────┴──▶ refunded ◀──┘            released: the item is verified; held again if that is taken back
create table labelcrew.holds (
  id uuid primary key default labelcrew.new_id(),
  number bigint not null generated always as identity,
  dataset_id uuid not null,
  item_id uuid not null,
  user_id uuid not null,
  level int not null check (level between 1 and 3),
  price_id bigint not null references labelcrew.prices (id),
  amount bigint not null check (amount > 0),
  seconds int check (seconds >= 0),
  state text not null check (state in ('waiting', 'held', 'released', 'paid', 'refunded')),
  decided text check (decided in ('release', 'refund')),
  payout_id uuid,
  created_at timestamptz not null default labelcrew.now(),
  updated_at timestamptz not null default labelcrew.now(),
  check ((payout_id is not null) = (state = 'paid')),
  check (decided <> 'refund' or state = 'refunded')
) with (fillfactor = 85);
comment on column labelcrew.holds.decided is 'an admin has decided, whatever becomes of the item';
-- Nobody is paid twice for the same item at the same level.
create unique index holds_once on labelcrew.holds (item_id, user_id, level) where state <> 'refunded';
create index holds_dataset on labelcrew.holds (dataset_id, number);
create index holds_person on labelcrew.holds (user_id, dataset_id, number);
create index holds_waiting on labelcrew.holds (dataset_id, number) where state = 'waiting';
create index holds_payout on labelcrew.holds (payout_id) where payout_id is not null;

create table labelcrew.payout_accounts (
  user_id uuid not null references labelcrew.users (id) on delete cascade,
  provider text not null check (provider in ('manual', 'stripe')),
  account text not null check (length(account) between 1 and 200),
  updated_at timestamptz not null default labelcrew.now(),
  primary key (user_id, provider)
);

create table labelcrew.payout_batches (
  id uuid primary key default labelcrew.new_id(),
  dataset_id uuid not null,
  key text not null check (length(key) between 1 and 200),
  provider text not null check (provider in ('manual', 'stripe')),
  currency text not null,
  skipped jsonb not null default '[]',
  created_by uuid not null,
  created_at timestamptz not null default labelcrew.now(),
  unique (dataset_id, key)
);

create table labelcrew.payouts (
  id uuid primary key default labelcrew.new_id(),
  batch_id uuid not null references labelcrew.payout_batches (id),
  dataset_id uuid not null,
  user_id uuid not null,
  account text,
  amount bigint not null check (amount > 0),
  state text not null default 'pending' check (state in ('pending', 'paid', 'failed')),
  reference text check (length(reference) <= 200),
  error jsonb,
  attempts int not null default 0,
  due_at timestamptz not null default labelcrew.now(),
  created_at timestamptz not null default labelcrew.now(),
  updated_at timestamptz not null default labelcrew.now(),
  unique (batch_id, user_id)
);
create index payouts_due on labelcrew.payouts (due_at) where state = 'pending';
create index payouts_person on labelcrew.payouts (user_id, dataset_id);

create table labelcrew.ledger_transactions (
  id bigint generated always as identity primary key,
  dataset_id uuid not null,
  kind text not null check (
    kind in ('fund', 'withdraw', 'hold', 'release', 'reopen', 'refund', 'adjust', 'payout', 'payout_paid', 'payout_failed')
  ),
  hold_id uuid,
  payout_id uuid,
  actor_id uuid,
  key text check (length(key) between 1 and 200),
  note text not null default '' check (length(note) <= 1000),
  created_at timestamptz not null default labelcrew.now()
);
create unique index ledger_transactions_key on labelcrew.ledger_transactions (dataset_id, key) where key is not null;
create index ledger_transactions_dataset on labelcrew.ledger_transactions (dataset_id, id);

-- `balance` is that of the account after the entry, as on a bank statement: the sum of its entries so far. So what an
-- account holds is read from its last entry, and a constraint can forbid what may not become negative.
create table labelcrew.ledger_entries (
  id bigint generated always as identity primary key,
  transaction_id bigint not null references labelcrew.ledger_transactions (id),
  dataset_id uuid not null,
  account text not null check (account in ('funding', 'escrow', 'held', 'payable', 'paying', 'paid')),
  user_id uuid not null default '00000000-0000-0000-0000-000000000000',
  amount bigint not null check (amount <> 0),
  balance bigint not null,
  check (balance >= 0 or account = 'funding'),
  check ((user_id = '00000000-0000-0000-0000-000000000000') = (account in ('funding', 'escrow')))
);
create index ledger_entries_transaction on labelcrew.ledger_entries (transaction_id);
create unique index ledger_entries_account on labelcrew.ledger_entries (dataset_id, account, user_id, id desc);
create index ledger_entries_person on labelcrew.ledger_entries (user_id, dataset_id, account, id)
  where user_id <> '00000000-0000-0000-0000-000000000000';

create trigger ledger_transactions_append_only before update or delete on labelcrew.ledger_transactions
for each row execute function labelcrew.refuse_change();
create trigger ledger_transactions_no_truncate before truncate on labelcrew.ledger_transactions
for each statement execute function labelcrew.refuse_change();
create trigger ledger_entries_append_only before update or delete on labelcrew.ledger_entries
for each row execute function labelcrew.refuse_change();
create trigger ledger_entries_no_truncate before truncate on labelcrew.ledger_entries
for each statement execute function labelcrew.refuse_change();

-- The balance is nobody's to write: it follows from the entry before, which the lock on the wallet keeps the last.
create function labelcrew.carry_balance() returns trigger
language plpgsql set search_path = ''
as $$
begin
  new.balance := new.amount + coalesce((
    select e.balance from labelcrew.ledger_entries e
    where e.dataset_id = new.dataset_id and e.account = new.account and e.user_id = new.user_id
    order by e.id desc limit 1
  ), 0);
  return new;
end
$$;
create trigger ledger_entries_carry before insert on labelcrew.ledger_entries
for each row execute function labelcrew.carry_balance();

create function labelcrew.check_transaction() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  v_transaction bigint := (to_jsonb(new) ->> tg_argv[0])::bigint;
begin
  if (select count(*) < 2 or sum(e.amount) <> 0 from labelcrew.ledger_entries e where e.transaction_id = v_transaction) then
    raise exception 'the entries of transaction % do not sum to zero', v_transaction using errcode = 'check_violation';
  end if;
  return null;
end
$$;
-- Looked at when the transaction commits: the entries come one after the other.
create constraint trigger ledger_entries_balanced after insert on labelcrew.ledger_entries
deferrable initially deferred for each row execute function labelcrew.check_transaction('transaction_id');
create constraint trigger ledger_transactions_balanced after insert on labelcrew.ledger_transactions
deferrable initially deferred for each row execute function labelcrew.check_transaction('id');

-- What money reacts to. All of it happens when the transaction commits, so the wallet is locked last and briefly, and
-- never before a row of the queue. Each looks first whether the dataset pays at all.
create function labelcrew.pay_for_work() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if not exists (select from labelcrew.wallets w where w.dataset_id = new.dataset_id) then
    return null;
  end if;
  if tg_table_name = 'items' then
    perform labelcrew.settle_pay(new.dataset_id, new.id);
  else
    perform labelcrew.settle_pay(new.dataset_id, new.item_id);
  end if;
  return null;
end
$$;
create constraint trigger annotations_pay after insert or update of current, withdrawn_at on labelcrew.annotations
deferrable initially deferred for each row when (new.source = 'human') execute function labelcrew.pay_for_work();
create constraint trigger items_pay after update of state on labelcrew.items
deferrable initially deferred for each row
when ((old.state = 'verified') <> (new.state = 'verified') and new.source is distinct from 'import')
execute function labelcrew.pay_for_work();
create constraint trigger reviews_pay after insert or update of withdrawn_at on labelcrew.reviews
deferrable initially deferred for each row execute function labelcrew.pay_for_work();
create constraint trigger gold_answers_pay after insert or update of withdrawn_at on labelcrew.gold_answers
deferrable initially deferred for each row execute function labelcrew.pay_for_work();

-- Nobody is handed work that the escrow could not pay for: unless it is their own, which is paid for already.
create function labelcrew.check_escrow() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if exists (select from labelcrew.wallets w where w.dataset_id = new.dataset_id) then
    perform labelcrew.require_escrow(new.dataset_id, new.item_id, new.user_id, new.level);
  end if;
  return new;
end
$$;
create trigger leases_check_escrow before insert on labelcrew.leases
for each row execute function labelcrew.check_escrow();

-- A dataset with money in it stays.
create function labelcrew.keep_money() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if exists (select from labelcrew.wallets w where w.dataset_id = old.id) then
    perform labelcrew.require_no_money(old.id);
  end if;
  return old;
end
$$;
create trigger datasets_keep_money before delete on labelcrew.datasets
for each row execute function labelcrew.keep_money();
