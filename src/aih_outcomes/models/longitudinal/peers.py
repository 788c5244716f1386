"""Whose pseudo-switches one patient's switch is laid beside, and which of their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_number
from aih_outcomes.models.longitudinal.fixed_effects import Codes, Flags
from aih_outcomes.outcomes import Switches, Vector

LEAST_BEFORE = 3  # values before the switch
TOO_FEW_BEFORE = f"fewer than {LEAST_BEFORE} values before the pseudo-switch"
NONE_AFTER = "no value after the pseudo-switch"
UNLIKE = "not comparable in what was known at that time"


@dataclass(frozen=True, slots=True, eq=False)
class Peer:
    """One patient's pseudo-switch: places of the earlier and of the later values among the rows of the fit."""

    past: Codes
    future: Codes


def on_therapy_since(switches: Switches, patient_ids: pd.Series) -> Vector:
    """(n,) when the patient of each row switched; infinite where they did not."""
    at = switches.day_of_switch().reindex(patient_ids.astype("string"))
    return np.asarray(at.fillna(np.inf), float)


def comparable_moments(switches: Switches, patient_id: str, day: float, within: Mapping[str, float]) -> pd.DataFrame:
    """Return the pseudo-switches of others: ``patient_id, time, alike``, in the order of time.

    ``alike`` is False where a covariate is missing, or further from the case's at the switch than ``within`` allows.

    Raises
    ------
    OutcomeError : covariates that the switches do not have, or that the case has no value of; text; no distance
    """
    _refuse_no_distance(within)
    unknown = [name for name in within if name not in switches.covariates]
    frame = switches.frame
    own = frame[(frame["patient_id"] == patient_id) & (frame["time"] == day)]
    if unknown or (within and (own.empty or own[list(within)].isna().any(axis=None))):
        raise OutcomeError(
            f"{len(unknown)} of {len(within)} covariates in within= are none of {switches.label!r}"
            if unknown
            else f"{switches.label!r} does not say what was known of the case on day {day:g}",
            f"Peers are compared by {', '.join(switches.covariates) or 'nothing: no covariates are declared'}",
            "Declare them in Switches.from_frame(..., covariates=[...]), with a row for the case, or leave within out",
        )
    others = frame[~frame["switched"].astype(bool) & (frame["patient_id"] != patient_id)]
    alike = np.ones(len(others), bool)
    for name, most in within.items():
        away = _numbers(others[name]) - _numbers(own[name])[0]
        alike &= np.abs(away) <= float(most)
    moments = others[["patient_id", "time"]].assign(alike=alike)
    return moments.sort_values(["time", "patient_id"], kind="stable", ignore_index=True)


def _refuse_no_distance(within: object) -> None:
    """Refuse what says of no covariate how far from the case a peer may be."""
    if not isinstance(within, Mapping):
        raise OutcomeError(
            f"within= is a {type(within).__name__}", "It says by covariate how far from the case a peer may be",
            "Write within={'age': 5}",
        )  # fmt: skip
    for name, most in within.items():
        if read_number(f"within of {name!r}", most, "within={'age': 5}") < 0:
            raise OutcomeError(
                f"The distance within {name!r} is below 0", "It is 0 or more, in the covariate's unit",
                "Write within={'age': 5}",
            )  # fmt: skip


def _numbers(column: pd.Series) -> Vector:
    """(n,) values of a covariate; missing stays missing, text is refused."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
    texts = int((np.isnan(values) & column.notna().to_numpy(bool)).sum())
    if texts:
        raise OutcomeError(
            f"{texts} of {len(values)} moments have no number in {str(column.name)!r}",
            "How far a peer is from the case is a difference of numbers", "Make 0/1 columns of a category",
        )  # fmt: skip
    return values


def choose_peers(
    moments: pd.DataFrame, patient_ids: pd.Series, days: Vector, usable: Flags, since: Vector, horizon: float
) -> tuple[list[Peer], pd.DataFrame]:
    """Take each patient's first comparable pseudo-switch that has values before and after it.

    Parameters
    ----------
    moments : as ``comparable_moments`` returns them
    patient_ids, days : (n,) of the rows of the fit; ``usable`` (n,) rows before therapy
    since : (m,) days from the switch to each of the case's later values; a peer lends the nearest ones, one for each
    horizon : days after the switch

    Returns
    -------
    peers, left_out : ``reason, n`` patients of whom no pseudo-switch could be used
    """
    of_patient = {str(name): np.asarray(places) for name, places in patient_ids.groupby(patient_ids).indices.items()}
    peers, reasons = [], []
    for name, own in moments.groupby("patient_id", sort=True):
        places = of_patient.get(str(name), np.zeros(0, np.intp))
        places = places[usable[places]]
        found = [_split(days, places, float(day), since, horizon) for day in own.loc[own["alike"], "time"]]
        peer = next((one for one in found if isinstance(one, Peer)), None)
        if peer is not None:
            peers.append(peer)
        else:
            reasons.append(str(found[0]) if found else UNLIKE)
    return peers, count_reasons(reasons)


def count_reasons(reasons: list[str]) -> pd.DataFrame:
    """Return ``reason, n``, the most frequent first."""
    counts = pd.Series(reasons, dtype="string").value_counts(sort=False).sort_index().sort_values(
        ascending=False, kind="stable"
    )  # fmt: skip
    return pd.DataFrame({"reason": counts.index.astype("string"), "n": pd.array(counts.to_numpy(), dtype="Int64")})


def _split(days: Vector, places: Codes, day: float, since: Vector, horizon: float) -> Peer | str:
    past = places[days[places] <= day]
    future = places[(days[places] > day) & (days[places] <= day + horizon)]
    if len(past) < LEAST_BEFORE:
        return TOO_FEW_BEFORE
    if len(future) == 0:
        return NONE_AFTER
    return Peer(past, future[nearest_in_time(days[future] - day, since)])


def nearest_in_time(offered: Vector, wanted: Vector) -> Codes:
    """Return places of the times offered that are nearest to those wanted, one for each, all where they are fewer.

    Examples
    --------
    >>> nearest_in_time(np.array([7.0, 30.0, 62.0, 300.0]), np.array([28.0, 60.0])).tolist()
    [1, 2]
    """
    if len(offered) <= len(wanted):
        return np.arange(len(offered), dtype=np.intp)
    return np.sort(linear_sum_assignment(np.abs(wanted[:, None] - offered[None, :]))[1]).astype(np.intp)
