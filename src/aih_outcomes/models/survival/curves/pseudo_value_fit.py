"""A regression on pseudo-values: adjusted differences of risks and restricted means, without a hazard model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.guard import GROUP, label_rows, require_time_to_event
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.cox.result import FEW_EVENTS
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.models.survival.curves.leave_one_out import Matrix
from aih_outcomes.models.survival.curves.pseudo_values import KERNELS, Summary, pseudo_matrix
from aih_outcomes.models.survival.designs.design import caution, name_design, refuse_reversible
from aih_outcomes.models.terms.design import build_design, refuse_undeclared
from aih_outcomes.models.terms.formula import list_terms
from aih_outcomes.outcomes import Groups, TimeToEvent, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Link = Literal["identity", "cloglog"]

MEASURES: dict[tuple[str, str], str] = {
    ("survival", "identity"): "risk_difference",
    ("survival", "cloglog"): "log_hazard_ratio",
    ("restricted mean", "identity"): "restricted_mean_difference",
    ("cumulative incidence", "identity"): "risk_difference",
    ("cumulative incidence", "cloglog"): "log_subdistribution_hazard_ratio",
}


@dataclass(frozen=True, slots=True, eq=False)
class PseudoValueFit:
    """A regression on pseudo-values.

    Attributes
    ----------
    outcome, by_name, covariates : what was followed and what explains it
    times, of, link : the times, the summary and the link
    names : terms; with several times, one intercept per time comes first
    estimate : (n_terms,); ``covariance`` (n_terms, n_terms) robust, by patient
    n, n_event, n_missing : rows used, their events, rows left out for a missing covariate
    """

    outcome: TimeToEvent
    by_name: str
    covariates: tuple[str, ...]
    times: tuple[float, ...]
    of: Summary
    link: Link
    names: tuple[str, ...]
    estimate: Vector
    covariance: Matrix
    n: int
    n_event: int
    n_missing: int
    conf_level: float
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per term: ``label, term, time, estimate`` to ``conf_high``, ``statistic, p_value, measure``.

        ``time`` is the intercept's own, or the one time of the fit. ``measure`` is what a term compares.
        """
        error = np.sqrt(np.diag(self.covariance))
        z = norm.ppf((1 + self.conf_level) / 2)
        k = len(self.times)
        statistic = np.divide(self.estimate, error, out=np.full(len(error), np.nan), where=error > 0)
        own = [*self.times, *[self.times[0] if k == 1 else np.nan] * (len(self.names) - k)]
        measure = MEASURES[self.of, self.link]
        return order_columns(pd.DataFrame({
            "label": self.outcome.label, "term": self.names, "time": own, "estimate": self.estimate,
            "std_error": error, "conf_low": self.estimate - z * error, "conf_high": self.estimate + z * error,
            "statistic": statistic, "p_value": 2 * norm.sf(np.abs(statistic)),
            "measure": ["intercept"] * k + [measure] * (len(self.names) - k),
        }))  # fmt: skip

    def glance(self) -> dict[str, Any]:
        """Facts about the whole fit."""
        return {
            "n": self.n, "n_event": self.n_event, "n_missing": self.n_missing, "times": self.times, "of": self.of,
            "link": self.link, "by": self.by_name, "covariates": self.covariates,
            "events_per_parameter": self.events_per_parameter,
            "design": name_design(self.outcome.design), "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        outcome = self.outcome
        if self.not_estimable:
            return f"Regression on pseudo-values of {outcome.label} not estimable: {self.not_estimable}."
        when = ", ".join(f"{time:g}" for time in self.times)
        name = "risk (one minus survival)" if self.of == "survival" else self.of
        adjusted = f"adjusted for {', '.join(self.covariates)}" if self.covariates else "unadjusted"
        parts = [
            f"{outcome.label}: regression on pseudo-values of the {name} at {when} {outcome.time_unit} since "
            f"{outcome.time_zero}, {self.link} link, {adjusted}; robust variance.",
            "Censoring is taken to be independent of the covariates.",
        ]
        if self.n_missing:
            parts.append(f"Rows left out for a missing covariate: {self.n_missing}.")
        if self.events_per_parameter < FEW_EVENTS:
            parts.append(f"Fewer than {FEW_EVENTS} events per parameter; fewer terms lessen it.")
        return " ".join([*parts, caution(outcome.design)]).strip()

    @property
    def events_per_parameter(self) -> float:
        """Events for each term that is no intercept."""
        return self.n_event / max(len(self.names) - len(self.times), 1)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Refuse politely: the terms are read as a table.

        Raises
        ------
        OutcomeError
        """
        raise OutcomeError("A regression on pseudo-values has no figure", "It is read as a table", "Use .tidy()")


def fit_pseudo_values(
    outcome: TimeToEvent,
    *,
    times: Sequence[float],
    of: Summary = "survival",
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    link: Link = "identity",
    missing: Literal["raise", "exclude"] = "raise",
    conf_level: float = 0.95,
) -> PseudoValueFit:
    """Fit risks, or restricted means, at fixed times to covariates: adjusted differences without a hazard model.

    Parameters
    ----------
    outcome, times : as in ``compute_pseudo_values``
    of : ``survival`` is modelled as the risk, one minus survival: coefficients are risk differences (identity) or log
        hazard ratios (cloglog); of a cumulative incidence, log subdistribution hazard ratios
    by : groups known at entry (guarded) or a covariate; the first level is the reference
    covariates : terms as in ``fit_cox``; categories against their first level
    missing : refuse rows without a value, or exclude them, count them and make the pseudo-values of those left

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : see ``compute_pseudo_values``; unknown terms or choices, missing covariates, a time asked for twice,
        the cloglog link of a mean

    Notes
    -----
    Generalised estimating equations with working independence and the sandwich variance by patient (statsmodels),
    slightly too large as pseudo-values share their sample (Jacobsen & Martinussen, Scand J Stat 2016;43:845).
    """
    refuse_no_level(conf_level)
    require_time_to_event(outcome)
    refuse_reversible(outcome.design, by)
    for name, given, choices in (
        ("of", of, tuple(KERNELS)), ("link", link, ("identity", "cloglog")), ("missing", missing, ("raise", "exclude")),
    ):  # fmt: skip
        refuse_unknown_choice(name, given, choices)
    if len(set(times)) < len(times):
        raise OutcomeError(
            f"{len(times) - len(set(times))} of {len(times)} times are asked for twice",
            "Each time has one intercept", "Name each time once",
        )  # fmt: skip
    if (of, link) not in MEASURES:
        raise OutcomeError(
            f"The {link} link is asked for a {of}", "A restricted mean has differences: the identity link",
            "Write link='identity'",
        )  # fmt: skip
    asked = list_terms(covariates)
    refuse_undeclared(outcome, asked)
    terms = ([] if by is None else [GROUP]) + [name for name in asked if by is None or name not in (by, GROUP)]
    frame = outcome.frame if by is None else label_rows(outcome, by)
    used = np.asarray(np.isfinite(build_design(frame, terms).X).all(axis=1), bool)
    n_missing = int(np.sum(~used))
    if n_missing and missing == "raise":
        raise OutcomeError(
            f"{n_missing} of {len(used)} rows of {outcome.label!r} lack a covariate",
            "Missing covariates are answered for",
            "Write missing='exclude', impute them, or leave the covariate out",
        )
    kept = outcome.with_rows(outcome.frame.loc[used])
    design = build_design(frame.loc[used].reset_index(drop=True), terms)
    values = pseudo_matrix(kept, times, of)
    response = 1 - values if of == "survival" else values
    n, k = values.shape
    X = np.hstack([np.repeat(np.eye(k), n, axis=0), np.tile(design.X, (k, 1))])
    names = ("intercept",) if k == 1 else tuple(f"intercept at {time:g}" for time in times)
    estimate, covariance, reason = _solve(response.T.ravel(), X, np.tile(np.arange(n), k), link, design.X, kept)
    return PseudoValueFit(
        outcome, name_groups(by), tuple(asked), tuple(float(time) for time in times), of, link,
        (*names, *design.names), estimate, covariance, n, int(kept.event.sum()), n_missing, conf_level, reason,
    )  # fmt: skip


def _solve(
    response: Vector, X: Matrix, patient: NDArray[np.int64], link: Link, covariates: Matrix, outcome: TimeToEvent
) -> tuple[Vector, Matrix, str | None]:
    """Solve the estimating equations; NaN and a reason where the data do not determine the terms."""
    from statsmodels.genmod.cov_struct import Independence
    from statsmodels.genmod.families import Gaussian
    from statsmodels.genmod.families.links import CLogLog, Identity
    from statsmodels.genmod.generalized_estimating_equations import GEE

    p = X.shape[1]
    reason = None
    if not outcome.event.any():
        reason = "no events"
    elif np.linalg.matrix_rank(np.column_stack([np.ones(len(covariates)), covariates])) <= covariates.shape[1]:
        reason = "a term is constant or follows from the others"
    elif len(covariates) <= p:
        reason = f"{len(covariates)} patients for {p} terms"
    if reason is None:
        kind = Identity() if link == "identity" else CLogLog()
        start = None if link == "identity" else _start(response, X)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pseudo-values leave [0, 1]; whether the fit is one is asked below
            family = Gaussian(kind, check_link=False)
            model = GEE(response, X, groups=patient, family=family, cov_struct=Independence())
            fit = model.fit(maxiter=200, ctol=1e-10, start_params=start)
        if fit.converged and np.isfinite(fit.params).all():
            return np.asarray(fit.params, float), np.asarray(fit.cov_robust, float), None
        reason = "the estimating equations did not converge"
    return np.full(p, np.nan), np.full((p, p), np.nan), reason


def _start(response: Vector, X: Matrix) -> Vector:
    """Begin at the mean risk of everyone, no term having an effect."""
    mean = min(max(float(response.mean()), 0.01), 0.99)
    level = np.full(len(response), np.log(-np.log(1 - mean)))
    return np.asarray(np.linalg.lstsq(X, level, rcond=None)[0], float)
