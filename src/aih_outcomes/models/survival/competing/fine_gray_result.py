"""A fitted Fine-Gray model: subdistribution hazard ratios, sizes, predicted risks, and the words that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from aih_outcomes.models.guard import GROUP, counts_by_level
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.competing.observation import Convention
from aih_outcomes.models.survival.competing.risk_differences import as_one_event, compare_risks
from aih_outcomes.models.survival.cox.profiles import read_profiles
from aih_outcomes.models.survival.cox.result import FEW_EVENTS
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.models.survival.designs.design import BIASED, caution, name_design
from aih_outcomes.models.terms.design import Design, Term
from aih_outcomes.outcomes import CENSORED, Groups, TimeToEvent, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = NDArray[np.float64]
Ties = Literal["breslow", "efron"]
Variance = Literal["full", "robust", "model"]

VARIANCES: dict[Variance, str] = {
    "full": "sandwich variance with the estimated censoring weights",
    "robust": "robust variance by patient, censoring weights taken as known",
    "model": "variance of the model, censoring weights taken as known",
}
COUNTS = ["n", "n_event", "reference", "n_reference", "n_event_reference"]


@dataclass(frozen=True, slots=True, eq=False)
class FineGrayFit:
    """A fitted Fine-Gray model; p terms.

    Attributes
    ----------
    outcome : what was followed; ``frame`` the rows used, in which only ``cause`` counts as an event; ``design`` terms
    cause : the event modelled; ``n_competing`` events of each competing cause
    coefficients : (p,) log subdistribution hazard ratios; NaN where not estimable
    vcov : (p, p) variance used for intervals and tests; ``vcov_model`` the inverse of the information
    time, hazard : (K,) event times and steps of the cumulative subdistribution hazard at the terms' means ``centre``
    loglik_null, loglik : log partial likelihood at 0 and at the optimum
    not_estimable : the reason, or None
    """

    outcome: TimeToEvent
    cause: str
    by: Groups | str | None
    frame: pd.DataFrame
    design: Design
    n_competing: dict[str, int]
    coefficients: Vector
    vcov: Matrix
    vcov_model: Matrix
    time: Vector
    hazard: Vector
    centre: Vector
    loglik_null: float
    loglik: float
    scaled_gradient: float
    ties: Ties
    convention: Convention
    variance: Variance
    censoring_strata: str | None
    n_missing: int
    conf_level: float
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per term.

        Returns
        -------
        frame : ``label, term, state, n_event, estimate, std_error, conf_low, conf_high, statistic, p_value`` on the log
            scale (Wald; ``state`` is the cause), then ``subdistribution_hazard_ratio, shr_low, shr_high``; ``n``
            patients and ``n_event`` events of the level, with ``reference, n_reference, n_event_reference``;
            ``std_error_model``; ``design``, ``biased``
        """
        z = norm.ppf((1 + self.conf_level) / 2)
        b, se = self.coefficients, np.sqrt(np.diag(self.vcov))
        frame = pd.DataFrame({
            "label": self.outcome.label, "term": self.design.names, "state": self.cause, "estimate": b,
            "std_error": se, "conf_low": b - z * se, "conf_high": b + z * se, "statistic": b / se,
            "p_value": 2 * norm.sf(np.abs(b / se)), "subdistribution_hazard_ratio": np.exp(b),
            "shr_low": np.exp(b - z * se), "shr_high": np.exp(b + z * se),
        })  # fmt: skip
        counts = pd.DataFrame([self._counts(term) for term in self.design.terms], index=frame.index, columns=COUNTS)
        frame = pd.concat([frame, counts], axis=1).astype({"n_reference": "Int64", "n_event_reference": "Int64"})
        design = self.outcome.design
        return order_columns(frame.assign(
            std_error_model=np.sqrt(np.diag(self.vcov_model)), design=name_design(design),
            biased=design.startswith(BIASED),
        ))  # fmt: skip

    def glance(self) -> dict[str, Any]:
        """Facts about the whole fit: sizes, likelihoods, tests, conventions, and why it is not estimable, if so."""
        p = len(self.design.terms)
        tests = {"lr_test": np.nan, "wald_test": np.nan}
        if self.not_estimable is None:
            tests["lr_test"] = 2 * (self.loglik - self.loglik_null)
            tests["wald_test"] = float(self.coefficients @ np.linalg.solve(self.vcov, self.coefficients))
        return {
            "n": len(self.frame), "n_patients": int(self.frame["patient_id"].nunique()), "cause": self.cause,
            "n_event": self.n_event, "n_competing": sum(self.n_competing.values()),
            "n_event_by_cause": {self.cause: self.n_event} | self.n_competing,
            "n_parameters": p, "events_per_parameter": self.events_per_parameter,
            "n_missing_excluded": self.n_missing, "by": self.by_name, "design": name_design(self.outcome.design),
            "ties": self.ties, "convention": self.convention, "variance": self.variance,
            "censoring_strata": self.censoring_strata, "conf_level": self.conf_level,
            "loglik_null": self.loglik_null, "loglik": self.loglik, "scaled_gradient": self.scaled_gradient,
            "lr_test": tests["lr_test"], "lr_p_value": float(chi2.sf(tests["lr_test"], max(p, 1))),
            "wald_test": tests["wald_test"], "wald_p_value": float(chi2.sf(tests["wald_test"], max(p, 1))),
            "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        competing = ", ".join(self.n_competing) or "nothing"
        parts = [
            f"Fine-Gray model of {self.cause} ({self.outcome.label}), competing: {competing}; "
            f"{len(self.design.terms)} parameter(s); time since {self.outcome.time_zero}.",
            "A subdistribution hazard ratio says how a term moves the cumulative incidence; "
            "it is not a ratio of rates among those still at risk.",
            f"{self.ties.capitalize()} ties, {VARIANCES[self.variance]}, weights as in {self.convention}.",
            f"Groups: {self.by_name} ({name_design(self.outcome.design)})." if self.by_name else "",
            "Patients with missing covariates were left out." if self.n_missing else "",
            f"Not estimable: {self.not_estimable}." if self.not_estimable else self._describe_size(),
            caution(self.outcome.design),
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the subdistribution hazard ratios as a forest for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy()
        ratios = {
            "estimate": tidy["subdistribution_hazard_ratio"], "conf_low": tidy["shr_low"], "conf_high": tidy["shr_high"]
        }  # fmt: skip
        label = f"Subdistribution hazard ratio ({100 * self.conf_level:g} % CI), log scale"
        return draw_forest(tidy.assign(**ratios), ax=ax, x_label=label)

    def predict(self, frame: pd.DataFrame, times: Sequence[float] | Vector) -> pd.DataFrame:
        """Predict the cumulative incidence of the cause for patients described by their covariates.

        Parameters
        ----------
        frame : one row per profile, with the covariates of the model; the index names them
        times : in the outcome's unit

        Returns
        -------
        frame : ``label, strata, state, time, estimate``: one row per profile and time; 1 − exp(−H(t | x)) with
            Breslow's cumulative hazard (Efron's with ties="efron"), as in R ``predict.crr``; NaN after the end of
            follow-up, and where the fit is not estimable

        Raises
        ------
        OutcomeError : a covariate is not given, is missing for a row, or has a level that the fit does not know
        """
        X, when = read_profiles(self, frame), np.asarray(times, float)  # type: ignore[arg-type]  # its terms are a Cox fit's
        risk = np.full((len(X), len(when)), np.nan)
        if self.not_estimable is None:
            total = np.concatenate([[0.0], np.cumsum(self.hazard)])[np.searchsorted(self.time, when, "right")]
            ratio = np.exp((X - self.centre) @ self.coefficients)
            risk = -np.expm1(-np.outer(ratio, total))
            risk[:, when > self.frame["exit"].max()] = np.nan
        predicted = pd.DataFrame({
            "label": self.outcome.label, "strata": np.repeat(frame.index.astype(str).to_numpy(), len(when)),
            "state": self.cause, "time": np.tile(when, len(X)), "estimate": risk.ravel(),
        })  # fmt: skip
        predicted.attrs = {"time_unit": self.outcome.time_unit, "time_zero": self.outcome.time_zero}
        return predicted

    def compare_risks(self, *, horizon: float | None = None) -> pd.DataFrame:
        """Compare the groups' risk of the cause, and the time lost to it: the absolute beside the relative.

        Parameters, columns and errors as in ``risk_differences.compare_risks``: one row per group but the first and
        measure, unadjusted, with ``not_estimable`` where a group has fewer than 5 at risk at the horizon.
        """
        composite = self.cause not in self.outcome.frame["event"].cat.categories
        outcome = as_one_event(self.outcome, self.cause) if composite else self.outcome
        return compare_risks(outcome, self.by, [self.cause], horizon, self.conf_level)

    @property
    def by_name(self) -> str:
        """What the groups speak of; empty without groups."""
        return name_groups(self.by)

    @property
    def n_event(self) -> int:
        """Number of events of the cause among the rows used."""
        return int((self.frame["event"] != CENSORED).sum())

    @property
    def events_per_parameter(self) -> float:
        """Events of the cause for each coefficient."""
        return self.n_event / max(len(self.design.terms), 1)

    def _describe_size(self) -> str:
        if self.events_per_parameter >= FEW_EVENTS:
            return ""
        return f"Fewer than {FEW_EVENTS} events per parameter: ratios tend to be too extreme; fewer terms lessen it."

    def _counts(self, term: Term) -> dict[str, object]:
        if term.level is None:
            return dict.fromkeys(COUNTS, pd.NA)
        rows = self.frame[["patient_id", "event"]].assign(**{GROUP: self.design.categories[term.variable]})
        counts = counts_by_level(rows, [str(term.level), str(term.reference)])
        (n, n_event), (n_reference, n_event_reference) = counts.to_numpy().tolist()
        return dict(zip(COUNTS, [n, n_event, term.reference, n_reference, n_event_reference], strict=True))
