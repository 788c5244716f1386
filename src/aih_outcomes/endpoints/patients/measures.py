"""One laboratory value or dose followed over time."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_analytes
from aih_outcomes.cohort import dated_to_the_day
from aih_outcomes.endpoints.clock import IN_WORDS
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.rules import drug_class_in_words
from aih_outcomes.endpoints.timelines import Flags, Floats, Timelines
from aih_outcomes.endpoints.treatment.body_size import YEAR_OLD, find_weight
from aih_outcomes.endpoints.treatment.dosing import steroid_steps
from aih_outcomes.endpoints.treatment.starts import find_starts
from aih_outcomes.endpoints.treatment.treatment import derive_steroid_dose
from aih_outcomes.errors import refuse_unknown
from aih_outcomes.outcomes import RepeatedMeasures, no_exclusions

Scale = Literal["xuln", "value", "log2_xuln", "log2_value"]
STEROID = "steroid"
COVARIATES: tuple[str, ...] = ("steroid", "targeted", "unscheduled", "followed_until")
# Nominal visits in days since time zero, and the window around each (domain section 1.3).
VISITS: dict[int, tuple[int, int]] = {
    0: (-14, 0),
    28: (21, 35),
    56: (42, 70),
    91: (71, 120),
    182: (150, 240),
    365: (300, 430),
    730: (640, 820),
    1096: (1006, 1186),
}
# The first year for descriptions: name → (first, nominal, last day).
FIRST_YEAR_VISITS = {f"day {day}": (first, day, last) for day, (first, last) in VISITS.items() if day <= 365}


def derive_measures(response: Response, analyte: str, *, scale: Scale = "xuln") -> RepeatedMeasures:
    """Follow one analyte, or the systemic steroid dose (``steroid``: prednisolone mg/kg/day), from time zero on.

    A logarithm has base 2: one unit is a doubling. ``visit`` names, in days, the nominal visit to which a value is the
    nearest of its window (of the same distance the earlier, of the same day the lower); other values have none.

    Returns
    -------
    measures : a series ends before transplant, and IgG has no value where the criteria call it not interpretable;
        ``exclusions`` counts such values (``n`` values, not patients). Covariates, each as of the day of the value:
        ``steroid`` (systemic, prednisolone mg/kg/day by the nearest weight, up to a year away; missing where dose or
        weight is not known; not beside the dose itself), ``targeted`` (1 from the first dose of gene-matched therapy
        on, else 0) and ``unscheduled`` (1 for a value outside the planned visits, 0 for one of them, missing where it
        was not recorded); and ``followed_until`` (day last known alive with the native liver; missing where there is
        none)

    Raises
    ------
    PlanError : the analyte or the scale is not known
    """
    known = read_analytes().set_index("analyte")
    refuse_unknown(scale, get_args(Scale), "a scale")
    refuse_unknown(analyte, [STEROID, *known.index], "an analyte")
    timelines, excluded, covariates = response.timelines, no_exclusions(), COVARIATES
    if analyte == STEROID:
        rows = derive_steroid_dose(timelines.cohort, response.zero, tuple(VISITS)).rename(columns={"mg_per_kg": "size"})
        rows = rows[_before_transplant(timelines, rows)]
        label, unit, covariates = "Prednisolone equivalent", "mg/kg/day", ("targeted", "followed_until")
    else:
        rows, excluded = _values(response, analyte, scale)
        label, of_uln = str(known.loc[analyte, "name"]), scale.endswith("xuln")
        unit = f"{'log2 ' if scale.startswith('log2') else ''}{'× ULN' if of_uln else str(known.loc[analyte, 'unit'])}"
    rows = rows.dropna(subset=["size"]).sort_values(["patient_id", "day", "size"], kind="stable", ignore_index=True)
    rows = _add_covariates(timelines, rows, covariates)
    measures = RepeatedMeasures.from_frame(
        rows.assign(visit=nearest_visit(rows["patient_id"], rows["day"])),
        patient_id="patient_id",
        time="day",
        value="size",
        visit="visit",
        covariates=covariates,
        label=label,
        analyte=analyte,
        unit=unit,
        time_zero=IN_WORDS[response.time_zero],
    )
    return replace(measures, exclusions=excluded)


def _values(response: Response, analyte: str, scale: Scale) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the results that may be followed, and how many may not and why."""
    rows = response.results[response.results["analyte"] == analyte]
    size = rows["xuln" if scale.endswith("xuln") else "value"]
    rows = rows.assign(size=np.log2(size) if scale.startswith("log2") else size)
    late, usable = rows["day"] >= VISITS[0][0], rows["interpretable"].to_numpy(bool)
    drugs = [rule.drug_class for rule in response.definition.not_interpretable if rule.analyte == analyte]
    after = f" (after {' or '.join(map(drug_class_in_words, drugs))})" if drugs else ""
    reasons = {
        "Date known to the month or year only": _count(response.timelines, analyte, to_the_day=False),
        "Value from transplant on": _count(response.timelines, analyte, to_the_day=True, after_transplant=True),
        f"Value more than {-VISITS[0][0]} days before time zero": int((~late).sum()),
        f"Value not interpretable{after}": int((late & ~usable).sum()),
        "Value without an upper limit of normal": int((late & usable & size.isna()).sum()),
    }
    counted = {reason: n for reason, n in reasons.items() if n}
    excluded = pd.DataFrame({
        "reason": pd.array(list(counted), dtype="string"), "n": pd.array(list(counted.values()), dtype="Int64"),
        "n_event": pd.array([0] * len(counted), dtype="Int64"),
    })  # fmt: skip
    return rows[late & usable], excluded


def _count(timelines: Timelines, analyte: str, *, to_the_day: bool, after_transplant: bool = False) -> int:
    """Count results that the timelines do not hold: those dated in part, or on or after the day of transplant."""
    labs = timelines.cohort.labs
    chosen = (labs["analyte"] == analyte).to_numpy(bool, na_value=False) & (dated_to_the_day(labs) == to_the_day)
    patient, day, _ = timelines.dated(labs, chosen)
    return int((day >= timelines.graft_day[patient]).sum()) if after_transplant else len(day)


def _before_transplant(timelines: Timelines, rows: pd.DataFrame) -> Flags:
    end = timelines.transplant_day[timelines.positions(rows["patient_id"])]
    return ~(rows["day"].to_numpy(float) >= end)


def _add_covariates(timelines: Timelines, rows: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """Add what held on the day of each value."""
    patient, day = timelines.positions(rows["patient_id"]), rows["day"].to_numpy(np.int64)
    columns: dict[str, Floats] = {
        "targeted": (day >= find_starts(timelines).gene_matched[patient]).astype(float),
        "followed_until": np.fmin(timelines.last_day, timelines.transplant_day)[patient],
    }
    if "steroid" in names:
        dose = steroid_steps(timelines).at(patient, day)
        columns["steroid"] = np.where(dose == 0, 0.0, dose / find_weight(timelines, patient, day, within=YEAR_OLD))
    if "unscheduled" in names:
        planned = timelines.cohort.labs["visit"].array.take(rows["row"].to_numpy(np.int64))
        outside = pd.Series(planned).map({"scheduled": 0.0, "unscheduled": 1.0})
        columns["unscheduled"] = np.asarray(outside.to_numpy(float), np.float64)
    return rows.assign(**columns)


def nearest_visit(patient_id: pd.Series, day: pd.Series) -> pd.Series:
    """Name each patient's value nearest to each nominal visit (``28`` for day 28); missing for the others.

    Never the worst and never the mean, which would follow flares (statistics, rule 15). Rows are in order of day.
    """
    days = day.to_numpy(float)
    nominal = np.array(list(VISITS), dtype=float)
    low, high = (np.array([window[end] for window in VISITS.values()], dtype=float) for end in (0, 1))
    at = np.searchsorted(low, days, side="right") - 1
    inside: NDArray[np.bool_] = (at >= 0) & (days <= high[at])
    visits = pd.DataFrame(
        {"patient_id": patient_id.to_numpy(), "visit": nominal[at], "off": np.abs(days - nominal[at])}
    )
    nearest = visits[inside].sort_values("off", kind="stable").drop_duplicates(["patient_id", "visit"]).index
    names = pd.Series(pd.NA, index=day.index, dtype="string")
    names.iloc[nearest] = visits.loc[nearest, "visit"].astype(int).astype("string")
    return names
