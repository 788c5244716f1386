"""Pseudo-values: what each patient contributes to a curve at given times, exactly and without refits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.guard import require_time_to_event
from aih_outcomes.models.survival.curves.arrays import PATIENT, read_events
from aih_outcomes.models.survival.curves.leave_one_out import (
    Matrix,
    Sample,
    pseudo_incidence,
    pseudo_restricted_mean,
    pseudo_survival,
    read_sample,
)
from aih_outcomes.outcomes import CENSORED, TimeToEvent, Vector

Summary = Literal["survival", "restricted mean", "cumulative incidence"]

KERNELS: dict[str, Callable[[Sample, Vector], Matrix]] = {
    "survival": pseudo_survival, "restricted mean": pseudo_restricted_mean, "cumulative incidence": pseudo_incidence,
}  # fmt: skip


def compute_pseudo_values(outcome: TimeToEvent, *, times: Sequence[float], of: Summary = "survival") -> pd.DataFrame:
    """Compute jackknife pseudo-values n·θ − (n − 1)·θ₋ᵢ, exactly and without refits.

    Parameters
    ----------
    outcome : one row per patient from a common entry (after ``landmark`` the landmark); no weights
    times : in the outcome's unit, up to the last time anyone is followed; for the restricted mean, horizons
    of : ``survival`` (no competing events), ``restricted mean`` event-free time, or ``cumulative incidence`` of the
        outcome's event where others compete

    Returns
    -------
    frame : ``patient_id, time, pseudo_value``, rows of the outcome in order within each time

    Raises
    ------
    OutcomeError : late entry, several rows of a patient, weights, competing events, a time beyond follow-up

    Notes
    -----
    Andersen, Klein & Rosthøj, Biometrika 2003;90:15. A curve without the last patient stays as it ended. Under late
    entry the values lose their meaning (Grand et al., Lifetime Data Anal 2019;25:480), so it is refused.

    Examples
    --------
    >>> frame = pd.DataFrame({"time": [1, 2, 3, 4], "dead": [1, 1, 1, 1]})
    >>> outcome = TimeToEvent.from_frame(frame, exit="time", event="dead")
    >>> compute_pseudo_values(outcome, times=[2])["pseudo_value"].round(12).tolist()  # without censoring: alive or not
    [0.0, 0.0, 1.0, 1.0]
    """
    values = pseudo_matrix(outcome, times, of)
    return pd.DataFrame({
        PATIENT: np.tile(outcome.frame[PATIENT].to_numpy(), len(times)),
        "time": np.repeat(np.asarray(times, float), len(outcome.frame)), "pseudo_value": values.T.ravel(),
    })  # fmt: skip


def pseudo_matrix(outcome: TimeToEvent, times: Sequence[float], of: Summary) -> Matrix:
    """Return pseudo-values (n, n_times_asked) of rows in order."""
    require_time_to_event(outcome)
    when = np.asarray(times, float)
    _refuse_unsuited(outcome, when, of)
    start = float(outcome.entry[0])
    ended = (outcome.frame["event"] != CENSORED).to_numpy(bool)
    return KERNELS[of](read_sample(start, outcome.exit, read_events(outcome), ended), when)


def _refuse_unsuited(outcome: TimeToEvent, times: Vector, of: str) -> None:
    refuse_unknown_choice("of", of, KERNELS)
    if outcome.competing and of != "cumulative incidence":
        raise OutcomeError(
            f"{outcome.label!r} has competing events ({', '.join(outcome.competing)})",
            "1 − Kaplan-Meier is not the risk of an event that others can prevent",
            "Use of='cumulative incidence', or follow a composite",
        )
    problems = {
        "no rows": not len(outcome.frame),
        "several rows of a patient": bool(outcome.frame[PATIENT].duplicated().any()),
        "weights other than 1": bool(np.any(outcome.weight != 1)),
        "late entry": len(outcome.frame) > 0 and float(np.ptp(outcome.entry)) > 0,
    }
    found = [name for name, present in problems.items() if present]
    if found:
        raise OutcomeError(
            f"{outcome.label!r} has {', '.join(found)}",
            "Pseudo-values need one row per patient, all from one start",
            "Start at a landmark that everyone has reached, or compare_restricted_means(...) which takes late entry",
        )
    last = float(outcome.exit.max())
    beyond = int(np.sum(~((times > float(outcome.entry[0])) & (times <= last))))
    if beyond or not len(times):
        raise OutcomeError(
            f"{beyond} of {len(times)} times lie outside the follow-up",
            "A pseudo-value needs someone followed at its time",
            "Choose times after entry and up to the last exit",
        )
