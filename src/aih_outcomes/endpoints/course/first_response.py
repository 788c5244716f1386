"""Time to the first response, which came about between two visits."""

from __future__ import annotations

import numpy as np

from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.events.first_events import Placed, first_seen
from aih_outcomes.endpoints.response.evaluation import IS_NOT_MET
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.timelines import last_of, take


def derive_first_response(response: Response) -> Detection:
    """Find when the criteria were first seen to be met, after the last evaluation that did not meet them.

    Response is reversible: a curve of it is one of *first detected* response, and its label says so (statistics 12). At
    risk from time zero, or from first being seen; who was in response before that is not. Who was never in response is
    censored at the last evaluation that did not meet the criteria; one that is not evaluable is no look.
    """
    timelines, judged = response.timelines, response.judged
    onset, known_at = response.first_met()
    failed = (judged.status == IS_NOT_MET) & ~(judged.known >= onset[judged.patient])
    without = take(judged.known, last_of(judged.patient, failed, timelines.n))
    seen = np.fmax(first_seen(Placed(timelines)), 0)
    before, found = onset < seen, ~np.isnan(onset)
    because = np.select(
        [before, found, ~np.isnan(without)],
        ["in response before being first seen", "criteria met", "criteria not met"],
        "no evaluable evaluation",
    ).astype(object)
    at_risk_from = np.where(before, np.nan, seen)
    label = f"First detected {response.definition.response.short}"
    return Detection("first-response", label, timelines, at_risk_from, without, onset, known_at, because)
