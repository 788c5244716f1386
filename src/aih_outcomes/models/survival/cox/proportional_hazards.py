"""Is the hazard ratio constant? The score test for a coefficient that changes with a function of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import chi2

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.cox.kernel import RiskSets, information_matrix, score_vector, sum_risk_sets
from aih_outcomes.models.survival.cox.result import CoxFit
from aih_outcomes.models.survival.curves.curve import estimate_curve
from aih_outcomes.outcomes import CENSORED, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Transform = Literal["km", "rank", "identity", "log"]

GLOBAL = "GLOBAL"


@dataclass(frozen=True, slots=True, eq=False)
class ProportionalHazards:
    """Score tests, one per term and one for all together; ``table`` holds ``term, statistic, df, p_value``."""

    fit: CoxFit
    transform: Transform
    table: pd.DataFrame
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per term, then ``GLOBAL``: ``label, term, statistic, df, p_value, transform``."""
        return order_columns(self.table.assign(label=self.fit.outcome.label, transform=self.transform))

    def glance(self) -> dict[str, Any]:
        """Return the global test."""
        last = self.table.iloc[-1]
        return {
            "statistic": float(last["statistic"]), "df": int(last["df"]), "p_value": float(last["p_value"]),
            "transform": self.transform, "n_event": self.fit.n_event, "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        if self.not_estimable:
            return f"Test of proportional hazards not estimable: {self.not_estimable}."
        facts = self.glance()
        return (
            f"Score test of proportional hazards ({self.transform} transform of time): χ² = {facts['statistic']:.2f}, "
            f"df = {facts['df']}, p = {facts['p_value']:.3g}."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Refuse politely: a test has no figure of its own.

        Raises
        ------
        OutcomeError
        """
        raise OutcomeError(
            "A test of proportional hazards has no figure",
            "Curves show how a ratio changes",
            "Plot the survival curves",
        )


def check_proportional_hazards(fit: CoxFit, *, transform: Transform = "km") -> ProportionalHazards:
    """Test whether each coefficient is constant over a function g of time.

    Parameters
    ----------
    fit : a Cox fit
    transform : g(t): ``km`` 1 − S(t−), ``rank``, ``identity`` or ``log``

    Returns
    -------
    result : dummy columns of one category are tested together; NaN with the reason where the fit is not estimable

    Notes
    -----
    The score test of R survival 3.0 and later (``cox.zph``), not the older approximation with an averaged variance;
    Grambsch & Therneau, Biometrika 1994;81:515.
    """
    terms = fit.design.terms
    variables = list(dict.fromkeys(term.variable for term in terms))
    columns = {variable: [i for i, term in enumerate(terms) if term.variable == variable] for variable in variables}
    columns[GLOBAL] = list(range(len(terms)))
    reason = fit.not_estimable or _why_no_test(fit, transform)
    if reason or fit.sets is None or fit.optimum is None:
        statistics = [float("nan")] * len(columns)
    else:
        statistics = _score_tests(fit, fit.sets, fit.optimum.beta, transform, list(columns.values()))
    df = [len(own) for own in columns.values()]
    p_value = chi2.sf(statistics, df)
    table = pd.DataFrame({"term": list(columns), "statistic": statistics, "df": df, "p_value": p_value})
    return ProportionalHazards(fit, transform, table, reason)


def _why_no_test(fit: CoxFit, transform: Transform) -> str | None:
    times = fit.sets.time if fit.sets is not None else np.empty(0)
    if len(np.unique(times)) < 2:
        return "all events at one time"
    return "an event at time 0 has no logarithm" if transform == "log" and times.min() <= 0 else None


def _score_tests(
    fit: CoxFit, sets: RiskSets, beta: Vector, transform: Transform, tested: list[list[int]]
) -> list[float]:
    """Return the score statistic for each set of columns, all coefficients kept in the model."""
    X, p = fit.design.X, len(beta)
    g = _function_of_time(fit, sets, transform)
    g = g - g[sets.event_time].mean()
    sums = sum_risk_sets(X, beta, sets)
    score = score_vector(X, sums, sets, g)
    constant, mixed, changing = (information_matrix(X, sums, sets, g**power) for power in (0, 1, 2))
    information = np.block([[constant, mixed], [mixed, changing]])
    statistics = []
    for own in tested:
        keep = [*range(p), *(p + i for i in own)]
        u = np.concatenate([np.zeros(p), score[own]])
        scale = np.sqrt(np.diag(information)[keep])
        scaled = information[np.ix_(keep, keep)] / np.outer(scale, scale)
        statistics.append(float(u / scale @ np.linalg.solve(scaled, u / scale)))
    return statistics


def _function_of_time(fit: CoxFit, sets: RiskSets, transform: Transform) -> Vector:
    """(n_times,) g at each event time."""
    if transform == "identity":
        return sets.time
    if transform == "log":
        return np.log(sets.time)
    exit = fit.frame["exit"].to_numpy(float)
    if transform == "rank":
        ordered = np.sort(exit)
        below, upto = np.searchsorted(ordered, sets.time, "left"), np.searchsorted(ordered, sets.time, "right")
        return (below + upto + 1) / 2
    event = (fit.frame["event"] != CENSORED).to_numpy(bool)
    curve = estimate_curve("all", fit.frame["entry"].to_numpy(float), exit, event, np.ones(len(exit)))
    before = np.searchsorted(curve.time, sets.time, side="left")
    return 1 - np.concatenate([[1.0], curve.estimate])[before]
