"""The guard: nobody is compared from a time before anyone could know who belongs to which group.

Whoever becomes a responder in month 6 cannot have died in month 3: counted from day 0, responders are immortal until
their response is known (Anderson, Cain & Gelber, J Clin Oncol 1983;1:710; Suissa, Am J Epidemiol 2008;167:492).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.outcomes import Groups, IntervalTime, RecurrentEvents, RepeatedMeasures, StateHistory, TimeToEvent

Outcome = TimeToEvent | StateHistory | IntervalTime | RepeatedMeasures

GROUP = "group"
EVERYONE = "all"
DAYS_PER_MONTH = 365.25 / 12


def check_known_at_entry(outcome: Outcome, groups: Groups) -> None:
    """Refuse to compare groups from a time before membership was known.

    Parameters
    ----------
    outcome : spells, or repeated values, on the clock of ``groups``
    groups : memberships with ``known_at``, days since the same time zero

    Raises
    ------
    ImmortalTimeError : a patient is followed from before ``known_at``, or carries a label that never became known
        (``known_at`` is NaN); or the values followed are those that decide membership
    OutcomeError : outcome and groups run on different clocks
    """
    _refuse_other_clock(outcome, groups)
    if isinstance(outcome, RepeatedMeasures) and groups.analytes and not outcome.analyte:
        raise OutcomeError(
            f"{outcome.label!r} does not say which analyte it is",
            f"{groups.name!r} is decided by {', '.join(groups.analytes)}; only another quantity may be compared",
            "Name it: from_frame(..., analyte='platelets')",
        )
    if isinstance(outcome, RepeatedMeasures) and outcome.analyte.casefold() in groups.analytes:
        raise ImmortalTimeError(
            f"{outcome.analyte!r} decides who belongs to {groups.name!r}, and is compared between these groups",
            "Groups selected on an outcome differ in it by construction; a p-value would mean nothing",
            "Show it with describe_trajectories(...), or follow a quantity outside the definition",
        )
    frame, since = outcome.frame, _followed_since(outcome)
    known = memberships(groups).fillna({"known_at": np.inf})  # what never became known is never in time
    known_at = known.groupby("patient_id", sort=False)["known_at"].max()
    last = known_at.reindex(since.index).to_numpy(float)
    labelled = since.index.isin(known_at.index)
    early = labelled & ~(last <= since.to_numpy(float))
    if early.any():
        _raise_immortal(int(early.sum()), int(frame["patient_id"].nunique()), outcome, groups)


def require_time_to_event(outcome: object) -> None:
    """Refuse whatever is no time to an event: a survival model has nothing else to work on.

    Raises
    ------
    OutcomeError
    """
    if isinstance(outcome, TimeToEvent):
        return
    ways = {
        IntervalTime: "estimate_interval_survival(...), fit_interval_hazards(...), or to_time_to_event() of it",
        RecurrentEvents: "estimate_mean_cumulative(...), compare_mean_cumulative(...), fit_recurrent(...)",
        StateHistory: "estimate_state_occupation(...), estimate_transitions(...), fit_transitions(...)",
    }
    way_out = "Use to_time_to_event() of what was derived, or TimeToEvent.from_frame(frame, exit=..., event=...)"
    raise OutcomeError(
        f"{type(outcome).__name__} is no TimeToEvent", "A survival model takes spells with the event that ends them",
        next((f"Use {way}" for kind, way in ways.items() if isinstance(outcome, kind)), way_out),
    )  # fmt: skip


def require_state_history(outcome: object) -> None:
    """Refuse whatever is no history of states.

    Raises
    ------
    OutcomeError
    """
    if isinstance(outcome, StateHistory):
        return
    way_out = "StateHistory.from_frame(frame, patient_id=..., entry=..., exit=..., from_state=..., to_state=...)"
    raise OutcomeError(
        f"{type(outcome).__name__} is no StateHistory", "A multi-state model takes spells in named states",
        "Use estimate_cumulative_incidence(...)" if isinstance(outcome, TimeToEvent) else f"Use {way_out}",
    )  # fmt: skip


def join_groups(outcome: Outcome, by: Groups | str | None) -> pd.DataFrame:
    """Return the outcome's frame with a categorical column ``group``, where every event is the event.

    Parameters
    ----------
    outcome : what is followed
    by : groups (guarded), the name of a covariate known at entry, or None for everyone together

    Returns
    -------
    frame : (n_rows, …) rows as in ``outcome.frame``; ``group`` holds only levels that occur, in the order given

    Raises
    ------
    ImmortalTimeError : see ``check_known_at_entry``
    OutcomeError : the column is not declared, a row has no group, or competing events would count as events; what is
        followed is neither times to an event nor repeated values
    """
    if not isinstance(outcome, RepeatedMeasures):
        require_time_to_event(outcome)
    if isinstance(outcome, TimeToEvent):
        refuse_competing(outcome)
    return label_rows(outcome, by)


def refuse_competing(outcome: TimeToEvent) -> None:
    """Refuse competing events where every event would count as the event.

    Raises
    ------
    OutcomeError
    """
    if outcome.competing:
        raise OutcomeError(
            f"{outcome.label!r} has competing events ({', '.join(outcome.competing)})",
            "Whoever had a competing event can no longer have the event: 1 − Kaplan-Meier is not its risk",
            "Estimate its risk with estimate_cumulative_incidence(...); or follow a composite such as "
            "native-liver-survival; for hazards only (Cox, log-rank) pass outcome.cause_specific(); what is found at "
            "examinations may end at the last look instead: to_time_to_event(competing_within_days=0)",
        )


def label_rows(outcome: Outcome, by: Groups | str | None) -> pd.DataFrame:
    """Return the outcome's frame with ``group``, competing events as they are: the one door by which groups enter.

    Parameters, returns and errors as in ``join_groups``.
    """
    if by is None:
        group = pd.Categorical([EVERYONE]).repeat(len(outcome.frame))
    elif isinstance(by, Groups):
        check_known_at_entry(outcome, by)
        group = _label_at_entry(outcome, by)
    else:
        group = as_category(declared_column(outcome, by))
    without = int(np.sum(group.isna()))
    if without:
        name = by.name if isinstance(by, Groups) else str(by)
        raise OutcomeError(
            f"{without} of {len(outcome.frame)} rows of {outcome.label!r} belong to no group of {name!r}",
            "Each patient compared has one label; not tested is a label of its own",
            "Add a label such as 'not evaluable', or exclude these rows by name",
        )
    return outcome.frame.assign(**{GROUP: group.remove_unused_categories()})


def memberships(groups: Groups) -> pd.DataFrame:
    """Return the rows of groups in the order they became known, patients named as in an outcome."""
    rows = groups.frame.assign(patient_id=groups.frame["patient_id"].astype("string"))
    return rows.sort_values("known_at", kind="stable", ignore_index=True)


def declared_column(outcome: Outcome, name: object) -> pd.Series:
    """Return a covariate by name.

    Raises
    ------
    OutcomeError : the outcome does not declare it
    """
    if not isinstance(name, str) or name not in outcome.covariates:
        given = repr(name) if isinstance(name, str) else f"a {type(name).__name__}"
        raise OutcomeError(
            f"{given} is not among the covariates of {outcome.label!r}",
            f"Declared are: {', '.join(outcome.covariates) or 'none'}",
            "Declare it with from_frame(..., covariates=[...]), or pass Groups",
        )
    return outcome.frame[name]


def as_category(values: pd.Series) -> pd.Categorical:
    """Read a column as named levels: in their own order if it has one, else sorted."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = [str(level) for level in values.cat.categories]
        return values.array.rename_categories(names)  # type: ignore[no-any-return]  # a Categorical
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        numbers = values.to_numpy(float, na_value=np.nan)
        levels = np.unique(numbers[np.isfinite(numbers)])
        names = [f"{level:.12g}" for level in levels]
        named = np.array([*names, None], dtype=object)[np.searchsorted(levels, numbers)]  # NaN sorts last
        return pd.Categorical(named, categories=names)
    texts = values.astype("string")
    return pd.Categorical(texts.astype(object), categories=sorted(texts.dropna().unique()))


def _followed_since(outcome: Outcome) -> pd.Series:
    """First time at risk, or first value, of each patient."""
    if isinstance(outcome, IntervalTime):
        return pd.Series(0.0, index=outcome.frame["patient_id"])
    column = "time" if isinstance(outcome, RepeatedMeasures) else "entry"
    return outcome.frame.groupby("patient_id", sort=False)[column].min()


def _label_at_entry(outcome: Outcome, groups: Groups) -> pd.Categorical:
    labels = memberships(groups).groupby("patient_id")["label"].last()
    ids = outcome.frame["patient_id"]
    return pd.Categorical(labels.reindex(ids).astype(object), categories=list(groups.levels))


def _refuse_other_clock(outcome: Outcome, groups: Groups) -> None:
    if outcome.time_zero != groups.time_zero or outcome.time_unit != "days":
        raise OutcomeError(
            f"{outcome.label!r} counts {outcome.time_unit} since {outcome.time_zero!r}, "
            f"{groups.name!r} days since {groups.time_zero!r}",
            "A comparison has one clock, in days",
            'Derive both from the same time zero, such as time_zero="induction"; after landmark(...) or '
            "time_varying(...) compare by='group'",
        )


def _raise_immortal(early: int, total: int, outcome: Outcome, groups: Groups) -> None:
    """Say it in the clinic's words; a day is named only where the groups were fixed at one."""
    until = "their status was known" if groups.landmark is None else _day_in_words(groups.landmark)
    day = "..." if groups.landmark is None else str(groups.landmark)
    feat = f"survive without the event ({outcome.label})" if isinstance(outcome, TimeToEvent) else "be followed"
    raise ImmortalTimeError(
        f"These {early} of {total} patients had to {feat} until {until} "
        f"to be called {' or '.join(repr(level) for level in groups.levels)} ({groups.name})",
        f"The clock starts at {outcome.time_zero!r}, before anyone could know who belongs where",
        f"Start the clock when it is known: landmark(outcome, groups, day={day}); or let status change with time: "
        "time_varying(outcome, groups); or use a multi-state model",
    )


def _day_in_words(day: int) -> str:
    return f"month {day / DAYS_PER_MONTH:.0f} (day {day})"


def counts_by_level(frame: pd.DataFrame, levels: NDArray[np.object_] | list[str], column: str = GROUP) -> pd.DataFrame:
    """Return patients and events in each level (index ``level``; ``n, n_event``); events are rows that end in one."""
    n = frame.groupby(column, observed=False)["patient_id"].nunique()
    n_event = frame[column][frame["event"] != "censored"].value_counts()
    return pd.DataFrame(
        {"n": n.reindex(levels).fillna(0).astype(int), "n_event": n_event.reindex(levels).fillna(0).astype(int)}
    )
