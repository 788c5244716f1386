"""How fast the survival models are, beside R on the same files in the same run.

R's times come from bench_survival.R on the same files ($AIH_SHARED/reference/timing), where Rscript has survival. Timed
is the whole public call, from the outcome in memory to the result; reading files is not. Each figure is the median of
several runs, with one BLAS thread: two of them spin at these sizes.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from proof import Proof
from stopwatch import SHARED, SHORT_ONES, TIMING, begin_with_one_thread, run_r, time_call

from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.refit import refit
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.states.state_occupation import estimate_state_occupation
from aih_outcomes.outcomes import StateHistory, TimeToEvent

X = ["x1", "x2", "x3", "x4", "x5"]


def read_cox(name: str) -> TimeToEvent:
    """Read one of the timing files as an outcome."""
    frame = pd.read_csv(TIMING / f"{name}.csv.gz")
    return TimeToEvent.from_frame(
        frame, entry="start", exit="stop", event="event", patient_id="id", covariates=X, label="event"
    )


def read_pbc() -> TimeToEvent:
    """Return the 416 patients of pbc with a prothrombin time."""
    pbc = pd.read_csv(SHARED / "reference" / "data" / "pbc.csv").dropna(subset=["protime"])
    columns = ["age", "edema", "bili", "protime", "albumin"]
    frame = pbc.assign(dead=(pbc["status"] == 2).astype(int))
    return TimeToEvent.from_frame(frame, exit="time", event="dead", patient_id="id", covariates=columns)


def read_states() -> StateHistory:
    """Return the illness-death history of 10,000 patients."""
    frame = pd.read_csv(TIMING / "ms_10k.csv.gz")
    names = {0: "censored", 1: "ill", 2: "death"}
    return StateHistory.from_frame(
        frame.assign(to=frame["event"].map(names)), patient_id="id", entry="tstart", exit="tstop", from_state="istate",
        to_state="to", states=["healthy", "ill", "death"],
    )  # fmt: skip


def invent(n: int) -> TimeToEvent:
    """Invent ``n`` spells (entry, exit] with ties for the growth exponent."""
    rng = np.random.default_rng(n)
    entry = rng.integers(0, 500, n)
    frame = pd.DataFrame(rng.normal(size=(n, 5)), columns=X)
    frame = frame.assign(entry=entry, exit=entry + rng.integers(1, 3000, n), event=rng.integers(0, 2, n))
    return TimeToEvent.from_frame(frame, entry="entry", exit="exit", event="event", covariates=X)


def size_of(outcome: TimeToEvent) -> float:
    """Return the size of an outcome's frame in memory, in MB."""
    return float(outcome.frame.memory_usage(deep=True).sum()) / 1e6


def memory_of(call: Callable[[TimeToEvent], object], outcome: TimeToEvent) -> float:
    """Return the most memory that a call holds at once, over the size of its input."""
    gc.collect()
    tracemalloc.start()
    call(outcome)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / (size_of(outcome) * 1e6)


def main(n_large: int) -> int:
    """Measure and record."""
    again = begin_with_one_thread()
    if again is not None:
        return again
    proof = Proof("bench-survival")
    theirs = run_r(Path(__file__).with_suffix(".R"), TIMING, 3) if TIMING.is_dir() else {}

    def beside(name: str, seconds: float, task: str, bar: str) -> None:
        proof.add(name, seconds, "s")
        if task in theirs:
            proof.add(f"{name}: R {theirs[task]:.3g} s, times faster", theirs[task] / seconds, "1", bar)

    if TIMING.is_dir():
        bench_files(proof, beside)
    growth(proof, n_large)
    return proof.finish()


def bench_files(proof: Proof, beside: Callable[[str, float, str, str], None]) -> None:
    """Time what R times, on its files."""
    hundred = partial(fit_cox, read_cox("cox_100k"), covariates=X)
    seconds = time_call(hundred, SHORT_ONES)
    beside("Cox, 100,000 (start, stop] rows x 5", seconds, "cox 100k", "")
    proof.add("Cox, 100,000 rows: seconds", seconds, "s", "< 0.1")
    proof.add("Cox, 100,000 rows: times faster than lifelines", time_lifelines() / seconds, "1", ">= 300")
    million = partial(fit_cox, read_cox("cox_1M"), covariates=X)
    beside("Cox, 1,000,000 (start, stop] rows x 5", time_call(million), "cox 1M", ">= 8")
    robust = partial(million, cluster="patient_id")
    beside("Cox, 1,000,000 rows, cluster-robust", time_call(robust), "cox 1M robust", ">= 8")
    pbc = fit_cox(read_pbc(), covariates=["age", "edema", "log(bili)", "log(protime)", "log(albumin)"])
    seconds = time_call(lambda: refit(pbc, rng=np.random.default_rng(1), n_resamples=1000))
    beside("Cox, 1,000 bootstrap refits of pbc (416)", seconds, "bootstrap pbc", ">= 3")
    frame = pd.read_csv(TIMING / "km_1M.csv.gz")
    followed = TimeToEvent.from_frame(frame, exit="time", event="event")
    seconds = time_call(lambda: estimate_survival(followed).tidy())
    beside("Kaplan-Meier with limits, 1,000,000 rows", seconds, "km 1M", ">= 5")
    states = read_states()
    seconds = time_call(lambda: estimate_state_occupation(states).tidy())
    beside("State occupation with errors, 10,000 patients", seconds, "states 10k", ">= 3")


def time_lifelines() -> float:
    """Return the seconds of lifelines' time-varying Cox on the same 100,000 rows: the median of three, 10 s each."""
    from lifelines import CoxTimeVaryingFitter

    frame = pd.read_csv(TIMING / "cox_100k.csv.gz")
    return time_call(
        lambda: CoxTimeVaryingFitter().fit(frame, id_col="id", event_col="event", start_col="start", stop_col="stop"), 3
    )


def growth(proof: Proof, n_large: int) -> None:
    """Measure how time grows with rows, and memory beside the input."""
    sizes = [10_000, 100_000, n_large]
    calls: dict[str, Callable[[TimeToEvent], object]] = {
        "Cox": lambda outcome: fit_cox(outcome, covariates=X),
        "Cox, robust": lambda outcome: fit_cox(outcome, covariates=X, cluster="patient_id"),
        "Kaplan-Meier": lambda outcome: estimate_survival(outcome).tidy(),
    }
    for name, call in calls.items():
        seconds = [time_call(partial(call, invent(n)), 3) for n in sizes]
        slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
        proof.add(f"{name}: growth exponent from {sizes[0]} to {n_large} rows", slope, "1", "<= 1.1")
    large = invent(n_large)
    for name, call in calls.items():
        proof.add(f"{name}: memory over the input's, {n_large} rows", memory_of(call, large), "1", "< 10")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
