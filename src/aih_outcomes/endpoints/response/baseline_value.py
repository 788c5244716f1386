"""The value before treatment (statistics, rule 9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.endpoints.timelines import Days, Flags, Floats, Labs, take


@dataclass(frozen=True, slots=True, eq=False)
class Baselines:
    """One analyte's value before treatment, per patient (n,).

    ``position`` is the result in the analyte's ``Labs`` (−1: none); ``sign`` its comparator; ``fallback`` says that it
    is an early one.
    """

    position: Days
    value: Floats
    xuln: Floats
    sign: NDArray[np.int8]
    fallback: Flags


def find_baseline(labs: Labs, usable: Flags, windows: tuple[tuple[int, int], tuple[int, int]], n: int) -> Baselines:
    """Return the last usable value in the window, else in the fallback window. Of one day the highest counts.

    Parameters
    ----------
    windows : first and last day of the window, and of the fallback
    n : number of patients
    """
    position = np.full(n, -1, dtype=np.int64)
    main = np.zeros(n, dtype=bool)
    for window in windows[::-1]:  # what the window itself holds is written over the fallback
        rows = np.flatnonzero(usable & (labs.day >= window[0]) & (labs.day <= window[1]))
        rows = rows[np.lexsort((rows, labs.value[rows], labs.day[rows], labs.patient[rows]))]
        position[labs.patient[rows]] = rows  # of several rows of one patient the last written stays
        main = np.zeros(n, dtype=bool)
        main[labs.patient[rows]] = True
    sign = np.zeros(n, dtype=np.int8)
    found = position >= 0
    sign[found] = labs.sign[position[found]]
    return Baselines(position, take(labs.value, position), take(labs.xuln, position), sign, found & ~main)
