"""Follow-up split at stated times, so that a hazard ratio may differ between early and late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import chi2

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, join_groups, require_time_to_event
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.penalty import Penalty
from aih_outcomes.models.survival.cox.result import CoxFit, Missing, Ties
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.models.survival.designs.design import BIASED, caution, name_design
from aih_outcomes.models.terms.formula import list_terms
from aih_outcomes.outcomes import CENSORED, Groups, TimeToEvent, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PERIOD = "period"


@dataclass(frozen=True, slots=True, eq=False)
class PeriodFit:
    """Hazard ratios of groups by period of follow-up, other covariates constant.

    Attributes
    ----------
    fit : the Cox model of the split follow-up; ``constant`` : the same with one ratio for all periods
    cells : ``term, level, reference, period, n_event, n_event_reference``, and ``column``, the fit's term
    """

    fit: CoxFit
    constant: CoxFit
    by_name: str
    cells: pd.DataFrame
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per level and period, in that order.

        Returns
        -------
        frame : ``label, term, n_event, estimate, std_error, conf_low, conf_high, statistic, p_value`` on the log scale,
            ``hazard_ratio, hr_low, hr_high, period, reference, n_event_reference``; the events are those of the level,
            and of its reference, in the period. NaN where a period has no events.
        """
        values = ["estimate", "std_error", "conf_low", "conf_high", "statistic", "p_value", "hazard_ratio", "hr_low",
                  "hr_high"]  # fmt: skip
        found = self.fit.tidy().set_index("term")[values].reindex(self.cells["column"]).reset_index(drop=True)
        design = self.fit.outcome.design
        found = found.assign(design=name_design(design), biased=design.startswith(BIASED))
        shown = self.cells.drop(columns=["column", "level"])
        frame = pd.concat([shown, found], axis=1).assign(label=self.fit.outcome.label)
        return order_columns(frame.astype({"n_event_reference": "Int64"}))

    def glance(self) -> dict[str, Any]:
        """Facts about the fit, and the likelihood-ratio test of one ratio for all periods (no penalty)."""
        gain, df = float("nan"), len(self.fit.design.terms) - len(self.constant.design.terms)
        if self.fit.optimum is not None and self.constant.optimum is not None and self.fit.penalty is None:
            gain = 2 * (self.fit.optimum.loglik - self.constant.optimum.loglik)
        p_value = float(chi2.sf(gain, df)) if df else float("nan")
        test = {"lr_constant": gain, "lr_constant_df": df, "lr_constant_p_value": p_value}
        return self.fit.glance() | {"by": self.by_name, **test, "not_estimable": self.not_estimable}

    def describe(self) -> str:
        """Sentences for a caption."""
        if self.not_estimable:
            return f"Hazard ratios by period not estimable: {self.not_estimable}."
        outcome = self.fit.outcome
        text = (
            f"Hazard ratios of {outcome.label} by period of follow-up ({self.by_name}; Cox model, "
            f"{self.fit.ties.capitalize()} ties); time since {outcome.time_zero}. Later periods compare those who came "
            "so far without the event."
        )
        return f"{text} {caution(outcome.design)}".strip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratios as a forest for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy()
        ratios = {"estimate": tidy["hazard_ratio"], "conf_low": tidy["hr_low"], "conf_high": tidy["hr_high"]}
        return draw_forest(tidy.assign(**ratios, term=tidy["term"] + ", " + tidy["period"]), ax=ax)


def split_follow_up(outcome: TimeToEvent, *, at: Sequence[float]) -> TimeToEvent:
    """Split each spell at given times; a covariate ``period`` says in which interval a piece lies.

    Parameters
    ----------
    outcome : spells (entry, exit]
    at : times at which to split, in the outcome's unit; an event at such a time belongs to the earlier period

    Returns
    -------
    outcome : the same follow-up in more rows: any fit without ``period`` stays the same. ``period`` is a category in
        the order of time.

    Raises
    ------
    OutcomeError : no TimeToEvent; no times, or times that are not distinct finite numbers above 0; the outcome has a
        period already

    Examples
    --------
    >>> frame = pd.DataFrame({"t": [200, 500], "dead": [1, 0]})
    >>> split = split_follow_up(TimeToEvent.from_frame(frame, exit="t", event="dead", label="death"), at=[365])
    >>> split.frame[["entry", "exit", "event", "period"]].values.tolist()
    [[0.0, 200.0, 'death', '0 to 365 days'], [0.0, 365.0, 'censored', '0 to 365 days'],
     [365.0, 500.0, 'censored', 'over 365 days']]
    """
    require_time_to_event(outcome)
    cuts = _read_cuts(outcome, at)
    entry, exit = outcome.entry, outcome.exit
    low, high = np.searchsorted(cuts, entry, "right"), np.searchsorted(cuts, exit, "left")
    pieces = high - low + 1
    row = np.repeat(np.arange(len(entry)), pieces)
    place = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    period = low[row] + place
    edges = np.concatenate([[-np.inf], cuts, [np.inf]])
    frame = outcome.frame.iloc[row].reset_index(drop=True)
    ends = place == pieces[row] - 1
    frame["entry"] = np.maximum(entry[row], edges[period])
    frame["exit"] = np.minimum(exit[row], edges[period + 1])
    frame["event"] = frame["event"].where(ends, CENSORED)
    frame[PERIOD] = pd.Categorical.from_codes(period, categories=pd.Index(_names(cuts, outcome.time_unit)))
    return outcome.with_rows(frame, covariates=(*outcome.covariates, PERIOD))


def fit_by_period(
    outcome: TimeToEvent,
    *,
    at: Sequence[float],
    by: Groups | str,
    covariates: Sequence[str] | str = (),
    cluster: Literal["patient_id"] | None = None,
    strata: str | None = None,
    penalty: Penalty | None = None,
    ties: Ties | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> PeriodFit:
    """Fit hazard ratios of groups that may differ between periods of follow-up.

    Parameters
    ----------
    at : times at which the ratio may change, in the outcome's unit; better stated before the data are seen
    by : groups known at entry (guarded), or a covariate read as categories; its first level is the reference
    covariates : other terms, as in ``fit_cox``, with one coefficient for all periods
    cluster, strata, penalty, ties, missing, conf_level : as in ``fit_cox``

    Returns
    -------
    result : a period without events is NaN; a group without events in a period makes the fit not estimable

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : see ``split_follow_up`` and ``fit_cox``

    Notes
    -----
    Therneau & Grambsch, Modeling Survival Data, 2000, 6.5 (R: ``survSplit``, then ``group:strata(period)``).

    Examples
    --------
    >>> frame = pd.DataFrame({"t": range(1, 41), "dead": 1, "drug": ["a", "b", "b", "a", "a", "b"] * 6 + list("abab")})
    >>> outcome = TimeToEvent.from_frame(frame, exit="t", event="dead", covariates=["drug"])
    >>> fit_by_period(outcome, at=[20], by="drug").tidy()[["period", "n_event"]].values.tolist()
    [['0 to 20 days', 10], ['over 20 days', 10]]
    """
    require_time_to_event(outcome)
    grouped = outcome.with_rows(join_groups(outcome, by), covariates=tuple(dict.fromkeys((*outcome.covariates, GROUP))))
    split = split_follow_up(grouped, at=at)
    cells = _cells(split.frame)
    estimable = cells[cells["column"].notna()]
    ends = split.frame
    columns = {
        row["column"]: ((ends[GROUP] == row["level"]) & (ends[PERIOD] == row["period"])).to_numpy(float)
        for row in estimable.to_dict("records")
    }
    own = split.with_rows(ends.assign(**columns), covariates=(*split.covariates, *columns))
    others = [name for name in list_terms(covariates) if name not in (by, GROUP)]
    how: dict[str, Any] = {
        "cluster": cluster, "strata": strata, "penalty": penalty, "ties": ties, "missing": missing,
        "conf_level": conf_level,
    }  # fmt: skip
    constant = fit_cox(split, by=GROUP, covariates=others, **how)
    fit = fit_cox(own, covariates=[*columns, *others], **how) if columns else constant
    return PeriodFit(fit, constant, name_groups(by), cells, fit.not_estimable)


def _cells(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per level and period; ``column`` is missing where the period has no events."""
    levels, periods = ([str(name) for name in frame[column].cat.categories] for column in (GROUP, PERIOD))
    events = frame[frame["event"] != CENSORED]
    cell = events[GROUP].cat.codes.to_numpy(np.int64) * len(periods) + events[PERIOD].cat.codes.to_numpy(np.int64)
    counts = np.bincount(cell, minlength=len(levels) * len(periods)).reshape(len(levels), len(periods))
    rows = []
    for level, own in zip(levels[1:], counts[1:], strict=True):
        term = f"{GROUP}: {level} (ref. {levels[0]})"
        rows += [
            {"term": term, "level": level, "reference": levels[0], "period": period,
             "n_event": int(own[k]), "n_event_reference": int(counts[0, k]),
             "column": f"{term}, {period}" if counts[:, k].any() else None}
            for k, period in enumerate(periods)
        ]  # fmt: skip
    names = ["term", "level", "reference", "period", "n_event", "n_event_reference", "column"]
    return pd.DataFrame(rows, columns=names)


def _read_cuts(outcome: TimeToEvent, at: Sequence[float]) -> Vector:
    cuts = np.sort(np.asarray(pd.to_numeric(pd.Series(at), errors="coerce"), float))
    if not len(cuts) or not np.isfinite(cuts).all() or cuts[0] <= 0 or (np.diff(cuts) == 0).any():
        raise OutcomeError(
            f"{len(cuts)} time(s) are given to split follow-up at",
            "They are distinct finite numbers above 0, in the outcome's unit", "Write at=[365, 1826]",
        )  # fmt: skip
    if PERIOD in outcome.frame:
        raise OutcomeError(
            f"{outcome.label!r} has a column {PERIOD!r} already", "Follow-up is split once, at all times together",
            "Name all times in one at=[...], or rename the column",
        )  # fmt: skip
    return cuts


def _names(cuts: Vector, unit: str) -> list[str]:
    edges = [f"{cut:g}" for cut in (0.0, *cuts)]
    return [f"{a} to {b} {unit}" for a, b in pairwise(edges)] + [f"over {edges[-1]} {unit}"]
