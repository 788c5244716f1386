"""Medians by visit: what happened, without inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import EVERYONE, as_category, declared_column, memberships
from aih_outcomes.models.longitudinal.kept_values import refuse_no_measures
from aih_outcomes.models.longitudinal.visit_windows import Visits, Window, read_windows, values_at_visits
from aih_outcomes.models.result import order_columns
from aih_outcomes.outcomes import Groups, RepeatedMeasures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOT_KNOWN = "not known"
SELECTED = "selected on the outcome"
LOOKING_BACK = "groups known only later"


@dataclass(frozen=True, slots=True, eq=False)
class Trajectories:
    """Median and quartiles per visit and group.

    Attributes
    ----------
    measures : what was followed
    table : ``strata, term`` (visit), ``time`` (its nominal day), ``n, estimate, conf_low, conf_high``
    design : empty, or what keeps the curves from being a comparison: ``selected on the outcome``
    """

    measures: RepeatedMeasures
    by_name: str
    windows: dict[str, Window]
    table: pd.DataFrame
    design: str
    n_outside: int

    def tidy(self) -> pd.DataFrame:
        """One row per group and visit with a value.

        Returns
        -------
        frame : ``label, strata, term, time, estimate, conf_low, conf_high, n, design``: ``term`` names the visit,
            ``time`` is its nominal day, ``estimate`` the median, the limits are quartiles, ``n`` patients
        """
        label = f"{self.measures.label}, {SELECTED}" if SELECTED in self.design else self.measures.label
        frame = order_columns(self.table.assign(label=label, design=self.design))
        frame.attrs = {
            "time_unit": self.measures.time_unit,
            "time_zero": self.measures.time_zero,
            "unit": self.measures.unit,
        }
        return frame

    def glance(self) -> dict[str, Any]:
        """Facts about the whole description."""
        return {
            "n_patients": int(self.measures.frame["patient_id"].nunique()), "n_values": len(self.measures.frame),
            "n_outside_windows": self.n_outside, "by": self.by_name, "design": self.design, "not_estimable": None,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        m = self.measures
        parts = [
            f"Median and quartiles of {m.label}{f' ({m.unit})' if m.unit else ''} by visit, {m.time_unit} since "
            f"{m.time_zero}; per patient and visit the value nearest the nominal day (values of one day averaged).",
            "Values outside the visit windows are not counted." if self.n_outside else "",
            f"Groups: {self.by_name}." if self.by_name else "",
            f"{self.design[:1].upper()}{self.design[1:]}: a description, not a comparison." if self.design else "",
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the medians for the analyst's screen."""
        from aih_outcomes.figures.trajectories import draw_trajectories

        return draw_trajectories(self.tidy(), ax=ax)


def describe_trajectories(
    measures: RepeatedMeasures, *, by: Groups | str | None = None, visits: Visits
) -> Trajectories:
    """Describe values by visit: median, quartiles and n; no p-values, hence no guard.

    Parameters
    ----------
    measures : values over time
    by : groups, also such as became known later (each patient counts under the last label known; none: ``not known``),
        a covariate, or None. Where the analyte decides the groups, every label says "selected on the outcome"
    visits : name → (first day, nominal day, last day), or nominal days alone, whose windows reach half-way to the next

    Raises
    ------
    OutcomeError : no visits; a window that does not hold its nominal day; windows that overlap; different clocks

    Notes
    -----
    A visit is the value nearest its nominal day, the earlier of two equally near; never the worst.
    """
    refuse_no_measures(measures)
    windows = read_windows(visits)
    frame = measures.frame.assign(strata=_strata(measures, by))
    picked = values_at_visits(frame, windows)
    rows = []
    for (strata, term), own in picked.groupby(["strata", "visit"], observed=True, sort=False):
        low, middle, high = np.quantile(own["value"].to_numpy(float), (0.25, 0.5, 0.75))
        rows.append({"strata": str(strata), "term": str(term), "time": windows[str(term)][1], "n": len(own),
                     "estimate": middle, "conf_low": low, "conf_high": high})  # fmt: skip
    table = pd.DataFrame(rows, columns=["strata", "term", "time", "n", "estimate", "conf_low", "conf_high"])
    order = {str(level): place for place, level in enumerate(frame["strata"].cat.categories)}
    table = table.sort_values(
        ["strata", "time"], key=lambda c: c.map(order) if c.name == "strata" else c, ignore_index=True
    )
    time = frame["time"].to_numpy(float)
    outside = ~np.any([(low <= time) & (time <= high) for low, _, high in windows.values()], axis=0)
    name = by.name if isinstance(by, Groups) else (by or "")
    return Trajectories(measures, name, windows, table, _design(measures, by), int(outside.sum()))


def _strata(measures: RepeatedMeasures, by: Groups | str | None) -> pd.Categorical:
    if by is None:
        return pd.Categorical([EVERYONE] * len(measures.frame), categories=[EVERYONE])
    if not isinstance(by, Groups):
        group = as_category(declared_column(measures, by))
        levels = [str(level) for level in group.categories]
        names = group.astype(object)
    else:
        if measures.time_zero != by.time_zero:
            raise OutcomeError(
                f"{measures.label!r} counts from {measures.time_zero!r}, {by.name!r} from {by.time_zero!r}",
                "A description has one clock", "Derive both from the same time zero",
            )  # fmt: skip
        known = memberships(by)
        last = known[known["known_at"].notna()].groupby("patient_id")["label"].last()
        names, levels = last.reindex(measures.frame["patient_id"]).to_numpy(object), list(by.levels)
    named = pd.Series(names, dtype=object).fillna(NOT_KNOWN)
    return pd.Categorical(named, categories=[*levels, *([] if NOT_KNOWN in levels else [NOT_KNOWN])])


def _design(measures: RepeatedMeasures, by: Groups | str | None) -> str:
    if not isinstance(by, Groups):
        return ""
    if measures.analyte in by.analytes:
        return f"{SELECTED} ({measures.analyte} decides the groups)"
    known = memberships(by).groupby("patient_id")["known_at"].max()
    first = measures.frame.groupby("patient_id")["time"].min()
    early = ~(known.reindex(first.index.astype(known.index.dtype)).to_numpy(float) <= first.to_numpy(float))
    return LOOKING_BACK if bool(early.any()) else ""
