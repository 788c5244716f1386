"""The treatment panel and the event marks of a single course."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from aih_outcomes.figures.canvas import measure, style_of
from aih_outcomes.figures.placement import points_above, points_from
from aih_outcomes.figures.scales import plain
from aih_outcomes.figures.style import AXIS_LINE, BLACK, DARK, POINTS_PER_INCH, bundled_font, ink, mix_with_white

STEROID, DRUG, MATCHED = "#C9C9C9", "#5B8DB0", "#009E73"
BAR_SHARE = 0.6  # words on a bar stay readable, also in grey
APART = 8.0  # points between words in one row: closer they read as one sentence
MARKS = {"biopsy": "v", "gene": "*", "event": "|"}


def draw_doses(ax: Axes, treatments: pd.DataFrame, end: float) -> None:
    """Draw the steroid dose as filled steps and each other drug as a named bar below zero."""
    style = style_of(ax)
    steroid = treatments[treatments["mg_per_kg"].notna()].sort_values("start", kind="stable")
    bars = treatments[treatments["mg_per_kg"].isna()]
    highest = max([1.0, *steroid["mg_per_kg"].astype(float)]) * 1.12  # room for the top step
    doses = steroid["mg_per_kg"].astype(float)
    for (start, stop, _), dose in zip(_courses(steroid, end), doses, strict=True):
        ax.fill_between([start, stop], 0, dose, color=STEROID, linewidth=0, zorder=2)
        ax.plot([start, stop], [dose, dose], color=DARK, linewidth=0.8 * style.scale, zorder=3)
    drugs = list(dict.fromkeys(bars.sort_values("start", kind="stable")["drug"].astype(str)))
    lane = 0.3 * highest
    for place, drug in enumerate(drugs):
        _draw_bars(ax, bars[bars["drug"] == drug], -lane * (place + 0.65), lane * 0.62, end)
    ax.axhline(0, color=DARK, linewidth=AXIS_LINE * style.scale, zorder=4)
    ax.set_ylim(-lane * (len(drugs) + 0.25) if drugs else 0, highest)
    ticks = [0.0, 0.5, 1.0, 1.5, 2.0]
    ticks = [tick for tick in ticks if tick <= highest]
    ax.set_yticks(ticks, [plain(tick) for tick in ticks])
    ax.spines["left"].set_bounds(0, highest)
    _name_steroid(ax, " / ".join(dict.fromkeys(steroid["drug"].astype(str))) or "steroid")
    low, high = ax.get_ylim()
    ax.set_ylabel("mg/kg/day", y=(highest / 2 - low) / (high - low))


def _name_steroid(ax: Axes, names: str) -> None:
    """Name the filled steps at the top right, behind a piece of them."""
    size = style_of(ax).small
    ax.annotate(
        names,
        (1, 1),
        (0, -1),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="top",
        color=DARK,
        fontproperties=bundled_font(size, bold=True),
        zorder=6,
    )
    end = -measure(names, size, bold=True)[0] - 6
    there = points_from(ax, (1, 1))
    ax.add_patch(Rectangle((end - 15, -size - 1), 15, size, transform=there, color=STEROID, linewidth=0))
    ax.add_line(Line2D([end - 15, end], [-1, -1], transform=there, color=DARK, linewidth=0.8))


def _courses(treatments: pd.DataFrame, end: float) -> list[tuple[float, float, bool]]:
    """Return start, stop and whether it goes on, of each course, in order of start."""
    rows = treatments.sort_values("start", kind="stable")
    stops = rows["stop"].astype(float)
    starts = rows["start"].astype(float)
    return [
        (start, end if np.isnan(stop) else stop, bool(np.isnan(stop)))
        for start, stop in zip(starts, stops, strict=True)
    ]


def _draw_bars(ax: Axes, bars: pd.DataFrame, y: float, height: float, end: float) -> None:
    """Draw the courses of one drug in its lane; its name stands in the first bar, or after it where it is too short."""
    style = style_of(ax)
    is_matched = bool(bars["matched"].astype("boolean").fillna(False).any()) if "matched" in bars else False
    colour = MATCHED if is_matched else DRUG
    fill = mix_with_white(colour, BAR_SHARE)  # opaque: no line of an event shines through
    courses = _courses(bars, end)
    for start, stop, is_ongoing in courses:
        ax.barh(y, stop - start, height, left=start, color=fill, linewidth=0, zorder=2)
        if is_ongoing:
            ax.plot(stop, y, marker=">", markersize=4.5 * style.scale, color=colour, clip_on=False, zorder=3)
    start, stop, _ = courses[0]
    low, high = ax.get_xlim()
    room = (stop - start) / (high - low) * _panel_points(ax)
    name = str(bars["drug"].iloc[0])
    is_inside = measure(name, style.small)[0] + 6 < room
    x, shift = (start, 3) if is_inside else (stop, 3)
    ax.annotate(
        name,
        (x, y),
        (shift, 0),
        textcoords="offset points",
        va="center_baseline",
        zorder=5,
        annotation_clip=False,
        color=BLACK,
        fontproperties=bundled_font(style.small),
        path_effects=None if is_inside else [withStroke(linewidth=2.2, foreground="white")],
    )


def _panel_points(ax: Axes) -> float:
    """Width of a panel in points, before the layout is settled: what the left labels usually leave."""
    figure = ax.get_figure(root=True)
    return 0.86 * POINTS_PER_INCH * (figure.get_size_inches()[0] if figure is not None else 7.5)


def draw_events(axes: Sequence[Axes], events: pd.DataFrame) -> None:
    """Draw a line through all panels per event, and its words above them, in as many rows as keep them apart."""
    top = axes[0]
    style = style_of(top)
    scale = POINTS_PER_INCH / top.figure.dpi
    left, right = (float(edge) * scale for edge in (top.get_window_extent().x0, top.get_window_extent().x1))
    ordered = events.sort_values("time", kind="stable")
    marks = [float(top.transData.transform((float(time), 1))[0]) * scale for time in ordered["time"]]
    widths = [measure(str(words), style.small)[0] for words in ordered["words"]]
    places = place_words(marks, widths, left, right + 8)
    told = zip(ordered["time"].astype(float), ordered["kind"].astype(str), ordered["words"].astype(str), strict=True)
    for (time, kind, words), x, (begin, level) in zip(told, marks, places, strict=True):
        colour = MATCHED if kind == "gene" else DARK
        for ax in axes:
            ax.axvline(time, color=colour, linewidth=0.7 * style.scale, linestyle=(0, (1, 1.5)), zorder=1)
        _draw_mark(top, time, kind, colour)
        _write_words(top, time, words, colour, begin - x, level)


def _draw_mark(ax: Axes, time: float, kind: str, colour: str) -> None:
    size = (5.5 if kind == "gene" else 4) * style_of(ax).scale
    ax.plot(
        [0],
        [2.5],
        transform=points_above(ax, time),
        marker=MARKS.get(kind, "|"),
        color=colour,
        markersize=size,
        clip_on=False,
        zorder=7,
    )


def _write_words(ax: Axes, time: float, words: str, colour: str, shift: float, level: int) -> None:
    """Write the words of a mark ``shift`` points beside it, in a row of their own height, with a thread down to it."""
    size = style_of(ax).small
    up = 6.5 + level * size * 1.25
    if level:
        thread = Line2D([0, 0], [4, up], transform=points_above(ax, time), color=colour, linewidth=0.4, zorder=1)
        thread.set(linestyle=(0, (1, 1.5)), clip_on=False)
        ax.add_line(thread)
    ax.annotate(
        words,
        (time, 1),
        (shift, up),
        xycoords=ax.get_xaxis_transform(),
        textcoords="offset points",
        ha="left",
        va="bottom",
        color=ink(colour),
        annotation_clip=False,
        zorder=8,
        fontproperties=bundled_font(size),
        path_effects=[withStroke(linewidth=1.5, foreground="white")],
    )


def place_words(marks: Sequence[float], widths: Sequence[float], left: float, right: float) -> list[tuple[float, int]]:
    """Return where the words of each mark begin and in which row, so that no words meet and few cross a mark.

    Examples
    --------
    >>> place_words([10.0, 14.0], [8.0, 8.0], 0.0, 100.0)
    [(6.0, 0), (10.0, 1)]
    """
    placed: dict[int, tuple[float, float, int]] = {}
    for one in sorted(range(len(marks)), key=lambda i: (widths[i], i)):  # short words first: long ones go higher up
        x, width = marks[one], widths[one]
        tried = []
        for level, (shift, wanted) in itertools.product(range(len(marks)), enumerate((x - width / 2, x - width, x))):
            begin = min(max(wanted, left), right - width)
            meets = any(r == level and begin < e + APART and b < begin + width + APART for b, e, r in placed.values())
            through = sum(r < level and b - 1 < x < e + 1 for b, e, r in placed.values())
            under = sum(placed[i][2] > level and begin - 1 < marks[i] < begin + width + 1 for i in placed)
            cost = 1e6 * meets + 2 * level + 5 * (through + under) + 0.5 * (shift > 0)
            tried.append((cost, begin, begin + width, level))
        placed[one] = min(tried)[1:]
    return [(placed[i][0], placed[i][2]) for i in range(len(marks))]
