"""A cohort on one clock, as sorted arrays: what every endpoint reads.

Strings are read once: a patient is a position in ``Timelines.patients``, a date a whole day since time zero, an analyte
a slice. Rows are in order of patient and day, so that each later question is a binary search or a running sum, and a
patient's answer depends on that patient's rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_analytes, read_drugs
from aih_outcomes.cohort import Cohort, date_span, dated_to_the_day
from aih_outcomes.endpoints.clock import SYSTEMIC_ROUTES, TimeZero, find_time_zero

Days = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SPAN = 1 << 21  # days between the clocks of two patients on one line; more than anyone lives
NEVER = SPAN // 2 - 1  # the last day of an open period
BELOW, ABOVE = -1, 1  # of ``Labs.sign``: the result is less, or more, than the number printed
_SIGNS = {"<": BELOW, "<=": BELOW, "=": 0, ">=": ABOVE, ">": ABOVE}


Rest = ParamSpec("Rest")
Found = TypeVar("Found")


class Remembers(Protocol):
    """Something that does not change, and keeps what was found in it."""

    @property
    def memory(self) -> dict[str, Any]:
        """What was found, by question."""


Owner = TypeVar("Owner", bound=Remembers)


def once(function: Callable[Concatenate[Owner, Rest], Found]) -> Callable[Concatenate[Owner, Rest], Found]:
    """Ask only once: many endpoints put the same question to the same cohort on the same clock.

    The further arguments are small and tell themselves apart when printed; what is found is not to be changed.
    """
    name = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def remembered(owner: Owner, /, *rest: Rest.args, **named: Rest.kwargs) -> Found:
        question = f"{name}{rest!r}{named!r}"
        if question not in owner.memory:
            owner.memory[question] = function(owner, *rest, **named)
        found: Found = owner.memory[question]
        return found

    return remembered


def on_line(patient: NDArray[np.integer], day: NDArray[np.integer]) -> Days:
    """Return one sortable number per patient and day: all patients' clocks laid end to end."""
    return patient.astype(np.int64) * SPAN + day + SPAN // 2


def first_of(patient: NDArray[np.integer], chosen: Flags, n: int) -> Days:
    """Return the position of each patient's first chosen row (n,); −1 where there is none. Rows are in order."""
    found = np.full(n, -1, dtype=np.int64)
    rows = np.flatnonzero(chosen)[::-1]
    found[patient[rows]] = rows  # of several rows of one patient the last written stays: the first
    return found


def last_of(patient: NDArray[np.integer], chosen: Flags, n: int) -> Days:
    """Return the position of each patient's last chosen row (n,); −1 where there is none. Rows are in order."""
    found = np.full(n, -1, dtype=np.int64)
    rows = np.flatnonzero(chosen)
    found[patient[rows]] = rows
    return found


def take(values: NDArray[np.generic], position: Days) -> Floats:
    """Return ``values`` at positions as floats; NaN where the position is −1."""
    out = np.full(len(position), np.nan)
    there = position >= 0
    out[there] = values[position[there]]
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Labs:
    """Results before any transplant, by patient and day; each array has one entry per result.

    ``strict`` says that the sign excludes the number printed (``<`` and ``>``, not ``<=``); ``row`` is the position in
    ``cohort.labs``.
    """

    patient: Days
    day: Days
    value: Floats
    xuln: Floats
    sign: NDArray[np.int8]
    strict: Flags
    row: Days

    def where(self, chosen: Flags | slice) -> Labs:
        """Return these results only."""
        return Labs(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def line(self) -> Days:
        """One sortable number per patient and day."""
        return on_line(self.patient, self.day)


@dataclass(frozen=True, slots=True, eq=False)
class Treatments:
    """Periods of treatment by patient and first day, whatever the indication; one entry per row.

    ``stop`` is the last day (``NEVER`` while it goes on). ``dose`` is mg/day as given, ``prednisolone`` mg/day of
    prednisolone (NaN where the drug has no equivalent or the dose was not recorded). ``drug`` is a position in
    ``drugs``, the catalogue's order.
    """

    patient: Days
    start: Days
    stop: Days
    drug: NDArray[np.int16]
    dose: Floats
    prednisolone: Floats
    systemic: Flags
    for_aih: Flags
    intravenous: Flags
    row: Days

    def where(self, chosen: Flags) -> Treatments:
        """Return these periods only."""
        return Treatments(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Timelines:
    """A cohort's patients who have a time zero, on that clock.

    Attributes
    ----------
    zero : date of time zero (index ``patient_id``, sorted)
    memory : what was asked and found, see ``once``
    """

    cohort: Cohort
    time_zero: TimeZero
    zero: pd.Series
    memory: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def patients(self) -> pd.Index:
        """Patients with a time zero, sorted: a patient's number in every array is the position here."""
        return self.zero.index

    @property
    def n(self) -> int:
        """Number of patients."""
        return len(self.zero)

    def positions(self, patient_id: pd.Series) -> Days:
        """Return the position of each row's patient; −1 for patients without time zero."""
        return self._by_patient.get_indexer(pd.Index(patient_id.to_numpy(object))).astype(np.int64)

    def place(self, patient_id: pd.Series, date: pd.Series) -> tuple[Days, Days, Flags]:
        """Return position, day and whether both are known, for each row of a table."""
        patient = self.positions(patient_id)
        return patient, *self._days_of(patient, date)

    def place_table(self, table: pd.DataFrame, column: str = "date") -> tuple[Days, Days, Flags]:
        """Return ``place`` of a whole table; a table of the cohort is placed only once."""
        name = next((name for name, own in self.cohort.tables().items() if own is table), "")
        if not name:
            return self.place(table["patient_id"], table[column])
        patient = self._positions_in(name)
        return patient, *self._days_in(name, column)

    @once
    def _positions_in(self, name: str) -> Days:
        return self.positions(getattr(self.cohort, name)["patient_id"])

    @once
    def _days_in(self, name: str, column: str) -> tuple[Days, Flags]:
        return self._days_of(self._positions_in(name), getattr(self.cohort, name)[column])

    def _days_of(self, patient: Days, date: pd.Series) -> tuple[Days, Flags]:
        when = date.to_numpy("datetime64[D]")
        known = (patient >= 0) & ~np.isnat(when)
        day = np.zeros(len(patient), dtype=np.int64)
        day[known] = when[known].astype(np.int64) - self._zero_days[patient[known]]
        return day, known

    def dated(self, table: pd.DataFrame, chosen: Flags, column: str = "date") -> tuple[Days, Days, Days]:
        """Return patient, day and row (position in ``table``) of the chosen rows, by patient and day."""
        patient, day, known = self.place_table(table, column)
        rows = np.flatnonzero(chosen & known)
        rows = rows[np.argsort(on_line(patient[rows], day[rows]), kind="stable")]
        return patient[rows], day[rows], rows

    def first_day(self, table: pd.DataFrame, chosen: Flags, column: str = "date") -> Floats:
        """Return each patient's first day among the chosen rows (n,); NaN where there is none."""
        patient, day, _ = self.dated(table, chosen, column)
        return take(day, first_of(patient, np.ones(len(patient), dtype=bool), self.n))

    def event_day(self, kinds: Sequence[str]) -> Floats:
        """Return the day of each patient's first event of these kinds (n,); NaN where there is none."""
        events = self.cohort.events
        return self.first_day(events, np.isin(_objects(events["kind"]), list(kinds)))

    def patient_column(self, name: str) -> pd.Series:
        """Return a column of the table ``patients`` in the order of ``patients``."""
        return self.cohort.patients.set_index("patient_id")[name].reindex(self.patients)

    @cached_property
    def _by_patient(self) -> pd.Index:
        return pd.Index(self.zero.index.to_numpy(object))

    @cached_property
    def _zero_days(self) -> Days:
        return self.zero.to_numpy("datetime64[D]").astype(np.int64)

    @cached_property
    def transplant_day(self) -> Floats:
        """Day of the first transplant (n,); NaN where there is none."""
        return self.event_day(["transplant"])

    @cached_property
    def graft_day(self) -> Floats:
        """Day from which results may be those of a graft (n,): of a transplant dated in part the first it may be."""
        events = self.cohort.events
        if events["date_precision"].isna().all():
            return self.transplant_day
        earliest = events.assign(date=date_span(events, "date")[0])
        return self.first_day(earliest, _objects(events["kind"]) == "transplant")

    @cached_property
    def death_day(self) -> Floats:
        """Day of death (n,); NaN where there is none."""
        return self.event_day(["death"])

    @cached_property
    def failed_day(self) -> Floats:
        """Day of transplant or death (n,); a transplant before time zero is no failure of what began there."""
        first = np.fmin(self.transplant_day, self.death_day)
        return np.where(first >= 0, first, np.nan)

    @cached_property
    def last_day(self) -> Floats:
        """Last day known alive (n,); NaN without follow-up."""
        table = self.cohort.follow_up
        patient, day, _ = self.dated(table, np.ones(len(table), dtype=bool), "end")
        return take(day, last_of(patient, np.ones(len(patient), dtype=bool), self.n))

    @cached_property
    def labs(self) -> dict[str, Labs]:
        """Results before any transplant: analyte → its results by patient and day.

        A result dated to the month or year only is left out: in which window it falls is not known. So is one that may
        be of a graft.
        """
        table = self.cohort.labs
        patient, day, known = self.place_table(table)
        known = known & dated_to_the_day(table)
        known[known] = ~(day[known] >= self.graft_day[patient[known]])
        names = list(read_analytes()["analyte"])
        analyte = pd.Index(names).get_indexer(_objects(table["analyte"]))
        rows = np.flatnonzero(known)
        rows = rows[np.argsort(analyte[rows] * (self.n + 1) * SPAN + on_line(patient[rows], day[rows]), kind="stable")]
        value = table["value"].to_numpy(float)[rows]
        printed = _objects(table["comparator"])[rows]
        sign, strict = np.zeros(len(rows), dtype=np.int8), np.zeros(len(rows), dtype=bool)
        for mark, meaning in _SIGNS.items():
            if meaning:
                here = printed == mark
                sign[here], strict[here] = meaning, len(mark) == 1
        together = Labs(patient[rows], day[rows], value, value / table["uln"].to_numpy(float)[rows], sign, strict, rows)
        starts = np.searchsorted(analyte[rows], np.arange(len(names) + 1))
        return {name: together.where(slice(starts[k], starts[k + 1])) for k, name in enumerate(names)}

    def made_by(self, analyte: str, method: str) -> Flags:
        """Return which results of an analyte were made by a method; one whose method is not recorded was not."""
        same: Flags = self.cohort.labs["method"].eq(method).to_numpy(bool, na_value=False)
        return same[self.labs[analyte].row]

    @cached_property
    def treatments(self) -> Treatments:
        """Every period of treatment, by patient and first day."""
        table, drugs = self.cohort.treatments, read_drugs()
        patient, start, rows = self.dated(table, np.ones(len(table), dtype=bool), "start")
        part = table.iloc[rows]
        ends = part["stop"].to_numpy("datetime64[D]")
        open_ended = np.isnat(ends)
        stop = np.where(open_ended, NEVER, np.where(open_ended, 0, ends.astype(np.int64)) - self._zero_days[patient])
        drug = pd.Index(drugs["drug"]).get_indexer(_objects(part["drug"])).astype(np.int16)
        dose, factor = part["dose"].to_numpy(float), drugs["prednisolone_factor"].to_numpy(float)
        route = _objects(part["route"])
        return Treatments(
            patient, start, stop, drug, dose, dose * factor[drug],
            np.isin(route, SYSTEMIC_ROUTES) | (route == ""),
            _objects(part["indication"]) == "aih", route == "intravenous", rows,
        )  # fmt: skip

    @cached_property
    def drug_classes(self) -> NDArray[np.object_]:
        """Class of each drug of the catalogue, in its order."""
        return read_drugs()["drug_class"].to_numpy(object)

    def of_class(self, *classes: str) -> Flags:
        """Return which rows of ``treatments`` are of these classes of drug."""
        return np.isin(self.drug_classes, classes)[self.treatments.drug]


def _objects(column: pd.Series) -> NDArray[np.object_]:
    """Return a text column as an object array, missing as the empty text."""
    values: NDArray[np.object_] = column.to_numpy(object, na_value="")
    return values


def derive_timelines(cohort: Cohort, *, time_zero: TimeZero = "induction") -> Timelines:
    """Put a cohort on the clock that starts at ``time_zero``; patients without it are left out.

    Raises
    ------
    PlanError : ``time_zero`` is not one of those known
    """
    return Timelines(cohort, time_zero, find_time_zero(cohort, time_zero).sort_index())
