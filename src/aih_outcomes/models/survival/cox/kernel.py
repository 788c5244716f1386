"""The partial likelihood of Cox's model on spells (entry, exit]: fast, exact, without pandas.

Efron's correction is a fraction per event: the j-th of d tied events counts the d tied ones only (1 − j/d).
Cox, J R Stat Soc B 1972;34:187; Efron, JASA 1977;72:557.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aih_outcomes.models.survival.cox.newton import Ascent, Point, ascend
from aih_outcomes.models.survival.cox.newton import Optimum as Optimum
from aih_outcomes.models.survival.cox.risk_sets import BLOCK
from aih_outcomes.models.survival.cox.risk_sets import Index as Index
from aih_outcomes.models.survival.cox.risk_sets import Matrix as Matrix
from aih_outcomes.models.survival.cox.risk_sets import RiskSets as RiskSets
from aih_outcomes.models.survival.cox.risk_sets import map_risk_sets as map_risk_sets
from aih_outcomes.outcomes import Vector

NEAR = 10.0  # spreads: a mean no further from 0 takes two of sixteen digits from a covariance


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Risk-set sums at one β; K event times, p covariates.

    Attributes
    ----------
    risk : (n_rows,) weight × exp(η − shift); the shift, (n_rows,), is the largest η of the stratum
    loglik : log partial likelihood
    hazard, hazard_events : (K,) Σ w/φ and Σ f w/φ over the tied events (φ: Efron's denominators)
    square, square_cross, square_events : (K,) Σ w/φ², Σ f w/φ², Σ f² w/φ²
    all_x, events_x : (K, p) Σ risk·x over those at risk, and over the tied events
    x : (p, n_events) the covariates of the events
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
    shift: Vector
    x: Matrix


def sum_risk_sets(X: Matrix, beta: Vector, sets: RiskSets, *, x: Matrix | None = None) -> Sums:
    """Compute the risk-set sums and the log-likelihood at ``beta`` (p,) for covariates ``X`` (n_rows, p).

    ``x`` are those of the events, (p, n_events), where they were taken before: they are the same at every β.
    """
    x = X.T[:, sets.event_rows] if x is None else x
    eta = linear_predictor(X, beta, sets.offset)
    shift = _largest(eta, sets)
    events, k, f, w = sets.event_rows, sets.event_time, sets.fraction, sets.event_weight
    eta -= shift
    of_events = eta[events]
    risk = np.exp(eta, out=eta)  # memory new each time costs more than the sums
    risk *= sets.weight
    own = risk[events]
    phi = sets.at_risk(risk)[k]
    corrected = bool(f.any())
    if corrected:
        phi = phi - f * sets.at_events(own)[k]
    loglik = float(sets.weight[events] @ of_events - np.sum(w * np.log(phi)))
    jump = w / phi
    square = jump / phi
    none = np.zeros(sets.n_times)
    return Sums(
        risk, loglik,
        sets.at_events(jump), sets.at_events(f * jump) if corrected else none,
        sets.at_events(square), sets.at_events(f * square) if corrected else none,
        sets.at_events(f**2 * square) if corrected else none,
        _at_risk_by_column(X, risk, sets).T, sets.at_events(x * own).T, shift, x,
    )  # fmt: skip


def linear_predictor(X: Matrix, beta: Vector, offset: Vector | None = None) -> Vector:
    """(n_rows,) X β + offset, summed so that equal rows give equal numbers (a matrix product may not)."""
    eta = np.zeros(len(X)) if offset is None else offset.copy()
    product = np.empty(len(X))
    for x, b in zip(X.T, beta, strict=True):
        eta += np.multiply(x, b, out=product)
    return eta


def score_vector(sums: Sums, sets: RiskSets, multiplier: Vector) -> Vector:
    """(p,) Σ over events of multiplier(t) × (x − mean of x over the risk set)."""
    observed = sets.weight[sets.event_rows] * multiplier[sets.event_time]
    expected = (sums.hazard * multiplier) @ sums.all_x - (sums.hazard_events * multiplier) @ sums.events_x
    return np.asarray(sums.x @ observed - expected)


def information_matrix(X: Matrix, sums: Sums, sets: RiskSets, multiplier: Vector) -> Matrix:
    """(p, p) Σ over events of multiplier(t) × covariance of x over the risk set."""
    m = multiplier
    hazard = sets.while_at_risk(sums.hazard * m)
    hazard *= sums.risk
    events = sets.event_rows
    hazard[events] -= sums.risk[events] * (sums.hazard_events * m)[sets.event_time]
    cross = (sums.all_x * (sums.square_cross * m)[:, None]).T @ sums.events_x
    outer = (sums.all_x * (sums.square * m)[:, None]).T @ sums.all_x - cross - cross.T
    outer += (sums.events_x * (sums.square_events * m)[:, None]).T @ sums.events_x
    return weighted_cross(X, hazard) - outer


def weighted_cross(X: Matrix, weight: Vector) -> Matrix:
    """(p, p) Xᵀ diag(weight) X, block by block."""
    total = np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, len(X), BLOCK):
        block = X[start : start + BLOCK].T
        total += (block * weight[start : start + BLOCK]) @ block.T
    return total


def score_residuals(X: Matrix, sums: Sums, sets: RiskSets) -> Matrix:
    """(n_rows, p) each row's weighted share of the score (Lin & Wei, JASA 1989;84:1074; Efron's ties as in R)."""
    f, w, k, events = sets.fraction, sets.event_weight, sets.event_time, sets.event_rows
    phi = _denominators(sums, sets)
    jump = w / phi
    mean = (sums.all_x[k] - f[:, None] * sums.events_x[k]) / phi[:, None]
    cumulated = sets.at_events((jump[:, None] * mean).T).T

    residuals = np.empty((X.shape[1], len(X)))
    hazard = sets.while_at_risk(sums.hazard)
    for own, x, together in zip(residuals, X.T, cumulated.T, strict=True):
        np.subtract(sets.while_at_risk(together), x * hazard, out=own)
    residuals[:, events] += (X[events] * sums.hazard_events[k][:, None]).T
    residuals[:, events] -= sets.at_events(((f * jump)[:, None] * mean).T)[:, k]
    residuals *= sums.risk
    tied = np.bincount(k, minlength=sets.n_times)[k]
    mean_of_means = sets.at_events(mean.T)[:, k] / tied
    residuals[:, events] += sets.weight[events] * (X[events].T - mean_of_means)
    return residuals.T


def maximise(X: Matrix, sets: RiskSets, *, ridge: Vector | None = None) -> Optimum:
    """Maximise the partial likelihood by Newton's method on standardised covariates.

    Parameters
    ----------
    X : (n_rows, p)
    ridge : (p,) θ of the penalty ½ Σ θ β²; None for no penalty

    Returns
    -------
    optimum : on the scale of ``X``; see ``ascend`` for what ``converged`` and ``flat`` mean
    """
    Z, spread = centre(X)
    theta = np.zeros(X.shape[1]) if ridge is None else ridge / spread**2
    ones, of_events, scales = np.ones(sets.n_times), Z.T[:, sets.event_rows], np.outer(spread, spread)

    def evaluate(beta: Vector) -> Point:
        sums = sum_risk_sets(Z, beta / spread, sets, x=of_events)
        score = score_vector(sums, sets, ones) / spread - theta * beta
        information = information_matrix(Z, sums, sets, ones) / scales + np.diag(theta)
        return Point(sums.loglik - float(theta @ beta**2) / 2, sums.loglik, score, information)

    ascent = ascend(evaluate, np.zeros(X.shape[1]))
    if ridge is None:
        return rescale(ascent, spread)
    likelihood = (ascent.end.information - np.diag(theta)) * scales
    values = ascent.end.value, ascent.null.value
    return replace(rescale(ascent, spread), unpenalised=likelihood, penalised=values[0], penalised_null=values[1])


def rescale(ascent: Ascent, spread: Vector) -> Optimum:
    """Return where a method on standardised covariates ended, on their own scale."""
    return Optimum(
        ascent.beta / spread, ascent.end.loglik, ascent.null.loglik, ascent.score_test,
        ascent.end.information * np.outer(spread, spread), ascent.scaled_gradient, ascent.converged, ascent.flat,
        ascent.direction,
    )  # fmt: skip


def standardise(X: Matrix) -> tuple[Matrix, Vector]:
    """Return X (n_rows, p) standardised, its columns contiguous, and the scales (p,)."""
    columns, spread = np.empty(X.T.shape), np.empty(X.shape[1])
    for j, (own, x) in enumerate(zip(columns, X.T, strict=True)):
        np.subtract(x, x.mean(), out=own)
        spread[j] = np.sqrt(own @ own / len(own))
        own /= spread[j]
    return columns.T, spread


def centre(X: Matrix) -> tuple[Matrix, Vector]:
    """Return X (n_rows, p) about its means, and the spreads (p,); X itself, not a copy, where 0 is near its means."""
    mean, spread = X.mean(axis=0), np.empty(X.shape[1])
    for j, x in enumerate(X.T):
        own = x - mean[j]
        spread[j] = np.sqrt(own @ own / len(own))
    return (X if np.all(np.abs(mean) <= NEAR * spread) else (X.T - mean[:, None]).T), spread


def _largest(eta: Vector, sets: RiskSets) -> Vector:
    """(n_rows,) largest η of each row's stratum: strata far apart do not drown each other."""
    if sets.row_stratum is None:
        return np.broadcast_to(eta.max(), eta.shape)
    largest = np.full(sets.row_stratum.max() + 1, -np.inf)
    np.maximum.at(largest, sets.row_stratum, eta)
    return largest[sets.row_stratum]


def _denominators(sums: Sums, sets: RiskSets) -> Vector:
    """(n_events,) Efron's denominators φ."""
    own = sets.at_events(sums.risk[sets.event_rows])
    return sets.at_risk(sums.risk)[sets.event_time] - sets.fraction * own[sets.event_time]


def _at_risk_by_column(X: Matrix, risk: Vector, sets: RiskSets) -> Matrix:
    """(p, K) Σ risk·x over those at risk; a column at a time where all of them would not stay in the cache."""
    if len(X) <= BLOCK:
        return sets.at_risk(X.T * risk)
    sums, product = np.empty((X.shape[1], sets.n_times)), np.empty(len(X))
    for own, x in zip(sums, X.T, strict=True):
        own[:] = sets.at_risk(np.multiply(x, risk, out=product))
    return sums
