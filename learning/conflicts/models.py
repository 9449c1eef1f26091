"""A person against a model that is sure."""

from __future__ import annotations

from learning.conflicts.finding import Finding, Labelled, Names, Payload, answer_of, item_finding

SURE = 0.8


def model_disagreement(
    item: Labelled, draft: Payload | None, probability: float | None, model: str, names: Names | None = None
) -> Finding | None:
    """The item's newest draft says otherwise than the person, with a probability of :data:`SURE` or more."""
    names = names or Names()
    if draft is None or probability is None or probability < SURE or answer_of(draft) == item.answer:
        return None
    summary = (
        f"{model} is {probability:.0%} sure that it is {names.say(draft)}; a person said {names.say(item.payload)}."
    )
    return item_finding(
        "model_disagrees", item, 0.4 + 2.0 * (probability - SURE), summary, stamp=[answer_of(draft)],
        numbers={"probability": round(probability, 4), "model": model, "draft": dict(draft)}, payload=draft,
        reason=f"{model} is {probability:.0%} sure",
    )  # fmt: skip
