"""Log-rank tests beyond the overall one: a trend across ordered groups, and pairs of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, join_groups
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.curves.log_rank import LogRank, compare_survival, p_in_words
from aih_outcomes.models.survival.designs.design import caution
from aih_outcomes.outcomes import Groups, TimeToEvent, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, eq=False)
class TrendTest:
    """A test of hazards that rise or fall across ordered groups.

    Attributes
    ----------
    log_rank : the test of any difference, from whose sums it is made
    scores : (k,) one per group, in the order of the levels
    statistic : χ² with 1 degree of freedom
    direction : Σ score · (observed − expected): above 0 where events are more than expected at higher scores
    """

    log_rank: LogRank
    scores: tuple[float, ...]
    statistic: float
    direction: float
    p_value: float
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per group, as ``LogRank.tidy``, with its ``score``; the test is repeated."""
        own: dict[str, Any] = {"statistic": self.statistic, "df": 1, "p_value": self.p_value, "score": self.scores}
        return order_columns(self.log_rank.tidy().assign(**own))

    def glance(self) -> dict[str, Any]:
        """Return the test and its sizes."""
        return self.log_rank.glance() | {
            "statistic": self.statistic, "df": 1, "p_value": self.p_value, "direction": self.direction,
            "scores": self.scores, "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        outcome = self.log_rank.outcome
        if self.not_estimable:
            return f"Trend of {outcome.label} not estimable: {self.not_estimable}."
        scores = ", ".join(f"{level} {score:g}" for level, score in zip(self.log_rank.levels, self.scores, strict=True))
        text = (
            f"Log-rank test for trend of {outcome.label} (scores: {scores}): χ² = {self.statistic:.2f}, df = 1, "
            f"{p_in_words(self.p_value)}."
        )
        return f"{text} {caution(outcome.design)}".strip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves that the test compares."""
        return self.log_rank.plot(ax=ax)


def compare_survival_trend(
    outcome: TimeToEvent,
    *,
    by: Groups | str,
    scores: Sequence[float] | None = None,
    strata: str | None = None,
    rho: float = 0.0,
    gamma: float = 0.0,
) -> TrendTest:
    """Test whether hazards rise or fall across groups in the order of their levels.

    Parameters
    ----------
    scores : one per group that occurs, in the order of the levels; None for 1, 2, 3, …

    Other parameters and errors as in ``compare_survival``.

    Raises
    ------
    OutcomeError : as many scores as groups are needed, not all alike

    Notes
    -----
    (cᵀ(O − E))² / cᵀVc with scores c (Tarone, Biometrika 1975;62:679).
    """
    test = compare_survival(outcome, by=by, strata=strata, rho=rho, gamma=gamma)
    asked = np.arange(1.0, len(test.levels) + 1) if scores is None else pd.Series(list(scores))
    chosen = np.asarray(pd.to_numeric(asked, errors="coerce"), float)
    if len(chosen) != len(test.levels) or (len(chosen) > 1 and np.ptp(chosen) == 0) or not np.isfinite(chosen).all():
        raise OutcomeError(
            f"{len(chosen)} scores are given for {len(test.levels)} groups",
            "A trend has one finite score per group that occurs, and not all alike",
            f"Give scores for {', '.join(test.levels)}, in this order, or none for 1, 2, 3, …",
        )
    direction, spread = _project(chosen, test)
    reason = test.not_estimable or (
        None if spread > 0 else "no time at which two scores are at risk and an event falls"
    )
    statistic = float("nan") if reason else direction**2 / spread
    return TrendTest(test, tuple(chosen.tolist()), statistic, direction, float(chi2.sf(statistic, 1)), reason)


@dataclass(frozen=True, slots=True, eq=False)
class PairwiseTests:
    """Log-rank tests of each pair of groups, with p-values adjusted for their number.

    Attributes
    ----------
    overall : the test of all groups at once
    table : ``term, statistic, df, p_value, p_adjusted, not_estimable``: one row per pair, p-values by Holm
    """

    overall: LogRank
    table: pd.DataFrame

    def tidy(self) -> pd.DataFrame:
        """One row per pair of groups: ``label, term, statistic, df, p_value, p_adjusted, not_estimable``."""
        return order_columns(self.table.assign(label=self.overall.outcome.label))

    def glance(self) -> dict[str, Any]:
        """Return the overall test and how many pairs were tested."""
        return self.overall.glance() | {"n_pairs": len(self.table), "adjustment": "Holm"}

    def describe(self) -> str:
        """Sentences for a caption."""
        return f"{self.overall.describe()} Pairs of groups: log-rank tests, p-values adjusted by Holm's method."

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves that the tests compare."""
        return self.overall.plot(ax=ax)


def compare_survival_pairs(
    outcome: TimeToEvent, *, by: Groups | str, strata: str | None = None, rho: float = 0.0, gamma: float = 0.0
) -> PairwiseTests:
    """Test each pair of groups, with the p-values adjusted by Holm's method.

    Parameters and errors as in ``compare_survival``; a pair that cannot be tested has NaN and counts for no adjustment.

    Notes
    -----
    Holm, Scand J Stat 1979;6:65. Each pair is tested within its own rows, as R's ``pairwise_survdiff`` does.
    """
    how: dict[str, Any] = {"by": by, "strata": strata, "rho": rho, "gamma": gamma}
    overall = compare_survival(outcome, **how)
    labels = join_groups(outcome, by)[GROUP]
    rows = []
    for one, other in combinations(overall.levels, 2):
        test = compare_survival(outcome.with_rows(outcome.frame[labels.isin([one, other]).to_numpy()]), **how)
        rows.append({
            "term": f"{other} vs {one}", "statistic": test.statistic, "df": test.df, "p_value": test.p_value,
            "not_estimable": test.not_estimable,
        })  # fmt: skip
    table = pd.DataFrame(rows, columns=["term", "statistic", "df", "p_value", "not_estimable"])
    table.insert(4, "p_adjusted", adjust_holm(table["p_value"].to_numpy(float)))
    return PairwiseTests(overall, table)


def adjust_holm(p_values: Vector) -> Vector:
    """Return p-values (n,) adjusted by Holm's step-down method; NaN stay NaN and count for nothing.

    Examples
    --------
    >>> adjust_holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(len(p_values), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _project(scores: Vector, test: LogRank) -> tuple[float, float]:
    return float(scores @ (test.observed - test.expected)), float(scores @ test.variance @ scores)
