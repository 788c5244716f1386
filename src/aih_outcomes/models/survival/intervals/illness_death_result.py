"""A fitted illness-death model: hazard ratios per transition, baselines, risks, and the naive model beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.cox.result import FEW_EVENTS
from aih_outcomes.models.survival.designs.design import BASELINE
from aih_outcomes.models.survival.intervals.accelerated_result import AcceleratedFailure
from aih_outcomes.models.survival.intervals.hazards import Family
from aih_outcomes.models.survival.intervals.illness_death_kernel import Flags, Matrix, Seen, cumulative_incidence
from aih_outcomes.models.survival.intervals.rows import Rows, build_design_at
from aih_outcomes.outcomes import CENSORED, DAYS_PER_UNIT, IntervalTime, TimeUnit, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAIVE = "censored at the last look (biased)"


@dataclass(frozen=True, slots=True, eq=False)
class IllnessDeathEngine:
    """The fit itself; NaN where not estimable.

    Attributes
    ----------
    theta, vcov : (3P,), (3P, 3P) for standardised covariates: of the event, of death without, of death after it
    mean, spread : (p,) of the covariates
    """

    theta: Vector
    vcov: Matrix
    loglik: float
    scaled_gradient: float
    mean: Vector
    spread: Vector


@dataclass(frozen=True, slots=True, eq=False)
class IllnessDeath:
    """A fitted illness-death model.

    Attributes
    ----------
    outcome, rows, seen : what was looked for; the rows and terms used; what is known of each
    family : shape of the hazards
    naive : the Weibull model of the event that censors at the last look: biased where death comes between
    n_half_day : patients who left on the first day, counted half a day
    not_estimable : the reason, or None
    """

    outcome: IntervalTime
    rows: Rows
    seen: Seen
    family: Family
    engine: IllnessDeathEngine
    naive: AcceleratedFailure
    n_half_day: int
    conf_level: float
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per transition and term, then the naive model's for the event.

        Returns
        -------
        frame : ``label, term, state`` (the transition), ``estimate, std_error, conf_low, conf_high, statistic,
            p_value`` (log hazard ratio, Wald), ``hazard_ratio, hr_low, hr_high``, counts of each level as in
            ``fit_cox``, ``design, biased``; see ``baselines()`` for the shape of the hazards
        """
        size, p = self.family.size, len(self.rows.design.terms)
        frames = []
        for place, (transition, happened) in enumerate(zip(self.transitions, self._happened, strict=True)):
            own = np.arange(p) + place * (size + p) + size
            estimate = self.engine.theta[own] / self.engine.spread
            std_error = np.sqrt(np.diag(self.engine.vcov)[own]) / self.engine.spread
            event = np.where(happened, self.outcome.label, CENSORED)
            rows = replace(self.rows, frame=self.rows.frame.assign(event=event))
            frame = self._rows_of(rows, estimate, std_error)
            frames.append(frame.assign(state=transition, design=BASELINE, biased=False))
        naive = self._rows_of(self.naive.rows, *self.naive.log_hazard_ratios())  # who was never looked at is not in it
        frames.append(naive.assign(state=self.transitions[0], design=NAIVE, biased=True))
        return order_columns(pd.concat(frames, ignore_index=True))

    def baselines(self) -> pd.DataFrame:
        """Return the hazards' own parameters, at the mean covariates, in the outcome's unit.

        Returns
        -------
        frame : ``label, term, state`` (the transition), ``time`` (where a piece begins), ``estimate, std_error,
            conf_low, conf_high`` (from the log scale). Weibull: ``shape`` k and ``scale`` b of A(t) = (t/b)^k; else the
            ``hazard`` of each piece
        """
        z = norm.ppf((1 + self.conf_level) / 2)
        size, p = self.family.size, len(self.rows.design.terms)
        frames = []
        for place, transition in enumerate(self.transitions):
            own = np.arange(size) + place * (size + p)
            theta, vcov = self.engine.theta[own], self.engine.vcov[np.ix_(own, own)]
            if self.family.name == "weibull":
                c, k = theta
                logs = np.array([np.log(k), self.family.centre - c / k])
                jacobian = np.array([[0.0, 1 / k], [-1 / k, c / k**2]])
                terms, begin = ["shape", "scale"], np.zeros(2)
            else:
                logs, jacobian, terms = theta, np.eye(size), ["hazard"] * size
                begin = np.concatenate([[0.0], self.family.cuts])
            error = np.sqrt(np.diag(jacobian @ vcov @ jacobian.T))
            frames.append(pd.DataFrame({
                "label": self.outcome.label, "term": terms, "time": begin, "estimate": np.exp(logs),
                "std_error": np.exp(logs) * error, "conf_low": np.exp(logs - z * error),
                "conf_high": np.exp(logs + z * error), "state": transition,
            }))  # fmt: skip
        return order_columns(pd.concat(frames, ignore_index=True))

    def at(
        self, times: Sequence[float], *, rows: pd.DataFrame | None = None, unit: TimeUnit | None = None
    ) -> pd.DataFrame:
        """Return the risk of the event, and of death without it, by given times, in the outcome's unit.

        Parameters
        ----------
        rows : (n_rows, …) one patient to predict per row, with the model's columns; None for the average over the
            patients fitted (standardised)
        unit : unit in which times are given and returned; None for the outcome's own

        Returns
        -------
        frame : ``label, strata`` (the row's index, or ``all``), ``state, time, estimate, std_error, conf_low,
            conf_high``; the delta method, limits from the scale log(−log(1 − risk))
        """
        factor = DAYS_PER_UNIT[unit or self.outcome.time_unit] / DAYS_PER_UNIT[self.outcome.time_unit]
        z = norm.ppf((1 + self.conf_level) / 2)
        found = []
        for strata, Z, share in self._predicted(rows):
            for time in times:
                when = float(time) * factor
                risk, slope = cumulative_incidence(self.family, self.engine.theta, Z, share, max(when, 1e-12))
                error = np.sqrt(np.einsum("ij,jk,ik->i", slope, self.engine.vcov, slope))
                bent = np.log(-np.log1p(-risk))
                width = z * error / (-(1 - risk) * np.log1p(-risk))
                for place, state in enumerate(self.transitions[:2]):
                    low, high = (-np.expm1(-np.exp(bent[place] + side * width[place])) for side in (-1, 1))
                    found.append([self.outcome.label, strata, state, float(time), risk[place], error[place], low, high])
        columns = ["label", "strata", "state", "time", "estimate", "std_error", "conf_low", "conf_high"]
        return order_columns(pd.DataFrame(found, columns=columns))

    def glance(self) -> dict[str, Any]:
        """Facts about the whole fit; ``n_unknown`` died some time after the last look, status unknown."""
        unknown = ~self.seen.ill & self.seen.dead & (self.seen.left < self.seen.end)
        n_parameters = len(self.engine.theta)
        counts = self._counts()
        return self.rows.facts() | {
            "n_dead": int(self.seen.dead.sum()), "n_unknown": int(unknown.sum()), "n_half_day": self.n_half_day,
            "n_parameters": n_parameters, "events_per_parameter": sum(counts.values()) / n_parameters,
            "hazards": self.family.name, "design": BASELINE, "conf_level": self.conf_level,
            "loglik": self.engine.loglik, "aic": 2 * n_parameters - 2 * self.engine.loglik,
            "scaled_gradient": self.engine.scaled_gradient, "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        unknown = self.glance()["n_unknown"]
        parts = [
            f"Illness-death model of {self.outcome.label} seen at looks; {self._terminal} ends it "
            f"({self.family.name} hazards, time since {self.outcome.time_zero}): whether the event came between the "
            "last look and the end of follow-up is integrated over.",
            "Death after a last look leaves the status of some patients unknown." if unknown else "",
            f"Groups: {self.rows.by_name} ({BASELINE})." if self.rows.by_name else "",
            self._caveats,
            "Patients who left on the first day count half a day." if self.n_half_day else "",
            f"Rows marked {NAIVE!r} take death between looks for censoring; do not interpret.",
            f"Not estimable: {self.not_estimable}." if self.not_estimable else "",
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratios, transition after transition, for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy()
        ratios = {"estimate": tidy["hazard_ratio"], "conf_low": tidy["hr_low"], "conf_high": tidy["hr_high"]}
        heading = tidy["state"] + np.where(tidy["biased"], f", {NAIVE}", "")
        return draw_forest(tidy.assign(**ratios, design=heading), ax=ax)

    @property
    def transitions(self) -> tuple[str, str, str]:
        """Names of the event, of death without it, of death after it."""
        return self.outcome.label, f"{self._terminal} without {self.outcome.label}", (
            f"{self._terminal} after {self.outcome.label}"
        )  # fmt: skip

    @property
    def _terminal(self) -> str:
        return self.outcome.terminal or "death"

    @property
    def _caveats(self) -> str:
        few = sum(self._counts().values()) < FEW_EVENTS * len(self.engine.theta)
        left_out = "Patients with missing covariates were left out." if self.rows.n_missing else ""
        return " ".join(filter(None, [left_out, f"Fewer than {FEW_EVENTS} events per parameter." if few else ""]))

    @property
    def _happened(self) -> tuple[Flags, Flags, Flags]:
        """(n,) each: who was seen to make each transition."""
        ill, dead = self.seen.ill, self.seen.dead
        return ill, dead & ~ill, dead & ill

    def _counts(self) -> dict[str, int]:
        return {name: int(flag.sum()) for name, flag in zip(self.transitions, self._happened, strict=True)}

    def _rows_of(self, rows: Rows, estimate: Vector, std_error: Vector) -> pd.DataFrame:
        z = norm.ppf((1 + self.conf_level) / 2)
        statistic = estimate / std_error
        frame = pd.DataFrame({
            "label": self.outcome.label, "term": rows.design.names, "estimate": estimate, "std_error": std_error,
            "conf_low": estimate - z * std_error, "conf_high": estimate + z * std_error, "statistic": statistic,
            "p_value": 2 * norm.sf(np.abs(statistic)), "hazard_ratio": np.exp(estimate),
            "hr_low": np.exp(estimate - z * std_error), "hr_high": np.exp(estimate + z * std_error),
        })  # fmt: skip
        return pd.concat([frame, rows.counts()], axis=1)

    def _predicted(self, rows: pd.DataFrame | None) -> list[tuple[str, Matrix, Vector]]:
        """Rows to average over, with what each counts for."""
        X = self.rows.design.X if rows is None else build_design_at(self.rows, rows)
        Z = (X - self.engine.mean) / self.engine.spread
        if rows is not None:
            return [(str(name), Z[[place]], np.ones(1)) for place, name in enumerate(rows.index)]
        distinct, inverse = np.unique(Z, axis=0, return_inverse=True)
        share = np.bincount(inverse.ravel(), self.seen.weight) / self.seen.weight.sum()
        return [("all", distinct, share)]
