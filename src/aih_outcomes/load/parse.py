"""Text to values by kind of column: dates, numbers, yes/no, categories. What cannot be read is said, never guessed."""

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pandas as pd

from aih_outcomes.load.records import list_problems
from aih_outcomes.schema import DTYPES, TABLES, Column

ISO = "YYYY-MM-DD"
_DATE_PARTS = {"YYYY": "%Y", "MM": "%m", "DD": "%d"}
_TIME_OF_DAY = re.compile(r"[T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?$")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_FIRST_YEAR, _LAST_YEAR = 1850, 2150  # beyond them it is a slip of the hand
_TOO_LARGE = 2**53  # a float holds every whole number below it
_CORRECT = "Correct the cell in the file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How the cells of a column are written.

    Attributes
    ----------
    dates : accepted spellings such as ``YYYY-MM-DD`` or ``DD.MM.YYYY``; a time of day after the date is not used
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
    frame with the declared columns found in ``text`` (unreadable cells are empty), and its problems
    """
    columns, problems = {}, []
    for column in TABLES[name].columns:
        if column.name not in text or column.name in ("source_file", "source_row"):
            continue
        cells = text[column.name].astype(object)
        written = writing.get(column.name, Writing())
        values = read_cells(cells, column, written)
        columns[column.name] = values
        unread = values.isna() & cells.ne("")
        problems.append(list_problems(unread, column.name, *_explain(column, written)))
    return pd.DataFrame(columns, index=text.index), problems


def read_cells(cells: pd.Series, column: Column, writing: Writing) -> pd.Series:
    """Return the values of text cells; empty where blank or not readable. Each distinct text is read once."""
    readers: dict[str, Callable[[str], object]] = {
        "date": lambda cell: read_date(cell, writing.dates),
        "number": lambda cell: read_number(cell, writing.decimal, writing.factor),
        "integer": lambda cell: _read_integer(cell, writing.decimal),
        "yes_no": lambda cell: _YES_NO.get(cell.lower()),
        "category": lambda cell: _read_level(cell, column.levels),
    }
    read = readers.get(column.kind, str)
    known = {cell: read(cell) if cell else None for cell in cells.unique()}
    values: Any = pd.Series([known[cell] for cell in cells], index=cells.index, dtype=object)
    typed: pd.Series = (pd.to_datetime(values) if column.kind == "date" else values).astype(DTYPES[column.kind])
    return typed


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


def read_date(cell: str, spellings: tuple[str, ...] = (ISO,)) -> date | None:
    """Return the date in ``cell``, or None: impossible, in another spelling, or readable in two ways.

    Examples
    --------
    >>> read_date("03.02.2019", ("DD.MM.YYYY",))
    datetime.date(2019, 2, 3)
    >>> read_date("2019-02-30") is None
    True
    """
    day = _TIME_OF_DAY.sub("", cell)
    found = set()
    for spelling in spellings:
        if len(spelling) == len("YYYYMMDD") != len(day):  # without marks between them, each part needs its digits
            continue
        with suppress(ValueError):
            found.add(datetime.strptime(day, date_pattern(spelling)).date())
    found = {day for day in found if _FIRST_YEAR <= day.year <= _LAST_YEAR}
    return found.pop() if len(found) == 1 else None


def date_pattern(spelling: str) -> str:
    """Return ``%Y-%m-%d`` for ``YYYY-MM-DD``; raise ValueError unless year (four digits), month and day stand once."""
    pattern = spelling
    for word, code in _DATE_PARTS.items():
        if spelling.count(word) != 1:
            raise ValueError(f"date format '{spelling}' must hold YYYY, MM and DD once each, e.g. DD.MM.YYYY")
        pattern = pattern.replace(word, code)
    return pattern


def _read_integer(cell: str, decimal: str) -> int | None:
    number = read_number(cell, decimal)
    return int(number) if number is not None and number.is_integer() and abs(number) < _TOO_LARGE else None


def _read_level(cell: str, levels: tuple[str, ...]) -> str | None:
    return next((level for level in (cell, cell.lower()) if level in levels), None)


def _explain(column: Column, writing: Writing) -> tuple[str, str]:
    """Return rule and way out for cells of ``column`` that cannot be read."""
    words = {
        "date": (
            f"must be a date that exists, written {' or '.join(writing.dates)}, from {_FIRST_YEAR} to {_LAST_YEAR}",
            f'{_CORRECT}, or name its spelling in a mapping: date_format = "DD/MM/YYYY"',
        ),
        "number": (
            f"must be a number with decimal '{writing.decimal}'",
            f'{_CORRECT}; in a mapping, name codes for missing (missing = ["NA"]) or decimal = ","',
        ),
        "integer": ("must be a whole number", f'{_CORRECT}; in a mapping, name codes for missing: missing = ["NA"]'),
        "yes_no": ("must be yes or no (also true, false, 1, 0)", f"{_CORRECT}, or translate it in a mapping: codes"),
        "category": (
            f"must be one of {', '.join(column.levels)}",
            f'{_CORRECT}, or translate it in a mapping: {column.name} = {{ column = "…", codes = {{ "…" = "…" }} }}',
        ),
    }
    return (writing.rule, _CORRECT) if writing.rule else words.get(column.kind, ("cannot be read", _CORRECT))
