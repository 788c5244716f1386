"""Is the hazard ratio constant? The score test for a coefficient that changes with a function of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.cox.checks import require_fit
from aih_outcomes.models.survival.cox.kernel import RiskSets, information_matrix, score_vector, sum_risk_sets
from aih_outcomes.models.survival.cox.residuals import schoenfeld
from aih_outcomes.models.survival.cox.result import CoxFit
from aih_outcomes.models.survival.cox.smoothing import smooth_residuals
from aih_outcomes.models.survival.curves.curve import estimate_curve
from aih_outcomes.models.survival.curves.log_rank import p_in_words
from aih_outcomes.models.survival.designs.design import caution, name_design
from aih_outcomes.outcomes import CENSORED, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Transform = Literal["km", "rank", "identity", "log"]
TRANSFORMS = ("km", "rank", "identity", "log")
Matrix = NDArray[np.float64]

GLOBAL = "GLOBAL"
RESIDUAL_COLUMNS = ["time", "transformed", "estimate"]
SMOOTH_COLUMNS = ["term", "time", "n_event", "estimate", "std_error", "conf_low", "conf_high", "transformed"]


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
            "transform": self.transform, "n_event": self.fit.n_event,
            "events_per_parameter": self.fit.events_per_parameter, "design": name_design(self.fit.outcome.design),
            "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        if self.not_estimable:
            return f"Test of proportional hazards not estimable: {self.not_estimable}."
        facts = self.glance()
        outcome = self.fit.outcome
        text = (
            f"Score test of proportional hazards of {outcome.label} ({self.transform} transform of time): "
            f"χ² = {facts['statistic']:.2f}, df = {facts['df']}, {p_in_words(facts['p_value'])}."
        )
        return f"{text} {caution(outcome.design)}".strip()

    def residuals(self) -> pd.DataFrame:
        """One row per term and event: patients' own values, never for a report.

        Returns
        -------
        frame : ``term, time, transformed, estimate``: scaled Schoenfeld residuals plus the coefficient, whose mean at
            a time is about the coefficient then; NaN where a term does not vary in the event's stratum. The columns of
            one category are taken together, as a multiple of their fitted effect (R's ``cox.zph``).
        """
        blank = {"term": pd.Series(dtype=object), **{name: pd.Series(dtype=float) for name in RESIDUAL_COLUMNS}}
        if self.not_estimable or self.fit.sets is None:
            return pd.DataFrame(blank)
        sets, (scaled, _) = self.fit.sets, _scaled_residuals(self.fit, self.fit.sets)
        g = _function_of_time(self.fit, sets, self.transform)[sets.event_time]
        names = list(_columns_of(self.fit))
        return pd.DataFrame({
            "term": np.repeat(names, len(scaled)), "time": np.tile(sets.time[sets.event_time], len(names)),
            "transformed": np.tile(g, len(names)), "estimate": scaled.T.ravel(),
        })  # fmt: skip

    def smooth(self) -> pd.DataFrame:
        """One row per term and point: the coefficient as it changes with time, with its band.

        Returns
        -------
        frame : ``label, term, time, n_event`` (events behind the term), ``estimate, std_error, conf_low, conf_high,
            transformed``: a natural spline with 4
            degrees of freedom through the scaled residuals, at 40 points evenly spaced on the transformed scale. NaN
            where a term has events at fewer than 4 distinct times; no rows where there is no test.

        Notes
        -----
        R's ``plot.cox.zph``, whose band is ± 2 standard errors: this one is at the fit's level of confidence.
        """
        points = self.residuals()
        if not len(points) or self.fit.sets is None:
            return order_columns(pd.DataFrame(columns=["label", *SMOOTH_COLUMNS]))
        _, variance = _scaled_residuals(self.fit, self.fit.sets)
        frames = [
            smooth_residuals(points[points["term"] == term], self.transform, variance[i, i], self.fit.conf_level)
            for i, term in enumerate(_columns_of(self.fit))
        ]
        frame = order_columns(pd.concat(frames, ignore_index=True).assign(label=self.fit.outcome.label))
        frame.attrs = {"time_unit": self.fit.outcome.time_unit, "time_zero": self.fit.outcome.time_zero}
        return frame

    def plot(self, ax: Axes | None = None, *, term: str | None = None) -> Axes:
        """Draw one coefficient over time for the analyst's screen.

        Parameters
        ----------
        term : which; None for the one with the largest statistic per degree of freedom

        Raises
        ------
        OutcomeError : no such term
        """
        from aih_outcomes.figures.residuals import draw_coefficient

        tests = self.table[self.table["term"] != GLOBAL]
        if tests.empty:
            raise OutcomeError("The model has no terms", "The figure shows a coefficient over time", "Fit with a term")
        if term is None:
            worst = (tests["statistic"] / tests["df"]).fillna(-1.0).to_numpy(float)
            term = str(tests["term"].iloc[int(np.argmax(worst))])
        if term not in set(tests["term"]):
            raise OutcomeError(
                f"{term!r} is no term of the model", f"Terms are {', '.join(tests['term'])}", "Name one of them"
            )
        smooth, points = (frame[frame["term"] == term] for frame in (self.smooth(), self.residuals()))
        return draw_coefficient(smooth, residuals=points, ax=ax, unit_label=self.fit.outcome.time_unit)


def check_proportional_hazards(fit: CoxFit, *, transform: Transform = "km") -> ProportionalHazards:
    """Test whether each coefficient is constant over a function g of time.

    Parameters
    ----------
    fit : a Cox fit
    transform : g(t): ``km`` 1 − S(t−), ``rank``, ``identity`` or ``log``

    Returns
    -------
    result : dummy columns of one category are tested together; NaN with the reason where the fit is not estimable

    Raises
    ------
    OutcomeError : no Cox fit; no such function of time

    Notes
    -----
    The score test of R survival 3.0 and later (``cox.zph``), not the older approximation with an averaged variance;
    Grambsch & Therneau, Biometrika 1994;81:515.
    """
    require_fit(fit)
    refuse_unknown_choice("transform", transform, TRANSFORMS)
    columns = _columns_of(fit)
    columns[GLOBAL] = list(range(len(fit.design.terms)))
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
    if fit.penalty is not None:
        return "the test is one of fits without a penalty"
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
    score = score_vector(sums, sets, g)
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


def _columns_of(fit: CoxFit) -> dict[str, list[int]]:
    """Return the columns of each variable."""
    terms = fit.design.terms
    variables = dict.fromkeys(term.variable for term in terms)
    return {variable: [i for i, term in enumerate(terms) if term.variable == variable] for variable in variables}


def _scaled_residuals(fit: CoxFit, sets: RiskSets) -> tuple[Matrix, Matrix]:
    """(n_events, n_variables) scaled residuals plus the coefficient, and the variance of one (n_variables, same).

    Scaled by the average information of one event, over the strata in which a variable varies (R's ``cox.zph``).
    """
    X, beta = fit.design.X, fit.coefficients
    sums = sum_risk_sets(X, beta, sets)
    stratum = _stratum_of_events(fit, sets)
    used = np.asarray(_varies(X, fit)[stratum], bool)
    shared = used.T.astype(float) @ used
    mean = information_matrix(X, sums, sets, np.ones(sets.n_times)) / np.where(shared == 0, 1.0, shared)
    columns = list(_columns_of(fit).values())
    together = np.zeros((len(beta), len(columns)))
    for i, own in enumerate(columns):
        together[own, i] = 1.0 if len(own) == 1 else beta[own]
        used[:, own] = np.any(used[:, own], axis=1, keepdims=True)
    varies = used[:, [own[0] for own in columns]]
    mean = together.T @ mean @ together
    raw = schoenfeld(X, sums, sets) @ together
    scaled = np.full(raw.shape, np.nan)
    for pattern in np.unique(varies, axis=0):
        rows, some = np.flatnonzero((varies == pattern).all(axis=1)), np.flatnonzero(pattern)
        if len(some):
            scaled[np.ix_(rows, some)] = np.linalg.solve(mean[np.ix_(some, some)], raw[np.ix_(rows, some)].T).T
    return scaled + [beta[own[0]] if len(own) == 1 else 1.0 for own in columns], np.asarray(np.linalg.inv(mean))


def _stratum_of_events(fit: CoxFit, sets: RiskSets) -> NDArray[np.int64]:
    """(n_events,) number of each event's stratum."""
    return _strata(fit)[sets.event_rows]


def _strata(fit: CoxFit) -> NDArray[np.int64]:
    if fit.strata is None:
        return np.zeros(len(fit.frame), np.int64)
    return np.asarray(pd.factorize(fit.frame[fit.strata], sort=True)[0], np.int64)


def _varies(X: Matrix, fit: CoxFit) -> NDArray[np.bool_]:
    """(n_strata, p) whether a column takes more than one value in a stratum."""
    strata = _strata(fit)
    return np.array([np.ptp(X[strata == level], axis=0) > 0 for level in range(strata.max() + 1)])
