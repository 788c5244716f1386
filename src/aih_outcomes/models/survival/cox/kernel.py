"""The partial likelihood of Cox's model on spells (entry, exit]: fast, exact, without pandas.

Each row is mapped once to the span of distinct event times at which it is at risk; every risk-set sum is then a
``bincount`` and a reversed cumulative sum. Efron's correction is a fraction per event: the j-th of d tied events
counts the d tied ones only (1 − j/d). Cox, J R Stat Soc B 1972;34:187; Efron, JASA 1977;72:557.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]

MAX_STEPS = 50
MAX_HALVINGS = 20
STEP_TOLERANCE = 1e-9  # largest change of a standardised coefficient
FLAT_TOLERANCE = 1e-9  # relative change of the log-likelihood that counts as none
COLLAPSED = 1e-8  # information left, relative to that at β = 0, where the likelihood has no maximum
GRADIENT_TOLERANCE = 1e-6  # scaled by the information: the optimum proves itself


@dataclass(frozen=True, slots=True, eq=False)
class RiskSets:
    """Who is at risk when. Event times are numbered 0 … n_times − 1, stratum after stratum.

    Attributes
    ----------
    first, last : (n_rows,) a row is at risk at event times first <= k < last
    event_rows : (n_events,) rows that end in an event; ``event_time`` : (n_events,) the number of their event time
    fraction : (n_events,) Efron's j/d; 0 for Breslow
    event_weight : (n_events,) mean weight of the events tied with it
    weight : (n_rows,) case weights
    time : (n_times,) the event times themselves
    """

    first: Index
    last: Index
    event_rows: Index
    event_time: Index
    fraction: Vector
    event_weight: Vector
    weight: Vector
    time: Vector

    @property
    def n_times(self) -> int:
        """Number of distinct event times."""
        return len(self.time)

    def at_risk(self, values: Vector) -> Vector:
        """(n_times,) sum of ``values`` (n_rows,) over those at risk at each event time."""
        return _reversed_sum(self.last, values, self.n_times) - _reversed_sum(self.first, values, self.n_times)

    def at_events(self, values: Vector) -> Vector:
        """(n_times,) sum of ``values`` (n_events,) over the events at each event time."""
        return np.bincount(self.event_time, values, self.n_times).astype(float)

    def while_at_risk(self, values: Matrix) -> Matrix:
        """(n_rows, …) sum of ``values`` (n_times, …) over the event times at which each row is at risk."""
        total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
        return np.asarray(total[self.last] - total[self.first])


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Risk-set sums at one β; K event times, p covariates.

    Attributes
    ----------
    risk : (n_rows,) weight × exp(η), up to a common factor
    loglik : log partial likelihood
    hazard, hazard_events : (K,) Σ w/φ and Σ f w/φ over the tied events (φ: Efron's denominators)
    square, square_cross, square_events : (K,) Σ w/φ², Σ f w/φ², Σ f² w/φ²
    all_x, events_x : (K, p) Σ risk·x over those at risk, and over the tied events
    """

    risk: Vector
    loglik: float
    hazard: Vector
    hazard_events: Vector
    square: Vector
    square_cross: Vector
    square_events: Vector
    all_x: Matrix
    events_x: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """Where Newton's method ended: ``beta`` (p,), ``information`` (p, p), and whether it is an optimum."""

    beta: Vector
    loglik: float
    loglik_null: float
    score_test: float
    information: Matrix
    scaled_gradient: float
    converged: bool
    flat: bool


def map_risk_sets(
    entry: Vector, exit: Vector, event: NDArray[np.bool_], weight: Vector, strata: Index, *, efron: bool
) -> RiskSets:
    """Map every row to the event times of its stratum at which it is at risk (entry < t <= exit).

    Parameters
    ----------
    entry, exit, event, weight, strata : (n_rows,); strata are numbered from 0
    """
    first, last, times, offset = np.zeros(len(exit), np.int64), np.zeros(len(exit), np.int64), [], 0
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        own = np.unique(exit[rows][event[rows]])
        first[rows] = np.searchsorted(own, entry[rows], "right") + offset
        last[rows] = np.searchsorted(own, exit[rows], "right") + offset
        times.append(own)
        offset += len(own)
    event_rows = np.flatnonzero(event)
    event_rows = event_rows[np.argsort(last[event_rows], kind="stable")]
    event_time = last[event_rows] - 1
    tied = np.bincount(event_time, minlength=offset)
    place = np.arange(len(event_rows)) - np.repeat(np.cumsum(tied) - tied, tied)
    fraction = place / tied[event_time] if efron else np.zeros(len(event_rows))
    mean_weight = np.bincount(event_time, weight[event_rows], offset)[event_time] / tied[event_time]
    return RiskSets(first, last, event_rows, event_time, fraction, mean_weight, weight, np.concatenate(times))


def sum_risk_sets(X: Matrix, beta: Vector, sets: RiskSets) -> Sums:
    """Compute the risk-set sums and the log-likelihood at ``beta`` (p,) for covariates ``X`` (n_rows, p)."""
    eta = linear_predictor(X, beta)
    shift = eta.max()
    risk = sets.weight * np.exp(eta - shift)
    events, own = sets.event_rows, risk[sets.event_rows]
    f, w = sets.fraction, sets.event_weight
    phi = sets.at_risk(risk)[sets.event_time] - f * sets.at_events(own)[sets.event_time]
    loglik = float(np.sum(sets.weight[events] * (eta[events] - shift)) - np.sum(w * np.log(phi)))
    return Sums(
        risk, loglik,
        sets.at_events(w / phi), sets.at_events(f * w / phi),
        sets.at_events(w / phi**2), sets.at_events(f * w / phi**2), sets.at_events(f**2 * w / phi**2),
        np.column_stack([sets.at_risk(risk * x) for x in X.T]),
        np.column_stack([sets.at_events(own * x) for x in X[events].T]),
    )  # fmt: skip


def linear_predictor(X: Matrix, beta: Vector) -> Vector:
    """(n_rows,) X β, summed so that equal rows give equal numbers (a matrix product may not)."""
    eta = np.zeros(len(X))
    for x, b in zip(X.T, beta, strict=True):
        eta = eta + x * b
    return eta


def score_vector(X: Matrix, sums: Sums, sets: RiskSets, multiplier: Vector) -> Vector:
    """(p,) Σ over events of multiplier(t) × (x − mean of x over the risk set)."""
    observed = sets.weight[sets.event_rows] * multiplier[sets.event_time]
    expected = multiplier @ (sums.all_x * sums.hazard[:, None] - sums.events_x * sums.hazard_events[:, None])
    return np.asarray(X[sets.event_rows].T @ observed - expected)


def information_matrix(X: Matrix, sums: Sums, sets: RiskSets, multiplier: Vector) -> Matrix:
    """(p, p) Σ over events of multiplier(t) × covariance of x over the risk set."""
    m = multiplier
    hazard = sums.risk * sets.while_at_risk(sums.hazard * m)
    events = sets.event_rows
    hazard[events] -= sums.risk[events] * (sums.hazard_events * m)[sets.event_time]
    cross = (sums.all_x * (sums.square_cross * m)[:, None]).T @ sums.events_x
    outer = (sums.all_x * (sums.square * m)[:, None]).T @ sums.all_x - cross - cross.T
    outer += (sums.events_x * (sums.square_events * m)[:, None]).T @ sums.events_x
    return np.asarray((X * hazard[:, None]).T @ X - outer)


def score_residuals(X: Matrix, sums: Sums, sets: RiskSets) -> Matrix:
    """(n_rows, p) each row's weighted share of the score (Lin & Wei, JASA 1989;84:1074; Efron's ties as in R)."""
    f, w, k, events = sets.fraction, sets.event_weight, sets.event_time, sets.event_rows
    mean = (sums.all_x[k] - f[:, None] * sums.events_x[k]) / _denominators(sums, sets)[:, None]
    jump = w / _denominators(sums, sets)

    def add_up(values: Matrix) -> Matrix:
        return np.column_stack([sets.at_events(column) for column in values.T])

    residuals = -(X * sets.while_at_risk(sums.hazard)[:, None] - sets.while_at_risk(add_up(jump[:, None] * mean)))
    kept_out = X[events] * sums.hazard_events[k][:, None] - add_up((f * jump)[:, None] * mean)[k]
    residuals[events] += kept_out
    residuals *= sums.risk[:, None]
    tied = np.bincount(k, minlength=sets.n_times)[k]
    mean_of_means = add_up(mean)[k] / tied[:, None]
    residuals[events] += sets.weight[events][:, None] * (X[events] - mean_of_means)
    return np.asarray(residuals)


def maximise(X: Matrix, sets: RiskSets) -> Optimum:
    """Newton's method with step halving on standardised covariates.

    Returns
    -------
    optimum : on the scale of ``X``; ``converged`` where the steps died out and the scaled gradient is below 1e-6,
        ``flat`` where the likelihood no longer rose although the steps went on (monotone likelihood)
    """
    centre, spread = X.mean(axis=0), X.std(axis=0)
    Z = np.ascontiguousarray((X - centre) / spread)
    ones = np.ones(sets.n_times)
    beta = np.zeros(X.shape[1])
    sums = sum_risk_sets(Z, beta, sets)
    null = sums.loglik
    score, information = score_vector(Z, sums, sets, ones), information_matrix(Z, sums, sets, ones)
    first_step = _solve(information, score)
    score_test = float("nan") if first_step is None else float(score @ first_step)
    at_null = np.sqrt(np.maximum(np.diag(information), np.finfo(float).tiny))
    last_step, rise = np.inf, np.inf
    for _ in range(MAX_STEPS):
        step = _solve(information, score)
        if step is None:
            break
        before = sums.loglik
        beta, sums, size = _climb(Z, beta, step, sums, sets)
        score, information = score_vector(Z, sums, sets, ones), information_matrix(Z, sums, sets, ones)
        last_step, rise = float(np.max(np.abs(size * step))), sums.loglik - before
        if last_step < STEP_TOLERANCE:
            break
    gradient = _scaled_gradient(score, information)
    informative = _smallest(information / np.outer(at_null, at_null)) > COLLAPSED
    converged = last_step < STEP_TOLERANCE and gradient < GRADIENT_TOLERANCE and informative
    return Optimum(
        beta / spread, sums.loglik, null, score_test, information * np.outer(spread, spread), gradient, converged,
        abs(rise) <= FLAT_TOLERANCE * (1 + abs(sums.loglik)),
    )  # fmt: skip


def _climb(Z: Matrix, beta: Vector, step: Vector, sums: Sums, sets: RiskSets) -> tuple[Vector, Sums, float]:
    """Halve the step until the likelihood does not fall; stay where no step helps."""
    size = 1.0
    for _ in range(MAX_HALVINGS):
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # a step too far is not finite
            trial = sum_risk_sets(Z, beta + size * step, sets)
        if np.isfinite(trial.loglik) and trial.loglik >= sums.loglik - 1e-12 * abs(sums.loglik):
            return beta + size * step, trial, size
        size /= 2
    return beta, sums, 0.0


def _solve(information: Matrix, score: Vector) -> Vector | None:
    try:
        step = np.asarray(np.linalg.solve(information, score), float)
    except np.linalg.LinAlgError:
        return None
    return step if bool(np.all(np.isfinite(step))) else None


def _smallest(information: Matrix) -> float:
    """Return the smallest eigenvalue; 0 where the matrix is not finite."""
    return float(np.linalg.eigvalsh(information).min()) if bool(np.all(np.isfinite(information))) else 0.0


def _scaled_gradient(score: Vector, information: Matrix) -> float:
    diagonal = np.diag(information)
    return float(np.max(np.abs(score) / np.sqrt(diagonal))) if bool(np.all(diagonal > 0)) else float("inf")


def _denominators(sums: Sums, sets: RiskSets) -> Vector:
    """(n_events,) Efron's denominators φ."""
    own = sets.at_events(sums.risk[sets.event_rows])
    return sets.at_risk(sums.risk)[sets.event_time] - sets.fraction * own[sets.event_time]


def _reversed_sum(position: Index, values: Vector, n_times: int) -> Vector:
    """(n_times,) sum of values whose position lies above each k."""
    return np.cumsum(np.bincount(position, values, n_times + 1).astype(float)[::-1])[::-1][1:]
