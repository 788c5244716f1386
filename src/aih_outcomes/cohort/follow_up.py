"""Follow-up that cannot be right or deserves a look, and the age of a patient on a day."""

import numpy as np
import pandas as pd

from aih_outcomes.catalogue import read_analytes
from aih_outcomes.cohort.cohort import Cohort
from aih_outcomes.cohort.violations import ENDS_EARLY, dated_to_the_day
from aih_outcomes.schema import Mask, positions

DAYS_PER_YEAR = 365.25
LONG_GAP_DAYS = 548  # 18 months without any result: worth a look, as visits are yearly at the least
NOT_TO_THE_DAY = "date known to the month or year only"
_FAR_FUTURE = pd.Timestamp("2200-01-01")


def check_follow_up(cohort: Cohort) -> pd.DataFrame:
    """Look for follow-up that cannot be right or deserves a look, in the manner of R's ``survcheck``.

    Returns
    -------
    frame ``check, table, n_rows, n_patients, rows``: ``rows`` are positions (from 1) in the table; checks that found
    nothing have 0, so that the reader sees what was looked for
    """
    checks = [*_check_periods(cohort), *_check_events(cohort), *_check_treatments(cohort), *_check_results(cohort)]
    inexact = [(_say_inexact(name), name, ~dated_to_the_day(table)) for name, table in cohort.tables().items()]
    return pd.DataFrame([_check_row(cohort, *check) for check in [*checks, *inexact]])


def _say_inexact(table: str) -> str:
    use = "; not used for windows" if table == "labs" else ""
    return f"{NOT_TO_THE_DAY} in '{table}'{use}"


def _check_periods(cohort: Cohort) -> list[tuple[str, str, Mask]]:
    follow_up, events = cohort.follow_up, cohort.events
    ordered = follow_up.sort_values(["patient_id", "start", "end"], kind="stable")
    before = _latest_before(ordered, "end", ["patient_id"])
    dead = events["patient_id"][events["kind"].eq("death")]
    said_dead = follow_up["end_reason"].eq("death")
    patients = cohort.patients["patient_id"]
    return [
        ("follow-up periods of a patient overlap", "follow_up", ordered["start"] < before),
        ("gap between follow-up periods of a patient", "follow_up", ordered["start"] > before + pd.Timedelta(days=1)),
        (
            "follow-up ends with death, but no death in 'events'",
            "follow_up",
            said_dead & ~follow_up["patient_id"].isin(dead),
        ),
        ("patient without follow-up", "patients", ~patients.isin(follow_up["patient_id"])),
    ]


def _check_events(cohort: Cohort) -> list[tuple[str, str, Mask]]:
    events = cohort.events
    last = events["patient_id"].map(_last_days(cohort))
    died, transplanted = events["kind"].eq("death"), events["kind"].eq("transplant")
    several = transplanted & events.duplicated(["patient_id", "kind"], keep=False)
    return [
        ("event after the end of follow-up", "events", events["date"] > last),
        ("death while follow-up goes on to a later day", "events", died & (events["date"] < last)),
        ("several transplants (the first counts)", "events", several),
    ]


def _check_treatments(cohort: Cohort) -> list[tuple[str, str, Mask]]:
    treatments, events = cohort.treatments, cohort.events
    died = events[events["kind"].eq("death")].set_index("patient_id")["date"]
    return [
        (ENDS_EARLY["treatments"], "treatments", treatments["stop"] < treatments["start"]),
        ("same drug given twice at the same time", "treatments", _overlapping_drug(treatments)),
        (
            "treatment stops after the patient's death",
            "treatments",
            treatments["stop"] > treatments["patient_id"].map(died),
        ),
    ]


def _check_results(cohort: Cohort) -> list[tuple[str, str, Mask]]:
    labs, patients = cohort.labs, cohort.patients["patient_id"]
    sampled = labs.sort_values(["patient_id", "date"], kind="stable")
    since = (sampled["date"] - sampled.groupby("patient_id")["date"].shift()).dt.days
    usual = read_analytes().set_index("analyte")
    low, high = (labs["analyte"].map(usual[name]).to_numpy(float) for name in ("warn_low", "warn_high"))
    value = labs["value"].to_numpy(float)
    return [
        ("result after the end of follow-up", "labs", labs["date"] > labs["patient_id"].map(_last_days(cohort))),
        (f"more than {LONG_GAP_DAYS} days without any result", "labs", since > LONG_GAP_DAYS),
        ("result possible but rarely seen: is its unit right?", "labs", (value < low) | (value > high)),
        ("patient without any result", "patients", ~patients.isin(labs["patient_id"])),
    ]


def _last_days(cohort: Cohort) -> pd.Series:
    return cohort.follow_up.groupby("patient_id")["end"].max()


def _latest_before(ordered: pd.DataFrame, column: str, keys: list[str]) -> pd.Series:
    """Return the latest ``column`` of the earlier rows of the same ``keys``; an empty one still goes on."""
    by = [ordered[key] for key in keys]
    latest = ordered[column].fillna(_FAR_FUTURE).groupby(by, dropna=False).cummax()
    return latest.groupby(by, dropna=False).shift()


def _overlapping_drug(treatments: pd.DataFrame) -> pd.Series:
    ordered = treatments.sort_values(["patient_id", "drug", "route", "start"], kind="stable")
    return ordered["start"] < _latest_before(ordered, "stop", ["patient_id", "drug", "route", "indication"])


def _check_row(cohort: Cohort, check: str, table: str, bad: Mask) -> dict[str, object]:
    found = bad.index[positions(bad)] if isinstance(bad, pd.Series) else np.flatnonzero(bad)
    n_patients = int(cohort.tables()[table].loc[found, "patient_id"].nunique())
    rows = sorted(int(row) + 1 for row in found)
    return {"check": check, "table": table, "n_rows": len(found), "n_patients": n_patients, "rows": rows}


def age_at(cohort: Cohort, patient_id: pd.Series, date: pd.Series) -> pd.Series:
    """Return age in years of each patient at each date, from the birth date or else from the age at diagnosis."""
    patients = cohort.patients.set_index("patient_id")
    born = patient_id.map(patients["birth_date"])
    from_birth = (date - born).dt.days / DAYS_PER_YEAR
    since_diagnosis = (date - patient_id.map(patients["diagnosis_date"])).dt.days / DAYS_PER_YEAR
    from_diagnosis = patient_id.map(patients["age_at_diagnosis"]) + since_diagnosis
    return from_birth.where(from_birth.notna(), from_diagnosis)
