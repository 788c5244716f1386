"""Standard errors, degrees of freedom and joint tests of fixed effects after a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import chdtrc, fdtrc

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.gaussian.likelihood import Array, Convention, Fitted, Matrix, vcov_theta
from aih_outcomes.models.longitudinal.gaussian.sandwich import Sandwich, make_sandwich
from aih_outcomes.models.threads import on_one_thread
from aih_outcomes.outcomes import Vector

DegreesOfFreedom = Literal[
    "kenward-roger", "kenward-roger-linear", "kenward-roger-mmrm", "satterthwaite", "between-within", "residual",
    "normal",
]  # fmt: skip
Covariance = Literal["model", "CR0", "CR2", "CR3"]

SAME = 1e-8  # relative difference of degrees of freedom that is none (as lmerTest and mmrm)
RANK = 1e-10  # singular value relative to the largest that counts as none
CURVED = ("log sd ratio", "atanh", "log rate", "logit")  # parameters in which V is not linear

SANDWICHES = {
    "CR0": "CR0: residuals as they are",
    "CR2": "CR2: residuals corrected by their leverage, unbiased under the model",
    "CR3": "CR3: residuals as if each had been left out",
}
CONVENTIONS: dict[Convention, str] = {
    "mmrm": "observed information, second derivatives in the parameters of the Cholesky factor or the correlations",
    "sas": "observed information, second derivatives of the covariance in SAS's parameters",
    "linear": "observed information, no second derivatives of the covariance",
    "pbkrtest": "expected information in variances and covariances",
}


@dataclass(frozen=True, slots=True, eq=False)
class Inference:
    """What can be said of linear combinations of p fixed effects.

    Attributes
    ----------
    estimate : (p,); ``vcov`` (p, p), in the units of X
    convention : how degrees of freedom and standard errors were found, for a caption
    root : (p, p) C of the model's covariance C Cᵀ
    slopes : (k, p, p) U_h, whitened; ``vcov_theta`` (k, k); both empty where no degrees of freedom come from them
    kenward_roger : several degrees of freedom after Kenward and Roger, with their scaled F
    sandwich : scatter of units, where that gives the covariance
    own_df : (p,) of each effect, where a contrast takes the smallest of those it involves; else empty
    """

    estimate: Vector
    vcov: Matrix
    convention: str
    root: Matrix
    slopes: Array
    vcov_theta: Matrix
    kenward_roger: bool
    sandwich: Sandwich | None
    own_df: Vector

    def contrast(self, L: Matrix) -> tuple[Vector, Vector, Vector]:
        """Estimate, standard error and degrees of freedom of each row of ``L`` (m, p); each (m,)."""
        estimate = L @ self.estimate
        variance = np.einsum("mp,pq,mq->m", L, self.vcov, L)
        return estimate, np.sqrt(np.maximum(variance, 0.0)), self._freedom(L)

    def joint(self, L: Matrix) -> tuple[float, float, float, float]:
        """Test that every row of ``L`` (l, p) is 0: F, its two degrees of freedom, p.

        Rows that follow from others add nothing to F: its first degrees of freedom are the rank of ``L``. By
        Satterthwaite the second ones are those of the principal contrasts of the rows given (as in lmerTest), so there
        such rows do count.

        Notes
        -----
        Kenward & Roger, Biometrics 1997;53:983, or Fai & Cornelius, J Stat Comput Simul 1996;54:363.
        """
        left, singular, basis = np.linalg.svd(L @ self.root, full_matrices=False)
        kept = singular > RANK * max(float(singular.max(initial=0.0)), 1e-300)
        rank = int(kept.sum())
        if not rank:
            return float("nan"), 0.0, float("nan"), float("nan")
        own = left[:, kept].T @ L
        # Each row over its length by the model: this covariance has no unit, and is I where the model gives it.
        scaled = own / singular[kept][:, None]
        values, vectors = np.linalg.eigh(scaled @ self.vcov @ scaled.T)
        if values[0] <= RANK * values[-1]:  # fewer units than contrasts: a sandwich of too low rank
            return float("nan"), float(rank), float("nan"), float("nan")
        wald = float(np.sum((vectors.T @ scaled @ self.estimate) ** 2 / values)) / rank
        if self.kenward_roger:
            scale, den = kenward_roger_f(basis[kept], self.slopes, self.vcov_theta)
            wald *= scale
        elif len(self.own_df):
            den = float(self._freedom(np.any(L != 0, axis=0)[None, :].astype(float))[0])
        else:
            den = pooled_df(self._freedom(np.linalg.eigh(own @ self.vcov @ own.T)[1].T @ own))
        return wald, float(rank), den, tail_of_f(wald, rank, den)

    def _freedom(self, L: Matrix) -> Vector:
        if len(self.own_df):
            involved = np.abs(L) > RANK * np.abs(L).max(axis=1, keepdims=True)
            return np.where(involved.any(axis=1), np.where(involved, self.own_df, np.inf).min(axis=1), np.nan)
        whitened = L @ self.root
        if self.sandwich is not None:
            return self.sandwich.degrees_of_freedom(whitened)
        return satterthwaite(whitened, self.slopes, self.vcov_theta)


@on_one_thread
def make_inference(fitted: Fitted, *, df: DegreesOfFreedom, vcov: Covariance) -> Inference:
    """Prepare standard errors and degrees of freedom of a fit.

    Parameters
    ----------
    fitted : an optimum
    df : Kenward and Roger's (``kenward-roger`` as SAS where the fit has visits, as R's pbkrtest where it has random
        effects; ``-linear`` without second derivatives; ``-mmrm`` as R's mmrm, whose second derivatives belong to its
        own parameters: with small groups its errors of the first kind are too many), Satterthwaite's (with a robust
        covariance: Bell and McCaffrey's), by what varies between or within patients, n − p, or infinitely many
    vcov : of the model, or robust

    Raises
    ------
    OutcomeError : Kenward-Roger after maximum likelihood, with a robust covariance, or for a structure without it
    """
    rows, here = fitted.rows, fitted.evaluation
    p = rows.X.shape[1]
    sandwich = None if vcov == "model" else make_sandwich(fitted, vcov)
    middle = np.eye(p) if sandwich is None else sandwich.meat
    slopes, theta_vcov, own = np.zeros((0, p, p)), np.zeros((0, 0)), np.zeros(0)
    words, adjusted = "", df.startswith("kenward-roger")
    if adjusted:
        convention = _convention(fitted, df, vcov)
        small = fitted.kernel.small_sample(here, convention)
        middle, slopes, theta_vcov = np.eye(p) + 2 * small.adjustment, small.slopes, small.vcov_theta
        words = f"Kenward-Roger degrees of freedom and standard errors ({CONVENTIONS[convention]})"
    elif df == "satterthwaite" and sandwich is None:
        slopes, theta_vcov, words = here.slopes, vcov_theta(here), "Satterthwaite degrees of freedom"
    elif df == "satterthwaite":
        words = "Satterthwaite degrees of freedom (Bell and McCaffrey's, under the model's covariance)"
    elif df == "between-within":
        own, words = between_within(fitted), "between-within degrees of freedom"
    elif df == "residual":
        own, words = np.full(p, float(len(rows.response) - p)), "residual degrees of freedom (values less effects)"
    else:
        own, words = np.full(p, np.inf), "normal limits"
    covariance = here.root @ middle @ here.root.T
    if vcov != "model":
        units = "centres" if len(rows.cluster) else "patients"
        words = f"{words}, standard errors robust by {units} ({SANDWICHES[vcov]})"
    return Inference(here.beta, (covariance + covariance.T) / 2, words, here.root, slopes, theta_vcov, adjusted,
                     sandwich if df == "satterthwaite" else None, own)  # fmt: skip


def _convention(fitted: Fitted, df: str, vcov: str) -> Convention:
    if not fitted.reml or vcov != "model":
        raise OutcomeError(
            f"df={df!r} with {'maximum likelihood' if not fitted.reml else f'vcov={vcov!r}'}",
            "Kenward and Roger's correction is of the model's covariance after REML",
            "Use method='REML' and vcov='model', or df='satterthwaite'",
        )
    random = fitted.rows.Z.shape[1] > 0 or len(fitted.rows.visit) == 0
    curved = any(name.startswith(CURVED) for name in fitted.kernel.parameters)
    if df == "kenward-roger-linear":
        return "linear"
    if not random:
        return "sas" if df == "kenward-roger" else "mmrm"
    if df == "kenward-roger-mmrm":
        raise OutcomeError(
            "df='kenward-roger-mmrm' for a model with random effects", "R's mmrm has covariances between visits only",
            "Use df='kenward-roger', as pbkrtest",
        )  # fmt: skip
    return "linear" if curved else "pbkrtest"


def satterthwaite(whitened: Matrix, slopes: Array, vcov: Matrix) -> Vector:
    """(m,) degrees of freedom 2 v² / var(v) of contrasts, Cᵀ c as the rows of ``whitened`` (m, p).

    Satterthwaite, Biometrics 1946;2:110; ∂v/∂θ_h = kᵀ U_h k with k = Cᵀc.
    """
    variance = np.sum(whitened**2, axis=1)
    change = np.einsum("mp,kpq,mq->mk", whitened, slopes, whitened, optimize=True)
    spread = np.einsum("mk,kl,ml->m", change, vcov, change)
    return np.asarray(np.divide(2 * variance**2, spread, out=np.full(len(spread), np.inf), where=spread > 0))


def pooled_df(own: Vector) -> float:
    """Denominator degrees of freedom of an F made of independent t² with degrees of freedom ``own`` (r,).

    Fai & Cornelius 1996: the F whose mean is Σ ν/(ν − 2) / r; 2 where a mean does not exist (as lmerTest and mmrm).
    """
    r = len(own)
    if not np.isfinite(own).any() or float(np.ptp(own)) <= SAME * float(own.mean()):
        return float(own.mean())
    if own.min() <= 2:
        return 2.0
    mean = float(np.sum(1 / (1 - 2 / own)))
    return 2 * mean / (mean - r)


def kenward_roger_f(basis: Matrix, slopes: Array, vcov: Matrix) -> tuple[float, float]:
    """Scale of the Wald F and its denominator degrees of freedom.

    Parameters
    ----------
    basis : (r, p) orthonormal rows that span the contrasts' Cᵀ c
    slopes : (k, p, p) U_h; ``vcov`` (k, k) of the variance parameters

    Notes
    -----
    Kenward & Roger 1997, section 3; exact where an exact F exists (Hotelling, balanced analysis of variance). NaN
    where the approximating F has no mean or variance: too few patients for so many contrasts.
    """
    r = len(basis)
    D = np.einsum("ap,hpq,bq->hab", basis, slopes, basis, optimize=True)
    trace = np.einsum("haa->h", D)
    A1 = float(trace @ vcov @ trace)
    A2 = float(np.einsum("hk,hab,kba->", vcov, D, D, optimize=True))
    if A2 <= 0:
        return 1.0, float("inf")
    if r == 1:
        return 1.0, 2 / A2
    B = (A1 + 6 * A2) / (2 * r)
    g = ((r + 1) * A1 - (r + 4) * A2) / ((r + 2) * A2)
    c = np.array([g, r - g, r + 2 - g]) / (3 * r + 2 * (1 - g))
    shrink = np.float64(1 - A2 / r)  # 1 / E*
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = max(1 + c[0] * B, 0.0) * (shrink / (1 - c[1] * B)) ** 2 / (r * (1 - c[2] * B))  # V* / (2 E*²)
        den = 4 + (r + 2) / (r * ratio - 1)
        scale = shrink if np.isinf(den) else den * shrink / (den - 2)
    usable = den > 0 and scale > 0
    return (float(scale), float(den)) if usable else (float("nan"), float("nan"))


def between_within(fitted: Fitted) -> Vector:
    """(p,) degrees of freedom: patients less effects that are constant in each, values less patients less the others.

    Schluchter & Elashoff, J Stat Comput Simul 1990;37:69; the intercept counts among the former and has the latter's
    degrees of freedom (as SAS and mmrm).
    """
    rows = fitted.rows
    same = rows.patient[1:] == rows.patient[:-1]
    varies = np.any((rows.X[1:] != rows.X[:-1]) & same[:, None], axis=0)
    n, patients = len(rows.response), int(rows.patient[-1]) + 1
    constant = np.ptp(rows.X, axis=0) == 0
    between, within = patients - int(np.sum(~varies)), n - patients - int(np.sum(varies))
    return np.where(varies | constant, float(within), float(between))


def tail_of_f(value: float, num: float, den: float) -> float:
    """P(F > value); chi-square where the denominator's degrees of freedom are infinite."""
    return float(chdtrc(num, num * value) if np.isinf(den) else fdtrc(num, den, value))
