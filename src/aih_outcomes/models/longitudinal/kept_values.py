"""Which values a model of their course uses: from a landmark on, and what is left out is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, check_known_at_entry, memberships
from aih_outcomes.outcomes import Groups, RepeatedMeasures
from aih_outcomes.outcomes.checks import DAYS_PER_UNIT

Flags = NDArray[np.bool_]

TIME = "time"


def since_landmark(measures: RepeatedMeasures, by: Groups | str | None, day: int) -> RepeatedMeasures:
    """Keep values from the landmark on, of patients whose group was known by then; restart the clock.

    Parameters
    ----------
    day : whole days since time zero, whatever the unit of the outcome

    Returns
    -------
    measures : ``exclusions`` counts the values left out

    Raises
    ------
    ImmortalTimeError, OutcomeError : as ``check_known_at_entry``; ``day`` is no whole number, or lies before the end of
        the window that the groups use
    """
    refuse_no_measures(measures)
    _refuse_no_day(day)
    since = day / DAYS_PER_UNIT[measures.time_unit]
    later = leave_out(measures, measures.frame[TIME].to_numpy(float) >= since, f"before day {day}")
    frame, design, covariates = later.frame, f"landmark at day {day}", later.covariates
    if isinstance(by, Groups):
        known = memberships(by)
        known = known[known["known_at"] <= day]
        inside = frame["patient_id"].isin(known["patient_id"]).to_numpy(bool)
        check_known_at_entry(replace(later, frame=frame[inside]), replace(by, frame=known, landmark=None))
        if by.landmark is not None and by.landmark > day:
            raise OutcomeError(
                f"The groups {by.name!r} use a window to day {by.landmark}, the landmark is day {day}",
                "A landmark lies at or after the end of the window it uses", f"Give from_day={by.landmark} or later",
            )  # fmt: skip
        later = leave_out(later, inside, f"of patients whose group was not known by day {day}")
        label = known.groupby("patient_id")["label"].last().reindex(later.frame["patient_id"])
        group = pd.Categorical(label.astype(object), categories=list(by.levels))
        frame, design = later.frame.assign(**{GROUP: group}), f"{design}: {by.name}"
        covariates = (*covariates, GROUP)
    frame = frame.assign(time=frame[TIME] - since).reset_index(drop=True)
    return replace(
        later, frame=frame, design=design, covariates=covariates, time_zero=f"day {day} after {measures.time_zero}"
    )


def leave_out(measures: RepeatedMeasures, kept: Flags, reason: str) -> RepeatedMeasures:
    """Return the values kept, (n,) flags, and count those left out; ``reason`` follows "values"."""
    count = int(np.sum(~kept))
    if not count:
        return measures
    return replace(measures, frame=measures.frame[kept], exclusions=add_exclusion(measures.exclusions, count, reason))


def add_exclusion(exclusions: pd.DataFrame, count: int, reason: str) -> pd.DataFrame:
    """Return exclusions with one more reason."""
    one = pd.DataFrame({"reason": [reason], "n": [count], "n_event": [pd.NA]}).astype(exclusions.dtypes.to_dict())
    return pd.concat([exclusions, one], ignore_index=True) if len(exclusions) else one


def refuse_no_measures(measures: object) -> None:
    """Refuse whatever is no values followed over time.

    Raises
    ------
    OutcomeError
    """
    if not isinstance(measures, RepeatedMeasures):
        raise OutcomeError(
            f"{type(measures).__name__} is no RepeatedMeasures", "A mixed model takes values followed over time",
            "Derive them, or use RepeatedMeasures.from_frame(frame, patient_id=..., time=..., value=...)",
        )  # fmt: skip


def _refuse_no_day(day: object) -> None:
    if isinstance(day, bool) or not isinstance(day, int | np.integer):
        shown = f"{day:g}" if isinstance(day, float) else f"a {type(day).__name__}"
        raise OutcomeError(
            f"from_day={shown} is no landmark", "A landmark is a whole number of days since time zero",
            "Write from_day=182",
        )  # fmt: skip
