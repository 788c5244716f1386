"""Log-rank tests of the difference between survival curves, with late entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from aih_outcomes.models.guard import GROUP, join_groups
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.curves.arrays import Rows, number_strata, read_rows, refuse_fractions
from aih_outcomes.models.survival.curves.checks import refuse_no_weights
from aih_outcomes.models.survival.curves.curve import count_below, count_exits, cumulate
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival, name_groups
from aih_outcomes.models.survival.designs.design import caution, name_design, name_test
from aih_outcomes.outcomes import CENSORED, Groups, TimeToEvent, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = NDArray[np.float64]

SINGULAR = 1e-10  # variance of a contrast, relative to the largest, below which there is none


@dataclass(frozen=True, slots=True, eq=False)
class LogRank:
    """A test of equal hazards in k groups.

    Attributes
    ----------
    levels : (k,) the groups
    observed, expected : (k,) weighted events, seen and expected if the groups were alike
    variance : (k, k) of observed − expected
    strata : covariate within whose levels the groups were compared, or None
    rho, gamma : weights S(t−)^rho (1 − S(t−))^gamma; 0, 0 is the log-rank test, 1, 0 Peto-Peto's
    """

    outcome: TimeToEvent
    by: Groups | str
    levels: tuple[str, ...]
    observed: Vector
    expected: Vector
    variance: Matrix
    strata: str | None
    rho: float
    gamma: float
    statistic: float
    df: int
    p_value: float
    not_estimable: str | None

    @property
    def n(self) -> Vector:
        """(k,) patients in each group."""
        patients = self._rows().groupby(GROUP, observed=False)["patient_id"].nunique()
        return np.asarray(patients.reindex(list(self.levels)).to_numpy(float), float)

    def tidy(self) -> pd.DataFrame:
        """One row per group: ``label, strata, n_event, statistic, df, p_value, n, observed, expected``.

        ``n_event`` counts events; ``observed`` and ``expected`` carry the weights of the test, which is repeated.
        """
        frame = self._rows()
        ended = frame.loc[frame["event"] != CENSORED, GROUP]
        n_event = ended.value_counts().reindex(list(self.levels)).fillna(0).astype(int)
        return order_columns(pd.DataFrame({
            "label": self.outcome.label, "strata": self.levels, "n_event": n_event.to_numpy(),
            "statistic": self.statistic, "df": self.df, "p_value": self.p_value, "n": self.n,
            "observed": self.observed, "expected": self.expected,
        }))  # fmt: skip

    def glance(self) -> dict[str, Any]:
        """Return the test and its sizes."""
        return {
            "n": int(self.n.sum()), "n_event": int((self._rows()["event"] != CENSORED).sum()),
            "statistic": self.statistic, "df": self.df, "p_value": self.p_value, "strata": self.strata,
            "rho": self.rho, "gamma": self.gamma, "by": name_groups(self.by),
            "design": name_design(self.outcome.design), "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        if self.not_estimable:
            return f"Log-rank test of {self.outcome.label} not estimable: {self.not_estimable}."
        name = name_test(self.outcome.design, name_groups(self.by)).replace("log-rank", "Log-rank")
        if (self.rho, self.gamma) != (0, 0):
            name = f"Fleming-Harrington ({self.rho:g}, {self.gamma:g})"
        within = f", stratified by {self.strata}" if self.strata else ""
        text = (
            f"{name} test of {self.outcome.label}{within}: χ² = {self.statistic:.2f}, df = {self.df}, "
            f"{p_in_words(self.p_value)}."
        )
        return f"{text} {caution(self.outcome.design)}".strip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves that the test compares."""
        return estimate_survival(self.outcome, by=self.by).plot(ax=ax)

    def _rows(self) -> pd.DataFrame:
        """Return the rows that count, with their group."""
        frame = join_groups(self.outcome, self.by)
        return frame[self.outcome.weight > 0] if "weight" in frame else frame


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
    OutcomeError : an undeclared covariate, rows without a stratum, weights that are no case counts or of no test

    Notes
    -----
    Mantel, Cancer Chemother Rep 1966;50:163; Fleming & Harrington, Commun Stat 1981;10:763; same as R's ``survdiff``.
    """
    refuse_no_weights(rho=rho, gamma=gamma)
    rows = read_rows(outcome, by)
    refuse_fractions(outcome, "Fit a weighted Cox model: fit_cox(..., cluster='patient_id') has a robust test")
    stratum = None if strata is None else number_strata(outcome, strata)[outcome.weight > 0]
    observed, expected, variance = sum_log_rank(rows, stratum, rho=rho, gamma=gamma)
    statistic, df, reason = quadratic_form(observed, expected, variance)
    p_value = float(chi2.sf(statistic, max(df, 1)))
    return LogRank(
        outcome, by, rows.levels, observed, expected, variance, strata, rho, gamma, statistic, df, p_value, reason
    )  # fmt: skip


def p_in_words(p_value: float) -> str:
    """Write a p-value with three digits, never as 0.

    Examples
    --------
    >>> p_in_words(0.03087), p_in_words(1e-20)
    ('p = 0.0309', 'p < 0.001')
    """
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3g}"


def quadratic_form(observed: Vector, expected: Vector, variance: Matrix) -> tuple[float, int, str | None]:
    """Return χ², its degrees of freedom, and why there is none, if so.

    Groups that never meet, as in strata of their own, take a degree of freedom each: df is the rank of the variance.
    """
    compared = np.flatnonzero(expected > 0)[1:]  # the last difference follows from the others
    reason = "only one group" if len(observed) < 2 else ("no events" if not observed.sum() else None)
    if reason:
        return float("nan"), len(compared), reason
    difference, spread = (observed - expected)[compared], variance[np.ix_(compared, compared)]
    values, axes = np.linalg.eigh(spread)
    known = values > SINGULAR * values.max(initial=0.0)
    if not known.any():
        return float("nan"), len(compared), "no time at which two groups are at risk and an event falls"
    if known.all():
        return float(difference @ np.linalg.solve(spread, difference)), len(compared), None
    return float(np.sum((difference @ axes[:, known]) ** 2 / values[known])), int(known.sum()), None


def sum_log_rank(
    rows: Rows, stratum: NDArray[np.int64] | None, *, rho: float = 0.0, gamma: float = 0.0
) -> tuple[Vector, Vector, Matrix]:
    """Return observed and expected (k,) and the variance (k, k) of their difference, summed over strata.

    Parameters
    ----------
    rows : spells with the codes of their groups; ``stratum`` (n,) codes, None for one stratum
    """
    if stratum is None:
        return _one_stratum(rows, rho, gamma)
    k = len(rows.levels)
    observed, expected, variance = np.zeros(k), np.zeros(k), np.zeros((k, k))
    for value in np.unique(stratum):
        parts = _one_stratum(rows.select(stratum == value), rho, gamma)
        observed, expected, variance = observed + parts[0], expected + parts[1], variance + parts[2]
    return observed, expected, variance


def pooled_weights(d: Vector, n: Vector, rho: float, gamma: float) -> Vector:
    """Return Fleming & Harrington's weights (n_times,) from events and numbers at risk of all groups together."""
    survival = np.concatenate([[1.0], np.cumprod(1 - d / n)[:-1]]) if len(d) else np.empty(0)
    power = np.power(survival, rho, out=np.zeros_like(survival), where=(survival > 0) | (rho >= 0))
    return np.asarray(power * (1 - survival) ** gamma, float)  # after everyone at risk died S(t−) is 0


def _one_stratum(rows: Rows, rho: float, gamma: float) -> tuple[Vector, Vector, Matrix]:
    """Return observed and expected (k,) and their variance (k, k) from the hypergeometric law at each event time."""
    dead, at_risk = _tables(rows)
    d, n = dead.sum(axis=1), at_risk.sum(axis=1)
    w = pooled_weights(d, n, rho, gamma)
    share = at_risk / n[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = (n > 1) & (np.count_nonzero(at_risk, axis=1) > 1)
        spread = w**2 * d * np.where(meet, (n - d) / (n - 1), 0.0)
    variance = np.diag(spread @ share) - (share * spread[:, None]).T @ share
    return w @ dead, w @ (share * d[:, None]), variance


def _tables(rows: Rows) -> tuple[Matrix, Matrix]:
    """Return events and numbers at risk (n_event_times, k) at the distinct times of events."""
    parts = rows.by_group()
    exits = {level: count_exits(part.exit, part.event, part.weight) for level, part in parts.items()}
    time = np.unique(np.concatenate([table.time[table.event > 0] for table in exits.values()] or [np.empty(0)]))
    dead, at_risk = np.zeros((len(time), len(rows.levels))), np.zeros((len(time), len(rows.levels)))
    for place, level in enumerate(rows.levels):
        if level not in exits:
            continue
        table, happened = exits[level], exits[level].event > 0
        dead[np.searchsorted(time, table.time[happened]), place] = table.event[happened]
        entries, counts = cumulate(parts[level].entry, parts[level].weight)
        gone = np.concatenate([table.left, table.left[-1:] + table.leaving[-1:]])
        at_risk[:, place] = count_below(entries, counts, time) - count_below(table.time, gone, time)
    return dead, at_risk
