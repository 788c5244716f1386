"""Draw values around a switch of therapy beside those around matched moments at which nobody switched."""

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
from aih_outcomes.figures.folding import fold, fold_upright
from aih_outcomes.figures.placement import points_from
from aih_outcomes.figures.risk_table import LEADING, write_key
from aih_outcomes.figures.scales import DAYS_PER_MONTH, ULN_TICKS, log_ticks, plain
from aih_outcomes.figures.style import BLACK, DARK, GREY, GROUP_STYLES, GroupStyle, bundled_font, ink

Numbers = NDArray[np.float64]

SWITCHED, OTHERS = "switch", "pseudo-switch"
NAMES = {SWITCHED: "Switched", OTHERS: "Matched, not switched"}
STYLES = {SWITCHED: GROUP_STYLES["Targeted therapy"], OTHERS: GroupStyle("#595959", (0, (5, 2)), "s", 1.15)}
IN_ULN = "× ULN"
FEW = 5  # a median of fewer series is counted under the axis and not drawn
FEW_WORDS = f"Medians of fewer than {FEW} series are not drawn."
HIDDEN_WORDS = "Where n has no median, the small-number rule hides it."
PANEL_MM, ROW_MM = 66.0, 7.5
LEFT = -4.2  # where words under the axis begin, in text sizes from its left end
DODGE_DAYS = 4.0  # either side of the middle of a stretch
EDGE = 1.06  # of the farthest stretch
MONTHS_APART = (1, 3, 6, 12)
MOST_TICKS = 9


def draw_before_after(
    tidy: pd.DataFrame,
    *,
    ax: Axes | None = None,
    individuals: pd.DataFrame | None = None,
    log: bool = True,
    y_label: str = IN_ULN,
    decision_days: float | None = None,
) -> Axes:
    """Draw medians with interquartile bars around day 0, the decision window shaded, and n per stretch under the axis.

    Parameters
    ----------
    tidy : ``strata`` (``switch``, ``pseudo-switch``)``, time`` (days since the switch), ``n, estimate`` (median),
        ``conf_low, conf_high`` (quartiles); stretches of fewer than 5 series are counted only
    ax : axes of final size; default a figure of one and a half columns
    individuals : ``patient_id, strata, time, value``: thin lines; only where the plan's small-number rule is none
    log : logarithmic axis
    y_label : words of the axis after the name of the quantity; multiples of ULN get a line at 1
    decision_days : length of the window up to the switch in which values led to it; ``tidy.attrs["decision_days"]``
        where it is not given

    Raises
    ------
    DisclosureError : single patients would be drawn beside a disclosed frame
    """
    if individuals is not None and disclosed_policy(tidy) not in (None, "none"):
        raise DisclosureError(
            f"{individuals['patient_id'].nunique()} single courses would be drawn",
            "A figure under a small-number rule shows groups",
            "Leave individuals out, or set disclosure = none in an internal plan",
        )
    names = [name for name in NAMES if (tidy["strata"] == name).any()]
    ax = open_axes(ax, width="one_and_half", height_mm=PANEL_MM + ROW_MM * max(len(names), 1))
    for frame in (tidy, *([] if individuals is None else [individuals])):
        remember_frame(ax, frame)
    drawn = tidy[~(tidy["n"] < FEW).fillna(False)].sort_values("time", kind="stable")
    shown = drawn[drawn["estimate"].notna()]
    if shown.empty and individuals is None:
        return say_nothing(ax)
    since = str(tidy.attrs.get("time_zero", "")) or "the switch"
    _dress(ax, tidy, shown, individuals, log=log, y_label=y_label, since=since)
    window = tidy.attrs.get("decision_days", 0.0) if decision_days is None else decision_days
    _draw_moment(ax, float(window))
    if individuals is not None:
        _draw_individuals(ax, individuals)
    for name in names:
        _draw_medians(ax, drawn[drawn["strata"] == name], STYLES[name], (-1 if name == SWITCHED else 1) * DODGE_DAYS)
    if y_label == IN_ULN:
        _draw_normal(ax)
    down = _write_counts(ax, tidy, names)
    few = FEW_WORDS if len(drawn) < len(tidy) else ""
    gaps = HIDDEN_WORDS if drawn["estimate"].isna().any() else ""
    for words in filter(None, (few, gaps, explain_hidden(tidy), say_left_out(tidy))):
        _write_left(ax, words, -down)
        down += LEADING * style_of(ax).small
    settle(ax)
    fold_upright(ax)
    return ax


def _dress(ax: Axes, tidy: pd.DataFrame, shown: pd.DataFrame, individuals: pd.DataFrame | None, *, log: bool,
           y_label: str, since: str) -> None:  # fmt: skip
    days = [tidy["time"].to_numpy(float)] + ([] if individuals is None else [individuals["time"].to_numpy(float)])
    low, high = (float(end) for end in (min(map(np.min, days)), max(map(np.max, days))))
    low, high = EDGE * min(low, -DAYS_PER_MONTH), EDGE * max(high, DAYS_PER_MONTH)
    fitting = [step for step in MONTHS_APART if (high - low) / DAYS_PER_MONTH / step <= MOST_TICKS - 1]
    step = fitting[0] if fitting else MONTHS_APART[-1] * int(np.ceil((high - low) / DAYS_PER_MONTH / 12 / MOST_TICKS))
    first, last = int(np.ceil(low / DAYS_PER_MONTH / step)), int(np.floor(high / DAYS_PER_MONTH / step))
    ticks = [place * step for place in range(first, last + 1)]
    ax.set_xlim(low, high)
    ax.set_xticks([tick * DAYS_PER_MONTH for tick in ticks], [f"{tick:d}".replace("-", "−") for tick in ticks])
    names = [str(name) for name in tidy["label"].unique() if str(name) != y_label] if "label" in tidy else []
    ax.set(
        xlabel=fold(f"Months since {since}", style_of(ax).text, width_of(ax)), ylabel=", ".join([*names[:1], y_label])
    )
    values = shown[["estimate", "conf_low", "conf_high"]].astype(float).to_numpy().ravel()
    if individuals is not None:
        values = np.concatenate([values, individuals["value"].to_numpy(float)])
    _dress_values(ax, values[np.isfinite(values)], y_label, log=log)
    rule_across(ax)


def _dress_values(ax: Axes, values: Numbers, y_label: str, *, log: bool) -> None:
    lowest, highest = float(values.min()), float(values.max())
    if log and lowest > 0:
        ends = (0.5, 2.0) if y_label == IN_ULN else (highest, lowest)
        ticks = log_ticks(min(ends[0], lowest), max(ends[1], highest), (*ULN_TICKS, 200, 500, 1000))
        ax.set_yscale("log")
        ax.set_yticks(ticks, [plain(tick) for tick in ticks])
        ax.set_yticks([], minor=True)
        ax.set_ylim(ticks[0], ticks[-1])
        return
    pad = 0.08 * max(highest - lowest, 1e-9)
    ax.set_ylim(0 if lowest >= 0 else lowest - pad, highest + pad)
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))


def _draw_moment(ax: Axes, window: float) -> None:
    """Shade the days that led to the switch, and mark the switch."""
    style = style_of(ax)
    ax.axvline(0, color=BLACK, linewidth=0.8 * style.scale, zorder=2)
    if window > 0:
        ax.axvspan(-window, 0, color=GREY, alpha=0.25, linewidth=0, zorder=1)
        ax.annotate(
            "decision window", (-window, 1), (-3, -1), xycoords=ax.get_xaxis_transform(), textcoords="offset points",
            ha="right", va="top", color=DARK, fontproperties=bundled_font(style.small),
        )  # fmt: skip


def _draw_individuals(ax: Axes, individuals: pd.DataFrame) -> None:
    for (_, kind), rows in individuals.groupby(["patient_id", "strata"], sort=True, observed=True):
        rows = rows.sort_values("time", kind="stable")
        look = STYLES.get(str(kind))
        ax.plot(rows["time"], rows["value"], color=look.colour if look else BLACK, linewidth=0.4, alpha=0.3, zorder=2)


def _draw_medians(ax: Axes, rows: pd.DataFrame, look: GroupStyle, aside: float) -> None:
    """Draw medians and quartiles; the line breaks at the switch."""
    scale = style_of(ax).scale
    time = rows["time"].to_numpy(float)
    x = time + aside
    y, low, high = (rows[column].astype(float).to_numpy() for column in ("estimate", "conf_low", "conf_high"))
    ax.vlines(x, low, high, color=look.colour, linewidth=0.8 * scale, zorder=3)
    for side in (time < 0, time > 0):
        ax.plot(
            x[side], y[side], color=look.colour, linestyle=look.line, linewidth=1.35 * look.weight * scale, zorder=4,
            marker=look.marker, markersize=4.6 * scale, markeredgecolor="white", markeredgewidth=0.4,
        )  # fmt: skip


def _draw_normal(ax: Axes) -> None:
    style = style_of(ax)
    ax.axhline(1, color=BLACK, linewidth=0.7 * style.scale, linestyle=(0, (4, 2)), zorder=1)
    ax.annotate(
        "ULN", (1, 1), (3, 0), xycoords=ax.get_yaxis_transform(), textcoords="offset points", va="center", color=BLACK,
        annotation_clip=False, fontproperties=bundled_font(style.small),
    )  # fmt: skip


def _write_counts(ax: Axes, tidy: pd.DataFrame, names: list[str]) -> float:
    """Write n per stretch under the axis in each kind's colour; return how far down it reaches, in points."""
    style = style_of(ax)
    down = 7 * style.scale + style.small * 1.2 + style.text * 1.3 * (1 + ax.get_xlabel().count("\n")) + 5
    for name in names:
        rows = tidy[tidy["strata"] == name]
        write_key(ax, NAMES[name], STYLES[name], LEFT * style.small, -down, marker=True)
        y = -down - LEADING * style.small
        _write_left(ax, "n", y)
        for time, n in _apart(ax, rows, tidy):
            ax.annotate(
                n, (time, 0), (0, y), xycoords=ax.get_xaxis_transform(), textcoords="offset points", ha="center",
                va="top", color=ink(STYLES[name].colour), annotation_clip=False,
                fontproperties=bundled_font(style.small),
            )  # fmt: skip
        down += 2 * LEADING * style.small + 2
    return down


def _apart(ax: Axes, rows: pd.DataFrame, frame: pd.DataFrame) -> list[tuple[float, str]]:
    """Return (time, n) of the stretches whose numbers do not run into each other."""
    low, high = ax.get_xlim()
    room = (high - low) * 2.05 * style_of(ax).small / width_of(ax)
    kept: list[tuple[float, str]] = []
    for time, n in zip(rows["time"].astype(float), rows["n"], strict=True):
        if all(abs(time - other) > room for other, _ in kept):
            kept.append((time, hidden_mark(frame) if pd.isna(n) else f"{int(n)}"))
    return kept


def _write_left(ax: Axes, text: str, y: float) -> None:
    style = style_of(ax)
    ax.text(
        LEFT * style.small, y, text, transform=points_from(ax), va="top", color=DARK,
        fontproperties=bundled_font(style.small),
    )  # fmt: skip
