"""A laboratory's own upper limits: one CSV file of bands by laboratory, period, sex and age.

Columns ``analyte, unit, uln`` and, where they matter, ``laboratory`` (the centre of the patient; an empty one holds for
every centre where no line of its own does, so also after its period), ``from`` and ``until`` (first and last day),
``sex`` (female, male; empty for both), ``age_from_years`` and ``age_to_years`` (from the one birthday up to the other).
An empty cell sets no bound. One limit that is read wrongly changes who is in remission, so a file with a faulty line is
not used at all.
"""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import DataError
from aih_outcomes.load.spreadsheets.separated import read_separated
from aih_outcomes.load.spreadsheets.source import Source
from aih_outcomes.load.values.dates import ISO, read_date
from aih_outcomes.load.values.parse import read_number
from aih_outcomes.units import accepted_units, canonical_units, compute_canonical
from aih_outcomes.upper_limits import ANY, Floats

if TYPE_CHECKING:
    from aih_outcomes.load.mapping_parts import Reading

_NEEDED = ("analyte", "unit", "uln")
COLUMNS = ("laboratory", "analyte", "unit", "from", "until", "sex", "age_from_years", "age_to_years", "uln")
_FIRST_DAY, _LAST_DAY = pd.Timestamp("1850-01-01"), pd.Timestamp("2150-12-31")
_SEXES = {"": ANY, ANY: ANY, "female": "female", "male": "male"}
_SHOWN = 5


def read_laboratory_limits(folder: Path, name: str, reading: "Reading | None" = None) -> pd.DataFrame:
    """Read a laboratory's table of upper limits.

    Returns
    -------
    frame ``laboratory, analyte, sex, age_from_years, age_to_years, since, until, upper``; limits in canonical units

    Raises
    ------
    DataError : the file or a column is not there, a cell cannot be read, or two lines hold for the same result
    """
    if not (folder / name).is_file():
        raise DataError(
            f"There is no file '{name}' beside the data",
            "The laboratory's table of upper limits lies in the folder that is read",
            'Put it there, or correct the line laboratory = "…" of the part [upper_limits] of the mapping',
        )
    separator, encoding = (reading.separator, reading.encoding) if reading else (None, "utf-8")
    source = read_separated(folder / name, name, separator=separator, encoding=encoding)
    _check_header(source)
    decimal, spellings = (reading.decimal, reading.date_format) if reading else (".", (ISO,))
    bands = _read_bands(source, decimal, spellings)
    _refuse_overlaps(source, bands)
    return bands


def _check_header(source: Source) -> None:
    header = [str(column) for column in source.cells.columns]
    missing = [name for name in _NEEDED if name not in header]
    others = [name for name in header if name not in COLUMNS]
    if missing or others:
        near = [name for other in others for name in get_close_matches(other.casefold(), COLUMNS, n=1)]
        raise DataError(
            f"'{source.name}' lacks {len(missing)} column(s) of a table of upper limits "
            f"({', '.join(missing) or 'none'}) and has {len(others)} that are unknown",
            f"Its columns are {', '.join(COLUMNS)}; {', '.join(_NEEDED)} are always there",
            f"Perhaps '{near[0]}' is meant; else take the column out" if near else "Correct line 1 of the file",
        )
    if source.uneven:
        _refuse(source, "all", list(source.uneven), "a line has as many cells as the header")


def _read_bands(source: Source, decimal: str, spellings: tuple[str, ...]) -> pd.DataFrame:
    """Return the bands, with the line of each as index."""
    cells = source.cells.reindex(columns=list(COLUMNS), fill_value="")

    def number(cell: str) -> float | None:
        return read_number(cell, decimal)

    def day(cell: str) -> pd.Timestamp | None:
        found = read_date(cell, spellings)
        return None if found is None else pd.Timestamp(found)

    def read(column: str, reader: Callable[[str], object], rule: str, blank: object = None) -> pd.Series:
        return _read_column(source, cells[column], reader, rule, blank)

    written = f"a date written {' or '.join(spellings)}"
    bands = pd.DataFrame(
        {
            "laboratory": cells["laboratory"],
            "analyte": read("analyte", _known_analyte, "an analyte of the catalogue"),
            "sex": read("sex", lambda cell: _SEXES.get(cell.casefold()), "female, male or empty", ANY),
            "age_from_years": read("age_from_years", number, "a number of years", -np.inf).astype(float),
            "age_to_years": read("age_to_years", number, "a number of years", np.inf).astype(float),
            "since": pd.to_datetime(read("from", day, written, _FIRST_DAY)),
            "until": pd.to_datetime(read("until", day, written, _LAST_DAY)),
            "upper": read("uln", number, f"a number with decimal '{decimal}'").astype(float),
        }
    )
    _refuse_rows(source, "uln", bands["upper"] <= 0, "more than 0")
    _refuse_rows(source, "until", bands["until"] < bands["since"], "not before from")
    backwards = bands["age_to_years"] <= bands["age_from_years"]
    _refuse_rows(source, "age_to_years", backwards, "more than age_from_years")
    return bands.assign(upper=_convert(source, bands, cells["unit"]))


def _known_analyte(cell: str) -> str | None:
    return cell if cell in canonical_units() else None


def _read_column(
    source: Source, cells: pd.Series, reader: Callable[[str], object], rule: str, blank: object
) -> pd.Series:
    values = pd.Series([reader(cell) if cell else blank for cell in cells], index=cells.index, dtype=object)
    _refuse_rows(source, str(cells.name), values.isna(), rule)
    return values


def _convert(source: Source, bands: pd.DataFrame, unit: pd.Series) -> pd.Series:
    """Return the limits in canonical units."""
    rows = zip(bands["upper"], bands["analyte"], unit, strict=True)
    upper = pd.Series([compute_canonical(*row) for row in rows], index=bands.index, dtype=float)
    names = dict.fromkeys(bands["analyte"][upper.isna()])
    _refuse_rows(
        source, "unit", upper.isna(), "; ".join(f"{name} in {' or '.join(accepted_units(name))}" for name in names)
    )
    return upper


def _refuse_rows(source: Source, column: str, bad: pd.Series, rule: str) -> None:
    if bad.any():
        _refuse(source, column, bad.index[bad.to_numpy(bool)].tolist(), rule)


def _refuse(source: Source, column: str, lines: list[int], rule: str) -> None:
    raise DataError(
        f"{len(lines)} of {source.n_lines} line(s) of '{source.name}' cannot be used: "
        f"column '{column}', {_name(lines)}",
        f"Column '{column}' of a table of upper limits: {rule}",
        "Correct these lines; the table is used as a whole or not at all",
    )


def _refuse_overlaps(source: Source, bands: pd.DataFrame) -> None:
    """Refuse two lines that hold for one result: the limit would depend on their order."""
    first, last = (bands[name].to_numpy("datetime64[D]").astype(np.int64).astype(float) for name in ("since", "until"))
    ages = (bands[name].to_numpy(float) for name in ("age_from_years", "age_to_years"))
    together = _meet(first, last + 1) & _meet(*ages)
    for name in ("laboratory", "analyte"):
        words = bands[name].to_numpy(object)
        together &= words[:, None] == words
    sex = bands["sex"].to_numpy(object)
    together &= (sex[:, None] == sex) | (sex[:, None] == ANY) | (sex == ANY)
    np.fill_diagonal(together, val=False)
    clash = [int(line) for line in bands.index[np.flatnonzero(together.any(axis=1))]]
    if clash:
        raise DataError(
            f"{len(clash)} of {source.n_lines} line(s) of '{source.name}' overlap: {_name(clash)}",
            "For one laboratory, analyte, sex, age and day there is one upper limit; 'until' is the last day that "
            "counts, 'age_to_years' the birthday from which the next line counts",
            "End the earlier line before the later one begins",
        )


def _meet(start: Floats, end: Floats) -> NDArray[np.bool_]:
    """Return for each pair of intervals ``[start, end)`` whether they have a point in common."""
    before = start[:, None] < end[None, :]
    return before & before.T


def _name(lines: list[int]) -> str:
    return "line(s) " + ", ".join(map(str, lines[:_SHOWN])) + (" …" if len(lines) > _SHOWN else "")
