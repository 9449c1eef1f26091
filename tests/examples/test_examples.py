"""The sample data keeps its promises: gold labels fit the labelset, texts are distinct, nothing personal is in them."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

import examples
from schemas.labelsets import Labelset, check_payload
from schemas.payloads import Classification, Span, Spans

MAX_TEXTS_PER_PHRASE = 2
"""A run of five words may recur once; more would be a template."""


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def _labelset(path: Path) -> tuple[Labelset, str]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    guidelines = content.pop("guidelines")
    return Labelset.model_validate(content), guidelines


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.casefold())


def _sentences(path: Path) -> list[list[tuple[str, str]]]:
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    return [[(line.split("\t")[0], line.split("\t")[1]) for line in block.split("\n")] for block in blocks]


def _spans(sentence: list[tuple[str, str]]) -> tuple[str, list[Span]]:
    """The sentence with its tokens joined by spaces, and its BIO tags as spans of code points."""
    text, spans = "", []
    for token, tag in sentence:
        text += " " if text else ""
        start, text = len(text), text + token
        if tag.startswith("B-"):
            spans.append(Span(start=start, end=len(text), label=tag[2:]))
        elif tag.startswith("I-"):
            spans[-1] = Span(start=spans[-1].start, end=len(text), label=tag[2:])
    return text, spans


@pytest.fixture(scope="module")
def messages() -> list[dict[str, str]]:
    return _rows(examples.DATA)


def test_every_file_named_by_the_package_exists() -> None:
    for path in (examples.DATA, examples.LABELSET, examples.SPANS, examples.SPANS_LABELSET, examples.REVIEWS):
        assert path.is_file(), path


def test_messages_have_the_promised_columns_numbers_and_unique_ids(messages: list[dict[str, str]]) -> None:
    assert list(messages[0]) == ["id", "text", "label", "note"]
    assert [row["id"] for row in messages] == [f"m{number:03d}" for number in range(1, len(messages) + 1)]
    assert len(messages) >= 420
    counts = Counter(row["label"] for row in messages)
    assert 22 <= len(counts) <= 24
    assert min(counts.values()) >= 10
    assert max(counts.values()) <= 40


def test_messages_file_follows_rfc_4180() -> None:
    content = examples.DATA.read_bytes()
    assert not content.startswith(b"\xef\xbb\xbf")
    assert content.endswith(b"\r\n")
    assert content.startswith(b"id,text,label,note\r\n")


def test_gold_labels_are_exactly_the_classes_of_the_labelset(messages: list[dict[str, str]]) -> None:
    labelset, guidelines = _labelset(examples.LABELSET)
    assert {row["label"] for row in messages} == set(labelset.keys)
    for row in messages:
        check_payload(labelset, Classification(labels=[row["label"]]))
    assert guidelines.startswith("# ")
    for label_class in labelset.classes:
        assert label_class.description
        assert 1 <= len(label_class.examples) <= 3


def test_guidelines_name_no_class_that_does_not_exist() -> None:
    labelset, guidelines = _labelset(examples.LABELSET)
    prose = guidelines + " ".join(label_class.description for label_class in labelset.classes)
    assert set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", prose)) <= set(labelset.keys)


def test_ids_do_not_give_the_label_away(messages: list[dict[str, str]]) -> None:
    neighbours = sum(a["label"] == b["label"] for a, b in pairwise(messages))
    assert neighbours / len(messages) < 0.12


def test_no_two_messages_are_the_same_or_nearly_so(messages: list[dict[str, str]]) -> None:
    labelset, _ = _labelset(examples.LABELSET)
    texts = [row["text"] for row in messages] + [text for c in labelset.classes for text in c.examples]
    normalised = [" ".join(_words(text)) or text for text in texts]
    twice = [text for text, count in Counter(normalised).items() if count > 1]
    assert twice == []
    sets = [frozenset(_words(text)) for text in texts]
    near = [
        (texts[i], texts[j])
        for (i, a), (j, b) in combinations(enumerate(sets), 2)
        if a and b and len(a & b) / len(a | b) >= 0.8
    ]
    assert near == []


def test_no_run_of_five_words_is_a_template(messages: list[dict[str, str]]) -> None:
    holders: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for row in messages:
        words = _words(row["text"])
        for start in range(len(words) - 4):
            holders[tuple(words[start : start + 5])].add(row["id"])
    shared = {" ".join(words): ids for words, ids in holders.items() if len(ids) > MAX_TEXTS_PER_PHRASE}
    assert shared == {}


def test_messages_have_many_lengths_and_registers(messages: list[dict[str, str]]) -> None:
    texts = [row["text"] for row in messages]
    lengths = [len(text.split()) for text in texts]
    assert sum(length == 1 for length in lengths) >= 5
    assert sum(length >= 60 for length in lengths) >= 10
    assert sum(text.isupper() for text in texts) >= 15
    assert sum(text.islower() for text in texts) >= 60
    assert sum("\n\n" in text for text in texts) >= 8
    assert sum(any(ord(character) > 0x2600 for character in text) for text in texts) >= 15
    assert sum(bool(row["note"]) for row in messages) >= 25


def test_nothing_looks_like_a_real_address_or_telephone_number() -> None:
    for path in (examples.DATA, examples.REVIEWS, examples.SPANS, examples.LABELSET, examples.SPANS_LABELSET):
        content = path.read_text(encoding="utf-8")
        addresses = re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", content)
        assert set(addresses) <= {"example.com"}
        assert re.findall(r"https?://|www\.", content) == []
        assert re.findall(r"\+\d{6,}|(?<![\w-])\+?\d{2,5}[ /-]\d{3,}[ /-]?\d{2,}", content) == []
        assert list(re.findall(r"\d{7,}", content)) == []


def test_spans_file_is_valid_bio_with_every_class_and_some_empty_sentences() -> None:
    labelset, guidelines = _labelset(examples.SPANS_LABELSET)
    assert guidelines
    sentences = _sentences(examples.SPANS)
    assert 40 <= len(sentences) <= 60
    seen: Counter[str] = Counter()
    for sentence in sentences:
        previous = "O"
        for token, tag in sentence:
            assert token
            assert " " not in token
            assert re.fullmatch(r"O|[BI]-\w+", tag)
            if tag.startswith("I-"):
                assert previous[2:] == tag[2:], f"{token} continues nothing"
            previous = tag
        text, spans = _spans(sentence)
        check_payload(labelset, Spans(spans=spans), length=len(text))
        seen.update(span.label for span in spans)
    assert set(seen) == set(labelset.keys)
    assert min(seen.values()) >= 15
    assert sum(all(tag == "O" for _, tag in sentence) for sentence in sentences) >= 3


def test_reviews_have_ids_and_texts_and_no_labels() -> None:
    rows = _rows(examples.REVIEWS)
    assert list(rows[0]) == ["id", "text"]
    assert len({row["id"] for row in rows}) == len(rows) >= 25
    assert len({" ".join(_words(row["text"])) for row in rows}) == len(rows)


def test_readme_counts_are_the_counts_of_the_data(messages: list[dict[str, str]]) -> None:
    readme = (examples.DATA.parent / "README.md").read_text(encoding="utf-8")
    table = {name: int(count) for name, count in re.findall(r"^\| `(\w+)` \| (\d+) \|", readme, flags=re.MULTILINE)}
    assert table == Counter(row["label"] for row in messages)
    assert f"{len(messages)} messages" in readme
