"""Draw the same result under every definition: estimates in order of size, and under each the choices behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

from aih_outcomes.figures.canvas import (
    dress,
    figure_of,
    open_axes,
    remember_frame,
    rule_across,
    say_nothing,
    settle,
    style_of,
    wrap_to,
)
from aih_outcomes.figures.forest import in_words
from aih_outcomes.figures.placement import points_from
from aih_outcomes.figures.scales import DAYS_PER_MONTH, RATIO_TICKS, plain, thin_out
from aih_outcomes.figures.style import BLACK, DARK, MM_PER_INCH, POINTS_PER_INCH, bundled_font

Numbers = NDArray[np.float64]

CHOICES = {
    "definition": "Response criteria", "upper_limits": "Upper limits of normal", "rescue": "Rescue treatment",
    "clock": "Design", "adjustment": "Adjustment",
}  # fmt: skip
Y_LABEL = "Hazard ratio (95\u00a0%\u00a0CI), log\u00a0scale"
LOWEST, HIGHEST = 0.05, 20.0  # beyond these an interval ends in an arrow
USUAL = (0.25, 4.0)
AROUND = 1.08
UPPER_MM, ROW_MM, FOOT_MM = 58.0, 3.5, 24.0
HEADING = 1.15  # rows that a heading takes
DOT, POINT, MAIN = 4.2, 3.2, 5.6  # points: a choice, an estimate, the declared analysis
FAINT, BAND = "#DADADA", "#EFEFEF"
INTERVAL = "#6E6E6E"
LANDMARK = "landmark"
MAIN_WORDS = "declared analysis"
NOT_SHOWN = "hidden by the small-number rule"


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the dot matrix: a heading (``name`` in bold, no column), or one level of a choice."""

    y: float
    name: str
    column: str


def draw_specification(tidy: pd.DataFrame, *, ax: Axes | None = None, y_label: str = Y_LABEL) -> Axes:
    """Draw each combination of choices: its estimate and interval above, a dot for each of its choices below.

    Combinations stand in order of their estimates; the declared one is marked. Those without an estimate are counted
    under the figure, with the reason. A choice with one level only is not drawn.

    Parameters
    ----------
    tidy : ``design, landmark`` (day)``, estimate`` (ratio)``, conf_low, conf_high, main`` (bool)``, because`` (why
        there is no estimate), and the choices ``definition, upper_limits, rescue, adjustment``; optional ``caution``
    ax : axes of final size, which are divided in two; default a figure of two columns
    y_label : words beside the estimates
    """
    frame = tidy.assign(clock=_clocks(tidy))
    rows = _rows(frame)
    depth = -rows[-1].y + 1 if rows else 1.0
    ax = open_axes(ax, width="double", height_mm=min(UPPER_MM + FOOT_MM + ROW_MM * depth, 230))
    remember_frame(ax, tidy)
    shown = frame[frame["estimate"].notna()].sort_values("estimate", kind="stable", ignore_index=True)
    if shown.empty:
        return say_nothing(ax, "nothing to show")
    panels = [ax, _divide(ax, depth * ROW_MM * style_of(ax).small / 7)] if rows else [ax]
    for panel in panels:
        panel.set_xlim(-0.75, len(shown) - 0.25)
        panel.set_xticks([])
        panel.spines["bottom"].set_visible(False)
    width = _point_size(ax, len(shown))
    _draw_estimates(ax, shown, width, y_label)
    if rows:
        _draw_choices(panels[-1], shown, rows, width)
    _mark_main(panels, shown)
    _write_notes(panels[-1], frame)
    settle(ax)
    height = ax.get_window_extent().height / figure_of(ax).dpi * POINTS_PER_INCH
    ax.set_ylabel(wrap_to(y_label, height, style_of(ax).text))
    return ax


def _clocks(tidy: pd.DataFrame) -> pd.Series:
    """Name design and landmark together: ``landmark at month 6``."""
    months = (tidy["landmark"].astype(float) / DAYS_PER_MONTH).round()
    at = [f" at month {month:g}" if np.isfinite(month) else "" for month in months]
    return tidy["design"].astype(str) + pd.Series(at, index=tidy.index, dtype=object)


def _rows(frame: pd.DataFrame) -> list[_Row]:
    """Return the lines of the dot matrix from top to bottom: choices with several levels, in order of appearance."""
    rows: list[_Row] = []
    y = 0.0
    for column, heading in CHOICES.items():
        levels = list(frame[column].dropna().astype(str).unique()) if column in frame else []
        if len(levels) < 2:
            continue
        y -= HEADING if rows else 0.0
        rows.append(_Row(y, heading, ""))
        for level in levels:
            y -= 1
            rows.append(_Row(y, level, column))
    return rows


def _divide(ax: Axes, lower_mm: float) -> Axes:
    """Give the lower part of the place of ``ax`` to new axes, about ``lower_mm`` high."""
    figure, place = figure_of(ax), ax.get_subplotspec()
    if place is None:
        return ax.inset_axes((0, -1.1, 1, 1))
    whole = float(figure.get_size_inches()[1]) * MM_PER_INCH * place.get_position(figure).height
    upper_mm = max(whole - lower_mm - FOOT_MM, 0.4 * whole)
    parts = place.subgridspec(2, 1, height_ratios=(upper_mm, lower_mm), hspace=0.02)
    ax.set_subplotspec(parts[0])
    lower = figure.add_subplot(parts[1])
    dress(lower)
    return lower


def _point_size(ax: Axes, count: int) -> float:
    """Return by how much marks are smaller where many combinations stand side by side, from 0.3 to 1."""
    each = 0.68 * float(figure_of(ax).get_size_inches()[0]) * POINTS_PER_INCH / count
    return float(np.clip(each / (1.5 * DOT * style_of(ax).scale), 0.3, 1.0))


def _draw_estimates(ax: Axes, shown: pd.DataFrame, size: float, y_label: str) -> None:
    style = style_of(ax)
    estimate, low, high = (shown[c].to_numpy(float, na_value=np.nan) for c in ("estimate", "conf_low", "conf_high"))
    ends = np.concatenate([estimate, low, high])
    ends = np.clip(ends[np.isfinite(ends) & (ends > 0)], LOWEST, HIGHEST)
    limits = (min([USUAL[0], *ends]) / AROUND, max([USUAL[1], *ends]) * AROUND)
    ax.set_yscale("log")
    ax.set(ylim=limits, ylabel=y_label)
    labelled = thin_out([tick for tick in RATIO_TICKS if limits[0] <= tick <= limits[1]], 1.0)
    ax.set_yticks(labelled, [plain(tick) for tick in labelled])
    ax.set_yticks([], minor=True)
    rule_across(ax)
    ax.axhline(1, color=BLACK, linewidth=0.7 * style.scale, linestyle=(0, (4, 2)), zorder=1)
    place = np.arange(len(shown))
    main = shown["main"].to_numpy(bool)
    for chosen, colour, wide in ((~main, INTERVAL, 0.9), (main, BLACK, 1.5)):
        drawn = chosen & np.isfinite(low) & np.isfinite(high)
        ends_at = np.clip(np.stack([low[drawn], high[drawn]]), *limits)
        ax.vlines(place[drawn], *ends_at, color=colour, linewidth=max(wide * size, 0.5) * style.scale, zorder=2)
    for values, end, marker in ((low, limits[0], "v"), (high, limits[1], "^")):
        beyond = np.flatnonzero(values < end if marker == "v" else values > end)
        if len(beyond):  # an empty line that is not clipped would take room at the corner of the page
            ax.plot(beyond, np.full(len(beyond), end), marker=marker, linestyle="none", clip_on=False, color=INTERVAL,
                    markersize=3 * size * style.scale)  # fmt: skip
    for design in shown["design"].astype(str).unique():
        own = (shown["design"].astype(str) == design).to_numpy(bool) & ~main
        look = _look_of(design, max(size, 0.5) * style.scale)
        ax.plot(place[own], estimate[own], **look, markersize=POINT * max(size, 0.5) * style.scale, zorder=4)


def _look_of(design: str, scale: float) -> dict[str, Any]:
    """Return the mark of a design: a landmark's is a black square, that of a status that changes an open circle."""
    at_landmark = design.startswith(LANDMARK)
    return {"linestyle": "none", "marker": "s" if at_landmark else "o", "markeredgecolor": BLACK,
            "markeredgewidth": 0.8 * scale, "markerfacecolor": BLACK if at_landmark else "white"}  # fmt: skip


def _draw_choices(ax: Axes, shown: pd.DataFrame, rows: list[_Row], size: float) -> None:
    style = style_of(ax)
    place = np.arange(len(shown))
    ax.set_ylim(rows[-1].y - 0.7, 0.7)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.set_yticks([row.y for row in rows], [row.name for row in rows])
    for row, label in zip(rows, ax.get_yticklabels(), strict=True):
        label.set_fontproperties(bundled_font(style.small, bold=not row.column))
        label.set_color(DARK)
        if not row.column:
            continue
        chosen = (shown[row.column].astype(str) == row.name).to_numpy(bool)
        dot = {"linestyle": "none", "marker": "o", "color": BLACK, "markeredgewidth": 0}
        look = _look_of(row.name, max(size, 0.5) * style.scale) if row.column == "clock" else dot
        sizes = (0.45 * DOT, POINT if row.column == "clock" else DOT)
        for own, how, wide in ((~chosen, dot | {"color": FAINT}, sizes[0]), (chosen, look, sizes[1])):
            y = np.full(int(own.sum()), row.y)
            ax.plot(place[own], y, **how, markersize=wide * size * style.scale, zorder=3)


def _mark_main(panels: list[Axes], shown: pd.DataFrame) -> None:
    """Mark the declared analysis: a band through both panels, a diamond, and its estimate in words."""
    ax, style = panels[0], style_of(panels[0])
    half = float(np.clip(len(shown) / 40, 0.04, 0.5))
    for place in np.flatnonzero(shown["main"].to_numpy(bool)):
        for panel in panels:
            panel.axvspan(place - half, place + half, facecolor=BAND, edgecolor="none", zorder=0)
        row = shown.iloc[place]
        ax.plot(place, row["estimate"], marker="D", linestyle="none", color=BLACK, markersize=MAIN * style.scale,
                markeredgecolor="white", markeredgewidth=0.7 * style.scale, zorder=6)  # fmt: skip
        right = place > 0.6 * len(shown)
        ax.annotate(
            f"{MAIN_WORDS}: {in_words(row)}",
            (place, 1.0),
            (-1.0 if right else 1.0, 3.0),
            xycoords=blended_transform_factory(ax.transData, ax.transAxes),
            textcoords="offset points",
            ha="right" if right else "left",
            va="bottom",
            color=DARK,
            annotation_clip=False,
            fontproperties=bundled_font(style.small, bold=True),
        )


def _write_notes(ax: Axes, frame: pd.DataFrame) -> None:
    """Write under the dots how many combinations there are, why some have no estimate, and the words of caution."""
    settle(ax)
    size = style_of(ax).small
    figure = figure_of(ax)
    left = ax.get_tightbbox()
    start = (left.x0 - ax.get_window_extent().x0) / figure.dpi * POINTS_PER_INCH if left is not None else 0.0
    room = 0.96 * float(figure.get_size_inches()[0]) * POINTS_PER_INCH - size
    text = "\n".join(wrap_to(line, room, size) for line in (_count(frame), *_cautions(frame)))
    ax.text(start, -0.4 * size, text, transform=points_from(ax), va="top", linespacing=1.3, color=DARK,
            fontproperties=bundled_font(size))  # fmt: skip


def _count(frame: pd.DataFrame) -> str:
    """Say how many combinations are shown, and why others are not."""
    missing = frame["estimate"].isna()
    shown = int((~missing).sum())
    said = f"{shown} of {len(frame)} combinations, by size of the estimate."
    reasons = frame.loc[missing, "because"].astype("string").fillna("").replace("", NOT_SHOWN)
    counted = reasons.value_counts(sort=False)
    if counted.empty:
        return said
    said += f" Not shown: {'; '.join(f'{count} {reason}' for reason, count in counted.items())}."
    return said + (f" The {MAIN_WORDS} is among these." if (frame["main"].astype(bool) & missing).any() else "")


def _cautions(frame: pd.DataFrame) -> list[str]:
    """Return the words that stand beside each design."""
    if "caution" not in frame:
        return []
    pairs = frame.loc[frame["estimate"].notna(), ["design", "caution"]].dropna().astype(str).drop_duplicates()
    said = [f"{design[:1].upper()}{design[1:]}: {words[:1].lower()}{words[1:]}"
            for design, words in pairs.itertuples(index=False) if words]  # fmt: skip
    return [" ".join(said)] if said else []
