"""When targeted therapy was begun, and comparable moments at which it was not (statistics 16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from aih_outcomes.cohort import age_at
from aih_outcomes.endpoints.clock import IN_WORDS
from aih_outcomes.endpoints.course.flares import ONE_FLARE_DAYS, derive_flares
from aih_outcomes.endpoints.events.endpoint import count_exclusions
from aih_outcomes.endpoints.groups.second_failure import find_second_failure
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.timelines import Days, Flags, Floats, on_line
from aih_outcomes.endpoints.treatment.body_size import YEAR_OLD, find_weight_before
from aih_outcomes.endpoints.treatment.dosing import steroid_steps
from aih_outcomes.endpoints.treatment.episodes import find_episodes
from aih_outcomes.endpoints.treatment.lines import find_lines
from aih_outcomes.endpoints.treatment.starts import find_induction, find_starts
from aih_outcomes.errors import refuse_unknown
from aih_outcomes.outcomes import Switches

Therapy = Literal["gene_matched", "advanced"]
Moment = Literal["flare", "failure"]
THERAPY_WORDS = {"gene_matched": "start of gene-matched therapy", "advanced": "start of advanced therapy"}
PEAK_WITHIN_DAYS = 56  # [P] the rise that a switch answers is looked for in so many days up to it, two visits' worth
KNOWN_THEN = ("log_alt_peak", "days_since_induction", "steroid", "lines", "age")


def derive_switches(
    response: Response, *, therapy: Therapy = "gene_matched", at: Sequence[Moment] = ("flare", "failure")
) -> Switches:
    """Find when therapy was switched, and when others in a like state were not.

    A switch is the first dose of the therapy. Pseudo-switches are the days on which a flare, or the failure of the
    second line, became known in a patient who had not switched by then; of several less than 28 days apart the first.
    Whoever switches later lends the moments before that day.

    Parameters
    ----------
    therapy : gene-matched therapy, or any advanced one
    at : what counts as a comparable moment

    Returns
    -------
    switches : covariates known on that day: ``log_alt_peak`` (natural logarithm of the highest ALT, × ULN, of the 56
        days up to it), ``days_since_induction``, ``steroid`` (prednisolone mg/kg/day of the day before: what the
        decision found, not what it changed; by the last weight of the year before), ``lines`` (lines of treatment begun
        before), ``age`` (years); missing where not known. ``exclusions`` counts moments from transplant on, and
        comparable ones before time zero. A switch before time zero stays, for that patient lends no time without the
        therapy, but nothing was known then, and it is matched with none

    Raises
    ------
    PlanError : the therapy or a moment is not known; the criteria have no rule of flares
    """
    refuse_unknown(therapy, get_args(Therapy), "a therapy")
    for moment in at:
        refuse_unknown(moment, get_args(Moment), "a moment")
    timelines = response.timelines
    starts = find_starts(timelines)
    first = (
        starts.gene_matched if therapy == "gene_matched" else np.fmin(starts.gene_matched, starts.empirical_advanced)
    )
    began = np.flatnonzero(~np.isnan(first))
    patient, day = _candidates(response, at)
    patient, day = _thin_out(*_before(patient, day, first))
    who = np.concatenate([began, patient])
    when = np.concatenate([first[began].astype(np.int64), day])
    switched = np.arange(len(who)) < len(began)
    left_out = {
        "Moment from transplant or death on": when > timelines.failed_day[who],
        "Moment before time zero": (when < 0) & ~switched,
    }
    kept = ~np.any(list(left_out.values()), axis=0)
    order = np.flatnonzero(kept)[np.argsort(on_line(who[kept], when[kept]), kind="stable")]
    table = _describe_moments(response, who[order], when[order]).assign(switched=switched[order])
    found = Switches.from_frame(
        table, patient_id="patient_id", time="time", switched="switched", covariates=KNOWN_THEN,
        label=THERAPY_WORDS[therapy], time_zero=IN_WORDS[response.time_zero],
    )  # fmt: skip
    counted = count_exclusions({reason: switched[out] for reason, out in left_out.items()})
    return replace(found, exclusions=counted)


def _candidates(response: Response, at: Sequence[Moment]) -> tuple[Days, Days]:
    """Return patient and day of every comparable moment, switched by then or not."""
    timelines = response.timelines
    patients, days = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    if "flare" in at:
        events = derive_flares(response).events
        patients.append(timelines.positions(events["patient_id"]))
        days.append(events["known_at"].to_numpy(np.int64))
    if "failure" in at:
        failed = (find_second_failure(response) - timelines.zero).dt.days
        had = failed.notna().to_numpy(bool)
        patients.append(np.flatnonzero(had).astype(np.int64))
        days.append(failed[had].to_numpy().astype(np.int64))
    return np.concatenate(patients), np.concatenate(days)


def _before(patient: Days, day: Days, first: Floats) -> tuple[Days, Days]:
    """Keep the moments of patients who had not switched by then."""
    kept = ~(day >= first[patient])
    return patient[kept], day[kept]


def _thin_out(patient: Days, day: Days) -> tuple[Days, Days]:
    """Keep of each patient's moments those at least 28 days after the last one kept."""
    order = np.unique(on_line(patient, day), return_index=True)[1]
    patient, day = patient[order], day[order]
    kept: Flags = np.ones(len(day), dtype=bool)
    while True:
        rows = np.flatnonzero(kept)
        near = np.append(False, (np.diff(patient[rows]) == 0) & (np.diff(day[rows]) < ONE_FLARE_DAYS))[: len(rows)]
        near &= ~np.append(False, near[:-1])[: len(rows)]  # what follows a moment that goes is asked again
        if not near.any():
            return patient[kept], day[kept]
        kept[rows[near]] = False


def _describe_moments(response: Response, patient: Days, day: Days) -> pd.DataFrame:
    """Return what was known of each patient on the day of a moment."""
    timelines = response.timelines
    lines = find_lines(timelines, find_episodes(timelines))
    dose = steroid_steps(timelines).at(patient, day - 1)
    ids = pd.Series(timelines.patients.take(patient), dtype="string")
    date = timelines.zero.iloc[patient].reset_index(drop=True) + pd.to_timedelta(day, unit="D")
    return pd.DataFrame(
        {
            "patient_id": ids,
            "time": day,
            "log_alt_peak": np.log(_highest(response, patient, day)),
            "days_since_induction": np.where(day < 0, np.nan, day - find_induction(timelines)[patient]),
            "steroid": np.where(dose == 0, 0.0, dose / find_weight_before(timelines, patient, day, within=YEAR_OLD)),
            "lines": _count_lines(lines.patient, lines.start, lines.line, patient, day),
            "age": age_at(timelines.cohort, ids, date).to_numpy(float),
        }
    )


def _highest(response: Response, patient: Days, day: Days) -> Floats:
    """Return the highest ALT (× ULN) of the days up to each moment; NaN where none was measured."""
    labs = response.timelines.labs["alt"]
    usable = response.interpretable["alt"] & (labs.xuln > 0)
    line, value = labs.line[usable], np.append(labs.xuln[usable], np.nan)
    low = np.searchsorted(line, on_line(patient, day - PEAK_WITHIN_DAYS))
    high = np.searchsorted(line, on_line(patient, day), side="right")
    if not len(day):
        return np.empty(0)
    ends = np.column_stack([low, high]).ravel()  # every second stretch lies between moments and is dropped
    return np.where(high > low, np.maximum.reduceat(value, ends)[::2], np.nan)


def _count_lines(of: Days, start: Days, line: Days, patient: Days, day: Days) -> Floats:
    """Return the number of the highest line of treatment begun before each moment; 0 where none was."""
    order = np.argsort(on_line(of, start), kind="stable")
    asked = on_line(of, start)[order]
    first = np.searchsorted(of[order], patient)
    last = np.searchsorted(asked, on_line(patient, day))
    if not len(day):
        return np.empty(0)
    ends = np.column_stack([first, last]).ravel()
    highest = np.maximum.reduceat(np.append(line[order], 0), ends)[::2]
    return np.where(last > first, highest, 0).astype(float)
