"""Response without steroid, and on a low dose of it: first attained, and at a day (clinic 16).

The dose is the one recorded: what was prescribed, not what was taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.endpoints.course.in_response import end_of_follow_up, find_runs, with_native_liver
from aih_outcomes.endpoints.course.withdrawal import last_without, lasting
from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.response.evaluation import IS_MET, IS_NOT_MET, OPEN
from aih_outcomes.endpoints.response.response import Response, Status
from aih_outcomes.endpoints.spells import Spells
from aih_outcomes.endpoints.timelines import Flags, Floats, first_of, take
from aih_outcomes.endpoints.treatment.dosing import find_low_dose, find_steroid_free, had_steroid

Lacks = NDArray[np.object_]
NO_STEROID = "no steroid recorded"  # whoever has none at all may have had it elsewhere


@dataclass(frozen=True, slots=True, eq=False)
class _Attained:
    """First response in a spell that is long enough, per patient (n,); and what is known where there is none.

    ``start`` is the spell's first day, ``ever`` whether there was such a spell, ``evaluated`` whether any evaluable
    evaluation lies in one.
    """

    start: Floats
    onset: Floats
    known_at: Floats
    ever: Flags
    evaluated: Flags


def derive_steroid_free_response(response: Response) -> Detection:
    """Find when response without steroid was first attained.

    A spell without systemic steroid qualifies that lasts at least ``steroid_free_days`` (90), if on its day 90 the last
    evaluable evaluation since its first day met the criteria, or a later evaluation in it does. Onset is the first day
    on which both hold: the spell's first, or that on which this run of response began, whichever is later. It is known
    on the spell's day 90, or with that evaluation. Oral budesonide is steroid; replacement is not.

    At risk from time zero. Who took steroid on a day, or whose evaluation was not met, is known to be without; a spell
    long enough without any evaluable evaluation leaves it *not evaluable*.
    """
    spells = with_native_liver(response.timelines, find_steroid_free(response.timelines, response.definition.treatment))
    label = f"Steroid-free {response.definition.response.short}"
    return _detect(response, _attain(response, spells), spells, "steroid-free-response", label, "steroid-free")


def derive_low_dose_response(response: Response) -> Detection:
    """Find when response on no steroid or a low dose was first attained; see ``derive_steroid_free_response``.

    The spell is one of at most ``low_dose_mg_per_kg`` and ``low_dose_mg_per_day``, for ``steroid_free_days`` (90) too.
    It is not known before the weight was measured that decides. Where a dose or weight is missing without which the
    spell would, or may, have qualified, it is *not evaluable*; only days on a dose known to be higher are days without.
    """
    timelines, n = response.timelines, response.timelines.n
    dose = find_low_dose(timelines, response.definition.treatment)
    sure, possible = (with_native_liver(timelines, spells) for spells in (dose.sure, dose.possible))
    found, may_be = _attain(response, sure), _attain(response, possible)
    late, weighed = dose.late, found.known_at.copy()
    decides = (late.start <= found.known_at[late.patient]) & (late.stop >= found.start[late.patient])
    np.maximum.at(weighed, late.patient[decides], dose.weighed[decides])
    unclear = np.isnan(found.onset) & (~np.isnan(may_be.onset) | (may_be.ever & ~may_be.evaluated))
    unclear &= ~(found.ever & ~found.evaluated)
    lacks = np.full(n, "", dtype=object)
    lacks[unclear] = np.where(dose.unrecorded[unclear], "dose not recorded", "no weight within 60 days of a dose")
    label, words = f"{response.definition.response.short} on low-dose steroid", "on a low dose at most"
    evaluated = np.where(found.ever, found.evaluated, may_be.evaluated)
    found = replace(found, known_at=weighed, ever=may_be.ever, evaluated=evaluated)
    return _detect(response, found, possible, "low-dose-response", label, words, lacks)


def _attain(response: Response, free: Spells) -> _Attained:
    judged, n, days = response.judged, response.timelines.n, response.definition.treatment.steroid_free_days
    long = free.where(lasting(free, days))
    spell = long.at(judged.patient, judged.known)
    inside = np.flatnonzero(spell >= 0)
    spell = spell[inside]
    began, following = find_runs(response)
    due, confirmed = long.start[spell] + days - 1, judged.confirmed_at[inside]
    holds = response.counts[inside] & (confirmed <= long.stop[spell])
    holds &= (judged.known[inside] >= due) | (following[inside] > due)
    first = first_of(judged.patient[inside], holds, n)
    ever, evaluated = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    ever[long.patient] = True
    evaluated[judged.patient[inside[judged.status[inside] != OPEN]]] = True
    start, onset = take(long.start[spell], first), take(np.maximum(long.start[spell], began[inside]), first)
    return _Attained(start, onset, take(np.fmax(due, confirmed), first), ever, evaluated)


def _detect(
    response: Response, attained: _Attained, free: Spells, name: str, label: str, words: str, lacks: Lacks | None = None
) -> Detection:
    """Return the endpoint; ``lacks`` names the missing dose or weight that leaves it open (n,)."""
    timelines, days = response.timelines, response.definition.treatment.steroid_free_days
    lacks = np.full(timelines.n, "", dtype=object) if lacks is None else lacks
    recorded = had_steroid(timelines)
    attained = replace(attained, onset=np.where(recorded, attained.onset, np.nan))
    found, followed = ~np.isnan(attained.onset), ~np.isnan(end_of_follow_up(timelines))
    unseen = attained.ever & ~attained.evaluated & ~found
    because = np.select(
        [found, ~recorded, ~followed, lacks != "", unseen, ~attained.ever],
        [f"criteria met, {words} for {days} days", NO_STEROID, "no follow-up recorded", lacks,
         f"{words} for {days} days, not evaluated then", f"never {words} for {days} days"],
        f"criteria not met while {words}",
    ).astype(object)  # fmt: skip
    without = np.where(unseen | (lacks != ""), np.nan, last_without(response, free, attained.onset))
    at_risk_from = np.where(followed & recorded, 0.0, np.nan)
    return Detection(name, label, timelines, at_risk_from, without, attained.onset, attained.known_at, because)


def status_steroid_free_at(response: Response, day: int, *, window: tuple[int, int]) -> pd.DataFrame:
    """Return who is in steroid-free response at ``day``: *met*, *not met* or *not evaluable*, known as the window ends.

    The last evaluable evaluation in ``window`` decides on response; on its day, or on ``day`` without one, the spell
    without steroid must have reached its day 90, and it must hold on ``day`` itself: steroid begun again between the
    evaluation and ``day`` is *not met*. So is not being without steroid, or not in response, whatever is missing of the
    other.

    Parameters
    ----------
    day : nominal day since time zero, within the window: 365 or 730
    window : first and last day, both included: (300, 430) or (640, 820)

    Returns
    -------
    frame with the columns ``STATUS_COLUMNS``
    """
    timelines, judged, n = response.timelines, response.judged, response.timelines.n
    days = response.definition.treatment.steroid_free_days
    in_response, who = response.find_at(window), np.arange(n)
    asked = np.full(n, day, dtype=np.int64)
    decided = (judged.status != OPEN) & (judged.known >= window[0]) & (judged.known <= window[1])
    rows = np.flatnonzero(decided)
    asked[judged.patient[rows]] = judged.known[rows]  # of several rows of one patient the last written stays
    free = with_native_liver(timelines, find_steroid_free(timelines, response.definition.treatment))
    at, at_day = free.at(who, asked), free.at(who, np.full(n, day, dtype=np.int64))
    since, end = take(free.start, at), end_of_follow_up(timelines)
    long_enough = since + days - 1 <= asked
    seen, followed = asked <= end, np.maximum(asked, day) <= end
    treated = (seen & (at < 0)) | ((day <= end) & (at_day < 0)) | (followed & (at != at_day))
    short = seen & ~long_enough
    not_met = (in_response.met == IS_NOT_MET) | treated | short
    met = (in_response.met == IS_MET) & long_enough & followed & ~treated
    recorded = had_steroid(timelines)
    met, not_met = met & recorded, not_met & recorded
    because = np.select(
        [~recorded, met, treated, short, not_met, ~followed],
        [NO_STEROID, "criteria met, steroid-free", "on steroid", f"steroid-free for less than {days} days",
         "criteria not met", "no longer followed"],
        response.reasons(in_response, window),
    ).astype(object)  # fmt: skip
    status = np.select([met, not_met], [IS_MET, IS_NOT_MET], OPEN).astype(np.int8)
    onset = np.where(met, np.fmax(since, in_response.onset), float(window[1]))
    return response.tabulate(Status(status, onset, in_response.known_at), because)
