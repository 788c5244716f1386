"""Response to first-line treatment: first attained, by a day, at a day, and non-response; each with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import TimeZero
from aih_outcomes.endpoints.definition import Definition
from aih_outcomes.endpoints.response.baseline_value import Baselines, find_baseline
from aih_outcomes.endpoints.response.evaluation import (
    IS_MET,
    IS_NOT_MET,
    OPEN,
    WORDS,
    Evaluations,
    evaluate,
    judge,
)
from aih_outcomes.endpoints.response.falls import Falls, classify_falls, reasons_of
from aih_outcomes.endpoints.response.interpretable import find_interpretable
from aih_outcomes.endpoints.rules import NonResponseRule, analyte_in_words
from aih_outcomes.endpoints.spells import Steps
from aih_outcomes.endpoints.timelines import Days, Flags, Floats, Timelines, derive_timelines, first_of, last_of, take
from aih_outcomes.endpoints.treatment.dosing import find_rescue_day, steroid_steps
from aih_outcomes.endpoints.treatment.starts import find_induction
from aih_outcomes.errors import PlanError

STATUS_COLUMNS = ("patient_id", "status", "onset", "known_at", "known_on", "because")
BASELINE_COLUMNS = ("patient_id", "day", "value", "xuln", "comparator", "row", "fallback")


@dataclass(frozen=True, slots=True, eq=False)
class Status:
    """One three-valued endpoint, per patient (n,): ``met`` 1, 0 or −1, since when, and known when."""

    met: NDArray[np.int8]
    onset: Floats
    known_at: Floats


@dataclass(frozen=True, eq=False)
class Response:
    """Every evaluation of every patient with a time zero, judged by one set of criteria.

    Attributes
    ----------
    definition : the criteria
    timelines : the cohort on the clock of ``time_zero``
    interpretable : per analyte, which of its results may be used
    steroid : the systemic steroid dose for autoimmune hepatitis in effect, mg/day of prednisolone
    judged : every evaluation from day 1 on
    memory : what was asked and found, see ``once``
    """

    definition: Definition
    timelines: Timelines
    interpretable: dict[str, Flags]
    steroid: Steps
    judged: Evaluations
    memory: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def time_zero(self) -> TimeZero:
        """Where the days are counted from."""
        return self.timelines.time_zero

    @property
    def zero(self) -> pd.Series:
        """Date of time zero (index ``patient_id``)."""
        return self.timelines.zero

    @property
    def patients(self) -> pd.Index:
        """Patients with a time zero, sorted."""
        return self.timelines.patients

    @cached_property
    def results(self) -> pd.DataFrame:
        """The results on this clock before any transplant.

        Columns ``row, patient_id, day, date, analyte, value, xuln, comparator, visit, interpretable``; ``row`` is the
        position in the cohort's labs.
        """
        parts = self.timelines.labs
        row = np.concatenate([labs.row for labs in parts.values()])
        order = np.argsort(row, kind="stable")
        columns = {
            name: np.concatenate([getattr(labs, name) for labs in parts.values()])[order] for name in ("day", "xuln")
        }
        usable = np.concatenate([self.interpretable[name] for name in parts])[order]
        kept = self.timelines.cohort.labs.iloc[row[order]].reset_index(drop=True)
        kept = kept[["patient_id", "date", "analyte", "value", "comparator", "visit"]]
        kept = kept.assign(row=row[order], interpretable=usable, **columns)
        names = ["row", "patient_id", "day", "date", "analyte", "value", "xuln", "comparator", "visit", "interpretable"]
        return kept[names]

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """Every evaluation: ``patient_id, day, status, known_day``, per analyte its judgement and ``<analyte>_row``."""
        found = self.judged
        table: dict[str, object] = {
            "patient_id": self.patients.take(found.patient),
            "day": found.onset,
            "status": WORDS[found.status],
            "known_day": found.known,
        }
        for k, name in enumerate(self.definition.analytes):
            table[name] = found.judged[:, k]
        for k, name in enumerate(self.definition.analytes):
            row = pd.array(found.row[:, k], dtype="Int64")
            row[found.row[:, k] < 0] = pd.NA
            table[f"{name}_row"] = row
        return pd.DataFrame(table)

    @cached_property
    def rescue_day(self) -> Floats:
        """Day on which rescue treatment began, second line or advanced (n,); NaN where never."""
        return find_rescue_day(self.timelines)

    @cached_property
    def counts(self) -> Flags:
        """Which evaluations count as met: confirmed where the criteria ask, before rescue where that is failure."""
        counts = ~np.isnan(self.judged.confirmed_at)
        if self.definition.response.rescue == "failure":
            counts &= ~(self.judged.confirmed_at > self.rescue_day[self.judged.patient])
        return counts

    def first_met(self, from_day: int = 1) -> tuple[Floats, Floats]:
        """Return onset and day known of each patient's first response that began on or after a day."""
        position = first_of(self.judged.patient, self.counts & (self.judged.onset >= from_day), self.timelines.n)
        return take(self.judged.onset, position), take(self.judged.confirmed_at, position)

    def first_attained(self) -> pd.DataFrame:
        """Return the first response of each patient who had one after time zero.

        Returns
        -------
        frame ``patient_id, onset, known_at, known_on``: days since time zero, and the calendar day when it became known
        """
        onset, known_at = self.first_met()
        had = ~np.isnan(onset)
        table = pd.DataFrame({"patient_id": self.patients[had], "onset": onset[had], "known_at": known_at[had]})
        return table.assign(known_on=self._dates(known_at)[had])

    def find_by(self, day: int) -> Status:
        """Return ``status_by`` as arrays over the patients.

        Raises
        ------
        PlanError : ``day`` is no day
        """
        refuse_no_days((day,), "status_by(182)")
        onset, known_at = self.first_met(self.definition.windows.by[0])
        met, found, (first, last) = known_at <= day, self.judged, self.judged_in(day)
        failed = (found.known >= first) & (found.known <= last) & (found.status == IS_NOT_MET)
        not_met = first_of(found.patient, failed, self.timelines.n) >= 0
        return self._three_valued(met, not_met, np.where(met, onset, day), np.where(met, known_at, day), day)

    def judged_in(self, day: int) -> tuple[int, int]:
        """Return the days on which an evaluation must lie for a patient without response by ``day`` to count."""
        windows = self.definition.windows
        return max(day - (windows.by[1] - windows.judged_from), windows.by[0]), day

    def find_at(self, window: tuple[int, int]) -> Status:
        """Return ``status_at`` as arrays over the patients.

        Raises
        ------
        PlanError : ``window`` is none
        """
        refuse_no_window(window)
        found, n = self.judged, self.timelines.n
        inside = (found.known >= window[0]) & (found.known <= window[1])
        last = last_of(found.patient, inside & (found.status != OPEN), n)
        counts = np.append(self.counts & (found.confirmed_at <= window[1]), False)  # −1: no evaluation
        failed = np.append(found.status == IS_NOT_MET, False)[last]
        met = counts[last] & ~self._rescued(window[1])
        onset, end = np.where(met, take(found.onset, last), window[1]), np.full(n, float(window[1]))
        return self._three_valued(met, failed, onset, end, window[1])

    def status_by(self, day: int) -> pd.DataFrame:
        """Return whether response was attained on any day up to ``day``, and known by then, even if lost again.

        *Not met* is known at ``day`` and needs an evaluation that did not meet the criteria on or after
        ``windows.judged_from`` (moved with ``day``); without one a patient is *not evaluable*. Columns
        ``STATUS_COLUMNS``.

        Raises
        ------
        PlanError : ``day`` is no day
        """
        status = self.find_by(day)
        return self.tabulate(status, self.reasons(status, self.judged_in(day)))

    def status_at(self, window: tuple[int, int]) -> pd.DataFrame:
        """Return the status in a window of days: the last evaluable evaluation in it decides.

        Known at the end of the window, as a later evaluation in it could have decided otherwise; a response that is to
        be confirmed must be by then. Columns ``STATUS_COLUMNS``.

        Raises
        ------
        PlanError : ``window`` is none
        """
        status = self.find_at(window)
        return self.tabulate(status, self.reasons(status, window))

    def find_non_response(self) -> Falls:
        """Return ``non_response`` as arrays over the patients.

        Raises
        ------
        PlanError : the criteria have no rule of non-response
        """
        rule = self.non_response_rule()
        start = {name: self.baseline_of(name) for name in rule.analytes}
        within = self.definition.response.same_evaluation_days
        labs, treated = self.timelines.labs, find_induction(self.timelines) < 0  # on another clock than induction's
        return classify_falls(labs, self.interpretable, start, rule, within=within, treated=treated)

    def non_response(self) -> pd.DataFrame:
        """Return non-response at 4 weeks by the fall from baseline: *met* is non-response. Columns ``STATUS_COLUMNS``.

        Raises
        ------
        PlanError : the criteria have no rule of non-response
        """
        falls = self.find_non_response()
        because = reasons_of(falls, self.non_response_rule())
        return self.tabulate(Status(falls.status, falls.known_at, falls.known_at), because)

    def non_response_rule(self) -> NonResponseRule:
        """Return the rule of non-response.

        Raises
        ------
        PlanError : the criteria have none
        """
        rule = self.definition.non_response
        if rule is None:
            raise PlanError(
                f"{self.definition.title} has no rule of non-response",
                "Non-response is part of the criteria file",
                "Add a [non_response] part, or leave this analysis out",
            )
        return rule

    def baseline_of(self, analyte: str) -> Baselines:
        """Return the value before treatment per patient, as arrays; see ``find_baseline``."""
        rule = self.definition.baseline
        windows = (rule.window, rule.fallback)
        return find_baseline(self.timelines.labs[analyte], self.interpretable[analyte], windows, self.timelines.n)

    def baseline(self, analyte: str) -> pd.DataFrame:
        """Return the value before treatment of each patient who has one.

        Returns
        -------
        frame ``patient_id, day, value, xuln, comparator, row, fallback``
        """
        start, labs = self.baseline_of(analyte), self.timelines.labs[analyte]
        had = start.position >= 0
        position = start.position[had]
        row = labs.row[position]
        sign = self.timelines.cohort.labs["comparator"].to_numpy(object)[row]
        columns = [self.patients[had], labs.day[position], start.value[had], start.xuln[had], sign, row]
        return pd.DataFrame(dict(zip(BASELINE_COLUMNS, [*columns, start.fallback[had]], strict=True)))

    def in_response_at_baseline(self) -> pd.Series:
        """Return patients whose baseline already meets every criterion: they cannot attain what they have."""
        fine = np.ones(self.timelines.n, dtype=bool)
        for criterion in self.definition.response.criteria:
            labs, start = self.timelines.labs[criterion.analyte], self.baseline_of(criterion.analyte)
            own = np.zeros(self.timelines.n, dtype=bool)
            had = start.position >= 0
            if criterion.fall_percent is None:
                own[had] = judge(labs, criterion)[start.position[had]] == 1
            fine &= own
        return pd.Series(self.patients[fine], dtype="string")

    def judged_by(self, definition: Definition) -> Response:
        """Return the same cohort, on the same clock, judged by other criteria.

        Raises
        ------
        PlanError : ``definition`` is no ``Definition``
        """
        return _judge(self.timelines, definition, self.steroid)

    def transaminases_only(self) -> Response:
        """Return the same response judged without IgG, to be printed beside it."""
        return self.judged_by(self.definition.without("igg"))

    def explain(self, patient_id: str) -> str:
        """Tell in words which rows decided: days since time zero and multiples of ULN. For internal use.

        Raises
        ------
        DataError : the patient has no time zero
        """
        from aih_outcomes.endpoints.response.evidence import explain  # it reads a Response

        return explain(self, patient_id)

    def tabulate(self, status: Status, because: NDArray[np.object_]) -> pd.DataFrame:
        """Return a status and its reasons as a frame with the columns ``STATUS_COLUMNS``."""
        columns = [
            self.patients, WORDS[status.met], status.onset, status.known_at, self._dates(status.known_at), because
        ]  # fmt: skip
        return pd.DataFrame(dict(zip(STATUS_COLUMNS, columns, strict=True)))

    def _three_valued(self, met: Flags, not_met: Flags, onset: Floats, known_at: Floats, day: int) -> Status:
        code = np.select([met, not_met | self._rescued(day)], [IS_MET, IS_NOT_MET], OPEN).astype(np.int8)
        return Status(code, onset.astype(float), known_at.astype(float))

    def _rescued(self, day: int) -> Flags:
        """Return who began rescue treatment by ``day``, where that is failure."""
        if self.definition.response.rescue == "ignored":
            return np.zeros(self.timelines.n, dtype=bool)
        return np.asarray(self.rescue_day <= day)

    def reasons(self, status: Status, window: tuple[int, int]) -> NDArray[np.object_]:
        """Return in words why each patient has the status that was judged in a window (n,)."""
        found = self.judged
        last = last_of(found.patient, (found.known >= window[0]) & (found.known <= window[1]), self.timelines.n)
        rescued = (status.met == IS_NOT_MET) & self._rescued(window[1])
        cases = [status.met == IS_MET, rescued, status.met == IS_NOT_MET]
        said: NDArray[np.object_] = np.select(
            cases, ["criteria met", "rescue treatment first", "criteria not met"], self._lacking(last)
        )
        return said

    def _lacking(self, last: Days) -> NDArray[np.object_]:
        """Say for each patient what the last evaluation of a window lacked: what to look for in the notes."""
        names, found = self.definition.analytes, self.judged
        there = last >= 0
        reasons = ("", "missing", "not interpretable", "unclear", "without baseline", "without upper limit")
        lacks = np.zeros((self.timelines.n, len(names)), dtype=np.int64)  # positions in ``reasons``
        for k, criterion in enumerate(self.definition.response.criteria):
            name = criterion.analyte
            row, labs = found.row[last[there], k], self.timelines.labs[name]
            spoilt = np.isin(row, labs.row[~self.interpretable[name]])
            no_limit = np.isin(row, labs.row[np.isnan(labs.xuln)]) & (criterion.at_most_xuln is not None)
            known = ~np.isnan(found.judged[last[there], k])
            no_start = (self.baseline_of(name).position[there] < 0) & (criterion.fall_percent is not None)
            lacks[there, k] = np.select([known, row < 0, spoilt, no_start, no_limit], [0, 1, 2, 4, 5], 3)
        code = lacks @ (len(reasons) ** np.arange(len(names)))
        kinds, first, kind = np.unique(code, return_index=True, return_inverse=True)
        words = np.empty(len(kinds), dtype=object)
        for place, patient in enumerate(first):
            parts = [f"{analyte_in_words(n)} {reasons[d]}" for n, d in zip(names, lacks[patient], strict=True) if d]
            words[place] = ", ".join(parts) or "met, not yet confirmed"
        said: NDArray[np.object_] = words[kind]
        return np.where(there, said, "no result in the window")

    def _dates(self, day: Floats) -> pd.Series:
        whole = np.where(np.isnan(day), 0, day).astype("timedelta64[D]")
        dates = self.zero.to_numpy("datetime64[D]") + whole
        return pd.Series(np.where(np.isnan(day), np.datetime64("NaT"), dates).astype("datetime64[s]"))


def derive_response(cohort: Cohort, definition: Definition, *, time_zero: TimeZero = "induction") -> Response:
    """Judge every evaluation of every patient by ``definition``, in days since ``time_zero``.

    Results on or after a transplant are left out; IgG after the drugs that the criteria name counts as missing.

    Raises
    ------
    PlanError : ``time_zero`` is not one of those known, or ``definition`` is no ``Definition``
    """
    timelines = derive_timelines(cohort, time_zero=time_zero)
    return _judge(timelines, definition, steroid_steps(timelines))


def _judge(timelines: Timelines, definition: Definition, steroid: Steps) -> Response:
    if not isinstance(definition, Definition):
        given = repr(definition) if isinstance(definition, str) else f"{type(definition).__name__} given"
        raise PlanError(
            f"No response criteria, but {given}",
            "Criteria are a Definition, read from a shipped preset or a file of your own",
            'Read them first: read_definition("iaihg-2022")',
        )
    usable = find_interpretable(timelines, definition)
    return Response(definition, timelines, usable, steroid, evaluate(timelines, definition, usable, steroid))


def refuse_no_days(days: Sequence[object], example: str) -> None:
    """Refuse what is no whole day since time zero.

    Parameters
    ----------
    example : how it is written

    Raises
    ------
    PlanError
    """
    whole = [isinstance(day, int | np.integer) and not isinstance(day, bool) and day >= 0 for day in days]
    if not all(whole):
        raise PlanError(
            f"{', '.join(map(repr, days))}: {whole.count(False)} of {len(whole)} are no day to judge response at",
            "Days are whole days since time zero, 0 or later",
            f"Write {example}",
        )


def refuse_no_window(window: Sequence[object]) -> None:
    """Refuse what is no first and last day since time zero.

    Raises
    ------
    PlanError
    """
    example = "status_at((150, 182))"
    pair = isinstance(window, tuple | list) and len(window) == 2
    refuse_no_days(window if pair else (), example)
    if not pair or window[0] > window[1]:  # type: ignore[operator]  # both are numbers now
        raise PlanError(f"{window!r} is no window", "A window is (first day, last day)", f"Write {example}")
