"""How the disease presented: acute severe hepatitis and paediatric acute liver failure (clinic 19)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.endpoints.events.first_events import Placed, words_of
from aih_outcomes.endpoints.events.liver_events import find_cirrhosis_at_diagnosis
from aih_outcomes.endpoints.events.looks import BASELINE_DAYS
from aih_outcomes.endpoints.response.evaluation import IS_MET, IS_NOT_MET, OPEN, WORDS
from aih_outcomes.endpoints.timelines import ABOVE, BELOW, Days, Flags, Floats, Labs, Timelines

AROUND_DIAGNOSIS = (-30, 14)  # [P] days from diagnosis; INR and encephalopathy of the presentation
SEVERE_INR = 1.5
FAILURE_INR, FAILURE_INR_ALONE = 1.5, 2.0  # with encephalopathy; with or without: Squires et al., J Pediatr 2006 [m]
ACUTE = ("acute", "acute_liver_failure")  # symptoms for up to 26 weeks, as the clinician called it


def derive_presentation(timelines: Timelines) -> pd.DataFrame:
    """Return the phenotype at presentation, three-valued, from the worst INR on days −30 to 14 [P] of diagnosis.

    *Acute severe*: INR of 1.5 or more, an acute presentation and no cirrhosis at diagnosis. The duration of symptoms is
    not recorded, so ``presentation`` stands for it; where it is empty the phenotype is not evaluable. *Acute liver
    failure*: INR of 2.0 or more, or of 1.5 or more with encephalopathy of any grade in the same days. Whether vitamin K
    was given, and a chronic liver disease known before, are not recorded and not asked.

    Returns
    -------
    frame ``patient_id, inr, acute_severe, acute_severe_because, liver_failure, liver_failure_because``
    """
    placed = Placed(timelines)
    diagnosed = placed.patient_day("diagnosis_date")
    inr = _around(diagnosed, timelines.labs["inr"])
    high, very_high = _at_least(inr, SEVERE_INR, timelines.n), _at_least(inr, FAILURE_INR_ALONE, timelines.n)
    patient, day = placed.rows("events", words_of(timelines.cohort.events, "kind") == "encephalopathy")
    confused = np.zeros(timelines.n, dtype=bool)
    confused[patient[_is_around(diagnosed, patient, day)]] = True
    failure = np.where(confused, _at_least(inr, FAILURE_INR, timelines.n), very_high)
    began = placed.patient_words("presentation")
    acute = np.select([began == "", np.isin(began, ACUTE)], [np.nan, 1.0], 0.0)
    without_cirrhosis = 1 - find_cirrhosis_at_diagnosis(timelines, days=BASELINE_DAYS)
    conditions = [high, acute, without_cirrhosis]
    severe = _all_of(conditions)
    against = ["INR below 1.5", "presentation not acute", "cirrhosis at diagnosis"]
    missing = ["INR not known", "presentation not known", "cirrhosis at diagnosis not known"]
    lacking = [*(value == 0 for value in conditions), *(np.isnan(value) for value in conditions)]
    return pd.DataFrame(
        {
            "patient_id": timelines.patients,
            "inr": _worst(inr, timelines.n),
            "acute_severe": WORDS[severe],
            "acute_severe_because": np.select(lacking, [*against, *missing], "criteria met"),
            "liver_failure": WORDS[_all_of([failure])],
            "liver_failure_because": np.select(
                [np.isnan(failure), (failure == 1) & (very_high == 1), failure == 1, confused],
                ["INR not known", "INR of 2.0 or more", "INR of 1.5 or more with encephalopathy", "INR below 1.5"],
                "INR below 2.0, no encephalopathy recorded",
            ),
        }
    )


def _is_around(diagnosed: Floats, patient: Days, day: Days) -> Flags:
    since = day - diagnosed[patient]
    inside: Flags = (since >= AROUND_DIAGNOSIS[0]) & (since <= AROUND_DIAGNOSIS[1])
    return inside


def _around(diagnosed: Floats, labs: Labs) -> Labs:
    return labs.where(_is_around(diagnosed, labs.patient, labs.day))


def _at_least(labs: Labs, limit: float, n: int) -> Floats:
    """Return 1 where any result reaches the limit, 0 where none does, NaN where that is open (n,)."""
    reached = (labs.value >= limit) & (labs.sign != BELOW)
    below = ((labs.value < limit) & (labs.sign != ABOVE)) | ((labs.value == limit) & (labs.sign == BELOW) & labs.strict)
    answer = np.full(n, np.nan)
    for rows, value in ((below, 0.0), (~below & ~reached, np.nan), (reached, 1.0)):
        answer[labs.patient[rows]] = value
    return answer


def _worst(labs: Labs, n: int) -> Floats:
    order = np.argsort(labs.value, kind="stable")
    highest = np.full(n, np.nan)
    highest[labs.patient[order]] = labs.value[order]  # of several the last written stays: the highest
    return highest


def _all_of(values: list[Floats]) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """Return 1 where all hold, 0 where any does not, −1 otherwise."""
    together = np.stack(values)
    any_not, all_hold = (together == 0).any(axis=0), (together == 1).all(axis=0)
    return np.select([any_not, all_hold], [IS_NOT_MET, IS_MET], OPEN).astype(np.int8)
