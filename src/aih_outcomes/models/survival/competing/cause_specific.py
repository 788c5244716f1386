"""Cause-specific Cox models of all causes side by side: what moves one hazard may move the risk of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import require_time_to_event
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.competing.risk_differences import compare_risks
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.penalty import Penalty
from aih_outcomes.models.survival.cox.proportional_hazards import Transform, check_proportional_hazards
from aih_outcomes.models.survival.cox.result import FEW_EVENTS, CoxFit, Missing, Ties
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.models.survival.designs.design import caution, name_design
from aih_outcomes.outcomes import CENSORED, Groups, TimeToEvent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, eq=False)
class CauseSpecificFit:
    """One Cox model per cause, the other causes censored.

    Attributes
    ----------
    outcome : what was followed, with all its causes
    fits : the models by cause; one that is not estimable stands with its reason
    """

    outcome: TimeToEvent
    by: Groups | str | None
    fits: dict[str, CoxFit]

    def tidy(self) -> pd.DataFrame:
        """One row per cause and term.

        Returns
        -------
        frame : columns as in ``CoxFit.tidy()``, with ``state`` the cause, and ``events_per_parameter, not_estimable``
        """
        parts = []
        for cause, fit in self.fits.items():
            parts.append(fit.tidy().assign(
                label=self.outcome.label, state=cause, events_per_parameter=fit.events_per_parameter,
                not_estimable=fit.not_estimable,
            ))  # fmt: skip
        return order_columns(stack_tables(parts))

    def glance(self) -> dict[str, Any]:
        """Sizes, events and events per parameter by cause, and the reasons of the causes that have no model."""
        first = next(iter(self.fits.values())).glance()
        reasons = {cause: fit.not_estimable for cause, fit in self.fits.items() if fit.not_estimable}
        return {
            "n": first["n"], "n_patients": first["n_patients"],
            "n_event": sum(fit.n_event for fit in self.fits.values()),
            "n_event_by_cause": {cause: fit.n_event for cause, fit in self.fits.items()},
            "n_parameters": first["n_parameters"],
            "events_per_parameter": {cause: fit.events_per_parameter for cause, fit in self.fits.items()},
            "loglik": {cause: loglik_of(fit)[1] for cause, fit in self.fits.items()},
            "n_missing_excluded": first["n_missing_excluded"], "by": name_groups(self.by),
            "design": name_design(self.outcome.design), "ties": first["ties"], "cluster": first["cluster"],
            "strata": first["strata"], "penalty": first["penalty"], "conf_level": first["conf_level"],
            "not_estimable": "; ".join(f"{cause}: {reason}" for cause, reason in reasons.items()) or None,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        facts = self.glance()
        parts = [
            f"Cause-specific Cox models of {' and '.join(self.fits)} ({self.outcome.label}; "
            f"{str(facts['ties']).capitalize()} ties), the other causes censored; time since {self.outcome.time_zero}.",
            "Each ratio compares rates among those still free of every event; none of them alone gives the risk.",
            f"Groups: {facts['by']} ({facts['design']})." if facts["by"] else "",
            "Patients with missing covariates were left out." if facts["n_missing_excluded"] else "",
            f"Not estimable: {facts['not_estimable']}." if facts["not_estimable"] else "",
            describe_sizes(self.fits),
            caution(self.outcome.design),
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratios of all causes as a forest for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy()
        ratios = {"estimate": tidy["hazard_ratio"], "conf_low": tidy["hr_low"], "conf_high": tidy["hr_high"]}
        return draw_forest(tidy.assign(term=tidy["state"] + ", " + tidy["term"], **ratios), ax=ax)

    def check_proportional_hazards(self, *, transform: Transform = "km") -> pd.DataFrame:
        """Test for each cause whether its ratios are constant.

        Returns
        -------
        frame : ``label, term, state, statistic, df, p_value, transform``: per cause one row per term, then ``GLOBAL``
        """
        tests = [
            check_proportional_hazards(fit, transform=transform).tidy().assign(label=self.outcome.label, state=cause)
            for cause, fit in self.fits.items()
        ]
        return order_columns(stack_tables(tests))

    def compare_risks(self, *, horizon: float | None = None) -> pd.DataFrame:
        """Compare the groups' risk of each cause, and the time lost to it: the absolute beside the relative.

        Parameters, columns and errors as in ``risk_differences.compare_risks``: one row per group but the first, cause
        and measure, with ``not_estimable`` where a group has fewer than 5 at risk at the horizon.
        """
        one = next(iter(self.fits.values()))
        return compare_risks(self.outcome, self.by, list(self.fits), horizon, one.conf_level)


def fit_cause_specific(
    outcome: TimeToEvent,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    cluster: Literal["patient_id"] | None = None,
    strata: str | None = None,
    penalty: Penalty | None = None,
    ties: Ties | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> CauseSpecificFit:
    """Fit a Cox model for every cause, competing ones included, with the same terms.

    Parameters
    ----------
    outcome : spells (entry, exit] that end in one of several events
    by, covariates, cluster, strata, penalty, ties, missing : as in ``fit_cox``

    Returns
    -------
    fit : a cause whose ratios the data do not determine is "not estimable" alone; the others stand

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : the outcome has no event at all; else as in ``fit_cox``

    Notes
    -----
    Prentice et al., Biometrics 1978;34:541; all causes together: Latouche et al., J Clin Epidemiol 2013;66:648.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {
    ...         "t": [1, 2, 3, 4, 5, 6],
    ...         "x": [1.0, 0.0, 1.0, 0.0, 1.0, 0.0],
    ...         "end": ["flare", "death", "flare", "flare", "censored", "death"],
    ...     }
    ... )
    >>> outcome = TimeToEvent.from_frame(frame, exit="t", event="end", covariates=["x"], competing=["death"])
    >>> fit_cause_specific(outcome, covariates=["x"]).tidy()["state"].tolist()
    ['death', 'flare']
    """
    require_time_to_event(outcome)
    causes = [str(level) for level in outcome.frame["event"].cat.categories if level != CENSORED]
    if not causes:
        raise OutcomeError(
            f"{outcome.label!r} has no event", "Cause-specific models need causes", "Follow patients for longer"
        )
    fits = {
        cause: fit_cox(
            follow_cause(outcome, cause), by=by, covariates=covariates, cluster=cluster, strata=strata,
            penalty=penalty, ties=ties, missing=missing, conf_level=conf_level,
        )
        for cause in causes
    }  # fmt: skip
    return CauseSpecificFit(outcome, by, fits)


def follow_cause(outcome: TimeToEvent, cause: str) -> TimeToEvent:
    """Return the outcome with every other cause censored, named after the cause: for its hazard, not for its risk."""
    event = outcome.frame["event"].cat.set_categories([CENSORED, cause]).fillna(CENSORED)
    return replace(outcome, frame=outcome.frame.assign(event=event), label=cause, competing=())


def loglik_of(fit: CoxFit) -> tuple[float, float]:
    """Return the log partial likelihood at 0 and at the optimum; NaN where not estimable."""
    return (fit.optimum.loglik_null, fit.optimum.loglik) if fit.optimum is not None else (float("nan"), float("nan"))


def describe_sizes(fits: dict[str, CoxFit]) -> str:
    """Name the models with few events per parameter, and what lessens their bias."""
    few = [name for name, fit in fits.items() if not fit.not_estimable and fit.events_per_parameter < FEW_EVENTS]
    if not few:
        return ""
    way_out = "" if any(fit.penalty for fit in fits.values()) else '; penalty="firth" lessens it'
    return f"Fewer than {FEW_EVENTS} events per parameter in {', '.join(few)}: ratios tend to be too extreme{way_out}."


def stack_tables(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Put frames below each other; a column may be empty in one of them."""
    stacked = pd.concat([part.dropna(axis=1, how="all") for part in parts], ignore_index=True)
    stacked = stacked.reindex(columns=parts[0].columns)
    counts = [name for name in ("n_reference", "n_event_reference") if name in stacked]
    return stacked.astype(dict.fromkeys(counts, "Int64"))
