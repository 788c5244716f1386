"""Write figures: the same bytes on every run, whatever the clock, the environment or the user's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.text import Text

from aih_outcomes.figures.style import bundled_font

PNG_DPI = 300
POSITION_DECIMALS = 6
# Nothing that differs between runs or machines; SOURCE_DATE_EPOCH cannot put back what is None.
METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "png": {"Software": None},
}
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "aih-outcomes",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "text.usetex": False,
}


def export_figure(figure: Figure, stem: Path) -> tuple[Path, ...]:
    """Write ``stem``.pdf, .svg and .png (300 dpi) at the figure's own size; return their paths.

    The user's matplotlib settings do not reach the files, nor do time zone, locale or SOURCE_DATE_EPOCH.
    """
    defaults: dict[Any, Any] = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")}
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = []
    with matplotlib.rc_context({**defaults, **SETTINGS}):
        figure.draw_without_rendering()  # so that every tick has its text
        use_bundled_font(figure)
        freeze_layout(figure)
        for kind, metadata in METADATA.items():
            path = stem.with_name(f"{stem.name}.{kind}")
            figure.savefig(path, format=kind, dpi=PNG_DPI, metadata=metadata, bbox_inches=None)
            paths.append(path)
    return tuple(paths)


def freeze_layout(figure: Figure) -> None:
    """Fix the axes where the layout has put them, to a millionth of the figure.

    The solver of the constrained layout orders its variables by memory address: the last bits of a position differ
    between runs, and matplotlib names the clip paths of an SVG after them.
    """
    figure.set_layout_engine("none")
    for ax in figure.axes:
        left, bottom, width, height = (round(float(edge), POSITION_DECIMALS) for edge in ax.get_position().bounds)
        ax.set_position((left, bottom, width, height))


def use_bundled_font(figure: Figure) -> None:
    """Set every text of a figure in matplotlib's own DejaVu Sans, at its size and weight."""
    for text in figure.findobj(Text):
        if isinstance(text, Text):
            is_bold = text.get_fontweight() in ("bold", 700) or "Bold" in str(text.get_fontproperties().get_file())
            text.set_fontproperties(bundled_font(float(text.get_fontsize()), bold=is_bold))
