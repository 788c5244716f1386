"""Periods of days: joined, added up, looked into; for all patients at once. Days of a period count at both ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.endpoints.timelines import NEVER, SPAN, Days, Flags, Floats, Treatments, on_line

_NANOGRAMS = 1e6  # per mg: doses are added as integers, so that what stops leaves exactly nothing behind


@dataclass(frozen=True, slots=True, eq=False)
class Spells:
    """Periods that neither touch nor overlap, by patient and first day."""

    patient: Days
    start: Days
    stop: Days  # last day; ``NEVER`` while it goes on

    def where(self, chosen: Flags) -> Spells:
        """Return these periods only."""
        return Spells(self.patient[chosen], self.start[chosen], self.stop[chosen])

    def covers(self, patient: Days, day: Days) -> Flags:
        """Return whether each asked day lies in a period."""
        at = self.at(patient, day)
        return at >= 0

    def at(self, patient: Days, day: Days) -> Days:
        """Return the position of the period that holds each asked day; −1 where none does."""
        asked = on_line(patient, day)
        at = np.searchsorted(on_line(self.patient, self.start), asked, side="right") - 1
        inside = at >= 0
        inside[inside] = asked[inside] <= on_line(self.patient, self.stop)[at[inside]]
        return np.where(inside, at, -1)


def join(patient: Days, start: Days, stop: Days, *, gap: int = 0) -> Spells:
    """Join periods that overlap or lie no more than ``gap`` free days apart."""
    sensible = stop >= start  # a period that ends before it starts covers no day
    patient, start, stop = patient[sensible], start[sensible], stop[sensible]
    order = np.argsort(on_line(patient, start), kind="stable")
    patient, start, stop = patient[order], start[order], stop[order]
    reach = np.maximum.accumulate(on_line(patient, stop))  # lines of later patients lie beyond those of earlier ones
    opens = np.ones(len(patient), dtype=bool)
    opens[1:] = (on_line(patient, start)[1:] > reach[:-1] + 1 + gap) | (patient[1:] != patient[:-1])
    closes = np.append(opens[1:], True)[: len(opens)]
    return Spells(patient[opens], start[opens], (reach[closes] % SPAN) - SPAN // 2)


def between(spells: Spells, first: NDArray[np.int64], last: NDArray[np.int64]) -> Spells:
    """Return the days of each patient from ``first`` to ``last`` (n,) that no spell covers; none where last < first."""
    n = len(first)
    who = np.arange(n)
    inside = (spells.stop >= first[spells.patient]) & (spells.start <= last[spells.patient])
    used = spells.where(inside)
    patient = np.concatenate([who, used.patient])
    start = np.concatenate([first, used.stop + 1])  # a free period begins at the window's start or after a spell
    order = np.argsort(on_line(patient, start), kind="stable")
    patient, start = patient[order], start[order]
    rest = np.concatenate([used.start - 1, last])
    ends_of = np.concatenate([used.patient, who])
    stop = rest[np.argsort(on_line(ends_of, rest), kind="stable")]
    free = (stop >= start) & (start <= last[patient])
    return Spells(patient[free], start[free], stop[free])


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The dose in effect, as steps: from ``day`` on until the patient's next step; nothing before the first.

    ``dose`` is NaN where a drug was given whose dose is not known; ``given`` says whether any was.
    """

    patient: Days
    day: Days
    dose: Floats
    given: Flags

    def at(self, patient: Days, day: Days) -> Floats:
        """Return the dose in effect on each asked day."""
        at = np.searchsorted(on_line(self.patient, self.day), on_line(patient, day), side="right") - 1
        own = at >= 0
        own[own] = self.patient[at[own]] == patient[own]
        return np.where(own, self.dose[np.where(own, at, 0)] if len(self.dose) else 0.0, 0.0)

    def until(self) -> Days:
        """Return the last day of each step; ``NEVER`` for a patient's last one."""
        last = np.append(self.patient[1:] != self.patient[:-1], True)[: len(self.patient)]
        following = np.append(self.day[1:], 0)[: len(self.day)] - 1
        ends: Days = np.where(last, NEVER, following)
        return ends


def add_doses(rows: Treatments, dose: Floats) -> Steps:
    """Add up the doses of all periods that run on the same day."""
    sensible = rows.stop >= rows.start
    patient, start, stop = rows.patient[sensible], rows.start[sensible], rows.stop[sensible]
    amount = dose[sensible]
    unknown = np.isnan(amount)
    exact = np.rint(np.where(unknown, 0.0, amount) * _NANOGRAMS).astype(np.int64)
    ended = stop < NEVER
    who = np.concatenate([patient, patient[ended]])
    day = np.concatenate([start, stop[ended] + 1])
    order = np.argsort(on_line(who, day), kind="stable")
    who, day = who[order], day[order]

    def running(change: NDArray[np.int64]) -> NDArray[np.int64]:
        total = np.cumsum(np.concatenate([change, -change[ended]])[order])
        first = np.flatnonzero(np.append(True, who[1:] != who[:-1])[: len(who)])
        before = np.append(0, total)[first]  # what earlier patients' open periods left in the sum
        own: NDArray[np.int64] = total - np.repeat(before, np.diff(np.append(first, len(who))))
        return own

    total, given, not_known = running(exact), running(np.ones_like(exact)), running(unknown.astype(np.int64))
    last_of_day = np.append((who[1:] != who[:-1]) | (day[1:] != day[:-1]), True)[: len(who)]
    dose_now = np.where(not_known > 0, np.nan, total / _NANOGRAMS)
    return Steps(who[last_of_day], day[last_of_day], dose_now[last_of_day], given[last_of_day] > 0)
