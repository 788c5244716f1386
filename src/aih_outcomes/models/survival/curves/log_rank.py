"""Log-rank tests of the difference between survival curves, with late entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, declared_column, join_groups, require_time_to_event
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.curves.curve import count_below, cumulate
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival, name_groups
from aih_outcomes.models.survival.designs.design import caution, name_design, refuse_reversible
from aih_outcomes.outcomes import Groups, TimeToEvent, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LogRank:
    """A test of equal hazards in k groups.

    Attributes
    ----------
    levels : (k,) the groups; ``n`` (k,) patients
    observed, expected : (k,) weighted events, seen and expected if the groups were alike
    variance : (k, k) of observed − expected
    rho, gamma : weights S(t−)^rho (1 − S(t−))^gamma; 0, 0 is the log-rank test, 1, 0 Peto-Peto's
    """

    outcome: TimeToEvent
    by: Groups | str
    levels: tuple[str, ...]
    n: Vector
    observed: Vector
    expected: Vector
    variance: Matrix
    rho: float
    gamma: float
    statistic: float
    df: int
    p_value: float
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per group: ``label, strata, n_event, statistic, df, p_value, n, observed, expected``.

        ``n_event`` counts events; ``observed`` and ``expected`` carry the weights of the test, which is repeated.
        """
        frame = join_groups(self.outcome, self.by)
        n_event = frame[GROUP][self.outcome.event].value_counts().reindex(list(self.levels)).fillna(0).astype(int)
        return order_columns(pd.DataFrame({
            "label": self.outcome.label, "strata": self.levels, "n_event": n_event.to_numpy(),
            "statistic": self.statistic, "df": self.df, "p_value": self.p_value, "n": self.n,
            "observed": self.observed, "expected": self.expected,
        }))  # fmt: skip

    def glance(self) -> dict[str, Any]:
        """Return the test and its sizes."""
        return {
            "n": int(self.n.sum()), "n_event": int(self.outcome.event.sum()), "statistic": self.statistic,
            "df": self.df, "p_value": self.p_value, "rho": self.rho, "gamma": self.gamma, "by": name_groups(self.by),
            "design": name_design(self.outcome.design), "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        if self.not_estimable:
            return f"Log-rank test of {self.outcome.label} not estimable: {self.not_estimable}."
        name = "Log-rank" if (self.rho, self.gamma) == (0, 0) else f"Fleming-Harrington ({self.rho:g}, {self.gamma:g})"
        text = (
            f"{name} test of {self.outcome.label}: χ² = {self.statistic:.2f}, df = {self.df}, p = {self.p_value:.3g}."
        )
        return f"{text} {caution(self.outcome.design)}".strip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves that the test compares."""
        return estimate_survival(self.outcome, by=self.by).plot(ax=ax)


def compare_survival(
    outcome: TimeToEvent, *, by: Groups | str, strata: str | None = None, rho: float = 0.0, gamma: float = 0.0
) -> LogRank:
    """Test whether groups have the same hazard.

    Parameters
    ----------
    outcome : spells (entry, exit]; any event counts; weights are case counts
    by : groups known at entry (guarded) or a covariate. With spells of ``time_varying`` it is Mantel & Byar's test
    strata : covariate within whose levels the groups are compared
    rho, gamma : Fleming-Harrington weights; 0, 0 is the log-rank test

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : an undeclared covariate, rows without a stratum

    Notes
    -----
    Mantel, Cancer Chemother Rep 1966;50:163; Fleming & Harrington, Commun Stat 1981;10:763; same as R's ``survdiff``.
    """
    require_time_to_event(outcome)
    refuse_reversible(outcome.design, by)
    frame = join_groups(outcome, by)
    levels = tuple(str(level) for level in frame[GROUP].cat.categories)
    stratum = np.zeros(len(frame), np.int64) if strata is None else _numbered(outcome, strata)
    k = len(levels)
    observed, expected, variance = np.zeros(k), np.zeros(k), np.zeros((k, k))
    codes, weight = frame[GROUP].cat.codes.to_numpy(np.int64), outcome.weight
    for value in np.unique(stratum):
        rows = stratum == value
        parts = _one_stratum(
            outcome.entry[rows], outcome.exit[rows], outcome.event[rows], weight[rows], codes[rows], k, rho, gamma
        )
        observed, expected, variance = observed + parts[0], expected + parts[1], variance + parts[2]
    compared = np.flatnonzero(expected > 0)[1:]  # the last difference follows from the others
    reason = "only one group" if k < 2 else ("no events" if not observed.sum() else None)
    if reason is None and (not len(compared) or not np.diag(variance)[compared].all()):
        reason = "no time at which two groups are at risk and an event falls"
    difference, spread = (observed - expected)[compared], variance[np.ix_(compared, compared)]
    statistic = float("nan") if reason else float(difference @ np.linalg.solve(spread, difference))
    n = frame.groupby(GROUP, observed=False)["patient_id"].nunique().reindex(list(levels)).to_numpy(float).astype(float)
    p_value = float(chi2.sf(statistic, max(len(compared), 1)))
    return LogRank(
        outcome, by, levels, n, observed, expected, variance, rho, gamma, statistic, len(compared), p_value, reason
    )


def _numbered(outcome: TimeToEvent, strata: str) -> NDArray[np.int64]:
    codes = np.asarray(pd.factorize(declared_column(outcome, strata))[0], np.int64)
    missing = int(np.sum(codes < 0))
    if missing:
        raise OutcomeError(
            f"{missing} of {len(codes)} rows of {outcome.label!r} have no value in {strata!r}",
            "A stratified test compares within known strata",
            "Exclude these rows by name, or give them a stratum of their own",
        )
    return codes


def _one_stratum(
    entry: Vector,
    exit: Vector,
    event: NDArray[np.bool_],
    weight: Vector,
    codes: NDArray[np.int64],
    k: int,
    rho: float,
    gamma: float,
) -> tuple[Vector, Vector, Matrix]:
    """Return observed and expected (k,) and their variance (k, k) from the hypergeometric law at each event time."""
    time, where = np.unique(exit[event], return_inverse=True)
    dead = np.zeros((len(time), k))
    np.add.at(dead, (where, codes[event]), weight[event])
    at_risk = np.column_stack(
        [_at_risk(entry[codes == j], exit[codes == j], weight[codes == j], time) for j in range(k)]
    )
    d, n = dead.sum(axis=1), at_risk.sum(axis=1)
    survival = np.concatenate([[1.0], np.cumprod(1 - d / n)[:-1]]) if len(time) else np.empty(0)
    w = survival**rho * (1 - survival) ** gamma
    share = at_risk / n[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = w**2 * d * np.where(n > 1, (n - d) / (n - 1), 0.0)
    variance = np.diag(spread @ share) - (share * spread[:, None]).T @ share
    return w @ dead, w @ (share * d[:, None]), variance


def _at_risk(entry: Vector, exit: Vector, weight: Vector, time: Vector) -> Vector:
    return count_below(*cumulate(entry, weight), time) - count_below(*cumulate(exit, weight), time)
