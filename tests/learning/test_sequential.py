"""Looking at the audit after every item: seldom a false alarm, soon a true one."""

from __future__ import annotations

import numpy as np
import pytest

from learning.sequential import evidence_above, monitor_licence
from schemas.errors import Invalid


def test_true_promise_is_revoked_in_at_most_delta_of_the_runs_however_long_one_looks() -> None:
    rng = np.random.default_rng(0)
    alarms = sum(monitor_licence(rng.random(1500) < 0.05, alpha=0.05).revoked for _ in range(300))
    assert alarms <= 0.05 * 300 + 3 * np.sqrt(300 * 0.05 * 0.95)


@pytest.mark.parametrize("good", [0, 400])
def test_broken_promise_is_found_soon_early_and_late(good: int) -> None:
    rng, delays = np.random.default_rng(1), []
    for _ in range(40):
        wrong = np.concatenate([rng.random(good) < 0.02, rng.random(400) < 0.2])
        found = monitor_licence(wrong, alpha=0.05)
        assert found.revoked
        assert found.revoked_at is not None
        delays.append(found.revoked_at - good)
    assert np.median(delays) < 120


def test_wealth_by_hand_for_one_observation() -> None:
    evidence = evidence_above([1.0], 0.5, restart=10)
    stakes = np.array([0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9])
    assert evidence.wealth[0] == pytest.approx(0.5 * np.mean(1 + stakes / 0.5 * 0.5) + 0.5)


def test_nothing_audited_yet_leaves_the_licence_standing() -> None:
    found = monitor_licence(np.zeros(0), alpha=0.05)
    assert (found.revoked, found.audited, found.evidence) == (False, 0, 1.0)


def test_all_wrong_is_revoked_within_a_few_items_and_says_when() -> None:
    found = monitor_licence(np.ones(30), alpha=0.05)
    assert found.revoked_at is not None
    assert found.revoked_at < 5
    assert "licence revoked" in found.reason


@pytest.mark.parametrize("values", [[0.5, np.nan], [2.0], [[1.0]]])
def test_bad_values_are_refused(values: object) -> None:
    with pytest.raises(Invalid):
        evidence_above(values, 0.05)  # type: ignore[arg-type]


def test_bad_limits_are_refused() -> None:
    for limit, delta, restart in ((0.0, 0.05, 50), (0.05, 1.0, 50), (0.05, 0.05, 0)):
        with pytest.raises(Invalid):
            evidence_above([0.0], limit, delta=delta, restart=restart)
    with pytest.raises(Invalid):
        monitor_licence([0.3], alpha=0.05)
