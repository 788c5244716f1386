"""Draw how a coefficient changes with time: the picture beside the test of proportional hazards."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from aih_outcomes.figures.canvas import NOTHING, open_axes, remember_frame, rule_across, say_nothing, style_of
from aih_outcomes.figures.scales import plain, time_ticks
from aih_outcomes.figures.style import BAND_ALPHA, BLACK, DATA_LINE, GREY, bundled_font, styles_of


def draw_coefficient(
    smooth: pd.DataFrame,
    *,
    residuals: pd.DataFrame | None = None,
    ax: Axes | None = None,
    unit_label: str = "years",
    constant: float | None = None,
) -> Axes:
    """Draw one coefficient as a function of time with its band, and the constant one that the model assumes.

    Parameters
    ----------
    smooth : ``term, time, estimate, conf_low, conf_high`` of one term, on the log hazard ratio scale
    residuals : ``time, estimate``, one point per event, for the analyst's screen only: they are rows of patients
    ax : axes of final size; default a figure of one column
    unit_label : unit of ``time`` as on the axis
    constant : the log hazard ratio of the fit
    """
    ax = open_axes(ax, width="single", height_mm=70)
    remember_frame(ax, smooth)
    if smooth.empty:
        return say_nothing(ax, NOTHING)
    style = style_of(ax)
    term = str(smooth["term"].iloc[0])
    look = styles_of([term])[term]
    smooth = smooth.sort_values("time", kind="stable")
    time = smooth["time"].to_numpy(float)
    low, high = (smooth[name].astype(float).to_numpy(float) for name in ("conf_low", "conf_high"))
    ax.fill_between(time, low, high, color=look.colour, alpha=BAND_ALPHA, linewidth=0, zorder=2)
    ax.plot(time, smooth["estimate"].to_numpy(float), color=look.colour, linewidth=DATA_LINE * style.scale, zorder=4)
    if residuals is not None:
        remember_frame(ax, residuals)
        ax.plot(
            residuals["time"], residuals["estimate"], "o", color=GREY, markersize=2 * style.scale, alpha=0.6, zorder=3
        )
    ax.axhline(0, color=BLACK, linewidth=0.6 * style.scale, linestyle=(0, (1, 2)), zorder=1)
    if constant is not None and np.isfinite(constant):
        ax.axhline(constant, color=BLACK, linewidth=0.6 * style.scale, linestyle=(0, (5, 2)), zorder=1)
        ax.annotate(
            "constant, as fitted", (1, constant), (0, 2), xycoords=("axes fraction", "data"), ha="right", va="bottom",
            textcoords="offset points", fontproperties=bundled_font(style.small),
        )  # fmt: skip
    ticks = time_ticks(float(time[-1]), unit_label)
    since = str(smooth.attrs.get("time_zero", ""))
    words = unit_label if " since " in unit_label or not since else f"{unit_label} since {since}"
    ax.set(xlim=(0, float(time[-1])), xticks=ticks)
    ax.set_xticklabels([plain(tick) for tick in ticks])
    ax.set_xlabel(words[:1].upper() + words[1:])
    ax.set_ylabel(f"Log hazard ratio, {term}")
    rule_across(ax)
    return ax
