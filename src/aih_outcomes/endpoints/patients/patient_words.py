"""What each column of the patient table means: labels, units and codes for an analysis set."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from aih_outcomes.endpoints.course.difficult import CATEGORIES
from aih_outcomes.endpoints.events.endpoint import ENDPOINTS
from aih_outcomes.endpoints.groups.groups import GROUP_LEVELS
from aih_outcomes.endpoints.patients.analysis_set import (
    STATUS_LEVELS,
    STATUS_MISSING,
    YES_NO_LEVELS,
    AnalysisSet,
    Variable,
)
from aih_outcomes.endpoints.patients.baseline import BASELINE_WORDS, derive_baseline
from aih_outcomes.endpoints.patients.patient_table import KEYS, derive_endpoints
from aih_outcomes.endpoints.response.fall_categories import FALL_CATEGORIES
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.rules import analyte_in_words
from aih_outcomes.outcomes import CENSORED
from aih_outcomes.schema import TABLES
from aih_outcomes.units import canonical_units

# Key of an endpoint → words; ``_day``, ``_without`` and ``_event`` are added where the table has them.
STATUS_WORDS: dict[str, str] = {
    "response_by_6m": "Response by 6 months",
    "response_at_6m": "Response at 6 months",
    "response_at_6m_tolerant": "Response at 6 months, tolerant window",
    "response_by_12m": "Response by 12 months",
    "response_at_12m": "Response at 12 months",
    "transaminases_by_6m": "Response without IgG by 6 months",
    "transaminases_at_6m": "Response without IgG at 6 months",
    "transaminases_by_12m": "Response without IgG by 12 months",
    "transaminases_at_12m": "Response without IgG at 12 months",
    "non_response_4w": "Non-response at 4 weeks",
    "rapid_response_8w": "Rapid response at 8 weeks",
    "loss": "Loss of response",
    "loss_off_treatment": "Loss of response after withdrawal",
    "steroid_free": "Steroid-free response",
    "low_dose": "Response on low-dose steroid",
    "withdrawal": "Withdrawal of all immunosuppression",
    "sustained_off_treatment": "Sustained treatment-free response",
    "second_line": "Second-line treatment",
    "treatment_failure": "Treatment failure",
    "histological_remission": "Histological remission",
    "cirrhosis": "Cirrhosis, new",
    "varices": "Varices, new",
    "portal_hypertension": "Portal hypertension, new",
    "asc_conversion": "Conversion to ASC",
} | {name: name.replace("_", " ").replace("steroid ", "steroid-").capitalize() for name in CATEGORIES}
EVENT_WORDS: dict[str, str] = {
    "native_liver": "Native-liver survival",
    "overall_survival": "Overall survival",
    "transplant": "Transplant",
    "liver_event": "Transplant or liver death",
    "liver_event_2": "Same, unexplained deaths counted",
    "hcc": "Hepatocellular carcinoma",
    "decompensation": "Decompensation",
    "complicated": "Complicated liver disease",
    "line_two": "Second line or advanced therapy",
}
OTHER_WORDS: dict[str, tuple[str, str]] = {
    "response_day": ("First response: onset", "days"),
    "response_known_day": ("First response: known", "days"),
    "fall_4w": ("Fall of ALT and AST by 4 weeks", ""),
    "group_6m": ("Group at 6 months", ""),
    "n_flares": ("Flares", ""),
    "days_at_risk_of_flare": ("Time at risk of a flare", "days"),
    "alt_in_range_12m": ("Share of the first year with ALT in range", ""),
    "empirical_advanced_day": ("Empirical advanced therapy begun", "days"),
    "gene_matched_day": ("Gene-matched therapy begun", "days"),
    "steroid_mg_per_kg_6m": ("Prednisolone, first 6 months", "mg/kg"),
    "steroid_mg_per_kg_12m": ("Prednisolone, first 12 months", "mg/kg"),
    "days_above_low_dose_12m": ("Days above 0.2 mg/kg/day, first 12 months", "days"),
    "n_adverse_events": ("Adverse events", ""),
    "n_serious_events": ("Serious adverse events", ""),
    "days_at_risk_of_event": ("Time at risk of an adverse event", "days"),
    "height_z_change_12m": ("Change of height z-score at 12 months", "SD"),
    "weight_z_change_12m": ("Change of weight z-score at 12 months", "SD"),
}
LEVELS: dict[str, tuple[str, ...]] = {
    "fall_4w": FALL_CATEGORIES,
    "group_6m": GROUP_LEVELS,
    **{column.name: column.levels for column in TABLES["patients"].columns if column.levels},
    **{
        f"{_short}_event": tuple(dict.fromkeys([CENSORED, *ENDPOINTS[_name].event_names]))
        for _name, _short in KEYS.items()
    },
}
SUFFIX_WORDS = {"_day": "day found or left", "_without": "last day without", "_event": "how it ended"}


def derive_analysis_set(response: Response) -> AnalysisSet:
    """Return one row per patient: who they were before treatment, and every endpoint; days since time zero.

    Line-level, with pseudonyms: for internal use. No date of birth and no calendar date is in it.
    """
    start = derive_baseline(response).dropna(axis="columns", how="all").reset_index()
    start = start[[name for name in start if name in {"patient_id", *BASELINE_WORDS, *canonical_units()}]]
    found = derive_endpoints(response).drop(columns="patient_id")
    frame = pd.concat([start, found], axis="columns")
    variables = tuple(_variable(str(name), frame[name]) for name in frame)
    return AnalysisSet(frame, variables, response.timelines.cohort.label)


def _variable(name: str, values: pd.Series) -> Variable:
    """Return what a column means."""
    if name in STATUS_WORDS:
        return Variable(name=name, label=STATUS_WORDS[name], levels=STATUS_LEVELS, missing=STATUS_MISSING)
    label, unit = _words_of(name)
    return Variable(name=name, label=label, unit=unit, levels=_levels(name, values))


def _words_of(name: str) -> tuple[str, str]:
    """Return label and unit of a column that is no status."""
    if name == "patient_id":
        return "Pseudonym", ""
    if name in canonical_units():
        return f"{analyte_in_words(name)} before treatment", canonical_units()[name]
    if name in OTHER_WORDS or name in BASELINE_WORDS:
        return OTHER_WORDS.get(name) or (BASELINE_WORDS[name], "")
    suffix = next(suffix for suffix in SUFFIX_WORDS if name.endswith(suffix))
    stem = name.removesuffix(suffix)
    return f"{(STATUS_WORDS | EVENT_WORDS)[stem]}: {SUFFIX_WORDS[suffix]}", "" if suffix == "_event" else "days"


def _levels(name: str, values: pd.Series) -> Mapping[int, str]:
    """Return the codes of a column of words, the same in every cohort; none for numbers."""
    if name == "patient_id" or (pd.api.types.is_numeric_dtype(values.dtype) and not _yes_no(values)):
        return {}
    if _yes_no(values):
        return YES_NO_LEVELS
    words = LEVELS.get(name) or tuple(sorted(set(values.dropna()) - {""}))
    return dict(enumerate(words, start=1))


def _yes_no(values: pd.Series) -> bool:
    return pd.api.types.is_bool_dtype(values.dtype)
