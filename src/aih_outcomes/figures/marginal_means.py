"""Draw means of a model, or their differences, over time: curves with bands, or points with bars at visits."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from aih_outcomes.disclosure import explain_hidden, hidden_mark
from aih_outcomes.figures.canvas import (
    measure,
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
from aih_outcomes.figures.scales import DAYS_PER_MONTH, DAYS_PER_YEAR, log_ticks, plain, thin_out, time_ticks
from aih_outcomes.figures.style import BLACK, DARK, GroupStyle, bundled_font, ink, styles_of

Numbers = NDArray[np.float64]

BAND = 0.15
CURVE = 12  # more times than this are a curve, fewer are points
DODGE = 0.013  # of the axis, between groups at one time
LONG_DAYS, SHORT_DAYS = 1200.0, 90.0  # beyond, an axis is in years; below, in days
PANEL_MM, ROW_MM = 66.0, 7.5
LEFT = -4.2  # where words under the axis begin, in text sizes from its left end
ON_LOGS = (("ratio", "ratio_low", "ratio_high"), ("geometric_mean", "geometric_low", "geometric_high"))
AS_ESTIMATED = ("estimate", "conf_low", "conf_high")
TICKS = tuple(round(step * 10.0**power, 6) for power in range(-4, 6) for step in (1, 2, 5))
FINE_TICKS = tuple(sorted({*TICKS, *(round(0.1 * step, 1) for step in range(3, 20)), 2.5, 3.0, 4.0}))
WIDE = 6.0  # ratio of the axis's ends from which ticks at 1, 2, 5 are enough


def draw_marginal_means(tidy: pd.DataFrame, *, ax: Axes | None = None, y_label: str = "", since: str = "") -> Axes:
    """Draw one line per group with its limits, named at the line, and the number of patients under the axis.

    Parameters
    ----------
    tidy : ``strata, term, time, estimate, conf_low, conf_high, n``, on the log scale ``geometric_mean`` or ``ratio``
        with their limits, which are drawn instead; of differences also ``contrast``;
        ``attrs``: ``time_unit, time_zero, unit, at_visits``.
        More than 12 times per group are a curve with a band; fewer, or visits, are points with bars. A line breaks
        where a value is not estimable or suppressed. Differences have a line at 0, ratios at 1
    ax : axes of final size; default a figure of one and a half columns
    y_label, since : words of the axes; default from the frame
    """
    names = [str(name) for name in _groups(tidy).unique()]
    ax = open_axes(ax, width="one_and_half", height_mm=PANEL_MM + ROW_MM * max(len(names), 1))
    remember_frame(ax, tidy)
    columns = next((own for own in ON_LOGS if own[0] in tidy), AS_ESTIMATED)
    frame = _placed(tidy, columns)
    if not frame["y"].notna().any():
        return say_nothing(ax)
    styles = styles_of(names)
    _dress_values(ax, frame, columns, y_label or _value_words(tidy, columns), is_contrast="contrast" in tidy)
    ticks = _dress_time(ax, frame, tidy, since or str(tidy.attrs.get("time_zero", "")))
    curve = not tidy.attrs.get("at_visits", False) and frame.groupby("strata", sort=False).size().max() > CURVE
    labels = [_draw_group(ax, frame, name, styles[name], place, len(names), curve=bool(curve))
              for place, name in enumerate(names)]  # fmt: skip
    if "contrast" in tidy:
        ax.axhline(0.0 if columns is AS_ESTIMATED else 1.0, color=BLACK, linewidth=0.7 * style_of(ax).scale,
                   linestyle=(0, (4, 2)), zorder=1)  # fmt: skip
    down = _write_counts(ax, frame, tidy, styles, ticks, marker=not curve)
    for words in filter(None, (explain_hidden(tidy), say_left_out(tidy))):
        _write_left(ax, words, -down)
        down += LEADING * style_of(ax).small
    settle(ax)
    place_labels(ax, [own for own in labels if np.isfinite(own.y).any()], size=style_of(ax).small,
                 others=_limits(frame, names, labels, curve=bool(curve)))  # fmt: skip
    return ax


def _groups(tidy: pd.DataFrame) -> pd.Series:
    """Name each row's group; everyone together as in the other figures."""
    return tidy["strata"].astype(str).replace("all", "All patients")


def _placed(tidy: pd.DataFrame, columns: tuple[str, str, str]) -> pd.DataFrame:
    """``strata, term, x, y, low, high, n``: cells without a time stand side by side in their order."""
    frame = pd.DataFrame({"strata": _groups(tidy), "term": tidy["term"].astype(str), "n": tidy["n"]})
    for name, column in zip(("y", "low", "high"), columns, strict=True):
        frame[name] = tidy[column].astype(float).to_numpy()
    time = tidy["time"].to_numpy(float)
    cells = pd.factorize(frame["term"])[0]
    frame["x"] = time if np.isfinite(time).all() and not _overlaps(frame, time) else cells.astype(float)
    return frame.sort_values("x", kind="stable")


def _overlaps(frame: pd.DataFrame, time: Numbers) -> bool:
    """Do cells of one group share a time, as levels of another factor do."""
    return bool(frame.assign(time=time).duplicated(["strata", "time"]).any())


def _value_words(tidy: pd.DataFrame, columns: tuple[str, str, str]) -> str:
    label = str(tidy["label"].iloc[0])
    unit = str(tidy.attrs.get("unit", ""))
    if columns[0] == "ratio":
        return f"Ratio of {label}"
    words = f"{label[:1].upper()}{label[1:]}{f' ({unit})' if unit else ''}"
    if "contrast" not in tidy:
        return words
    what = "Change" if tidy["contrast"].str.startswith("change").all() else "Difference"
    return f"{what} in {label}{f' ({unit})' if unit else ''}"


def _dress_values(ax: Axes, frame: pd.DataFrame, columns: tuple[str, str, str], words: str, *,
                  is_contrast: bool) -> None:  # fmt: skip
    """Ratios and geometric means have a logarithmic axis; differences show their 0."""
    values = frame[["y", "low", "high"]].to_numpy(float).ravel()
    values = values[np.isfinite(values)]
    ax.set_ylabel(words)
    if columns is not AS_ESTIMATED:
        values = np.append(values, 1.0) if is_contrast else values
        low, high = float(values.min()), float(values.max())
        ticks = thin_out(log_ticks(low, high, TICKS if high / low > WIDE else FINE_TICKS), 1.0)
        ax.set_yscale("log")
        ax.set_yticks(ticks, [plain(tick) for tick in ticks])
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_ylim(min(ticks[0], low), max(ticks[-1], high))
    else:
        values = np.append(values, 0.0) if is_contrast else values
        low, high = float(values.min()), float(values.max())
        pad = 0.08 * (high - low or 1.0)
        ax.set_ylim(low - pad, high + pad)
        ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    rule_across(ax)


def _dress_time(ax: Axes, frame: pd.DataFrame, tidy: pd.DataFrame, since: str) -> list[float]:
    """Dress the axis of time; return its ticks."""
    places = frame.drop_duplicates("x")
    x, words = places["x"].to_numpy(float), places["term"].tolist()
    low, high = float(x.min()), float(x.max())
    pad = 0.04 * (high - low) if high > low else 0.5
    ax.set_xlim(low - pad, high + pad)
    named = any(words)
    if named and _fit(ax, x, words):
        ax.set_xticks(x.tolist(), words)
        ax.set_xlabel(f"Visit, by time since {since}" if since and tidy.attrs.get("at_visits") else "")
        return [float(place) for place in x]
    unit, size = _unit(high, str(tidy.attrs.get("time_unit", "days")))
    ticks = [tick for tick in time_ticks(high / size * 1.001, unit) if tick * size >= low - pad]
    if len(ticks) < 3:
        ticks = [float(t) for t in MaxNLocator(6).tick_values(low / size, high / size) if low <= t * size <= high]
    ax.set_xticks([tick * size for tick in ticks], [plain(tick) for tick in ticks])
    ax.set_xlabel(f"{unit.capitalize()} since {since}" if since else unit.capitalize())
    return [float(place) for place in x] if len(x) <= CURVE else [tick * size for tick in ticks]


def _unit(end: float, given: str) -> tuple[str, float]:
    """Words of the axis, and what of the frame's time makes one of them."""
    if given != "days" or end <= SHORT_DAYS:
        return given, 1.0
    return ("years", DAYS_PER_YEAR) if end > LONG_DAYS else ("months", DAYS_PER_MONTH)


def _fit(ax: Axes, x: Numbers, words: list[str]) -> bool:
    """Do names under the axis keep apart."""
    low, high = ax.get_xlim()
    place = (x - low) / (high - low) * width_of(ax)
    half = np.array([measure(word, style_of(ax).small)[0] / 2 for word in words])
    return bool((np.diff(place) > half[1:] + half[:-1] + 3).all())


def _draw_group(ax: Axes, frame: pd.DataFrame, name: str, look: GroupStyle, place: int, of: int, *,
                curve: bool) -> LineLabel:  # fmt: skip
    style = style_of(ax)
    rows = frame[frame["strata"] == name]
    x, y, low, high = (rows[column].to_numpy(float) for column in ("x", "y", "low", "high"))
    if curve:
        ax.fill_between(x, low, high, color=look.colour, alpha=BAND, linewidth=0, zorder=2)
    else:
        ends = ax.get_xlim()
        x = x + (place - (of - 1) / 2) * DODGE * (ends[1] - ends[0])
        ax.vlines(x, low, high, color=look.colour, linewidth=0.8 * style.scale, zorder=3)
    ax.plot(
        x, y, color=look.colour, linestyle=look.line, linewidth=1.35 * look.weight * style.scale,
        marker="" if curve else look.marker, markersize=4.6 * style.scale, markeredgecolor="white",
        markeredgewidth=0.4, zorder=4,
    )  # fmt: skip
    return LineLabel(name, look.colour, x, y)


def _limits(frame: pd.DataFrame, names: list[str], labels: list[LineLabel], *,
            curve: bool) -> list[tuple[Numbers, Numbers]]:  # fmt: skip
    """Return the bars, which words keep away from; a band may lie behind them."""
    if curve:
        return []
    bars = []
    for label, name in zip(labels, names, strict=True):
        rows = frame[frame["strata"] == name]
        ends = rows[["low", "high"]].to_numpy(float)
        bars += [(np.array([x, x]), pair) for x, pair in zip(label.x, ends, strict=True) if np.isfinite(pair).all()]
    return bars


def _write_counts(ax: Axes, frame: pd.DataFrame, tidy: pd.DataFrame, styles: dict[str, GroupStyle],
                  ticks: list[float], *, marker: bool) -> float:  # fmt: skip
    """Write n at the ticks in each group's colour; return how far down it reaches, in points."""
    style = style_of(ax)
    down = 7 * style.scale + style.small * 1.2 + style.text * 1.3 + 5
    for name, look in styles.items():
        rows = frame[frame["strata"] == name]
        x = rows["x"].to_numpy(float)
        write_key(ax, name, look, LEFT * style.small, -down, marker=marker)
        y = -down - LEADING * style.small
        _write_left(ax, "n", y)
        last = -np.inf
        for tick in ticks:
            at = (tick - ax.get_xlim()[0]) / np.ptp(ax.get_xlim()) * width_of(ax)
            nearest = int(np.argmin(np.abs(x - tick)))
            if abs(x[nearest] - tick) > 0.02 * np.ptp(ax.get_xlim()) or at - last < 2.05 * style.small:
                continue
            last, count = at, rows["n"].iloc[nearest]
            ax.annotate(
                hidden_mark(tidy) if pd.isna(count) else f"{int(count)}", (tick, 0), (0, y),
                xycoords=ax.get_xaxis_transform(), textcoords="offset points", ha="center", va="top",
                color=ink(look.colour), annotation_clip=False, fontproperties=bundled_font(style.small),
            )  # fmt: skip
        down += 2 * LEADING * style.small + 2
    return down


def _write_left(ax: Axes, text: str, y: float) -> None:
    style = style_of(ax)
    ax.text(LEFT * style.small, y, text, transform=points_from(ax), va="top", color=DARK,
            fontproperties=bundled_font(style.small))  # fmt: skip
