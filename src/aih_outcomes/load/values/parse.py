"""Text to values by kind of column: dates, numbers, yes/no, categories. What cannot be read is said, never guessed."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from aih_outcomes.load.records import list_problems
from aih_outcomes.load.values.dates import FIRST_YEAR, ISO, LAST_YEAR, least_certain, read_dates
from aih_outcomes.schema import DTYPES, TABLES, Column

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_TOO_LARGE = 2**53  # a float holds every whole number below it
_CORRECT = "Correct the cell in the file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How the cells of a column are written.

    Attributes
    ----------
    dates : accepted spellings such as ``YYYY-MM-DD`` or ``DD.MM.YYYY``; see ``dates.read_partial_date``
    decimal : ``.`` or ``,``
    factor : canonical units per unit of the file
    rule : what to say of a cell that cannot be read, instead of the rule of its kind
    """

    dates: tuple[str, ...] = (ISO,)
    decimal: str = "."
    factor: float = 1.0
    rule: str = ""


def parse_table(
    text: pd.DataFrame, name: str, writing: Mapping[str, Writing]
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Read the text of each declared column by its kind.

    Returns
    -------
    frame with the declared columns found in ``text`` (unreadable cells are empty) and the precision of its dates, and
    its problems
    """
    columns: dict[str, pd.Series] = {}
    problems, precisions = [], []
    for column in TABLES[name].columns:
        if column.name not in text or column.name in ("source_file", "source_row"):
            continue
        cells = text[column.name].astype(object)
        written = writing.get(column.name, Writing())
        if column.kind == "date":
            values, precision = read_dates(cells, written.dates)
            precisions.append(precision)
        else:
            values = read_cells(cells, column, written)
        columns[column.name] = values
        unread = values.isna() & cells.ne("")
        if unread.any():
            problems.append(list_problems(unread, column.name, *_explain(column, written)))
    given = [columns["date_precision"]] if "date_precision" in columns else []
    if precisions or given:
        columns["date_precision"] = least_certain([*given, *precisions])
    return pd.DataFrame(columns, index=text.index), problems


def read_cells(cells: pd.Series, column: Column, writing: Writing) -> pd.Series:
    """Return the values of text cells; empty where blank or not readable. Each distinct text is read once."""
    if column.kind == "date":
        return read_dates(cells, writing.dates)[0]
    readers: dict[str, Callable[[str], object]] = {
        "number": lambda cell: read_number(cell, writing.decimal, writing.factor),
        "integer": lambda cell: _read_integer(cell, writing.decimal),
        "yes_no": lambda cell: _YES_NO.get(cell.lower()),
        "category": lambda cell: _read_level(cell, column.levels),
    }
    read = readers.get(column.kind, str)
    places, distinct = pd.factorize(cells, use_na_sentinel=False)
    dtype: Any = DTYPES[column.kind]
    known = pd.Series([read(cell) if cell else None for cell in distinct], dtype=object).astype(dtype)
    values: pd.Series = known.take(places).set_axis(cells.index)
    return values


def read_number(cell: str, decimal: str = ".", factor: float = 1.0) -> float | None:
    """Return the number in ``cell``, or None; a mark that is not the decimal sign is not passed over.

    Examples
    --------
    >>> read_number("1,5", ","), read_number("1.5", ","), read_number("12 mg")
    (1.5, None, None)
    """
    if decimal == ",":
        cell = "" if "." in cell else cell.replace(",", ".")
    number = float(cell) * factor if _NUMBER.fullmatch(cell) else math.inf
    return number if math.isfinite(number) else None


def _read_integer(cell: str, decimal: str) -> int | None:
    number = read_number(cell, decimal)
    return int(number) if number is not None and number.is_integer() and abs(number) < _TOO_LARGE else None


def _read_level(cell: str, levels: tuple[str, ...]) -> str | None:
    return next((level for level in (cell, cell.lower()) if level in levels), None)


def _explain(column: Column, writing: Writing) -> tuple[str, str]:
    """Return rule and way out for cells of ``column`` that cannot be read."""
    words = {
        "date": (
            f"must be a date that exists, written {' or '.join(writing.dates)}, from {FIRST_YEAR} to {LAST_YEAR}; "
            "it may lack its day or month, and a missing or two-digit year is never guessed",
            f'{_CORRECT}, or name its spelling in a mapping: date_format = "DD/MM/YYYY"',
        ),
        "number": (
            f"must be a number with decimal '{writing.decimal}'",
            f'{_CORRECT}; in a mapping, name words for missing (missing = ["…"]) or the decimal sign (decimal = "…")',
        ),
        "integer": ("must be a whole number", f'{_CORRECT}; in a mapping, name words for missing: missing = ["…"]'),
        "yes_no": (
            "must be yes or no (also true, false, 1, 0)",
            f'{_CORRECT}, or translate it in a mapping: {column.name} = {{ column = "…", codes = {{ "…" = "yes" }} }}',
        ),
        "category": (
            f"must be one of {', '.join(column.levels)}",
            f'{_CORRECT}, or translate it in a mapping: {column.name} = {{ column = "…", codes = {{ "…" = "…" }} }}',
        ),
    }
    return (writing.rule, _CORRECT) if writing.rule else words.get(column.kind, ("cannot be read", _CORRECT))
