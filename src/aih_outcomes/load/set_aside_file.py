"""The rows set aside as a file for the data manager."""

from pathlib import Path

import pandas as pd

from aih_outcomes.cohort import SET_ASIDE_COLUMNS, Cohort
from aih_outcomes.load.privacy.file_names import show_files

# A spreadsheet takes a cell that begins so for a formula, and runs it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_set_aside(cohort: Cohort, path: str | Path) -> Path:
    """Write the rows set aside as CSV: ``table, source_file, source_row, column, rule, way_out``.

    No identifier and no value is among them: the row is found by file and line, and a file that seems to be named
    after a patient by its place among all files (``file 3``). UTF-8 with its mark, so that
    spreadsheets read it as such; a cell that a spreadsheet would run as a formula begins with an apostrophe.
    """
    path = Path(path)
    text = cohort.set_aside[list(SET_ASIDE_COLUMNS)].replace({"source_file": show_files(cohort)})
    text.astype("string").fillna("").apply(_guard).to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\n")
    return path


def _guard(cells: pd.Series) -> pd.Series:
    return cells.mask(cells.str.startswith(_FORMULA), "'" + cells)
