"""States over time for multi-state models: induction, response, its loss, advanced therapy, transplant, death."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.endpoints.clock import IN_WORDS
from aih_outcomes.endpoints.course.steroid_free import derive_steroid_free_response
from aih_outcomes.endpoints.course.turns import find_turns
from aih_outcomes.endpoints.events.endpoint import DEATH, TRANSPLANT, count_exclusions
from aih_outcomes.endpoints.events.first_events import Placed, first_seen
from aih_outcomes.endpoints.response.evaluation import IS_NOT_MET
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.timelines import Days, Flags, Floats
from aih_outcomes.endpoints.treatment.starts import find_starts
from aih_outcomes.outcomes import CENSORED, StateHistory
from aih_outcomes.outcomes.checks import HALF_DAY

# In this order: of several states that become known on one day the later one counts.
STATES = (
    "Induction",
    "Insufficient response",
    "Response",
    "Steroid-free response",
    "Loss of response",
    "Advanced therapy",
    "Transplant",
    "Death",
)
INDUCTION, INSUFFICIENT, RESPONSE, STEROID_FREE, LOSS, ADVANCED, GRAFT, DEAD = STATES
_ENDS = (ADVANCED, GRAFT, DEAD)
LEGAL_PATHS: dict[str, tuple[str, ...]] = {
    INDUCTION: (INSUFFICIENT, RESPONSE, STEROID_FREE, *_ENDS),
    INSUFFICIENT: (RESPONSE, STEROID_FREE, *_ENDS),
    RESPONSE: (STEROID_FREE, LOSS, *_ENDS),
    STEROID_FREE: (LOSS, *_ENDS),
    LOSS: (RESPONSE, STEROID_FREE, *_ENDS),
    ADVANCED: (GRAFT, DEAD),  # [P] what response is then owed to the drug is a question of its own
    GRAFT: (DEAD,),
    DEAD: (),
}
_CODE = {state: code for code, state in enumerate(STATES)}
_STAGE = np.array([{ADVANCED: 1, GRAFT: 2, DEAD: 3}.get(state, 0) for state in STATES])  # none goes back to a lower one
TRANSITION_COLUMNS = ("from_state", "to_state", "n")


def derive_state_history(response: Response) -> StateHistory:
    """Return what state each patient was in, and since when that was *known* (statistics, rule 1).

    From time zero, or the day first seen if that is later: then in the state known by that day. *Insufficient response*
    begins on the last day of ``windows.by`` without response by then; who is not evaluable stays in *Induction*, and
    may respond late from either. *Loss* and regain may follow each other any number of times. *Steroid-free response*
    begins on the day the first such response is known, and lasts until response is lost. *Advanced therapy*, empirical
    or gene-matched, is left for transplant or death only [P]. Of two states on one day the later in ``STATES`` counts,
    but for death on the day of a transplant, which comes half a day after it, as do transplant and death on the day of
    entry. Censoring is at the last day known alive.

    Returns
    -------
    StateHistory ; ``exclusions`` counts by reason who could not enter
    """
    placed = Placed(response.timelines)
    entry, end, graft, death = _follow(placed)
    last, zero = response.timelines.last_day, IN_WORDS[response.time_zero]
    dead = ~np.isnan(response.timelines.death_day)
    reasons = {
        "No follow-up recorded": np.isnan(last),
        f"Transplanted before the {zero}": response.timelines.transplant_day < 0,
        "Event or last contact before being first seen": end < entry,
    }
    reason = np.select(list(reasons.values()), list(reasons), "")
    without = placed.without_zero((TRANSPLANT, DEATH))
    failed = dead | ~np.isnan(response.timelines.transplant_day)
    left_out = {f"No {zero} recorded": without} | {name: failed[reason == name] for name in reasons}
    patient, day, state = _changes(response, graft, death)
    kept = (reason == "")[patient] & (day <= np.maximum(end, entry + HALF_DAY)[patient])
    frame = _spells(response, patient[kept], day[kept], state[kept], entry, np.maximum(end, entry + HALF_DAY))
    label = f"States by {response.definition.title}"
    return StateHistory(frame, label, STATES, zero, exclusions=count_exclusions(left_out))


def derive_transitions(history: StateHistory) -> pd.DataFrame:
    """Count the changes of state, in the order of the states; spells that end censored come last of each state.

    Returns
    -------
    frame ``from_state, to_state, n``
    """
    order = pd.CategoricalDtype([*history.states, CENSORED], ordered=True)
    moves = history.frame[["from_state", "to_state"]].astype(order)
    n = len(order.categories)
    code = moves["from_state"].cat.codes.to_numpy(np.int64) * n + moves["to_state"].cat.codes.to_numpy(np.int64)
    found, counts = np.unique(code, return_counts=True)
    names = np.array(order.categories, dtype=object)
    columns = (names[found // n], names[found % n], pd.array(counts, dtype="Int64"))
    return pd.DataFrame(dict(zip(TRANSITION_COLUMNS, columns, strict=True)))


def check_history(history: StateHistory) -> pd.DataFrame:
    """Return the changes of state that no patient can make (those not in ``LEGAL_PATHS``), with how often they occur.

    Returns
    -------
    frame ``from_state, to_state, n``; empty where every path is legal
    """
    moves = derive_transitions(history)
    legal = {(state, then) for state, others in LEGAL_PATHS.items() for then in others}
    wrong = [
        then != CENSORED and (state, then) not in legal
        for state, then in zip(moves["from_state"], moves["to_state"], strict=True)
    ]
    return moves[wrong].reset_index(drop=True)


def _follow(placed: Placed) -> tuple[Floats, Floats, Floats, Floats]:
    """Return entry, end, transplant and death (n,); what falls on an earlier one's day is put half a day after it."""
    timelines = placed.timelines
    entry = first_seen(placed)
    graft = np.where(timelines.transplant_day == entry, entry + HALF_DAY, timelines.transplant_day)
    death = np.where(timelines.death_day == entry, entry + HALF_DAY, timelines.death_day)
    death = np.where(timelines.death_day == timelines.transplant_day, graft + HALF_DAY, death)
    end = np.where(np.isnan(death), np.fmax(timelines.last_day, graft), death)
    return entry, end, graft, death


def _changes(response: Response, graft: Floats, death: Floats) -> tuple[Days, Floats, Days]:
    """Return patient, day and state of whatever became known, each patient beginning in induction."""
    turns, n = find_turns(response), response.timelines.n
    day = response.definition.windows.by[1]
    insufficient = response.find_by(day).met == IS_NOT_MET
    steroid_free = derive_steroid_free_response(response).known_at
    known = np.flatnonzero(~np.isnan(steroid_free))
    lasting = known[turns.in_response(known, steroid_free[known].astype(np.int64))]
    starts = find_starts(response.timelines)
    advanced = np.fmin(starts.empirical_advanced, starts.gene_matched)
    everyone = np.arange(n)

    def of(state: str, day: Floats) -> tuple[Days, Floats, str]:
        return np.flatnonzero(~np.isnan(day)), day[~np.isnan(day)], state

    parts = [
        (everyone, np.full(n, -np.inf), INDUCTION),
        (everyone[insufficient], np.full(int(insufficient.sum()), float(day)), INSUFFICIENT),
        (turns.patient[turns.gained], turns.day[turns.gained].astype(float), RESPONSE),
        (turns.patient[~turns.gained], turns.day[~turns.gained].astype(float), LOSS),
        (lasting, steroid_free[lasting], STEROID_FREE),
        of(ADVANCED, advanced),
        of(GRAFT, graft),
        of(DEAD, death),
    ]
    patient, when = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    state = np.repeat([_CODE[part[2]] for part in parts], [len(part[0]) for part in parts])
    order = np.lexsort((state, when, patient))
    patient, when, state = patient[order], when[order], state[order]
    stage = _STAGE[state]
    reached = np.maximum.accumulate(patient * len(STATES) + stage) - patient * len(STATES)
    kept = stage >= reached
    return patient[kept], when[kept], state[kept]


def _spells(response: Response, patient: Days, day: Floats, state: Days, entry: Floats, end: Floats) -> pd.DataFrame:
    """Turn changes, in order, into spells between entry and end; of several changes on one day the last counts."""
    since = np.maximum(day, entry[patient])
    patient, since, state = _last_of_day(patient, since, state)
    same = np.append(patient[1:] == patient[:-1], False)[: len(patient)]
    until = np.where(same, np.append(since[1:], 0)[: len(since)], end[patient])
    following = np.where(same, np.append(state[1:], 0)[: len(state)], len(STATES))
    names = np.array([*STATES, CENSORED], dtype=object)
    kept = until > since
    return pd.DataFrame(
        {
            "patient_id": response.patients.take(patient[kept]),
            "entry": since[kept],
            "exit": until[kept],
            "from_state": names[state[kept]],
            "to_state": names[following[kept]],
        }
    )


def _last_of_day(patient: Days, since: Floats, state: Days) -> tuple[Days, Floats, Days]:
    last: Flags = np.append((patient[1:] != patient[:-1]) | (since[1:] != since[:-1]), True)[: len(patient)]
    return patient[last], since[last], state[last]
