"""Informative visits: who is ill is seen oftener, and three ways to handle it side by side (statistics 15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_number
from aih_outcomes.models.guard import GROUP, join_groups
from aih_outcomes.models.longitudinal.fixed_effects import YEARS, Missing, Scale
from aih_outcomes.models.longitudinal.gee import GeeFit, fit_gee
from aih_outcomes.models.longitudinal.kept_values import since_landmark
from aih_outcomes.models.longitudinal.visit_intensity import PAST, VisitIntensity, model_visits
from aih_outcomes.models.longitudinal.visit_windows import Visits, read_windows, values_at_visits
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.curves.log_rank import p_in_words
from aih_outcomes.models.survival.designs.design import caution
from aih_outcomes.outcomes import Groups, RepeatedMeasures, Vector
from aih_outcomes.outcomes.checks import list_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALL, SCHEDULED, WEIGHTED = (
    "all values",
    "planned visits only",
    "all values, weighted by the inverse intensity of visits",
)
UNSCHEDULED, WEIGHT = "unscheduled", "visit_weight"
NUMBERS = ("estimate", "std_error", "conf_low", "conf_high", "statistic", "df", "p_value")


@dataclass(frozen=True, slots=True, eq=False)
class VisitComparison:
    """One mean, three handlings of visits.

    Attributes
    ----------
    measures : the values, on the clock of the fits
    fits : by name of the handling; None where it could not be tried, with the reason in ``reasons``
    intensity : how visits depend on the last value
    n_unscheduled : values outside planned visits, flagged and kept in the first and third row
    ended : whether the end of observation was given
    """

    measures: RepeatedMeasures
    by_name: str
    scale: Scale
    fits: dict[str, GeeFit | None]
    reasons: dict[str, str]
    intensity: VisitIntensity
    n_unscheduled: int
    ended: bool

    def tidy(self) -> pd.DataFrame:
        """One row per handling and term.

        Returns
        -------
        frame : ``label, strata`` (the handling)``, term, estimate`` to ``p_value``, ``n`` patients, ``n_values,
            n_effective`` (values that would tell as much without weights); on the log scale also ``ratio, ratio_low,
            ratio_high``; a handling that is not estimable has a row per term without numbers
        """
        names = next((list(fit.names) for fit in self.fits.values() if fit is not None), [])
        return order_columns(pd.concat([self._rows(name, names) for name in self.fits], ignore_index=True))

    def _rows(self, name: str, terms: list[str]) -> pd.DataFrame:
        fit = self.fits[name]
        if fit is None:
            ratios = ("ratio", "ratio_low", "ratio_high") if self.scale == "log" else ()
            frame = pd.DataFrame({"term": terms, **dict.fromkeys((*NUMBERS, *ratios), np.nan)})
            return frame.assign(label=self.measures.label, strata=name, n=0, n_values=0, n_effective=0)
        n_values = len(fit.fixed.frame)
        effective = round(self.intensity.effective) if name == WEIGHTED else n_values
        return fit.tidy().assign(strata=name, n_values=n_values, n_effective=effective)

    def glance(self) -> dict[str, Any]:
        """Facts about the whole comparison; ``visit_ratio``: of the intensity, per unit of the last value."""
        cox = self.intensity.cox
        row = None if cox is None or cox.not_estimable else cox.tidy().set_index("term").loc[PAST]
        return {
            "n_values": len(self.measures.frame), "n_unscheduled": self.n_unscheduled, "by": self.by_name,
            "scale": self.scale, "n_visits_modelled": self.intensity.n_visits,
            **{name: float("nan") if row is None else float(row[column]) for name, column in (
                ("visit_ratio", "hazard_ratio"), ("visit_ratio_low", "hr_low"), ("visit_ratio_high", "hr_high"),
                ("visit_p_value", "p_value"))},
            "largest_weight": float(self.intensity.weight.max(initial=1.0)), "n_effective": self.intensity.effective,
            "design": self.measures.design, "not_estimable": "; ".join(self.reasons.values()) or None,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption; no counts, which ``glance`` holds."""
        m, facts = self.measures, self.glance()
        unit = "logarithm" if self.scale == "log" else m.unit or "unit"
        parts = [
            f"Mean of {'log of ' if self.scale == 'log' else ''}{m.label} by three handlings of visits, each by "
            "estimating equations (independence, robust standard errors by patient); time since "
            f"{m.time_zero}. They need visits that depend on nothing, on the plan, or on the last value only.",
            f"{in_percent(self.n_unscheduled, facts['n_values'])} of the values lie outside planned visits.",
            f"Per {unit} of the last value the intensity of visits changes by a factor of {facts['visit_ratio']:.2f} "
            f"({facts['visit_ratio_low']:.2f} to {facts['visit_ratio_high']:.2f}; "
            f"{p_in_words(facts['visit_p_value'])})."
            if np.isfinite(facts["visit_ratio"])
            else "",
            f"Largest weight {facts['largest_weight']:.1f}; the weighted values tell as much as "
            f"{in_percent(facts['n_effective'], facts['n_values'])} of them would "
            "unweighted; standard errors take the weights as known. Where weighted and planned visits disagree, visits "
            "follow what no earlier value shows, and the planned ones stand."
            if self.fits[WEIGHTED] is not None
            else "",
            "" if self.ended else "Observation is taken to end with the last value.",
            *[f"Not estimable, {name}: {reason}." for name, reason in self.reasons.items()],
            f"Groups: {self.by_name}." if self.by_name else "",
            caution(m.design),
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the ratios of a comparison on the log scale as a forest for the analyst's screen.

        Raises
        ------
        OutcomeError : the fits are on the identity scale, whose effects have no common axis
        """
        from aih_outcomes.figures.forest import draw_forest

        if self.scale != "log":
            raise OutcomeError(
                "Effects on the identity scale have no common axis", "A forest shows ratios",
                "Compare with scale='log', or read tidy()",
            )  # fmt: skip
        tidy = self.tidy()
        tidy = tidy[tidy["term"] != "intercept"].assign(design=lambda rows: rows["strata"])
        ratios = {"estimate": tidy["ratio"], "conf_low": tidy["ratio_low"], "conf_high": tidy["ratio_high"]}
        return draw_forest(tidy.assign(**ratios), ax=ax, x_label="Ratio (95 % CI), log scale")


def compare_visit_handling(
    measures: RepeatedMeasures,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    course: str | None = YEARS,
    visits: Visits | None = None,
    unscheduled: str = UNSCHEDULED,
    depends_on: Sequence[str] = (),
    ends: str | float | None = None,
    scale: Scale = "identity",
    from_day: int | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> VisitComparison:
    """Estimate one mean from all values, from planned visits only, and with visits weighted by inverse intensity.

    Children are seen because they are ill: values at flares are over-represented, and a mean of all of them is too
    high. Planned visits do not depend on the course; weights undo a dependence on the last value seen.

    Parameters
    ----------
    measures : values over time
    by, covariates, course, scale, from_day, missing : the mean, as in ``fit_gee``
    visits : nominal visits as in ``fit_repeated_measures``: planned is then the value nearest the nominal day, never
        the worst or the mean; None for all values that are not ``unscheduled``, or those with a nominal ``visit``
    unscheduled : covariate, 1 for a value outside the plan and 0 for one within. Where the measures have it, only such
        visits are modelled and weighted; else every visit after the first
    depends_on : further covariates, known at the visit before, on which the next one may depend
    ends : covariate or time at which observation ended, on the outcome's clock; None for each patient's last value

    Returns
    -------
    comparison : a row per handling and term, with n

    Raises
    ------
    ImmortalTimeError : values from before membership was known; the analyte decides the groups
    OutcomeError : nothing tells which visits were planned; unknown terms; a value without a logarithm

    Notes
    -----
    Lin, Scharfstein & Rosenheck, J R Stat Soc B 2004;66:791. Weights help where visits depend on what was seen, not
    where they depend on symptoms that no value shows. Without the flag planned visits are modelled along, as if they
    too depended on the last value: their weights are then only roughly right.

    Examples
    --------
    >>> frame = pd.DataFrame({"id": [1, 1, 1, 2, 2, 2, 3, 3, 3], "t": [0, 90, 97, 0, 91, 120, 0, 92, 130]})
    >>> frame["y"] = [1.0, 5.0, 4.0, 2.0, 2.0, 3.0, 3.0, 6.0, 5.0]
    >>> frame["unscheduled"] = [0, 0, 1, 0, 0, 1, 0, 0, 1]
    >>> found = RepeatedMeasures.from_frame(frame, patient_id="id", time="t", value="y", covariates=["unscheduled"])
    >>> compare_visit_handling(found, course=None).tidy()[["strata", "n_values"]].values.tolist()[:2]
    [['all values', 9], ['planned visits only', 6]]
    """
    refuse_no_level(conf_level)
    named = list_names("depends_on", depends_on, "depends_on=['steroid']")
    if from_day is not None:
        read_number("from_day", from_day, "from_day=182")
    if ends is not None and not isinstance(ends, str):
        ends = read_number("ends", ends, "ends=1826")
    at_hand, name = _name_groups(measures, by, from_day)
    flag = _read_flag(at_hand, unscheduled)
    planned = _planned(at_hand, flag, visits)
    intensity = model_visits(at_hand, grouped=by is not None, value=_on_scale(at_hand, scale), unscheduled=flag,
                             depends_on=named, ends=ends, restarted=float(from_day or 0))  # fmt: skip
    weighted = replace(at_hand, frame=at_hand.frame.assign(**{WEIGHT: intensity.weight}),
                       covariates=(*at_hand.covariates, WEIGHT))  # fmt: skip
    tried = {
        ALL: (at_hand, None, None), SCHEDULED: (planned, None, None if len(planned.frame) else "no planned visit"),
        WEIGHTED: (weighted, WEIGHT, intensity.not_estimable),
    }  # fmt: skip
    fits: dict[str, GeeFit | None] = {}
    reasons: dict[str, str] = {}
    for handling, (rows, weights, reason) in tried.items():
        fit = None if reason else fit_gee(
            rows, by=None if by is None else GROUP, covariates=covariates, course=course, correlation="independence",
            weights=weights, scale=scale, missing=missing, conf_level=conf_level,
        )  # fmt: skip
        fits[handling] = fit
        if reason or (fit is not None and fit.not_estimable):
            reasons[handling] = reason or str(fit.not_estimable if fit is not None else "")
    outside = len(at_hand.frame) - len(planned.frame) if flag is None else int(flag.sum())
    return VisitComparison(at_hand, name, scale, fits, reasons, intensity, outside, ends is not None)


def in_percent(part: float, whole: int) -> str:
    """Say a share in words of a caption.

    Examples
    --------
    >>> in_percent(531, 2614)
    '20 %'
    """
    return f"{100 * part / whole:.0f} %" if whole else "none"


def _name_groups(
    measures: RepeatedMeasures, by: Groups | str | None, from_day: int | None
) -> tuple[RepeatedMeasures, str]:
    """Return the measures with a column ``group``, guarded, on the clock of the fit, and what the groups are called."""
    if not isinstance(measures, RepeatedMeasures):
        raise OutcomeError(
            f"{type(measures).__name__} is no RepeatedMeasures", "Visits are those of values followed over time",
            "Derive them, or use RepeatedMeasures.from_frame(frame, patient_id=..., time=..., value=...)",
        )  # fmt: skip
    at_hand = measures if from_day is None else since_landmark(measures, by, from_day)
    if by is None:
        return at_hand, ""
    fixed = GROUP if from_day is not None and isinstance(by, Groups) else by
    covariates = at_hand.covariates if GROUP in at_hand.covariates else (*at_hand.covariates, GROUP)
    return replace(at_hand, frame=join_groups(at_hand, fixed), covariates=covariates), (
        by.name if isinstance(by, Groups) else by
    )


def _read_flag(measures: RepeatedMeasures, column: str) -> Vector | None:
    """(n,) 1 for values outside the plan; None where the measures do not say. Unknown counts as outside."""
    if column not in measures.covariates:
        return None
    given = measures.frame[column]
    flag = pd.to_numeric(given, errors="coerce").mask(given.isna(), 1.0).to_numpy(float, na_value=np.nan)
    wrong = int(np.sum(~np.isin(flag, (0.0, 1.0))))
    if wrong:
        raise OutcomeError(
            f"{wrong} of {len(flag)} values have neither 0 nor 1 in {column!r}",
            "1 is a value outside the planned visits, 0 one of them", "Complete the column, or name another",
        )  # fmt: skip
    return flag


def _planned(measures: RepeatedMeasures, flag: Vector | None, visits: Visits | None) -> RepeatedMeasures:
    """Return the values at planned visits."""
    frame = measures.frame if flag is None else measures.frame[flag == 0]
    if visits is not None:
        frame = values_at_visits(frame, read_windows(visits))
    elif flag is None:
        frame = frame[frame["visit"].notna()]
        if frame.empty:
            raise OutcomeError(
                f"Nothing tells which of {len(measures.frame)} values of {measures.label!r} were planned",
                "Planned visits are named, flagged, or lie in windows",
                "Pass visits=[0, 91, 182, 365], or a covariate: unscheduled='its column'",
            )
    return replace(measures, frame=frame.reset_index(drop=True))


def _on_scale(measures: RepeatedMeasures, scale: Scale) -> Vector:
    """(n,) values as the mean is modelled."""
    value = measures.frame["value"].to_numpy(float)
    impossible = int(np.sum(value <= 0)) if scale == "log" else 0
    if impossible:
        raise OutcomeError(
            f"{impossible} of {len(value)} values of {measures.label!r} have no logarithm",
            "The log scale needs positive values",
            "Use scale='identity', or say what stands for a value below detection",
        )
    return np.log(value) if scale == "log" else value
