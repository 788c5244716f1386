"""What is known of each patient on a day: age, results, and what happened before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.cohort import DAYS_PER_YEAR, Cohort
from aih_outcomes.endpoints.clock import INDUCTION_CLASSES
from aih_outcomes.endpoints.patients.baseline import LATER_WITHIN_DAYS
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.scores.ranges import Range, exactly, read_signs
from aih_outcomes.endpoints.scores.words import Words
from aih_outcomes.endpoints.timelines import Days, Flags, Floats, Timelines, first_of, last_of, take

DIALYSIS_WITHIN_DAYS = 7  # OPTN; [P] one recorded dialysis stands for the two, or 24 hours, that the rule asks for
WORST_GRADE = {"ascites": 3, "encephalopathy": 4}


@dataclass(frozen=True, eq=False)
class Known:
    """What is known on a day since time zero, per patient (n,)."""

    cohort: Cohort
    response: Response
    day: int

    @property
    def timelines(self) -> Timelines:
        """The cohort on the response's clock."""
        return self.response.timelines

    @cached_property
    def date(self) -> NDArray[np.datetime64]:
        """The calendar day."""
        zero: NDArray[np.datetime64] = self.timelines.zero.to_numpy("datetime64[D]")
        return zero + np.timedelta64(self.day, "D")

    @cached_property
    def patient_rows(self) -> Days:
        """Position of each patient in the table ``patients``."""
        listed = pd.Index(self.cohort.patients["patient_id"].to_numpy(object))
        return listed.get_indexer(pd.Index(self.timelines.patients.to_numpy(object))).astype(np.int64)

    def fact(self, name: str) -> Floats:
        """Return a yes/no column of ``patients``: 1 yes, 0 no, NaN not known."""
        return self.cohort.patients[name].to_numpy(float, na_value=np.nan)[self.patient_rows]

    def level(self, name: str, levels: dict[str, float]) -> Floats:
        """Return a text column of ``patients`` as numbers; NaN where it is none of the levels."""
        return as_numbers(self.cohort.patients[name], levels)[self.patient_rows]

    @cached_property
    def age(self) -> Floats:
        """Age in years; NaN where neither date of birth nor age at diagnosis is known."""
        patients = self.cohort.patients
        diagnosed = patients["diagnosis_date"].to_numpy("datetime64[D]")[self.patient_rows]
        at_diagnosis = patients["age_at_diagnosis"].to_numpy(float)[self.patient_rows]
        since = _in_years(self.date - diagnosed)
        from_birth = _in_years(self.date - self._born)
        return np.where(np.isnat(self._born), at_diagnosis + since, from_birth)

    def has_reached(self, years: int) -> Flags:
        """Return whether the birthday has come: by the calendar where the date of birth is known, else by the age."""
        month = self._born.astype("datetime64[M]")
        birthday = (month + 12 * years).astype("datetime64[D]") + (self._born - month)
        return np.where(np.isnat(self._born), self.age >= years, self.date >= birthday)

    @cached_property
    def _born(self) -> NDArray[np.datetime64]:
        dates: NDArray[np.datetime64] = self.cohort.patients["birth_date"].to_numpy("datetime64[D]")
        return dates[self.patient_rows]

    @cached_property
    def failed(self) -> Flags:
        """Whether transplant or death came by this day."""
        return self.timelines.failed_day <= self.day

    @cached_property
    def treated_days(self) -> Floats:
        """Days since the first systemic steroid for autoimmune hepatitis; NaN where none was given."""
        given = self.timelines.treatments
        induction = self.timelines.of_class(*INDUCTION_CLASSES) & given.systemic & given.for_aih
        return self.day - take(given.start, first_of(given.patient, induction, self.timelines.n))

    @cached_property
    def dialysis(self) -> Flags:
        """Whether a dialysis is recorded within 7 days up to this day."""
        patient, day, _ = self.events("dialysis")
        recent = (day <= self.day) & (day > self.day - DIALYSIS_WITHIN_DAYS)
        return last_of(patient, recent, self.timelines.n) >= 0

    def grade(self, kind: str) -> Range:
        """Return the grade of ascites or encephalopathy: 0 where it never happened.

        An event of the two months before counts with its grade, any from 1 where none was written down; an older one
        may have passed or not, so that every grade is possible [P].
        """
        patient, day, row = self.events(kind)
        n = self.timelines.n
        recent = last_of(patient, (day <= self.day) & (day >= self.day - LATER_WITHIN_DAYS), n)
        older = last_of(patient, day < self.day - LATER_WITHIN_DAYS, n) >= 0
        written = np.minimum(take(self.cohort.events["grade"].to_numpy(float, na_value=np.nan)[row], recent), 4)
        worst = float(WORST_GRADE[kind])
        ungraded = np.isnan(written)
        low = np.select([recent < 0, ungraded], [0.0, 1.0], written)
        return Range(low, np.select([(recent < 0) & ~older, (recent < 0) | ungraded], [0.0, worst], written))

    def events(self, kind: str) -> tuple[Days, Days, Days]:
        """Return patient, day and row of the events of a kind, by patient and day."""
        kinds, patient, day, row = self._events
        own = kinds == kind
        return patient[own], day[own], row[own]

    @cached_property
    def _events(self) -> tuple[Words, Days, Days, Days]:
        patient, day, row = self.dated(self.cohort.events)
        return self.cohort.events["kind"].to_numpy(object, na_value="")[row], patient, day, row

    def dated(self, table: pd.DataFrame) -> tuple[Days, Days, Days]:
        """Return patient, day and row of a table's rows, by patient and day."""
        return self.timelines.dated(table[["patient_id", "date"]], np.ones(len(table), dtype=bool))

    def result(self, analyte: str) -> tuple[Range, Range]:
        """Return a result in the canonical unit and × ULN, with what its sign leaves open.

        At time zero it is the criteria's baseline value; later the last of the two months before, of one day the
        highest, as in ``derive_baseline``.
        """
        labs = self.timelines.labs[analyte]
        if self.day == 0:
            position = self.response.baseline_of(analyte).position
        else:
            usable = self.response.interpretable[analyte] & (labs.day <= self.day)
            rows = np.flatnonzero(usable & (labs.day >= self.day - LATER_WITHIN_DAYS))
            rows = rows[np.lexsort((labs.value[rows], labs.day[rows]))]
            position = np.full(self.timelines.n, -1, dtype=np.int64)
            position[labs.patient[rows]] = rows  # of several rows of one patient the last written stays
        value = take(labs.value, position)
        found = read_signs(value, take(labs.sign, position), take(labs.strict, position) == 1)
        return found, found.scaled(take(labs.xuln, position) / value)

    @cached_property
    def stiffness(self) -> Floats:
        """The last liver stiffness of the two months before (kPa); NaN without one."""
        imaging = self.cohort.imaging
        kilopascal = imaging["stiffness"].to_numpy(float)
        patient, day, row = self.dated(imaging)
        recent = (day <= self.day) & (day >= self.day - LATER_WITHIN_DAYS) & ~np.isnan(kilopascal[row])
        return take(kilopascal[row], last_of(patient, recent, self.timelines.n))

    def given(self, facts: pd.Series | None) -> Range:
        """Return a yes/no series indexed by ``patient_id`` as a range; all missing without one."""
        if facts is None:
            return exactly(np.full(self.timelines.n, np.nan))
        found = facts.astype("boolean").reindex(self.timelines.patients)
        return exactly(np.asarray(found.to_numpy(float, na_value=np.nan), dtype=float))


def as_numbers(texts: pd.Series, levels: dict[str, float]) -> Floats:
    """Return a text column as numbers; NaN where it is none of the levels."""
    said = texts.to_numpy(object, na_value="")
    return np.select([said == level for level in levels], list(levels.values()), np.nan)


def _in_years(span: NDArray[np.timedelta64]) -> Floats:
    days: Floats = span / np.timedelta64(1, "D")  # NaT becomes NaN
    return days / DAYS_PER_YEAR
