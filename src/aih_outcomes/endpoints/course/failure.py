"""Treatment failure: worse than before treatment, despite it (Czaja's rule, remembered: [m])."""

from __future__ import annotations

import numpy as np

from aih_outcomes.endpoints.course.worsening import without_rule
from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.response.baseline_value import Baselines
from aih_outcomes.endpoints.response.evaluation import AT_LIMIT, look_back
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.rules import FailureRule, analyte_in_words
from aih_outcomes.endpoints.timelines import ABOVE, BELOW, Flags, Floats, Labs, first_of, last_of, take
from aih_outcomes.endpoints.treatment.dosing import find_off_treatment
from aih_outcomes.errors import PlanError

FROM_DAY = 28  # [P] an earlier rise is the disease before the drugs act


def derive_treatment_failure(response: Response, *, rule: FailureRule | None = None) -> Detection:
    """Find who became worse than before treatment: a rise of any analyte by ``rise_percent``, while treated.

    One sample from day 28 on suffices [P]. Who did not is censored at the last day on which all the analytes were
    measured; without a value before treatment of each of them, not having failed cannot be said.

    Parameters
    ----------
    rule : in place of the criteria's rule of failure

    Raises
    ------
    PlanError : the criteria have no rule of failure and none is given, or it is of another kind
    """
    rule = rule or response.definition.failure
    if rule is None:
        raise without_rule(response, "treatment failure", "failure")
    if not isinstance(rule, FailureRule):
        raise PlanError(
            f"A {type(rule).__name__} is no rule of treatment failure",
            "A failure is a rise above the value before treatment",
            "Pass rule=FailureRule(...)",
        )
    timelines, n = response.timelines, response.timelines.n
    off, parts = find_off_treatment(timelines, response.definition.treatment), []
    missing = np.zeros((len(rule.analytes), n), dtype=bool)
    for k, analyte in enumerate(rule.analytes):
        start, labs = response.baseline_of(analyte), timelines.labs[analyte]
        missing[k] = start.position < 0
        kept = response.interpretable[analyte] & (labs.day >= FROM_DAY) & ~off.covers(labs.patient, labs.day)
        parts.append((labs.where(kept), _judge_rises(labs.where(kept), start, rule)))
    seen = look_back(parts, [response.definition.response.same_evaluation_days] * len(parts))
    risen = seen.judged == 0
    first = first_of(seen.patient, risen.any(axis=1), n)
    onset = take(seen.known, first)
    without = (seen.judged == 1).all(axis=1) & ~(seen.known >= onset[seen.patient])
    last = take(seen.known, last_of(seen.patient, without, n))
    at_risk_from = np.where(missing.all(axis=0), np.nan, float(FROM_DAY))
    words = np.array([analyte_in_words(name) for name in rule.analytes], dtype=object)
    because = _reasons(words, missing, last)
    found = first >= 0
    which = risen[first[found]].argmax(axis=1) if found.any() else np.empty(0, dtype=np.int64)
    because[found] = words[which] + f" {rule.rise_percent:g} % or more above the value before treatment"
    return Detection("treatment-failure", "Treatment failure", timelines, at_risk_from, last, onset, onset, because)


def _judge_rises(labs: Labs, start: Baselines, rule: FailureRule) -> Floats:
    """Judge each result: 0 risen so far, 1 not, NaN where a sign or a missing value before treatment leaves it open."""
    limit = start.value[labs.patient] * (1 + rule.rise_percent / 100)
    risen = labs.value >= limit * (1 - AT_LIMIT)
    began = start.sign[labs.patient]
    unclear = np.where(risen, (labs.sign == BELOW) | (began == ABOVE), (labs.sign == ABOVE) | (began == BELOW))
    return np.where(unclear | np.isnan(limit), np.nan, (~risen).astype(float))


def _reasons(words: np.ndarray, missing: Flags, last: Floats) -> np.ndarray:
    """Say why no failure was found (n,)."""
    said = np.where(np.isnan(last), "no complete evaluation on treatment", "no such rise").astype(object)
    patterns, of_patient = np.unique(missing, axis=1, return_inverse=True)
    for k, lacks in enumerate(patterns.T):
        if lacks.any():
            said[of_patient == k] = f"no value before treatment of {', '.join(words[lacks])}"
    return said
