"""A state that is there or not, over time: logistic model with a random intercept per patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.longitudinal.fixed_effects import YEARS, FixedEffects, Missing, build_fixed_effects
from aih_outcomes.models.longitudinal.gee import refuse_no_binary
from aih_outcomes.models.longitudinal.logistic_quadrature import Binary, Optimum, maximise_logistic
from aih_outcomes.models.longitudinal.too_little import too_few
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.designs.design import caution
from aih_outcomes.outcomes import Groups, RepeatedMeasures, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = NDArray[np.float64]

POINTS, MOST_POINTS = 25, 100
LOGISTIC_VARIANCE = np.pi**2 / 3  # of a standard logistic variable
SMALLEST_SD = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class RandomLogistic:
    """A logistic model whose intercept differs between patients; p_all terms.

    Attributes
    ----------
    fixed : rows and terms; ``n_points`` of the quadrature
    estimate : (p_all,) log odds ratios within a patient; ``vcov`` (p_all, p_all); NaN where not estimable
    sd : standard deviation of the intercepts, on the scale of log odds
    loglik : of the values, the intercepts integrated out
    optimum : where the search ended, or None
    """

    fixed: FixedEffects
    n_points: int
    conf_level: float
    estimate: Vector
    vcov: Matrix
    sd: float
    loglik: float
    optimum: Optimum | None
    not_estimable: str | None

    @property
    def measures(self) -> RepeatedMeasures:
        """The values used, on the clock of the fit."""
        return self.fixed.measures

    @property
    def n_patients(self) -> int:
        """Patients with a value."""
        return int(self.fixed.patient.max()) + 1 if len(self.fixed.patient) else 0

    def tidy(self) -> pd.DataFrame:
        """One row per term.

        Returns
        -------
        frame : ``label, term, estimate`` (log odds ratio) to ``p_value``, ``n`` (patients), ``ratio, ratio_low,
            ratio_high`` (odds ratios); normal (Wald) limits
        """
        std_error = np.sqrt(np.diag(self.vcov))
        width, statistic = norm.ppf((1 + self.conf_level) / 2) * std_error, self.estimate / std_error
        low, high = self.estimate - width, self.estimate + width
        return order_columns(pd.DataFrame({
            "label": self.measures.label, "term": list(self.fixed.names), "estimate": self.estimate,
            "std_error": std_error, "conf_low": low, "conf_high": high, "statistic": statistic,
            "p_value": 2 * norm.sf(np.abs(statistic)), "n": self.n_patients, "ratio": np.exp(self.estimate),
            "ratio_low": np.exp(low), "ratio_high": np.exp(high),
        }))  # fmt: skip

    def glance(self) -> dict[str, Any]:
        """Facts about the whole fit; ``correlation`` of two values of a patient on the latent scale."""
        found = self.optimum
        return {
            "n": len(self.fixed.frame), "n_patients": self.n_patients, "n_missing": self.fixed.n_missing,
            "by": self.fixed.by_name, "design": self.measures.design, "n_points": self.n_points, "loglik": self.loglik,
            "aic": -2 * self.loglik + 2 * (int(self.fixed.kept.sum()) + 1), "sd_intercept": self.sd,
            "correlation": self.sd**2 / (self.sd**2 + LOGISTIC_VARIANCE),
            "iterations": None if found is None else found.steps,
            "scaled_gradient": None if found is None else found.scaled_gradient,
            "aliased": ", ".join(np.array(self.fixed.names, dtype=object)[~self.fixed.kept]),
            "singular": self._singular(), "not_estimable": self.not_estimable,
        }  # fmt: skip

    def random_intercepts(self) -> pd.DataFrame:
        """One row per patient: ``patient_id, intercept``, the mode of its log odds; for the analyst's screen."""
        ids = self.fixed.frame["patient_id"].drop_duplicates().to_numpy()
        modes = np.full(len(ids), np.nan) if self.optimum is None else self.optimum.modes
        return pd.DataFrame({"patient_id": pd.array(ids, dtype="string"), "intercept": modes})

    def describe(self) -> str:
        """Sentences for a caption."""
        m, lost = self.measures, np.array(self.fixed.names, dtype=object)[~self.fixed.kept]
        how = "Laplace's approximation" if self.n_points == 1 else f"{self.n_points}-point adaptive quadrature"
        parts = [
            f"Logistic model of {m.label} with a random intercept per patient (maximum likelihood, {how}); odds ratios "
            f"within a patient, further from 1 than those of the population; time since {m.time_zero}; normal limits.",
            f"Groups: {self.fixed.by_name}." if self.fixed.by_name else "",
            f"{m.design[:1].upper()}{m.design[1:]}." if m.design else "",
            caution(m.design),
            f"Boundary: {self._singular()}." if self._singular() else "",
            f"Not estimable for lack of data: {', '.join(lost)}." if len(lost) and not self.not_estimable else "",
            f"Not estimable: {self.not_estimable}." if self.not_estimable else "",
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the odds ratios as a forest for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy().iloc[1:]
        ratios = {"estimate": tidy["ratio"], "conf_low": tidy["ratio_low"], "conf_high": tidy["ratio_high"]}
        shown = tidy.assign(design=self.measures.design or "random intercept", n=None, n_event=None, **ratios)
        return draw_forest(shown, ax=ax, x_label="Odds ratio (95 % CI), log scale")

    def _singular(self) -> str | None:
        found = not self.not_estimable and self.sd < SMALLEST_SD
        return "patients do not differ beyond their terms: the intercepts' variance is 0" if found else None


def fit_random_logistic(
    measures: RepeatedMeasures,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    course: str | None = YEARS,
    n_points: int = POINTS,
    from_day: int | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> RandomLogistic:
    """Fit logit P(value = 1) ~ group × course + covariates with a random intercept per patient.

    Parameters
    ----------
    measures : values of 0 or 1 over time
    by, covariates, course, from_day, missing : as in ``fit_random_effects``
    n_points : of the adaptive quadrature, 1 (Laplace's approximation, biased where patients have few values) to 100

    Returns
    -------
    fit : where the data do not determine the estimates they are NaN and ``not_estimable`` says why

    Raises
    ------
    ImmortalTimeError : values from before membership was known; the analyte decides the groups
    OutcomeError : values other than 0 and 1; unknown terms, missing covariates, different clocks

    Notes
    -----
    Pinheiro & Bates, J Comput Graph Stat 1995;4:12. The likelihood is that of R's ``lme4::glmer``, climbed to its
    maximum. Its odds ratios compare a patient with himself; ``fit_gee(family="binomial")`` compares populations.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame(
    ...     {
    ...         "id": [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4],
    ...         "t": [0, 1, 2] * 4,
    ...         "ill": [1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1],
    ...     }
    ... )
    >>> measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="t", value="ill")
    >>> [round(float(value), 2) for value in fit_random_logistic(measures, course="time").estimate]
    [1.68, -1.24]
    """
    refuse_no_level(conf_level)
    refuse_unknown_choice("missing", missing, get_args(Missing))
    given: object = n_points
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MOST_POINTS:
        raise OutcomeError(
            f"n_points={given!r} gives no quadrature", f"It is a whole number from 1 to {MOST_POINTS}",
            f"Write n_points={POINTS}",
        )  # fmt: skip
    fixed = build_fixed_effects(measures, by=by, covariates=covariates, course=course, scale="identity",
                                from_day=from_day, missing=missing)  # fmt: skip
    refuse_no_binary(fixed.response, measures.label, "identity")
    p, places = len(fixed.names), np.flatnonzero(fixed.kept)
    estimate, vcov, sd, loglik, found = np.full(p, np.nan), np.full((p, p), np.nan), float("nan"), float("nan"), None
    reason = _why_hopeless(fixed)
    if reason is None:
        rows = Binary(fixed.response, fixed.X[:, places], fixed.patient)
        found = maximise_logistic(rows, n_points)
        reason = found.trouble
    if reason is None and found is not None:
        estimate[places], sd, loglik = found.theta[:-1], float(found.theta[-1]), found.loglik
        vcov[np.ix_(places, places)] = found.vcov[:-1, :-1]
    return RandomLogistic(fixed, n_points, conf_level, estimate, vcov, sd, loglik, found, reason)


def _why_hopeless(fixed: FixedEffects) -> str | None:
    small = too_few(fixed)
    if small:
        return small
    if fixed.response.min() == fixed.response.max():
        return "all values are the same"
    if np.bincount(fixed.patient).max() < 2:
        return "nobody has two values, so patients and chance cannot be told apart"
    return None if len(fixed.response) > int(fixed.kept.sum()) else "no more values than terms"
