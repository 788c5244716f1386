"""Fit random effects: the search runs in well-conditioned columns, the answer is in the columns given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aih_outcomes.models.longitudinal.gaussian.dense import Dense
from aih_outcomes.models.longitudinal.gaussian.few_effects import FewEffects
from aih_outcomes.models.longitudinal.gaussian.likelihood import (
    Array,
    Codes,
    Convention,
    Evaluation,
    Fitted,
    Kernel,
    Matrix,
    Rows,
    SmallSample,
)
from aih_outcomes.models.longitudinal.gaussian.newton import WithScale, maximise_profiled
from aih_outcomes.models.longitudinal.gaussian.singular import (
    describe_singular as describe_singular,
)
from aih_outcomes.models.longitudinal.gaussian.singular import (
    settle_on_boundary,
    why_not_told_apart,
)
from aih_outcomes.models.longitudinal.gaussian.structure import Structure
from aih_outcomes.models.threads import on_one_thread
from aih_outcomes.outcomes import Vector

COLLINEAR = 1e-10  # part of a column that the columns before it leave, relative to its length
EXACT = 1e-25  # residual sum of squares relative to the response's that rounding leaves
SIMULTANEOUS = (
    "two values of a patient at one time are the same value of an exponential process: they need an error of their own"
)


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """How the rows of the search follow from those given.

    Attributes
    ----------
    X : (p, p) upper triangular R of X = X̃ R
    offset : (p,) coefficients taken off the response
    Z : (q, q) upper triangular T of Z̃ = Z T, diagonal where the effects are independent
    time, weight : one unit of the search's in those given
    """

    X: Matrix
    offset: Vector
    Z: Matrix
    time: float
    weight: float


class Effects:
    """A kernel on rows put to scale, in the units of the rows given.

    θ is the inner kernel's: σ is the residual SD where the weight is ``scales.weight``, Λ belongs to Z̃.
    """

    def __init__(self, inner: Kernel, structure: Structure, scales: Scales, *, reml: bool) -> None:
        self.inner, self.structure, self.scales = inner, structure, scales
        diagonal = np.abs(np.diag(scales.X))
        self.log_det = float(np.log(diagonal).sum()) if reml else 0.0

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters, log σ first."""
        return self.inner.parameters

    def start(self) -> Vector:
        """Begin where moments or plain guesses point."""
        return self.inner.start()

    def evaluate(self, theta: Vector) -> Evaluation | None:
        """Return the likelihood and its derivatives; None where V is not positive definite."""
        found = self.inner.evaluate(theta)
        return None if found is None else self.in_given_units(found)

    def in_given_units(self, found: Evaluation) -> Evaluation:
        """Return what the inner kernel found, β for X as given."""
        beta = np.linalg.solve(self.scales.X, found.beta) + self.scales.offset
        root = np.asarray(np.linalg.solve(self.scales.X, found.root), float)
        return replace(found, loglik=found.loglik - self.log_det, beta=beta, root=root, state=found)

    def small_sample(self, evaluation: Evaluation, convention: Convention) -> SmallSample:
        """Return Kenward and Roger's correction by the convention named."""
        return self.inner.small_sample(evaluation.state, convention)

    def blocks(self, evaluation: Evaluation) -> Sequence[tuple[Codes, Array]]:
        """Return V of every unit: rows (m, t) and covariances (m, t, t), units of one size together."""
        return self.inner.blocks(evaluation.state)

    def covariance(self, evaluation: Evaluation, rows: Rows) -> Matrix:
        """(n, n) V of any rows of one patient."""
        return self.inner.covariance(evaluation.state, self.to_scale(rows))

    def to_scale(self, rows: Rows) -> Rows:
        """Return rows with what the covariance reads in the units of the search."""
        return replace(rows, Z=rows.Z @ self.scales.Z, time=rows.time / self.scales.time,
                       weight=rows.weight / self.scales.weight)  # fmt: skip

    def random_cov(self, evaluation: Evaluation) -> Matrix:
        """(q, q) covariance of the random effects of Z as given."""
        return np.asarray(self.scales.Z @ self.structure.random_cov(evaluation.theta) @ self.scales.Z.T)

    def centre_variance(self, evaluation: Evaluation) -> float:
        """Variance between centres; 0 without them."""
        if not self.structure.nested:
            return 0.0
        return float(np.exp(2 * evaluation.theta[0]) * evaluation.theta[1 + self.structure.n_entries] ** 2)

    def residual_sd(self, evaluation: Evaluation) -> Vector:
        """(n_strata,) residual SD where the weight is 1, serial process included."""
        at = 1 + self.structure.n_entries + self.structure.nested
        ratio = np.concatenate([[0.0], evaluation.theta[at : at + self.structure.n_strata - 1]])
        return np.asarray(np.exp(evaluation.theta[0] + ratio) * np.sqrt(self.scales.weight))

    def serial(self, evaluation: Evaluation) -> dict[str, float]:
        """Return serial parameters: correlation of neighbours, range in the unit of time, the error's share."""
        value = dict(zip(self.structure.parameters, evaluation.theta, strict=True))
        found = {}
        if "atanh correlation" in value:
            found["correlation"] = float(np.tanh(value["atanh correlation"]))
        if "log rate" in value:
            found["range"] = self.scales.time * float(np.exp(-value["log rate"]))
        if "logit error share" in value:
            found["error share"] = float(1 / (1 + np.exp(-value["logit error share"])))
        return found


@on_one_thread
def fit_effects(rows: Rows, structure: Structure, *, reml: bool, start: Vector | None = None) -> Fitted:
    """Fit random effects, centres' effects and residuals of any structure.

    Parameters
    ----------
    rows : as given by the model, in any units
    structure : what V is made of
    reml : restricted or full likelihood
    start : (k,) θ of a fit of the same structure to nearly the same rows, else the kernel's own

    Returns
    -------
    fitted : ``kernel`` is an ``Effects``; β, root and log-likelihood belong to ``rows.X`` as given
    """
    scaled, scales, trouble = put_to_scale(rows, structure)
    if structure.serial == "exponential" and _count_simultaneous(rows):
        trouble = trouble or SIMULTANEOUS
    inner = _kernel(scaled, structure, reml=reml)
    kernel = Effects(inner, structure, scales, reml=reml)
    if trouble:
        return Fitted(rows, kernel, _unknown(rows, inner), reml, 0, np.nan, trouble)
    found = maximise_profiled(inner, scaled, reml=reml, start=start)
    if start is None and structure.q and structure.serial != "independent":
        found = _higher(found, _from_independent(inner, scaled, structure, reml=reml))
    if found is None:
        return Fitted(rows, kernel, _unknown(rows, inner), reml, 0, np.nan, "the covariance cannot be inverted")
    settled = settle_on_boundary(inner, structure, found.evaluation)
    trouble = why_not_told_apart(inner, settled) or found.trouble
    evaluation = kernel.in_given_units(settled)
    return Fitted(rows, kernel, evaluation, reml, found.iterations, found.scaled_gradient, trouble)


def _kernel(scaled: Rows, structure: Structure, *, reml: bool) -> WithScale:
    """Return the closed form where there is one, else the general kernel."""
    few = structure.q and not structure.nested and structure.n_strata == 1 and structure.serial == "independent"
    return (FewEffects if few else Dense)(scaled, structure, reml=reml)


def _from_independent(inner: WithScale, scaled: Rows, structure: Structure, *, reml: bool) -> Fitted | None:
    """Climb from the random effects of independent residuals.

    Effects of patients and a serial process explain the same variation: the likelihood may have a maximum on each side.
    """
    plain = replace(structure, serial="independent")
    simple = maximise_profiled(_kernel(scaled, plain, reml=reml), scaled, reml=reml)
    if simple is None:
        return None
    k = len(plain.parameters)
    begin = np.concatenate([simple.evaluation.theta, structure.start()[k:]])
    return maximise_profiled(inner, scaled, reml=reml, start=begin)


def _higher(one: Fitted | None, other: Fitted | None) -> Fitted | None:
    """Return the fit of two with the higher maximum; a search that ended without one counts least."""
    found = [fit for fit in (one, other) if fit is not None]
    return max(found, key=lambda fit: (fit.trouble is None, fit.evaluation.loglik), default=None)


def predict_random_effects(fitted: Fitted) -> Matrix:
    """(patients, q) best linear unbiased predictions of a fit by ``fit_effects``, by patient's code."""
    kernel: Effects = fitted.kernel  # type: ignore[assignment]  # a fit of fit_effects
    rows, residual = fitted.rows, fitted.rows.response - fitted.rows.X @ fitted.evaluation.beta
    pull = np.zeros((len(rows.response), rows.Z.shape[1]))
    for own, V in kernel.blocks(fitted.evaluation):
        pull[own] = rows.Z[own] * np.linalg.solve(V, residual[own][:, :, None])
    return sum_by_patient(pull, rows.patient) @ kernel.random_cov(fitted.evaluation)


def compute_conditional_cov(fitted: Fitted) -> Array:
    """(patients, q, q) covariance of the random effects about their predictions, β and θ taken as known (as lme4)."""
    kernel: Effects = fitted.kernel  # type: ignore[assignment]  # a fit of fit_effects
    rows, q = fitted.rows, fitted.rows.Z.shape[1]
    G = kernel.random_cov(fitted.evaluation)
    pull = np.zeros((len(rows.response), q, q))
    for own, V in kernel.blocks(fitted.evaluation):
        patient = rows.patient[own]
        W = np.linalg.inv(V) * (patient[:, :, None] == patient[:, None, :])
        pull[own] = rows.Z[own][:, :, :, None] * (W @ rows.Z[own])[:, :, None, :]
    summed = sum_by_patient(pull.reshape(len(pull), q * q), rows.patient)
    information = summed.reshape(len(summed), q, q)
    return np.asarray(G - G @ information @ G)


def predict_centre_effects(fitted: Fitted) -> Vector:
    """(centres,) best linear unbiased predictions of a nested fit, by centre's code."""
    kernel: Effects = fitted.kernel  # type: ignore[assignment]  # a fit of fit_effects
    rows, residual = fitted.rows, fitted.rows.response - fitted.rows.X @ fitted.evaluation.beta
    pull = np.zeros(len(rows.response))
    for own, V in kernel.blocks(fitted.evaluation):
        pull[own] = np.linalg.solve(V, residual[own][:, :, None])[:, :, 0]
    return np.asarray(np.bincount(rows.cluster, weights=pull) * kernel.centre_variance(fitted.evaluation))


def sum_by_patient(values: Matrix, patient: Codes) -> Matrix:
    """(patients, columns) sums of rows."""
    first = np.flatnonzero(np.concatenate([[True], patient[1:] != patient[:-1]]))
    return np.asarray(np.add.reduceat(values, first, axis=0))


def put_to_scale(rows: Rows, structure: Structure) -> tuple[Rows, Scales, str | None]:
    """Return the rows with orthonormal X, Z and units near 1, how they follow, and why they cannot be fitted."""
    Q, R = np.linalg.qr(rows.X)
    offset = np.linalg.solve(R, Q.T @ rows.response)
    residual = rows.response - rows.X @ offset
    residual = residual - Q @ (Q.T @ residual)
    T, trouble = _scale_effects(rows.Z, diagonal=structure.diagonal)
    weight = float(np.exp(np.mean(np.log(rows.weight))))
    time = _usual_gap(rows) if structure.serial.startswith("exponential") else 1.0
    if float(residual @ residual) <= EXACT * float(rows.response @ rows.response):
        trouble = trouble or "the fixed effects explain every value exactly: nothing is left to vary between patients"
    scaled = replace(rows, X=Q, response=residual, Z=rows.Z @ T, time=rows.time / time, weight=rows.weight / weight)
    return scaled, Scales(R, offset, T, time, weight), trouble


def _scale_effects(Z: Matrix, *, diagonal: bool) -> tuple[Matrix, str | None]:
    """T of Z̃ = Z T with columns of mean square 1; orthogonal too, where that changes no model."""
    n, q = Z.shape
    length = np.sqrt(np.mean(Z**2, axis=0)) if q else np.zeros(0)
    if (length == 0).any():
        return np.eye(q), "a column of the random effects is 0 in every row"
    T = np.diag(1 / length)
    if q < 2 or diagonal:
        return T, None
    R = np.linalg.qr(Z @ T, mode="r") / np.sqrt(n)
    if np.abs(np.diag(R)).min() < COLLINEAR:
        return T, "the columns of the random effects depend on each other: their variances cannot be told apart"
    return np.asarray(T @ np.linalg.inv(R * np.sign(np.diag(R))[:, None])), None


def _usual_gap(rows: Rows) -> float:
    """Median time between two values of a patient that follow each other."""
    gap = np.diff(rows.time)[np.diff(rows.patient) == 0]
    gap = gap[gap > 0]
    return float(np.median(gap)) if len(gap) else 1.0


def _count_simultaneous(rows: Rows) -> int:
    """Count values of a patient at the time of the value before."""
    return int(np.sum((np.diff(rows.time) == 0) & (np.diff(rows.patient) == 0)))


def _unknown(rows: Rows, kernel: Kernel) -> Evaluation:
    k, p = len(kernel.parameters), rows.X.shape[1]
    return Evaluation(np.full(k, np.nan), np.nan, np.full(p, np.nan), np.full((p, p), np.nan), np.full(k, np.nan),
                      np.full((k, k), np.nan), np.full((k, p, p), np.nan), None)  # fmt: skip
