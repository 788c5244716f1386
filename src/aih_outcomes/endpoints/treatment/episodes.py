"""Episodes: courses of one drug for one indication, through changes of dose and short pauses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aih_outcomes.catalogue import read_drugs
from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import INDUCTION_CLASSES, TimeZero
from aih_outcomes.endpoints.spells import join
from aih_outcomes.endpoints.timelines import NEVER, Days, Flags, Floats, Timelines, derive_timelines, once
from aih_outcomes.schema import INDICATIONS

COURSE_GAP_DAYS = 30  # [P] a longer pause ends a course; a change of dose does not
AIH = INDICATIONS.index("aih")
ANTI_TNF = "anti_tnf"


@dataclass(frozen=True, slots=True, eq=False)
class Episodes:
    """Courses by patient, drug, indication and first day; each array has one entry per course.

    ``drug`` is a position in the catalogue, ``indication`` one in ``schema.INDICATIONS``, ``stop`` the last day
    (``NEVER`` while it goes on), ``last_row`` the position in ``cohort.treatments`` of the period that ended it.
    ``before_diagnosis``: begun before the diagnosis of autoimmune hepatitis. ``of_period`` is the course of each row of
    ``timelines.treatments``.
    """

    patient: Days
    drug: Days
    indication: Days
    start: Days
    stop: Days
    n_periods: Days
    last_row: Days
    before_diagnosis: Flags
    of_period: Days

    def is_line(self, timelines: Timelines) -> Flags:
        """Return which may belong to a line: for autoimmune hepatitis and, steroid apart, not before the diagnosis."""
        steroid = np.isin(timelines.drug_classes, INDUCTION_CLASSES)[self.drug]
        allowed: Flags = (self.indication == AIH) & (steroid | ~self.before_diagnosis)
        return allowed


@once
def find_episodes(timelines: Timelines) -> Episodes:
    """Join periods of one drug for one indication that lie no more than 30 free days apart."""
    given = timelines.treatments
    n_drugs, n_indications = len(timelines.drug_classes), len(INDICATIONS)
    named = timelines.cohort.treatments["indication"].to_numpy(object)[given.row]
    indication = pd.Index(INDICATIONS).get_indexer(pd.Index(named))
    key = (given.patient * n_drugs + given.drug) * n_indications + indication
    stop = np.maximum(given.start, given.stop)
    courses = join(key, given.start, stop, gap=COURSE_GAP_DAYS)
    course = courses.at(key, given.start)
    last_row = np.zeros(len(courses.start), dtype=np.int64)
    order = np.lexsort((given.row, given.start, stop))
    last_row[course[order]] = given.row[order]  # of several the last written stays: the period that ends last
    patient = courses.patient // (n_drugs * n_indications)
    return Episodes(
        patient, courses.patient // n_indications % n_drugs, courses.patient % n_indications, courses.start,
        courses.stop, np.bincount(course, minlength=len(courses.start)), last_row,
        ~(courses.start >= _diagnosis_day(timelines)[patient]), course,
    )  # fmt: skip


def _diagnosis_day(timelines: Timelines) -> Floats:
    table = timelines.cohort.patients
    patient, day, known = timelines.place(table["patient_id"], table["diagnosis_date"])
    diagnosed = np.full(timelines.n, np.nan)
    diagnosed[patient[known]] = day[known]
    return diagnosed


def derive_episodes(cohort: Cohort, *, time_zero: TimeZero = "induction") -> pd.DataFrame:
    """Return courses of treatment, whatever they were given for: one row per patient, drug, indication and course.

    Pauses of up to 30 days are bridged [P]. A course for another indication, or begun before the diagnosis, is listed
    and is no line of treatment of autoimmune hepatitis (``is_line``). An anti-TNF drug begun before the diagnosis is
    flagged: it can cause a hepatitis like it.

    Returns
    -------
    frame ``patient_id, drug, drug_class, indication, start, stop`` (days since time zero; stop is the last day, empty
    while it goes on), ``ongoing, n_periods, reason_stopped, is_line, before_diagnosis, anti_tnf_before_diagnosis``
    """
    timelines = derive_timelines(cohort, time_zero=time_zero)
    found, drugs = find_episodes(timelines), read_drugs()
    classes, ongoing = timelines.drug_classes[found.drug], found.stop == NEVER
    table = pd.DataFrame(
        {
            "patient_id": timelines.patients.take(found.patient),
            "drug": drugs["drug"].to_numpy(object)[found.drug],
            "drug_class": classes,
            "indication": np.array(INDICATIONS, dtype=object)[found.indication],
            "start": found.start,
            "stop": pd.array(np.where(ongoing, 0, found.stop), dtype="Int64"),
            "ongoing": ongoing,
            "n_periods": found.n_periods,
            "reason_stopped": cohort.treatments["reason_stopped"].array.take(found.last_row),
            "is_line": found.is_line(timelines),
            "before_diagnosis": found.before_diagnosis,
            "anti_tnf_before_diagnosis": found.before_diagnosis & (classes == ANTI_TNF),
        }
    )
    table.loc[ongoing, "stop"] = pd.NA
    return table.sort_values(["patient_id", "start", "drug", "indication"], kind="stable", ignore_index=True)
