"""Cox's proportional-hazards model on spells (entry, exit]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.guard import GROUP, declared_column, join_groups, refuse_competing, require_time_to_event
from aih_outcomes.models.result import refuse_no_level
from aih_outcomes.models.survival.cox.exact import maximise_exact, refuse_large_ties
from aih_outcomes.models.survival.cox.firth import maximise_firth
from aih_outcomes.models.survival.cox.kernel import (
    Optimum,
    RiskSets,
    map_risk_sets,
    maximise,
    score_residuals,
    standardise,
    sum_risk_sets,
    weighted_cross,
)
from aih_outcomes.models.survival.cox.penalty import FIRTH, Penalty, Ridge, refuse_no_penalty
from aih_outcomes.models.survival.cox.result import CoxFit, Matrix, Missing, Ties, number_levels
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.models.terms.design import (
    Design,
    build_design,
    refuse_group_beside,
    refuse_undeclared,
    restrict_design,
)
from aih_outcomes.models.terms.formula import list_terms
from aih_outcomes.outcomes import CENSORED, Groups, TimeToEvent, Vector

FINITE = 'Firth\'s penalty would give a finite estimate: penalty="firth"'
PARTICIPATES = 1e-3  # share of the largest component with which a term runs away together with it
LARGEST = 1e100  # squares of larger numbers, summed, may overflow
WIDEST_OFFSET = 500.0  # exp of more may overflow
CLEARLY_FULL_RANK = 1e-6  # smallest eigenvalue of the correlations; below it the rank is counted
CANCELS = 1e-6  # variance over squared mean, below which a difference of squares is not trusted


def fit_cox(
    outcome: TimeToEvent,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    cluster: Literal["patient_id"] | None = None,
    strata: str | None = None,
    offset: str | None = None,
    penalty: Penalty | None = None,
    ties: Ties | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> CoxFit:
    """Fit a Cox model; any event of the outcome counts.

    Parameters
    ----------
    outcome : spells (entry, exit] with covariates; weights are case weights, with ``cluster`` any weights
    by : groups known at entry (guarded) or a covariate read as categories; its first level is the reference
    covariates : a list of terms or one formula. A term is a column, or ``log``, ``log2``, ``log10``, ``sqrt``, ``exp``
        of one, ``C(x, reference="level")`` for a category, ``ns(x, df=3)`` for R's natural spline; ``a * b`` and
        ``a:b`` are interactions. Text and categories are dummy-coded against their first level
    cluster : rows that belong together; standard errors are then the robust ones of Lin & Wei
    strata : covariate with a baseline hazard per level
    offset : covariate, or function of one, whose coefficient is known to be 1
    penalty : ``"firth"`` (intervals and tests by profile penalised likelihood) or ``Ridge(theta=...)``
    ties : ``efron``, ``breslow`` or ``exact`` (time is discrete); None for Efron, with Firth's penalty for Breslow
    missing : what to do with rows without a value: refuse, or exclude and count them in ``glance()``

    Returns
    -------
    fit : where the data do not determine the ratios, their estimates are NaN and ``not_estimable`` says why

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : unknown terms, missing covariates, what does not go together, no convergence to an optimum

    Notes
    -----
    Cox, J R Stat Soc B 1972;34:187; ties: Efron, JASA 1977;72:557; robust variance: Lin & Wei, JASA 1989;84:1074;
    Firth's penalty: Heinze & Schemper, Biometrics 2001;57:114. Conventions of R's ``coxph`` and ``coxphf``.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"t": [1, 2, 3, 4], "dead": [1, 1, 1, 0], "x": [1.0, 0.0, 1.0, 0.0]})
    >>> outcome = TimeToEvent.from_frame(frame, exit="t", event="dead", covariates=["x"])
    >>> round(float(fit_cox(outcome, covariates=["x"]).tidy()["estimate"][0]), 4)
    0.9406
    >>> round(float(fit_cox(outcome, covariates="x", penalty="firth").tidy()["estimate"][0]), 4)
    0.7593
    """
    refuse_no_level(conf_level)
    require_time_to_event(outcome)
    refuse_unknown_choice("missing", missing, ("raise", "exclude"))
    ties = _check_choices(outcome, ties, penalty, cluster)
    frame = _rows_of(outcome, by)
    names = list_terms(covariates)
    variables = names if by is None else [GROUP, *(name for name in names if name not in (by, GROUP))]
    refuse_undeclared(outcome, names if offset is None else [*names, offset])
    refuse_group_beside(outcome, by, names)
    if strata is not None:
        declared_column(outcome, strata)
    design = build_design(frame, variables)
    known = _read_offset(frame, offset)
    weight = frame["weight"].to_numpy(float)
    used = np.isfinite(design.X.T).all(axis=0)
    for complete in (None if known is None else np.isfinite(known), None if strata is None else frame[strata].notna()):
        used &= True if complete is None else np.asarray(complete)
    n_missing = _answer_for_missing(int(np.sum(~used & (weight > 0))), outcome, missing)
    used &= weight > 0
    if not used.all():
        frame = frame[used].reset_index(drop=True)
        design, known = restrict_design(design, frame), None if known is None else known[used]
    empty = CoxFit(
        outcome, name_groups(by), frame, design, None, None, *_unknown(len(design.terms)), ties, cluster, strata,
        n_missing, conf_level, None, offset, penalty,
    )  # fmt: skip
    return _fit(empty, known)


def _fit(empty: CoxFit, offset: Vector | None) -> CoxFit:
    """Fill in the estimates, or why there are none."""
    frame, design, penalty = empty.frame, empty.design, empty.penalty
    event = (frame["event"] != CENSORED).to_numpy(bool)
    reason = _why_hopeless(event, design, penalty, _finite_by(empty))
    if reason:
        return replace(empty, not_estimable=reason)
    cluster = None if empty.cluster is None else number_levels(frame[empty.cluster])
    if cluster is not None and cluster.max() < len(design.terms):
        return replace(empty, not_estimable="no more patients than parameters, which a robust variance needs")
    entry, exit, weight = (frame[name].to_numpy(float) for name in ("entry", "exit", "weight"))
    levels = None
    if empty.strata is not None:
        levels = np.asarray(pd.factorize(frame[empty.strata], sort=True)[0], np.int64)
    if offset is not None and _widest(offset, levels) > WIDEST_OFFSET:
        return replace(empty, not_estimable="the offset has values too far apart to compute with")
    sets = map_risk_sets(entry, exit, event, weight, levels, efron=empty.ties == "efron", offset=offset)
    best = _maximise(design.X, sets, empty.ties, penalty)
    if not best.converged:
        return replace(empty, not_estimable=_why_not_converged(best, design, _finite_by(empty)))
    vcov = vcov_model = np.asarray(np.linalg.inv(best.information), float)
    if cluster is not None:
        vcov = _robust(design.X, best.beta, sets, vcov_model, cluster)
    return replace(empty, sets=sets, optimum=best, coefficients=best.beta, vcov=vcov, vcov_model=vcov_model)


def _widest(offset: Vector, levels: NDArray[np.int64] | None) -> float:
    """Return the largest range of the offset within a stratum."""
    return float(np.ptp(offset) if levels is None else pd.Series(offset).groupby(levels).agg(np.ptp).max())


def _maximise(X: Matrix, sets: RiskSets, ties: Ties, penalty: Penalty | None) -> Optimum:
    if ties == "exact":
        refuse_large_ties(sets, X.shape[1])
        return maximise_exact(X, sets)
    if isinstance(penalty, Ridge):
        return maximise(X, sets, ridge=penalty.per_term(X))
    return maximise_firth(X, sets) if penalty == FIRTH else maximise(X, sets)


def _check_choices(outcome: TimeToEvent, ties: Ties | None, penalty: Penalty | None, cluster: str | None) -> Ties:
    """Refuse what does not go together, and settle how ties are treated."""
    refuse_no_penalty(penalty)
    refuse_unknown_choice("ties", ties, (None, "efron", "breslow", "exact"))
    refuse_unknown_choice("cluster", cluster, (None, "patient_id"))
    weight = outcome.weight if "weight" in outcome.frame else np.ones(1)
    broken = int(np.sum(weight != np.round(weight)))
    if broken and cluster is None:
        raise OutcomeError(
            f"{broken} of {len(outcome.frame)} weights are not whole numbers",
            "Weights that are no case counts need a robust variance",
            "Pass cluster='patient_id'",
        )
    weighted = int(np.sum(weight > 1))
    if ties == "exact" and (weighted or cluster or penalty):
        asked = [name for name, given in (("weights", weighted), ("cluster", cluster), ("penalty", penalty)) if given]
        raise OutcomeError(
            f"The exact likelihood of ties is asked for with {len(asked)} more: {', '.join(asked)}",
            "It is defined for single rows without weights, robust variance or penalty",
            "Take ties='efron', or leave these out",
        )
    if penalty == FIRTH and cluster:
        raise OutcomeError(
            f"Firth's penalty is asked for together with cluster={cluster!r}",
            "Its intervals are those of the profile likelihood; no robust variance stands beside them",
            "Leave out cluster, or the penalty",
        )
    return ties or ("breslow" if penalty == FIRTH else "efron")


def _rows_of(outcome: TimeToEvent, by: Groups | str | None) -> pd.DataFrame:
    """Return the outcome's rows with ``weight`` and, if there is one, ``group``; a million rows are not copied."""
    if by is None:
        refuse_competing(outcome)
    frame = outcome.frame.copy(deep=False) if by is None else join_groups(outcome, by)
    if "weight" not in frame:
        frame["weight"] = outcome.weight
    return frame


def _read_offset(frame: pd.DataFrame, offset: str | None) -> Vector | None:
    if offset is None:
        return None
    design = build_design(frame, [offset])
    if design.X.shape[1] != 1 or design.categories:
        raise OutcomeError(
            f"offset={offset!r} is no single number per row",
            "Its coefficient is 1: it is added to the linear predictor",
            "Name one covariate that holds numbers, or a function of one such as 'log(x)'",
        )
    return np.ascontiguousarray(design.X[:, 0])


def _answer_for_missing(n_missing: int, outcome: TimeToEvent, missing: Missing) -> int:
    if n_missing and missing == "raise":
        raise OutcomeError(
            f"{n_missing} of {len(outcome.frame)} rows of {outcome.label!r} lack a covariate of the model",
            "A missing value is never a normal one",
            "Pass missing='exclude' to leave these rows out, counted; or impute them; or drop the covariate",
        )
    return n_missing


def _unknown(p: int) -> tuple[Vector, Matrix, Matrix]:
    return np.full(p, np.nan), np.full((p, p), np.nan), np.full((p, p), np.nan)


def _why_hopeless(event: NDArray[np.bool_], design: Design, penalty: Penalty | None, finite: str) -> str | None:
    """Say what can be seen before fitting, or None."""
    n_event, p = int(event.sum()), len(design.terms)
    if not len(event):
        return "no rows with a weight and every covariate"
    single = [name for name, levels in design.categories.items() if len(levels.categories) < 2]
    if single:
        return f"only one group in {', '.join(single)}"
    if not p:
        return "the model has no terms"
    if not n_event:
        return "no events"
    if n_event < p:
        return "fewer events than parameters"
    for variable, levels in () if penalty else design.categories.items():
        counts = np.bincount(levels.codes[event], minlength=len(levels.categories))
        empty = [str(level) for level in levels.categories[counts == 0]]
        if empty:
            return f"no events in {variable}: {', '.join(empty)}{finite}"
    if overflows(design.X):
        return "a term has values too large to compute with"
    return None if _has_full_rank(design.X, collinear=isinstance(penalty, Ridge)) else "terms are constant or collinear"


def _finite_by(fit: CoxFit) -> str:
    """Return the words for Firth's penalty, where it may be asked for, else an empty text."""
    return "" if fit.penalty or fit.cluster or fit.ties == "exact" else f"; {FINITE}"


def overflows(X: Matrix) -> bool:
    """Return whether the spread of some column may be no finite number."""
    return any(max(abs(x.min()), abs(x.max())) > LARGEST for x in X.T)


def _has_full_rank(X: Matrix, *, collinear: bool) -> bool:
    """No column is constant and, unless ``collinear`` ones are allowed, none is a combination of others."""
    if any(x.min() == x.max() for x in X.T):
        return False
    mean, square = X.mean(axis=0), weighted_cross(X, np.broadcast_to(1.0, len(X))) / len(X)
    variance = np.diag(square) - mean**2
    if np.all(variance > CANCELS * mean**2):  # no digits to speak of are lost: the quick look can be trusted
        spread = np.sqrt(variance)
        correlations = (square - np.outer(mean, mean)) / np.outer(spread, spread)
        if collinear or np.linalg.eigvalsh(correlations).min() > CLEARLY_FULL_RANK:
            return True
    with np.errstate(divide="ignore", invalid="ignore"):  # a spread too small for a number is no spread
        Z, spread = standardise(X)
    if not np.all(spread > 0):
        return False
    if collinear:
        return True
    return bool(np.linalg.matrix_rank(Z) == X.shape[1])


def _why_not_converged(best: Optimum, design: Design, finite: str) -> str:
    """Name a monotone likelihood; anything else is an error."""
    if best.flat and np.isfinite(best.loglik):
        running = np.abs(best.direction) > PARTICIPATES * np.abs(best.direction).max()
        names = " and ".join(repr(name) for name, runs in zip(design.names, running, strict=True) if runs)
        together = " together" if running.sum() > 1 else ""
        why = "the events separate, or nothing varies among those at risk"
        return f"the likelihood is monotone in {names}{together} ({why}){finite}"
    raise OutcomeError(
        f"The Cox model with {len(design.terms)} term(s) did not reach an optimum "
        f"(scaled gradient {best.scaled_gradient:.1e})",
        "An estimate is shown only where it is the optimum", "Use fewer terms, or rescale extreme covariates",
    )  # fmt: skip


def _robust(X: Matrix, beta: Vector, sets: RiskSets, vcov_model: Matrix, cluster: NDArray[np.int64]) -> Matrix:
    """Sandwich of the score residuals, summed over clusters."""
    residuals = score_residuals(X, sum_risk_sets(X, beta, sets), sets)
    summed = np.column_stack([np.bincount(cluster, column) for column in residuals.T]) @ vcov_model
    return np.asarray(summed.T @ summed)
