"""How figures look: sizes per journal, one theme, one colour per meaning."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import matplotlib
from matplotlib.colors import to_hex, to_rgb
from matplotlib.font_manager import FontProperties

from aih_outcomes.errors import PlanError

LineStyle = Literal["-"] | tuple[float, tuple[float, ...]]
Width = Literal["single", "one_and_half", "double"]

MM_PER_INCH = 25.4
POINTS_PER_INCH = 72.0

BLACK = "#000000"
DARK = "#333333"  # text that is not data
GRID = "#D9D9D9"
GREY = "#8C8C8C"
BAND_ALPHA = 0.15
FLOW_ALPHA = 0.45
AXIS_LINE = 0.6
GRID_LINE = 0.4
DATA_LINE = 1.15
READABLE = 4.5  # contrast of text to its ground, WCAG 2.1 AA
EQUAL_CONTRAST = 0.3  # luminance above which dark words stand out better than white ones, with a bias to white


@dataclass(frozen=True, slots=True)
class JournalStyle:
    """Sizes of one journal.

    Attributes
    ----------
    name : as in ``journals.toml``
    width : final widths in mm by name
    highest : greatest height, mm
    text, small, panel : text sizes in points at final width: axes; numbers and notes; panel letters
    scale : factor of line widths and markers; 1 on paper
    """

    name: str
    width: Mapping[str, float]
    highest: float
    text: float
    small: float
    panel: float
    scale: float


@dataclass(frozen=True, slots=True)
class GroupStyle:
    """How one group is drawn, wherever it appears: colour, line and marker, and the outline of its areas."""

    colour: str
    line: LineStyle
    marker: str
    weight: float = DATA_LINE
    edge: str = "white"


# Okabe-Ito and, for the in-between states, darker neighbours; told apart in grey by line and marker.
GROUP_STYLES: Mapping[str, GroupStyle] = MappingProxyType(
    {
        "Responder": GroupStyle("#0072B2", "-", "o"),
        "≥ 50 % fall": GroupStyle("#332288", (0, (9, 1.5)), "p"),
        "Not yet in response": GroupStyle("#E69F00", (0, (6, 1.5, 1, 1.5)), "X"),
        "Insufficient response": GroupStyle("#A34700", (0, (3, 1.2)), "P"),
        "Non-response": GroupStyle("#D55E00", (0, (5, 2)), "s"),
        "Responder on second line": GroupStyle("#CC79A7", (0, (1, 1.2)), "v"),
        "Targeted therapy": GroupStyle("#009E73", "-", "^", 1.9),
        "Empirical advanced therapy": GroupStyle("#56B4E9", (0, (6, 1.5, 1, 1.5, 1, 1.5)), "D"),
        "Not evaluable": GroupStyle(GREY, (0, (2, 2)), "d"),
        "Undetermined": GroupStyle("#B3B3B3", (0, (1, 2.5)), "h"),
        "All patients": GroupStyle(BLACK, "-", "o", 1.0),
        "Start of treatment": GroupStyle("#CFCFCF", "-", "8"),
        "Transplant or death": GroupStyle("#1A1A1A", (0, (4, 1, 1, 1)), "*"),
        "Steroid-free response": GroupStyle("#00466E", (0, (8, 1.5)), "H"),
        "Loss of response": GroupStyle("#F0B95A", (0, (4, 1.2)), ">"),
        "Advanced therapy": GroupStyle("#66C2A5", (0, (7, 1.5, 1, 1.5)), "."),
        "Transplant": GroupStyle("#882255", (0, (5, 1, 1, 1, 1, 1)), "x"),
        "Death": GroupStyle("#222222", (0, (2, 1)), "+"),
        "No longer followed": GroupStyle("#DDDDDD", (0, (1, 3.5)), "<", edge=DARK),
    }
)
# What the words also begin with in the project's frames.
SYNONYMS: Mapping[str, str] = MappingProxyType(
    {
        "Steroid responder": "Responder",
        "Response": "Responder",
        "Induction": "Start of treatment",
        "Non-responder": "Non-response",
        "Complete biochemical response": "Responder",
        "Liver transplant": "Transplant",
    }
)
UNKNOWN_STYLES = (
    GroupStyle("#E69F00", "-", "o"),
    GroupStyle("#CC79A7", (0, (5, 2)), "s"),
    GroupStyle("#56B4E9", (0, (6, 1.5, 1, 1.5)), "^"),
    GroupStyle(BLACK, (0, (1, 1.2)), "D"),
    GroupStyle("#7A7A00", (0, (9, 1.5)), "v"),
)


@cache
def journal_style(name: str) -> JournalStyle:
    """Return the sizes of a journal in ``journals.toml``.

    Raises
    ------
    PlanError : the journal is not there
    """
    text = files("aih_outcomes.figures").joinpath("journals.toml").read_text(encoding="utf-8")
    journals: dict[str, Any] = tomllib.loads(text)
    if name not in journals:
        raise PlanError(
            f"1 journal style, {name!r}, is not known", f"Styles are {', '.join(journals)}", "Choose one in the plan"
        )
    return JournalStyle(name=name, **journals[name])


def known_style(label: str) -> GroupStyle | None:
    """Return the style of the longest known name with which ``label`` begins; None where there is none."""
    names = {**{name: name for name in GROUP_STYLES}, **SYNONYMS}
    begins = [name for name in names if label.casefold().startswith(name.casefold())]
    return GROUP_STYLES[names[max(begins, key=len)]] if begins else None


def styles_of(labels: Iterable[str]) -> dict[str, GroupStyle]:
    """Return a style for each label: by its meaning, else from the colours that are left, in their order.

    Examples
    --------
    >>> styles = styles_of(["Responder (CBR by 6 months)", "Type 2"])
    >>> [style.colour for style in styles.values()]
    ['#0072B2', '#E69F00']
    """
    listed = list(dict.fromkeys(labels))
    known = {label: known_style(label) for label in listed}
    taken = {style.colour for style in known.values() if style is not None}
    left = [style for style in UNKNOWN_STYLES if style.colour not in taken] or list(UNKNOWN_STYLES)
    rank = iter(range(len(listed)))
    styles: dict[str, GroupStyle] = {}
    for label, style in known.items():
        if style is None:
            place = next(rank)
            style = replace(left[place % len(left)], weight=DATA_LINE + 0.5 * (place // len(left)))
        styles[label] = style
    return styles


@cache
def ink(colour: str) -> str:
    """Return ``colour`` as dark as text needs to be read on white (contrast 4.5 to 1), in the same hue.

    Examples
    --------
    >>> ink("#0072B2"), ink("#56B4E9")
    ('#0072b2', '#3b7ca1')
    """
    red, green, blue = to_rgb(colour)
    for percent in range(100, 0, -1):
        shade = (red * percent / 100, green * percent / 100, blue * percent / 100)
        if (1 + 0.05) / (luminance(shade) + 0.05) >= READABLE:
            return to_hex(shade)
    return BLACK


def luminance(colour: str | tuple[float, float, float]) -> float:
    """Return the relative luminance of a colour, 0 black to 1 white (WCAG 2.1)."""
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def is_light(colour: str) -> bool:
    """Say whether dark words on ``colour`` are easier to read than white ones.

    Examples
    --------
    >>> is_light("#E69F00"), is_light("#0072B2")
    (True, False)
    """
    return luminance(colour) > EQUAL_CONTRAST


def mix_with_white(colour: str, share: float) -> str:
    """Return the opaque colour that ``colour`` with this share of ink has on white.

    Examples
    --------
    >>> mix_with_white("#000000", 0.25)
    '#bfbfbf'
    """
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))


@cache
def font_file(bold: bool = False) -> str:
    """Return the path of matplotlib's own DejaVu Sans: another copy on the machine may differ."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name)


def bundled_font(size: float, *, bold: bool = False) -> FontProperties:
    """Return the bundled font by its path, at ``size`` points."""
    return FontProperties(fname=font_file(bold), size=size)
