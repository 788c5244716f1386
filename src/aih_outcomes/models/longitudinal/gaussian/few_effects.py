"""A few random effects per patient, residuals independent with one variance: each patient is a q × q matrix.

V = σ² H, H = I + Z Γ Zᵀ, Γ = Λ Λᵀ. With B = ZᵀZ and N = (I + B Γ)⁻¹, ZᵀH⁻¹ = N Zᵀ, F = ZᵀH⁻¹Z = N B, |H| = |I + B Γ|
and XᵀH⁻¹X = XᵀX − (ZᵀX)ᵀ Γ N (ZᵀX): after one pass over the rows no step reads them again (Lindstrom & Bates, JASA
1988;83:1014, in V's own form). Patients lie along the last axis, so that every operation runs over all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
from aih_outcomes.models.longitudinal.gaussian.normal_equations import solve_normal_equations
from aih_outcomes.models.longitudinal.gaussian.structure import Structure
from aih_outcomes.outcomes import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What the derivatives are made of; σ is divided out.

    Attributes
    ----------
    F : (s, m) entries a ≤ b of ZᵀH⁻¹Z, by patient
    X : (q, p, m) ZᵀH⁻¹X in the coordinates of β's covariance; ``r`` (q, m) ZᵀH⁻¹(y − Xβ) / σ
    S : (q, p, q, p) Σ X Xᵀ; ``g`` (q, p, q) Σ X rᵀ; ``R`` (q, q) Σ r rᵀ
    rss : (y − Xβ)ᵀ H⁻¹ (y − Xβ) / σ²
    """

    F: Matrix
    X: Array
    r: Matrix
    S: Array
    g: Array
    R: Matrix
    rss: float


class FewEffects:
    """The likelihood of ``Structure`` with q > 0 random effects and nothing else.

    Parameters
    ----------
    rows : with orthogonal X and columns of Z near 1
    structure : not nested, one residual variance, residuals independent
    reml : restricted or full likelihood
    """

    def __init__(self, rows: Rows, structure: Structure, *, reml: bool) -> None:
        self.rows, self.structure, self.reml = rows, structure, reml
        n, p = rows.X.shape
        q = structure.q
        self.nu = n - (p if reml else 0)
        self.constant = 0.5 * self.nu * np.log(2 * np.pi) - 0.5 * float(np.log(rows.weight).sum())
        weight = np.sqrt(rows.weight)[:, None]
        XY = np.concatenate([rows.X, rows.response[:, None]], axis=1) * weight
        Z = rows.Z * weight
        first = np.flatnonzero(np.concatenate([[True], rows.patient[1:] != rows.patient[:-1]]))
        self.total = XY.T @ XY
        self.u = np.stack([np.add.reduceat(Z[:, a, None] * XY, first).T.copy() for a in range(q)])  # (q, p + 1, m)
        self.pairs = [(a, b) for a in range(q) for b in range(a, q)]
        self.place = np.zeros((q, q), np.intp)
        for i, (a, b) in enumerate(self.pairs):
            self.place[a, b] = self.place[b, a] = i
        self.B = np.stack([np.add.reduceat(Z[:, a] * Z[:, b], first) for a, b in self.pairs])  # (s, m)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters, log σ first."""
        return self.structure.parameters

    def start(self) -> Vector:
        """Moments of ZᵀY that are unbiased with β known (MIVQUE0: Rao, J Multivar Anal 1971;1:445), kept positive."""
        n, p = self.rows.X.shape
        basis, u = self.structure.basis(), self.u[:, p]
        B, BB = self.B.sum(axis=1)[self.place], (self.B @ self.B.T)[self.place[:, :, None, None], self.place]
        moments = np.concatenate([[self.total[p, p]], np.einsum("hab,ab->h", basis, u @ u.T)])
        k = len(moments)
        system = np.empty((k, k))
        system[0, 0] = n
        system[0, 1:] = system[1:, 0] = np.einsum("hab,ab->h", basis, B)
        system[1:, 1:] = np.einsum("hab,kcd,bcda->hk", basis, basis, BB)
        found = np.linalg.lstsq(system, moments, rcond=None)[0]
        variance = max(float(found[0]), 0.05 * float(moments[0]) / n)
        values, vectors = np.linalg.eigh(np.tensordot(found[1:] / variance, basis, axes=1))
        least = 0.1 * self.B.shape[1] / n
        Lambda = np.linalg.cholesky((vectors * np.clip(values, least, None)) @ vectors.T)
        return np.array([0.5 * np.log(variance), *(Lambda[a, b] for a, b in self.structure.places)])

    def evaluate(self, theta: Vector) -> Evaluation | None:
        """Return the likelihood and its derivatives; None where V is not positive definite."""
        return self._evaluate(theta, profile=False)

    def profile(self, theta: Vector) -> Evaluation | None:
        """Return the likelihood where σ is the best for the rest of θ."""
        return self._evaluate(theta, profile=True)

    def _evaluate(self, theta: Vector, *, profile: bool) -> Evaluation | None:
        q, p = self.structure.q, self.rows.X.shape[1]
        Lambda = self.structure.factor(theta)
        Gamma = Lambda @ Lambda.T
        with np.errstate(all="ignore"):
            N, F, log_det = self._invert(Gamma)
            v = np.einsum("abm,bum->aum", N, self.u) if q > 2 else self._multiply(N)
            K = (self.u.reshape(q * (p + 1), -1) @ v.reshape(q * (p + 1), -1).T).reshape(q, p + 1, q, p + 1)
            cross = self.total - np.einsum("ab,aubv->uv", Gamma, K)
        log_sigma = None if profile else theta[0]
        solved = solve_normal_equations(cross, log_det, self.nu, reml=self.reml, log_sigma=log_sigma)
        if solved is None:
            return None
        X = np.matmul(solved.root.T, v[:, :p])
        r = np.matmul(np.concatenate([-solved.beta, [1.0]]) / solved.sigma, v)
        flat = X.reshape(q * p, self.B.shape[1])
        sums = Sums(F, X, r, (flat @ flat.T).reshape(q, p, q, p), (flat @ r.T).reshape(q, p, q), r @ r.T, solved.rss)
        gradient, hessian, slopes = self._curvature(theta, sums)
        full = np.concatenate([[np.log(solved.sigma)], theta[1:]])
        loglik, root = solved.loglik - self.constant, solved.sigma * solved.root
        return Evaluation(full, loglik, solved.beta, root, gradient, hessian, slopes, sums)

    def _invert(self, Gamma: Matrix) -> tuple[Array, Matrix, float]:
        """N (q, q, m), F (s, m) and Σ log|H|; closed form for one and two effects."""
        q, B = self.structure.q, self.B
        if q == 1:
            det = 1 + B * Gamma[0, 0]
            return (1 / det)[None], B / det, float(np.log(det).sum())
        if q == 2:
            (b11, b12, b22), g11, g12, g22 = B, Gamma[0, 0], Gamma[0, 1], Gamma[1, 1]
            minor = np.maximum(b11 * b22 - b12**2, 0.0)
            det = 1 + b11 * g11 + 2 * b12 * g12 + b22 * g22 + minor * max(g11 * g22 - g12**2, 0.0)
            N = np.stack([1 + b12 * g12 + b22 * g22, -(b11 * g12 + b12 * g22),
                          -(b12 * g11 + b22 * g12), 1 + b11 * g11 + b12 * g12]) / det  # fmt: skip
            F = np.stack([b11 + minor * g22, b12 - minor * g12, b22 + minor * g11]) / det
            return N.reshape(2, 2, -1), F, float(np.log(det).sum())
        full = np.moveaxis(B[self.place], 2, 0)
        inner = np.eye(q) + full @ Gamma
        N = np.asarray(np.linalg.inv(inner), float)
        NB = np.moveaxis(N @ full, 0, 2)
        F = np.stack([(NB[a, b] + NB[b, a]) / 2 for a, b in self.pairs])
        return np.moveaxis(N, 0, 2), F, float(np.linalg.slogdet(inner)[1].sum())

    def _multiply(self, N: Array) -> Array:
        """N u (q, p + 1, m) for one and two effects."""
        if self.structure.q == 1:
            return np.asarray(N[0] * self.u)
        v = np.empty_like(self.u)
        for a in range(2):
            np.multiply(self.u[0], N[a, 0], out=v[a])
            v[a] += self.u[1] * N[a, 1]
        return np.asarray(v)

    def small_sample(self, evaluation: Evaluation, convention: Convention) -> SmallSample:
        """Return Kenward and Roger's correction by the convention named."""
        sums: Sums = evaluation.state
        p = self.rows.X.shape[1]
        if convention == "pbkrtest":
            # Entries of Γ and the scale of all of V: the same directions as entries of Γ and σ².
            first = self.structure.basis()
            information, slopes = self.expected_information(evaluation)
            vcov = np.asarray(np.linalg.pinv(information, hermitian=True))
        else:
            first = self.structure.changes(evaluation.theta)
            slopes, vcov = evaluation.slopes, vcov_theta(evaluation)
        weight = np.einsum("hk,hab,kcd->abcd", vcov[1:, 1:], first, first)
        inner = np.einsum("abcd,bcm->adm", weight, sums.F[self.place])
        adjustment = np.einsum("aum,adm,dvm->uv", sums.X, inner, sums.X, optimize=True)
        adjustment += 4 * vcov[0, 0] * np.eye(p) + 4 * np.tensordot(vcov[0, 1:], slopes[1:], axes=1)
        adjustment -= np.einsum("hk,hab,kbc->ac", vcov, slopes, slopes, optimize=True)
        if convention in ("mmrm", "sas"):
            adjustment -= 0.25 * self._second_order(vcov, slopes, sums)
        return SmallSample((adjustment + adjustment.T) / 2, slopes, vcov)

    def blocks(self, evaluation: Evaluation) -> Sequence[tuple[Codes, Array]]:
        """Return V of every unit: rows (m, t) and covariances (m, t, t), units of one size together."""
        return self.structure.blocks(evaluation.theta, self.rows)

    def covariance(self, evaluation: Evaluation, rows: Rows) -> Matrix:
        """(n, n) V of any rows of one patient."""
        return self.structure.of_one(evaluation.theta, rows)

    def _curvature(self, theta: Vector, sums: Sums) -> tuple[Vector, Matrix, Array]:
        """Gradient, Hessian and slopes in (log σ, Λ)."""
        k, first, own = 1 + self.structure.n_entries, self.structure.changes(theta), 1.0 if self.reml else 0.0
        D = sums.F.sum(axis=1)[self.place] - sums.R - own * np.einsum("aubu->ab", sums.S)
        gradient = np.concatenate([[sums.rss - self.nu], -0.5 * np.tensordot(first, D, axes=2)])
        slopes = self._slopes(first, sums)
        pulls = np.einsum("hab,aub->hu", first, sums.g)
        bent = self._traces(first, sums, np.stack([sums.r[a] * sums.r[b] for a, b in self.pairs]))
        hessian = np.empty((k, k))
        hessian[0, 0] = -2 * sums.rss
        hessian[0, 1:] = hessian[1:, 0] = -np.tensordot(first, sums.R, axes=2)
        flat = slopes[1:].reshape(k - 1, slopes[0].size)
        hessian[1:, 1:] = bent + pulls @ pulls.T + 0.5 * own * flat @ flat.T
        hessian[1:, 1:] -= np.tensordot(self.structure.bends(), D, axes=2)
        return gradient, (hessian + hessian.T) / 2, slopes

    def _traces(self, first: Array, sums: Sums, residual: Matrix | None) -> Matrix:
        """Σ tr(Γ_h F Γ_g N) with N = ½ F − r rᵀ − X Xᵀ, the last by REML only, the residual's where it is given."""
        N = 0.5 * sums.F if residual is None else 0.5 * sums.F - residual
        if self.reml:
            N = N - np.stack([np.einsum("um,um->m", sums.X[a], sums.X[b]) for a, b in self.pairs])
        crossed = (sums.F @ N.T)[self.place[:, :, None, None], self.place]  # b, c, a, d
        moved = np.tensordot(first, crossed, axes=([1, 2], [2, 0]))  # h, c, d
        return np.asarray(np.tensordot(moved, first, axes=([1, 2], [1, 2])))

    def _slopes(self, first: Array, sums: Sums) -> Array:
        """(k, p, p) U_h: 2 I for log σ, then for each direction of Γ."""
        p = self.rows.X.shape[1]
        of_effects = np.einsum("hab,aubv->huv", first, sums.S)
        return np.concatenate([2 * np.eye(p)[None], of_effects])

    def expected_information(self, evaluation: Evaluation) -> tuple[Matrix, Array]:
        """Return expected information and slopes in log σ and the entries of Γ."""
        sums, first = evaluation.state, self.structure.basis()
        k, own, n = 1 + len(first), 1.0 if self.reml else 0.0, len(self.rows.response)
        slopes = self._slopes(first, sums)
        flat = slopes.reshape(k, slopes[0].size)
        traces = np.trace(slopes, axis1=1, axis2=2)
        information = np.empty((k, k))
        information[1:, 1:] = self._traces(first, sums, None)
        information[0, 0] = 2 * n - 2 * own * traces[0]
        across = np.tensordot(first, sums.F.sum(axis=1)[self.place], axes=2) - 2 * own * traces[1:]
        information[0, 1:] = information[1:, 0] = across
        return np.asarray(information + 0.5 * own * flat @ flat.T), slopes

    def _second_order(self, vcov: Matrix, slopes: Array, sums: Sums) -> Matrix:
        """Σ vcov_hk Σ x̃ᵀ ∂²V x̃."""
        p = self.rows.X.shape[1]
        total = 4 * vcov[0, 0] * np.eye(p) + 4 * np.tensordot(vcov[0, 1:], slopes[1:], axes=1)
        weight = np.tensordot(vcov[1:, 1:], self.structure.bends(), axes=2)
        return np.asarray(total + np.einsum("ab,aubv->uv", weight + weight.T, sums.S))
