"""Residuals of a Gaussian model with correlated values, unit by unit: marginal, conditional, decorrelated.

r = y − X β; V = L Lᵀ. Decorrelated residuals L⁻¹ r are independent with variance 1 where the model holds (Fitzmaurice,
Laird & Ware, Applied Longitudinal Analysis, 2011, 10.2). The patient's own part of r is S V⁻¹ r, S what random effects
add to V.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.models.longitudinal.gaussian.effects import Effects
from aih_outcomes.models.longitudinal.gaussian.likelihood import Array, Codes, Fitted, Matrix
from aih_outcomes.outcomes import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """n residuals of each kind.

    Attributes
    ----------
    predicted : (n,) mean of everyone with these terms, X β; ``marginal`` (n,) value − predicted
    conditional : (n,) value − the patient's own course; ``conditional_sd`` (n,); NaN without random effects
    decorrelated : (n,) independent, variance 1
    from_others : (n,) what the patient's other values make of this one
    """

    predicted: Vector
    marginal: Vector
    conditional: Vector
    conditional_sd: Vector
    decorrelated: Vector
    from_others: Vector


def compute_model_residuals(fitted: Fitted) -> Residuals:
    """Return the residuals of every row.

    Notes
    -----
    ``from_others`` is the conditional mean given the other values of the unit, y − (V⁻¹r)_i / (V⁻¹)_ii (Dubrule, Math
    Geol 1983;15:687); the mean alone where there are none.
    """
    rows = fitted.rows
    predicted = rows.X @ fitted.evaluation.beta
    marginal = rows.response - predicted
    n = len(marginal)
    conditional, sd, white, others = (np.full(n, np.nan) for _ in range(4))
    for places, V in fitted.kernel.blocks(fitted.evaluation):
        r = marginal[places]
        white[places] = np.linalg.solve(np.linalg.cholesky(V), r[:, :, None])[:, :, 0]
        W = np.linalg.inv(V)
        pulled = np.einsum("mtu,mu->mt", W, r)
        others[places] = rows.response[places] - pulled / np.diagonal(W, axis1=1, axis2=2)
        own = own_covariance(fitted, places)
        if own is not None:
            conditional[places] = r - np.einsum("mtu,mu->mt", own, pulled)
            spread = np.diagonal(V, axis1=1, axis2=2) - np.diagonal(own, axis1=1, axis2=2)
            sd[places] = np.sqrt(np.maximum(spread, 0.0))
    return Residuals(predicted, marginal, conditional, sd, white, others)


def own_covariance(fitted: Fitted, places: Codes) -> Array | None:
    """(m, t, t) what the effects of patients, and of their centres, add to V; None where there are none."""
    rows, kernel = fitted.rows, fitted.kernel
    nested = "zeta" in kernel.parameters
    if not isinstance(kernel, Effects) or not (rows.Z.shape[1] or nested):
        return None
    same = rows.patient[places][:, :, None] == rows.patient[places][:, None, :]
    own = np.zeros(same.shape)
    if rows.Z.shape[1]:
        Z = rows.Z[places]
        own = same * (Z @ kernel.random_cov(fitted.evaluation) @ Z.transpose(0, 2, 1))
    if nested:
        theta = dict(zip(kernel.parameters, fitted.evaluation.theta, strict=True))
        own = own + (theta["zeta"] * np.exp(theta["log sigma"])) ** 2
    return np.asarray(own)


def iterate_patients(
    patient: Codes, places: Codes, *arrays: Array
) -> Iterator[tuple[NDArray[np.intp], Codes, list[Array], NDArray[np.intp]]]:
    """Give the patients of m units, those with as many values together.

    Parameters
    ----------
    patient : (n,) codes; ``places`` (m, t) rows of the units, a patient's beside each other
    arrays : (m, t, …) to be cut to a patient's rows

    Yields
    ------
    units, within, cut, own : (g,) unit of each patient, (g, s) its rows within the unit, the arrays (g, s, …), and its
        rows of all (g, s)
    """
    m, t = places.shape
    codes = patient[places]
    begins = np.concatenate([np.ones((m, 1), bool), codes[:, 1:] != codes[:, :-1]], axis=1)
    unit, first = np.nonzero(begins)
    ends = np.append(np.flatnonzero(begins.ravel())[1:], m * t)
    size = ends - np.flatnonzero(begins.ravel())
    for s in np.unique(size):
        chosen = size == s
        units, within = unit[chosen], first[chosen][:, None] + np.arange(s)
        yield units, within, [array[units[:, None], within] for array in arrays], places[units[:, None], within]


def sum_by_patient(values: Matrix | Vector, patient: Codes) -> Array:
    """(K, …) sums over each patient's rows."""
    return np.asarray(np.add.reduceat(values, np.flatnonzero(np.diff(patient, prepend=-1)), axis=0))
