"""Which further results would make an endpoint evaluable, and on which days: searched, and put to the criteria."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.endpoints.patients.supposed import suppose
from aih_outcomes.endpoints.response.evaluation import OPEN
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.timelines import NEVER, Days, Flags

_LONG_AGO = -NEVER


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """One endpoint: its analytes, and on which days an evaluation decides it.

    Attributes
    ----------
    find, table : the status per patient (1, 0, −1), and the frame with its reasons
    analytes, within : what is judged; per analyte the most days between its result and the evaluation
    window : an evaluation known on these days decides
    earliest : results before this day are no part of it
    closes : transplant or death up to this day decides
    from_baseline : analytes that are compared with their value before treatment
    """

    endpoint: str
    find: Callable[[Response], NDArray[np.int8]]
    table: Callable[[Response], pd.DataFrame]
    analytes: tuple[str, ...]
    within: tuple[int, ...]
    window: tuple[int, int]
    earliest: int
    closes: int
    from_baseline: tuple[str, ...]

    @property
    def days(self) -> Days:
        """Every day whose results can be part of a deciding evaluation."""
        return np.arange(max(self.earliest, self.window[0] - max(self.within), 1), self.window[1] + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What is asked of m patients.

    Attributes
    ----------
    who : (m,) position of the patient
    start : (m, k) analytes whose value before treatment is asked for
    asked : (m, k) analytes asked for in the window, all on one day
    first, last : (m,) the days; ``first`` lies after ``last`` where nothing would help
    """

    who: Days
    start: Flags
    asked: Flags
    first: Days
    last: Days


def find_query(response: Response, look: Look, who: Days) -> Query:
    """Return the smallest question that helps each patient, and the longest run of days on which it does."""
    start = np.zeros((len(who), len(look.analytes)), dtype=bool)
    for name in look.from_baseline:
        start[:, look.analytes.index(name)] = response.baseline_of(name).position[who] < 0
    until = response.timelines.last_day[who]
    reach = np.where(np.isnan(until), look.window[1], np.minimum(until, look.window[1])).astype(np.int64)
    seen = _seen(response, look, who)
    query = _drop_needless(response, look, _propose(look, who, start, seen, reach))
    sampled: Flags = np.asarray(seen.any(axis=2))
    return _settle(response, look, query, sampled, reach)


def _seen(response: Response, look: Look, who: Days) -> Flags:
    """Return on which of ``look.days`` each patient has a usable result of each analyte, printed without a sign."""
    day = look.days
    place = np.full(response.timelines.n, -1, dtype=np.int64)
    place[who] = np.arange(len(who))
    seen = np.zeros((len(who), len(day), len(look.analytes)), dtype=bool)
    for k, name in enumerate(look.analytes):
        labs = response.timelines.labs[name]
        plain = response.interpretable[name] & (labs.sign == 0) & ~np.isnan(labs.xuln)
        rows = np.flatnonzero(plain & (labs.day >= day[0]) & (labs.day <= day[-1]) & (place[labs.patient] >= 0))
        seen[place[labs.patient[rows]], labs.day[rows] - day[0], k] = True
    return seen


def _propose(look: Look, who: Days, start: Flags, seen: Flags, reach: Days) -> Query:
    """Ask for what the most complete evaluation of the window lacks (the latest of several); for all if there is none.

    Parameters
    ----------
    reach : last day on which each patient can have a result
    """
    day, within = look.days, np.array(look.within)
    latest = np.maximum.accumulate(np.where(seen, day[:, None], _LONG_AGO), axis=1)
    near = latest >= day[:, None] - within
    counts = seen.any(axis=2) & (day >= look.window[0])
    lacks = np.where(counts, (~near).sum(axis=2), len(within) + 1)
    best = len(day) - 1 - np.argmin(lacks[:, ::-1], axis=1)
    row = np.arange(len(who))
    near, latest = near[row, best], latest[row, best]
    whole = ~counts.any(axis=1) | (near.all(axis=1) & ~start.any(axis=1))
    back = np.where(near, NEVER, within).min(axis=1)  # so far the evaluation looks back for what is asked
    ahead = np.where(near, latest + within, NEVER).min(axis=1)  # so long what is there can be looked back at
    first = np.where(whole, look.window[0], np.maximum(day[best] - back, day[0]))
    last = np.minimum(np.where(whole, look.window[1], np.minimum(ahead, look.window[1])), reach)
    return Query(who, start, ~near | whole[:, None], first, last)


def _helps(response: Response, look: Look, query: Query, row: Days, *, day: Days, start_day: Days) -> Flags:
    """Return whether what is asked of the patients in ``row``, found on these days, makes them evaluable."""
    added = {}
    for k, name in enumerate(look.analytes):
        now, before = np.flatnonzero(query.asked[row, k]), np.flatnonzero(query.start[row, k])
        added[name] = (np.append(now, before), np.append(day[now], start_day[before]))
    helps: Flags = look.find(suppose(response, query.who[row], added)) != OPEN
    return helps


def _drop_needless(response: Response, look: Look, query: Query) -> Query:
    """Leave out, one after another, what is not needed: a titre that was negative, a result whose sign decides."""
    middle = np.maximum((query.first + query.last) // 2, query.first)
    start_day = np.full(len(query.who), response.definition.baseline.window[1])
    for k in reversed(range(len(look.analytes))):
        fewer = query.asked.copy()
        fewer[:, k] = False
        row = np.flatnonzero(query.asked[:, k] & (fewer.any(axis=1) | query.start.any(axis=1)))
        shorter = replace(query, asked=fewer)
        needless = row[_helps(response, look, shorter, row, day=middle[row], start_day=start_day[row])]
        asked = query.asked.copy()
        asked[needless, k] = False
        query = replace(query, asked=asked)
    return query


def _settle(response: Response, look: Look, query: Query, sampled: Flags, reach: Days) -> Query:
    """Keep the questions that hold at both ends, in the middle and on each day with a sample; search for the others.

    The search tries every day: of the question, then of all analytes.
    """
    every, before = np.arange(len(query.who)), response.definition.baseline.window
    middle = np.maximum((query.first + query.last) // 2, query.first)
    row, place = np.nonzero(sampled)
    inside = (look.days[place] >= query.first[row]) & (look.days[place] <= query.last[row])
    tried = np.concatenate([every, every, every, row[inside]])
    day = np.concatenate([query.first, middle, query.last, look.days[place[inside]]])
    starts = np.repeat([before[0], sum(before) // 2, before[1]], len(every))
    starts = np.append(starts, np.full(inside.sum(), before[1]))
    good = query.first <= query.last
    np.logical_and.at(good, tried, _helps(response, look, query, tried, day=day, start_day=starts))
    query = replace(query, last=np.where(good, query.last, query.first - 1))
    for asked in (query.asked, np.ones_like(query.asked)):
        query = _search(response, look, query, asked=asked, reach=reach)
    return query


def _search(response: Response, look: Look, query: Query, *, asked: Flags, reach: Days) -> Query:
    """Try a question on every day for those who have none yet, and keep the longest run of days on which it helps."""
    bad, day = np.flatnonzero(query.first > query.last), look.days
    row, when = np.repeat(bad, len(day)), np.tile(day, len(bad))
    before = np.full(len(row), response.definition.baseline.window[1])
    held = _helps(response, look, replace(query, asked=asked), row, day=when, start_day=before) & (when <= reach[row])
    begins, length = longest_run(held.reshape(len(bad), len(day)))
    found = Query(query.who, query.start, query.asked.copy(), query.first.copy(), query.last.copy())
    helped = bad[length > 0]
    found.asked[helped] = asked[helped]
    found.first[helped] = day[begins[length > 0]]
    found.last[helped] = found.first[helped] + length[length > 0] - 1
    return found


def longest_run(held: Flags) -> tuple[Days, Days]:
    """Return where the longest run of True begins in each row (the first of several), and how long it is.

    Examples
    --------
    >>> longest_run(np.array([[True, False, True, True], [False, False, False, False]]))
    (array([2, 0]), array([2, 0]))
    """
    at = np.arange(held.shape[1])
    broken = np.maximum.accumulate(np.where(held, -1, at), axis=1)
    length = np.where(held, at - broken, 0)
    ends = np.argmax(length, axis=1)
    longest = length[np.arange(len(held)), ends]
    return np.where(longest > 0, ends - longest + 1, 0), longest
