"""The landmark: start the clock on a day at which everyone's group is known."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import require_groups
from aih_outcomes.models.guard import GROUP, memberships, require_time_to_event
from aih_outcomes.models.survival.designs.design import LANDMARK
from aih_outcomes.outcomes import HALF_DAY, Groups, RecurrentEvents, TimeToEvent

EVENT_BEFORE = "event on or before the landmark"
COMPETING_BEFORE = "competing event on or before the landmark"
TERMINAL_BEFORE = "terminal event on or before the landmark"
CENSORED_BEFORE = "censored on or before the landmark"
NOT_YET_FOLLOWED = "not yet followed at the landmark, status not documented"
NOT_KNOWN = "membership not known at the landmark"
REFERRED_LATE = "first seen after time zero"
INCIDENT = "incident patients only"

Followed = TypeVar("Followed", TimeToEvent, RecurrentEvents)


def landmark(outcome: Followed, groups: Groups, *, day: int) -> Followed:
    """Restart the clock at a landmark and fix each patient's group as known by then.

    Kept is who is followed beyond the landmark (exit > day) and whose membership was known on or before it. Time runs
    from the landmark: entry = max(day, entry) − day. Whoever had an event on or before it is left out, also when
    followed on. Later changes of group are ignored (treatment policy). Of events that recur only a terminal one on or
    before the landmark leaves a patient out; others before it are not counted.

    Parameters
    ----------
    outcome : spells in days, on the clock of ``groups``; events that happen once, or again and again
    groups : memberships with ``known_at``; fixed at a landmark no later than ``day``
    day : the landmark, a whole number of days since time zero

    Returns
    -------
    outcome : with the covariate ``group`` (levels of ``groups``, in their order), ``design`` naming the landmark, and
        ``exclusions`` counting who was left out and why, with their events

    Raises
    ------
    OutcomeError : ``day`` is no whole number or lies before the end of the window that the groups use; different
        clocks; nobody is left

    Notes
    -----
    Anderson, Cain & Gelber, J Clin Oncol 1983;1:710.
    """
    refuse_unready(outcome, groups)
    _refuse_day(day, groups)
    last = _last_rows(outcome)
    label = known_by(groups, day).reindex(last.index)
    reason = np.select(
        [last["until"] <= day, label.notna(), last["since"] > day], [last["ended"], "", NOT_YET_FOLLOWED], NOT_KNOWN
    )
    exclusions = pd.concat([outcome.exclusions, _count(reason, last)], ignore_index=True)
    kept = last.index[reason == ""]
    rows = outcome.frame[outcome.frame["patient_id"].isin(kept) & (outcome.exit > day)]
    if rows.empty:
        before = f"; left out before: {', '.join(outcome.exclusions['reason'])}" if len(outcome.exclusions) else ""
        raise OutcomeError(
            f"None of {len(last)} patients is followed beyond day {day} with a known membership in "
            f"{groups.name!r}{before}",
            "A landmark analysis follows those at risk after the landmark",
            "Choose an earlier landmark, or check time zero and follow-up with aih-outcomes check",
        )
    group = pd.Categorical(label.reindex(rows["patient_id"]).astype(object), categories=list(groups.levels))
    rows = rows.assign(entry=np.maximum(rows["entry"], day) - day, exit=rows["exit"] - day, **{GROUP: group})
    return outcome.with_rows(
        rows,
        time_zero=f"day {day} after {outcome.time_zero}",
        design=keep_design(f"{LANDMARK} at day {day}: {groups.name}", outcome.design),
        covariates=add_group(outcome.covariates),
        exclusions=exclusions,
        n_half_day=int(((rows["exit"] - rows["entry"]) == HALF_DAY).sum()),
    )


def incident_only(outcome: Followed) -> Followed:
    """Leave out patients first seen after time zero: the sensitivity analysis for late referral (rule 10).

    Returns
    -------
    outcome : ``design`` says so, and ``exclusions`` counts who was left out, with their events
    """
    if not isinstance(outcome, RecurrentEvents):
        require_time_to_event(outcome)
    since = outcome.frame.groupby("patient_id", sort=False)["entry"].transform("min")
    late = since > 0
    counts = {"n": outcome.frame.loc[late, "patient_id"].nunique(), "n_event": int(outcome.event[late].sum())}
    left = pd.DataFrame({"reason": [REFERRED_LATE], **{name: [n] for name, n in counts.items()}})
    exclusions = pd.concat([outcome.exclusions, left.astype(dict.fromkeys(counts, "Int64"))], ignore_index=True)
    design = f"{outcome.design}, {INCIDENT}" if outcome.design else INCIDENT
    return outcome.with_rows(outcome.frame[~late], design=design, exclusions=exclusions)


def refuse_unready(outcome: TimeToEvent | RecurrentEvents, groups: Groups) -> None:
    """Refuse different clocks, an outcome that is not in days, or one whose groups are already fixed.

    Raises
    ------
    OutcomeError
    """
    if not isinstance(outcome, RecurrentEvents):
        require_time_to_event(outcome)
    require_groups(groups)
    if outcome.time_unit != "days" or outcome.time_zero != groups.time_zero:
        raise OutcomeError(
            f"{outcome.label!r} counts {outcome.time_unit} since {outcome.time_zero!r}, "
            f"{groups.name!r} days since {groups.time_zero!r}",
            "Membership and follow-up share one clock, in days",
            'Derive both from the same time zero, such as time_zero="induction"',
        )  # fmt: skip
    if GROUP in outcome.frame:
        raise OutcomeError(
            f"{outcome.label!r} already has a column {GROUP!r}", "Groups are fixed once, on the outcome as derived",
            "Start from the outcome without groups, or rename the covariate",
        )  # fmt: skip


def known_by(groups: Groups, day: float) -> pd.Series:
    """Return each patient's latest label known on or before ``day`` (index ``patient_id``, as in an outcome)."""
    rows = memberships(groups)
    return rows[rows["known_at"] <= day].groupby("patient_id", sort=True)["label"].last()


def add_group(covariates: tuple[str, ...]) -> tuple[str, ...]:
    """Return the covariates with ``group`` among them."""
    return (*(name for name in covariates if name != GROUP), GROUP)


def keep_design(design: str, before: str) -> str:
    """Return a design with what the outcome's own one said before, such as incident patients only."""
    return f"{design}, {before}" if before else design


def _refuse_day(day: object, groups: Groups) -> None:
    if isinstance(day, bool) or not isinstance(day, int | np.integer) or day < 0:
        raise OutcomeError(
            f"The landmark is {day!r}", "A landmark is a whole number of days since time zero", "Give day=182"
        )
    if groups.landmark is not None and groups.landmark > day:
        raise OutcomeError(
            f"The groups {groups.name!r} use a window to day {groups.landmark}, the landmark is day {day}",
            "A landmark lies at or after the end of the window it uses",
            f"Give day={groups.landmark} or later, or fix the groups earlier",
        )


def _last_rows(outcome: TimeToEvent | RecurrentEvents) -> pd.DataFrame:
    """One row per patient: first day followed, last whole day up to the first event, whether and how it ended."""
    half = outcome.exit - outcome.entry == HALF_DAY  # left on the day of entry: that day counts, not the half
    until = np.where(half, outcome.entry, outcome.exit)
    if isinstance(outcome, RecurrentEvents):
        final, word = outcome.ends, TERMINAL_BEFORE
        other = np.zeros(len(final), dtype=bool)
    else:
        final, word = outcome.event, EVENT_BEFORE
        other = outcome.frame["event"].isin(outcome.competing).to_numpy(bool)
    ended = np.select([final, other], [word, COMPETING_BEFORE], CENSORED_BEFORE)
    rows = pd.DataFrame({
        "patient_id": outcome.frame["patient_id"], "since": outcome.entry, "until": until, "is_event": final,
        "ended": ended, "exit": outcome.exit,
    })  # fmt: skip
    first_end = rows["until"].where(final | other).groupby(rows["patient_id"]).transform("min")
    rows = rows[~(rows["until"] > first_end)].sort_values(["until", "exit"], kind="stable")
    return rows.groupby("patient_id", sort=False).agg(
        since=("since", "min"), until=("until", "last"), is_event=("is_event", "last"), ended=("ended", "last")
    )


def _count(reason: NDArray[np.str_], last: pd.DataFrame) -> pd.DataFrame:
    order = [EVENT_BEFORE, TERMINAL_BEFORE, COMPETING_BEFORE, CENSORED_BEFORE, NOT_YET_FOLLOWED, NOT_KNOWN]
    n = [int(np.sum(reason == name)) for name in order]
    n_event = [int(np.sum((reason == name) & last["is_event"])) for name in order]
    frame = pd.DataFrame({"reason": order, "n": n, "n_event": n_event})
    return frame[frame["n"] > 0].astype({"reason": "string", "n": "Int64", "n_event": "Int64"})
