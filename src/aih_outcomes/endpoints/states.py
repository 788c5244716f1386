"""Response states at a few days, and the rates of response: what a reader asks first."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import days_since
from aih_outcomes.endpoints.definition import Definition, months_in_words
from aih_outcomes.endpoints.evaluation import MET, NOT_MET
from aih_outcomes.endpoints.groups import (
    ENOUGH_FALL,
    INSUFFICIENT,
    NON_RESPONSE,
    NOT_EVALUABLE_LABEL,
    NOT_YET,
    RESPONDER,
)
from aih_outcomes.endpoints.response import Response

START = "Start of treatment"
FAILED = "Transplant or death"
NO_LONGER_FOLLOWED = "No longer followed"
STATES = (
    START,
    RESPONDER,
    ENOUGH_FALL,
    NOT_YET,
    INSUFFICIENT,
    NON_RESPONSE,
    FAILED,
    NO_LONGER_FOLLOWED,
    NOT_EVALUABLE_LABEL,
)
YEAR = 365
FLOW_COUNTS = {"n": "Int64", "n_state": "Int64", "n_next_state": "Int64"}
FLOW_COLUMNS = ["time", "state", "next_time", "next_state", *FLOW_COUNTS]


def looks(definition: Definition) -> dict[str, tuple[int, tuple[int, int]]]:
    """Return the nominal day and the window of each later look; windows keep to the visits (domain section 1.3)."""
    windows = definition.windows
    found = {91: (71, 120), windows.by[1]: windows.at, YEAR: (300, 430)}
    return {months_in_words(day): (day, window) for day, window in sorted(found.items())}


def _days_of(cohort: Cohort, response: Response) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the day of transplant or death, and the last day followed, of each patient; NaN where there is none.

    A transplant before time zero is no failure of the treatment that began there.
    """
    ids = pd.Series(response.patients, index=response.patients, dtype="string")
    events = cohort.events[cohort.events["kind"].isin(["death", "transplant"])]
    failed = ids.map(events.groupby("patient_id")["date"].min())
    until = ids.map(cohort.follow_up.groupby("patient_id")["end"].max())
    day = days_since(response.zero, ids, failed).to_numpy(float, na_value=np.nan)
    return np.where(day >= 0, day, np.nan), days_since(response.zero, ids, until).to_numpy(float, na_value=np.nan)


def derive_states(cohort: Cohort, response: Response) -> pd.DataFrame:
    """Return each patient's response state at the start, 4 weeks, 3, 6 and 12 months.

    Returns
    -------
    frame ``patient_id, time, state``; ``time`` in clinical order. "No longer followed" is censoring before the look,
    "transplant or death" stays; both are shown, as is "not evaluable". Before the criteria's last day a patient is "not
    yet in response", not insufficiently responding.
    """
    patients = response.patients
    failed, until = _days_of(cohort, response)
    parts = [pd.DataFrame({"patient_id": patients, "time": "Start", "state": START})]

    def add(time: str, day: int, status: pd.DataFrame, met: str, not_met: str) -> None:
        named = np.select([status["status"] == MET, status["status"] == NOT_MET], [met, not_met], NOT_EVALUABLE_LABEL)
        gone = (until < day) & (named == NOT_EVALUABLE_LABEL)
        state = np.select([failed <= day, gone], [FAILED, NO_LONGER_FOLLOWED], named)
        parts.append(pd.DataFrame({"patient_id": patients, "time": time, "state": state}))

    if response.definition.non_response is not None:
        add("4 weeks", response.definition.non_response.window[1], response.non_response(), NON_RESPONSE, ENOUGH_FALL)
    for time, (day, window) in looks(response.definition).items():
        not_met = INSUFFICIENT if day >= response.definition.windows.by[1] else NOT_YET
        add(time, day, response.status_at(window), RESPONDER, not_met)
    return pd.concat(parts, ignore_index=True)


def derive_flows(states: pd.DataFrame) -> pd.DataFrame:
    """Count the moves between consecutive looks, states in their order.

    Returns
    -------
    frame ``time, state, next_time, next_state, n``, and ``n_state, n_next_state``: all who are in that state then
    """
    times = list(dict.fromkeys(states["time"]))
    wide = states.pivot(index="patient_id", columns="time", values="state")
    parts = [pd.DataFrame(columns=FLOW_COLUMNS).astype(FLOW_COUNTS)]
    for now, later in pairwise(times):
        pairs = pd.DataFrame({"state": wide[now], "next_state": wide[later]})
        moves = pairs.value_counts(sort=False).reset_index(name="n").assign(time=now, next_time=later)
        order = moves[["state", "next_state"]].apply(lambda column: column.map(STATES.index))
        moves["n_state"] = moves.groupby("state")["n"].transform("sum")
        moves["n_next_state"] = moves.groupby("next_state")["n"].transform("sum")
        parts.append(moves.loc[order.sort_values(["state", "next_state"]).index, FLOW_COLUMNS].astype(FLOW_COUNTS))
    flows = pd.concat(parts[1:] or parts, ignore_index=True)
    in_order = pd.CategoricalDtype(list(STATES), ordered=True)
    return flows.astype({"state": in_order, "next_state": in_order})


def derive_response_status(cohort: Cohort, response: Response) -> pd.DataFrame:
    """Return met, not met or not evaluable per patient and endpoint, with the status without IgG beside it.

    Death or transplant before the end of the window is failure (*not met*) here, for rates; groups that are then
    compared on that event never use it.

    Returns
    -------
    frame ``endpoint, patient_id, status, status_transaminases``
    """
    failed, _ = _days_of(cohort, response)
    frames = []
    for endpoint, day, full, without in _endpoints(response):
        failure = failed <= day
        frames.append(
            pd.DataFrame(
                {
                    "endpoint": endpoint,
                    "patient_id": response.patients,
                    "status": np.where(failure & (full != MET), NOT_MET, full),
                    "status_transaminases": np.where(failure & (without != MET), NOT_MET, without),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _endpoints(response: Response) -> list[tuple[str, int, pd.Series, pd.Series]]:
    """Name, last day, status, and status without IgG of each endpoint, in the order of the table."""
    lenient, windows = response.transaminases_only(), response.definition.windows
    found = []
    if response.definition.non_response is not None:
        fell = response.non_response()["status"].replace({MET: NOT_MET, NOT_MET: MET})
        found.append(("≥ 50 % fall by 4 weeks", response.definition.non_response.window[1], fell, fell))
    short = response.definition.response.short
    later = {YEAR: (300, 430)} if windows.by[1] < YEAR else {}
    for day, window in ({windows.by[1]: windows.at} | later).items():
        months = months_in_words(day)
        found.append((f"{short} by {months}", day, response.status_by(day)["status"], lenient.status_by(day)["status"]))
        found.append(_at(f"{short} at {months}", window, response, lenient))
    tolerant = f"{short} at {months_in_words(windows.by[1])}, tolerant window"
    return [*found, _at(tolerant, windows.at_tolerant, response, lenient)]


def _at(
    name: str, window: tuple[int, int], response: Response, lenient: Response
) -> tuple[str, int, pd.Series, pd.Series]:
    return name, window[1], response.status_at(window)["status"], lenient.status_at(window)["status"]
