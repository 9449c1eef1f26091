"""Guidelines as lines that can be cited: cut from Markdown, and ranked by what an item or a question is about.

A passage is a list item, a paragraph or a row of a table, named by the line of the source where it begins, so that a
citation can be looked up. Ranking adds three signals: the cosine of the vectors, the words both have (weighted by
rarity among the passages), and whether a passage names a class that is in question. What has none of them is not shown:
a line that does not apply is worse than no line.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from learning.arrays import Floats

MOST_PASSAGES = 400
LONGEST = 600
"""Characters of a passage that are kept."""
WORDS_READ = 8_000
"""Characters of a query that are cut into words."""
NEAR = 0.35
SHARED = 0.15
WORDS_WEIGHT = 0.5
NAME_WEIGHT = 0.25

_WORD = re.compile(r"[^\W_]+")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)\s*#*$")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_RULE = re.compile(r"^[\s|:*_=-]+$")
_FENCE = re.compile(r"^\s*(```|~~~)")
_COMMON = frozenset(
    {
        "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "do", "does", "for", "from", "had",
        "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "me", "my", "no", "not", "of", "on",
        "or", "our", "she", "so", "that", "the", "their", "them", "then", "there", "these", "they", "this",
        "to", "too", "was", "we", "were", "what", "when", "which", "who", "will", "with", "you", "your",
        "please", "can", "could", "should", "would", "about", "get", "just",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Passage:
    """``line`` counts from 1; ``heading`` is the nearest one above."""

    line: int
    text: str
    heading: str = ""

    @property
    def whole(self) -> str:
        """With its heading, which often names the class that it is about."""
        return f"{self.heading}: {self.text}" if self.heading else self.text


def passages_of(markdown: str) -> list[Passage]:
    """The passages of a Markdown text, in order, at most 400. Any text is fine, the empty one too."""
    found: list[Passage] = []
    parts: list[str] = []
    heading, at, fenced = "", 0, False

    def close() -> None:
        if parts:
            found.append(Passage(at, " ".join(parts)[:LONGEST], heading))
            parts.clear()

    for number, line in enumerate(markdown.splitlines(), 1):
        if _FENCE.match(line):
            close()
            fenced = not fenced
            continue
        title = None if fenced else _HEADING.match(line)
        if title or not line.strip() or _RULE.match(line):
            close()
            heading = title[1] if title else heading
            continue
        if _ITEM.match(line) or line.lstrip().startswith("|") or fenced:
            close()
        if not parts:
            at = number
        parts.append(_ITEM.sub("", line).strip())
    close()
    return found[:MOST_PASSAGES]


def words_in(text: str) -> list[str]:
    """Lower-case words of a text without the commonest ones of English."""
    return [w for w in _WORD.findall(text[:WORDS_READ].casefold()) if w not in _COMMON and (len(w) > 1 or w.isdigit())]


def rank_passages(
    passages: Sequence[Passage],
    vectors: Floats,
    query: str,
    query_vector: Floats | None,
    names: Iterable[str] = (),
    limit: int = 4,
) -> list[int]:
    """Indexes of the passages that apply, best first.

    ``vectors`` (n, d) are those of the passages, ``query_vector`` (d,) that of the query, all of length 1; ``names`` are
    classes in question. Nothing applies when neither meaning, nor words, nor a name says so.
    """
    if not passages:
        return []
    shared = _shared_words([p.whole for p in passages], query)
    cosines = [0.0] * len(passages) if query_vector is None else (vectors @ query_vector).tolist()
    named = [_mentions(p.whole, names) for p in passages]
    scored = []
    for index, (cosine, words, name) in enumerate(zip(cosines, shared, named, strict=True)):
        if cosine >= NEAR or words >= SHARED or name:
            scored.append((cosine + WORDS_WEIGHT * words + NAME_WEIGHT * name, -index))
    return [-index for _, index in sorted(scored, reverse=True)[:limit]]


def _shared_words(texts: Sequence[str], query: str) -> list[float]:
    """Cosine of the sets of words, each weighted by how rare it is among the texts."""
    bags = [set(words_in(text)) for text in texts]
    wanted = set(words_in(query))
    seen = Counter(word for bag in bags for word in bag)

    def weight(words: Iterable[str]) -> float:
        return sum(math.log(1 + len(texts) / (1 + seen[word])) for word in words)

    whole = weight(wanted & set(seen)) or 1.0
    return [weight(bag & wanted) / math.sqrt(whole * (weight(bag) or 1.0)) for bag in bags]


def _mentions(text: str, names: Iterable[str]) -> bool:
    folded = f" {' '.join(_WORD.findall(text.casefold()))} "
    return any(f" {' '.join(_WORD.findall(name.casefold()))} " in folded for name in names if _WORD.search(name))
