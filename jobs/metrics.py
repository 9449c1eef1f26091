"""From counts to metrics: rates, percentiles, calibration curves and differences, made of what the database added up."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog

from jobs.insights import NEXT_LABELS, report_learning
from schemas.errors import Invalid
from schemas.metrics import (
    Arm,
    Bucket,
    ConflictCount,
    CostPoint,
    DatasetMetrics,
    Difference,
    DriftNow,
    HintMetrics,
    Histogram,
    LabelPoint,
    MetricsSpan,
    ModelCost,
    ModelQuality,
    PersonWork,
    QualityPoint,
    Shown,
    StatePoint,
    WorkPoint,
)
from store.rpc import Rpc

log = structlog.get_logger("metrics")

BINS = 20
FIRST_BIN_MS = 250.0
BINS_AN_OCTAVE = 4
DAY = 86_400
SLOT = 900
MOST_POINTS = 5000
SHOWN: tuple[Shown, ...] = ("blind", "plain", "hinted")
ENOUGH = 30
"""Answers on each side of a difference that is told."""

Raw = Mapping[str, Any]


async def report_metrics(
    rpc: Rpc, actor: str, dataset: str, *, next_labels: int = NEXT_LABELS, since: datetime | None = None,
    until: datetime | None = None, bucket_seconds: int = DAY,
) -> DatasetMetrics:  # fmt: skip
    """Everything measured of the dataset, counted from ``since`` to before ``until``."""
    if bucket_seconds % SLOT:
        raise Invalid("a bucket is a multiple of 900 seconds")
    if since and until and (until - since).total_seconds() / bucket_seconds > MOST_POINTS:
        raise Invalid(f"that is more than {MOST_POINTS} buckets", hint="Ask for a larger bucket or a shorter span.")
    raw, learning = await asyncio.gather(
        rpc.call("get_metrics", actor=actor, dataset=dataset, since=since, until=until, bucket=bucket_seconds),
        report_learning(rpc, actor, dataset, next_labels=next_labels),
    )
    states = {state: int(n) for state, n in raw["states"].items()}
    items, verified = sum(states.values()), states.get("verified", 0)
    snapshot = raw["snapshot"] or {}
    usd = sum(total for *_, total in raw["drafts"])
    judged = sum(n for _, _, _, n, _ in raw["judged"])
    edited = sum(n for _, b, _, n, _ in raw["judged"] if b.endswith("/changed"))
    return DatasetMetrics(
        **learning.model_dump(),
        span=MetricsSpan(since=since, until=until, bucket_seconds=bucket_seconds, behind=raw["behind"]),
        items=items,
        states=states,
        verified_rate=_share(verified, items),
        edit_rate=_share(edited, judged),
        people=_people(raw["people"]),
        work=[
            WorkPoint(at=at, user_id=user, answers=n, mean_ms=_share(total, timed))
            for at, user, n, timed, total in raw["people_series"]
        ],
        quality=_quality(raw["judged"]),
        quality_over_time=_quality_over_time(raw["judged_series"]),
        histograms=_histograms(raw["histograms"]),
        costs=_costs(raw["drafts"], snapshot.get("verified_by_model")),
        cost_over_time=[CostPoint(at=at, model=m, drafts=n, usd=total) for at, m, n, total in raw["drafts_series"]],
        usd_per_verified=usd / verified if verified else None,
        labels=snapshot.get("labels", {}),
        labels_at=snapshot.get("at"),
        labels_over_time=[LabelPoint(at=at, source=s, labels=labels) for at, s, labels in raw["labels_series"]],
        states_over_time=[StatePoint(at=at, states=found) for at, found in raw["states_series"]],
        conflicts=_conflicts(raw["conflicts"]),
        hints=_hints(raw["shown"], raw["judged"], snapshot.get("arms", {})),
        drift=DriftNow.model_validate(raw["drift"]) if raw["drift"] else None,
    )


async def roll_up(rpc: Rpc) -> None:
    """Count what came since the last time, and take a snapshot where one is due. For the worker's loop."""
    for _ in range(50):
        done = await rpc.call("roll_up_metrics", timeout=120)
        if not done["behind"] or not done["counted"]:
            break
    await rpc.call("take_snapshot", timeout=120)


def percentile_ms(bins: Mapping[int, int], share: float) -> float | None:
    """The time below which ``share`` of the answers lie, by quarter-octave bins of a quarter of a second and up."""
    total = sum(bins.values())
    if not total:
        return None
    wanted, seen = share * total, 0
    for at in sorted(bins):
        if seen + bins[at] >= wanted:
            inside = (wanted - seen) / bins[at]
            return float(FIRST_BIN_MS * 2 ** ((at + inside) / BINS_AN_OCTAVE))
        seen += bins[at]
    raise AssertionError("the last bin holds the rest")


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _people(rows: Iterable[Sequence[Any]]) -> list[PersonWork]:
    of: dict[str, list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        of[row[0]].append(row)
    found = []
    for user, theirs in of.items():
        bins, answers, timed, total = _times((at, n, ms) for _, _, _, _, at, n, ms in theirs)
        found.append(
            PersonWork(
                user_id=user,
                name=theirs[0][1] or "",
                email=theirs[0][2] or "",
                answers=answers,
                timed=timed,
                mean_ms=_share(total, timed),
                median_ms=percentile_ms(bins, 0.5),
                p90_ms=percentile_ms(bins, 0.9),
            )
        )
    return sorted(found, key=lambda person: (-person.answers, person.user_id))


def _times(rows: Iterable[tuple[int, int, float]]) -> tuple[dict[int, int], int, int, float]:
    """Bins of timed answers, all answers, timed answers, their milliseconds."""
    bins: dict[int, int] = defaultdict(int)
    answers, total = 0, 0.0
    for at, n, ms in rows:
        answers += n
        total += ms
        if at >= 0:
            bins[at] += n
    return bins, answers, sum(bins.values()), total


def _quality(rows: Iterable[Sequence[Any]]) -> list[ModelQuality]:
    of: dict[str, list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        of[row[0]].append(row)
    found = []
    for model, theirs in of.items():
        judged = sum(row[3] for row in theirs)
        changed = sum(row[3] for row in theirs if row[1].endswith("/changed"))
        curve = _curve(theirs)
        blind = _curve([row for row in theirs if row[1].startswith("blind/")])
        found.append(
            ModelQuality(
                model=model,
                judged=judged,
                edit_rate=_share(changed, judged),
                ece=_ece(curve),
                blind_ece=_ece(blind),
                curve=curve,
            )
        )
    return sorted(found, key=lambda one: (-one.judged, one.model))


def _curve(rows: Iterable[Sequence[Any]]) -> list[Bucket]:
    judged, kept, claimed = [0] * BINS, [0] * BINS, [0.0] * BINS
    for _, b, at, n, total in rows:
        if at >= 0:
            judged[at] += n
            claimed[at] += total
            kept[at] += n if b.endswith("/kept") else 0
    return [
        Bucket(
            low=k / BINS,
            high=(k + 1) / BINS,
            judged=judged[k],
            kept=kept[k],
            probability=claimed[k] / judged[k],
            accepted=kept[k] / judged[k],
        )
        for k in range(BINS)
        if judged[k] > 0
    ]


def _ece(curve: Sequence[Bucket]) -> float | None:
    gaps = sum(bucket.judged * abs(bucket.probability - bucket.accepted) for bucket in curve)
    return _share(gaps, sum(bucket.judged for bucket in curve))


def _quality_over_time(rows: Iterable[Sequence[Any]]) -> list[QualityPoint]:
    judged: dict[tuple[str, str], int] = defaultdict(int)
    changed: dict[tuple[str, str], int] = defaultdict(int)
    for at, model, b, n in rows:
        judged[at, model] += n
        changed[at, model] += n if b == "changed" else 0
    return [
        QualityPoint.model_validate({"at": at, "model": model, "judged": n, "edit_rate": changed[at, model] / n})
        for (at, model), n in judged.items()
        if n > 0
    ]


def _histograms(rows: Iterable[Sequence[Any]]) -> list[Histogram]:
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * BINS)
    totals: dict[tuple[str, str], float] = defaultdict(float)
    for measure, model, at, n, total in rows:
        if at >= 0:
            counts[measure, model][at] += n
            totals[measure, model] += total
    return [
        Histogram.model_validate(
            {"measure": key[0], "model": key[1], "counts": found, "mean": totals[key] / max(sum(found), 1)}
        )
        for key, found in sorted(counts.items())
    ]


def _costs(rows: Iterable[Sequence[Any]], verified: Mapping[str, int] | None) -> list[ModelCost]:
    drafts: dict[str, int] = defaultdict(int)
    failures: dict[str, int] = defaultdict(int)
    usd: dict[str, float] = defaultdict(float)
    for model, _, failed, n, total in rows:
        drafts[model] += n
        failures[model] += n if failed else 0
        usd[model] += total
    found = []
    for model, n in drafts.items():
        known = None if verified is None else int(verified.get(model, 0))
        found.append(
            ModelCost(
                model=model,
                drafts=n,
                failures=failures[model],
                usd=usd[model],
                usd_per_item=_share(usd[model], n),
                verified=known,
                usd_per_verified=usd[model] / known if known else None,
            )
        )
    return sorted(found, key=lambda one: (-one.usd, one.model))


def _conflicts(rows: Iterable[Sequence[Any]]) -> list[ConflictCount]:
    of: dict[str, dict[str, int]] = defaultdict(dict)
    for kind, state, n in rows:
        of[kind][state] = n
    return [ConflictCount.model_validate({"kind": kind, **counts}) for kind, counts in sorted(of.items())]


def _hints(shown: Sequence[Sequence[Any]], judged: Sequence[Sequence[Any]], decided: Mapping[str, Raw]) -> HintMetrics:
    arms, kept = [], {}
    for name in SHOWN:
        bins, answers, timed, total = _times((at, n, ms) for arm, at, n, ms in shown if arm == name)
        of = [row for row in judged if row[1].startswith(f"{name}/")]
        seen = sum(row[3] for row in of)
        same = sum(row[3] for row in of if row[1].endswith("/kept"))
        kept[name] = (same, seen)
        told = decided.get(name, {})
        arms.append(
            Arm(
                shown=name,
                answers=answers,
                mean_ms=_share(total, timed),
                median_ms=percentile_ms(bins, 0.5),
                judged=seen,
                kept=_share(same, seen),
                decided=told.get("judged", 0),
                right=_share(told.get("right", 0), told.get("judged", 0)),
                suggested=told.get("suggested", 0),
                followed=_share(told.get("followed", 0), told.get("suggested", 0)),
            )
        )
    sighted = tuple(kept["plain"][i] + kept["hinted"][i] for i in (0, 1))
    pull = _difference((sighted[0], sighted[1]), kept["blind"])
    right = {name: (decided.get(name, {}).get("right", 0), decided.get(name, {}).get("judged", 0)) for name in SHOWN}
    unhinted = (right["blind"][0] + right["plain"][0], right["blind"][1] + right["plain"][1])
    helped = _difference(right["hinted"], unhinted)
    return HintMetrics(arms=arms, pull=pull, help=helped, note=_in_words(pull, helped))


def _difference(one: tuple[int, int], other: tuple[int, int]) -> Difference | None:
    """With Agresti and Caffo's interval (The American Statistician, 2000)."""
    if min(one[1], other[1]) < ENOUGH:
        return None
    p, q = one[0] / one[1], other[0] / other[1]
    smooth = [((k + 1) / (n + 2), n + 2) for k, n in (one, other)]
    half = 1.96 * math.sqrt(sum(s * (1 - s) / n for s, n in smooth))
    middle = smooth[0][0] - smooth[1][0]
    return Difference(value=p - q, low=max(-1.0, middle - half), high=min(1.0, middle + half))


def _in_words(pull: Difference | None, helped: Difference | None) -> str:
    said = []
    if pull is None:
        said.append(f"Whether drafts pull answers is told from {ENOUGH} blind answers on")
    elif pull.low > 0:
        said.append(f"Answers say what the draft says {pull.value:.0%} more often when it is in sight")
    else:
        said.append("No pull of the drafts on the answers is seen")
    if helped is None:
        said.append(f"whether hints help, from {ENOUGH} decided answers with a hint on")
    elif helped.low > 0:
        said.append(f"with a hint, {helped.value:.0%} more answers are right")
    elif helped.high < 0:
        said.append(f"with a hint, {-helped.value:.0%} fewer answers are right")
    else:
        said.append("no effect of hints on what is right is seen")
    return "; ".join(said) + "."
