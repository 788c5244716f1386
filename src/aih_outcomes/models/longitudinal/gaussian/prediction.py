"""What is expected of a patient's later values, given the earlier ones: mean, covariance and how sure both are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2, norm, t

from aih_outcomes.models.longitudinal.gaussian.likelihood import (
    Array,
    Evaluation,
    Fitted,
    Matrix,
    Rows,
    vcov_theta,
)
from aih_outcomes.outcomes import Vector

STEP = 1e-4  # of a covariance parameter, for a central difference
LEAST = 1e-300  # shares below it have no logarithm


@dataclass(frozen=True, slots=True, eq=False)
class Conditional:
    """Later values given the earlier ones; m later values, p fixed effects.

    Attributes
    ----------
    mean : (m,)
    covariance : (m, m) of observed − mean where the fixed effects are known
    slopes : (m, p) derivative of the mean in the fixed effects
    """

    mean: Vector
    covariance: Matrix
    slopes: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Later values as a fit to *other* patients expects them.

    Attributes
    ----------
    mean : (m,); ``covariance`` (m, m) of observed − mean: values given the past, fixed effects, covariance parameters
    df : (m,) Satterthwaite's degrees of freedom of its diagonal; infinite where the covariance is as good as known
    """

    mean: Vector
    covariance: Matrix
    df: Vector

    def limits(self, level: float) -> tuple[Vector, Vector]:
        """(m,) lower and upper limits of one value each, by the t-distribution."""
        half = t.ppf((1 + level) / 2, self.df) * np.sqrt(np.diag(self.covariance))
        return self.mean - half, self.mean + half


def condition(V: Matrix, X: Matrix, beta: Vector, past: Vector) -> Conditional:
    """Condition a Gaussian series on its first values.

    Parameters
    ----------
    V : (n, n) covariance of all values of one patient, the earlier first
    X : (n, p); ``beta`` (p,)
    past : (k,) values seen, k < n

    Returns
    -------
    conditional : of the n − k later values

    Examples
    --------
    >>> found = condition(np.array([[2.0, 1.0], [1.0, 2.0]]), np.ones((2, 1)), np.array([3.0]), np.array([5.0]))
    >>> float(found.mean[0]), float(found.covariance[0, 0]), float(found.slopes[0, 0])
    (4.0, 1.5, 0.5)
    """
    k = len(past)
    # An exponential correlation without error makes two values of one day the same: their covariance has no inverse.
    pull = np.linalg.lstsq(V[:k, :k], V[:k, k:], rcond=None)[0].T
    mean = X[k:] @ beta + pull @ (past - X[:k] @ beta)
    covariance = V[k:, k:] - pull @ V[:k, k:]
    return Conditional(mean, (covariance + covariance.T) / 2, X[k:] - pull @ X[:k])


def predict(fitted: Fitted, rows: Rows, X: Matrix, past: Vector, *, vcov: Matrix) -> Prediction:
    """Predict the later values of a patient who is not among those fitted.

    Parameters
    ----------
    fitted : an optimum found on other patients
    rows : (n,) times and random-effect columns of one patient, the earlier first; the response is not read
    X : (n, p) the fixed effects' columns, as in ``fitted.rows``
    past : (k,) values seen on the scale of the model, k < n
    vcov : (p, p) covariance of the fixed effects

    Notes
    -----
    observed − mean has covariance V_f|p + C Φ Cᵀ + M 𝒲 Mᵀ: C and M are derivatives of the conditional mean in the fixed
    effects and in the covariance parameters (Kackar & Harville, J Am Stat Assoc 1984;79:853). The degrees of freedom of
    the first two are 2 v² / (gᵀ 𝒲 g), g the derivative of the variance v (Satterthwaite, Biometrics 1946;2:110).
    """
    here = condition(fitted.kernel.covariance(fitted.evaluation, rows), X, fitted.evaluation.beta, past)
    covariance = here.covariance + here.slopes @ vcov @ here.slopes.T
    moves, spreads = _derivatives(fitted, rows, X, past, vcov)
    root = vcov_theta(fitted.evaluation)
    variance = np.diag(covariance)
    doubt = np.einsum("hm,hk,km->m", spreads, root, spreads)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(doubt > 0, 2 * variance**2 / doubt, np.inf)
    return Prediction(here.mean, covariance + moves.T @ root @ moves, np.maximum(df, 1.0))


def _derivatives(fitted: Fitted, rows: Rows, X: Matrix, past: Vector, vcov: Matrix) -> tuple[Matrix, Matrix]:
    """(k, m) derivatives, in each covariance parameter, of the mean and of the variance with fixed effects unknown."""
    moves, spreads = [], []
    for shift, slope in _shifts(fitted):
        ends = []
        for sign in (1.0, -1.0):
            there = _move(fitted.evaluation, sign * shift)
            one = condition(fitted.kernel.covariance(there, rows), X, fitted.evaluation.beta, past)
            within = np.einsum("ma,ab,mb->m", one.slopes, vcov + sign * slope, one.slopes)
            ends.append((one.mean, np.diag(one.covariance) + within))
        width = 2 * float(np.abs(shift).max())
        moves.append((ends[0][0] - ends[1][0]) / width)
        spreads.append((ends[0][1] - ends[1][1]) / width)
    size = (len(moves), len(X) - len(past))
    return np.reshape(moves, size), np.reshape(spreads, size)


def _shifts(fitted: Fitted) -> Iterator[tuple[Vector, Array]]:
    """Give a small step along each covariance parameter, and how far Φ moves with it."""
    theta, root = fitted.evaluation.theta, fitted.evaluation.root
    for place, slope in enumerate(fitted.evaluation.slopes):
        step = STEP * max(1.0, abs(float(theta[place])))
        shift = np.zeros(len(theta))
        shift[place] = step
        yield shift, step * root @ slope @ root.T


def _move(evaluation: Evaluation, shift: Vector) -> Evaluation:
    """Return an evaluation for asking the covariance elsewhere; a kernel in other units keeps its own within."""
    inner = evaluation.state
    inner = _move(inner, shift) if isinstance(inner, Evaluation) else inner
    return replace(evaluation, theta=evaluation.theta + shift, state=inner)


def leave_each_out(V: Matrix, residual: Vector) -> Vector:
    """(k,) each value as the others of the same patient expect it, less its mean: r_i − (V⁻¹r)_i / (V⁻¹)_ii.

    Notes
    -----
    Dubrule, Math Geol 1983;15:687.
    """
    W = np.linalg.pinv(V, hermitian=True)
    return residual - (W @ residual) / np.diag(W)


def joint_distance(difference: Vector, covariance: Matrix) -> Vector:
    """(m,) Mahalanobis distance of the first, the first two, … differences from 0; it never falls.

    Examples
    --------
    >>> joint_distance(np.array([3.0, 4.0]), np.eye(2)).tolist()
    [3.0, 5.0]
    """
    scale = np.sqrt(np.maximum(np.diag(covariance), LEAST))
    if (
        np.linalg.eigvalsh(covariance / np.outer(scale, scale))[0] < 1e-12
    ):  # values that the model holds to be the same count once
        covariance = covariance + np.diag(scale**2 * 1e-10)
    whitened = np.linalg.solve(np.linalg.cholesky(covariance), difference)
    return np.asarray(np.sqrt(np.cumsum(whitened**2)))


def calibrate_distance(distance: float, n_values: int) -> float:
    """Return the normal deviate with as many series of ``n_values`` nearer as have a smaller distance (χ²).

    1.64 is passed by one series in 20 where the model holds, whatever the number of values.

    Examples
    --------
    >>> round(calibrate_distance(1.959964, 1), 3), round(calibrate_distance(3.937912, 8), 3)
    (1.645, 1.645)
    """
    return float(norm.isf(np.clip(chi2.sf(distance**2, n_values), LEAST, 1 - 1e-16)))


def limit_of_distance(n_values: int, level: float) -> float:
    """Return the distance within which a share ``level`` of series of ``n_values`` lies where the model holds (χ²)."""
    return float(np.sqrt(chi2.ppf(level, n_values)))
