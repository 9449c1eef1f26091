"""The command's table of contents. Each command's module is imported only when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.console import fail

app = typer.Typer(
    name="labelcrew",
    help="Trustworthy labels: drafted by models, verified by people, licensed by statistics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
user_app = typer.Typer(help="People who may sign in.", no_args_is_help=True)
db_app = typer.Typer(help="The database.", no_args_is_help=True)
audit_app = typer.Typer(help="The audit log.", no_args_is_help=True)
jobs_app = typer.Typer(help="Durable jobs.", no_args_is_help=True)
app.add_typer(user_app, name="user")
app.add_typer(db_app, name="db")
app.add_typer(jobs_app, name="jobs")
app.add_typer(audit_app, name="audit")

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of the embedded database.", show_default="~/.labelcrew")
]
DatasetName = Annotated[str, typer.Option("--dataset", "-d", help="Name or id of the dataset.")]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Model that drafts.", show_default="what is configured")
]


@app.command()
def label(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="csv, tsv, jsonl, json, parquet, txt or conll; also .gz")
    ],
    text_column: Annotated[str | None, typer.Option(help="Column with the text.", show_default="guessed")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column with an id.", show_default="guessed")] = None,
    classes: Annotated[str | None, typer.Option(help="Class names, separated by commas.")] = None,
    labelset: Annotated[Path | None, typer.Option(help="YAML file with classes, descriptions and guidelines.")] = None,
    multi: Annotated[bool, typer.Option("--multi", help="Several classes may apply, or none.")] = False,
    model: Model = None,
    examples: Annotated[Path | None, typer.Option(help="Labelled rows to learn from.")] = None,
    gold_column: Annotated[str | None, typer.Option(help="Column with the true label: the run is scored.")] = None,
    out: Annotated[Path | None, typer.Option(help="jsonl, csv or parquet.", show_default="INPUT.labels.jsonl")] = None,
    budget: Annotated[float | None, typer.Option(help="Most that may be spent, in USD.")] = None,
    target_error: Annotated[
        float | None,
        typer.Option(help="Choose who answers each row, student, model, crew or a person, for this share of errors."),
    ] = None,
    human_minutes: Annotated[
        float | None, typer.Option(help="With --target-error: people's time to plan for.", show_default="no limit")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(help="Calls at once.", show_default="64")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Items a call.", show_default="10")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N rows.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Start over, overwriting the output.")] = False,
    json_summary: Annotated[bool, typer.Option("--json", help="Print a JSON summary as the last line.")] = False,
) -> None:
    """Label a file. Needs no server, no database and no key; run it again after an interruption and it continues."""
    from cli.label import LabelOptions, run

    run(
        LabelOptions(
            source=source, text_column=text_column, id_column=id_column, classes=classes, labelset=labelset,
            multi=multi, model=model, examples=examples, gold_column=gold_column, out=out, budget=budget,
            concurrency=concurrency, batch_size=batch_size, limit=limit, force=force, json_summary=json_summary,
            target_error=target_error, human_minutes=human_minutes,
        )
    )  # fmt: skip


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8000")] = None,
    data_dir: DataDir = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the browser.")] = False,
) -> None:
    """Start the server, its database and a worker."""
    from cli.serve import run

    run(host=host, port=port, data_dir=data_dir, browser=not no_browser)


@app.command()
def worker(
    data_dir: DataDir = None,
    tied: Annotated[bool, typer.Option("--tied", hidden=True, help="Stop when standard input closes.")] = False,
) -> None:
    """Start one more worker process; it shares the queue with the others."""
    from cli.worker import run

    run(data_dir=data_dir, tied=tied)


@app.command()
def demo(
    file: Annotated[Path | None, typer.Option(help="Your own file instead of the example.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8000")] = None,
    data_dir: DataDir = None,
    classes: Annotated[str | None, typer.Option(help="Class names of your file, separated by commas.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop after printing what came out.")] = False,
) -> None:
    """Import and pre-label a data set, print what came out, and open the workspace."""
    from cli.demo import run

    run(file=file, port=port, data_dir=data_dir, once=once, classes=classes)


@app.command(name="import")
def import_(
    source: Annotated[Path, typer.Argument(metavar="FILE")],
    dataset: DatasetName,
    text_column: Annotated[str | None, typer.Option(help="Column with the text.", show_default="guessed")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column with an id.", show_default="guessed")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column with existing labels.")] = None,
    labels_as: Annotated[str, typer.Option(help="annotations or predictions")] = "annotations",
    labelset: Annotated[Path | None, typer.Option(help="YAML file with classes, for a new dataset.")] = None,
    classes: Annotated[str | None, typer.Option(help="Class names, separated by commas, for a new dataset.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Import a file into a dataset, which is created if there is none of that name."""
    from cli.data import run_import

    run_import(
        source, dataset=dataset, text_column=text_column, id_column=id_column, label_column=label_column,
        labels_as=labels_as, labelset=labelset, classes=classes, data_dir=data_dir,
    )  # fmt: skip


@app.command()
def prelabel(
    dataset: DatasetName,
    model: Model = None,
    budget: Annotated[float | None, typer.Option(help="Most that may be spent, in USD.")] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Only say what it would cost.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Draft labels for every item of a dataset that no person has answered."""
    from cli.data import run_prelabel

    run_prelabel(dataset=dataset, model=model, budget=budget, estimate_only=estimate, data_dir=data_dir)


@app.command()
def export(
    dataset: DatasetName,
    out: Annotated[Path, typer.Option(help="jsonl, csv, tsv, json, parquet or conll, by its ending.")],
    state: Annotated[list[str] | None, typer.Option(help="Only items in this state; may be repeated.")] = None,
    provenance: Annotated[bool, typer.Option("--provenance", help="With model, route, cost and people.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Write a dataset's labels to a file."""
    from cli.data import run_export

    run_export(dataset=dataset, out=out, states=state, provenance=provenance, data_dir=data_dir)


@jobs_app.command("list")
def jobs_list(dataset: DatasetName, data_dir: DataDir = None) -> None:
    """The newest jobs of a dataset."""
    from cli.jobs import run_list

    run_list(dataset=dataset, data_dir=data_dir)


@jobs_app.command("watch")
def jobs_watch(job: Annotated[str, typer.Argument(help="Id of the job.")], data_dir: DataDir = None) -> None:
    """Follow a job until it ends."""
    from cli.jobs import run_watch

    run_watch(job, data_dir=data_dir)


@jobs_app.command("pause")
def jobs_pause(job: Annotated[str, typer.Argument(help="Id of the job.")], data_dir: DataDir = None) -> None:
    """Stop after the calls under way; resume goes on from there."""
    from cli.jobs import run_control

    run_control(job, "pause", data_dir=data_dir)


@jobs_app.command("resume")
def jobs_resume(
    job: Annotated[str, typer.Argument(help="Id of the job.")],
    budget: Annotated[float | None, typer.Option(help="A new budget for the whole job, in USD.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Go on with a paused job."""
    from cli.jobs import run_control

    run_control(job, "resume", budget=budget, data_dir=data_dir)


@jobs_app.command("cancel")
def jobs_cancel(job: Annotated[str, typer.Argument(help="Id of the job.")], data_dir: DataDir = None) -> None:
    """End a job; what it wrote stays."""
    from cli.jobs import run_control

    run_control(job, "cancel", data_dir=data_dir)


@user_app.command("add")
def user_add(
    email: str,
    name: Annotated[str, typer.Option(help="Name that others see.")] = "",
    password: Annotated[bool, typer.Option("--password", help="Ask for a password.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Create an account and print its sign-in link."""
    from cli.users import run_add

    run_add(email, name=name, ask_password=password, data_dir=data_dir)


@user_app.command("link")
def user_link(email: str, data_dir: DataDir = None) -> None:
    """Print a fresh sign-in link."""
    from cli.users import run_link

    run_link(email, data_dir=data_dir)


@user_app.command("list")
def user_list(data_dir: DataDir = None) -> None:
    """Every account: email, name, and what is special about it."""
    from cli.accounts import run_list

    run_list(data_dir=data_dir)


@user_app.command("deactivate")
def user_deactivate(email: str, data_dir: DataDir = None) -> None:
    """Switch an account off: its sessions, holds, invitations and tokens end."""
    from cli.accounts import run_deactivate

    run_deactivate(email, data_dir=data_dir)


@user_app.command("reactivate")
def user_reactivate(email: str, data_dir: DataDir = None) -> None:
    """Switch an account on again, with the roles it had."""
    from cli.accounts import run_reactivate

    run_reactivate(email, data_dir=data_dir)


@user_app.command("token")
def user_token(
    email: str,
    hours: Annotated[float, typer.Option(help="How long it lasts.")] = 12.0,
    data_dir: DataDir = None,
) -> None:
    """Print a bearer token for scripts."""
    from cli.users import run_token

    run_token(email, hours=hours, data_dir=data_dir)


@audit_app.command("verify")
def audit_verify(
    dataset: Annotated[str | None, typer.Argument(help="Name or id of the dataset.", show_default="all")] = None,
    file: Annotated[Path | None, typer.Option(help="Check an exported log instead of the database.")] = None,
    expect: Annotated[str | None, typer.Option(help="A head that was noted earlier: it must be found again.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Check that no event was changed, removed or added since it was sealed; status 1 if one was."""
    from cli.audit import run_verify

    if not run_verify(dataset, file=file, expect=expect, data_dir=data_dir):
        raise typer.Exit(1)


@audit_app.command("export")
def audit_export(
    dataset: Annotated[str, typer.Argument(help="Name or id of the dataset.")],
    out: Annotated[Path, typer.Option(help="File to write, a line of JSON an event.")],
    data_dir: DataDir = None,
) -> None:
    """Write a dataset's audit log, with its seals, to a file."""
    from cli.audit import run_export

    run_export(dataset, to=out, data_dir=data_dir)


@db_app.command("migrate")
def db_migrate(
    sql: Annotated[bool, typer.Option("--sql", help="Only print the SQL, for an editor such as Supabase's.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Bring the database up to this program's version."""
    from cli.db import run_migrate

    run_migrate(print_sql=sql, data_dir=data_dir)


@db_app.command("status")
def db_status(data_dir: DataDir = None) -> None:
    """Which migrations are applied."""
    from cli.db import run_status

    run_status(data_dir=data_dir)


def main() -> None:
    """Entry point: errors made on purpose are printed in one or two lines, without a traceback."""
    from schemas.errors import LabelCrewError

    try:
        app()
    except LabelCrewError as error:
        fail(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
