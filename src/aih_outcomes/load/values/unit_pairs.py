"""The distinct pairs of analyte and unit of many results, each looked up once."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.load.mapping_rules import read_translation
from aih_outcomes.load.records import list_problems
from aih_outcomes.load.values.unit_offers import explain_unit
from aih_outcomes.units import Conversion, find_conversion

Words = Mapping[str, Mapping[str, str]]


class UnitPairs:
    """The pairs of analyte and unit of some rows, and how each converts.

    Parameters
    ----------
    analyte, unit : of each row; a row without an analyte has no pair
    units : analyte → word of the laboratory (``""``: none) → unit it stands for
    """

    def __init__(self, analyte: pd.Series, unit: pd.Series, units: Words) -> None:
        of_analyte, analytes = pd.factorize(analyte.astype(object))
        of_unit, written = pd.factorize(unit.astype(object))
        n = len(written) + 1
        codes = np.where((of_analyte < 0) | (of_unit < 0), -1, of_analyte * n + of_unit)
        self.row, distinct = pd.factorize(codes)
        self.names = [None if one < 0 else (str(analytes[one // n]), str(written[one % n])) for one in distinct]
        self.conversions = [None if name is None else _find(*name, units) for name in self.names]
        self.index = analyte.index
        self.known = np.array([one is not None for one in self.conversions], dtype=bool)[self.row]

    def convert(self, number: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return numbers in the canonical unit; NaN where the unit is missing or not known."""
        factor = np.array([one.factor if one else np.nan for one in self.conversions], dtype=float)
        offset = np.array([one.offset if one else np.nan for one in self.conversions], dtype=float)
        canonical: NDArray[np.float64] = number * factor[self.row] + offset[self.row]
        return canonical

    def list_unknown(self, value: NDArray[np.float64], limit: NDArray[np.float64]) -> list[pd.DataFrame]:
        """Return the rows of each unit that is missing or not known.

        Parameters
        ----------
        value, limit : results and upper limits as printed, by which a missing unit is guessed and offered
        """
        problems = []
        for place, name in enumerate(self.names):
            if name is not None and self.conversions[place] is None:
                rows = self.row == place
                said = explain_unit(*name, value[rows], limit[rows])
                problems.append(list_problems(pd.Series(rows), "unit", *said))
        return problems


def _find(analyte: str, written: str, units: Words) -> Conversion | None:
    times, meant = read_translation(units.get(analyte, {}).get(written, written))
    found = find_conversion(analyte, meant)
    return Conversion(times * found.factor, found.offset) if found else None


def read_distinct(cells: pd.Series, read: Callable[[str], object], kind: type) -> NDArray[Any]:
    """Return what ``read`` makes of each cell; each distinct text is read once, and no cell is missing."""
    places, distinct = pd.factorize(cells.astype(object))
    return np.array([read(cell) for cell in distinct], dtype=kind)[places]
