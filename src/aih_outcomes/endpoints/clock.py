"""Time zero: from which calendar day a patient's days are counted."""

from typing import Literal, get_args

import numpy as np
import pandas as pd

from aih_outcomes.catalogue import read_drugs
from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import PlanError

TimeZero = Literal["induction", "diagnosis", "follow_up_start"]
IN_WORDS = {
    "induction": "first dose of induction steroid",
    "diagnosis": "diagnosis",
    "follow_up_start": "start of follow-up",
}
SYSTEMIC_ROUTES = ("oral", "intravenous")
INDUCTION_CLASSES = ("steroid", "topical_steroid")


def find_time_zero(cohort: Cohort, time_zero: TimeZero) -> pd.Series:
    """Return the date of time zero of each patient who has one (index ``patient_id``).

    ``induction`` is the first oral or intravenous steroid (budesonide included) given for autoimmune hepatitis.

    Raises
    ------
    PlanError : ``time_zero`` is not one of those known
    """
    if time_zero == "induction":
        given, drugs = cohort.treatments, read_drugs()
        names = drugs.loc[drugs["drug_class"].isin(INDUCTION_CLASSES), "drug"]
        chosen = given["drug"].isin(names) & is_systemic(given["route"]) & given["indication"].eq("aih")
        rows = np.flatnonzero(chosen.to_numpy(bool, na_value=False))
        start, patient_id = given["start"].iloc[rows], given["patient_id"].iloc[rows].to_numpy(object)
        first = start.groupby(patient_id).min()
        return first.set_axis(pd.Index(first.index, dtype="string", name="patient_id"))
    if time_zero == "diagnosis":
        return cohort.patients.set_index("patient_id")["diagnosis_date"].dropna()
    if time_zero == "follow_up_start":
        return cohort.follow_up.groupby("patient_id")["start"].min()
    raise PlanError(
        f"{time_zero!r} is not a time zero", f"Time zero is one of {', '.join(get_args(TimeZero))}", "Correct time_zero"
    )


def is_systemic(route: pd.Series) -> pd.Series:
    """Return whether a steroid reaches the whole body: oral, intravenous, or of a route not written down."""
    return route.isin(SYSTEMIC_ROUTES) | route.isna()


def days_since(zero: pd.Series, patient_id: pd.Series, date: pd.Series) -> pd.Series:
    """Return whole days from each patient's time zero to ``date`` (nullable Int64; empty without time zero)."""
    began = pd.to_datetime(patient_id.map(zero))
    return (pd.to_datetime(date) - began).dt.days.astype("Int64")
