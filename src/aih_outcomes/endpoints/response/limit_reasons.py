"""Why two results of a patient have different upper limits: the child grew, or the laboratory or its method changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_reference_limits
from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.response.evaluation import AT_LIMIT
from aih_outcomes.endpoints.timelines import Days, Flags, Floats
from aih_outcomes.units import normalise_unit
from aih_outcomes.upper_limits import describe_samples, limits_of_table

AGE_BAND, ASSAY, LABORATORY = "age band", "assay", "laboratory"
LIMIT_REASONS = (AGE_BAND, LABORATORY, ASSAY)


def explain_limits(cohort: Cohort, before: Days, after: Days) -> tuple[NDArray[np.object_], Floats]:
    """Return why the limits of two results each differ, and the age at the later one.

    *Age band*: both limits are of a table by age, or are those that one table of the catalogue has for the two ages;
    but not where they are of two tables of the catalogue, as then another laboratory's table was taken.
    *Assay*: else, where another method or unit was printed. *Laboratory*: else.

    Parameters
    ----------
    before, after : positions in ``cohort.labs`` (n,)
    """
    first, second = (cohort.labs.iloc[rows].reset_index(drop=True) for rows in (before, after))
    aged = (first["uln_source"].eq("age_sex_table") & second["uln_source"].eq("age_sex_table")).to_numpy(bool)
    tables = dict.fromkeys(read_reference_limits()["table"])
    of_table = np.array([[_equals(part, cohort, table) for table in tables] for part in (first, second)])
    known, same = of_table.any(axis=1).all(axis=0), of_table.all(axis=0).any(axis=0)
    aged = same | (aged & ~known)
    other = _differ(first["method"], second["method"])
    other |= _differ(*(part["raw_unit"].map(normalise_unit, na_action="ignore") for part in (first, second)))
    reason = np.select([aged, other], [AGE_BAND, ASSAY], LABORATORY).astype(object)
    return reason, ages_at(cohort, second["patient_id"], second["date"])


def ages_at(cohort: Cohort, patient_id: pd.Series, date: pd.Series) -> Floats:
    """Return ages in years, as bands of limits count them."""
    labs = pd.DataFrame({"patient_id": patient_id.to_numpy(object), "date": date.to_numpy(), "analyte": ""})
    return describe_samples(labs, cohort.patients).age


def _equals(labs: pd.DataFrame, cohort: Cohort, table: str) -> Flags:
    """Return where the recorded limit is that of the table."""
    limit, recorded = limits_of_table(labs, cohort.patients, table)[0], labs["uln"].to_numpy(float)
    same: Flags = np.abs(limit - recorded) <= AT_LIMIT * recorded
    return same


def _differ(first: pd.Series, second: pd.Series) -> Flags:
    """Return where both words are known and are not the same."""
    return first.astype("string").ne(second.astype("string")).to_numpy(bool, na_value=False)
