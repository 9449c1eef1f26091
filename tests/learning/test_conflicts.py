"""The instruments of the QA agent: what each finds, on what evidence, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from learning.conflicts import (
    Finding,
    Given,
    Labelled,
    Names,
    Near,
    annotator_drift,
    annotators_disagree,
    confused_classes,
    implausibly_fast,
    label_errors,
    label_set_errors,
    model_disagreement,
    near_duplicates,
    nearest_answers,
    neighbour_disagreement,
    schema_violation,
    span_boundaries,
    worst,
)
from schemas.errors import Invalid
from tests.learning.synthetic import blobs


def labelled(number: int, text: str, *labels: str, **more: Any) -> Labelled:
    return Labelled(f"i{number:03}", text, {"labels": list(labels)}, len(text), **more)


def marked(number: int, text: str, *quotes: str, label: str = "name") -> Labelled:
    spans = [{"start": text.index(q), "end": text.index(q) + len(q), "label": label} for q in quotes]
    return Labelled(f"i{number:03}", text, {"spans": spans}, len(text))


class TestNearDuplicates:
    def test_the_odd_one_out_is_named_and_the_majority_proposed(self) -> None:
        odd = labelled(1, "Where is my refund?", "delivery")
        twins = [Near(labelled(n, "where is my refund", "refund"), 0.99) for n in (2, 3)]
        finding = near_duplicates(odd, twins)
        assert finding is not None
        assert (finding.item_id, finding.proposal and finding.proposal["payload"]) == ("i001", {"labels": ["refund"]})
        assert {other["id"] for other in finding.evidence["items"]} == {"i002", "i003"}
        assert "the same words" in finding.evidence["summary"]
        assert near_duplicates(twins[0].item, [Near(odd, 0.99), twins[1]]) is None

    def test_of_a_pair_always_the_same_one_is_named_and_nothing_proposed(self) -> None:
        one, two = labelled(1, "lost my card", "a"), labelled(2, "lost my card!", "b")
        found = [near_duplicates(one, [Near(two, 0.98)]), near_duplicates(two, [Near(one, 0.98)])]
        assert all(f is not None for f in found)
        assert {f.item_id for f in found if f} == {"i002"}
        assert {f.evidence["stamp"] for f in found if f} == {found[0].evidence["stamp"]} if found[0] else False
        assert all(f.proposal is None for f in found if f)

    def test_of_a_pair_the_one_is_named_that_the_neighbours_speak_against(self) -> None:
        one, two = labelled(1, "lost my card", "a"), labelled(2, "lost my card!", "b")
        around = [Near(labelled(n, f"my card number {n} is lost", "a"), 0.8) for n in range(3, 8)]
        for item, near in ((one, [Near(two, 0.98), *around]), (two, [Near(one, 0.98), *around])):
            finding = near_duplicates(item, near)
            assert finding is not None
            assert (finding.item_id, finding.proposal and finding.proposal["payload"]) == ("i002", {"labels": ["a"]})
        around = [Near(labelled(n, f"my card number {n} is lost", "b"), 0.8) for n in range(3, 8)]
        assert near_duplicates(two, [Near(one, 0.98), *around]).item_id == "i001"  # type: ignore[union-attr]

    def test_like_texts_of_other_words_and_like_labels_are_left_alone(self) -> None:
        item = labelled(1, "where is my refund", "refund")
        assert near_duplicates(item, [Near(labelled(2, "when does the parcel arrive", "delivery"), 0.98)]) is None
        assert near_duplicates(item, [Near(labelled(2, "where is my refund", "refund"), 1.0)]) is None

    def test_marks_are_compared_on_the_very_same_text_only(self) -> None:
        one, two = marked(1, "Ada met Bob", "Ada"), marked(2, "Ada met Bob", "Bob")
        assert near_duplicates(one, [Near(two, 1.0)]) is not None
        assert near_duplicates(one, [Near(marked(3, "Ada met Bob.", "Bob"), 0.99)]) is None

    @pytest.mark.parametrize("text", ["🙂🙂", "مرحبا بالعالم", "", "x" * 50_000])
    def test_any_text_is_compared(self, text: str) -> None:
        assert near_duplicates(labelled(1, text, "a"), [Near(labelled(2, text, "b"), 1.0)]) is not None


class TestNeighbours:
    def test_neighbours_who_agree_on_another_label_are_evidence(self) -> None:
        names = Names({"k1": "Refund"})
        near = [Near(labelled(n, f"refund {n}", "k1"), 0.9 - n / 100) for n in range(2, 11)]
        finding = neighbour_disagreement(labelled(1, "refund please", "k2"), near, names)
        assert finding is not None
        assert finding.severity > 0.8
        assert (finding.evidence["for_other"], finding.evidence["for_given"]) == (9, 0)
        assert "9 of its 9 nearest verified items are labelled Refund" in finding.evidence["summary"]

    def test_a_split_vote_few_or_far_neighbours_accuse_nobody(self) -> None:
        item = labelled(1, "refund please", "b")
        split = [Near(labelled(n, str(n), "ab"[n % 2]), 0.8) for n in range(2, 12)]
        few = [Near(labelled(n, str(n), "a"), 0.9) for n in (2, 3)]
        far = [Near(labelled(n, str(n), "a"), 0.2) for n in range(2, 12)]
        assert [neighbour_disagreement(item, near) for near in (split, few, far, [])] == [None] * 4

    def test_the_nearest_are_found_exactly_and_never_oneself(self) -> None:
        made = blobs([30, 30], seed=3)
        items = [labelled(n, str(n), made.classes[y]) for n, y in enumerate(made.y)]
        alike = made.vectors @ made.vectors.T
        np.fill_diagonal(alike, -1)
        for row, (item, near) in enumerate(nearest_answers(items, made.vectors)):
            assert item is items[row]
            assert {other.item.id for other in near} == {items[i].id for i in np.argsort(-alike[row])[:12]}
            assert [other.similarity for other in near] == sorted((o.similarity for o in near), reverse=True)

    def test_only_those_who_count_are_neighbours_and_bad_vectors_are_refused(self) -> None:
        made = blobs([10], seed=1)
        items = [labelled(n, str(n), "a") for n in range(10)]
        among = np.arange(10) < 3
        assert all(len(near) <= 3 for _, near in nearest_answers(items, made.vectors, among))
        assert [near for _, near in nearest_answers(items[:1], made.vectors[:1])] == [[]]
        with pytest.raises(Invalid, match="9 vectors for 10 items"):
            next(nearest_answers(items, made.vectors[:9]))


class TestLabelErrors:
    def test_flipped_labels_come_out_with_their_right_class(self) -> None:
        made = blobs([40] * 10, noise=0.5)
        given = made.y.copy()
        rng = np.random.default_rng(0)
        wrong = rng.choice(len(given), 40, replace=False)
        given[wrong] = (given[wrong] + rng.integers(1, 10, 40)) % 10
        items = [labelled(n, str(n), made.classes[c]) for n, c in enumerate(given)]
        findings, ranking = label_errors(items, given, made.classes, made.vectors)
        assert ranking is not None
        hit = {f.item_id for f in findings} & {items[i].id for i in wrong}
        assert len(hit) >= 36
        assert len(findings) <= 42
        right = {items[i].id: made.classes[made.y[i]] for i in wrong}
        assert all(
            f.proposal and f.proposal["payload"]["labels"] == [right[f.item_id]] for f in findings if f.item_id in hit
        )
        assert findings[0].evidence["rank"] == 1
        accused = {f.item_id for f in findings}
        for f in findings:
            assert f.proposal
            labels = [other["payload"]["labels"][0] for other in f.evidence["items"]]
            assert labels == f.proposal["payload"]["labels"] * 3 + f.evidence["given"]["labels"] * 2
            assert not accused & {other["id"] for other in f.evidence["items"]}

    def test_one_class_few_items_and_identical_texts_accuse_nobody(self) -> None:
        made = blobs([40], seed=2)
        items = [labelled(n, str(n), "class 0") for n in range(40)]
        assert label_errors(items, made.y, made.classes, made.vectors) == ([], None)
        assert label_errors(items[:5], made.y[:5], ["class 0", "b"], made.vectors[:5]) == ([], None)
        same = np.tile(made.vectors[:1], (40, 1))
        y = np.arange(40) % 2
        findings, _ = label_errors(items, y, ["a", "b"], same)
        assert len(findings) < 4

    def test_classes_that_are_confused_again_and_again_are_named_with_examples(self) -> None:
        made = blobs([60] * 5, noise=0.5, seed=4)
        given = made.y.copy()
        given[np.flatnonzero(made.y == 1)[:15]] = 3
        items = [labelled(n, str(n), made.classes[c]) for n, c in enumerate(given)]
        _, ranking = label_errors(items, given, made.classes, made.vectors)
        assert ranking is not None
        [finding] = confused_classes(items, given, made.classes, ranking)
        assert finding.evidence["classes"] == ["class 1", "class 3"]
        assert finding.evidence["count"] >= 12
        assert (finding.item_id, finding.proposal and finding.proposal["action"]) == (None, "clarify")
        assert {"class 1"} <= {example["looks_like"] for example in finding.evidence["items"]}
        assert (finding.evidence["backward"], finding.evidence["forward"]) > (10, 0)


class TestLabelSets:
    def test_a_class_too_many_and_one_too_few_come_out_with_the_right_set(self) -> None:
        made = blobs([60] * 6, noise=0.5)
        truth = [[made.classes[y]] for y in made.y]
        given = [list(labels) for labels in truth]
        for row in range(0, 60, 3):
            given[row].append(made.classes[(made.y[row] + 1) % 6])
        for row in range(61, 121, 3):
            given[row] = []
        items = [labelled(n, str(n), *labels) for n, labels in enumerate(given)]
        found = {f.item_id: f for f in label_set_errors(items, made.classes, made.vectors)}
        planted = {items[row].id: truth[row] for row in [*range(0, 60, 3), *range(61, 121, 3)]}
        hit = found.keys() & planted.keys()
        assert len(hit) >= 28
        assert len(found) <= 50
        right = [(found[i].proposal or {})["payload"]["labels"] == planted[i] for i in hit if i is not None]
        assert np.mean(right) > 0.9

    def test_few_items_and_rare_classes_accuse_nobody(self) -> None:
        made = blobs([30], seed=1)
        items = [labelled(n, str(n), *(["rare"] if n < 3 else [])) for n in range(30)]
        assert label_set_errors(items, ["rare"], made.vectors) == []
        assert label_set_errors(items[:5], ["rare"], made.vectors[:5]) == []
        with pytest.raises(Invalid):
            label_set_errors(items, ["rare"], made.vectors[:5])


class TestPeople:
    def test_different_answers_to_one_item_are_counted_and_the_majority_proposed(self) -> None:
        answers = [Given(f"u{n}", "i001", {"labels": [label]}) for n, label in enumerate(("a", "a", "b"))]
        finding = annotators_disagree(labelled(1, "t", "a"), answers)
        assert finding is not None
        assert finding.severity == pytest.approx(1 / 3)
        assert finding.proposal
        assert finding.proposal["payload"] == {"labels": ["a"]}
        tie = annotators_disagree(labelled(1, "t", "a"), answers[1:])
        assert tie is not None
        assert tie.proposal is None
        assert annotators_disagree(labelled(1, "t", "a"), answers[:2]) is None

    @staticmethod
    def history(user: str, rights: list[bool]) -> list[Given]:
        return [
            Given(user, f"{user}{n}", {"labels": ["a" if right else "b"]}, final={"labels": ["a"]})
            for n, right in enumerate(rights)
        ]

    def test_somebody_who_grows_worse_is_found_with_numbers(self) -> None:
        steady = self.history("steady", [True] * 95 + [False] * 5)
        worse = self.history("worse", [True] * 100 + [True, False] * 25)
        [finding] = annotator_drift([*steady, *worse])
        assert (finding.evidence["person"], finding.evidence["agreement"]) == ("worse", 0.5)
        assert finding.evidence["p_value"] < 0.001
        assert finding.item_id is None

    def test_people_alike_are_seldom_accused(self) -> None:
        rng = np.random.default_rng(5)
        accused = sum(
            len(annotator_drift([g for u in "abcd" for g in self.history(u, list(rng.random(200) < 0.8))]))
            for _ in range(100)
        )
        assert accused <= 1

    def test_answers_faster_than_reading_are_found(self) -> None:
        calm = [Given("calm", f"c{n}", {"labels": ["a"]}, 4000, 120) for n in range(40)]
        hasty = [Given("hasty", f"h{n}", {"labels": ["a"]}, 300, 120) for n in range(40)]
        [finding] = implausibly_fast([*calm, *hasty])
        assert (finding.evidence["person"], finding.evidence["too_fast"]) == ("hasty", 40)
        assert (finding.evidence["median_ms"], finding.evidence["others_median_ms"]) == (300, 4000)
        assert implausibly_fast(calm) == []
        assert implausibly_fast(hasty[:10]) == []


class TestModels:
    def test_a_sure_model_against_a_person_is_a_conflict_and_an_unsure_one_is_not(self) -> None:
        item = labelled(1, "t", "a")
        found = model_disagreement(item, {"labels": ["b"]}, 0.95, "gpt-x")
        assert found is not None
        assert "gpt-x is 95% sure" in found.evidence["summary"]
        assert model_disagreement(item, {"labels": ["b"]}, 0.6, "gpt-x") is None
        assert model_disagreement(item, {"labels": ["a"]}, 0.99, "gpt-x") is None
        assert model_disagreement(item, None, None, "gpt-x") is None


class TestSpans:
    def test_borders_drawn_otherwise_than_elsewhere_are_redrawn(self) -> None:
        usual = [marked(n, f"He joined Bank of England in {n}", "Bank of England") for n in range(6)]
        odd = marked(9, "Then the Bank of England said no", "the Bank of England")
        [finding] = span_boundaries([*usual, odd])
        assert finding.item_id == "i009"
        assert finding.proposal is not None
        [span] = finding.proposal["payload"]["spans"]
        assert odd.text[span["start"] : span["end"]] == "Bank of England"
        assert "6 times against 1" in finding.evidence["summary"]

    def test_marked_white_space_and_a_sure_model_are_evidence(self) -> None:
        spaced = marked(1, "call Ada now", "Ada ")
        crossed = marked(2, "New York City", "New York")
        draft = {"spans": [{"start": 0, "end": 13, "label": "name"}]}
        found = {f.item_id: f for f in span_boundaries([spaced, crossed], {"i002": (draft, 0.95)})}
        assert found["i001"].evidence["places"][0]["better_end"] == 8
        assert found["i002"].evidence["places"][0]["better_end"] == 13
        assert span_boundaries([marked(3, "call Ada now", "Ada")]) == []

    def test_texts_whose_letters_change_length_when_folded_do_no_harm(self) -> None:
        items = [marked(n, f"İ met Ada {n}", "Ada") for n in range(4)] + [marked(9, "İ met the Ada", "the Ada")]
        assert [f.item_id for f in span_boundaries(items)] == []


def test_a_retired_class_is_told_in_words() -> None:
    finding = schema_violation(labelled(1, "t", "old"), "unknown class 'old'", 1, 2)
    assert "version 2 does not allow it: unknown class 'old'" in finding.evidence["summary"]
    assert finding.severity > schema_violation(labelled(1, "t", "old", human=False), "x", 1, 2).severity


def test_the_worst_are_kept_once_each() -> None:
    def of(severity: float, name: str) -> Finding:
        return Finding("k", severity, name, None, {})

    kept = worst([of(0.2, "a"), of(0.9, "b"), of(0.5, "a")], most=2)
    assert [(f.severity, f.fingerprint) for f in kept] == [(0.9, "b"), (0.5, "a")]
