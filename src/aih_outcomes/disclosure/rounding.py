"""Counts and shares as they may be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from aih_outcomes.disclosure.policy import Policy

Numbers = NDArray[np.float64]

KEYS = ("label", "strata", "variable", "level", "term", "state", "time", "visit", "next_time", "next_state", "design",
        "measure", "step", "reason")  # fmt: skip
NOT_AN_ESTIMATE = (*KEYS, "day", "landmark", "horizon", "order", "biased")

SHARES = (
    "estimate",
    "conf_low",
    "conf_high",
    "bound_low",
    "bound_high",
    "transaminase_only",
    "corrected",
    "corrected_low",
    "corrected_high",
)


def is_count(column: object) -> bool:
    """Say whether a column counts patients or events, by its name."""
    return str(column) in ("n", "denominator") or str(column).startswith("n_")


def read_numbers(values: pd.Series) -> Numbers:
    """(n_rows,) as floats, missing as NaN."""
    return np.asarray(values.astype("Float64").to_numpy(float, na_value=np.nan), dtype=np.float64)


def list_estimates(frame: pd.DataFrame) -> list[str]:
    """Every numeric column that is neither a count nor a key: what depends on the counts."""
    numeric = [str(c) for c in frame.select_dtypes("number").columns]
    return [c for c in numeric if not is_count(c) and c not in NOT_AN_ESTIMATE]


def hide_and_round(values: Numbers, rule: Policy) -> pd.Series:
    """Return counts as shown: missing from 1 to the threshold, else a multiple of the base (halves upwards)."""
    small = (values > 0) & (values < rule.smallest_shown)
    rounded = np.floor(values / rule.round_to + 0.5) * rule.round_to
    return pd.Series(pd.array(np.where(small, np.nan, rounded), dtype="Float64")).astype("Int64")


def significant(values: pd.Series) -> pd.Series:
    """Round to three significant digits, so that an exact ratio does not tell the counts behind it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.floor(np.log10(values.abs().to_numpy(float)))
    scale = 10.0 ** np.where(np.isfinite(size), 2 - size, 0)
    return pd.Series(np.round(values.to_numpy(float) * scale) / scale, index=values.index)


def in_steps(shares: Numbers, step: Numbers | float, *, top: float = 1.0) -> Numbers:
    """Round shares to multiples of ``step``, the share of as many patients as counts are rounded to.

    A mean number of events may be more than 1: its ``top`` is infinite.
    """
    return np.clip(np.round(shares / step) * step, 0.0, top)
