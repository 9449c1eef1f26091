"""What the command prints: results on standard output, everything else (progress, notes, errors) on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress

    from schemas.errors import LabelCrewError

out = Console(highlight=False)
"""Results; plain when piped."""
err = Console(stderr=True, highlight=False)
"""Progress and notes."""


def say(text: str) -> None:
    """One quiet line about what happens."""
    err.print("· ", style="dim", end="")
    err.print(text, markup=False, soft_wrap=True)


def fail(error: LabelCrewError) -> None:
    """An error made on purpose: what happened, then what to do."""
    err.print("[red]error:[/red] ", end="")
    err.print(error.detail, markup=False, soft_wrap=True)
    if error.hint:
        err.print(f"       {error.hint}", markup=False, soft_wrap=True, style="dim")


def progress() -> Progress:
    """A progress bar on standard error with rate and remaining time; silent when not a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        TimeRemainingColumn(compact=True),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A small table on standard output."""
    from rich import box
    from rich.table import Table

    grid = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        grid.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        grid.add_row(*row)
    out.print(grid)
