"""One Cox model over several landmarks: the landmark super-model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.guard import GROUP
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.result import FEW_EVENTS, CoxFit, Missing, Ties
from aih_outcomes.models.survival.designs.design import SUPER_MODEL, caution, in_a_list
from aih_outcomes.models.survival.designs.landmark_grid import start_at_landmarks
from aih_outcomes.models.terms.formula import list_terms
from aih_outcomes.outcomes import CENSORED, DAYS_PER_UNIT, Groups, TimeToEvent, no_exclusions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Effect = Literal["constant", "linear"]

LANDMARK_DAY = "landmark_day"
AT_LANDMARKS = ["label", "strata", "estimate", "std_error", "conf_low", "conf_high", "reference", "landmark"]
PER_YEAR = "per_year_of_landmark"


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkModel:
    """One Cox model over all landmarks; a patient enters at each at which the group is known.

    Attributes
    ----------
    cox : fit on the stacked data, a baseline hazard per landmark, variance robust by patient
    days : the landmarks
    effect : ``constant`` over landmarks, or ``linear`` in the landmark's day
    slopes : level → column of its change with the landmark; empty where the effect is constant
    """

    cox: CoxFit
    days: tuple[int, ...]
    effect: Effect
    slopes: dict[str, str]

    def tidy(self) -> pd.DataFrame:
        """One row per term, as of a Cox model; ``n_event`` counts an event once per landmark before it.

        With a linear effect the term of a group is its log ratio at the first landmark, and ``per_year_of_landmark``
        its change for each year by which the landmark is later.
        """
        return self.cox.tidy()

    def at_landmarks(self) -> pd.DataFrame:
        """Return each group's hazard ratio at each landmark.

        Returns
        -------
        frame : ``label, strata, estimate, std_error, conf_low, conf_high, reference, landmark``; the ratio itself, its
            standard error on the log scale
        """
        z = norm.ppf((1 + self.cox.conf_level) / 2)
        names = [(term.variable, term.level) for term in self.cox.design.terms]
        rows = []
        for place, term in enumerate(self.cox.design.terms):
            if term.variable != GROUP:
                continue
            for day in self.days:
                weights = np.zeros(len(names))
                weights[place] = 1.0
                if self.slopes:
                    weights[names.index((self.slopes[str(term.level)], None))] = _years_after(day, self.days)
                value = float(weights @ self.cox.coefficients)
                spread = float(np.sqrt(weights @ self.cox.vcov @ weights))
                rows.append({
                    "label": self.cox.outcome.label, "strata": term.level, "estimate": np.exp(value),
                    "std_error": spread, "conf_low": np.exp(value - z * spread),
                    "conf_high": np.exp(value + z * spread), "reference": term.reference, "landmark": day,
                })  # fmt: skip
        return pd.DataFrame(rows, columns=AT_LANDMARKS)

    def glance(self) -> dict[str, Any]:
        """Facts about the whole fit.

        ``n_patients, n_event, events_per_parameter`` count a patient once, ``n`` and ``n_event_stacked`` once per
        landmark.
        """
        facts, rows = self.cox.glance(), self.cox.frame
        n_event = int(rows.loc[rows["event"] != CENSORED, "patient_id"].nunique())
        return facts | {
            "n_event": n_event,
            "n_event_stacked": facts["n_event"],
            "events_per_parameter": n_event / max(facts["n_parameters"], 1),
            "landmarks": self.days,
            "effect": self.effect,
        }

    def describe(self) -> str:
        """Sentences for a caption."""
        outcome, days = self.cox.outcome, in_a_list(self.days)
        how = (
            "one ratio for all landmarks, an average over them"
            if self.effect == "constant"
            else "a ratio that changes linearly with the landmark"
        )
        parts = [
            f"{outcome.label}: landmarks at days {days} in one Cox model ({self.cox.ties.capitalize()} ties), {how}.",
            "A patient counts at each landmark reached: a baseline hazard per landmark, robust standard errors by "
            "patient.",
            f"Not estimable: {self.cox.not_estimable}." if self.cox.not_estimable else self._describe_size(),
            caution(outcome.design),
        ]
        return " ".join(part for part in parts if part)

    def _describe_size(self) -> str:
        few = self.glance()["events_per_parameter"] < FEW_EVENTS
        return f"Fewer than {FEW_EVENTS} patients with an event per parameter." if few else ""

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the ratios as a forest for the analyst's screen."""
        return self.cox.plot(ax=ax)


def fit_landmark_model(
    outcome: TimeToEvent,
    groups_by_day: Mapping[int, Groups],
    *,
    covariates: Sequence[str] | str = (),
    effect: Effect = "constant",
    ties: Ties | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> LandmarkModel:
    """Fit one Cox model over all landmarks of a declared grid (landmark super-model).

    Parameters
    ----------
    outcome, groups_by_day : as in ``compare_landmarks``; the groups have the same levels at every landmark
    covariates : what is known at the first landmark; their ratios are the same at all
    effect : ``constant``, or ``linear``: the log ratio of a group changes with the landmark

    Raises
    ------
    OutcomeError : fewer than two landmarks, groups that differ from one to another, competing events; see ``landmark``
        and ``fit_cox``

    Notes
    -----
    van Houwelingen, Scand J Stat 2007;34:70: stacked data sets, stratified by landmark, sandwich variance by patient.
    """
    refuse_unknown_choice("effect", effect, ("constant", "linear"))
    starts = start_at_landmarks(outcome, groups_by_day)
    days = tuple(starts)
    levels = {groups.levels for groups in groups_by_day.values()}
    if len(days) < 2 or len(levels) > 1:
        what = f"{len(days)} landmark" if len(days) < 2 else f"{len(levels)} different sets of groups"
        raise OutcomeError(
            f"One model is asked for over {what}", "It needs the same groups at two landmarks or more",
            "Use compare_landmarks(...), which shows each landmark by itself",
        )  # fmt: skip
    stacked = _stack(starts)
    slopes: dict[str, str] = {}
    if effect == "linear":
        stacked, slopes = _add_slopes(stacked, days)
    cox = fit_cox(
        stacked, by=GROUP, covariates=[*slopes.values(), *list_terms(covariates)], cluster="patient_id",
        strata=LANDMARK_DAY, ties=ties, missing=missing, conf_level=conf_level,
    )  # fmt: skip
    return LandmarkModel(cox, days, effect, slopes)


def _stack(starts: Mapping[int, TimeToEvent]) -> TimeToEvent:
    """Put the landmark data sets below each other."""
    days = [str(day) for day in starts]
    first = next(iter(starts.values()))
    rows = pd.concat([start.frame.assign(**{LANDMARK_DAY: str(day)}) for day, start in starts.items()])
    return first.with_rows(
        rows.assign(**{LANDMARK_DAY: pd.Categorical(rows[LANDMARK_DAY], days)}),
        time_zero=f"the landmark ({first.time_zero.split(' after ', 1)[-1]})",
        design=f"{SUPER_MODEL} at days {in_a_list(days)}: {first.design.split(': ', 1)[-1]}",
        covariates=(*first.covariates, LANDMARK_DAY),
        exclusions=no_exclusions(),
        n_half_day=sum(start.n_half_day for start in starts.values()),
    )


def _add_slopes(stacked: TimeToEvent, days: Sequence[int]) -> tuple[TimeToEvent, dict[str, str]]:
    """Add a column per level but the first: years by which the landmark is later; with two groups there is only one."""
    group = stacked.frame[GROUP]
    levels = [str(level) for level in group.cat.categories if (group == level).any()]
    names = {level: PER_YEAR if len(levels) == 2 else f"{PER_YEAR}_{n}" for n, level in enumerate(levels) if n}
    years = {str(day): _years_after(day, days) for day in days}
    later = stacked.frame[LANDMARK_DAY].astype(object).map(years).to_numpy(float)
    columns = {name: later * (group == level).to_numpy(bool) for level, name in names.items()}
    rows = stacked.frame.assign(**columns)
    return stacked.with_rows(rows, covariates=(*stacked.covariates, *names.values())), names


def _years_after(day: int, days: Sequence[int]) -> float:
    return (day - days[0]) / DAYS_PER_UNIT["years"]
