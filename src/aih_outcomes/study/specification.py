"""The same question over several designs: results laid side by side, each named."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aih_outcomes.cohort import Cohort
from aih_outcomes.models.survival.designs.comparison import GroupComparison
from aih_outcomes.outcomes import TimeToEvent


def compare_designs(results: Sequence[GroupComparison]) -> pd.DataFrame:
    """Lay comparisons of several designs side by side, times in years, for a forest plot or a table."""
    frames = [result.tidy(unit="years") for result in results]
    together = pd.concat(frames, ignore_index=True)
    together.attrs = frames[0].attrs
    return together


def describe_flow(source: Cohort, cohort: Cohort, outcome: TimeToEvent) -> pd.DataFrame:
    """Count patients from the files to the analysis, with the reason for each who left.

    Parameters
    ----------
    source, cohort : the cohort before and after the plan's exclusions
    outcome : what is analysed; its ``exclusions`` name who left on the way

    Returns
    -------
    frame ``step, reason, n, n_event``: a box where ``reason`` is empty, else who leaves the box above and why
    """
    unread = source.set_aside[source.set_aside["table"] == "patients"]
    reasons = unread["rule"].value_counts(sort=False)
    left = cohort.exclusions[cohort.exclusions["n"] > 0]
    steps = [
        _box("Patients read", source.n_patients + len(unread)),
        pd.DataFrame({"step": "Patients read", "reason": reasons.index, "n": reasons.to_numpy()}),
        left.assign(step="Patients read")[["step", "reason", "n"]],
        _box("In the study", cohort.n_patients),
        outcome.exclusions.assign(step="In the study"),
        _box(
            f"Followed: {outcome.design.split(':')[0] or outcome.label}", outcome.n_patients, int(outcome.event.sum())
        ),
    ]
    columns = {"step": "string", "reason": "string", "n": "Int64", "n_event": "Int64"}
    parts = [part.reindex(columns=list(columns)).astype(columns) for part in steps]
    return pd.concat(parts, ignore_index=True)


def _box(step: str, n: int, n_event: int | None = None) -> pd.DataFrame:
    return pd.DataFrame({"step": [step], "reason": [""], "n": [n], "n_event": [n_event]})
