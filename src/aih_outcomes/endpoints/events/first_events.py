"""Where the dates of events come from, as data, and which of them came first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.endpoints.timelines import Days, Flags, Floats, Timelines
from aih_outcomes.endpoints.treatment.starts import find_starts

Value = TypeVar("Value", bound=np.generic)

TREATMENT_STARTS = "treatment_starts"  # not a table: the day on which each kind of treatment began


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a date comes from: the rows of one cohort table that count, or a start of treatment.

    Attributes
    ----------
    table : name of a table of the cohort; or ``treatment_starts``, whose ``date`` is a kind of treatment
    where : column → accepted values, ``""`` for an empty cell; data, never an expression to evaluate
    at_least : column → least value; an empty cell is never enough
    date : column of the date
    because : the name of the event, or the reason of censoring
    """

    table: str
    where: Mapping[str, tuple[str, ...]]
    at_least: Mapping[str, float] = field(default_factory=dict)
    date: str = "date"
    because: str

    def rows(self, table: pd.DataFrame) -> Flags:
        """Return which rows of its table count."""
        chosen = np.ones(len(table), dtype=bool)
        for column, accepted in self.where.items():
            chosen &= np.isin(words_of(table, column), accepted)
        for column, least in self.at_least.items():
            chosen &= table[column].to_numpy(float, na_value=np.nan) >= least
        return chosen


@dataclass(frozen=True, eq=False)
class Placed:
    """Questions to a cohort's tables on its clock."""

    timelines: Timelines

    def place(self, table: str, date: str = "date") -> tuple[Days, Days, Flags]:
        """Return patient, day and whether both are known, for each row of a table."""
        return self.timelines.place_table(getattr(self.timelines.cohort, table), date)

    def rows(self, table: str, chosen: Flags, date: str = "date") -> tuple[Days, Days]:
        """Return patient and day of the chosen rows of a table, of patients with a time zero."""
        patient, day, known = self.place(table, date)
        kept = chosen & known
        return patient[kept], day[kept]

    def patient_day(self, date: str) -> Floats:
        """Return the day of a date in the table ``patients`` (n,); NaN where it is empty."""
        patient, day, known = self.place("patients", date)
        when = np.full(self.timelines.n, np.nan)
        when[patient[known]] = day[known]
        return when

    def patient_words(self, column: str) -> NDArray[np.object_]:
        """Return a column of the table ``patients`` (n,), an empty cell as the empty text."""
        return self._of_patients(words_of(self.timelines.cohort.patients, column), "")

    def patient_flags(self, column: str) -> Floats:
        """Return a yes-or-no column of the table ``patients`` (n,): 1, 0, NaN where it is empty."""
        flags = self.timelines.cohort.patients[column].to_numpy(float, na_value=np.nan)
        return self._of_patients(flags, np.nan)

    def _of_patients(self, values: NDArray[Value], missing: object) -> NDArray[Value]:
        patient = self.timelines.positions(self.timelines.cohort.patients["patient_id"])
        found = np.full(self.timelines.n, missing, dtype=values.dtype)
        found[patient[patient >= 0]] = values[patient >= 0]
        return found

    def days(self, source: Source) -> tuple[Days, Floats]:
        """Return patient and day of the rows of a source that count, of patients with a time zero."""
        if source.table == TREATMENT_STARTS:
            day: Floats = getattr(find_starts(self.timelines), source.date)
            patient = np.flatnonzero(~np.isnan(day))
            return patient, day[patient]
        chosen = source.rows(self.timelines.cohort.tables()[source.table])
        patient, days = self.rows(source.table, chosen, source.date)
        return patient, days.astype(float)

    def first(self, sources: Sequence[Source]) -> tuple[Floats, Days]:
        """Return the earliest day among the sources and which it was (n,); NaN and −1 where there is none.

        Of two on one day the source named first counts.
        """
        n = self.timelines.n
        best, which = np.full(n, np.inf), np.full(n, -1, dtype=np.int64)
        for k, source in enumerate(sources):
            day = np.full(n, np.inf)
            np.minimum.at(day, *self.days(source))
            which[day < best] = k
            best = np.minimum(best, day)
        return np.where(which >= 0, best, np.nan), which

    def last(self, sources: Sequence[Source]) -> Floats:
        """Return the latest day among the sources (n,); NaN where there is none."""
        day = np.full(self.timelines.n, -np.inf)
        for source in sources:
            np.maximum.at(day, *self.days(source))
        return np.where(np.isinf(day), np.nan, day)

    def without_zero(self, sources: Sequence[Source]) -> Flags:
        """Return, for each patient without a time zero, whether any source has a row of theirs."""
        everyone = self.timelines.cohort.patients["patient_id"]
        without = everyone.to_numpy(object)[self.timelines.positions(everyone) < 0]
        had = np.zeros(len(without), dtype=bool)
        for source in sources if len(without) else ():
            if source.table != TREATMENT_STARTS:
                table = self.timelines.cohort.tables()[source.table]
                dated = source.rows(table) & table[source.date].notna().to_numpy(bool)
                had |= np.isin(without, table["patient_id"].to_numpy(object)[dated])
        return had


def first_seen(placed: Placed) -> Floats:
    """Return the day from which each patient is followed (n,): first seen, else the start of follow-up, never < 0."""
    seen = placed.patient_day("first_seen_date")
    patient, day, known = placed.place("follow_up", "start")
    followed = np.full(placed.timelines.n, np.inf)
    np.minimum.at(followed, patient[known], day[known])
    followed[np.isinf(followed)] = 0
    entry: Floats = np.fmax(np.where(np.isnan(seen), followed, seen), 0.0)
    return entry


def words_of(table: pd.DataFrame, column: str) -> NDArray[np.object_]:
    """Return a column as an object array, an empty cell as the empty text."""
    words: NDArray[np.object_] = table[column].to_numpy(object, na_value="")
    return words
