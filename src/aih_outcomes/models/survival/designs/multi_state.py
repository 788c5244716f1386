"""Groups that become known as states: the third way out of the guard."""

from __future__ import annotations

import numpy as np

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import require_groups
from aih_outcomes.models.guard import GROUP, require_time_to_event
from aih_outcomes.models.survival.designs.design import MULTI_STATE
from aih_outcomes.models.survival.designs.landmark import keep_design
from aih_outcomes.models.survival.designs.time_varying import time_varying
from aih_outcomes.outcomes import CENSORED, UNDETERMINED, Groups, StateHistory, TimeToEvent


def as_states(outcome: TimeToEvent, groups: Groups) -> StateHistory:
    """Turn groups and the event into states: undetermined → group → event, competing events as states of their own.

    A change of group is a transition on the day it became known, an event on that day belongs to the state before
    (spells are (entry, exit]), as in ``time_varying``. Groups may change back: they are then states that do.

    Parameters
    ----------
    outcome : spells in days, on the clock of ``groups``
    groups : memberships with ``known_at``

    Returns
    -------
    history : states that occur: ``undetermined``, the levels of ``groups``, then the events; for
        ``estimate_state_occupation``, ``estimate_transitions`` and ``fit_transitions``

    Raises
    ------
    OutcomeError : different clocks; a group has the name of an event

    Notes
    -----
    Putter, Fiocco & Geskus, Stat Med 2007;26:2389.
    """
    require_time_to_event(outcome)
    require_groups(groups)
    events = [str(name) for name in outcome.frame["event"].cat.categories if name != CENSORED]
    both = [level for level in (UNDETERMINED, *groups.levels) if level in events]
    if both:
        raise OutcomeError(
            f"{', '.join(both)} is a group of {groups.name!r} and an event of {outcome.label!r}",
            "A state has one meaning", "Give the group or the event another name",
        )  # fmt: skip
    spells = time_varying(outcome, groups)
    rows = spells.frame.sort_values(["patient_id", "entry"], kind="stable", ignore_index=True)
    follows = rows["patient_id"].eq(rows["patient_id"].shift(-1)) & rows["exit"].eq(rows["entry"].shift(-1))
    state = rows[GROUP].astype(object)
    to_state = np.select(
        [rows["event"] != CENSORED, follows & (state != state.shift(-1))],
        [rows["event"].astype(object), state.shift(-1)],
        CENSORED,
    )
    occur = {*state, *to_state}
    order = dict.fromkeys([UNDETERMINED, *groups.levels, *events])
    kept = [name for name in spells.covariates if name != GROUP]
    weight = ["weight"] if "weight" in rows else []
    frame = rows[["patient_id", "entry", "exit", *weight, *kept]].assign(from_state=state, to_state=to_state)
    return StateHistory(
        frame, outcome.label, tuple(name for name in order if name in occur), outcome.time_zero, outcome.time_unit,
        outcome.exclusions, tuple(kept), keep_design(f"{MULTI_STATE}: {groups.name}", outcome.design),
    )  # fmt: skip
