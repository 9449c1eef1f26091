"""The tables in which people keep what annotators answered, and one form for all of them.

- crowd-kit's *long* frame: a row an answer, columns ``task``, ``worker``, ``label``;
- cleanlab's *wide* frame: a row an item, a column an annotator, empty (NaN, None) where they did not answer;
- a numpy matrix of class indices, −1 for no answer.

Frames are recognised by what they can do, so pandas need not be there: a dictionary of columns serves as well. Only
:meth:`Answers.to_long_frame` and :meth:`Answers.to_wide_frame` import it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.checks import Ints, check_labels
from schemas.errors import Invalid, error_of

Repeated = Literal["last", "refuse"]


@dataclass(frozen=True)
class Answers:
    """Every answer once: ``task``, ``worker``, ``label`` (n,) are indices into ``tasks``, ``workers``, ``classes``."""

    tasks: tuple[Hashable, ...]
    workers: tuple[Hashable, ...]
    classes: tuple[Hashable, ...]
    task: Ints
    worker: Ints
    label: Ints

    def __len__(self) -> int:
        """The number of answers."""
        return len(self.task)

    def matrix(self) -> Ints:
        """Class indices (tasks, workers), −1 where there is no answer."""
        found = np.full((len(self.tasks), len(self.workers)), -1, dtype=np.int64)
        found[self.task, self.worker] = self.label
        return found

    def counts(self) -> Ints:
        """How often each class was given to each task (tasks, classes)."""
        k = len(self.classes)
        flat = np.bincount(self.task * k + self.label, minlength=len(self.tasks) * k)
        return np.asarray(flat.reshape(len(self.tasks), k), dtype=np.int64)

    def long(self) -> dict[str, list[Hashable]]:
        """The columns of crowd-kit's long frame."""
        return {
            "task": [self.tasks[index] for index in self.task],
            "worker": [self.workers[index] for index in self.worker],
            "label": [self.classes[index] for index in self.label],
        }

    def to_long_frame(self) -> Any:
        """A pandas frame as crowd-kit takes it.."""
        import pandas as pd

        return pd.DataFrame(self.long(), columns=["task", "worker", "label"])

    def to_wide_frame(self) -> Any:
        """A pandas frame as cleanlab's multi-annotator functions take it: class indices, <NA> where unanswered."""
        import pandas as pd

        frame = pd.DataFrame(self.matrix(), index=list(self.tasks), columns=list(self.workers)).astype("Int64")
        return frame.mask(frame < 0)


def from_long(
    frame: Any,
    *,
    task: str = "task",
    worker: str = "worker",
    label: str = "label",
    classes: Sequence[Hashable] | None = None,
    repeated: Repeated = "last",
) -> Answers:
    """Answers of a long ``frame``: a pandas frame, a dictionary of columns, or rows that are dictionaries.

    ``classes`` fixes their order and refuses others; without it they are those found, sorted. Who answered a task twice
    is taken at their ``last`` word, unless that is to be ``refuse``-d. Raises :class:`Invalid` for a missing column or
    value, ``no-training-data`` for no row.
    """
    columns = [_column(frame, name) for name in (task, worker, label)]
    if len({len(column) for column in columns}) > 1:
        raise Invalid(f"the columns {task}, {worker} and {label} differ in length")
    for name, column in zip((task, worker, label), columns, strict=True):
        row = next((row for row, value in enumerate(column) if _is_missing(value)), None)
        if row is not None:
            raise Invalid(f"column {name} is empty in row {row}", row=row)
    return _answers(columns[0], columns[1], columns[2], classes, repeated)


def from_wide(frame: Any, *, classes: Sequence[Hashable] | None = None) -> Answers:
    """Answers of a wide ``frame``: a pandas frame (its index names the tasks), a dictionary annotator → column, or a
    matrix (tasks, annotators) of labels with NaN or None for no answer.

    Tasks and annotators without any answer are kept. Raises as :func:`from_long`.
    """
    if isinstance(frame, Mapping) or hasattr(frame, "columns"):
        workers = list(frame.keys())
        columns = [list(frame[worker]) for worker in workers]
    else:
        try:
            matrix = np.asarray(frame, dtype=object)
        except ValueError as error:
            raise Invalid("a wide table has rows of one length") from error
        if matrix.ndim != 2:
            raise Invalid(f"a wide table has rows and columns, not the shape {matrix.shape}")
        columns = [list(column) for column in matrix.T]
        workers = list(range(len(columns)))
    if len({len(column) for column in columns}) > 1:
        raise Invalid("the annotators' columns differ in length")
    tasks = list(frame.index) if hasattr(frame, "index") and hasattr(frame, "columns") else None
    if tasks is None:
        tasks = list(range(len(columns[0]) if columns else 0))
    if len(set(tasks)) < len(tasks) or len(set(workers)) < len(workers):
        raise Invalid("a task or an annotator occurs twice in the wide table")
    places = [
        (row, column)
        for row in range(len(tasks))
        for column in range(len(workers))
        if not _is_missing(columns[column][row])
    ]
    found = _answers(
        [row for row, _ in places],
        [column for _, column in places],
        [columns[column][row] for row, column in places],
        classes,
        "refuse",
    )
    rows = np.array([row for row, _ in places], dtype=np.int64)
    at = np.array([column for _, column in places], dtype=np.int64)
    return Answers(tuple(tasks), tuple(workers), found.classes, rows, at, found.label)


def from_matrix(answers: ArrayLike, classes: Sequence[Hashable]) -> Answers:
    """Answers of a matrix (tasks, annotators) of indices into ``classes``, −1 (or NaN) where there is none."""
    try:
        matrix = np.asarray(answers)
    except ValueError as error:
        raise Invalid("answers must be rows of one length") from error
    if matrix.ndim != 2 or matrix.dtype.kind not in "iuf":
        raise Invalid(f"answers must be a matrix of class indices, not {matrix.dtype} of shape {matrix.shape}")
    absent: NDArray[np.bool_] = np.isnan(matrix) | (matrix == -1)
    row, column = np.nonzero(~absent)
    if not len(row):
        raise _no_answer()
    label = check_labels(matrix[row, column], len(classes), what="answers")
    tasks, workers = (tuple(range(length)) for length in matrix.shape)
    return Answers(tasks, workers, _distinct(classes), row.astype(np.int64), column.astype(np.int64), label)


def _answers(
    tasks: Sequence[Any],
    workers: Sequence[Any],
    labels: Sequence[Any],
    classes: Sequence[Hashable] | None,
    repeated: Repeated,
) -> Answers:
    if not len(tasks):
        raise _no_answer()
    task_at, task = _numbered(tasks)
    worker_at, worker = _numbered(workers)
    known = _distinct(classes) if classes is not None else _sorted(labels)
    index_of = {key: index for index, key in enumerate(known)}
    try:
        label = np.array([index_of[key] for key in map(_plain, labels)], dtype=np.int64)
    except KeyError as error:
        raise Invalid(f"unknown class {error.args[0]!r}", hint="Use the keys of the labelset's classes.") from error
    # The last of each (task, worker) is the first from behind.
    _, from_behind = np.unique((task * len(worker_at) + worker)[::-1], return_index=True)
    keep = np.sort(len(task) - 1 - from_behind)
    if len(keep) < len(task) and repeated == "refuse":
        row = int(np.setdiff1d(np.arange(len(task)), keep)[0])
        raise Invalid(f"{workers[row]!r} answered {tasks[row]!r} twice (row {row})", row=row)
    return Answers(task_at, worker_at, known, task[keep], worker[keep], label[keep])


def _no_answer() -> Exception:
    return error_of("no-training-data", "The table holds no answer.", hint="Have some items answered first.")


def _column(frame: Any, name: str) -> list[Any]:
    if isinstance(frame, Mapping) or hasattr(frame, "columns"):
        if name not in list(frame.keys()):
            raise Invalid(f"the table has no column {name!r}, only {', '.join(map(str, frame.keys()))}")
        return list(frame[name])
    if not isinstance(frame, Iterable):
        raise Invalid("a long table is a frame, a dictionary of columns, or rows that are dictionaries")
    found = []
    for row, record in enumerate(frame):
        if not isinstance(record, Mapping) or name not in record:
            raise Invalid(f"row {row} has no {name!r}", row=row)
        found.append(record[name])
    return found


def _is_missing(value: Any) -> bool:
    """None, NaN, and pandas' <NA> and NaT: whatever does not plainly equal itself."""
    if value is None:
        return True
    try:
        return not bool(value == value)  # noqa: PLR0124
    except (TypeError, ValueError):
        return True


def _plain(value: Any) -> Hashable:
    """Numpy numbers as Python's, and whole floats as integers: a column of classes with a gap in it becomes float."""
    found = value.item() if isinstance(value, np.generic) else value
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if not isinstance(found, Hashable):
        raise Invalid(f"{found!r} can be neither a task, nor a worker, nor a class")
    return found


def _numbered(values: Iterable[Any]) -> tuple[tuple[Hashable, ...], Ints]:
    """The distinct values in the order of their first appearance, and the number of each value's."""
    place: dict[Hashable, int] = {}
    numbers = [place.setdefault(_plain(value), len(place)) for value in values]
    return tuple(place), np.array(numbers, dtype=np.int64)


def _sorted(labels: Iterable[Any]) -> tuple[Hashable, ...]:
    found = {_plain(label) for label in labels}
    try:
        return tuple(sorted(found))  # type: ignore[type-var]
    except TypeError:
        return tuple(sorted(found, key=lambda label: (type(label).__name__, str(label))))


def _distinct(classes: Sequence[Hashable]) -> tuple[Hashable, ...]:
    known = tuple(map(_plain, classes))
    if len(set(known)) < len(known):
        raise Invalid("a class occurs twice")
    return known
