"""Cox's proportional-hazards model on spells (entry, exit]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, counts_by_level, join_groups, require_time_to_event
from aih_outcomes.models.result import refuse_no_level
from aih_outcomes.models.survival.cox.concordance import compute_concordance
from aih_outcomes.models.survival.cox.kernel import (
    Optimum,
    RiskSets,
    linear_predictor,
    map_risk_sets,
    maximise,
    score_residuals,
    sum_risk_sets,
)
from aih_outcomes.models.survival.cox.result import CoxFit, Matrix, Missing, Ties
from aih_outcomes.models.survival.cox.terms import Design, build_design, refuse_undeclared
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.outcomes import CENSORED, Groups, TimeToEvent, Vector

FIRTH = "Firth's penalty would give a finite estimate"


def fit_cox(
    outcome: TimeToEvent,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] = (),
    cluster: Literal["patient_id"] | None = None,
    strata: str | None = None,
    ties: Ties = "efron",
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> CoxFit:
    """Fit a Cox model; any event of the outcome counts.

    Parameters
    ----------
    outcome : spells (entry, exit] with covariates; weights are case weights, with ``cluster`` any weights
    by : groups known at entry (guarded) or a covariate read as categories; its first level is the reference
    covariates : columns, ``log(column)``, ``log2(column)``, ``sqrt(column)``; text and categories are dummy-coded
        against their first level
    cluster : rows that belong together; standard errors are then the robust ones of Lin & Wei
    strata : covariate with a baseline hazard per level
    missing : what to do with rows without a value: refuse, or exclude and count them in ``glance()``

    Returns
    -------
    fit : where the data do not determine the ratios, their estimates are NaN and ``not_estimable`` says why

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : unknown terms, missing covariates, no convergence to an optimum

    Notes
    -----
    Cox, J R Stat Soc B 1972;34:187; ties: Efron, JASA 1977;72:557; robust variance: Lin & Wei, JASA 1989;84:1074.
    Conventions of R's ``coxph``.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"t": [1, 2, 3, 4], "dead": [1, 1, 1, 0], "x": [1.0, 0.0, 1.0, 0.0]})
    >>> outcome = TimeToEvent.from_frame(frame, exit="t", event="dead", covariates=["x"])
    >>> round(float(fit_cox(outcome, covariates=["x"]).tidy()["estimate"][0]), 4)
    0.9406
    """
    refuse_no_level(conf_level)
    require_time_to_event(outcome)
    frame = join_groups(outcome, by)
    if by is None:
        frame = frame.drop(columns=GROUP) if GROUP not in outcome.frame else outcome.frame
    variables = ([] if by is None else [GROUP]) + [
        name for name in covariates if not (name == by or (by is not None and name == GROUP))
    ]
    _refuse_fractions(outcome, cluster)
    refuse_undeclared(outcome, [*covariates, *([strata] if strata else [])])
    frame = frame.assign(weight=outcome.weight)
    design = build_design(frame, variables)
    used = np.isfinite(design.X).all(axis=1) & (frame["weight"].to_numpy() > 0)
    if strata is not None:
        used &= frame[strata].notna().to_numpy()
    n_missing = _answer_for_missing(int(np.sum(~used & (frame["weight"].to_numpy() > 0))), outcome, missing)
    frame = frame[used].reset_index(drop=True)
    design = build_design(frame, variables)
    return _fit(outcome, name_groups(by), frame, design, cluster, strata, ties, n_missing, conf_level)


def _fit(
    outcome: TimeToEvent, by_name: str, frame: pd.DataFrame, design: Design, cluster: str | None, strata: str | None,
    ties: Ties, n_missing: int, conf_level: float,
) -> CoxFit:  # fmt: skip
    p = len(design.terms)
    unknown = np.full((p, p), np.nan)

    def give_up(reason: str) -> CoxFit:
        return CoxFit(
            outcome, by_name, frame, design, None, None, None, np.full(p, np.nan), unknown, unknown, ties, cluster,
            strata, n_missing, conf_level, reason,
        )  # fmt: skip

    reason = _why_hopeless(frame, design)
    if reason:
        return give_up(reason)
    event = (frame["event"] != CENSORED).to_numpy(bool)
    entry, exit, weight = (frame[name].to_numpy(float) for name in ("entry", "exit", "weight"))
    levels = _numbered(frame[strata]) if strata else np.zeros(len(frame), np.int64)
    sets = map_risk_sets(entry, exit, event, weight, levels, efron=ties == "efron")
    best = maximise(design.X, sets)
    if not best.converged:
        return give_up(_why_not_converged(best, design))
    vcov_model = np.asarray(np.linalg.inv(best.information), float)
    vcov = vcov_model if cluster is None else _robust(design.X, best.beta, sets, vcov_model, _numbered(frame[cluster]))
    together = np.arange(len(frame)) if cluster is None else _numbered(frame[cluster])
    concordance = compute_concordance(
        linear_predictor(design.X, best.beta), entry, exit, event, weight, levels, together
    )
    return CoxFit(
        outcome, by_name, frame, design, sets, best, concordance, best.beta, vcov, vcov_model, ties, cluster, strata,
        n_missing, conf_level, None,
    )  # fmt: skip


def _refuse_fractions(outcome: TimeToEvent, cluster: str | None) -> None:
    """Weights that are no counts make the model's own variance meaningless."""
    broken = int(np.sum(outcome.weight != np.round(outcome.weight)))
    if broken and cluster is None:
        raise OutcomeError(
            f"{broken} of {len(outcome.frame)} weights are not whole numbers",
            "Weights that are no case counts need a robust variance",
            "Pass cluster='patient_id'",
        )


def _answer_for_missing(n_missing: int, outcome: TimeToEvent, missing: Missing) -> int:
    if n_missing and missing == "raise":
        raise OutcomeError(
            f"{n_missing} of {len(outcome.frame)} rows of {outcome.label!r} lack a covariate of the model",
            "A missing value is never a normal one",
            "Pass missing='exclude' to leave these rows out, counted; or impute them; or drop the covariate",
        )
    return n_missing


def _why_hopeless(frame: pd.DataFrame, design: Design) -> str | None:
    """Say what can be seen before fitting, or None."""
    n_event, p = int((frame["event"] != CENSORED).sum()), len(design.terms)
    single = [name for name, levels in design.categories.items() if len(levels.categories) < 2]
    if single:
        return f"only one group in {', '.join(single)}"
    if not p:
        return "the model has no terms"
    if not n_event:
        return "no events"
    if n_event < p:
        return "fewer events than parameters"
    for variable, levels in design.categories.items():
        counts = counts_by_level(frame.assign(**{GROUP: levels}), [str(level) for level in levels.categories])
        empty = [str(level) for level in counts.index[counts["n_event"] == 0]]
        if empty:
            return f"no events in {variable}: {', '.join(empty)}; {FIRTH}"
    spread = design.X.std(axis=0)
    centred = (design.X - design.X.mean(axis=0)) / np.where(spread > 0, spread, 1)
    if np.any(spread == 0) or np.linalg.matrix_rank(centred) < p:
        return "terms are constant or collinear"
    return None


def _why_not_converged(best: Optimum, design: Design) -> str:
    """Name a monotone likelihood; anything else is an error."""
    if best.flat and np.isfinite(best.loglik):
        largest = design.names[int(np.argmax(np.abs(best.beta * design.X.std(axis=0))))]
        why = "the events separate, or nothing varies among those at risk"
        return f"the likelihood is monotone in {largest!r} ({why}); {FIRTH}"
    raise OutcomeError(
        f"The Cox model with {len(design.terms)} term(s) did not reach an optimum "
        f"(scaled gradient {best.scaled_gradient:.1e})",
        "An estimate is shown only where it is the optimum", "Use fewer terms, or rescale extreme covariates",
    )  # fmt: skip


def _robust(X: Matrix, beta: Vector, sets: RiskSets, vcov_model: Matrix, cluster: NDArray[np.int64]) -> Matrix:
    shares = score_residuals(X, sum_risk_sets(X, beta, sets), sets) @ vcov_model
    summed = np.column_stack([np.bincount(cluster, column) for column in shares.T])
    return np.asarray(summed.T @ summed)


def _numbered(values: pd.Series) -> NDArray[np.int64]:
    return np.asarray(pd.factorize(values, sort=True)[0], np.int64)
