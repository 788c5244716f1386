"""Weight and height near a day, and the body surface area made of them. Of several values of a day the lowest."""

from __future__ import annotations

import numpy as np

from aih_outcomes.endpoints.timelines import Days, Floats, Timelines, on_line, once

WEIGHT_WITHIN_DAYS = 60  # weight at the dose's date, domain section 3.1
YEAR_OLD = 365  # [P] a covariate takes a weight of the year around: without one the value would be left out
HEIGHT_WITHIN_DAYS = 180  # [P] height changes more slowly than weight
MOSTELLER = 3600.0  # m² = √(cm × kg / 3600); Mosteller, N Engl J Med 1987;317:1098


def find_weight(timelines: Timelines, patient: Days, day: Days, *, within: int = WEIGHT_WITHIN_DAYS) -> Floats:
    """Return the dry weight (kg) nearest each asked day, within so many days; NaN where there is none."""
    return _nearest(timelines, "weight", patient, day, within)


def find_weight_before(timelines: Timelines, patient: Days, day: Days, *, within: int = WEIGHT_WITHIN_DAYS) -> Floats:
    """Return the last dry weight (kg) on or before each asked day, within so many days; NaN where there is none.

    For what may use nothing that became known later.
    """
    return _last(timelines, "weight", patient, day, within)


def find_height(timelines: Timelines, patient: Days, day: Days) -> Floats:
    """Return the height (cm) nearest each asked day, within 180 days; NaN where there is none."""
    return _nearest(timelines, "height", patient, day, HEIGHT_WITHIN_DAYS)


def compute_surface(height: Floats, weight: Floats) -> Floats:
    """Return the body surface area (m²) from height (cm) and weight (kg)."""
    surface: Floats = np.sqrt(height * weight / MOSTELLER)
    return surface


@once
def _measured(timelines: Timelines, measure: str) -> tuple[Days, Floats]:
    """Return the days on which each patient has a value, on one line, and the lowest value of each."""
    table = timelines.cohort.measurements
    near = table["date_precision"].ne("year").to_numpy(bool, na_value=True)  # "within 60 days" of a year means nothing
    patient, day, rows = timelines.dated(table, near & (table["measure"].to_numpy(object) == measure))
    line, value = on_line(patient, day), table["value"].to_numpy(float)[rows]
    order = np.lexsort((value, line))
    days, first = np.unique(line[order], return_index=True)
    return days, value[order][first]


def _nearest(timelines: Timelines, measure: str, patient: Days, day: Days, within: int) -> Floats:
    """Return each asked patient's value nearest the asked day; of two equally near the earlier counts."""
    line, value = _measured(timelines, measure)
    if not len(line):
        return np.full(len(patient), np.nan)
    asked = on_line(patient, day)
    after = np.searchsorted(line, asked, side="right")
    before, after = np.maximum(after - 1, 0), np.minimum(after, len(line) - 1)
    at = np.where(np.abs(asked - line[before]) <= np.abs(line[after] - asked), before, after)
    return np.where(np.abs(asked - line[at]) <= within, value[at], np.nan)


def _last(timelines: Timelines, measure: str, patient: Days, day: Days, within: int) -> Floats:
    """Return each asked patient's last value on or before the asked day."""
    line, value = _measured(timelines, measure)
    if not len(line):
        return np.full(len(patient), np.nan)
    asked = on_line(patient, day)
    at = np.searchsorted(line, asked, side="right") - 1
    return np.where((at >= 0) & (asked - line[at] <= within), value[at], np.nan)
