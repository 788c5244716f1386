"""A Cox model for each transition of a multi-state history, on the clock that runs forward from time zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, label_rows
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.competing.cause_specific import describe_sizes, loglik_of, stack_tables
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.penalty import FIRTH, Penalty, name_penalty
from aih_outcomes.models.survival.cox.proportional_hazards import Transform, check_proportional_hazards
from aih_outcomes.models.survival.cox.result import CoxFit, Missing, Ties
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.models.survival.designs.design import caution, name_design
from aih_outcomes.models.terms.formula import list_terms
from aih_outcomes.outcomes import CENSORED, Groups, StateHistory, TimeToEvent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, eq=False)
class TransitionModels:
    """Cox models of the transitions between states, one each.

    Attributes
    ----------
    history : what was followed
    fits : the models by transition, named ``from → to``; one that is not estimable stands with its reason
    """

    history: StateHistory
    by_name: str
    fits: dict[str, CoxFit]

    def tidy(self) -> pd.DataFrame:
        """One row per transition and term.

        Returns
        -------
        frame : columns as in ``CoxFit.tidy()``: ``state`` is the transition, ``std_error`` robust by patient, beside it
            ``std_error_model``; with ``events_per_parameter, not_estimable``
        """
        parts = []
        for transition, fit in self.fits.items():
            parts.append(fit.tidy().assign(
                label=self.history.label, state=transition, events_per_parameter=fit.events_per_parameter,
                not_estimable=fit.not_estimable,
            ))  # fmt: skip
        return order_columns(stack_tables(parts))

    def glance(self) -> dict[str, Any]:
        """Sizes, transitions seen, log-likelihoods, and the reasons of the transitions that have no model.

        ``loglik_null`` and ``loglik`` add up the transitions that are estimable.
        """
        one = next(iter(self.fits.values()))
        logliks = np.array([loglik_of(fit) for fit in self.fits.values() if not fit.not_estimable]).reshape(-1, 2)
        total = logliks.sum(axis=0) if len(logliks) else np.full(2, np.nan)
        reasons = {name: fit.not_estimable for name, fit in self.fits.items() if fit.not_estimable}
        return {
            "n": len(self.history.frame), "n_patients": int(self.history.frame["patient_id"].nunique()),
            "n_event": sum(fit.n_event for fit in self.fits.values()),
            "n_event_by_transition": {name: fit.n_event for name, fit in self.fits.items()},
            "events_per_parameter": {name: fit.events_per_parameter for name, fit in self.fits.items()},
            "n_missing_excluded": {name: fit.n_missing for name, fit in self.fits.items()},
            "loglik_null": float(total[0]), "loglik": float(total[1]), "by": self.by_name,
            "design": name_design(self.history.design), "ties": one.ties, "cluster": one.cluster, "strata": one.strata,
            "penalty": name_penalty(one.penalty), "conf_level": one.conf_level,
            "not_estimable": "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or None,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        facts = self.glance()
        errors = "Firth's penalty" if facts["cluster"] is None else "robust standard errors by patient"
        parts = [
            f"Cox models of {len(self.fits)} transition(s) ({self.history.label}: {', '.join(self.fits)}; "
            f"{str(facts['ties']).capitalize()} ties, {errors}); "
            f"time since {self.history.time_zero}, whatever the time in the state.",
            f"Groups: {self.by_name} ({facts['design']})." if self.by_name else "",
            "Patients with missing covariates were left out." if any(facts["n_missing_excluded"].values()) else "",
            f"Not estimable: {facts['not_estimable']}." if facts["not_estimable"] else "",
            describe_sizes(self.fits),
            caution(self.history.design),
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratios of all transitions as a forest for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy()
        ratios = {"estimate": tidy["hazard_ratio"], "conf_low": tidy["hr_low"], "conf_high": tidy["hr_high"]}
        return draw_forest(tidy.assign(term=tidy["state"] + ", " + tidy["term"], **ratios), ax=ax)

    def check_proportional_hazards(self, *, transform: Transform = "km") -> pd.DataFrame:
        """Test for each transition whether its ratios are constant.

        Returns
        -------
        frame : ``label, term, state, statistic, df, p_value, transform``: per transition one row per term, then
            ``GLOBAL``
        """
        tests = [
            check_proportional_hazards(fit, transform=transform).tidy().assign(label=self.history.label, state=name)
            for name, fit in self.fits.items()
        ]
        return order_columns(stack_tables(tests))


def fit_transitions(
    history: StateHistory,
    *,
    covariates: Sequence[str] | str = (),
    by: Groups | str | None = None,
    strata: str | None = None,
    penalty: Penalty | None = None,
    ties: Ties | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> TransitionModels:
    """Fit a Cox model to each transition that was seen; standard errors are robust, by patient.

    Parameters
    ----------
    history : spells (entry, exit] in a state; a patient may return to a state
    covariates : terms as in ``fit_cox``, the same for every transition
    by : groups known at entry (guarded) or a covariate read as categories; its first level is the reference
    strata : covariate with a baseline hazard per level in each transition
    penalty : as in ``fit_cox``; with ``"firth"`` intervals are those of the profile likelihood, not robust
    missing : what to do with spells without a value: refuse, or exclude and count them in ``glance()``

    Returns
    -------
    fit : a transition whose ratios the data do not determine is "not estimable" alone; the others stand

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : nobody moves; no state history; else as in ``fit_cox``

    Notes
    -----
    At risk of a transition is who is in its first state; other ways out censor. Andersen & Keiding, Stat Methods Med
    Res 2002;11:91; the same figures as a multi-state ``coxph`` of R survival.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {
    ...         "id": [1, 2, 3, 4, 4],
    ...         "start": [0, 0, 0, 0, 2],
    ...         "stop": [3, 4, 5, 2, 6],
    ...         "x": [1.0, 0.0, 1.0, 0.5, 0.5],
    ...         "state": ["well", "well", "well", "well", "ill"],
    ...         "to": ["dead", "dead", "censored", "ill", "dead"],
    ...     }
    ... )
    >>> history = StateHistory.from_frame(
    ...     frame, patient_id="id", entry="start", exit="stop", from_state="state", to_state="to", covariates=["x"]
    ... )
    >>> list(fit_transitions(history, covariates=["x"]).fits)
    ['ill → dead', 'well → dead', 'well → ill']
    """
    refuse_no_level(conf_level)
    if not isinstance(history, StateHistory):
        raise OutcomeError(
            f"{type(history).__name__} is no StateHistory", "Transitions lead from one state to another",
            "Use StateHistory.from_frame(...), or fit_cox(...) and fit_cause_specific(...) for times to an event",
        )  # fmt: skip
    frame = history.frame if by is None else label_rows(history, by)
    seen = frame.loc[frame["to_state"] != CENSORED, ["from_state", "to_state"]].drop_duplicates()
    order = {state: place for place, state in enumerate(history.states)}
    pairs = sorted(seen.itertuples(index=False, name=None), key=lambda pair: (order[pair[0]], order[pair[1]]))
    if not pairs:
        raise OutcomeError(
            f"Nobody of {history.label!r} changes state", "A transition is modelled where it was seen",
            "Follow patients for longer, or merge states",
        )  # fmt: skip
    group = None if by is None else GROUP
    names = list_terms(covariates)
    fits = {}
    for origin, target in pairs:
        rows = _follow_transition(history, frame, by, origin, target)
        fits[f"{origin} → {target}"] = fit_cox(
            rows, by=group, covariates=[term for term in names if term not in (by, group)],
            cluster=None if penalty == FIRTH else "patient_id",
            strata=strata, penalty=penalty, ties=ties, missing=missing, conf_level=conf_level,
        )  # fmt: skip
    return TransitionModels(history, name_groups(by), fits)


def _follow_transition(
    history: StateHistory, frame: pd.DataFrame, by: Groups | str | None, origin: str, target: str
) -> TimeToEvent:
    """Return the spells in one state, ending in the transition or censored."""
    spells = frame[frame["from_state"] == origin].drop(columns=["from_state", "to_state"]).reset_index(drop=True)
    moved = (frame.loc[frame["from_state"] == origin, "to_state"] == target).to_numpy()
    name = f"{origin} → {target}"
    event = pd.Categorical(np.where(moved, name, CENSORED), categories=[CENSORED, name])
    covariates = history.covariates if by is None else tuple(dict.fromkeys([*history.covariates, GROUP]))
    return TimeToEvent(
        spells.assign(event=event), name, history.time_zero, history.time_unit, history.design, covariates
    )
