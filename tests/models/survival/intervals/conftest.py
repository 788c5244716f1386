"""Interval-censored data: the reference's, invented ones with every kind of row, and pbc as if its times were found."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.outcomes import IntervalTime

MIXED = Path(__file__).parents[3] / "reference" / "intervals.csv"


@pytest.fixture(scope="session")
def normalised(data_set) -> IntervalTime:
    """Bilirubin normal at a visit: 170 patients of pbcseq, 33 seen to reach it."""
    return IntervalTime.from_frame(
        data_set("derived_pbcseq_interval"), left="left", right="right", patient_id="id", covariates=["trt", "bili0"],
        label="normal bilirubin",
    )  # fmt: skip


@pytest.fixture(scope="session")
def mixed() -> pd.DataFrame:
    """140 invented patients: exact, left-, right- and interval-censored times."""
    return pd.read_csv(MIXED)


@pytest.fixture(scope="session")
def seen_at_looks():
    """Make an outcome of ``left`` and ``right``, with every other column a covariate."""

    def make(frame, **how):
        other = [name for name in frame if name not in ("left", "right", "end", "dead", "w")]
        given = {"weight": "w"} if "w" in frame else {}
        given |= {"end": "end", "terminal": "dead"} if "end" in frame else {}
        return IntervalTime.from_frame(frame, left="left", right="right", covariates=other, **given, **how)

    return make


@pytest.fixture(scope="session")
def liver_deaths() -> pd.DataFrame:
    """1,500 patients in whom cirrhosis is looked for every one to three years, and who may die first; known truth.

    Weibull hazards: of cirrhosis with shape 1.3, scale 6 and log hazard ratio 0.5; of death before it 1.5, 15 and 0.2;
    of death after it 1.2, 5 and 0.3.
    """
    rng = np.random.default_rng(3)
    n = 1500
    z = rng.normal(size=n)

    def time(shape, scale, slope, since=0.0):
        passed = np.exp(slope * z) * (since / scale) ** shape
        return scale * ((rng.exponential(size=n) + passed) / np.exp(slope * z)) ** (1 / shape)

    cirrhosis, death_before = time(1.3, 6, 0.5), time(1.5, 15, 0.2)
    ill = cirrhosis < death_before
    death = np.where(ill, time(1.2, 5, 0.3, cirrhosis), death_before)
    until = rng.uniform(4, 14, n)
    end = np.minimum(death, until)
    looks = np.cumsum(rng.uniform(1, 3, (n, 15)), axis=1)
    looks = np.column_stack([np.zeros(n), np.where(looks <= end[:, None], looks, np.inf), np.full(n, np.inf)])
    found = looks >= np.where(ill, cirrhosis, np.inf)[:, None]
    last_without = np.where(found | ~np.isfinite(looks), 0.0, looks).max(axis=1)
    first_with = np.where(found, looks, np.inf).min(axis=1)
    return pd.DataFrame(
        {"left": last_without, "right": first_with, "end": end, "dead": death <= until, "z": z,
         "true": np.where(ill, cirrhosis, np.inf)}
    )  # fmt: skip
