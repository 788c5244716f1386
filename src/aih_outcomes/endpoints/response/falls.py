"""How far values fell from those before treatment: non-response at four weeks (statistics, rule 9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.endpoints.response.baseline_value import Baselines
from aih_outcomes.endpoints.response.evaluation import AT_LIMIT, IS_MET, IS_NOT_MET, OPEN, look_back
from aih_outcomes.endpoints.rules import NonResponseRule, analyte_in_words
from aih_outcomes.endpoints.timelines import ABOVE, BELOW, Flags, Floats, Labs, first_of, take


@dataclass(frozen=True, slots=True, eq=False)
class Falls:
    """Non-response per patient (n,): ``status`` 1 too small a fall, 0 enough, −1 not evaluable; ``reason`` a number.

    ``fell`` counts the analytes that had fallen enough at the worst complete result of the window; NaN without one.
    """

    status: NDArray[np.int8]
    known_at: Floats
    reason: NDArray[np.int8]
    fell: Floats
    from_fallback: Flags


def classify_falls(
    labs: dict[str, Labs], usable: dict[str, Flags], start: dict[str, Baselines], rule: NonResponseRule, *, within: int,
    treated: Flags,
) -> Falls:  # fmt: skip
    """Classify the fall of each patient.

    A large enough fall of every analyte on any day up to ``rule.by_day`` is a response, known then. Non-response needs
    a result of every analyte within ``rule.window`` and is known at its end. What the rule calls normal has fallen
    enough, and whoever began with normal values only is not evaluable.

    Parameters
    ----------
    labs, usable, start : per analyte its results, which of them may be used, and the values before treatment
    within : results at most so many days apart are one evaluation
    treated : who had treatment before time zero (n,): their value then is no value before treatment
    """
    names, (opens, closes), n = list(rule.analytes), rule.window, len(treated)
    parts = []
    for name in names:
        own = labs[name]
        keep = usable[name] & (own.day >= 1) & (own.day <= max(rule.by_day, closes))
        keep &= start[name].position[own.patient] >= 0
        later = own.where(keep)
        parts.append((later, judge_falls(later, start[name], rule)))
    seen = look_back(parts, [within] * len(names))
    enough = (seen.judged == 1).all(axis=1) & (seen.known <= rule.by_day)
    responded_at = take(seen.known, first_of(seen.patient, enough, n))
    inside = (seen.day >= opens).all(axis=1) & (seen.known <= closes) & ~np.isnan(seen.judged).any(axis=1)
    fell = np.full(n, np.inf)
    np.minimum.at(fell, seen.patient[inside], seen.judged[inside].sum(axis=1))
    fell[np.isinf(fell)] = np.nan
    responded = ~np.isnan(responded_at)
    late = ~responded & (fell == len(names))
    weak = ~responded & (fell < (len(names) if rule.less_fall_in == "any" else 1))
    known_not = ~responded & ~weak & (fell > 0) & ~late  # fell in one of them, where both must fail
    status = np.select([responded | known_not, weak], [IS_NOT_MET, IS_MET], OPEN).astype(np.int8)
    started = np.all([start[name].position >= 0 for name in names], axis=0)
    normal = np.all([is_normal(start[name].xuln, rule) for name in names], axis=0)
    status[normal | treated] = OPEN
    cases = [treated, normal, responded, ~started, np.isnan(fell), late, fell > 0]
    reason = np.select(cases, [7, 6, 0, 1, 2, 3, 4], 5).astype(np.int8)
    flagged = np.any([start[name].fallback for name in names], axis=0) & (status != OPEN)
    return Falls(status, np.where(responded, responded_at, float(closes)), reason, fell, flagged)


def is_normal(xuln: Floats, rule: NonResponseRule) -> Flags:
    """Return which values are normal by the rule: no fall can be asked of them."""
    if rule.normal_xuln is None:
        return np.zeros(len(xuln), dtype=bool)
    return np.asarray(xuln <= rule.normal_xuln * (1 + AT_LIMIT))


def judge_falls(labs: Labs, start: Baselines, rule: NonResponseRule) -> Floats:
    """Judge each later result: 1 fell enough, 0 did not, NaN where a sign such as ``>`` leaves it open."""
    before = start.value[labs.patient]
    fell = labs.value <= before * (1 - rule.fall_percent / 100) * (1 + AT_LIMIT)
    began = start.sign[labs.patient]
    unclear = np.where(fell, (labs.sign == ABOVE) | (began == BELOW), (labs.sign == BELOW) | (began == ABOVE))
    judged = np.where(unclear | np.isnan(before), np.nan, fell.astype(float))
    normal = is_normal(labs.xuln, rule) & (labs.sign != ABOVE)
    judged[normal] = 1.0
    return judged


def reasons_of(falls: Falls, rule: NonResponseRule) -> NDArray[np.object_]:
    """Return in words why each patient was classified so (n,)."""
    names = " and ".join(analyte_in_words(name) for name in rule.analytes)
    one_of = (
        f"{names} disagree: only one fell enough" if len(rule.analytes) == 2 else f"only some of {names} fell enough"
    )
    words = np.array(
        [
            "fell enough", "no baseline value", "no complete result in the window",
            f"fell enough only after day {rule.by_day}", one_of, "fell too little in the window",
            "normal before treatment", "treated before time zero",
        ],
        dtype=object,
    )  # fmt: skip
    said: NDArray[np.object_] = words[falls.reason]
    return np.where(falls.from_fallback, said + "; baseline value is an early one", said)
