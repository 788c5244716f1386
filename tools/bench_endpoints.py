"""How fast endpoints are derived: 350 patients, and a million patients with twenty results each on two cores.

Every partition holds whole patients, as a partitioned store would; a derivation needs one patient's rows only. What is
timed is from the cohort in memory to the table of all endpoints; drawing the data and checking them is told apart.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from proof import Proof

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.definition import read_definition
from aih_outcomes.endpoints.patients.patient_table import derive_endpoints
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.load import read_tables

ROOT = Path(__file__).resolve().parent.parent
N_LARGE, PARTITION, CORES = 1_000_000, 50_000, 2
DAYS = np.array([-5, 28, 60, 91, 150, 175, 365])  # 7 × ALT and AST, 6 × IgG: twenty results a patient
START = np.datetime64("2010-01-01", "s")


def draw_partition(seed: int, n: int) -> Cohort:
    """Draw ``n`` patients with twenty results each, a steroid course, azathioprine, and two years of follow-up."""
    rng = np.random.default_rng(seed)
    names = np.array([f"P{number:07d}" for number in range(seed * PARTITION, seed * PARTITION + n)], dtype=object)
    zero = START + rng.integers(0, 4000, n).astype("timedelta64[D]")
    level = rng.lognormal(3.0, 0.6, n)
    parts = []
    for analyte, uln, days in (("alt", 40.0, DAYS), ("ast", 40.0, DAYS), ("igg", 16.0, DAYS[1:])):
        fall = np.exp(-np.maximum(days, 0) / rng.choice([20.0, 60.0, 400.0], n, p=[0.65, 0.25, 0.1])[:, None])
        start = level if analyte != "igg" else np.full(n, 1.8)
        xuln = np.maximum(0.4 + (start[:, None] - 0.4) * fall, 0.05) * rng.lognormal(0.0, 0.15, (n, len(days)))
        parts.append(
            pd.DataFrame(
                {
                    "patient_id": np.repeat(names, len(days)),
                    "date": np.repeat(zero, len(days)) + np.tile(days, n).astype("timedelta64[D]"),
                    "analyte": analyte,
                    "value": np.clip(np.round(xuln.ravel() * uln, 1), 1, 19000 if analyte != "igg" else 99),
                    "uln": uln,
                }
            )
        )
    labs = pd.concat(parts, ignore_index=True).assign(comparator="=", uln_source="reported")
    day = np.timedelta64(1, "D")
    doses = [("prednisolone", 0, 60, 40.0), ("prednisolone", 61, 400, 5.0), ("azathioprine", 14, 2000, 50.0)]
    treatments = pd.concat(
        [
            pd.DataFrame(
                {"patient_id": names, "drug": drug, "start": zero + a * day, "stop": zero + b * day, "dose": mg}
            )
            for drug, a, b, mg in doses
        ],
        ignore_index=True,
    ).assign(route="oral", indication="aih")
    patients = pd.DataFrame(
        {"patient_id": names, "sex": "female", "birth_date": zero - 3650 * day, "diagnosis_date": zero - 3 * day}
    )
    follow_up = pd.DataFrame({"patient_id": names, "start": zero - 3 * day, "end": zero + 2000 * day})
    follow_up = follow_up.assign(end_reason="ongoing", end_source="visit")
    weight = pd.DataFrame({"patient_id": names, "date": zero, "measure": "weight", "value": 35.0})
    gone = rng.random(n) < 0.02
    events = pd.DataFrame({"patient_id": names[gone], "date": zero[gone] + 900 * day, "kind": "transplant"})
    return Cohort(
        patients, labs, treatments, events=events, follow_up=follow_up, measurements=weight, label="drawn for timing"
    )


def derive_all(cohort: Cohort) -> int:
    """Derive every endpoint; return the number of patients in the table."""
    response = derive_response(cohort, read_definition("iaihg-2022"))
    return len(derive_endpoints(response))


def time_partition(task: tuple[int, int]) -> tuple[float, float, float]:
    """Draw and derive one partition; return seconds of each, and the most memory this process ever held (GB)."""
    began = time.perf_counter()
    cohort = draw_partition(*task)
    drawn = time.perf_counter()
    n = derive_all(cohort)
    derived = time.perf_counter()
    assert n == task[1]
    del cohort
    gc.collect()
    return drawn - began, derived - drawn, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def best_of(cohort: Cohort, times: int) -> float:
    """Return the shortest of several runs, in seconds."""
    spent = []
    for _ in range(times):
        gc.collect()
        began = time.perf_counter()
        derive_all(cohort)
        spent.append(time.perf_counter() - began)
    return min(spent)


def main(n_large: int) -> int:
    """Measure and record."""
    proof = Proof("bench-endpoints")
    small, whole = draw_partition(0, 350), read_tables(ROOT / "data" / "synthetic")
    derive_all(small)  # what is read once per process: catalogue, criteria
    proof.add("350 patients x 20 results, all endpoints", best_of(small, 7), "s", "<= 0.1")
    n_rows = len(whole.labs)
    proof.add(f"synthetic cohort, {whole.n_patients} patients, {n_rows} results, all endpoints", best_of(whole, 7), "s",
              "<= 0.1")  # fmt: skip
    sizes = [1_000, 10_000, 50_000]
    seconds = [best_of(draw_partition(0, size), 2) for size in sizes]
    for size, spent in zip(sizes, seconds, strict=True):
        proof.add(f"{size} patients x 20 results, one core", spent, "s")
    slope = float(np.polyfit(np.log(sizes[1:]), np.log(seconds[1:]), 1)[0])
    proof.add("growth exponent from 10,000 to 50,000 patients", slope, "1", "<= 1.1")
    tasks = [(seed, min(PARTITION, n_large - seed * PARTITION)) for seed in range(-(-n_large // PARTITION))]
    began = time.perf_counter()
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        spent_by = list(pool.map(time_partition, tasks))
    wall = time.perf_counter() - began
    drawn, derived, memory = (np.array(column) for column in zip(*spent_by, strict=True))
    name = f"{n_large} patients x 20 results in {len(tasks)} partitions"
    bar = "<= 60" if n_large == N_LARGE else ""
    proof.add(f"{name}: deriving, per core of {CORES}", float(derived.sum()) / CORES, "s", bar)
    proof.add(f"{name}: drawing and checking the data, per core", float(drawn.sum()) / CORES, "s")
    proof.add(f"{name}: wall clock of both", wall, "s")
    proof.add(f"{name}: memory of both processes", CORES * float(memory.max()), "GB", "<= 6")
    return proof.finish()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else N_LARGE))
