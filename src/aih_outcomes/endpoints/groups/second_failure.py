"""When the second line failed: where the clock of targeted therapy against others starts (statistics, rule 10)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.endpoints.course.in_response import end_of_follow_up
from aih_outcomes.endpoints.course.turns import find_turns
from aih_outcomes.endpoints.response.evaluation import IS_NOT_MET
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.timelines import Flags, Floats, first_of, take
from aih_outcomes.endpoints.treatment.episodes import find_episodes
from aih_outcomes.endpoints.treatment.lines import find_lines


def find_second_failure(response: Response) -> pd.Series:
    """Return the date on which the second line was known to have failed (index ``patient_id``; empty where never).

    The earliest of: the first day of a third line, whatever it was begun for; a loss of response shown by a
    sample later than the first day of the second line; and day ``windows.by[1]`` (182) of the second line, if no
    evaluation since met the criteria and one as late as ``windows.judged_from`` asks (from day 121 of it) did not [P].
    A failure on or after a transplant is none. Eligibility for targeted therapy, so that those who are given it and
    those who are not are compared from the same clock, never from diagnosis.
    """
    timelines, n = response.timelines, response.timelines.n
    lines = find_lines(timelines, find_episodes(timelines))
    second, third = (take(lines.start, first_of(lines.patient, lines.line > k, n)) for k in (1, 2))
    turns = find_turns(response)
    lost = ~turns.gained & (turns.sampled > second[turns.patient])
    again = take(turns.day, first_of(turns.patient, lost, n))
    failed = np.fmin(np.fmin(third, again), _insufficient(response, second))
    failed[~(failed <= end_of_follow_up(timelines))] = np.nan
    dates = timelines.zero + pd.to_timedelta(failed, unit="D").astype("timedelta64[s]")
    return dates.rename("second_failure")


def _insufficient(response: Response, second: Floats) -> Floats:
    """Return the last day of the second line's window where response to it was insufficient (n,); NaN elsewhere."""
    judged, windows, n = response.judged, response.definition.windows, response.timelines.n
    since = judged.known - second[judged.patient]

    def any_of(rows: Flags) -> Flags:
        return first_of(judged.patient, rows, n) >= 0

    met = any_of(response.counts & (since > 0) & (since <= windows.by[1]))
    late = (since >= windows.judged_from) & (since <= windows.by[1])
    not_met = any_of(late & (judged.status == IS_NOT_MET))
    return np.where(~met & not_met, second + windows.by[1], np.nan)
