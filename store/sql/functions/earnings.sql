-- What people have earned: their balances, their statements, and the ledger that both are read from.

-- Sums of the accounts of a dataset, of one person or of all.
create or replace function labelcrew.balances_json(p_dataset uuid, p_user uuid default null) returns jsonb
language sql stable
as $$
  select jsonb_build_object(
    'held', coalesce(sum(x.balance) filter (where x.account = 'held'), 0),
    'payable', coalesce(sum(x.balance) filter (where x.account = 'payable'), 0),
    'paying', coalesce(sum(x.balance) filter (where x.account = 'paying'), 0),
    'paid', coalesce(sum(x.balance) filter (where x.account = 'paid'), 0),
    'waiting', coalesce((
      select sum(h.amount) from labelcrew.holds h
      where h.dataset_id = p_dataset and h.state = 'waiting' and (p_user is null or h.user_id = p_user)
    ), 0)
  )
  from (
    select distinct on (e.account, e.user_id) e.account, e.balance from labelcrew.ledger_entries e
    where e.dataset_id = p_dataset and e.account in ('held', 'payable', 'paying', 'paid')
      and (p_user is null or e.user_id = p_user)
    order by e.account, e.user_id, e.id desc
  ) x
$$;

-- What everybody has earned here, who is no member any more too; for admins.
create or replace function labelcrew_api.list_earnings(p_actor uuid, p_dataset uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  return (
    select coalesce(jsonb_agg(
      jsonb_build_object('user_id', u.id, 'email', u.email, 'name', u.name, 'currency', w.currency, 'dataset_id', p_dataset,
        'dataset', d.name) || labelcrew.balances_json(p_dataset, u.id) order by u.email
    ), '[]')
    from labelcrew.wallets w join labelcrew.datasets d on d.id = w.dataset_id, labelcrew.users u
    where w.dataset_id = p_dataset and u.id in (
      select e.user_id from labelcrew.ledger_entries e where e.dataset_id = p_dataset
      union select h.user_id from labelcrew.holds h where h.dataset_id = p_dataset
    )
  );
end
$$;

-- One's own earnings in every dataset, also where one is no member any more.
create or replace function labelcrew_api.list_own_earnings(p_actor uuid) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_user labelcrew.users := labelcrew.require_user(p_actor);
begin
  return (
    select coalesce(jsonb_agg(
      jsonb_build_object('user_id', v_user.id, 'email', v_user.email, 'name', v_user.name, 'currency', w.currency,
        'dataset_id', w.dataset_id, 'dataset', d.name) || labelcrew.balances_json(w.dataset_id, p_actor) order by w.dataset_id
    ), '[]')
    from labelcrew.wallets w left join labelcrew.datasets d on d.id = w.dataset_id
    where w.dataset_id in (
      select e.dataset_id from labelcrew.ledger_entries e where e.user_id = p_actor
      union select h.dataset_id from labelcrew.holds h where h.user_id = p_actor
    )
  );
end
$$;

-- A person's statement: every movement of what is theirs to be paid, oldest first, with the balance after each. Their own
-- for everybody, others' for admins.
create or replace function labelcrew_api.list_statement(
  p_actor uuid, p_dataset uuid, p_user uuid default null, p_after bigint default 0, p_limit int default 1000
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_user uuid := coalesce(p_user, p_actor);
begin
  if v_user <> p_actor then
    perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  elsif not exists (select from labelcrew.ledger_entries e where e.user_id = p_actor and e.dataset_id = p_dataset) then
    perform labelcrew.require_role(p_actor, p_dataset);
  end if;
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', x.id, 'transaction', t.id, 'created_at', t.created_at, 'kind', t.kind, 'amount', x.amount, 'balance', x.balance,
      'currency', w.currency, 'item_id', h.item_id, 'level', h.level, 'seconds', h.seconds, 'payout_id', t.payout_id,
      'note', t.note
    ) order by x.id), '[]')
    from (
      select e.* from labelcrew.ledger_entries e
      where e.dataset_id = p_dataset and e.user_id = v_user and e.account = 'payable' and e.id > p_after
      order by e.id limit least(greatest(p_limit, 1), 5000)
    ) x
      join labelcrew.ledger_transactions t on t.id = x.transaction_id
      join labelcrew.wallets w on w.dataset_id = x.dataset_id
      left join labelcrew.holds h on h.id = t.hold_id
  );
end
$$;

-- The ledger itself, a page of transactions with their entries; for admins.
create or replace function labelcrew_api.list_ledger(
  p_actor uuid, p_dataset uuid, p_after bigint default 0, p_limit int default 200
) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform labelcrew.require_role(p_actor, p_dataset, 'admin');
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', x.id, 'kind', x.kind, 'hold_id', x.hold_id, 'payout_id', x.payout_id, 'actor_id', x.actor_id, 'note', x.note,
      'created_at', x.created_at, 'entries', (
        select jsonb_agg(jsonb_build_object(
          'account', e.account, 'user_id', nullif(e.user_id, '00000000-0000-0000-0000-000000000000'),
          'amount', e.amount, 'balance', e.balance
        ) order by e.id)
        from labelcrew.ledger_entries e where e.transaction_id = x.id
      )
    ) order by x.id), '[]')
    from (
      select t.* from labelcrew.ledger_transactions t where t.dataset_id = p_dataset and t.id > p_after
      order by t.id limit least(greatest(p_limit, 1), 1000)
    ) x
  );
end
$$;
