"""Agreement on rectangles in images, turned ones too: matched at an intersection over union."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, isfinite, radians, sin
from typing import NamedTuple

import numpy as np

from learning.agreement.estimate import Agreement, Array
from learning.agreement.matching import Marks, marks_f1, same_label
from schemas.errors import Invalid

Point = tuple[float, float]


class Rectangle(NamedTuple):
    """A box in pixels, origin top left; ``rotation`` in degrees clockwise about its centre. Fields are those of
    :class:`schemas.payloads.Box`."""

    x: float
    y: float
    width: float
    height: float
    label: str
    rotation: float = 0.0


def box_f1(
    marks: Marks[Rectangle], *, least: float = 0.5, samples: int = 1000, level: float = 0.95, seed: int = 0
) -> Agreement:
    """F1 of boxes with the same label matched at an IoU of ``least`` or more (.5 as in Everingham et al., *The PASCAL
    Visual Object Classes Challenge*, IJCV 88, 2010); ``observed`` is the matches' mean IoU."""
    return marks_f1("box-f1", marks, box_iou, least=least, samples=samples, level=level, seed=seed)


def box_iou(first: Sequence[Rectangle], second: Sequence[Rectangle], *, labels: bool = True) -> Array:
    """Intersection over union (a, b); 0 between different labels unless told. Raises :class:`Invalid` for a box without
    area, or with a number that is not finite."""
    for box in (*first, *second):
        if not all(isfinite(number) for number in (*box[:4], box.rotation)) or min(box.width, box.height) <= 0:
            raise Invalid(f"the box {tuple(box)!r} has no area")
    a, b = (np.array([box[:4] for box in boxes], dtype=np.float64).reshape(-1, 4) for boxes in (first, second))
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    for row, column in np.argwhere(_turned(first)[:, None] | _turned(second)[None, :]):
        shared[row, column] = _shared_area(first[row], second[column])
    union = np.prod(a[:, None, 2:], axis=2) + np.prod(b[None, :, 2:], axis=2) - shared
    found = np.clip(shared / union, 0.0, 1.0) if shared.size else shared
    if labels:
        found = found * same_label([box.label for box in first], [box.label for box in second])
    return np.asarray(found)


def _turned(boxes: Sequence[Rectangle]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([box.rotation % 180 != 0 for box in boxes], dtype=bool)


def _shared_area(first: Rectangle, second: Rectangle) -> float:
    """Area of the intersection: ``first`` clipped by each side of ``second`` (Sutherland & Hodgman, CACM 17, 1974)."""
    outline, corners = _corners(first), _corners(second)
    for here, there in zip(corners, corners[1:] + corners[:1], strict=True):
        outline = _clip(outline, here, there)
    pairs = zip(outline, outline[1:] + outline[:1], strict=True)
    return abs(sum(x * v - u * y for (x, y), (u, v) in pairs)) / 2


def _corners(box: Rectangle) -> list[Point]:
    middle_x, middle_y = box.x + box.width / 2, box.y + box.height / 2
    c, s = cos(radians(box.rotation)), sin(radians(box.rotation))
    half = [(-box.width, -box.height), (box.width, -box.height), (box.width, box.height), (-box.width, box.height)]
    return [(middle_x + (x * c - y * s) / 2, middle_y + (x * s + y * c) / 2) for x, y in half]


def _clip(outline: list[Point], here: Point, there: Point) -> list[Point]:
    def side(point: Point) -> float:
        return (there[0] - here[0]) * (point[1] - here[1]) - (there[1] - here[1]) * (point[0] - here[0])

    kept: list[Point] = []
    for start, end in zip(outline, outline[1:] + outline[:1], strict=True):
        before, after = side(start), side(end)
        if before >= 0:
            kept.append(start)
        if (before > 0 > after) or (before < 0 < after):
            share = before / (before - after)
            kept.append((start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])))
    return kept
