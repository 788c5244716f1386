"""From values to a laboratory's paper: the table ``labs``, in each centre's units, with its own upper limits."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.simulate.chemistry import CHEMISTRY, measure_chemistry
from aih_outcomes.simulate.children import NON_RESPONDER, TYPE_2
from aih_outcomes.simulate.course import State, find_stretch
from aih_outcomes.simulate.history import antibody_method
from aih_outcomes.simulate.laboratories import CENTRES, as_printed, limits_of, read_back, write_digits
from aih_outcomes.simulate.notes import Notes
from aih_outcomes.simulate.parameters import IggMissing, Parameters
from aih_outcomes.simulate.results import (
    AFTER_TRANSPLANT,
    OTHERS,
    follow_latent,
    limit_at,
    lose_some,
    measure,
    measure_others,
)
from aih_outcomes.simulate.streams import open_stream
from aih_outcomes.units import canonical_units

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ANALYTES = ("alt", "ast", "igg", *OTHERS)
PLAUSIBLE = {
    "alt": (4.0, 15000.0),
    "ast": (6.0, 15000.0),
    "igg": (1.0, 80.0),
    "bilirubin": (2.0, 900.0),
    "ggt": (5.0, 3000.0),
    "albumin": (12.0, 55.0),
    "inr": (0.8, 12.0),
    "platelets": (15.0, 900.0),
    "creatinine": (12.0, 600.0),
    "sodium": (118.0, 152.0),
    "cd19": (0.0, 2000.0),
}  # project
TITRES = (20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 2560.0)  # two-fold steps from 1:20


def tabulate_labs(notes: Notes, treatments: pd.DataFrame, p: Parameters, how: IggMissing) -> pd.DataFrame:
    """Return every result as printed, with its canonical value: ``child, day, analyte, value, …``.

    Parameters
    ----------
    treatments : the cohort's, in days; B cells are counted after rituximab
    """
    values, limit = _recorded_values(notes, p, how)
    values |= measure_chemistry(notes, _seen(notes, p), treatments, p)
    parts = [_print(notes, analyte, values[analyte], limit) for analyte in (*ANALYTES, *CHEMISTRY)]
    return pd.concat([*parts, _titres(notes, p)], ignore_index=True)


def _recorded_values(notes: Notes, p: Parameters, how: IggMissing) -> tuple[dict[str, Floats], Floats]:
    children, visits, seed = notes.children, notes.visits, notes.seed
    latent = follow_latent(seed, children, notes.course, p)
    limit = limit_at(children, visits.day)
    values = measure(seed, children, notes.course, latent, visits, p)
    values = lose_some(seed, values, visits, children, limit, p, how) | measure_others(
        seed, children, latent, visits, p
    )
    seen = _seen(notes, p)
    graft = visits.day > notes.survival.transplant[:, None]
    rng = open_stream("noise", seed, 1)
    for name in ANALYTES:
        after = AFTER_TRANSPLANT[name] * np.exp(0.15 * rng.standard_normal(visits.day.shape))
        values[name] = np.where(seen & ~np.isnan(values[name]), np.where(graft, after, values[name]), np.nan)
    return values, limit


def _seen(notes: Notes, p: Parameters) -> Flags:
    """Mark visits under observation; a referred child's earlier results are known only if a letter brought them."""
    follow_up, day = notes.follow_up, notes.visits.day
    letter = open_stream("missing", notes.seed, 1).random(notes.children.n) < p.letter_with_results
    known = ~notes.children.referred | letter
    return np.asarray((day <= follow_up.clinic_end[:, None]) & (known[:, None] | (day >= follow_up.entry[:, None])))


def _print(notes: Notes, analyte: str, values: Floats, limit: Floats) -> pd.DataFrame:
    child, column = np.nonzero(~np.isnan(values))
    centre = notes.children.centre[child]
    value = np.clip(values[child, column], *PLAUSIBLE[analyte])
    digits, decimals = as_printed(value, analyte, centre)
    below = value < read_back(np.ones_like(digits), decimals, analyte, centre) / 2  # printed as "<" the last digit
    by_age = analyte == "igg"
    uln = limit[child, column] if by_age else limits_of(analyte)[centre]
    reported = np.where(analyte in ("alt", "ast", "ggt"), "reported", "laboratory")
    units = np.array([c.assays[analyte].unit for c in CENTRES])
    return pd.DataFrame(
        {
            "child": child,
            "day": notes.visits.day[child, column],
            "analyte": analyte,
            "value": read_back(digits, decimals, analyte, centre),
            "unit": canonical_units()[analyte],
            "comparator": np.where(below, "<", "="),
            "raw_value": np.char.add(np.where(below, "<", ""), write_digits(digits, decimals)),
            "raw_unit": units[centre],
            "uln": uln,
            "uln_source": "age_sex_table" if by_age else reported,
            "visit": np.where(notes.visits.scheduled[child, column], "scheduled", "unscheduled"),
        }
    )


def _titres(notes: Notes, p: Parameters) -> pd.DataFrame:
    """Antibody titres at diagnosis and about yearly: they fall in response; negative is printed ``<1:20``."""
    children, visits = notes.children, notes.visits
    rng = open_stream("antibodies", notes.seed, 1)
    year = np.floor(visits.day / 365)
    fresh = np.concatenate([np.ones((children.n, 1), bool), np.diff(year, axis=1) > 0], axis=1)
    asked = visits.held & _seen(notes, p) & (visits.day < notes.survival.transplant[:, None])
    asked &= visits.first | (fresh & (rng.random(visits.day.shape) < 0.5))
    start = rng.standard_normal((2, children.n)) * 1.3
    parts = []
    for analyte, kinds, typical in (("ana", (0, 3), 3.0), ("sma", (0,), 3.0), ("lkm1", (TYPE_2,), 6.0)):
        positive = np.isin(children.type, kinds) & (rng.random(children.n) < (1.0 if analyte == "lkm1" else 0.85))
        child, column = np.nonzero(
            asked & (np.isin(children.type, (TYPE_2,))[:, None] | np.bool_(analyte != "lkm1") | visits.first)
        )
        day = visits.day[child, column]
        state = notes.course.state[child, find_stretch(notes.course.start[child], day[:, None])[:, 0]]
        quiet = (state == State.RESPONSE) & (children.response_class[child] != NON_RESPONDER)
        step = typical + start[0 if analyte == "lkm1" else 1, child] - np.where(quiet, np.minimum(day / 365, 3.0), 0.0)
        step = np.where(positive[child], np.rint(step + 0.5 * rng.standard_normal(len(child))), -1)
        negative = step < 0
        titre = np.array(TITRES)[np.clip(step, 0, len(TITRES) - 1).astype(int)]
        sign = np.where(negative, "<", "=")
        text = [("<1:" if low else "1:") + f"{number:.0f}" for low, number in zip(negative, titre, strict=True)]
        parts.append(
            pd.DataFrame(
                {
                    "child": child,
                    "day": day,
                    "analyte": analyte,
                    "value": titre,
                    "unit": "{titer}",
                    "comparator": sign,
                    "raw_value": text,
                    "raw_unit": "titre",
                    "uln": np.nan,
                    "uln_source": "none",
                    "visit": np.where(visits.scheduled[child, column], "scheduled", "unscheduled"),
                    "method": antibody_method(notes.seed, children, analyte)[child],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
