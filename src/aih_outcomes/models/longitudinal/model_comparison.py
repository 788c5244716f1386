"""Two mixed models of the same values, one inside the other: the likelihood ratio, also where a variance may be 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.gaussian.effects import Effects
from aih_outcomes.models.longitudinal.gaussian.likelihood import Fitted
from aih_outcomes.models.longitudinal.gaussian.structure import Structure
from aih_outcomes.models.longitudinal.mixed_model import MixedModel
from aih_outcomes.models.result import order_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = NDArray[np.float64]

INSIDE = 1e-7  # part of a column that others may leave and still make it up
ROUNDING = 1e-7  # of the log-likelihood, by which the larger model may seem worse
# Covariances by visit that contain another as a special case; the unstructured contains all.
WIDER = {
    "compound symmetry": {"toeplitz", "heterogeneous compound symmetry", "heterogeneous toeplitz"},
    "ar1": {"toeplitz", "ante-dependence", "heterogeneous ar1", "heterogeneous toeplitz",
            "heterogeneous ante-dependence"},
    "toeplitz": {"heterogeneous toeplitz"},
    "ante-dependence": {"heterogeneous ante-dependence"},
    "heterogeneous compound symmetry": {"heterogeneous toeplitz"},
    "heterogeneous ar1": {"heterogeneous toeplitz", "heterogeneous ante-dependence"},
}  # fmt: skip
# What the serial part has that may be at the end of its range in the smaller model; a rate that would then mean
# nothing has no reference distribution.
STEPS = {("independent", "ar1"): 0, ("independent", "exponential"): 1, ("exponential", "exponential and error"): 1}
NO_DISTRIBUTION = -1


@dataclass(frozen=True, slots=True, eq=False)
class MixedModelComparison:
    """A likelihood-ratio test of two nested mixed models.

    Attributes
    ----------
    smaller, larger : the fits
    statistic : twice the difference of the log-likelihoods; ``df`` parameters more
    n_bounded : how many of them are variances that are 0, the end of their range, in the smaller model; −1 where the
        reference distribution is not known
    p_value : by the mixture of χ² that this asks for, where it is known; ``p_value_naive`` by χ² with ``df``
    not_estimable : why there is no test, or None
    """

    smaller: MixedModel
    larger: MixedModel
    statistic: float
    df: int
    n_bounded: int
    p_value: float
    p_value_naive: float
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per model.

        Returns
        -------
        frame : ``label, term`` (smaller, larger), ``n`` values, ``statistic, df, p_value`` (with the larger),
            ``p_value_naive, loglik, n_parameters, aic, bic, covariance``
        """
        rows = []
        for name, fit in (("smaller", self.smaller), ("larger", self.larger)):
            facts = fit.glance()
            test = name == "larger"
            rows.append({
                "label": fit.measures.label, "term": name, "n": facts["n"],
                "statistic": self.statistic if test else np.nan, "df": float(self.df) if test else np.nan,
                "p_value": self.p_value if test else np.nan, "p_value_naive": self.p_value_naive if test else np.nan,
                "loglik": facts["loglik"], "n_parameters": facts["n_parameters"], "aic": facts["aic"],
                "bic": facts["bic"], "covariance": facts["covariance"],
            })  # fmt: skip
        return order_columns(pd.DataFrame(rows))

    def glance(self) -> dict[str, Any]:
        """Facts about the test."""
        return {
            "statistic": self.statistic, "df": self.df, "p_value": self.p_value, "p_value_naive": self.p_value_naive,
            "n_bounded": self.n_bounded, "method": self.larger.method, "reference": self._reference(),
            "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        what = "restricted likelihood" if self.larger.method == "REML" else "likelihood"
        parts = [
            f"Likelihood-ratio test ({what}) of {self.larger.measures.label}: {self.larger.chosen.describe()} against "
            f"{self.smaller.chosen.describe()}; {self._reference()}.",
            f"Not estimable: {self.not_estimable}." if self.not_estimable else "",
        ]
        return " ".join(part for part in parts if part)

    def _reference(self) -> str:
        """Say which distribution the p-value is of."""
        if self.n_bounded == 0:
            return f"χ² with {self.df} degrees of freedom"
        if self.n_bounded == 1:
            return (f"half χ² with {self.df - 1}, half with {self.df} degrees of freedom, because under the smaller "
                    "model a variance is 0, the end of its range (Self & Liang 1987; Stram & Lee 1994)")  # fmt: skip
        return (f"χ² with {self.df} degrees of freedom as the only one at hand: under the smaller model several "
                "parameters are at the end of their range or mean nothing, and no distribution is known")  # fmt: skip

    def plot(self, ax: Axes | None = None) -> Axes:
        """Refuse: a test has no figure.

        Raises
        ------
        OutcomeError
        """
        raise OutcomeError("A likelihood-ratio test has no figure", "It is one number with its p-value",
                           "Print describe() or tidy(), or draw the marginal means of the larger model")  # fmt: skip


def compare_mixed_models(smaller: MixedModel, larger: MixedModel) -> MixedModelComparison:
    """Test by the likelihood ratio whether a larger mixed model describes the values better.

    Parameters
    ----------
    smaller, larger : fits of the same values by the same method, the first a special case of the second; by REML only
        the covariance may differ

    Returns
    -------
    comparison : with the information criteria of both. Where one variance of the larger model is 0 in the smaller, the
        p-value is of the equal mixture of χ² with ``df − 1`` and ``df`` degrees of freedom

    Raises
    ------
    OutcomeError : other rows, another method, REML fits with different fixed effects, models that are not nested

    Notes
    -----
    Self & Liang, JASA 1987;82:605; Stram & Lee, Biometrics 1994;50:1171.

    Examples
    --------
    >>> from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
    >>> from aih_outcomes.outcomes import RepeatedMeasures
    >>> frame = pd.DataFrame({"id": [1, 1, 2, 2, 3, 3, 4, 4], "t": [0, 1] * 4, "y": [1, 2, 2, 2, 3, 5, 5, 6.0]})
    >>> measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="t", value="y")
    >>> same, changing = [
    ...     fit_random_effects(measures, course=course, random="1", method="ML") for course in (None, "time")
    ... ]
    >>> comparison = compare_mixed_models(same, changing)
    >>> round(comparison.statistic, 2), comparison.df, round(comparison.p_value, 3)
    (4.39, 1, 0.036)
    """
    _refuse_other_rows(smaller, larger)
    if smaller.fitted is None or larger.fitted is None:
        which = "smaller" if smaller.fitted is None else "larger"
        reason = smaller.not_estimable if smaller.fitted is None else larger.not_estimable
        return MixedModelComparison(smaller, larger, np.nan, 0, 0, np.nan, np.nan, f"the {which} model: {reason}")
    own, wide = smaller.fitted, larger.fitted
    _refuse_other_terms(own, wide)
    n_bounded = _count_bounded(smaller, own, larger, wide)
    df = _count(wide) - _count(own)
    loglik = wide.evaluation.loglik
    statistic = 2 * (loglik - own.evaluation.loglik)
    if df < 1 or statistic < -2 * ROUNDING * max(1.0, abs(loglik)):
        _refuse_not_nested()
    statistic = max(float(statistic), 0.0)
    naive = float(chi2.sf(statistic, df))
    fewer = float(statistic <= 0) if df == 1 else float(chi2.sf(statistic, df - 1))
    p_value = 0.5 * (fewer + naive) if n_bounded == 1 else naive
    return MixedModelComparison(smaller, larger, statistic, df, n_bounded, p_value, naive, None)


def _refuse_other_rows(smaller: MixedModel, larger: MixedModel) -> None:
    if smaller.method != larger.method:
        raise OutcomeError(
            f"One model is fitted by {smaller.method}, the other by {larger.method}",
            "Only likelihoods of one kind can be compared", "Fit both with the same method",
        )  # fmt: skip
    one, other = smaller.fixed, larger.fixed
    same = len(one.response) == len(other.response)
    if not (
        same and np.array_equal(one.patient, other.patient) and np.allclose(one.response, other.response, rtol=1e-12)
    ):
        raise OutcomeError(
            f"The models describe different values: {len(one.response)} and {len(other.response)} rows",
            "A likelihood ratio compares two descriptions of the same values",
            "Fit both to the same rows, on the same scale: leave out rows without a value of any covariate first",
        )  # fmt: skip


def _refuse_other_terms(own: Fitted, wide: Fitted) -> None:
    """Refuse fixed effects that are not nested, or by REML not the same."""
    nested, same = _spans(wide.rows.X, own.rows.X), _spans(own.rows.X, wide.rows.X)
    if not nested:
        _refuse_not_nested()
    if own.reml and not (same and np.allclose(own.rows.X, wide.rows.X)):
        raise OutcomeError(
            "The models are fitted by REML and differ in their fixed effects",
            "Restricted likelihoods are of what the fixed effects leave, so that only covariances can be compared",
            'Fit both with method="ML"',
        )  # fmt: skip


def _spans(X: Matrix, others: Matrix) -> bool:
    """Whether the columns of ``X`` make up all others."""
    Q = np.linalg.qr(X)[0]
    left = others - Q @ (Q.T @ others)
    return bool((np.linalg.norm(left, axis=0) <= INSIDE * np.linalg.norm(others, axis=0)).all())


def _count(fitted: Fitted) -> int:
    return len(fitted.evaluation.beta) + len(fitted.evaluation.theta)


def _refuse_not_nested() -> None:
    raise OutcomeError(
        "The second model does not contain the first",
        "A likelihood-ratio test needs the smaller model to be a special case of the larger one",
        "Give the smaller model first; compare models that are not nested by the AIC in their glance()",
    )  # fmt: skip


def _count_bounded(smaller: MixedModel, own: Fitted, larger: MixedModel, wide: Fitted) -> int:
    """Count parameters of the larger covariance that are at the end of their range in the smaller one."""
    one, other = own.kernel, wide.kernel
    if isinstance(one, Effects) and isinstance(other, Effects):
        if not _spans(wide.rows.Z, own.rows.Z) or not _contains(other.structure, one.structure, own, wide):
            _refuse_not_nested()
        return _bounded(one.structure, other.structure)
    if not isinstance(one, Effects) and not isinstance(other, Effects):
        known = smaller.covariance == larger.covariance or larger.covariance == "unstructured"
        if not known and larger.covariance not in WIDER.get(smaller.covariance, set()):
            _refuse_not_nested()
        return 0
    _refuse_not_nested()
    return 0


def _contains(wide: Structure, own: Structure, small: Fitted, large: Fitted) -> bool:
    """Whether the larger structure has the smaller one as a special case."""
    serial = own.serial == wide.serial or (own.serial, wide.serial) in STEPS or own.serial == "independent"
    strata = own.n_strata == 1 or np.array_equal(small.rows.stratum, large.rows.stratum)
    looser = own.diagonal or not wide.diagonal or own.q <= 1
    weights = np.allclose(small.rows.weight, large.rows.weight)
    return bool(serial and strata and looser and weights and own.q <= wide.q and own.nested <= wide.nested)


def _bounded(own: Structure, wide: Structure) -> int:
    """Count new variances, and what the serial part adds."""
    new = wide.q - own.q + int(wide.nested) - int(own.nested)
    if own.serial == wide.serial:
        return new if new <= 1 else NO_DISTRIBUTION
    step = STEPS.get((own.serial, wide.serial), NO_DISTRIBUTION)
    return NO_DISTRIBUTION if step < 0 or new + step > 1 else new + step
