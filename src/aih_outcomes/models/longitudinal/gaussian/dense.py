"""Any structure of V, unit by unit: covariances are built, inverted and multiplied in batches of units of one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from aih_outcomes.models.longitudinal.gaussian.structure import Structure, Units
from aih_outcomes.outcomes import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Units of one size, inverted: W (m, t, t), x̃ (m, t, p), r̃ (m, t)."""

    units: Units
    W: Array
    X: Array
    r: Matrix


class Dense:
    """The likelihood of ``Structure`` on given rows.

    Parameters
    ----------
    rows : with columns of Z on a scale near that of the intercept
    structure : what V is made of
    reml : restricted or full likelihood
    """

    def __init__(self, rows: Rows, structure: Structure, *, reml: bool) -> None:
        self.rows, self.structure, self.reml = rows, structure, reml
        self.batches = batch_units(rows, nested=structure.nested)
        p = rows.X.shape[1]
        self.constant = 0.5 * (len(rows.response) - (p if reml else 0)) * np.log(2 * np.pi)

    @property
    def parameters(self) -> tuple[str, ...]:
        return self.structure.parameters

    def start(self) -> Vector:
        residual = self.rows.response - self.rows.X @ np.linalg.lstsq(self.rows.X, self.rows.response, rcond=None)[0]
        theta = self.structure.start()
        theta[0] = 0.5 * np.log(max(float(np.mean(residual**2)) / (1 + self.structure.q), 1e-300))
        return theta

    def evaluate(self, theta: Vector) -> Evaluation | None:
        p = self.rows.X.shape[1]
        cross, log_det, inverses = np.zeros((p + 1, p + 1)), 0.0, []
        with np.errstate(all="ignore"):
            for units in self.batches:
                V = self.structure.covariance(theta, units)
                try:
                    root = np.linalg.cholesky(V)
                except np.linalg.LinAlgError:
                    return None
                log_det += 2 * float(np.log(np.diagonal(root, axis1=1, axis2=2)).sum())
                W = np.linalg.inv(V)
                XY = self._columns(units)
                WXY = W @ XY
                cross += np.tensordot(XY, WXY, axes=([0, 1], [0, 1]))
                inverses.append((units, W, WXY))
        if not (np.isfinite(log_det) and np.isfinite(cross).all()):
            return None
        try:
            lower = np.linalg.cholesky((cross[:p, :p] + cross[:p, :p].T) / 2)
        except np.linalg.LinAlgError:
            return None
        root = np.linalg.inv(lower).T
        beta = root @ (root.T @ cross[:p, p])
        combine = np.r_[-beta, 1.0]
        loglik = -0.5 * (log_det + float(combine @ cross @ combine)) - self.constant
        if self.reml:
            loglik -= float(np.log(np.diag(lower)).sum())
        state = [Batch(units, W, WXY[:, :, :p] @ root, WXY @ combine) for units, W, WXY in inverses]
        gradient, hessian, slopes, _ = self._curvature(theta, state)
        return Evaluation(theta, loglik, beta, root, gradient, hessian, slopes, state)

    def small_sample(self, evaluation: Evaluation, convention: Convention) -> SmallSample:
        natural = convention == "pbkrtest"
        p, state = self.rows.X.shape[1], evaluation.state
        if natural:
            information, slopes = self._expected(evaluation, state)
            vcov = np.asarray(np.linalg.pinv(information, hermitian=True))
        else:
            vcov, slopes = vcov_theta(evaluation), evaluation.slopes
        adjustment = -np.einsum("hk,hab,kbc->ac", vcov, slopes, slopes, optimize=True)
        for batch in state:
            V_h = self._first(evaluation.theta, batch.units, natural=natural)
            moved = V_h @ batch.X  # (k, m, t, p)
            mixed = np.tensordot(vcov, batch.W @ moved, axes=1)
            adjustment += np.einsum("hmta,hmtb->ab", moved, mixed, optimize=True)
        if convention in ("mmrm", "sas"):
            adjustment -= 0.25 * self._second_order(evaluation, vcov)
        return SmallSample((adjustment + adjustment.T) / 2, slopes, vcov)

    def blocks(self, evaluation: Evaluation) -> Sequence[tuple[Codes, Array]]:
        return [(units.rows, self.structure.covariance(evaluation.theta, units)) for units in self.batches]

    def covariance(self, evaluation: Evaluation, rows: Rows) -> Matrix:
        one = replace(rows, patient=np.zeros(len(rows.time), np.intp), cluster=np.zeros(0, np.intp))
        units = batch_units(one, nested=False)[0]
        return np.asarray(self.structure.covariance(evaluation.theta, units)[0])

    def _columns(self, units: Units) -> Array:
        return np.concatenate([self.rows.X[units.rows], self.rows.response[units.rows][:, :, None]], axis=2)

    def _first(self, theta: Vector, units: Units, *, natural: bool) -> Array:
        if natural:
            return self.structure.linear(theta, units)
        return self.structure.derivatives(theta, units, order=1)[1]

    def _curvature(self, theta: Vector, state: list[Batch]) -> tuple[Vector, Matrix, Array, Matrix]:
        """Gradient, Hessian and slopes; the last is the expected information."""
        k, p = len(theta), self.rows.X.shape[1]
        gradient, hessian, information = np.zeros(k), np.zeros((k, k)), np.zeros((k, k))
        slopes, pulls = np.zeros((k, p, p)), np.zeros((k, p))
        for batch in state:
            _, first, second = self.structure.derivatives(theta, batch.units, order=2)
            own = -0.5 * (batch.W - batch.r[:, :, None] * batch.r[:, None, :])
            if self.reml:
                own += 0.5 * batch.X @ batch.X.transpose(0, 2, 1)
            gradient += np.tensordot(first, own, axes=([1, 2, 3], [0, 1, 2]))
            WV = batch.W @ first
            moved_r, moved_X = first @ batch.r[None, :, :, None], first @ batch.X
            Wr, WX = batch.W @ moved_r, batch.W @ moved_X
            trace = _pairs(WV, WV.swapaxes(2, 3))
            fixed = _pairs(moved_X, WX)
            hessian += 0.5 * trace - _pairs(moved_r, Wr) - (fixed if self.reml else 0.0)
            information += 0.5 * trace - (fixed if self.reml else 0.0)
            for (h, g), value in second.items():
                hessian[h, g] += float(np.vdot(own, value))
                hessian[g, h] += float(np.vdot(own, value)) if h != g else 0.0
            slopes += np.einsum("mta,hmtb->hab", batch.X, moved_X, optimize=True)
            pulls += np.einsum("mta,hmtu->ha", batch.X, moved_r, optimize=True)
        hessian += pulls @ pulls.T
        if self.reml:
            both = slopes.reshape(k, -1)
            hessian += 0.5 * both @ both.T
            information += 0.5 * both @ both.T
        return gradient, (hessian + hessian.T) / 2, slopes, information

    def _expected(self, evaluation: Evaluation, state: list[Batch]) -> tuple[Matrix, Array]:
        """Expected information and slopes in the entries of V that are linear."""
        p = self.rows.X.shape[1]
        information: Matrix | float = 0.0
        slopes: Array | float = 0.0
        for batch in state:
            V_h = self.structure.linear(evaluation.theta, batch.units)
            WV, moved = batch.W @ V_h, V_h @ batch.X
            fixed = _pairs(moved, batch.W @ moved) if self.reml else 0.0
            information = information + 0.5 * _pairs(WV, WV.swapaxes(2, 3)) - fixed
            slopes = slopes + np.einsum("mta,hmtb->hab", batch.X, moved, optimize=True)
        found = np.asarray(slopes).reshape(-1, p * p)
        return np.asarray(information + (0.5 * found @ found.T if self.reml else 0.0)), np.asarray(slopes)

    def _second_order(self, evaluation: Evaluation, vcov: Matrix) -> Matrix:
        p = self.rows.X.shape[1]
        total = np.zeros((p, p))
        for batch in evaluation.state:
            second = self.structure.derivatives(evaluation.theta, batch.units, order=2)[2]
            for (h, g), value in second.items():
                weight = vcov[h, g] * (1 if h == g else 2)
                total += weight * np.tensordot(batch.X, value @ batch.X, axes=([0, 1], [0, 1]))
        return total


def _pairs(left: Array, right: Array) -> Matrix:
    """(k, k) sums of products of every pair of arrays (k, …)."""
    k = len(left)
    return np.asarray(left.reshape(k, -1) @ right.reshape(k, -1).T)


def batch_units(rows: Rows, *, nested: bool) -> list[Units]:
    """Sort rows into units, and units of one size into batches."""
    unit = rows.cluster if nested else rows.patient
    by_unit = np.argsort(unit, kind="stable")
    size = np.bincount(unit)
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    begins = np.concatenate([[True], rows.patient[1:] != rows.patient[:-1]])
    order = np.arange(len(unit)) - np.flatnonzero(begins)[np.cumsum(begins) - 1]
    batches = []
    for t in np.unique(size[size > 0]):
        own = by_unit[first[size == t][:, None] + np.arange(t)]
        same = None
        if nested:
            patient = rows.patient[own]
            same = (patient[:, :, None] == patient[:, None, :]).astype(float)
        batches.append(Units(own, rows.Z[own], order[own].astype(float), rows.time[own], rows.stratum[own],
                             rows.weight[own], same))  # fmt: skip
    return batches
