"""What a model fitted to the others expects of one patient's later values, given the earlier ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aih_outcomes.models.longitudinal.fixed_effects import Codes, Flags, Matrix, find_aliased
from aih_outcomes.models.longitudinal.gaussian.effects import Effects, fit_effects
from aih_outcomes.models.longitudinal.gaussian.likelihood import Fitted, Rows
from aih_outcomes.models.longitudinal.gaussian.prediction import (
    LEAST,
    Prediction,
    calibrate_distance,
    joint_distance,
    leave_each_out,
    predict,
)
from aih_outcomes.models.longitudinal.gaussian.structure import Structure
from aih_outcomes.outcomes import Vector

NO_ERROR = float(np.log(1e-6))  # logit of the share of error in the residual variance below which there is none
SAME = 1e-8  # a term that the others cannot tell from other terms, and is the same combination in this patient


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """One patient's series against what the others' model expects; k earlier and m later values.

    Attributes
    ----------
    fitted : the model of the others
    prediction : of the later values, given all earlier ones
    difference : (m,) observed − predicted, on the scale of the model
    course : (k,) each earlier value as expected from the patient's other earlier ones
    distance : (m,) joint distance of the first 1, 2, … later values from their prediction
    """

    fitted: Fitted
    prediction: Prediction
    difference: Vector
    course: Vector
    distance: Vector

    @property
    def calibrated(self) -> float:
        """Joint distance of all later values, as a normal deviate."""
        return calibrate_distance(float(self.distance[-1]), len(self.distance))

    @property
    def mean_difference(self) -> float:
        """Mean of observed − predicted, on the scale of the model."""
        return float(self.difference.mean())

    @property
    def standardised_mean(self) -> float:
        """Mean of observed − predicted in its own standard deviations: far after a lasting change of level."""
        spread = float(np.sqrt(max(self.prediction.covariance.sum(), LEAST)))
        return float(self.difference.sum()) / spread


def expect(fitted: Fitted, usable: Flags, past: Codes, future: Codes, *, start: Fitted) -> Expected | str:
    """Fit the usable rows of everybody else, and predict one patient's later values from the earlier ones.

    Parameters
    ----------
    fitted : the model on all rows: a fit of random effects
    usable : (n,) rows that others may lend
    past, future : places in the rows of one patient, in the order of time
    start : a fit to nearly the same rows: its structure, and where the search begins

    Returns
    -------
    expected : or the reason why nothing can be expected
    """
    rows = fitted.rows
    kept = usable & (rows.patient != rows.patient[past[0]])
    places = np.concatenate([past, future])
    terms = find_aliased(rows.X[kept]) if kept.any() else np.zeros(rows.X.shape[1], bool)
    if not _estimable(rows.X[kept], rows.X[places], terms):
        return "a term of the model has no counterpart among the others, such as a level or a therapy of their own"
    others = _take(rows, kept, terms)
    structure, begin = _settle(start)
    found = fit_effects(others, structure, reml=fitted.reml, start=begin)
    if found.trouble:
        return found.trouble
    own, response = _take(rows, places, terms), rows.response[places]
    k = len(past)
    root = found.evaluation.root
    prediction = predict(found, own, own.X, response[:k], vcov=root @ root.T)
    V = found.kernel.covariance(found.evaluation, _take(rows, past, terms))
    without = leave_each_out(V, response[:k] - own.X[:k] @ found.evaluation.beta)
    difference = response[k:] - prediction.mean
    distance = joint_distance(difference, prediction.covariance)
    return Expected(found, prediction, difference, own.X[:k] @ found.evaluation.beta + without, distance)


def _settle(start: Fitted) -> tuple[Structure, Vector]:
    """Return structure and parameters of a fit; an error without variance is left out, its logit has no end."""
    kernel, theta = start.kernel, start.evaluation.theta
    assert isinstance(kernel, Effects)  # the caller's check: only these know of times between visits
    if kernel.structure.serial == "exponential and error" and theta[-1] < NO_ERROR:
        return replace(kernel.structure, serial="exponential"), theta[:-1]
    return kernel.structure, theta


def _estimable(others: Matrix, own: Matrix, terms: Flags) -> bool:
    """Say whether this patient's terms are combinations of those that the others determine."""
    if terms.all():
        return True
    share = np.linalg.lstsq(others[:, terms], others[:, ~terms], rcond=None)[0]
    size = np.maximum(np.abs(own[:, ~terms]), 1.0)
    return bool(np.all(np.abs(own[:, ~terms] - own[:, terms] @ share) <= SAME * size))


def _take(rows: Rows, places: Codes | Flags, terms: Flags) -> Rows:
    """Return some of the rows, patients numbered anew, and some of the terms."""
    patient = np.unique(rows.patient[places], return_inverse=True)[1].astype(np.intp)
    cluster = rows.cluster[places] if len(rows.cluster) else rows.cluster
    return replace(
        rows, response=rows.response[places], X=np.ascontiguousarray(rows.X[places][:, terms]), patient=patient,
        time=rows.time[places], Z=np.ascontiguousarray(rows.Z[places]), stratum=rows.stratum[places],
        weight=rows.weight[places], cluster=cluster,
    )  # fmt: skip
