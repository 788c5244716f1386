"""Firth's penalty on the partial likelihood: finite estimates where the likelihood is monotone, less bias elsewhere.

Maximised is l(β) + ½ log |I(β)| (Firth, Biometrika 1993;80:27; Heinze & Schemper, Biometrics 2001;57:114). Its gradient
needs third moments over risk sets, tr(I⁻¹ ∂I/∂β); summed row by row instead of event time by event time they cost no
more than the information.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2

from aih_outcomes.models.survival.cox.kernel import (
    RiskSets,
    Sums,
    information_matrix,
    rescale,
    score_vector,
    standardise,
    sum_risk_sets,
)
from aih_outcomes.models.survival.cox.newton import GRADIENT_TOLERANCE, Matrix, Optimum, Point, ascend
from aih_outcomes.outcomes import Vector

MAX_STEPS = 200  # the penalty's curvature is left out of the steps: they shrink by a factor, not as squares
WIDEST = 60.0  # standard errors: a limit further away is infinite
LIMIT_TOLERANCE = 1e-9  # of the penalised log-likelihood at a limit
MAX_SEARCH = 100


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Profile penalised likelihood, per term: limits of the interval, and the likelihood-ratio test of β = 0."""

    low: Vector
    high: Vector
    statistic: Vector
    p_value: Vector


def maximise_firth(X: Matrix, sets: RiskSets) -> Optimum:
    """Maximise the penalised likelihood.

    Parameters
    ----------
    X : (n_rows, p)
    sets : of ``map_risk_sets``; with Efron's fractions the penalty follows Efron's information

    Returns
    -------
    optimum : ``information`` is that of the likelihood at the penalised estimate; the penalised log-likelihoods are
        those of covariates divided by their standard deviation: both as in ``coxphf``
    """
    Z, spread = standardise(X)
    ascent = ascend(lambda beta: _evaluate(Z, beta, sets), np.zeros(X.shape[1]), max_steps=MAX_STEPS)
    scale = X.shape[1] * float(np.log1p(-1 / max(len(X), 2))) / 2  # from a divisor n to n − 1
    return replace(
        rescale(ascent, spread), penalised=ascent.end.value + scale, penalised_null=ascent.null.value + scale
    )


def profile_firth(X: Matrix, sets: RiskSets, optimum: Optimum, conf_level: float) -> Profile:
    """Compute limits where twice the penalised log-likelihood has fallen by the quantile of χ²₁, others maximised.

    Notes
    -----
    The slope along the profile is the partial derivative, so that Newton's method finds a limit in a few steps; a
    bracket is kept beside it. Heinze & Schemper 2001; Venzon & Moolgavkar, J R Stat Soc C 1988;37:87.
    """
    Z, spread = standardise(X)
    best = optimum.beta * spread
    top = _evaluate(Z, best, sets)
    errors = np.sqrt(np.diag(np.linalg.inv(top.information)))
    fall = float(chi2.ppf(conf_level, 1)) / 2
    low, high, statistic = np.empty(len(best)), np.empty(len(best)), np.empty(len(best))
    for j in range(len(best)):
        along = _along(Z, sets, best, j)
        low[j], high[j] = (_limit(along, best[j], side * errors[j], top.value, fall) for side in (-1, 1))
        statistic[j] = max(2 * (top.value - along(0.0)[0]), 0.0)
    return Profile(low / spread, high / spread, statistic, chi2.sf(statistic, 1))


def _evaluate(Z: Matrix, beta: Vector, sets: RiskSets) -> Point:
    sums, ones = sum_risk_sets(Z, beta, sets), np.ones(sets.n_times)
    information = information_matrix(Z, sums, sets, ones)
    sign, log_determinant = np.linalg.slogdet(information)
    if not (sign > 0 and np.isfinite(log_determinant)):
        return Point(-np.inf, sums.loglik, np.zeros(len(beta)), information)
    inverse = np.asarray(np.linalg.inv(information), float)
    score = score_vector(sums, sets, ones) + _gradient_of_penalty(Z, sums, sets, inverse)
    return Point(sums.loglik + float(log_determinant) / 2, sums.loglik, score, information)


def _gradient_of_penalty(Z: Matrix, sums: Sums, sets: RiskSets, inverse: Matrix) -> Vector:
    """(p,) ½ Σ over events of E[(x − m)ᵀ I⁻¹ (x − m) (x − m)], m and E over the risk set.

    Multiplied out, the sum over events of each row gives its cumulative hazard H and the hazard-weighted means M.
    """
    f, k, events = sets.fraction, sets.event_time, sets.event_rows
    own = sets.at_events(sums.risk[events])
    phi = sets.at_risk(sums.risk)[k] - f * own[k]
    mean = (sums.all_x[k] - f[:, None] * sums.events_x[k]) / phi[:, None]
    jump = (sets.event_weight / phi)[:, None]
    hazard = sets.while_at_risk(sums.hazard)
    means = sets.while_at_risk(sets.at_events((jump * mean).T).T)
    hazard[events] -= sums.hazard_events[k]
    means[events] -= sets.at_events((f[:, None] * jump * mean).T).T[k]
    turned = Z @ inverse
    length = np.einsum("ij,ij->i", turned, Z)
    of_rows = (hazard * length - 2 * np.einsum("ij,ij->i", turned, means))[:, None] * Z - length[:, None] * means
    of_events = np.einsum("ij,ij->i", mean @ inverse, mean) * sets.event_weight
    return np.asarray((sums.risk @ of_rows + 2 * of_events @ mean) / 2)


def _along(Z: Matrix, sets: RiskSets, best: Vector, j: int) -> Callable[[float], tuple[float, float]]:
    """Return the profile of coefficient j: its value and slope at a number, the others maximised from where it was."""
    others = np.arange(len(best)) != j
    last = best.copy()

    def profile(fixed: float) -> tuple[float, float]:
        whole = last.copy()
        whole[j] = fixed

        def evaluate(rest: Vector) -> Point:
            beta = whole.copy()
            beta[others] = rest
            point = _evaluate(Z, beta, sets)
            return replace(point, score=point.score[others], information=point.information[np.ix_(others, others)])

        if others.any():
            ascent = ascend(evaluate, whole[others], max_steps=MAX_STEPS)
            if not ascent.scaled_gradient < GRADIENT_TOLERANCE:
                return float("nan"), float("nan")
            whole[others] = ascent.beta
        point = _evaluate(Z, whole, sets)
        last[:] = whole
        return point.value, float(point.score[j])

    return profile


def _limit(along: Callable[[float], tuple[float, float]], best: float, error: float, top: float, fall: float) -> float:
    """Return where the profile has fallen by ``fall``, on the side of ``error``; infinite where it never does.

    NaN where the other coefficients reach no optimum on the way.
    """
    inside, outside = best, float("nan")
    at: float = best + error * float(np.sqrt(2 * fall))
    for _ in range(MAX_SEARCH):
        value, slope = along(at)
        over = value - (top - fall)
        if np.isnan(over):
            return over
        if abs(over) < LIMIT_TOLERANCE:
            return at
        if over > 0:
            inside = at
        else:
            outside = at
        towards = at - over / slope if slope else float("nan")
        if np.isnan(outside):
            step = abs(towards - at) if np.isfinite(towards) and (towards - at) * error > 0 else np.inf
            at += float(np.copysign(min(step, 2 * abs(at - best)), error))
            if abs(at - best) > WIDEST * abs(error):
                return float(np.copysign(np.inf, error))
        else:
            between = min(inside, outside) < towards < max(inside, outside)
            at = towards if between else (inside + outside) / 2
    return at
