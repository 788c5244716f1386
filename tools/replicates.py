"""Replicates of a simulation study on all cores: each has random numbers of its own, whoever draws them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from survival_study import Estimates, Interval

Draw = Callable[[Generator], dict[str, Interval]]

CORES = 2
BATCH = 25  # replicates that a core does at a time


@contextmanager
def open_pool() -> Iterator[ProcessPoolExecutor]:
    """Start the workers, with one BLAS thread each."""
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        yield pool


def repeat(draw: Draw, seed: tuple[int, int], first: int, last: int) -> Estimates:
    """Do some of the replicates of a study."""
    rows: dict[str, list[Interval]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for replicate in range(first, last):
            rng = Generator(PCG64(SeedSequence([*seed, replicate])))
            for figure, interval in draw(rng).items():
                rows.setdefault(figure, []).append(interval)
    return {figure: np.array(values, dtype=float) for figure, values in rows.items()}


def spread(pool: ProcessPoolExecutor, draw: Draw, seed: tuple[int, int], n: int) -> Estimates:
    """Do all replicates of a study on all cores; ``seed``: of the tool, and the number of the study."""
    starts = range(0, n, BATCH)
    parts = [pool.submit(repeat, draw, seed, start, min(start + BATCH, n)) for start in starts]
    found = [part.result() for part in parts]
    return {figure: np.concatenate([part[figure] for part in found]) for figure in found[0]}
