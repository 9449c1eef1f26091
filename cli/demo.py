"""`labelcrew demo`: a data set imported and pre-labelled before your eyes, and the workspace opened on it."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.console import err, out, progress, say, table
from cli.data import create_dataset, order_import, tell_import
from cli.jobs import ENDED, LOOK_EVERY_S, tell_end
from cli.opening import operator, settings_with
from cli.scores import Scores, score
from cli.serve import open_browser, say_about_workspace, serve_with_workers
from schemas.errors import Invalid, LabelCrewError
from schemas.labelsets import Labelset
from schemas.payloads import Payload
from schemas.settings import Settings
from schemas.world import Draft, Job
from store.rpc import Rpc

SAMPLE_NAME = "Customer messages (demo)"
WORKER_PATIENCE_S = 60.0


def run(*, file: Path | None, port: int | None, data_dir: Path | None, once: bool, classes: str | None) -> None:
    """Import, pre-label, say what came out, keep serving; ``once`` stops there instead."""
    configured = settings_with(port=port, data_dir=data_dir)
    quiet = "warning" if configured.log_level == "info" else configured.log_level
    configured = configured.model_copy(update={"workers": max(1, configured.workers), "log_level": quiet})
    demo = Demo(configured, file, classes)

    async def ready(_: Settings, rpc: Rpc) -> None:
        try:
            await demo.show(rpc)
        except LabelCrewError as error:
            demo.error = error
            _stop()
            return
        if once:
            _stop()

    serve_with_workers(configured, ready)
    if demo.error is not None:
        raise demo.error


class Demo:
    """One demonstration: where its rows come from, and what is said about them."""

    def __init__(self, configured: Settings, file: Path | None, classes: str | None) -> None:
        self._settings = configured
        self._file = file
        self._labelset, self._guidelines, self._gold = _plan(file, classes)
        self._name = SAMPLE_NAME if file is None else file.name
        self.error: LabelCrewError | None = None

    async def show(self, rpc: Rpc) -> None:
        """All of it, a line or a table a step."""
        from api.bootstrap import ADMIN_EMAIL, login_link_for, public_address

        actor = await operator(rpc)
        dataset = await self._dataset(rpc, actor)
        if dataset["items"] == 0:
            with _without_answers(self._file) as rows:
                job = await order_import(
                    self._settings, rpc, actor, dataset["id"], rows, {"filename": self._name, "embed": False}
                )
                tell_import(await _followed(rpc, job["id"], "import"))
        job = await rpc.call("create_job", actor=actor, dataset=dataset["id"], kind="prelabel", params={})
        done = await _followed(rpc, job["id"], "pre-label")
        say(f"{done.done:,} items drafted by {done.result.get('model') or 'nobody'}, ${done.cost_usd:.4f}")
        await self._tell_scores(rpc, actor, dataset["id"])
        email = (await rpc.call("get_user", actor=actor))["email"] or ADMIN_EMAIL
        link = await login_link_for(self._settings, rpc, email)
        say_about_workspace()
        _say_what_to_try(self._name, public_address(self._settings), link)
        open_browser(link)

    async def _dataset(self, rpc: Rpc, actor: str) -> dict[str, Any]:
        for dataset in await rpc.call("list_datasets", actor=actor):
            if dataset["name"] == self._name:
                say(f"dataset {self._name!r} is there from before, with {dataset['items']:,} items")
                return dict(dataset)
        made = await create_dataset(rpc, actor, self._name, (self._labelset, self._guidelines))
        return {**made, "items": 0}

    async def _tell_scores(self, rpc: Rpc, actor: str, dataset: str) -> None:
        """How the drafts compare with the gold labels, which the server was never shown."""
        if not self._gold:
            return
        gold: list[Payload | None] = []
        drafts: list[Draft] = []
        after = 0
        while after is not None:
            page = await rpc.call(
                "export_items", actor=actor, dataset=dataset, filters={"states": ["drafted"]}, after=after, limit=2000
            )
            for row in page["rows"]:
                gold.append(self._gold.get(row["external_id"] or row["text"]))
                drafts.append(Draft.model_validate({**row, "item_id": row["id"], "usage": {}}))
            after = page["next"]
        scores = score(gold, drafts)
        if scores is not None:
            _show_scores(scores, sum(1 for g in gold if g is not None))


def _plan(file: Path | None, classes: str | None) -> tuple[Labelset, str, dict[str, Payload]]:
    """Labelset, guidelines and gold answers (by id or text), where there are any. Raises before anything is started."""
    from cli.labeling import labelset_of
    from formats.labels import PayloadReader, infer_classes
    from formats.labelset_file import read_labelset
    from formats.reading import open_rows
    from formats.rows import ReadOptions, Row

    if file is None:
        import examples

        file, (labelset, guidelines) = examples.DATA, read_labelset(examples.LABELSET)
    else:
        labelset, guidelines = None, ""
    with open_rows(file, ReadOptions(guess_label=True)) as reader:
        rows = [row for row in reader if isinstance(row, Row)]
    written = [row.label for row in rows if row.label not in (None, "")]
    if classes:
        labelset = labelset_of([name.strip() for name in classes.split(",") if name.strip()], multi=False)
    elif labelset is None:
        if not written:
            raise Invalid(
                f"{file.name} has no label column, so the classes are not known",
                hint='Name them: make demo FILE=... CLASSES="positive,negative".',
            )
        labelset = labelset_of(infer_classes(written), multi=False)
    read = PayloadReader(labelset)
    gold: dict[str, Payload] = {}
    for row in rows:
        with contextlib.suppress(LabelCrewError):
            payload = read.of_row(row)
            if payload is not None:
                gold[row.external_id or row.text] = payload
    return labelset, guidelines, gold


@contextlib.contextmanager
def _without_answers(file: Path | None) -> Iterator[Path]:
    """The rows without their gold labels, so that neither model nor people are shown them."""
    import examples
    from formats.reading import open_rows
    from formats.rows import ReadOptions, Row

    with (
        tempfile.TemporaryDirectory() as folder,
        open_rows(file or examples.DATA, ReadOptions(guess_label=True)) as reader,
    ):
        target = Path(folder) / "rows.csv"
        with target.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["id", "text"])
            for row in reader:
                if isinstance(row, Row):
                    writer.writerow([row.external_id or "", row.text])
        yield target


async def _followed(rpc: Rpc, job_id: str, what: str) -> Job:
    """Show a job's progress until it ends. Raises what it failed of."""
    with progress() as bar:
        task = bar.add_task(what, total=None, note="")
        while True:
            job = Job.model_validate(await rpc.call("find_job", job=job_id))
            bar.update(task, completed=job.done + job.failed, total=job.total)
            if job.state in ENDED:
                break
            await asyncio.sleep(LOOK_EVERY_S)
    tell_end(job)
    return job


def _show_scores(scores: Scores, known: int) -> None:
    out.print(f"against {known:,} gold labels that no model was shown:", markup=False)
    table("", ["accuracy", "macro-F1", "ECE", "AUROC", "completion"], [scores.cells()])


def _say_what_to_try(name: str, address: str, link: str) -> None:
    err.print(f"\nThe workspace is on {address}", markup=False, style="bold")
    err.print(f"Sign in, once, with: {link}", markup=False, soft_wrap=True)
    err.print(
        f"\nOpen {name!r}, press Annotate, and use the keyboard: A accepts a draft, 1-9 choose a class,\n"
        "/ finds one by name, U takes back, ? shows the rest. After a few answers the drafts get better.\n"
        "Your own file: make demo FILE=reviews.csv CLASSES=positive,negative. Ctrl-C stops the server, losing nothing.",
        markup=False,
        soft_wrap=True,
    )


def _stop() -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGINT)
