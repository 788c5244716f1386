"""What was known of each patient when the clock started."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.catalogue import read_reference_limits
from aih_outcomes.cohort import age_at
from aih_outcomes.cohort.era import five_years_of
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.timelines import ABOVE, BELOW
from aih_outcomes.schema import TABLES

PATIENT_COLUMNS = (
    "sex",
    "aih_type",
    "asc_at_baseline",
    "presentation",
    "cirrhosis_at_diagnosis",
    "ibd",
    "documented_non_adherence",
    "treatment_arm",
)
# Learnt later than time zero: they describe who the patients were, and are no covariate of a model.
KNOWN_LATER = ("documented_non_adherence", "referred_late")
BASELINE_ANALYTES = ("alt", "ast", "ggt", "bilirubin", "albumin", "inr", "platelets", "igg")
LEVEL_WORDS = {"asc": "sclerosing cholangitis (ASC)", "normal": "normal cholangiogram"}
_LEVELS = {column.name: list(column.levels) for column in TABLES["patients"].columns if column.levels}
LOWER_LIMITS = "uk-pru"  # [P] the table whose lower limits of IgG are used; it has a band for adults, from 15 years on
LATER_WITHIN_DAYS = 61  # [P] at a later day a laboratory value is the last of the two months up to it
# Table 1 in clinical order, in a clinician's words with units; a variable that nobody has is left out.
BASELINE_WORDS = {
    "sex": "Sex",
    "age": "Age (years)",
    "era": "Diagnosed in",
    "treatment_arm": "Arm of the trial",
    "aih_type": "Type",
    "asc_at_baseline": "Bile ducts at diagnosis",
    "presentation": "Presentation",
    "cirrhosis_at_diagnosis": "Cirrhosis at diagnosis",
    "ibd": "Inflammatory bowel disease",
    "documented_non_adherence": "Documented non-adherence",
    "referred_late": "First seen after time zero",
    "alt_xuln": "ALT (× ULN)",
    "ast_xuln": "AST (× ULN)",
    "ggt_xuln": "GGT (× ULN)",
    "igg_xuln": "IgG (× ULN)",
    "low_igg_before_treatment": "IgG below the lower limit before treatment",
    "bilirubin": "Bilirubin (µmol/L)",
    "albumin": "Albumin (g/L)",
    "inr": "INR",
    "platelets": "Platelets (10⁹/L)",
}


def derive_baseline(response: Response, *, day: int = 0) -> pd.DataFrame:
    """Return one row per patient with a time zero: who they were then, or on a later day.

    Parameters
    ----------
    day : days since time zero; laboratory values at time zero follow the criteria's rule, later they are the last of
        the two months up to ``day``

    Returns
    -------
    frame indexed by ``patient_id``: ``age`` (years on that day), ``era`` (5-year band of diagnosis), the columns of
    ``PATIENT_COLUMNS``, ``referred_late`` (first seen after time zero; empty where the first visit is not recorded),
    the baseline value of each analyte in its canonical unit (``alt``, …) and in multiples of ULN (``alt_xuln``, …), and
    ``low_igg_before_treatment`` (at time zero whatever ``day``); missing where there is none. Where IgG is low before
    treatment, as in a CVID-like disease or a loss of protein through the bowel, a normal IgG says nothing of the liver:
    complete biochemical response then rests on the transaminases (clinic, rule 10)
    """
    cohort = response.timelines.cohort
    patients = cohort.patients.set_index("patient_id").loc[response.patients]
    ids = pd.Series(patients.index, index=patients.index)
    zero = response.zero.loc[response.patients]
    table = pd.DataFrame(index=patients.index)
    table["age"] = age_at(cohort, ids, zero + pd.Timedelta(days=day)).astype("float64")
    era = patients["diagnosis_era"].fillna(five_years_of(patients["diagnosis_date"]))  # noted where dates were moved
    table["era"] = era.str.replace("-", "–")
    for column in PATIENT_COLUMNS:
        table[column] = patients[column]
    seen = patients["first_seen_date"]
    table["referred_late"] = (seen > zero).astype("boolean").mask(seen.isna())
    for analyte in BASELINE_ANALYTES:
        rows = response.baseline(analyte) if day == 0 else _last_before(response.results, analyte, day)
        start = rows.set_index("patient_id")
        table[analyte] = start["value"].reindex(table.index)
        table[f"{analyte}_xuln"] = start["xuln"].reindex(table.index)
    table["low_igg_before_treatment"] = _has_low_igg(response)
    return table


def _has_low_igg(response: Response) -> pd.arrays.BooleanArray:
    """Return whether the baseline IgG lies below the lower limit of the age at the sample (n,), by ``LOWER_LIMITS``.

    Missing without an interpretable value or an age, and where the sign of the result leaves it open.
    """
    timelines, labs = response.timelines, response.timelines.labs["igg"]
    position = response.baseline_of("igg").position
    had = np.flatnonzero(position >= 0)
    at = position[had]
    drawn = response.zero.iloc[had] + pd.to_timedelta(labs.day[at], unit="D")
    age = age_at(timelines.cohort, pd.Series(response.patients.take(had)), drawn.reset_index(drop=True)).to_numpy(float)
    limits = read_reference_limits()
    limits = limits[(limits["analyte"] == "igg") & (limits["table"] == LOWER_LIMITS)].sort_values("age_from_years")
    band = np.searchsorted(limits["age_from_years"], age, side="right") - 1
    lower = np.where(np.isnan(age) | (band < 0), np.nan, limits["lower"].to_numpy(float)[band])
    value, sign = labs.value[at], labs.sign[at]
    below = ((value < lower) & (sign != ABOVE)) | ((value == lower) & (sign == BELOW) & labs.strict[at])
    above = (value >= lower) & (sign != BELOW)
    low, unknown = np.zeros(timelines.n, dtype=bool), np.ones(timelines.n, dtype=bool)
    low[had], unknown[had] = below, ~below & ~above
    return pd.arrays.BooleanArray(low, unknown)


def _last_before(results: pd.DataFrame, analyte: str, day: int) -> pd.DataFrame:
    rows = results[(results["analyte"] == analyte) & results["day"].between(day - LATER_WITHIN_DAYS, day)]
    return rows.sort_values(["patient_id", "day", "value"], kind="stable").drop_duplicates("patient_id", keep="last")


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return the baseline frame with a clinician's column names and levels; variables that nobody has are left out."""
    named: dict[str, pd.Series] = {}
    for column, words in BASELINE_WORDS.items():
        values = table[column]
        if values.notna().any():
            if pd.api.types.is_bool_dtype(values.dtype):
                named[words] = values.map({True: "yes", False: "no"})
            elif column in _LEVELS:
                shown = {level: LEVEL_WORDS.get(level, level.replace("_", " ")) for level in _LEVELS[column]}
                named[words] = values.map(shown).astype(pd.CategoricalDtype(list(shown.values())))
            else:
                named[words] = values
    return pd.DataFrame(named, index=table.index)
