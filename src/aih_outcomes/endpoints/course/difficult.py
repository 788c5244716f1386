"""Steroid-refractory, steroid-dependent, intolerant, difficult to treat: categories beside response (clinic 6; [P])."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.endpoints.course.agents import Judged, find_agents, judge_difficult, judge_intolerant
from aih_outcomes.endpoints.course.flares import find_losses
from aih_outcomes.endpoints.course.worsened import find_worsened
from aih_outcomes.endpoints.response.evaluation import AT_LIMIT, IS_MET, IS_NOT_MET, OPEN, WORDS
from aih_outcomes.endpoints.response.falls import reasons_of
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.spells import add_doses
from aih_outcomes.endpoints.timelines import Days, Flags, Floats, on_line
from aih_outcomes.endpoints.treatment.burden import is_pulse
from aih_outcomes.endpoints.treatment.dosing import find_dose_weight, find_given, steroid_rows

REFRACTORY_MG_PER_KG = 1.0  # at least so much prednisolone per kg and day, the mean of days 0 to 28
REFRACTORY_LAST_DAY = 28
TAPER_DAYS = 60  # [P] a loss so soon after a dose was lowered happened on taper
DEPENDENT_LOSSES = 2
CATEGORIES = ("steroid_refractory", "steroid_dependent", "intolerant", "difficult_to_treat")


def derive_difficult(response: Response) -> pd.DataFrame:
    """Return the further categories of response to treatment, one row per patient and category.

    - *steroid_refractory*: non-response at 4 weeks on a mean of at least 1 mg/kg/day of prednisolone on days 0 to 28,
      pulses by vein left out, by the last dry weight of the 60 days up to day 0, or the first of the 60 after it: then
      it is not known before that weight was.
    - *steroid_dependent*: two losses of response, each after response was regained, within 60 days after the dose of
      steroid was lowered or stopped. A pause of up to 30 days is neither, unless response was lost in it.
    - *intolerant*: a first-line drug stopped for intolerance, or within 30 days after a serious adverse event that was
      attributed to it.
    - *difficult_to_treat*: steroid with thiopurine failed or not tolerated, and so a further agent given for at least
      91 days. An agent failed that was stopped as not effective, or with the first evaluable evaluation from its day 91
      on not meeting the criteria.

    A reason of stopping, a dose or a weight that was not recorded makes *not evaluable* what it would decide; so does a
    rule that the criteria lack.

    Returns
    -------
    frame ``patient_id, category, status, onset, known_at, because``
    """
    agents = find_agents(response.timelines)
    parts = (
        _judge_refractory(response), _judge_dependent(response), judge_intolerant(response.timelines, agents),
        judge_difficult(response, agents),
    )  # fmt: skip
    return pd.DataFrame(
        {
            "patient_id": np.tile(response.patients, len(CATEGORIES)),
            "category": np.repeat(np.array(CATEGORIES, dtype=object), response.timelines.n),
            "status": WORDS[np.concatenate([part.status for part in parts])],
            "onset": np.concatenate([part.onset for part in parts]),
            "known_at": np.concatenate([part.known_at for part in parts]),
            "because": np.concatenate([part.because for part in parts]),
        }
    )


def _judge_refractory(response: Response) -> Judged:
    """Judge who did not respond in four weeks although the dose of steroid was high enough."""
    if response.definition.non_response is None:
        return _nobody(response, "the criteria have no rule of non-response")
    falls = response.find_non_response()
    dose, weighed = find_mean_dose(response)
    high, low = (dose >= REFRACTORY_MG_PER_KG * (1 - AT_LIMIT)), dose < REFRACTORY_MG_PER_KG * (1 - AT_LIMIT)
    met, not_met = (falls.status == IS_MET) & high, (falls.status == IS_NOT_MET) | low
    because = np.select(
        [met, falls.status == IS_NOT_MET, low, falls.status == IS_MET],
        [f"non-response on at least {REFRACTORY_MG_PER_KG:g} mg/kg/day", "fell enough",
         f"less than {REFRACTORY_MG_PER_KG:g} mg/kg/day", "dose of steroid or weight not recorded"],
        reasons_of(falls, response.non_response_rule()),
    ).astype(object)  # fmt: skip
    at = np.where(met, np.fmax(falls.known_at, weighed), np.nan)
    return Judged(np.select([met, not_met], [IS_MET, IS_NOT_MET], OPEN).astype(np.int8), at, at, because)


def find_mean_dose(response: Response) -> tuple[Floats, Floats]:
    """Return the mean prednisolone dose of days 0 to 28 in mg/kg/day, pulses left out, and the weight's day (n,).

    NaN where a dose or weight is missing.
    """
    timelines, n = response.timelines, response.timelines.n
    rows = steroid_rows(timelines)
    usual = rows.where(~is_pulse(rows, find_dose_weight(timelines, rows.patient, rows.start)[0]))
    steps = add_doses(usual, usual.prednisolone)
    first = np.maximum(steps.day, 0)
    days = np.maximum(np.minimum(steps.until(), REFRACTORY_LAST_DAY) - first + 1, 0)
    unknown = np.isnan(steps.dose)
    total = np.bincount(steps.patient, np.where(unknown, 0.0, steps.dose) * days, minlength=n)
    unclear = np.bincount(steps.patient, unknown * days, minlength=n) > 0
    weight, weighed = find_dose_weight(timelines, np.arange(n), np.zeros(n, dtype=np.int64))
    return np.where(unclear, np.nan, total / (REFRACTORY_LAST_DAY + 1)) / weight, weighed


def _judge_dependent(response: Response) -> Judged:
    """Judge who lost response twice while the dose of steroid was being lowered."""
    rule, n = response.definition.loss, response.timelines.n
    if rule is None:
        return _nobody(response, "the criteria have no rule of loss of response")
    losses = find_losses(response, find_worsened(response, rule))
    lowered, unclear = _lowered(response, losses.patient, losses.day)
    sure = np.bincount(losses.patient[lowered], minlength=n)
    possible = np.bincount(losses.patient[lowered | unclear], minlength=n)
    rows = np.flatnonzero(lowered)
    counted = np.cumsum(np.ones(len(rows), dtype=np.int64))
    begin = np.cumsum(sure) - sure
    second = rows[counted - begin[losses.patient[rows]] == DEPENDENT_LOSSES]
    onset, known_at = np.full(n, np.nan), np.full(n, np.nan)
    onset[losses.patient[second]], known_at[losses.patient[second]] = losses.day[second], losses.known[second]
    looked = np.zeros(n, dtype=bool)
    looked[losses.in_response.patient] = True
    evaluated = np.zeros(n, dtype=bool)
    evaluated[response.judged.patient[response.judged.status != OPEN]] = True
    ever, met = ~np.isnan(response.first_met()[1]), sure >= DEPENDENT_LOSSES
    perhaps = np.zeros(n, dtype=bool)  # in response, had the missing result been there
    perhaps[response.judged.patient[response.judged.status == OPEN]] = True
    dose_unclear, unseen = possible >= DEPENDENT_LOSSES, ~evaluated | (ever & ~looked) | (~ever & perhaps)
    because = np.select(
        [met, dose_unclear, ~evaluated, ~ever & perhaps, ~ever, unseen],
        [f"response lost twice within {TAPER_DAYS} days after less steroid", "dose of steroid not recorded",
         "no evaluable evaluation", "never seen in response, not every evaluation evaluable", "never in response",
         "no complete evaluation since response"],
        "response not lost twice on taper",
    ).astype(object)  # fmt: skip
    status = np.select([met, dose_unclear | unseen], [IS_MET, OPEN], IS_NOT_MET).astype(np.int8)
    return Judged(status, onset, known_at, because)


def _lowered(response: Response, patient: Days, day: Days) -> tuple[Flags, Flags]:
    """Return whether the dose of steroid was lowered in the 60 days up to each asked day, and where that is unclear.

    A pause of up to 30 days is bridged, but what a sample shows the day after a day without any arose without.
    """
    steps = response.steroid
    at, continues = find_given(steps)
    goes_on = np.append(continues[1:], False)[: len(at)]
    line, stops = on_line(steps.patient[at], steps.day[at]), on_line(steps.patient[at], steps.until()[at] + 1)
    rose = np.diff(steps.dose[at], prepend=np.nan)
    asked = on_line(patient, day)

    def within(when: Days) -> Flags:
        found = np.searchsorted(when, asked, side="right") - np.searchsorted(when, asked - TAPER_DAYS)
        return np.asarray(found > 0)

    last = np.searchsorted(line, asked - 1, side="right") - 1
    paused = last >= 0
    paused[paused] = goes_on[last[paused]] & (asked[paused] > stops[last[paused]])
    sure = within(line[continues & (rose < 0)]) | within(stops[~goes_on]) | paused
    return sure, ~sure & within(line[continues & np.isnan(rose)])


def _nobody(response: Response, because: str) -> Judged:
    n = response.timelines.n
    nothing = np.full(n, np.nan)
    return Judged(np.full(n, OPEN, dtype=np.int8), nothing, nothing, np.full(n, because, dtype=object))
