"""Tables, rates, flows, flow charts, medians by visit, terms of a model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.disclosure.policy import Policy
from aih_outcomes.disclosure.rounding import (
    SHARES,
    hide_and_round,
    in_steps,
    is_count,
    list_estimates,
    read_numbers,
    significant,
)

_NEARLY = 1e-9


def disclose_rows(frame: pd.DataFrame, rule: Policy) -> pd.DataFrame:
    """Tables, rates, flows, flow charts, medians by visit, model terms."""
    shown = frame.copy()
    counts = [str(column) for column in frame if is_count(column)]
    before = pd.DataFrame({column: read_numbers(frame[column]) for column in counts}, index=frame.index)
    for column in counts:
        shown[column] = hide_and_round(before[column].to_numpy(float), rule).array
    if {"n", "denominator"} <= set(counts):  # a small group hides its parts
        shown["n"] = shown["n"].mask(shown["denominator"].isna())
    hidden = shown[counts].isna() & before.notna()
    lost = hidden[[column for column in counts if column != "n_missing"]].any(axis=1) | _few(frame, before, rule)
    for column in list_estimates(shown):
        shown[column] = significant(shown[column].astype(float).mask(lost))
    if "smd" in shown and "variable" in shown:  # a difference between groups tells the count hidden in one of them
        shown["smd"] = shown["smd"].mask(hidden.any(axis=1).groupby(shown["variable"]).transform("any"))
    if "n_met" in shown:
        n = sum(read_numbers(shown[column]) for column in ("n_met", "n_not_met", "n_not_evaluable"))
        for column in [column for column in SHARES if column in shown]:
            shown[column] = in_steps(read_numbers(shown[column]), rule.round_to / n)
    if "probability" in shown:  # times at which one patient leaves
        grid = rule.time_grid(str(frame.attrs.get("time_unit", "days")))
        for column in ("estimate", "conf_low", "conf_high"):
            shown[column] = (shown[column] / grid).round() * grid
    return _recompute_shares(shown, frame, before)


def _few(frame: pd.DataFrame, before: pd.DataFrame, rule: Policy) -> pd.Series:
    """Rows whose estimate is a median or quartile of too few: it would be one patient's value."""
    if "n" not in before or "p_value" in frame or "measure" in frame:
        return pd.Series(False, index=frame.index)
    return (before["n"] > 0) & (before["n"] < rule.curve_minimum)


def _recompute_shares(shown: pd.DataFrame, frame: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Take shares of patients from the counts that are shown: exact ones would give the exact counts away."""
    if not {"n", "denominator", "estimate"} <= set(frame.columns):
        return shown
    exact = read_numbers(frame["estimate"])
    with np.errstate(divide="ignore", invalid="ignore"):
        is_share = np.isclose(exact, before["n"] / before["denominator"], rtol=0, atol=_NEARLY)
    pair = shown.loc[is_share, ["n", "denominator"]].astype("Float64")
    shown.loc[is_share, "estimate"] = (pair["n"] / pair["denominator"]).astype(float)
    return shown
