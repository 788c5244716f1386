"""Heights, weights and BMI as measured, each with its z-score, or why it has none that counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.cohort import DAYS_PER_YEAR, Cohort
from aih_outcomes.endpoints.patients.growth_reference import (
    MEASURES,
    SEXES,
    Flags,
    Floats,
    Ints,
    Reference,
    compute_growth_z,
    positions_in,
    table_of,
)
from aih_outcomes.endpoints.timelines import SPAN, on_line

CHECK_BEYOND = 5.0  # a z-score further out is more often a slip of the pen than a child (domain, section 4.1)
NO_DAY = np.iinfo(np.int64).min
_HEIGHT, _WEIGHT, _BMI = range(len(MEASURES))
_MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """Measurements, one entry each, by patient, measure and date; ``patient`` is a position in ``ids``.

    ``on_clock`` says whether ``day``, counted since time zero, is known. ``because`` says why a z-score does not count,
    None where it does. One entry not ``dated`` stands for each measure that a patient never had.
    """

    ids: pd.Index
    patient: Ints
    measure: Ints
    dated: Flags
    on_clock: Flags
    day: Ints
    value: Floats
    z: Floats
    reference: NDArray[np.object_]
    because: NDArray[np.object_]


def find_growth(cohort: Cohort, zero: pd.Series, reference: Reference) -> Growth:
    """Return every height, weight and BMI of the patients of ``zero`` with its z-score.

    Parameters
    ----------
    zero : date of time zero, or none (index ``patient_id``)
    """
    ids = pd.Index(zero.index.to_numpy(object))
    patient, measure, date, value = _read_measurements(cohort, ids)
    dated = date != NO_DAY
    row = _positions(pd.Index(cohort.patients["patient_id"].to_numpy(object)), ids)
    sex = positions_in(SEXES, cohort.patients["sex"])[row][patient]
    table = table_of(measure, sex)
    months = _age_in_months(cohort, row[patient], date)
    (l, m, s), name = reference.look_up(table, months)
    z = compute_growth_z(value, l=l, m=m, s=s)
    begun, transplanted = days_of(zero)[patient], _transplanted(cohort, ids)[patient]
    reasons = {
        "never measured": ~dated & (measure != _BMI),
        "height and weight never measured on one day": ~dated,
        "sex not known": sex < 0,
        "age not known": np.isnan(months),
        "no growth reference": ~np.isin(table, reference.table),
        "outside the ages of the reference": np.isnan(m),
        "value is not above zero": np.isnan(z),
        "after transplant": date >= transplanted,
        f"z beyond ±{CHECK_BEYOND:g}: check the measurement": np.abs(z) > CHECK_BEYOND,
        "no time zero": begun == NO_DAY,
    }
    on_clock = dated & (begun != NO_DAY)
    day = np.where(on_clock, date, 0) - np.where(on_clock, begun, 0)
    return Growth(ids, patient, measure, dated, on_clock, day, value, z, name, _first_reason(reasons, len(z)))


def _read_measurements(cohort: Cohort, ids: pd.Index) -> tuple[Ints, Ints, Ints, Floats]:
    """Return patient, measure, date (days since 1970) and value of heights, weights, and the BMI of days with both.

    Of several values of one day the lowest counts; a measure that a patient lacks has a row without a date (``NO_DAY``)
    """
    rows = cohort.measurements
    measure = positions_in(MEASURES[:_BMI], rows["measure"])
    patient = _positions(ids, pd.Index(rows["patient_id"].to_numpy(object)))
    date = days_of(rows["date"])
    own = np.flatnonzero((measure >= 0) & (patient >= 0) & (date != NO_DAY))
    line = on_line(patient[own] * len(MEASURES) + measure[own], date[own])  # a patient's measure has a line of its own
    order = np.argsort(line, kind="stable")
    line, value = line[order], rows["value"].to_numpy(float)[own[order]]
    first = np.flatnonzero(np.append(True, line[1:] != line[:-1])[: len(line)])
    line, value = line[first], np.fmin.reduceat(value, first) if len(first) else value
    heights, weights = (np.flatnonzero(line // SPAN % len(MEASURES) == k) for k in (_HEIGHT, _WEIGHT))
    both, of_height, of_weight = np.intersect1d(
        line[heights] - _HEIGHT * SPAN, line[weights] - _WEIGHT * SPAN, assume_unique=True, return_indices=True
    )  # fmt: skip
    metres = value[heights[of_height]] / 100
    bmi = value[weights[of_weight]] / np.where(metres > 0, metres, np.nan) ** 2
    line = np.concatenate([line, both + _BMI * SPAN])
    never = np.flatnonzero(np.bincount(line // SPAN, minlength=len(ids) * len(MEASURES)) == 0)
    n_dated, line = len(line), np.concatenate([line, never * SPAN])
    date, value = line % SPAN - SPAN // 2, np.concatenate([value, bmi, np.full(len(never), np.nan)])
    date[n_dated:] = NO_DAY
    order = np.argsort(line, kind="stable")
    groups = line[order] // SPAN
    return groups // len(MEASURES), groups % len(MEASURES), date[order], value[order]


def _age_in_months(cohort: Cohort, row: Ints, date: Ints) -> Floats:
    """Return the exact age in months on each date, from the birth date or else from the age at diagnosis.

    ``row`` is each one's position in the table ``patients``; NaN where the age or the date is not known.
    """
    patients = cohort.patients
    born, diagnosed = (_known_days(patients[name])[row] for name in ("birth_date", "diagnosis_date"))
    on = np.where(date == NO_DAY, np.nan, date)
    since_diagnosis = patients["age_at_diagnosis"].to_numpy(float)[row] + (on - diagnosed) / DAYS_PER_YEAR
    years = np.where(np.isnan(born), since_diagnosis, (on - born) / DAYS_PER_YEAR)
    return years * _MONTHS_PER_YEAR


def _transplanted(cohort: Cohort, ids: pd.Index) -> Floats:
    """Return the date of each patient's first transplant (n,), in days since 1970; infinite where there is none."""
    events, first = cohort.events, np.full(len(ids), np.inf)
    rows = np.flatnonzero(events["kind"].to_numpy(object) == "transplant")
    patient = _positions(ids, pd.Index(events["patient_id"].to_numpy(object)[rows]))
    np.fmin.at(first, patient[patient >= 0], _known_days(events["date"])[rows][patient >= 0])
    return first


def _positions(ids: pd.Index, asked: pd.Index) -> Ints:
    return ids.get_indexer(asked).astype(np.int64)


def _first_reason(reasons: dict[str, Flags], n: int) -> NDArray[np.object_]:
    """Return the first reason that holds for each of n rows; None where none does."""
    because = np.full(n, None, dtype=object)
    for words, holds in reversed(reasons.items()):
        because[holds] = words
    return because


def days_of(dates: pd.Series) -> Ints:
    """Return dates as whole days since 1970, a missing one as ``NO_DAY``."""
    days = dates.to_numpy("datetime64[D]")
    return np.where(np.isnat(days), NO_DAY, days.astype(np.int64))


def _known_days(dates: pd.Series) -> Floats:
    """Return dates as days since 1970, a missing one as NaN."""
    days = days_of(dates)
    return np.where(days == NO_DAY, np.nan, days)
