"""The same comparison at several declared landmarks, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP
from aih_outcomes.models.survival.cox.result import Missing, Ties
from aih_outcomes.models.survival.designs.comparison import GroupComparison, compare_groups
from aih_outcomes.models.survival.designs.design import in_a_list
from aih_outcomes.models.survival.designs.landmark import landmark
from aih_outcomes.outcomes import Groups, TimeToEvent, TimeUnit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkGrid:
    """A comparison of groups at each of several landmarks; ``comparisons`` by day, in the order of the days."""

    comparisons: dict[int, GroupComparison]

    def tidy(self, *, unit: TimeUnit | None = None) -> pd.DataFrame:
        """One row per landmark, contrast and measure.

        Returns
        -------
        frame : the columns of ``compare_groups``, then ``landmark`` (day)``, n_excluded`` (patients left out on the
            way there)``, n_event_excluded`` (of them with an event)
        """
        frames = []
        for day, comparison in self.comparisons.items():
            left = comparison.outcome.exclusions
            counts = {"n_excluded": int(left["n"].sum()), "n_event_excluded": int(left["n_event"].sum())}
            frames.append(comparison.tidy(unit=unit).assign(landmark=day, **counts))
        together = pd.concat(frames, ignore_index=True)
        whole = dict.fromkeys(("landmark", "n_excluded", "n_event_excluded"), "Int64")
        together = together.astype(whole)
        together.attrs = {"time_unit": frames[0].attrs["time_unit"]}
        return together

    def exclusions(self) -> pd.DataFrame:
        """Return who is left out at each landmark and why: ``landmark, reason, n, n_event``."""
        frames = [found.outcome.exclusions.assign(landmark=day) for day, found in self.comparisons.items()]
        together = pd.concat(frames, ignore_index=True).astype({"landmark": "Int64"})
        return together[["landmark", "reason", "n", "n_event"]]

    def glance(self) -> dict[str, Any]:
        """Facts of each comparison, by landmark, beside the days and the sizes."""
        own = {day: comparison.glance() for day, comparison in self.comparisons.items()}
        return {
            "landmarks": tuple(own),
            "n": {day: facts["n_patients"] for day, facts in own.items()},
            "n_event": {day: facts["n_event"] for day, facts in own.items()},
            "events_per_parameter": {day: facts["events_per_parameter"] for day, facts in own.items()},
            "proportional_hazards_p_value": {day: x["proportional_hazards_p_value"] for day, x in own.items()},
            "horizon": {day: facts["horizon"] for day, facts in own.items()},
            "not_estimable": {day: facts["not_estimable"] for day, facts in own.items()},
        }

    def describe(self) -> str:
        """Sentences for a caption: each landmark names itself, its groups and its test of proportional hazards."""
        days = in_a_list(self.comparisons)
        first = f"Landmarks at days {days}, all of them shown; each is about whoever is followed beyond it."
        return " ".join([first, *(comparison.describe() for comparison in self.comparisons.values())])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratios of all landmarks as a forest for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy()
        return draw_forest(tidy[tidy["measure"] == "hazard_ratio"].reset_index(drop=True), ax=ax)


def compare_landmarks(
    outcome: TimeToEvent,
    groups_by_day: Mapping[int, Groups],
    *,
    covariates: Sequence[str] | str = (),
    horizon: float | None = None,
    ties: Ties | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> LandmarkGrid:
    """Compare groups at each landmark of a declared grid: who is excluded, hazard ratio and absolute differences.

    Nothing is chosen among the landmarks: all are shown. Groups may differ from day to day, and each row names its own.

    Parameters
    ----------
    outcome : spells in days, on the clock of the groups
    groups_by_day : landmark → groups known by then, such as ``{28: ..., 182: ..., 365: ...}``
    covariates, horizon, ties, missing, conf_level : as in ``compare_groups``; the horizon runs from each landmark

    Raises
    ------
    OutcomeError : no landmarks; see ``landmark`` and ``compare_groups``
    """
    starts = start_at_landmarks(outcome, groups_by_day)
    return LandmarkGrid({
        day: compare_groups(
            start, by=GROUP, covariates=covariates, horizon=horizon, ties=ties, missing=missing, conf_level=conf_level
        )
        for day, start in starts.items()
    })  # fmt: skip


def start_at_landmarks(outcome: TimeToEvent, groups_by_day: Mapping[int, Groups]) -> dict[int, TimeToEvent]:
    """Return the outcome restarted at each landmark, in the order of the days.

    Raises
    ------
    OutcomeError : no landmarks; see ``landmark``
    """
    given: object = groups_by_day
    strange = not isinstance(given, Mapping) or not all(isinstance(day, int | np.integer) for day in given)
    if strange or not groups_by_day:
        raise OutcomeError(
            "Landmarks are not given by day" if strange else "No landmark is given",
            "A grid names each landmark and the groups known by then", "Pass {182: groups_at_182, 365: groups_at_365}",
        )  # fmt: skip
    return {day: landmark(outcome, groups_by_day[day], day=day) for day in sorted(groups_by_day)}
