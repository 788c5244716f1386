"""Covariance of fixed effects from the scatter of independent units instead of the model, with degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.likelihood import Array, Fitted, Matrix
from aih_outcomes.outcomes import Vector

Correction = Literal["CR0", "CR2", "CR3"]

FULL_LEVERAGE = 1e-10  # what a unit leaves of itself below this is nothing: it alone determines an effect


@dataclass(frozen=True, slots=True, eq=False)
class Sandwich:
    """Bread, scores and what the degrees of freedom need; n units, p fixed effects, in whitened coordinates.

    Attributes
    ----------
    meat : (p, p) Σ s sᵀ of the units' corrected scores
    axes : per size of unit, (m, d, p) right singular vectors of its whitened design X̃ (H = X̃ X̃ᵀ is its leverage)
    singular : per size, (m, d) singular values; ``factor`` (m, d) the correction along them
    """

    meat: Matrix
    axes: tuple[Array, ...]
    singular: tuple[Matrix, ...]
    factor: tuple[Matrix, ...]

    def degrees_of_freedom(self, whitened: Matrix) -> Vector:
        """(m,) degrees of freedom of contrasts, Cᵀ c as the rows of ``whitened`` (m, p).

        A sum of squares of normal variables with covariance P under the model is taken for a chi-square of the same
        mean and variance: tr(P)² / tr(P²), P_ij = bᵢᵀ(1_ij I − X̃ᵢ X̃ⱼᵀ)bⱼ, b = A X̃ Cᵀc.
        Bell & McCaffrey, Survey Methodology 2002;28:169.
        """
        total, squares = np.zeros(len(whitened)), np.zeros(len(whitened))
        p = whitened.shape[1]
        shared = np.zeros((len(whitened), p, p))
        for V, s, f in zip(self.axes, self.singular, self.factor, strict=True):
            along = np.einsum("mdp,cp->cmd", V, whitened, optimize=True)
            own = np.sum((along * s * f) ** 2, axis=2)
            fitted = along * s**2 * f
            lost = np.sum(fitted**2, axis=2)
            total += np.sum(own - lost, axis=1)
            squares += np.sum(own**2 - 2 * own * lost, axis=1)
            e = np.einsum("cmd,mdp->cmp", fitted, V, optimize=True)
            shared += e.transpose(0, 2, 1) @ e
        squares += np.sum(shared**2, axis=(1, 2))
        return np.asarray(np.divide(total**2, squares, out=np.full(len(total), np.nan), where=squares > 0))


def make_sandwich(fitted: Fitted, correction: Correction) -> Sandwich:
    """Sum the scores of the kernel's units (patients, or centres where patients are nested in them).

    Parameters
    ----------
    fitted : an optimum
    correction : of the residuals by their leverage H: none (``CR0``), (I − H)^−½ (``CR2``), (I − H)⁻¹ (``CR3``, the
        jackknife to first order)

    Notes
    -----
    Liang & Zeger, Biometrika 1986;73:13; Bell & McCaffrey 2002; Mancl & DeRouen, Biometrics 2001;57:126.
    """
    rows, here = fitted.rows, fitted.evaluation
    residual = rows.response - rows.X @ here.beta
    both = np.column_stack([rows.X @ here.root, residual])
    p = rows.X.shape[1]
    meat, axes, singular, factor = np.zeros((p, p)), [], [], []
    power = {"CR0": 0.0, "CR2": -0.5, "CR3": -1.0}[correction]
    for places, V in fitted.kernel.blocks(here):
        white = np.linalg.solve(np.linalg.cholesky(V), both[places])
        U, s, Vt = np.linalg.svd(white[:, :, :p], full_matrices=False)
        left = 1 - s**2
        f = np.where(left > FULL_LEVERAGE, np.maximum(left, FULL_LEVERAGE) ** power, 0.0 if power else 1.0)
        score = np.einsum("mdp,md->mp", Vt, s * f * np.einsum("mtd,mt->md", U, white[:, :, p]))
        meat += score.T @ score
        axes.append(Vt)
        singular.append(s)
        factor.append(f)
    return Sandwich(meat, tuple(axes), tuple(singular), tuple(factor))
