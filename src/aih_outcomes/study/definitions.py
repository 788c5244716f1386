"""What the choice of response criteria and upper limits changes: rates, agreement, and who is judged otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import TimeZero
from aih_outcomes.endpoints.definition import Definition, read_definition
from aih_outcomes.endpoints.response.evaluation import MET, NOT_EVALUABLE, NOT_MET
from aih_outcomes.endpoints.response.limits import (
    lacking_in_words,
    lacking_limits,
    limits_in_words,
    with_upper_limits,
)
from aih_outcomes.endpoints.response.response import Response, derive_response, refuse_no_days
from aih_outcomes.errors import PlanError
from aih_outcomes.models.agreement import Agreement, estimate_agreement
from aih_outcomes.models.rates import estimate_rates

FAILED = "transplant or death"
NOBODY_MET = "caution: nobody met, and more than half are not evaluable"
OF_MET = ("estimate", "conf_low", "conf_high")
DISAGREEMENTS = ("patient_id", "status_first", "because_first", "status_second", "because_second")


@dataclass(frozen=True, slots=True, eq=False)
class DefinitionComparison:
    """The same patients judged by several sets of criteria and upper limits.

    Attributes
    ----------
    day : response by this day since time zero
    statuses : ``label, definition, upper_limits, patient_id, status, status_transaminases, because``; for internal use
    rates : one row per set of criteria and source of limits: ``label, definition, upper_limits`` in words, and the
        columns of ``estimate_rates``, and ``because``. Where more than half of the patients measured have no upper
        limit of an analyte, who met the criteria is not known, and the rate is missing: *not estimable* [P]. Where
        nobody met them and more than half are not evaluable, it stands with a *caution*
    """

    day: int
    statuses: pd.DataFrame
    rates: pd.DataFrame

    @property
    def labels(self) -> list[str]:
        """Names of what is compared, in the order of ``rates``."""
        return list(self.rates["label"])

    @property
    def agreement(self) -> pd.DataFrame:
        """Observed agreement and kappa of each pair that differs in one choice only: criteria, or source of limits.

        The columns of ``Agreement.tidy``, without its two-way table.
        """
        rows = [self.crosstab(first, second).tidy().iloc[-2:] for first, second in self._pairs()]
        return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=["label", "n", "estimate"])

    def agreement_with(self, label: str) -> pd.DataFrame:
        """Return two-way table, observed agreement and kappa of one of ``labels`` with each that differs in one choice.

        Without any other there are no rows.

        Raises
        ------
        PlanError : it is not among ``labels``
        """
        others = [pair[pair[0] == label] for pair in self._pairs() if label in pair]
        none = self.crosstab(label, label).tidy().iloc[:0]
        return pd.concat([self.crosstab(label, other).tidy() for other in others] or [none], ignore_index=True)

    def _pairs(self) -> list[tuple[str, str]]:
        choices = list(self.rates[["label", "definition", "upper_limits"]].itertuples(index=False, name=None))
        return [(a[0], b[0]) for a, b in combinations(choices, 2) if (a[1] == b[1]) != (a[2] == b[2])]

    def crosstab(self, first: str, second: str) -> Agreement:
        """Cross two of ``labels``: the two-way table of statuses, and kappa.

        Raises
        ------
        PlanError : one of them is not among ``labels``
        """
        one, other = self._of(first), self._of(second)
        return estimate_agreement(one["status"], other["status"], labels=(first, second))

    def disagreements(self, first: str, second: str) -> pd.DataFrame:
        """Return whose status differs, and what each of the two says of it; for internal use only.

        Returns
        -------
        frame ``patient_id, status_first, because_first, status_second, because_second``

        Raises
        ------
        PlanError : one of them is not among ``labels``
        """
        pair = self._of(first).join(self._of(second), lsuffix="_first", rsuffix="_second")
        other = pair[pair["status_first"] != pair["status_second"]].reset_index()
        return other[list(DISAGREEMENTS)]

    def _of(self, label: str) -> pd.DataFrame:
        if label not in self.labels:
            raise PlanError(f"{label!r} was not compared", f"Compared are {', '.join(self.labels)}", "Name two of them")
        rows = self.statuses[self.statuses["label"] == label].set_index("patient_id")
        return rows[["status", "because"]]


def compare_definitions(
    cohort: Cohort,
    definitions: Sequence[Definition | str],
    *,
    upper_limits: Sequence[str] = ("as_recorded",),
    day: int = 182,
    time_zero: TimeZero = "induction",
) -> DefinitionComparison:
    """Judge the same patients by several sets of criteria, with upper limits from several sources.

    Response is attained on any day up to ``day``; criteria whose window does not begin with treatment (a fall at eight
    weeks) are judged in their own window. Transplant or death by then counts as the criteria say.

    Parameters
    ----------
    definitions : criteria, or names or files of them; the titles differ
    upper_limits : names among ``UPPER_LIMITS``

    Raises
    ------
    PlanError : criteria or sources are not known, or given twice; ``day`` is no day
    """
    refuse_no_days((day,), "day=182")
    chosen = read_definitions(definitions)
    responses = derive_responses(cohort, chosen, upper_limits=upper_limits, time_zero=time_zero)
    named = [(title, limits_in_words(source)) for source, title in responses]
    labels = [title if len(upper_limits) == 1 else f"{title}; {words}" for title, words in named]
    parts = [
        _status_of(response, day).assign(label=label, definition=title, upper_limits=words)
        for response, label, (title, words) in zip(responses.values(), labels, named, strict=True)
    ]
    statuses = pd.concat(parts, ignore_index=True)
    rates = estimate_rates(statuses.rename(columns={"label": "endpoint"})).tidy()
    rates = rates.set_index("label").reindex(pd.Index(labels, name="label")).reset_index()
    for column in ("n", "n_met", "n_not_met", "n_not_evaluable"):
        rates[column] = rates[column].fillna(0)  # of a cohort of nobody
    for place, (name, values) in enumerate(zip(("definition", "upper_limits"), zip(*named, strict=True), strict=True)):
        rates.insert(place + 1, name, list(values))
    return DefinitionComparison(day, statuses, _with_reasons(rates, list(responses.values()), day))


def _with_reasons(rates: pd.DataFrame, responses: Sequence[Response], day: int) -> pd.DataFrame:
    """Return the rates with ``because``, and without those that cannot be estimated; one row per response."""
    lacking = [lacking_limits(response, judged_on(response.definition, day)) for response in responses]
    hidden = np.array([bool(names) for names in lacking])
    without_igg = np.array([bool(set(names) - {"igg"}) for names in lacking])
    open_ = (rates["n_met"] == 0) & (2 * rates["n_not_evaluable"] > rates["n"])
    rates = rates.assign(because=[*map(lacking_in_words, lacking)])
    rates.loc[open_.to_numpy(bool) & ~hidden, "because"] = NOBODY_MET
    rates.loc[hidden, list(OF_MET)] = np.nan
    rates.loc[without_igg, "transaminase_only"] = np.nan
    return rates


def read_definitions(definitions: Sequence[Definition | str]) -> list[Definition]:
    """Return criteria by name, by file, or as they are.

    Raises
    ------
    PlanError : none, unknown ones, or two of the same title
    """
    chosen = [item if isinstance(item, Definition) else read_definition(item) for item in definitions]
    refuse_repeats([definition.title for definition in chosen], "response criteria")
    return chosen


def refuse_repeats(names: Sequence[object], noun: str) -> None:
    """Refuse a list of choices that is empty or names one of them twice.

    Raises
    ------
    PlanError
    """
    again = len(names) - len(set(names))
    if again or not names:
        raise PlanError(
            f"{again} of {len(names)} {noun} are given twice" if names else f"No {noun} are given",
            "Each choice stands once in a comparison",
            "Name each once; criteria are told apart by their title",
        )


def derive_responses(
    cohort: Cohort, definitions: Sequence[Definition], *, upper_limits: Sequence[str], time_zero: TimeZero
) -> dict[tuple[str, str], Response]:
    """Return (source of limits, title of criteria) → response; the cohort is read once per source.

    Raises
    ------
    PlanError : a source is not known, or given twice
    """
    refuse_repeats(upper_limits, "sources of upper limits")
    found = {}
    for source in upper_limits:
        first = derive_response(with_upper_limits(cohort, source), definitions[0], time_zero=time_zero)
        for definition in definitions:
            found[source, definition.title] = first.judged_by(definition)
    return found


def judged_on(definition: Definition, day: int) -> int:
    """Return the day up to which response counts at ``day``: criteria bound to a visit end with their own window."""
    windows = definition.windows
    return day if windows.by[0] == 1 else min(day, windows.by[1])


def _status_of(response: Response, day: int) -> pd.DataFrame:
    """Return ``patient_id, status, status_transaminases, because`` by ``day``, transplant and death counted."""
    until = judged_on(response.definition, day)
    table, lenient = response.status_by(until), response.transaminases_only().status_by(until)
    gone = response.timelines.failed_day <= day
    failure = response.definition.response.transplant_or_death == "failure"
    found = pd.DataFrame({"patient_id": response.patients})
    for column, status in (("status", table["status"]), ("status_transaminases", lenient["status"])):
        found[column] = np.where(gone & (status != MET), NOT_MET if failure else NOT_EVALUABLE, status)
    found["because"] = np.where(gone & (table["status"] != MET), FAILED, table["because"])
    return found
