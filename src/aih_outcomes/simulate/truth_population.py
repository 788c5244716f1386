"""The children that T1, T2, T3 and T5 are counted in: large uncensored copies of the cohort, one row each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.simulate.children import Ints
from aih_outcomes.simulate.copies import (
    MET,
    Copy,
    attained_by,
    draw_copies,
    find_cbr,
    latent_cbr,
    latent_fall,
    lose_from,
    narrow_copy,
    sample_copy,
    status_at,
)
from aih_outcomes.simulate.course import NEVER, Option
from aih_outcomes.simulate.estimands import Estimand, counted, share
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR, DEFAULT, IggMissing, Mechanism, Parameters

Floats = NDArray[np.float64]

MECHANISMS = {
    "default": Mechanism(),
    "null": Mechanism(response_effect="none"),
    "null, high hazard": Mechanism(response_effect="none", hazard="high"),
    "no effect": Mechanism(targeted_effect="none"),
}
HORIZON = 15.1 * DAYS_PER_YEAR
LAST = 5478  # 15 years in whole days
CBR_DAYS = (28, 56, 182, 365)
WINDOWS = {28: (21, 28), 56: (42, 56), 182: (150, 182), 365: (300, 365)}
WEEKLY = np.arange(7.0, 365.0, 7.0)
LATER = np.arange(392.0, 1826.0, 28.0)
MISSING: tuple[IggMissing, ...] = ("mcar", "mar", "mnar")


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """One row per child of all copies: what the estimands are counted from; (n,) each, days as floats."""

    columns: dict[str, Floats]

    def __getitem__(self, name: str) -> Floats:
        """Return one column."""
        return self.columns[name]

    @property
    def n(self) -> int:
        """Number of children."""
        return len(self.columns["first"])


def first_cbr(copy: Copy) -> Floats:
    """Return the first day with noise-free CBR: looked for weekly in the first year, then every 28 days to 5 years."""
    found = np.full(copy.children.n, NEVER)
    for days in (WEEKLY, LATER):
        narrow = narrow_copy(copy, days[-1])
        for block in np.array_split(days, 4):
            met = latent_cbr(narrow, np.broadcast_to(block, (copy.children.n, len(block))))
            found = np.minimum(found, np.where(met, block, NEVER).min(axis=1))
    return found


def _columns(copy: Copy, p: Parameters, *, with_visits: bool) -> dict[str, Floats]:
    follow_up, survival, course = copy.follow_up, copy.survival, copy.course
    stop = np.minimum(follow_up.clinic_end, survival.transplant)
    matched = course.first(course.option == Option.MATCHED)
    columns = {
        "first": survival.first,
        "transplant": survival.transplant,
        "death": survival.death,
        "lag": copy.children.lag,
        "entry": np.maximum(follow_up.entry, 0),
        "end": follow_up.end,
        "recorded": follow_up.recorded,
        "class": copy.children.response_class,
        "cbr": first_cbr(copy),
        "fell": latent_fall(copy, 28.0),
        "matched": matched,
        "matched_seen": (matched <= stop) & follow_up.recorded,
        "alt": copy.children.alt,
        "half_life": course.half_life[:, 0],
        "plateau": course.target[:, 0],
    }
    if with_visits:
        columns |= _visit_columns(copy, p)
    return {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}


def _visit_columns(copy: Copy, p: Parameters) -> dict[str, Ints | Floats]:
    samples = sample_copy(copy, p, until=366.0)
    day, centre = samples.visits.day, copy.children.centre
    full = find_cbr(samples.values, centre, samples.igg_limit)
    seen = {"full": full}
    for how in MISSING:
        seen[how] = find_cbr(lose_from(copy, samples, p, how), centre, samples.igg_limit)
    columns: dict[str, Ints | Floats] = {}
    for name, cbr in seen.items():
        columns[f"seen_{name}"] = np.where((cbr == MET) & (day > 0), day, NEVER).min(axis=1)
        for until in CBR_DAYS:
            columns[f"attained_{name}_{until}"] = attained_by(cbr, day, until)
            columns[f"status_{name}_{until}"] = status_at(cbr, day, WINDOWS[until])
    for until in CBR_DAYS:
        at = np.full((copy.children.n, 1), float(until))
        columns[f"latent_{until}"] = latent_cbr(copy, at)[:, 0].astype(float)
    return columns


def draw_population(
    seed: int, n: int, mechanism: Mechanism, p: Parameters = DEFAULT, *, with_visits: bool = True
) -> Population:
    """Draw ``n`` children and keep what the estimands need."""
    parts = [_columns(copy, p, with_visits=with_visits) for copy in draw_copies(seed, n, p, mechanism, horizon=HORIZON)]
    return Population({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def truth_of_prevalence(pop: Population) -> Estimand:
    """T12: how many ever take a gene-matched drug."""
    numbers = {
        "within_15_years": share(pop["matched"] <= LAST),
        "while_recorded": share(pop["matched_seen"][pop["recorded"] == 1] == 1),
    }
    text = "Share that ever starts a gene-matched drug: uncensored within 15 years, and while followed by the clinic"
    return counted("T12", "prevalence of gene-matched therapy", text, numbers, n=pop.n)
