"""How sure the model was of a label, read off the tokens it wrote.

The probability of an answer is the product of the probabilities of its tokens; here, of those that spell the value of
``label`` (or ``labels``) in each answer, up to and including its closing quote or bracket, because the end tells
``card`` from ``card_arrival``.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from itertools import accumulate
from typing import Any

_LABEL = re.compile(r'"labels?"\s*:\s*(?=["\[])')
_decoder = json.JSONDecoder()


def label_probabilities(text: str, tokens: Any) -> list[float] | None:
    """The probability of every label value in ``text``, in order; None when the tokens do not spell the text.

    ``tokens`` is the ``logprobs.content`` of a chat completion.
    """
    if not isinstance(tokens, list) or not tokens:
        return None
    try:
        lengths = [len(t["bytes"]) if t.get("bytes") is not None else len(t["token"].encode()) for t in tokens]
        logprobs = [float(t["logprob"]) for t in tokens]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    ends = list(accumulate(lengths))
    ascii_only = text.isascii()
    if ends[-1] < (len(text) if ascii_only else len(text.encode())):
        return None
    found = []
    for match in _LABEL.finditer(text):
        try:
            _, end = _decoder.raw_decode(text, match.end())
        except json.JSONDecodeError:
            return None
        start = match.end() + 1
        if not ascii_only:
            start, end = len(text[:start].encode()), len(text[:end].encode())
        first, last = bisect_right(ends, start), bisect_right(ends, end - 1)
        found.append(min(1.0, math.exp(sum(logprobs[first : last + 1]))))
    return found
