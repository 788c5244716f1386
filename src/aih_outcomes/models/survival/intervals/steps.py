"""The best step function of cumulative hazard, with covariates acting proportionally on it, or without.

With α = log Λ after each innermost interval the log-likelihood is concave in (α, β) (a log-concave density integrated
over an interval is log-concave: Prékopa, Acta Sci Math 1973;34:335), and α may only rise. An active set keeps the
intervals at which it does; Newton steps within the set, intervals enter by their gradient and leave when two levels
meet. Semi-parametric model: Finkelstein, Biometrics 1986;42:845; Huang, Ann Stat 1996;24:540.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.sparse import block_array, coo_array, csc_array, diags_array
from scipy.sparse.linalg import splu

from aih_outcomes.models.survival.intervals.distributions import EXTREME, Partials, before, between, beyond
from aih_outcomes.models.survival.intervals.turnbull import Intersections, start_masses
from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]

MAX_STEPS = 2000
MINORANTS = 40
MINORANT_RISE = 1e-6  # of the log-likelihood; less is left to Newton's method
POOLED = (1e-3, 1e-5, 1e-7)  # levels closer than this start as one, unless a row needs them apart
MAX_HALVINGS = 40
INNER = 1e-12  # squared step, in standard errors, that ends Newton's method between changes of the set
ENTERS = 1e-11  # excess of a gradient over its bound at which an interval enters
RIDGE = 1e-12  # relative; keeps the step defined where masses are not unique
SEPARATED = 25.0  # a standardised log hazard ratio beyond which nothing is left to find


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """The rows that carry information; z = α + offset + X β.

    Attributes
    ----------
    spans : innermost intervals; a row lies between node ``first`` and node ``last``; node 0 is Λ = 0, node m is Λ = ∞
    weight, X, offset : (n,), (n, p), (n,)
    """

    spans: Intersections
    weight: Vector
    X: Matrix
    offset: Vector


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """A step function and coefficients.

    Attributes
    ----------
    jumps : (K,) numbers of the intervals that carry mass, the last one apart; the first of all always does
    level : (K,) α = log Λ after each of them
    beta : (p,)
    """

    jumps: Index
    level: Vector
    beta: Vector
    loglik: float
    scaled_gradient: float
    excess: float
    vcov: Matrix

    def hazard(self, m: int) -> Vector:
        """(m + 1,) Λ at each node; infinite at the last."""
        block = np.searchsorted(self.jumps, np.arange(m), side="left")
        return np.append(np.concatenate([[0.0], np.exp(self.level)])[block], np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Derivatives at one point: by node (m + 1,), by row (n,)."""

    loglik: float
    node_gradient: Vector
    gradient: Vector
    low_low: Vector
    low_high: Vector
    high_high: Vector


def climb_steps(problem: Problem, start: Steps | None = None) -> Steps:
    """Find the best step function and coefficients.

    Parameters
    ----------
    start : where to begin; None for self-consistent masses without covariates
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a step too far is not finite, and is halved
        here = start or _begin(problem)
        if problem.spans.m == 1:
            return here
        state = _evaluate(problem, here)
        for _ in range(MAX_STEPS):
            here, state, moved = _newton(problem, here, state)
            if moved:
                continue
            grown = _enter(problem, here, state)
            if grown is None or np.max(np.abs(here.beta), initial=0.0) > SEPARATED:
                break
            here, state = grown, _evaluate(problem, grown)
        return _prove(problem, here, state)


def _begin(problem: Problem) -> Steps:
    """Self-consistent masses, then iterated convex minorants: levels pool as they will in the end."""
    spans, p = problem.spans, problem.X.shape[1]
    here = Steps(np.empty(0, np.int64), np.empty(0), np.zeros(p), 0.0, 0.0, 0.0, np.full((p, p), np.nan))
    if spans.m == 1:
        return here
    mass = start_masses(spans, problem.weight)
    here = replace(here, jumps=np.arange(spans.m - 1), level=np.log(-np.log1p(-np.cumsum(mass)[:-1])))
    state = _evaluate(problem, here)
    for _ in range(MINORANTS):
        curvature = -np.bincount(spans.first, state.low_low, spans.m + 1)
        curvature = (curvature - np.bincount(spans.last, state.high_high, spans.m + 1))[1 : spans.m]
        trial, found = here, state
        aim = isotonic_regression(here.level + state.node_gradient[1 : spans.m] / curvature, weights=curvature).x
        size = 1.0
        for _ in range(MAX_HALVINGS):
            trial = replace(here, level=here.level + size * (aim - here.level))
            found = _evaluate(problem, trial)
            if found.loglik > state.loglik:
                break
            size /= 2
        rise = found.loglik - state.loglik
        if not rise > 0 or (size == 1 and rise < MINORANT_RISE):
            break
        here, state = trial, found
    for least in POOLED:
        pooled = _merge(here, np.diff(here.level) <= least)
        if np.isfinite(_evaluate(problem, pooled).loglik):
            return pooled
    return here


def _blocks(problem: Problem, jumps: Index) -> tuple[Index, Index]:
    """(n,) level of each row's lower and upper end; −1 at Λ = 0, K at Λ = ∞."""
    low = np.searchsorted(jumps, problem.spans.first, side="left") - 1
    high = np.searchsorted(jumps, problem.spans.last, side="left") - 1
    return low, np.where(problem.spans.last == problem.spans.m, len(jumps), high)


def _evaluate(problem: Problem, here: Steps) -> _State:
    low, high = _blocks(problem, here.jumps)
    k, eta = len(here.jumps), problem.offset + problem.X @ here.beta
    padded = np.append(here.level, np.nan)
    z_low, z_high = padded[np.minimum(low, k)] + eta, padded[np.minimum(high, k)] + eta
    value = np.zeros(len(eta))
    parts = {name: np.zeros(len(eta)) for name in ("low", "high", "low_low", "low_high", "high_high")}
    kinds: tuple[tuple[NDArray[np.bool_], Callable[[Index], Partials]], ...] = (
        ((low < 0) & (high < k), lambda at: before(EXTREME, z_high[at])),
        ((low >= 0) & (high == k), lambda at: beyond(EXTREME, z_low[at])),
        ((low >= 0) & (high < k), lambda at: between(EXTREME, z_low[at], z_high[at])),
    )
    for chosen, function in kinds:
        at = np.flatnonzero(chosen)
        part = function(at)
        value[at] = part.value
        for name, store in parts.items():
            store[at] = problem.weight[at] * getattr(part, name)
    loglik = float(np.sum(problem.weight * value))
    loglik = loglik if np.isfinite(loglik) and not np.any(np.diff(here.level) < 0) else -np.inf
    size = problem.spans.m + 1
    ends = np.concatenate([problem.spans.first, problem.spans.last])
    node = np.bincount(ends, np.concatenate([parts["low"], parts["high"]]), size).astype(float)
    return _State(
        loglik, node, problem.X.T @ (parts["low"] + parts["high"]), parts["low_low"], parts["low_high"],
        parts["high_high"],
    )  # fmt: skip


def _level_gradient(problem: Problem, here: Steps, state: _State) -> Vector:
    """(K,) derivative in each level: of the nodes from one jump up to the next."""
    from_node = np.append(np.cumsum(state.node_gradient[::-1])[::-1], 0.0)
    start = here.jumps + 1
    return np.asarray(from_node[start] - from_node[np.append(start[1:], problem.spans.m)])


def _information(problem: Problem, here: Steps, state: _State) -> csc_array:
    """(K + p, K + p) minus the second derivatives; symmetric, sparse in the levels."""
    low, high = _blocks(problem, here.jumps)
    k, X = len(here.jumps), problem.X
    has_low, has_high = low >= 0, (high < k) & (high >= 0)
    both = has_low & has_high
    index = np.concatenate([low[has_low], high[has_high], low[both], high[both]])
    other = np.concatenate([low[has_low], high[has_high], high[both], low[both]])
    cross = state.low_high[both]
    entries = -np.concatenate([state.low_low[has_low], state.high_high[has_high], cross, cross])
    levels = coo_array((entries, (index, other)), shape=(k, k)).tocsc()
    levels = levels + diags_array(RIDGE * levels.diagonal() + np.finfo(float).tiny)
    if not X.shape[1]:
        return csc_array(levels)
    at_low, at_high = state.low_low + state.low_high, state.high_high + state.low_high
    mixed = -np.column_stack([
        np.bincount(low[has_low], (at_low * x)[has_low], k) + np.bincount(high[has_high], (at_high * x)[has_high], k)
        for x in X.T
    ])  # fmt: skip
    corner = -X.T @ ((at_low + at_high)[:, None] * X)
    blocks: Any = [[levels, mixed], [mixed.T, corner]]
    return csc_array(block_array(blocks, format="csc"))


def _newton(problem: Problem, here: Steps, state: _State) -> tuple[Steps, _State, bool]:
    """One Newton step within the set; levels that meet become one. False where there is nothing left to climb."""
    while True:
        gradient = np.concatenate([_level_gradient(problem, here, state), state.gradient])
        try:
            information = _information(problem, here, state)
            step = splu(information).solve(gradient)
        except RuntimeError:  # singular: no information left
            return here, state, False
        k = len(here.jumps)
        rise, gap = np.diff(step[:k]), np.diff(here.level)
        stuck = (gap <= 0) & (rise < 0)
        if not stuck.any():
            break
        here = _merge(here, stuck)
    decrement = float(gradient @ step)
    if not np.isfinite(decrement) or decrement < INNER * 1e-8:
        return here, state, False
    falling = rise < 0
    limit = float(np.min(-gap[falling] / rise[falling], initial=np.inf))
    if limit < 1:
        bold = _pool(here, step, information.diagonal()[:k])
        found = _evaluate(problem, bold)
        if found.loglik > state.loglik:
            return bold, found, True
    size = min(1.0, limit)
    for _ in range(MAX_HALVINGS):
        trial = replace(here, level=here.level + size * step[:k], beta=here.beta + size * step[k:])
        meets = falling & (gap + size * rise <= 1e-14 * np.abs(here.level[1:]))
        if meets.any():
            trial = _merge(trial, meets)
        found = _evaluate(problem, trial)
        if np.isfinite(found.loglik) and found.loglik >= state.loglik - 1e-14 * abs(state.loglik):
            rose = found.loglik > state.loglik or meets.any()
            return trial, found, bool(rose or decrement > INNER)
        size /= 2
    return here, state, False


def _pool(here: Steps, step: Vector, curvature: Vector) -> Steps:
    """Take the whole step, and pool the levels that it would let fall."""
    k = len(here.jumps)
    aim = isotonic_regression(here.level + step[:k], weights=curvature).x
    return _merge(replace(here, level=aim, beta=here.beta + step[k:]), np.diff(aim) <= 0)


def _merge(here: Steps, together: NDArray[np.bool_]) -> Steps:
    """Drop the jumps between levels that meet; (K − 1,) flags. The lower level stands."""
    keep = np.append(True, ~together)
    return replace(here, jumps=here.jumps[keep], level=here.level[keep])


def _violations(problem: Problem, here: Steps, state: _State) -> tuple[Vector, Index]:
    """(m − 1,) what would be gained by letting Λ rise at each interval, relative to Σ w; and its level's number.

    For masses this is gradient / Σ w − 1 (``turnbull.certificate``).
    """
    m = problem.spans.m
    from_node = np.cumsum(state.node_gradient[::-1])[::-1]
    block = np.searchsorted(here.jumps, np.arange(m - 1), side="right") - 1
    after = np.append(here.jumps[1:] + 1, m)
    rest = np.append(from_node, 0.0)[after][block]
    hazard = np.exp(here.level)[block]
    gain = (from_node[1:m] - rest) / (hazard * np.exp(-hazard) * problem.weight.sum())
    gain[here.jumps] = -np.inf
    return gain, block


def _enter(problem: Problem, here: Steps, state: _State) -> Steps | None:
    """Let Λ rise at the interval of each level that gains most; None where none gains."""
    gain, block = _violations(problem, here, state)
    order = np.lexsort((-gain, block))
    best = order[np.append(True, block[order][1:] != block[order][:-1])]
    best = best[gain[best] > ENTERS]
    if not len(best):
        return None
    jumps = np.concatenate([here.jumps, best])
    level = np.concatenate([here.level, here.level[block[best]]])
    order = np.argsort(jumps)
    return replace(here, jumps=jumps[order], level=level[order])


def _prove(problem: Problem, here: Steps, state: _State) -> Steps:
    """Put the certificate, and the variance of β with the set held fixed, beside the estimate."""
    k, p = len(here.jumps), len(here.beta)
    gradient = np.concatenate([_level_gradient(problem, here, state), state.gradient])
    information = _information(problem, here, state)
    scaled = float(np.max(np.abs(gradient) / np.sqrt(np.maximum(information.diagonal(), 1e-300)), initial=0.0))
    excess = float(np.max(_violations(problem, here, state)[0], initial=-np.inf))
    vcov = np.full((p, p), np.nan)
    if p:
        units = np.zeros((k + p, p))
        units[k:] = np.eye(p)
        try:
            vcov = splu(information).solve(units)[k:]
        except RuntimeError:
            scaled = np.inf
    return replace(here, loglik=state.loglik, scaled_gradient=scaled, excess=excess, vcov=vcov)
