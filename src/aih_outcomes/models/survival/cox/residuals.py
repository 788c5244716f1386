"""Residuals of a Cox fit: what each row, or each event, adds to it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.survival.cox.checks import require_fit
from aih_outcomes.models.survival.cox.kernel import RiskSets, Sums, score_residuals, sum_risk_sets
from aih_outcomes.models.survival.cox.result import CoxFit
from aih_outcomes.outcomes import CENSORED, Vector

Residual = Literal["martingale", "deviance", "score", "dfbeta", "dfbetas", "schoenfeld", "scaled_schoenfeld"]
Matrix = NDArray[np.float64]

KINDS = ("martingale", "deviance", "score", "dfbeta", "dfbetas", "schoenfeld", "scaled_schoenfeld")
ONE_COLUMN = ("martingale", "deviance")
BY_EVENT = ("schoenfeld", "scaled_schoenfeld")


def compute_residuals(fit: CoxFit, kind: Residual) -> pd.DataFrame:
    """Compute residuals, one row per row of the data used or, for Schoenfeld's, per event.

    They are patients' own values: for the analyst's screen, never for a report. ``study.disclose`` refuses them.

    Parameters
    ----------
    fit : a Cox fit
    kind : ``martingale`` (events seen minus expected), ``deviance``; ``score``, ``dfbeta`` (by how much the
        coefficients move with the row, weighted), ``dfbetas`` (the same in standard errors of the model);
        ``schoenfeld`` (covariates of an event minus their mean over the risk set), ``scaled_schoenfeld`` (their
        smooth in time estimates the coefficient at that time)

    Returns
    -------
    frame : one column ``martingale`` or ``deviance``, else one per term, rows in the order of ``fit.frame``; for
        Schoenfeld's ``time`` comes first, rising within strata. NaN where the fit is not estimable.

    Raises
    ------
    OutcomeError : no Cox fit; no such kind; other than ``martingale`` and ``deviance`` of a fit with exact ties

    Notes
    -----
    Therneau, Grambsch & Fleming, Biometrika 1990;77:147; Grambsch & Therneau, Biometrika 1994;81:515. Conventions of
    R's ``residuals.coxph``: only ``dfbeta`` and ``dfbetas`` are multiplied by case weights.

    Examples
    --------
    >>> from aih_outcomes.models.survival.cox.fit import fit_cox
    >>> from aih_outcomes.outcomes import TimeToEvent
    >>> frame = pd.DataFrame({"t": [1, 2, 3, 4], "dead": [1, 1, 1, 0], "x": [1.0, 0.0, 1.0, 0.0]})
    >>> fit = fit_cox(TimeToEvent.from_frame(frame, exit="t", event="dead", covariates=["x"]), covariates=["x"])
    >>> compute_residuals(fit, "martingale")["martingale"].round(4).tolist()
    [0.6404, 0.6404, -0.6404, -0.6404]
    """
    require_fit(fit)
    refuse_unknown_choice("kind", kind, KINDS)
    if fit.ties == "exact" and kind not in ONE_COLUMN:
        raise OutcomeError(
            f"{kind} residuals are asked of a fit with exact ties", "They are defined where tied events are set apart",
            "Fit with ties='efron', or take 'martingale' or 'deviance'",
        )  # fmt: skip
    names = [kind] if kind in ONE_COLUMN else fit.design.names
    event = (fit.frame["event"] != CENSORED).to_numpy(bool)
    if fit.sets is None or fit.optimum is None:
        columns = ["time", *names] if kind in BY_EVENT else names
        n_rows = int(event.sum()) if kind in BY_EVENT else len(event)
        return pd.DataFrame(np.full((n_rows, len(columns)), np.nan), columns=columns)
    X, sets = fit.design.X, fit.sets
    sums = sum_risk_sets(X, fit.optimum.beta, sets)
    if kind in BY_EVENT:
        values = schoenfeld(X, sums, sets)
        if kind == "scaled_schoenfeld":
            values = values @ fit.vcov_model * len(values) + fit.coefficients
        return pd.DataFrame(np.column_stack([sets.time[sets.event_time], values]), columns=["time", *names])
    return pd.DataFrame(_by_row(fit, kind, sums, sets, event), columns=names)


def martingale(sums: Sums, sets: RiskSets, event: NDArray[np.bool_]) -> Vector:
    """(n_rows,) events seen minus expected; Efron's share of a tie is kept out of its own events' hazard."""
    expected = sets.while_at_risk(sums.hazard)
    expected[sets.event_rows] -= sums.hazard_events[sets.event_time]
    return np.asarray(event - sums.risk / sets.weight * expected)


def schoenfeld(X: Matrix, sums: Sums, sets: RiskSets) -> Matrix:
    """(n_events, p) covariates of each event minus their mean over the risk set, averaged over Efron's denominators."""
    total = sums.all_x * sums.hazard[:, None] - sums.events_x * sums.hazard_events[:, None]
    mean = total / sets.at_events(sets.event_weight)[:, None]
    return np.asarray(X[sets.event_rows] - mean[sets.event_time])


def _by_row(fit: CoxFit, kind: Residual, sums: Sums, sets: RiskSets, event: NDArray[np.bool_]) -> Matrix:
    if kind in ONE_COLUMN:
        m = martingale(sums, sets, event)
        if kind == "deviance":
            seen = np.where(event, np.log(np.where(event, event - m, 1.0)), 0.0)
            m = np.sign(m) * np.sqrt(np.maximum(-2 * (m + seen), 0.0))
        return m[:, None]
    shares = score_residuals(fit.design.X, sums, sets)
    if kind == "score":
        return shares / sets.weight[:, None]
    moved = shares @ fit.vcov_model
    return moved if kind == "dfbeta" else moved / np.sqrt(np.diag(fit.vcov_model))
