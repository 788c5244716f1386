"""Dates as files write them: complete, in part, or as the serial number of a spreadsheet; what could be two is none."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.schema import DATE_PRECISIONS

ISO = "YYYY-MM-DD"
FIRST_YEAR, LAST_YEAR = 1850, 2150  # beyond them it is a slip of the hand
# Day 0 of the serial numbers of a spreadsheet. Those before March 1900 count a 29 February that there was not.
_EPOCHS = {"excel": date(1899, 12, 30), "excel-1904": date(1904, 1, 1)}
_FIRST_SERIAL = {"excel": 61, "excel-1904": 0}
_PARTS = {"YYYY": "%Y", "MM": "%m", "DD": "%d"}
_DAY_PART = re.compile(r"[^YMD]*DD$|DD[^YMD]*")
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME_OF_DAY = re.compile(r"[T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?$")
_SERIAL = re.compile(r"\d{1,6}(\.\d+)?")
_RANK = {word: rank for rank, word in enumerate(DATE_PRECISIONS)}
_STANDS_ON: dict[str, dict[str, int]] = {"day": {}, "month": {"day": 15}, "year": {"month": 7, "day": 1}}


def read_date(cell: str, spellings: tuple[str, ...] = (ISO,)) -> date | None:
    """Return the complete date in ``cell``, or None: impossible, in another spelling, in part, or readable in two ways.

    Examples
    --------
    >>> read_date("03.02.2019", ("DD.MM.YYYY",))
    datetime.date(2019, 2, 3)
    >>> read_date("2019-02-30") is None
    True
    """
    found = read_partial_date(cell, spellings)
    return found[0] if found is not None and found[1] == "day" else None


def read_partial_date(cell: str, spellings: tuple[str, ...] = (ISO,)) -> tuple[date, str] | None:
    """Return the date in ``cell`` and how exactly it is known, or None.

    A date known to the month stands on its 15th, to the year on 1 July. Each spelling covers its own shorter forms:
    ``DD/MM/YYYY`` also ``MM/YYYY`` and ``YYYY``. Years have four digits.

    Parameters
    ----------
    spellings : such as ``YYYY-MM-DD``; ``excel`` for serial numbers of spreadsheets, ``excel-1904`` for those of old
        Apple ones. A time of day after the date is not used

    Examples
    --------
    >>> read_partial_date("2019-05"), read_partial_date("43588", ("excel",)), read_partial_date("5/12", ("DD/MM/YYYY",))
    ((datetime.date(2019, 5, 15), 'month'), (datetime.date(2019, 5, 3), 'day'), None)
    """
    if spellings == (ISO,) and _ISO_DAY.fullmatch(cell):  # most cells; ten times as quick as strptime
        with suppress(ValueError):
            exact = date.fromisoformat(cell)
            return (exact, "day") if FIRST_YEAR <= exact.year <= LAST_YEAR else None
        return None
    day = _TIME_OF_DAY.sub("", cell)
    found = {one for spelling in spellings for one in _read_spelling(day, spelling)}
    found = {one for one in found if FIRST_YEAR <= one[0].year <= LAST_YEAR}
    return found.pop() if len(found) == 1 else None


def read_dates(cells: pd.Series, spellings: tuple[str, ...] = (ISO,)) -> tuple[pd.Series, pd.Series]:
    """Return the dates of text cells (empty where blank or not readable), and their precision (empty where to the day).

    Each distinct text is read once.
    """
    places, distinct = pd.factorize(cells, use_na_sentinel=False)
    if spellings == (ISO,) and (days := _read_iso_days(distinct)) is not None:
        precision = pd.Series(index=cells.index, dtype="string")
        return pd.Series(days[places], index=cells.index), precision
    found = [read_partial_date(cell, spellings) if cell else None for cell in distinct]
    dates = pd.to_datetime(pd.Series([one and one[0] for one in found], dtype=object)).astype("datetime64[s]")
    precision = pd.Series([one[1] if one and one[1] != "day" else None for one in found], dtype="string")
    return dates.take(places).set_axis(cells.index), precision.take(places).set_axis(cells.index)


def _read_iso_days(texts: Iterable[str]) -> NDArray[np.datetime64] | None:
    """Return days all at once where each text is blank or ``YYYY-MM-DD``, and a day that exists; else None."""
    filled = [text or "NaT" for text in texts]
    if not all(text == "NaT" or _ISO_DAY.fullmatch(text) for text in filled):
        return None
    try:
        days = np.array(filled, dtype="datetime64[s]")
    except ValueError:
        return None
    years = days[~np.isnat(days)].astype("datetime64[Y]").astype(int) + 1970
    return days if ((years >= FIRST_YEAR) & (years <= LAST_YEAR)).all() else None


def least_certain(precisions: Sequence[pd.Series]) -> pd.Series:
    """Return the least certain of several columns of precision, row by row; empty where all are to the day.

    ``day`` stays where one of them says so.
    """
    filled = [column for column in precisions if column.notna().any()]
    if len(filled) < 2:
        return (filled or list(precisions))[0]
    ranks = pd.DataFrame({place: column.map(_RANK) for place, column in enumerate(filled)}, dtype="float64")
    return ranks.max(axis=1).map(dict(enumerate(DATE_PRECISIONS))).astype("string")


def date_patterns(spelling: str) -> dict[str, str]:
    """Return precision → pattern of ``strptime`` for a spelling and its shorter forms; none for serial numbers.

    Raises
    ------
    ValueError : year (four digits), month and day do not stand in it once each

    Examples
    --------
    >>> date_patterns("DD.MM.YYYY")
    {'day': '%d.%m.%Y', 'month': '%m.%Y', 'year': '%Y'}
    """
    if spelling in _EPOCHS:
        return {}
    if any(spelling.count(word) != 1 for word in _PARTS):
        raise ValueError(
            f"date format '{spelling}' must hold YYYY, MM and DD once each, e.g. DD.MM.YYYY; or be excel, for serial "
            "numbers of a spreadsheet (excel-1904 of an old Apple one)"
        )
    forms = {"day": spelling, "month": _DAY_PART.sub("", spelling, count=1), "year": "YYYY"}
    for word, code in _PARTS.items():
        forms = {precision: form.replace(word, code) for precision, form in forms.items()}
    return forms


def _read_spelling(day: str, spelling: str) -> Iterator[tuple[date, str]]:
    if spelling in _EPOCHS:
        if _SERIAL.fullmatch(day) and (number := float(day)) >= _FIRST_SERIAL[spelling]:
            yield _EPOCHS[spelling] + timedelta(days=int(number)), "day"
        return
    for precision, pattern in date_patterns(spelling).items():
        if pattern.replace("%Y", "").replace("%m", "").replace("%d", "") or len(day) == _digits(pattern):
            with suppress(ValueError):
                yield datetime.strptime(day, pattern).date().replace(**_STANDS_ON[precision]), precision


def _digits(pattern: str) -> int:
    """Return the digits of a pattern without marks between its parts: each part then needs all of its own."""
    return 4 + 2 * ("%m" in pattern) + 2 * ("%d" in pattern)
