"""Any structure of V, unit by unit: covariances are built, inverted and multiplied in batches of units of one size."""

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
from aih_outcomes.models.longitudinal.gaussian.units import Units, batch_like_units
from aih_outcomes.outcomes import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Units laid together: X and y (m, t, p + 1); at one θ H⁻¹ (m, t, t), H⁻¹X whitened (m, t, p), H⁻¹(y − Xβ) / σ."""

    units: Units
    XY: Array
    W: Array
    X: Array
    r: Array


class Dense:
    """The likelihood of ``Structure`` on given rows; H = V / σ².

    Parameters
    ----------
    rows : with columns of Z on a scale near that of the intercept
    structure : what V is made of
    reml : restricted or full likelihood
    """

    def __init__(self, rows: Rows, structure: Structure, *, reml: bool) -> None:
        self.rows, self.structure, self.reml = rows, structure, reml
        self.nu = len(rows.response) - (rows.X.shape[1] if reml else 0)
        self.constant = 0.5 * self.nu * np.log(2 * np.pi)
        self.batches = []
        for units in batch_like_units(rows, nested=structure.nested):
            XY = np.concatenate([rows.X[units.rows], rows.response[units.rows][:, :, None]], axis=2)
            self.batches.append((units, XY * units.present[:, :, None]))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters, log σ first."""
        return self.structure.parameters

    def start(self) -> Vector:
        """Begin where moments or plain guesses point."""
        residual = self.rows.response - self.rows.X @ np.linalg.lstsq(self.rows.X, self.rows.response, rcond=None)[0]
        theta = self.structure.start()
        theta[0] = 0.5 * np.log(max(float(np.mean(residual**2)) / (1 + self.structure.q), 1e-300))
        return theta

    def evaluate(self, theta: Vector) -> Evaluation | None:
        """Return the likelihood and its derivatives; None where V is not positive definite."""
        return self._evaluate(theta, profile=False)

    def profile(self, theta: Vector) -> Evaluation | None:
        """Return the likelihood where σ is the best for the rest of θ."""
        return self._evaluate(theta, profile=True)

    def _evaluate(self, theta: Vector, *, profile: bool) -> Evaluation | None:
        p = self.rows.X.shape[1]
        found = self._invert(theta)
        if found is None:
            return None
        log_det, cross, inverses = found
        log_sigma = None if profile else theta[0]
        solved = solve_normal_equations(cross, log_det, self.nu, reml=self.reml, log_sigma=log_sigma)
        if solved is None:
            return None
        combine = np.concatenate([-solved.beta, [1.0]]) / solved.sigma
        theta = np.concatenate([[np.log(solved.sigma)], theta[1:]])
        state = [Batch(units, XY, W, WXY[:, :, :p] @ solved.root, WXY @ combine)
                 for (units, XY), (W, WXY) in zip(self.batches, inverses, strict=True)]  # fmt: skip
        gradient, hessian, slopes = self._curvature(theta, state, solved.rss)
        loglik, root = solved.loglik - self.constant, solved.sigma * solved.root
        return Evaluation(theta, loglik, solved.beta, root, gradient, hessian, slopes, state)

    def _invert(self, theta: Vector) -> tuple[float, Matrix, list[tuple[Array, Array]]] | None:
        """log|H|, [X y]ᵀH⁻¹[X y], and by batch H⁻¹ and H⁻¹[X y]."""
        p = self.rows.X.shape[1]
        log_det, cross, inverses = 0.0, np.zeros((p + 1, p + 1)), []
        with np.errstate(all="ignore"):
            for units, XY in self.batches:
                H = self.structure.relative(theta, units, order=0)[0]
                np.einsum("mtt->mt", H)[...] += 1 - units.present
                try:
                    lower = np.linalg.cholesky(H)
                    W = np.asarray(np.linalg.inv(H), float)
                except np.linalg.LinAlgError:
                    return None
                log_det += 2 * float(np.log(np.diagonal(lower, axis1=1, axis2=2)).sum())
                WXY = W @ XY
                cross += np.tensordot(XY, WXY, axes=([0, 1], [0, 1]))
                inverses.append((W, WXY))
        return log_det, cross, inverses

    def small_sample(self, evaluation: Evaluation, convention: Convention) -> SmallSample:
        """Return Kenward and Roger's correction by the convention named."""
        natural = convention == "pbkrtest"
        p, state = self.rows.X.shape[1], evaluation.state
        if natural:
            information, slopes = self.expected_information(evaluation)
            vcov = np.asarray(np.linalg.pinv(information, hermitian=True))
        else:
            vcov, slopes = vcov_theta(evaluation), evaluation.slopes
        adjustment = 4 * vcov[0, 0] * np.eye(p) + 4 * np.tensordot(vcov[0, 1:], slopes[1:], axes=1)
        adjustment -= np.einsum("hk,hab,kbc->ac", vcov, slopes, slopes, optimize=True)
        for batch in state:
            moved = self._first(evaluation.theta, batch.units, natural=natural) @ batch.X  # (k − 1, m, t, p)
            mixed = np.tensordot(vcov[1:, 1:], batch.W @ moved, axes=1)
            adjustment += np.tensordot(moved, mixed, axes=([0, 1, 2], [0, 1, 2]))
        if convention in ("mmrm", "sas"):
            adjustment -= 0.25 * self._second_order(evaluation, vcov)
        return SmallSample((adjustment + adjustment.T) / 2, slopes, vcov)

    def blocks(self, evaluation: Evaluation) -> Sequence[tuple[Codes, Array]]:
        """Return V of every unit: rows (m, t) and covariances (m, t, t), units of one size together."""
        return self.structure.blocks(evaluation.theta, self.rows)

    def covariance(self, evaluation: Evaluation, rows: Rows) -> Matrix:
        """(n, n) V of any rows of one patient."""
        return self.structure.of_one(evaluation.theta, rows)

    def _first(self, theta: Vector, units: Units, *, natural: bool) -> Array:
        if natural:
            return self.structure.directions(theta, units)
        return self.structure.relative(theta, units, order=1)[1]

    def _curvature(self, theta: Vector, state: list[Batch], rss: float) -> tuple[Vector, Matrix, Array]:
        """Gradient, Hessian and slopes; those of log σ follow from V = σ² H."""
        k, p, own = len(theta) - 1, self.rows.X.shape[1], 1.0 if self.reml else 0.0
        gradient, hessian, quadratic = np.zeros(k), np.zeros((k, k)), np.zeros(k)
        slopes, pulls = np.zeros((k, p, p)), np.zeros((k, p))
        for batch in state:
            _, first, second = self.structure.relative(theta, batch.units, order=2)
            G = -0.5 * (batch.W - batch.r[:, :, None] * batch.r[:, None, :] - own * batch.X @ batch.X.swapaxes(1, 2))
            gradient += first.reshape(k, G.size) @ G.ravel()
            both = np.concatenate([batch.X, batch.r[:, :, None]], axis=2)
            moved = first @ both
            turned, WH = batch.W @ moved, self._whiten(theta, batch, first)
            hessian += 0.5 * _pairs(WH, WH.swapaxes(2, 3)) - _pairs(moved[..., p], turned[..., p])
            hessian -= own * _pairs(moved[..., :p], turned[..., :p])
            for (h, g), value in second.items():
                bend = float(np.vdot(G, value))
                hessian[h, g] += bend
                hessian[g, h] += bend if h != g else 0.0
            joint = np.tensordot(moved, both, axes=([1, 2], [0, 1]))  # (k, p + 1, p + 1)
            slopes += joint[:, :p, :p]
            pulls += joint[:, p, :p]
            quadratic += joint[:, p, p]
        flat = slopes.reshape(k, p * p)
        hessian += pulls @ pulls.T + 0.5 * own * flat @ flat.T
        full = np.block([[np.array([[-2 * rss]]), -quadratic[None]], [-quadratic[:, None], (hessian + hessian.T) / 2]])
        slopes = np.concatenate([2 * np.eye(p)[None], (slopes + slopes.swapaxes(1, 2)) / 2])
        return np.concatenate([[rss - self.nu], gradient]), full, slopes

    def _whiten(self, theta: Vector, batch: Batch, first: Array) -> Array:
        """(k, m, t, t) H⁻¹ ∂H; what random effects change has the rank of Z."""
        e = self.structure.n_entries if batch.units.same is None else 0
        if not e:
            return batch.W @ first
        WZ, Zt = batch.W @ batch.units.Z, batch.units.Z.swapaxes(1, 2)
        effects = self.structure.changes(theta)[:, None] @ Zt
        return np.concatenate([WZ @ effects, batch.W @ first[e:]])

    def expected_information(self, evaluation: Evaluation) -> tuple[Matrix, Array]:
        """Return expected information and slopes in log σ and ``Structure.directions``."""
        theta, state = evaluation.theta, evaluation.state
        k, p, own = len(theta), self.rows.X.shape[1], 1.0 if self.reml else 0.0
        information, slopes = np.zeros((k, k)), np.zeros((k, p, p))
        for batch in state:
            first = self.structure.directions(theta, batch.units)
            moved, WH = first @ batch.X, batch.W @ first
            information[1:, 1:] += 0.5 * _pairs(WH, WH.swapaxes(2, 3)) - own * _pairs(moved, batch.W @ moved)
            information[0, 1:] += np.tensordot(first, batch.W, axes=([1, 2, 3], [0, 1, 2]))
            slopes[1:] += np.tensordot(moved, batch.X, axes=([1, 2], [0, 1]))
        slopes[0] = 2 * np.eye(p)
        information[0, 1:] -= 2 * own * np.trace(slopes[1:], axis1=1, axis2=2)
        information[1:, 0] = information[0, 1:]
        information[0, 0] = 2 * len(self.rows.response) - 4 * own * p
        flat = slopes.reshape(k, p * p)
        return np.asarray(information + 0.5 * own * flat @ flat.T), slopes

    def _second_order(self, evaluation: Evaluation, vcov: Matrix) -> Matrix:
        """Σ vcov_hk Σ x̃ᵀ ∂²V x̃."""
        p = self.rows.X.shape[1]
        total = 4 * vcov[0, 0] * np.eye(p) + 4 * np.tensordot(vcov[0, 1:], evaluation.slopes[1:], axes=1)
        for batch in evaluation.state:
            second = self.structure.relative(evaluation.theta, batch.units, order=2)[2]
            for (h, g), value in second.items():
                weight = vcov[1 + h, 1 + g] * (1 if h == g else 2)
                total += weight * np.tensordot(batch.X, value @ batch.X, axes=([0, 1], [0, 1]))
        return np.asarray(total)


def _pairs(left: Array, right: Array) -> Matrix:
    """(k, k) sums of products of every pair of arrays (k, …)."""
    shape = (len(left), int(np.prod(left.shape[1:])))
    return np.asarray(left.reshape(shape) @ right.reshape(shape).T)
