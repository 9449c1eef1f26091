"""The assistant's tools: questions to the store under the rights of the person who asks, and checked proposals.

Every call carries that person's id, so the database decides what they may see. Nothing here changes anything: a proposal
is validated like the request that it stands for, and handed back.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from crews.guidance import Found, Tool
from jobs.hints import findings_for, hint_for, passages_for
from jobs.search import search
from jobs.vectors import embed_texts
from learning.passages import rank_passages
from schemas.errors import LabelCrewError, error_of
from schemas.guidance import ActionRequest, Proposal
from schemas.labelsets import Labelset, check_payload
from schemas.payloads import Classification, labels_of, parse_payload
from schemas.settings import Settings
from store.rpc import Rpc

SHOWN = 6
TEXT_CHARACTERS = 400
OPEN_CHARACTERS = 4_000
LINES = 5
LONGEST_LINE = 300
RANKS = {"annotator": 1, "reviewer": 2, "super_reviewer": 3, "admin": 4}


@dataclass
class Desk:
    """One person's question: who asks, about which dataset, with which item open."""

    rpc: Rpc
    settings: Settings
    actor: str
    dataset: dict[str, Any]
    item: dict[str, Any] | None = None
    known: dict[int, str] = field(default_factory=dict)
    """Ids of items that were shown, by number."""
    labelset: Labelset | None = field(init=False)
    """The newest one."""

    def __post_init__(self) -> None:
        found = self.dataset["labelset"]
        self.labelset = Labelset.model_validate(found) if found else None

    @property
    def id(self) -> str:
        """Of the dataset."""
        return str(self.dataset["id"])

    def may(self, role: str) -> bool:
        """Whether who asks has at least this role here."""
        return RANKS[self.dataset["role"]] >= RANKS[role]

    async def ask(self, function: str, **params: Any) -> Any:
        """A call on this dataset, as the person who asks."""
        return await self.rpc.call(function, actor=self.actor, dataset=self.id, **params)

    async def find(self, name: str) -> dict[str, Any]:
        """An item by number, id or external id; the open one for an empty name. Raises ``blind-item``."""
        name = name.strip()
        if name.lower() in {"", "open", "this", "current"}:
            if self.item is None:
                raise error_of("invalid", "no item is open; name one by its #number")
            name = self.item["id"]
        found = await self.ask("find_item", name=name)
        if found["blind"]:
            raise error_of("blind-item")
        item: dict[str, Any] = found["item"]
        return item

    def names(self, payload: dict[str, Any] | None) -> list[str]:
        """The names of a payload's classes."""
        labelset = self.labelset
        if payload is None or labelset is None:
            return []
        return [labelset.name_of(key) for key in labels_of(parse_payload(payload))]

    def shown(self, item: dict[str, Any], *, characters: int = TEXT_CHARACTERS, labels: bool = True) -> dict[str, Any]:
        """An item as the model reads it. The draft is left to ``suggest_label``."""
        row = {"item": f"#{item['seq']}", "state": item["state"], "text": (item["text"] or "")[:characters]}
        if item.get("external_id"):
            row["external_id"] = item["external_id"]
        if labels and item.get("annotation") and item["state"] == "verified":
            row["verified_labels"] = self.names(item["annotation"]["payload"])
        return row

    def found(self, items: list[dict[str, Any]], value: Any, summary: str) -> Found:
        """A result that shows these items."""
        self.known.update({item["seq"]: item["id"] for item in items})
        return Found(
            value,
            texts={item["seq"]: item["text"] or "" for item in items},
            items={item["seq"]: item["id"] for item in items},
            summary=summary,
        )


def tools_of(desk: Desk) -> list[Tool]:
    """The tools that a person has; reviewers and admins have more."""
    text = {"type": "string"}
    item = {"type": "string", "description": "#number, id or external id; empty for the open item"}
    why = {"type": "string", "description": "One sentence for the user."}
    made = [
        _tool(desk, get_item, "An item's text and state.", item=item),
        _tool(desk, similar_items, "Verified items most like an item, with their labels.", item=item),
        _tool(desk, search_items, "Items by words and by meaning.", query=text),
        _tool(desk, look_up_guidelines, "Lines of the guidelines about something.", query=text),
        _tool(desk, suggest_label, "The likely label of an item, why, and what it is confused with.", item=item),
        _tool(desk, get_progress, "How many items are in which state, and how good the student is."),
        _tool(desk, list_jobs, "The newest jobs, their progress and cost."),
        _tool(desk, next_items, "What to label next, and why."),
    ]
    if desk.may("reviewer"):
        made.append(_tool(desk, list_conflicts, "Open conflicts: doubtful labels, the worst first."))
    names = [c.name for c in desk.labelset.active] if desk.labelset else []
    if names and len(names) <= 250 and desk.labelset and desk.labelset.kind == "classification":
        labels = {"type": "array", "items": {"type": "string", "enum": names}}
        about = "Show the user a button that sets an item's label."
        made.append(_tool(desk, propose_label, about, item=item, labels=labels, why=why))
    if desk.may("admin"):
        kinds = {"type": "string", "enum": ["prelabel", "train", "embed", "rank", "export"]}
        made.append(_tool(desk, propose_job, "Show the user a button that starts a job.", kind=kinds, why=why))
        about = "Show the user a button that adds a line to the guidelines."
        made.append(_tool(desk, propose_guideline, about, line=text, why=why))
    return made


def _tool(desk: Desk, run: Callable[..., Awaitable[Found]], description: str, **properties: dict[str, Any]) -> Tool:
    parameters = {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip
    return Tool(run.__name__, description, parameters, lambda values: run(desk, **values))


# looking up ------------------------------------------------------------------------------------------------------------


async def get_item(desk: Desk, item: str) -> Found:
    """One item."""
    found = await desk.find(_text(item))
    return desk.found([found], desk.shown(found, characters=OPEN_CHARACTERS), f"looked at #{found['seq']}")


async def similar_items(desk: Desk, item: str) -> Found:
    """Verified neighbours of an item."""
    found = await desk.find(_text(item))
    basis = await desk.rpc.call("get_hint_basis", actor=desk.actor, item=found["id"], limit=SHOWN)
    near = basis["neighbours"]
    rows = [
        {
            "item": f"#{row['seq']}",
            "labels": desk.names(row["payload"]),
            "similarity": round(row["similarity"], 2),
            "text": (row["text"] or "")[:TEXT_CHARACTERS],
        }
        for row in near
    ]
    return desk.found(near, {"similar_verified_items": rows}, f"found {len(rows)} similar verified items")


async def search_items(desk: Desk, query: str) -> Found:
    """Items by words, meaning and the classes that are named, in one ranking."""
    query = _text(query).strip()[:500]
    hits = (await search(desk.rpc, desk.actor, desk.id, q=query, limit=2 * SHOWN))["hits"] if query else []
    kept = [hit["item"] for hit in hits]
    rows = [desk.shown(item, labels=desk.may("reviewer")) for item in kept]
    return desk.found(kept, {"items": rows}, f"found {len(rows)} items")


async def look_up_guidelines(desk: Desk, query: str) -> Found:
    """Guideline lines that a question is about."""
    passages, vectors = await passages_for(desk.dataset["guidelines"])
    query = _text(query)[:2_000]
    vector = (await embed_texts([query]))[0] if passages and query else None
    names = [c.name for c in desk.labelset.active if c.name.casefold() in query.casefold()] if desk.labelset else []
    ranked = [passages[index] for index in rank_passages(passages, vectors, query, vector, names, LINES)]
    value = (
        {"lines": [{"line": p.line, "text": p.whole} for p in ranked]} if passages else {"note": "no guidelines yet"}
    )
    return Found(value, lines=[p.line for p in ranked], summary=f"found {len(ranked)} guideline lines")


async def suggest_label(desk: Desk, item: str) -> Found:
    """The hint for an item."""
    found = await desk.find(_text(item))
    hint = await hint_for(desk.rpc, desk.settings, desk.actor, found["id"], worded=False)
    labelset = desk.labelset
    assert labelset is not None
    value = {
        "item": f"#{found['seq']}",
        "label": desk.names(hint["payload"]),
        "probability": hint["probability"],
        "alternatives": {labelset.name_of(s["label"]): s["probability"] for s in hint["suggestions"]},
        "why": hint["why"],
        "easily_taken_for": _confusion(labelset, hint["confusion"]),
        "guideline_lines": {str(line["line"]): line["text"] for line in hint["guideline_lines"]},
        "similar": [
            {"item": f"#{e['seq']}", "labels": desk.names(e["payload"]), "text": e["text"][:TEXT_CHARACTERS]}
            for e in hint["examples"]
        ],
    }
    examples = [{"id": e["item_id"], "seq": e["seq"], "text": e["text"]} for e in hint["examples"]]
    result = desk.found([found, *examples], value, f"looked for the label of #{found['seq']}")
    result.lines = [line["line"] for line in hint["guideline_lines"]]
    return result


def _confusion(labelset: Labelset, confusion: dict[str, Any] | None) -> dict[str, str] | None:
    if confusion is None:
        return None
    return {"label": labelset.name_of(confusion["rival"]), "tell_apart": confusion["tell_apart"]}


async def get_progress(desk: Desk) -> Found:
    """Counts and quality."""
    now = await desk.ask("get_dataset")
    student = await desk.rpc.call("get_student", dataset=desk.id)
    value: dict[str, Any] = {"items": now["items"], "states": {k: n for k, n in now["states"].items() if n}}
    if student:
        value["student"] = {"trained_on": student["trained_on"], "metrics": student["metrics"]}
    if desk.may("reviewer"):
        value["hints"] = await desk.ask("get_hint_effect")
        value["open_conflicts"] = (await desk.ask("list_conflicts", limit=1))["counts"]
    return Found(value, summary="counted the items")


async def list_jobs(desk: Desk) -> Found:
    """The newest jobs."""
    jobs = await desk.ask("list_jobs", limit=5)
    kept = ("kind", "state", "done", "total", "failed", "cost_usd", "eta_seconds", "note")
    return Found({"jobs": [{key: job[key] for key in kept} for job in jobs]}, summary=f"found {len(jobs)} jobs")


async def list_conflicts(desk: Desk) -> Found:
    """The worst open conflicts."""
    page = await desk.ask("list_conflicts", limit=SHOWN)
    rows = [
        {
            "kind": row["kind"],
            "severity": round(row["severity"], 2),
            "item": f"#{row['item']['seq']}" if row["item"] else None,
            "text": ((row["item"] or {}).get("text") or "")[:TEXT_CHARACTERS],
            "summary": row["evidence"].get("summary", ""),
        }
        for row in page["conflicts"]
    ]
    items = [
        {**row["item"], "text": f"{row['item']['text'] or ''}\n{row['evidence'].get('summary', '')}"}
        for row in page["conflicts"]
        if row["item"]
    ]
    return desk.found(items, {"open": page["counts"], "worst": rows}, f"found {len(rows)} open conflicts")


async def next_items(desk: Desk) -> Found:
    """The head of the queue."""
    page = await desk.ask("list_items", states=["new", "drafted", "returned"], sort="priority", limit=SHOWN)
    ranked = any(item["priority"] > 0 for item in page["items"])
    why = "chosen because they teach the student most" if ranked else "in the order in which they came"
    rows = [desk.shown(item) for item in page["items"]]
    return desk.found(page["items"], {"next": rows, "order": why}, f"looked at the next {len(rows)} items")


# proposing -------------------------------------------------------------------------------------------------------------


async def propose_label(desk: Desk, item: str, labels: list[str], why: str) -> Found:
    """A label for an item, as the labelset allows it."""
    found = await desk.find(_text(item))
    labelset = desk.labelset
    assert labelset is not None
    keys = [labelset.key_of(str(name)) for name in labels] if isinstance(labels, list) else [None]
    if not all(keys):
        raise error_of("invalid-payload", "there is no such class")
    payload = check_payload(labelset, Classification(labels=tuple(key for key in keys if key)))
    names = [labelset.name_of(key) for key in keys if key]
    body = {"payload": payload.model_dump(mode="json"), "labelset_version": labelset.version}
    proposal = Proposal(
        id=str(uuid.uuid4()),
        kind="set_label",
        title=f"Label #{found['seq']} as {', '.join(names) or 'none'}",
        why=_text(why)[:500],
        item_id=found["id"],
        payload=payload,
        request=ActionRequest(method="PUT", path=f"/v1/items/{found['id']}/annotation", body=body),
    )
    called = [f"#{found['seq']}", found["id"]]
    return Found(
        {"names": [*called, *names]},
        texts={found["seq"]: found["text"] or ""},
        items={found["seq"]: found["id"]},
        proposal=proposal,
        supported=await _supported(desk, found, labels_of(payload)),
        summary=proposal.title,
    )


async def _supported(desk: Desk, item: dict[str, Any], labels: list[str]) -> bool:
    """Whether the statistics suggest these labels."""
    try:
        draft = (await findings_for(desk.rpc, desk.settings, desk.actor, item["id"])).draft
    except LabelCrewError:
        return False
    return draft is not None and draft.payload is not None and set(labels_of(draft.payload)) == set(labels)


async def propose_job(desk: Desk, kind: str, why: str) -> Found:
    """A job that the person may order, with the usual parameters."""
    from jobs.orders import check_order

    if not desk.may("admin"):
        raise error_of("forbidden", "only admins start jobs")
    order = {"kind": kind, "params": check_order(desk.settings, _text(kind), {})}
    proposal = Proposal(
        id=str(uuid.uuid4()),
        kind="start_job",
        title=f"Start a job: {kind}",
        why=_text(why)[:500],
        job=order,
        request=ActionRequest(method="POST", path=f"/v1/datasets/{desk.id}/jobs", body=order),
    )
    return Found({}, proposal=proposal, summary=proposal.title)


async def propose_guideline(desk: Desk, line: str, why: str) -> Found:
    """One more line of the guidelines."""
    if not desk.may("admin"):
        raise error_of("forbidden", "only admins change the guidelines")
    line = " ".join(_text(line).split()).lstrip("-*#> ")
    if not 3 <= len(line) <= LONGEST_LINE:
        raise error_of("invalid", f"a guideline line has 3 to {LONGEST_LINE} characters")
    guidelines = desk.dataset["guidelines"].rstrip()
    whole = f"{guidelines}\n- {line}\n" if guidelines else f"- {line}\n"
    proposal = Proposal(
        id=str(uuid.uuid4()),
        kind="add_guideline",
        title=f"Add to the guidelines: {line}",
        why=_text(why)[:500],
        line=line,
        request=ActionRequest(method="PATCH", path=f"/v1/datasets/{desk.id}", body={"guidelines": whole}),
    )
    return Found({}, proposal=proposal, summary=proposal.title)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise error_of("invalid", "a text is needed")
    return value
