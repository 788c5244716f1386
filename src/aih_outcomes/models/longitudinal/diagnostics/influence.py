"""What becomes of the estimates when one patient is left out: exactly for given variances, and one step further.

K patients, p fixed effects, k covariance parameters. W = V⁻¹, x̃ = W X C and r̃ = W r as in ``likelihood``. With the
rows of patient i only, and K_i the inverse of their part of W: S_i = x̃ᵀ K_i x̃, u_i = x̃ᵀ K_i r̃. Then
β − β_(i) = C (I − S_i)⁻¹ u_i and |Φ_(i)| / |Φ| = 1 / |I − S_i|, without another fit (Christensen, Pearson & Johnson,
Technometrics 1992;34:38).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aih_outcomes.models.longitudinal.diagnostics.residuals import iterate_patients, sum_by_patient
from aih_outcomes.models.longitudinal.gaussian.likelihood import (
    Array,
    Codes,
    Fitted,
    Matrix,
    vcov_theta,
)
from aih_outcomes.outcomes import Vector

STEP = 1e-4  # of a covariance parameter, for a central difference
LARGEST_CONDITION = 1e10


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """The fit without each patient in turn; NaN where the others do not determine the fixed effects.

    Attributes
    ----------
    beta : (K, p) estimates without the patient
    cook : (K,) (β − β_(i))ᵀ Φ⁻¹ (β − β_(i)) / p
    covariance_ratio : (K,) |Φ_(i)| / |Φ| at the same covariance parameters
    theta_shift : (K,) the same distance for the covariance parameters, per parameter; NaN where they were kept
    """

    beta: Matrix
    cook: Vector
    covariance_ratio: Vector
    theta_shift: Vector


def leave_patients_out(fitted: Fitted, *, step: bool = True) -> LeftOut:
    """Leave each patient out in turn.

    Parameters
    ----------
    fitted : an optimum
    step : follow the covariance parameters by one Newton step; kept as they are where patients are nested in centres
    """
    evaluation = fitted.evaluation
    delta, S = _given_variances(fitted)
    p = S.shape[1]
    left = np.eye(p) - S
    with np.errstate(divide="ignore"):
        ratio = 1 / np.linalg.det(left)
    shift = np.full(len(delta), np.nan)
    if step and "zeta" not in fitted.kernel.parameters and len(evaluation.theta):
        move, shift = _newton_step(fitted, delta, left)
        delta = delta + move
    known = np.isfinite(delta).all(axis=1)
    return LeftOut(
        evaluation.beta - delta @ evaluation.root.T, np.sum(delta**2, axis=1) / max(p, 1),
        np.where(known, ratio, np.nan), np.where(known, shift, np.nan),
    )  # fmt: skip


def predict_left_out(fitted: Fitted, left_out: LeftOut) -> Vector:
    """(n,) the mean of each row by the fit without its patient."""
    return np.asarray(np.einsum("np,np->n", fitted.rows.X, left_out.beta[fitted.rows.patient]))


def _given_variances(fitted: Fitted) -> tuple[Matrix, Array]:
    """δ (K, p), whitened, and S (K, p, p)."""
    rows, root = fitted.rows, fitted.evaluation.root
    residual = rows.response - rows.X @ fitted.evaluation.beta
    n_patients, p = int(rows.patient[-1]) + 1, rows.X.shape[1]
    S, u = np.zeros((n_patients, p, p)), np.zeros((n_patients, p))
    for places, V in fitted.kernel.blocks(fitted.evaluation):
        W = np.linalg.inv(V)
        X, r = W @ (rows.X[places] @ root), np.einsum("mtu,mu->mt", W, residual[places])
        for units, within, (x_own, r_own), own in iterate_patients(rows.patient, places, X, r):
            W_own = W[units[:, None, None], within[:, :, None], within[:, None, :]]
            solved = np.linalg.solve(W_own, np.concatenate([x_own, r_own[:, :, None]], axis=2))
            both = x_own.transpose(0, 2, 1) @ solved
            code = rows.patient[own[:, 0]]
            S[code], u[code] = both[:, :, :p], both[:, :, p]
    return _solve(np.eye(p) - S, u), S


def _newton_step(fitted: Fitted, delta: Matrix, left: Array) -> tuple[Matrix, Vector]:
    """(K, p) how much further β moves when the covariance parameters follow, and their distance (K,).

    The gradient without the patient is exact at the parameters of all; the curvature is that of all.
    """
    here = fitted.evaluation
    k, (n_patients, p) = len(here.theta), delta.shape
    gradient, pulls = np.zeros((n_patients, k)), np.zeros((k, n_patients, p))
    inverse = _solve(left, np.broadcast_to(np.eye(p), left.shape))
    own = _whitened_blocks(fitted)
    for h in range(k):
        trace, square = np.zeros(n_patients), np.zeros(n_patients)
        pull, slope = np.zeros((n_patients, p)), np.zeros((n_patients, p, p))
        for (code, W, X, r), V_h in zip(own, _derivative(fitted, h), strict=True):
            moved_r, moved_X = np.einsum("mtu,mu->mt", V_h, r), V_h @ X
            trace[code] = np.einsum("mtu,mut->m", W, V_h)
            square[code] = np.einsum("mt,mt->m", r, moved_r)
            pull[code] = np.einsum("mta,mt->ma", X, moved_r)
            slope[code] = X.transpose(0, 2, 1) @ moved_X
        trace, square = trace.sum() - trace, square.sum() - square
        pull, slope = pull.sum(axis=0) - pull, slope.sum(axis=0) - slope
        bent = np.einsum("iab,ib->ia", slope, delta)
        square = square + 2 * np.sum(delta * pull, axis=1) + np.sum(delta * bent, axis=1)
        gradient[:, h] = -0.5 * (trace - square)
        if fitted.reml:
            gradient[:, h] += 0.5 * np.einsum("iab,iba->i", inverse, slope)
        pulls[h] = pull + bent
    shift = gradient @ vcov_theta(here)
    move = _solve(left, np.einsum("ik,kia->ia", shift, pulls))  # ∂β/∂θ_h = −C (I − S)⁻¹ q_h, and δ is β − β_(i)
    return move, np.einsum("ik,kl,il->i", shift, -here.hessian, shift) / k


def _whitened_blocks(fitted: Fitted) -> list[tuple[Codes, Array, Array, Array]]:
    """Codes of patients, W, x̃ and r̃ of every batch of units, where a unit is a patient."""
    rows, here = fitted.rows, fitted.evaluation
    residual = rows.response - rows.X @ here.beta
    found: list[tuple[Codes, Array, Array, Array]] = []
    for places, V in fitted.kernel.blocks(here):
        W = np.asarray(np.linalg.inv(V))
        X, r = W @ (rows.X[places] @ here.root), np.einsum("mtu,mu->mt", W, residual[places])
        found.append((rows.patient[places[:, 0]], W, X, r))
    return found


def _derivative(fitted: Fitted, h: int) -> list[Array]:
    """∂V/∂θ_h of every batch of units, by a central difference; one-sided at an edge of what is possible."""
    kernel, here = fitted.kernel, fitted.evaluation
    shift = np.zeros(len(here.theta))
    shift[h] = STEP * max(1.0, abs(float(here.theta[h])))
    ends = [kernel.evaluate(here.theta + sign * shift) for sign in (1.0, -1.0)]
    width = shift[h] * sum(end is not None for end in ends)
    above, below = (kernel.blocks(here if end is None else end) for end in ends)
    return [(high - low) / max(width, shift[h]) for (_, high), (_, low) in zip(above, below, strict=True)]


def _solve(left: Array, right: Array) -> Array:
    """Solve for every patient; NaN where the others do not determine the fixed effects."""
    possible = np.linalg.cond(left) < LARGEST_CONDITION
    safe = np.where(possible[:, None, None], left, np.eye(left.shape[1]))
    columns = right[:, :, None] if right.ndim == 2 else right
    solved = np.where(possible[:, None, None], np.linalg.solve(safe, columns), np.nan)
    return solved[:, :, 0] if right.ndim == 2 else solved


def standard_error_of_mean(values: Vector, patient: Codes) -> float:
    """Return the standard error of a mean of rows, patients being independent of each other."""
    sums = sum_by_patient(values - values.mean(), patient)
    return float(np.sqrt(np.sum(sums**2)) / len(values))
