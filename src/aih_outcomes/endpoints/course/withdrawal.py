"""Treatment withdrawn: since when, until when it was begun again, and whether response held without it.

Day N of a spell counts its first day as day 1: thirty days without treatment are known on the thirtieth of them.
"""

from __future__ import annotations

import numpy as np

from aih_outcomes.endpoints.course.in_response import end_of_follow_up, last_day_outside, with_native_liver
from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.response.evaluation import IS_NOT_MET, OPEN
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.spells import Spells
from aih_outcomes.endpoints.timelines import Days, Flags, Floats, Timelines, first_of, last_of, once, take
from aih_outcomes.endpoints.treatment.dosing import NOT_IMMUNOSUPPRESSIVE, find_off_treatment

EVALUATED_WITHIN_DAYS = 180  # [P] response off treatment holds if the last evaluation is no older at the year's end


@once
def find_withdrawn(response: Response) -> Spells:
    """Return the time without any immunosuppression, after some was given, in spells of ``withdrawal_days`` or more."""
    off = find_off(response)
    return off.where(lasting(off, response.definition.treatment.withdrawal_days))


@once
def find_off(response: Response) -> Spells:
    """Return the time without any immunosuppression, after some was given, however short."""
    timelines = response.timelines
    off = with_native_liver(timelines, find_off_treatment(timelines, response.definition.treatment))
    return off.where(off.start > first_treated(timelines)[off.patient])


@once
def find_sampled_off(response: Response) -> Spells:
    """Return the days on which a sample shows the disease without treatment: those that follow a day of withdrawal.

    A sample tells of the day before it. That of the first day without treatment belongs to the treatment; that of the
    day on which it is begun again, often because of it, does not.
    """
    withdrawn = find_withdrawn(response)
    return Spells(withdrawn.patient, withdrawn.start + 1, withdrawn.stop + 1)


def known_off(response: Response, patient: Days, day: Days, known: Days) -> Days:
    """Return when it was also known whether a sample was drawn after a withdrawal or on treatment.

    Day 30 without treatment makes it a withdrawal; treatment begun again before, or the end of follow-up, does not.
    """
    off, days = find_off(response), response.definition.treatment.withdrawal_days
    at = off.at(patient, day)
    inside = np.flatnonzero(at >= 0)
    inside = inside[day[inside] > off.start[at[inside]]]
    start, stop = off.start[at[inside]], off.stop[at[inside]]
    end = end_of_follow_up(response.timelines)[patient[inside]].astype(np.int64)
    settled = known.copy()
    settled[inside] = np.maximum(known[inside], np.minimum(np.minimum(start + days - 1, stop + 1), end))
    return settled


def lasting(spells: Spells, days: int) -> Flags:
    """Return which spells have at least so many days."""
    return spells.stop - spells.start + 1 >= days


def first_treated(timelines: Timelines) -> Floats:
    """Return the first day of immunosuppression for autoimmune hepatitis (n,); NaN where never."""
    given = timelines.treatments
    counts = given.for_aih & ~timelines.of_class(*NOT_IMMUNOSUPPRESSIVE)
    return take(given.start, first_of(given.patient, counts, timelines.n))


def _first_spell(spells: Spells, n: int) -> Days:
    return first_of(spells.patient, np.ones(len(spells.patient), dtype=bool), n)


def derive_withdrawal(response: Response) -> Detection:
    """Find when all immunosuppression was first stopped, for at least ``withdrawal_days`` (30 days).

    Onset is the first day without, known on day 30 of the spell; at risk from time zero, or the first treatment if that
    is later. Drugs for bowel or joints are immunosuppression too.
    """
    timelines, days = response.timelines, response.definition.treatment.withdrawal_days
    off = find_off(response)
    long = off.where(lasting(off, days))
    onset = take(long.start, _first_spell(long, timelines.n))
    found, treated = ~np.isnan(onset), first_treated(timelines)
    followed = end_of_follow_up(timelines) >= treated
    because = np.select(
        [found, np.isnan(treated), ~followed],
        [f"all immunosuppression stopped for {days} days", "never treated", "no follow-up recorded"],
        f"never without immunosuppression for {days} days",
    ).astype(object)
    return Detection(
        "withdrawal", "Withdrawal of all immunosuppression", timelines,
        np.where(followed, np.fmax(treated, 0), np.nan), np.where(found, onset - 1, last_day_outside(timelines, off)),
        onset, onset + days - 1, because,
    )  # fmt: skip


def derive_treatment_restart(response: Response) -> Detection:
    """Find when immunosuppression was begun again after the first withdrawal: the time off treatment.

    At risk from day 30 of the withdrawal, when it was known to be one.
    """
    timelines, days = response.timelines, response.definition.treatment.withdrawal_days
    withdrawn = find_withdrawn(response)
    first = _first_spell(withdrawn, timelines.n)
    start, stop = take(withdrawn.start, first), take(withdrawn.stop, first)
    restarted = stop < end_of_follow_up(timelines)
    onset = np.where(restarted, stop + 1, np.nan)
    because = np.select(
        [np.isnan(start), restarted], ["never withdrawn", "treatment begun again"], "still without treatment"
    ).astype(object)
    return Detection(
        "treatment-restart", "Treatment begun again", timelines, start + days - 1, stop, onset, onset, because
    )


def derive_sustained_treatment_free_response(response: Response) -> Detection:
    """Find who stayed in response for ``sustained_days`` (365) without any immunosuppression.

    In the first 365 days without it no evaluation is *not met*, and the last evaluable one, which is no older than 180
    days [P] on day 365, is *met*. Onset is the first day without treatment, known on day 365. Without an evaluation
    that recent the spell is *not evaluable*; so is a patient whose every long enough spell is, unless one was met.
    """
    timelines, judged = response.timelines, response.judged
    days, n = response.definition.treatment.sustained_days, timelines.n
    off = find_off(response)
    long = off.where(lasting(off, days))
    last = long.start + days - 1
    spell = Spells(long.patient, long.start, last).at(judged.patient, judged.known)
    inside = (spell >= 0) & (judged.status != OPEN)
    failed = np.bincount(spell[inside & (judged.status == IS_NOT_MET)], minlength=len(last)) > 0
    latest = take(judged.known, last_of(spell, inside, len(last))) if len(last) else np.empty(0)
    held = ~failed & (latest >= last - EVALUATED_WITHIN_DAYS)
    position = first_of(long.patient, held, n)
    onset = take(long.start, position)
    found, treated = ~np.isnan(onset), first_treated(timelines)
    unclear = ~found & (first_of(long.patient, ~failed & ~held, n) >= 0)
    followed = end_of_follow_up(timelines) >= treated
    off_for = f"without treatment for {days} days"
    because = np.select(
        [found, np.isnan(treated), ~followed, unclear, _first_spell(long, n) >= 0],
        [f"in response, {off_for}", "never treated", "no follow-up recorded", f"{off_for}, not evaluated at the end",
         "criteria not met while without treatment"],
        f"never {off_for}",
    ).astype(object)  # fmt: skip
    return Detection(
        "sustained-treatment-free-response", "Sustained treatment-free biochemical response", timelines,
        np.where(followed, np.fmax(treated, 0), np.nan),
        np.where(unclear, np.nan, last_without(response, off, onset)), onset, onset + days - 1, because,
    )  # fmt: skip


def last_without(response: Response, free: Spells, onset: Floats) -> Floats:
    """Return the last day before ``onset`` known to be outside every spell or out of response (n,)."""
    timelines, judged = response.timelines, response.judged
    before = np.where(np.isnan(onset), np.inf, onset)
    not_met = (judged.status == IS_NOT_MET) & (judged.known < before[judged.patient])
    looked = take(judged.known, last_of(judged.patient, not_met, timelines.n))
    at_onset = free.at(np.flatnonzero(~np.isnan(onset)), onset[~np.isnan(onset)].astype(np.int64))
    outside = last_day_outside(timelines, free)
    outside[~np.isnan(onset)] = free.start[at_onset] - 1
    return np.fmax(looked, outside)
