"""Instruments that find what is doubtful about labels, each a pure function from answers and numbers to findings.

A finding says what kind of doubt it is, how bad (0..1), on what evidence (numbers, and the other items by id), and what
could be done. Its words come from a template: a language model may judge it afterwards (:mod:`crews.quality`), but
nothing here needs one.
"""

from __future__ import annotations

from learning.conflicts.errors import Assessment, confused_classes, label_errors
from learning.conflicts.finding import Finding, Labelled, Names, Near, worst
from learning.conflicts.label_sets import label_set_errors
from learning.conflicts.local import near_duplicates, neighbour_disagreement, schema_violation
from learning.conflicts.models import model_disagreement
from learning.conflicts.near import nearest_answers
from learning.conflicts.people import Given, annotator_drift, annotators_disagree, implausibly_fast
from learning.conflicts.spans import span_boundaries

__all__ = [
    "Assessment", "Finding", "Given", "Labelled", "Names", "Near", "annotator_drift", "annotators_disagree",
    "confused_classes", "implausibly_fast", "label_errors", "label_set_errors", "model_disagreement", "near_duplicates",
    "nearest_answers", "neighbour_disagreement", "schema_violation", "span_boundaries", "worst",
]  # fmt: skip
