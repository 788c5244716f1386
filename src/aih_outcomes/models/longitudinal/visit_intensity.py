"""How often somebody is seen, given what was last seen: the intensity of visits, and weights that undo it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, declared_column
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.result import CoxFit
from aih_outcomes.outcomes import RepeatedMeasures, TimeToEvent, Vector

PAST = "last_value"
OWN = ("patient_id", "time", "entry", "exit", "event", PAST)


@dataclass(frozen=True, slots=True, eq=False)
class VisitIntensity:
    """A model of visits and the weights that follow from it.

    Attributes
    ----------
    cox : intensity given the last value (and what else it depends on): Andersen and Gill's, robust by patient
    weight : (n_values,) of the measures' rows; 1 where a visit is not modelled: a patient's first, and planned ones
    n_visits : visits modelled
    not_estimable : the reason, or None
    """

    cox: CoxFit | None
    weight: Vector
    n_visits: int
    not_estimable: str | None

    @property
    def effective(self) -> float:
        """Kish's number of values that would tell as much without weights."""
        return float(self.weight.sum() ** 2 / (self.weight**2).sum()) if len(self.weight) else float("nan")


def model_visits(
    measures: RepeatedMeasures,
    *,
    grouped: bool,
    value: Vector,
    unscheduled: Vector | None,
    depends_on: Sequence[str],
    ends: str | float | None,
    restarted: float = 0.0,
) -> VisitIntensity:
    """Model the intensity of visits on the last value, and weigh each by its inverse.

    Parameters
    ----------
    measures : with ``group`` where ``grouped``
    value : (n_values,) on the scale of the analysis
    unscheduled : (n_values,) 1 for visits outside the plan; None where every visit after the first may be informative
    depends_on : further covariates, as known at the visit before
    ends : column or time at which observation ends; None for the last value
    restarted : when the measures' clock began anew, on that of ``ends``

    Notes
    -----
    Stabilised by the intensity given the group alone, which the mean model holds; baseline intensities are functions of
    time alone and cancel (Lin, Scharfstein & Rosenheck, J R Stat Soc B 2004;66:791; Buzkova & Lumley, Can J Stat
    2007;35:485). Weights of the visits modelled have mean 1.
    """
    visits = _list_visits(measures, grouped, value, unscheduled, depends_on)
    spells = _between_visits(visits, _last_times(visits, measures, ends, restarted))
    n_visits, weight = int(spells["event"].sum()), np.ones(len(measures.frame))
    if not n_visits:
        return VisitIntensity(None, weight, 0, "no visit but planned ones, or nobody was seen twice")
    names = [PAST, *([GROUP] if grouped else []), *depends_on]
    outcome = TimeToEvent.from_frame(
        spells, entry="entry", exit="exit", event="event", patient_id="patient_id", covariates=names, label="visit",
        time_zero=measures.time_zero, time_unit=measures.time_unit,
    )  # fmt: skip
    given = fit_cox(outcome, covariates=names, cluster="patient_id")
    alone = fit_cox(outcome, covariates=[GROUP], cluster="patient_id") if grouped else None
    for cox in (given, alone):
        if cox is not None and cox.not_estimable:
            return VisitIntensity(cox, weight, n_visits, f"the intensity of visits: {cox.not_estimable}")
    log_weight = -given.design.X @ given.coefficients
    if alone is not None:
        log_weight = log_weight + alone.design.X @ alone.coefficients
    own = spells["event"].to_numpy(bool)
    of_visit = np.exp(log_weight[own] - log_weight[own].max())
    at_visit = pd.Series(
        of_visit / of_visit.mean(), index=pd.MultiIndex.from_frame(spells.loc[own, ["patient_id", "exit"]])
    )
    asked = pd.MultiIndex.from_frame(measures.frame[["patient_id", "time"]])
    weight = at_visit.reindex(asked).fillna(1.0).to_numpy(float)
    return VisitIntensity(given, weight, n_visits, None)


def _list_visits(measures: RepeatedMeasures, grouped: bool, value: Vector, unscheduled: Vector | None,
                 depends_on: Sequence[str]) -> pd.DataFrame:  # fmt: skip
    """Return one row per patient and time: the mean of that day's values, whether it was outside the plan."""
    frame = pd.DataFrame({
        "patient_id": measures.frame["patient_id"], "time": measures.frame["time"], PAST: value,
        "event": 1.0 if unscheduled is None else unscheduled,
    })  # fmt: skip
    taken = [name for name in depends_on if name in OWN]
    if taken:
        raise OutcomeError(
            f"{len(taken)} covariate(s) have the name of a column of the intensity's own: {', '.join(taken)}",
            f"Its own columns are {', '.join(OWN)}", "Rename the covariate in your frame",
        )  # fmt: skip
    for name in depends_on:
        frame[name] = declared_column(measures, name)
        unknown = int(frame[name].isna().sum())
        if unknown:
            raise OutcomeError(
                f"{unknown} of {len(frame)} values of {measures.label!r} have no {name!r}",
                "A visit is weighed by what was known at the one before: without it there is no weight",
                "Leave these values out before, impute what is missing, or leave it out of depends_on=",
            )
    if grouped:
        frame[GROUP] = measures.frame[GROUP]
    how = {PAST: "mean", "event": "max", **dict.fromkeys([*depends_on, *([GROUP] if grouped else [])], "first")}
    return frame.groupby(["patient_id", "time"], sort=True, as_index=False).agg(how)


def _between_visits(visits: pd.DataFrame, last: Vector) -> pd.DataFrame:
    """Return spells from each visit to the next, or to the end of observation; what is known is of their first day."""
    patient = visits["patient_id"].to_numpy(object)
    following: NDArray[np.bool_] = np.append(patient[1:] == patient[:-1], False)[: len(visits)]
    leave = np.where(following, np.append(visits["time"].to_numpy(float)[1:], 0.0)[: len(visits)], last)
    event = np.where(following, np.append(visits["event"].to_numpy(float)[1:], 0.0)[: len(visits)], 0.0)
    spells = visits.rename(columns={"time": "entry"}).assign(exit=leave, event=event.astype(int))
    return spells[spells["exit"] > spells["entry"]].reset_index(drop=True)


def _last_times(visits: pd.DataFrame, measures: RepeatedMeasures, ends: str | float | None, restarted: float) -> Vector:
    """(n_visits,) when observation of each visit's patient ended."""
    time = visits.groupby("patient_id", sort=False)["time"].transform("max").to_numpy(float)
    if ends is None:
        return time
    if not isinstance(ends, str):
        return np.asarray(np.maximum(time, float(ends) - restarted), np.float64)
    column = pd.to_numeric(declared_column(measures, ends), errors="coerce")
    end = column.groupby(measures.frame["patient_id"].to_numpy(object)).max()
    given = visits["patient_id"].map(end).to_numpy(float, na_value=np.nan) - restarted
    return np.asarray(np.where(np.isnan(given), time, np.maximum(time, given)), np.float64)
