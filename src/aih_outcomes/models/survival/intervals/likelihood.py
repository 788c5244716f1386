"""The likelihood of a model in which z is linear in the parameters, from exact, censored and interval-censored rows.

z = offset + D θ at each end of the interval; S(t) = S₀(z). Accelerated failure (z = τ log t − x γ, Burridge, J R Stat
Soc B 1981;43:41) and flexible proportional hazards (z = spline of log t + x β) are both of this kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.models.survival.intervals.distributions import Distribution, Partials, before, between, beyond, exact
from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """What is known of each patient's time; (n,) each.

    Attributes
    ----------
    entry : follow-up is conditional on being event-free here; 0 for none
    left, right : the event lies in (left, right]; equal where it is exact
    weight : case weights
    """

    entry: Vector
    left: Vector
    right: Vector
    weight: Vector

    @property
    def exact(self) -> NDArray[np.bool_]:
        """(n,) Whether the time itself is known."""
        return np.asarray(self.left == self.right)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(n,) Whether the event was seen at all."""
        return np.isfinite(self.right)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The times at which z is needed, and where each row finds its own.

    Attributes
    ----------
    low, high : rows of the design for the lower and upper end; −1 where the end is open
    exact : (n,) the time is known
    weight : (n,) negative for the terms that condition on late entry
    row : (n,) the patient's row
    log_time : (n_places,) log of each time; ``owner`` (n_places,) its patient's row
    """

    low: Index
    high: Index
    exact: NDArray[np.bool_]
    weight: Vector
    row: Index
    log_time: Vector
    owner: Index


def find_places(ends: Ends) -> Places:
    """List the times at which z is needed; late entry adds a term log S(z) with negative weight."""
    n = len(ends.left)
    late = np.flatnonzero(ends.entry > 0)
    row = np.concatenate([np.arange(n), late])
    left = np.concatenate([ends.left, ends.entry[late]])
    right = np.concatenate([ends.right, np.full(len(late), np.inf)])
    is_exact = left == right
    has_low, has_high = left > 0, np.isfinite(right) & ~is_exact
    low, high = np.full(len(row), -1), np.full(len(row), -1)
    low[has_low] = np.arange(has_low.sum())
    high[has_high] = has_low.sum() + np.arange(has_high.sum())
    return Places(
        low, high, is_exact, np.concatenate([ends.weight, -ends.weight[late]]), row,
        np.log(np.concatenate([left[has_low], right[has_high]])), np.concatenate([row[has_low], row[has_high]]),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A model: z = ``offset`` (n_places,) + ``D`` (n_places, p) θ; dz/d log t = ``E`` (n_places, p) θ + ``rate``."""

    places: Places
    distribution: Distribution
    D: Matrix
    E: Matrix
    offset: Vector
    rate: float = 0.0

    def evaluate(self, theta: Vector) -> tuple[float, Vector, Matrix]:
        """Log-likelihood (of times, not of log times), gradient (p,) and information (p, p)."""
        z = self.offset + self.D @ theta
        loglik, information = 0.0, np.zeros((len(theta), len(theta)))
        score = np.zeros(len(theta))
        for rows, part in self._parts(z):
            w = self.places.weight[rows]
            low, high = self._design(self.places.low[rows]), self._design(self.places.high[rows])
            loglik += float(np.sum(w * part.value))
            score += low.T @ (w * part.low) + high.T @ (w * part.high)
            cross = low.T @ ((w * part.low_high)[:, None] * high)
            information -= low.T @ ((w * part.low_low)[:, None] * low) + cross + cross.T
            information -= high.T @ ((w * part.high_high)[:, None] * high)
        rows = np.flatnonzero(self.places.exact)
        if len(rows):
            at, w = self.places.low[rows], self.places.weight[rows]
            rate = self.rate + self.E[at] @ theta
            loglik += float(np.sum(w * (np.log(rate) - self.places.log_time[at])))
            slopes = self.E[at] / rate[:, None]
            score += slopes.T @ w
            information += slopes.T @ (w[:, None] * slopes)
        return (loglik if np.isfinite(loglik) else -np.inf), score, information

    def row_scores(self, theta: Vector, n_rows: int) -> Matrix:
        """(n_rows, p) each patient's share of the gradient."""
        z = self.offset + self.D @ theta
        shares = np.zeros((len(self.places.row), len(theta)))
        for rows, part in self._parts(z):
            shares[rows] = self._design(self.places.low[rows]) * part.low[:, None]
            shares[rows] += self._design(self.places.high[rows]) * part.high[:, None]
        rows = np.flatnonzero(self.places.exact)
        at = self.places.low[rows]
        shares[rows] += self.E[at] / (self.rate + self.E[at] @ theta)[:, None]
        shares *= self.places.weight[:, None]
        return np.column_stack([np.bincount(self.places.row, column, n_rows) for column in shares.T])

    def _design(self, at: Index) -> Matrix:
        """Rows of D; of zeros where the end is open."""
        return np.asarray(np.where((at >= 0)[:, None], self.D[at], 0.0))

    def _parts(self, z: Vector) -> list[tuple[Index, Partials]]:
        """Rows and derivatives for each kind of row that occurs."""
        low, high, is_exact = self.places.low, self.places.high, self.places.exact
        kinds = {
            "exact": is_exact, "beyond": (low >= 0) & (high < 0) & ~is_exact, "before": (low < 0) & (high >= 0),
            "between": (low >= 0) & (high >= 0),
        }  # fmt: skip
        found = []
        for kind, chosen in kinds.items():
            rows = np.flatnonzero(chosen)
            if not len(rows):
                continue
            if kind == "between":
                found.append((rows, between(self.distribution, z[low[rows]], z[high[rows]])))
            else:
                own = z[high[rows]] if kind == "before" else z[low[rows]]
                function = {"exact": exact, "beyond": beyond, "before": before}[kind]
                found.append((rows, function(self.distribution, own)))
        return found
