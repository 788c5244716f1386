"""The rows at which a mixed model is read: every combination of its factors, numbers at their means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import EVERYONE, GROUP, as_category
from aih_outcomes.models.longitudinal.fixed_effects import TIME, VISIT, YEARS
from aih_outcomes.models.longitudinal.mixed_model import MixedModel
from aih_outcomes.models.result import DAYS_PER_YEAR
from aih_outcomes.outcomes import Vector
from aih_outcomes.outcomes.checks import DAYS_PER_UNIT

Matrix = NDArray[np.float64]
Flags = NDArray[np.bool_]
Weights = Literal["equal", "proportional"]

FEW_VALUES = 2  # a number that takes no more values is a category (as R's emmeans)
MOST_TIMES = 12  # distinct times that are shown without being asked for
ESTIMABLE = 1e-8  # part of a combination outside the rows' span that rounding leaves


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Cells and the combination of terms that gives the mean of each.

    Attributes
    ----------
    cells : (m, …) ``strata, term, time, n`` and one column per factor shown
    L : (m, p_all)
    course : the factor of time among those shown, or None
    averaged : factors averaged over; ``at_mean`` : numbers held at their mean
    """

    cells: pd.DataFrame
    L: Matrix
    course: str | None
    averaged: tuple[str, ...]
    at_mean: tuple[str, ...]


def build_grid(fit: MixedModel, *, at: Sequence[object] | None, over: Sequence[str] | None, weights: Weights) -> Grid:
    """Lay out the grid of a fit.

    Parameters
    ----------
    at : visits by name, or times in the unit of the course
    over : factors that are shown; default the groups and the course
    weights : how the levels of the other factors are averaged: equally, or as often as they occur together

    Raises
    ------
    OutcomeError : a factor that is none; visits or times that the fit does not have
    """
    columns = fit.design.columns
    clock = YEARS if YEARS in columns else TIME if TIME in columns else None
    factors = {name: values for name in columns if name not in (TIME, YEARS) and (values := _values(fit, name))}
    course = VISIT if VISIT in factors else clock
    usual = [name for name in (GROUP, course) if name is not None and (name in factors or name == clock)]
    shown = usual if over is None else list(over)
    _refuse_unknown(shown, factors, clock)
    if course in shown and course is not None:
        factors[course] = _moments(fit, course, at)
    elif at is not None:
        raise OutcomeError(
            "at= is given where no course is shown", "It names the visits or times at which means are read",
            "Leave it out, or fit with a course in time",
        )  # fmt: skip
    levels = [factors[name] for name in shown]
    averaged = tuple(name for name in factors if name not in shown)
    at_mean = tuple(name for name in columns if name not in factors and name not in (TIME, YEARS))
    share = _shares(fit, averaged, factors, weights)
    inner = pd.DataFrame(list(share), columns=list(averaged)) if averaged else pd.DataFrame(index=range(1))
    outer = pd.DataFrame(list(product(*levels)), columns=shown)
    outer = outer if shown else pd.DataFrame(index=range(1))
    L = fit.code(_rows(fit, outer, inner, clock)).reshape(len(outer), len(inner), -1)
    averaged_L = np.einsum("oip,i->op", L, np.fromiter(share.values(), float))
    return Grid(_cells(fit, outer, course if course in shown else None), np.ascontiguousarray(averaged_L),
                course if course in shown else None, averaged, at_mean)  # fmt: skip


def find_estimable(fit: MixedModel, L: Matrix) -> Flags:
    """(m,) Is each combination of terms determined by the rows: does it lie in their span.

    Searle, Linear Models, 1971, 5.4: aliased columns are combinations of those kept, and L must follow them.
    """
    X, kept = fit.fixed.X, fit.kept
    if fit.inference is None:
        return np.zeros(len(L), bool)
    if kept.all():
        return np.ones(len(L), bool)
    size = np.where((scale := np.linalg.norm(X, axis=0)) > 0, scale, 1.0)
    solved = np.linalg.lstsq(X[:, kept] / size[kept], X[:, ~kept], rcond=None)[0] / size[kept][:, None]
    gap = np.abs(L[:, ~kept] - L[:, kept] @ solved).max(axis=1)
    return np.asarray(gap <= ESTIMABLE * np.maximum(np.abs(L).max(axis=1), 1.0))


def _values(fit: MixedModel, name: str) -> list[object]:
    """Levels of a category, or of a number that has two; else nothing."""
    for coding in fit.design.codings.values():
        if coding.levels is not None and name in coding.factor.columns.values():
            category = fit.frame[name].dtype
            order = [str(level) for level in category.categories] if isinstance(category, pd.CategoricalDtype) else []
            return [*sorted(coding.levels, key=lambda level: order.index(level) if level in order else 0)]
    values = np.unique(fit.frame[name].to_numpy(float))
    return [float(value) for value in values] if 1 < len(values) <= FEW_VALUES else []


def _moments(fit: MixedModel, course: str, at: Sequence[object] | None) -> list[object]:
    if course == VISIT:
        levels = _values(fit, VISIT)
        strange = [str(name) for name in at or () if str(name) not in levels]
        if strange:
            raise OutcomeError(
                f"{', '.join(strange)}: no visit of this fit", f"It has {', '.join(str(level) for level in levels)}",
                "Name some of them in at=, or leave it out for all",
            )  # fmt: skip
        return levels if at is None else list(dict.fromkeys(str(name) for name in at))
    observed = np.unique(fit.frame[course].to_numpy(float))
    if at is None and len(observed) > MOST_TIMES:
        raise OutcomeError(
            f"The values stand at {len(observed)} different times, and at= does not say at which to read the means",
            f"Up to {MOST_TIMES} are read without being asked for",
            f"Give at=[...] in {_unit(fit, course)}, within {observed[0]:.4g} to {observed[-1]:.4g}",
        )
    try:
        times = observed if at is None else np.asarray(at, float)
    except (TypeError, ValueError):
        times = np.full(1, np.nan)
    if times.ndim != 1 or not len(times) or not np.isfinite(times).all():
        raise OutcomeError(
            "at= holds no list of finite times",
            f"The course is in {_unit(fit, course)}",
            "Write numbers, such as at=[1, 3, 5]",
        )
    return list(dict.fromkeys(float(time) for time in times))


def _unit(fit: MixedModel, course: str) -> str:
    return YEARS if course == YEARS else fit.measures.time_unit


def _refuse_unknown(shown: Sequence[str], factors: dict[str, list[object]], clock: str | None) -> None:
    known = [*factors, *([] if clock is None else [clock])]
    strange = [name for name in shown if name not in known]
    if strange or len(set(shown)) < len(shown):
        raise OutcomeError(
            f"{', '.join(map(str, strange)) or 'A factor named twice'} in over=",
            f"Means are shown over factors of the fit, once each: {', '.join(known) or 'it has none'}",
            "Name some of these, or leave over= out",
        )


def _shares(fit: MixedModel, averaged: tuple[str, ...], factors: dict[str, list[object]],
            weights: Weights) -> dict[tuple[object, ...], float]:  # fmt: skip
    """Weight of each combination of the factors averaged over; they add to 1."""
    combinations = list(product(*(factors[name] for name in averaged)))
    if weights == "equal" or not averaged:
        return dict.fromkeys(combinations, 1 / len(combinations))
    codes = np.zeros(len(fit.frame), np.intp)
    for name in averaged:
        codes = codes * len(factors[name]) + _codes(fit.frame[name], factors[name])
    count = np.bincount(codes, minlength=len(combinations)) / len(codes)
    return dict(zip(combinations, count.tolist(), strict=True))


def _codes(column: pd.Series, values: list[object]) -> NDArray[np.intp]:
    """(n,) place of each row's value among a factor's."""
    given = column.astype(float) if isinstance(values[0], float) else as_category(column).astype(str)
    return np.asarray(pd.Index(values).get_indexer(pd.Index(given)), np.intp)


def _rows(fit: MixedModel, outer: pd.DataFrame, inner: pd.DataFrame, clock: str | None) -> pd.DataFrame:
    """(len(outer) · len(inner), …) rows to code, each outer cell's together."""
    repeat, tile = np.repeat(np.arange(len(outer)), len(inner)), np.tile(np.arange(len(inner)), len(outer))
    rows = pd.concat([outer.iloc[repeat].reset_index(drop=True), inner.iloc[tile].reset_index(drop=True)], axis=1)
    for name in fit.design.columns:
        if name not in rows and name not in (TIME, YEARS):
            rows[name] = _mean(fit.frame[name])
    per_year = DAYS_PER_YEAR / DAYS_PER_UNIT[fit.measures.time_unit]
    if clock is not None and clock not in rows:
        rows[clock] = _mean(fit.frame[clock])
    if YEARS in rows and TIME not in rows:
        rows[TIME] = rows[YEARS] * per_year
    if TIME not in rows:
        rows[TIME] = 0.0
    if VISIT not in rows:
        rows[VISIT] = pd.NA
    return rows


def _mean(column: pd.Series) -> float:
    """Mean of a column; NaN where there are no rows, and nothing is estimated."""
    return float(column.to_numpy(float).mean()) if len(column) else float("nan")


def _cells(fit: MixedModel, outer: pd.DataFrame, course: str | None) -> pd.DataFrame:
    """Name the cells, and count the patients behind each."""
    frame = fit.frame
    patients = frame["patient_id"].to_numpy()
    n, time = np.zeros(len(outer), np.int64), np.full(len(outer), np.nan)
    span = None if course in (None, VISIT) else frame.groupby("patient_id", sort=False)[course].agg(["min", "max"])
    for place in range(len(outer)):
        own: Flags = np.ones(len(frame), bool)
        for name in outer.columns:
            if name != course or course == VISIT:
                own &= _codes(frame[name], [outer[name].iloc[place]]) == 0
        seen = pd.unique(patients[own])
        if course == VISIT:
            time[place] = _nominal(frame, outer[VISIT].iloc[place])
        elif course is not None and span is not None:
            time[place] = outer[course].iloc[place]
            reach = span.loc[seen]
            seen = seen[((reach["min"] <= time[place]) & (time[place] <= reach["max"])).to_numpy(bool)]
        n[place] = len(seen)
    words = [name for name in outer.columns if name not in (GROUP, TIME, YEARS)]
    term = [" · ".join(str(outer[name].iloc[place]) for name in words) for place in range(len(outer))]
    strata = outer[GROUP].astype(str) if GROUP in outer else pd.Series([EVERYONE] * len(outer))
    return pd.DataFrame({"strata": strata.to_numpy(object), "term": term, "time": time, "n": n}).join(
        outer[[name for name in words if name != VISIT]]
    )


def _nominal(frame: pd.DataFrame, visit: object) -> float:
    """Median time of a visit's values."""
    times: Vector = frame.loc[frame[VISIT].astype(str) == str(visit), TIME].to_numpy(float)
    return float(np.median(times)) if len(times) else float("nan")
