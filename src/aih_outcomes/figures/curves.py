"""Draw survival curves with their risk table."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from aih_outcomes.disclosure import explain_hidden, hidden_mark
from aih_outcomes.figures.canvas import (
    NOTHING,
    measure,
    open_axes,
    remember_frame,
    rule_across,
    say_left_out,
    say_nothing,
    settle,
    style_of,
    width_of,
    wrap_to,
)
from aih_outcomes.figures.placement import LineLabel, place_labels, points_from
from aih_outcomes.figures.risk_table import LATE_ENTRY, LEADING, count_patients, draw_risk_table, enters_late
from aih_outcomes.figures.scales import plain, time_ticks
from aih_outcomes.figures.style import BAND_ALPHA, DARK, GroupStyle, bundled_font, styles_of

AT_RISK_NUMBER = 5
AT_RISK_SHARE = 0.1
PANEL_MM, ROW_MM = 66.0, 10.5
PER_CENT = 100.0
LITTLE_MORE = 1.12  # of the estimated width, before an effect is broken
Numbers = NDArray[np.float64]


def draw_survival(
    tidy: pd.DataFrame, *, ax: Axes | None = None, unit_label: str = "years", y_label: str = "", note: str = ""
) -> Axes:
    """Draw one step curve per group from 100 %, its band, its name at its end, and the risk table under the axis.

    Parameters
    ----------
    tidy : ``label, strata, time, n_risk, n_event, n_censor, estimate, std_error, conf_low, conf_high``; ``attrs`` may
        hold ``time_zero`` (words) and, from ``disclosure``, ``suppressed`` and ``time_grid``
    ax : axes of final size; default a figure of one column
    unit_label : unit of ``time`` as on the axis: ``years``, or ``years since month 6``
    y_label : what the percentage is of; default the endpoint's label
    note : one line above the curves: hazard ratio with the risk difference

    Returns
    -------
    The axes. A curve ends where fewer than 5, or fewer than 10 % of its patients, are at risk.
    """
    strata = strata_of(tidy)
    curves = {str(name): tidy[strata == name] for name in strata.unique()}
    return draw_steps(tidy, curves, ax=ax, start=1.0, unit_label=unit_label, y_label=y_label, note=note)


def draw_steps(
    tidy: pd.DataFrame, curves: dict[str, pd.DataFrame], *, ax: Axes | None, start: float, unit_label: str,
    y_label: str, note: str, top: float = PER_CENT,
) -> Axes:  # fmt: skip
    """Draw step curves by name, each from ``start``, with their risk table; ``tidy`` holds them all.

    The axis ends at ``top``, per hundred patients: 100 for shares.
    """
    ax = open_axes(ax, width="single", height_mm=PANEL_MM + ROW_MM * max(len(curves), 1))
    remember_frame(ax, tidy)
    curves = {name: curve.sort_values("time", kind="stable") for name, curve in curves.items()}
    drawn = {name: cut_curve(curve) for name, curve in curves.items()}
    drawn = {name: curve for name, curve in drawn.items() if len(curve) and curve["time"].iloc[-1] > 0}
    if not drawn:
        return say_nothing(ax, "\n".join(filter(None, (NOTHING, say_left_out(tidy)))))
    styles = styles_of(drawn)
    for name, curve in drawn.items():
        _draw_one(ax, curve, styles[name], start)
    end = max(float(curve["time"].iloc[-1]) for curve in drawn.values())
    ticks = time_ticks(end, unit_label)
    _dress_axis(ax, tidy, end, ticks, unit_label, y_label, top)
    down = draw_risk_table(
        ax, {n: curves[n] for n in drawn}, styles, ticks, hidden=hidden_mark(tidy), is_cut="time_grid" in tidy.attrs
    )
    _write_above(ax, note, _split_label(tidy)[1])
    late = LATE_ENTRY if any(enters_late(curve) for curve in drawn.values()) else ""
    _write_below(ax, (late, explain_hidden(tidy), say_left_out(tidy)), down)
    settle(ax)
    place_labels(
        ax,
        [_label_of(name, curves[name], drawn[name], styles[name], start) for name in drawn],
        size=style_of(ax).small,
    )
    return ax


def cut_curve(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one group up to where too few are at risk; an early empty risk set (late entry) is kept."""
    risk = curve["n_risk"].astype("Float64").to_numpy(float, na_value=np.nan)
    if not len(risk) or np.isnan(risk).all():
        return curve.iloc[:0]
    few = risk < max(AT_RISK_NUMBER, AT_RISK_SHARE * float(np.nanmax(risk)))
    few[: int(np.nanargmax(risk))] = False
    return curve.iloc[: int(np.argmax(few))] if few.any() else curve


def steps(curve: pd.DataFrame, column: str, start: float = 1.0) -> Numbers:
    """(n, 2) corners of a step curve in per cent, from ``start`` at time 0; so are limits before the first event.

    Under late entry the curve begins where the first is at risk: before, nothing was seen.
    """
    begins = 0.0
    if enters_late(curve):
        seen = curve["n_risk"].astype("Float64").to_numpy(float, na_value=np.nan) != 0
        curve = curve.iloc[max(int(np.argmax(seen)) - 1, 0) :]
        begins = float(curve["time"].iloc[0])
    time = curve["time"].to_numpy(float)
    value = curve[column].astype(float).to_numpy(float)
    if column != "estimate":  # limits are not estimable while nobody had the event
        value = np.where(np.isnan(value) & (curve["estimate"].to_numpy(float) == start), start, value)
    x = np.concatenate([[begins], time])
    y = np.concatenate([[start], value]) * 100
    return np.column_stack([np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]])


def _draw_one(ax: Axes, curve: pd.DataFrame, look: GroupStyle, start: float) -> None:
    style = style_of(ax)
    line = steps(curve, "estimate", start)
    ax.plot(
        line[:, 0],
        line[:, 1],
        color=look.colour,
        linestyle=look.line,
        linewidth=look.weight * style.scale,
        clip_on=False,
        zorder=4,
        solid_capstyle="butt",
        dash_capstyle="butt",
    )
    if {"conf_low", "conf_high"} <= set(curve.columns):
        low, high = steps(curve, "conf_low", start), steps(curve, "conf_high", start)
        ax.fill_between(low[:, 0], low[:, 1], high[:, 1], color=look.colour, alpha=BAND_ALPHA, linewidth=0, zorder=2)


def _label_of(name: str, curve: pd.DataFrame, drawn: pd.DataFrame, look: GroupStyle, start: float) -> LineLabel:
    corners = steps(drawn, "estimate", start)
    words = f"{name} ({count_patients(curve)})"
    return LineLabel(words, look.colour, corners[:, 0], corners[:, 1])


def _dress_axis(
    ax: Axes, tidy: pd.DataFrame, end: float, ticks: list[float], unit_label: str, y_label: str, top: float
) -> None:
    since = str(tidy.attrs.get("time_zero", ""))
    words = unit_label if " since " in unit_label or not since else f"{unit_label} since {since}"
    name = y_label or _split_label(tidy)[0]
    heights = [top * quarter / 4 for quarter in range(5)]
    ax.set(xlim=(0, end), ylim=(0, top), xticks=ticks, yticks=heights)
    ax.set_xticklabels([plain(tick) for tick in ticks])
    ax.set_yticklabels([plain(height) for height in heights])
    ax.set_xlabel(words[:1].upper() + words[1:])
    ax.set_ylabel(f"{name[:1].upper()}{name[1:]} ({'%' if top == PER_CENT else 'per 100 patients'})")
    rule_across(ax)


def _split_label(tidy: pd.DataFrame) -> tuple[str, str]:
    """Return what the percentage is of, and what must be said with it: ``survival, comparison from day 0 (biased)``."""
    name, _, caution = str(tidy["label"].iloc[0] if "label" in tidy else "").partition(", ")
    return name, caution[:1].upper() + caution[1:]


def _write_above(ax: Axes, note: str, caution: str) -> None:
    """Write the note above the axes, and in bold above it what a reader must know before the curves."""
    small = style_of(ax).small
    lines = _break_at_commas(note, width_of(ax), small)
    up = 5.0
    for words, bold in ((lines, False), (caution, True)):
        if words:
            ax.annotate(
                words,
                (0, 1),
                (0, up),
                xycoords="axes fraction",
                textcoords="offset points",
                va="bottom",
                color=DARK,
                fontproperties=bundled_font(small, bold=bold),
                annotation_clip=False,
            )
            up += (words.count("\n") + 1) * LEADING * small + 1


def _break_at_commas(text: str, width: float, size: float) -> str:
    """Break a line that is too long after a comma rather than within an effect and its interval."""
    lines: list[str] = []
    for part in text.split(", "):
        longer = f"{lines[-1]}, {part}" if lines else part
        if lines and measure(longer, size)[0] > width:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1:] = [longer]
    return "\n".join(wrap_to(line, width * LITTLE_MORE, size) for line in lines)


def _write_below(ax: Axes, sentences: tuple[str, ...], down: float) -> None:
    """Write below the risk table what its numbers mean and which groups are left out, in the figure's width."""
    small = style_of(ax).small
    lines = [wrap_to(words, width_of(ax) * 1.15, small) for words in sentences if words]
    ax.text(
        -5.2 * small,
        -down,
        "\n".join(lines),
        va="top",
        color=DARK,
        transform=points_from(ax),
        fontproperties=bundled_font(small),
        linespacing=LEADING,
    )


def strata_of(tidy: pd.DataFrame) -> pd.Series:
    """Return each row's group: ``strata``, or ``All patients`` where there are none."""
    if "strata" not in tidy:
        return pd.Series("All patients", index=tidy.index)
    return tidy["strata"].astype("string").fillna("").replace("", "All patients")
