"""Draw one patient's values after a switch over what the others let expect, the dose below and the peers beside."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from aih_outcomes.figures.canvas import (
    dress,
    open_figure,
    remember_frame,
    rule_across,
    say_nothing,
    settle,
    style_of,
    width_of,
)
from aih_outcomes.figures.case_peers import draw_peers, tell_of_peers
from aih_outcomes.figures.folding import fold, fold_upright
from aih_outcomes.figures.placement import LineLabel, Numbers, place_labels, points_above, points_from
from aih_outcomes.figures.scales import DAYS_PER_MONTH, ULN_TICKS, log_ticks, plain
from aih_outcomes.figures.style import BLACK, DARK, GROUP_STYLES, GroupStyle, bundled_font, mix_with_white

STAMP = "research software: not for guiding the treatment of a patient"
SWITCHED = "Targeted therapy"  # whose colour and marker values after the switch have
PREDICTED = "#5A5A5A"
OUTER_SHARE, INNER_SHARE = 0.16, 0.36  # of ink: 95 % and 50 % band
DOSE = "#C9C9C9"
IN_ULN = "× ULN"
MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60)
MOST_TICKS = 11
BOLD = 1.12  # bold words are about so much longer
INNER = 0.85  # of the width of axes, for words whose place moves with the layout
NARROWEST_INCHES = 4.7  # (120 mm) of a figure with a panel for the peers; a narrower one tells of them in words


def draw_case(
    tidy: pd.DataFrame,
    peers: pd.DataFrame | None = None,
    *,
    figure: Figure | None = None,
    stamp: str = STAMP,
    dose_label: str = "Steroid,\nmg/kg/day",
) -> tuple[Axes, ...]:
    """Draw observed and predicted values around the switch, the steroid dose below, the peers' distances beside.

    Parameters
    ----------
    tidy : of ``case_against_cohort``: ``term`` (before, after), ``since`` (days since the switch), ``observed``,
        ``estimate, conf_low, conf_high, inner_low, inner_high``, ``steroid``; bands are drawn from value to value, and
        open at the last one before the switch
    peers : ``against_peers()`` of the same result: quantiles and counts, no peer's own series; in words only where the
        figure is one column wide
    figure : an empty figure; default two columns wide
    stamp : printed under the time axis
    dose_label : words of the axis of the dose

    Returns
    -------
    The axes of the values, then those of the dose and of the peers where they are drawn.
    """
    has_dose = bool(tidy["steroid"].notna().any())
    has_peers = peers is not None and bool(peers.loc[peers["term"] == "50 %", "estimate"].notna().any())
    figure = figure or open_figure(width="double", height_mm=95 if has_dose else 80)
    has_panel = has_peers and figure.get_size_inches()[0] >= NARROWEST_INCHES
    grid = figure.add_gridspec(
        2 if has_dose else 1, 2 if has_panel else 1, height_ratios=[3.2, 1] if has_dose else [1],
        width_ratios=[4, 1.2] if has_panel else [1],
    )  # fmt: skip
    values = figure.add_subplot(grid[0, 0])
    lowest = figure.add_subplot(grid[1, 0]) if has_dose else values
    remember_frame(values, tidy)
    drawn = [values]
    _draw_values(values, tidy, labelled=lowest is values)
    if has_dose:
        _draw_dose(lowest, tidy, dose_label)
        lowest.set_xlim(values.get_xlim())
        lowest.set_xticks(values.get_xticks(), _months(values.get_xticks()))
        lowest.set_xlabel(_x_label(lowest, tidy))
        figure.align_ylabels([values, lowest])
        drawn.append(lowest)
    if has_peers:
        assert peers is not None
        remember_frame(values, peers)
    if has_panel:
        assert peers is not None
        drawn.append(figure.add_subplot(grid[:, 1]))
        draw_peers(drawn[-1], peers, tidy, GROUP_STYLES[SWITCHED])
    told = "" if has_panel or not has_peers or peers is None else tell_of_peers(peers, tidy)
    _write_below(lowest, stamp, fold(told, style_of(lowest).small, INNER * width_of(lowest)))
    settle(values)
    fold_upright(values)
    _name_lines(values, tidy)
    return tuple(drawn)


def draw_case_values(ax: Axes, tidy: pd.DataFrame) -> Axes:
    """Draw the values of the case, the bands after the switch, and the switch itself."""
    _draw_values(ax, tidy, labelled=True)
    if len(tidy):
        settle(ax)
        fold_upright(ax)
        _name_lines(ax, tidy)
    return ax


def _draw_values(ax: Axes, tidy: pd.DataFrame, *, labelled: bool) -> Axes:
    """Draw values and bands; ``labelled``: months are written under these axes, not under others below."""
    dress(ax)
    if tidy.empty:
        return say_nothing(ax, "nothing to show: no values")
    _dress_axes(ax, tidy, labelled=labelled)
    before, after = (tidy[tidy["term"] == term] for term in ("before", "after"))
    if after["estimate"].notna().any():
        _draw_bands(ax, before, after)
    reason = tidy.attrs.get("not_estimable")
    if reason:
        _write(ax, f"Not predicted: {reason}", (0.98, 0.96), ha="right")
    scale = style_of(ax).scale
    ax.plot(
        before["since"], before["estimate"], color=PREDICTED, linewidth=0.8 * scale, linestyle=(0, (2, 1.4)), zorder=3
    )
    ax.plot(tidy["since"], tidy["observed"], color=BLACK, linewidth=0.7 * scale, zorder=4)
    for rows, look in ((before, GROUP_STYLES["All patients"]), (after, GROUP_STYLES[SWITCHED])):
        _mark(ax, rows, look)
    _draw_switch(ax, tidy)
    return ax


def _dress_axes(ax: Axes, tidy: pd.DataFrame, *, labelled: bool) -> None:
    since = tidy["since"].to_numpy(float) / DAYS_PER_MONTH
    low, high = min(float(since.min()), 0.0), max(float(since.max()), 0.0)
    span = max(high - low, 1.0)
    step = next((step for step in MONTH_STEPS if span / step <= MOST_TICKS), MONTH_STEPS[-1])
    ticks = np.arange(np.ceil(low / step) * step, high + 1e-9, step)
    ax.set_xlim((low - 0.02 * span) * DAYS_PER_MONTH, (high + 0.02 * span) * DAYS_PER_MONTH)
    ax.set_xticks(list(ticks * DAYS_PER_MONTH), _months(ticks * DAYS_PER_MONTH))
    ax.tick_params(labelbottom=labelled)
    if labelled:
        ax.set_xlabel(_x_label(ax, tidy))
    unit = str(tidy.attrs.get("unit", ""))
    ax.set_ylabel(", ".join(part for part in (str(tidy["label"].iloc[0]), unit) if part))
    shown = tidy[["observed", "conf_low", "conf_high"]].astype(float).to_numpy().ravel()
    _dress_values(ax, shown[np.isfinite(shown)], log=tidy.attrs.get("scale") == "log", unit=unit)
    rule_across(ax)


def _dress_values(ax: Axes, shown: Numbers, *, log: bool, unit: str) -> None:
    if log:
        ends = (0.5, 2.0) if unit == IN_ULN else (float(shown.max()), float(shown.min()))
        low, high = min(ends[0], float(shown.min())), max(ends[1], float(shown.max()))
        candidates = (0.01, 0.02, 0.05, *ULN_TICKS, 200, 500, 1000, 2000, 5000, 10_000)
        ticks = log_ticks(low, high, candidates)
        ax.set_yscale("log")
        ax.set_yticks(ticks, [plain(tick) for tick in ticks])
        ax.set_yticks([], minor=True)
        ax.set_ylim(min(low, ticks[0]) * 0.95, max(high, ticks[-1]) * 1.05)
    else:
        pad = 0.06 * max(float(np.ptp(shown)), 1e-9)
        ax.set_ylim(float(shown.min()) - pad, float(shown.max()) + pad)
        ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    if unit == IN_ULN:
        scale = style_of(ax).scale
        ax.axhline(1, color=BLACK, linewidth=0.7 * scale, linestyle=(0, (4, 2)), zorder=1.8)
        ax.annotate("ULN", (1, 1), (3, 0), xycoords=ax.get_yaxis_transform(), textcoords="offset points", va="center",
                    color=BLACK, annotation_clip=False, fontproperties=bundled_font(style_of(ax).small))  # fmt: skip


def _draw_bands(ax: Axes, before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Draw the bands as a fan that opens at the last value seen before the switch."""
    names = ["estimate", "conf_low", "conf_high", "inner_low", "inner_high"]
    fan = after[["since", *names]].astype(float)
    if len(before):
        last = before.iloc[-1]
        fan = pd.concat([pd.DataFrame([{"since": last["since"], **dict.fromkeys(names, last["observed"])}]), fan])
    for low, high, share in (("conf_low", "conf_high", OUTER_SHARE), ("inner_low", "inner_high", INNER_SHARE)):
        ax.fill_between(
            fan["since"], fan[low], fan[high], color=mix_with_white(PREDICTED, share), linewidth=0, zorder=1.5
        )
    ax.plot(fan["since"], fan["estimate"], color=PREDICTED, linewidth=1.1 * style_of(ax).scale,
            linestyle=(0, (5, 2)), zorder=3)  # fmt: skip


def _mark(ax: Axes, rows: pd.DataFrame, look: GroupStyle) -> None:
    size = (4.6 if look.marker == "^" else 3.4) * style_of(ax).scale
    ax.plot(rows["since"], rows["observed"], linestyle="none", marker=look.marker, markersize=size, color=look.colour,
            markeredgecolor="white", markeredgewidth=0.4, zorder=5)  # fmt: skip


def _draw_switch(ax: Axes, tidy: pd.DataFrame) -> None:
    style = style_of(ax)
    ax.axvline(0, color=DARK, linewidth=0.8 * style.scale, linestyle=(0, (1, 1.5)), zorder=2)
    words = fold(str(tidy.attrs.get("switch", "switch")), style.small, INNER * width_of(ax))
    left, right = ax.get_xlim()
    centred = 0.25 < -left / (right - left) < 0.75
    ax.text(0, 3, words[:1].upper() + words[1:], transform=points_above(ax, 0.0), va="bottom", color=DARK,
            ha="center" if centred else "left" if -left < right else "right",
            fontproperties=bundled_font(style.small))  # fmt: skip


def _draw_dose(ax: Axes, tidy: pd.DataFrame, label: str) -> None:
    """Draw the dose on the days of values as filled steps, each until the next value."""
    dress(ax)
    rows = tidy[tidy["steroid"].notna()]
    days, dose = rows["since"].to_numpy(float), rows["steroid"].to_numpy(float)
    ax.fill_between(days, 0, dose, step="post", color=DOSE, linewidth=0, zorder=2)
    ax.step(days, dose, where="post", color=DARK, linewidth=0.8 * style_of(ax).scale, zorder=3)
    ax.axvline(0, color=DARK, linewidth=0.8 * style_of(ax).scale, linestyle=(0, (1, 1.5)), zorder=2)
    ax.set_ylim(0, max(float(dose.max()) * 1.12, 0.1))
    ax.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))
    ticks = [float(tick) for tick in ax.get_yticks() if 0 <= tick <= ax.get_ylim()[1]]
    ax.set_yticks(ticks, [plain(round(tick, 6)) for tick in ticks])
    ax.set_ylabel(label)


def _name_lines(ax: Axes, tidy: pd.DataFrame) -> None:
    """Write what is observed and what is predicted beside it."""
    after, before = (tidy[tidy["term"] == term] for term in ("after", "before"))
    if not after["estimate"].notna().any():
        return
    x, y = after["since"].to_numpy(float), after["observed"].to_numpy(float)
    middle = after["estimate"].to_numpy(float)
    look, level = GROUP_STYLES[SWITCHED], float(tidy.attrs.get("conf_level", 0.95))
    outer = f"{level:.0%}".replace("%", " %")
    labels = [
        LineLabel("Observed", look.colour, x, y),
        LineLabel(f"Predicted: median, 50 and {outer} of single values", PREDICTED, x, middle),
    ]
    earlier = [(before["since"].to_numpy(float), before[name].to_numpy(float)) for name in ("observed", "estimate")]
    if not place_labels(ax, labels, size=style_of(ax).small, others=earlier):
        place_labels(ax, [LineLabel(label.text.split(":")[0], label.colour, label.x, label.y) for label in labels],
                     size=style_of(ax).small, others=earlier)  # fmt: skip


def _months(days: Numbers) -> list[str]:
    return [plain(round(float(day) / DAYS_PER_MONTH, 6)).replace("-", "−") for day in days]


def _x_label(ax: Axes, tidy: pd.DataFrame) -> str:
    """Say what months count from, in lines that stay in the figure."""
    words = f"Months since the switch (day {tidy.attrs.get('from_day', 0):g} since {tidy.attrs.get('time_zero', '')})"
    return fold(words, style_of(ax).text, width_of(ax))


def _write(ax: Axes, text: str, at: tuple[float, float], *, ha: str) -> None:
    ax.text(*at, text, transform=ax.transAxes, ha=ha, va="top", color=DARK, zorder=6,
            fontproperties=bundled_font(style_of(ax).small),
            path_effects=[withStroke(linewidth=2, foreground="white")])  # fmt: skip


def _write_below(ax: Axes, stamp: str, told: str) -> None:
    """Write the stamp under the label of the time axis, and under it what is told of the peers."""
    style = style_of(ax)
    down = 7 * style.scale + style.small * 1.2 + style.text * 1.3 * (1 + ax.get_xlabel().count("\n")) + 3
    stamp = stamp[:1].upper() + stamp[1:]
    stamp = fold(stamp, BOLD * style.small, INNER * width_of(ax))
    for words, bold in ((stamp, True), (told, False)):
        if words:
            ax.text(0, -down, words, transform=points_from(ax), va="top", color=BLACK if bold else DARK,
                    linespacing=1.25, fontproperties=bundled_font(style.small, bold=bold))  # fmt: skip
            down += 1.5 * style.small * (1 + words.count("\n"))
