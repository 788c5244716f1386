"""Absolute differences where another event may come first: risk, and time lost to the event, at a horizon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from aih_outcomes.models.survival.competing.cumulative_incidence import (
    EVENT_FREE,
    CumulativeIncidence,
    estimate_cumulative_incidence,
)
from aih_outcomes.models.survival.curves.kaplan_meier import LEAST_AT_RISK
from aih_outcomes.outcomes import CENSORED, Groups, TimeToEvent

RISK, TIME_LOST = "risk_difference", "time_lost_difference"


@dataclass(frozen=True, slots=True, eq=False)
class IncidenceContrasts:
    """Differences of cumulative incidences at a horizon, against the first group.

    Attributes
    ----------
    curves : cumulative incidence of the event and of those that compete with it
    horizon : in the outcome's unit; NaN where no horizon has 5 at risk in two groups
    contrasts : ``strata, measure, estimate, std_error, conf_low, conf_high, statistic, p_value``; one row per group and
        measure: ``risk_difference``, ``time_lost_difference`` (the mean time lost to the event up to the horizon)
    """

    curves: CumulativeIncidence
    horizon: float
    contrasts: pd.DataFrame
    not_estimable: str | None


def compare_incidence_at(
    outcome: TimeToEvent, *, by: Groups | str, horizon: float | None = None, conf_level: float = 0.95
) -> IncidenceContrasts:
    """Compare the risk of the event by a horizon between groups, competing events accounted for.

    Parameters
    ----------
    outcome : spells (entry, exit] with competing events; several kinds of the event count as one
    by : groups known at entry (guarded) or a covariate; the first level is the reference
    horizon : in the outcome's unit; None for the last time with 5 at risk in every group that ever has so many; a group
        with fewer at the horizon is not estimable

    Raises
    ------
    ImmortalTimeError : groups became known after entry

    Notes
    -----
    Aalen-Johansen, variance by the infinitesimal jackknife; time lost: Andersen, Stat Med 2013;32:5278.
    """
    name = _name_of_event(outcome)
    curves = estimate_cumulative_incidence(_one_event(outcome, name), by=by, conf_level=conf_level)
    limit, usable, reason = _reach(curves, horizon)
    names = [curve.strata for curve in curves.curves]
    values = {RISK: _unknown(names), TIME_LOST: _unknown(names)}
    if reason is None:
        found = {RISK: curves.at([limit]), TIME_LOST: curves.restricted_time_lost(limit)}
        values = {measure: _read(frame, name, names) for measure, frame in found.items()}
    rows = [
        _difference(level, measure, own[level], own[names[0]], ok and usable[0], conf_level)
        for level, ok in list(zip(names, usable, strict=True))[1:]
        for measure, own in values.items()
    ]
    return IncidenceContrasts(curves, limit, pd.DataFrame(rows), reason)


def _unknown(names: list[str]) -> dict[str, tuple[float, float]]:
    return dict.fromkeys(names, (float("nan"), float("nan")))


def _read(frame: pd.DataFrame, state: str, names: list[str]) -> dict[str, tuple[float, float]]:
    """Return estimate and standard error of a state, by group; 0 where it never happened to anyone."""
    own = frame[frame["state"] == state]
    pairs = zip(own["estimate"].to_numpy(float).tolist(), own["std_error"].to_numpy(float).tolist(), strict=True)
    return dict.fromkeys(names, (0.0, 0.0)) | dict(zip(own["strata"], pairs, strict=True))


def _name_of_event(outcome: TimeToEvent) -> str:
    """Return the outcome's name, or one that no competing event has."""
    return outcome.label if outcome.label not in (CENSORED, *outcome.competing) else f"{outcome.label} (the event)"


def _one_event(outcome: TimeToEvent, name: str) -> TimeToEvent:
    """Call every event that does not compete by one name."""
    event = outcome.frame["event"].astype(object).where(~outcome.event, name)
    levels = [CENSORED, name, *outcome.competing]
    return outcome.with_rows(outcome.frame.assign(event=pd.Categorical(event, categories=levels)))


def _reach(curves: CumulativeIncidence, horizon: float | None) -> tuple[float, list[bool], str | None]:
    """Return how far to go, which groups have 5 at risk there, and why nothing can be said, if so (rule 20)."""
    free = curves.tidy()
    free = free[(free["state"] == EVENT_FREE) & (free["n_risk"] >= LEAST_AT_RISK)]
    found = free.groupby("strata")["time"].max()
    last = [float(found.get(curve.strata, -np.inf)) for curve in curves.curves]
    ever = [time for time in last if np.isfinite(time)]
    nobody = [False] * len(last)
    if not np.isfinite(last[0]) or len(ever) < min(2, len(last)):
        return float("nan"), nobody, f"a group never has {LEAST_AT_RISK} at risk"
    limit = min(ever) if horizon is None else float(horizon)
    if limit <= curves.from_day:
        return limit, nobody, "the horizon lies before the day from which the curves can be told"
    usable = [time >= limit for time in last]
    if not usable[0] or sum(usable) < min(2, len(last)):
        return limit, nobody, f"the horizon lies beyond the last time with {LEAST_AT_RISK} at risk in two groups"
    return limit, usable, None


def _difference(
    level: str, measure: str, own: tuple[float, float], reference: tuple[float, float], usable: bool, conf_level: float
) -> dict[str, object]:
    z = float(norm.ppf((1 + conf_level) / 2))
    gap, spread = (own[0] - reference[0], float(np.hypot(own[1], reference[1]))) if usable else (float("nan"),) * 2
    spread = spread or float("nan")  # without an event in either group there is no interval
    statistic = gap / spread
    return {
        "strata": level, "measure": measure, "estimate": gap, "std_error": spread, "conf_low": gap - z * spread,
        "conf_high": gap + z * spread, "statistic": statistic, "p_value": float(2 * norm.sf(abs(statistic))),
    }  # fmt: skip
