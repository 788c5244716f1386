"""Survival as it would be if everyone belonged to one group, then to another: the g-formula on a Cox fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.random import Generator

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_number
from aih_outcomes.models.guard import GROUP
from aih_outcomes.models.resampling import compute_percentile_interval
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.cox.averaging import (
    Study,
    average,
    column_of_category,
    find_beginning,
    find_reach,
    gather,
)
from aih_outcomes.models.survival.cox.checks import require_fit
from aih_outcomes.models.survival.cox.kernel import Matrix
from aih_outcomes.models.survival.cox.refit import N_RESAMPLES, arrange_rows, refuse_other_likelihood
from aih_outcomes.models.survival.cox.resamples import Floats, cumulate_hazard, draw, solve, tie
from aih_outcomes.models.survival.cox.result import CoxFit
from aih_outcomes.models.survival.curves.checks import refuse_no_draws
from aih_outcomes.models.survival.curves.kaplan_meier import LEAST_AT_RISK, in_quarters
from aih_outcomes.models.survival.designs.design import BIASED, caution, name_design
from aih_outcomes.outcomes import CENSORED, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUMMARY_COLUMNS = ["strata", "term", "time", "n_event", "estimate", "std_error", "conf_low", "conf_high", "measure"]
CURVE_COLUMNS = ["strata", "time", "n_risk", "n_event", "n_censor", "estimate", "std_error", "conf_low", "conf_high"]


@dataclass(frozen=True, slots=True, eq=False)
class StandardisedSurvival:
    """Average predicted survival with everyone set to each level of a group.

    Attributes
    ----------
    over : the term whose levels are compared; ``adjusted_for`` : the other terms
    horizon : in the outcome's unit; NaN where no horizon has 5 at risk at every level
    alive_at : curves and restricted means are given event-free at this time: 0 (the first entry, if that is earlier)
        or, under late entry with an event while fewer than 5 were at risk, when so many were (rule 13)
    curves : ``strata, time, n_risk, n_event, n_censor, estimate, std_error, conf_low, conf_high`` from ``alive_at`` to
        the horizon; the counts are those seen at the level
    summaries : restricted means and, against the first level, differences of them and of survival at the horizon
    n_resamples, n_failed : bootstrap resamples, and those of them without an estimate
    """

    fit: CoxFit
    over: str
    adjusted_for: tuple[str, ...]
    horizon: float
    alive_at: float
    conf_level: float
    curves: pd.DataFrame
    summaries: pd.DataFrame
    n_resamples: int
    n_failed: int
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per level and event time.

        Returns
        -------
        frame : ``label, strata, time, n_risk, n_event, n_censor, estimate, std_error, conf_low, conf_high, design,
            biased``
        """
        return self._dress(self.curves)

    def contrasts(self) -> pd.DataFrame:
        """One row per restricted mean and per difference, at the horizon; ``measure`` says which.

        Returns
        -------
        frame : ``label, strata, term, time, n_event, estimate, std_error, conf_low, conf_high, measure, design,
            biased``; measures are ``restricted_mean``, ``survival_difference`` and ``restricted_mean_difference``;
            ``n_event`` are the level's up to the horizon
        """
        return self._dress(self.summaries)

    def at(self, times: Sequence[float]) -> pd.DataFrame:
        """Return the curves at given times: ``label, strata, time, estimate, std_error, conf_low, conf_high``.

        NaN before the curves begin and after the horizon.
        """
        when, frames = np.asarray(times, float), []
        for _, curve in self.curves.groupby("strata", sort=False):
            step = np.searchsorted(curve["time"].to_numpy(float), when, side="right") - 1
            rows = (
                curve.drop(columns=["n_risk", "n_event", "n_censor"])
                .iloc[np.maximum(step, 0)]
                .assign(time=when)
                .reset_index(drop=True)
            )
            values = ["estimate", "std_error", "conf_low", "conf_high"]
            rows.loc[~((when <= self.horizon) & (step >= 0)), values] = np.nan
            frames.append(rows)
        return self._dress(pd.concat(frames, ignore_index=True) if frames else self.curves)

    def glance(self) -> dict[str, Any]:
        """Return what was standardised over what, and how many resamples gave no estimate."""
        return {
            "n": len(self.fit.frame), "n_patients": int(self.fit.frame["patient_id"].nunique()),
            "n_event": self.fit.n_event, "events_per_parameter": self.fit.events_per_parameter, "over": self.over,
            "adjusted_for": ", ".join(self.adjusted_for), "design": name_design(self.fit.outcome.design),
            "horizon": self.horizon, "alive_at": self.alive_at, "n_resamples": self.n_resamples,
            "n_failed": self.n_failed, "conf_level": self.conf_level, "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        if self.not_estimable:
            return f"Standardised survival not estimable: {self.not_estimable}."
        outcome = self.fit.outcome
        adjusted = f"adjusted for {', '.join(self.adjusted_for)}" if self.adjusted_for else "not adjusted"
        strata = f", within strata of {self.fit.strata}" if self.fit.strata else ""
        since = in_quarters(self.alive_at, outcome.time_unit)
        conditional = f" Given event-free at {since}, from when enough are at risk." if self.alive_at > 0 else ""
        failed = f", {self.n_failed} of them without an estimate" if self.n_failed else ""
        text = (
            f"Survival without {outcome.label} standardised to all patients ({adjusted}{strata}; Cox model), "
            f"to {self.horizon:g} {outcome.time_unit} since {outcome.time_zero}; {self.conf_level:.0%} percentile "
            f"intervals from {self.n_resamples} bootstrap resamples of patients{failed}.{conditional} What is "
            "not adjusted for may still differ between the groups."
        )
        return f"{text} {caution(outcome.design)}".strip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the standardised curves for the analyst's screen."""
        from aih_outcomes.figures.curves import draw_survival

        return draw_survival(self.tidy(), ax=ax, unit_label=self.fit.outcome.time_unit)

    def _dress(self, frame: pd.DataFrame) -> pd.DataFrame:
        outcome, design = self.fit.outcome, self.fit.outcome.design
        about = frame.assign(label=outcome.label, design=name_design(design), biased=design.startswith(BIASED))
        dressed = order_columns(about)
        dressed.attrs = {"time_unit": outcome.time_unit, "time_zero": outcome.time_zero}
        return dressed


def estimate_standardised_survival(
    fit: CoxFit,
    *,
    rng: Generator,
    over: str = GROUP,
    horizon: float | None = None,
    n_resamples: int = N_RESAMPLES,
    conf_level: float = 0.95,
) -> StandardisedSurvival:
    """Estimate survival with everyone set to each level of a group, averaged over the patients' own covariates.

    Parameters
    ----------
    fit : a Cox fit whose covariates do not change with time
    rng : source of randomness for the bootstrap of patients
    over : the categorical term whose levels are compared; the first is the reference
    horizon : in the outcome's unit; None for the last time with 5 at risk at every level, beyond which nothing is
        estimable
    n_resamples : bootstrap resamples; each is refitted, and averaged over the patients drawn

    Returns
    -------
    result : curves, restricted means, differences at the horizon, with percentile intervals; intervals are NaN where
        more resamples failed than they leave out

    Raises
    ------
    OutcomeError : no Cox fit; ``over`` is no categorical term, covariates change with time, the fit is penalised; no
        resample asked for, no numpy Generator

    Notes
    -----
    Ŝ_g(t) = Σ w_i exp(−Λ(t) exp(η_i with group g)) / Σ w_i: Makuch, J Chronic Dis 1982;35:437; Hernán & Robins, Causal
    Inference: What If, chapter 13.

    Examples
    --------
    >>> from aih_outcomes.models.survival.cox.fit import fit_cox
    >>> from aih_outcomes.outcomes import TimeToEvent
    >>> frame = pd.DataFrame({"t": range(1, 41), "dead": 1, "drug": ["a", "b", "b", "a"] * 10})
    >>> fit = fit_cox(TimeToEvent.from_frame(frame, exit="t", event="dead", covariates=["drug"]), by="drug")
    >>> result = estimate_standardised_survival(fit, rng=np.random.default_rng(1), horizon=20, n_resamples=100)
    >>> result.at([20])["strata"].tolist()
    ['a', 'b']
    """
    refuse_no_level(conf_level)
    require_fit(fit)
    refuse_no_draws("n_resamples", n_resamples, rng)
    over = _find_category(fit, over)
    refuse_other_likelihood(fit)
    others = tuple(dict.fromkeys(term.variable for term in fit.design.terms if over not in term.variable.split(":")))
    reach, begins = find_reach(fit, over), find_beginning(fit)
    limit = reach if horizon is None else read_number("horizon", horizon, "horizon=1826")
    reason = fit.not_estimable or _why_no_horizon(limit, reach, begins)
    if reason:
        empty = pd.DataFrame({name: pd.Series(dtype=float) for name in CURVE_COLUMNS}).astype({"strata": object})
        return StandardisedSurvival(
            fit,
            over,
            others,
            limit,
            begins,
            conf_level,
            empty,
            pd.DataFrame(columns=SUMMARY_COLUMNS),
            n_resamples,
            n_resamples,
            reason,
        )
    study = gather(fit, over, begins, limit)
    rows, start = arrange_rows(fit), fit.coefficients * fit.design.X.std(axis=0)
    whole = np.ones((len(rows.weight), 1), np.int64)
    everyone = np.ones((rows.n_patients, 1), np.int64)
    point = average(study, everyone, cumulate_hazard(rows, tie(rows, whole), start[:, None]), start[:, None])[0]
    found = []
    for drawn in draw(rows, rng, n_resamples):
        copies = drawn[rows.patient]
        beta = solve(rows, copies, start)
        hazard = cumulate_hazard(rows, tie(rows, copies), np.nan_to_num(beta))
        averaged = average(study, drawn, hazard, np.nan_to_num(beta))
        averaged[np.isnan(beta).any(axis=0)] = np.nan
        found.append(averaged)
    replicates = np.concatenate(found) if found else np.empty((0, *point.shape))
    failed = int(np.isnan(replicates).any(axis=(1, 2)).sum())
    curves, summaries = _tabulate(fit, study, point, replicates, over, limit, conf_level)
    return StandardisedSurvival(
        fit, over, others, limit, begins, conf_level, curves, summaries, n_resamples, failed, None
    )  # fmt: skip


def _tabulate(
    fit: CoxFit, study: Study, point: Matrix, replicates: Floats, over: str, horizon: float, conf_level: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the curves, and restricted means with the differences at the horizon."""
    low, high, spread = compute_percentile_interval(replicates, conf_level=conf_level)
    curves = [
        pd.DataFrame({
            "strata": level, "time": study.time, **_counts(fit, over, level, study.time), "estimate": point[i],
            "std_error": spread[i], "conf_low": low[i], "conf_high": high[i],
        })
        for i, level in enumerate(study.levels)
    ]  # fmt: skip
    widths = np.diff(np.append(study.time, horizon))
    area, areas = point @ widths, replicates @ widths
    rows: list[tuple[str, str | None, str | None, float, Vector]] = [
        ("restricted_mean", level, None, area[i], areas[:, i]) for i, level in enumerate(study.levels)
    ]
    for i, level in list(enumerate(study.levels))[1:]:
        pair = f"{level} − {study.levels[0]}"
        gap = replicates[:, i, -1] - replicates[:, 0, -1]
        rows.append(("survival_difference", None, pair, point[i, -1] - point[0, -1], gap))
        rows.append(("restricted_mean_difference", None, pair, area[i] - area[0], areas[:, i] - areas[:, 0]))
    died: dict[str | None, int] = {str(frame["strata"].iloc[0]): int(frame["n_event"].sum()) for frame in curves}
    summaries = []
    for measure, strata, term, estimate, values in rows:
        below, above, error = compute_percentile_interval(values, conf_level=conf_level)
        summaries.append({
            "measure": measure, "strata": strata, "term": term, "time": horizon, "n_event": died.get(strata),
            "estimate": float(estimate), "std_error": float(error), "conf_low": float(below), "conf_high": float(above),
        })  # fmt: skip
    return pd.concat(curves, ignore_index=True), pd.DataFrame(summaries, columns=SUMMARY_COLUMNS)


def _counts(fit: CoxFit, over: str, level: str, times: Vector) -> dict[str, Vector]:
    """Rows at risk at each time (at the first: just after it); events and censorings since the time before it."""
    frame = fit.frame[np.asarray(fit.design.categories[over].astype(object) == level)]
    entry, exit = np.sort(frame["entry"].to_numpy(float)), np.sort(frame["exit"].to_numpy(float))
    event = np.sort(frame.loc[frame["event"] != CENSORED, "exit"].to_numpy(float))
    counted = np.append(times[:1], np.nextafter(times[1:], -np.inf))
    at_risk = np.searchsorted(entry, counted, "right") - np.searchsorted(exit, counted, "right")
    gone, dead = (np.searchsorted(values, times, "right") for values in (exit, event))
    left, died = (np.diff(count, prepend=count[:1]) for count in (gone, dead))
    return {"n_risk": at_risk.astype(float), "n_event": died.astype(float), "n_censor": (left - died).astype(float)}


def _why_no_horizon(limit: float, reach: float, begins: float) -> str | None:
    if not np.isfinite(reach):
        return f"a group never has {LEAST_AT_RISK} at risk"
    if limit > reach:
        return f"the horizon lies beyond the last time with {LEAST_AT_RISK} at risk in every group"
    return None if limit > begins else "the horizon does not lie after the beginning of the curves"


def _find_category(fit: CoxFit, over: str) -> str:
    """Return the categorical term meant: by its own name, its column's or that of the groups."""
    if over == fit.by_name and GROUP in fit.design.categories:
        return GROUP
    for name in fit.design.categories:
        if over in (name, column_of_category(fit, name)):
            return name
    known = ", ".join(fit.design.categories) or "none"
    raise OutcomeError(
        f"{over!r} is no categorical term of the model", f"Survival is compared between levels; these are: {known}",
        "Fit with by=..., or name one of them: over='sex'",
    )  # fmt: skip
