"""Whether a text gives orders to a model: what people put into items to make an assistant do what they want.

A filter, not a proof: what it finds makes the assistant more careful (crews/guidance.py), and what it misses still meets
the rules that hold for every proposal. False alarms cost a proposal, never a label.
"""

from __future__ import annotations

import re
import unicodedata

LOOKED_AT = 20_000
"""Characters of a text that are read, from either end."""

_HIDDEN = dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065), 0xFEFF, 0x00AD])
_TAGS = dict.fromkeys(range(0xE0000, 0xE0080))

_ORDERS = re.compile(
    r"""
    \b(ignore|disregard|forget|override|bypass)\b.{0,40}\b(instruction|prompt|rule|guideline|above|previous|prior|earlier
        |everything|statistics|system)
    | \b(you\s+are|act\s+as|pretend\s+to\s+be|from\s+now\s+on)\b.{0,30}\b(now|assistant|model|ai|admin|developer|system)\b
    | \b(system|developer)\s*(prompt|message|instruction|override|note)\b
    | (^|[\n.!?»"'\]])\s*(system|assistant|user|developer|admin)\s*:
    | <\s*/?\s*(system|assistant|user|data|items?|tool|instructions?)\b
    | \[/?\s*(inst|system|assistant)\b
    | \b(propose|start|run|call|invoke|execute|trigger|launch)\b.{0,30}\b(tool|function|job|proposal|propose_\w+|export
        |prelabel|pre-label|bulk)\b
    | \bpropose_\w+
    | \b(add|append|insert|write)\b.{0,40}\b(guideline|rule)s?\b
    | \b(label|classify|tag|annotate|relabel|mark)\b.{0,30}\b(this|these|all|every|it|item|text|message|everything)\b
        .{0,20}\b(as|with)\b
    | \b(set|change|answer|choose|pick|select)\b.{0,20}\b(label|class|category|annotation)\b
    | \b(the\s+)?(correct|right|true|only)\s+(label|class|answer|category)\s+(is|must|should)\b
    | \bdear\s+(ai|assistant|model|llm|chatbot)\b
    | \b(ai|assistant|model|llm|chatbot|annotator|labell?er)s?\b.{0,20}\b(must|should|shall|please|has\s+to|have\s+to)\b
    | \bOBEY\b
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def gives_orders(text: str) -> bool:
    """Whether something in the text reads like an instruction to whoever labels or assists."""
    if len(text) > 2 * LOOKED_AT:
        text = f"{text[:LOOKED_AT]}\n{text[-LOOKED_AT:]}"
    plain = unicodedata.normalize("NFKC", text.translate(_TAGS).translate(_HIDDEN))
    return bool(_ORDERS.search(plain)) or any(0xE0000 <= ord(character) < 0xE0080 for character in text)
