"""Words of an axis in as many lines as it has room for."""

from __future__ import annotations

from matplotlib.axes import Axes

from aih_outcomes.figures.canvas import figure_of, measure, style_of
from aih_outcomes.figures.style import POINTS_PER_INCH


def fold(text: str, size: float, room: float) -> str:
    """Break text at blanks into lines at most ``room`` points long; a longer word keeps a line to itself.

    Examples
    --------
    >>> fold("Months since the switch", 7, 50).splitlines()
    ['Months since', 'the switch']
    """
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and measure(longer, size)[0] <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def fold_upright(ax: Axes) -> None:
    """Fold the name of the vertical axis where it is longer than the axis; the layout is settled before and after."""
    room = ax.get_window_extent().height / figure_of(ax).dpi * POINTS_PER_INCH
    size = style_of(ax).text
    if max((measure(line, size)[0] for line in ax.get_ylabel().splitlines()), default=0.0) > room:
        ax.set_ylabel(fold(ax.get_ylabel(), size, room))
        figure_of(ax).draw_without_rendering()
