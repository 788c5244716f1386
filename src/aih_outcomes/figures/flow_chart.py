"""Draw who was followed and who was left out, from the frame of exclusions."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from aih_outcomes.disclosure import explain_hidden, hidden_mark
from aih_outcomes.figures.canvas import give_back, open_axes, remember_frame, say_nothing, settle, style_of, wrap_to
from aih_outcomes.figures.style import AXIS_LINE, DARK, POINTS_PER_INCH, bundled_font

PAD = 4.5  # points between a box and its words
BETWEEN = 13.0  # points between boxes
LEFT_SHARE, RIGHT_SHARE = 0.46, 0.45  # of the width: boxes of who is left, and of who leaves
LINE = 1.28  # line height as a multiple of the text size
MM_PER_POINT = 25.4 / 72


@dataclass(frozen=True, slots=True)
class _Stage:
    """A box of who is left, and the box of who leaves after it."""

    left: str
    right: str


def draw_flow_chart(exclusions: pd.DataFrame, *, ax: Axes | None = None, noun: str = "events") -> Axes:
    """Draw a box per step with its n, and who leaves after it to the right.

    Parameters
    ----------
    exclusions : ``step, reason, n``, optional ``n_event`` (printed where known, shown and not 0); rows in order. A row
        without a reason is a box: how many are left at that step. Rows with a reason are those who leave after the
        box above them. A missing n is hidden
    ax : axes of final size, alone in their figure they give back the height they do not need; default a figure of one
        and a half columns, as high as needed
    noun : what ``n_event`` counts, e.g. ``transplants or deaths``
    """
    width = 140 / MM_PER_POINT
    stages = _stages(exclusions, noun)
    size = style_of(ax).text if ax is not None else 7.5
    footnote = explain_hidden(exclusions)
    needed = _needed(stages, width, size, footnote)
    ax = open_axes(ax, width="one_and_half", height_mm=min(max(needed, 60.0) * MM_PER_POINT + 6, 225))
    remember_frame(ax, exclusions)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set(xticks=[], yticks=[])
    if not stages:
        return say_nothing(ax, "nothing to show: no patients")
    settle(ax)
    scale = POINTS_PER_INCH / ax.figure.dpi
    wide = ax.get_window_extent().width * scale
    needed = _needed(stages, wide, size, footnote)
    give_back(ax, needed)
    ax.set(xlim=(0, wide), ylim=(-max(ax.get_window_extent().height * scale, needed), 0))
    end = _draw_stages(ax, stages, wide, size)
    small = style_of(ax).small
    ax.text(0, end - size, footnote, va="top", color=DARK, fontproperties=bundled_font(small))
    return ax


def _needed(stages: list[_Stage], width: float, size: float, footnote: str) -> float:
    """Points from the top of the first box to the end of the last, or of the footnote."""
    return sum(_height(s, width, size) + BETWEEN for s in stages) - BETWEEN + 2 + 2.6 * size * bool(footnote)


def _stages(exclusions: pd.DataFrame, noun: str) -> list[_Stage]:
    stages: list[_Stage] = []
    mark = hidden_mark(exclusions)
    for _, row in exclusions.iterrows():
        is_box = pd.isna(row["reason"]) or not str(row["reason"])
        number = _number(row, mark, noun)
        if is_box or not stages:
            stages.append(_Stage(f"{row['step']}\n{number}", ""))
            if is_box:
                continue
        last = stages[-1]
        reason = str(row["reason"])
        reason = reason[:1].upper() + reason[1:]
        stages[-1] = _Stage(last.left, "\n".join(filter(None, [last.right, f"{reason}: {number}"])))
    return stages


def _number(row: pd.Series, mark: str, noun: str) -> str:
    text = f"n = {int(row['n'])}" if pd.notna(row["n"]) else f"n {mark}" if mark.startswith("<") else f"n = {mark}"
    text = text.replace(" ", "\u00a0")
    if "n_event" not in row.index or pd.isna(row["n_event"]) or not row["n_event"]:
        return text
    return f"{text} ({noun}: {int(row['n_event'])})"


def _wrapped(text: str, share: float, width: float, size: float, *, hang: bool) -> str:
    lines = [wrap_to(line, share * width - 2 * PAD, size) for line in text.split("\n")]
    return "\n".join(line.replace("\n", "\n    ") if hang else line for line in lines)


def _height(stage: _Stage, width: float, size: float) -> float:
    """Points that a stage takes: its box, and the box of who leaves, which stands below its middle."""
    return _box_height(_wrapped(stage.left, LEFT_SHARE, width, size, hang=False), size) + (
        _box_height(_wrapped(stage.right, RIGHT_SHARE, width, size, hang=True), size) if stage.right else 0
    )


def _box_height(text: str, size: float) -> float:
    return (text.count("\n") + 1) * size * LINE + 2 * PAD


def _draw_stages(ax: Axes, stages: list[_Stage], width: float, size: float) -> float:
    """Draw the boxes from the top down; return where the last one ends."""
    y, end, middle = -1.0, -1.0, LEFT_SHARE * width / 2
    for number, stage in enumerate(stages):
        left = _wrapped(stage.left, LEFT_SHARE, width, size, hang=False)
        bottom = y - _box_height(left, size)
        _draw_box(ax, 0, y, LEFT_SHARE * width, left, size, bold=True)
        following, end = bottom - BETWEEN, bottom
        if stage.right:
            right = _wrapped(stage.right, RIGHT_SHARE, width, size, hang=True)
            high = _box_height(right, size)
            _draw_box(
                ax, (1 - RIGHT_SHARE) * width, following + BETWEEN / 2, RIGHT_SHARE * width, right, size, bold=False
            )
            across = following + BETWEEN / 2 - high / 2
            end = min(end, following + BETWEEN / 2 - high)
            _draw_arrow(ax, (middle, across), ((1 - RIGHT_SHARE) * width, across))
            following -= high
        if number < len(stages) - 1:
            _draw_arrow(ax, (middle, bottom), (middle, following))
        y = following
    return end


def _draw_box(ax: Axes, x: float, y: float, width: float, text: str, size: float, *, bold: bool) -> None:
    style = style_of(ax)
    height = _box_height(text, size)
    ax.add_patch(
        Rectangle(
            (x, y - height),
            width,
            height,
            facecolor="#F4F4F4" if bold else "white",
            edgecolor=DARK,
            linewidth=AXIS_LINE * style.scale,
            clip_on=False,
        )
    )
    middle = (x + width / 2, "center") if bold else (x + PAD, "left")
    ax.text(
        middle[0],
        y - height / 2,
        text,
        ha=middle[1],
        va="center",
        linespacing=1.18,
        color=DARK,
        fontproperties=bundled_font(size),
    )


def _draw_arrow(ax: Axes, begin: tuple[float, float], end: tuple[float, float]) -> None:
    style = style_of(ax)
    ax.add_patch(
        FancyArrowPatch(
            begin,
            end,
            arrowstyle="-|>",
            mutation_scale=6 * style.scale,
            shrinkA=0,
            shrinkB=0,
            color=DARK,
            linewidth=0.8 * style.scale,
            clip_on=False,
        )
    )
