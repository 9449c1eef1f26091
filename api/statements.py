"""Statements and payouts as CSV that a spreadsheet may open: cells that it would run as a formula are made harmless."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from formats.delimited import Encoder
from store.rpc import Rpc

PAGE = 5_000
STATEMENT = (
    "created_at", "kind", "amount", "balance", "currency", "item_id", "level", "seconds", "note", "payout_id",
    "transaction",
)  # fmt: skip
PAYOUTS = (
    "batch_id", "payout_id", "provider", "name", "email", "account", "amount", "currency", "state", "reference", "user_id",
)  # fmt: skip


async def statement_csv(rpc: Rpc, actor: str, dataset: str, user: str | None) -> Response:
    """All lines of a person's statement."""
    encoder = Encoder(STATEMENT)
    parts = []
    after = 0
    while lines := await rpc.call("list_statement", actor=actor, dataset=dataset, user=user, after=after, limit=PAGE):
        after = lines[-1]["id"]
        parts.append(encoder.encode([{name: line[name] for name in STATEMENT} for line in lines]))
        if len(lines) < PAGE:
            break
    parts.append(encoder.finish())
    return _attachment(parts, f"statement-{user or actor}.csv")


def payouts_csv(batches: Iterable[dict[str, Any]], dataset: str) -> Response:
    """A line a payout."""
    encoder = Encoder(PAYOUTS)
    rows = [{**batch, **payout, "payout_id": payout["id"]} for batch in batches for payout in batch["payouts"]]
    parts = [encoder.encode([{name: row[name] for name in PAYOUTS} for row in rows]), encoder.finish()]
    return _attachment(parts, f"payouts-{dataset}.csv")


def _attachment(parts: Iterable[bytes], name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(b"".join(parts), media_type="text/csv", headers=headers)
