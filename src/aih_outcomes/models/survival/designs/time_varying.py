"""Status that changes with time: every day is counted in the group known at its beginning."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, memberships
from aih_outcomes.models.survival.designs.design import REVERSIBLE, TIME_VARYING
from aih_outcomes.models.survival.designs.landmark import Followed, add_group, keep_design, refuse_unready
from aih_outcomes.outcomes import HALF_DAY, UNDETERMINED, Groups, RecurrentEvents, TimeToEvent


def time_varying(outcome: Followed, groups: Groups, *, reference: str | None = None) -> Followed:
    """Split each patient's follow-up where membership becomes known.

    Everyone starts *undetermined*, never as non-responder. A change applies after the day on which it became known:
    an event on that day belongs to the status before (spells are (entry, exit]).

    Parameters
    ----------
    outcome : spells in days, on the clock of ``groups``
    groups : memberships with ``known_at``; a label that never became known (NaN) never applies
    reference : level against which the others are compared; None for ``undetermined``

    Returns
    -------
    outcome : more rows, the covariate ``group`` with levels ``undetermined``, then those of ``groups``

    Raises
    ------
    OutcomeError : different clocks; an unknown reference

    Notes
    -----
    Andersen & Gill, Ann Stat 1982;10:1100. For groups that do not change back ``estimate_survival(..., by="group")``
    gives the curves of Simon & Makuch, Stat Med 1984;3:35 (from their landmark with ``from_day``), and
    ``compare_survival(..., by="group")`` the test of Mantel & Byar, JASA 1974;69:81.
    """
    refuse_unready(outcome, groups)
    levels = _levels(groups, reference)
    begun: pd.DataFrame = outcome.frame.assign(since=-np.inf, **{GROUP: UNDETERMINED})
    spells = pd.concat([begun, _changes(outcome, groups)])
    spells["row"] = spells.index  # the spell that a change falls into
    spells = spells.sort_values(["row", "since"], kind="stable", ignore_index=True)
    start = spells[["entry", "since"]].max(axis=1)
    follows = spells["row"].eq(spells["row"].shift(-1))
    stop = np.where(follows, np.clip(start.shift(-1), spells["entry"], spells["exit"]), spells["exit"])
    event = spells["event"].where(stop == spells["exit"], "censored")
    spells = spells.assign(
        entry=start, exit=stop, event=event, **{GROUP: pd.Categorical(spells[GROUP], categories=levels)}
    )
    rows = spells[spells["entry"] < spells["exit"]].drop(columns=["since", "row"])
    back = "" if groups.irreversible else f", {REVERSIBLE}"
    return outcome.with_rows(
        rows,
        design=keep_design(f"{TIME_VARYING}{back}: {groups.name}", outcome.design),
        covariates=add_group(outcome.covariates),
        n_half_day=int(((rows["exit"] - rows["entry"]) == HALF_DAY).sum()),
    )


def _levels(groups: Groups, reference: str | None) -> list[str]:
    levels = [UNDETERMINED, *(level for level in groups.levels if level != UNDETERMINED)]
    if reference is None:
        return levels
    if reference not in levels:
        raise OutcomeError(
            f"{reference!r} is no level of {groups.name!r}", f"Levels are {', '.join(levels)}", "Name one of them"
        )
    return [reference, *(level for level in levels if level != reference)]


def _changes(outcome: TimeToEvent | RecurrentEvents, groups: Groups) -> pd.DataFrame:
    """Every spell once more per label known before its end, with the day ``since`` on which it was known."""
    until = np.where(outcome.exit - outcome.entry == HALF_DAY, outcome.entry, outcome.exit)  # the last whole day
    known = memberships(groups).rename(columns={"label": GROUP, "known_at": "since"})
    known = known.loc[known["since"].notna(), ["patient_id", GROUP, "since"]]
    spells = outcome.frame.assign(until=until).reset_index(names="row").merge(known, on="patient_id", how="inner")
    return spells[spells["since"] < spells["until"]].set_index("row").drop(columns="until")
