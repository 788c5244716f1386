"""Generalised estimating equations on arrays: a mean, a working correlation, and a variance that trusts neither.

n rows, p terms, K patients. z = (y − μ) / √v are Pearson residuals, E = (∂μ/∂β) √(w/v); R is the working correlation of
one patient's residuals, whose inverse is multiplied in closed form (Liang & Zeger, Biometrika 1986;73:13).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]
Codes = NDArray[np.intp]
Family = Literal["gaussian", "binomial"]
Correlation = Literal["independence", "exchangeable", "ar1"]

MOST_STEPS, SMALLEST_STEP, ROUNDING = 200, 1e-10, 1e-14
NEARLY = 1e-6  # of the end of its range, beyond which a correlation has no inverse
SURE = 1e-8  # variance of a fitted probability that the data put at 0 or 1
EXACT = 1e-24  # residual share of the sum of squares that is rounding
LARGEST_CONDITION = 1e12


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Where the equations are solved, or why they are not.

    Attributes
    ----------
    beta : (p,)
    model_vcov, robust_vcov, reduced_vcov : (p, p) as if R were right; the sandwich (CR0); Mancl and DeRouen's (CR3)
    alpha : correlation of two values, or of neighbours; NaN under independence
    scale : mean squared Pearson residual
    steps : of Fisher's scoring
    trouble : why there is no answer, or None
    """

    beta: Vector
    model_vcov: Matrix
    robust_vcov: Matrix
    reduced_vcov: Matrix
    alpha: float
    scale: float
    steps: int
    trouble: str | None


def solve_equations(
    response: Vector, X: Matrix, patient: Codes, weight: Vector, *, family: Family, correlation: Correlation
) -> Solution:
    """Solve Σ Dᵀ V⁻¹ (y − μ) = 0 by scoring, the correlation re-estimated at every step.

    Parameters
    ----------
    response : (n,); ``X`` (n, p) of full column rank; ``weight`` (n,) positive
    patient : (n,) codes 0, 1, … that never fall, rows of one patient in the order of time

    Notes
    -----
    The moments are those of R's ``geepack`` (Højsgaard, Halekoh & Yan, J Stat Softw 2006;15(2)): the scale divides by
    n, not n − p; an exchangeable correlation is the mean product over all pairs of rows; an autoregressive one fits
    α, α², … to the products of *all* lags by least squares, not of the first alone. A row counts with its weight, a
    pair with the product of its two.
    """
    p = X.shape[1]
    beta = np.zeros(p)
    if correlation != "independence":
        start = solve_equations(response, X, patient, weight, family=family, correlation="independence")
        if start.trouble:
            return start
        beta = start.beta
    trouble, step = "the equations did not converge", 0
    with np.errstate(all="ignore"):
        for step in range(1, MOST_STEPS + 1):
            z, E, problem = _residuals(response, X, weight, beta, family)
            scale = float(weight @ z**2 / weight.sum())
            alpha, impossible = _correlate(z, patient, weight, scale, correlation)
            if problem or impossible:
                trouble = problem or impossible or ""
                break
            WE = _whiten(E, patient, alpha, correlation)
            A = E.T @ WE
            move = np.linalg.lstsq(A, WE.T @ (z * np.sqrt(weight)), rcond=None)[0]
            beta = beta + move
            if not np.isfinite(beta).all():
                break
            if np.sqrt(move @ A @ move) < SMALLEST_STEP * np.sqrt(scale) + ROUNDING * np.sqrt(beta @ A @ beta):
                return _finish(response, X, patient, weight, beta, family, correlation, step)
    nothing = np.full((p, p), np.nan)
    return Solution(np.full(p, np.nan), nothing, nothing, nothing, float("nan"), float("nan"), step, trouble)


def _finish(response: Vector, X: Matrix, patient: Codes, weight: Vector, beta: Vector, family: Family,
            correlation: Correlation, steps: int) -> Solution:  # fmt: skip
    """Variances at the solution.

    Mancl & DeRouen, Biometrics 2001;57:126: each patient's residuals are divided by one minus their leverage; NaN where
    a term rests on one patient alone.
    """
    z, E, _ = _residuals(response, X, weight, beta, family)
    scale = float(weight @ z**2 / weight.sum())
    alpha, _ = _correlate(z, patient, weight, scale, correlation)
    WE = _whiten(E, patient, alpha, correlation)
    p = len(beta)
    bread = np.linalg.inv(E.T @ WE)
    scores = _sum_by(WE * (z * np.sqrt(weight))[:, None], patient)  # (K, p)
    own = _sum_by((E[:, :, None] * WE[:, None, :]).reshape(len(z), -1), patient).reshape(-1, p, p)
    left = np.eye(p) - own @ bread  # (I − H)⁻¹ of a patient, seen from the terms
    reduced = np.full((p, p), np.nan)
    if (np.linalg.cond(left) < LARGEST_CONDITION).all():
        reduced = _square(np.linalg.solve(left, scores[:, :, None])[:, :, 0] @ bread)
    return Solution(beta, np.asarray(bread * scale), _square(scores @ bread), reduced, alpha, scale, steps, None)


def _square(rows: Matrix) -> Matrix:
    return np.asarray(rows.T @ rows)


def _residuals(
    response: Vector, X: Matrix, weight: Vector, beta: Vector, family: Family
) -> tuple[Vector, Matrix, str | None]:
    """Return z (n,), E (n, p), and why the mean cannot be read, or None."""
    eta = X @ beta
    if family == "gaussian":
        residual = response - eta
        exact = float(residual @ residual) <= EXACT * float(response @ response)
        problem = "the values lie on the model exactly" if exact else None
        return residual, X * np.sqrt(weight)[:, None], problem
    mean = expit(eta)
    variance = mean * (1 - mean)
    sure = bool(variance.min() < SURE)
    problem = "fitted probabilities of 0 or 1: a term separates the values" if sure else None
    return (response - mean) / np.sqrt(variance), X * np.sqrt(weight * variance)[:, None], problem


def _correlate(
    z: Vector, patient: Codes, weight: Vector, scale: float, correlation: Correlation
) -> tuple[float, str | None]:
    """α by moments, and why it is none."""
    if correlation == "independence":
        return float("nan"), None
    longest = int(np.bincount(patient).max())
    if longest < 2:
        return float("nan"), "no patient has two values, so they have no correlation"
    if correlation == "exchangeable":
        pairs = (np.bincount(patient, weight) ** 2 - np.bincount(patient, weight**2)).sum()
        products = (np.bincount(patient, weight * z) ** 2 - np.bincount(patient, (weight * z) ** 2)).sum()
        alpha, least = float(products / scale / pairs), -1 / (longest - 1)
    else:
        alpha, least = _fit_powers(z, patient, weight, scale, longest), -1.0
    if not least + NEARLY < alpha < 1 - NEARLY:
        return alpha, f"a working correlation of {alpha:.3g} is impossible for {longest} values of a patient"
    return alpha, None


def _fit_powers(z: Vector, patient: Codes, weight: Vector, scale: float, longest: int) -> float:
    """Minimise Σ_pairs w_j w_{j+k} (z_j z_{j+k}/φ − α^k)² over α: the best of a grid, then Newton."""
    products, pairs = np.zeros(longest), np.zeros(longest)
    for lag in range(1, longest):
        both = np.where(patient[lag:] == patient[:-lag], weight[lag:] * weight[:-lag], 0.0)
        products[lag] = (both * z[lag:] * z[:-lag]).sum() / scale
        pairs[lag] = both.sum()
    lags = np.arange(1, longest)
    grid = np.linspace(-1, 1, 401)
    cost = (pairs[1:] * grid[:, None] ** (2 * lags) - 2 * products[1:] * grid[:, None] ** lags).sum(axis=1)
    alpha = float(grid[int(np.argmin(cost))])
    for _ in range(50):
        power = alpha ** np.maximum(lags - 2, 0)
        slope = alpha ** (lags - 1) * lags
        bend = lags * (lags - 1) * power
        gap = products[1:] - pairs[1:] * alpha**lags
        first, second = float(slope @ gap), float(bend @ gap - (pairs[1:] * slope) @ slope)
        move = first / second if second < 0 else 0.0
        alpha = float(np.clip(alpha - move, -1, 1))
        if abs(move) < 1e-15:
            break
    return alpha


def _whiten(columns: Matrix, patient: Codes, alpha: float, correlation: Correlation) -> Matrix:
    """(n, p) R⁻¹ times the columns, patient by patient, in closed form."""
    if correlation == "independence":
        return columns
    if correlation == "exchangeable":
        size = np.bincount(patient)
        share = alpha / (1 + (size - 1) * alpha)
        return np.asarray((columns - (share[:, None] * _sum_by(columns, patient))[patient]) / (1 - alpha))
    next_own = np.append(patient[1:] == patient[:-1], False)
    before_own = np.append(False, next_own[:-1])
    diagonal = 1 - alpha**2 + alpha**2 * (next_own.astype(float) + before_own)
    whitened = columns * diagonal[:, None]
    whitened[:-1] -= alpha * columns[1:] * next_own[:-1, None]
    whitened[1:] -= alpha * columns[:-1] * before_own[1:, None]
    return np.asarray(whitened / (1 - alpha**2))


def _sum_by(columns: Matrix, patient: Codes) -> Matrix:
    """(K, p) sums over each patient's rows."""
    return np.asarray(np.add.reduceat(columns, np.flatnonzero(np.diff(patient, prepend=-1)), axis=0))
