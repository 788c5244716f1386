"""ALT and AST by four weeks, side by side: both fell, one of them, neither (clinic 7)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.endpoints.response.evaluation import look_back
from aih_outcomes.endpoints.response.falls import is_normal, judge_falls
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.rules import TRANSAMINASES
from aih_outcomes.endpoints.timelines import first_of, last_of, take

BOTH_FELL, ALT_ONLY, AST_ONLY, NEITHER = "both fell", "ALT only", "AST only", "neither fell"
NORMAL_BEFORE, NOT_EVALUABLE = "not evaluable: normal before treatment", "not evaluable"
FALL_CATEGORIES = (BOTH_FELL, ALT_ONLY, AST_ONLY, NEITHER, NORMAL_BEFORE, NOT_EVALUABLE)


def derive_fall_categories(response: Response) -> pd.DataFrame:
    """Return whether ALT, AST, both or neither fell enough by four weeks, by the criteria's rule of non-response.

    Both by ``by_day`` in one evaluation is known then. Otherwise the worst complete evaluation in the window decides
    (of equally bad ones the last), known at its end. Whose ALT and AST were both normal before treatment has a category
    of their own, as has who lacks a value.

    Returns
    -------
    frame ``patient_id, category`` (one of ``FALL_CATEGORIES``), ``known_at, because``

    Raises
    ------
    PlanError : the criteria have no rule of non-response
    """
    rule, n = response.non_response_rule(), response.timelines.n
    parts, started, normal = [], np.ones(n, dtype=bool), np.ones(n, dtype=bool)
    for name in TRANSAMINASES:
        labs, start = response.timelines.labs[name], response.baseline_of(name)
        kept = response.interpretable[name] & (labs.day >= 1) & (labs.day <= max(rule.by_day, rule.window[1]))
        kept &= start.position[labs.patient] >= 0
        later = labs.where(kept)
        parts.append((later, judge_falls(later, start, rule)))
        started &= start.position >= 0
        normal &= is_normal(start.xuln, rule)
    seen = look_back(parts, [response.definition.response.same_evaluation_days] * len(parts))
    enough = (seen.judged == 1).all(axis=1) & (seen.known <= rule.by_day)
    fell_on = take(seen.known, first_of(seen.patient, enough, n))
    inside = (seen.day >= rule.window[0]).all(axis=1) & (seen.known <= rule.window[1])
    inside &= ~np.isnan(seen.judged).any(axis=1)
    fewest = np.full(n, np.inf)
    np.minimum.at(fewest, seen.patient[inside], seen.judged[inside].sum(axis=1))
    worst = last_of(seen.patient, inside & (seen.judged.sum(axis=1) == fewest[seen.patient]), n)
    alt, ast = (take(seen.judged[:, k], worst) for k in range(2))
    both = ~np.isnan(fell_on)
    category = np.select(
        [normal, both, alt + ast == 0, alt > ast, ast > alt], [NORMAL_BEFORE, BOTH_FELL, NEITHER, ALT_ONLY, AST_ONLY],
        NOT_EVALUABLE,
    ).astype(object)  # fmt: skip
    because = np.select(
        [normal, both, ~started, np.isnan(alt), alt + ast == 2],
        ["normal before treatment", "fell enough", "no baseline value",
         "no complete result in the window", f"fell enough only after day {rule.by_day}"],
        "worst complete result in the window",
    ).astype(object)  # fmt: skip
    known_at = np.where(both, fell_on, float(rule.window[1]))
    return pd.DataFrame(
        {"patient_id": response.patients, "category": category, "known_at": known_at, "because": because}
    )
