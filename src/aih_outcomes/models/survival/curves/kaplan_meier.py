"""Kaplan-Meier estimate of the survival function, with late entry, case weights and clustered rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.guard import require_time_to_event
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.curves.arrays import PATIENT, are_last, has_fractions, number_clusters, read_rows
from aih_outcomes.models.survival.curves.curve import Curve, confidence_limits, read_steps
from aih_outcomes.models.survival.curves.entries import ShownTimes, list_times
from aih_outcomes.models.survival.curves.grouped import estimate_group_curves, refuse_nobody
from aih_outcomes.models.survival.designs.design import caution, name_curve, name_design
from aih_outcomes.outcomes import CENSORED, DAYS_PER_UNIT, Groups, TimeToEvent, TimeUnit, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ConfType = Literal["log-log", "log", "plain", "arcsine", "logit"]
Variance = Literal["greenwood", "infinitesimal jackknife"]

END = "end of follow-up"
CONF_TYPES = ("log-log", "log", "plain", "arcsine", "logit")
LEAST_AT_RISK = 5
VARIANCES: dict[str, str] = {"greenwood": "Greenwood's variance", "infinitesimal jackknife": "robust variance"}


@dataclass(frozen=True, slots=True, eq=False)
class KaplanMeier:
    """Survival curves, one per group.

    Attributes
    ----------
    outcome : what was followed
    curves : (n_groups,) one curve per group, in the order of the levels
    by_name : what the groups speak of; empty for everyone together
    conf_level, conf_type : pointwise interval
    alive_at : curves are S(t | event-free at ``alive_at``), in the outcome's unit; 0 where they start at time zero
    is_conditional : they start later than time zero because too few were at risk (rule 13), not because it was asked
    variance : ``greenwood``, or ``infinitesimal jackknife`` over the rows that share a value of ``cluster``
    """

    outcome: TimeToEvent
    curves: tuple[Curve, ...]
    by_name: str
    conf_level: float
    conf_type: ConfType
    alive_at: float
    is_conditional: bool
    variance: Variance
    cluster: str | None

    def tidy(self, *, unit: TimeUnit | None = None) -> pd.DataFrame:
        """One row per group and distinct time at which someone leaves or, under late entry, comes.

        Parameters
        ----------
        unit : unit of ``time``; None for the outcome's own

        Returns
        -------
        frame : ``label, strata, time, n_risk, n_event, n_censor, estimate, std_error, conf_low, conf_high``, and ``n``:
            cases behind the curve (patients, unless groups may change back). Where weights are fractions these count
            rows, and ``weight_at_risk, weight_event`` hold the weighted numbers. The standard error is on the scale of
            S(t); limits are NaN where S(t) is 0 or, unless plain or log, 1. ``n_risk`` of the next row is who is at
            risk at any time between two rows.
        """
        scale = self._scale(unit)
        limits = [self._limits(curve) for curve in self.curves]
        shown = [list_times(curve.time, curve.entries, curve.start) for curve in self.curves]
        both = list(zip(self.curves, shown, strict=True))
        size = [len(own.time) for own in shown]
        columns: dict[str, Any] = {
            "label": self.outcome.label,
            "strata": np.repeat(np.array([curve.strata for curve in self.curves], object), size),
            "time": np.concatenate([own.time for own in shown]) * scale,
            "n_risk": whole_numbers(np.concatenate([_at_risk(curve, own) for curve, own in both])),
            "n_event": whole_numbers(np.concatenate([own.count(curve.n_event) for curve, own in both])),
            "n_censor": whole_numbers(np.concatenate([own.count(curve.n_censor) for curve, own in both])),
            "estimate": np.concatenate([own.hold(curve.estimate, 1.0) for curve, own in both]),
            "std_error": np.concatenate([own.hold(curve.std_error, 0.0) for curve, own in both]),
            "conf_low": np.concatenate([own.hold(low, np.nan) for own, (low, _) in zip(shown, limits, strict=True)]),
            "conf_high": np.concatenate([own.hold(high, np.nan) for own, (_, high) in zip(shown, limits, strict=True)]),
            "n": whole_numbers(np.repeat([curve.exit_counts[-1] for curve in self.curves], size)),
        }
        if any(curve.weight_at_risk is not curve.n_risk for curve in self.curves):
            columns["weight_at_risk"] = np.concatenate(
                [np.where(own.is_step, own.hold(curve.weight_at_risk, 0.0), np.nan) for curve, own in both]
            )
            columns["weight_event"] = np.concatenate([own.count(curve.weight_event) for curve, own in both])
        frame = pd.DataFrame(columns)  # in the contract's order already: order_columns would copy a million rows
        frame.attrs = {"time_unit": unit or self.outcome.time_unit, "time_zero": self.outcome.time_zero}
        return frame

    def at(self, times: Sequence[float]) -> pd.DataFrame:
        """Return survival and cumulative hazard at given times, in the outcome's unit.

        Returns
        -------
        frame : one row per group × time; ``n_risk`` when someone next leaves, at the time or later (as R's
            ``summary.survfit``; ``n_at_risk`` counts at the time itself, fewer under late entry), with
            ``weight_at_risk`` beside it where weights are fractions; cumulative ``n_event``, ``estimate`` to
            ``conf_high`` as in ``tidy``, Nelson-Aalen ``cumulative_hazard`` and its ``cumulative_hazard_se``. After
            the last observed time nothing is known and the estimates are NaN, unless S(t) has reached 0.
        """
        when = np.asarray(times, float)
        frames = []
        for curve in self.curves:
            steps = read_steps(curve, when)
            low, high = confidence_limits(steps["estimate"], steps["log_variance"], self.conf_level, self.conf_type)
            untouched = when < curve.time[0]
            steps |= {"conf_low": np.where(untouched, 1.0, low), "conf_high": np.where(untouched, 1.0, high)}
            del steps["log_variance"]
            leaving = np.searchsorted(curve.time, when)
            steps["n_risk"] = np.concatenate([curve.n_risk, [0.0]])[leaving]
            if curve.weight_at_risk is not curve.n_risk:
                steps["weight_at_risk"] = np.concatenate([curve.weight_at_risk, [0.0]])[leaving]
            frames.append(pd.DataFrame({"label": self.outcome.label, "strata": curve.strata, "time": when, **steps}))
        return order_columns(pd.concat(frames, ignore_index=True))

    def quantiles(self, probs: Sequence[float] = (0.25, 0.5, 0.75), *, unit: TimeUnit | None = None) -> pd.DataFrame:
        """Return the times by which a share ``p`` has had the event, in ``unit`` (None: the outcome's own).

        Where S(t) equals 1 − p over a flat step, R's midpoint of the step (R survival, ``quantile.survfit``). NaN
        where the curve, or a limit, never comes so low. Under late entry limits may rise again, and those of a
        quantile, read off as R does, then leave the estimate out.

        Returns
        -------
        frame : ``label, strata, estimate, conf_low, conf_high, probability``, and ``n`` as in ``tidy``

        Raises
        ------
        OutcomeError : a share that is none
        """
        broken = int(np.sum([not 0 <= p <= 1 for p in probs]))
        if broken:
            raise OutcomeError(
                f"{broken} of {len(probs)} numbers are no share of patients", "A share lies between 0 and 1",
                "Write probs=[0.5] for the median",
            )  # fmt: skip
        scale = self._scale(unit)
        rows = [
            {"label": self.outcome.label, "strata": curve.strata, "probability": p, "n": curve.exit_counts[-1],
             "estimate": curve.quantile(curve.estimate, p) * scale, "conf_low": curve.quantile(low, p) * scale,
             "conf_high": curve.quantile(high, p) * scale}
            for curve, low, high in ((c, *self._limits(c)) for c in self.curves)
            for p in probs
        ]  # fmt: skip
        frame = order_columns(pd.DataFrame(rows))
        frame.attrs = {"time_unit": unit or self.outcome.time_unit}
        return frame

    def n_at_risk(self, times: Sequence[float]) -> pd.DataFrame:
        """Return how many are at risk at given times (for a risk table): ``label, strata, time, n_risk, n_event``.

        ``n_event`` is cumulative. At the start of the curve those are counted who are followed from then on.
        """
        when = np.asarray(times, float)
        frames = [
            pd.DataFrame({
                "label": self.outcome.label, "strata": curve.strata, "time": when,
                "n_risk": curve.at_risk(when, origin=self.alive_at), "n_event": read_steps(curve, when)["n_event"],
            })
            for curve in self.curves
        ]  # fmt: skip
        return order_columns(pd.concat(frames, ignore_index=True))

    def glance(self) -> dict[str, Any]:
        """Facts about the whole estimate."""
        return {
            "n": sum(curve.n for curve in self.curves),
            "n_patients": self.outcome.n_patients,
            "n_event": sum(int(curve.n_event.sum()) for curve in self.curves),
            "by": self.by_name,
            "design": name_design(self.outcome.design),
            "time_zero": self.outcome.time_zero,
            "time_unit": self.outcome.time_unit,
            "conf_level": self.conf_level,
            "conf_type": self.conf_type,
            "variance": self.variance,
            "cluster": self.cluster,
            "alive_at": self.alive_at,
            "n_half_day": self.outcome.n_half_day,
            "not_estimable": None,
        }

    def describe(self) -> str:
        """Sentences for a caption."""
        name = name_curve(self.outcome.design, self.by_name)
        parts = [
            f"{self.outcome.label}: {name} estimate, pointwise {self.conf_level:.0%} limits "
            f"({self.conf_type} scale{self._how_robust()}); time since {self.outcome.time_zero}."
        ]
        if self.alive_at > 0:
            why = f"Entry is late and fewer than {LEAST_AT_RISK} were at risk early: t" if self.is_conditional else "T"
            since = in_quarters(self.alive_at, self.outcome.time_unit)
            parts.append(f"{why}he curves are conditional on being event-free at {since}.")
        if self.outcome.n_half_day:
            parts.append("Follow-up that ends on its first day counts half a day.")
        if self.by_name:
            parts += [f"Groups: {self.by_name} ({name_design(self.outcome.design)}).", caution(self.outcome.design)]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves for the analyst's screen."""
        from aih_outcomes.figures.curves import draw_survival

        unit: TimeUnit = "years" if self.outcome.time_unit == "days" else self.outcome.time_unit
        return draw_survival(self.tidy(unit=unit), ax=ax, unit_label=unit)

    def _scale(self, unit: TimeUnit | None) -> float:
        refuse_unknown_choice("unit", unit, (None, *DAYS_PER_UNIT))
        return DAYS_PER_UNIT[self.outcome.time_unit] / DAYS_PER_UNIT[unit or self.outcome.time_unit]

    def _how_robust(self) -> str:
        return "" if self.variance == "greenwood" else f", {VARIANCES[self.variance]}"

    def _limits(self, curve: Curve) -> tuple[Vector, Vector]:
        return confidence_limits(curve.estimate, curve.log_variance, self.conf_level, self.conf_type)


def estimate_survival(
    outcome: TimeToEvent,
    *,
    by: Groups | str | None = None,
    conf_level: float = 0.95,
    conf_type: ConfType = "log-log",
    from_day: float | None = None,
    variance: Variance | None = None,
    cluster: str | None = None,
) -> KaplanMeier:
    """Estimate S(t) for right-censored, possibly late-entry, follow-up.

    At risk at t are spells with entry < t <= exit; any event of the outcome counts.

    Parameters
    ----------
    outcome : spells (entry, exit]; weights that are all whole numbers are case counts, others case weights
    by : groups known at entry (guarded), a covariate, or None
    from_day : estimate S(t | event-free at ``from_day``), in the outcome's unit. None: 0, except where entry is late
        and an event falls where fewer than 5 were at risk early; then the first time from which 5 are at risk in
        every group, stated in ``glance()`` and ``describe()``
    variance : None for Greenwood's where weights are case counts and no cluster is named, else the infinitesimal
        jackknife, which holds for any weights
    cluster : ``patient_id`` or a covariate: rows that belong together; with the jackknife, None is ``patient_id``

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : no TimeToEvent, no rows, nobody followed after ``from_day``, a cluster with Greenwood's variance,
        an unknown scale or variance

    Notes
    -----
    Kaplan & Meier, JASA 1958;53:457. Limits: Borgan & Liestøl, Scand J Stat 1990;17:35. Conventions of R's survfit.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"time": [1, 2, 2, 3], "dead": [1, 1, 0, 1]})
    >>> outcome = TimeToEvent.from_frame(frame, exit="time", event="dead")
    >>> estimate_survival(outcome).tidy()["estimate"].tolist()
    [0.75, 0.5, 0.0]
    """
    require_time_to_event(outcome)
    refuse_no_level(conf_level)
    refuse_unknown_choice("conf_type", conf_type, CONF_TYPES)
    refuse_unknown_choice("variance", variance, (None, *VARIANCES))
    refuse_nobody(outcome)
    fractions = has_fractions(outcome)
    if variance == "greenwood" and cluster:
        raise OutcomeError(
            f"Greenwood's variance is asked for with clusters of {cluster!r}",
            "It takes every row for a patient of its own",
            "Leave variance out, or write variance='infinitesimal jackknife'",
        )
    variance = variance or ("infinitesimal jackknife" if fractions or cluster else "greenwood")
    rows = read_rows(outcome, by)
    if variance != "greenwood":
        cluster = cluster or PATIENT
        codes = number_clusters(outcome, cluster)
        rows = replace(rows, cluster=codes[outcome.weight > 0])
    curves, start = estimate_group_curves(rows, from_day, LEAST_AT_RISK, count_rows=fractions)
    conditional = from_day is None and start > 0
    return KaplanMeier(outcome, curves, name_groups(by), conf_level, conf_type, start, conditional, variance, cluster)


def estimate_follow_up(
    outcome: TimeToEvent, *, by: Groups | str | None = None, conf_level: float = 0.95, conf_type: ConfType = "log-log"
) -> KaplanMeier:
    """Estimate how long patients were followed: Kaplan-Meier with events and censorings exchanged.

    The median follow-up is ``estimate_follow_up(outcome).quantiles([0.5])`` (Schemper & Smith, Control Clin Trials
    1996;17:343). Follow-up ends where a patient's last spell ends without an event; every event, competing ones
    included, censors it. Parameters and errors as in ``estimate_survival``.
    """
    require_time_to_event(outcome)
    ends = (outcome.frame["event"] == CENSORED).to_numpy(bool) & are_last(outcome)
    event = pd.Categorical(np.where(ends, END, CENSORED), categories=[CENSORED, END])
    swapped = outcome.with_rows(outcome.frame.assign(event=event), label=f"{END} for {outcome.label}", competing=())
    return estimate_survival(swapped, by=by, conf_level=conf_level, conf_type=conf_type)


def _at_risk(curve: Curve, shown: ShownTimes) -> Vector:
    """Return who is at risk at each time shown, those who come at the start among them."""
    return curve.n_risk if shown.time is curve.time else curve.at_risk(shown.time, origin=curve.start)


def whole_numbers(values: Vector) -> pd.api.extensions.ExtensionArray:
    """Return counts as nullable integers, without the search for fractions that pandas would make."""
    return pd.array(np.rint(values).astype(np.int64), dtype="Int64")


def name_groups(by: Groups | str | None) -> str:
    """Return what the groups speak of."""
    return by.name if isinstance(by, Groups) else (by or "")


def in_quarters(time: float, unit: str) -> str:
    """Write a time rounded up to whole quarters of a year: the exact one is a single patient's."""
    quarters = np.ceil(time * DAYS_PER_UNIT[unit] / DAYS_PER_UNIT["years"] * 4 - 1e-9)
    return f"about {quarters / 4:g} years"
