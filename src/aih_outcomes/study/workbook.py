"""Excel workbooks with the same bytes for the same content."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from aih_outcomes.endpoints.patients.analysis_set import as_objects
from aih_outcomes.errors import PlanError

CREATED = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)  # the earliest day of a zip archive: no clock is read
DATE_FORMAT = "yyyy-mm-dd"
NARROWEST, WIDEST = 8, 60  # width of a column, in characters
LONGEST_SHEET_NAME = 31
_FORBIDDEN = str.maketrans(dict.fromkeys("[]:*?/\\", "_"))
# Text stays text: a cell that begins with = is no formula, one that looks like a number or a link stays as it is.
_OPTIONS = {"strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """One sheet: a frame below its header. Dates are written as dates, missing values as empty cells.

    Attributes
    ----------
    blank : columns to be filled in by hand, shown in another colour
    wrap : break long lines, for a sheet of sentences
    """

    name: str
    frame: pd.DataFrame
    blank: tuple[str, ...] = ()
    wrap: bool = False


def make_room(path: Path) -> Path:
    """Make the folder of a file that is to be written, and return its path.

    Raises
    ------
    PlanError : the folder cannot be made, or the path is that of a folder or of a file that cannot be replaced
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.open("ab").close()
    except OSError as error:
        raise PlanError(
            f"'{path.name}' cannot be written into '{path.parent.name}' ({error.strerror})",
            "A file is written into a folder; it takes the place of one of the same name that no program holds open",
            "Give another folder or name, or close the file",
        ) from error
    return path


def write_workbook(path: Path, sheets: Sequence[Sheet]) -> None:
    """Write sheets with a frozen header row; the same sheets give the same bytes."""
    import xlsxwriter

    with xlsxwriter.Workbook(path, _OPTIONS) as book:
        book.set_properties({"created": CREATED})
        head = book.add_format({"bold": True, "bottom": 1})
        to_fill = book.add_format({"bold": True, "bottom": 1, "bg_color": "#FFF2CC"})
        plain = book.add_format({"valign": "top"})
        wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        dated = book.add_format({"num_format": DATE_FORMAT, "valign": "top", "align": "left"})
        for name, sheet in zip(name_sheets([sheet.name for sheet in sheets]), sheets, strict=True):
            page = book.add_worksheet(name)
            page.freeze_panes(1, 0)
            for place, column in enumerate(sheet.frame):
                values = sheet.frame[column]
                is_date = pd.api.types.is_datetime64_any_dtype(values.dtype)
                cells = _cells(values)
                page.write(0, place, str(column), to_fill if column in sheet.blank else head)
                page.write_column(1, place, cells, dated if is_date else wrapped if sheet.wrap else plain)
                longest = len(DATE_FORMAT) if is_date else max((len(str(cell)) for cell in cells), default=0)
                page.set_column(place, place, min(max(longest, len(str(column)), NARROWEST) + 2, WIDEST))


def name_sheets(names: Sequence[str]) -> list[str]:
    """Return names that Excel takes: at most 31 characters, none forbidden, none twice whatever the capitals.

    Examples
    --------
    >>> name_sheets(["King's / Denmark Hill", "KING'S / DENMARK HILL"])
    ["King's _ Denmark Hill", "KING'S _ DENMARK HILL (2)"]
    """
    given: list[str] = []
    for name in names:
        plain = name.translate(_FORBIDDEN).strip("' ") or "sheet"
        if plain.lower() == "history":  # Excel keeps this name for itself
            plain = f"{plain}_"
        found, number = plain[:LONGEST_SHEET_NAME], 1
        while found.lower() in {other.lower() for other in given}:
            number += 1
            ending = f" ({number})"
            found = plain[: LONGEST_SHEET_NAME - len(ending)] + ending
        given.append(found)
    return given


def _cells(values: pd.Series) -> list[Any]:
    """Return cells as Excel takes them: text, numbers, dates, None."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        values = values.dt.date.astype(object)
    cells: list[Any] = as_objects(values).tolist()
    return cells
