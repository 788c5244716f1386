"""Two or more groups compared: the relative effect never without the absolute ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aih_outcomes.models.arguments import read_number
from aih_outcomes.models.guard import GROUP, counts_by_level, join_groups, require_time_to_event
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.penalty import Penalty
from aih_outcomes.models.survival.cox.proportional_hazards import ProportionalHazards, check_proportional_hazards
from aih_outcomes.models.survival.cox.result import CoxFit, Missing, Ties
from aih_outcomes.models.survival.curves.kaplan_meier import (
    KaplanMeier,
    estimate_survival,
    in_quarters,
    name_groups,
)
from aih_outcomes.models.survival.curves.log_rank import LogRank, compare_survival
from aih_outcomes.models.survival.curves.restricted_mean import (
    HorizonComparison,
    compare_restricted_means,
    compare_survival_at,
)
from aih_outcomes.models.survival.designs.design import (
    BIASED,
    REVERSIBLE,
    caution,
    in_a_list,
    name_curve,
    name_design,
    name_test,
)
from aih_outcomes.models.survival.designs.incidence import TIME_LOST, IncidenceContrasts, compare_incidence_at
from aih_outcomes.models.terms.design import build_design, refuse_undeclared
from aih_outcomes.models.terms.formula import list_terms
from aih_outcomes.outcomes import DAYS_PER_UNIT, Groups, TimeToEvent, TimeUnit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HAZARD_RATIO, RISK, RESTRICTED_MEAN = "hazard_ratio", "risk_difference", "restricted_mean_difference"
CONTRAST_COLUMNS = [
    "strata", "term", "time", "n_event", "estimate", "std_error", "conf_low", "conf_high", "statistic", "p_value",
    "measure", "n", "reference", "n_reference", "n_event_reference", "adjusted_for",
]  # fmt: skip
UNKNOWN = dict.fromkeys(CONTRAST_COLUMNS[4:10], float("nan"))


@dataclass(frozen=True, slots=True, eq=False)
class GroupComparison:
    """A comparison of groups with everything that a referee asks beside the hazard ratio.

    Attributes
    ----------
    outcome : what was followed, its design included
    sizes : index ``strata``; ``n`` patients ever in the group, ``n_event``
    cox, proportional_hazards : the model; is its ratio constant
    survival, log_rank, risk, restricted_mean : unadjusted curves, test and absolute differences at the horizon; None
        where groups may change back, because curves of such groups describe nobody; no test where weights are no case
        counts
    incidence : where events compete, cumulative incidences and their differences, in place of ``survival``, ``risk``
        and ``restricted_mean``; the model and the test are then those of the cause-specific hazard
    """

    outcome: TimeToEvent
    by_name: str
    covariates: tuple[str, ...]
    sizes: pd.DataFrame
    survival: KaplanMeier | None
    log_rank: LogRank | None
    cox: CoxFit
    proportional_hazards: ProportionalHazards
    risk: HorizonComparison | None
    restricted_mean: HorizonComparison | None
    incidence: IncidenceContrasts | None = None

    def tidy(self, *, unit: TimeUnit | None = None) -> pd.DataFrame:
        """One row per contrast and measure.

        Parameters
        ----------
        unit : unit of the horizon and of restricted means; None for the outcome's own

        Returns
        -------
        frame : ``label, strata, term, time, n_event, estimate, std_error, conf_low, conf_high, statistic, p_value,
            measure, n, reference, n_reference, n_event_reference, adjusted_for, design, biased``. ``strata`` is the
            group compared with ``reference``; ``time`` the horizon; a hazard ratio stands as itself, its standard error
            on the log scale; ``measure`` is ``hazard_ratio``, ``risk_difference`` and ``restricted_mean_difference``,
            or ``time_lost_difference`` where events compete
        """
        rows = [row for level in self.sizes.index[1:] for row in self._contrast(str(level))]
        design = self.outcome.design
        frame = pd.DataFrame(rows, columns=None if rows else CONTRAST_COLUMNS).assign(
            label=self.outcome.label, design=name_design(design), biased=design.startswith(BIASED)
        )
        counts = {"n_reference": "Int64", "n_event_reference": "Int64"}
        tidy = order_columns(frame.astype(counts))
        scale = DAYS_PER_UNIT[self.outcome.time_unit] / DAYS_PER_UNIT[unit or self.outcome.time_unit]
        in_time = tidy["measure"].isin([RESTRICTED_MEAN, TIME_LOST])
        tidy["time"] *= scale
        tidy.loc[in_time, ["estimate", "std_error", "conf_low", "conf_high"]] *= scale
        tidy.attrs = {"time_unit": unit or self.outcome.time_unit, "time_zero": self.outcome.time_zero}
        if self._absolute is not None:
            tidy.attrs["horizon"] = self._absolute.horizon * scale
        return tidy

    def glance(self) -> dict[str, Any]:
        """Facts about the whole comparison: the model's, the horizon, the tests."""
        facts = self.cox.glance()
        return facts | {
            "by": self.by_name,
            "design": name_design(self.outcome.design),
            "competing": self.outcome.competing,
            "horizon": float("nan") if self._absolute is None else self._absolute.horizon,
            "alive_at": self._alive_at,
            "log_rank": self.log_rank.statistic if self.log_rank else float("nan"),
            "log_rank_p_value": self.log_rank.p_value if self.log_rank else float("nan"),
            "not_estimable_log_rank": self._why_no_test(),
            "proportional_hazards_p_value": self.proportional_hazards.glance()["p_value"],
            "groups": {str(level): (int(row["n"]), int(row["n_event"])) for level, row in self.sizes.iterrows()},
            "not_estimable_absolute": self._why_no_absolute(),
        }

    def describe(self) -> str:
        """Sentences for a caption, with the words that must stand beside such a comparison; no counts."""
        outcome = self.outcome
        reference, *others = [str(level) for level in self.sizes.index] or ["nobody"]
        against = f"{in_a_list(others)} against {reference}" if others else f"{reference} alone"
        adjusted = f"adjusted for {', '.join(self.covariates)}" if self.covariates else "unadjusted"
        variance = ", weighted, robust standard errors by patient" if self.cox.cluster else ""
        words = caution(outcome.design)
        parts = [
            f"{outcome.label}: {against}; {name_design(outcome.design)}; time since {outcome.time_zero}.",
            f"{'Cause-specific hazard' if outcome.competing else 'Hazard'} ratio from a Cox model "
            f"({self.cox.ties.capitalize()} ties{variance}), {adjusted}.",
            *self._words_for_model(words),
        ]
        return " ".join(part.strip() for part in (*parts, *self._words_for_absolute(), words) if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw survival or cumulative incidence, or else the hazard ratios, for the analyst's screen."""
        curves = self.incidence.curves if self.incidence else self.survival
        return self.cox.plot(ax=ax) if curves is None else curves.plot(ax=ax)

    @property
    def _absolute(self) -> HorizonComparison | IncidenceContrasts | None:
        """What holds the horizon and the absolute differences."""
        return self.incidence or self.risk

    @property
    def _alive_at(self) -> float:
        if self.incidence:
            return self.incidence.curves.from_day
        return self.survival.alive_at if self.survival else float("nan")

    def _words_for_model(self, words: str) -> list[str]:
        """Sentences about what the model can say; ``words`` are said elsewhere."""
        n_event = self.sizes["n_event"]
        parts = ["Patients with missing covariates were left out of the model."] if self.cox.n_missing else []
        if self.cox.not_estimable:
            parts.append(f"Not estimable: {self.cox.not_estimable}.")
            if len(n_event) > 2 and not n_event.iloc[0] and (n_event.iloc[1:] > 0).sum() > 1:
                parts.append("The reference has no events: with another one the other groups can be compared.")
            return parts
        parts += [self.cox.describe_penalty(), self.cox.describe_size()]
        parts.append(self.proportional_hazards.describe().removesuffix(words))
        quiet = [str(level) for level in self.sizes.index[1:] if self._place_of(str(level)) is None]
        if quiet:
            parts.append(f"Without events in the model, and so without a hazard ratio: {', '.join(quiet)}.")
        return parts

    def _words_for_absolute(self) -> list[str]:
        """Sentences about curves, their test, and what was read off them at the horizon."""
        outcome, reason = self.outcome, self._why_no_absolute()
        if self._absolute is None or reason:
            return [f"Absolute differences not estimable: {reason}."]
        years = self._absolute.horizon * DAYS_PER_UNIT[outcome.time_unit] / DAYS_PER_UNIT["years"]
        curve, test = name_curve(outcome.design, self.by_name), name_test(outcome.design, self.by_name)
        if self.incidence:
            rivals = in_a_list(outcome.competing)
            parts = [
                f"Absolute differences of cumulative incidence at {years:.3g} years, {rivals} competing, unadjusted."
            ]
        else:
            tested = f"; {test} test" if self.log_rank else ""
            parts = [f"Absolute differences at {years:.3g} years, unadjusted ({curve} curves{tested})."]
        if self.log_rank is None:
            parts.append(f"No {test} test: {self._why_no_test()}.")
        if self._alive_at > 0:
            since = in_quarters(self._alive_at, outcome.time_unit)
            parts.append(f"Curves conditional on being event-free at {since}.")
        return parts

    def _why_no_test(self) -> str | None:
        if self.log_rank:
            return self.log_rank.not_estimable
        return "its variance takes weights for case counts" if self._absolute else self._why_no_absolute()

    def _why_no_absolute(self) -> str | None:
        if self._absolute is None:
            return (
                "curves of groups that may change back describe nobody (Simon-Makuch curves take irreversible groups)"
            )
        return self._absolute.not_estimable

    def _contrast(self, level: str) -> list[dict[str, object]]:
        reference = str(self.sizes.index[0])
        (n, n_event), (n0, n_event0) = self.sizes.loc[[level, reference], ["n", "n_event"]].to_numpy().tolist()
        common: dict[str, object] = {
            "strata": level, "term": f"{level} vs {reference}", "n": n, "n_event": n_event, "reference": reference,
            "n_reference": n0, "n_event_reference": n_event0,
        }  # fmt: skip
        rows: list[dict[str, object]] = [common | self._hazard_ratio(level)]
        found: list[tuple[str, HorizonComparison | IncidenceContrasts | None]]
        found = [(RISK, self.risk), (RESTRICTED_MEAN, self.restricted_mean)]
        if self.incidence:
            found = [(RISK, self.incidence), (TIME_LOST, self.incidence)]
        for measure, result in found:
            if result is None:
                continue
            contrasts = result.contrasts[result.contrasts["measure"] == measure]
            own = contrasts.iloc[list(self.sizes.index[1:]).index(level)].drop(["term", "strata"], errors="ignore")
            numbers = {str(name): value for name, value in own.items()}
            rows.append(common | numbers | {"time": result.horizon, "adjusted_for": ""})
        return rows

    def _place_of(self, level: str) -> int | None:
        """Return which term of the model compares a group with the reference."""
        compared = [(term.variable, term.level) for term in self.cox.design.terms]
        return compared.index((GROUP, level)) if (GROUP, level) in compared else None

    def _hazard_ratio(self, level: str) -> dict[str, object]:
        place = self._place_of(level)
        if place is None:  # without an event its ratio is not finite
            return {"measure": HAZARD_RATIO, "time": float("nan"), "adjusted_for": ", ".join(self.covariates)} | UNKNOWN
        row = self.cox.tidy().iloc[place]
        ratio = {"estimate": row["hazard_ratio"], "conf_low": row["hr_low"], "conf_high": row["hr_high"]}
        errors = {name: row[name] for name in ("std_error", "statistic", "p_value")}
        return (
            {"measure": HAZARD_RATIO, "time": float("nan"), "adjusted_for": ", ".join(self.covariates)} | ratio | errors
        )


def compare_groups(
    outcome: TimeToEvent,
    *,
    by: Groups | str,
    covariates: Sequence[str] | str = (),
    horizon: float | None = None,
    penalty: Penalty | None = None,
    ties: Ties | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> GroupComparison:
    """Compare groups: hazard ratio, risk difference and difference in restricted mean at a horizon.

    Where events compete the ratio is that of the cause-specific hazard, the risk is the cumulative incidence, and the
    mean time lost to the event takes the place of the restricted mean.

    Parameters
    ----------
    outcome : spells (entry, exit]; from ``landmark`` or ``time_varying`` with ``by="group"``, else with groups known
        at entry. Weights that are no case counts (inverse probabilities) give robust errors by patient in the model,
        the jackknife's for the curves, and no log-rank test
    by : groups (guarded) or a covariate; the first level is the reference
    covariates : terms of the model as in ``fit_cox``, what is known at time zero or at the landmark
    horizon : in the outcome's unit; None for the last time with 5 at risk in every group
    penalty, ties : of the model, as in ``fit_cox``
    missing : as in ``fit_cox``; the absolute differences are unadjusted and keep every row

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : see ``fit_cox``; one group alone, and a horizon too late, are answered "not estimable"
    """
    require_time_to_event(outcome)
    horizon = None if horizon is None else read_number("horizon", horizon, "horizon=1826")
    counted = outcome.weight > 0
    outcome = outcome.with_rows(outcome.frame[counted]) if counted.any() and not counted.all() else outcome
    hazards = outcome.cause_specific() if outcome.competing else outcome
    frame = join_groups(hazards, by)
    levels = [str(level) for level in frame[GROUP].cat.categories]
    sizes = counts_by_level(frame, levels)
    terms = list_terms(covariates)
    refuse_undeclared(outcome, terms)
    counts = bool(np.all(outcome.weight == np.round(outcome.weight)))
    cox = fit_cox(
        _with_events(hazards, frame, terms) if penalty is None else hazards, by=by, covariates=terms, penalty=penalty,
        ties=ties, missing=missing, cluster=None if counts else "patient_id", conf_level=conf_level,
    )  # fmt: skip
    proportional = check_proportional_hazards(cox)
    curves = test = risk = mean = incidence = None
    if REVERSIBLE not in outcome.design:
        test = compare_survival(hazards, by=by) if counts else None
        if outcome.competing:
            incidence = compare_incidence_at(outcome, by=by, horizon=horizon, conf_level=conf_level)
        else:
            curves = estimate_survival(outcome, by=by, conf_level=conf_level)
            risk = compare_survival_at(outcome, by=by, horizon=horizon, conf_level=conf_level)
            mean = compare_restricted_means(outcome, by=by, horizon=horizon, conf_level=conf_level)
    return GroupComparison(
        outcome, name_groups(by), tuple(terms), sizes, curves, test, cox, proportional, risk, mean, incidence
    )


def _with_events(outcome: TimeToEvent, frame: pd.DataFrame, covariates: Sequence[str]) -> TimeToEvent:
    """Leave out groups without an event, the reference apart: their ratio goes to 0 and they leave the risk sets.

    The partial likelihood of the other terms is then exactly the one without them. An event in a row that lacks a
    covariate is none for the model; such rows stay, for ``fit_cox`` to refuse or to count.
    """
    used = np.isfinite(build_design(frame, covariates).X).all(axis=1) & (outcome.weight > 0)
    codes = frame[GROUP].cat.codes.to_numpy(np.int64)
    stays = np.bincount(codes[used & outcome.event], minlength=len(frame[GROUP].cat.categories)) > 0
    if not stays[1:].any():
        return outcome
    stays[0] = True
    return outcome.with_rows(outcome.frame[stays[codes] | ~used])
