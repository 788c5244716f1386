"""The cumulative baseline hazard of a Cox fit, for stated values of the covariates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.guard import EVERYONE, as_category
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.cox.checks import require_fit
from aih_outcomes.models.survival.cox.kernel import RiskSets, linear_predictor
from aih_outcomes.models.survival.cox.profiles import read_offset, read_profiles
from aih_outcomes.models.survival.cox.result import CoxFit
from aih_outcomes.models.survival.designs.design import caution
from aih_outcomes.outcomes import CENSORED, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Hazard = Literal["efron", "breslow"]
Matrix = NDArray[np.float64]

NOT_CENTRED = (-1.0, 0.0, 1.0)  # R's coxph: a share of a category describes nobody
LARGEST = 230.0  # linear predictor whose risk, squared, is still a number: nobody described by it lives on
ORIGIN, MEANS = "0 or reference level", "means"


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """The hazard of one stratum at the centre of the covariates; K event times, p covariates.

    Attributes
    ----------
    strata : level; ``last`` : end of its follow-up, after which nothing is known
    time : (K,) distinct event times
    hazard : (K + 1,) Λ(t) at the centre, from 0 before the first event
    variance : (K + 1,) of Λ(t) with β known
    mean_x : (K + 1, p) ∫ x̄(s) dΛ(s), x̄ the mean over the risk set
    entry, exit, cases, event : (n,) the stratum's rows; case weights are cases where they are whole numbers
    """

    strata: str
    last: float
    time: Vector
    hazard: Vector
    variance: Vector
    mean_x: Matrix
    entry: Vector
    exit: Vector
    cases: Vector
    event: NDArray[np.bool_]

    def counts(self, times: Vector) -> dict[str, Vector]:
        """Return cases at risk just before each time, and with the event or censored at it."""
        return {
            "n_risk": _sum_to(self.entry, self.cases, times, "left") - _sum_to(self.exit, self.cases, times, "left"),
            "n_event": _sum_at(self.exit[self.event], self.cases[self.event], times),
            "n_censor": _sum_at(self.exit[~self.event], self.cases[~self.event], times),
        }


@dataclass(frozen=True, slots=True, eq=False)
class BaselineHazard:
    """Cumulative hazard by stratum for stated values of the covariates.

    Attributes
    ----------
    table : ``strata, time, n_risk, n_event, n_censor, estimate, std_error, conf_low, conf_high``
    hazard : how tied events count: ``efron`` or ``breslow``
    at : what the hazard is for, in words
    """

    fit: CoxFit
    hazard: Hazard
    at: str
    table: pd.DataFrame
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per stratum and event time, or time asked for.

        Returns
        -------
        frame : ``label, strata, time, n_risk, n_event, n_censor, estimate, std_error, conf_low, conf_high``; counts are
            those at the time; limits on the log scale; NaN after the end of a stratum's follow-up
        """
        outcome = self.fit.outcome
        frame = order_columns(self.table.assign(label=outcome.label))
        frame.attrs = {"time_unit": outcome.time_unit, "time_zero": outcome.time_zero}
        return frame

    def glance(self) -> dict[str, Any]:
        """Return how it was estimated, and why not, if so."""
        return {
            "n_event": self.fit.n_event, "events_per_parameter": self.fit.events_per_parameter, "hazard": self.hazard,
            "at": self.at, "strata": self.fit.strata, "conf_level": self.fit.conf_level,
            "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        if self.not_estimable:
            return f"Baseline hazard not estimable: {self.not_estimable}."
        outcome = self.fit.outcome
        text = (
            f"Cumulative hazard of {outcome.label} from a Cox model ({self.hazard.capitalize()} hazard), "
            f"covariates at {self.at}; time since {outcome.time_zero}."
        )
        return f"{text} {caution(outcome.design)}".strip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Refuse politely: a cumulative hazard is read as survival.

        Raises
        ------
        OutcomeError
        """
        raise OutcomeError(
            "A cumulative baseline hazard has no figure",
            "What it means for a patient is survival",
            "Plot predict_survival(fit, frame)",
        )


def estimate_baseline_hazard(
    fit: CoxFit,
    *,
    at: Mapping[str, object] | Literal["means"] | None = None,
    times: Vector | list[float] | None = None,
    hazard: Hazard | None = None,
) -> BaselineHazard:
    """Estimate the cumulative hazard by stratum.

    Parameters
    ----------
    fit : a Cox fit
    at : value of each covariate, as in the data; ``means`` for the means of the model's columns (R's default:
        columns of 0 and 1 stay at 0, categories at their reference); None for 0, categories at their reference
    times : in the outcome's unit; None for the event times
    hazard : how tied events count; None for the fit's own ties

    Returns
    -------
    result : NaN after the end of a stratum's follow-up; the variance includes that of the coefficients

    Raises
    ------
    OutcomeError : no Cox fit; an unknown way to count ties; ``at`` lacks a covariate, or names a level that the fit
        does not know

    Notes
    -----
    H(t) = Σ dN/φ, φ the (Efron) sum of risks; variance: Tsiatis, Ann Stat 1981;9:93, with Efron's ties as in R's
    ``survfit.coxph``.

    Examples
    --------
    >>> import pandas as pd
    >>> from aih_outcomes.models.survival.cox.fit import fit_cox
    >>> from aih_outcomes.outcomes import TimeToEvent
    >>> frame = pd.DataFrame({"t": [1, 2, 3, 4], "dead": [1, 1, 1, 0], "x": [1.0, 0.0, 1.0, 0.0]})
    >>> outcome = TimeToEvent.from_frame(frame, exit="t", event="dead", covariates=["x"])
    >>> estimate_baseline_hazard(fit_cox(outcome, covariates=["x"])).tidy()["estimate"].round(4).tolist()
    [0.1404, 0.3596, 0.6404]
    """
    require_fit(fit)
    kind = choose_hazard(fit, hazard)
    words = MEANS if isinstance(at, str) else ORIGIN if at is None else _in_words(at)
    x, offset = _covariates(fit, at)
    if fit.not_estimable is not None:
        return BaselineHazard(fit, kind, words, _empty(), fit.not_estimable)
    z = norm.ppf((1 + fit.conf_level) / 2)
    frames = []
    for baseline in baselines(fit, kind):
        when = baseline.time if times is None else np.asarray(times, float)
        value, variance = hazard_at(fit, baseline, x, when, offset)
        with np.errstate(invalid="ignore", divide="ignore"):
            width = np.exp(z * np.sqrt(variance) / value)
            limits = {"conf_low": value / width, "conf_high": value * width}
        frames.append(pd.DataFrame({
            "strata": baseline.strata, "time": when, **baseline.counts(when), "estimate": value,
            "std_error": np.sqrt(variance), **limits,
        }))  # fmt: skip
    return BaselineHazard(fit, kind, words, pd.concat(frames, ignore_index=True), None)


def choose_hazard(fit: CoxFit, hazard: Hazard | None) -> Hazard:
    """Return the hazard asked for, or the one that goes with the fit's ties: Efron's with Efron's, else Breslow's.

    Raises
    ------
    OutcomeError : an unknown one
    """
    refuse_unknown_choice("hazard", hazard, (None, "efron", "breslow"))
    return hazard or ("efron" if fit.ties == "efron" else "breslow")


def baselines(fit: CoxFit, hazard: Hazard) -> list[Baseline]:
    """Return the hazard at the centre of the covariates, one per stratum, strata without events included."""
    assert fit.sets is not None
    assert fit.optimum is not None
    X, sets = fit.design.X - centre(fit), count_ties(fit.sets, hazard)
    risk = sets.weight * np.exp(predictor(fit) - centre(fit) @ fit.optimum.beta)
    steps = _steps(X, risk, sets)
    frame, cases = fit.frame, sets.weight if (sets.weight == np.round(sets.weight)).all() else np.ones(len(risk))
    names, number = _strata(fit)
    entry, exit = frame["entry"].to_numpy(float), frame["exit"].to_numpy(float)
    event = (frame["event"] != CENSORED).to_numpy(bool)
    of_time = np.empty(sets.n_times, np.int64)
    of_time[sets.event_time] = number[sets.event_rows]
    found = []
    for code, name in enumerate(names):
        rows, own = number == code, of_time == code
        hazard_to, variance, mean_x = (_cumulate(step[own]) for step in steps)
        found.append(Baseline(
            name, float(exit[rows].max()), sets.time[own], hazard_to, variance, mean_x, entry[rows], exit[rows],
            cases[rows], event[rows],
        ))  # fmt: skip
    return found


def count_ties(sets: RiskSets, hazard: Hazard) -> RiskSets:
    """Return the same risk sets with Efron's or Breslow's way to count tied events."""
    if hazard == "breslow":
        return replace(sets, fraction=np.zeros(len(sets.event_rows)))
    tied = np.bincount(sets.event_time, minlength=sets.n_times)
    place = np.arange(len(sets.event_rows)) - np.repeat(np.cumsum(tied) - tied, tied)
    return replace(sets, fraction=place / tied[sets.event_time])


def hazard_at(fit: CoxFit, baseline: Baseline, x: Vector, times: Vector, offset: float = 0.0) -> tuple[Vector, Vector]:
    """Return H(t | x) and its variance, that of the coefficients included; NaN after the end of follow-up.

    Parameters
    ----------
    x : (p,) the model's columns; ``times`` : (n_times,); ``offset`` : added to the linear predictor
    """
    step = np.searchsorted(baseline.time, times, side="right")
    moved = x - centre(fit)
    risk = float(np.exp(min(float(moved @ fit.coefficients) + offset, LARGEST)))
    drift = baseline.hazard[step, None] * moved - baseline.mean_x[step]
    variance = baseline.variance[step] + np.einsum("ij,jk,ik->i", drift, fit.vcov, drift)
    known = times <= baseline.last
    return np.where(known, baseline.hazard[step] * risk, np.nan), np.where(known, variance * risk * risk, np.nan)


def centre(fit: CoxFit) -> Vector:
    """(p,) means of the model's columns: where sums are formed, so that nothing large is subtracted."""
    return np.asarray(fit.design.X.mean(axis=0))


def predictor(fit: CoxFit) -> Vector:
    """(n_rows,) linear predictor of the rows used."""
    assert fit.optimum is not None
    assert fit.sets is not None
    return linear_predictor(fit.design.X, fit.optimum.beta, fit.sets.offset)


def _steps(X: Matrix, risk: Vector, sets: RiskSets) -> tuple[Vector, Vector, Matrix]:
    """(K,) dΛ and its variance, (K, p) x̄ dΛ: sums over the tied events, each with its own denominator φ."""
    f, w, k, own = sets.fraction, sets.event_weight, sets.event_time, risk[sets.event_rows]
    phi = sets.at_risk(risk)[k] - f * sets.at_events(own)[k]
    square, cross = sets.at_events(w / phi**2), sets.at_events(f * w / phi**2)
    mean = [
        sets.at_risk(risk * x) * square - sets.at_events(own * x[sets.event_rows]) * cross
        for x in X.T
    ]  # fmt: skip
    return sets.at_events(w / phi), square, np.column_stack(mean)


def _strata(fit: CoxFit) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names of the strata, and the number of each row's."""
    if fit.strata is None:
        return [EVERYONE], np.zeros(len(fit.frame), np.int64)
    levels = as_category(fit.frame[fit.strata]).remove_unused_categories()
    return [str(name) for name in levels.categories], np.asarray(levels.codes, np.int64)


def _cumulate(steps: Matrix) -> Matrix:
    """(K + 1, …) cumulative sums, from 0."""
    return np.concatenate([np.zeros((1, *steps.shape[1:])), np.cumsum(steps, axis=0)])


def _covariates(fit: CoxFit, at: Mapping[str, object] | str | None) -> tuple[Vector, float]:
    """(p,) the model's columns and the offset at which the hazard is asked for."""
    if at is None:
        return np.zeros(len(fit.design.terms)), 0.0
    if isinstance(at, str):
        if at != MEANS:
            raise OutcomeError(
                f"at={at!r} says nothing of the covariates", "It is 'means', or a value for each covariate",
                "Write at={'age': 50, ...}",
            )  # fmt: skip
        offset = None if fit.sets is None else fit.sets.offset
        if not len(fit.design.X):
            return np.full(len(fit.design.terms), np.nan), 0.0
        numbers = ~np.isin(fit.design.X, NOT_CENTRED).all(axis=0)
        return np.where(numbers, centre(fit), 0.0), 0.0 if offset is None else float(offset.mean())
    frame = pd.DataFrame([dict(at)])
    return read_profiles(fit, frame)[0], float(read_offset(fit, frame)[0])


def _in_words(at: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}" for name, value in at.items()
    )


def _empty() -> pd.DataFrame:
    numbers = ("time", "n_risk", "n_event", "n_censor", "estimate", "std_error", "conf_low", "conf_high")
    return pd.DataFrame({"strata": pd.Series(dtype=object), **{name: pd.Series(dtype=float) for name in numbers}})


def _sum_to(values: Vector, weight: Vector, limit: Vector, side: Literal["left", "right"]) -> Vector:
    order = np.argsort(values, kind="stable")
    return np.concatenate([[0.0], np.cumsum(weight[order])])[np.searchsorted(values[order], limit, side)]


def _sum_at(values: Vector, weight: Vector, times: Vector) -> Vector:
    return _sum_to(values, weight, times, "right") - _sum_to(values, weight, times, "left")
