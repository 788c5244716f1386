"""The laboratory panels of a single course."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from aih_outcomes.figures.canvas import measure, rule_across, style_of
from aih_outcomes.figures.placement import points_from
from aih_outcomes.figures.scales import ULN_TICKS, log_ticks, plain
from aih_outcomes.figures.style import BLACK, DARK, GREY, GRID_LINE, GroupStyle, bundled_font, ink

GAP_DAYS = 240.0  # without a value for longer, a line is broken
# A single course has no groups: colours of its own.
ANALYTES = {
    "ALT": GroupStyle("#000000", "-", "o"),
    "AST": GroupStyle("#7A7A7A", (0, (4, 1.5)), "s"),
    "IgG": GroupStyle("#6A3D9A", "-", "D"),
    "bilirubin": GroupStyle("#8A5A00", (0, (3, 1.2)), "v"),
}


def draw_labs(ax: Axes, labs: pd.DataFrame, y_label: str) -> None:
    """Draw values on a log axis; a line breaks where none was measured for long, and the gap is shaded."""
    style = style_of(ax)
    ax.set_ylabel(y_label)
    if labs.empty:
        ax.text(
            0.5,
            0.5,
            "not measured",
            transform=ax.transAxes,
            ha="center",
            va="center",
            color=GREY,
            fontproperties=bundled_font(style.text),
        )
        ax.set_yticks([])
        return
    values = labs["value"].astype(float)
    ticks = log_ticks(min(0.5, float(values.min())), max(2.0, float(values.max())), ULN_TICKS)
    ax.set_yscale("log")
    ax.set_yticks(ticks, [plain(tick) for tick in ticks])
    ax.set_yticks([], minor=True)
    ax.set_ylim(ticks[0] * 0.9, ticks[-1] * 1.05)
    rule_across(ax)
    ax.axhline(1, color=BLACK, linewidth=0.7 * style.scale, linestyle=(0, (4, 2)), zorder=1)
    _write_after(ax, 1.0, "ULN", BLACK)
    for analyte, rows in labs.groupby("analyte", sort=True, observed=True):
        rows = rows.sort_values("time", kind="stable")
        _draw_course(ax, rows, ANALYTES.get(str(analyte), GroupStyle(DARK, "-", "o")))
    _name_courses(ax, labs)
    _shade_gaps(ax, labs)


def _draw_course(ax: Axes, rows: pd.DataFrame, look: GroupStyle) -> None:
    style = style_of(ax)
    time, value = rows["time"].to_numpy(float), rows["value"].astype(float).to_numpy()
    breaks = np.flatnonzero(np.diff(time) > GAP_DAYS) + 1
    for piece_time, piece in zip(np.split(time, breaks), np.split(value, breaks), strict=True):
        ax.plot(
            piece_time, piece, color=look.colour, linestyle=look.line, linewidth=look.weight * style.scale, zorder=3
        )
    ax.plot(
        time,
        value,
        linestyle="none",
        marker=look.marker,
        markersize=3.1 * style.scale,
        color=look.colour,
        markeredgecolor="white",
        markeredgewidth=0.3,
        zorder=4,
    )


def _name_courses(ax: Axes, labs: pd.DataFrame) -> None:
    """Name the courses in one line at the top right, in their colours: their ends often lie on each other."""
    style = style_of(ax)
    x = 0.0
    for analyte in reversed([a for a in ANALYTES if a in set(labs["analyte"])]):
        look = ANALYTES[analyte]
        ax.annotate(
            analyte,
            (1, 1),
            (x, -1),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va="top",
            color=ink(look.colour),
            fontproperties=bundled_font(style.small, bold=True),
            zorder=6,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )
        x -= measure(analyte, style.small, bold=True)[0] + 6
        ax.add_line(
            Line2D(
                [x - 15, x],
                [-0.55 * style.small - 1] * 2,
                transform=points_from(ax, (1, 1)),
                color=look.colour,
                linestyle=look.line,
                marker=look.marker,
                markersize=3.1 * style.scale,
                markevery=[1],
                linewidth=look.weight * style.scale,
                clip_on=False,
                zorder=6,
            )
        )
        x -= 26


def _shade_gaps(ax: Axes, labs: pd.DataFrame) -> None:
    """Shade the times without any value of this panel, and say so."""
    style = style_of(ax)
    times = np.unique(labs["time"].to_numpy(float))
    for begin, end in itertools.pairwise(times):
        if end - begin > GAP_DAYS:
            ax.axvspan(
                begin,
                end,
                facecolor="none",
                edgecolor="#DDDDDD",
                hatch="/////",
                linewidth=0,
                zorder=0,
                hatch_linewidth=GRID_LINE,
            )
            ax.annotate(
                "no values",
                ((begin + end) / 2, 0),
                (0, 3),
                xycoords=ax.get_xaxis_transform(),
                textcoords="offset points",
                ha="center",
                va="bottom",
                color=DARK,
                zorder=5,
                fontproperties=bundled_font(style.small),
                path_effects=[withStroke(linewidth=2, foreground="white")],
            )


def _write_after(ax: Axes, y: float, text: str, colour: str) -> None:
    style = style_of(ax)
    ax.annotate(
        text,
        (1, y),
        (3, 0),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        va="center",
        color=colour,
        annotation_clip=False,
        fontproperties=bundled_font(style.small),
    )
