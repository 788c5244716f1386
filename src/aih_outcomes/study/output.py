"""Where a figure or table is written, and what must be true of it before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from aih_outcomes.disclosure import disclosed_policy
from aih_outcomes.errors import DisclosureError
from aih_outcomes.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAVED = "saved.json"
DRAFT = "draft"


def write_shown(shown: Axes | Figure | Table, name: str, *, out: Path, policy: str, stamp: str = "") -> str:
    """Write a figure (PDF, SVG, PNG and its data) or a table (CSV and HTML) below ``out``; return which it is.

    ``stamp`` is printed on the figure itself, for whoever sees it without its caption.

    Raises
    ------
    DisclosureError : its numbers did not pass ``policy``
    """
    if isinstance(shown, Table):
        refuse_undisclosed(name, [shown.data], policy)
        folder = _open(out / "tables")
        _write(folder / f"{name}.html", shown.to_html())
        _write(folder / f"{name}.csv", shown.to_csv_text())
        return folder.name
    from aih_outcomes.figures import export_figure, figure_of, frames_of, stamp_figure

    figure = figure_of(shown)
    frames = frames_of(figure)
    refuse_undisclosed(name, frames, policy)
    folder = _open(out / "figures")
    if stamp:
        stamp_figure(figure, stamp)
    export_figure(figure, folder / name)
    for number, frame in enumerate(frames, start=1):
        part = "" if len(frames) == 1 else f"_{number}"
        frame.to_csv(folder / f"{name}{part}.csv", index=False, lineterminator="\n")
    return folder.name


def refuse_undisclosed(name: str, frames: Sequence[pd.DataFrame], policy: str) -> None:
    """Refuse frames that did not come from ``study.disclose``, and a figure that shows no frame.

    Raises
    ------
    DisclosureError
    """
    undisclosed = sum(disclosed_policy(frame) != policy for frame in frames)
    if undisclosed or not frames:
        raise DisclosureError(
            f"{undisclosed} of {len(frames)} frames behind {name!r} did not come from study.disclose(...)",
            f"What is written shows frames, all of which have passed the plan's small-number rule ({policy})",
            "Hand draw_… and tabulate_… what study.disclose(...) returns",
        )


def record(out: Path, entry: dict[str, Any]) -> None:
    """Add an entry to what was saved, in order; saving a name again replaces it."""
    path = out / SAVED
    entries = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    entries = [e for e in entries if (e["kind"], e["name"]) != (entry["kind"], entry["name"])] + [entry]
    _write(path, json.dumps(entries, ensure_ascii=False, indent=1))


def _open(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
