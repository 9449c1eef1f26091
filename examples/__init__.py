"""Sample data of our own writing, packaged so that a first try needs no file of one's own.

``DATA`` and ``LABELSET`` are customer messages with gold labels and the labelset behind them; ``SPANS`` and
``SPANS_LABELSET`` a small sample for marking names; ``REVIEWS`` a handful of texts without labels. The README.md beside
this file tells what is in them.
"""

from pathlib import Path
from typing import Final

_HERE = Path(__file__).parent

DATA: Final = _HERE / "customer_messages.csv"
"""Columns ``id,text,label,note``; UTF-8, RFC 4180, texts may hold line breaks."""

LABELSET: Final = _HERE / "customer_messages.labelset.yaml"
"""The 24 intents of :data:`DATA` with descriptions, examples and guidelines."""

SPANS: Final = _HERE / "people_places.conll"
"""Sentences in BIO CoNLL: one ``token<TAB>tag`` a line, an empty line between sentences."""

SPANS_LABELSET: Final = _HERE / "people_places.labelset.yaml"
"""The four span classes of :data:`SPANS`."""

REVIEWS: Final = _HERE / "reviews.csv"
"""Columns ``id,text``: short product reviews, unlabelled."""
