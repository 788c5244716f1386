"""Findings of examinations: what was new since a look that showed none (statistics, rule 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.events.first_events import Placed, first_seen
from aih_outcomes.endpoints.timelines import Days, Flags, Timelines, first_of, last_of, on_line, take

BASELINE_DAYS = 90  # [P] what is found up to so many days after diagnosis was there at diagnosis
NOT_FOUND, NEVER_LOOKED, NOT_AGAIN = "not found", "never shown to be absent", "not looked for again"
LOOKED_IN_VAIN = (NOT_FOUND, NEVER_LOOKED, NOT_AGAIN)


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Days of a native liver on which one thing was seen, by patient and day; ``because`` says by what."""

    patient: Days
    day: Days
    because: NDArray[np.object_]


def gather(timelines: Timelines, parts: Sequence[tuple[Days, Days, str]]) -> Findings:
    """Put patient, day and kind of several pieces of evidence into one order.

    The day of a transplant and later days are left out. Of two on one day the part named first comes first.
    """
    patient = np.concatenate([part[0] for part in parts])
    day = np.concatenate([part[1] for part in parts])
    because = np.repeat(np.array([part[2] for part in parts], dtype=object), [len(part[0]) for part in parts])
    native = np.flatnonzero(~(day >= timelines.graft_day[patient]))
    order = native[np.argsort(on_line(patient[native], day[native]), kind="stable")]
    return Findings(patient[order], day[order], because[order])


def at_diagnosis(placed: Placed, chosen: Flags) -> tuple[Days, Days]:
    """Return the chosen patients (n,) and the day of their diagnosis, for what is recorded as of then."""
    day = placed.patient_day("diagnosis_date")
    patient = np.flatnonzero(chosen & ~np.isnan(day))
    return patient, day[patient].astype(np.int64)


def detect(
    placed: Placed,
    found: Findings,
    absent: Findings,
    *,
    name: str,
    label: str,
    at_baseline: str,
    at_first_look: str,
    baseline_days: int | None = BASELINE_DAYS,
) -> Detection:
    """Return when something was first found in patients who were shown not to have it before.

    A patient is at risk from the first look that showed none on (and from being first seen), and evaluable with a later
    look or finding. What was found up to ``baseline_days`` after diagnosis (None: no such period), or before any look
    that showed none, is not new. The first evidence counts, whatever later looks say.

    Parameters
    ----------
    at_baseline, at_first_look : words for whoever is not at risk because of it
    """
    timelines, n = placed.timelines, placed.timelines.n
    first = first_of(found.patient, np.ones(len(found.patient), dtype=bool), n)
    clear = take(absent.day, first_of(absent.patient, np.ones(len(absent.patient), dtype=bool), n))
    day = take(found.day, first)
    at_risk = np.maximum(clear, first_seen(placed))
    if baseline_days is None:
        baseline = np.full(n, -np.inf)
    else:
        baseline = placed.patient_day("diagnosis_date") + baseline_days
    present, not_new = day <= baseline, ~np.isnan(day) & ~(day > clear)
    onset = np.where((day > at_risk) & ~present, day, np.nan)
    last = take(absent.day, last_of(absent.patient, ~(absent.day >= onset[absent.patient]), n))
    again = last > np.fmax(at_risk, baseline)
    is_found = ~np.isnan(onset)
    because = np.select(
        [is_found, present, not_new, ~np.isnan(day), np.isnan(clear), again],
        [_words(found, first), at_baseline, at_first_look, "found before being first seen", NEVER_LOOKED, NOT_FOUND],
        NOT_AGAIN,
    ).astype(object)
    kept = is_found | (np.isnan(day) & again)
    return Detection(
        name, label, timelines, np.where(kept, at_risk, np.nan), np.where(kept, last, np.nan), onset, onset, because
    )


def _words(found: Findings, position: Days) -> NDArray[np.object_]:
    words = np.full(len(position), "", dtype=object)
    there = position >= 0
    words[there] = found.because[position[there]]
    return words
