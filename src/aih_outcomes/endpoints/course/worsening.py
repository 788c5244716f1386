"""The first loss of response: on treatment, after its withdrawal, or at any time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.endpoints.course.in_response import find_last_decided
from aih_outcomes.endpoints.course.withdrawal import find_sampled_off, known_off
from aih_outcomes.endpoints.course.worsened import find_worsened
from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.response.evaluation import IS_MET
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.rules import Worsening, analyte_in_words
from aih_outcomes.endpoints.spells import Spells, between
from aih_outcomes.endpoints.timelines import NEVER, Days, Flags, Floats, first_of, last_of, take
from aih_outcomes.errors import PlanError


def find_risk_time(response: Response, treatment: str) -> Spells:
    """Return the days on which a sample can show that response is lost: those after response was first known.

    *Off* treatment are the samples drawn after a day of withdrawal, from the second day without treatment to the day on
    which it is begun again, if the last evaluable evaluation up to the first day without met the criteria: who was not
    in response cannot lose it. *On* treatment is all other time, shorter pauses included.
    """
    known = response.first_met()[1]
    had = ~np.isnan(known)
    first = np.where(had, known, 0).astype(np.int64) + 1
    last = np.where(had, NEVER, 0)
    if treatment == "any":
        return Spells(np.flatnonzero(had), first[had], last[had])
    off = find_sampled_off(response)
    if treatment == "on":
        return between(off, first, last)
    spells = off.where(had[off.patient])
    start = np.maximum(spells.start, first[spells.patient])
    kept = (find_last_decided(response, spells.patient, start - 1) == IS_MET) & (start <= spells.stop)
    return Spells(spells.patient[kept], start[kept], spells.stop[kept])


def find_shown(response: Response, rule: Worsening) -> tuple[Days, Days, Days, Days]:
    """Return every sample that shows what the rule asks, on or off treatment as it asks, by patient and day.

    Returns
    -------
    patient, day of the sample, day on which all that was known, and position among the samples of ``find_worsened``
    """
    found = find_worsened(response, rule)
    rows = np.flatnonzero(find_risk_time(response, rule.treatment).covers(found.patient, found.day))
    patient, day, known = found.patient[rows], found.day[rows], found.known[rows]
    if rule.treatment != "any":
        known = known_off(response, patient, day, known)
    return patient, day, known, rows


def derive_loss(response: Response, *, rule: Worsening | None = None) -> Detection:
    """Find the first loss of response after it was first known.

    Of several ways to show it the one known first counts. Who never worsened is censored at the last day on which every
    analyte of the rule was measured and none lay above its lowest limit (statistics 12); one raised sample that nothing
    confirmed or refuted says neither. Where the rule counts only off treatment, or only on it, the time at risk is the
    first such time alone: it ends where treatment is begun again, or withdrawn.

    Parameters
    ----------
    rule : in place of the criteria's rule of loss

    Raises
    ------
    PlanError : the criteria have no rule of loss and none is given
    """
    rule = rule or response.definition.loss
    if rule is None:
        raise without_rule(response, "loss of response", "loss")
    return _detect(response, rule, "loss-of-response", rule.term)


def derive_relapse_after_withdrawal(response: Response, *, rule: Worsening | None = None) -> Detection:
    """Find the first loss of response after all immunosuppression was withdrawn, for at least 30 days.

    At risk from the first day without treatment until it is begun again, in the first withdrawal in response alone; who
    had not relapsed by then is censored at the last look. A loss within the first 30 days is known on day 30, when the
    withdrawal is one: if treatment was begun again before, it was a pause, and the loss a flare on treatment.

    Parameters
    ----------
    rule : in place of the criteria's rule of loss; what it says of treatment is set aside

    Raises
    ------
    PlanError : the criteria have no rule of loss and none is given
    """
    rule = rule or response.definition.loss
    if rule is None:
        raise without_rule(response, "loss of response", "loss")
    off = rule.model_copy(update={"treatment": "off"})
    return _detect(response, off, "loss-after-withdrawal", f"{rule.term} after withdrawal")


def without_rule(response: Response, what: str, part: str) -> PlanError:
    """Return the error that says which rule the criteria lack."""
    kind = "FailureRule" if part == "failure" else "Worsening"
    return PlanError(
        f"{response.definition.title} has no rule of {what}",
        f"What counts as {what} is part of the criteria file",
        f"Add a [{part}] part, or pass rule={kind}(...)",
    )


def _detect(response: Response, rule: Worsening, name: str, label: str) -> Detection:
    timelines, n = response.timelines, response.timelines.n
    found, risk = find_worsened(response, rule), find_risk_time(response, rule.treatment)
    risk = risk.where(np.append(True, risk.patient[1:] != risk.patient[:-1])[: len(risk.patient)])
    at_risk_from = take(risk.start, first_of(risk.patient, np.ones(len(risk.start), dtype=bool), n)) - 1
    patient, day, known, rows = find_shown(response, rule)
    order = np.lexsort((day, known, patient))
    order = order[risk.covers(patient[order], day[order])]
    first = first_of(patient[order], np.ones(len(order), dtype=bool), n)
    onset, known_at = take(day[order], first), take(known[order], first)
    looked = risk.covers(found.clean_patient, found.clean_day)
    looked &= ~(found.clean_day >= onset[found.clean_patient])
    last_without = take(found.clean_day, last_of(found.clean_patient, looked, n))
    raised = np.zeros(n, dtype=bool)
    raised[found.raised_patient[risk.covers(found.raised_patient, found.raised_day)]] = True
    because = _reasons(response, rule, at_risk_from, last_without, raised)
    shown = first >= 0
    because[shown] = found.words[found.how[rows[order[first[shown]]]]]
    return Detection(name, label, timelines, at_risk_from, last_without, onset, known_at, because)


def _reasons(
    response: Response, rule: Worsening, at_risk_from: Floats, last_without: Floats, raised: Flags
) -> NDArray[np.object_]:
    """Say why nothing was found (n,)."""
    names = [analyte_in_words(name) for name in rule.analytes]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    not_so = {"any": "", "on": " on treatment", "off": " when treatment was withdrawn"}[rule.treatment]
    never, at_risk = np.isnan(response.first_met()[1]), ~np.isnan(at_risk_from)
    said: NDArray[np.object_] = np.select(
        [never, ~at_risk, ~np.isnan(last_without), raised],
        ["never in response", f"not in response{not_so}", "no worsening seen", "raised, but not confirmed"],
        f"no complete evaluation of {listed} since",
    ).astype(object)
    return said
