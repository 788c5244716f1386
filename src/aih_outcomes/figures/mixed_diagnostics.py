"""Draw what a mixed model leaves unexplained: similarity by lag, and four panels for the analyst's screen."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from aih_outcomes.figures.canvas import (
    dress,
    open_axes,
    open_figure,
    remember_frame,
    rule_across,
    say_nothing,
    style_of,
)
from aih_outcomes.figures.scales import DAYS_PER_MONTH, DAYS_PER_YEAR, plain, time_ticks
from aih_outcomes.figures.style import BLACK, DARK, DATA_LINE, GREY, UNKNOWN_STYLES, bundled_font, styles_of

Numbers = NDArray[np.float64]
Panels = tuple[Axes, Axes, Axes, Axes]

MODEL_LINE = (0, (5, 2))
LONG_DAYS, SHORT_DAYS = 1200.0, 90.0  # beyond, an axis is in years; below, in days
FAR = 2.0  # standard deviations between which 95 % lie
MOST_NAMED = 3  # patients named in the panel of influence
EMPTY = "nothing to show: no estimate, or no two values of one patient"
BLUE = styles_of(["Responder"])["Responder"].colour


def draw_variogram(tidy: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw half the mean squared difference of two values of a patient by the time between them.

    Parameters
    ----------
    tidy : ``time`` (mean lag), ``estimate, conf_low, conf_high, expected``; ``attrs``: ``time_unit``
    ax : axes of final size; default a figure of one column
    """
    ax = open_axes(ax, width="single", height_mm=70)
    remember_frame(ax, tidy)
    shown = tidy[tidy["estimate"].notna()].sort_values("time", kind="stable") if len(tidy) else tidy
    if shown.empty:
        return say_nothing(ax, EMPTY)
    style = style_of(ax)
    time, value, low, high, expected = (
        shown[name].astype(float).to_numpy() for name in ("time", "estimate", "conf_low", "conf_high", "expected")
    )
    unit, days = _unit(float(time.max()), str(tidy.attrs.get("time_unit", "days")))
    x = time / days
    ax.plot(x, expected, color=BLACK, linestyle=MODEL_LINE, linewidth=DATA_LINE * style.scale, zorder=2)
    ax.vlines(x, low, high, color=BLUE, linewidth=0.8 * style.scale, zorder=3)
    ax.plot(x, value, "o", color=BLUE, markersize=3.5 * style.scale, zorder=4)
    top = float(np.nanmax(np.concatenate([high, expected, value])))
    ax.set(xlim=(0, 1.05 * float(x.max())), ylim=(0, 1.06 * top))
    ticks = time_ticks(float(1.05 * x.max()), unit)
    if len(ticks) < 3:
        ticks = [float(tick) for tick in ax.get_xticks() if tick <= 1.05 * x.max()]
    ax.set_xticks(ticks, [plain(tick) for tick in ticks])
    ax.set_xlabel(f"{unit.capitalize()} between two values of a patient")
    ax.set_ylabel("Half the mean squared difference")
    rule_across(ax)
    _write_keys(ax, [("observed (95 % CI)", BLUE, "o", "none"), ("expected by the model", BLACK, "", MODEL_LINE)])
    return ax


def draw_mixed_diagnostics(
    residuals: pd.DataFrame,
    effects: pd.DataFrame,
    predicted: pd.DataFrame,
    influence: pd.DataFrame,
    *,
    figure: Figure | None = None,
) -> Panels:
    """Draw residuals, their quantiles with the random effects', calibration, and influence, in four panels.

    Rows of patients: for the analyst's screen; saving refuses it under a small-number rule.

    Parameters
    ----------
    residuals : ``patient_id, predicted, decorrelated, quantile``
    effects : ``effect, estimate, quantile``; may be empty
    predicted : ``strata, predicted, estimate, conf_low, conf_high``
    influence : ``patient_id, cook``, the most influential first
    figure : an empty figure; default two columns wide

    Returns
    -------
    The four axes, from top left to bottom right.
    """
    figure = figure or open_figure(width="double", height_mm=140)
    first, second, third, fourth = figure.subplots(2, 2).ravel()
    panels = (first, second, third, fourth)
    for ax, letter in zip(panels, "abcd", strict=True):
        dress(ax)
        style = style_of(ax)
        ax.annotate(letter, (0, 1), (-2.2 * style.text, 0.8 * style.text), xycoords="axes fraction",
                    textcoords="offset points", fontproperties=bundled_font(style.panel, bold=True))  # fmt: skip
    for frame in (residuals, effects, predicted, influence):
        remember_frame(first, frame)
    if residuals.empty:
        for ax in panels:
            say_nothing(ax, EMPTY)
        return panels
    _draw_residuals(first, residuals)
    _draw_quantiles(second, residuals, effects)
    _draw_calibration(third, predicted)
    _draw_influence(fourth, influence)
    return panels


def _draw_residuals(ax: Axes, residuals: pd.DataFrame) -> None:
    """Decorrelated residuals over the mean predicted, with the mean of neighbours."""
    style = style_of(ax)
    x, y = (residuals[name].to_numpy(float) for name in ("predicted", "decorrelated"))
    ax.plot(x, y, "o", color=GREY, markersize=_size(len(x)) * style.scale, alpha=0.5, markeredgewidth=0, zorder=2)
    for level in (-FAR, 0.0, FAR):
        ax.axhline(level, color=BLACK, linewidth=0.6 * style.scale, linestyle=MODEL_LINE if level else "-", zorder=1)
    order = np.argsort(x, kind="stable")
    parts = [part for part in np.array_split(order, min(10, max(len(x) // 20, 1))) if len(part)]
    middle = np.array([[x[part].mean(), y[part].mean()] for part in parts])
    ax.plot(middle[:, 0], middle[:, 1], color=BLUE, linewidth=DATA_LINE * style.scale, zorder=3)
    far = max(3.0, 1.08 * float(np.abs(y).max()))
    ax.set(xlabel="Predicted mean", ylabel="Decorrelated residual", ylim=(-far, far))
    _write_keys(ax, [("mean of a tenth", BLUE, "", "-"), ("± 2", BLACK, "", MODEL_LINE)])


def _draw_quantiles(ax: Axes, residuals: pd.DataFrame, effects: pd.DataFrame) -> None:
    """Ordered values, each by its own SD, over those of a normal sample."""
    style = style_of(ax)
    series = [("residuals", residuals["quantile"].to_numpy(float), residuals["decorrelated"].to_numpy(float))]
    for name, own in effects.groupby("effect", sort=False) if len(effects) else []:
        values = own["estimate"].to_numpy(float)
        spread = float(values.std())
        if spread > 0:
            series.append((f"random {name}", own["quantile"].to_numpy(float), (values - values.mean()) / spread))
    looks = [(GREY, "o"), *((look.colour, look.marker) for look in (UNKNOWN_STYLES[0], *UNKNOWN_STYLES[2:]))]
    wide = high = 0.0
    for (_, x, y), (colour, marker) in zip(series, looks, strict=False):
        ax.plot(x, y, marker, color=colour, markersize=_size(len(x)) * style.scale, markeredgewidth=0, zorder=3)
        wide, high = max(wide, float(np.abs(x).max())), max(high, float(np.abs(y).max()))
    ax.axline((0, 0), slope=1, color=BLACK, linewidth=0.6 * style.scale, linestyle=MODEL_LINE, zorder=2)
    ax.set(xlim=(-1.08 * wide, 1.08 * wide), ylim=(-1.08 * max(high, wide), 1.08 * max(high, wide)))
    ax.set(xlabel="Quantile of a normal sample", ylabel="Standard deviations")
    _write_keys(ax, [(name, colour, marker, "none")
                     for (name, _, _), (colour, marker) in zip(series, looks, strict=False)])  # fmt: skip


def _draw_calibration(ax: Axes, predicted: pd.DataFrame) -> None:
    """Mean observed over mean predicted, tenth by tenth."""
    style = style_of(ax)
    keys: list[tuple[str, str, str, object]] = []
    ends: list[Numbers] = []
    for (name, own), look in zip(predicted.groupby("strata", sort=False), UNKNOWN_STYLES[::2], strict=False):
        colour = BLUE if not keys else look.colour
        marker = "o" if not keys else look.marker
        x, y, low, high = (own[column].to_numpy(float) for column in ("predicted", "estimate", "conf_low", "conf_high"))
        ax.vlines(x, low, high, color=colour, linewidth=0.8 * style.scale, zorder=2)
        ax.plot(x, y, marker, color=colour, markersize=3.5 * style.scale, markeredgewidth=0, zorder=3)
        keys.append((str(name), colour, marker, "none"))
        ends += [x, y, low, high]
    if not keys:
        say_nothing(ax, "nothing to show: all predictions are alike")
        return
    ax.axline(
        (float(ends[0][0]),) * 2, slope=1, color=BLACK, linewidth=0.6 * style.scale, linestyle=MODEL_LINE, zorder=1
    )
    least, most = float(np.nanmin(np.concatenate(ends))), float(np.nanmax(np.concatenate(ends)))
    room = 0.06 * (most - least)
    ax.set(xlim=(least - room, most + room), ylim=(least - room, most + room))
    ax.set(xlabel="Mean predicted", ylabel="Mean observed (95 % CI)")
    _write_keys(ax, keys)


def _draw_influence(ax: Axes, influence: pd.DataFrame) -> None:
    """Cook's distance of every patient, the largest first and named."""
    style = style_of(ax)
    shown = influence[influence["cook"].notna()]
    if shown.empty:
        say_nothing(ax, "nothing to show: the terms rest on single patients")
        return
    cook = shown["cook"].to_numpy(float)
    place = np.arange(1, len(cook) + 1)
    ax.vlines(place, 0, cook, color=BLUE, linewidth=np.clip(100 / len(cook), 0.3, 1.2) * style.scale, zorder=2)
    ax.set(xlim=(0, len(cook) + 1), ylim=(0, 1.06 * float(cook.max()) or 1.0))
    ax.set(xlabel="Patients, the most influential first", ylabel="Cook's distance")
    names = ", ".join(shown["patient_id"].astype(str).iloc[:MOST_NAMED])
    ax.text(0, 1.02, f"From the left: {names}", transform=ax.transAxes, va="bottom", color=DARK,
            fontproperties=bundled_font(style.small))  # fmt: skip
    rule_across(ax)


def _unit(end: float, unit: str) -> tuple[str, float]:
    """Return the unit of an axis of time, and how many of the frame's units it has."""
    if unit != "days":
        return unit, 1.0
    if end <= SHORT_DAYS:
        return "days", 1.0
    return ("years", DAYS_PER_YEAR) if end > LONG_DAYS else ("months", DAYS_PER_MONTH)


def _size(n: int) -> float:
    return float(np.clip(30 / np.sqrt(max(n, 1)), 1.0, 3.0))


def _write_keys(ax: Axes, keys: list[tuple[str, str, str, object]]) -> None:
    """Write names with their marks in one row above the axes."""
    style = style_of(ax)
    handles = [ax.plot([], [], color=colour, marker=marker, linestyle=line, markersize=3.5 * style.scale,
                       linewidth=DATA_LINE * style.scale, markeredgewidth=0, label=name)[0]
               for name, colour, marker, line in keys]  # fmt: skip
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(handles), frameon=False,
              borderaxespad=0.2, handletextpad=0.4, columnspacing=1.2, handlelength=1.6,
              prop=bundled_font(style.small))  # fmt: skip
