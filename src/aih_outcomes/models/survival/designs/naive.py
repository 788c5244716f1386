"""The comparison that the guard refuses, under its own name, so that its bias can be shown."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, memberships
from aih_outcomes.models.survival.cox.result import Missing, Ties
from aih_outcomes.models.survival.designs.comparison import GroupComparison, compare_groups
from aih_outcomes.models.survival.designs.design import BIASED
from aih_outcomes.models.survival.designs.landmark import add_group, keep_design, refuse_unready
from aih_outcomes.outcomes import Groups, TimeToEvent


def naive_comparison(
    outcome: TimeToEvent,
    groups: Groups,
    *,
    never: str,
    covariates: Sequence[str] | str = (),
    horizon: float | None = None,
    ties: Ties | None = None,
    missing: Missing = "raise",
) -> GroupComparison:
    """Compare groups as if membership had been known on day 0: biased by immortal time.

    It is there to be shown beside ``landmark(...)`` or ``time_varying(...)``; ``quantify_bias(...)`` says by how much
    it is wrong. The label, the design and every table and figure made from it say "comparison from day 0 (biased)".

    Parameters
    ----------
    outcome : spells in days, on the clock of ``groups``
    groups : memberships; a patient's last known label counts
    never : label of a patient whose membership never became known
    covariates, horizon, ties, missing : as in ``compare_groups``

    Raises
    ------
    OutcomeError : different clocks; see ``compare_groups``

    Notes
    -----
    Suissa, Am J Epidemiol 2008;167:492.
    """
    biased = naive_outcome(outcome, groups, never=never)
    return compare_groups(biased, by=GROUP, covariates=covariates, horizon=horizon, ties=ties, missing=missing)


def naive_outcome(outcome: TimeToEvent, groups: Groups, *, never: str) -> TimeToEvent:
    """Fix each patient's last known label from day 0; ``label`` and ``design`` say that this is biased."""
    refuse_unready(outcome, groups)
    if not isinstance(never, str):
        raise OutcomeError(
            f"never= is a {type(never).__name__}", "It is the label of whoever never came into a group",
            "Write never='non-responder'",
        )  # fmt: skip
    known = memberships(groups)
    last = known[known["known_at"].notna()].groupby("patient_id")["label"].last()
    labels = last.reindex(outcome.frame["patient_id"]).astype(object).fillna(never)
    levels = [never, *(level for level in groups.levels if level != never)]
    rows = outcome.frame.assign(**{GROUP: pd.Categorical(labels, categories=levels)})
    return outcome.with_rows(
        rows,
        label=f"{outcome.label}, {BIASED}",
        design=keep_design(f"{BIASED}: {groups.name}", outcome.design),
        covariates=add_group(outcome.covariates),
    )
