"""An event seen only at looks, where death may come before it is seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_numbers, refuse_unknown_choice
from aih_outcomes.models.result import refuse_no_level
from aih_outcomes.models.survival.intervals.accelerated_failure import fit_accelerated_failure
from aih_outcomes.models.survival.intervals.hazards import Family
from aih_outcomes.models.survival.intervals.illness_death_kernel import Matrix, Seen, prepare
from aih_outcomes.models.survival.intervals.illness_death_result import IllnessDeath, IllnessDeathEngine
from aih_outcomes.models.survival.intervals.newton import Optimum, maximise
from aih_outcomes.models.survival.intervals.rows import (
    Missing,
    Rows,
    read_rows,
    refuse_unusable,
    require_interval_time,
    why_hopeless,
)
from aih_outcomes.outcomes import DAYS_PER_UNIT, HALF_DAY, Groups, IntervalTime, Vector

HazardsName = Literal["weibull", "piecewise constant"]

DEFAULT_CUTS = 2  # inner cuts at equal shares of the deaths and of the looks that found the event


def fit_illness_death(
    outcome: IntervalTime,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    hazards: HazardsName = "weibull",
    cuts: Sequence[float] | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> IllnessDeath:
    """Fit the hazards of an event seen at looks, of death without it, and of death after it.

    Whoever dies some time after the last look may have had the event unseen. Taking such patients as censored, or as
    free of it, biases its risk downwards; here both possibilities enter the likelihood.

    Parameters
    ----------
    outcome : intervals with ``end`` and ``terminal``: the time last known alive, or of death
    by : groups known at time zero (guarded) or a covariate read as categories; its first level is the reference
    covariates : terms as in ``fit_cox``; each acts on each of the three hazards
    hazards : their shape over time since time zero
    cuts : inner cuts of piecewise constant hazards, in the outcome's unit; None for two, at equal shares of the deaths
        and of the looks that found the event
    missing : what to do with rows without a value: refuse, or exclude and count them in ``glance()``

    Returns
    -------
    fit : where the data do not determine the hazards, the estimates are NaN and ``not_estimable`` says why. Beside it,
        labelled as biased, the model that censors at the last look

    Raises
    ------
    ImmortalTimeError : groups became known after time zero
    OutcomeError : no end of follow-up, unknown terms, missing covariates, no convergence to an optimum

    Notes
    -----
    Joly, Commenges, Helmer & Letenneur, Biostatistics 2002;3:433; Leffondré et al., Int J Epidemiol 2013;42:1177. The
    hazard of death after the event depends on time since time zero, not since the event (Markov). Integrals by
    Gauss-Legendre quadrature; Newton's method with analytic derivatives.
    """
    refuse_no_level(conf_level)
    require_interval_time(outcome)
    _refuse_choices(outcome, hazards, cuts)
    refuse_unusable(outcome, None)
    rows = read_rows(_keep_everyone(outcome), by, covariates, missing)
    seen, n_half_day = _seen_of(rows)
    family = _family_of(seen, hazards, cuts)
    naive = fit_accelerated_failure(outcome, by=by, covariates=covariates, missing=missing, conf_level=conf_level)
    p = len(rows.design.terms)
    reason = _why_hopeless(rows, seen, 3 * (family.size + p))
    if reason is None:
        X = rows.design.X
        mean, spread = X.mean(axis=0), X.std(axis=0)
        Z = (X - mean) / spread
        best = maximise(prepare(seen, Z, family).evaluate, _start(seen, family, p))
        reason = None if best.converged else _why_not_converged(best)
        if reason is None:
            engine = IllnessDeathEngine(best.theta, best.vcov, best.loglik, best.scaled_gradient, mean, spread)
            return IllnessDeath(outcome, rows, seen, family, engine, naive, n_half_day, conf_level, None)
    return IllnessDeath(outcome, rows, seen, family, _no_engine(3 * (family.size + p), p), naive, n_half_day,
                        conf_level, reason)  # fmt: skip


def _refuse_choices(outcome: IntervalTime, hazards: str, cuts: Sequence[float] | None) -> None:
    if "end" not in outcome.frame:
        raise OutcomeError(
            f"{outcome.label!r} does not say until when patients were known alive",
            "An illness-death model needs the last time known alive, or of death",
            "Name them: IntervalTime.from_frame(..., end=..., terminal=...); without deaths use "
            "fit_interval_hazards(...)",
        )
    refuse_unknown_choice("hazards", hazards, ("weibull", "piecewise constant"))
    given = read_numbers("cuts", () if cuts is None else cuts, "cuts=[365, 1826]")
    if (hazards == "weibull" and cuts is not None) or not np.all(np.diff(np.append(0.0, given)) > 0):
        raise OutcomeError(
            f"{len(given)} cut(s) are given that cannot be used",
            "Cuts of piecewise constant hazards rise from above 0",
            "Give them in order, with hazards='piecewise constant'",
        )  # fmt: skip


def _keep_everyone(outcome: IntervalTime) -> IntervalTime:
    """Let the end of follow-up stand as the last look where there was none (``never``): deaths inform even so.

    Follow-up that ends on the first day counts half a day.
    """
    frame = outcome.frame
    left, right, end = (frame[name].to_numpy(float) for name in ("left", "right", "end"))
    never = (left == 0) & ~np.isfinite(right)
    half_day = end <= 0
    end = np.where(half_day, HALF_DAY / DAYS_PER_UNIT[outcome.time_unit], end)
    kept = frame.assign(left=np.where(never, end, left), end=end, never=never, half_day=half_day)
    return IntervalTime(
        kept, outcome.label, outcome.time_zero, outcome.time_unit, outcome.covariates, outcome.exclusions,
        outcome.terminal,
    )  # fmt: skip


def _seen_of(rows: Rows) -> tuple[Seen, int]:
    """Return what is known of each patient, and how many count half a day."""
    frame = rows.frame
    left = np.where(frame["never"], 0.0, rows.ends.left)
    end = frame["end"].to_numpy(float)
    dead = frame["terminal"].to_numpy(bool)
    return Seen(left, rows.ends.right, end, dead, rows.ends.weight), int(frame["half_day"].sum())


def _family_of(seen: Seen, hazards: HazardsName, cuts: Sequence[float] | None) -> Family:
    times = np.concatenate([seen.right[seen.ill], seen.end[seen.dead]])
    if not len(times):
        times = seen.end
    if hazards == "weibull":
        return Family(hazards, float(np.log(times).mean()) if len(times) else 0.0, np.empty(0))
    shares = np.linspace(0, 1, DEFAULT_CUTS + 2)[1:-1]
    found = np.unique(np.quantile(times, shares)) if len(times) else np.empty(0)
    return Family(hazards, 0.0, np.asarray(found if cuts is None else cuts, float))


def _why_hopeless(rows: Rows, seen: Seen, n_parameters: int) -> str | None:
    dead_after, dead_without = int(np.sum(seen.ill & seen.dead)), int(np.sum(~seen.ill & seen.dead))
    if len(rows.frame) and rows.n_event:
        if not dead_after:
            return "nobody in whom the event was seen died"
        if not dead_without:
            return "nobody died in whom the event was not seen"
        if rows.n_event + dead_after + dead_without < n_parameters:
            return "fewer events than parameters"
    return why_hopeless(rows, 0)


def _start(seen: Seen, family: Family, p: int) -> Vector:
    """Constant hazards, as if the event came in the middle of its interval and nothing was missed."""
    onset = np.where(seen.ill, (seen.left + np.where(seen.ill, seen.right, 0.0)) / 2, seen.end)
    w, free, after = seen.weight, seen.weight @ onset, seen.weight @ (seen.end - onset)
    counts = (w @ seen.ill, w @ (seen.dead & ~seen.ill), w @ (seen.dead & seen.ill))
    return np.concatenate([
        family.start(float((count + 0.5) / max(time, 1e-8 * free)), p)
        for count, time in zip(counts, (free, free, after), strict=True)
    ])  # fmt: skip


def _why_not_converged(best: Optimum) -> str:
    """Name a likelihood without a maximum; anything else is an error."""
    if best.flat and np.isfinite(best.loglik):
        return (
            "the likelihood has no maximum: a hazard goes to 0 in some period or group, or death between looks leaves "
            "the event and death without it indistinguishable"
        )
    raise OutcomeError(
        f"The illness-death model did not reach an optimum (scaled gradient {best.scaled_gradient:.1e})",
        "An estimate is shown only where it is the optimum", "Use fewer terms or cuts",
    )  # fmt: skip


def _no_engine(size: int, p: int) -> IllnessDeathEngine:
    unknown: Matrix = np.full((size, size), np.nan)
    nothing = np.full(p, np.nan)
    return IllnessDeathEngine(np.full(size, np.nan), unknown, np.nan, np.nan, nothing, nothing)
