"""Creatinine and sodium (for PELD and MELD), and CD19+ B cells after rituximab: measured beside the rest."""

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from aih_outcomes.simulate.children import LIVER_FAILURE
from aih_outcomes.simulate.notes import Notes
from aih_outcomes.simulate.parameters import Parameters
from aih_outcomes.simulate.results import draw_noise
from aih_outcomes.simulate.streams import draw_lognormal, open_stream

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CHEMISTRY = ("creatinine", "sodium", "cd19")
SCHWARTZ = 36.5  # bedside Schwartz: eGFR = 36.5 · height (cm) / creatinine (µmol/L); J Am Soc Nephrol 2009;20:629 [m]
FILTRATION = (115.0, 0.14)  # eGFR, mL/min/1.73 m²: median, sd of log; project
FILTRATION_LIVER_FAILURE = 0.6  # at first, relative; project
FILTRATION_GRAFT = 0.75  # under tacrolimus; project
CV_CREATININE = 0.05  # EFLM [m]
SODIUM = (139.8, 1.3, 1.1)  # mmol/L: mean, sd between children, sd within; project
SODIUM_CIRRHOSIS, SODIUM_LIVER_FAILURE = -2.5, -4.0  # at first; project
RECOVERY_HALF_LIFE = 60.0  # days in which half of what was wrong at first is mended; project
MEASURED_FIRST, MEASURED_LATER = 0.95, 0.28  # share of held visits; project
SODIUM_LOST = 0.05  # measured with creatinine, sometimes lost; project

B_CELLS = (280.0, 0.40)  # 10⁶/L before rituximab: median, sd of log; project
B_CELLS_RETURN = (
    335.0,
    0.35,
)  # days after the last day of rituximab: a median of 11 months (clinic.md 10); sd: project
B_CELLS_HALF_LIFE = 60.0  # of the way back, once they return; project
B_CELLS_ASKED, B_CELLS_BEFORE, B_CELLS_UNTIL = 0.6, 45.0, 1100.0  # share of visits; days around; project


def measure_chemistry(notes: Notes, seen: Flags, treatments: pd.DataFrame, p: Parameters) -> dict[str, Floats]:
    """Return creatinine, sodium and CD19 at every visit, (n, m) in canonical units; NaN where not measured.

    Parameters
    ----------
    seen : (n, m) visits under observation
    treatments : the cohort's; rituximab is looked up in it
    """
    rng, visits = open_stream("chemistry", notes.seed), notes.visits
    u = rng.random((2, *visits.day.shape))
    asked = seen & visits.held & (u[0] < np.where(visits.first, MEASURED_FIRST, MEASURED_LATER))
    found = {
        "creatinine": np.where(asked, _creatinine(notes, rng, p), np.nan),
        "sodium": np.where(asked & (u[1] >= SODIUM_LOST), _sodium(notes, rng), np.nan),
    }
    return found | {"cd19": _b_cells(notes, seen, treatments)}


def _at_first(notes: Notes) -> Floats:
    """Return how much of what was wrong at the first dose is left at each visit: 1 falling to 0."""
    return np.asarray(np.exp2(-np.clip(notes.visits.day, 0, 1e4) / RECOVERY_HALF_LIFE))


def _creatinine(notes: Notes, rng: Generator, p: Parameters) -> Floats:
    children, day = notes.children, notes.visits.day
    height = notes.growth.height(np.arange(children.n)[:, None], np.minimum(day, 1e4))
    failing = np.where(children.presentation == LIVER_FAILURE, FILTRATION_LIVER_FAILURE, 1.0)[:, None]
    graft = np.where(day > notes.survival.transplant[:, None], FILTRATION_GRAFT, 1.0)
    filtration = draw_lognormal(rng, children.n, *FILTRATION)[:, None] * graft * failing ** _at_first(notes)
    noise = draw_noise(rng, day, p.noise_correlation_days)
    return np.asarray(SCHWARTZ * height / filtration * np.exp(CV_CREATININE * noise))


def _sodium(notes: Notes, rng: Generator) -> Floats:
    children, (mean, between, within) = notes.children, SODIUM
    failing = children.presentation == LIVER_FAILURE
    lower = np.where(children.cirrhosis, SODIUM_CIRRHOSIS, 0.0) + np.where(failing, SODIUM_LIVER_FAILURE, 0.0)
    own = mean + between * rng.standard_normal((children.n, 1))
    return np.asarray(own + lower[:, None] * _at_first(notes) + within * rng.standard_normal(notes.visits.day.shape))


def _b_cells(notes: Notes, seen: Flags, treatments: pd.DataFrame) -> Floats:
    """B cells around rituximab: none while it is given (it is repeated), back some months after its last day."""
    rng, day, n = open_stream("chemistry", notes.seed, 1), notes.visits.day, notes.children.n
    usual, back = draw_lognormal(rng, n, *B_CELLS), draw_lognormal(rng, n, *B_CELLS_RETURN)
    asked = rng.random(day.shape) < B_CELLS_ASKED
    noise = np.exp(0.2 * rng.standard_normal(day.shape))
    given = treatments[treatments["drug"] == "rituximab"].sort_values(["child", "start"])
    cells = np.full(day.shape, np.nan)
    for _, periods in given.groupby(given.groupby("child").cumcount()):  # each child's first period, second, …
        child = periods["child"].to_numpy()
        since = day[child] - periods["start"].to_numpy(float)[:, None]
        after = day[child] - (periods["stop"].fillna(np.inf).to_numpy(float) + back[child])[:, None]
        returned = 1 - np.exp2(-np.clip(after, 0, None) / B_CELLS_HALF_LIFE)
        share = np.where(since <= 0, 1.0, returned)
        near = np.where(np.isnan(cells[child]), since >= -B_CELLS_BEFORE, since > 0) & (after <= B_CELLS_UNTIL)
        cells[child] = np.where(near, share * usual[child, None] * noise[child], cells[child])
    native = day < notes.survival.transplant[:, None]
    return np.where(asked & seen & notes.visits.held & native, cells, np.nan)
