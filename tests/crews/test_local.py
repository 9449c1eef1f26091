"""The model of this machine: drafts for classes and spans with reasons, at no cost, without a network."""

from __future__ import annotations

import pytest

from crews.local import LocalModel, local_model
from learning.embedding import load_embedder
from schemas.errors import Invalid, LabelCrewError
from schemas.labeling import Example, Labeler, PrelabelInput
from schemas.labelsets import LabelClass, Labelset, check_payload
from schemas.payloads import Classification, Span, Spans
from schemas.settings import LOCAL_MODEL
from tests.support.shared_data import shared_data, shared_rows

BANK = Labelset.of(["lost_card", "top_up", "exchange_rate"])
ITEMS = [
    PrelabelInput(item_id="1", text="I lost my card yesterday, please block it"),
    PrelabelInput(item_id="2", text="How do I top up my account?"),
    PrelabelInput(item_id="3", text="What is the euro to dollar exchange rate?"),
    PrelabelInput(item_id="4", text=""),
]
VERIFIED = [
    Example(item_id=f"v{i}", text=text, payload=Classification(labels=(label,)))
    for i, (text, label) in enumerate(
        [
            ("My card is gone", "lost_card"),
            ("Somebody stole my card", "lost_card"),
            ("I cannot find my card", "lost_card"),
            ("Where did I leave my card", "lost_card"),
            ("Add money to my account", "top_up"),
            ("My top up failed", "top_up"),
            ("Adding funds by transfer", "top_up"),
            ("Put money in", "top_up"),
            ("Price of a dollar today", "exchange_rate"),
            ("The rate for yen", "exchange_rate"),
            ("Currency conversion rate", "exchange_rate"),
            ("How many euros for a pound", "exchange_rate"),
        ]
    )
]


async def test_class_names_alone_give_drafts_with_probability_reason_and_route() -> None:
    model: Labeler = local_model(BANK)
    drafts = await model.draft(ITEMS)
    assert [draft.item_id for draft in drafts] == ["1", "2", "3", "4"]
    assert [draft.payload for draft in drafts[:3]] == [Classification(labels=(c,)) for c in BANK.keys]
    for draft in drafts:
        assert draft.model == model.name == LOCAL_MODEL == "local/minilm-l6"
        assert draft.route == "local"
        assert "class names" in draft.route_reason
        assert draft.usage.cost_usd == 0
        assert draft.error is None
        assert draft.confidence is not None
        assert draft.probability is not None
        assert 0 < draft.probability <= 1
    assert drafts[0].probability is not None
    assert drafts[0].probability > 0.8
    assert "«lost card»" in drafts[0].rationale


async def test_alternatives_are_ranked_and_start_with_the_answer() -> None:
    names = [f"topic {i}" for i in range(9)]
    draft = (await local_model(Labelset.of(names)).draft(ITEMS[:1]))[0]
    ranked = [alternative.probability for alternative in draft.alternatives]
    assert len(ranked) == 5
    assert ranked == sorted(ranked, reverse=True)
    assert isinstance(draft.payload, Classification)
    assert draft.alternatives[0].label == draft.payload.labels[0]
    assert ranked[0] == draft.probability


async def test_verified_answers_make_it_a_student_that_names_the_most_similar_one() -> None:
    drafts = await local_model(BANK, examples=VERIFIED, pool_texts=[item.text for item in ITEMS]).draft(ITEMS[:3])
    assert [draft.payload for draft in drafts] == [Classification(labels=(c,)) for c in BANK.keys]
    assert all(draft.route == "student" for draft in drafts)
    assert "12 verified" in drafts[0].route_reason
    assert "→ lost_card" in drafts[0].rationale
    assert "Most like the verified «" in drafts[0].rationale


async def test_payloads_hold_keys_while_reasons_show_names() -> None:
    renamed = Labelset(classes=[LabelClass(name="lost or stolen card", key="k1"), LabelClass(name="top up", key="k2")])
    draft = (await local_model(renamed).draft(ITEMS[:1]))[0]
    assert draft.payload == Classification(labels=("k1",))
    assert "lost or stolen card" in draft.rationale


async def test_a_retired_class_is_never_drafted() -> None:
    retired = Labelset(classes=[LabelClass(name="lost_card", retired=True), LabelClass(name="top_up")])
    draft = (await local_model(retired).draft(ITEMS[:1]))[0]
    assert draft.payload == Classification(labels=("top_up",))


async def test_several_labels_may_be_given_or_none() -> None:
    several = Labelset.of(["lost card", "exchange rate"], multi=True)
    both, none = await local_model(several).draft(
        [
            PrelabelInput(item_id="1", text="I lost my card, and what is your exchange rate?"),
            PrelabelInput(item_id="2", text="The weather is lovely in spring"),
        ]
    )
    assert both.payload == Classification(labels=("lost card", "exchange rate"))
    assert none.payload == Classification(labels=())
    assert both.probability is not None
    assert 0 < both.probability <= 1


async def test_a_vector_at_hand_is_used_instead_of_the_text() -> None:
    vector = load_embedder().encode(["What is the euro to dollar exchange rate?"])[0]
    item = PrelabelInput(item_id="1", text="I lost my card", vector=tuple(map(float, vector)))
    assert (await local_model(BANK).draft([item]))[0].payload == Classification(labels=("exchange_rate",))


@pytest.mark.parametrize("broken", [(0.5, 0.5), (float("nan"),) * 384, ()])
async def test_a_broken_vector_falls_back_to_the_text_and_harms_nobody(broken: tuple[float, ...]) -> None:
    drafts = await local_model(BANK).draft([PrelabelInput(item_id="0", text=ITEMS[0].text, vector=broken), *ITEMS[1:]])
    assert drafts[0].payload == Classification(labels=("lost_card",))
    assert all(draft.error is None for draft in drafts)


async def test_no_items_give_no_drafts() -> None:
    assert await local_model(BANK).draft([]) == []


async def test_spans_before_any_are_verified_come_back_as_no_training_data() -> None:
    spans = Labelset.of(["person"], kind="spans")
    drafts = await local_model(spans).draft(ITEMS)
    assert len(drafts) == len(ITEMS)
    for draft in drafts:
        assert draft.payload is None
        assert draft.error is not None
        assert draft.error.code == "no-training-data"


async def test_spans_are_drafted_once_some_are_verified() -> None:
    people = Labelset.of(["person"], kind="spans")
    names = ["Anna", "Bert", "Clara", "David", "Emma", "Farid"]
    verified = [
        Example(
            item_id=str(i),
            text=f"Today {name} came to see us",
            payload=Spans(spans=(Span(start=6, end=6 + len(name), label="person"),)),
        )
        for i, name in enumerate(names * 3)
    ]
    nobody = [Example(item_id=f"n{i}", text="Today nobody came", payload=Spans(spans=())) for i in range(6)]
    drafts = await local_model(people, examples=[*verified, *nobody]).draft(
        [PrelabelInput(item_id="a", text="Today Greta came to see us"), PrelabelInput(item_id="b", text="")]
    )
    assert drafts[0].payload == Spans(spans=(Span(start=6, end=11, label="person"),))
    assert drafts[0].route == "student"
    assert "«Greta» person" in drafts[0].rationale
    assert drafts[1].payload == Spans(spans=())
    for draft, text in zip(drafts, ["Today Greta came to see us", ""], strict=True):
        assert draft.payload is not None
        check_payload(people, draft.payload, length=len(text))
        assert draft.probability is not None
        assert 0 <= draft.probability <= 1


@pytest.mark.parametrize("kind", ["boxes", "polygons", "segments"])
async def test_other_kinds_are_refused_as_invalid(kind: str) -> None:
    labelset = Labelset.of(["a"], kind=kind)  # type: ignore[arg-type]
    with pytest.raises(Invalid):
        await local_model(labelset).draft(ITEMS)


async def test_a_classifier_without_student_says_no_training_data() -> None:
    with pytest.raises(LabelCrewError) as caught:
        await LocalModel(BANK, load_embedder()).draft(ITEMS)
    assert caught.value.code == "no-training-data"


@shared_data("text/banking77")
async def test_banking77_intents_are_drafted_legally_and_mostly_right() -> None:
    rows = shared_rows("text/banking77/test.jsonl")[::10]
    labelset = Labelset.of(sorted({row["label"] for row in rows}))
    items = [PrelabelInput(item_id=row["id"], text=row["text"]) for row in rows]
    drafts = await local_model(labelset, pool_texts=[row["text"] for row in rows]).draft(items)
    right = 0
    for draft, row in zip(drafts, rows, strict=True):
        assert draft.payload is not None
        check_payload(labelset, draft.payload)
        right += draft.payload == Classification(labels=(row["label"],))
    assert right / len(rows) > 0.55
