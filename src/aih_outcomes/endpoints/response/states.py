"""Response states at a few days, and the rates of response: what a reader asks first."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.endpoints.definition import Definition
from aih_outcomes.endpoints.groups.groups import (
    ENOUGH_FALL,
    INSUFFICIENT,
    NON_RESPONSE,
    NOT_EVALUABLE_LABEL,
    NOT_YET,
    RESPONDER,
)
from aih_outcomes.endpoints.response.evaluation import IS_MET, IS_NOT_MET, OPEN, WORDS
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.rules import months_in_words

AT = "at"  # in the name of an endpoint: status at a time, which an earlier response does not settle
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
YEAR, YEAR_WINDOW = 365, (300, 430)
FLOW_COUNTS = {"n": "Int64", "n_state": "Int64", "n_next_state": "Int64"}
FLOW_COLUMNS = ["time", "state", "next_time", "next_state", *FLOW_COUNTS]


def looks(definition: Definition) -> dict[str, tuple[int, tuple[int, int]]]:
    """Return the nominal day and the window of each later look; windows keep to the visits (domain section 1.3)."""
    windows = definition.windows
    found = {91: (71, 120), windows.by[1]: windows.at, YEAR: YEAR_WINDOW}
    names = {windows.by[1]: windows.name}
    return {names.get(day, months_in_words(day)): (day, window) for day, window in sorted(found.items())}


def derive_states(response: Response) -> pd.DataFrame:
    """Return each patient's response state at the start, 4 weeks, 3, 6 and 12 months.

    Returns
    -------
    frame ``patient_id, time, state``; ``time`` in clinical order. "No longer followed" is censoring before the look,
    "transplant or death" stays; both are shown, as is "not evaluable". Before the criteria's last day a patient is "not
    yet in response", not insufficiently responding.
    """
    failed, until = response.timelines.failed_day, response.timelines.last_day
    times, states = ["Start"], [np.full(response.timelines.n, START, dtype=object)]

    def add(time: str, day: int, status: NDArray[np.int8], met: str, not_met: str) -> None:
        named = np.select([status == IS_MET, status == IS_NOT_MET], [met, not_met], NOT_EVALUABLE_LABEL)
        gone = (until < day) & (status == OPEN)
        times.append(time)
        states.append(np.select([failed <= day, gone], [FAILED, NO_LONGER_FOLLOWED], named))

    if response.definition.non_response is not None:
        add(
            "4 weeks", response.definition.non_response.window[1], response.find_non_response().status, NON_RESPONSE,
            ENOUGH_FALL,
        )  # fmt: skip
    for time, (day, window) in looks(response.definition).items():
        not_met = INSUFFICIENT if day >= response.definition.windows.by[1] else NOT_YET
        add(time, day, response.find_at(window).met, RESPONDER, not_met)
    return pd.DataFrame(
        {
            "patient_id": np.tile(response.patients, len(times)),
            "time": np.repeat(np.array(times, dtype=object), response.timelines.n),
            "state": np.concatenate(states),
        }
    )


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


def derive_response_status(response: Response) -> pd.DataFrame:
    """Return met, not met or not evaluable per patient and endpoint, with the status without IgG beside it.

    Death or transplant by the end of the window is failure (*not met*) here, for rates, unless the criteria choose
    otherwise; a response attained before stands in a rate *by* a day, never *at* one. Groups that are then compared on
    that event never use it.

    Returns
    -------
    frame ``endpoint, patient_id, status, status_transaminases``
    """
    failed, rule = response.timelines.failed_day, response.definition.response.transplant_or_death
    endpoint: list[str] = []
    full: list[NDArray[np.object_]] = []
    without: list[NDArray[np.object_]] = []
    for name, day, status, lenient in _endpoints(response):
        gone = failed <= day
        for found, judged in ((full, status), (without, lenient)):
            lost = gone & ((judged != IS_MET) | (f" {AT} " in name))
            found.append(WORDS[np.where(lost, IS_NOT_MET if rule == "failure" else OPEN, judged)])
        endpoint.append(name)
    n = response.timelines.n
    return pd.DataFrame(
        {
            "endpoint": np.repeat(np.array(endpoint, dtype=object), n),
            "patient_id": np.tile(response.patients, len(endpoint)),
            "status": np.concatenate(full),
            "status_transaminases": np.concatenate(without),
        }
    )


def _endpoints(response: Response) -> list[tuple[str, int, NDArray[np.int8], NDArray[np.int8]]]:
    """Name, last day, status, and status without IgG of each endpoint, in the order of the table."""
    lenient, windows = response.transaminases_only(), response.definition.windows
    short, found = response.definition.response.short, []
    if response.definition.non_response is not None:
        status = response.find_non_response().status
        fell = np.where(status == OPEN, OPEN, 1 - status).astype(np.int8)
        found.append(("≥ 50 % fall by 4 weeks", response.definition.non_response.window[1], fell, fell))
    later = {YEAR: YEAR_WINDOW} if windows.by[1] < YEAR else {}
    for day, window in ({windows.by[1]: windows.at} | later).items():
        time = windows.name if day == windows.by[1] else months_in_words(day)
        found.append((f"{short} by {time}", day, response.find_by(day).met, lenient.find_by(day).met))
        found.append((f"{short} {AT} {time}", window[1], response.find_at(window).met, lenient.find_at(window).met))
    tolerant = windows.at_tolerant
    name = f"{short} {AT} {windows.name}, tolerant window"
    return [*found, (name, tolerant[1], response.find_at(tolerant).met, lenient.find_at(tolerant).met)]
