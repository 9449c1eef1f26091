"""How far annotators agree, with intervals: on classes and numbers, spans, boxes and stretches of time.

>>> import numpy as np
>>> from learning.agreement import answer_counts, krippendorff_alpha
>>> krippendorff_alpha(answer_counts([[0, 0], [1, 1], [0, 1], [1, 1]], 2), samples=0).value
0.5333333333333333
"""

from learning.agreement.boxes import Rectangle, box_f1, box_iou
from learning.agreement.estimate import Agreement
from learning.agreement.nominal import (
    Pair,
    answer_counts,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    krippendorff_alpha_interval,
    pairwise_kappa,
)
from learning.agreement.segments import segment_f1, time_iou
from learning.agreement.spans import matched_spans, span_f1, span_gamma

__all__ = [
    "Agreement",
    "Pair",
    "Rectangle",
    "answer_counts",
    "box_f1",
    "box_iou",
    "cohen_kappa",
    "fleiss_kappa",
    "krippendorff_alpha",
    "krippendorff_alpha_interval",
    "matched_spans",
    "pairwise_kappa",
    "segment_f1",
    "span_f1",
    "span_gamma",
    "time_iou",
]
