"""CROWDLAB, by cleanlab: one model's probabilities weighed against the annotators.

Goh, Tkachenko & Mueller, *CROWDLAB: supervised learning to infer consensus labels and quality scores for data with
multiple annotators*, NeurIPS 2022 workshop on human in the loop learning.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from learning.checks import check_proba
from learning.consensus.votes import Consensus, Votes
from learning.consensus.voting import agreement_with, majority
from learning.frames import Answers
from schemas.errors import Invalid


def crowdlab(answers: Answers, proba: ArrayLike) -> Consensus:
    """The consensus of the answers and a model's out-of-sample probabilities (items, classes).

    cleanlab wants answers for every item it judges, and at least two annotators and classes; what it cannot judge is
    left to :func:`majority`.
    """
    votes = Votes.from_answers(answers)
    outside = np.asarray(check_proba(proba, votes.items), dtype=np.float64)
    if outside.shape[1] != votes.classes:
        raise Invalid(f"the model knows {outside.shape[1]} classes, the answers {votes.classes}")
    voted = majority(votes)
    counted = votes.per_item()
    answered = counted > 0
    if votes.classes < 2 or len(np.unique(votes.label)) < 2 or counted.max(initial=0) < 2:
        return Consensus(voted.proba, voted.quality, "crowdlab", answered=counted)
    from cleanlab.multiannotator import get_label_quality_multiannotator

    used = votes.per_worker() > 0
    wide = votes.to_matrix()[answered][:, used]
    found = get_label_quality_multiannotator(
        wide, outside[answered], verbose=False, return_detailed_quality=False, return_annotator_stats=True
    )
    table = found["label_quality"]
    label = table["consensus_label"].to_numpy().astype(np.int64)
    sure = np.clip(table["consensus_quality_score"].to_numpy().astype(np.float64), 1e-6, 1.0)
    # The score is the consensus label's probability; the rest is shared out as the model would. That may leave another
    # class with more, because cleanlab chooses the label first and scores it afterwards.
    rest = outside[answered].copy()
    rest[np.arange(len(rest)), label] = 0.0
    rest += 1e-12
    share = rest / rest.sum(axis=1, keepdims=True) * (1.0 - sure)[:, None]
    share[np.arange(len(share)), label] = sure
    result = voted.proba.copy()
    result[answered] = share
    decided = voted.labels
    decided[answered] = label
    quality = agreement_with(votes)
    stats = found["annotator_stats"]
    quality[np.flatnonzero(used)[stats.index.to_numpy().astype(int)]] = stats["annotator_quality"].to_numpy()
    known = np.nan_to_num(quality, nan=float(np.nanmean(quality)))
    return Consensus(result, known, "crowdlab", answered=counted, decided=decided)
