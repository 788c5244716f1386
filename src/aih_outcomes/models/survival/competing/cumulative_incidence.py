"""Cumulative incidence of every cause at once, with the event-free: at each time they sum to 1."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_number, refuse_unknown_choice
from aih_outcomes.models.guard import GROUP, declared_column, label_rows, require_time_to_event
from aih_outcomes.models.result import refuse_no_level
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.models.survival.designs.design import refuse_reversible
from aih_outcomes.models.survival.states.aalen_johansen import incidence_variances
from aih_outcomes.models.survival.states.spells import STAYS, Codes, Spells, arrange, find_common_start
from aih_outcomes.models.survival.states.state_curve import StateCurve, estimate_state_curve, share_risk
from aih_outcomes.models.survival.states.state_curves import ConfType, StateCurves, refuse_no_conf_type
from aih_outcomes.models.survival.states.state_occupation import read_cluster
from aih_outcomes.outcomes import CENSORED, Groups, TimeToEvent, TimeUnit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IncidenceVariance = Literal["infinitesimal jackknife", "aalen"]

EVENT_FREE = "event-free"


@dataclass(frozen=True, slots=True, eq=False)
class CumulativeIncidence(StateCurves):
    """Risks of each cause over time, one set of curves per group; with the event-free they sum to 1 at each time.

    In ``tidy``, ``at`` and ``n_at_risk`` the numbers at risk of a cause are the event-free still followed; ``n_event``
    of the event-free are the events of any cause.

    Attributes
    ----------
    outcome : what was followed
    variance : of the pointwise intervals

    Further attributes and methods: see ``StateCurves``.
    """

    outcome: TimeToEvent
    variance: IncidenceVariance

    @property
    def causes(self) -> tuple[str, ...]:
        """Names of the events, competing ones included."""
        return self.states[1:]

    def restricted_time_lost(self, horizon: float, *, unit: TimeUnit | None = None) -> pd.DataFrame:
        """Return the mean time lost to each cause from the beginning of the curves to a horizon.

        The area under a cumulative incidence (Andersen, Stat Med 2013;32:5278). Columns and parameters as in
        ``time_in_state``, which adds the mean event-free time: they sum to the whole time.
        """
        lost = self.time_in_state(horizon, unit=unit)
        kept = lost[lost["state"] != EVENT_FREE].reset_index(drop=True)
        kept.attrs = lost.attrs
        return kept

    def glance(self) -> dict[str, Any]:
        """Facts about the whole estimate."""
        counts = np.sum([curve.n_event[:, 1:].sum(axis=0) for curve in self.curves], axis=0).astype(int)
        return StateCurves.glance(self) | {
            "n_event_by_cause": dict(zip(self.causes, counts.tolist(), strict=True)),
            "variance": self.variance,
            "n_half_day": self.outcome.n_half_day,
        }

    def describe(self) -> str:
        """Sentences for a caption."""
        parts = [
            f"{self.label}: cumulative incidence of {', '.join(self.causes) or 'no event'} (Aalen-Johansen), pointwise "
            f"{self.conf_level:.0%} limits ({self.conf_type} scale, {self.variance}); time since {self.time_zero}.",
            *self._words_for_start("conditional on being event-free"),
            "Follow-up that ends on its first day counts half a day." if self.outcome.n_half_day else "",
            *self._words_for_groups(),
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the causes of one group, or the outcome's own event by group, for the analyst's screen."""
        from aih_outcomes.figures import draw_cumulative_incidence

        unit: TimeUnit = "years" if self.time_unit == "days" else self.time_unit
        own = [name for name in self.causes if name not in self.outcome.competing]
        state = None if len(self.curves) == 1 or len(self.causes) == 1 else next(iter(own), None)
        return draw_cumulative_incidence(self.tidy(unit=unit), state=state, ax=ax, unit_label=unit)


def estimate_cumulative_incidence(
    outcome: TimeToEvent,
    *,
    by: Groups | str | None = None,
    from_day: float | None = None,
    conf_level: float = 0.95,
    conf_type: ConfType = "log",
    variance: IncidenceVariance = "infinitesimal jackknife",
    cluster: str | None = None,
) -> CumulativeIncidence:
    """Estimate the risk of every kind of event of an outcome, competing ones included, and of none.

    At risk at t are spells with entry < t <= exit of patients who have had no event. One minus Kaplan-Meier, which
    takes a competing event for a censoring, is always more than the risk.

    Parameters
    ----------
    outcome : spells (entry, exit]; several per patient where they enter late or change group
    by : groups known at entry (guarded), a covariate, or None; groups that change with time only where they stay
    from_day : risks given event-free at ``from_day``, in the outcome's unit. None: 0, except where entry is late and an
        event falls where fewer than 5 were at risk early; then the first time from which 5 are at risk in every
        group, stated in ``glance()`` and ``describe()``
    variance : ``infinitesimal jackknife`` (R's survfit; clustered by patient, any weights) or ``aalen`` (the delta
        method of ``cmprsk::cuminc``; a little larger; weights are case counts)
    cluster : covariate that names what belongs together in the jackknife; None for the patient

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : no TimeToEvent, no rows, spells after an event, nobody followed after ``from_day``, weights that are
        not case counts where the variance needs them, an unknown variance

    Notes
    -----
    Aalen & Johansen, Scand J Stat 1978;5:141; Gray, Ann Stat 1988;16:1141. Conventions of R's survfit.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"day": [1, 2, 3, 4], "end": ["death", "transplant", "censored", "death"]})
    >>> outcome = TimeToEvent.from_frame(frame, exit="day", event="end", competing=["transplant"], label="death")
    >>> risks = estimate_cumulative_incidence(outcome).at([2])
    >>> dict(zip(risks["state"], risks["estimate"].tolist()))
    {'event-free': 0.5, 'death': 0.25, 'transplant': 0.25}
    """
    require_time_to_event(outcome)
    refuse_no_level(conf_level)
    refuse_no_conf_type(conf_type)
    refuse_reversible(outcome.design, by)
    _refuse_unusable(outcome, variance, cluster)
    states, event = _read_causes(outcome)
    parts = _read_groups(outcome, by, event, cluster)
    begins = (
        find_common_start(parts.values()) if from_day is None else read_number("from_day", from_day, "from_day=365")
    )
    curves = tuple(
        _estimate_curve(strata, spells.begun_at(begins), len(states), begins, variance)
        for strata, spells in parts.items()
    )
    return CumulativeIncidence(
        outcome.label, outcome.time_zero, outcome.time_unit, outcome.design, states, curves, name_groups(by),
        conf_level, conf_type, begins, from_day is None and begins > 0, outcome, variance,
    )  # fmt: skip


def _estimate_curve(
    strata: str, spells: Spells, n_states: int, begins: float, variance: IncidenceVariance
) -> StateCurve:
    everyone = np.eye(n_states)[0]
    curve = share_risk(estimate_state_curve(strata, spells, n_states, begins, everyone, start_estimated=False))
    if variance == "aalen":
        return replace(curve, std_error=np.sqrt(incidence_variances(curve.steps, curve.occupied)))
    return curve


def _read_causes(outcome: TimeToEvent) -> tuple[tuple[str, ...], Codes]:
    """Return the states, event-free first, then each event that occurs, and (n_rows,) their codes; 0 is no event."""
    events = outcome.frame["event"].cat.remove_unused_categories()
    names = [str(name) for name in events.cat.categories if name != CENSORED]
    codes = np.asarray(pd.Categorical(events, categories=[CENSORED, *names]).codes, np.int64)
    return (EVENT_FREE, *names), codes


def _read_groups(outcome: TimeToEvent, by: Groups | str | None, event: Codes, cluster: str | None) -> dict[str, Spells]:
    """Return the arranged spells of each group that has any, in the order of the levels, checked by the guard."""
    frame = outcome.frame
    patient = pd.factorize(frame["patient_id"])[0].astype(np.int64)
    together = patient if cluster is None else read_cluster(declared_column(outcome, cluster), cluster, outcome.label)
    spells = Spells(
        outcome.entry, outcome.exit, np.zeros(len(frame), np.int64), np.where(event == 0, STAYS, event),
        outcome.weight, patient, together,
    )  # fmt: skip
    _refuse_later_spells(spells, outcome.label)
    group = label_rows(outcome, by)[GROUP].cat
    codes = group.codes.to_numpy()
    found = {
        str(level): arrange(spells.select(codes == code) if len(group.categories) > 1 else spells)
        for code, level in enumerate(group.categories)
    }
    return {level: own for level, own in found.items() if len(own.exit)}


def _refuse_later_spells(spells: Spells, label: str) -> None:
    """Refuse patients who are followed on after an event: they are no longer event-free."""
    order = np.lexsort((spells.entry, spells.patient))
    patient, moves = spells.patient[order], spells.moves[order]
    later = int(np.sum(moves[:-1] & (patient[1:] == patient[:-1])))
    if later:
        raise OutcomeError(
            f"{later} of {len(patient)} rows of {label!r} end in an event after which the patient is followed on",
            "Whoever has had an event is no longer event-free",
            "Keep each patient's first event, or follow what comes after with estimate_state_occupation(...)",
        )


def _refuse_unusable(outcome: TimeToEvent, variance: object, cluster: str | None) -> None:
    if not len(outcome.frame) or not outcome.weight.any():
        raise OutcomeError(f"{outcome.label!r} has no rows", "A curve needs someone at risk", "Check the exclusions")
    refuse_unknown_choice("variance", variance, ("infinitesimal jackknife", "aalen"))
    if variance == "aalen" and cluster is not None:
        raise OutcomeError(
            f"A variance clustered by {cluster!r} is asked of the delta method", "It takes patients for independent",
            "Use variance='infinitesimal jackknife'",
        )  # fmt: skip
    broken = int(np.sum(outcome.weight != np.round(outcome.weight)))
    if broken and variance == "aalen":
        raise OutcomeError(
            f"{broken} of {len(outcome.frame)} weights are not whole numbers",
            "The delta method takes weights for case counts",
            "Use variance='infinitesimal jackknife'",
        )
