"""When something that examinations or visits reveal was first found (statistics, rule 12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.endpoints.clock import IN_WORDS
from aih_outcomes.endpoints.events.endpoint import DEATH, TRANSPLANT, count_exclusions
from aih_outcomes.endpoints.events.first_events import Placed
from aih_outcomes.endpoints.response.evaluation import IS_MET, IS_NOT_MET, OPEN, WORDS
from aih_outcomes.endpoints.timelines import Floats, Timelines
from aih_outcomes.errors import PlanError
from aih_outcomes.outcomes import CENSORED, IntervalTime, TimeToEvent

Clock = Literal["time zero", "at risk"]
COMPETING = ("Liver transplant", "Death")


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """An endpoint that is seen only when someone looks; one entry per patient (n,), days since time zero.

    Attributes
    ----------
    name, label : key, and words for axes and tables
    timelines : whose, and on which clock
    at_risk_from : first day on which it could be found as new; NaN where a patient was never at risk
    last_without : last day on which someone looked and did not find it, up to ``onset``; NaN where nobody looked
    onset : first day on which it was found; NaN where it was not
    known_at : day on which that was known (a confirming visit, the end of a spell); NaN where it was not found
    because : why, in words; for a patient not at risk or never looked at, what is missing
    """

    name: str
    label: str
    timelines: Timelines
    at_risk_from: Floats
    last_without: Floats
    onset: Floats
    known_at: Floats
    because: NDArray[np.object_]

    def status(self) -> NDArray[np.int8]:
        """Return 1 found, 0 looked for and not found, −1 not evaluable (n,)."""
        at_risk, found = ~np.isnan(self.at_risk_from), ~np.isnan(self.onset)
        looked = self.last_without >= self.at_risk_from
        return np.select([~at_risk, found, looked], [OPEN, IS_MET, IS_NOT_MET], OPEN).astype(np.int8)

    def tidy(self) -> pd.DataFrame:
        """Return ``patient_id, status, at_risk_from, last_without, onset, known_at, because``, one row per patient."""
        return pd.DataFrame(
            {
                "patient_id": self.timelines.patients,
                "status": WORDS[self.status()],
                "at_risk_from": self.at_risk_from,
                "last_without": self.last_without,
                "onset": self.onset,
                "known_at": self.known_at,
                "because": self.because,
            }
        )

    def to_intervals(self) -> IntervalTime:
        """Return (last day without, first day with] of each patient at risk, in days since time zero.

        Where nobody looked before it was found the interval opens when the patient came to be at risk. Where it was
        never found it has no end; death or transplant leave the status after the last look unknown, not absent.
        """
        chosen = self.status() != OPEN
        left = np.fmax(self.last_without, self.at_risk_from)
        right = np.where(np.isnan(self.onset), np.inf, self.onset)
        left = np.where(left < right, left, right - 1)
        frame = pd.DataFrame({"patient_id": self.timelines.patients, "left": left, "right": right})[chosen]
        return IntervalTime(frame.reset_index(drop=True), self.label, IN_WORDS[self.timelines.time_zero])

    def to_time_to_event(self, *, competing_within_days: int = 365, clock: Clock = "time zero") -> TimeToEvent:
        """Return the time to first detection, from the day at risk on.

        Censoring is at the last look that did not find it, not at the last contact. Death and transplant compete where
        someone had looked shortly before; later ones do not count, as status by then is unknown, and to keep at risk
        only who will die would select on the outcome.

        Parameters
        ----------
        competing_within_days : days between the last look and a death or transplant that still counts [P]; 0: none
            does, and all end at their last look
        clock : ``time zero``, which patients enter late, on their day at risk; or ``at risk``: days since that day,
            such as the time since treatment was stopped

        Returns
        -------
        TimeToEvent ; ``exclusions`` counts by reason who could not be judged, and the deaths and transplants among them

        Raises
        ------
        PlanError : ``competing_within_days`` is negative, or there is no such clock
        """
        _refuse_choices(competing_within_days, clock)
        transplant, death = self.timelines.transplant_day, self.timelines.death_day
        status, first = self.status(), np.fmin(transplant, death)
        end = np.where(status == IS_MET, self.onset, self.last_without)
        soon = (first >= end) & (first <= end + competing_within_days) & (competing_within_days > 0)
        other = (status == IS_NOT_MET) & soon
        which = np.where(transplant <= np.where(np.isnan(death), np.inf, death), *COMPETING)
        event = np.select([status == IS_MET, other], [self.label, which], CENSORED)
        own, zero = clock == "at risk", IN_WORDS[self.timelines.time_zero]
        begun = self.at_risk_from if own else 0.0
        levels = [CENSORED, self.label, *(COMPETING if competing_within_days else ())]
        frame = pd.DataFrame(
            {
                "patient_id": self.timelines.patients,
                "entry": self.at_risk_from - begun,
                "exit": np.where(other, first, end) - begun,
                "event": pd.Categorical(event.astype(object), categories=levels),
            }
        )[status != OPEN]  # of whom nobody looked at, to keep the deaths alone would select on the outcome
        return TimeToEvent.from_frame(
            frame, exit="exit", event="event", entry="entry", patient_id="patient_id", label=self.label,
            time_zero=f"the day at risk ({self.label})" if own else zero, exclusions=self._left_out(),
            competing=COMPETING,
        )  # fmt: skip

    def _left_out(self) -> pd.DataFrame:
        """Return ``reason, n, n_event`` of patients without a time zero, and of those who could not be judged."""
        out = self.status() == OPEN
        failed = ~np.isnan(np.fmin(self.timelines.transplant_day, self.timelines.death_day))
        without = Placed(self.timelines).without_zero((TRANSPLANT, DEATH))
        reasons = {reason: failed[out & (self.because == reason)] for reason in np.unique(self.because[out])}
        return count_exclusions({f"No {IN_WORDS[self.timelines.time_zero]} recorded": without} | reasons)


def _refuse_choices(competing_within_days: int, clock: str) -> None:
    if competing_within_days < 0:
        raise PlanError(
            "competing_within_days is negative", "It counts the days between a look and a death or transplant after it",
            "Give 0, with which none competes, or more",
        )  # fmt: skip
    if clock not in get_args(Clock):
        raise PlanError(
            f"There is no clock {clock!r}", "An endpoint is counted from 'time zero' or 'at risk'", "Correct clock"
        )
