"""Exposure to drugs over time, as rows (entry, exit] for models in which it varies (statistics, rule 11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import pandas as pd

from aih_outcomes.catalogue import read_drugs
from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import IN_WORDS, TimeZero
from aih_outcomes.endpoints.spells import Spells, Steps, add_doses, join
from aih_outcomes.endpoints.timelines import NEVER, SPAN, Days, Flags, Floats, Timelines, Treatments, derive_timelines
from aih_outcomes.endpoints.treatment.body_size import find_weight_before
from aih_outcomes.endpoints.treatment.dosing import STEROIDS, hand_over
from aih_outcomes.errors import OutcomeError, PlanError
from aih_outcomes.outcomes import CENSORED, TimeToEvent

PER_MG = 1e6  # amounts are added in millionths of a mg, as doses are
FINE = 1000.0  # and those per kg or m², which have no last digit, in thousandths of these
PROBLEMS = ("no length", "overlap", "gap", "rows after the event", "exposure undone", "amount undone")


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """One drug or class: when it counts as given, and how much was given; ``dosed`` is None where mg mean nothing."""

    name: str
    current: Spells
    onset: Floats
    days: Steps
    dosed: tuple[Steps, Steps] | None


def amount_before(steps: Steps, patient: Days, day: Days) -> Floats:
    """Return how much was given before each asked day: daily dose × days; NaN from the first dose not known on."""
    total = np.zeros(len(patient))
    if not len(steps.day):
        return total
    unknown = np.isnan(steps.dose)
    dose = np.rint(np.where(unknown, 0.0, steps.dose) * PER_MG).astype(
        np.int64
    )  # whole numbers: no one else's rounding
    length = steps.until() - steps.day + 1
    length[np.append(steps.patient[1:] != steps.patient[:-1], True)] = 0  # the last has no end: it is added below
    until, doubt = np.append(0, np.cumsum(dose * length)), np.append(0, np.cumsum(unknown))
    at = np.searchsorted(_line(steps.patient, steps.day), _line(patient, day), side="right") - 1
    own = at >= 0
    own[own] = steps.patient[at[own]] == patient[own]
    at, first = at[own], np.searchsorted(steps.patient, patient[own])
    since = day[own] - steps.day[at]
    amount = (until[at] - until[first] + dose[at] * since) / PER_MG
    spoilt = doubt[at] - doubt[first] + (unknown[at] & (since > 0)) > 0
    total[own] = np.where(spoilt, np.nan, amount)
    return total


def _line(patient: Days, day: Days | Floats) -> Floats:
    """Return one sortable number per patient and time, of half days too."""
    return patient * float(SPAN) + day


@overload
def derive_exposure(
    cohort: Cohort, exposures: Sequence[str], *, time_zero: TimeZero = ..., lag_days: int = ..., grace_days: int = ...,
    split_at: Sequence[int] = ..., outcome: None = ...,
) -> pd.DataFrame: ...  # fmt: skip


@overload
def derive_exposure(
    cohort: Cohort, exposures: Sequence[str], *, time_zero: TimeZero = ..., lag_days: int = ..., grace_days: int = ...,
    split_at: Sequence[int] = ..., outcome: TimeToEvent,
) -> TimeToEvent: ...  # fmt: skip


def derive_exposure(
    cohort: Cohort,
    exposures: Sequence[str],
    *,
    time_zero: TimeZero = "induction",
    lag_days: int = 0,
    grace_days: int = 0,
    split_at: Sequence[int] = (),
    outcome: TimeToEvent | None = None,
) -> pd.DataFrame | TimeToEvent:
    """Split follow-up, or the spells of an outcome, wherever exposure to a drug for autoimmune hepatitis changes.

    A row (entry, exit] holds what was so on its first moment: what begins on day s counts on (s, …], what was last
    given on day e counts up to (…, e + 1], and a change on the day of an event applies after it. Nothing in a row
    depends on what happened after its entry.

    Parameters
    ----------
    exposures : drugs or classes of drug of the catalogue
    lag_days : onset counts, and amounts are added up, only so many days later
    grace_days : a drug counts as current for so many days after the last; shorter pauses are bridged by it
    split_at : further days on which rows are split, so that amounts are read again
    outcome : on the same clock, in days; its spells are split and its events stay in the last row of each

    Returns
    -------
    frame ``patient_id, entry, exit`` and for each exposure ``<name>_current`` and ``<name>_ever`` (0 or 1),
    ``<name>_days`` (days given before entry); for a single drug or the class ``steroid`` also ``<name>_dose`` (mg/day),
    ``<name>_mg`` and ``<name>_mg_per_kg`` (given before entry; steroid as prednisolone), NaN from the first dose that
    is not known on, or the first without a weight on its first day or in the 60 days before. With ``outcome`` a
    ``TimeToEvent`` with these as covariates.

    Raises
    ------
    PlanError : an exposure is not in the catalogue, a lag or a grace is negative
    OutcomeError : the outcome has another clock or unit, or patients without time zero
    """
    _check_asked(exposures, lag_days, grace_days)
    timelines = derive_timelines(cohort, time_zero=time_zero)
    spells = _follow_up(timelines) if outcome is None else _spells_of(outcome, timelines)
    found = [_find_exposure(timelines, name, lag_days, grace_days) for name in exposures]
    rows, piece = _split(spells, _change_days(found, split_at, timelines.n))
    patient, entry = rows["patient"].to_numpy(), np.floor(rows["entry"].to_numpy()).astype(np.int64)
    columns = {key: value for one in found for key, value in _columns(one, patient, entry, lag_days).items()}
    added = pd.DataFrame(columns, index=rows.index)
    if outcome is None:
        ids = pd.Series(timelines.patients.take(patient), name="patient_id")
        return pd.concat([ids, rows[["entry", "exit"]], added], axis=1)
    split = outcome.frame.take(piece).reset_index(drop=True).assign(entry=rows["entry"], exit=rows["exit"])
    split.loc[~rows["last"], "event"] = CENSORED
    kept = split.drop(columns=[name for name in added if name in split])
    covariates = tuple(dict.fromkeys([*outcome.covariates, *added]))
    return outcome.with_rows(pd.concat([kept, added], axis=1), covariates=covariates)


def _check_asked(exposures: Sequence[str], lag_days: int, grace_days: int) -> None:
    drugs = read_drugs()
    known = {*drugs["drug"], *drugs["drug_class"]}
    wrong = [name for name in exposures if name not in known]
    if wrong:
        raise PlanError(
            f"{', '.join(wrong)}: not in the catalogue",
            f"An exposure is a drug or a class of drug: {', '.join(sorted(known))}",
            "Correct the names",
        )
    if lag_days < 0 or grace_days < 0:
        raise PlanError("A lag or a grace is negative", "Both are 0 or more days", "Correct lag_days or grace_days")


def _follow_up(timelines: Timelines) -> pd.DataFrame:
    """Return (0, end of follow-up] of each patient followed beyond day 0."""
    last = timelines.last_day
    patient = np.flatnonzero(last > 0)
    return pd.DataFrame({"patient": patient, "entry": np.zeros(len(patient)), "exit": last[patient]})


def _spells_of(outcome: TimeToEvent, timelines: Timelines) -> pd.DataFrame:
    if outcome.time_unit != "days" or outcome.time_zero != IN_WORDS[timelines.time_zero]:
        raise OutcomeError(
            f"{outcome.label} runs in {outcome.time_unit} from {outcome.time_zero}",
            f"Exposure is split in days from {IN_WORDS[timelines.time_zero]}",
            "Derive the outcome on that clock, or name its time_zero here",
        )
    patient = timelines.positions(outcome.frame["patient_id"])
    if (patient < 0).any():
        raise OutcomeError(
            f"{int((patient < 0).sum())} of {len(patient)} rows of {outcome.label} are of patients without time zero",
            "Exposure needs the patient's treatments on the same clock",
            "Derive the outcome and the exposure from one cohort",
        )
    return pd.DataFrame({"patient": patient, "entry": outcome.entry, "exit": outcome.exit})


def _find_exposure(timelines: Timelines, name: str, lag: int, grace: int) -> Exposure:
    given, drugs = timelines.treatments, read_drugs()
    named = (drugs["drug"] == name).to_numpy(bool) | (drugs["drug_class"] == name).to_numpy(bool)
    chosen = named[given.drug] & given.for_aih & (given.dose != 0) & (given.stop >= given.start)
    rows = hand_over(given.where(chosen & (given.systemic | ~timelines.of_class(*STEROIDS))))
    onset = np.full(timelines.n, np.inf)
    np.minimum.at(onset, rows.patient, rows.start + lag)
    until = np.where(rows.stop < NEVER, rows.stop + grace, NEVER)
    current = join(rows.patient, rows.start, until)  # joined first: a change of dose is no new onset
    current = join(current.patient, current.start + lag, current.stop)
    one = add_doses(rows, np.ones(len(rows.start)))
    days = Steps(one.patient, one.day, one.given.astype(float), one.given)
    return Exposure(name, current, onset, days, _doses(timelines, name, rows, named))


def _doses(timelines: Timelines, name: str, rows: Treatments, named: Flags) -> tuple[Steps, Steps] | None:
    """Return mg/day, and mg/kg/day in thousandths; None for a class whose drugs have no common measure."""
    if name != "steroid" and named.sum() > 1:
        return None
    dose = rows.prednisolone if name == "steroid" else rows.dose
    weight = find_weight_before(timelines, rows.patient, rows.start)
    return add_doses(rows, dose), add_doses(rows, dose / weight * FINE)


def _change_days(found: Sequence[Exposure], split_at: Sequence[int], n: int) -> Floats:
    """Return, on one line, every day on which a row has to begin anew."""
    lines = [_line(np.repeat(np.arange(n), len(split_at)), np.tile(np.asarray(split_at, dtype=float), n))]
    for one in found:
        closed = one.current.stop < NEVER
        lines += [
            _line(one.current.patient, one.current.start),
            _line(one.current.patient[closed], one.current.stop[closed] + 1),
            _line(np.flatnonzero(np.isfinite(one.onset)), one.onset[np.isfinite(one.onset)]),
        ]
        if one.dosed is not None:
            lines.append(_line(one.dosed[0].patient, one.dosed[0].day))
    return np.unique(np.concatenate(lines))


def _split(spells: pd.DataFrame, changes: Floats) -> tuple[pd.DataFrame, Days]:
    """Split spells at the days of change strictly inside them; return rows and the spell each came from."""
    patient, entry, leave = (spells[name].to_numpy() for name in ("patient", "entry", "exit"))
    low = np.searchsorted(changes, _line(patient, entry), side="right")
    n_rows = np.searchsorted(changes, _line(patient, leave), side="left") - low + 1
    piece = np.repeat(np.arange(len(spells)), n_rows)
    within = np.arange(len(piece)) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows)
    first, last = within == 0, within == n_rows[piece] - 1
    offset = patient[piece] * float(SPAN)
    begins, ends = entry[piece].astype(float), leave[piece].astype(float)
    begins[~first] = (changes[(low[piece] + within - 1)[~first]]) - offset[~first]
    ends[~last] = (changes[(low[piece] + within)[~last]]) - offset[~last]
    return pd.DataFrame({"patient": patient[piece], "entry": begins, "exit": ends, "last": last}), piece


def _columns(one: Exposure, patient: Days, entry: Days, lag: int) -> dict[str, Floats | Days]:
    """Return the columns of one exposure for rows that begin on ``entry``."""
    current = one.current.covers(patient, entry)
    columns: dict[str, Floats | Days] = {
        f"{one.name}_current": current.astype(np.int64),
        f"{one.name}_ever": (one.onset[patient] <= entry).astype(np.int64),
        f"{one.name}_days": amount_before(one.days, patient, entry - lag),
    }
    if one.dosed is not None:
        dose, per_kg = one.dosed
        columns[f"{one.name}_dose"] = np.where(current, dose.at(patient, entry), 0.0)
        columns[f"{one.name}_mg"] = amount_before(dose, patient, entry - lag)
        columns[f"{one.name}_mg_per_kg"] = amount_before(per_kg, patient, entry - lag) / FINE
    return columns


def check_exposure(rows: pd.DataFrame | TimeToEvent) -> pd.DataFrame:
    """Look for what is wrong with rows (entry, exit], in the manner of R's ``survcheck``; all zero is right.

    Returns
    -------
    frame ``problem, n_rows, n_patients``: a row of no length, rows that overlap, a gap between rows, rows after an
    event, an exposure that was *ever* and is no longer, an amount that falls
    """
    frame = rows.frame if isinstance(rows, TimeToEvent) else rows
    frame = frame.sort_values(["patient_id", "entry", "exit"], kind="stable", ignore_index=True)
    ids, entry, leave = (frame[name].to_numpy() for name in ("patient_id", "entry", "exit"))
    same = np.append(False, ids[1:] == ids[:-1])[: len(frame)].astype(bool)
    before = np.append(-np.inf, leave[:-1])[: len(frame)]
    event = (frame["event"] != CENSORED).to_numpy(bool) if "event" in frame else np.zeros(len(frame), dtype=bool)
    bad = {
        "no length": ~(leave > entry),
        "overlap": same & (entry < before),
        "gap": same & (entry > before),
        "rows after the event": same & np.append(False, event[:-1])[: len(frame)].astype(bool),
        "exposure undone": same & _falls(frame, ("_ever",)),
        "amount undone": same & _falls(frame, ("_days", "_mg", "_mg_per_kg")),
    }
    counts = [(name, int(bad[name].sum()), frame["patient_id"][bad[name]].nunique()) for name in PROBLEMS]
    return pd.DataFrame(counts, columns=["problem", "n_rows", "n_patients"])


def _falls(frame: pd.DataFrame, endings: tuple[str, ...]) -> Flags:
    """Return where a column with one of these endings is less than in the row before."""
    fell = np.zeros(len(frame), dtype=bool)
    for name in frame.columns[frame.columns.str.endswith(endings)]:
        value = pd.to_numeric(frame[name]).to_numpy(float)
        fell[1:] |= value[1:] < value[:-1] - 1e-6
    return fell
