-- Pay, as admins meet it: the wallet, its prices, funding it, adjustments, and deciding about single pieces of work.

create or replace function labelcrew.require_wallet(p_dataset uuid) returns labelcrew.wallets
language plpgsql set search_path = ''
as $$
declare
  v_wallet labelcrew.wallets := labelcrew.lock_wallet(p_dataset);
begin
  if v_wallet.dataset_id is null then
    perform labelcrew.fail('no-wallet', 'this dataset has no currency yet, and so no prices');
  end if;
  return v_wallet;
end
$$;

create or replace function labelcrew.price_json(p_price labelcrew.prices) returns jsonb
language sql immutable
as $$
  select jsonb_build_object('id', (p_price).id, 'task', (p_price).task, 'level', (p_price).level, 'per', (p_price).per,
    'amount', (p_price).amount, 'max_seconds', (p_price).max_seconds, 'created_at', (p_price).created_at)
$$;

create or replace function labelcrew.pay_json(p_wallet labelcrew.wallets) returns jsonb
language sql stable
as $$
  select jsonb_build_object(
    'dataset_id', (p_wallet).dataset_id, 'currency', (p_wallet).currency,
    'escrow', labelcrew.account_balance((p_wallet).dataset_id, 'escrow'),
    'funded', - labelcrew.account_balance((p_wallet).dataset_id, 'funding'),
    'prices', (
      select coalesce(jsonb_agg(labelcrew.price_json(p) order by p.level, p.task nulls first), '[]')
      from labelcrew.prices p where p.dataset_id = (p_wallet).dataset_id and p.ended_at is null
    )
  ) || labelcrew.balances_json((p_wallet).dataset_id)
$$;

-- Gives a dataset its wallet. The currency may change until the first entry is in the ledger.
create or replace function labelcrew_api.set_currency(p_actor uuid, p_dataset uuid, p_currency text) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_wallet labelcrew.wallets;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  if p_currency !~ '^[A-Z]{3}$' then
    perform labelcrew.fail('invalid', 'a currency is three capital letters, such as EUR');
  end if;
  insert into labelcrew.wallets (dataset_id, currency) values (p_dataset, p_currency) on conflict do nothing;
  v_wallet := labelcrew.lock_wallet(p_dataset);
  if v_wallet.currency <> p_currency then
    if exists (select from labelcrew.ledger_entries e where e.dataset_id = p_dataset)
      or exists (select from labelcrew.holds h where h.dataset_id = p_dataset)
    then
      perform labelcrew.fail('currency-fixed', format('money has moved here in %s', v_wallet.currency));
    end if;
    update labelcrew.wallets set currency = p_currency where dataset_id = p_dataset returning * into v_wallet;
  end if;
  perform labelcrew.record_event(p_dataset, p_actor, 'currency_set', p_dataset, jsonb_build_object('currency', p_currency));
  return labelcrew.pay_json(v_wallet);
end
$$;

-- The wallet with its prices, for admins.
create or replace function labelcrew_api.get_pay(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_wallet labelcrew.wallets;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  select * into v_wallet from labelcrew.wallets w where w.dataset_id = p_dataset;
  if v_wallet.dataset_id is null then
    perform labelcrew.fail('no-wallet', 'nothing is paid in this dataset');
  end if;
  return labelcrew.pay_json(v_wallet);
end
$$;

-- The price list from now on, as a whole: [{task?, level, per, amount, max_seconds?}]. What is not in it is not paid any
-- more. Who has begun an item is paid the price of that moment, and what is held stays as it is.
create or replace function labelcrew_api.set_prices(p_actor uuid, p_dataset uuid, p_prices jsonb) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_now timestamptz := labelcrew.now();
  v_wallet labelcrew.wallets;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  v_wallet := labelcrew.require_wallet(p_dataset);
  if exists (
    select from jsonb_to_recordset(p_prices) n (task text, level int) group by n.level, coalesce(n.task, '') having count(*) > 1
  ) then
    perform labelcrew.fail('invalid', 'two prices are for the same task and level');
  end if;
  if exists (select from jsonb_to_recordset(p_prices) n (level int, per text) where n.per = 'minute' and n.level <> 1) then
    perform labelcrew.fail('invalid', 'only answers at level 1 can be paid by the minute: of reviews the time is not known');
  end if;
  update labelcrew.prices p set ended_at = greatest(v_now, p.created_at)
  where p.dataset_id = p_dataset and p.ended_at is null and not exists (
    select from jsonb_to_recordset(p_prices) n (task text, level int, per text, amount bigint, max_seconds int)
    where (n.task, n.level, n.per, n.amount, n.max_seconds) is not distinct from
      (p.task, p.level, p.per, p.amount, p.max_seconds)
  );
  insert into labelcrew.prices (dataset_id, task, level, per, amount, max_seconds, created_by, created_at)
  select p_dataset, n.task, n.level, n.per, n.amount, n.max_seconds, p_actor, v_now
  from jsonb_to_recordset(p_prices) n (task text, level int, per text, amount bigint, max_seconds int)
  where not exists (
    select from labelcrew.prices p
    where p.dataset_id = p_dataset and p.ended_at is null
      and p.level = n.level and p.task is not distinct from n.task
  );
  perform labelcrew.record_event(p_dataset, p_actor, 'prices_set', p_dataset, jsonb_build_object('prices', p_prices));
  return labelcrew.pay_json(v_wallet);
end
$$;

-- The transaction that a key was used for before, or null; refuses a key that meant something else.
create or replace function labelcrew.find_keyed(p_dataset uuid, p_key text, p_kinds text[], p_amount bigint, p_user uuid)
returns labelcrew.ledger_transactions
language plpgsql stable set search_path = ''
as $$
declare
  v_found labelcrew.ledger_transactions;
begin
  select * into v_found from labelcrew.ledger_transactions t where t.dataset_id = p_dataset and t.key = p_key;
  if v_found.id is not null and (
    v_found.kind <> all (p_kinds) or not exists (
      select from labelcrew.ledger_entries e
      where e.transaction_id = v_found.id and e.amount = p_amount
        and e.user_id = coalesce(p_user, '00000000-0000-0000-0000-000000000000')
        and e.account = case when p_user is null then 'escrow' else 'payable' end
    )
  ) then
    perform labelcrew.fail('conflict', 'this key was used for something else', jsonb_build_object('transaction', v_found.id));
  end if;
  return v_found;
end
$$;

-- Puts money into the escrow, or with a negative amount takes it out. Work that waited for money is funded at once. Two
-- admins at once are two fundings; the same key twice is one.
create or replace function labelcrew_api.fund_escrow(
  p_actor uuid, p_dataset uuid, p_amount bigint, p_key text, p_note text default ''
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_wallet labelcrew.wallets;
  v_before labelcrew.ledger_transactions;
  v_id bigint;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  v_wallet := labelcrew.require_wallet(p_dataset);
  if coalesce(abs(p_amount), 0) not between 1 and 1000000000000 then
    perform labelcrew.fail('invalid', 'the amount is between 1 and 1,000,000,000,000 in the minor unit');
  end if;
  v_before := labelcrew.find_keyed(p_dataset, p_key, array['fund', 'withdraw'], p_amount, null);
  if v_before.id is null then
    if p_amount > 0 then
      v_id := labelcrew.transfer(p_dataset, 'fund', 'funding', 'escrow', p_amount,
        p_actor => p_actor, p_key => p_key, p_note => p_note);
      perform labelcrew.fund_waiting(p_dataset);
    else
      if labelcrew.account_balance(p_dataset, 'escrow') < - p_amount then
        perform labelcrew.fail('escrow-empty', format('the escrow holds %s', labelcrew.account_balance(p_dataset, 'escrow')),
          jsonb_build_object('escrow', labelcrew.account_balance(p_dataset, 'escrow')));
      end if;
      v_id := labelcrew.transfer(p_dataset, 'withdraw', 'escrow', 'funding', - p_amount,
        p_actor => p_actor, p_key => p_key, p_note => p_note);
    end if;
    perform labelcrew.record_event(p_dataset, p_actor, 'escrow_funded', p_dataset,
      jsonb_build_object('amount', p_amount, 'transaction', v_id));
  end if;
  return jsonb_build_object('transaction', coalesce(v_id, v_before.id), 'created', v_id is not null,
    'pay', labelcrew.pay_json(v_wallet));
end
$$;

-- Gives somebody money beside their work, or takes back what adjustments have given. Wages are not taken back this way:
-- a hold is refunded as a whole (decide_hold), and what was paid out is final.
create or replace function labelcrew_api.adjust_pay(
  p_actor uuid, p_dataset uuid, p_user uuid, p_amount bigint, p_key text, p_reason text
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_wallet labelcrew.wallets;
  v_before labelcrew.ledger_transactions;
  v_free bigint;
  v_id bigint;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  v_wallet := labelcrew.require_wallet(p_dataset);
  if labelcrew.role_of(p_user, p_dataset) is null and not exists (
    select from labelcrew.ledger_entries e where e.user_id = p_user and e.dataset_id = p_dataset
  ) then
    perform labelcrew.fail('not-found', 'nobody of this id works or has worked here', jsonb_build_object('user', p_user));
  end if;
  if coalesce(abs(p_amount), 0) not between 1 and 1000000000000 then
    perform labelcrew.fail('invalid', 'the amount is between 1 and 1,000,000,000,000 in the minor unit');
  end if;
  v_before := labelcrew.find_keyed(p_dataset, p_key, array['adjust'], p_amount, p_user);
  if v_before.id is null then
    if p_amount > 0 then
      if labelcrew.account_balance(p_dataset, 'escrow') < p_amount then
        perform labelcrew.fail('escrow-empty', format('the escrow holds %s', labelcrew.account_balance(p_dataset, 'escrow')),
          jsonb_build_object('escrow', labelcrew.account_balance(p_dataset, 'escrow')));
      end if;
      v_id := labelcrew.transfer(p_dataset, 'adjust', 'escrow', 'payable', p_amount, p_user,
        p_actor => p_actor, p_key => p_key, p_note => p_reason);
    else
      v_free := labelcrew.account_balance(p_dataset, 'payable', p_user) - (
        select coalesce(sum(h.amount), 0) from labelcrew.holds h
        where h.dataset_id = p_dataset and h.user_id = p_user and h.state = 'released'
      );
      if v_free < - p_amount then
        perform labelcrew.fail('insufficient-balance', format('%s of adjustments can be taken back', v_free),
          jsonb_build_object('available', v_free));
      end if;
      v_id := labelcrew.transfer(p_dataset, 'adjust', 'payable', 'escrow', - p_amount, p_user,
        p_actor => p_actor, p_key => p_key, p_note => p_reason);
      perform labelcrew.fund_waiting(p_dataset);
    end if;
    perform labelcrew.record_event(p_dataset, p_actor, 'pay_adjusted', p_user,
      jsonb_build_object('amount', p_amount, 'transaction', v_id));
  end if;
  return jsonb_build_object('transaction', coalesce(v_id, v_before.id), 'created', v_id is not null,
    'pay', labelcrew.pay_json(v_wallet));
end
$$;

create or replace function labelcrew.hold_json(p_hold labelcrew.holds) returns jsonb
language sql immutable
as $$
  select jsonb_build_object('id', (p_hold).id, 'number', (p_hold).number, 'item_id', (p_hold).item_id,
    'user_id', (p_hold).user_id, 'level', (p_hold).level, 'amount', (p_hold).amount, 'seconds', (p_hold).seconds,
    'state', (p_hold).state, 'decided', (p_hold).decided, 'payout_id', (p_hold).payout_id,
    'created_at', (p_hold).created_at, 'updated_at', (p_hold).updated_at)
$$;

-- An admin decides about one piece of work, for good: pay it although its item is not verified, or do not pay it.
create or replace function labelcrew_api.decide_hold(
  p_actor uuid, p_dataset uuid, p_hold uuid, p_decision text, p_reason text default ''
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_hold labelcrew.holds;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  perform labelcrew.require_wallet(p_dataset);
  select * into v_hold from labelcrew.holds h where h.id = p_hold and h.dataset_id = p_dataset;
  if v_hold.id is null then
    perform labelcrew.fail('not-found', 'no such hold', jsonb_build_object('hold', p_hold));
  end if;
  if v_hold.decided is not distinct from p_decision then
    return labelcrew.hold_json(v_hold);
  end if;
  if v_hold.decided is not null or v_hold.state in ('paid', 'refunded') or p_decision not in ('release', 'refund')
    or (p_decision = 'release' and v_hold.state = 'waiting')
  then
    perform labelcrew.fail('illegal-pay-state', format('the hold is %s', v_hold.state),
      jsonb_build_object('hold', p_hold, 'state', v_hold.state));
  end if;
  v_hold := labelcrew.move_hold(v_hold, case p_decision when 'release' then 'released' else 'refunded' end,
    p_decision, p_actor, p_reason);
  if p_decision = 'refund' then
    perform labelcrew.fund_waiting(p_dataset);
  end if;
  perform labelcrew.record_event(p_dataset, p_actor, 'hold_decided', p_hold,
    jsonb_build_object('decision', p_decision, 'amount', v_hold.amount, 'user', v_hold.user_id));
  return labelcrew.hold_json(v_hold);
end
$$;

-- Holds in the order they came: of everybody for admins, else one's own.
create or replace function labelcrew_api.list_holds(
  p_actor uuid, p_dataset uuid, p_states text[] default null, p_user uuid default null, p_after bigint default 0,
  p_limit int default 100
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset,
    case when p_user = p_actor then 'annotator' else 'admin' end);
  return (
    select coalesce(jsonb_agg(labelcrew.hold_json(x) order by x.number), '[]') from (
      select h.* from labelcrew.holds h
      where h.dataset_id = p_dataset and h.number > p_after and (p_user is null or h.user_id = p_user)
        and (p_states is null or h.state = any (p_states))
      order by h.number limit least(greatest(p_limit, 1), 1000)
    ) x
  );
end
$$;
