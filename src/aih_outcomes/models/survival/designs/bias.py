"""By how much the comparison from day 0 is wrong: the time it credits, and the effects it would have reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aih_outcomes.models.guard import GROUP, memberships
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.cox.result import Missing, Ties
from aih_outcomes.models.survival.designs.comparison import HAZARD_RATIO, GroupComparison, compare_groups
from aih_outcomes.models.survival.designs.design import BIASED, caution, name_design
from aih_outcomes.models.survival.designs.landmark import landmark
from aih_outcomes.models.survival.designs.naive import naive_comparison
from aih_outcomes.models.survival.designs.time_varying import time_varying
from aih_outcomes.outcomes import DAYS_PER_UNIT, Groups, TimeToEvent, TimeUnit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TIME, PER_PATIENT, SHARE = "immortal_time", "immortal_time_per_patient", "immortal_time_share"
IN_TIME = (TIME, PER_PATIENT, "restricted_mean_difference", "time_lost_difference")


@dataclass(frozen=True, slots=True, eq=False)
class ImmortalTimeBias:
    """A comparison from day 0 beside one that counts time as it was known.

    Attributes
    ----------
    naive, right : the two comparisons, at the same horizon of their own clocks
    immortal : index ``strata``; ``n`` patients that the naive comparison puts into the group, ``n_immortal`` of them
        with time before their membership was known, ``time`` all time credited to the group, ``immortal_time`` the part
        of it lived before membership was known
    """

    naive: GroupComparison
    right: GroupComparison
    immortal: pd.DataFrame

    def tidy(self, *, unit: TimeUnit | None = None) -> pd.DataFrame:
        """One row per group and measure.

        Parameters
        ----------
        unit : unit of times; None for the outcome's own

        Returns
        -------
        frame : ``label, strata, time, estimate, measure, naive, right, n, n_immortal, reference, reference_right,
            design, biased``. ``estimate`` is the time before membership was known (``immortal_time``, also
            ``_per_patient`` and as ``_share`` of the time credited), the ratio of the naive to the right
            ``hazard_ratio``, and the naive less the right absolute differences
        """
        scale = DAYS_PER_UNIT[self.right.outcome.time_unit] / DAYS_PER_UNIT[unit or self.right.outcome.time_unit]
        frame = pd.DataFrame([*self._times(), *self._effects()])
        in_time = frame["measure"].isin(IN_TIME).to_numpy(bool)
        frame.loc[in_time, ["estimate", "naive", "right"]] *= scale
        frame["time"] *= scale
        frame = frame.assign(
            label=self.right.outcome.label, reference=str(self.naive.sizes.index[0]),
            reference_right=str(self.right.sizes.index[0]), design=name_design(self.right.outcome.design), biased=True,
        )  # fmt: skip
        order = {str(level): place for place, level in enumerate(self.immortal.index)}
        frame = frame.sort_values("strata", key=lambda names: names.map(order), kind="stable", ignore_index=True)
        frame.attrs = {"time_unit": unit or self.right.outcome.time_unit}
        return order_columns(frame).astype({"n_immortal": "Int64"})

    def glance(self) -> dict[str, Any]:
        """Return the totals, the designs and the horizon."""
        total, immortal = (float(self.immortal[name].sum()) for name in ("time", "immortal_time"))
        return {
            "n": int(self.immortal["n"].sum()),
            "n_immortal": int(self.immortal["n_immortal"].sum()),
            "immortal_time": immortal,
            "immortal_time_share": immortal / total if total else float("nan"),
            "design": name_design(self.right.outcome.design),
            "horizon": self.right.glance()["horizon"],
            "not_estimable": self.right.cox.not_estimable or self.naive.cox.not_estimable,
        }

    def describe(self) -> str:
        """Sentences for a caption, for each group how far the comparison from day 0 is off."""
        tidy = self.tidy()
        parts = [
            f"{BIASED[:1].upper()}{BIASED[1:]} against {name_design(self.right.outcome.design)}, "
            f"{self.right.outcome.label}."
        ]
        for level in self.immortal.index:
            own = tidy[tidy["strata"] == level].set_index("measure")
            share = own.loc[SHARE, "estimate"]
            if pd.notna(share):
                parts.append(
                    f"{share:.0%} of the time credited to {level} was lived before that was known: nobody could have "
                    "had the event then and be in the group."
                )
            if HAZARD_RATIO in own.index and pd.notna(own.loc[HAZARD_RATIO, "estimate"]):
                ratio = own.loc[HAZARD_RATIO]
                parts.append(
                    f"Its hazard ratio from day 0 is {ratio['naive']:.2f} where time counted as it was known gives "
                    f"{ratio['right']:.2f}."
                )
        parts.append("The two run on different clocks, so that not all of a difference need be bias.")
        return " ".join([*parts, caution(self.right.outcome.design)])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw both comparisons' hazard ratios as a forest, each design named, for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        both = pd.concat([self.naive.tidy(), self.right.tidy()], ignore_index=True)
        return draw_forest(both[both["measure"] == HAZARD_RATIO].reset_index(drop=True), ax=ax)

    def _times(self) -> list[dict[str, Any]]:
        rows = []
        for level, own in self.immortal.iterrows():
            common = {
                "strata": str(level), "time": float("nan"), "naive": float("nan"), "right": float("nan"),
                "n": int(own["n"]), "n_immortal": int(own["n_immortal"]),
            }  # fmt: skip
            time, credited = float(own["immortal_time"]), float(own["time"])
            shares = {
                TIME: time,
                PER_PATIENT: time / own["n"] if own["n"] else float("nan"),
                SHARE: time / credited if credited else float("nan"),
            }
            rows += [common | {"measure": name, "estimate": value} for name, value in shares.items()]
        return rows

    def _effects(self) -> list[dict[str, Any]]:
        """Lay the two comparisons side by side, measure by measure, for groups that both compare."""
        keys = ["strata", "measure"]
        naive, right = (found.tidy().set_index(keys) for found in (self.naive, self.right))
        rows = []
        for strata, measure in naive.index.intersection(right.index, sort=False):
            one, other = (float(found.loc[(strata, measure), "estimate"]) for found in (naive, right))
            own = self.immortal.loc[strata]
            rows.append({
                "strata": strata, "measure": measure, "time": float(right.loc[(strata, measure), "time"]),
                "naive": one, "right": other, "estimate": one / other if measure == HAZARD_RATIO else one - other,
                "n": int(own["n"]), "n_immortal": int(own["n_immortal"]),
            })  # fmt: skip
        return rows


def quantify_bias(
    outcome: TimeToEvent,
    groups: Groups,
    *,
    never: str,
    day: int | None = None,
    covariates: Sequence[str] | str = (),
    horizon: float | None = None,
    ties: Ties | None = None,
    missing: Missing = "raise",
) -> ImmortalTimeBias:
    """Say by how much the comparison from day 0 would have been wrong.

    Parameters
    ----------
    outcome : spells in days, on the clock of ``groups``
    groups : memberships with ``known_at``
    never : label of a patient whose membership never became known, as in ``naive_comparison``
    day : compare with the landmark analysis at this day; None for status changing with time
    covariates, ties, missing : as in ``compare_groups``, the same for both
    horizon : of the absolute differences, on each one's own clock; None for the last time at which the right
        comparison has 5 at risk in every group

    Returns
    -------
    bias : immortal time per group, ratio of hazard ratios, differences of risk and restricted-mean differences

    Raises
    ------
    OutcomeError : see ``naive_comparison``, ``landmark`` and ``time_varying``

    Notes
    -----
    Suissa, Am J Epidemiol 2008;167:492.
    """
    honest = time_varying(outcome, groups) if day is None else landmark(outcome, groups, day=day)
    right = compare_groups(honest, by=GROUP, covariates=covariates, horizon=horizon, ties=ties, missing=missing)
    limit = right.glance()["horizon"]
    naive = naive_comparison(
        outcome, groups, never=never, covariates=covariates, horizon=limit if np.isfinite(limit) else horizon,
        ties=ties, missing=missing,
    )  # fmt: skip
    return ImmortalTimeBias(naive, right, _immortal_time(naive.outcome, groups, never))


def _immortal_time(naive: TimeToEvent, groups: Groups, never: str) -> pd.DataFrame:
    """Return by group the time before membership was known, and all that the naive comparison credits to it."""
    known = memberships(groups)
    last = known[known["known_at"].notna()].groupby("patient_id")["known_at"].last()
    known_at = last.reindex(naive.frame["patient_id"]).to_numpy(float)
    before = np.clip(np.nan_to_num(known_at, nan=-np.inf), naive.entry, naive.exit) - naive.entry
    rows = pd.DataFrame({
        "strata": naive.frame[GROUP].astype(object), "patient_id": naive.frame["patient_id"],
        "time": naive.exit - naive.entry, "immortal_time": before,
    })  # fmt: skip
    patients = rows.groupby(["strata", "patient_id"], as_index=False).sum()
    table = patients.groupby("strata").agg(
        n=("patient_id", "size"), n_immortal=("immortal_time", lambda time: int((time > 0).sum())),
        time=("time", "sum"), immortal_time=("immortal_time", "sum"),
    )  # fmt: skip
    levels = [level for level in naive.frame[GROUP].cat.categories if level != never]
    return table.reindex(levels).fillna(0).astype({"n": int, "n_immortal": int})
