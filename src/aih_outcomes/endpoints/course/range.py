"""Time in target range: on what share of the days a laboratory value was, as far as is known, low enough."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.catalogue import read_analytes
from aih_outcomes.endpoints.patients.growth_reference import EVALUABLE
from aih_outcomes.endpoints.response.evaluation import NOT_EVALUABLE, judge, look_back
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.rules import Criterion
from aih_outcomes.errors import PlanError

CARRIED_DAYS = 180  # [P] a value speaks for so many days after its own, or until the next
COVERED_SHARE = 0.5  # [P] least share of the days asked that must have a value


def derive_time_in_range(
    response: Response, analyte: str = "alt", *, at_most_xuln: float = 1.0, until_day: int = 365
) -> pd.DataFrame:
    """Return on which share of days 1 to ``until_day`` the last value was at most a multiple of ULN.

    A value holds from its day until the next, for 180 days at most [P], and not beyond the end of follow-up, transplant
    or death; the last value up to day 0 holds at the start. Of several on one day the worst counts; a value without an
    upper limit, or that the criteria call not interpretable, says nothing. Below half of the days covered [P] the share
    is not evaluable.

    Returns
    -------
    frame ``patient_id, status, because, share`` (of the days covered), ``days_in_range, days_covered``

    Raises
    ------
    PlanError : the analyte is not known, or ``until_day`` is before day 1
    """
    if analyte not in set(read_analytes()["analyte"]) or until_day < 1:
        raise PlanError(
            f"{analyte!r} up to day {until_day} cannot be asked",
            "Time in range is that of an analyte of the catalogue, from day 1 on",
            "Correct analyte or until_day",
        )
    timelines, labs = response.timelines, response.timelines.labs[analyte]
    judged = judge(labs, Criterion(analyte=analyte, at_most_xuln=at_most_xuln))
    judged = np.where(response.interpretable[analyte], judged, np.nan)
    seen = look_back([(labs, judged)], [0])
    end = np.minimum(timelines.last_day, np.fmin(timelines.failed_day, until_day))
    known = np.where(np.isnan(end), 0, end).astype(np.int64)[seen.patient]
    following = np.append(seen.known[1:], 0)[: len(seen.known)]
    last = np.append(seen.patient[1:] != seen.patient[:-1], True)[: len(seen.known)]
    held = np.minimum(seen.known + CARRIED_DAYS, np.where(last, known, following - 1))
    days = np.maximum(np.minimum(held, known) - np.maximum(seen.known, 1) + 1, 0)
    days = np.where(np.isnan(seen.judged[:, 0]), 0, days)
    n = timelines.n
    covered = np.bincount(seen.patient, days, minlength=n)
    inside = np.bincount(seen.patient, days * (seen.judged[:, 0] == 1), minlength=n)
    enough = covered >= COVERED_SHARE * until_day
    return pd.DataFrame(
        {
            "patient_id": timelines.patients,
            "status": np.where(enough, EVALUABLE, NOT_EVALUABLE),
            "because": np.select([np.isnan(end), ~enough], ["no follow-up", "less than half of the days covered"], ""),
            "share": np.divide(inside, covered, out=np.full(n, np.nan), where=enough),
            "days_in_range": inside,
            "days_covered": covered,
        }
    )
