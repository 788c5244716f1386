"""Studies of a drug begun at a flare: before and after it, and one patient against what the others let expect."""

from __future__ import annotations

from functools import partial
from typing import Literal

import pandas as pd
from longitudinal_studies import read_measures
from numpy.random import Generator
from survival_study import Interval, Study, Target, find, read_rows

from aih_outcomes.models.longitudinal.before_after import fit_before_after
from aih_outcomes.models.longitudinal.case_against_cohort import case_against_cohort
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.outcomes import Switches
from aih_outcomes.simulate.mechanisms.clocks import Effect
from aih_outcomes.simulate.mechanisms.switches import FINAL, FIRST, LAST, draw_switches

N_FLARES, N_CASE = 300, 100  # patients
NAN = float("nan")
ROWS = ("every value", "without the decision window", "difference in differences", "the same, steroid modelled")
SINCE = (28, 84, 196, 280)  # days after the flare
SLOW = 0.4  # part of the replicates where a fit takes long
SERIAL: dict[str, Literal["exponential and error", "independent"]] = {
    "with serial correlation": "exponential and error", "without serial correlation": "independent",
}  # fmt: skip


def read_switches(flares: pd.DataFrame) -> Switches:
    """Read switches, and flares without one."""
    return Switches.from_frame(flares, patient_id="patient_id", time="time", switched="switched", covariates=["peak"])


def before_after(rng: Generator, *, effect: Effect) -> dict[str, Interval]:
    """Naive change, without the decision window, and differences in differences."""
    measures, flares = draw_switches(rng, N_FLARES, effect=effect)
    fit = fit_before_after(read_measures(measures), read_switches(flares), before_days=FIRST, after_days=LAST - FINAL)
    return read_rows(fit.tidy(), list(ROWS))


def one_case(rng: Generator, *, serial: str) -> dict[str, Interval]:
    """Predicted − observed of one patient who flares and does not switch, the first of the data set.

    The cohort without the patient, and its time before any switch, is fitted anew.
    """
    measures, flares = draw_switches(rng, N_CASE, effect="default")
    own = flares[~flares["switched"]].iloc[:1]
    # No other flares without a switch: nobody is laid beside the case, whose own prediction is all that is asked.
    switches = read_switches(pd.concat([own, flares[flares["switched"]]]))
    fit = fit_random_effects(read_measures(measures), covariates=["steroid"], serial=SERIAL[serial])
    case = case_against_cohort(
        fit, str(own["patient_id"].iloc[0]), from_day=float(own["time"].iloc[0]), switches=switches,
        steroid="steroid", horizon=LAST - FINAL,
    )  # fmt: skip
    after = case.tidy().query("term == 'after'").set_index("since")
    away = after[["estimate", "conf_low", "conf_high"]].sub(after["observed"], axis=0)
    found = {f"{day} days": tuple(away.loc[day].to_numpy(float)) for day in SINCE}
    inside = float(after["distance"].iloc[-1] <= after["limit"].iloc[-1])
    return found | {"all values jointly": (inside, NAN, NAN)}


def list_switch_studies() -> list[Study]:
    """Return the studies of before and after."""
    found = []
    kinds: tuple[Effect, ...] = ("default", "none")
    for effect in kinds:
        own = f"switch at a flare{'' if effect == 'default' else ', no effect'}"
        truth = find("effect of the drug", own, "mean")
        window = "change from before the decision window"
        targets = {
            ROWS[0]: find(f"change from before {FIRST} days", own, "switchers", missed=truth.value),
            ROWS[1]: find(window, own, "switchers", missed=truth.value),
            ROWS[2]: find(window, own, "difference", missed=truth.value),
            ROWS[3]: truth,
        }
        words = "" if effect == "default" else ", no effect"
        title = f"T13 before and after a switch at a flare{words}, {N_FLARES} patients"
        found.append(Study(title, partial(before_after, effect=effect), targets, SLOW))
    return found


def list_case_studies() -> list[Study]:
    """Return the studies of one case; they have bars of their own."""
    targets = {f"{day} days": Target(0.0) for day in SINCE}
    return [
        Study(f"case against cohort, {N_CASE} patients, {words}", partial(one_case, serial=words), targets, SLOW)
        for words in SERIAL
    ]
