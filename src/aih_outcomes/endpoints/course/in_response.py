"""Who is in response on a day, and since when: what every later endpoint starts from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.endpoints.response.evaluation import IS_MET, IS_NOT_MET, OPEN
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.spells import Spells
from aih_outcomes.endpoints.timelines import NEVER, Days, Floats, Timelines, on_line


def find_in_response(response: Response) -> Spells:
    """Return the time in response, again and again: from the day after it was known to the next evaluation not met.

    An evaluation that is not evaluable ends nothing; the last spell goes on where none is not met.
    """
    judged, counts = response.judged, response.counts
    ends = judged.status == IS_NOT_MET
    who = np.concatenate([judged.patient[ends], judged.patient[counts]])
    when = np.concatenate([judged.known[ends], judged.confirmed_at[counts].astype(np.int64)])
    gained = np.arange(len(who)) >= ends.sum()
    order = np.argsort(on_line(who, when), kind="stable")
    who, when, gained = who[order], when[order], gained[order]
    new = np.append(True, (who[1:] != who[:-1]) | (gained[1:] != gained[:-1]))[: len(who)]
    who, when, gained = who[new], when[new], gained[new]
    following = np.append(np.where(who[1:] == who[:-1], when[1:], NEVER), NEVER)[: len(who)]
    return Spells(who[gained], when[gained] + 1, following[gained])


def find_last_decided(response: Response, patient: Days, day: Days) -> NDArray[np.int8]:
    """Return what the last evaluable evaluation up to each asked day said: 1 met, 0 not met, −1 there was none."""
    judged = response.judged
    rows = np.flatnonzero(judged.status != OPEN)
    at = np.searchsorted(on_line(judged.patient[rows], judged.known[rows]), on_line(patient, day), side="right") - 1
    own = at >= 0
    own[own] = judged.patient[rows[at[own]]] == patient[own]
    said = np.full(len(patient), OPEN, dtype=np.int8)
    said[own] = judged.status[rows[at[own]]]
    return said


def find_runs(response: Response) -> tuple[Days, Floats]:
    """Return, per evaluation (m,), where its run of response began, and when the next evaluable one was known.

    A run is broken by an evaluation that is not met, never by one that is not evaluable. Where no evaluable one
    follows, the next is infinitely far; the beginning is only of use where an evaluation is met.
    """
    judged = response.judged
    began, following = judged.onset.copy(), np.full(len(judged.known), np.inf)
    rows = np.flatnonzero(judged.status != OPEN)
    met, patient = judged.status[rows] == IS_MET, judged.patient[rows]
    same = patient[1:] == patient[:-1]
    following[rows[:-1][same]] = judged.known[rows[1:][same]]
    opens = np.ones(len(rows), dtype=bool)
    opens[1:] = ~(same & met[1:] & met[:-1])
    first = np.maximum.accumulate(np.where(opens, np.arange(len(rows)), 0))
    began[rows] = judged.onset[rows[first]]
    return began, following


def end_of_follow_up(timelines: Timelines) -> Floats:
    """Return the last day known alive with the native liver (n,): the day before a transplant at the latest."""
    end: Floats = np.fmin(timelines.last_day, timelines.transplant_day - 1)
    return np.where(np.isnan(timelines.last_day), np.nan, end)


def with_native_liver(timelines: Timelines, spells: Spells) -> Spells:
    """Return the part of the spells that lies before any transplant."""
    end = end_of_follow_up(timelines)[spells.patient]
    kept = spells.start <= end
    stop = np.fmin(spells.stop[kept], end[kept]).astype(np.int64)
    return Spells(spells.patient[kept], spells.start[kept], stop)


def last_day_outside(timelines: Timelines, spells: Spells) -> Floats:
    """Return the last day of follow-up that no spell covers (n,): the last day on treatment, for spells without it."""
    end = end_of_follow_up(timelines)
    at_end = end[spells.patient] == spells.stop
    out = end.copy()
    out[spells.patient[at_end]] = spells.start[at_end] - 1
    return out
