"""What must hold in the queue at any moment, asked of the tables themselves."""

from __future__ import annotations

import psycopg

QUESTIONS = {
    "more people hold or answered an open item than the overlap allows": """
        select i.id from labelcrew.items i join labelcrew.datasets d on d.id = i.dataset_id
        where i.state in ('new', 'drafted', 'returned') and cardinality(i.answered_by) + (
          select count(*) from unnest(i.held) h where h.until > labelcrew.now() and h.user_id <> all (i.answered_by)
        ) > coalesce((d.settings ->> 'overlap')::int, 1) + i.extra_overlap
    """,
    "the holds on an item are not its open leases": """
        select i.id from labelcrew.items i
        where array(select (h.user_id, h.until)::text from unnest(i.held) h order by 1) is distinct from array(
          select (l.user_id, l.expires_at)::text from labelcrew.leases l
          where l.item_id = i.id and l.ended_at is null and not l.gold order by 1
        )
    """,
    "the token of an item is not that of its last lease": """
        select i.id from labelcrew.items i
        where i.token <> coalesce((select max(l.token) from labelcrew.leases l where l.item_id = i.id), 0)
    """,
    "who answered is not who has an answer that stands": """
        select i.id from labelcrew.items i
        where array(select u from unnest(i.answered_by) u order by 1) is distinct from array(
          select a.user_id from labelcrew.annotations a
          where a.item_id = i.id and a.current and a.level = 1 order by 1
        )
    """,
    "an item is decided without an answer that stands": """
        select i.id from labelcrew.items i
        where i.annotation_id is not null and not exists (
          select from labelcrew.annotations a where a.id = i.annotation_id and a.item_id = i.id and a.current
        )
    """,
    "an open item has answers enough": """
        select i.id from labelcrew.items i join labelcrew.datasets d on d.id = i.dataset_id
        where i.state in ('new', 'drafted', 'returned')
          and cardinality(i.answered_by) >= coalesce((d.settings ->> 'overlap')::int, 1) + i.extra_overlap
    """,
    "a counter is wrong": """
        select coalesce(c.dataset_id, t.dataset_id)
        from (select dataset_id, state, sum(n) as n from labelcrew.item_counts group by 1, 2) c
          full join (select dataset_id, state, count(*) as n from labelcrew.items group by 1, 2) t
          using (dataset_id, state)
        where coalesce(c.n, 0) <> coalesce(t.n, 0)
    """,
    "the table of labels is wrong": """
        (select dataset_id, label, seq, item_id from labelcrew.item_labels
         except select i.dataset_id, l, i.seq, i.id from labelcrew.items i, unnest(i.labels) l)
        union all
        (select i.dataset_id, l, i.seq, i.id from labelcrew.items i, unnest(i.labels) l
         except select dataset_id, label, seq, item_id from labelcrew.item_labels)
    """,
    "an item's labels or source are not those of its answer": """
        select i.id from labelcrew.items i
          left join labelcrew.annotations a on a.id = i.annotation_id
          left join labelcrew.predictions p on p.id = i.draft_id
        where i.labels is distinct from labelcrew.labels_of(coalesce(a.payload, p.payload))
          or i.source is distinct from coalesce(a.source, p.route)
    """,
    "an item is reviewed without a question to level 3, or the other way round": """
        select i.id from labelcrew.items i
        where (i.state = 'reviewed') <> exists (
          select from labelcrew.arbitrations q where q.item_id = i.id and q.closed_at is null
        )
    """,
    "somebody reviewed their own work": """
        select r.item_id from labelcrew.reviews r
        where r.withdrawn_at is null and exists (
          select from labelcrew.annotations a
          where a.item_id = r.item_id and a.user_id = r.reviewer_id and a.source = 'human' and a.withdrawn_at is null
            and a.level < r.level and a.number < (
              select max(n.number) from labelcrew.annotations n where n.id in (r.annotation_id, r.correction_id)
            )
        )
    """,
    "who reviewed an item is not who has a review of it that stands": """
        select i.id from labelcrew.items i
        where array(select u from unnest(i.reviewed_by) u order by 1) is distinct from array(
          select distinct r.reviewer_id from labelcrew.reviews r
          where r.item_id = i.id and r.withdrawn_at is null order by 1
        )
    """,
    "the last move of an item did not lead to its state": """
        select i.id from labelcrew.items i
        where i.state <> coalesce((
          select m.to_state from labelcrew.item_moves m where m.item_id = i.id order by m.id desc limit 1
        ), 'new')
    """,
    "a move does not begin where the one before has ended": """
        select item_id from (
          select item_id, from_state, lag(to_state, 1, 'new') over (partition by item_id order by id) as before
          from labelcrew.item_moves
        ) m where from_state <> before
    """,
    "a decided item waits for somebody": """
        select i.id from labelcrew.items i where i.annotation_id is not null and i.reserved_for is not null
    """,
    "an answer to gold is among the answers": """
        select g.item_id from labelcrew.gold_answers g join labelcrew.annotations a using (item_id, user_id)
        where g.withdrawn_at is null and a.level = 1 and a.source = 'human' and a.number > 0 and a.created_at > g.created_at
    """,
    "a revision is missing": """
        select item_id from labelcrew.annotations group by item_id, user_id having max(revision) <> count(*)
    """,
}


_ALL = " union all ".join(
    f"select '{what.replace(chr(39), chr(39) * 2)}' where exists ({query})" for what, query in QUESTIONS.items()
)


def contradictions(connection: psycopg.Connection) -> list[str]:
    """The sentences above that are true; there should be none."""
    return [str(what) for (what,) in connection.execute(_ALL.encode(), prepare=True).fetchall()]


def consistent(dsn: str) -> bool:
    """Whether the tables agree with each other: fails with the sentences that are true, else is true."""
    with psycopg.connect(dsn) as connection:
        assert contradictions(connection) == []
    return True
