"""Draw estimates of several analyses under each other, grouped by design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from aih_outcomes.disclosure import explain_hidden, hidden_mark
from aih_outcomes.figures.canvas import (
    figure_of,
    give_back,
    measure,
    open_axes,
    remember_frame,
    say_nothing,
    style_of,
    wrap_to,
)
from aih_outcomes.figures.scales import RATIO_TICKS, plain, thin_out
from aih_outcomes.figures.style import (
    BLACK,
    DARK,
    DATA_LINE,
    GREY,
    GRID_LINE,
    MM_PER_INCH,
    POINTS_PER_INCH,
    bundled_font,
)

Numbers = NDArray[np.float64]
NOT_ESTIMABLE = "not estimable"
LOWEST, HIGHEST = 0.05, 20.0  # beyond these an interval ends in an arrow
USUAL = (0.25, 4.0)
AROUND = 1.06  # the axis goes a little beyond its first and last tick or interval
Z95 = 1.959963984540054
SQUARE = (2.6, 6.5)  # side of the squares with least and most information, points
ROW_MM, FOOT_MM = 5.2, 16.0
LEAST_ROOM = 110.0  # points for the intervals, before the reference is counted too
HEADING_LINE = 0.75  # of a row, for each further line of a heading
ABOVE, BELOW = 1.6, 0.7  # rows above the first heading and below the last row


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the figure: a heading, or a row of the frame."""

    y: float
    heading: str
    row: int
    is_biased: bool


def draw_forest(
    tidy: pd.DataFrame, *, ax: Axes | None = None, x_label: str = "Hazard ratio (95 % CI), log scale"
) -> Axes:
    """Draw a square (by information) and an interval per row, with n, events and the estimate in words.

    Axes that are alone in their figure give back the height that the rows do not need.

    Parameters
    ----------
    tidy : ``label, design, term, n, n_event, estimate`` (hazard ratio), ``conf_low, conf_high, biased`` (bool); rows
        are grouped by ``design``, in order of appearance; an estimate that is missing is printed as not estimable; of
        several measures (``measure``) the hazard ratios are drawn; with ``n_reference, n_event_reference`` both sides
        of a contrast are counted, and without ``n_event`` no events
    ax : axes of final size; default a figure of two columns; on narrow paper the reference is not counted
    x_label : words under the axis
    """
    if "measure" in tidy:
        tidy = tidy[tidy["measure"] == "hazard_ratio"].reset_index(drop=True)
    rows = len(tidy) + 2 * (tidy["design"].nunique() if len(tidy) else 0)
    ax = open_axes(ax, width="double", height_mm=min(FOOT_MM + ROW_MM * max(rows + 1, 4), 220))
    lines = _lines(tidy, figure_of(ax).get_figwidth() * POINTS_PER_INCH, style_of(ax).small)
    remember_frame(ax, tidy)
    if tidy.empty:
        return say_nothing(ax, "nothing to show")
    limits = _dress_axis(ax, tidy, lines, x_label)
    sizes = _sides(tidy) * style_of(ax).scale
    for line in lines:
        if line.row >= 0:
            _draw_row(ax, tidy.iloc[line.row], line, float(sizes[line.row]), limits)
    start = _write_columns(ax, tidy, lines)
    ax.annotate(
        explain_hidden(tidy),
        (0, 0),
        (start, -4.1 * style_of(ax).text),
        xycoords="axes fraction",
        va="top",
        textcoords="offset points",
        color=DARK,
        annotation_clip=False,
        fontproperties=bundled_font(style_of(ax).small),
    )
    give_back(ax, (ABOVE - lines[-1].y + BELOW) * ROW_MM / MM_PER_INCH * POINTS_PER_INCH * style_of(ax).small / 7)
    return ax


def _lines(tidy: pd.DataFrame, paper: float, size: float) -> list[_Line]:
    """Return headings and rows from top to bottom; a heading wider than the paper (points) takes several lines."""
    lines: list[_Line] = []
    y = 0.0
    designs = tidy["design"].astype("string").fillna("design not named") if len(tidy) else pd.Series(dtype="string")
    for design in designs.unique():
        rows = np.flatnonzero((designs == design).to_numpy(bool))
        biased = [bool(tidy["biased"].iloc[row]) if "biased" in tidy else False for row in rows]
        name = str(design)
        heading = name[:1].upper() + name[1:] + (" – biased" if all(biased) and "biased" not in name else "")
        heading = wrap_to(heading, 0.97 * paper - 2 * size, size, bold=True)
        more = heading.count("\n") * HEADING_LINE
        lines.append(_Line(y - more / 2, heading, -1, all(biased)))
        y -= more
        for row, is_biased in zip(rows, biased, strict=True):
            y -= 1
            lines.append(_Line(y, "", int(row), is_biased))
        y -= 1.3
    return lines


def _dress_axis(ax: Axes, tidy: pd.DataFrame, lines: list[_Line], x_label: str) -> tuple[float, float]:
    """Dress the axis and draw its reference line and what is hatched; return its ends."""
    style = style_of(ax)
    ends = np.concatenate([tidy[c].astype(float).to_numpy() for c in ("estimate", "conf_low", "conf_high")])
    ends = np.clip(ends[np.isfinite(ends) & (ends > 0)], LOWEST, HIGHEST)
    limits = (min([USUAL[0], *ends]) / AROUND, max([USUAL[1], *ends]) * AROUND)
    ax.set_xscale("log")
    ax.set(xlim=limits, ylim=(lines[-1].y - BELOW, ABOVE), yticks=[], xlabel=x_label)
    labelled = thin_out([tick for tick in RATIO_TICKS if limits[0] <= tick <= limits[1]], 1.0)
    ax.set_xticks(labelled, [plain(tick) for tick in labelled])
    ax.set_xticks([], minor=True)
    ax.spines["left"].set_visible(False)
    ax.plot(
        [1, 1],
        [lines[-1].y - BELOW, lines[1].y + 0.6],
        color=BLACK,
        linewidth=0.7 * style.scale,
        linestyle=(0, (4, 2)),
        zorder=1,
    )
    for line in lines:
        if line.is_biased and line.row >= 0:
            ax.axhspan(
                line.y - 0.5,
                line.y + 0.5,
                facecolor="none",
                edgecolor="#C9C9C9",
                hatch="/////",
                linewidth=0,
                zorder=0,
                hatch_linewidth=GRID_LINE,
            )
    return limits


def _sides(tidy: pd.DataFrame) -> Numbers:
    """(n_rows,) side of each square, points: its area grows with 1 / variance of the log ratio."""
    low, high = (tidy[c].astype(float).to_numpy() for c in ("conf_low", "conf_high"))
    with np.errstate(divide="ignore", invalid="ignore"):
        information = (2 * Z95 / np.log(high / low)) ** 2
    known = information[np.isfinite(information)]
    share = np.sqrt(information / known.max()) if len(known) else np.zeros(len(tidy))
    return np.asarray(np.nan_to_num(SQUARE[0] + (SQUARE[1] - SQUARE[0]) * share, nan=SQUARE[0]), float)


def _draw_row(ax: Axes, row: pd.Series, line: _Line, side: float, limits: tuple[float, float]) -> None:
    scale = style_of(ax).scale
    estimate, low, high = (float(row[c]) if pd.notna(row[c]) else np.nan for c in ("estimate", "conf_low", "conf_high"))
    if not np.isfinite(estimate):
        return
    colour = GREY if line.is_biased else BLACK
    if np.isfinite(low) and np.isfinite(high):
        shown = np.clip([low, high], *limits)
        ax.plot(shown, [line.y, line.y], color=colour, linewidth=DATA_LINE * scale, solid_capstyle="butt", zorder=3)
        for value, end, marker in ((low, limits[0], "<"), (high, limits[1], ">")):
            if (value < end) if marker == "<" else (value > end):
                ax.plot(end, line.y, marker=marker, markersize=4 * scale, color=colour, clip_on=False, zorder=4)
    if limits[0] <= estimate <= limits[1]:
        ax.plot(
            estimate,
            line.y,
            marker="s",
            markersize=side,
            zorder=4,
            markeredgewidth=0.8 * scale,
            markeredgecolor=colour,
            markerfacecolor="white" if line.is_biased else colour,
        )


def _write_columns(ax: Axes, tidy: pd.DataFrame, lines: list[_Line]) -> float:
    """Write labels, n and events left of the axes and the estimate right of it, by measured widths.

    Returns where the labels begin, in points from the axes.
    """
    size = style_of(ax).small
    gap = 1.3 * size
    rows = {line.row: line for line in lines if line.row >= 0}
    names = {r: _name_of(tidy.iloc[r]) for r in rows}
    words = {r: in_words(tidy.iloc[r]) + (" biased" if rows[r].is_biased else "") for r in rows}
    counts = _fitting_counts(ax, tidy, list(names.values()), list(words.values()), gap)
    wide = {
        c: max(measure(text, size)[0] for text in [*texts.values(), head])
        for c, texts, head in (("n", counts["n"], "n"), ("n_event", counts["n_event"], "Events"))
    }
    label_width = max([measure(t, size)[0] for t in names.values()])
    counted = "n_event" in tidy  # changes of a quantity have no events
    end_event, end_n = -gap, -2 * gap - wide["n_event"] if counted else -gap
    start = end_n - wide["n"] - gap - label_width
    for x, head in ((end_n, "n"), *([(end_event, "Events")] if counted else [])):
        _write(ax, 0, x, 1.0, head, "right", bold=True)
    _write(ax, 1, gap, 1.0, "Ratio (95 % CI)", "left", bold=True)
    for line in lines:
        if line.row < 0:
            _write(ax, 0, start, line.y, line.heading, "left", bold=True)
            continue
        _write(ax, 0, start, line.y, names[line.row], "left")
        _write(ax, 0, end_n, line.y, counts["n"][line.row], "right")
        _write(ax, 0, end_event, line.y, counts["n_event"][line.row], "right")
        _write(ax, 1, gap, line.y, words[line.row], "left")
    return start


def _fitting_counts(
    ax: Axes, tidy: pd.DataFrame, names: list[str], words: list[str], gap: float
) -> dict[str, dict[int, str]]:
    """Return n and events of each row in words: of both sides where the paper is wide enough, else of the first."""
    size, mark = style_of(ax).small, hidden_mark(tidy)
    room = figure_of(ax).get_figwidth() * POINTS_PER_INCH - LEAST_ROOM - 5 * gap
    both, first = (
        {c: {r: _counted(tidy.iloc[r], c, mark, is_both) for r in range(len(tidy))} for c in ("n", "n_event")}
        for is_both in (True, False)
    )
    columns = (names, words, both["n"].values(), both["n_event"].values())
    return both if sum(max(measure(text, size)[0] for text in column) for column in columns) <= room else first


def _counted(row: pd.Series, column: str, mark: str, is_both: bool) -> str:
    """Write ``110``, or ``110 vs 125`` where the reference is counted too; a reference of nobody is none."""
    against = row.get("n_reference")
    nobody = against is not None and not pd.isna(against) and against == 0
    columns = (column, f"{column}_reference") if is_both and not nobody else (column,)
    counts = [row[c] for c in columns if c in row.index]
    return " vs ".join(mark if pd.isna(count) else str(int(count)) for count in counts)


def _name_of(row: pd.Series) -> str:
    term = row.get("term")
    return str(row["label"]) if term is None or pd.isna(term) else str(term)


def in_words(row: pd.Series) -> str:
    """Write ``0.42 (0.21–0.84)``, or that it is not estimable."""
    if pd.isna(row["estimate"]):
        return NOT_ESTIMABLE
    if pd.isna(row["conf_low"]) or pd.isna(row["conf_high"]):
        return f"{row['estimate']:.2f}"
    return f"{row['estimate']:.2f} ({row['conf_low']:.2f}–{row['conf_high']:.2f})"


def _write(ax: Axes, side: int, x: float, y: float, text: str, align: str, *, bold: bool = False) -> None:
    ax.annotate(
        text,
        (side, y),
        (x, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha=align,
        va="center",
        color=DARK,
        annotation_clip=False,
        fontproperties=bundled_font(style_of(ax).small, bold=bold),
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8} if bold else None,
    )
