"""Whether first-line drugs and further agents failed or were not tolerated (clinic 6; [P])."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_drugs
from aih_outcomes.endpoints.clock import INDUCTION_CLASSES
from aih_outcomes.endpoints.course.in_response import end_of_follow_up
from aih_outcomes.endpoints.response.evaluation import IS_MET, IS_NOT_MET, OPEN
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.spells import Spells
from aih_outcomes.endpoints.timelines import NEVER, Days, Flags, Floats, Timelines, on_line, once
from aih_outcomes.endpoints.treatment.episodes import find_episodes
from aih_outcomes.endpoints.treatment.starts import LINE_ONE_DAYS, THIOPURINE, find_second_agents

AGENT_DAYS = 91  # a further agent counts that was given for three months
AFTER_EVENT_DAYS = 30  # [P] a drug stopped so soon after a serious adverse event was stopped for it
NOT_TOLERATED, NOT_EFFECTIVE = "intolerance", "inefficacy"  # as reasons of stopping


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One category per patient (n,): 1 met, 0 not met, −1 not evaluable; since when, known when, and why."""

    status: NDArray[np.int8]
    onset: Floats
    known_at: Floats
    because: NDArray[np.object_]


@dataclass(frozen=True, slots=True, eq=False)
class Agents:
    """Courses of drugs for autoimmune hepatitis; ``stop`` is the last day up to the end of follow-up.

    ``steroid``, ``thiopurine`` and ``first_line`` (these two, and what was begun with the steroid) say what each is;
    any other is a further agent. ``reason`` is why it was stopped, ``""`` where that is not recorded.
    """

    patient: Days
    drug: Days
    start: Days
    stop: Days
    stopped: Flags
    reason: NDArray[np.object_]
    steroid: Flags
    thiopurine: Flags
    first_line: Flags

    def where(self, chosen: Flags) -> Agents:
        """Return these courses only."""
        return Agents(*(getattr(self, field.name)[chosen] for field in fields(self)))


@once
def find_agents(timelines: Timelines) -> Agents:
    """Return the courses of steroid, thiopurine, and every conventional or advanced agent."""
    episodes = find_episodes(timelines)
    kinds = timelines.drug_classes[episodes.drug]
    steroid, thiopurine = np.isin(kinds, INDUCTION_CLASSES), kinds == THIOPURINE
    first_line = steroid | thiopurine
    begun_with = np.zeros(len(kinds), dtype=bool)
    for name, start in find_second_agents(timelines, episodes).items():
        begun_with |= (kinds == name) & np.isnan(start[episodes.patient])
    agent = first_line | np.isin(kinds, list(LINE_ONE_DAYS)) | read_drugs()["advanced"].to_numpy(bool)[episodes.drug]
    reason = timelines.cohort.treatments["reason_stopped"].to_numpy(object, na_value="")[episodes.last_row]
    end = np.nan_to_num(end_of_follow_up(timelines), nan=0.0)[episodes.patient]
    return Agents(
        episodes.patient, episodes.drug, episodes.start, np.minimum(episodes.stop, end).astype(np.int64),
        episodes.stop < NEVER, reason, steroid, thiopurine, first_line | begun_with,
    ).where(agent & episodes.is_line(timelines))  # fmt: skip


def judge_intolerant(timelines: Timelines, agents: Agents) -> Judged:
    """Judge who did not tolerate a first-line drug: stopped for it, or soon after a serious adverse event due to it."""
    first = agents.where(agents.first_line)
    said = first.stopped & (first.reason == NOT_TOLERATED)
    harmed = _stopped_after_event(timelines, first)
    at = _earliest(first.patient, first.stop, said | harmed, timelines.n)
    given, unclear = (_any(first.patient, part, timelines.n) for part in (first.stop > -NEVER, _no_reason(first)))
    found, by_reason = ~np.isnan(at), _any(first.patient, said, timelines.n)
    because = np.select(
        [by_reason, found, ~given, unclear],
        ["first-line drug stopped for intolerance", "first-line drug stopped after a serious adverse event due to it",
         "no first-line drug recorded", "reason of stopping not recorded"],
        "no first-line drug stopped for intolerance",
    ).astype(object)  # fmt: skip
    return Judged(np.select([found, ~given | unclear], [IS_MET, OPEN], IS_NOT_MET).astype(np.int8), at, at, because)


def _stopped_after_event(timelines: Timelines, courses: Agents) -> Flags:
    """Return which courses ended within 30 days after a serious adverse event attributed to their drug."""
    table, drugs = timelines.cohort.adverse_events, read_drugs()["drug"].to_numpy(object)
    serious = table["serious"].to_numpy(bool, na_value=False) & table["related_drug"].notna().to_numpy(bool)
    patient, day, row = timelines.dated(table, serious)
    order = np.argsort(drugs)
    drug = order[np.searchsorted(drugs[order], table["related_drug"].to_numpy(object)[row])]
    line = np.lexsort((courses.start, courses.drug, courses.patient))
    key = courses.patient[line] * len(drugs) + courses.drug[line]
    at = Spells(key, courses.start[line], courses.stop[line]).at(patient * len(drugs) + drug, day)
    hit = line[at[at >= 0]]
    soon = courses.stopped[hit] & (courses.stop[hit] <= day[at >= 0] + AFTER_EVENT_DAYS)
    found = np.zeros(len(line), dtype=bool)
    found[hit[soon]] = True
    return found


def judge_difficult(response: Response, agents: Agents) -> Judged:
    """Judge whom steroid with thiopurine, and so a further agent for three months, failed or did not suit."""
    n = response.timelines.n
    failed_at, unclear = _fail(response, agents)
    usual = agents.steroid | agents.thiopurine
    further = ~agents.first_line & (agents.stop - agents.start + 1 >= AGENT_DAYS)
    both = _any(agents.patient, agents.steroid, n) & _any(agents.patient, agents.thiopurine, n)
    ever_further = _any(agents.patient, further, n)
    began = _earliest(agents.patient, agents.start, agents.thiopurine, n)
    first = np.maximum(_earliest(agents.patient, failed_at, usual, n), began)
    later = _earliest(agents.patient, failed_at, further, n)
    no_first = ~both | (np.isnan(first) & ~_any(agents.patient, usual & unclear, n))
    no_later = ~ever_further | (np.isnan(later) & ~_any(agents.patient, further & unclear, n))
    met, not_met = both & ~np.isnan(first) & ~np.isnan(later), no_first | no_later
    at = np.where(met, np.maximum(first, later), np.nan)
    because = np.select(
        [met, ~both, ~ever_further, no_first, no_later],
        ["steroid with thiopurine and a further agent failed or not tolerated", "no steroid with thiopurine",
         f"no further agent for {AGENT_DAYS} days", "steroid with thiopurine did not fail",
         "further agent did not fail"],
        "reason of stopping not recorded, or no evaluable evaluation",
    ).astype(object)  # fmt: skip
    return Judged(np.select([met, not_met], [IS_MET, IS_NOT_MET], OPEN).astype(np.int8), at, at, because)


def _fail(response: Response, agents: Agents) -> tuple[Floats, Flags]:
    """Return on which day each course was known to fail (NaN: it did not), and where that cannot be said.

    Stopped as not effective or not tolerated, or, steroid apart, the first evaluable evaluation from its day 91 on
    does not meet the criteria.
    """
    judged = response.judged
    rows = np.flatnonzero(judged.status != OPEN)
    due = on_line(agents.patient, agents.start + AGENT_DAYS - 1)
    at = np.searchsorted(on_line(judged.patient[rows], judged.known[rows]), due)
    seen = at < len(rows)
    seen[seen] = (judged.patient[rows[at[seen]]] == agents.patient[seen]) & (
        judged.known[rows[at[seen]]] <= agents.stop[seen]
    )
    active = np.full(len(seen), np.nan)
    failing = rows[at[seen]]
    active[seen] = np.where(judged.status[failing] == IS_NOT_MET, judged.known[failing], np.nan)
    active[agents.steroid] = np.nan
    stopped = agents.stopped & np.isin(agents.reason, (NOT_TOLERATED, NOT_EFFECTIVE))
    failed = np.fmin(np.where(stopped, agents.stop, np.nan), active)
    return failed, np.isnan(failed) & (_no_reason(agents) | (~agents.stopped & ~seen & ~agents.steroid))


def _no_reason(agents: Agents) -> Flags:
    return np.asarray(agents.stopped & (agents.reason == ""))


def _any(patient: Days, chosen: Flags, n: int) -> Flags:
    found = np.zeros(n, dtype=bool)
    found[patient[chosen]] = True
    return found


def _earliest(patient: Days, day: NDArray[np.generic], chosen: Flags, n: int) -> Floats:
    first = np.full(n, np.inf)
    np.fmin.at(first, patient[chosen], day[chosen].astype(float))
    return np.where(np.isinf(first), np.nan, first)
