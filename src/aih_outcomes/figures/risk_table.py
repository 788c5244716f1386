"""Numbers at risk and events under a curve, read from the tidy frame alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from aih_outcomes.disclosure import EVENTS_TO_DATE
from aih_outcomes.figures.canvas import style_of
from aih_outcomes.figures.placement import points_from
from aih_outcomes.figures.style import DARK, GroupStyle, bundled_font, ink

UNKNOWN = "–"
LATE_ENTRY = "Some patients are first seen later (late entry): the numbers at risk can rise."
LEADING = 1.32  # line height as a multiple of the text size


def read_risk(curve: pd.DataFrame, ticks: Sequence[float], *, hidden: str, is_cut: bool) -> pd.DataFrame:
    """Return ``time, n_risk, n_event`` as text at each tick.

    Parameters
    ----------
    curve : rows of one group, sorted by ``time``: at risk just before it, events at it; ``n_event_to_date`` in a
        disclosed frame
    ticks : times of the axis
    hidden : how a hidden count is written
    is_cut : whether the frame ends where few are at risk, so that nothing is known beyond

    Notes
    -----
    At risk at a tick is the number at the next time of the frame, which holds every time at which someone leaves or,
    under late entry, comes; before its first time nothing is known then. Events are those up to the tick.
    """
    time = curve["time"].to_numpy(float)
    events = curve[EVENTS_TO_DATE] if EVENTS_TO_DATE in curve else curve["n_event"].cumsum()
    rows = []
    for tick in ticks:
        ahead = int(np.searchsorted(time, tick - 1e-9, side="left"))
        past = int(np.searchsorted(time, tick + 1e-9, side="right"))
        is_unknown = (ahead == 0 and enters_late(curve) and tick < time[0]) or (is_cut and ahead == len(time))
        n_risk = _text(curve["n_risk"].iloc[ahead], hidden) if ahead < len(time) else "0"
        n_event = _text(events.iloc[past - 1], hidden) if past else "0"
        rows.append((tick, *((UNKNOWN, UNKNOWN) if is_unknown else (n_risk, n_event))))
    return pd.DataFrame(rows, columns=["time", "n_risk", "n_event"])


def _text(count: object, hidden: str) -> str:
    return hidden if pd.isna(count) else f"{count:.0f}"  # type: ignore[call-overload]  # a count by contract


def enters_late(curve: pd.DataFrame) -> bool:
    """Say whether the number at risk ever rises."""
    risk = curve["n_risk"].astype("Float64").to_numpy(float, na_value=np.nan)
    return bool((np.diff(risk) > 0).any())


def count_patients(curve: pd.DataFrame) -> str:
    """Return ``n = 148`` from the rows of one group: its patients (``n``), else all who leave or are at risk."""
    if "n" in curve and pd.notna(curve["n"].iloc[0]):
        return f"n = {int(curve['n'].iloc[0])}"
    risk = int(curve["n_risk"].max())
    if EVENTS_TO_DATE in curve or "n_censor" not in curve:
        return f"n ≥ {risk}" if enters_late(curve) else f"n = {risk}"
    return f"n = {max(int((curve['n_event'] + curve['n_censor']).sum()), risk)}"


def write_key(ax: Axes, words: str, look: GroupStyle, left: float, y: float, *, marker: bool = False) -> None:
    """Write a group's name behind a piece of its line, in points from the corner of the axes."""
    style = style_of(ax)
    end = left + 2.8 * style.small
    ax.add_line(
        Line2D(
            [left, (left + end) / 2, end],
            [y - 0.5 * style.small] * 3,
            transform=points_from(ax),
            clip_on=False,
            color=look.colour,
            linestyle=look.line,
            linewidth=look.weight * style.scale,
            markevery=[1],
            marker=look.marker if marker else "None",
            markersize=3.6 * style.scale,
        )
    )
    ax.text(
        end + 0.4 * style.small,
        y,
        words,
        transform=points_from(ax),
        va="top",
        color=ink(look.colour),
        fontproperties=bundled_font(style.small, bold=True),
    )


def draw_risk_table(
    ax: Axes,
    curves: Mapping[str, pd.DataFrame],
    styles: Mapping[str, GroupStyle],
    ticks: Sequence[float],
    *,
    hidden: str,
    is_cut: bool,
) -> float:
    """Write two rows per group under the axis, at its ticks; return how far down they reach, in points."""
    style = style_of(ax)
    line = style.small * LEADING
    down = 4.5 * style.scale + 2.5 * style.scale + style.small * 1.2 + style.text * 1.3 + 5
    here = points_from(ax)
    left = -5.2 * style.small
    for name, curve in curves.items():
        look = styles[name]
        write_key(ax, f"{name} ({count_patients(curve)})", look, left, -down)
        table = read_risk(curve, ticks, hidden=hidden, is_cut=is_cut)
        for row, (column, words) in enumerate((("n_risk", "At risk"), ("n_event", "Events")), start=1):
            y = -down - row * line
            ax.text(left, y, words, transform=here, va="top", color=DARK, fontproperties=bundled_font(style.small))
            for tick, text in zip(table["time"], table[column], strict=True):
                ax.annotate(
                    text,
                    (tick, 0),
                    (0, y),
                    xycoords=ax.get_xaxis_transform(),
                    textcoords="offset points",
                    ha="center",
                    va="top",
                    color=ink(look.colour),
                    annotation_clip=False,
                    fontproperties=bundled_font(style.small),
                )
        down += 3 * line + 2
    return down
