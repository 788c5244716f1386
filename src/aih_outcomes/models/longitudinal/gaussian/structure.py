"""V of one unit: random effects, a centre's effect, and residuals that may differ in variance and follow each other.

V = σ² (Z Λ Λᵀ Zᵀ + ζ² J + D^½ R D^½), in σ's own scale so that every other parameter has no unit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.likelihood import Array, Codes, Matrix, Rows
from aih_outcomes.models.longitudinal.gaussian.units import Units, batch_units
from aih_outcomes.outcomes import Vector

Serial = Literal["independent", "ar1", "exponential", "exponential and error"]


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """What V is made of.

    Attributes
    ----------
    q : random effects; ``diagonal``: they are independent of each other
    nested : units are centres, with an effect of their own
    n_strata : residual variances
    serial : how residuals of one patient follow each other
    spanned : (entries, q, q) matrices of which Λ is a combination; None for the entries of its lower triangle
    """

    q: int
    diagonal: bool
    nested: bool
    n_strata: int
    serial: Serial
    spanned: Array | None = None

    @property
    def places(self) -> list[tuple[int, int]]:
        """Entries of Λ that are parameters."""
        return [(a, b) for a in range(self.q) for b in range(a + 1) if a == b or not self.diagonal]

    @property
    def loadings(self) -> Array:
        """(entries, q, q) what each parameter of Λ multiplies."""
        if self.spanned is not None:
            return self.spanned
        loadings = np.zeros((len(self.places), self.q, self.q))
        for h, (a, b) in enumerate(self.places):
            loadings[h, a, b] = 1.0
        return loadings

    @property
    def n_entries(self) -> int:
        """Parameters of Λ."""
        return len(self.places) if self.spanned is None else len(self.spanned)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Log σ; Λ; ζ; log ratios of residual SDs to the first stratum's; what the serial part has."""
        serial = {"independent": (), "ar1": ("atanh correlation",), "exponential": ("log rate",),
                  "exponential and error": ("log rate", "logit error share")}  # fmt: skip
        return (
            "log sigma", *(f"lambda{a + 1}{b + 1}" for a, b in self.places[: self.n_entries]),
            *(("zeta",) if self.nested else ()),
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
        return np.asarray(np.tensordot(theta[1 : 1 + self.n_entries], self.loadings, axes=1))

    def random_cov(self, theta: Vector) -> Matrix:
        """(q, q) covariance of the random effects."""
        Lambda = self.factor(theta)
        return np.asarray(np.exp(2 * theta[0]) * Lambda @ Lambda.T)

    def basis(self) -> Array:
        """(entries, q, q) symmetric matrices that span the covariance of the random effects."""
        basis = np.zeros((len(self.places), self.q, self.q))
        for h, (a, b) in enumerate(self.places):
            basis[h, a, b] = basis[h, b, a] = 1.0
        return basis

    def changes(self, theta: Vector) -> Array:
        """(entries, q, q) ∂ΛΛᵀ in the parameters of Λ."""
        half = self.loadings @ self.factor(theta).T
        return np.asarray(half + half.swapaxes(1, 2))

    def bends(self) -> Array:
        """(entries, entries, q, q) half of ∂²ΛΛᵀ, not symmetrised."""
        return np.asarray(np.einsum("hac,gbc->hgab", self.loadings, self.loadings))

    def blocks(self, theta: Vector, rows: Rows) -> list[tuple[Codes, Array]]:
        """V of every unit: places of its rows (m, t), covariances (m, t, t)."""
        return [(units.rows, self.covariance(theta, units)) for units in batch_units(rows, nested=self.nested)]

    def of_one(self, theta: Vector, rows: Rows) -> Matrix:
        """(n, n) V of any rows of one patient."""
        one = replace(rows, patient=np.zeros(len(rows.time), np.intp), cluster=np.zeros(len(rows.time), np.intp))
        return np.asarray(self.covariance(theta, batch_units(one, nested=False)[0])[0])

    def covariance(self, theta: Vector, units: Units) -> Array:
        """(m, t, t) V."""
        return np.asarray(np.exp(2 * theta[0]) * self.relative(theta, units, order=0)[0])

    def relative(self, theta: Vector, units: Units, *, order: int) -> tuple[Array, Array, dict[tuple[int, int], Array]]:
        """H = V / σ² (m, t, t), ∂H (k − 1, m, t, t), and those ∂²H that are not 0; all by the parameters after log σ.

        Derivatives above ``order`` are empty; second ones stand by pair h ≤ g.
        """
        m, t = units.rows.shape
        first = np.zeros((len(theta) - 1 if order else 0, m, t, t))
        second: dict[tuple[int, int], Array] = {}
        H = self._residual(theta[1:], units, first, second, order=order)
        if self.q:
            Lambda = self.factor(theta)
            H = H + self._within(units.Z @ (Lambda @ Lambda.T) @ units.Z.swapaxes(1, 2), units)
            if order:
                self._of_effects(theta, units, first, second, order=order)
        if self.nested:
            place = self.n_entries
            all_pairs = units.present[:, :, None] * units.present[:, None, :]
            H = H + theta[1 + place] ** 2 * all_pairs
            if order:
                first[place] = 2 * theta[1 + place] * all_pairs
            if order > 1:
                second[place, place] = 2 * all_pairs
        return H, first, second

    def directions(self, theta: Vector, units: Units) -> Array:
        """(k − 1, m, t, t) ∂H by the entries of the random effects' covariance and of the centres' variance.

        For what is left, by its own parameters. Where residuals are independent with one variance, these and H span
        the entries in which V is linear.
        """
        directions = self.relative(theta, units, order=1)[1]
        Zt = units.Z.swapaxes(1, 2)
        for h, one in enumerate(self.basis()):
            directions[h] = self._within(units.Z @ one @ Zt, units)
        if self.nested:
            directions[self.n_entries] = units.present[:, :, None] * units.present[:, None, :]
        return directions

    def _within(self, value: Array, units: Units) -> Array:
        return value if units.same is None else value * units.same

    def _of_effects(self, theta: Vector, units: Units, first: Array, second: dict[tuple[int, int], Array],
                    *, order: int) -> None:  # fmt: skip
        Zt = units.Z.swapaxes(1, 2)
        for h, change in enumerate(self.changes(theta)):
            first[h] = self._within(units.Z @ change @ Zt, units)
        if order > 1:
            bends = self.bends()
            for h, g in zip(*np.nonzero(np.triu(bends.any(axis=(2, 3)))), strict=True):
                second[int(h), int(g)] = self._within(units.Z @ (bends[h, g] + bends[h, g].T) @ Zt, units)

    def _residual(self, shape: Vector, units: Units, first: Array, second: dict[tuple[int, int], Array],
                  *, order: int) -> Array:  # fmt: skip
        """D^½ R D^½; its derivatives are written into ``first`` and ``second``."""
        at = self.n_entries + self.nested
        ratio = np.concatenate([[0.0], shape[at : at + self.n_strata - 1]])
        sd = np.exp(ratio)[units.stratum] / np.sqrt(units.weight)
        frame = sd[:, :, None] * sd[:, None, :]
        serial = at + self.n_strata - 1
        R, dR, d2R = self._correlation(shape[serial:], units, order=order)
        H = np.asarray(frame * R)
        if not order:
            return H
        inside = [(units.stratum == j).astype(float) for j in range(1, self.n_strata)]
        both = [one[:, :, None] + one[:, None, :] for one in inside]
        for j, own in enumerate(both):
            first[at + j] = own * H
            for i, other in enumerate(both[: j + 1] if order > 1 else []):
                second[at + i, at + j] = own * other * H
        for i, change in enumerate(dR):
            first[serial + i] = frame * change
            for j, own in enumerate(both if order > 1 else []):
                second[at + j, serial + i] = own * frame * change
        if order > 1:
            second |= {(serial + i, serial + j): frame * value for (i, j), value in d2R.items()}
        return H

    def _correlation(
        self, theta: Vector, units: Units, *, order: int
    ) -> tuple[Array, list[Array], dict[tuple[int, int], Array]]:
        """R of residuals and its derivatives in the serial parameters."""
        m, t = units.rows.shape
        eye = np.broadcast_to(np.eye(t), (m, t, t))
        if self.serial == "independent":
            return np.asarray(eye, float), [], {}
        if self.serial == "ar1":
            lag = np.abs(units.order[:, :, None] - units.order[:, None, :])
            rho = float(np.tanh(theta[0]))
            one = lag * rho ** np.maximum(lag - 1, 0)
            two = lag * (lag - 1) * rho ** np.maximum(lag - 2, 0)
            slope, bend = 1 - rho**2, -2 * rho * (1 - rho**2)
            return self._within(rho**lag, units), [self._within(one * slope, units)], {
                (0, 0): self._within(two * slope**2 + one * bend, units)
            }  # fmt: skip
        run = np.abs(units.time[:, :, None] - units.time[:, None, :])
        run *= -np.exp(theta[0])
        S = np.asarray(self._within(np.exp(run), units))
        dS = run * S if order else S
        d2S = (run + 1) * dS if order > 1 else S
        if self.serial == "exponential":
            return S, [dS], {(0, 0): d2S}
        share = 1 / (1 + np.exp(-theta[1]))
        slope = share * (1 - share)
        error = np.eye(t) - S
        R = S + share * error
        if not order:
            return R, [], {}
        return R, [(1 - share) * dS, slope * error], {
            (0, 0): (1 - share) * d2S, (0, 1): -slope * dS, (1, 1): slope * (1 - 2 * share) * error,
        }  # fmt: skip
