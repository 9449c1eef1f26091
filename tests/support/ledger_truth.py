"""What must hold in the ledger at any moment, asked of the tables themselves."""

from __future__ import annotations

import psycopg

QUESTIONS = {
    "a transaction does not sum to zero": """
        select t.id from labelcrew.ledger_transactions t left join labelcrew.ledger_entries e on e.transaction_id = t.id
        group by t.id having coalesce(sum(e.amount), 1) <> 0 or count(e.id) <> 2
    """,
    "an account's balance is not the sum of its entries": """
        select id from (
          select id, balance, sum(amount) over (partition by dataset_id, account, user_id order by id) as total
          from labelcrew.ledger_entries
        ) x where balance <> total
    """,
    "the escrow, or what is a person's, is negative": """
        select id from labelcrew.ledger_entries where balance < 0 and account <> 'funding'
    """,
    "the accounts of a dataset do not sum to zero": """
        select dataset_id from labelcrew.ledger_entries group by dataset_id having sum(amount) <> 0
    """,
    "what is held for a person is not the sum of their holds": """
        select 1 from (
          select dataset_id, user_id, sum(amount) as n from labelcrew.ledger_entries where account = 'held' group by 1, 2
        ) e full join (
          select dataset_id, user_id, sum(amount) as n from labelcrew.holds where state = 'held' group by 1, 2
        ) h using (dataset_id, user_id)
        where coalesce(e.n, 0) <> coalesce(h.n, 0)
    """,
    "less is owed to a person than the released holds amount to": """
        select 1 from (
          select dataset_id, user_id, sum(amount) as n from labelcrew.holds where state = 'released' group by 1, 2
        ) h left join (
          select dataset_id, user_id, sum(amount) as n from labelcrew.ledger_entries where account = 'payable' group by 1, 2
        ) e using (dataset_id, user_id)
        where coalesce(e.n, 0) < h.n
    """,
    "payouts under way are not what is in transit": """
        select 1 from (
          select dataset_id, user_id, sum(amount) as n from labelcrew.ledger_entries where account = 'paying' group by 1, 2
        ) e full join (
          select dataset_id, user_id, sum(amount) as n from labelcrew.payouts where state = 'pending' group by 1, 2
        ) p using (dataset_id, user_id)
        where coalesce(e.n, 0) <> coalesce(p.n, 0)
    """,
    "what was paid is not the sum of the payouts that were paid": """
        select 1 from (
          select dataset_id, user_id, sum(amount) as n from labelcrew.ledger_entries where account = 'paid' group by 1, 2
        ) e full join (
          select dataset_id, user_id, sum(amount) as n from labelcrew.payouts where state = 'paid' group by 1, 2
        ) p using (dataset_id, user_id)
        where coalesce(e.n, 0) <> coalesce(p.n, 0)
    """,
    "somebody is paid twice for an item and level": """
        select 1 from labelcrew.holds where state <> 'refunded' group by item_id, user_id, level having count(*) > 1
    """,
    "a hold was released to its person more often than once": """
        select hold_id from labelcrew.ledger_transactions where hold_id is not null
        group by hold_id having count(*) filter (where kind = 'release') - count(*) filter (where kind = 'reopen') > 1
    """,
    "a hold is not in step with its item": """
        select h.id from labelcrew.holds h join labelcrew.items i on i.id = h.item_id
        where h.decided is null and (h.state = 'released') <> (i.state = 'verified')
          and h.state in ('held', 'released') and not exists (
            select from labelcrew.gold_answers g
            where g.item_id = h.item_id and g.user_id = h.user_id and g.withdrawn_at is null
          )
    """,
    "money waits although the escrow could pay": """
        select 1 from labelcrew.holds h where h.state = 'waiting'
          and not exists (
            select from labelcrew.holds w
            where w.dataset_id = h.dataset_id and w.state = 'waiting' and w.number < h.number
          )
          and h.amount <= labelcrew.account_balance(h.dataset_id, 'escrow')
    """,
}


_ALL = " union all ".join(
    f"select '{what.replace(chr(39), chr(39) * 2)}' where exists ({query})" for what, query in QUESTIONS.items()
)


def contradictions(connection: psycopg.Connection) -> list[str]:
    """The sentences above that are true; there should be none."""
    return [str(what) for (what,) in connection.execute(_ALL.encode(), prepare=True).fetchall()]
