"""Covariances of T visits as functions of their parameters, with first and second derivatives.

The parameters are those of R's ``mmrm``, on which its Kenward-Roger correction depends: logarithms of standard
deviations and mapped correlations (``correlations``); for an unstructured matrix log d and l of Σ = L Lᵀ,
L = diag(d) · unit lower(l).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.correlations import correlate, lowest_equal
from aih_outcomes.models.longitudinal.gaussian.likelihood import Array, Matrix
from aih_outcomes.outcomes import Vector

VisitCovariance = Literal[
    "unstructured", "toeplitz", "heterogeneous toeplitz", "ar1", "heterogeneous ar1", "compound symmetry",
    "heterogeneous compound symmetry", "ante-dependence", "heterogeneous ante-dependence", "exponential",
]  # fmt: skip

HETEROGENEOUS = "heterogeneous "
# SAS's parameters are the entries of Σ themselves: no second derivative.
LINEAR_IN_SAS = ("unstructured", "toeplitz", "compound symmetry")


class VisitMatrix(Protocol):
    """Σ at one θ: ``value`` (T, T), ``first`` (k, T, T) its derivatives."""

    @property
    def value(self) -> Matrix:
        """(T, T) Σ."""

    @property
    def first(self) -> Array:
        """(k, T, T) ∂Σ."""

    def bend(self, G: Matrix) -> Matrix:
        """(k, k) ⟨G, ∂²Σ⟩."""

    def mean_bend(self, vcov: Matrix) -> Matrix:
        """(T, T) Σ vcov_hk ∂²Σ_hk."""

    def mean_bend_in_sas(self, vcov: Matrix) -> Matrix:
        """(T, T) The same in SAS's parameters; ``vcov`` is of θ."""


@dataclass(frozen=True, slots=True, eq=False)
class Patterned:
    """Σ of few parameters.

    Attributes
    ----------
    value : (T, T); ``first`` (k, T, T); ``second`` (k, k, T, T)
    of_sas : (k,) f″/f′ of SAS's parameter as a function f of each θ; None where Σ is linear in SAS's
    """

    value: Matrix
    first: Array
    second: Array
    of_sas: Vector | None

    def bend(self, G: Matrix) -> Matrix:
        """(k, k) ⟨G, ∂²Σ⟩."""
        k = len(self.first)
        return np.asarray((self.second.reshape(k * k, -1) @ G.ravel()).reshape(k, k))

    def mean_bend(self, vcov: Matrix) -> Matrix:
        """(T, T) Σ vcov_hk ∂²Σ_hk."""
        return np.asarray(np.tensordot(vcov, self.second, axes=2))

    def mean_bend_in_sas(self, vcov: Matrix) -> Matrix:
        """(T, T) The same in SAS's parameters φ = f(θ): ∂²/∂θ² = f′² ∂²/∂φ² + (f″/f′) ∂/∂θ."""
        if self.of_sas is None:
            return np.zeros_like(self.value)
        return self.mean_bend(vcov) - np.asarray(np.tensordot(self.of_sas * np.diag(vcov), self.first, axes=1))


@dataclass(frozen=True, slots=True, eq=False)
class Cholesky:
    """Σ = L Lᵀ without structure.

    Attributes
    ----------
    value : (T, T); ``first`` (k, T, T); ``L`` (T, T)
    moves : (k, T, T) ∂L: row a of L by log d_a, d_a by l_ab
    """

    value: Matrix
    first: Array
    L: Matrix
    moves: Array

    def bend(self, G: Matrix) -> Matrix:
        """(k, k) ⟨G, ∂²Σ⟩: 2 ⟨G ∂L, ∂L⟩ + 2 ⟨G L, ∂²L⟩, where ∂²L is not 0 for log d and the l of its row only."""
        T, k = len(self.L), len(self.moves)
        a, b = np.tril_indices(T, -1)
        each, lower = np.arange(T), np.arange(T, k)
        found = 2 * (G @ self.moves).reshape(k, -1) @ self.moves.reshape(k, -1).T
        GL, d = G @ self.L, np.diag(self.L)
        found[each, each] += 2 * np.sum(GL * self.L, axis=1)
        across = 2 * GL[a, b] * d[a]
        found[a, lower] += across
        found[lower, a] += across
        return np.asarray(found)

    def mean_bend(self, vcov: Matrix) -> Matrix:
        """(T, T) Σ vcov_hk ∂²Σ_hk."""
        T, k = len(self.L), len(self.moves)
        a, b = np.tril_indices(T, -1)
        d = np.diag(self.L)
        bent = np.diag(vcov)[:T, None] * self.L
        bent[a, b] += 2 * vcov[a, np.arange(T, k)] * d[a]
        moved = np.tensordot(vcov, self.moves, axes=1)
        pairs = self.moves.transpose(1, 0, 2).reshape(T, -1) @ moved.transpose(1, 0, 2).reshape(T, -1).T
        half = bent @ self.L.T + pairs
        return np.asarray(half + half.T)

    def mean_bend_in_sas(self, vcov: Matrix) -> Matrix:
        """(T, T) 0: SAS's parameters are the entries of Σ."""
        return np.zeros_like(self.value)


def is_heterogeneous(covariance: VisitCovariance) -> bool:
    """Return whether each visit has a variance of its own."""
    return covariance == "unstructured" or covariance.startswith(HETEROGENEOUS)


def count_parameters(covariance: VisitCovariance, n_visits: int) -> int:
    """Return how many parameters a structure has."""
    if covariance == "unstructured":
        return n_visits * (n_visits + 1) // 2
    return (n_visits if is_heterogeneous(covariance) else 1) + _n_correlations(covariance, n_visits)


def name_parameters(covariance: VisitCovariance, n_visits: int) -> tuple[str, ...]:
    """Return their names; those that begin with ``lower`` are unbounded roots of variances."""
    if covariance == "unstructured":
        below = [(a, b) for a in range(n_visits) for b in range(a)]
        return (*(f"log d{a + 1}" for a in range(n_visits)), *(f"lower{a + 1},{b + 1}" for a, b in below))
    sds = n_visits if is_heterogeneous(covariance) else 1
    word = "logit" if covariance.removeprefix(HETEROGENEOUS) in ("compound symmetry", "exponential") else "mapped"
    return (
        *(f"log sd{a + 1}" for a in range(sds)),
        *(f"{word} correlation{a + 1}" for a in range(_n_correlations(covariance, n_visits))),
    )


def start_parameters(covariance: VisitCovariance, Sigma: Matrix, times: Vector) -> Vector:
    """(k,) parameters near a positive definite (T, T) matrix."""
    T = len(Sigma)
    if covariance == "unstructured":
        L = np.linalg.cholesky(Sigma)
        d = np.diag(L)
        return np.concatenate([np.log(d), (L / d[:, None])[np.tril_indices(T, -1)]])
    sd = np.sqrt(np.diag(Sigma))
    correlation = Sigma / np.outer(sd, sd)
    log_sd = np.log(sd) if is_heterogeneous(covariance) else np.array([0.5 * np.log(np.mean(sd**2))])
    near = float(np.clip(np.mean(np.diag(correlation, 1)), 0.05, 0.9)) if T > 1 else 0.5
    kind = covariance.removeprefix(HETEROGENEOUS)
    if kind == "exponential":
        gap = np.diff(np.sort(times))
        return np.concatenate([log_sd, [start_decay(near, gap[gap > 0])]])
    if kind == "compound symmetry":
        mean = max(float(np.mean(correlation[np.tril_indices(T, -1)])), 0.05) if T > 1 else 0.5
        place = (mean + lowest_equal(T)) / (1 + lowest_equal(T))
        return np.concatenate([log_sd, [np.log(place) - np.log1p(-place)]])
    powers = {"toeplitz": np.arange(1, T), "ar1": np.ones(1), "ante-dependence": np.ones(T - 1)}[kind]
    rho = near**powers
    return np.concatenate([log_sd, rho / np.sqrt(1 - rho**2)])


def start_decay(near: float, gap: Vector) -> float:
    """Return the logit of the correlation at distance 1 that is ``near`` at the usual positive gap."""
    log_rho = np.log(near) / (float(np.median(gap)) if len(gap) else 1.0)
    return float(log_rho - np.log(-np.expm1(log_rho)))


def visit_matrix(covariance: VisitCovariance, theta: Vector, n_visits: int, times: Vector) -> VisitMatrix:
    """Return Σ and its derivatives.

    Parameters
    ----------
    theta : (k,); ``times`` (T,) of the visits, read by ``exponential`` only
    """
    if covariance == "unstructured":
        return _unstructured(theta, n_visits)
    sds = n_visits if is_heterogeneous(covariance) else 1
    R = correlate(covariance.removeprefix(HETEROGENEOUS), theta[sds:], np.abs(np.subtract.outer(times, times)))
    sd = np.exp(np.broadcast_to(theta[:sds], n_visits))
    frame, k, T = np.outer(sd, sd), len(theta), n_visits
    value, changed = frame * R.value, frame * R.first
    # ∂/∂log sd of visit a multiplies row and column a.
    own = np.eye(T) if sds > 1 else np.ones((1, T))
    both = own[:, :, None] + own[:, None, :]
    second = np.empty((k, k, T, T))
    second[:sds, :sds] = both[:, None] * both[None] * value
    second[:sds, sds:] = both[:, None] * changed[None]
    second[sds:, :sds] = second[:sds, sds:].swapaxes(0, 1)
    second[sds:, sds:] = frame * R.second
    # SAS's scale is the variance: log sd ↦ e^(2 log sd) bends by 2.
    of_sas = None if covariance in LINEAR_IN_SAS else np.concatenate([np.full(sds, 2.0), R.bend])
    return Patterned(value, np.concatenate([both * value, changed]), second, of_sas)


def _n_correlations(covariance: VisitCovariance, n_visits: int) -> int:
    many = covariance.removeprefix(HETEROGENEOUS) in ("toeplitz", "ante-dependence")
    return n_visits - 1 if many else 1


def _unstructured(theta: Vector, T: int) -> Cholesky:
    a, b = np.tril_indices(T, -1)
    d, k, each = np.exp(theta[:T]), len(theta), np.arange(T)
    unit = np.eye(T)
    unit[a, b] = theta[T:]
    L = d[:, None] * unit
    dL = np.zeros((k, T, T))
    dL[each, each] = L
    dL[np.arange(T, k), a, b] = d[a]
    first = dL @ L.T
    return Cholesky(L @ L.T, first + first.swapaxes(1, 2), L, dL)
