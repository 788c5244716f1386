"""When each kind of treatment began: induction, second line, empirical advanced and gene-matched therapy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aih_outcomes.catalogue import read_drugs
from aih_outcomes.endpoints.clock import INDUCTION_CLASSES
from aih_outcomes.endpoints.timelines import Flags, Floats, Timelines, once
from aih_outcomes.endpoints.treatment.episodes import Episodes, find_episodes
from aih_outcomes.endpoints.treatment.genes import find_matches

THIOPURINE, MYCOPHENOLATE, CALCINEURIN_INHIBITOR = "thiopurine", "mycophenolate", "calcineurin_inhibitor"
# [P] Begun within so many days of the first steroid, and without a thiopurine or mycophenolate before, these are
# induction and so line 1; any later, line 2. Methotrexate is line 2 after the steroid.
LINE_ONE_DAYS = {MYCOPHENOLATE: 90, CALCINEURIN_INHIBITOR: 14, "antimetabolite": 0}
FIRST_AGENTS = (THIOPURINE, MYCOPHENOLATE)  # what begins after either of these is second line


@dataclass(frozen=True, slots=True, eq=False)
class Starts:
    """First day of each kind of treatment (n,), days since time zero; NaN where never."""

    induction: Floats
    second_line: Floats
    empirical_advanced: Floats
    gene_matched: Floats


@once
def find_starts(timelines: Timelines) -> Starts:
    """Return when each kind of treatment for autoimmune hepatitis began."""
    episodes = find_episodes(timelines)
    line = episodes.is_line(timelines)
    advanced = line & read_drugs()["advanced"].to_numpy(bool)[episodes.drug]
    matched = advanced & find_matched(timelines, episodes)
    conventional = np.fmin.reduce(list(find_second_agents(timelines, episodes).values()))

    def first(chosen: Flags) -> Floats:
        return first_start(episodes, chosen, timelines.n)

    return Starts(find_induction(timelines), conventional, first(advanced & ~matched), first(matched))


def find_induction(timelines: Timelines) -> Floats:
    """Return the first day of systemic steroid, budesonide included, for autoimmune hepatitis (n,)."""
    given = timelines.treatments
    rows = given.where(timelines.of_class(*INDUCTION_CLASSES) & given.systemic & given.for_aih)
    return _first(rows.patient, rows.start, timelines.n)


def find_second_agents(timelines: Timelines, episodes: Episodes) -> dict[str, Floats]:
    """Return, per class of conventional drug, when it began as a further line (n,); NaN where it did not.

    A class that was line 1 stays so when it is begun again.
    """
    line, classes = episodes.is_line(timelines), timelines.drug_classes[episodes.drug]
    names = (THIOPURINE, *LINE_ONE_DAYS)
    begun = {name: first_start(episodes, line & (classes == name), timelines.n) for name in names}
    induction, further = find_induction(timelines), {}
    for name, days in LINE_ONE_DAYS.items():
        after = np.any([begun[name] > begun[agent] for agent in FIRST_AGENTS], axis=0)
        after |= begun[name] > induction + days
        further[name] = np.where(after, begun[name], np.nan)
    return further


def find_matched(timelines: Timelines, episodes: Episodes) -> Flags:
    """Return which courses were chosen for a gene: a result that the drug matches stood on their first day.

    Of a patient's results of one gene and mechanism the latest on or before that day decides.
    """
    classes, matched = timelines.drug_classes[episodes.drug], np.zeros(len(episodes.start), dtype=bool)
    for name, stood in find_matches(timelines, "drug_class").items():
        own = np.flatnonzero(classes == name)
        matched[own] = stood.covers(episodes.patient[own], episodes.start[own])
    return matched


def first_start(episodes: Episodes, chosen: Flags, n: int) -> Floats:
    """Return each patient's first day among the chosen courses (n,); NaN where there is none."""
    return _first(episodes.patient[chosen], episodes.start[chosen], n)


def _first(patient: np.ndarray, day: np.ndarray, n: int) -> Floats:
    first = np.full(n, np.inf)
    np.minimum.at(first, patient, day)
    return np.where(np.isinf(first), np.nan, first)
