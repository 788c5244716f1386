"""Steroid doses, and which drug begins and stops when: read off the course; the table ``treatments``."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.simulate.children import GENES, NON_RESPONDER, RAPID, Children
from aih_outcomes.simulate.course import NEVER, Course, State, Step
from aih_outcomes.simulate.growth import Growth
from aih_outcomes.simulate.parameters import Parameters, Spread
from aih_outcomes.simulate.streams import draw_lognormal, open_stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SteroidCourses:
    """Courses of steroid, (n, c): first day, day on which the next begins or steroid ends, and which taper."""

    start: Floats
    until: Floats
    taper: Ints  # 0 rapid, 1 slow, 2 failing, 3 burst


def _tapers(p: Parameters) -> tuple[tuple[Spread, ...], ...]:
    return p.taper_rapid, p.taper_slow, p.taper_failing, p.taper_burst


def draw_steroid(seed: int, children: Children, course: Course, p: Parameters, *, chunk: int = 0) -> SteroidCourses:
    """Draw when each course of steroid begins (induction, flare, decision) and when steroid ends.

    Steroid ends some time after a response; it comes back with the next flare; withdrawal ends it at the latest.
    """
    begins = (course.step == Step.INDUCTION) | (course.step == Step.RETREATED) | (course.step == Step.DECISION)
    start = np.where(begins, course.start, NEVER)
    columns = np.flatnonzero((start < NEVER).any(axis=0))
    following = np.minimum.accumulate(start[:, ::-1], axis=1)[:, ::-1]
    following = np.concatenate([following[:, 1:], np.full((children.n, 1), NEVER)], axis=1)
    off = np.minimum.accumulate(np.where(course.step == Step.WITHDRAWAL, course.start, NEVER)[:, ::-1], axis=1)[:, ::-1]
    settled = np.where(course.state == State.RESPONSE, course.start, NEVER)
    settled = np.minimum.accumulate(settled[:, ::-1], axis=1)[:, ::-1]
    rng = open_stream("treatments", seed, chunk)
    after = draw_lognormal(rng, children.n, *p.steroid_stopped_after)
    ever = rng.random(children.n) < p.steroid_stopped
    stops = np.where(ever[:, None] & (settled < NEVER), settled + after[:, None], NEVER)
    until = np.minimum(np.minimum(following, off), stops)
    class_taper = np.where(
        children.response_class == NON_RESPONDER, 2, np.where(children.response_class == RAPID, 0, 1)
    )
    taper = np.where(course.step == Step.INDUCTION, class_taper[:, None], 3)
    return SteroidCourses(start[:, columns], until[:, columns], taper[:, columns])


def on_steroid(courses: SteroidCourses, day: Floats) -> Flags:
    """Return whether each child takes steroid on ``day`` (n,)."""
    return np.asarray(((courses.start <= day[:, None]) & (day[:, None] < courses.until)).any(axis=1))


def tabulate_steroid(courses: SteroidCourses, growth: Growth, stop: Floats, p: Parameters) -> pd.DataFrame:
    """Return one row per dose step: ``child, start, stop, dose`` (mg/day, as tablets allow); [start, stop) in days."""
    rows = []
    for taper, steps in enumerate(_tapers(p)):
        child, column = np.nonzero(
            (courses.taper == taper) & (courses.start < np.minimum(courses.until, stop[:, None]))
        )
        first, last = courses.start[child, column], np.minimum(courses.until[child, column], stop[child])
        offsets = np.array([step[0] for step in steps] + [NEVER])
        for j, (offset, per_kg) in enumerate(steps):
            begin, end = np.floor(first + offset), np.floor(np.minimum(first + offsets[j + 1], last))
            rows.append(pd.DataFrame({"child": child, "start": begin, "stop": end, "per_kg": per_kg})[begin < end])
    table = pd.concat(rows, ignore_index=True).sort_values(["child", "start"], kind="stable", ignore_index=True)
    weight = growth.weight(table["child"].to_numpy(), table["start"].to_numpy())
    dose = np.minimum(table.pop("per_kg").to_numpy() * weight, p.steroid_max)
    tablets = np.where(dose >= 10, np.rint(dose / 2.5) * 2.5, np.maximum(np.rint(dose), 1.0))
    return pd.DataFrame(table.assign(drug="prednisolone", dose=tablets))


MATCHED_DRUGS = {
    "STAT1": "ruxolitinib",
    "STAT3": "tocilizumab",
    "CTLA4": "abatacept",
    "LRBA": "abatacept",
    "SOCS1": "ruxolitinib",
    "PIK3CD": "sirolimus",
}  # catalogue, gene_matches.csv


def matched_drug(gene: Ints) -> NDArray[np.str_]:
    """Return the drug that suits each gene, or an empty text."""
    names = np.array([MATCHED_DRUGS.get(row[0], "") for row in GENES] + [""])
    return np.asarray(names[gene])
