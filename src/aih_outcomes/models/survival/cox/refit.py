"""A Cox fit repeated on resampled patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.resampling import compute_percentile_interval
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.cox.checks import require_fit
from aih_outcomes.models.survival.cox.kernel import Index, Matrix
from aih_outcomes.models.survival.cox.resamples import Rows, draw, prepare, solve
from aih_outcomes.models.survival.cox.result import COUNTS, CoxFit
from aih_outcomes.models.survival.curves.checks import refuse_no_draws
from aih_outcomes.models.survival.designs.design import caution, name_design

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_RESAMPLES = 1000
CARRIED = ["label", "term", *COUNTS, "design", "biased"]  # what a table of the same terms keeps of the fit's


@dataclass(frozen=True, slots=True, eq=False)
class Refits:
    """Coefficients of a Cox model refitted to resampled patients.

    Attributes
    ----------
    coefficients : (n_resamples, p) log hazard ratios; NaN where a resample does not determine them
    n_failed : number of such resamples
    """

    fit: CoxFit
    coefficients: Matrix
    not_estimable: str | None

    @property
    def n_failed(self) -> int:
        """Number of resamples without an estimate."""
        return int(np.isnan(self.coefficients).any(axis=1).sum())

    def tidy(self) -> pd.DataFrame:
        """One row per term.

        Returns
        -------
        frame : ``label, term, n_event, estimate`` (the fit's), ``std_error`` (of the resamples), ``conf_low,
            conf_high`` (percentiles; NaN where more resamples failed than the interval leaves out), ``hazard_ratio,
            hr_low, hr_high``, and the counts and the design of the fit
        """
        low, high, spread = compute_percentile_interval(self.coefficients, conf_level=self.fit.conf_level)
        b = self.fit.coefficients
        return order_columns(self.fit.tidy()[CARRIED].assign(
            estimate=b, std_error=spread, conf_low=low, conf_high=high, hazard_ratio=np.exp(b), hr_low=np.exp(low),
            hr_high=np.exp(high),
        ))  # fmt: skip

    def glance(self) -> dict[str, Any]:
        """Return how many resamples there were, and how many gave no estimate."""
        return {
            "n_resamples": len(self.coefficients), "n_failed": self.n_failed, "n_event": self.fit.n_event,
            "events_per_parameter": self.fit.events_per_parameter, "design": name_design(self.fit.outcome.design),
            "conf_level": self.fit.conf_level, "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        if self.not_estimable:
            return f"Bootstrap of the Cox model not estimable: {self.not_estimable}."
        text = f"Percentile intervals from {len(self.coefficients)} bootstrap resamples of patients{self.failures()}."
        return f"{text} {caution(self.fit.outcome.design)}".strip()

    def failures(self) -> str:
        """Say how many resamples gave no estimate, if any."""
        return f", {self.n_failed} of them without an estimate" if self.n_failed else ""

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratios with their percentile intervals for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy()
        ratios = {"estimate": tidy["hazard_ratio"], "conf_low": tidy["hr_low"], "conf_high": tidy["hr_high"]}
        return draw_forest(tidy.assign(**ratios), ax=ax)


def refit(fit: CoxFit, *, rng: Generator, n_resamples: int = N_RESAMPLES) -> Refits:
    """Refit a Cox model to resamples of its patients, drawn with replacement.

    Parameters
    ----------
    fit : a Cox fit with Efron's or Breslow's ties, unpenalised; a patient's rows, weights and stratum go together
    rng : source of randomness
    n_resamples : number of resamples

    Returns
    -------
    result : ``coefficients`` (n_resamples, p) as ``fit_cox`` finds them on the rows written out; resamples whose
        likelihood has no maximum are NaN, counted in ``glance()``

    Raises
    ------
    OutcomeError : no Cox fit, another likelihood than the partial one; no resample asked for, no numpy Generator

    Notes
    -----
    Burr, JASA 1994;89:1290; Davison & Hinkley, Bootstrap Methods and Their Application, 3.5.

    Examples
    --------
    >>> from aih_outcomes.models.survival.cox.fit import fit_cox
    >>> from aih_outcomes.outcomes import TimeToEvent
    >>> frame = pd.DataFrame({"t": range(1, 21), "dead": 1, "x": [0.0, 1.0, 1.0, 0.0] * 5})
    >>> fit = fit_cox(TimeToEvent.from_frame(frame, exit="t", event="dead", covariates=["x"]), covariates=["x"])
    >>> refit(fit, rng=np.random.default_rng(1), n_resamples=50).coefficients.shape
    (50, 1)
    """
    require_fit(fit)
    refuse_other_likelihood(fit)
    refuse_no_draws("n_resamples", n_resamples, rng)
    if fit.not_estimable is not None:
        return Refits(fit, np.full((n_resamples, len(fit.coefficients)), np.nan), fit.not_estimable)
    rows, spread = arrange_rows(fit), fit.design.X.std(axis=0)
    start = fit.coefficients * spread
    found = [solve(rows, drawn[rows.patient], start) for drawn in draw(rows, rng, n_resamples)]
    return Refits(fit, np.concatenate(found, axis=1).T / spread, None)


def arrange_rows(fit: CoxFit) -> Rows:
    """Arrange the rows of a fit for its resamples."""
    assert fit.sets is not None
    return prepare(fit.design.X, fit.sets, number_patients(fit), efron=fit.ties == "efron")


def number_patients(fit: CoxFit) -> Index:
    """(n_rows,) whose row it is, numbered from 0 in the order of their names: rows may come in any order."""
    return np.asarray(pd.factorize(fit.frame["patient_id"], sort=True)[0], np.int64)


def refuse_other_likelihood(fit: CoxFit) -> None:
    """Refuse what the batched kernel does not maximise.

    Raises
    ------
    OutcomeError
    """
    if fit.ties == "exact" or fit.penalty is not None:
        what = "exact ties" if fit.penalty is None else "a penalty"
        raise OutcomeError(
            f"The fit has {what}", "Resamples maximise the partial likelihood with Efron's or Breslow's ties",
            "Fit without it",
        )  # fmt: skip
