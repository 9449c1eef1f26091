"""Frames: the same answers whichever table they came in, and plain refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.frames import from_long, from_matrix, from_wide
from schemas.errors import Conflict, Invalid

LONG = {"task": ["t1", "t1", "t2"], "worker": ["w1", "w2", "w1"], "label": ["cat", "dog", "cat"]}
MATRICES = st.integers(1, 5).flatmap(
    lambda m: st.lists(st.lists(st.integers(-1, 3), min_size=m, max_size=m), min_size=1, max_size=8)
)


def test_a_long_table_is_read_as_columns_rows_or_frame() -> None:
    rows = [dict(zip(LONG, row, strict=True)) for row in zip(*LONG.values(), strict=True)]
    for table in (LONG, rows, pd.DataFrame(LONG)):
        found = from_long(table)
        assert (found.tasks, found.workers, found.classes) == (("t1", "t2"), ("w1", "w2"), ("cat", "dog"))
        assert found.matrix().tolist() == [[0, 1], [0, -1]]
        assert found.counts().tolist() == [[1, 1], [1, 0]]
        assert found.long() == LONG


def test_columns_may_have_other_names_and_classes_another_order() -> None:
    table = {"item": [1, 2], "who": ["a", "a"], "answer": ["no", "yes"]}
    found = from_long(table, task="item", worker="who", label="answer", classes=["yes", "no", "unsure"])
    assert found.label.tolist() == [1, 0]
    assert found.counts().shape == (2, 3)


@settings(deadline=None, max_examples=60)
@given(MATRICES)
def test_matrix_wide_and_long_hold_the_same_answers(rows: list[list[int]]) -> None:
    matrix = np.array(rows)
    if (matrix < 0).all():
        for read in (lambda: from_matrix(matrix, range(4)), lambda: from_wide(np.where(matrix < 0, np.nan, matrix))):
            with pytest.raises(Conflict, match="no answer"):
                read()
        return
    found = from_matrix(matrix, range(4))
    assert (found.matrix() == matrix).all()
    assert len(found) == (matrix >= 0).sum()
    wide = from_wide(found.to_wide_frame(), classes=range(4))
    assert (wide.matrix() == matrix).all()
    assert (from_wide(np.where(matrix < 0, np.nan, matrix), classes=range(4)).matrix() == matrix).all()
    long = from_long(found.to_long_frame(), classes=range(4))
    assert long.long() == found.long()
    assert long.counts().sum() == len(found)


def test_a_wide_table_of_names_keeps_its_index_and_silent_annotators() -> None:
    frame = pd.DataFrame({"ann": ["cat", None], "bob": [None, "dog"], "eve": [None, None]}, index=["x", "y"])
    found = from_wide(frame)
    assert (found.tasks, found.workers) == (("x", "y"), ("ann", "bob", "eve"))
    assert found.matrix().tolist() == [[0, -1, -1], [-1, 1, -1]]
    assert from_wide({"ann": ["cat", float("nan")]}).tasks == (0, 1)


def test_the_last_word_counts_unless_repeating_is_refused() -> None:
    table = {"task": [1, 1, 2], "worker": ["a", "a", "a"], "label": ["x", "y", "x"]}
    assert from_long(table).long() == {"task": [1, 2], "worker": ["a", "a"], "label": ["y", "x"]}
    with pytest.raises(Invalid, match="twice"):
        from_long(table, repeated="refuse")


@pytest.mark.parametrize(
    "table",
    [
        {"task": [1], "worker": ["a"]},
        {"task": [1, 2], "worker": ["a"], "label": ["x"]},
        {"task": [1], "worker": ["a"], "label": [float("nan")]},
        {"task": [None], "worker": ["a"], "label": ["x"]},
        {"task": [1], "worker": ["a"], "label": [["x"]]},
        [{"task": 1}],
        [3],
        7,
    ],
)
def test_long_tables_with_gaps_are_invalid(table: object) -> None:
    with pytest.raises(Invalid):
        from_long(table)


def test_no_rows_and_unknown_classes_are_refused() -> None:
    with pytest.raises(Conflict):
        from_long({"task": [], "worker": [], "label": []})
    with pytest.raises(Conflict):
        from_wide({})
    with pytest.raises(Invalid, match="unknown class"):
        from_long(LONG, classes=["cat"])
    with pytest.raises(Invalid, match="twice"):
        from_long(LONG, classes=["cat", "cat", "dog"])


@pytest.mark.parametrize("bad", [[[5]], [[0.5]], [0, 1], [["a"]], [[0], [0, 1]], [[-3]]])
def test_matrices_that_hold_no_classes_are_invalid(bad: object) -> None:
    with pytest.raises(Invalid):
        from_matrix(bad, ["x", "y"])  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [{"a": [1], "b": [1, 2]}, [1, 2], pd.DataFrame({"a": [1, 2]}, index=["x", "x"])])
def test_wide_tables_that_do_not_fit_are_invalid(bad: object) -> None:
    with pytest.raises(Invalid):
        from_wide(bad)
