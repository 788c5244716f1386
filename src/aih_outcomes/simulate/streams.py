"""Random numbers in named streams: adding a part to the simulator leaves the draws of all others as they were."""

from dataclasses import fields, replace
from typing import TypeVar

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence

Rows = TypeVar("Rows")  # a frozen dataclass whose fields are all arrays with one row per child

# A stream's number is part of the data: never renumber, only append.
_NUMBERS = {
    "children": 1, "referral": 2, "course": 3, "decisions": 4, "survival": 5, "follow_up": 6, "visits": 7, "noise": 8,
    "missing": 9, "treatments": 10, "records": 11, "variants": 12, "growth": 13, "composite": 14, "antibodies": 15,
    "history": 16, "chemistry": 17, "pathology": 18, "findings": 19, "judgements": 20,
    "frailty": 21, "truncation": 22, "states": 23, "visit_process": 24, "dropout": 25, "switches": 26,
    "mess": 27,
}  # fmt: skip


def open_stream(name: str, seed: int, chunk: int = 0) -> Generator:
    """Return the generator of one part of the simulator.

    Parameters
    ----------
    name : the part, e.g. ``children``
    seed : the cohort's seed
    chunk : number of the chunk where a large copy is drawn in pieces

    Returns
    -------
    ``Generator(PCG64)``, independent of every other part, seed and chunk

    Examples
    --------
    >>> bool(open_stream("visits", 1).random() == open_stream("visits", 1).random())
    True
    """
    return Generator(PCG64(SeedSequence(entropy=seed, spawn_key=(_NUMBERS[name], chunk))))


def draw_lognormal(rng: Generator, n: int, median: float, sigma: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return ``n`` draws of a lognormal variable with this median and standard deviation of its logarithm."""
    return median * np.exp(sigma * rng.standard_normal(n))


def take_rows(part: Rows, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Rows:
    """Return a dataclass of arrays with these rows only."""
    chosen = {field.name: getattr(part, field.name)[rows] for field in fields(part)}  # type: ignore[arg-type]
    return replace(part, **chosen)  # type: ignore[type-var]
