"""How far a child's size lies from the median of its sex and age: the LMS method on a tabulated reference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_growth_reference
from aih_outcomes.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

MEASURES = ("height", "weight", "bmi")
SEXES = ("female", "male")
REFERENCE_COLUMNS = ("reference", "measure", "sex", "age_months", "l", "m", "s")
EVALUABLE = "evaluable"  # the other status is ``NOT_EVALUABLE``
_SPAN = 4096.0  # months between two tables laid on one line; more than anyone lives


def compute_growth_z(value: Floats, *, l: Floats, m: Floats, s: Floats) -> Floats:
    """Return the z-score of each value (n,): ((value / M)^L − 1) / (L S), or ln(value / M) / S where L is 0.

    Exact near L = 0 too. NaN where a number is missing or the value is not above zero. LMS method: Cole TJ, Green PJ,
    Stat Med 1992;11:1305–1319.

    >>> compute_growth_z(np.array([100.0, 110.0]), l=np.ones(2), m=np.full(2, 100.0), s=np.full(2, 0.05)).round(6)
    array([0., 2.])
    """
    log_ratio = np.log(np.where(value > 0, value, np.nan) / m)
    power = np.where(l == 0, 1.0, l)
    return np.asarray(np.where(l == 0, log_ratio, np.expm1(power * log_ratio) / power) / s, dtype=float)


def table_of(measure: Ints, sex: Ints) -> Ints:
    """Return which table of a reference holds each measure and sex (positions); −1 where either is not known."""
    return np.where((measure < 0) | (sex < 0), -1, measure * len(SEXES) + sex)


def positions_in(names: tuple[str, ...], values: pd.Series) -> Ints:
    """Return the position of each value in ``names``; −1 where it is not among them."""
    return pd.Index(names).get_indexer(pd.Index(values.to_numpy(dtype=object))).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A growth reference by table and age, on one line; of rows of one age the order is kept."""

    table: Ints
    age: Floats
    lms: Floats
    name: NDArray[np.object_]

    def look_up(self, table: Ints, months: Floats) -> tuple[Floats, NDArray[np.object_]]:
        """Return L, M and S (3, n) at each exact age, linear between the tabulated months, and the reference's name.

        An age that stands twice in a table is a step: the later row holds from that age on. Outside a table's ages, or
        without a table or an age, NaN and None.
        """
        line = self.table * _SPAN + self.age
        asked = np.where(table < 0, np.nan, table * _SPAN + months)
        after = np.searchsorted(line, asked, side="right")  # of rows of one age, ``after - 1`` is the last
        before = np.maximum(after - 1, 0)
        lms, name = np.full((3, len(months)), np.nan), np.full(len(months), None, dtype=object)
        rows = np.flatnonzero((after > 0) & ~np.isnan(asked))
        exact = line[before[rows]] == asked[rows]
        low, high = before[rows], np.where(exact, before[rows], np.minimum(after[rows], len(line) - 1))
        inside = (self.table[low] == table[rows]) & (self.table[high] == table[rows]) & (line[high] >= asked[rows])
        rows, low, high, exact = rows[inside], low[inside], high[inside], exact[inside]
        share = (months[rows] - self.age[low]) / np.where(exact, 1.0, self.age[high] - self.age[low])
        lms[:, rows] = self.lms[:, low] + np.where(exact, 0.0, share) * (self.lms[:, high] - self.lms[:, low])
        name[rows] = self.name[low]
        return lms, name


def sort_reference(reference: pd.DataFrame) -> Reference:
    """Return a growth reference in the order in which it is looked up."""
    table, age = tables_in(reference), reference["age_months"].to_numpy(float)
    order = np.lexsort((age, table))  # stable: rows of one age keep their order
    lms, name = reference[["l", "m", "s"]].to_numpy(float).T, reference["reference"].to_numpy(dtype=object)
    return Reference(table[order], age[order], lms[:, order], name[order])


@cache
def packaged_reference() -> Reference:
    """Return the packaged growth reference, sorted once."""
    return sort_reference(read_growth_reference())


def tables_in(reference: pd.DataFrame) -> Ints:
    """Return the table of each row of a reference."""
    return table_of(positions_in(MEASURES, reference["measure"]), positions_in(SEXES, reference["sex"]))


def check_growth_reference(reference: pd.DataFrame) -> None:
    """Refuse a growth reference that cannot be used.

    Raises
    ------
    DataError : a column is missing, or a row cannot be used
    """
    lacking = [name for name in REFERENCE_COLUMNS if name not in reference]
    if lacking:
        raise DataError(
            f"{len(lacking)} column(s) of the growth reference are missing ({', '.join(lacking)})",
            f"A growth reference has the columns {', '.join(REFERENCE_COLUMNS)}",
            "Rename or add these columns",
        )
    numbers = reference[["age_months", "l", "m", "s"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    age, s_and_m = numbers[:, 0], numbers[:, 2:]
    good = np.isfinite(numbers).all(axis=1) & (age >= 0) & (age < _SPAN) & (s_and_m > 0).all(axis=1)
    bad = int((~good | (tables_in(reference) < 0)).sum())
    if bad:
        raise DataError(
            f"{bad} of {len(reference)} rows of the growth reference cannot be used",
            "Ages are months from birth; L, M and S are numbers, M and S above 0; measure is one of "
            f"{', '.join(MEASURES)}; sex is {' or '.join(SEXES)}",
            "Correct or remove these rows",
        )
