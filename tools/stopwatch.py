"""How the benches take time: the median of runs one after another, one BLAS thread, and R on the same files."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from proof import ROOT

SHARED = Path(os.environ.get("AIH_SHARED", ROOT.parent / "shared"))
TIMING = SHARED / "reference" / "timing"  # the files that are timed
REPETITIONS, SHORT_ONES = 7, 25  # what takes hundredths of a second needs more of them


def time_call(call: Callable[[], object], times: int = REPETITIONS) -> float:
    """Return the median of several runs one after another, in seconds."""
    spent = []
    gc.collect()
    for _ in range(times):
        began = time.perf_counter()
        call()
        spent.append(time.perf_counter() - began)
    return median(spent)


def run_r(script: Path, folder: Path, repetitions: int) -> dict[str, float]:
    """Return what an R script prints, name and number on a line; empty where R or a package it needs is absent."""
    if shutil.which("Rscript") is None:
        return {}
    command = ["Rscript", str(script), str(folder), str(repetitions)]
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return {name: float(number) for name, number in (line.split("\t") for line in printed.splitlines())}


def begin_with_one_thread() -> int | None:
    """Begin the program again with one BLAS thread, and return its exit code; None where it has one already.

    Two threads spin at these sizes; numpy reads their number when it is imported.
    """
    if os.environ.get("OPENBLAS_NUM_THREADS") == "1":
        return None
    environment = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    return subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode
