"""Fine and Gray's proportional subdistribution hazards, with either convention of R, late entry and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.guard import GROUP, label_rows, require_time_to_event
from aih_outcomes.models.result import refuse_no_level
from aih_outcomes.models.survival.competing.fine_gray_result import VARIANCES, FineGrayFit, Matrix, Ties, Variance
from aih_outcomes.models.survival.competing.observation import (
    Convention,
    Index,
    Observation,
    Spells,
    estimate_observation,
)
from aih_outcomes.models.survival.competing.rows import (
    name_cause,
    number_patients,
    only_cause,
    read_spells,
    refuse_changing,
    refuse_uncovered,
    rows_used,
)
from aih_outcomes.models.survival.competing.subdistribution import (
    Optimum,
    censoring_residuals,
    map_risk_sets,
    maximise,
    score_residuals,
)
from aih_outcomes.models.survival.cox.fit import overflows
from aih_outcomes.models.survival.cox.kernel import weighted_cross
from aih_outcomes.models.survival.cox.result import Missing
from aih_outcomes.models.terms.design import Design, refuse_undeclared
from aih_outcomes.models.terms.formula import list_terms
from aih_outcomes.outcomes import CENSORED, Groups, TimeToEvent, Vector

LEAST_VARIANCE = 1e-20  # of a robust variance, relative to the model's; below it there is none
CLEARLY_FULL_RANK = 1e-6  # smallest eigenvalue of the correlations; below it the rank is counted


def fit_fine_gray(
    outcome: TimeToEvent,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    cause: str | None = None,
    ties: Ties = "breslow",
    convention: Convention = "crr",
    variance: Variance | None = None,
    censoring_strata: str | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> FineGrayFit:
    """Fit a Fine-Gray model: how terms move the cumulative incidence of one cause.

    Parameters
    ----------
    outcome : spells (entry, exit]; the events that are not the cause compete with it
    by : groups known at entry (guarded) or a covariate read as categories; its first level is the reference
    covariates : a list of terms or one formula, as in ``fit_cox``
    cause : an event of the outcome; None for the event that the outcome itself follows
    ties : ``breslow`` as in cmprsk's ``crr``, or ``efron``
    convention : how the weights count a censoring on the day of an event: ``crr`` among all followed to that day,
        ``finegray`` (R survival) after the events of the day. ``finegray`` also takes late entry and weights; in its
        weights every row counts once
    variance : ``full`` with the term for the estimated censoring weights (``crr`` only, and its default), ``robust``
        by patient without it (default of ``finegray``), or ``model``
    censoring_strata : covariate within whose levels censoring is estimated
    missing : what to do with rows without a value: refuse, or exclude and count them in ``glance()``; rows left out
        do not enter the censoring weights either

    Returns
    -------
    fit : where the data do not determine the ratios, their estimates are NaN and ``not_estimable`` says why

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : unknown terms or cause, missing covariates, a convention that does not cover the data, a gap in a
        patient's follow-up, status changing with time, no convergence to an optimum

    Notes
    -----
    Fine & Gray, JASA 1999;94:496; late entry: Geskus, Biometrics 2011;67:39. The same figures as cmprsk's ``crr``, or
    as ``finegray`` and ``coxph`` of R survival. Where censoring is stratified, ``crr`` differs from the derivation in
    its variance (an event counts for the weights of its own stratum only), and so does ``convention="crr"``; R's
    ``finegray`` makes such weights for a stratified ``coxph`` alone, so that ``convention="finegray"`` has no
    counterpart there.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {
    ...         "t": [1, 2, 3, 4, 5, 6],
    ...         "x": [1.0, 0.0, 1.0, 0.0, 1.0, 0.0],
    ...         "end": ["flare", "death", "flare", "flare", "censored", "death"],
    ...     }
    ... )
    >>> outcome = TimeToEvent.from_frame(frame, exit="t", event="end", covariates=["x"], competing=["death"])
    >>> fit_fine_gray(outcome, covariates=["x"]).tidy()["subdistribution_hazard_ratio"].round(3).tolist()
    [3.411]
    """
    refuse_no_level(conf_level)
    require_time_to_event(outcome)
    for argument, given, choices in (
        ("ties", ties, ("breslow", "efron")), ("convention", convention, ("crr", "finegray")),
        ("variance", variance, (None, *VARIANCES)), ("missing", missing, ("raise", "exclude")),
    ):  # fmt: skip
        refuse_unknown_choice(argument, given, choices)
    refuse_changing(outcome)
    name, levels = name_cause(outcome, cause)
    frame = outcome.frame if by is None else label_rows(outcome, by)
    names = list_terms(covariates)
    variables = names if by is None else [GROUP, *(term for term in names if term not in (by, GROUP))]
    refuse_undeclared(outcome, [*names, *([censoring_strata] if censoring_strata else [])])
    frame, design, n_missing = rows_used(outcome, frame, variables, censoring_strata, missing)
    patient = number_patients(frame)
    spells, asked = read_spells(frame, levels, patient), variance or ("full" if convention == "crr" else "robust")
    refuse_uncovered(outcome, spells, frame["weight"].to_numpy(float), convention, asked)
    n_competing = {str(level): int(n) for level, n in frame["event"].value_counts(sort=False).items() if n}
    n_competing = {level: n for level, n in n_competing.items() if level not in (CENSORED, *levels)}
    frame, strata = only_cause(frame, levels), np.zeros(len(frame), np.int64)
    if censoring_strata is not None:
        strata = np.asarray(pd.factorize(frame[censoring_strata], sort=True)[0], np.int64)
    best = _solve(frame, design, spells, strata, patient, ties, convention, asked)
    return FineGrayFit(
        outcome, name, by, frame, design, n_competing, best.coefficients, best.vcov, best.vcov_model,
        best.time, best.hazard, best.centre, best.loglik_null, best.loglik, best.scaled_gradient, ties, convention,
        asked, censoring_strata, n_missing, conf_level, best.not_estimable,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    """What the likelihood gives; the fields are those of the fit."""

    coefficients: Vector
    vcov: Matrix
    vcov_model: Matrix
    time: Vector
    hazard: Vector
    centre: Vector
    loglik_null: float
    loglik: float
    scaled_gradient: float
    not_estimable: str | None


def _solve(
    frame: pd.DataFrame, design: Design, spells: Spells, strata: Index, patient: Index, ties: Ties,
    convention: Convention, variance: Variance,
) -> _Solution:  # fmt: skip
    reason = _why_hopeless(spells.event, design)
    if reason:
        return _unknown(design, reason)
    if overflows(design.X):
        return _unknown(design, "a term has values too large to compute with")
    centre, spread = design.X.mean(axis=0), np.array([x.std() * (x.min() < x.max()) for x in design.X.T])
    by_exit = np.argsort(spells.exit, kind="stable")
    spells, strata, patient = spells.of(by_exit), strata[by_exit], patient[by_exit]
    columns = zip(design.X.T, centre, np.where(spread > 0, spread, 1.0), strict=True)
    Z = np.column_stack([(x[by_exit] - mean) / scale for x, mean, scale in columns])
    if not _has_full_rank(Z):
        return _unknown(design, "terms are constant or collinear")
    observed = [estimate_observation(spells.of(strata == level), convention) for level in range(strata.max() + 1)]
    reason = _why_no_weights(spells, observed, strata)
    if reason:
        return _unknown(design, reason)
    sets = map_risk_sets(spells, observed, strata, frame["weight"].to_numpy(float)[by_exit], efron=ties == "efron")
    best = maximise(Z, sets)
    if not best.converged:
        return _unknown(design, _why_not_converged(best, design))
    at, back = best.at, np.outer(spread, spread)
    vcov = vcov_model = np.asarray(np.linalg.inv(at.information), float)
    if variance != "model":
        residuals = score_residuals(Z, at, sets)
        if variance == "full":
            residuals += censoring_residuals(Z, at, sets, spells, observed)
        shares = residuals @ vcov_model
        summed = np.column_stack([np.bincount(patient, share) for share in shares.T])
        vcov = np.asarray(summed.T @ summed)
        if not (np.diag(vcov) > LEAST_VARIANCE * np.diag(vcov_model)).all():
            return _unknown(design, "the robust variance is 0 (everyone at risk has the event at once)")
    return _Solution(
        best.beta / spread, vcov / back, vcov_model / back, sets.time, at.hazard * np.exp(-at.shift), centre,
        best.loglik_null, at.loglik, best.scaled_gradient, None,
    )  # fmt: skip


def _unknown(design: Design, reason: str) -> _Solution:
    p, nan = len(design.terms), float("nan")
    blank, square = np.full(p, nan), np.full((p, p), nan)
    return _Solution(blank, square, square, np.empty(0), np.empty(0), blank, nan, nan, nan, reason)


def _why_hopeless(event: NDArray[np.bool_], design: Design) -> str | None:
    """Say what can be seen before fitting, or None."""
    n_event, p = int(event.sum()), len(design.terms)
    single = [name for name, levels in design.categories.items() if len(levels.categories) < 2]
    if single:
        return f"only one group in {', '.join(single)}"
    if not p:
        return "the model has no terms"
    if n_event < p:
        return "fewer events than parameters" if n_event else "no events"
    for variable, levels in design.categories.items():
        counts = np.bincount(levels.codes[event], minlength=len(levels.categories))
        empty = [str(level) for level in levels.categories[counts == 0]]
        if empty:
            return f"no events in {variable}: {', '.join(empty)}"
    return None


def _has_full_rank(Z: Matrix) -> bool:
    """No standardised term (n_rows, p) is constant or follows from others."""
    correlations = weighted_cross(Z, np.full(len(Z), 1 / len(Z)))
    if np.linalg.eigvalsh(correlations).min() > CLEARLY_FULL_RANK:
        return True
    return bool(np.linalg.matrix_rank(Z) == Z.shape[1])


def _why_no_weights(spells: Spells, observed: list[Observation], strata: Index) -> str | None:
    """Say where late entry leaves nobody followed for a while; R then drops the rows whose weights are 0/0."""
    for level, chance in enumerate(observed):
        if not chance.before(spells.exit[spells.competing & (strata == level)]).all():
            return (
                "at some time nobody is followed and others enter later, so that weights are undefined; "
                "leave out whoever enters after all others have left"
            )
    return None


def _why_not_converged(best: Optimum, design: Design) -> str:
    """Name a monotone likelihood; anything else is an error."""
    if best.flat and np.isfinite(best.at.loglik):
        largest = design.names[int(np.argmax(np.abs(best.beta)))]
        return f"the likelihood is monotone in {largest!r} (the events separate, or nothing varies among those at risk)"
    raise OutcomeError(
        f"The Fine-Gray model with {len(design.terms)} term(s) did not reach an optimum "
        f"(scaled gradient {best.scaled_gradient:.1e})",
        "An estimate is shown only where it is the optimum", "Use fewer terms, or rescale extreme covariates",
    )  # fmt: skip
