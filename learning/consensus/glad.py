"""GLAD: annotators differ in skill and items in difficulty.

Whitehill, Wu, Bergsma, Movellan & Ruvolo, *Whose vote should count more: optimal integration of labels from labelers of
unknown expertise*, NeurIPS 2009. An answer is right with probability sigmoid(skill × ease), else any other class.
"""

from __future__ import annotations

import numpy as np

from learning.checks import Floats
from learning.consensus.votes import Consensus, Votes, normalised
from learning.consensus.voting import majority


def glad(votes: Votes, *, rounds: int = 100, tolerance: float = 1e-5) -> Consensus:
    """The truth by EM; skills and log-eases have standard normal priors around 1."""
    from scipy.optimize import minimize
    from scipy.special import expit, log_expit

    k = votes.classes
    skill, log_ease = np.ones(votes.workers), np.ones(votes.items)
    prior = np.log(np.full(max(k, 1), 1.0 / max(k, 1)))
    proba = majority(votes).proba
    before = -np.inf
    item, worker, label = votes.item, votes.worker, votes.label

    def expect(skill: Floats, log_ease: Floats) -> Floats:
        logit = skill[worker] * np.exp(log_ease[item])
        right, wrong = log_expit(logit), log_expit(-logit) - np.log(max(k - 1, 1))
        base = np.bincount(item, weights=wrong, minlength=votes.items)
        scores: Floats = prior + base[:, None] + votes.counts(right - wrong)
        return scores

    def loss(parameters: Floats, agrees: Floats) -> tuple[float, Floats]:
        skill, log_ease = parameters[: votes.workers], parameters[votes.workers :]
        ease = np.exp(log_ease)
        logit = skill[worker] * ease[item]
        value = agrees * log_expit(logit) + (1 - agrees) * (log_expit(-logit) - np.log(max(k - 1, 1)))
        slope = agrees - expit(logit)
        of_skill = np.bincount(worker, weights=slope * ease[item], minlength=votes.workers) - (skill - 1)
        of_ease = np.bincount(item, weights=slope * logit, minlength=votes.items) - (log_ease - 1)
        total = value.sum() - 0.5 * ((skill - 1) ** 2).sum() - 0.5 * ((log_ease - 1) ** 2).sum()
        return -float(total), -np.concatenate([of_skill, of_ease])

    for _ in range(rounds):
        proba = normalised(expect(skill, log_ease))
        agrees = proba[item, label]
        start = np.concatenate([skill, log_ease])
        found = minimize(loss, start, args=(agrees,), jac=True, method="L-BFGS-B", options={"maxiter": 25})
        skill, log_ease = found.x[: votes.workers], np.minimum(found.x[votes.workers :], 10.0)
        if abs(float(-found.fun) - before) < tolerance * max(len(item), 1):
            break
        before = float(-found.fun)
    proba = normalised(expect(skill, log_ease))
    return Consensus(proba, expit(skill), "glad", answered=votes.per_item())
