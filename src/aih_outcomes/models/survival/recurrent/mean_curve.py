"""One mean cumulative function and the spells behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, label_rows
from aih_outcomes.models.survival.curves.curve import count_below, cumulate, first_day_with_at_risk
from aih_outcomes.models.survival.curves.kaplan_meier import LEAST_AT_RISK
from aih_outcomes.models.survival.designs.design import refuse_reversible
from aih_outcomes.models.survival.recurrent.kernel import Rows, Steps, estimate_steps, sort_rows, variance_of_mean
from aih_outcomes.outcomes import Groups, RecurrentEvents, Vector

Estimand = Literal["mean", "rate_at_risk"]


@dataclass(frozen=True, slots=True, eq=False)
class MeanCurve:
    """The mean cumulative function of one group; vectors are (n_times,).

    Attributes
    ----------
    strata : name of the group; ``n_patients`` behind it
    rows, steps : the spells and the arithmetic
    n_risk, n_event, n_terminal, n_censor : patients (cases, where weights are whole numbers) at risk just before each
        time, events, terminal events, and ends of follow-up at it
    estimate, std_error : μ(t) and its robust standard error
    """

    strata: str
    n_patients: int
    start: float
    rows: Rows
    steps: Steps
    n_risk: Vector
    n_event: Vector
    n_terminal: Vector
    n_censor: Vector
    estimate: Vector
    std_error: Vector

    def at_risk(self, times: Vector) -> Vector:
        """(n_times,) at risk just before each time; at the start of the curve, from then on."""
        weight = _counting(self.rows.weight)[self.rows.counted]
        entries = cumulate(self.rows.entry[self.rows.counted], weight)
        exits = cumulate(self.rows.exit[self.rows.counted], weight)
        before, after = (
            count_below(*entries, times, inclusive=at) - count_below(*exits, times, inclusive=at)
            for at in (False, True)
        )
        return np.where(times <= self.start, after, before)

    @property
    def turns(self) -> Vector:
        """Times at which someone begins to be counted, or is followed on without being counted."""
        rows = self.rows
        on = np.zeros(len(rows.exit) + 1, dtype=bool)  # whether the row before is counted and goes on in this one
        on[1:] = rows.counted & ~rows.leaves
        begins = rows.counted & ~on[:-1]
        stops = on[1:-1] & ~rows.counted[1:]
        return np.concatenate([rows.entry[begins], rows.exit[:-1][stops]])

    @property
    def nobody_left(self) -> bool:
        """Whether everyone at risk at the last time has died: nothing more can happen, and the mean stays."""
        return bool(self.steps.n_end[-1] and self.steps.n_end[-1] == self.steps.n_alive[-1])


def split_groups(outcome: RecurrentEvents, by: Groups | str | None, estimand: Estimand) -> dict[str, Rows]:
    """Return the sorted rows of each group that occurs; a patient has one number in all of them.

    Raises
    ------
    ImmortalTimeError, OutcomeError : as in ``estimate_mean_cumulative``
    """
    require_recurrent(outcome)
    refuse_reversible(outcome.design, by)
    kept = outcome.weight > 0
    if estimand == "rate_at_risk":
        kept &= outcome.at_risk
    if not kept.any():
        raise OutcomeError(
            f"{outcome.label!r} has no rows" + (" at risk" if len(outcome.frame) else ""),
            "A mean needs someone at risk", "Check the exclusions, and at_risk",
        )  # fmt: skip
    chosen = outcome.with_rows(outcome.frame[kept])
    group = label_rows(chosen.to_spells(), by)[GROUP]
    patient = np.asarray(pd.factorize(chosen.frame["patient_id"])[0], np.int64)
    counted = chosen.watched if estimand == "mean" else np.ones(len(patient), dtype=bool)
    ends = chosen.ends if estimand == "mean" else np.zeros(len(patient), dtype=bool)
    columns = patient, chosen.entry, chosen.exit, chosen.event, ends, counted, chosen.weight
    codes = group.cat.codes.to_numpy(np.int64)
    return {
        str(level): sort_rows(Rows(*(column[codes == place] for column in columns)))
        for place, level in enumerate(group.cat.categories)
    }


def rows_after(rows: Rows, start: float) -> Rows:
    """Return the rows cut off at the time from which events are counted."""
    late = rows.exit > start
    return Rows(
        rows.patient[late], np.maximum(rows.entry[late], start), rows.exit[late], rows.event[late], rows.ends[late],
        rows.counted[late], rows.weight[late],
    )  # fmt: skip


def require_recurrent(outcome: object) -> None:
    """Refuse whatever holds no recurrent events.

    Raises
    ------
    OutcomeError
    """
    if not isinstance(outcome, RecurrentEvents):
        raise OutcomeError(
            f"{type(outcome).__name__} holds no recurrent events",
            "Their model takes spells under observation that go on after an event",
            "Use RecurrentEvents.from_frame(frame, patient_id=..., exit=..., event=..., terminal=[...]), or "
            "to_recurrent_events() of flares",
        )


def estimate_mean_curve(strata: str, rows: Rows, start: float) -> MeanCurve:
    """Estimate one curve from sorted rows that lie after ``start``."""
    marks = rows.event | rows.ends | rows.leaves
    steps = estimate_steps(rows, np.unique(rows.exit[marks]))
    counting = _counting(rows.weight)

    def at(chosen: NDArray[np.bool_]) -> Vector:
        return np.bincount(steps.last[chosen] - 1, counting[chosen], len(steps.time)).astype(float)

    n_risk = steps.n_risk
    if counting is not rows.weight:
        n_risk = estimate_steps(replace(rows, weight=counting), steps.time).n_risk
    spread = np.sqrt(variance_of_mean(rows, steps))
    return MeanCurve(
        strata, len(np.unique(rows.patient)), start, rows, steps, n_risk, at(rows.event), at(rows.ends),
        at(rows.leaves & ~rows.event & ~rows.ends), steps.mean, spread,
    )  # fmt: skip


def _counting(weight: Vector) -> Vector:
    """Whole weights count cases; any others leave the counts as they are: patients."""
    return weight if bool(np.all(weight == np.round(weight))) else np.ones(len(weight))


def common_start(parts: list[Rows]) -> float:
    """Return the time from which 5 are at risk in every group, or 0 (see ``first_day_with_at_risk``)."""
    return max(
        first_day_with_at_risk(
            rows.entry[rows.counted], rows.exit[rows.counted], (rows.event | rows.ends)[rows.counted],
            _counting(rows.weight)[rows.counted], LEAST_AT_RISK,
        ) if rows.counted.any() else 0.0
        for rows in parts
    )  # fmt: skip
