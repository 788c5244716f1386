"""Lines of treatment: which drug belonged to which, and why it was begun (clinic 12, 14, 15)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_drugs
from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import TimeZero
from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.timelines import (
    NEVER,
    Days,
    Flags,
    Floats,
    Timelines,
    derive_timelines,
    first_of,
    on_line,
    take,
)
from aih_outcomes.endpoints.treatment.dosing import NOT_IMMUNOSUPPRESSIVE, STEROIDS
from aih_outcomes.endpoints.treatment.episodes import COURSE_GAP_DAYS, Episodes, find_episodes
from aih_outcomes.endpoints.treatment.starts import find_matched, find_second_agents, first_start

CROSSOVER_DAYS = 30  # [P] an earlier drug that goes on for longer than this was not replaced but added to
FIRST, STEP_UP, ADDED, AGAIN, WITHIN_CLASS = "first", "step-up", "added", "begun again", "switch within class"
INEFFICACY, INTOLERANCE = "switch for inefficacy", "switch for intolerance"
SWITCH, AFTER_PAUSE = "switch", "after a pause"


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Courses that make up the lines of treatment, by patient and first day; each array has one entry per course.

    ``course`` is a position in the episodes, ``earlier`` the position here of the course that a further line followed
    (−1 where there is none).
    """

    course: Days
    patient: Days
    start: Days
    stop: Days
    line: Days
    why: NDArray[np.object_]
    earlier: Days


def find_lines(timelines: Timelines, episodes: Episodes) -> Lines:
    """Return the courses with the number of the line that each belongs to.

    Line 1 is the steroid, the first thiopurine at any time, and what ``LINE_ONE_DAYS`` allows. Every other class begins
    the next line when it is first given; classes begun on one day share it. A switch within a class (azathioprine to
    mercaptopurine, tacrolimus to ciclosporin) and a drug begun again do not advance it.
    """
    kept = _in_lines(timelines, episodes)
    kept = kept[np.lexsort((episodes.drug[kept], on_line(episodes.patient[kept], episodes.start[kept])))]
    patient, drug, start, stop = (getattr(episodes, name)[kept] for name in ("patient", "drug", "start", "stop"))
    groups, of_drug = _classes(timelines)
    line = _line_of_class(_openings(timelines, episodes, groups))[patient, of_drug[drug]]
    line -= _smallest(patient, line, timelines.n)[patient] - 1  # without a first line the next one is the first
    again = start > _earliest(patient * len(of_drug) + drug, start)
    same_class = start > _earliest(patient * len(groups) + of_drug[drug], start)
    first_day = _smallest(patient, np.where(line == 1, start, NEVER), timelines.n)[patient]
    earlier = np.where((line > 1) & ~same_class, _earlier(patient, start, of_drug[drug] == groups.index("steroid")), -1)
    why = np.select(
        [again, same_class, (line == 1) & (start <= first_day), line == 1],
        [AGAIN, WITHIN_CLASS, FIRST, STEP_UP],
        _why_next(timelines, start, stop, earlier, episodes.last_row[kept]),
    ).astype(object)
    return Lines(kept, patient, start, stop, line, why, earlier)


def _in_lines(timelines: Timelines, episodes: Episodes) -> Days:
    """Return the courses that may belong to a line: immunosuppressants for the disease, steroid if systemic."""
    classes = timelines.drug_classes[episodes.drug]
    systemic = np.bincount(episodes.of_period, timelines.treatments.systemic, minlength=len(classes)) > 0
    allowed = episodes.is_line(timelines) & ~np.isin(classes, NOT_IMMUNOSUPPRESSIVE)
    return np.flatnonzero(allowed & (systemic | ~np.isin(classes, STEROIDS)))


def _classes(timelines: Timelines) -> tuple[list[str], Days]:
    """Return the classes, budesonide being one with the other steroids, and the class of each drug."""
    named = np.where(np.isin(timelines.drug_classes, STEROIDS), "steroid", timelines.drug_classes)
    names, of_drug = np.unique(named, return_inverse=True)
    return list(names), of_drug


def _openings(timelines: Timelines, episodes: Episodes, groups: list[str]) -> Floats:
    """Return on which day each class began a further line (n, classes); NaN where it did not."""
    opened = np.full((timelines.n, len(groups)), np.nan)
    for name, day in find_second_agents(timelines, episodes).items():
        opened[:, groups.index(name)] = day
    drugs = read_drugs()
    allowed, classes = episodes.is_line(timelines), timelines.drug_classes[episodes.drug]
    for name in dict.fromkeys(drugs.loc[drugs["advanced"], "drug_class"]):
        opened[:, groups.index(name)] = first_start(episodes, allowed & (classes == name), timelines.n)
    return opened


def _line_of_class(opened: Floats) -> Days:
    """Return the number of each class's line: one more than the different days on which lines had begun by then."""
    in_order = np.sort(opened, axis=1)
    new = np.ones_like(in_order, dtype=bool)
    new[:, 1:] = in_order[:, 1:] > in_order[:, :-1]
    begun = (in_order[:, None, :] <= opened[:, :, None]) & new[:, None, :]
    lines: Days = 1 + begun.sum(axis=2)
    return lines


def _smallest(patient: Days, value: Days, n: int) -> Days:
    smallest = np.full(n, NEVER, dtype=np.int64)
    np.minimum.at(smallest, patient, value)
    return smallest


def _earliest(key: Days, start: Days) -> Days:
    """Return for each row the first day of any row with the same key."""
    keys, at = np.unique(key, return_inverse=True)
    return _smallest(at, start, len(keys))[at]


def _earlier(patient: Days, start: Days, steroid: Flags) -> Days:
    """Return the row last begun before each row, another drug before steroid; −1 where there is none."""
    found = np.full(len(start), -1, dtype=np.int64)
    asked = on_line(patient, start)
    for of_kind in (steroid, ~steroid):
        rows = np.flatnonzero(of_kind)
        at = np.searchsorted(asked[rows], asked) - 1
        own = at >= 0
        own[own] = patient[rows[at[own]]] == patient[own]
        found[own] = rows[at[own]]
    return found


def _why_next(timelines: Timelines, start: Days, stop: Days, earlier: Days, last_row: Days) -> NDArray[np.object_]:
    """Say why a further line was begun, from when and why the earlier drug was stopped."""
    reasons = timelines.cohort.treatments["reason_stopped"].to_numpy(object, na_value="")
    there = earlier >= 0
    ended, reason = np.full(len(start), NEVER), np.full(len(start), "", dtype=object)
    ended[there], reason[there] = stop[earlier[there]], reasons[last_row[earlier[there]]]
    goes_on, pause = ended > start + CROSSOVER_DAYS, start - ended - 1 > COURSE_GAP_DAYS
    why: NDArray[np.object_] = np.select(
        [goes_on, reason == "inefficacy", reason == "intolerance", pause],
        [ADDED, INEFFICACY, INTOLERANCE, AFTER_PAUSE],
        SWITCH,
    ).astype(object)
    return why


def derive_lines(cohort: Cohort, *, time_zero: TimeZero = "induction") -> pd.DataFrame:
    """Return the treatment of autoimmune hepatitis, line by line: one row per course of a drug, in order of time.

    ``why`` is *first* (began line 1), *step-up* (added within line 1), *switch for inefficacy*, *switch for
    intolerance*, *switch* (another reason, or none recorded), *after a pause*, *added* (the earlier drug went on for
    more than 30 days), *switch within class* or *begun again*; the last two never advance the line.

    Returns
    -------
    frame ``patient_id, line, drug, drug_class, start, stop`` (days since time zero; stop empty while it goes on),
    ``why, earlier_drug, earlier_stopped`` (the drug that a further line followed, and why that was stopped),
    ``gene_matched``
    """
    timelines = derive_timelines(cohort, time_zero=time_zero)
    episodes, drugs = find_episodes(timelines), read_drugs()
    lines = find_lines(timelines, episodes)
    names, ongoing = drugs["drug"].to_numpy(object)[episodes.drug[lines.course]], lines.stop == NEVER
    followed = np.where(lines.earlier >= 0, lines.earlier, 0)
    earlier = pd.Series(names.take(followed) if len(names) else names).where(lines.earlier >= 0)
    stopped = cohort.treatments["reason_stopped"].take(episodes.last_row[lines.course].take(followed))
    matched = find_matched(timelines, episodes) & drugs["advanced"].to_numpy(bool)[episodes.drug]
    table = pd.DataFrame(
        {
            "patient_id": timelines.patients.take(lines.patient),
            "line": lines.line,
            "drug": names,
            "drug_class": timelines.drug_classes[episodes.drug[lines.course]],
            "start": lines.start,
            "stop": pd.array(np.where(ongoing, 0, lines.stop), dtype="Int64"),
            "why": lines.why,
            "earlier_drug": earlier,
            "earlier_stopped": stopped.array,
            "gene_matched": matched[lines.course],
        }
    )
    table.loc[ongoing, "stop"] = pd.NA
    table.loc[(lines.earlier < 0) | (lines.why == ADDED), "earlier_stopped"] = pd.NA
    return table


def derive_second_line(timelines: Timelines) -> Detection:
    """Return when a second line was begun: any treatment beyond line 1, advanced therapy included.

    An exact day, so that who never had one is censored at the last day known alive with the native liver. ``because``
    says why it was begun; intolerance is not inefficacy. A patient who had one before time zero is not at risk.
    """
    lines = find_lines(timelines, find_episodes(timelines))
    position = first_of(lines.patient, lines.line > 1, timelines.n)
    began = take(lines.start, position)
    began[began > timelines.failed_day] = np.nan  # what is given for the graft is no line
    last = np.fmin(timelines.last_day, timelines.failed_day)
    before, found = began < 0, began >= 0
    why = np.full(timelines.n, "", dtype=object)
    why[position >= 0] = lines.why[position[position >= 0]]
    because = np.select(
        [before, found, np.isnan(last)],
        ["second line before time zero", why, "no follow-up"],
        "no second line by the end of follow-up",
    ).astype(object)
    return Detection(
        "second_line", "Second-line treatment", timelines, np.where(before, np.nan, 0.0),
        np.where(found, began - 1, last), np.where(found, began, np.nan), np.where(found, began, np.nan), because,
    )  # fmt: skip
