"""What every result promises, whatever engine made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from aih_outcomes.errors import OutcomeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TIDY_COLUMNS = (
    "label", "strata", "term", "state", "time", "n_risk", "n_event", "n_censor",
    "estimate", "std_error", "conf_low", "conf_high", "statistic", "df", "p_value",
)  # fmt: skip
COUNT_COLUMNS = ("n", "n_risk", "n_event", "n_censor")
DAYS_PER_YEAR = 365.25


class Result(Protocol):
    """Numbers with their meaning: a frozen dataclass with these methods."""

    def tidy(self) -> pd.DataFrame:
        """One row per label × strata × state × time (or term), columns in the order of ``TIDY_COLUMNS``."""

    def glance(self) -> dict[str, Any]:
        """One value per fact about the whole fit: n, n_event, design, and why it is not estimable, if so."""

    def describe(self) -> str:
        """Sentences for a caption: estimator, interval, who and when, and the words that must go with it."""

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw for the analyst's screen; written figures go through ``study.disclose``."""


def order_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Put a tidy frame in the contract's order and its counts in nullable integers; further columns follow."""
    known = [column for column in TIDY_COLUMNS if column in frame]
    ordered = frame[[*known, *[column for column in frame if column not in known]]].copy()
    for column in COUNT_COLUMNS:
        if column in ordered:
            ordered[column] = ordered[column].astype("Int64")
    return ordered


def refuse_no_level(conf_level: object) -> None:
    """Refuse a level of confidence that is none.

    Raises
    ------
    OutcomeError : not a number between 0 and 1
    """
    if not (isinstance(conf_level, int | float) and 0 < conf_level < 1):
        raise OutcomeError(
            f"conf_level={conf_level!r} is no level of confidence",
            "It is a share: more than 0 and less than 1",
            "Write conf_level=0.95 for 95 %",
        )
