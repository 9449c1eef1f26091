-- Payouts: what people are owed, sent to them in batches. A batch takes the money out of `payable` at once; each payout
-- then ends as paid or failed, and a failed one gives it back. `manual` payouts are made by somebody at a bank, who says
-- here how it went; those of other providers are sent by workers (jobs/payouts.py).

create or replace function labelcrew.payout_json(p_payout labelcrew.payouts) returns jsonb
language sql stable
as $$
  select jsonb_build_object('id', (p_payout).id, 'batch_id', (p_payout).batch_id, 'user_id', (p_payout).user_id,
    'email', u.email, 'name', u.name, 'account', (p_payout).account, 'amount', (p_payout).amount,
    'state', (p_payout).state, 'reference', (p_payout).reference, 'error', (p_payout).error,
    'updated_at', (p_payout).updated_at)
  from labelcrew.users u where u.id = (p_payout).user_id
$$;

create or replace function labelcrew.batch_json(p_batch labelcrew.payout_batches) returns jsonb
language sql stable
as $$
  select jsonb_build_object('id', (p_batch).id, 'dataset_id', (p_batch).dataset_id, 'key', (p_batch).key,
    'provider', (p_batch).provider, 'currency', (p_batch).currency, 'skipped', (p_batch).skipped,
    'created_by', (p_batch).created_by, 'created_at', (p_batch).created_at,
    'total', coalesce(sum(p.amount), 0),
    'payouts', coalesce(jsonb_agg(labelcrew.payout_json(p) order by p.id) filter (where p.id is not null), '[]'))
  from (select) one left join labelcrew.payouts p on p.batch_id = (p_batch).id
$$;

-- Where a person wants to be paid; null forgets it.
create or replace function labelcrew_api.set_payout_account(p_actor uuid, p_provider text, p_account text) returns jsonb
language plpgsql security definer set search_path = ''
as $$
begin
  perform labelcrew.require_user(p_actor);
  if p_provider not in ('manual', 'stripe') then
    perform labelcrew.fail('invalid', 'the provider is manual or stripe');
  end if;
  if p_provider = 'stripe' and p_account !~ '^acct_[A-Za-z0-9]{1,100}$' then
    perform labelcrew.fail('invalid', 'an account at Stripe Connect begins with acct_');
  end if;
  if p_account is null then
    delete from labelcrew.payout_accounts a where a.user_id = p_actor and a.provider = p_provider;
  else
    insert into labelcrew.payout_accounts as a (user_id, provider, account) values (p_actor, p_provider, p_account)
    on conflict (user_id, provider) do update set account = excluded.account, updated_at = labelcrew.now();
  end if;
  perform labelcrew.record_event(null, p_actor, 'payout_account_set', p_actor, jsonb_build_object('provider', p_provider));
  return jsonb_build_object('provider', p_provider, 'account', p_account);
end
$$;

-- Makes payouts for all that is owed, or for `p_users` of those owed. The same key again gives the same batch. Who has no
-- account that the provider could pay to is skipped; a person who was named is refused instead.
create or replace function labelcrew_api.create_payouts(
  p_actor uuid, p_dataset uuid, p_key text, p_provider text default 'manual', p_users uuid[] default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_wallet labelcrew.wallets;
  v_batch labelcrew.payout_batches;
  v_payout labelcrew.payouts;
  v_owed record;
  v_skipped jsonb := '[]';
  v_unknown uuid;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  v_wallet := labelcrew.require_wallet(p_dataset);
  select * into v_batch from labelcrew.payout_batches b where b.dataset_id = p_dataset and b.key = p_key;
  if v_batch.id is not null then
    if v_batch.provider <> p_provider then
      perform labelcrew.fail('conflict', format('this key was used for a batch by %s', v_batch.provider));
    end if;
    return labelcrew.batch_json(v_batch) || '{"created": false}';
  end if;
  if p_provider not in ('manual', 'stripe') then
    perform labelcrew.fail('invalid', 'the provider is manual or stripe');
  end if;
  select n.id into v_unknown from unnest(p_users) n (id) where not exists (
    select from labelcrew.ledger_entries e where e.user_id = n.id and e.dataset_id = p_dataset
  ) limit 1;
  if v_unknown is not null then
    perform labelcrew.fail('not-found', 'nobody of this id has earned anything here', jsonb_build_object('user', v_unknown));
  end if;
  insert into labelcrew.payout_batches (dataset_id, key, provider, currency, created_by)
  values (p_dataset, p_key, p_provider, v_wallet.currency, p_actor) returning * into v_batch;
  for v_owed in
    select distinct on (e.user_id) e.user_id, e.balance as amount, a.account
    from labelcrew.ledger_entries e
      left join labelcrew.payout_accounts a on a.user_id = e.user_id and a.provider = p_provider
    where e.dataset_id = p_dataset and e.account = 'payable' and (p_users is null or e.user_id = any (p_users))
    order by e.user_id, e.id desc
  loop
    continue when v_owed.amount <= 0;
    if v_owed.account is null and p_provider <> 'manual' then
      if p_users is not null then
        perform labelcrew.fail('no-payout-account', format('this person has named no account at %s', p_provider),
          jsonb_build_object('user', v_owed.user_id));
      end if;
      v_skipped := v_skipped || jsonb_build_object('user_id', v_owed.user_id, 'amount', v_owed.amount,
        'code', 'no-payout-account');
      continue;
    end if;
    insert into labelcrew.payouts (batch_id, dataset_id, user_id, account, amount)
    values (v_batch.id, p_dataset, v_owed.user_id, v_owed.account, v_owed.amount) returning * into v_payout;
    perform labelcrew.transfer(p_dataset, 'payout', 'payable', 'paying', v_owed.amount, v_owed.user_id,
      p_payout => v_payout.id, p_actor => p_actor);
    update labelcrew.holds set state = 'paid', payout_id = v_payout.id, updated_at = labelcrew.now()
    where dataset_id = p_dataset and user_id = v_owed.user_id and state = 'released';
  end loop;
  if v_payout.id is null then
    perform labelcrew.fail('nothing-to-pay',
      case when v_skipped = '[]' then 'nobody has anything to be paid' else 'nobody who is owed has an account' end,
      jsonb_build_object('skipped', v_skipped));
  end if;
  update labelcrew.payout_batches b set skipped = v_skipped where b.id = v_batch.id returning * into v_batch;
  perform labelcrew.record_event(p_dataset, p_actor, 'payouts_created', v_batch.id,
    jsonb_build_object('provider', p_provider, 'total', labelcrew.batch_json(v_batch) -> 'total'));
  return labelcrew.batch_json(v_batch) || '{"created": true}';
end
$$;

create or replace function labelcrew_api.list_payouts(p_actor uuid, p_dataset uuid, p_limit int default 50) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  return (
    select coalesce(jsonb_agg(labelcrew.batch_json(x) order by x.created_at desc, x.id desc), '[]') from (
      select b.* from labelcrew.payout_batches b where b.dataset_id = p_dataset
      order by b.created_at desc, b.id desc limit least(greatest(p_limit, 1), 200)
    ) x
  );
end
$$;

-- The end of a payout: paid, or failed, which gives the money back to what is owed. Saying the same again changes nothing.
-- The caller has locked the wallet.
create or replace function labelcrew.end_payout(
  p_payout labelcrew.payouts, p_state text, p_reference text, p_error jsonb, p_actor uuid
) returns labelcrew.payouts
language plpgsql set search_path = ''
as $$
declare
  v_items uuid[];
begin
  if p_payout.state = p_state then
    return p_payout;
  end if;
  if p_payout.state <> 'pending' then
    perform labelcrew.fail('illegal-pay-state', format('the payout is %s already', p_payout.state),
      jsonb_build_object('payout', p_payout.id, 'state', p_payout.state));
  end if;
  perform labelcrew.transfer(p_payout.dataset_id, 'payout_' || p_state, 'paying',
    case p_state when 'paid' then 'paid' else 'payable' end, p_payout.amount, p_payout.user_id,
    p_payout => p_payout.id, p_actor => p_actor, p_note => p_reference);
  if p_state = 'failed' then
    -- What the work is worth may have changed while its money was on the way.
    with back as (
      update labelcrew.holds set state = 'released', payout_id = null, updated_at = labelcrew.now()
      where payout_id = p_payout.id returning item_id
    )
    select array_agg(distinct b.item_id) into v_items from back b;
    perform labelcrew.settle_pay(p_payout.dataset_id, i) from unnest(v_items) i;
  end if;
  update labelcrew.payouts
  set state = p_state, reference = p_reference, error = p_error, updated_at = labelcrew.now()
  where id = p_payout.id returning * into p_payout;
  perform labelcrew.record_event(p_payout.dataset_id, p_actor, 'payout_' || p_state, p_payout.id,
    jsonb_build_object('user', p_payout.user_id, 'amount', p_payout.amount));
  return p_payout;
end
$$;

-- An admin says how the payouts of a manual batch went: all that are pending, or some of them.
create or replace function labelcrew_api.settle_payouts(
  p_actor uuid, p_dataset uuid, p_batch uuid, p_state text, p_payouts uuid[] default null, p_reference text default null
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_batch labelcrew.payout_batches;
  v_payout labelcrew.payouts;
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  perform labelcrew.require_wallet(p_dataset);
  select * into v_batch from labelcrew.payout_batches b where b.id = p_batch and b.dataset_id = p_dataset;
  if v_batch.id is null then
    perform labelcrew.fail('not-found', 'no such batch of payouts', jsonb_build_object('batch', p_batch));
  end if;
  if v_batch.provider <> 'manual' then
    perform labelcrew.fail('illegal-pay-state', format('how these went is known from %s', v_batch.provider));
  end if;
  if p_state not in ('paid', 'failed') then
    perform labelcrew.fail('invalid', 'a payout ends as paid or failed');
  end if;
  for v_payout in
    select p.* from labelcrew.payouts p
    where p.batch_id = p_batch and case when p_payouts is null then p.state = 'pending' else p.id = any (p_payouts) end
    order by p.id
  loop
    perform labelcrew.end_payout(v_payout, p_state, p_reference, null, p_actor);
  end loop;
  return labelcrew.batch_json(v_batch);
end
$$;

-- For workers: payouts of providers that are due to be sent, each handed out for `p_seconds`, after which it is due
-- again. `attempts` counts the one that begins now: after the first, ask the provider whether it happened before.
create or replace function labelcrew_api.claim_payouts(p_most int default 20, p_seconds int default 120) returns jsonb
language sql security definer set search_path = ''
as $$
  with due as (
    select p.id from labelcrew.payouts p join labelcrew.payout_batches b on b.id = p.batch_id
    where p.state = 'pending' and p.due_at <= labelcrew.now() and b.provider <> 'manual'
    order by p.due_at limit least(greatest(p_most, 1), 100) for update of p skip locked
  ), taken as (
    update labelcrew.payouts p
    set attempts = p.attempts + 1, due_at = labelcrew.now() + make_interval(secs => p_seconds)
    from due where p.id = due.id returning p.*
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'id', t.id, 'batch_id', t.batch_id, 'account', t.account, 'amount', t.amount, 'currency', b.currency,
    'provider', b.provider, 'attempt', t.attempts
  ) order by t.id), '[]')
  from taken t join labelcrew.payout_batches b on b.id = t.batch_id
$$;

-- For workers: how an attempt went. `paid` and `failed` end the payout; `pending` means that nobody knows, and that it is
-- to be tried again after `p_seconds`.
create or replace function labelcrew_api.finish_payout(
  p_payout uuid, p_state text, p_reference text default null, p_error jsonb default null, p_seconds int default 60
) returns jsonb
language plpgsql security definer set search_path = ''
as $$
declare
  v_payout labelcrew.payouts;
begin
  select * into v_payout from labelcrew.payouts p where p.id = p_payout;
  perform labelcrew.lock_wallet(v_payout.dataset_id);
  select * into v_payout from labelcrew.payouts p where p.id = p_payout for update;
  if p_state = 'pending' then
    update labelcrew.payouts p
    set due_at = labelcrew.now() + make_interval(secs => p_seconds), error = p_error, updated_at = labelcrew.now()
    where p.id = p_payout and p.state = 'pending' returning * into v_payout;
    return labelcrew.payout_json(v_payout);
  end if;
  return labelcrew.payout_json(labelcrew.end_payout(v_payout, p_state, p_reference, p_error, null));
end
$$;
