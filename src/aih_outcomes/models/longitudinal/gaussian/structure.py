"""V of one unit: random effects, a centre's effect, and residuals that may differ in variance and follow each other.

V = σ² (Z Λ Λᵀ Zᵀ + ζ² J + D^½ R D^½), in σ's own scale so that every other parameter has no unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.likelihood import Array, Codes, Matrix
from aih_outcomes.outcomes import Vector

Serial = Literal["independent", "ar1", "exponential", "exponential and error"]


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """m units of t rows each.

    Attributes
    ----------
    rows : (m, t) places in ``Rows``
    Z : (m, t, q); ``order`` (m, t) place of a row among its patient's; ``time`` (m, t), scaled
    stratum, weight : (m, t)
    same : (m, t, t) 1 where two rows are one patient's, else 0; None where a unit is a patient
    """

    rows: Codes
    Z: Array
    order: Matrix
    time: Matrix
    stratum: Codes
    weight: Matrix
    same: Array | None


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """What V is made of.

    Attributes
    ----------
    q : random effects; ``diagonal``: they are independent of each other
    nested : units are centres, with an effect of their own
    n_strata : residual variances
    serial : how residuals of one patient follow each other
    """

    q: int
    diagonal: bool
    nested: bool
    n_strata: int
    serial: Serial

    @property
    def places(self) -> list[tuple[int, int]]:
        """Entries of Λ that are parameters."""
        return [(a, b) for a in range(self.q) for b in range(a + 1) if a == b or not self.diagonal]

    @property
    def parameters(self) -> tuple[str, ...]:
        """log σ; Λ; ζ; log ratios of residual SDs to the first stratum's; what the serial part has."""
        serial = {"independent": (), "ar1": ("atanh correlation",), "exponential": ("log rate",),
                  "exponential and error": ("log rate", "logit error share")}  # fmt: skip
        return (
            "log sigma", *(f"lambda{a + 1}{b + 1}" for a, b in self.places), *(("zeta",) if self.nested else ()),
            *(f"log sd ratio {j + 1}" for j in range(1, self.n_strata)), *serial[self.serial],
        )  # fmt: skip

    def start(self) -> Vector:
        """(k,) without unit: equal variances, weak correlation; log σ is the caller's."""
        value = {"lambda": 1.0, "zeta": 0.5, "atanh correlation": 0.3, "log rate": 0.0, "logit error share": -0.5}
        names = [name.rstrip("0123456789") for name in self.parameters]
        theta = np.array([value.get(name, 0.0) for name in names])
        off = [1 + place for place, (a, b) in enumerate(self.places) if a != b]
        theta[off] = 0.0
        return theta

    def factor(self, theta: Vector) -> Matrix:
        """(q, q) Λ."""
        Lambda = np.zeros((self.q, self.q))
        for value, (a, b) in zip(theta[1:], self.places, strict=False):
            Lambda[a, b] = value
        return Lambda

    def random_cov(self, theta: Vector) -> Matrix:
        """(q, q) covariance of the random effects."""
        Lambda = self.factor(theta)
        return np.asarray(np.exp(2 * theta[0]) * Lambda @ Lambda.T)

    def covariance(self, theta: Vector, units: Units) -> Array:
        """(m, t, t) V."""
        return self.derivatives(theta, units, order=0)[0]

    def derivatives(
        self, theta: Vector, units: Units, *, order: int
    ) -> tuple[Array, Array, dict[tuple[int, int], Array]]:
        """V (m, t, t), ∂V (k, m, t, t), and those ∂²V that are not 0, by pair h ≤ k; empty below their order."""
        k = len(theta)
        m, t = units.rows.shape
        Lambda, scale = self.factor(theta), np.exp(2 * theta[0])
        first = np.zeros((k if order else 0, m, t, t))
        second: dict[tuple[int, int], Array] = {}
        V = self._residual(theta, units, first, second, order=order)
        if self.q:
            V = V + self._within(units.Z @ (Lambda @ Lambda.T) @ units.Z.transpose(0, 2, 1), units)
        place = 1 + len(self.places)
        if self.nested:
            V = V + theta[place] ** 2
        if order:
            self._of_effects(theta, units, first, second, Lambda, order=order)
            for h in range(1, k):
                first[h] *= scale
            second = {pair: scale * value for pair, value in second.items()}
            first[0] = 2 * scale * V
            if order > 1:
                second[0, 0] = 2 * first[0]
                second |= {(0, h): 2 * first[h] for h in range(1, k)}
        return scale * V, first, second

    def linear(self, theta: Vector, units: Units) -> Array:
        """(k, m, t, t) ∂V for the entries of the random effects' covariance, the centres' variance and σ².

        Only where residuals are independent with one variance: V is linear in these.
        """
        m, t = units.rows.shape
        parts = []
        for a, b in self.places:
            outer = units.Z[:, :, None, a] * units.Z[:, None, :, b]
            parts.append(self._within(outer if a == b else outer + outer.transpose(0, 2, 1), units))
        if self.nested:
            parts.append(np.ones((m, t, t)))
        parts.append(np.eye(t) / units.weight[:, None, :])
        return np.stack(parts)

    def _within(self, value: Array, units: Units) -> Array:
        return value if units.same is None else value * units.same

    def _of_effects(self, theta: Vector, units: Units, first: Array, second: dict[tuple[int, int], Array],
                    Lambda: Matrix, *, order: int) -> None:  # fmt: skip
        ZL = units.Z @ Lambda
        for h, (a, b) in enumerate(self.places, start=1):
            outer = units.Z[:, :, None, a] * ZL[:, None, :, b]
            first[h] = self._within(outer + outer.transpose(0, 2, 1), units)
            if order > 1:
                for k, (c, d) in enumerate(self.places[h - 1 :], start=h):
                    if b == d:
                        both = units.Z[:, :, None, a] * units.Z[:, None, :, c]
                        second[h, k] = self._within(both + both.transpose(0, 2, 1), units)
        if self.nested:
            place = 1 + len(self.places)
            first[place] = 2 * theta[place]
            if order > 1:
                second[place, place] = np.full(first[place].shape, 2.0)

    def _residual(self, theta: Vector, units: Units, first: Array, second: dict[tuple[int, int], Array],
                  *, order: int) -> Array:  # fmt: skip
        """D^½ R D^½; its derivatives are written into ``first`` and ``second``."""
        at = 1 + len(self.places) + self.nested
        ratio = np.r_[0.0, theta[at : at + self.n_strata - 1]]
        sd = np.exp(ratio)[units.stratum] / np.sqrt(units.weight)
        frame = sd[:, :, None] * sd[:, None, :]
        R, dR, d2R = self._correlation(theta[at + self.n_strata - 1 :], units)
        V = frame * R
        if not order:
            return V
        inside = [(units.stratum == j).astype(float) for j in range(1, self.n_strata)]
        both = [one[:, :, None] + one[:, None, :] for one in inside]
        for j, own in enumerate(both):
            first[at + j] = own * V
            for i, other in enumerate(both[: j + 1] if order > 1 else []):
                second[at + i, at + j] = own * other * V
        serial = at + self.n_strata - 1
        for i, change in enumerate(dR):
            first[serial + i] = frame * change
            for j, own in enumerate(both if order > 1 else []):
                second[at + j, serial + i] = own * frame * change
        if order > 1:
            second |= {(serial + i, serial + j): frame * value for (i, j), value in d2R.items()}
        return V

    def _correlation(self, theta: Vector, units: Units) -> tuple[Array, list[Array], dict[tuple[int, int], Array]]:
        """R of residuals and its derivatives in the serial parameters."""
        m, t = units.rows.shape
        eye = np.broadcast_to(np.eye(t), (m, t, t))
        if self.serial == "independent":
            return eye, [], {}
        if self.serial == "ar1":
            lag = np.abs(units.order[:, :, None] - units.order[:, None, :])
            rho = float(np.tanh(theta[0]))
            power = rho ** np.maximum(lag - 2, 0)
            one = lag * rho ** np.maximum(lag - 1, 0) * (lag > 0)
            two = lag * (lag - 1) * power * (lag > 1)
            slope, bend = 1 - rho**2, -2 * rho * (1 - rho**2)
            R, first = rho**lag, one * slope
            return self._within(R, units), [self._within(first, units)], {
                (0, 0): self._within(two * slope**2 + one * bend, units)
            }  # fmt: skip
        gap = np.exp(theta[0]) * np.abs(units.time[:, :, None] - units.time[:, None, :])
        S = self._within(np.exp(-gap), units)
        dS, d2S = -gap * S, (gap**2 - gap) * S
        if self.serial == "exponential":
            return S, [dS], {(0, 0): d2S}
        share = 1 / (1 + np.exp(-theta[1]))
        slope = share * (1 - share)
        R = share * eye + (1 - share) * S
        return R, [(1 - share) * dS, slope * (eye - S)], {
            (0, 0): (1 - share) * d2S, (0, 1): -slope * dS, (1, 1): slope * (1 - 2 * share) * (eye - S),
        }  # fmt: skip
