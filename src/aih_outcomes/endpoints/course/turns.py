"""Response gained and lost, again and again, each on the day it became known: the response axis over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aih_outcomes.endpoints.course.worsening import find_shown
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.timelines import Days, Flags, on_line


@dataclass(frozen=True, slots=True, eq=False)
class Turns:
    """Every change of response, by patient and day: gained, lost, gained again … each patient's first is gained.

    Attributes
    ----------
    patient, day : whose, and the day on which it became known
    sampled : day of the evaluation, or of the sample, that shows it
    gained : whether response was gained, else lost
    """

    patient: Days
    day: Days
    sampled: Days
    gained: Flags

    def in_response(self, patient: Days, day: Days) -> Flags:
        """Return whether the last change up to each asked day was a gain."""
        at = np.searchsorted(on_line(self.patient, self.day), on_line(patient, day), side="right") - 1
        own = at >= 0
        own[own] = (self.patient[at[own]] == patient[own]) & self.gained[at[own]]
        return own


def find_turns(response: Response) -> Turns:
    """Return when response was gained and lost by the criteria, as known at the time.

    Lost: by the criteria's rule of loss or of flares, whichever was known first, on the day that was known, unless the
    criteria were met again since the sample that shows it: what is no *relapse* while treatment goes on ends response
    all the same. Gained again: by the next evaluation that meets the criteria after that day. Criteria without either
    rule know gains only.
    """
    judged, counts = response.judged, response.counts
    patient, day = judged.patient[counts], judged.confirmed_at[counts].astype(np.int64)
    order = np.argsort(on_line(patient, day), kind="stable")
    patient, day = patient[order], day[order]
    parts = [(patient, judged.known[counts][order], day)]
    for rule in (response.definition.loss, response.definition.flare):
        if rule is None:
            continue
        who, sampled, known, _ = find_shown(response, rule)
        at = np.searchsorted(on_line(patient, day), on_line(who, known)) - 1
        lost = at >= 0
        lost[lost] = (patient[at[lost]] == who[lost]) & (day[at[lost]] < sampled[lost])
        parts.append((who[lost], sampled[lost], known[lost]))
    who, sampled, when = (np.concatenate(part) for part in zip(*parts, strict=True))
    gained = np.arange(len(who)) < len(day)
    order = np.lexsort((sampled, gained, on_line(who, when)))
    who, sampled, when, gained = who[order], sampled[order], when[order], gained[order]
    turns = np.append(True, (who[1:] != who[:-1]) | (gained[1:] != gained[:-1]))[: len(who)]
    return Turns(who[turns], when[turns], sampled[turns], gained[turns])
