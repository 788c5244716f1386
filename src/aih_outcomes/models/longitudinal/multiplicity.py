"""Several statements at once: Holm's p-values, and the largest of correlated t statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtrc, fdtrc

from aih_outcomes.errors import OutcomeError
from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]

DRAWS, ANGLES, BINS = 200_000, 20_000, 2_000
CHUNK = 20_000  # draws at once
NONE = 1e-9  # eigenvalue of a correlation, relative to the largest, that counts as none


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """m correlated t statistics that are judged together.

    With Z normal of correlation A Aᵀ and rank r, Z / √(W/ν) is a direction on the sphere times a length whose square is
    r times an F of r and ν degrees of freedom: only the direction is drawn, the length is integrated.

    Attributes
    ----------
    rank : r
    largest : (bins,) equally probable values of max |a · direction|, squared
    n_draws : directions drawn; 0 where the answer is exact (r ≤ 2: the circle is gone round)
    """

    rank: int
    largest: Vector
    n_draws: int

    def p_value(self, statistic: float, df: float) -> tuple[float, float]:
        """P(largest |T| ≥ |statistic|) and its Monte-Carlo error.

        Genz & Bretz, Computation of Multivariate Normal and t Probabilities, 2009; single-step adjustment, each
        statistic with its own degrees of freedom (as R's emmeans does for ``mvt``).
        """
        tail = self._tail(abs(statistic), df)
        return float(tail.mean()), self._error(tail)

    def critical(self, conf_level: float, df: float) -> tuple[float, float]:
        """Return c with P(largest |T| ≤ c) = ``conf_level``, and its Monte-Carlo error."""
        if np.isnan(df):
            return float("nan"), float("nan")
        alpha, high = 1 - conf_level, 4.0
        while self._tail(high, df).mean() > alpha:
            high *= 2
        found = float(brentq(lambda c: float(self._tail(c, df).mean()) - alpha, 0.0, high, xtol=1e-12, rtol=1e-12))
        step = 1e-4 * found
        slope = float((self._tail(found - step, df).mean() - self._tail(found + step, df).mean()) / (2 * step))
        return found, self._error(self._tail(found, df)) / slope

    def _tail(self, c: float, df: float) -> Vector:
        with np.errstate(divide="ignore"):
            square = c**2 / self.largest
        return np.asarray(chdtrc(self.rank, square) if np.isinf(df) else fdtrc(self.rank, df, square / self.rank))

    def _error(self, tail: Vector) -> float:
        return float(tail.std() / np.sqrt(self.n_draws)) if self.n_draws else 0.0


def make_family(covariance: Matrix, rng: np.random.Generator | None) -> Family:
    """Draw the directions of m correlated estimates.

    Parameters
    ----------
    covariance : (m, m) of the estimates, positive diagonal
    rng : needed where the estimates span more than two dimensions

    Raises
    ------
    OutcomeError : no generator where one is needed
    """
    sd = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(sd, sd))
    kept = values > NONE * values[-1]
    A = vectors[:, kept] * np.sqrt(values[kept])
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    rank = int(kept.sum())
    if rank == 1:
        return Family(1, np.ones(1), 0)
    if rank == 2:
        angle = (np.arange(ANGLES) + 0.5) * (np.pi / ANGLES)
        return Family(2, _bins(_largest(A, np.column_stack([np.cos(angle), np.sin(angle)]))), 0)
    if not isinstance(rng, np.random.Generator):
        raise OutcomeError(
            f"{len(A)} estimates are to be judged together, and no random generator was given",
            f"In {rank} dimensions the largest of them is simulated, and chance comes in by name",
            "Give rng=numpy.random.default_rng(seed)",
        )
    parts = []
    for _ in range(DRAWS // CHUNK):
        direction = rng.standard_normal((CHUNK, rank))
        parts.append(_largest(A, direction / np.linalg.norm(direction, axis=1, keepdims=True)))
    return Family(rank, _bins(np.concatenate(parts)), DRAWS)


def _largest(A: Matrix, directions: Matrix) -> Vector:
    """(n,) largest squared projection of each direction."""
    return np.asarray(np.max((directions @ A.T) ** 2, axis=1))


def _bins(values: Vector) -> Vector:
    """(bins,) means of equally many neighbours: what is averaged over them is smooth."""
    return np.asarray(np.sort(values).reshape(BINS, -1).mean(axis=1))


def adjust_holm(p_value: Vector) -> Vector:
    """Adjust p-values so that the chance of any false one is kept; NaN stays out of the count.

    Parameters
    ----------
    p_value : (m,)

    Returns
    -------
    adjusted : (m,), Holm, Scand J Stat 1979;6:65

    Examples
    --------
    >>> adjust_holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    adjusted = np.full(len(p_value), np.nan)
    known = np.flatnonzero(~np.isnan(p_value))
    order = known[np.argsort(p_value[known], kind="stable")]
    factor = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_value[order] * factor), 1.0)
    return adjusted
