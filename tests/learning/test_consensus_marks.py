"""Spans, boxes and segments of several annotators become one set of each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.consensus import consensus_of_marks, merge_places
from schemas.errors import Invalid
from schemas.payloads import Box, Boxes, Classification, Payload, Segment, Segments, Span, Spans

Triple = tuple[int, int, str]


def spans(*marks: Triple) -> Spans:
    return Spans(spans=tuple(Span(start=start, end=end, label=label) for start, end, label in marks))


def boxes(*marks: tuple[float, float, float, float]) -> Boxes:
    return Boxes(boxes=tuple(Box(x=x, y=y, width=w, height=h, label="cat") for x, y, w, h in marks))


class TestOneItem:
    def test_bounds_are_medians_and_labels_votes(self) -> None:
        merged = merge_places(
            {"a": spans((0, 10, "person")), "b": spans((0, 10, "person")), "c": spans((2, 12, "place"))}
        )
        assert merged.payload == spans((0, 10, "person"))
        assert merged.support == (1.0,)

    def test_a_mark_of_the_minority_is_rejected_and_counted(self) -> None:
        merged = merge_places(
            {"a": spans((0, 5, "x"), (20, 25, "x")), "b": spans((0, 5, "x")), "c": spans((0, 5, "x"))}
        )
        assert (merged.payload, merged.rejected) == (spans((0, 5, "x")), 1)

    def test_nothing_found_by_most_is_nothing(self) -> None:
        assert merge_places({"a": spans((0, 5, "x")), "b": spans(), "c": spans()}).payload == spans()
        assert merge_places({"a": spans(), "b": spans()}).payload == spans()

    def test_who_is_alone_decides(self) -> None:
        assert merge_places({"a": spans((3, 4, "x"))}).payload == spans((3, 4, "x"))

    def test_two_good_annotators_outweigh_three_bad_ones(self) -> None:
        marked: dict[str, Payload] = {who: spans((0, 5, "x")) for who in "ab"}
        marked |= {who: spans() for who in "cde"}
        quality = {"a": 0.95, "b": 0.95, "c": 0.3, "d": 0.3, "e": 0.3}
        assert merge_places(marked).payload == spans()
        assert merge_places(marked, quality=quality).payload == spans((0, 5, "x"))

    def test_boxes_of_one_thing_are_one_box_and_neighbours_stay_apart(self) -> None:
        merged = merge_places(
            {
                "a": boxes((0, 0, 10, 10), (20, 0, 10, 10)),
                "b": boxes((1, 0, 10, 10), (20, 1, 10, 10)),
                "c": boxes((0, 1, 10, 10), (21, 0, 10, 10)),
            }
        )
        assert merged.payload == boxes((0, 0, 10, 10), (20, 0, 10, 10))

    def test_of_turned_boxes_the_one_nearest_the_others_is_taken(self) -> None:
        def turned(angle: float) -> Boxes:
            return Boxes(boxes=(Box(x=0, y=0, width=20, height=10, label="cat", rotation=angle),))

        merged = merge_places({"a": turned(28), "b": turned(30), "c": turned(33)})
        assert merged.payload == turned(30)

    def test_segments_are_merged_in_time(self) -> None:
        def heard(start: float, end: float) -> Segments:
            return Segments(segments=(Segment(start_s=start, end_s=end, label="speech"),))

        assert merge_places({"a": heard(0, 2), "b": heard(0.1, 2.2), "c": heard(0, 2.1)}).payload == heard(0, 2.1)

    def test_what_cannot_be_merged_is_refused(self) -> None:
        with pytest.raises(Invalid, match="nobody"):
            merge_places({})
        with pytest.raises(Invalid, match="different kinds"):
            merge_places({"a": spans(), "b": boxes()})
        with pytest.raises(Invalid, match="cannot be merged"):
            merge_places({"a": Classification(labels=("x",))})

    @settings(deadline=None, max_examples=60)
    @given(
        st.dictionaries(
            st.sampled_from("abcd"),
            st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8), st.sampled_from("xy")), max_size=4),
            min_size=1,
        )
    )
    def test_merged_marks_lie_where_somebody_marked_and_each_has_a_majority(
        self, marked: dict[str, list[tuple[int, int, str]]]
    ) -> None:
        given_marks = {
            who: spans(*((start, start + long, label) for start, long, label in marks)) for who, marks in marked.items()
        }
        merged = merge_places(given_marks)
        assert isinstance(merged.payload, Spans)
        everything = [span for payload in given_marks.values() for span in payload.spans]
        for span, support in zip(merged.payload.spans, merged.support, strict=True):
            assert any(other.start < span.end and span.start < other.end for other in everything)
            assert support > 0.5
        assert merged.rejected <= len(everything)

    @settings(deadline=None, max_examples=40)
    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5), st.sampled_from("xy")), max_size=4))
    def test_what_all_mark_alike_comes_back(self, marks: list[tuple[int, int, str]]) -> None:
        apart = spans(*((10 * n + start, 10 * n + start + long, label) for n, (start, long, label) in enumerate(marks)))
        merged = merge_places({"a": apart, "b": apart, "c": apart})
        assert merged.payload == apart
        assert merged.rejected == 0


class TestManyItems:
    def test_who_marks_what_others_do_not_see_is_trusted_less(self) -> None:
        rng = np.random.default_rng(0)
        items: list[dict[str, Payload]] = []
        for _ in range(40):
            at = int(rng.integers(0, 50))
            truth, elsewhere = spans((at, at + 6, "x")), spans((at + 20, at + 25, "x"))
            items.append({"good": truth, "fine": truth, "wild": elsewhere})
        found = consensus_of_marks(items)
        assert found.quality["wild"] < 0.2 < 0.6 < found.quality["good"]
        assert [m.payload for m in found.merged] == [item["good"] for item in items]
        assert found.marks == {"good": 40, "fine": 40, "wild": 40}
        assert not any(found.agreed)

    def test_all_alike_is_agreed_also_where_nothing_is_marked(self) -> None:
        found = consensus_of_marks([{"a": spans(), "b": spans()}, {"a": spans((0, 3, "x")), "b": spans((0, 3, "x"))}])
        assert found.agreed == [True, True]
        assert found.quality["a"] == found.quality["b"] > 0.5

    def test_another_label_or_a_missing_mark_is_no_agreement(self) -> None:
        one = spans((0, 3, "x"))
        assert consensus_of_marks([{"a": one, "b": spans((0, 3, "y"))}, {"a": one, "b": spans()}]).agreed == [False] * 2

    def test_unweighted_all_count_alike(self) -> None:
        items: list[dict[str, Payload]] = [{"a": spans((0, 5, "x")), "b": spans()}]
        assert consensus_of_marks(items, weighted=False).merged[0].payload == spans()
