"""Studies of states, recurrent events and interval-censored onsets: one data set drawn, one model, known figures."""

from __future__ import annotations

from functools import partial

import pandas as pd
from numpy.random import Generator
from survival_studies import DAYS, YEARS_OF, N
from survival_study import Interval, Study, Target, find, read_rows

from aih_outcomes.models.survival.intervals.illness_death import fit_illness_death
from aih_outcomes.models.survival.intervals.interval_hazards import fit_interval_hazards
from aih_outcomes.models.survival.intervals.interval_survival import estimate_interval_survival
from aih_outcomes.models.survival.recurrent.fit import fit_recurrent
from aih_outcomes.models.survival.recurrent.mean_cumulative import estimate_mean_cumulative
from aih_outcomes.models.survival.states.state_occupation import estimate_state_occupation
from aih_outcomes.models.survival.states.transition_model import fit_transitions
from aih_outcomes.models.survival.states.transition_probabilities import estimate_transitions
from aih_outcomes.outcomes import IntervalTime, StateHistory
from aih_outcomes.outcomes.recurrent_events import RecurrentEvents
from aih_outcomes.simulate.mechanisms.intervals import draw_intervals
from aih_outcomes.simulate.mechanisms.recurrent import draw_recurrent
from aih_outcomes.simulate.mechanisms.states import CONDITION, STATES, Sojourn, draw_states

LATER, TOLD = 5, (2, 10)  # years
Z, NAN = 1.959964, float("nan")
SLOW = 0.2  # part of the replicates where a fit takes long
PARTS = {"onset": "onset", "death without onset": "death", "death after onset": "death_after_onset"}
BASELINES = ("unspecified", "spline")
ARMS = {"0": "untreated", "1": "treated"}


def read_history(frame: pd.DataFrame) -> StateHistory:
    """Read spells in states."""
    return StateHistory.from_frame(
        frame, patient_id="patient_id", entry="entry", exit="exit", from_state="from_state", to_state="to_state",
        states=STATES, covariates=["treated"],
    )  # fmt: skip


def states(rng: Generator, *, sojourn: Sojourn) -> dict[str, Interval]:
    """Occupation, days in each state and P(s, t); with a landmark where P(s, t) is not Markov, else intensities."""
    frame = draw_states(rng, N, sojourn=sojourn)
    history = read_history(frame)
    curves = estimate_state_occupation(history, conf_type="log-log")
    at = curves.at([DAYS[years] for years in TOLD])
    found = read_rows(at, [f"{row.state}, {YEARS_OF[row.time]} years" for row in at.itertuples()])
    lived = curves.time_in_state(DAYS[LATER])
    found |= read_rows(lived, [f"{state}, days to {LATER} years" for state in lived["state"]])
    at = estimate_transitions(history, from_day=DAYS[CONDITION]).at([DAYS[LATER]])
    at = at[at["term"] != "dead"]
    how = "" if sojourn == "markov" else ", as if Markov"
    found |= read_rows(at, [f"{row.term} to {row.state}{how}" for row in at.itertuples()])
    return found | (intensities(history) if sojourn == "markov" else from_landmark(frame))


def from_landmark(frame: pd.DataFrame) -> dict[str, Interval]:
    """P(s, t) among those who are in the state at s (Putter & Spitoni, Stat Methods Med Res 2018;27:2081)."""
    found: dict[str, Interval] = {}
    since = DAYS[CONDITION]
    for state in STATES[:2]:
        here = frame[(frame["entry"] <= since) & (since < frame["exit"]) & (frame["from_state"] == state)]
        own = read_history(frame[frame["patient_id"].isin(here["patient_id"])])
        at = estimate_state_occupation(own, from_day=since, conf_type="log-log").at([DAYS[LATER]])
        found |= read_rows(at, [f"{state} to {goal}, landmark" for goal in at["state"]])
    return found


def intensities(history: StateHistory) -> dict[str, Interval]:
    """Cumulative intensities (Nelson-Aalen), with plain limits."""
    hazards = estimate_transitions(history, from_day=0).cumulative_hazards()
    found: dict[str, Interval] = {}
    for (origin, goal), rows in hazards.groupby(["term", "state"]):
        for years in TOLD:
            last = rows.iloc[int(rows["time"].searchsorted(DAYS[years], side="right")) - 1]
            width = Z * last["std_error"]
            figure = f"cumulative intensity, {origin} to {goal}, {years} years"
            found[figure] = (last["estimate"], last["estimate"] - width, last["estimate"] + width)
    return found


def transition_ratios(rng: Generator) -> dict[str, Interval]:
    """Cox models of every transition."""
    tidy = fit_transitions(read_history(draw_states(rng, N, effect="default")), covariates=["treated"]).tidy()
    return read_rows(tidy, tidy["state"].to_numpy(object))


def recurrent(rng: Generator) -> dict[str, Interval]:
    """Mean number of flares by treatment, and the ratio of rates."""
    outcome = RecurrentEvents.from_frame(
        draw_recurrent(rng, N), patient_id="patient_id", entry="entry", exit="exit", event="event", terminal=["death"],
        covariates=["treated"], label="flare",
    )  # fmt: skip
    at = estimate_mean_cumulative(outcome, by="treated").at([DAYS[years] for years in TOLD])
    found = read_rows(at, [f"{ARMS[row.strata[0]]}, {YEARS_OF[row.time]} years" for row in at.itertuples()])
    return found | read_rows(fit_recurrent(outcome, covariates=["treated"]).tidy(), ["log rate ratio"])


def read_intervals(frame: pd.DataFrame) -> IntervalTime:
    """Read what was seen at visits; with death where it intervenes."""
    dies = {"end": "end", "terminal": "died"} if frame["died"].any() else {}
    return IntervalTime.from_frame(
        frame, left="left", right="right", patient_id="patient_id", covariates=["treated"], label="onset", **dies
    )


def interval_survival(rng: Generator) -> dict[str, Interval]:
    """Turnbull's curve where nobody dies: the middle of its bounds."""
    at = estimate_interval_survival(read_intervals(draw_intervals(rng, N, death="none"))).at(
        [DAYS[years] for years in TOLD]
    )
    middle = (at["estimate_low"] + at["estimate_high"]) / 2
    return {f"{YEARS_OF[time]} years": (value, NAN, NAN) for time, value in zip(at["time"], middle, strict=True)}


def interval_hazards(rng: Generator) -> dict[str, Interval]:
    """Proportional hazards where nobody dies, with both baselines."""
    outcome, found = read_intervals(draw_intervals(rng, N, death="none")), {}
    for baseline in BASELINES:
        fit = fit_interval_hazards(outcome, covariates=["treated"], baseline=baseline)
        found |= read_rows(fit.tidy(), [f"{baseline} baseline"])
    return found


def illness_death(rng: Generator) -> dict[str, Interval]:
    """Onset seen at visits, with death in between: ratios, shapes, risks by ten years; and the naive ratio."""
    fit = fit_illness_death(read_intervals(draw_intervals(rng, N)), covariates=["treated"])
    found = read_rows(
        fit.tidy(), [*(f"log ratio, {part}" for part in PARTS), "log ratio, onset, censored at last look"]
    )
    baselines = fit.baselines()
    shapes = baselines[baselines["term"] == "shape"]
    found |= read_rows(shapes, [f"shape, {part}" for part in PARTS])
    arms = pd.DataFrame({"treated": [0.0, 1.0]}, index=["untreated", "treated"])
    at = fit.at([DAYS[10]], rows=arms)
    states = dict(zip(fit.transitions, ("onset", "death without onset", ""), strict=True))
    return found | read_rows(at, [f"{states[row.state]} by 10 years, {row.strata}" for row in at.itertuples()])


def list_studies() -> list[Study]:
    """Return the studies of states, recurrent events and intervals."""
    return [*_states(), *_recurrent(), *_intervals()]


def _states() -> list[Study]:
    found = []
    kinds: dict[Sojourn, str] = {"markov": "states, Markov", "semi-markov": "states, semi-Markov"}
    for sojourn, mechanism in kinds.items():
        targets = {f"{s}, {y} years": find(f"occupation, {y} years", mechanism, s) for s in STATES for y in TOLD}
        for state in STATES:
            lived = f"expected days in state, {LATER} years"
            targets[f"{state}, days to {LATER} years"] = find(lived, mechanism, state)
        name = f"transition, {CONDITION} to {LATER} years"
        for i, j in ((i, j) for i in STATES[:2] for j in STATES):
            how = "" if sojourn == "markov" else ", as if Markov"
            targets[f"{i} to {j}{how}"] = find(name, mechanism, f"{i}_to_{j}", barred=not how)
            if how:
                targets[f"{i} to {j}, landmark"] = find(name, mechanism, f"{i}_to_{j}")
            if sojourn == "markov" and i != j:
                for y in TOLD:
                    cumulative = find(f"cumulative intensities, {y} years", mechanism, f"{i}_to_{j}")
                    targets[f"cumulative intensity, {i} to {j}, {y} years"] = cumulative
        title = f"T8 {mechanism}, Aalen-Johansen; P({CONDITION}, {LATER} years)"
        found.append(Study(title, partial(states, sojourn=sojourn), targets))
    effect = find("log intensity ratio", "states, Markov", "treated")
    others = ("response → dead", "relapse → response", "relapse → dead")
    ratios = {"response → relapse": effect} | {name: Target(0.0) for name in others}
    return [*found, Study("T8 log intensity ratio, Cox per transition", transition_ratios, ratios)]


def _recurrent() -> list[Study]:
    mechanism = "recurrent flares"
    targets = {
        f"{arm}, {y} years": find(f"mean cumulative flares, {y} years", mechanism, arm)
        for arm in ARMS.values() for y in TOLD
    }  # fmt: skip
    targets["log rate ratio"] = find("log rate ratio of flares", mechanism, "treated")
    return [Study("T14 flares with death terminal, mean number and Andersen-Gill", recurrent, targets)]


def _intervals() -> list[Study]:
    alone = "interval-censored onset, no death"
    curve = {f"{y} years": find(f"free of onset, {y} years", alone, "onset_free") for y in TOLD}
    ratio = find("log hazard ratios", "interval-censored onset", "onset")
    ratios = {f"{baseline} baseline": ratio for baseline in BASELINES}
    return [
        Study("T15 onset-free where nobody dies, Turnbull", interval_survival, curve, SLOW),
        Study("T15 log hazard ratio where nobody dies", interval_hazards, ratios, SLOW),
        Study("T15 illness and death, Weibull hazards", illness_death, _illness_death(), SLOW / 2),
    ]


def _illness_death() -> dict[str, Target]:
    mechanism, ten = "interval-censored onset", "incidence, 10 years"
    targets = {f"log ratio, {part}": find("log hazard ratios", mechanism, key) for part, key in PARTS.items()}
    naive = find("log hazard ratios", mechanism, "onset", barred=False)
    targets["log ratio, onset, censored at last look"] = naive
    targets |= {f"shape, {part}": find("hazards", mechanism, f"{key}_shape") for part, key in PARTS.items()}
    for arm in ARMS.values():
        targets[f"onset by 10 years, {arm}"] = find(ten, mechanism, f"onset_{arm}")
        targets[f"death without onset by 10 years, {arm}"] = find(ten, mechanism, f"death_without_onset_{arm}")
    return targets
