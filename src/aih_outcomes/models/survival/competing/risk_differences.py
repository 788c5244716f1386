"""The absolute beside the relative: differences of cumulative incidence, and of time lost, at a horizon (rule 20)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_number
from aih_outcomes.models.guard import GROUP, label_rows
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.competing.cumulative_incidence import (
    CumulativeIncidence,
    estimate_cumulative_incidence,
)
from aih_outcomes.models.survival.curves.curve import last_with_at_risk
from aih_outcomes.models.survival.curves.kaplan_meier import LEAST_AT_RISK
from aih_outcomes.outcomes import CENSORED, Groups, TimeToEvent

RISK, TIME_LOST = "risk_difference", "time_lost_difference"
COLUMNS = [
    "label", "strata", "term", "state", "time", "estimate", "std_error", "conf_low", "conf_high", "measure", "alive_at",
    "not_estimable",
]  # fmt: skip


def compare_risks(
    outcome: TimeToEvent, by: Groups | str | None, causes: list[str], horizon: float | None, conf_level: float
) -> pd.DataFrame:
    """Compare the groups' cumulative incidence of each cause, and the time lost to it, up to a horizon.

    Parameters
    ----------
    horizon : in the outcome's unit; None for the last time with 5 at risk in every group

    Returns
    -------
    frame : ``label, strata, term, state, time, estimate, std_error, conf_low, conf_high, measure, alive_at,
        not_estimable``: one row per group but the first, cause and ``measure``: ``risk_difference``, the incidence
        minus that of the first group, and ``time_lost_difference``, the same of the mean time lost to the cause, in the
        outcome's unit (Andersen, Stat Med 2013;32:5278). Unadjusted, and given event-free at ``alive_at``; NaN with the
        reason where a group has fewer than 5 at risk at the horizon

    Raises
    ------
    OutcomeError : there are no groups to compare; a horizon that is no number
    """
    if by is None:
        raise OutcomeError(
            "The model compares no groups", "A difference of risks has two groups", "Name them in the fit: by=..."
        )
    curves = estimate_cumulative_incidence(outcome, by=by, conf_level=conf_level)
    last = _last_with_enough(outcome, by)
    limit = min([time for time in last.values() if time > 0], default=np.nan)
    if horizon is not None:
        limit = read_number("horizon", horizon, "horizon=1826")
    (first, *others), begins = last, curves.from_day
    values = _read(curves, limit) if begins < limit < np.inf else None
    rows: list[list[object]] = []
    for level in others:
        few = [name for name in (first, level) if not last[name] >= limit]
        reason = f"fewer than {LEAST_AT_RISK} at risk at the horizon in {' and '.join(few)}" if few else None
        if values is None and not few:
            reason = "the horizon lies before the day from which the curves can be told"
        for cause in causes:
            for measure in (RISK, TIME_LOST):
                gap = spread = np.nan
                if values is not None and not reason:
                    pair = values[measure].reindex([(level, cause), (first, cause)]).to_numpy(float)
                    gap, spread = float(pair[0, 0] - pair[1, 0]), float(np.hypot(*pair[:, 1]))
                why = reason or ("no events" if np.isnan(gap) else None)
                rows.append([level, f"{level} − {first}", cause, gap, spread, measure, why])
    named = pd.DataFrame(rows, columns=["strata", "term", "state", "estimate", "std_error", "measure", "not_estimable"])
    width = norm.ppf((1 + conf_level) / 2) * named["std_error"]
    named = named.assign(
        label=outcome.label, time=limit, alive_at=begins, conf_low=named["estimate"] - width,
        conf_high=named["estimate"] + width,
    )  # fmt: skip
    return order_columns(named[COLUMNS])


def as_one_event(outcome: TimeToEvent, name: str) -> TimeToEvent:
    """Return the outcome with every event that does not compete called by one name."""
    event = outcome.frame["event"].astype(object).where(~outcome.event, name)
    levels = [CENSORED, name, *outcome.competing]
    return outcome.with_rows(outcome.frame.assign(event=pd.Categorical(event, categories=levels)))


def _read(curves: CumulativeIncidence, horizon: float) -> dict[str, pd.DataFrame]:
    """Return estimates and standard errors by group and cause, for each measure."""
    frames = {RISK: curves.at([horizon]), TIME_LOST: curves.restricted_time_lost(horizon)}
    return {
        measure: frame.set_index(["strata", "state"])[["estimate", "std_error"]] for measure, frame in frames.items()
    }


def _last_with_enough(outcome: TimeToEvent, by: Groups | str) -> dict[str, float]:
    """Return by group the last time at which 5 are at risk; −inf where there never are."""
    frame = label_rows(outcome, by)[outcome.weight > 0]
    return {
        str(level): last_with_at_risk(rows["entry"].to_numpy(float), rows["exit"].to_numpy(float), LEAST_AT_RISK)
        for level, rows in frame.groupby(GROUP, observed=True)
    }
