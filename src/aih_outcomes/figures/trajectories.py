"""Draw a laboratory value over time: medians and interquartile ranges by visit, on a log axis of × ULN."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from aih_outcomes.disclosure import disclosed_policy, explain_hidden, hidden_mark
from aih_outcomes.errors import DisclosureError
from aih_outcomes.figures.canvas import (
    open_axes,
    remember_frame,
    rule_across,
    say_left_out,
    say_nothing,
    settle,
    style_of,
    width_of,
)
from aih_outcomes.figures.placement import LineLabel, place_labels, points_from
from aih_outcomes.figures.risk_table import LEADING, write_key
from aih_outcomes.figures.scales import DAYS_PER_MONTH, ULN_TICKS, log_ticks, plain, time_ticks
from aih_outcomes.figures.style import BLACK, DARK, GroupStyle, bundled_font, ink, styles_of

Numbers = NDArray[np.float64]

DODGE = 0.013  # of the axis, between groups at one visit
LONG_DAYS = 1200.0  # beyond this the axis is in years
PANEL_MM, ROW_MM = 66.0, 7.5
LEFT = -4.2  # where words under the axis begin, in text sizes from its left end
FEW = 5  # a median of fewer patients is counted under the axis and not drawn
VISIT_MONTHS = (0, 1, 2, 3, 6, 9, 12, 18, 24, 36)

IN_ULN = "× ULN"
FEW_WORDS = f"Medians of fewer than {FEW} patients are not drawn."
IN_PRINT = (("10*9", "10⁹"), ("10*12", "10¹²"), ("log2", "log₂"))


def draw_trajectories(
    tidy: pd.DataFrame,
    *,
    ax: Axes | None = None,
    individuals: pd.DataFrame | None = None,
    log: bool = True,
    y_label: str = IN_ULN,
    since: str = "",
) -> Axes:
    """Draw medians with interquartile bars per group, the upper limit of normal, and n per visit under the axis.

    Parameters
    ----------
    tidy : ``strata, time`` (days), ``n, estimate`` (median), ``conf_low, conf_high`` (quartiles); a line joins the
        visits of a group, and breaks where one is suppressed; visits of fewer than 5 patients are counted only
    ax : axes of final size; default a figure of one and a half columns
    individuals : ``patient_id, strata, time, value``: thin lines; only where the plan's small-number rule is none
    log : logarithmic axis; quantities that are logarithms already (``log2 …``) have a linear one
    y_label, since : words of the axes; multiples of ULN get a line at 1; ``since`` is ``tidy.attrs["time_zero"]`` where
        it is not given

    Raises
    ------
    DisclosureError : single patients would be drawn beside a disclosed frame
    """
    _refuse_single(tidy, individuals)
    reference = 1.0 if y_label == IN_ULN else None
    names = [str(name) for name in tidy["strata"].unique()]
    ax = open_axes(ax, width="one_and_half", height_mm=PANEL_MM + ROW_MM * max(len(names), 1))
    for frame in (tidy, *([individuals] if individuals is not None else [])):
        remember_frame(ax, frame)
    tidy_by_time = tidy[~(tidy["n"] < FEW).fillna(False)].sort_values("time", kind="stable")
    shown = tidy_by_time[tidy_by_time["estimate"].notna()]
    if shown.empty:
        return say_nothing(ax)
    styles = styles_of(names)
    _dress_axis(ax, shown, individuals, log=log, y_label=y_label, since=since or str(tidy.attrs.get("time_zero", "")))
    if individuals is not None:
        _draw_individuals(ax, individuals, styles)
    labels = [_draw_group(ax, tidy_by_time, name, styles[name], place, len(names)) for place, name in enumerate(names)]
    if reference is not None:
        _draw_reference(ax, reference)
    down = _write_counts(ax, tidy, names, styles)
    few = FEW_WORDS if len(tidy_by_time) < len(tidy) else ""
    for words in filter(None, (few, explain_hidden(tidy), say_left_out(tidy))):
        _write_left(ax, words, -down)
        down += LEADING * style_of(ax).small
    settle(ax)
    named = [label for label in labels if np.isfinite(label.y).any()]
    others = _obstacles(ax, tidy_by_time, labels, names, reference)
    place_labels(ax, named, size=style_of(ax).small, others=others)
    return ax


def _refuse_single(tidy: pd.DataFrame, individuals: pd.DataFrame | None) -> None:
    if individuals is not None and disclosed_policy(tidy) not in (None, "none"):
        raise DisclosureError(
            f"{individuals['patient_id'].nunique()} single courses would be drawn",
            "A figure under a small-number rule shows groups",
            "Leave individuals out, or set disclosure = none in an internal plan",
        )


def _unit(end: float) -> tuple[str, float]:
    return ("years", 365.25) if end > LONG_DAYS else ("months", DAYS_PER_MONTH)


def _dress_axis(
    ax: Axes, shown: pd.DataFrame, individuals: pd.DataFrame | None, *, log: bool, y_label: str, since: str
) -> None:
    end = float(shown["time"].max())
    unit, days = _unit(end)
    ticks = _visit_ticks(shown, end) if unit == "months" else time_ticks(end / days + 0.05, unit)
    ax.set_xlim(-0.04 * end, 1.04 * end)
    ax.set_xticks([tick * days for tick in ticks], [plain(tick) for tick in ticks])
    ax.set(xlabel=f"{unit.capitalize()} since {since}" if since else unit.capitalize(), ylabel=_in_print(y_label))
    values = shown[["estimate", "conf_low", "conf_high"]].astype(float).to_numpy().ravel()
    if individuals is not None:
        values = np.concatenate([values, individuals["value"].astype(float).to_numpy()])
    values = values[np.isfinite(values)]
    _dress_values(ax, values, y_label, log=log)
    rule_across(ax)


def _visit_ticks(shown: pd.DataFrame, end: float) -> list[float]:
    """Return the months at which there were visits, where that gives three or more; else those of every axis."""
    visits = shown["time"].to_numpy(float) / DAYS_PER_MONTH
    ticks = [float(month) for month in VISIT_MONTHS if np.abs(visits - month).min() <= 0.12 + 0.03 * month]
    return ticks if len(ticks) > 2 else time_ticks(end / DAYS_PER_MONTH + 0.05, "months")


def _dress_values(ax: Axes, values: Numbers, y_label: str, *, log: bool) -> None:
    """Give the axis of the values its scale and its ends: logarithms have no zero, other quantities start there."""
    lowest, highest = float(values.min()), float(values.max())
    if y_label.startswith("log"):
        pad = 0.12 * max(highest - lowest, 0.5)
        ax.set_ylim(lowest - pad, highest + pad)
    elif log:
        ends = (0.5, 2.0) if y_label == IN_ULN else (highest, lowest)
        ticks = log_ticks(
            min(ends[0], float(values[values > 0].min())), max(ends[1], highest), (*ULN_TICKS, 200, 500, 1000)
        )
        ax.set_yscale("log")
        ax.set_yticks(ticks, [plain(tick) for tick in ticks])
        ax.set_yticks([], minor=True)
        ax.set_ylim(ticks[0], ticks[-1])
        return
    else:
        ax.set_ylim(0, highest * 1.08)
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    ticks = [float(tick) for tick in ax.get_yticks() if ax.get_ylim()[0] <= tick <= ax.get_ylim()[1]]
    ax.set_yticks(ticks, [plain(round(tick, 6)) for tick in ticks])


def _in_print(unit: str) -> str:
    """Write a unit as it is printed: ``10⁹/L`` for ``10*9/L``."""
    for coded, printed in IN_PRINT:
        unit = unit.replace(coded, printed)
    return unit


def _draw_individuals(ax: Axes, individuals: pd.DataFrame, styles: dict[str, GroupStyle]) -> None:
    for (_, group), rows in individuals.groupby(["patient_id", "strata"], sort=True):
        rows = rows.sort_values("time", kind="stable")
        look = styles.get(str(group))
        ax.plot(rows["time"], rows["value"], color=look.colour if look else BLACK, linewidth=0.4, alpha=0.15, zorder=2)


def _draw_group(ax: Axes, shown: pd.DataFrame, name: str, look: GroupStyle, place: int, of: int) -> LineLabel:
    style = style_of(ax)
    rows = shown[shown["strata"].astype(str) == name]
    low, high = ax.get_xlim()
    x = rows["time"].to_numpy(float) + (place - (of - 1) / 2) * DODGE * (high - low)
    y, first, third = (rows[c].astype(float).to_numpy() for c in ("estimate", "conf_low", "conf_high"))
    ax.vlines(x, first, third, color=look.colour, linewidth=0.8 * style.scale, zorder=3)
    ax.plot(
        x,
        y,
        color=look.colour,
        linestyle=look.line,
        linewidth=1.35 * look.weight * style.scale,
        marker=look.marker,
        markersize=4.6 * style.scale,
        markeredgecolor="white",
        markeredgewidth=0.4,
        zorder=4,
    )
    return LineLabel(name, look.colour, x, np.asarray(y, np.float64))


def _obstacles(
    ax: Axes, tidy: pd.DataFrame, labels: list[LineLabel], names: list[str], reference: float | None
) -> list[tuple[Numbers, Numbers]]:
    """Return the bars and the reference line, which words keep away from."""
    lines = [] if reference is None else [(np.array(ax.get_xlim()), np.array([reference, reference]))]
    for label, name in zip(labels, names, strict=True):
        rows = tidy[tidy["strata"].astype(str) == name]
        low, high = (rows[c].astype(float).to_numpy() for c in ("conf_low", "conf_high"))
        lines += [(np.array([x, x]), np.array([a, b])) for x, a, b in zip(label.x, low, high, strict=True) if a <= b]
    return lines


def _draw_reference(ax: Axes, reference: float) -> None:
    style = style_of(ax)
    ax.axhline(reference, color=BLACK, linewidth=0.7 * style.scale, linestyle=(0, (4, 2)), zorder=1)
    ax.annotate(
        "ULN",
        (1, reference),
        (3, 0),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        va="center",
        color=BLACK,
        annotation_clip=False,
        fontproperties=bundled_font(style.small),
    )


def _write_counts(ax: Axes, tidy: pd.DataFrame, names: list[str], styles: dict[str, GroupStyle]) -> float:
    """Write n per visit under the axis in each group's colour; return how far down it reaches, in points."""
    style = style_of(ax)
    down = 7 * style.scale + style.small * 1.2 + style.text * 1.3 + 5
    for name in names:
        rows = tidy[tidy["strata"].astype(str) == name]
        colour = ink(styles[name].colour)
        write_key(ax, name, styles[name], LEFT * style.small, -down, marker=True)
        y = -down - LEADING * style.small
        _write_left(ax, "n", y)
        for time, n in _apart(ax, rows, tidy, style.small):
            ax.annotate(
                n,
                (time, 0),
                (0, y),
                xycoords=ax.get_xaxis_transform(),
                textcoords="offset points",
                ha="center",
                va="top",
                color=colour,
                annotation_clip=False,
                fontproperties=bundled_font(style.small),
            )
        down += 2 * LEADING * style.small + 2
    return down


def _apart(ax: Axes, rows: pd.DataFrame, frame: pd.DataFrame, size: float) -> list[tuple[float, str]]:
    """Return (time, n) of the visits whose numbers do not run into each other; those at ticks come first."""
    width = width_of(ax)
    low, high = ax.get_xlim()
    ticks = np.asarray(ax.get_xticks(), float)
    counts = [hidden_mark(frame) if pd.isna(n) else f"{int(n)}" for n in rows["n"]]
    visits = list(zip(rows["time"].astype(float), counts, strict=True))
    kept: list[tuple[float, str]] = []
    for time, n in sorted(visits, key=lambda visit: (round(float(np.abs(ticks - visit[0]).min()) / 10), visit[0])):
        if all(abs(time - other) / (high - low) * width > 2.05 * size for other, _ in kept):
            kept.append((time, n))
    return kept


def _write_left(ax: Axes, text: str, y: float, *, colour: str = DARK, bold: bool = False) -> None:
    style = style_of(ax)
    ax.text(
        LEFT * style.small,
        y,
        text,
        transform=points_from(ax),
        va="top",
        color=colour,
        fontproperties=bundled_font(style.small, bold=bold),
    )
