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
from aih_outcomes.outcomes import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """The patients over whom survival is averaged: n patients, L levels, T times (0 and event times to the horizon).

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


def gather(fit: CoxFit, over: str, horizon: float) -> Study:
    """Gather the patients of a fit, each with what was known at their first entry.

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
    time = np.concatenate([[0.0], time[time > 0]])
    steps = tuple(np.searchsorted(sets.time[numbers], time, side="right") for numbers in own)
    return Study(
        levels, Z, sets.weight[first], offset_of(sets)[first], codes[first], time, horizon, steps, own
    )  # fmt: skip


def average(study: Study, drawn: NDArray[np.int64], hazard: Floats, beta: Floats) -> Floats:
    """(B, L, T) mean survival of the patients drawn, with everyone set to each level.

    Parameters
    ----------
    drawn : (n_patients, B) how often; ``hazard`` : (K, B) steps of the baseline hazard; ``beta`` : (p, B)
    """
    weight = drawn * study.weight[:, None]
    share = weight / weight.sum(axis=0)
    mean = np.zeros((beta.shape[1], len(study.levels), len(study.time)))
    for code, (own, steps) in enumerate(zip(study.own, study.steps, strict=True)):
        members = np.flatnonzero(study.stratum == code)
        cumulated = np.concatenate([np.zeros((1, beta.shape[1])), np.cumsum(hazard[own], axis=0)])[steps]
        for level, Z in enumerate(study.Z):
            risk = np.exp(Z[members] @ beta + study.offset[members, None])
            for at, total in enumerate(cumulated):
                mean[:, level, at] += np.einsum("ib,ib->b", share[members], np.exp(-total * risk))
    return mean


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
