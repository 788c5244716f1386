"""Where words go: beside their line, away from other lines and words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Affine2D, ScaledTranslation, Transform
from numpy.typing import NDArray

from aih_outcomes.figures.canvas import measure
from aih_outcomes.figures.style import POINTS_PER_INCH, bundled_font, ink

Numbers = NDArray[np.float64]

GAP = 2.5  # points between a line and its words
STEP = 1.5  # points between the places at which a line is felt
AWAY = (GAP, 9.0, 18.0, 27.0)  # points from the line at which words are tried
ALONG = np.linspace(1.0, 0.1, 19)  # where along its line a label is tried: the end first
OUTSIDE, ON_WORDS, ON_LINE, NEARER_ANOTHER, NEAR_ANOTHER, PER_STEP = 1e6, 400.0, 20.0, 70.0, 12.0, 1.0
TOO_BAD = 60.0  # a label that costs more would lie on a line or beside another's


@dataclass(frozen=True, slots=True)
class LineLabel:
    """Words for one line; ``x`` and ``y`` are the corners of the line as drawn, in data units."""

    text: str
    colour: str
    x: Numbers
    y: Numbers


def place_labels(
    ax: Axes, labels: Sequence[LineLabel], *, size: float, others: Sequence[tuple[Numbers, Numbers]] = ()
) -> bool:
    """Write each label above, below or after its own line, or none where some would lie on a line or on each other.

    The layout of the figure must be settled; words are anchored to a point of the line, in points from it.
    ``others`` are further lines (x, y) to keep away from. Returns whether the labels were written.
    """
    paths = [_felt(ax, label.x, label.y) for label in labels]
    others_felt = [_felt(ax, x, y) for x, y in others]
    frame = ax.get_window_extent()
    scale = POINTS_PER_INCH / ax.figure.dpi
    bounds = np.array([frame.x0, frame.y0, frame.x1, frame.y1]) * scale
    boxes: list[Numbers] = []
    anchors: list[Numbers] = []
    for own, label in enumerate(labels):
        extent = np.array(measure(label.text, size))
        tried = [
            (_cost(box, own, paths, others_felt, boxes, bounds) + PER_STEP * rank + far // 2, box, anchor)
            for rank, share in enumerate(ALONG)
            for far, (box, anchor) in enumerate(_candidates(paths[own], float(share), extent, bounds))
        ]
        cost, box, anchor = min(tried, key=lambda one: one[0])
        if cost >= TOO_BAD:
            return False
        boxes.append(box)
        anchors.append(anchor)
    for label, box, anchor in zip(labels, boxes, anchors, strict=True):
        centre = (box[:2] + box[2:]) / 2
        ax.annotate(
            label.text,
            tuple(ax.transData.inverted().transform(anchor / scale)),
            tuple(centre - anchor),
            textcoords="offset points",
            ha="center",
            va="center",
            color=ink(label.colour),
            annotation_clip=False,
            zorder=6,
            fontproperties=bundled_font(size),
            path_effects=[withStroke(linewidth=1.6, foreground="white")],
        )
    return True


def _felt(ax: Axes, x: Numbers, y: Numbers) -> Numbers:
    """(n, 2) points along a line, in typographic points of the page; where it is broken, only its places."""
    known = np.isfinite(x) & np.isfinite(y)
    corners = ax.transData.transform(np.column_stack([x[known], y[known]])) * POINTS_PER_INCH / ax.figure.dpi
    pieces = [corners[:1]]
    for a, b in itertools.pairwise(corners):
        count = max(int(np.hypot(*(b - a)) / STEP), 1)
        pieces.append(a + (b - a) * np.linspace(0, 1, count + 1)[1:, None])
    return np.concatenate(pieces)


def _candidates(path: Numbers, share: float, extent: Numbers, bounds: Numbers) -> list[tuple[Numbers, Numbers]]:
    """Return boxes above and below a place of the line, ending there, within the left and right edge."""
    anchor = path[int(share * (len(path) - 1))]
    width, height = extent
    left = min(max(anchor[0] - width, bounds[0] + GAP), bounds[2] - GAP - width)
    under = path[(path[:, 0] >= left) & (path[:, 0] <= left + width)]
    top, bottom = (under[:, 1].max(), under[:, 1].min()) if len(under) else (anchor[1], anchor[1])
    boxes = []
    for away in AWAY:
        above = np.array([left, top + away, left + width, top + away + height])
        below = np.array([left, bottom - away - height, left + width, bottom - away])
        boxes += [(above, anchor), (below, anchor)]
    if share == 1.0 and anchor[0] + 2 * GAP + width <= bounds[2]:
        after = np.array(
            [anchor[0] + 2 * GAP, anchor[1] - height / 2, anchor[0] + 2 * GAP + width, anchor[1] + height / 2]
        )
        boxes.insert(0, (after, anchor))
    return boxes


def _cost(
    box: Numbers, own: int, paths: list[Numbers], others: list[Numbers], boxes: list[Numbers], bounds: Numbers
) -> float:
    """Return how bad a box is: outside the axes, on words, on lines, or nearer to another line than to its own."""
    is_out = box[1] < bounds[1] or box[3] > bounds[3] + GAP
    cost = OUTSIDE * float(is_out) + ON_WORDS * sum(_meet(box, other) for other in boxes)
    for path in [*paths, *others]:
        inside = ((path > box[:2] - 1) & (path < box[2:] + 1)).all(axis=1)
        cost += ON_LINE * float(inside.sum())
    away = [_distance(box, path) for path in paths]
    for other in away[:own] + away[own + 1 :]:
        if other < 1.5 * away[own] + GAP:  # where lines lie on each other, the side and the colour tell them apart
            cost += NEAR_ANOTHER if other > away[own] + 0.5 else NEARER_ANOTHER
    return cost


def _distance(box: Numbers, path: Numbers) -> float:
    """Least distance from a box to a line, points."""
    beside = np.maximum(np.maximum(box[:2] - path, path - box[2:]), 0)
    return float(np.hypot(beside[:, 0], beside[:, 1]).min(initial=math.inf))


def _meet(one: Numbers, other: Numbers) -> bool:
    return bool((one[:2] < other[2:] + 1).all() and (other[:2] < one[2:] + 1).all())


def points_from(ax: Axes, corner: tuple[float, float] = (0.0, 0.0)) -> Transform:
    """Return the transform of points (1/72 inch) right of and above a corner of the axes, in axes fractions."""
    figure = ax.get_figure(root=True)
    assert figure is not None  # axes are drawn on in a figure
    return _points() + figure.dpi_scale_trans + _moved(corner, ax.transAxes)


def points_above(ax: Axes, x: float) -> Transform:
    """Return the transform of points right of and above the top of the axes at ``x`` (data)."""
    figure = ax.get_figure(root=True)
    assert figure is not None  # axes are drawn on in a figure
    return _points() + figure.dpi_scale_trans + _moved((x, 1.0), ax.get_xaxis_transform())


def _points() -> Affine2D:
    return Affine2D().scale(1 / POINTS_PER_INCH)


def _moved(to: tuple[float, float], space: Transform) -> ScaledTranslation:
    return ScaledTranslation(*to, space)  # type: ignore[arg-type]  # the stub knows only affine spaces
