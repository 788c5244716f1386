"""Values before treatment, and how far a value fell from there (statistics, rule 9)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.endpoints.definition import Baseline, NonResponseRule, analyte_in_words
from aih_outcomes.endpoints.evaluation import ABOVE, AT_LIMIT, BELOW, MET, NOT_EVALUABLE, NOT_MET, combine

BASELINE_COLUMNS = ["patient_id", "day", "value", "xuln", "comparator", "row", "fallback"]


def find_baseline(results: pd.DataFrame, analyte: str, rule: Baseline) -> pd.DataFrame:
    """Return the value before treatment: the last in the window, else in the fallback (flagged).

    Of several values of one day the highest counts.

    Returns
    -------
    frame ``patient_id, day, value, xuln, comparator, row, fallback``; patients without one are absent
    """
    main = results["day"].between(*rule.window)
    usable = (
        (results["analyte"] == analyte) & results["interpretable"] & (main | results["day"].between(*rule.fallback))
    )
    rows = results.assign(fallback=~main)[usable].sort_values(["day", "value", "row"], kind="stable")
    rows = rows.sort_values(["patient_id", "fallback"], ascending=[True, False], kind="stable")
    return rows.drop_duplicates("patient_id", keep="last")[BASELINE_COLUMNS].reset_index(drop=True)


def classify_falls(
    results: pd.DataFrame, patients: pd.Index, baseline: pd.DataFrame, rule: NonResponseRule, *, within: int
) -> pd.DataFrame:
    """Return non-response per patient: *met* is too small a fall.

    A large enough fall of every analyte on any day up to ``rule.by_day`` is a response, known then. Non-response needs
    a result of every analyte within ``rule.window`` and is known at its end.

    Parameters
    ----------
    patients : who is classified
    baseline : rows of ``find_baseline`` with ``analyte``, one per patient and analyte
    within : results at most so many days apart are one evaluation

    Returns
    -------
    frame ``status, known_at, because`` (index ``patients``)
    """
    names, (opens, closes) = list(rule.analytes), rule.window
    falls = combine(_judge_falls(results, baseline, rule), rule.analytes, within=within)
    fell = falls[names].to_numpy(float)
    enough = (
        falls[(fell == 1).all(axis=1) & (falls["known_day"] <= rule.by_day)].groupby("patient_id")["known_day"].min()
    )
    inside = (falls[[f"{name}_day" for name in names]] >= opens).all(axis=1) & (falls["known_day"] <= closes)
    complete = falls[inside & ~np.isnan(fell).any(axis=1)]
    least = complete[names].sum(axis=1).groupby(complete["patient_id"]).min()
    n_fell = least.reindex(patients).to_numpy(float)  # NaN without a complete result in the window
    responded = patients.isin(enough.index)
    late = ~responded & (n_fell == len(names))
    weak = ~responded & (n_fell < (len(names) if rule.less_fall_in == "any" else 1))
    known_not = ~responded & ~weak & (n_fell > 0) & ~late  # fell in one of them, where both must fail
    status = np.select([responded | known_not, weak], [NOT_MET, MET], NOT_EVALUABLE)
    known_at = np.where(responded, enough.reindex(patients).to_numpy(float), float(closes))
    started = baseline.groupby("patient_id")["analyte"].nunique().reindex(patients).to_numpy(float) == len(names)
    because = _reasons(rule, responded=responded, late=late, n_fell=n_fell, started=started)
    flagged = patients.isin(baseline.loc[baseline["fallback"], "patient_id"]) & (status != NOT_EVALUABLE)
    because = np.where(flagged, because + "; baseline value is an early one", because)
    return pd.DataFrame({"status": status, "known_at": known_at, "because": because}, index=patients)


def _judge_falls(results: pd.DataFrame, baseline: pd.DataFrame, rule: NonResponseRule) -> pd.DataFrame:
    """Judge each later result: 1 fell enough, 0 did not, NaN where a sign such as ``>`` leaves it open."""
    later = results["day"].between(1, max(rule.by_day, rule.window[1])) & results["interpretable"]
    rows = results[later & results["analyte"].isin(rule.analytes)]
    start = baseline[["patient_id", "analyte", "value", "comparator"]]
    rows = rows.merge(start, on=["patient_id", "analyte"], suffixes=("", "_start"))
    fell = rows["value"] <= rows["value_start"] * (1 - rule.fall_percent / 100) * (1 + AT_LIMIT)
    now, before = rows["comparator"], rows["comparator_start"]
    unclear = np.where(fell, now.isin(ABOVE) | before.isin(BELOW), now.isin(BELOW) | before.isin(ABOVE)).astype(bool)
    judged = np.where(unclear, np.nan, fell.astype(float))
    return rows[["patient_id", "day", "analyte", "row"]].assign(size=rows["value"], judged=judged)


def _reasons(
    rule: NonResponseRule,
    *,
    responded: NDArray[np.bool_],
    late: NDArray[np.bool_],
    n_fell: NDArray[np.float64],
    started: NDArray[np.bool_],
) -> NDArray[np.object_]:
    names = " and ".join(analyte_in_words(name) for name in rule.analytes)
    one_of = (
        f"{names} disagree: only one fell enough" if len(rule.analytes) == 2 else f"only some of {names} fell enough"
    )
    conditions = [responded, ~started, np.isnan(n_fell), late, n_fell > 0]
    words = [
        "fell enough",
        "no baseline value",
        "no complete result in the window",
        f"fell enough only after day {rule.by_day}",
        one_of,
    ]
    return np.select(conditions, words, "fell too little in the window").astype(object)
