"""Average predicted survival over patients, in many resamples at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.kernel import Index
from aih_outcomes.models.survival.cox.profiles import read_profiles
from aih_outcomes.models.survival.cox.refit import number_patients
from aih_outcomes.models.survival.cox.resamples import Floats, offset_of
from aih_outcomes.models.survival.cox.result import CoxFit
from aih_outcomes.models.survival.curves.curve import first_day_with_at_risk, last_with_at_risk
from aih_outcomes.models.survival.curves.kaplan_meier import LEAST_AT_RISK
from aih_outcomes.outcomes import CENSORED, Vector


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """The patients over whom survival is averaged: n patients, L levels, T times (start, event times to the horizon).

    Attributes
    ----------
    Z : (L, n, p) standardised covariates with everyone set to each level
    weight, offset, stratum : (n,) of each patient
    steps : per stratum, (T,) number of event times so far; ``own`` : per stratum, its event times' numbers
    """

    levels: tuple[str, ...]
    Z: Floats
    weight: Vector
    offset: Vector
    stratum: Index
    time: Vector
    horizon: float
    steps: tuple[Index, ...]
    own: tuple[Index, ...]


def gather(fit: CoxFit, over: str, start: float, horizon: float) -> Study:
    """Gather the patients of a fit, each with what was known at their first entry; curves run from ``start``.

    Raises
    ------
    OutcomeError : covariates, the stratum or the offset change with time
    """
    assert fit.sets is not None
    sets, X, patient = fit.sets, fit.design.X, number_patients(fit)
    codes = np.zeros(len(X), np.int64) if fit.strata is None else pd.factorize(fit.frame[fit.strata], sort=True)[0]
    order = np.lexsort((fit.frame["entry"].to_numpy(float), patient))
    first = order[np.searchsorted(patient[order], np.arange(patient.max() + 1))]
    fixed = np.column_stack([X, codes, offset_of(sets)])
    _refuse_changing(int(np.sum(np.bincount(patient, (fixed != fixed[first[patient]]).any(axis=1)) > 0)), len(first))
    levels = tuple(str(level) for level in fit.design.categories[over].categories)
    column = column_of_category(fit, over)
    rows, centre, spread = fit.frame.iloc[first], X.mean(axis=0), X.std(axis=0)
    Z = np.stack([(read_profiles(fit, rows.assign(**{column: level})) - centre) / spread for level in levels])
    time = np.unique(sets.time[sets.time <= horizon])
    of_time = np.zeros(sets.n_times, np.int64)
    of_time[sets.event_time] = codes[sets.event_rows]
    own = tuple(np.flatnonzero(of_time == code) for code in range(int(codes.max()) + 1))
    time = np.concatenate([[start], time[time > start]])
    steps = tuple(np.searchsorted(sets.time[numbers], time, side="right") for numbers in own)
    return Study(
        levels, Z, sets.weight[first], offset_of(sets)[first], codes[first], time, horizon, steps, own
    )  # fmt: skip


def average(study: Study, drawn: NDArray[np.int64], hazard: Floats, beta: Floats) -> Floats:
    """(B, L, T) mean survival of the patients drawn, with everyone set to each level, given alive at the first time.

    Parameters
    ----------
    drawn : (n_patients, B) how often; ``hazard`` : (K, B) steps of the baseline hazard; ``beta`` : (p, B)
    """
    weight = drawn * study.weight[:, None]
    share = weight / weight.sum(axis=0)
    mean = np.zeros((beta.shape[1], len(study.levels), len(study.time)))
    for code, (own, steps) in enumerate(zip(study.own, study.steps, strict=True)):
        members = np.flatnonzero(study.stratum == code)
        cumulated = np.concatenate([np.zeros((1, beta.shape[1])), np.cumsum(hazard[own], axis=0)])
        cumulated = cumulated[steps] - cumulated[steps[0]]
        for level, Z in enumerate(study.Z):
            risk = np.exp(Z[members] @ beta + study.offset[members, None])
            for at, total in enumerate(cumulated):
                mean[:, level, at] += np.einsum("ib,ib->b", share[members], np.exp(-total * risk))
    return np.minimum(mean, 1.0)  # shares add up to 1 but for rounding


def find_reach(fit: CoxFit, over: str) -> float:
    """Return the last time with 5 at risk at every level; NaN where a level never has so many."""
    last = []
    for level in fit.design.categories[over].categories:
        frame = fit.frame[np.asarray(fit.design.categories[over] == level)]
        last.append(last_with_at_risk(frame["entry"].to_numpy(float), frame["exit"].to_numpy(float), LEAST_AT_RISK))
    return min(last) if last and np.isfinite(last).all() else float("nan")


def find_beginning(fit: CoxFit) -> float:
    """Return the time from which the baseline hazard of every stratum rests on 5 at risk (rule 13)."""
    frame, latest = fit.frame, 0.0
    if not len(frame):
        return 0.0
    zero = min(0.0, float(frame["entry"].min()))
    for _, rows in [("", frame)] if fit.strata is None else frame.groupby(fit.strata, observed=True):
        entry, exit = rows["entry"].to_numpy(float) - zero, rows["exit"].to_numpy(float) - zero
        event = (rows["event"] != CENSORED).to_numpy(bool)
        latest = max(latest, first_day_with_at_risk(entry, exit, event, None, LEAST_AT_RISK))
    return zero + latest


def column_of_category(fit: CoxFit, category: str) -> str:
    """Return the column that a categorical term reads."""
    return next(iter(fit.design.codings[category].factor.columns.values()))


def _refuse_changing(count: int, total: int) -> None:
    if count:
        raise OutcomeError(
            f"{count} of {total} patients have covariates that change with time",
            "Everyone is set to one group from the start, with what was known then",
            "Fit on covariates known at time zero, or after landmark(...)",
        )  # fmt: skip
