"""Exponential covariance over days of each patient's own: each has a Σ of their own, all built and inverted at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.correlations import decay
from aih_outcomes.models.longitudinal.gaussian.covariances import start_decay
from aih_outcomes.models.longitudinal.gaussian.likelihood import (
    Array,
    Codes,
    Convention,
    Evaluation,
    Matrix,
    Rows,
    SmallSample,
    vcov_theta,
)
from aih_outcomes.models.longitudinal.gaussian.visit_likelihood import (
    Orthonormal,
    refuse_pbkrtest,
    solve_normal_equations,
)
from aih_outcomes.outcomes import Vector

PARAMETERS = ("log sd", "logit correlation")


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """Patients of one stratum at one θ.

    Attributes
    ----------
    first : (2, m, T, T) ∂V; ``second`` (3, m, T, T) ∂²V by log sd twice, both, logit correlation twice
    W : (m, T, T); ``X`` (m, T, p) x̃; ``bend`` f″/f′ of SAS's range −1/log ρ as a function f of the logit of ρ
    """

    first: Array
    second: Array
    W: Array
    X: Array
    bend: float


class OwnTimes:
    """The likelihood of V = σ² ρ^distance, σ and ρ by stratum.

    Parameters
    ----------
    rows : patients together, in the order of time; ``weight`` divides variances
    gap : (n_patients, T, T) distances between a patient's rows in their order, T the most that one has; None: of
        ``rows.time``
    """

    def __init__(self, rows: Rows, gap: Array | None = None, *, reml: bool) -> None:
        self.rows, self.reml = rows, reml
        n, p = rows.X.shape
        size = np.bincount(rows.patient)
        order = np.arange(n) - (np.cumsum(size) - size)[rows.patient]
        shape = (len(size), int(size.max()))
        self.place = np.full(shape, -1)
        self.place[rows.patient, order] = np.arange(n)
        present = self.place >= 0
        Z = np.zeros((*shape, p + 1))
        Z[present] = np.column_stack([rows.X, rows.response]) * np.sqrt(rows.weight)[:, None]
        self.columns = Orthonormal.of(Z)
        time = np.where(present, rows.time[self.place], 0.0)
        self.gap = np.abs(time[:, :, None] - time[:, None, :]) if gap is None else gap
        self.pairs = (present[:, :, None] & present[:, None, :]).astype(float)
        self.filler = np.eye(shape[1]) * ~present[:, :, None]
        self.stratum = rows.stratum[self.place[:, 0]]
        self.n_strata = int(rows.stratum.max()) + 1
        self.constant = 0.5 * (n - (p if reml else 0)) * np.log(2 * np.pi) - 0.5 * float(np.log(rows.weight).sum())
        self.constant += self.columns.log_det() if reml else 0.0

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of θ, stratum by stratum."""
        one = self.n_strata == 1
        return PARAMETERS if one else tuple(f"{name} ({g + 1})" for g in range(self.n_strata) for name in PARAMETERS)

    def start(self) -> Vector:
        """Variance of the residuals of ordinary least squares, and a correlation of a half at the usual distance."""
        begin = []
        for g in range(self.n_strata):
            own = self.stratum == g
            n = float(np.einsum("mtt->", self.pairs[own]))
            variance = float(np.sum(self.columns.Z[own, :, -1] ** 2)) / n
            gap = np.diagonal(self.gap[own], 1, 1, 2)[np.diagonal(self.pairs[own], 1, 1, 2) > 0]
            begin += [0.5 * np.log(max(variance, 1e-300)), start_decay(0.5, gap[gap > 0])]
        return np.array(begin)

    def evaluate(self, theta: Vector) -> Evaluation | None:
        """Return the likelihood and its derivatives; None where a V is not positive definite."""
        Z, (variance, R, moved) = self.columns.Z, self._correlations(theta)
        with np.errstate(all="ignore"):
            V = variance[:, None, None] * R * self.pairs + self.filler
            try:
                lower = np.linalg.cholesky(V)
            except np.linalg.LinAlgError:
                return None
            log_det = 2 * float(np.log(np.diagonal(lower, axis1=1, axis2=2)).sum())
            W = np.linalg.inv(V) * self.pairs
            WZ = W @ Z
            found = solve_normal_equations(np.tensordot(Z, WZ, axes=([0, 1], [0, 1])))
        if found is None:
            return None
        beta, root, rss, log_det_A = found
        loglik = -0.5 * (log_det + rss + (log_det_A if self.reml else 0.0)) - self.constant
        if not np.isfinite(loglik):
            return None
        state = self._state(V, W, WZ[:, :, :-1] @ root, variance, moved)
        gradient, hessian, slopes = self._curvature(state, WZ @ np.concatenate([-beta, [1.0]]))
        beta, root = self.columns.give_back(beta, root)
        return Evaluation(theta, float(loglik), beta, root, gradient, hessian, slopes, state)

    def _correlations(self, theta: Vector) -> tuple[Vector, Array, list[tuple[Array, Array, float]]]:
        """(m,) variances, (m, T, T) R, and by stratum ∂R, ∂²R, SAS's bend."""
        R, moved = np.empty_like(self.gap), []
        with np.errstate(all="ignore"):
            for g in range(self.n_strata):
                own = self.stratum == g
                R[own], first, second, bend = decay(float(theta[2 * g + 1]), self.gap[own])
                moved.append((first, second, bend))
            return np.exp(2 * theta[::2])[self.stratum], R, moved

    def _state(self, V: Array, W: Array, X: Array, variance: Vector,
               moved: list[tuple[Array, Array, float]]) -> list[Moved]:  # fmt: skip
        state = []
        for g, (first, second, bend) in enumerate(moved):
            own = self.stratum == g
            frame = variance[own][:, None, None] * self.pairs[own]
            of_sd, of_x = 2 * V[own] * self.pairs[own], frame * first
            state.append(Moved(np.stack([of_sd, of_x]), np.stack([2 * of_sd, 2 * of_x, frame * second]), W[own], X[own],
                               bend))  # fmt: skip
        return state

    def _curvature(self, state: list[Moved], r: Matrix) -> tuple[Vector, Matrix, Array]:
        k, p = 2 * self.n_strata, self.columns.R.shape[0]
        gradient, hessian = np.zeros(k), np.zeros((k, k))
        slopes, pulls = np.zeros((k, p, p)), np.zeros((k, p))
        for g, here in enumerate(state):
            at, own = slice(2 * g, 2 * g + 2), r[self.stratum == g]
            G = -0.5 * (here.W - own[:, :, None] * own[:, None, :])
            both = np.concatenate([own[:, :, None], here.X], axis=2)
            moved = here.first @ both
            turned = here.W @ moved
            WV = here.W @ here.first
            if self.reml:
                G += 0.5 * here.X @ here.X.swapaxes(1, 2)
                hessian[at, at] -= _pairs(moved, turned)
            else:
                hessian[at, at] -= _pairs(moved[..., :1], turned[..., :1])
            hessian[at, at] += 0.5 * _pairs(WV, WV.swapaxes(2, 3))
            bend = here.second.reshape(3, -1) @ G.ravel()
            hessian[at, at] += bend[np.array([[0, 1], [1, 2]])]
            gradient[at] = here.first.reshape(2, -1) @ G.ravel()
            slopes[at] = np.tensordot(moved[..., 1:], here.X, axes=([1, 2], [0, 1]))
            pulls[at] = np.tensordot(here.first @ own[:, :, None], here.X, axes=([1, 2], [0, 1]))[:, 0]
        hessian += pulls @ pulls.T
        if self.reml:
            flat = slopes.reshape(k, -1)
            hessian += 0.5 * flat @ flat.T
        return gradient, (hessian + hessian.T) / 2, (slopes + slopes.swapaxes(1, 2)) / 2

    def small_sample(self, evaluation: Evaluation, convention: Convention) -> SmallSample:
        """Return Kenward and Roger's correction as mmrm or SAS make it, or without second derivatives."""
        refuse_pbkrtest(convention)
        vcov, U = vcov_theta(evaluation), evaluation.slopes
        adjustment = -np.tensordot(U, np.tensordot(vcov, U, axes=1), axes=([0, 2], [0, 1]))
        for g, here in enumerate(evaluation.state):
            own = vcov[2 * g : 2 * g + 2, 2 * g : 2 * g + 2]
            moved = here.first @ here.X
            mixed = np.tensordot(own, here.W @ moved, axes=1)
            adjustment += np.tensordot(moved, mixed, axes=([0, 1, 2], [0, 1, 2]))
            if convention != "linear":
                bent = np.tensordot(own[[0, 0, 1], [0, 1, 1]] * [1, 2, 1], here.second, axes=1)
                if convention == "sas":  # ∂²/∂θ² = f″/f′ ∂/∂θ + f′² ∂²/∂φ², φ the variance and the range
                    bent = bent - np.tensordot(np.diag(own) * [2.0, here.bend], here.first, axes=1)
                adjustment -= 0.25 * np.tensordot(here.X, bent @ here.X, axes=([0, 1], [0, 1]))
        return SmallSample((adjustment + adjustment.T) / 2, U, vcov)

    def blocks(self, evaluation: Evaluation) -> Sequence[tuple[Codes, Array]]:
        """Return V of every patient, those with as many values together."""
        variance, R, _ = self._correlations(evaluation.theta)
        size = (self.place >= 0).sum(axis=1)
        found = []
        for t in np.unique(size):
            own = self.place[size == t][:, :t]
            scale = np.sqrt(variance[size == t][:, None] / self.rows.weight[own])
            found.append((own, R[size == t][:, :t, :t] * scale[:, :, None] * scale[:, None, :]))
        return found

    def covariance(self, evaluation: Evaluation, rows: Rows) -> Matrix:
        """(n, n) covariance of rows of one patient; their times are read."""
        log_sd, x = evaluation.theta.reshape(-1, 2)[int(rows.stratum[0])]
        scale = np.exp(log_sd) / np.sqrt(rows.weight)
        return np.asarray(decay(float(x), np.abs(np.subtract.outer(rows.time, rows.time)))[0] * scale[:, None] * scale)


def _pairs(left: Array, right: Array) -> Matrix:
    """(k, k) sums of products of every pair of arrays (k, …)."""
    return np.asarray(left.reshape(len(left), -1) @ right.reshape(len(right), -1).T)
