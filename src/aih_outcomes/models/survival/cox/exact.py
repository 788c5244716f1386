"""The exact partial likelihood of tied events, for time that is discrete.

Of the n at risk, d had the event: the likelihood compares them with every other d of the n. The sum over all such sets
is an elementary symmetric function, the coefficient of z^d in Π (1 + θ z). Gail, Lubin & Rubinstein (Biometrika
1981;68:703) build it row by row; here sub-products are multiplied pair by pair, with their derivatives, so that no loop
runs over rows. All terms are positive: nothing cancels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.kernel import (
    RiskSets,
    information_matrix,
    linear_predictor,
    rescale,
    score_vector,
    standardise,
    sum_risk_sets,
)
from aih_outcomes.models.survival.cox.newton import Matrix, Optimum, Point, ascend
from aih_outcomes.outcomes import Vector

Array = NDArray[np.float64]

MOST_WORK = 1e9  # at risk × tied × terms², summed over times: some minutes


def refuse_large_ties(sets: RiskSets, n_terms: int) -> None:
    """Refuse ties so large that the exact likelihood would take hours.

    Raises
    ------
    OutcomeError
    """
    tied = np.bincount(sets.event_time, minlength=sets.n_times)
    work = float(np.sum((sets.at_risk(np.ones(len(sets.last))) * tied)[tied > 1])) * n_terms**2
    if work > MOST_WORK:
        raise OutcomeError(
            f"Up to {tied.max()} events are tied, at {int(np.sum(tied > 1))} times",
            "The exact likelihood counts every set of so many of those at risk, which takes too long here",
            "Take ties='efron', which comes close to it",
        )


def maximise_exact(X: Matrix, sets: RiskSets) -> Optimum:
    """Maximise the exact partial likelihood.

    Parameters
    ----------
    X : (n_rows, p)
    sets : of ``map_risk_sets`` with ``efron=False``, all weights 1

    Returns
    -------
    optimum : on the scale of ``X``
    """
    Z, spread = standardise(X)
    tied = np.flatnonzero(np.bincount(sets.event_time, minlength=sets.n_times) > 1)
    members = [np.flatnonzero((sets.first <= k) & (k < sets.last)) for k in tied]
    events = [sets.event_rows[sets.event_time == k] for k in tied]
    single = np.ones(sets.n_times)
    single[tied] = 0.0

    def evaluate(beta: Vector) -> Point:
        sums = sum_risk_sets(Z, beta, sets)
        eta = linear_predictor(Z, beta, sets.offset)
        score, information = score_vector(sums, sets, single), information_matrix(Z, sums, sets, single)
        loglik = _loglik_of_single(eta, sums.risk, sums.shift, sets, single)
        for rows, own in zip(members, events, strict=True):
            value, mean, variance = _all_subsets(Z[rows], eta[rows], len(own))
            loglik += float(eta[own].sum()) - value
            score = score + Z[own].sum(axis=0) - mean
            information = information + variance
        return Point(loglik, loglik, score, information)

    return rescale(ascend(evaluate, np.zeros(X.shape[1])), spread)


def _loglik_of_single(eta: Vector, risk: Vector, shift: Vector, sets: RiskSets, single: Vector) -> float:
    """Log-likelihood of the event times with one event."""
    of_events = (eta - shift)[sets.event_rows] - np.log(sets.at_risk(risk))[sets.event_time]
    return float(of_events @ single[sets.event_time])


def _all_subsets(Z: Matrix, eta: Vector, size: int) -> tuple[float, Vector, Matrix]:
    """Return log Σ exp(Σ η) over all subsets of ``size`` rows, and its first and second derivatives."""
    n, p = Z.shape
    scale = float(np.log(size) - np.log(np.exp(eta - eta.max()).sum()) - eta.max())  # Σ θ = d: no overflow
    theta = np.exp(eta + scale)
    # One polynomial 1 + θ z for each row: its coefficients, their gradients and second derivatives.
    value, slope, curve = np.ones((n, 2)), np.zeros((n, 2, p)), np.zeros((n, 2, p, p))
    value[:, 1] = theta
    slope[:, 1] = theta[:, None] * Z
    curve[:, 1] = slope[:, 1, :, None] * Z[:, None, :]
    while len(value) > 1:
        if len(value) % 2:  # a last one without partner is multiplied by 1
            value = np.concatenate([value, np.eye(1, value.shape[1])])
            slope, curve = (np.concatenate([a, np.zeros((1, *a.shape[1:]))]) for a in (slope, curve))
        value, slope, curve = _multiply(value, slope, curve, size)
    total, first, second = value[0, size], slope[0, size], curve[0, size]
    mean = first / total
    return float(np.log(total)) - size * scale, mean, second / total - np.outer(mean, mean)


def _multiply(value: Array, slope: Array, curve: Array, size: int) -> tuple[Array, Array, Array]:
    """Multiply neighbouring polynomials (n, degree + 1, …) and their derivatives, up to degree ``size``."""
    a, b, da, db, dda, ddb = value[::2], value[1::2], slope[::2], slope[1::2], curve[::2], curve[1::2]
    n, degree = a.shape[0], a.shape[1] - 1
    p, top = slope.shape[2], min(2 * degree, size)
    value, slope, curve = np.zeros((n, top + 1)), np.zeros((n, top + 1, p)), np.zeros((n, top + 1, p, p))
    for i in range(degree + 1):
        upto = min(degree, top - i) + 1
        if upto <= 0:
            break
        to = slice(i, i + upto)
        left, right = a[:, i, None], b[:, :upto]
        value[:, to] += left * right
        slope[:, to] += left[..., None] * db[:, :upto] + da[:, i, None] * right[..., None]
        mixed = da[:, i, None, :, None] * db[:, :upto, None, :]
        curve[:, to] += left[..., None, None] * ddb[:, :upto] + dda[:, i, None] * right[..., None, None]
        curve[:, to] += mixed + np.swapaxes(mixed, -1, -2)
    return value, slope, curve
