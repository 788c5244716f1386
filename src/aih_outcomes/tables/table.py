"""A table as it is shown, with the data it was made from."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd

from aih_outcomes.disclosure import explain_hidden
from aih_outcomes.errors import OutcomeError
from aih_outcomes.tables.numbers import align

# In the table itself, so that it looks the same in a report, a notebook and a letter.
LEFT, PLAIN, INDENT = "text-align: left", "font-weight: normal", "padding-left: 1.3em"
NUMBER = "font-variant-numeric: tabular-nums; white-space: nowrap"
NOTHING = "nothing to show"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Table:
    """A table: words in ``display``, numbers in ``data``.

    Attributes
    ----------
    caption : what it shows, one line
    display : (n_rows, n_columns) of text; the first column names the rows
    groups : (n_rows,) heading under which each row stands; empty for none
    data : the disclosed tidy frame
    footnotes : sentences under the table
    """

    caption: str
    display: pd.DataFrame
    groups: tuple[str, ...]
    data: pd.DataFrame
    footnotes: tuple[str, ...] = ()

    def to_html(self) -> str:
        """Return a ``<table>`` with caption, scopes for screen readers, and numbers aligned at their units."""
        head = "".join(f'<th scope="col" style="{LEFT}">{escape(str(name))}</th>' for name in self.display.columns)
        width = len(self.display.columns)
        foot = "".join(f'<tr><td colspan="{width}">{escape(note)}</td></tr>' for note in self.footnotes)
        return (
            f'<table class="aih-table">\n<caption>{escape(self.caption)}</caption>\n<thead><tr>{head}</tr></thead>\n'
            f"{self._body(width)}\n" + (f"<tfoot>{foot}</tfoot>\n" if foot else "") + "</table>\n"
        )

    def __repr__(self) -> str:
        """Return what is shown, never the numbers behind it: a notebook keeps it."""
        return f"{self.caption}\n{self.display.to_string(index=False)}"

    def _repr_html_(self) -> str:
        return self.to_html()

    def _body(self, width: int) -> str:
        if self.display.empty:
            return f'<tbody><tr><td colspan="{width}">{NOTHING}</td></tr></tbody>'
        padded = self.display.copy()
        for column in list(padded.columns)[1:]:
            padded[column] = align(padded[column].tolist())
        rows = list(zip(self.groups, padded.itertuples(index=False, name=None), strict=True))
        return "\n".join(
            f"<tbody>{_heading(group, width)}{''.join(_row(cells, bool(group)) for _, cells in members)}</tbody>"
            for group, members in itertools.groupby(rows, key=lambda row: row[0])
        )

    def to_csv_text(self) -> str:
        """Return the shown table as CSV: a column ``group``, then the columns of ``display``; lines end in LF."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["group", *self.display.columns])
        for group, row in zip(self.groups, self.display.itertuples(index=False, name=None), strict=True):
            writer.writerow([group, *row])
        return text.getvalue()


def _heading(group: str, width: int) -> str:
    return f'<tr><th scope="rowgroup" colspan="{width}" style="{LEFT}">{escape(group)}</th></tr>' if group else ""


def _row(cells: tuple[object, ...], is_under_heading: bool) -> str:
    """Return a row: its name is plain, and stands in from the heading of its group."""
    first, *others = (escape(str(cell)) for cell in cells)
    name = f"{LEFT}; {PLAIN}; {INDENT}" if is_under_heading else f"{LEFT}; {PLAIN}"
    return (
        f'<tr><th scope="row" style="{name}">{first}</th>'
        + "".join(f'<td style="{NUMBER}">{cell}</td>' for cell in others)
        + "</tr>"
    )


def make_table(
    caption: str,
    header: Sequence[str],
    rows: Sequence[tuple[str, Sequence[str]]],
    data: pd.DataFrame,
    notes: Sequence[str],
) -> Table:
    """Return a table from rows of (group, cells); what hidden counts are is added to the notes."""
    display = pd.DataFrame([list(cells) for _, cells in rows], columns=list(header), dtype=object)
    footnotes = [note for note in (*notes, explain_hidden(data)) if note]
    return Table(caption, display, tuple(group for group, _ in rows), data, tuple(footnotes))


def require(frame: pd.DataFrame, columns: Sequence[str], noun: str) -> None:
    """Refuse a frame that lacks a column.

    Raises
    ------
    OutcomeError : a column is missing
    """
    missing = [column for column in columns if column not in frame]
    if missing:
        raise OutcomeError(
            f"{len(missing)} column(s) are missing for {noun}: {', '.join(missing)}",
            f"{noun} needs {', '.join(columns)}",
            "Pass the tidy frame of the result",
        )
