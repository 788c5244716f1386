"""Response to first-line treatment: first attained, by a day, at a day, and non-response; each with its evidence."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import IN_WORDS, TimeZero, find_time_zero
from aih_outcomes.endpoints.definition import Criterion, Definition, NonResponseRule, analyte_in_words
from aih_outcomes.endpoints.evaluation import MET, NOT_EVALUABLE, NOT_MET, evaluate, judge, results_on_clock
from aih_outcomes.endpoints.falls import classify_falls, find_baseline
from aih_outcomes.errors import DataError, PlanError

STATUS_COLUMNS = ("patient_id", "status", "onset", "known_at", "known_on", "because")


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """Every evaluation of every patient with a time zero, judged by one set of criteria.

    Attributes
    ----------
    definition : the criteria
    time_zero : where the days are counted from
    zero : date of time zero (index ``patient_id``)
    results : the results on this clock before any transplant: ``row, patient_id, day, date, analyte, value, xuln,
        comparator, visit, interpretable``
    evaluations : from day 1 on: ``patient_id, day, status, known_day``, per analyte the judgement and the row that
        decided
    """

    definition: Definition
    time_zero: TimeZero
    zero: pd.Series
    results: pd.DataFrame
    evaluations: pd.DataFrame

    @property
    def patients(self) -> pd.Index:
        """Patients with a time zero, sorted."""
        return self.zero.index.sort_values()

    def first_attained(self) -> pd.DataFrame:
        """Return the first response of each patient who had one after time zero.

        Returns
        -------
        frame ``patient_id, onset, known_at, known_on``: days since time zero, and the calendar day when it became known
        """
        return self._with_dates(self._first_met().reset_index())

    def status_by(self, day: int) -> pd.DataFrame:
        """Return whether response was attained on any day up to ``day``, and known by then, even if lost again.

        *Not met* is known at ``day`` and needs an evaluation that did not meet the criteria on or after
        ``windows.judged_from`` (moved with ``day``); without one a patient is *not evaluable*. Columns
        ``STATUS_COLUMNS``.
        """
        windows = self.definition.windows
        attained = self._first_met(windows.by[0])
        judged_from = max(day - (windows.by[1] - windows.judged_from), windows.by[0])
        return self._three_valued(attained[attained["known_at"] <= day], self._inside((judged_from, day)), day)

    def status_at(self, window: tuple[int, int]) -> pd.DataFrame:
        """Return the status in a window of days: the last evaluable evaluation in it decides.

        Known at the end of the window, as a later evaluation in it could have decided otherwise. Columns
        ``STATUS_COLUMNS``.
        """
        inside = self._inside(window)
        last = inside[inside["status"] != NOT_EVALUABLE].drop_duplicates("patient_id", keep="last")
        met = last[last["status"] == MET].set_index("patient_id")
        attained = pd.DataFrame({"onset": met["day"], "known_at": window[1]})
        return self._three_valued(attained, inside, window[1])

    def non_response(self) -> pd.DataFrame:
        """Return non-response at 4 weeks by the fall from baseline: *met* is non-response. Columns ``STATUS_COLUMNS``.

        Raises
        ------
        PlanError : the criteria have no rule of non-response
        """
        rule = self.non_response_rule()
        start = pd.concat([self.baseline(name).assign(analyte=name) for name in rule.analytes], ignore_index=True)
        within = self.definition.response.same_evaluation_days
        table = classify_falls(self.results, self.patients, start, rule, within=within)
        return self._with_dates(table.assign(onset=table["known_at"]).reset_index(names="patient_id"))[
            list(STATUS_COLUMNS)
        ]

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

    def baseline(self, analyte: str) -> pd.DataFrame:
        """Return the value before treatment of each patient who has one; see ``find_baseline``."""
        return find_baseline(self.results, analyte, self.definition.baseline)

    def in_response_at_baseline(self) -> pd.Series:
        """Return patients whose baseline already meets every criterion: they cannot attain what they have."""
        fine = np.ones(len(self.patients), dtype=bool)
        for criterion in self.definition.response.criteria:
            start = self.baseline(criterion.analyte)
            fine &= self.patients.isin(start.loc[judge(start, criterion) == 1, "patient_id"])
        return pd.Series(self.patients[fine], dtype="string")

    def transaminases_only(self) -> Response:
        """Return the same response judged without IgG, to be printed beside it."""
        definition = self.definition.without("igg")
        return replace(self, definition=definition, evaluations=_evaluations(self.results, definition))

    def explain(self, patient_id: str) -> str:
        """Tell in words which rows decided: days since time zero and multiples of ULN. For internal use.

        Raises
        ------
        DataError : the patient has no time zero
        """
        start = IN_WORDS[self.time_zero]
        if patient_id not in self.zero.index:
            raise DataError(
                "The patient asked for has no time zero",
                f"Days are counted from the {start}",
                "Check the pseudonym and the table 'treatments'",
            )
        mine = self.evaluations[self.evaluations["patient_id"] == patient_id]
        used = self.results[self.results["patient_id"] == patient_id].set_index("row")
        lines = [f"{self.definition.response.term} ({self.definition.title}), days since {start}:"]
        for evaluation in mine.to_dict("records"):
            parts = [_evidence(used, evaluation[f"{c.analyte}_row"], c) for c in self.definition.response.criteria]
            lines.append(f"- day {evaluation['known_day']}: {evaluation['status']}: {', '.join(parts)}")
        lines.append("Research software. Not a medical device; must not guide treatment of an individual.")
        return "\n".join(lines)

    def _first_met(self, from_day: int = 1) -> pd.DataFrame:
        """First response that began on or after a day: ``onset, known_at`` (index ``patient_id``)."""
        met = self.evaluations[(self.evaluations["status"] == MET) & (self.evaluations["day"] >= from_day)]
        first = met.drop_duplicates("patient_id").set_index("patient_id")  # evaluations are in order of known_day
        return pd.DataFrame({"onset": first["day"], "known_at": first["known_day"]})

    def _inside(self, window: tuple[int, int]) -> pd.DataFrame:
        return self.evaluations[self.evaluations["known_day"].between(*window)]

    def _three_valued(self, attained: pd.DataFrame, inside: pd.DataFrame, day: int) -> pd.DataFrame:
        patients = self.patients
        met = patients.isin(attained.index)
        not_met = ~met & patients.isin(inside.loc[inside["status"] == NOT_MET, "patient_id"])
        table = pd.DataFrame({"patient_id": patients})
        table["status"] = np.select([met, not_met], [MET, NOT_MET], NOT_EVALUABLE)
        table["onset"] = np.where(met, attained["onset"].reindex(patients).to_numpy(float), float(day))
        table["known_at"] = np.where(met, attained["known_at"].reindex(patients).to_numpy(float), float(day))
        table["because"] = np.select([met, not_met], ["criteria met", "criteria not met"], self._lacking(inside))
        return self._with_dates(table)[list(STATUS_COLUMNS)]

    def _lacking(self, inside: pd.DataFrame) -> NDArray[np.object_]:
        """Say for each patient what the last evaluation lacked: what to look for in the notes."""
        last = inside.drop_duplicates("patient_id", keep="last").set_index("patient_id").reindex(self.patients)
        not_usable = self.results.loc[~self.results["interpretable"], "row"]
        words = np.full(len(last), "", dtype=object)
        for name in self.definition.analytes:
            row, word = last[f"{name}_row"], analyte_in_words(name)
            reasons = [f"{word} missing, ", f"{word} not interpretable, "]
            lack = np.select(
                [row.isna().to_numpy(bool), row.isin(not_usable).to_numpy(bool)], reasons, f"{word} unclear, "
            )
            words += np.where(last[name].isna(), lack.astype(object), "")
        no_result = ~self.patients.isin(inside["patient_id"])
        return np.where(no_result, "no result in the window", pd.Series(words, dtype=object).str.removesuffix(", "))

    def _with_dates(self, table: pd.DataFrame) -> pd.DataFrame:
        began = pd.to_datetime(table["patient_id"].map(self.zero))
        return table.assign(known_on=began + pd.to_timedelta(table["known_at"], unit="D"))


def _evidence(used: pd.DataFrame, row: int | None, criterion: Criterion) -> str:
    name = analyte_in_words(criterion.analyte)
    if pd.isna(row):
        return f"{name} missing"
    result = used.loc[row]
    sign = "" if result["comparator"] == "=" else f"{result['comparator']} "
    size = f"{result['xuln']:.2f} × ULN" if criterion.at_most is None else f"{result['value']:.4g}"
    note = "" if result["interpretable"] else ", not interpretable"
    return f"{name} {sign}{size} (day {result['day']}, row {row + 1}{note})"


def _evaluations(results: pd.DataFrame, definition: Definition) -> pd.DataFrame:
    rule = definition.response
    return evaluate(results, rule.criteria, same_evaluation_days=rule.same_evaluation_days)


def derive_response(cohort: Cohort, definition: Definition, *, time_zero: TimeZero = "induction") -> Response:
    """Judge every evaluation of every patient by ``definition``, in days since ``time_zero``.

    Results on or after a transplant are left out; IgG after the drugs that the criteria name counts as missing.

    Raises
    ------
    PlanError : ``time_zero`` is not one of those known
    """
    zero = find_time_zero(cohort, time_zero)
    results = results_on_clock(cohort, zero, definition)
    return Response(definition, time_zero, zero, results, _evaluations(results, definition))
