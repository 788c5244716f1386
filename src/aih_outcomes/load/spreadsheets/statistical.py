"""SPSS (.sav) and Stata (.dta) files as text, by pyreadstat: the words of their value labels, or their codes."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from aih_outcomes.errors import DataError
from aih_outcomes.load.spreadsheets import statistical_child
from aih_outcomes.load.spreadsheets.sheets import write_cell
from aih_outcomes.load.spreadsheets.source import Layout, Source, arrange_lines, count

_MOST_SECONDS = 600
_Read = tuple[pd.DataFrame, dict[str, dict[object, str]], dict[str, str | None]]
STATISTICAL = (".sav", ".zsav", ".dta")


def read_statistical(
    path: Path, name: str, *, values: Literal["labels", "codes"] = "labels", encoding: str | None = None,
    decimal: str = ".",
) -> Source:  # fmt: skip
    """Read an SPSS or Stata file as text.

    The line of a record is the number of its case, from 1, as SPSS and Stata show it. Values that the file declares
    missing are blank; dates are ``YYYY-MM-DD``.

    Parameters
    ----------
    values : whether a coded cell is read as the word of its value label or as its code
    encoding : None as the file itself says
    decimal : sign with which numbers are written that stand as text beside the typed ones

    Raises
    ------
    DataError : the file is damaged, or pyreadstat is not installed
    """
    frame, labels, words = _open(path, name, encoding)
    labelled = labels if values == "labels" else {}
    columns = [_as_text(frame[column], labelled.get(str(column), {}), decimal) for column in frame]
    header: list[str] = [str(column) for column in frame]
    notes = ["lines are numbers of cases"]
    if labelled:
        notes.append(f"{count(len(labelled), 'column')} read by value labels")
    source = arrange_lines(name, _lines(header, columns), Layout(), notes=notes, typed_dates=True)
    return replace(source, labels={column: label for column, label in words.items() if label})


def _lines(header: list[str], columns: list[list[str]]) -> Iterator[tuple[int, list[str]]]:
    yield 0, header
    for number, cells in enumerate(zip(*columns, strict=True)):
        yield number + 1, list(cells)


def _open(path: Path, name: str, encoding: str | None) -> _Read:
    """Return the frame, the value labels and the label of each column, read in a process of their own."""
    if find_spec("pyreadstat") is None:
        raise DataError(
            f"'{name}' cannot be read: the package pyreadstat is not installed",
            "SPSS and Stata files are read by pyreadstat",
            "Install it with the extra spss: pip install 'aih-outcomes[spss]'; or save the file as 'CSV UTF-8'",
        )
    child = [sys.executable, "-I", str(Path(statistical_child.__file__)), str(path.resolve()), path.suffix.lower()]
    try:
        done = subprocess.run([*child, encoding or ""], capture_output=True, check=True, timeout=_MOST_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        raise DataError(
            f"'{name}' cannot be read as an SPSS or Stata file: it is damaged, cut short or in another encoding",
            "SPSS files end in .sav, Stata files in .dta",
            "Save it anew; or, if its letters are wrong, name its encoding in the mapping: "
            '[reading] encoding = "cp1252"',
        ) from None
    found: _Read = pickle.loads(done.stdout)
    return found


def _as_text(column: pd.Series, labels: dict[object, str], decimal: str) -> list[str]:
    """Return the cells of a column as text, ``""`` where missing; a code without a label stays a code."""
    known = {value: "" if pd.isna(value) else labels.get(value, _write(value, decimal)) for value in column.unique()}
    return [known.get(value, "") for value in column]


def _write(value: Any, decimal: str) -> str:
    return value.date().isoformat() if isinstance(value, pd.Timestamp) else write_cell(value, decimal)
