"""Draw the share of patients in each state over time: areas that always sum to 100 %."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from aih_outcomes.disclosure import explain_hidden, hidden_mark
from aih_outcomes.figures.canvas import (
    NOTHING,
    measure,
    open_axes,
    remember_frame,
    say_left_out,
    say_nothing,
    settle,
    style_of,
    width_of,
    wrap_to,
)
from aih_outcomes.figures.curves import cut_curve
from aih_outcomes.figures.placement import points_from
from aih_outcomes.figures.risk_table import LATE_ENTRY, LEADING
from aih_outcomes.figures.scales import plain, time_ticks
from aih_outcomes.figures.style import BLACK, DARK, POINTS_PER_INCH, GroupStyle, bundled_font, ink, is_light, styles_of

PLACES = 200  # along the time axis at which a name is tried
ROOM = 1.25  # heights of a name that its area must have
Numbers = NDArray[np.float64]


def draw_occupation(
    tidy: pd.DataFrame, *, ax: Axes | None = None, order: Sequence[str] = (), unit_label: str = "years",
    y_label: str = "In each state",
) -> Axes:  # fmt: skip
    """Draw the states of one group as areas, the first at the bottom, named inside or, where too thin, beside.

    Parameters
    ----------
    tidy : ``strata, state, time, estimate``, and ``n_followed`` or ``n_risk``; one group
    ax : axes of final size; default a figure of one column and a half
    order : states from good to bad; default their order in the frame
    unit_label : unit of ``time`` as on the axis

    Returns
    -------
    The axes. Areas end where fewer than 5, or 10 % of the patients, are at risk; how many are stands under the axis.
    """
    ax = open_axes(ax, width="one_and_half", height_mm=85)
    remember_frame(ax, tidy)
    tidy = _end_where_few_are_followed(tidy)
    wide = tidy.pivot_table(index="time", columns="state", values="estimate", aggfunc="last", observed=True)
    if wide.empty or wide.index[-1] <= 0:
        return say_nothing(ax, "\n".join(filter(None, (NOTHING, say_left_out(tidy)))))
    listed = [state for state in (order or list(dict.fromkeys(tidy["state"].astype(str)))) if state in wide.columns]
    wide = wide[listed].ffill()
    time, shares = wide.index.to_numpy(float), wide.to_numpy(float).T * 100
    if time[0] > 0:
        time, shares = np.append(0.0, time), np.column_stack([shares[:, 0], shares])
    looks = styles_of(listed)
    edges = np.vstack([np.zeros(len(time)), np.cumsum(shares, axis=0)])
    for place, state in enumerate(listed):
        ax.fill_between(
            time, edges[place], edges[place + 1], step="post", color=looks[state].colour, linewidth=0.4,
            edgecolor="white", zorder=2,
        )  # fmt: skip
    end = float(time[-1])
    ticks = time_ticks(end, unit_label)
    since = str(tidy.attrs.get("time_zero", ""))
    words = unit_label if " since " in unit_label or not since else f"{unit_label} since {since}"
    ax.set(xlim=(0, end), ylim=(0, 100), xticks=ticks, yticks=[0, 25, 50, 75, 100])
    ax.set_xticklabels([plain(tick) for tick in ticks])
    ax.set_xlabel(words[:1].upper() + words[1:])
    ax.set_ylabel(f"{y_label} (%)")
    _write_below(ax, tidy, ticks)
    areas = _Areas(time, edges)
    settle(ax)
    beside = [state for place, state in enumerate(listed) if areas.room_for(ax, state, place) is None]
    _name_beside(ax, beside, listed, edges, looks)
    settle(ax)  # names beside the axes have made them narrower
    for place, state in enumerate(listed):
        spot = None if state in beside else areas.room_for(ax, state, place)
        if spot is not None:
            _name_inside(ax, state, spot, looks[state].colour)
    return ax


def _end_where_few_are_followed(tidy: pd.DataFrame) -> pd.DataFrame:
    column = "n_followed" if "n_followed" in tidy else "n_risk"
    followed = tidy.groupby("time")[column].max().rename("n_risk").reset_index()
    kept = tidy[tidy["time"].isin(cut_curve(followed)["time"])]
    kept.attrs = tidy.attrs
    return kept


@dataclass(frozen=True, slots=True, eq=False)
class _Areas:
    """Stacked areas: ``time`` (n,), their ``edges`` (n_states + 1, n) in per cent."""

    time: Numbers
    edges: Numbers

    def room_for(self, ax: Axes, words: str, place: int) -> tuple[float, float] | None:
        """Return where in an area its name fits best, in data units; None where it does not."""
        box = ax.get_window_extent()
        points = POINTS_PER_INCH / ax.figure.dpi
        wide, high = measure(words, style_of(ax).small, bold=True)
        grid = np.linspace(0, self.time[-1], PLACES)
        at = np.searchsorted(self.time, grid, side="right") - 1
        half = int(np.ceil(wide / (box.width * points) * PLACES / 2)) + 2
        if 2 * half >= PLACES:
            return None
        windows = 2 * half + 1
        top = sliding_window_view(self.edges[place + 1][at], windows).min(axis=1)
        bottom = sliding_window_view(self.edges[place][at], windows).max(axis=1)
        best = int(np.argmax(top - bottom))
        if (top - bottom)[best] / 100 * box.height * points < ROOM * high:
            return None
        return float(grid[best + half]), float(top[best] + bottom[best]) / 2


def _name_inside(ax: Axes, words: str, spot: tuple[float, float], colour: str) -> None:
    """Write a name in its area, dark on light and light on dark."""
    ax.text(
        *spot, words, ha="center", va="center", color=BLACK if is_light(colour) else "white", zorder=5,
        fontproperties=bundled_font(style_of(ax).small, bold=True),
        path_effects=[withStroke(linewidth=1.2, foreground=colour)],
    )  # fmt: skip


def _name_beside(
    ax: Axes, names: list[str], listed: list[str], edges: Numbers, looks: Mapping[str, GroupStyle]
) -> None:
    """Write names beside the right end of their areas, apart from each other, each with a short line to its area."""
    style = style_of(ax)
    height = ax.get_window_extent().height * POINTS_PER_INCH / ax.figure.dpi
    line = style.small * LEADING / height * 100
    middles = sorted(((edges[p][-1] + edges[p + 1][-1]) / 2, state) for p, state in enumerate(listed) if state in names)
    floor = -np.inf
    for middle, state in middles:
        y = max(middle, floor + line)
        floor = y
        ax.annotate(
            state, (1.0, middle), (8, (y - middle) / 100 * height), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", color=ink(looks[state].colour), annotation_clip=False,
            fontproperties=bundled_font(style.small, bold=True),
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": looks[state].colour, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip


def _write_below(ax: Axes, tidy: pd.DataFrame, ticks: list[float]) -> None:
    """Write how many are followed at each tick, and what hidden counts mean."""
    style = style_of(ax)
    column = "n_followed" if "n_followed" in tidy else "n_risk"
    followed = tidy.groupby("time")[column].max()
    time, counts = followed.index.to_numpy(float), followed.astype("Float64").to_numpy(float, na_value=np.nan)
    down = 4.5 * style.scale + 2.5 * style.scale + style.small * 1.2 + style.text * 1.3 + 5
    here, left = points_from(ax), -5.2 * style.small
    ax.text(left, -down, "At risk", va="top", color=DARK, transform=here, fontproperties=bundled_font(style.small))
    for tick in ticks:
        ahead = int(np.searchsorted(time, tick - 1e-9))
        known = ahead < len(time) and np.isfinite(counts[ahead])
        text = f"{counts[ahead]:.0f}" if known else (hidden_mark(tidy) if ahead < len(time) else "0")
        ax.annotate(
            text, (tick, 0), (0, -down), xycoords=ax.get_xaxis_transform(), textcoords="offset points", ha="center",
            va="top", color=DARK, annotation_clip=False, fontproperties=bundled_font(style.small),
        )  # fmt: skip
    rises = bool((np.diff(counts[np.isfinite(counts)]) > 0).any())
    late = LATE_ENTRY if rises else ""
    notes = [wrap_to(words, width_of(ax) * 1.15, style.small) for words in (late, explain_hidden(tidy)) if words]
    ax.text(
        left, -down - 1.5 * style.small * LEADING, "\n".join(notes), va="top", color=DARK, transform=here,
        fontproperties=bundled_font(style.small), linespacing=LEADING,
    )  # fmt: skip
