"""Rates of an event that may happen again and again: the Andersen-Gill model and its relatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.guard import check_known_at_entry, memberships
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.result import CoxFit, Missing, Ties
from aih_outcomes.models.survival.designs.design import caution, in_a_list, name_design
from aih_outcomes.models.survival.recurrent.mean_curve import require_recurrent
from aih_outcomes.outcomes import Groups, RecurrentEvents, TimeToEvent, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Clock = Literal["calendar", "gap"]

EVENT_NUMBER = "event_number"
CLOCKS: dict[str, str] = {
    "calendar": "time since {time_zero}",
    "gap": "time since the patient came to be at risk, again after each event",
}


@dataclass(frozen=True, slots=True, eq=False)
class RecurrentFit:
    """A model of the rate of a recurrent event among those alive and at risk.

    Attributes
    ----------
    outcome : what was followed
    cox : the fit on spells at risk, variance robust by patient
    scale : ``calendar`` or ``gap`` time
    strata : covariate with a baseline rate per level, or ``event_number``
    """

    outcome: RecurrentEvents
    cox: CoxFit
    scale: Clock
    strata: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per term, as of a Cox model: ``hazard_ratio`` is a ratio of rates, ``n`` counts patients."""
        return self.cox.tidy()

    def glance(self) -> dict[str, Any]:
        """Facts about the whole fit: the Cox model's, and events per patient and terminal events."""
        facts = self.cox.glance()
        return facts | {
            "scale": self.scale,
            "strata": self.strata,
            "events_per_patient": facts["n_event"] / max(facts["n_patients"], 1),
            "n_terminal": int(self.outcome.ends.sum()),
            "terminal": self.outcome.terminal,
        }

    def describe(self) -> str:
        """Sentences for a caption."""
        outcome, cox = self.outcome, self.cox
        model = "Andersen-Gill" if self.strata != EVENT_NUMBER else "Prentice-Williams-Peterson"
        by_number = ", a baseline rate for each event number" if self.strata == EVENT_NUMBER else ""
        clock = CLOCKS[self.scale].format(time_zero=outcome.time_zero)
        ended = in_a_list(outcome.terminal) if outcome.terminal else ""
        parts = [
            f"{model} model of {outcome.label} ({cox.ties.capitalize()} ties, robust standard errors by patient"
            f"{by_number}); {clock}.",
            "Ratios of rates while at risk."
            if not ended
            else f"Ratios of rates among those alive: after {ended} nothing counts, so that a ratio is not one of the "
            "numbers of events in a lifetime.",
            f"Groups: {cox.by_name} ({name_design(outcome.design)})." if cox.by_name else "",
            "Patients with missing covariates were left out." if cox.n_missing else "",
            f"Not estimable: {cox.not_estimable}." if cox.not_estimable else cox.describe_size(),
            caution(outcome.design),
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the ratios as a forest for the analyst's screen."""
        return self.cox.plot(ax=ax)


def fit_recurrent(
    outcome: RecurrentEvents,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    scale: Clock = "calendar",
    strata: str | None = None,
    ties: Ties | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> RecurrentFit:
    """Fit a model of the rate of a recurrent event; only spells at risk count, and terminal events censor.

    Parameters
    ----------
    outcome : spells under observation
    by : groups known when a patient first comes to be at risk (guarded), or a covariate; its first level is the
        reference
    covariates : terms as in ``fit_cox``
    scale : ``calendar``: time since time zero (Andersen & Gill); ``gap``: the clock restarts when a patient comes to
        be at risk, so after each event; spells that follow each other without an event go on
    strata : covariate with a baseline rate per level; ``event_number`` for the conditional model of Prentice, Williams
        & Peterson, in which who waits for the second event is compared with others who do
    missing : as in ``fit_cox``

    Raises
    ------
    ImmortalTimeError : groups became known after a patient came to be at risk
    OutcomeError : no recurrent events; see ``fit_cox``

    Notes
    -----
    Andersen & Gill, Ann Stat 1982;10:1100; Prentice, Williams & Peterson, Biometrika 1981;68:373; robust variance: Lin,
    Wei, Yang & Ying, J R Stat Soc B 2000;62:711. Same as R's ``coxph(Surv(start, stop, event) ~ ..., cluster = id)``.

    Examples
    --------
    >>> frame = pd.DataFrame({"id": [1, 1, 2, 3, 3, 4], "start": [0, 3, 0, 0, 4, 0], "stop": [3, 8, 7, 4, 6, 5]})
    >>> frame = frame.assign(flare=[1, 0, 1, 1, 1, 0], arm=["a", "a", "a", "b", "b", "b"])
    >>> outcome = RecurrentEvents.from_frame(
    ...     frame, patient_id="id", entry="start", exit="stop", event="flare", covariates=["arm"]
    ... )
    >>> fit_recurrent(outcome, by="arm").glance()["events_per_patient"]
    1.0
    """
    require_recurrent(outcome)
    refuse_unknown_choice("scale", scale, CLOCKS)
    spells = to_risk_spells(outcome)
    if scale == "gap":
        by = _on_gap_clock(spells, by) if isinstance(by, Groups) else by
        spells = to_risk_spells(outcome, scale=scale)
    cox = fit_cox(
        spells, by=by, covariates=covariates, cluster="patient_id", strata=strata,
        ties=ties, missing=missing, conf_level=conf_level,
    )  # fmt: skip
    return RecurrentFit(outcome, cox, scale, strata)


def to_risk_spells(outcome: RecurrentEvents, *, scale: Clock = "calendar") -> TimeToEvent:
    """Return the spells at risk as an outcome for hazards, with the covariate ``event_number``."""
    spells = outcome.to_spells().cause_specific()
    number = [str(n) for n in outcome.number_of_event()]
    rows = spells.frame.assign(**{EVENT_NUMBER: pd.Categorical(number, categories=sorted(set(number), key=int))})
    spells = spells.with_rows(rows[outcome.at_risk], covariates=(*outcome.covariates, EVENT_NUMBER))
    if scale == "calendar":
        return spells
    origin = _clock_starts(spells)
    moved = spells.frame.assign(entry=spells.entry - origin, exit=spells.exit - origin)
    return spells.with_rows(moved)


def _on_gap_clock(spells: TimeToEvent, groups: Groups) -> Groups:
    """Return groups known before anyone came to be at risk as known from the beginning of every gap.

    Raises
    ------
    ImmortalTimeError : they were not
    """
    check_known_at_entry(spells, groups)
    last = memberships(groups).groupby("patient_id", as_index=False).last()
    return replace(groups, frame=last.assign(onset=0.0, known_at=0.0))


def _clock_starts(spells: TimeToEvent) -> Vector:
    """(n_rows,) when the clock of each spell began: a spell that merely goes on keeps that of the one before."""
    patient = np.asarray(pd.factorize(spells.frame["patient_id"])[0], np.int64)
    order = np.lexsort((spells.exit, patient))
    who, entry, exit, event = patient[order], spells.entry[order], spells.exit[order], spells.event[order]
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (who[1:] != who[:-1]) | (entry[1:] != exit[:-1]) | event[:-1]
    origin = np.empty(len(order))
    origin[order] = entry[fresh][np.cumsum(fresh) - 1]
    return origin
