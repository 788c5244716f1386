"""Growth: weight, height and BMI as z-scores for sex and exact age, their change on treatment, growth failure.

The packaged reference is CDC 2000 (birth to 20 years; BMI from 2), which may be passed on. UK-WHO, UK90 and WHO may
not: a centre with a licence gives its own table. Each z-score names its reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import TimeZero, find_time_zero
from aih_outcomes.endpoints.patients.growth_reference import (
    EVALUABLE,
    MEASURES,
    Flags,
    Floats,
    Ints,
    check_growth_reference,
    packaged_reference,
    positions_in,
    sort_reference,
)
from aih_outcomes.endpoints.patients.growth_values import Growth, find_growth
from aih_outcomes.endpoints.patients.measures import VISITS
from aih_outcomes.endpoints.response.evaluation import NOT_EVALUABLE
from aih_outcomes.endpoints.timelines import Timelines
from aih_outcomes.errors import PlanError

BASELINE_DAYS = (-90, 14)  # [P] a change begins at the last z-score of these days
GROWTH_VISITS = (365, 730)  # days; their windows are those of ``measures.VISITS``
FAILURE_BELOW = -2.0  # PELD's growth failure: height or weight more than 2 SD below the mean of sex and age [m]
FAILURE_WITHIN_DAYS = 90  # [P] the last z-score of the day asked or of so many days before it
_HEIGHT, _WEIGHT = MEASURES.index("height"), MEASURES.index("weight")
_IN_WORDS = ("height", "weight", "BMI")


def derive_growth(
    cohort: Cohort, *, time_zero: TimeZero = "induction", reference: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the z-score of every height and weight, and of the BMI of days on which both were measured.

    L, M and S are interpolated linearly between the tabulated months at the exact age (a month is 365.25 / 12 days). An
    age that stands twice in the reference is a step, as from length to stature at 24 months: the later row holds from
    that age on. Of several values of one day the lowest counts.

    Parameters
    ----------
    reference : ``reference`` (its name)``, measure`` (``height``, ``weight``, ``bmi``)``, sex, age_months, l, m, s``
        for cm, kg and kg/m²; without it CDC 2000

    Returns
    -------
    frame ``patient_id, day, measure, value, z, reference, because``, by patient, measure and day. ``because`` says why
    a row is not evaluable and is missing where it is. Values to be checked (z beyond ±5), of children after transplant
    or without time zero keep their z. Each patient has each measure: one never taken is a row without a day.

    Raises
    ------
    DataError : the reference lacks a column, or a row of it cannot be used
    """
    if reference is not None:
        check_growth_reference(reference)
    tables = packaged_reference() if reference is None else sort_reference(reference)
    ids = pd.Index(cohort.patients["patient_id"].sort_values())
    found = find_growth(cohort, find_time_zero(cohort, time_zero).reindex(ids), tables)
    return pd.DataFrame(
        {
            "patient_id": pd.array(found.ids.to_numpy(object)[found.patient], dtype="string"),
            "day": pd.arrays.IntegerArray(found.day, ~found.on_clock),
            "measure": pd.array(np.array(MEASURES, dtype=object)[found.measure], dtype="string"),
            "value": found.value,
            "z": found.z,
            "reference": pd.array(found.reference, dtype="string"),
            "because": pd.array(found.because, dtype="string"),
        }
    )


def derive_growth_change(growth: pd.DataFrame, *, visits: Sequence[int] = GROWTH_VISITS) -> pd.DataFrame:
    """Return how far each z-score moved from the start of treatment to later visits.

    The start is the last evaluable z-score of days −90 to 14; a visit has the one nearest its nominal day within its
    window (of the same distance the earlier).

    Parameters
    ----------
    growth : frame of ``derive_growth``
    visits : nominal days, of ``measures.VISITS``

    Returns
    -------
    frame ``patient_id, measure, visit, day_start, day_visit, z_start, z_visit, change, status, because``, one row per
    patient, measure and visit. ``status`` is *evaluable* (known on ``day_visit``) or *not evaluable*

    Raises
    ------
    PlanError : a visit is not one of those known
    """
    known = [day for day in VISITS if day > BASELINE_DAYS[1]]
    wrong = [visit for visit in visits if visit not in known]
    if wrong:
        raise PlanError(
            f"{len(wrong)} visit(s) of growth are not known",
            f"Visits are the days {', '.join(str(day) for day in known)}",
            "Correct visits",
        )
    rows = _Rows.of_frame(growth)
    start, no_start = rows.nearest(BASELINE_DAYS, BASELINE_DAYS[1])
    found = [rows.nearest(VISITS[visit], visit) for visit in visits]
    later = np.array([at for at, _ in found], dtype=np.int64).reshape(len(found), rows.n_groups).T.ravel()
    no_visit = np.array([why for _, why in found], dtype=object).reshape(len(found), rows.n_groups).T.ravel()
    start, no_start = start.repeat(len(visits)), no_start.repeat(len(visits))
    z_start, z_visit = rows.z_at(start), rows.z_at(later)
    evaluable = (start >= 0) & (later >= 0)
    return pd.DataFrame(
        {
            "patient_id": pd.array(rows.ids.repeat(len(MEASURES) * len(visits)), dtype="string"),
            "measure": pd.array(np.tile(np.repeat(MEASURES, len(visits)), len(rows.ids)), dtype="string"),
            "visit": np.tile(np.array(visits, dtype=np.int64), rows.n_groups),
            "day_start": rows.day_at(start),
            "day_visit": rows.day_at(later),
            "z_start": z_start,
            "z_visit": z_visit,
            "change": z_visit - z_start,
            "status": pd.array(np.where(evaluable, EVALUABLE, NOT_EVALUABLE), dtype="string"),
            "because": pd.array(np.where(start < 0, no_start, no_visit), dtype="string"),
        }
    )


def find_growth_change(timelines: Timelines, *, visit: int) -> dict[str, Floats]:
    """Return ``change`` of ``derive_growth_change`` per measure, against the packaged reference, as arrays (n,)."""
    rows = _Rows.of_values(find_growth(timelines.cohort, timelines.zero, packaged_reference()))
    start, later = rows.find(BASELINE_DAYS, BASELINE_DAYS[1]), rows.find(VISITS[visit], visit)
    change = (rows.z_at(later) - rows.z_at(start)).reshape(-1, len(MEASURES))
    return dict(zip(MEASURES, change.T, strict=True))


def derive_growth_failure(growth: pd.DataFrame, *, day: int = 0) -> pd.Series:
    """Return whether height or weight lies more than 2 SD below the mean at a day, as PELD asks.

    It looks back, never ahead: the last evaluable z-score of each on that day or within 90 days before. One below is
    enough; ``False`` needs both; otherwise the answer is missing.

    Returns
    -------
    boolean series ``growth_failure`` (index ``patient_id``), with missing values
    """
    rows = _Rows.of_frame(growth)
    at = rows.find((day - FAILURE_WITHIN_DAYS, day), day)
    z = rows.z_at(at).reshape(-1, len(MEASURES))
    height, weight = z[:, _HEIGHT], z[:, _WEIGHT]
    failed = (height < FAILURE_BELOW) | (weight < FAILURE_BELOW)
    unknown = ~failed & (np.isnan(height) | np.isnan(weight))
    index = pd.Index(rows.ids, name="patient_id", dtype="string")
    return pd.Series(pd.arrays.BooleanArray(failed, unknown), index=index, name="growth_failure")


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of ``derive_growth`` as arrays. A group is one measure of one patient, in order."""

    ids: NDArray[np.object_]
    group: Ints
    dated: Flags
    day: Ints
    z: Floats
    because: NDArray[np.object_]

    @classmethod
    def of_frame(cls, growth: pd.DataFrame) -> _Rows:
        patient, ids = pd.factorize(growth["patient_id"].to_numpy(dtype=object), sort=True)
        day = growth["day"].to_numpy(np.int64, na_value=0)
        group = patient * len(MEASURES) + positions_in(MEASURES, growth["measure"])
        because = growth["because"].to_numpy(dtype=object)
        return cls(ids, group, growth["day"].notna().to_numpy(bool), day, growth["z"].to_numpy(float), because)

    @classmethod
    def of_values(cls, found: Growth) -> _Rows:
        group = found.patient * len(MEASURES) + found.measure
        return cls(found.ids.to_numpy(object), group, found.on_clock, found.day, found.z, found.because)

    @property
    def n_groups(self) -> int:
        return len(self.ids) * len(MEASURES)

    @cached_property
    def usable(self) -> Flags:
        return pd.isna(self.because)

    def find(self, window: tuple[int, int], nominal: int) -> Ints:
        """Return each group's evaluable row nearest the nominal day within the window; −1 where there is none."""
        return self._nearest_of(self._inside(window) & self.usable, nominal)

    def _inside(self, window: tuple[int, int]) -> Flags:
        return self.dated & (self.day >= window[0]) & (self.day <= window[1])

    def nearest(self, window: tuple[int, int], nominal: int) -> tuple[Ints, NDArray[np.object_]]:
        """Return each group's evaluable row nearest the nominal day (−1 where none), and why there is none."""
        inside, found = self._inside(window), self.find(window, nominal)
        lacking = [f"no {name} on days {window[0]} to {window[1]}" for name in _IN_WORDS]
        because = np.tile(np.array(lacking, dtype=object), len(self.ids))
        for at in (self._nearest_of(~self.dated, nominal), self._nearest_of(inside & ~self.usable, nominal)):
            because[at >= 0] = self.because[at[at >= 0]]
        because[found >= 0] = None
        return found, because

    def _nearest_of(self, chosen: Flags, nominal: int) -> Ints:
        rows = np.flatnonzero(chosen)
        order = rows[np.lexsort((self.day[rows], np.abs(self.day[rows] - nominal), self.group[rows]))]
        found = np.full(self.n_groups, -1, dtype=np.int64)
        found[self.group[order[::-1]]] = order[::-1]  # of several rows of one group the last written stays: the nearest
        return found

    def z_at(self, row: Ints) -> Floats:
        """Return the z-score of each row; NaN at −1."""
        out = np.full(len(row), np.nan)
        out[row >= 0] = self.z[row[row >= 0]]
        return out

    def day_at(self, row: Ints) -> pd.arrays.IntegerArray:
        """Return the day of each row; missing at −1."""
        out = np.zeros(len(row), dtype=np.int64)
        out[row >= 0] = self.day[row[row >= 0]]
        return pd.arrays.IntegerArray(out, row < 0)
