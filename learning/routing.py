"""Who answers which item: the student alone, a language model, the crew, or a person.

Every item has a few routes, each with a chance to be right, a price in USD and in human minutes. Choosing one a item so
that the expected number of correct labels is largest within both budgets is a multiple-choice knapsack (Sinha &
Zoltners, *The multiple-choice knapsack problem*, Operations Research 27, 1979). Its relaxation has a price for a dollar
and one for a minute (Everett, *Generalized Lagrange multiplier method*, Operations Research 11, 1963): an item takes
the route whose gain is worth its cost at these prices. What rounding leaves over goes to the best remaining gains. The
budgets are never passed, and the result is within a few items' gain of the best there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.arrays import logit, sigmoid
from learning.checks import Ints, check_share, check_unit
from schemas.errors import Invalid, error_of

Array = NDArray[np.float64]
RouteName = Literal["local", "student", "llm", "crew", "human"]

WORDS = {
    "local": "the embedded model",
    "student": "the student alone",
    "llm": "the language model",
    "crew": "the crew",
    "human": "a person",
}
SAMPLE = 4_000
"""The prices are found on so many items: more do not move them."""
ROUNDS, HALVINGS = 6, 30
FEW = 256
"""With no more items than this, two of them may exchange routes at the end: rounding matters only here."""


@dataclass(frozen=True)
class RouteOption:
    """One way to have items answered. ``right`` (n,) or one number: the calibrated chance of a right label; ``usd`` and
    ``minutes``: what an item costs, (n,) or one number."""

    name: RouteName
    right: ArrayLike
    usd: ArrayLike = 0.0
    minutes: ArrayLike = 0.0


@dataclass(frozen=True)
class Routing:
    """A route for every item, with what it promises and costs."""

    names: tuple[RouteName, ...]
    choice: Ints
    """(n,) index into ``names``; −1 where no route could be paid for: the item stays in the queue."""
    right: Array
    """(n,) chance of a right label by the chosen route; 0 where there is none."""
    split: dict[str, int]
    """Items by route; ``none`` counts those left in the queue, if any."""
    usd: float
    minutes: float
    expected_correct: float
    meets_target: bool | None
    """Whether the expected share of errors stays within the target; None without a target."""
    reasons: tuple[str, ...]

    def route(self, item: int) -> RouteName | None:
        """The name of the item's route."""
        return self.names[self.choice[item]] if self.choice[item] >= 0 else None


def route_items(
    options: Sequence[RouteOption],
    *,
    usd: float | None = None,
    minutes: float | None = None,
    target_error: float | None = None,
    usd_per_minute: float = 0.5,
) -> Routing:
    """The routes that make the expected number of correct labels largest within ``usd`` and ``minutes`` (None: no
    limit).

    With ``target_error`` no more is spent than the expected share of errors needs; a minute then counts as
    ``usd_per_minute``. Equal chances take the cheaper route. Raises :class:`Invalid` for NaN, chances outside 0..1,
    negative costs or budgets, and options of different lengths.
    """
    names, right, costs = _table(options)
    budget = np.array([np.inf if usd is None else usd, np.inf if minutes is None else minutes], dtype=np.float64)
    if np.isnan(budget).any() or (budget < 0).any():
        raise Invalid("a budget must not be negative")
    if not np.isfinite(usd_per_minute) or usd_per_minute <= 0:
        raise Invalid("usd_per_minute must be a positive number")
    if target_error is not None:
        check_share(target_error, "the target error")
    rate = np.array([1.0, usd_per_minute])
    prices = _prices(right, costs, budget)
    choice = _within(right, costs, budget, prices, rate)
    choice = _exchanged(right, costs, budget, _filled(right, costs, budget, choice))
    enough = None if target_error is None else (1.0 - target_error) * len(right)
    if enough is not None:
        choice = _thrifty(right, costs, budget, choice, prices, rate, enough)
    return _routing(names, right, costs, choice, enough)


def likely_right(confidence: ArrayLike, accuracy: float, *, slope: float = 0.5) -> Array:
    """The chance (n,) that a model of known mean ``accuracy`` is right on each item, before it is asked.

    What is hard for the student (``confidence``, calibrated) tends to be hard for others: log-odds move with ``slope``
    of the student's, shifted so that the mean over the items is ``accuracy``. A slope of 0 says that it is the same for
    all.
    """
    check_share(accuracy, "the accuracy")
    odds = slope * logit(check_unit(confidence), 1e-4)
    if not len(odds):
        return odds
    low, high = -50.0 - float(np.abs(odds).max()), 50.0 + float(np.abs(odds).max())
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if float(sigmoid(odds + middle).mean()) > accuracy else (middle, high)
    return sigmoid(odds + (low + high) / 2)


def _table(options: Sequence[RouteOption]) -> tuple[tuple[RouteName, ...], Array, Array]:
    """Chances (n, r) and costs (n, r, 2), the last column the route "stays in the queue"."""
    names = tuple(option.name for option in options)
    if not options:
        raise Invalid("there is no route to choose from")
    if len(set(names)) < len(names):
        raise Invalid("a route occurs twice")
    columns: list[list[Array]] = []
    for option in options:
        columns.append([])
        for what in ("right", "usd", "minutes"):
            try:
                values = np.asarray(getattr(option, what), dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise Invalid(f"{what} of route {option.name} must be numbers") from error
            if values.ndim > 1 or not np.isfinite(values).all() or (values < 0).any():
                raise Invalid(f"{what} of route {option.name} must be finite numbers, none negative")
            if what == "right" and (values > 1).any():
                raise Invalid(f"the chances of route {option.name} must not exceed 1")
            columns[-1].append(values)
    lengths = {len(values) for row in columns for values in row if values.ndim}
    if len(lengths) > 1:
        raise Invalid(f"the routes speak of different numbers of items: {sorted(lengths)}")
    n = lengths.pop() if lengths else 1
    if not n:
        raise error_of("no-training-data", "There is no item to route.")
    table = np.zeros((n, len(names) + 1, 3))
    for place, row in enumerate(columns):
        for which, values in enumerate(row):
            table[:, place, which] = values
    # Staying in the queue is worth less than any answer, even one that is surely wrong, so that a free route is taken.
    return names, table[:, :, 0], table[:, :, 1:]


def _choose(right: Array, costs: Array, price: Array) -> Ints:
    """The route with the largest gain at these prices; of equals the cheapest, and the queue last."""
    worth = right - costs @ price
    best = worth.max(axis=1, keepdims=True)
    cost = np.where(worth >= best - 1e-12, costs.sum(axis=2), np.inf)
    return np.asarray(cost.argmin(axis=1), dtype=np.int64)


def _spent(costs: Array, choice: Ints) -> Array:
    return np.asarray(costs[np.arange(len(choice)), choice].sum(axis=0))


def _prices(right: Array, costs: Array, budget: Array) -> Array:
    """Prices of a dollar and of a minute, found in turns on a sample of the items."""
    n = len(right)
    rows = np.sort(np.random.default_rng(0).choice(n, SAMPLE, replace=False)) if n > SAMPLE else np.arange(n)
    right, costs, budget = right[rows], costs[rows], budget * (len(rows) / n)
    prices = np.zeros(2)
    for _ in range(ROUNDS):
        before = prices.copy()
        for which in (0, 1):
            prices[which] = 0.0
            if _spent(costs, _choose(right, costs, prices))[which] <= budget[which]:
                continue
            paid = costs[:, :, which][costs[:, :, which] > 0]
            low, high = 0.0, 2.0 / float(paid.min())
            for _ in range(HALVINGS):
                prices[which] = (low + high) / 2 if low == 0 else float(np.sqrt(low * high))
                fits = _spent(costs, _choose(right, costs, prices))[which] <= budget[which]
                low, high = (low, float(prices[which])) if fits else (float(prices[which]), high)
            prices[which] = high
        if np.allclose(before, prices, rtol=1e-3):
            break
    return prices


def _within(right: Array, costs: Array, budget: Array, prices: Array, rate: Array) -> Ints:
    """The choice at the lowest multiple of the prices that keeps both budgets."""
    choice = _choose(right, costs, prices)
    if (_spent(costs, choice) <= budget).all():
        return choice
    step = np.where(prices > 0, prices, 1e-9 * rate * np.isfinite(budget))
    low, high = 0.0, 1.0
    while not (_spent(costs, _choose(right, costs, high * step)) <= budget).all():
        low, high = high, 2 * high
        if high > 1e15:
            # Costs too small for any price to deter: only what the limited budgets do not notice.
            noticed = (costs[:, :, np.isfinite(budget)] > 0).any(axis=2)
            return np.asarray(np.where(noticed, -1.0, right).argmax(axis=1), dtype=np.int64)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fits = (_spent(costs, _choose(right, costs, middle * step)) <= budget).all()
        low, high = (low, middle) if fits else (middle, high)
    return _choose(right, costs, high * step)


def _filled(right: Array, costs: Array, budget: Array, choice: Ints) -> Ints:
    """What is left of the budgets goes to the largest gains per share of it that still fit."""
    before, choice = choice, choice.copy()
    at = np.arange(len(choice))
    left = budget - _spent(costs, choice)
    gain = right - right[at, choice][:, None]
    more = costs - costs[at, choice][:, None, :]
    fits = (gain > 1e-12) & (more <= left).all(axis=2)
    rows, routes = np.nonzero(fits)
    scale = np.where(np.isfinite(left) & (left > 0), left, np.inf)
    share = np.maximum(more[rows, routes] / scale, 0.0).sum(axis=1)
    moved: set[int] = set()
    for place in np.argsort(-gain[rows, routes] / (share + 1e-12), kind="stable"):
        row, route = int(rows[place]), int(routes[place])
        if row not in moved and (more[row, route] <= left).all():
            left = left - more[row, route]
            choice[row] = route
            moved.add(row)
    # Sums in another order differ in the last digit, and a budget is a promise.
    while moved and not (_spent(costs, choice) <= budget).all():
        row = moved.pop()
        choice[row] = before[row]
    return choice


def _exchanged(right: Array, costs: Array, budget: Array, choice: Ints) -> Ints:
    """Exchange the routes of two items, the most gainful first, as long as that gains anything within the budgets."""
    n = len(choice)
    choice = choice.copy()
    at = np.arange(n)
    for _ in range(n if n <= FEW else 0):
        now = right[at, choice]
        gain = right[:, choice] - now[:, None]
        gain = gain + gain.T
        more = costs[:, choice] - costs[at, choice][:, None, :]
        more = more + more.transpose(1, 0, 2)
        fits = (_spent(costs, choice) + more <= budget).all(axis=2)
        worth = np.where(fits, gain, 0.0)
        one, two = np.unravel_index(int(worth.argmax()), worth.shape)
        if worth[one, two] <= 1e-12:
            break
        changed = choice.copy()
        changed[one], changed[two] = choice[two], choice[one]
        if not (_spent(costs, changed) <= budget).all():
            break
        choice = changed
    return choice


def _thrifty(
    right: Array, costs: Array, budget: Array, choice: Ints, prices: Array, rate: Array, enough: float
) -> Ints:
    """The cheapest choice found that is still expected to have ``enough`` right; ``choice`` itself when it has not."""
    at = np.arange(len(choice))
    if right[at, choice].sum() < enough:
        return choice
    low, high = 0.0, 1e-9
    while high < 1e12 and right[at, _choose(right, costs, prices + high * rate)].sum() >= enough:
        low, high = high, 4 * high
    for _ in range(2 * HALVINGS):
        middle = (low + high) / 2
        holds = right[at, _choose(right, costs, prices + middle * rate)].sum() >= enough
        low, high = (middle, high) if holds else (low, middle)
    found, scant = _choose(right, costs, prices + low * rate), _choose(right, costs, prices + high * rate)
    # Between the two lies what is needed: where many items are alike, far less than all of their gains.
    rows = np.flatnonzero(found != scant)
    gain = right[rows, found[rows]] - right[rows, scant[rows]]
    cost = (costs[rows, found[rows]] - costs[rows, scant[rows]]) @ rate
    order = np.argsort(-gain / np.maximum(cost, 1e-12), kind="stable")
    rows, gain = rows[order], gain[order]
    needed = enough - float(right[at, scant].sum())
    # One more than the sum asks for, when rounding would leave it short by a digit.
    count = min(len(rows), int(np.searchsorted(np.cumsum(gain), needed + 1e-9)) + 1)
    found = scant.copy() if needed <= 0 else np.where(np.isin(at, rows[:count]), found, scant)
    cheaper = _spent(costs, found) @ rate <= _spent(costs, choice) @ rate
    keeps = (_spent(costs, found) <= budget).all() and right[at, found].sum() >= enough
    return found if keeps and cheaper else choice


def _routing(names: tuple[RouteName, ...], right: Array, costs: Array, choice: Ints, enough: float | None) -> Routing:
    at, queue = np.arange(len(choice)), len(names)
    chance, spent = right[at, choice], _spent(costs, choice)
    counts = np.bincount(choice, minlength=queue + 1)
    split: dict[str, int] = {name: int(counts[place]) for place, name in enumerate(names)}
    if counts[queue]:
        split["none"] = int(counts[queue])
    reasons = tuple(_reason(names, right[row], costs[row], int(choice[row])) for row in at)
    return Routing(
        names,
        np.where(choice == queue, -1, choice),
        chance,
        split,
        float(spent[0]),
        float(spent[1]),
        float(chance.sum()),
        None if enough is None else bool(chance.sum() >= enough),
        reasons,
    )


def _reason(names: tuple[RouteName, ...], right: Array, costs: Array, chosen: int) -> str:
    if chosen == len(names):
        return "no route fits what is left of the budget: the item waits in the queue"
    said = f"{WORDS[names[chosen]]} is expected to be right in {right[chosen]:.0%}"
    usd, minutes = costs[chosen]
    price = " and ".join(
        words for words, there in ((f"{usd:.4g} USD", usd > 0), (f"{minutes:.2g} minutes", minutes > 0)) if there
    )
    if price:
        said += f" for {price}"
    others = [place for place in range(len(names)) if place != chosen]
    if not others:
        return said
    cheaper = [place for place in others if (costs[place] <= costs[chosen]).all() and right[place] < right[chosen]]
    if cheaper:
        next_best = max(cheaper, key=lambda place: right[place])
        return f"{said}; {WORDS[names[next_best]]} only in {right[next_best]:.0%}"
    better = max(others, key=lambda place: right[place])
    if right[better] > right[chosen]:
        points = 100 * (right[better] - right[chosen])
        return f"{said}; the {points:.0f} points more of {WORDS[names[better]]} cost more than they are worth here"
    return f"{said}; no other route is expected to do better"
