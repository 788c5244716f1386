"""Adverse events and the time in which they could have happened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aih_outcomes.catalogue import read_drugs
from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import TimeZero
from aih_outcomes.endpoints.spells import Spells, between, join
from aih_outcomes.endpoints.timelines import NEVER, Days, Flags, Floats, Timelines, derive_timelines
from aih_outcomes.endpoints.treatment.dosing import STEROIDS
from aih_outcomes.errors import PlanError
from aih_outcomes.schema import TABLES

ANY_TIME = "Any time"
ANY_EVENT, SERIOUS = "Any adverse event", "Any serious adverse event"
KINDS = next(column.levels for column in TABLES["adverse_events"].columns if column.name == "kind")


def derive_adverse_events(
    cohort: Cohort, *, time_zero: TimeZero = "induction", drug_classes: Sequence[str] = ()
) -> pd.DataFrame:
    """Count adverse events and person-time, for ``estimate_event_rates``.

    Time at risk is the follow-up after time zero with the native liver: a period (start, stop], so that an event on
    its first day was there before. On a drug it is the time up to the day after the last dose.

    Parameters
    ----------
    drug_classes : classes of drug; for each, events and time while it was given for autoimmune hepatitis

    Returns
    -------
    frame ``strata`` (any time, or the class of drug), ``label`` (each kind; any; any serious), ``n`` (patients with
    time at risk), ``n_with_event, n_event, n_outside`` (recorded, but not in the time at risk), ``person_days``

    Raises
    ------
    PlanError : a class of drug is not in the catalogue
    """
    wrong = sorted(set(drug_classes) - set(read_drugs()["drug_class"]))
    if wrong:
        raise PlanError(f"{', '.join(wrong)}: not in the catalogue", "Classes of drug are those of the catalogue",
                        "Correct drug_classes")  # fmt: skip
    timelines = derive_timelines(cohort, time_zero=time_zero)
    at_risk = _at_risk(timelines)
    table = cohort.adverse_events
    patient, day, row = timelines.dated(table, np.ones(len(table), dtype=bool))
    kind = table["kind"].to_numpy(object)[row]
    serious = table["serious"].to_numpy(bool, na_value=False)[row]
    named = {ANY_EVENT: np.ones(len(row), dtype=bool), SERIOUS: serious} | {name: kind == name for name in KINDS}
    counted = []
    for stratum in (ANY_TIME, *drug_classes):
        time = at_risk if stratum == ANY_TIME else _both(at_risk, _given(timelines, stratum), timelines.n)
        inside = time.covers(patient, day)
        n, days = len(np.unique(time.patient)), int((time.stop - time.start + 1).sum())
        for label, chosen in named.items():
            found = chosen & inside
            counts = (len(np.unique(patient[found])), int(found.sum()), int((chosen & ~inside).sum()))
            counted.append((stratum, label, n, *counts, days))
    columns = ["strata", "label", "n", "n_with_event", "n_event", "n_outside", "person_days"]
    return pd.DataFrame(counted, columns=columns)


def count_adverse_events(timelines: Timelines) -> tuple[Days, Days, Floats]:
    """Return each patient's adverse events, serious ones, and days at risk (n,); as in ``derive_adverse_events``."""
    at_risk, table, n = _at_risk(timelines), timelines.cohort.adverse_events, timelines.n
    patient, day, row = timelines.dated(table, np.ones(len(table), dtype=bool))
    inside = at_risk.covers(patient, day)
    serious = inside & table["serious"].to_numpy(bool, na_value=False)[row]
    lasted = (at_risk.stop - at_risk.start + 1).astype(float)
    days = np.bincount(at_risk.patient, lasted, minlength=n).astype(float)
    n_events: Days = np.bincount(patient[inside], minlength=n)
    n_serious: Days = np.bincount(patient[serious], minlength=n)
    return n_events, n_serious, days


def _at_risk(timelines: Timelines) -> Spells:
    """Return the days after the first of each period of follow-up, from day 1 to its end or transplant."""
    table = timelines.cohort.follow_up
    patient, start, from_start = timelines.place(table["patient_id"], table["start"])
    _, end, to_end = timelines.place(table["patient_id"], table["end"])
    known: Flags = from_start & to_end
    patient, start, end = patient[known], start[known], end[known]
    transplanted = np.where(np.isnan(timelines.failed_day), NEVER, timelines.failed_day).astype(np.int64)
    return join(patient, np.maximum(start, 0) + 1, np.minimum(end, transplanted[patient]))


def _given(timelines: Timelines, drug_class: str) -> Spells:
    given = timelines.treatments
    chosen = timelines.of_class(drug_class) & given.for_aih & (given.dose != 0)
    rows = given.where(chosen & (given.systemic | ~timelines.of_class(*STEROIDS)))
    last = np.where(rows.stop < NEVER, rows.stop + 1, NEVER)
    return join(rows.patient, rows.start + 1, np.where(rows.stop >= rows.start, last, rows.start))


def _both(one: Spells, other: Spells, n: int) -> Spells:
    """Return the days that lie in both."""
    first, last = np.ones(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    np.maximum.at(last, one.patient, one.stop)
    neither = [between(spells, first, last) for spells in (one, other)]
    patient, start, stop = (np.concatenate([getattr(free, name) for free in neither])
                            for name in ("patient", "start", "stop"))  # fmt: skip
    return between(join(patient, start, stop), first, last)
