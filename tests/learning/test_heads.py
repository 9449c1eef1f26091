"""Linear heads on frozen vectors: soft labels, unseen classes, classes that always apply."""

from __future__ import annotations

import numpy as np

from learning.heads import fit_binary_heads, fit_softmax_head
from tests.learning.synthetic import blobs


def test_a_soft_label_teaches_like_the_hard_ones_it_is_made_of() -> None:
    made = blobs([12, 12])
    soft = np.full((24, 2), 0.5)
    doubled = np.concatenate([made.vectors, made.vectors])
    hard = np.repeat(np.eye(2), 24, axis=0)
    half = np.full(48, 0.5)
    one = fit_softmax_head(made.vectors, soft, np.ones(24), strength=1.0)
    other = fit_softmax_head(doubled, hard, half, strength=1.0)
    assert np.allclose(one.log_proba(made.vectors), other.log_proba(made.vectors), atol=1e-3)


def test_a_head_never_knows_a_class_it_has_not_met_better_than_one_it_has() -> None:
    made = blobs([20, 20, 20])
    rows = made.y < 2
    head = fit_softmax_head(made.vectors[rows], np.eye(3)[made.y[rows]], np.ones(rows.sum()), strength=3.0)
    assert (np.exp(head.log_proba(made.vectors))[:, 2] < 0.1).all()


def test_binary_heads_cope_with_classes_that_always_or_never_apply() -> None:
    made = blobs([30, 30])
    targets = np.stack([np.ones(60), np.zeros(60), (made.y == 0).astype(float)], axis=1)
    head = fit_binary_heads(made.vectors, targets, np.ones(60), strength=3.0)
    given = head.logits(made.vectors) > 0
    assert given[:, 0].all()
    assert not given[:, 1].any()
    assert (given[:, 2] == (made.y == 0)).mean() > 0.95
