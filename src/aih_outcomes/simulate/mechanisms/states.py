"""T8: response, relapse and back, and death: a Markov mechanism, and one that remembers how long a relapse lasts."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.random import Generator
from scipy.linalg import expm

from aih_outcomes.simulate.estimands import Estimand, closed, counted, mean, share
from aih_outcomes.simulate.mechanisms.clocks import YEARS, Effect, Flags, Floats, Hazard, Ints, days_of
from aih_outcomes.simulate.streams import open_stream

Sojourn = Literal["markov", "semi-markov"]
Rates = dict[tuple[int, int], Hazard]  # (from, to): hazard

STATES = ("response", "relapse", "dead")
RESPONSE, RELAPSE, DEAD = range(3)
SINCE = (0.0, 730.0)
START = (0.7, 0.3)  # shares in response and in relapse on day 0
MARKOV: Rates = {  # by the day since time zero
    (RESPONSE, RELAPSE): Hazard((0.50, 0.25), SINCE),
    (RESPONSE, DEAD): Hazard((0.02, 0.03), SINCE),
    (RELAPSE, RESPONSE): Hazard((1.20, 0.70), SINCE),
    (RELAPSE, DEAD): Hazard((0.15, 0.10), SINCE),
}
SEMI_MARKOV: Rates = {  # out of a relapse: by its own duration
    (RESPONSE, RELAPSE): Hazard((0.50, 0.25), SINCE),
    (RESPONSE, DEAD): Hazard((0.02, 0.03), SINCE),
    (RELAPSE, RESPONSE): Hazard((4.00, 0.30), (0.0, 120.0)),
    (RELAPSE, DEAD): Hazard((0.05, 0.25), (0.0, 365.0)),
}
LOG_RATIO = -0.5  # of treatment, on the way from response to relapse
CENSORING = (3.0, 12.0)  # years
CONDITION = 2  # years: P(s, t) is told from here to each later year
CHUNK = 100_000
MAX_MOVES = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """Spells (entry, exit] of patients, in days; ``to_state`` is −1 where follow-up ended first; (n_spells,) each."""

    patient: Ints
    entry: Floats
    exit: Floats
    from_state: Ints
    to_state: Ints


def draw_states(rng: Generator, n: int, *, sojourn: Sojourn = "markov", effect: Effect = "none") -> pd.DataFrame:
    """Draw patients who respond, relapse, respond again and die.

    Parameters
    ----------
    sojourn : ``markov``: what comes next depends on the day and the state; ``semi-markov``: out of a relapse it depends
        on how long the relapse has lasted
    effect : ``default``: half are treated, and relapse less often; ``none``: treatment changes nothing

    Returns
    -------
    frame : one row per spell ``(entry, exit]``: ``patient_id``, ``entry``, ``exit`` in days (not whole: two changes
        never share one), ``from_state``, ``to_state`` (``censored`` for none), ``treated``
    """
    treated = rng.integers(0, 2, n).astype(float)
    ratio = np.exp(LOG_RATIO * treated) if effect == "default" else np.ones(n)
    last = rng.uniform(days_of(CENSORING[0]), days_of(CENSORING[1]), n)
    moves = draw_moves(rng, ratio, last, sojourn)
    names = np.array([*STATES, "censored"], dtype=object)
    return pd.DataFrame(
        {
            "patient_id": moves.patient,
            "entry": moves.entry,
            "exit": moves.exit,
            "from_state": names[moves.from_state],
            "to_state": names[moves.to_state],
            "treated": treated[moves.patient],
        }
    )


def draw_moves(rng: Generator, ratio: Floats, last: Floats, sojourn: Sojourn) -> Moves:
    """Draw every patient's spells until death or the last day, one move of all at a time.

    Parameters
    ----------
    ratio : (n,) of the hazard of a relapse; last : (n,) end of follow-up
    """
    patient = np.arange(len(last))
    state = (rng.random(len(last)) >= START[0]).astype(np.int64)
    day, spells = np.zeros(len(last)), []
    for _ in range(MAX_MOVES):
        leave, to_state = _next(rng, day, state, ratio[patient], sojourn)
        end = np.minimum(leave, last[patient])
        to_state = np.where(leave < last[patient], to_state, -1)
        spells.append(Moves(patient, day, end, state, to_state))
        on = (to_state == RESPONSE) | (to_state == RELAPSE)
        patient, day, state = patient[on], end[on], to_state[on]
        if not len(patient):
            break
    columns = {name: np.concatenate([getattr(spell, name) for spell in spells]) for name in Moves.__slots__}
    order = np.lexsort((columns["entry"], columns["patient"]))
    return Moves(**{name: values[order] for name, values in columns.items()})


def _next(rng: Generator, day: Floats, state: Ints, ratio: Floats, sojourn: Sojourn) -> tuple[Floats, Ints]:
    """Return when each patient leaves the state, and for which: the earlier of two independent waits."""
    rates = MARKOV if sojourn == "markov" else SEMI_MARKOV
    wait = rng.standard_exponential((2, len(day)))
    leave, to_state = np.empty(len(day)), np.empty(len(day), np.int64)
    for origin, goals in ((RESPONSE, (RELAPSE, DEAD)), (RELAPSE, (RESPONSE, DEAD))):
        here = np.flatnonzero(state == origin)
        own_clock = sojourn == "semi-markov" and origin == RELAPSE
        since = np.zeros(len(here)) if own_clock else day[here]
        factor = ratio[here] if origin == RESPONSE else np.ones(len(here))
        first, second = (
            rates[origin, goal].when(rates[origin, goal].until(since) + wait[k, here] / f)
            for k, (goal, f) in enumerate(zip(goals, (factor, 1.0), strict=True))
        )
        leave[here] = np.minimum(first, second) + (day[here] if own_clock else 0.0)
        to_state[here] = np.where(first < second, *goals)
    return leave, to_state


def compute_transition(start: float, end: float) -> Floats:
    """Return P(start, end) (3, 3) of the Markov mechanism without treatment: a matrix exponential per piece."""
    result = np.eye(3)
    for piece, (begin, stop) in enumerate(zip(SINCE, (*SINCE[1:], np.inf), strict=True)):
        length = min(end, stop) - max(start, begin)
        if length > 0:
            result = result @ expm(_intensities(piece) * length)
    return np.asarray(result)


def _intensities(piece: int) -> Floats:
    """(3, 3) intensities per day in a piece; rows sum to 0."""
    q = np.zeros((3, 3))
    for (origin, goal), hazard in MARKOV.items():
        q[origin, goal] = hazard.per_day[piece]
    return q - np.diag(q.sum(axis=1))


def compute_time_in_state(end: float) -> Floats:
    """(3,) expected days in each state until ``end``: ∫ p(u) du, from one exponential of the enlarged matrix per piece.

    Van Loan, IEEE Trans Automat Contr 1978;23:395: exp([[Q, I], [0, 0]] t) holds ∫ exp(Qu) du at its upper right.
    """
    occupied, total = np.array([*START, 0.0]), np.zeros(3)
    for piece, (begin, stop) in enumerate(zip(SINCE, (*SINCE[1:], np.inf), strict=True)):
        length = min(end, stop) - begin
        if length > 0:
            large = np.zeros((6, 6))
            large[:3, :3], large[:3, 3:] = _intensities(piece), np.eye(3)
            grown = expm(large * length)
            total = total + occupied @ grown[:3, 3:]
            occupied = occupied @ grown[:3, :3]
    return total


def truth_of_markov() -> list[Estimand]:
    """T8, Markov: intensities, ratio, occupation, P(s, t), expected time in state."""
    mechanism, since = "states, Markov", days_of(CONDITION)
    rates = {
        f"{STATES[origin]}_to_{STATES[goal]}_from_day_{int(begin)}": hazard.per_year[piece]
        for (origin, goal), hazard in MARKOV.items()
        for piece, begin in enumerate(SINCE)
    }
    found = [
        closed("T8", "intensities", "Per year, without treatment", rates, mechanism=mechanism),
        closed("T8", "log intensity ratio", "Of treatment, from response to relapse; none elsewhere",
               {"treated": LOG_RATIO}, mechanism=mechanism),
        closed("T8", "expected days in state, 5 years", f"Until day {days_of(5)}, without treatment",
               dict(zip(STATES, compute_time_in_state(days_of(5)).tolist(), strict=True)), mechanism=mechanism),
    ]  # fmt: skip
    for years in YEARS:
        day = np.array([float(days_of(years))])
        value = {f"{STATES[i]}_to_{STATES[j]}": float(hazard.until(day)[0]) for (i, j), hazard in MARKOV.items()}
        text = f"Until day {days_of(years)}, without treatment"
        found.append(closed("T8", f"cumulative intensities, {years} years", text, value, mechanism=mechanism))
        occupied = np.array([*START, 0.0]) @ compute_transition(0, days_of(years))
        text = f"Share in each state on day {days_of(years)}, without treatment"
        value = dict(zip(STATES, occupied.tolist(), strict=True))
        found.append(closed("T8", f"occupation, {years} years", text, value, mechanism=mechanism))
    for years in (y for y in YEARS if y > CONDITION):
        p = compute_transition(since, days_of(years))
        text = f"P(s, t) from day {since} to day {days_of(years)}, without treatment"
        value = {f"{STATES[i]}_to_{STATES[j]}": float(p[i, j]) for i in (RESPONSE, RELAPSE) for j in range(3)}
        found.append(closed("T8", f"transition, {CONDITION} to {years} years", text, value, mechanism=mechanism))
    return found


def truth_of_semi_markov(seed: int, n: int) -> list[Estimand]:
    """T8, semi-Markov: occupation and P(s, t), counted; the Aalen-Johansen estimator finds the first only.

    Datta & Satten, Stat Probab Lett 2001;55:403.
    """
    mechanism, horizon = "states, semi-Markov", days_of(max(YEARS)) + 1.0
    days = [days_of(years) for years in YEARS]
    looks, lived = [], []
    for chunk, begin in enumerate(range(0, n, CHUNK)):
        size = min(CHUNK, n - begin)
        moves = draw_moves(open_stream("states", seed, chunk), np.ones(size), np.full(size, horizon), "semi-markov")
        looks.append(np.stack([_state_on(moves, size, day) for day in days]))
        lived.append(_time_in_state(moves, size, days_of(5)))
    state, time = np.concatenate(looks, axis=1), np.concatenate(lived)
    found = []
    for row, years in enumerate(YEARS):
        numbers = {name: share(state[row] == code) for code, name in enumerate(STATES)}
        text = f"Share in each state on day {days[row]}, nobody censored"
        found.append(counted("T8", f"occupation, {years} years", text, numbers, n=n, mechanism=mechanism))
    numbers = {name: mean(time[:, code]) for code, name in enumerate(STATES)}
    text = f"Until day {days_of(5)}, nobody censored"
    found.append(counted("T8", "expected days in state, 5 years", text, numbers, n=n, mechanism=mechanism))
    at = YEARS.index(CONDITION)
    for row in range(at + 1, len(YEARS)):
        numbers = {
            f"{STATES[i]}_to_{STATES[j]}": share(state[row][state[at] == i] == j)
            for i in (RESPONSE, RELAPSE)
            for j in range(3)
        }
        text = f"P(s, t) from day {days[at]} to day {days[row]}, nobody censored"
        name = f"transition, {CONDITION} to {YEARS[row]} years"
        found.append(counted("T8", name, text, numbers, n=n, mechanism=mechanism))
    return found


def _state_on(moves: Moves, n: int, day: float) -> Ints:
    """(n,) each patient's state on a day within follow-up."""
    state = np.full(n, DEAD)
    here: Flags = (moves.entry <= day) & (day < moves.exit)
    state[moves.patient[here]] = moves.from_state[here]
    return state


def _time_in_state(moves: Moves, n: int, until: float) -> Floats:
    """(n, 3) days spent in each state until a day within follow-up."""
    spent = np.clip(np.minimum(moves.exit, until) - moves.entry, 0, None)
    alive = [np.bincount(moves.patient, spent * (moves.from_state == code), n) for code in (RESPONSE, RELAPSE)]
    return np.column_stack([*alive, until - alive[0] - alive[1]])
