"""Figures of the right size, axes in the project's dress, and which frames a figure shows."""

from __future__ import annotations

from functools import cache
from weakref import WeakKeyDictionary

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from aih_outcomes.errors import PlanError
from aih_outcomes.figures.style import (
    AXIS_LINE,
    DARK,
    GREY,
    GRID,
    GRID_LINE,
    MM_PER_INCH,
    POINTS_PER_INCH,
    JournalStyle,
    Width,
    bundled_font,
    journal_style,
)

FIRST_SHARE, SETTLED_SHARE = 0.775, 0.8  # of the figure's width: axes before and after the layout is settled
SPACE = 0.03  # inches around each axes
NOTHING = "nothing to show: fewer than 10 patients"

_FRAMES: WeakKeyDictionary[Figure, list[pd.DataFrame]] = WeakKeyDictionary()
_STYLES: WeakKeyDictionary[Figure, JournalStyle] = WeakKeyDictionary()


def open_figure(*, journal: str = "jhep", width: Width = "single", height_mm: float = 80.0) -> Figure:
    """Return an empty figure of final size; what is drawn in it is never scaled afterwards.

    Parameters
    ----------
    journal : a style in ``journals.toml``
    width : one of the journal's column widths
    height_mm : height in mm

    Raises
    ------
    PlanError : the journal or width is not known, or the height is more than a page

    Examples
    --------
    >>> figure = open_figure(journal="jhep", width="single", height_mm=60)
    >>> [round(float(side) * 25.4) for side in figure.get_size_inches()]
    [90, 60]
    """
    style = journal_style(journal)
    if width not in style.width or not 0 < height_mm <= style.highest:
        raise PlanError(
            f"A figure of width {width!r} and height {height_mm:g} mm does not fit {journal!r}",
            f"Widths are {', '.join(style.width)}; the height is at most {style.highest:g} mm",
            "Choose another width or height",
        )
    size = (style.width[width] / MM_PER_INCH, height_mm / MM_PER_INCH)
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(w_pad=SPACE, h_pad=SPACE)  # type: ignore[call-arg]  # arguments of the constrained layout
    _STYLES[figure] = style
    return figure


def style_of(ax: Axes | Figure) -> JournalStyle:
    """Return the style a figure was opened with; the first journal's where it was opened elsewhere."""
    return _STYLES.get(figure_of(ax), journal_style("jhep"))


def open_axes(ax: Axes | None, *, width: Width, height_mm: float) -> Axes:
    """Return ``ax`` dressed, or new axes in a figure of their own."""
    if ax is None:
        ax = open_figure(width=width, height_mm=height_mm).add_subplot()
    dress(ax)
    return ax


def dress(ax: Axes) -> None:
    """Give axes their lines, ticks and text sizes: no top and right spine, ticks outside."""
    style = style_of(ax)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_linewidth(AXIS_LINE * style.scale)
        spine.set_color(DARK)
    ax.tick_params(
        direction="out",
        width=AXIS_LINE * style.scale,
        length=2.5 * style.scale,
        pad=2 * style.scale,
        labelsize=style.small,
        color=DARK,
        labelcolor=DARK,
    )
    ax.tick_params(which="minor", length=1.5 * style.scale, width=GRID_LINE * style.scale)
    ax.set_axisbelow(True)
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_fontproperties(bundled_font(style.text))
        axis.label.set_color(DARK)
        axis.labelpad = 2.5 * style.scale


def rule_across(ax: Axes) -> None:
    """Draw the faint horizontal grid of axes whose values are read off."""
    ax.grid(axis="y", color=GRID, linewidth=GRID_LINE * style_of(ax).scale)


def say_nothing(ax: Axes, reason: str = NOTHING) -> Axes:
    """Say in empty axes why they are empty."""
    style = style_of(ax)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set(xticks=[], yticks=[])
    ax.text(
        0.5,
        0.5,
        reason,
        transform=ax.transAxes,
        ha="center",
        va="center",
        color=GREY,
        wrap=True,
        fontproperties=bundled_font(style.text),
    )
    return ax


def say_left_out(frame: pd.DataFrame) -> str:
    """Name the groups that the small-number rule left out of ``frame``; empty where there are none."""
    names = [str(name) for name in frame.attrs.get("suppressed", ())]
    return f"Not shown (fewer than 10 patients): {', '.join(names)}" if names else ""


def wrap_to(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """Break ``text`` into lines of at most ``width`` points at ``size``, measured in the bundled font."""
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and measure(longer, size, bold=bold)[0] <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def settle(ax: Axes) -> None:
    """Lay the figure out, so that places on the page can be asked for."""
    figure_of(ax).draw_without_rendering()


def give_back(ax: Axes, wanted: float) -> None:
    """Make a figure with one panel only lower, so that the panel is ``wanted`` points high: no empty paper below.

    Beside other panels, or where the panel is not higher than that, nothing changes.
    """
    figure = figure_of(ax)
    settle(ax)
    spare = ax.get_window_extent().height / figure.dpi * POINTS_PER_INCH - wanted
    if spare > 0 and len(figure.axes) == 1:
        width, height = (float(side) for side in figure.get_size_inches())
        figure.set_size_inches(width, height - spare / POINTS_PER_INCH)
        settle(ax)


def width_of(ax: Axes) -> float:
    """Return about how wide axes will be, in points: a layout is settled only when everything is drawn."""
    share = ax.get_position().width / FIRST_SHARE
    return float(SETTLED_SHARE * share * figure_of(ax).get_size_inches()[0] * POINTS_PER_INCH)


@cache
def measure(text: str, size: float, *, bold: bool = False) -> tuple[float, float]:
    """Return width and height of ``text`` in points."""
    figure = Figure(figsize=(1, 1), dpi=72)
    FigureCanvasAgg(figure)
    box = Text(0, 0, text, fontproperties=bundled_font(size, bold=bold), figure=figure).get_window_extent()
    return float(box.width), float(box.height)


def stamp_figure(figure: Figure, words: str) -> None:
    """Write ``words`` along the lower edge of a figure, below everything else."""
    style = style_of(figure)
    height = 1.6 * style.small / POINTS_PER_INCH / float(figure.get_size_inches()[1])
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0.0, height, 1.0, 1.0 - height))  # type: ignore[call-arg]  # an argument of the constrained layout
    figure.text(
        0.99, 0.15 * height, words, ha="right", va="bottom", color=DARK, fontproperties=bundled_font(style.small)
    )


def remember_frame(ax: Axes, frame: pd.DataFrame) -> None:
    """Note that the figure of ``ax`` shows ``frame``, so that saving can ask whether it may be written."""
    _FRAMES.setdefault(figure_of(ax), []).append(frame)


def frames_of(figure: Figure) -> tuple[pd.DataFrame, ...]:
    """Return the frames that a figure shows, in the order of drawing."""
    return tuple(_FRAMES.get(figure, ()))


def figure_of(ax: Axes | Figure) -> Figure:
    """Return the figure that axes belong to, or the figure itself."""
    figure = ax if isinstance(ax, Figure) else ax.get_figure(root=True)
    if figure is None:
        raise ValueError("axes without a figure cannot be drawn on")
    return figure
