"""Whether what comes in now is still what came in before: the texts, the mix of labels, the people, the model.

Two kinds of test, both safe to look at for ever. *Data* are compared by permutation at growing sizes, and every look
spends a part of α, so that all looks together raise a false alarm with probability α at most (``looks``, ``data``).
*Outcomes* that arrive one by one, right or wrong, are watched by e-processes, which may be read after each
(``outcomes``, on ``learning/sequential.py``). A score of 1 is the threshold in both.
"""

from __future__ import annotations

from learning.drift.data import ClassShift, DriftFinding, Part, look_for_drift
from learning.drift.looks import FIRST_LOOK, adjusted, next_look, score_of, spent
from learning.drift.mix import MixShift, jensen_shannon, mix_test, stability_index
from learning.drift.outcomes import Point, Watch, over_time, watch_calibration, watch_rate
from learning.drift.two_sample import TwoSample, mmd_test

__all__ = [
    "FIRST_LOOK", "ClassShift", "DriftFinding", "MixShift", "Part", "Point", "TwoSample", "Watch", "adjusted",
    "jensen_shannon", "look_for_drift", "mix_test", "mmd_test", "next_look", "over_time", "score_of", "spent",
    "stability_index", "watch_calibration", "watch_rate",
]  # fmt: skip
