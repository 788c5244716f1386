"""Evaluations: which results belong together, and whether each set meets the criteria.

Every step is one operation over all rows; a patient's evaluations depend on that patient's rows alone. An evaluation
looks back, never ahead: on the day of each sample it holds the latest result of each analyte that is recent enough.
So it is known on its own day, and no two of its results lie further apart than the criteria allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.endpoints.definition import Definition
from aih_outcomes.endpoints.response.baseline_value import Baselines, find_baseline
from aih_outcomes.endpoints.response.interpretable import by_method
from aih_outcomes.endpoints.rules import TRANSAMINASES, Criterion
from aih_outcomes.endpoints.spells import Steps
from aih_outcomes.endpoints.timelines import ABOVE, BELOW, SPAN, Days, Flags, Floats, Labs, Timelines, on_line

MET, NOT_MET, NOT_EVALUABLE = "met", "not met", "not evaluable"
STATUSES = (MET, NOT_MET, NOT_EVALUABLE)
IS_MET, IS_NOT_MET, OPEN = 1, 0, -1  # the same as numbers
WORDS = np.array([NOT_MET, MET, NOT_EVALUABLE], dtype=object)  # by that number; −1 is the last
AT_LIMIT = 1e-9  # relative: converting units leaves a last bit, which must not push a value at the limit over it


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """On each asked day the latest result of each analyte: judgement (1, 0, NaN), row (−1: none) and day; (m, k)."""

    patient: Days
    known: Days
    judged: Floats
    row: Days
    day: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Evaluations:
    """Every evaluation after time zero, by patient and day; m evaluations, k criteria.

    Attributes
    ----------
    patient, known : (m,) whose, and the last day of the results it used
    onset : (m,) where its status began: for *met* the first of its days after the last abnormal result, else ``known``
    status : (m,) 1 met, 0 not met, −1 not evaluable
    confirmed_at : (m,) day on which *met* counts: ``known``, or the confirming evaluation; NaN where it does not count
    judged, row, day : (m, k) judgement, position in the cohort's labs and day of each analyte's result
    carried, single : (m,) IgG was carried forward; one transaminase stands for both
    """

    patient: Days
    known: Days
    onset: Days
    status: NDArray[np.int8]
    confirmed_at: Floats
    judged: Floats
    row: Days
    day: Floats
    carried: Flags
    single: Flags


def judge(labs: Labs, criterion: Criterion, baselines: Baselines | None = None) -> Floats:
    """Return 1 where a result meets the criterion, 0 where not, NaN where its sign or a missing limit leaves it open.

    ``<50`` against a limit of 40 may be either; ``<30`` meets it, and ``>40`` does not.
    """
    size = labs.value if criterion.at_most_xuln is None else labs.xuln
    limit: Floats | float = criterion.limit
    open_before = np.zeros(len(size), dtype=bool)
    fallen_open = open_before
    if criterion.fall_percent is not None and baselines is not None:
        limit = baselines.value[labs.patient] * criterion.limit
        open_before = baselines.sign[labs.patient] == ABOVE  # began higher than printed: the fall is larger
        fallen_open = baselines.sign[labs.patient] == BELOW
    if criterion.below is not None:
        met = size < limit * (1 - AT_LIMIT)
        below_limit = met | ((labs.sign == BELOW) & labs.strict & (size <= limit * (1 + AT_LIMIT)))
        beyond = (labs.sign == ABOVE) & (size >= limit * (1 - AT_LIMIT))
    else:
        met = below_limit = size <= limit * (1 + AT_LIMIT)
        beyond = (labs.sign == ABOVE) & labs.strict & (size >= limit * (1 - AT_LIMIT))
    unclear = np.isnan(size) | np.isnan(limit)
    unclear |= (labs.sign == BELOW) & ~below_limit
    unclear |= (labs.sign == ABOVE) & met & ~beyond
    unclear |= (open_before & ~met) | (fallen_open & met)
    return np.select([unclear, below_limit & ~beyond], [np.nan, 1.0], 0.0)


def look_back(parts: Sequence[tuple[Labs, Floats]], within: Sequence[int]) -> Lookup:
    """Lay side by side, on each day with a sample, the latest result of each analyte from the last ``within`` days.

    Of several results of one analyte on one day the worst counts: abnormal before unclear before normal, then the
    highest.

    Parameters
    ----------
    parts : per analyte its results with their judgement
    within : per analyte the most days that lie between its result and the day asked
    """
    lines = [labs.line for labs, _ in parts]
    asked = np.sort(np.concatenate([np.empty(0, dtype=np.int64), *lines]))
    asked = asked[np.append(True, asked[1:] != asked[:-1])[: len(asked)]]
    shape = (len(asked), len(parts))
    judged, row, day = np.full(shape, np.nan), np.full(shape, -1, dtype=np.int64), np.full(shape, np.nan)
    for k, ((labs, result), line) in enumerate(zip(parts, lines, strict=True)):
        order = _worst_last(labs, result, line)
        when = line[order]
        at = np.searchsorted(when, asked, side="right") - 1
        near = at >= 0
        near[near] = when[at[near]] >= asked[near] - within[k]
        chosen = order[at[near]]
        judged[near, k], row[near, k], day[near, k] = result[chosen], labs.row[chosen], labs.day[chosen]
    return Lookup(asked // SPAN, asked % SPAN - SPAN // 2, judged, row, day)


def _worst_last(labs: Labs, judged: Floats, line: Days) -> Days:
    """Return the order of results by day, of one day the worst last."""
    if (line[1:] > line[:-1]).all():
        return np.arange(len(line))
    rank = np.select([judged == 0, np.isnan(judged)], [2, 1], 0)
    return np.lexsort((labs.row, labs.value, rank, line))


def evaluate(
    timelines: Timelines, definition: Definition, interpretable: dict[str, Flags], steroid: Steps
) -> Evaluations:
    """Judge every day after time zero on which any of the analytes was measured.

    Any abnormal result makes the evaluation *not met*; otherwise a missing one makes it *not evaluable*: a missing IgG
    is never a normal IgG, unless the criteria choose so by name. A result that is not interpretable counts as missing;
    one by another method than asked for is another test, and is not looked at.
    Results up to day 0 are baseline.

    Parameters
    ----------
    interpretable : per analyte, which of its results may be used
    steroid : the systemic steroid dose in effect, for an IgG carried forward while the dose is unchanged
    """
    rule = definition.response
    parts, waived = [], []
    for criterion in rule.criteria:
        labs, usable = timelines.labs[criterion.analyte], interpretable[criterion.analyte]
        start = find_baseline(labs, usable, _window_of(criterion, definition), timelines.n)
        judged = np.where(usable, judge(labs, criterion, start), np.nan)
        after = (labs.day >= 1) & by_method(timelines, criterion)
        parts.append((labs.where(after), judged[after]))
        found = start.position >= 0
        fine = np.zeros(timelines.n, dtype=bool)
        if criterion.asked == "if_positive_at_baseline":
            fine[found] = judged[start.position[found]] == 1
        waived.append(fine)
    within = [rule.same_evaluation_days if c.within_days is None else c.within_days for c in rule.criteria]
    seen = look_back(parts, within)
    values = seen.judged.copy()
    for k, fine in enumerate(waived):
        values[(seen.row[:, k] < 0) & fine[seen.patient], k] = 1.0
    carried = _carry_igg(seen, values, parts, definition, steroid)
    single = _one_transaminase(seen, values, definition)
    abnormal, complete = (values == 0).any(axis=1), (values == 1).all(axis=1)
    status = np.select([abnormal, complete], [IS_NOT_MET, IS_MET], OPEN).astype(np.int8)
    onset = np.where(complete, _began(seen, values), seen.known)
    confirmed = confirm(seen, status, rule.confirmed_after_days)
    return Evaluations(
        seen.patient, seen.known, onset, status, confirmed, values, seen.row, seen.day, carried & complete,
        single & complete,
    )  # fmt: skip


def _window_of(criterion: Criterion, definition: Definition) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return where the value before treatment is looked for, and where else."""
    rule = definition.baseline
    if criterion.asked == "if_positive_at_baseline":
        return rule.titre_window, rule.titre_window
    return rule.window, rule.fallback


def _carry_igg(
    seen: Lookup, values: Floats, parts: Sequence[tuple[Labs, Floats]], definition: Definition, steroid: Steps
) -> Flags:
    """Fill in a missing IgG as the criteria choose; return where it was carried forward."""
    rule, carried = definition.response, np.zeros(len(values), dtype=bool)
    if "igg" not in definition.analytes or rule.missing_igg == "not_evaluable":
        return carried
    k = definition.analytes.index("igg")
    missing = np.isnan(values[:, k])
    if rule.missing_igg == "worst_case":
        values[missing, k] = 0.0
        return carried
    labs, judged = parts[k]
    usable = ~np.isnan(judged)
    labs, judged = labs.where(usable), judged[usable]
    at = np.searchsorted(labs.line, on_line(seen.patient, seen.known), side="right") - 1
    near = missing & (at >= 0)
    near[near] &= labs.line[at[near]] >= on_line(seen.patient, seen.known)[near] - rule.carried_days
    rows = np.flatnonzero(near)
    source = at[rows]
    same_dose = steroid.at(labs.patient[source], labs.day[source]) == steroid.at(seen.patient[rows], seen.known[rows])
    good = (judged[source] == 1) & same_dose
    rows, source = rows[good], source[good]
    values[rows, k], seen.row[rows, k], seen.day[rows, k] = 1.0, labs.row[source], labs.day[source]
    carried[rows] = True
    return carried


def _one_transaminase(seen: Lookup, values: Floats, definition: Definition) -> Flags:
    """Let one transaminase stand for both where the other is missing and the criteria choose so; return where."""
    names, single = definition.analytes, np.zeros(len(values), dtype=bool)
    if definition.response.transaminases == "both" or not set(TRANSAMINASES) <= set(names):
        return single
    for k, other in ((names.index(a), names.index(b)) for a, b in (TRANSAMINASES, TRANSAMINASES[::-1])):
        stands = (seen.row[:, k] < 0) & (seen.row[:, other] >= 0) & (values[:, other] == 1)
        values[stands, k] = 1.0
        single |= stands
    return single


def _began(seen: Lookup, values: Floats) -> Days:
    """Return the first of the days of each evaluation that lies after the patient's last abnormal result."""
    known = seen.known
    fresh = ((values == 0) & (seen.day == known[:, None])).any(axis=1)
    last = np.maximum.accumulate(on_line(seen.patient, np.where(fresh, known, 0))) % SPAN - SPAN // 2
    later = np.where(seen.day > last[:, None], seen.day, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(later), later, known).astype(np.int64)


def confirm(seen: Lookup, status: NDArray[np.int8], days: int) -> Floats:
    """Return when each *met* counts: at once, or at the evaluation ``days`` later (or earlier) in the same run."""
    confirmed = np.where(status == IS_MET, seen.known, np.nan)
    if not days:
        return confirmed
    breaks = (status == IS_NOT_MET) | np.append(False, seen.patient[1:] != seen.patient[:-1])[: len(status)]
    met = np.flatnonzero(status == IS_MET)
    run = np.cumsum(breaks)[met] * SPAN
    key = run + seen.known[met]
    later = np.searchsorted(key, key + days)
    has_later = later < len(met)
    has_later[has_later] = run[later[has_later]] == run[has_later]
    earlier = np.searchsorted(key, key - days, side="right") - 1
    has_earlier = earlier >= 0
    has_earlier[has_earlier] = run[earlier[has_earlier]] == run[has_earlier]
    after = seen.known[met][np.where(has_later, later, 0)]
    confirmed[met] = np.select([has_earlier, has_later], [seen.known[met], after], np.nan)
    return confirmed
