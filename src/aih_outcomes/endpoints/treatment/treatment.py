"""Treatment as tables: what was given for autoimmune hepatitis, when each kind began, and the steroid dose."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.catalogue import read_drugs
from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.timelines import Floats, Timelines, derive_timelines
from aih_outcomes.endpoints.treatment.body_size import find_weight
from aih_outcomes.endpoints.treatment.dosing import steroid_steps
from aih_outcomes.endpoints.treatment.episodes import find_episodes
from aih_outcomes.endpoints.treatment.genes import find_matches
from aih_outcomes.endpoints.treatment.starts import find_starts

STARTS = ("induction", "second_line", "empirical_advanced", "gene_matched")


def aih_treatments(cohort: Cohort) -> pd.DataFrame:
    """Return treatments given for autoimmune hepatitis, with class, whether advanced, and when the course began.

    Drugs for bowel, joint or blood are no line of AIH treatment; nor is a course that began before the diagnosis,
    whatever its later dose. Steroids are kept: in an acute presentation they precede the biopsy.

    Returns
    -------
    frame of the columns of ``treatments``, ``row`` (position there), ``drug_class, advanced, prednisolone_factor,
    course_start``
    """
    timelines = derive_timelines(cohort, time_zero="diagnosis")
    given, episodes, drugs = timelines.treatments, find_episodes(timelines), read_drugs()
    kept = np.flatnonzero(episodes.is_line(timelines)[episodes.of_period])
    kept = kept[np.argsort(given.row[kept])]
    of_drug = drugs.iloc[given.drug[kept]]
    rows = cohort.treatments.iloc[given.row[kept]].reset_index(names="row")
    return rows.assign(
        drug_class=of_drug["drug_class"].to_numpy(object),
        advanced=of_drug["advanced"].to_numpy(bool),
        prednisolone_factor=of_drug["prednisolone_factor"].to_numpy(float),
        course_start=_dates(timelines.zero.iloc[given.patient[kept]], episodes.start[episodes.of_period[kept]]),
    )


def derive_treatment_starts(cohort: Cohort) -> pd.DataFrame:
    """Return when each kind of treatment began.

    Returns
    -------
    frame ``patient_id, induction, second_line, empirical_advanced, gene_matched`` (dates; empty where never), one row
    per patient. The first thiopurine after steroid is line 1 at any time. Mycophenolate and calcineurin inhibitors are
    line 2 after a thiopurine or mycophenolate, or begun later after the steroid than ``LINE_ONE_DAYS``; methotrexate is
    line 2 after either or after the steroid. A drug that was line 1 stays so when it is begun again.
    """
    timelines = derive_timelines(cohort, time_zero="diagnosis")
    starts = find_starts(timelines)
    days = {name: _dates(timelines.zero, getattr(starts, name)) for name in STARTS}
    return pd.DataFrame({"patient_id": timelines.patients, **days})


def gene_matched_rows(cohort: Cohort, advanced: pd.DataFrame) -> pd.Series:
    """Return the rows (column ``row``) of advanced drugs that were chosen for a gene.

    The drug acts on the pathway of a variant that stood as class 4 or 5, with its mechanism confirmed, on the first day
    of the course.
    """
    timelines = derive_timelines(cohort, time_zero="diagnosis")
    patient, day, _ = timelines.place(advanced["patient_id"], advanced["course_start"])
    matched = np.zeros(len(advanced), dtype=bool)
    for name, stood in find_matches(timelines, "drug_class").items():
        matched |= (advanced["drug_class"] == name).to_numpy(bool) & stood.covers(patient, day)
    return advanced.loc[matched, "row"]


def derive_steroid_dose(cohort: Cohort, zero: pd.Series, days: tuple[int, ...]) -> pd.DataFrame:
    """Return the systemic steroid dose for autoimmune hepatitis in effect on given days since time zero.

    Parameters
    ----------
    zero : date of time zero (index ``patient_id``)
    days : days since time zero; patients no longer followed on a day have no row for it

    Returns
    -------
    frame ``patient_id, day, mg_per_day, mg_per_kg``: prednisolone equivalents; 0 where no steroid was given, missing
    where the dose of one was not recorded; ``mg_per_kg`` is missing without a weight within 60 days. Budesonide has no
    equivalent and is left out.
    """
    timelines = Timelines(cohort, "induction", zero.sort_index())
    patient = np.repeat(np.arange(timelines.n), len(days))
    day = np.tile(np.asarray(days, dtype=np.int64), timelines.n)
    followed = day <= timelines.last_day[patient]
    patient, day = patient[followed], day[followed]
    dose = steroid_steps(timelines).at(patient, day)
    per_kg = np.where(dose == 0, 0.0, dose / find_weight(timelines, patient, day))
    ids = timelines.patients.take(patient)
    return pd.DataFrame({"patient_id": ids, "day": day, "mg_per_day": dose, "mg_per_kg": per_kg})


def weight_at(cohort: Cohort, patient_id: pd.Series, date: pd.Series) -> pd.Series:
    """Return the dry weight (kg) nearest each date, within 60 days; missing where there is none."""
    timelines = derive_timelines(cohort, time_zero="diagnosis")
    patient, day, known = timelines.place(patient_id, date)
    weight = np.full(len(patient), np.nan)
    weight[known] = find_weight(timelines, patient[known], day[known])
    return pd.Series(weight, index=date.index)


def _dates(zero: pd.Series, day: Floats | np.ndarray) -> pd.Series:
    """Return calendar days; empty where ``day`` is NaN."""
    known = ~np.isnan(day)
    dates = zero.to_numpy("datetime64[D]") + np.where(known, day, 0).astype("timedelta64[D]")
    return pd.Series(np.where(known, dates, np.datetime64("NaT")).astype("datetime64[s]"))
