"""Draw the course of one child: laboratory values, treatment and events on one time axis."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aih_outcomes.figures.canvas import dress, open_figure, remember_frame, say_nothing, style_of
from aih_outcomes.figures.placement import points_from
from aih_outcomes.figures.scales import DAYS_PER_MONTH, plain
from aih_outcomes.figures.style import BLACK, bundled_font
from aih_outcomes.figures.timeline_labs import draw_labs
from aih_outcomes.figures.timeline_treatment import draw_doses, draw_events

STAMP = "invented; not a published patient; not dosing advice"
UPPER = ("ALT", "AST")


def draw_timeline(
    labs: pd.DataFrame,
    treatments: pd.DataFrame,
    events: pd.DataFrame,
    *,
    figure: Figure | None = None,
    stamp: str = STAMP,
    since: str = "start of treatment",
) -> tuple[Axes, Axes, Axes]:
    """Draw three aligned panels: ALT and AST; IgG and bilirubin; steroid dose with a bar per drug below.

    Parameters
    ----------
    labs : ``time`` (days), ``analyte`` (ALT, AST, IgG, bilirubin), ``value`` (× ULN)
    treatments : ``drug, start, stop`` (days; missing stop: ongoing), ``mg_per_kg`` (per day; missing: a bar, no dose),
        optional ``matched`` (bool): the drug matched to the gene result
    events : ``time`` (days), ``kind`` (event, biopsy, gene), ``words`` (short)
    figure : an empty figure; default two columns wide
    stamp : printed on the figure; for a real course the words of its consent
    since : time zero in words

    Returns
    -------
    The three axes, from top to bottom.
    """
    figure = figure or open_figure(width="double", height_mm=125)
    bars = treatments[treatments["mg_per_kg"].isna()]
    heights = [1.25, 0.85, 0.75 + 0.16 * bars["drug"].nunique()]
    upper, lower, doses = figure.subplots(3, 1, sharex=True, height_ratios=heights)
    for ax in (upper, lower, doses):
        dress(ax)
    for frame in (labs, treatments, events):
        remember_frame(upper, frame)
    if labs.empty and treatments.empty:
        say_nothing(upper, "nothing to show: no values and no treatment")
        return upper, lower, doses
    end = _end_of(labs, treatments, events)
    _dress_time(doses, end, since)
    draw_labs(upper, labs[labs["analyte"].isin(UPPER)], "× ULN")
    draw_labs(lower, labs[~labs["analyte"].isin(UPPER)], "× ULN")
    draw_doses(doses, treatments, end)
    figure.align_ylabels([upper, lower, doses])
    _write_stamp(doses, stamp)
    figure.draw_without_rendering()
    draw_events((upper, lower, doses), events)
    return upper, lower, doses


def _end_of(labs: pd.DataFrame, treatments: pd.DataFrame, events: pd.DataFrame) -> float:
    listed = [labs["time"], treatments["start"], treatments["stop"], events["time"]]
    days = pd.concat([column.astype(float) for column in listed if len(column)])
    return float(days.max())


def _dress_time(ax: Axes, end: float, since: str) -> None:
    months = end / DAYS_PER_MONTH
    step = next(step for step in (1, 3, 6, 12, 24, 60) if months / step <= 12)
    ticks = np.arange(0, months + 1e-9, step)
    ax.set_xlim(-0.01 * end, 1.015 * end)
    ax.set_xticks(list(ticks * DAYS_PER_MONTH), [plain(float(tick)) for tick in ticks])
    ax.set_xlabel(f"Months since {since}")


def _write_stamp(ax: Axes, stamp: str) -> None:
    """Write under the time axis what the reader must know before anything else."""
    style = style_of(ax)
    if stamp:
        ax.text(
            0,
            -(7 * style.scale + style.small * 1.2 + style.text * 1.3 + 3),
            stamp[:1].upper() + stamp[1:],
            transform=points_from(ax),
            va="top",
            color=BLACK,
            fontproperties=bundled_font(style.small, bold=True),
        )
