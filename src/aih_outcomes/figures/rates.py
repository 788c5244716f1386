"""Draw response rates: what is known, and what the patients who are not evaluable leave open."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from aih_outcomes.disclosure import explain_hidden, hidden_mark
from aih_outcomes.figures.canvas import give_back, measure, open_axes, remember_frame, say_nothing, settle, style_of
from aih_outcomes.figures.placement import points_from
from aih_outcomes.figures.risk_table import LEADING
from aih_outcomes.figures.style import BLACK, DARK, GRID, GRID_LINE, MM_PER_INCH, POINTS_PER_INCH, bundled_font

ROW_MM, AROUND_MM = 6.0, 34.0
BOUNDS_WIDTH = 6.0  # points: a broad grey bar, so that the interval stands on it
BOUNDS = "#C9C9C9"
SQUARE, DIAMOND = 4.2, 4.6  # points
COLUMNS = {"Met/evaluable": ("n_met", "n_not_met"), "Not evaluable": ("n_not_evaluable",)}
KEY = {
    "bounds": "if none to all not evaluable had met",
    "estimate": "observed (95 % CI)",
    "corrected": "corrected for missing results",
}
X_LABEL = "Criteria met (% of evaluable)"


def draw_rates(tidy: pd.DataFrame, *, ax: Axes | None = None, x_label: str = X_LABEL) -> Axes:
    """Draw one row per endpoint: the share with its interval, on the bounds, with its denominator beside it.

    Parameters
    ----------
    tidy : ``label, estimate, conf_low, conf_high, bound_low, bound_high`` as shares from 0 to 1; optional ``corrected``
        (a diamond) and ``n_met, n_not_met, n_not_evaluable`` (columns on the right)
    ax : axes of final size, alone in their figure they give back the height they do not need; default a figure of one
        and a half columns, as high as its rows
    x_label : words under the axis
    """
    ax = open_axes(ax, width="one_and_half", height_mm=min(AROUND_MM + ROW_MM * max(len(tidy), 1), 225))
    remember_frame(ax, tidy)
    shown = tidy[tidy["estimate"].notna()].reset_index(drop=True)
    if shown.empty:
        return say_nothing(ax)
    _draw_rows(ax, shown)
    size = style_of(ax).small
    ax.set_yticks([-place for place in shown.index], shown["label"].astype(str), fontproperties=bundled_font(size))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set(xlim=(0, 100), xticks=[0, 25, 50, 75, 100], ylim=(0.6 - len(shown), 0.6), xlabel=x_label)
    ax.grid(axis="x", color=GRID, linewidth=GRID_LINE * style_of(ax).scale)
    _write_counts(ax, shown, hidden_mark(tidy))
    _write_key(ax, has_corrected=_has(shown, "corrected"))
    words = explain_hidden(tidy)
    down = 7 * style_of(ax).scale + size * 1.2 + style_of(ax).text * 1.3 + 5
    ax.text(0, -down, words, transform=points_from(ax), va="top", color=DARK, fontproperties=bundled_font(size))
    settle(ax)
    give_back(ax, (len(shown) + 0.2) * ROW_MM / MM_PER_INCH * POINTS_PER_INCH * size / 7)
    return ax


def _has(shown: pd.DataFrame, column: str) -> bool:
    return column in shown and bool(shown[column].notna().any())


def _draw_rows(ax: Axes, shown: pd.DataFrame) -> None:
    scale = style_of(ax).scale
    place = [-row for row in shown.index]
    for columns, colour, width in (
        (("bound_low", "bound_high"), BOUNDS, BOUNDS_WIDTH * scale),
        (("conf_low", "conf_high"), BLACK, 1.1 * scale),
    ):
        low, high = (100 * shown[column].astype(float) for column in columns)
        ax.hlines(place, low, high, color=colour, linewidth=width, zorder=2)
    estimate = 100 * shown["estimate"].astype(float)
    ax.plot(estimate, place, linestyle="none", marker="s", color=BLACK, markersize=SQUARE * scale, zorder=4)
    if _has(shown, "corrected"):
        corrected = 100 * shown["corrected"].astype(float)
        ax.plot(corrected, place, **_diamond(scale), zorder=3, clip_on=False)


def _diamond(scale: float) -> dict[str, Any]:
    return {"linestyle": "none", "marker": "D", "markersize": DIAMOND * scale, "markerfacecolor": "white",
            "markeredgecolor": BLACK, "markeredgewidth": 0.8 * scale}  # fmt: skip


def _write_counts(ax: Axes, shown: pd.DataFrame, mark: str) -> None:
    """Write the counts behind each share right of the axes, under their names."""
    size = style_of(ax).small
    end = 0.6 * size
    for head, columns in COLUMNS.items():
        if not set(columns) <= set(shown.columns):
            continue
        end += size + measure(head, size, bold=True)[0]
        texts = {float(-row): _counted(shown.loc[row], columns, mark) for row in shown.index}
        for y, text in {0.6 + 0.25: head, **texts}.items():
            ax.annotate(
                text,
                (1, y),
                (end, 0),
                xycoords=ax.get_yaxis_transform(),
                textcoords="offset points",
                ha="right",
                va="center",
                color=DARK,
                annotation_clip=False,
                fontproperties=bundled_font(size, bold=text == head),
            )


def _counted(row: pd.Series, columns: tuple[str, ...], mark: str) -> str:
    """Write ``110/240``: met of met and not met; one count where there is one column."""
    numbers: list[int | None] = [None if pd.isna(row[column]) else int(row[column]) for column in columns]
    whole = None if None in numbers else sum(number or 0 for number in numbers)
    shown = numbers[:1] + ([whole] if len(columns) > 1 else [])
    return "/".join(mark if number is None else f"{number}" for number in shown)


def _write_key(ax: Axes, *, has_corrected: bool) -> None:
    """Explain bar, line and diamond above the axes, one under the other."""
    style = style_of(ax)
    size = style.small
    looks: dict[str, dict[str, Any]] = {
        "corrected": _diamond(style.scale),
        "estimate": {"color": BLACK, "linewidth": 1.1 * style.scale, "marker": "s", "markersize": SQUARE * style.scale},
        "bounds": {"color": BOUNDS, "linewidth": BOUNDS_WIDTH * style.scale, "solid_capstyle": "butt"},
    }
    there, y = points_from(ax, (0, 1)), 2.4 * size
    for name, look in looks.items():
        if name == "corrected" and not has_corrected:
            continue
        line = Line2D([0, 1.3 * size, 2.6 * size], [y] * 3, transform=there, markevery=[1], clip_on=False)
        line.set(**look)
        ax.add_line(line)
        font = bundled_font(size)
        ax.text(3.2 * size, y, KEY[name], transform=there, va="center", color=DARK, fontproperties=font)
        y += LEADING * size
