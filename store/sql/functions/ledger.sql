-- The ledger: moving money between accounts, and keeping the holds in step with the work that they pay for.
-- Migration 0013 has the picture; docs/decisions/pay-follows-the-work.md says why it is so.

-- What an account holds: the balance after its last entry. This and the next ones are in plpgsql, which keeps their plans:
-- they run while the wallet is locked.
create or replace function labelcrew.account_balance(p_dataset uuid, p_account text, p_user uuid default null) returns bigint
language plpgsql stable set search_path = ''
as $$
begin
  return coalesce((
    select e.balance from labelcrew.ledger_entries e
    where e.dataset_id = p_dataset and e.account = p_account
      and e.user_id = coalesce(p_user, '00000000-0000-0000-0000-000000000000')
    order by e.id desc limit 1
  ), 0);
end
$$;

-- All that a person has earned in a dataset, paid out or not, in minor units; null where nothing is paid.
create or replace function labelcrew.balance_of(p_user uuid, p_dataset uuid) returns bigint
language sql stable set search_path = ''
as $$
  select labelcrew.account_balance(p_dataset, 'payable', p_user) + labelcrew.account_balance(p_dataset, 'paying', p_user)
    + labelcrew.account_balance(p_dataset, 'paid', p_user)
  from labelcrew.wallets w where w.dataset_id = p_dataset
$$;

-- One transaction: `p_amount` from an account to another. The caller has locked the wallet. `p_user` is the person of
-- whichever of the two accounts is a person's.
create or replace function labelcrew.transfer(
  p_dataset uuid, p_kind text, p_from text, p_to text, p_amount bigint, p_user uuid default null, p_hold uuid default null,
  p_payout uuid default null, p_actor uuid default null, p_key text default null, p_note text default ''
) returns bigint
language plpgsql set search_path = ''
as $$
declare
  v_nobody uuid := '00000000-0000-0000-0000-000000000000';
  v_id bigint;
begin
  insert into labelcrew.ledger_transactions (dataset_id, kind, hold_id, payout_id, actor_id, key, note)
  values (p_dataset, p_kind, p_hold, p_payout, p_actor, p_key, left(coalesce(p_note, ''), 1000)) returning id into v_id;
  insert into labelcrew.ledger_entries (transaction_id, dataset_id, account, user_id, amount) values
    (v_id, p_dataset, p_from, case when p_from in ('funding', 'escrow') then v_nobody else p_user end, - p_amount),
    (v_id, p_dataset, p_to, case when p_to in ('funding', 'escrow') then v_nobody else p_user end, p_amount);
  return v_id;
end
$$;

-- The wallet, locked until the end of the transaction; null for a dataset that pays nothing.
create or replace function labelcrew.lock_wallet(p_dataset uuid) returns labelcrew.wallets
language plpgsql volatile set search_path = ''
as $$
declare
  v_wallet labelcrew.wallets;
begin
  select * into v_wallet from labelcrew.wallets w where w.dataset_id = p_dataset for no key update;
  return v_wallet;
end
$$;

-- The price of work at a level that was in force at `p_at`; the task's own before the general one.
create or replace function labelcrew.price_at(p_dataset uuid, p_task text, p_level int, p_at timestamptz)
returns labelcrew.prices
language plpgsql stable set search_path = ''
as $$
declare
  v_price labelcrew.prices;
begin
  select * into v_price from labelcrew.prices p
  where p.dataset_id = p_dataset and p.level = p_level and (p.task is null or p.task = p_task)
    and p.created_at <= p_at and (p.ended_at is null or p.ended_at > p_at)
  order by p.task nulls last, p.id desc limit 1;
  return v_price;
end
$$;

-- The work on an item that stands, a row a person and level: answers that people gave and that nobody rejected, reviews
-- that were not taken back, answers to an item whose answer is known. `final`: it counts whatever becomes of the item.
create or replace function labelcrew.standing_work(p_item uuid)
returns table (user_id uuid, level int, labelset_version int, lead_time_ms int, done_at timestamptz, final bool)
language plpgsql stable set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
  select distinct on (w.user_id, w.level) w.*
  from (
    select a.user_id, a.level, a.labelset_version, a.lead_time_ms, a.created_at, false
    from labelcrew.annotations a
    where a.item_id = p_item and a.current and a.source = 'human' and not exists (
      select from labelcrew.reviews r
      where r.annotation_id = a.id and r.decision = 'rejected' and r.withdrawn_at is null
    )
    union all
    select r.reviewer_id, r.level, a.labelset_version, null::int, r.created_at, false
    from labelcrew.reviews r left join labelcrew.annotations a on a.id = r.annotation_id
    where r.item_id = p_item and r.withdrawn_at is null
    union all
    select g.user_id, 1, g.labelset_version, g.lead_time_ms, g.created_at, true
    from labelcrew.gold_answers g where g.item_id = p_item and g.withdrawn_at is null
  ) w (user_id, level, labelset_version, lead_time_ms, done_at, final)
  order by w.user_id, w.level, w.final desc, w.done_at;
end
$$;

-- What a piece of work earns: the price of the moment when the item was handed out, so that a change of prices touches
-- nobody who has begun. By the minute: the time that the person says, but no more than passed since the hand-out.
create or replace function labelcrew.wage_of(
  p_dataset uuid, p_item uuid, p_user uuid, p_level int, p_version int, p_lead_ms int, p_done_at timestamptz,
  out price_id bigint, out amount bigint, out seconds int
)
language plpgsql stable set search_path = ''
as $$
declare
  v_task text;
  v_begun timestamptz;
  v_price labelcrew.prices;
begin
  select l.kind into v_task from labelcrew.labelsets l where l.dataset_id = p_dataset and l.version = p_version;
  select max(l.created_at) into v_begun from labelcrew.leases l
  where l.item_id = p_item and l.user_id = p_user and l.created_at <= p_done_at;
  if v_begun is not null then
    v_price := labelcrew.price_at(p_dataset, v_task, p_level, v_begun);
  end if;
  if v_price.id is null then
    v_price := labelcrew.price_at(p_dataset, v_task, p_level, p_done_at);
  end if;
  price_id := v_price.id;
  amount := coalesce(v_price.amount, 0);
  if v_price.per = 'minute' then
    seconds := greatest(0, least(
      v_price.max_seconds, coalesce(p_lead_ms / 1000, 0), ceil(extract(epoch from p_done_at - coalesce(v_begun, p_done_at)))
    ));
    amount := (v_price.amount * seconds + 30) / 60;
  end if;
end
$$;

-- Brings the holds of an item in step with the work that stands on it. Called at the end of every transaction that
-- touched either; doing it again changes nothing. What was paid out is final, and so is what an admin decided.
create or replace function labelcrew.settle_pay(p_dataset uuid, p_item uuid) returns void
language plpgsql set search_path = ''
as $$
declare
  v_wallet labelcrew.wallets := labelcrew.lock_wallet(p_dataset);
  v_verified bool;
  v_hold labelcrew.holds;
  v_row record;
  v_freed bool := false;
begin
  if v_wallet.dataset_id is null then
    return;
  end if;
  select i.state = 'verified' into v_verified from labelcrew.items i where i.id = p_item;
  for v_row in
    select h.hold, s.*, coalesce(v_verified, false) or coalesce(s.final, false) as earned
    from (
      select x as hold, x.user_id, x.level from labelcrew.holds x
      where x.item_id = p_item and (x.state <> 'refunded' or x.decided = 'refund')
    ) h full join labelcrew.standing_work(p_item) s on s.user_id = h.user_id and s.level = h.level
    order by s.done_at nulls first, (h.hold).number
  loop
    v_hold := v_row.hold;
    continue when v_hold.decided is not null or v_hold.state = 'paid';
    if v_row.user_id is null then
      perform labelcrew.move_hold(v_hold, 'refunded');
      v_freed := true;
      continue;
    end if;
    if v_hold.id is null then
      v_hold := labelcrew.make_hold(p_dataset, p_item, v_row.user_id, v_row.level, v_row.labelset_version,
        v_row.lead_time_ms, v_row.done_at);
    end if;
    if v_hold.state = 'held' and v_row.earned then
      perform labelcrew.move_hold(v_hold, 'released');
    elsif v_hold.state = 'released' and not v_row.earned then
      perform labelcrew.move_hold(v_hold, 'held');
    end if;
  end loop;
  if v_freed then
    perform labelcrew.fund_waiting(p_dataset);
  end if;
end
$$;

-- The hold for a new piece of work; null when it earns nothing. It waits when others do, or when the escrow is short.
create or replace function labelcrew.make_hold(
  p_dataset uuid, p_item uuid, p_user uuid, p_level int, p_version int, p_lead_ms int, p_done_at timestamptz
) returns labelcrew.holds
language plpgsql set search_path = ''
as $$
declare
  v_wage record;
  v_hold labelcrew.holds;
begin
  v_wage := labelcrew.wage_of(p_dataset, p_item, p_user, p_level, p_version, p_lead_ms, p_done_at);
  if v_wage.amount <= 0 then
    return null;
  end if;
  insert into labelcrew.holds (dataset_id, item_id, user_id, level, price_id, amount, seconds, state)
  values (p_dataset, p_item, p_user, p_level, v_wage.price_id, v_wage.amount, v_wage.seconds, 'waiting')
  returning * into v_hold;
  if not exists (
    select from labelcrew.holds w where w.dataset_id = p_dataset and w.state = 'waiting' and w.number < v_hold.number
  ) and labelcrew.account_balance(p_dataset, 'escrow') >= v_hold.amount then
    v_hold := labelcrew.move_hold(v_hold, 'held');
  end if;
  return v_hold;
end
$$;

-- One step of a hold, with the money. The caller has locked the wallet.
create or replace function labelcrew.move_hold(
  p_hold labelcrew.holds, p_state text, p_decided text default null, p_actor uuid default null, p_note text default ''
) returns labelcrew.holds
language plpgsql set search_path = ''
as $$
declare
  v_kind text;
  v_from text;
  v_to text;
begin
  select t.kind, t.from_account, t.to_account into v_kind, v_from, v_to from (values
    ('waiting', 'held', 'hold', 'escrow', 'held'),
    ('held', 'released', 'release', 'held', 'payable'),
    ('released', 'held', 'reopen', 'payable', 'held'),
    ('held', 'refunded', 'refund', 'held', 'escrow'),
    ('released', 'refunded', 'refund', 'payable', 'escrow')
  ) t (old_state, new_state, kind, from_account, to_account)
  where t.old_state = p_hold.state and t.new_state = p_state;
  if v_kind is not null then
    perform labelcrew.transfer(p_hold.dataset_id, v_kind, v_from, v_to, p_hold.amount, p_hold.user_id, p_hold.id,
      p_actor => p_actor, p_note => p_note);
  end if;
  update labelcrew.holds
  set state = p_state, decided = coalesce(p_decided, decided), updated_at = labelcrew.now()
  where id = p_hold.id returning * into p_hold;
  return p_hold;
end
$$;

-- Sets money aside for the work that waits for it, oldest first, as far as the escrow goes.
create or replace function labelcrew.fund_waiting(p_dataset uuid) returns void
language plpgsql set search_path = ''
as $$
declare
  v_hold labelcrew.holds;
  v_escrow bigint := labelcrew.account_balance(p_dataset, 'escrow');
begin
  for v_hold in
    select h.* from labelcrew.holds h where h.dataset_id = p_dataset and h.state = 'waiting' order by h.number
  loop
    exit when v_hold.amount > v_escrow;
    v_escrow := v_escrow - v_hold.amount;
    v_hold := labelcrew.move_hold(v_hold, 'held');
    if exists (select from labelcrew.items i where i.id = v_hold.item_id and i.state = 'verified')
      or exists (
        select from labelcrew.standing_work(v_hold.item_id) s
        where s.user_id = v_hold.user_id and s.level = v_hold.level and s.final
      )
    then
      perform labelcrew.move_hold(v_hold, 'released');
    end if;
  end loop;
end
$$;

-- Refuses to hand out an item whose answer the escrow cannot pay for.
create or replace function labelcrew.require_escrow(p_dataset uuid, p_item uuid, p_user uuid, p_level int) returns void
language plpgsql set search_path = ''
as $$
declare
  v_task text := (
    select l.kind from labelcrew.labelsets l where l.dataset_id = p_dataset order by l.version desc limit 1
  );
  v_price labelcrew.prices := labelcrew.price_at(p_dataset, v_task, p_level, labelcrew.now());
  v_most bigint := case v_price.per when 'minute' then (v_price.amount * v_price.max_seconds + 30) / 60 else v_price.amount end;
begin
  if v_most > labelcrew.account_balance(p_dataset, 'escrow') and not exists (
    select from labelcrew.holds h
    where h.item_id = p_item and h.user_id = p_user and h.level = p_level and h.state <> 'refunded'
  ) then
    perform labelcrew.fail('escrow-empty', 'the escrow of this dataset cannot pay for another item',
      jsonb_build_object('dataset', p_dataset, 'needed', v_most));
  end if;
end
$$;

-- Refuses to delete a dataset while money of it is anywhere but paid out or given back.
create or replace function labelcrew.require_no_money(p_dataset uuid) returns void
language plpgsql set search_path = ''
as $$
declare
  v_left jsonb;
begin
  perform labelcrew.lock_wallet(p_dataset);
  select jsonb_object_agg(x.account, x.amount) into v_left from (
    select e.account, sum(e.amount) as amount from labelcrew.ledger_entries e
    where e.dataset_id = p_dataset and e.account in ('escrow', 'held', 'payable', 'paying')
    group by e.account having sum(e.amount) <> 0
  ) x;
  if v_left is not null
    or exists (select from labelcrew.holds h where h.dataset_id = p_dataset and h.state = 'waiting')
  then
    perform labelcrew.fail('money-held', 'there is money in this dataset, or owed for work on it',
      jsonb_build_object('dataset', p_dataset, 'accounts', coalesce(v_left, '{}')));
  end if;
end
$$;
