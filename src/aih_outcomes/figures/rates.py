"""Draw response rates: what is known, and what the patients who are not evaluable leave open."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from aih_outcomes.figures.canvas import open_axes, remember_frame, say_nothing, style_of
from aih_outcomes.figures.style import BLACK, GREY, bundled_font

ROW_MM = 9.0
BOUNDS_WIDTH = 5.0  # points: a broad grey bar, so that the interval stands on it


def draw_rates(tidy: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw one row per endpoint: share with its interval over the bounds, in per cent.

    Parameters
    ----------
    tidy : ``label, estimate, conf_low, conf_high, bound_low, bound_high`` as shares from 0 to 1
    ax : axes of final size; default a figure of one column, as high as its rows
    """
    ax = open_axes(ax, width="single", height_mm=18 + ROW_MM * max(len(tidy), 1))
    remember_frame(ax, tidy)
    shown = tidy[tidy["estimate"].notna()]
    if shown.empty:
        return say_nothing(ax)
    place = range(len(shown))[::-1]
    ax.hlines(
        place, 100 * shown["bound_low"], 100 * shown["bound_high"], color=GREY, alpha=0.35, linewidth=BOUNDS_WIDTH
    )
    ax.hlines(place, 100 * shown["conf_low"], 100 * shown["conf_high"], color=BLACK, linewidth=style_of(ax).scale)
    ax.plot(100 * shown["estimate"], place, "s", color=BLACK, markersize=4 * style_of(ax).scale)
    ax.set_yticks(list(place), shown["label"], fontproperties=bundled_font(style_of(ax).small))
    ax.set(xlim=(0, 100), xlabel="In response (% of evaluable; grey: all not evaluable failed, or responded)")
    return ax
