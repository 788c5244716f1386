"""The likelihood of repeated measures at nominal visits: patients with the same visits together, everything T × T."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.covariances import (
    VisitCovariance,
    VisitMatrix,
    count_parameters,
    name_parameters,
    start_parameters,
    visit_matrix,
)
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
from aih_outcomes.models.longitudinal.gaussian.patterns import Patterns, find_patterns
from aih_outcomes.outcomes import Vector

FLOOR = 0.02  # smallest eigenvalue of the start, as correlations, relative to the largest
LEAST_SHARE = 1e-9  # part of a visit's variance that earlier visits leave, below which Σ is rounding, not data


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What an evaluation keeps: Σ of each stratum, W of each pattern (P, T, T), x̃ (m, T, p)."""

    matrices: list[VisitMatrix]
    W: Array
    X: Array


@dataclass(frozen=True, slots=True, eq=False)
class Orthonormal:
    """Columns [Q r] of X = Q R and y = X offset + r: scale and origin of X are taken off, and given back at the end.

    Attributes
    ----------
    Z : (…, p + 1) [Q r]
    R : (p, p) upper triangular; ``offset`` (p,)
    """

    Z: Array
    R: Matrix
    offset: Vector

    @classmethod
    def of(cls, Z: Array) -> Orthonormal:
        """Take the columns [X y] (…, p + 1) apart."""
        p = Z.shape[-1] - 1
        flat = Z.reshape(-1, p + 1)
        Q, R = np.linalg.qr(flat[:, :p])
        pull = Q.T @ flat[:, p]
        residual = flat[:, p] - Q @ pull
        return cls(np.column_stack([Q, residual]).reshape(Z.shape), np.asarray(R), np.linalg.solve(R, pull))

    def give_back(self, beta: Vector, root: Matrix) -> tuple[Vector, Matrix]:
        """β and C for X from those for Q."""
        return self.offset + np.linalg.solve(self.R, beta), np.asarray(np.linalg.solve(self.R, root), float)

    def log_det(self) -> float:
        """Log of the volume of X relative to Q."""
        return float(np.log(np.abs(np.diag(self.R))).sum())


def solve_normal_equations(cross: Matrix) -> tuple[Vector, Matrix, float, float] | None:
    """β (p,), C (p, p) with Φ = C Cᵀ, residual sum of squares, log|A| from [X y]ᵀW[X y]; None where A is singular."""
    p = len(cross) - 1
    if not np.isfinite(cross).all():
        return None
    try:
        lower = np.linalg.cholesky((cross[:p, :p] + cross[:p, :p].T) / 2)
    except np.linalg.LinAlgError:
        return None
    root = np.asarray(np.linalg.inv(lower).T, float)
    beta = root @ (root.T @ cross[:p, p])
    combine = np.concatenate([-beta, [1.0]])
    return beta, root, float(combine @ cross @ combine), 2 * float(np.log(np.diag(lower)).sum())


class Visits:
    """The likelihood of one covariance between visits per stratum.

    Parameters
    ----------
    rows : at visits 0 … n_visits − 1; one covariance per level of ``stratum``
    covariance : structure
    reml : restricted or full likelihood
    """

    def __init__(self, rows: Rows, covariance: VisitCovariance, n_visits: int, *, reml: bool) -> None:
        self.rows, self.structure, self.n_visits, self.reml = rows, covariance, n_visits, reml
        patterns: Patterns = find_patterns(rows, n_visits)
        self.columns = Orthonormal.of(patterns.Z)
        self.patterns = replace(patterns, Z=self.columns.Z)
        self.n_strata, self.k = int(rows.stratum.max()) + 1, count_parameters(covariance, n_visits)
        seen = np.maximum(np.bincount(rows.visit, minlength=n_visits), 1)
        self.times = np.bincount(rows.visit, rows.time, n_visits) / seen
        n, p = rows.X.shape
        self.constant = 0.5 * (n - (p if reml else 0)) * np.log(2 * np.pi) - 0.5 * float(np.log(rows.weight).sum())
        self.constant += self.columns.log_det() if reml else 0.0

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of θ, stratum by stratum."""
        own = name_parameters(self.structure, self.n_visits)
        return own if self.n_strata == 1 else tuple(f"{name} ({g + 1})" for g in range(self.n_strata) for name in own)

    def start(self) -> Vector:
        """Moments of the residuals of ordinary least squares, made positive definite as correlations."""
        P, residual = self.patterns, self.patterns.Z[:, :, -1]
        begin = []
        for g in range(self.n_strata):
            own, here = P.stratum[P.pattern] == g, P.stratum == g
            seen = np.tensordot(P.count[here], P.pairs[here], axes=1)
            moments = residual[own].T @ residual[own] / np.maximum(seen, 1)
            variance = np.diag(moments)
            usual = float(np.mean(variance[variance > 0])) if (variance > 0).any() else 1.0
            sd = np.sqrt(np.maximum(variance, 1e-6 * usual))
            values, vectors = np.linalg.eigh(moments / np.outer(sd, sd))
            R = (vectors * np.maximum(values, FLOOR * max(values[-1], 1.0))) @ vectors.T
            begin.append(start_parameters(self.structure, R * np.outer(sd, sd), self.times))
        return np.concatenate(begin)

    def evaluate(self, theta: Vector) -> Evaluation | None:
        """Return the likelihood and its derivatives; None where Σ is not positive definite."""
        P, q = self.patterns, self.patterns.Z.shape[2]
        with np.errstate(all="ignore"):
            matrices = [visit_matrix(self.structure, own, self.n_visits, self.times)
                        for own in theta.reshape(self.n_strata, self.k)]  # fmt: skip
            full = np.stack([matrix.value for matrix in matrices])
            Sigma = full[P.stratum] * P.pairs + P.filler
            try:
                np.linalg.cholesky(full)
                lower = np.diagonal(np.linalg.cholesky(Sigma), axis1=1, axis2=2)
            except np.linalg.LinAlgError:
                return None
            if not (lower**2 > LEAST_SHARE * np.diagonal(Sigma, axis1=1, axis2=2)).all():
                return None
            log_det = 2 * np.log(lower).sum(axis=1)
            W = np.linalg.inv(Sigma) * P.pairs
            W = (W + W.swapaxes(1, 2)) / 2
            WZ = W[P.pattern] @ P.Z
            found = solve_normal_equations(P.Z.reshape(-1, q).T @ WZ.reshape(-1, q))
        if found is None:
            return None
        beta, root, rss, log_det_A = found
        loglik = -0.5 * (float(P.count @ log_det) + rss + (log_det_A if self.reml else 0.0)) - self.constant
        if not np.isfinite(loglik):
            return None
        state = State(matrices, W, WZ[:, :, :-1] @ root)
        gradient, hessian, slopes = self._curvature(state, WZ @ np.concatenate([-beta, [1.0]]))
        beta, root = self.columns.give_back(beta, root)
        return Evaluation(theta, float(loglik), beta, root, gradient, hessian, slopes, state)

    def _curvature(self, state: State, r: Matrix) -> tuple[Vector, Matrix, Array]:
        """Gradient, Hessian and slopes: kernels of T × T sums, one stratum after the other."""
        P, X, T, p, k = self.patterns, state.X, self.n_visits, state.X.shape[2], self.k
        n_theta = k * self.n_strata
        gradient, hessian = np.zeros(n_theta), np.zeros((n_theta, n_theta))
        slopes, pulls = np.zeros((n_theta, p, p)), np.zeros((n_theta, p))
        spread = np.add.reduceat(r[:, :, None] * r[:, None, :], P.first)
        if self.reml:
            spread += np.add.reduceat(X @ X.swapaxes(1, 2), P.first)
        nW = P.count[:, None, None] * state.W
        for g, matrix in enumerate(state.matrices):
            here, at = P.stratum == g, slice(g * k, (g + 1) * k)
            first = matrix.first.reshape(k, T * T)
            G = -0.5 * (nW[here] - spread[here]).sum(axis=0)
            inner = (0.5 * nW - spread)[here].reshape(-1, T * T)
            four = (state.W[here].reshape(-1, T * T).T @ inner).reshape(T, T, T, T)  # b c a d
            hessian[at, at] = first @ four.transpose(2, 0, 1, 3).reshape(T * T, T * T) @ first.T + matrix.bend(G)
            gradient[at] = first @ G.ravel()
            members = here[P.pattern]
            stacked = X[members].reshape(-1, T * p)
            gram = (stacked.T @ stacked).reshape(T, p, T, p).transpose(0, 2, 1, 3).reshape(T * T, p * p)
            slopes[at] = (first @ gram).reshape(k, p, p)
            pulls[at] = first @ (r[members].T @ stacked).reshape(T * T, p)
        hessian += pulls @ pulls.T
        if self.reml:
            flat = slopes.reshape(n_theta, -1)
            hessian += 0.5 * flat @ flat.T
        return gradient, (hessian + hessian.T) / 2, slopes

    def small_sample(self, evaluation: Evaluation, convention: Convention) -> SmallSample:
        """Return Kenward and Roger's correction as mmrm or SAS make it, or without second derivatives."""
        refuse_pbkrtest(convention)
        P, state, T, k = self.patterns, evaluation.state, self.n_visits, self.k
        vcov, U = vcov_theta(evaluation), evaluation.slopes
        p = U.shape[1]
        adjustment = -np.tensordot(U, np.tensordot(vcov, U, axes=1), axes=([0, 2], [0, 1]))
        for g, matrix in enumerate(state.matrices):
            here, own = P.stratum == g, vcov[g * k : (g + 1) * k, g * k : (g + 1) * k]
            first = matrix.first.reshape(k, T * T)
            four = (first.T @ own @ first).reshape(T, T, T, T).transpose(1, 2, 0, 3).reshape(T * T, T * T)
            B = np.zeros_like(state.W)
            B[here] = (state.W[here].reshape(-1, T * T) @ four).reshape(-1, T, T)
            if convention != "linear":
                B[here] -= 0.25 * (matrix.mean_bend(own) if convention == "mmrm" else matrix.mean_bend_in_sas(own))
            X = state.X[here[P.pattern]]
            adjustment += X.reshape(-1, p).T @ (B[P.pattern[here[P.pattern]]] @ X).reshape(-1, p)
        return SmallSample((adjustment + adjustment.T) / 2, U, vcov)

    def blocks(self, evaluation: Evaluation) -> Sequence[tuple[Codes, Array]]:
        """Return V of every patient, those of one pattern together."""
        P, found = self.patterns, []
        for pattern in range(len(P.count)):
            seen, own = np.flatnonzero(P.mask[pattern]), P.rows_of(pattern)
            Sigma = evaluation.state.matrices[P.stratum[pattern]].value[np.ix_(seen, seen)]
            scale = 1 / np.sqrt(self.rows.weight[own])
            found.append((own, Sigma * scale[:, :, None] * scale[:, None, :]))
        return found

    def covariance(self, evaluation: Evaluation, rows: Rows) -> Matrix:
        """(n, n) covariance of rows of one patient; their visits are read."""
        Sigma = evaluation.state.matrices[int(rows.stratum[0])].value[np.ix_(rows.visit, rows.visit)]
        scale = 1 / np.sqrt(rows.weight)
        return np.asarray(Sigma * scale[:, None] * scale)


def refuse_pbkrtest(convention: Convention) -> None:
    """Stop where the correction asked for is defined for random effects only."""
    if convention == "pbkrtest":
        raise ValueError("pbkrtest has no covariance between visits")
