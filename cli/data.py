"""`labelcrew import`, `prelabel` and `export`: the same jobs and files as over HTTP, from the server's own terminal."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from cli.console import say
from cli.jobs import follow, tell_end
from cli.opening import find_dataset, operator, with_store
from jobs.places import place_of
from schemas.errors import NotFound, error_of
from schemas.labelsets import Labelset
from schemas.settings import Settings
from schemas.world import Job
from store.opening import Store
from store.rpc import Rpc


def run_import(
    source: Path, *, dataset: str, text_column: str | None, id_column: str | None, label_column: str | None,
    labels_as: str, labelset: Path | None, classes: str | None, data_dir: Path | None,
) -> None:  # fmt: skip
    """Import a file, into a new dataset if there is none of that name."""
    if labels_as not in ("annotations", "predictions"):
        raise error_of("invalid", f"--labels-as takes annotations or predictions, not {labels_as!r}")
    if not source.is_file():
        raise error_of("unreadable-file", f"there is no file {source}")
    wanted = _labelset(labelset, classes)

    async def work(configured: Settings, store: Store) -> Job:
        actor = await operator(store)
        try:
            found = await find_dataset(store, actor, dataset)
        except NotFound:
            found = await create_dataset(store, actor, dataset, wanted)
            say(f"dataset {dataset!r} created")
        options = {
            "text_column": text_column, "id_column": id_column, "label_column": label_column,
            "labels_as": labels_as.removesuffix("s"),
        }  # fmt: skip
        job = await order_import(configured, store, actor, found["id"], source, options)
        return await follow(configured, store, job["id"])

    job = with_store(data_dir, work)
    tell_end(job)
    if job.state == "done":
        tell_import(job)


def run_prelabel(
    *, dataset: str, model: str | None, budget: float | None, estimate_only: bool, data_dir: Path | None
) -> None:
    """Estimate, then draft every item that no person has answered."""

    async def work(configured: Settings, store: Store) -> Job | None:
        from jobs.orders import check_order, estimate_order

        actor = await operator(store)
        found = await find_dataset(store, actor, dataset)
        params = check_order(configured, "prelabel", {"model": model} if model else {}, budget_usd=budget)
        plan = await estimate_order(store, configured, actor, found["id"], "prelabel", params)
        price = "price unknown" if plan.cost_usd is None else f"${plan.cost_usd:.4f}"
        say(f"{plan.items:,} items, {plan.model}, about {price} and {plan.minutes:.1f} minutes")
        if estimate_only:
            return None
        job = await store.call(
            "create_job", actor=actor, dataset=found["id"], kind="prelabel", params=params, budget_usd=budget
        )
        return await follow(configured, store, job["id"])

    job = with_store(data_dir, work)
    if job is not None:
        tell_end(job)
        say(f"{job.done:,} drafted, {job.failed:,} failed, ${job.cost_usd:.4f} spent")


def run_export(*, dataset: str, out: Path, states: list[str] | None, provenance: bool, data_dir: Path | None) -> None:
    """Write the labels to a file, under its name only when it is whole."""
    name = out.suffix.lstrip(".")

    async def work(_: Settings, store: Store) -> int:
        from formats.exporting import RowExporter, check_export, export_columns
        from formats.writing import WriteOptions, encode_pages

        actor = await operator(store)
        found = await find_dataset(store, actor, dataset)
        if found["labelset"] is None:
            raise error_of("no-labelset")
        labelset = Labelset.model_validate(found["labelset"])
        check_export(name, labelset)
        part = out.with_name(f".{out.name}.part")
        pages = _Pages(store, actor, found["id"], RowExporter(labelset, provenance=provenance), states)
        options = WriteOptions(columns=export_columns(labelset, provenance=provenance))
        try:
            with part.open("wb") as sink:
                async for piece in encode_pages(name, pages.read(), options):
                    sink.write(piece)
            part.replace(out)
        except OSError as failure:
            raise error_of("disk-full", f"{out}: {failure.strerror}") from None
        finally:
            part.unlink(missing_ok=True)
        return pages.rows

    say(f"{with_store(data_dir, work):,} rows -> {out}")


async def create_dataset(store: Rpc, actor: str, name: str, wanted: tuple[Labelset, str] | None) -> dict[str, Any]:
    """A new text dataset, with a labelset and guidelines where they are given."""
    labelset, guidelines = wanted or (None, "")
    found: dict[str, Any] = await store.call("create_dataset", actor=actor, name=name, guidelines=guidelines)
    if labelset is not None:
        await store.call(
            "create_labelset",
            actor=actor, dataset=found["id"], kind=labelset.kind, multi=labelset.multi,
            allow_overlap=labelset.allow_overlap, classes=[c.model_dump(mode="json") for c in labelset.classes],
        )  # fmt: skip
    return found


async def order_import(
    configured: Settings, store: Rpc, actor: str, dataset: str, source: Path, options: dict[str, Any]
) -> dict[str, Any]:
    """Put a copy of the file where uploads wait, and order its import, as an upload over HTTP does."""
    folder = configured.data_path / "uploads" / secrets.token_hex(16)
    folder.mkdir(parents=True, mode=0o700)
    stored = folder / ("file" + "".join(source.suffixes[-2:]))
    shutil.copyfile(source, stored)
    params = {"place": place_of(configured), "upload": f"{folder.name}/{stored.name}", "filename": source.name}
    params |= {name: value for name, value in options.items() if value is not None}
    job: dict[str, Any] = await store.call("create_job", actor=actor, dataset=dataset, kind="import", params=params)
    return job


def tell_import(job: Job) -> None:
    """What an import did, and the first rows that it did not take."""
    result = job.result
    say(f"{result['created']:,} items new, {result['existing']:,} there before, {result['rejected']:,} rows not taken")
    for notice in result.get("notices", []):
        say(notice)


def _labelset(path: Path | None, classes: str | None) -> tuple[Labelset, str] | None:
    if path is not None:
        from formats.labelset_file import read_labelset

        return read_labelset(path)
    if classes is not None:
        from cli.labeling import labelset_of

        return labelset_of([name.strip() for name in classes.split(",") if name.strip()], multi=False), ""
    return None


class _Pages:
    """The rows of an export, page by page; ``rows`` counts them."""

    def __init__(self, store: Store, actor: str, dataset: str, exporter: Any, states: list[str] | None) -> None:
        self._store = store
        self._call: dict[str, Any] = {
            "actor": actor, "dataset": dataset, "filters": {"states": states} if states else {},
        }  # fmt: skip
        self._exporter = exporter
        self.rows = 0

    async def read(self) -> AsyncIterator[list[dict[str, Any]]]:
        after = 0
        while after is not None:
            page = await self._store.call("export_items", **self._call, after=after, limit=5000, compact=True)
            self.rows += len(page["rows"])
            yield self._exporter.page(page)
            after = page["next"]
