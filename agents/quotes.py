"""From a quoted text and its occurrence to a place in the item: models quote well and count characters badly.

Places are Unicode code points, end exclusive. A quote is looked for letter by letter first; models also change case,
white space, quotation marks and dashes, so the second look is over a folded copy that remembers where each of its
characters came from. Among the places found, those that cut a word or a character in two (``US`` in ``BUS``, a thumb
without its skin tone) count only where there is no other.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_ALIKE = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
        "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "−": "-", "…": "...",
    }
)  # fmt: skip
_JOINERS = {"\u200d", "\ufe0e", "\ufe0f", "\u20e3"}


@dataclass(frozen=True)
class Place:
    """Where a quote stands. ``exact`` is False when it was found only after folding."""

    start: int
    end: int
    exact: bool = True


def find_quote(text: str, quote: str, occurrence: int = 1) -> Place | None:
    """The ``occurrence``-th place (from 1) of ``quote`` in ``text``; None when it is not there that often.

    A number too high is forgiven when the quote stands in exactly one place.
    """
    quote = quote.strip()
    if not quote:
        return None
    exact = [(at, at + len(quote)) for at in _all(text, quote)]
    if exact:
        return _choose(text, exact, occurrence, exact=True)
    folded, origins = _fold(text)
    wanted, _ = _fold(quote)
    wanted = wanted.strip()
    if not wanted:
        return None
    places = [(origins[at][0], origins[at + len(wanted) - 1][1]) for at in _all(folded, wanted)]
    return _choose(text, places, occurrence, exact=False) if places else None


def _choose(text: str, places: list[tuple[int, int]], occurrence: int, *, exact: bool) -> Place | None:
    whole = [place for place in places if not _cuts(text, *place)]
    for candidates in (whole, places):
        if 1 <= occurrence <= len(candidates):
            return Place(*candidates[occurrence - 1], exact=exact)
    only = whole or places
    return Place(*only[0], exact=exact) if len(only) == 1 else None


def _all(text: str, quote: str) -> list[int]:
    """Starts of the places of ``quote``, none overlapping another, as people count them."""
    starts = []
    at = text.find(quote)
    while at >= 0:
        starts.append(at)
        at = text.find(quote, at + len(quote))
    return starts


def _cuts(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    if after and (after in _JOINERS or unicodedata.category(after) in ("Mn", "Me") or _is_skin_tone(after)):
        return True
    if before == "\u200d":
        return True
    return _joined(before, text[start]) or _joined(text[end - 1], after)


def _joined(left: str, right: str) -> bool:
    """Whether two neighbours belong to one word. Scripts without spaces (Han, kana, Thai …) have no such border."""
    return bool(left and right) and _in_spaced_word(left) and _in_spaced_word(right)


def _in_spaced_word(character: str) -> bool:
    return character.isalnum() and unicodedata.category(character) != "Lo"


def _is_skin_tone(character: str) -> bool:
    return "\U0001f3fb" <= character <= "\U0001f3ff"


def _fold(text: str) -> tuple[str, list[tuple[int, int]]]:
    """``text`` without case, compatibility forms, typographic marks and repeated white space.

    The list says for every character of the result which stretch of ``text`` it stands for.
    """
    characters: list[str] = []
    origins: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        end = at + 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        cluster = text[at:end]
        if cluster.isspace():
            while end < len(text) and text[end].isspace():
                end += 1
            shown = " "
        else:
            shown = unicodedata.normalize("NFKC", cluster.translate(_ALIKE)).casefold()
        for character in shown:
            characters.append(character)
            origins.append((at, end))
        at = end
    return "".join(characters), origins
