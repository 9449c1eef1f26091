"""`labelcrew audit`: whether the audit log is as it was written, and the log as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cli.console import out, say
from cli.opening import find_dataset, operator, with_store
from schemas.errors import error_of
from schemas.settings import Settings
from store.opening import Store

SEALS_AT_ONCE = 20


def run_verify(dataset: str | None, *, file: Path | None, expect: str | None, data_dir: Path | None) -> bool:
    """Check one chain, or all; True when whole. With ``file``, an exported log and no database."""
    if file is not None:
        return _verify_file(file, expect)

    async def work(_: Settings, store: Store) -> bool:
        actor = await operator(store)
        if dataset is None:
            chains = await store.call("list_audits", actor=actor)
            if not chains:
                say("nothing is sealed yet: a worker seals events within seconds")
        else:
            chains = [await _chain(store, actor, dataset)]
        whole = [await _verify_chain(store, actor, chain) for chain in chains]
        if expect is not None and not await _is_found(store, actor, chains, expect):
            _not_found(expect)
            return False
        return all(whole)

    return with_store(data_dir, work)


def run_export(dataset: str, *, to: Path, data_dir: Path | None) -> None:
    """Write a dataset's log to a file."""

    async def work(_: Settings, store: Store) -> int:
        actor = await operator(store)
        chain = await _chain(store, actor, dataset)
        lines, after = 0, 0
        with to.open("w", encoding="utf-8") as file:
            while True:
                page = await store.call(
                    "export_audit", actor=actor, dataset=chain["dataset_id"], after=after, operator=True, timeout=120
                )
                file.writelines(f"{line}\n" for line in page["lines"])
                lines += len(page["lines"])
                if page["next"] is None:
                    return lines
                after = page["next"]

    say(f"{with_store(data_dir, work):,} lines written to {to}")


async def _chain(store: Store, actor: str, named: str) -> dict[str, Any]:
    """A chain by its dataset's name or id; a dataset that is gone is known by its id alone."""
    for chain in await store.call("list_audits", actor=actor):
        if named in {chain["dataset_id"], chain["name"]}:
            return dict(chain)
    found = await find_dataset(store, actor, named)
    return {"dataset_id": found["id"], "name": found["name"]}


async def _verify_chain(store: Store, actor: str, chain: dict[str, Any]) -> bool:
    events, seals, after = 0, 0, 0
    head: str | None = None
    name = chain["name"] or chain["dataset_id"] or "accounts"
    while True:
        found = await store.call(
            "verify_audit",
            actor=actor, dataset=chain["dataset_id"], after=after, most=SEALS_AT_ONCE, operator=True, timeout=120,
        )  # fmt: skip
        events, seals, head = events + found["events"], seals + found["seals"], found["head"] or head
        if found["broken"] is not None:
            out.print(f"{name}: broken {_sentence(found['broken'])}", style="red", markup=False, soft_wrap=True)
            return False
        if found["next"] is None:
            break
        after = found["next"]
    state = await store.call("get_audit", actor=actor, dataset=chain["dataset_id"], operator=True)
    later = f", {state['unsealed']:,} not sealed yet" if state["unsealed"] else ""
    words = f"{name}: whole, {events:,} events under {seals:,} seals{later}; head {head}"
    out.print(words, markup=False, soft_wrap=True)
    return True


def _sentence(broken: dict[str, Any]) -> str:
    if broken["event_id"] is None:
        return f"at seal {broken['seal']}: the seal itself is {broken['problem']}"
    return f"at event {broken['event_id']}, which was {broken['problem']} (seal {broken['seal']})".replace(
        "was missing", "is missing"
    )


async def _is_found(store: Store, actor: str, chains: list[dict[str, Any]], wanted: str) -> bool:
    for chain in chains:
        found = await store.call("find_seal", actor=actor, dataset=chain["dataset_id"], hash=wanted, operator=True)
        if found is not None:
            return True
    return False


def _verify_file(file: Path, expect: str | None) -> bool:
    from formats.audit import check_export

    try:
        with file.open("rb") as lines:
            found = check_export(lines)
    except OSError as failure:
        raise error_of("unreadable-file", f"{file}: {failure.strerror}") from None
    if found.broken is not None:
        out.print(f"broken: {found.broken}", style="red", markup=False, soft_wrap=True)
        return False
    if expect is not None and expect.lower() not in found.heads:
        _not_found(expect)
        return False
    later = f", {found.unsealed:,} not sealed yet" if found.unsealed else ""
    out.print(f"whole: {found.events:,} events under {found.seals:,} seals{later}; head {found.head}", soft_wrap=True)
    return True


def _not_found(expected: str) -> None:
    words = f"no seal has the hash {expected}: the chain was cut or rewritten"
    out.print(words, style="red", markup=False, soft_wrap=True)
