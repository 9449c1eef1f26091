"""How sure it is how good an annotator is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from learning.checks import Floats, check_share, check_unit
from learning.consensus.votes import Consensus
from learning.frames import Answers
from schemas.errors import Invalid


def quality_interval(answers: Answers, consensus: Consensus, level: float = 0.95) -> Floats:
    """(workers, 2) lower and upper end of each annotator's ``consensus.quality``.

    Of an annotator whose answers were right in q of n, the interval of a proportion. The truth that they are measured
    against is itself estimated, so it is a little too narrow where items have few answers.
    """
    given = np.bincount(answers.worker, minlength=len(answers.workers))
    return share_interval(consensus.quality, given, level)


def share_interval(share: ArrayLike, counts: ArrayLike, level: float = 0.95) -> Floats:
    """(n, 2) interval of ``share`` (n,), each found on ``counts`` (n,) cases: the central part of a Beta distribution
    with half a case of each kind added (Jeffreys), widened to hold the share itself."""
    found, n = check_unit(share, what="shares"), np.asarray(counts, dtype=np.float64)
    if n.shape != found.shape or (n < 0).any():
        raise Invalid("each share needs the number of cases it was found on")
    tail = (1.0 - check_share(level, "the level of the interval")) / 2.0
    from scipy.stats import beta

    a, b = found * n + 0.5, (1.0 - found) * n + 0.5
    ends = np.stack([beta.ppf(tail, a, b), beta.ppf(1.0 - tail, a, b)], axis=1)
    ends[:, 0], ends[:, 1] = np.minimum(ends[:, 0], found), np.maximum(ends[:, 1], found)
    interval: Floats = ends
    return interval
