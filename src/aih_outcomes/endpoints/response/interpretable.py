"""Results that say nothing about the disease: IgG after immunoglobulin or anti-CD20, titres by another method."""

from __future__ import annotations

import numpy as np

from aih_outcomes.endpoints.definition import Definition
from aih_outcomes.endpoints.rules import Criterion, NotInterpretable
from aih_outcomes.endpoints.timelines import NEVER, Flags, Timelines, first_of, on_line


def find_interpretable(timelines: Timelines, definition: Definition) -> dict[str, Flags]:
    """Return per analyte which of its results may be used (statistics and clinic, rule 10)."""
    usable = {name: np.ones(len(labs.day), dtype=bool) for name, labs in timelines.labs.items()}
    for rule in definition.not_interpretable:
        usable[rule.analyte] &= ~_spoilt(timelines, rule)
    for criterion in definition.response.criteria:
        usable[criterion.analyte] &= by_method(timelines, criterion)
    return usable


def by_method(timelines: Timelines, criterion: Criterion) -> Flags:
    """Return which results of a criterion's analyte were made by the method it asks for: others are another test."""
    if criterion.method is None:
        return np.ones(len(timelines.labs[criterion.analyte].day), dtype=bool)
    return timelines.made_by(criterion.analyte, criterion.method)


def _spoilt(timelines: Timelines, rule: NotInterpretable) -> Flags:
    """Return which results of the analyte fall under a drug's influence."""
    labs, given = timelines.labs[rule.analyte], timelines.treatments.where(timelines.of_class(rule.drug_class))
    if not len(given.patient):
        return np.zeros(len(labs.day), dtype=bool)
    asked = labs.line
    at = np.searchsorted(on_line(given.patient, given.start), asked, side="right") - 1
    own = at >= 0
    own[own] = given.patient[at[own]] == labs.patient[own]
    until = np.maximum.accumulate(on_line(given.patient, np.minimum(given.stop + rule.days, NEVER)))
    hit = own.copy()
    hit[own] = asked[own] <= until[at[own]]
    if rule.recovered is None:
        return hit
    seen = timelines.labs[rule.recovered.analyte]
    last = np.searchsorted(seen.line, asked, side="right") - 1
    # A low count after the drug was first given: B cells have not come back, however long ago the last dose was.
    first = given.start[first_of(given.patient, np.ones(len(given.patient), dtype=bool), timelines.n)]
    counted = own & (last >= 0)
    rows = np.flatnonzero(counted)
    at_count = last[rows]
    rows = rows[(seen.patient[at_count] == labs.patient[rows]) & (seen.day[at_count] >= first[labs.patient[rows]])]
    hit[rows] |= seen.value[last[rows]] < rule.recovered.limit
    return hit
