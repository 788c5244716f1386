"""Samples that show active disease, and days that show none: what a loss of response and a flare are made of.

A sample that must be confirmed shows it from its own day on, known when it is confirmed: by a second sample, or by
treatment stepped up. An unclear or uninterpretable result decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.endpoints.response.evaluation import judge
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.rules import Criterion, Worsening, analyte_in_words
from aih_outcomes.endpoints.timelines import NEVER, SPAN, Days, Flags, Floats, on_line, once
from aih_outcomes.endpoints.treatment.dosing import find_escalations

WITHIN, UNCLEAR, ABOVE = 0, 1, 2  # of a day's results of one analyte the worst counts
_ONCE = "{} > {:g} × ULN"
_CONFIRMED = ("{} > {:g} × ULN on two samples", "{} > {:g} × ULN and treatment stepped up")


@dataclass(frozen=True, slots=True, eq=False)
class Worsened:
    """Samples that show active disease, by patient and day, since response was first known.

    Attributes
    ----------
    patient, day, known : whose, the day of the sample, and when it was known to show it
    how : position in ``words``, which say which limit was passed and how it was confirmed
    raised_patient, raised_day : days with a result above a limit, confirmed or not
    clean_patient, clean_day : days on which every analyte was known to lie within all limits, by patient and day
    """

    patient: Days
    day: Days
    known: Days
    how: Days
    words: NDArray[np.object_]
    raised_patient: Days
    raised_day: Days
    clean_patient: Days
    clean_day: Days


@dataclass(frozen=True, slots=True, eq=False)
class _Daily:
    """One analyte: its days, by patient and day, and what the worst result of each said."""

    patient: Days
    day: Days
    said: NDArray[np.int8]

    @property
    def above(self) -> tuple[Days, Days]:
        """Patient and day of the results above the limit."""
        rows = self.said == ABOVE
        return self.patient[rows], self.day[rows]


@once
def find_worsened(response: Response, rule: Worsening) -> Worsened:
    """Judge the samples since response was first known, and those an evaluation of that day uses, by ``rule``."""
    since = response.first_met()[1]
    escalated = np.empty(0, dtype=np.int64)
    if rule.confirmed_above_xuln and rule.escalation_within_days:
        escalated = on_line(*find_escalations(response.timelines))
    shown: list[tuple[Days, Days, Days, Days]] = []
    words: list[str] = []
    lowest: list[_Daily] = []
    for analyte in rule.analytes:
        once, confirmed = rule.above_xuln.get(analyte), rule.confirmed_above_xuln.get(analyte)
        name, parts = analyte_in_words(analyte), {}
        if once is not None:
            parts[once] = single = _judge_days(response, analyte, once, since)
            patient, day = single.above
            shown.append((patient, day, day, np.full(len(day), len(words))))
            words.append(_ONCE.format(name, once))
        if confirmed is not None:
            parts[confirmed] = repeated = _judge_days(response, analyte, confirmed, since)
            patient, day, known, stepped_up = _confirm(repeated, rule, escalated)
            shown.append((patient, day, known, stepped_up + len(words)))
            words += [text.format(name, confirmed) for text in _CONFIRMED]
        lowest.append(parts[min(parts)])
    patient, day, known, how = (np.concatenate(part) for part in zip(*shown, strict=True))
    order = np.lexsort((how, known, on_line(patient, day)))
    raised_patient, raised_day = (np.concatenate(part) for part in zip(*[d.above for d in lowest], strict=True))
    clean = _clean(lowest, [_within_days(response, analyte) for analyte in rule.analytes])
    return Worsened(
        patient[order], day[order], known[order], how[order], np.array(words, dtype=object), raised_patient, raised_day,
        clean // SPAN, clean % SPAN - SPAN // 2,
    )  # fmt: skip


def _judge_days(response: Response, analyte: str, limit: float, since: Floats) -> _Daily:
    labs = response.timelines.labs[analyte]
    judged = judge(labs, Criterion(analyte=analyte, at_most_xuln=limit))
    unclear = np.isnan(judged) | ~response.interpretable[analyte]
    after = np.flatnonzero(labs.day >= np.maximum(since - _within_days(response, analyte), 1)[labs.patient])
    said = np.where(unclear, UNCLEAR, np.where(judged == 0, ABOVE, WITHIN)).astype(np.int8)[after]
    patient, day = labs.patient[after], labs.day[after]
    first = np.flatnonzero(np.append(True, (day[1:] != day[:-1]) | (patient[1:] != patient[:-1]))[: len(day)])
    return _Daily(patient[first], day[first], np.maximum.reduceat(said, first) if len(first) else said)


def _confirm(daily: _Daily, rule: Worsening, escalated: Days) -> tuple[Days, Days, Days, Days]:
    """Return patient, day and day known of the samples above the limit that are confirmed, and by what: 0 or 1.

    0: a second sample, so many days later and with none within the limit in between; 1: treatment stepped up.
    """
    decided = daily.said != UNCLEAR
    patient, day, above = daily.patient[decided], daily.day[decided], daily.said[decided] == ABOVE
    breaks = ~above
    breaks[1:] |= patient[1:] != patient[:-1]
    run = np.cumsum(breaks)[above] * SPAN
    patient, day = patient[above], day[above]
    second, twice = _next(run + day, run + day + rule.days_apart)
    twice[twice] = run[second[twice]] == run[twice]
    known = np.full(len(day), NEVER)
    known[twice] = day[second[twice]]
    asked = on_line(patient, day)
    step, soon = _next(escalated, asked)
    soon[soon] = escalated[step[soon]] <= asked[soon] + rule.escalation_within_days
    stepped = np.full(len(day), NEVER)
    stepped[soon] = day[soon] + escalated[step[soon]] - asked[soon]
    by_treatment = (stepped < known).astype(np.int64)
    known = np.minimum(known, stepped)
    sure = known < NEVER
    return patient[sure], day[sure], known[sure], by_treatment[sure]


def _next(line: Days, asked: Days) -> tuple[Days, Flags]:
    """Return the position of the first entry at or after each asked one, and whether there is any."""
    at = np.searchsorted(line, asked)
    return at, at < len(line)


def _clean(analytes: list[_Daily], within: list[int]) -> Days:
    """Return, as one number per patient and day, the days on which the latest results of all analytes were in limits.

    They are in order; a result counts for so many days.
    """
    lines = [on_line(daily.patient, daily.day) for daily in analytes]
    asked: Days = np.sort(np.concatenate(lines), kind="stable")
    asked = asked[np.append(True, asked[1:] != asked[:-1])[: len(asked)]]
    for daily, line, days in zip(analytes, lines, within, strict=True):
        at = np.searchsorted(line, asked, side="right") - 1
        fine = at >= 0
        fine[fine] = (line[at[fine]] >= asked[fine] - days) & (daily.said[at[fine]] == WITHIN)
        asked = asked[fine]
    return asked


def _within_days(response: Response, analyte: str) -> int:
    """Return how old a result of the analyte may be to belong to an evaluation."""
    rule = response.definition.response
    own = {c.analyte: c.within_days for c in rule.criteria if c.within_days is not None}
    return own.get(analyte, rule.same_evaluation_days)
