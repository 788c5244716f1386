"""Steroid burden: how much prednisolone up to a day, by weight and surface, with pulses and budesonide apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_drugs
from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import TimeZero
from aih_outcomes.endpoints.patients.growth_reference import EVALUABLE
from aih_outcomes.endpoints.response.evaluation import NOT_EVALUABLE
from aih_outcomes.endpoints.rules import TreatmentRule
from aih_outcomes.endpoints.spells import add_doses
from aih_outcomes.endpoints.timelines import Days, Flags, Floats, Timelines, Treatments, derive_timelines
from aih_outcomes.endpoints.treatment.body_size import compute_surface, find_height, find_weight
from aih_outcomes.endpoints.treatment.dosing import AT_LIMIT, hand_over, steroid_rows
from aih_outcomes.endpoints.treatment.exposure import FINE, amount_before
from aih_outcomes.errors import PlanError

# [P] Intravenous methylprednisolone is a pulse from either of these daily doses on; below, it is induction by vein.
PULSE_MG_PER_KG, PULSE_MG = 10.0, 250.0


@dataclass(frozen=True, slots=True, eq=False)
class Burden:
    """Steroid up to a day, one entry per patient and day asked, by patient; NaN where not known.

    ``because`` says what keeps ``mg_per_kg`` from being evaluable; empty where nothing does.
    """

    patient: Days
    until_day: Days
    because: NDArray[np.object_]
    followed_days: Floats
    mg: Floats
    mg_per_kg: Floats
    mean_mg_per_kg: Floats
    mg_per_m2: Floats
    days_above_low_dose: Floats
    pulse_mg: Floats
    pulse_days: Floats
    budesonide_days: Floats


def derive_steroid_burden(
    cohort: Cohort, *, time_zero: TimeZero = "induction", until_days: Sequence[int] = (28, 182, 365)
) -> pd.DataFrame:
    """Add up systemic steroid for autoimmune hepatitis over the first days of follow-up with the native liver.

    Day 0 is the first of them: up to day 28 are the 28 days 0 to 27. Doses are prednisolone equivalents, as prescribed;
    by the dry weight nearest the first day of each dose (within 60 days) and by surface (height within 180 days [P],
    Mosteller). Pulses of intravenous methylprednisolone (from 10 mg/kg or 250 mg a day [P]) are counted apart and are
    in no other column; so is oral budesonide, which has no equivalence.

    Returns
    -------
    frame, one row per patient and day asked: ``patient_id, until_day, status`` (of ``mg_per_kg``), ``because,
    followed_days, mg, mg_per_kg, mean_mg_per_kg`` (per day), ``mg_per_m2, days_above_low_dose`` (above 0.2 mg/kg/day),
    ``pulse_mg, pulse_days, budesonide_days``. Whoever was not followed to the day has none of them.

    Raises
    ------
    PlanError : a day asked is not after time zero
    """
    timelines = derive_timelines(cohort, time_zero=time_zero)
    found = find_steroid_burden(timelines, until_days)
    table = pd.DataFrame({field.name: getattr(found, field.name) for field in fields(Burden)[1:]})
    table.insert(0, "patient_id", timelines.patients.take(found.patient))
    table.insert(2, "status", np.where(found.because == "", EVALUABLE, NOT_EVALUABLE))
    return table


def find_steroid_burden(timelines: Timelines, until_days: Sequence[int]) -> Burden:
    """Return ``derive_steroid_burden`` as arrays: one entry per patient and day asked, the days of a patient together.

    Raises
    ------
    PlanError : a day asked is not after time zero
    """
    if min(until_days, default=1) < 1:
        raise PlanError("A burden up to day 0 or earlier", "Burden is added up from day 0 on", "Correct until_days")
    patient = np.repeat(np.arange(timelines.n), len(until_days))
    until = np.tile(np.asarray(until_days, dtype=np.int64), timelines.n)
    last = timelines.last_day[patient]
    followed = np.fmax(0, np.minimum(last, np.fmin(timelines.failed_day[patient], until)))
    recorded = np.isin(patient, timelines.treatments.patient[timelines.treatments.for_aih])
    complete = (followed >= until) & recorded  # whose treatment was never entered has no dose of 0
    sums = {name: np.where(complete, amount, np.nan) for name, amount in _add_up(timelines, patient, until).items()}
    because = np.select(
        [np.isnan(last), ~recorded, ~complete, np.isnan(sums["mg"]), np.isnan(sums["mg_per_kg"])],
        [
            "no follow-up",
            "no treatment recorded",
            "not followed so long",
            "dose not recorded",
            "no weight within 60 days of a dose",
        ],
        "",
    ).astype(object)
    return Burden(patient, until, because, followed, mean_mg_per_kg=sums["mg_per_kg"] / until, **sums)


def _add_up(timelines: Timelines, patient: Days, until: Days) -> dict[str, Floats]:
    """Return each measure of each patient from day 0 up to the day asked."""
    rows = steroid_rows(timelines)
    weight = find_weight(timelines, rows.patient, rows.start)
    pulse = is_pulse(rows, weight)
    surface = compute_surface(find_height(timelines, rows.patient, rows.start), weight)
    per_kg = rows.prednisolone / weight

    def total(chosen: Flags, dose: Floats) -> Floats:
        steps = add_doses(_from_day_0(rows.where(chosen)), dose[chosen] * FINE)
        return amount_before(steps, patient, until) / FINE

    usual = ~pulse & (rows.dose != 0)
    steps = add_doses(_from_day_0(rows.where(usual)), per_kg[usual])
    above = (steps.dose > TreatmentRule().low_dose_mg_per_kg * (1 + AT_LIMIT)).astype(float)
    high = replace(steps, dose=np.where(np.isnan(steps.dose), np.nan, above))
    given = timelines.treatments
    topical = given.where(timelines.of_class("topical_steroid") & given.systemic & given.for_aih & (given.dose != 0))
    budesonide = add_doses(_from_day_0(hand_over(topical)), np.ones(len(topical.start)))
    one = np.ones(len(rows.start))
    return {
        "mg": total(usual, rows.prednisolone),
        "mg_per_kg": total(usual, per_kg),
        "mg_per_m2": total(usual, rows.prednisolone / surface),
        "days_above_low_dose": amount_before(high, patient, until),
        "pulse_mg": total(pulse, rows.prednisolone),
        "pulse_days": total(pulse, one),
        "budesonide_days": amount_before(
            replace(budesonide, dose=budesonide.given.astype(float)), patient, until
        ),
    }  # fmt: skip


def is_pulse(rows: Treatments, weight: Floats) -> Flags:
    """Return which periods are pulses: intravenous methylprednisolone from either daily dose on."""
    methylprednisolone = (read_drugs()["drug"] == "methylprednisolone").to_numpy(bool)[rows.drug]
    large = (rows.dose >= PULSE_MG) | (rows.dose / weight >= PULSE_MG_PER_KG * (1 - AT_LIMIT))
    return methylprednisolone & rows.intravenous & large


def _from_day_0(rows: Treatments) -> Treatments:
    """Return periods without their days before time zero; a period wholly before it ends before it starts."""
    return replace(rows, start=np.maximum(rows.start, 0))
