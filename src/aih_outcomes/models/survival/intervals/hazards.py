"""Two families of hazards at arbitrary times, with derivatives: Weibull, and constant within pieces of time.

Both are linear in their parameters on the scale of log cumulative hazard, so second derivatives are simple.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]

NODES = {"weibull": (30, 3), "piecewise constant": (16, 1)}  # nodes per piece; power that spreads them near the start


@dataclass(frozen=True, slots=True, eq=False)
class At:
    """A hazard at N places: cumulative hazard, log hazard, and their derivatives (N, P)."""

    cumulative: Vector
    log_hazard: Vector
    d_cumulative: Matrix
    d_log_hazard: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class Weibull:
    """A(t) = exp(c + k (log t − centre) + Z β) at N places; parameters (c, k, β), k > 0."""

    log_time: Vector
    D: Matrix

    def evaluate(self, theta: Vector) -> At:
        """Evaluate the hazard."""
        z = self.D @ theta
        cumulative = np.exp(z)
        d_log_hazard = self.D.copy()
        d_log_hazard[:, 1] += 1 / theta[1]
        return At(cumulative, z + np.log(theta[1]) - self.log_time, self.D * cumulative[:, None], d_log_hazard)

    def curvature(self, theta: Vector, on_cumulative: Vector, on_log_hazard: Vector) -> Matrix:
        """(P, P) second derivatives of A and of log hazard, summed with weights (N,) each."""
        total = self.D.T @ ((on_cumulative * np.exp(self.D @ theta))[:, None] * self.D)
        total[1, 1] -= on_log_hazard.sum() / theta[1] ** 2
        return np.asarray(total)


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Hazard exp(c_j + Z β) within piece j, at N places; parameters (c_1 … c_J, β).

    Attributes
    ----------
    exposure : (N, J) time spent in each piece before the place
    piece : (N,) the piece it lies in
    Z : (N, p)
    """

    exposure: Matrix
    piece: Index
    Z: Matrix

    def evaluate(self, theta: Vector) -> At:
        """Evaluate the hazard."""
        shares = self._shares(theta)
        cumulative = shares.sum(axis=1)
        here = np.zeros_like(self.exposure)
        here[np.arange(len(here)), self.piece] = 1.0
        j = self.exposure.shape[1]
        return At(
            cumulative, theta[self.piece] + self.Z @ theta[j:],
            np.column_stack([shares, cumulative[:, None] * self.Z]), np.column_stack([here, self.Z]),
        )  # fmt: skip

    def curvature(self, theta: Vector, on_cumulative: Vector, on_log_hazard: Vector) -> Matrix:
        """(P, P) second derivatives of A, summed with weights (N,); log hazard is linear."""
        shares = self._shares(theta) * on_cumulative[:, None]
        mixed = shares.T @ self.Z
        corner = self.Z.T @ (shares.sum(axis=1)[:, None] * self.Z)
        return np.block([[np.diag(shares.sum(axis=0)), mixed], [mixed.T, corner]])

    def _shares(self, theta: Vector) -> Matrix:
        j = self.exposure.shape[1]
        return np.asarray(self.exposure * np.exp(theta[:j] + (self.Z @ theta[j:])[:, None]))


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """A family of hazards: its name, where log time is centred, and the inner cuts of its pieces (none for Weibull)."""

    name: str
    centre: float
    cuts: Vector

    @property
    def size(self) -> int:
        """Number of baseline parameters of one hazard."""
        return 2 if self.name == "weibull" else len(self.cuts) + 1

    def at(self, time: Vector, Z: Matrix) -> Weibull | Pieces:
        """Prepare the hazard for (N,) times and their covariates (N, p)."""
        if self.name == "weibull":
            log_time = np.log(time)
            return Weibull(log_time, np.column_stack([np.ones_like(time), log_time - self.centre, Z]))
        edges = np.concatenate([[0.0], self.cuts, [np.inf]])
        exposure = np.clip(np.minimum(time[:, None], edges[1:]) - edges[:-1], 0.0, None)
        return Pieces(exposure, np.searchsorted(self.cuts, time, side="left"), Z)

    def start(self, rate: float, p: int) -> Vector:
        """(size + p,) parameters of a constant hazard without covariates."""
        if self.name == "weibull":
            return np.concatenate([[np.log(rate) + self.centre, 1.0], np.zeros(p)])
        return np.concatenate([np.full(self.size, np.log(rate)), np.zeros(p)])

    def nodes(self, low: Vector, high: Vector) -> tuple[Index, Vector, Vector]:
        """Gauss-Legendre nodes on (low, high], piece by piece.

        Returns
        -------
        owner, time, weight : (n_nodes,) which interval, where, and the weight; sorted by owner
        """
        count, power = NODES[self.name]
        x, w = np.polynomial.legendre.leggauss(count)
        x, w = (x + 1) / 2, w / 2
        place, weight = x**power, w * power * x ** (power - 1)
        edges = np.concatenate([[0.0], self.cuts, [np.inf]])
        begin = np.maximum(low[:, None], edges[:-1])
        width = np.minimum(high[:, None], edges[1:]) - begin
        owner, piece = np.nonzero(width > 0)
        begin, width = begin[owner, piece][:, None], width[owner, piece][:, None]
        return np.repeat(owner, count), (begin + width * place).ravel(), (width * weight).ravel()
