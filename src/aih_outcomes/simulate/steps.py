"""How a course goes on: from each state to the next, with the decisions of the doctors on the way."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.simulate.children import N_MATCHED_GENES, NON_RESPONDER, RAPID, Children
from aih_outcomes.simulate.course import NEVER, STRETCH_FIELDS, Course, Fate, Option, State, Step, draw_fate
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR, Mechanism, Parameters, Strategy
from aih_outcomes.simulate.streams import open_stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

MAX_STRETCHES = 80


@dataclass(slots=True, eq=False)
class _Now:
    """The latest stretch of every child while a course is drawn: changed in place, never seen outside this file."""

    start: Floats
    state: Ints
    step: Ints
    option: Ints
    target: Floats
    half_life: Floats
    igg_target: Floats
    off_treatment: Flags
    peak: Floats
    eligible: Flags
    chance: Floats
    n_flares: Ints
    n_failures: Ints
    matched: Flags
    panel: Floats
    trying: Floats  # day of the next attempt to withdraw


@dataclass(frozen=True, slots=True, eq=False)
class _World:
    """What a step may look at."""

    children: Children
    fate: Fate
    p: Parameters
    mechanism: Mechanism
    strategy: Strategy


def draw_course(
    seed: int,
    children: Children,
    p: Parameters,
    mechanism: Mechanism,
    *,
    horizon: float,
    chunk: int = 0,
    strategy: Strategy = "as treated",
) -> Course:
    """Draw every child's course until ``horizon`` (days).

    Parameters
    ----------
    seed, chunk : see ``open_stream``
    strategy : ``as treated``, or a potential outcome: ``matched`` (whoever becomes eligible switches then) or ``usual``
        (nobody ever does); the same seed gives the same child under each
    """
    rng, choices = open_stream("course", seed, chunk), open_stream("decisions", seed, chunk)
    world = _World(children, draw_fate(children, rng, p), p, mechanism, strategy)
    now = _begin(world)
    kept = [_copy(now)]
    for _ in range(MAX_STRETCHES - 1):
        u, v = rng.random((4, children.n)), choices.random((5, children.n))
        _advance(now, world, u, v)
        if now.start.min() >= horizon:
            break
        kept.append(_copy(now))
    stacked = {name: np.stack([stretch[name] for stretch in kept], axis=1) for name in STRETCH_FIELDS}
    beyond = stacked["start"] >= horizon
    stacked["start"][beyond] = NEVER
    stacked["eligible"][beyond] = False
    return Course(**stacked, panel=np.where(now.panel < horizon, now.panel, NEVER))


def _copy(now: _Now) -> dict[str, NDArray[np.generic]]:
    return {f.name: getattr(now, f.name).copy() for f in fields(now) if f.name in STRETCH_FIELDS}


def _begin(world: _World) -> _Now:
    n, fate = world.children.n, world.fate
    failing = world.children.response_class == NON_RESPONDER
    return _Now(
        start=np.zeros(n),
        state=np.full(n, State.INDUCTION, np.int64),
        step=np.full(n, Step.INDUCTION, np.int64),
        option=np.zeros(n, np.int64),
        target=fate.early_target.copy(),
        half_life=fate.half_life.copy(),
        igg_target=np.where(failing, world.p.igg_failing, fate.igg_early),
        off_treatment=np.zeros(n, bool),
        peak=np.full(n, np.nan),
        eligible=np.zeros(n, bool),
        chance=np.full(n, np.nan),
        n_flares=np.zeros(n, np.int64),
        n_failures=np.zeros(n, np.int64),
        matched=np.zeros(n, bool),
        panel=fate.panel.copy(),
        trying=fate.withdrawal.copy(),
    )


def _advance(now: _Now, world: _World, u: Floats, v: Floats) -> None:
    """Take one step with every child: ``u`` (4, n) for the disease, ``v`` (5, n) for the decisions."""
    state = now.state.copy()
    now.option[:], now.eligible[:], now.peak[:], now.chance[:] = Option.NONE, False, np.nan, np.nan
    _settle(now, world, np.flatnonzero(state == State.INDUCTION), u)
    _decide(now, world, np.flatnonzero(state == State.FAILING), u, v)
    _spend_steroid(now, world, np.flatnonzero(state == State.BURST), u)
    _flare_or_withdraw(now, world, np.flatnonzero(state == State.RESPONSE), u)
    _retreat(now, world, np.flatnonzero(state == State.FLARE), u, v)


def _respond(now: _Now, world: _World, i: Ints, half_life: Floats | float) -> None:
    now.state[i], now.half_life[i] = State.RESPONSE, half_life
    now.target[i], now.igg_target[i] = world.fate.quiet[i], world.fate.igg_quiet[i]


def _fail(now: _Now, world: _World, i: Ints, u: Floats) -> None:
    p, children = world.p, world.children
    unmeasured = children.severity[i] if world.mechanism.severity == "on" else 0.0
    high = (p.failing_xuln[0] + (p.failing_xuln[1] - p.failing_xuln[0]) * u) * np.exp(
        p.failing_per_severity * unmeasured
    )
    now.state[i], now.half_life[i] = State.FAILING, p.failing_half_life
    now.target[i] = np.minimum(high, np.maximum(0.9 * children.alt[i] / children.alt_uln[i], 1.5))
    now.igg_target[i] = p.igg_failing


def _settle(now: _Now, world: _World, i: Ints, u: Floats) -> None:
    now.start[i] = world.fate.settles[i]
    fails = world.children.response_class[i] == NON_RESPONDER
    good, bad = i[~fails], i[fails]
    _respond(now, world, good, now.half_life[good])
    now.step[good] = Step.SETTLED
    _fail(now, world, bad, u[0, bad])
    now.step[bad] = Step.FAILED


def _spend_steroid(now: _Now, world: _World, i: Ints, u: Floats) -> None:
    now.start[i] += world.p.burst_days
    _fail(now, world, i, u[0, i])
    now.step[i] = Step.STEROID_SPENT


def _decide(now: _Now, world: _World, i: Ints, u: Floats, v: Floats) -> None:
    """Give the next line and a course of steroid: it works (response) or does not (burst, then failing again)."""
    p, failures = world.p, now.n_failures[i]
    waits = np.array([p.second_line_wait, p.next_line_wait, p.next_line_wait, p.last_line_wait])[
        np.minimum(failures, 3)
    ]
    now.start[i] += waits[:, 0] + (waits[:, 1] - waits[:, 0]) * u[0, i]
    now.peak[i] = p.peak[0] - p.peak[1] * np.log1p(-u[1, i])
    now.step[i] = Step.DECISION
    _order_panel(now, world, i)
    switch = _may_switch(now, world, i, v[0, i], allowed=failures >= 1)
    later = np.where(v[1, i] < p.empirical, Option.EMPIRICAL, Option.CNI)
    first = np.where(v[2, i] < p.mycophenolate_first, Option.MYCOPHENOLATE, Option.CNI)
    now.option[i] = np.where(switch, Option.MATCHED, np.where(failures == 0, first, later))
    works = v[3, i] < _chance(now, world, i)
    _respond(
        now, world, i[works], np.where(_matched_works(now, world, i[works]), p.matched_half_life, p.line_half_life)
    )
    spent = i[~works]
    _fail(now, world, spent, u[2, spent])
    now.state[spent] = State.BURST
    now.target[spent] *= p.burst_effect
    now.half_life[spent] = p.flare_half_life
    now.n_failures[i] += 1
    now.matched[i] |= switch


def _matched_works(now: _Now, world: _World, i: Ints) -> Flags:
    return np.asarray((now.option[i] == Option.MATCHED) & (world.mechanism.targeted_effect == "default"))


def _chance(now: _Now, world: _World, i: Ints) -> Floats:
    """Return the chance of a response to what was just given."""
    p, children = world.p, world.children
    by_option = np.array([0.0, p.mycophenolate_response, p.cni_response, p.empirical_response, p.usual_response_iei])
    usual = np.where(children.gene[i] >= 0, p.usual_response_iei, by_option[now.option[i]])
    chance = np.where(_matched_works(now, world, i), p.matched_response, usual)
    shift = p.response_per_severity * children.severity[i] if world.mechanism.severity == "on" else 0.0
    odds = chance / (1 - chance) * np.exp(shift)
    return np.asarray(odds / (1 + odds))


def _order_panel(now: _Now, world: _World, i: Ints) -> None:
    """Order a gene panel in a difficult course; its result comes after a lag, and not before panels exist."""
    fate = world.fate
    result = np.maximum(now.start[i] + fate.panel_lag[i], fate.era[i] + fate.panel_lag[i])
    now.panel[i] = np.where(fate.tested_if_difficult[i], np.minimum(now.panel[i], result), now.panel[i])


def _may_switch(now: _Now, world: _World, i: Ints, v: Floats, *, allowed: Flags) -> Flags:
    """Mark who is eligible for a matched drug, and return who gets it: the iller the likelier."""
    p, gene = world.p, world.children.gene[i]
    eligible = allowed & (gene >= 0) & (gene < N_MATCHED_GENES) & (now.panel[i] <= now.start[i]) & ~now.matched[i]
    unmeasured = world.children.severity[i] if world.mechanism.severity == "on" else 0.0
    logit = p.switch_intercept + p.switch_per_severity * unmeasured + p.switch_per_failure * (now.n_failures[i] - 2)
    logit = logit + p.switch_per_peak * (now.peak[i] - p.peak[0] - p.peak[1])
    chance = 1 / (1 + np.exp(-logit))
    now.eligible[i], now.chance[i] = eligible, np.where(eligible, chance, np.nan)
    decided = {"matched": np.ones(len(i), bool), "usual": np.zeros(len(i), bool)}.get(world.strategy, v < chance)
    return np.asarray(eligible & decided)


def _flare_or_withdraw(now: _Now, world: _World, i: Ints, u: Floats) -> None:
    p, fate = world.p, world.fate
    eased = now.matched[i] & (world.mechanism.targeted_effect == "default")
    on = fate.flare_rate[i] * np.where(eased, p.matched_flare_ratio, 1.0)
    off = p.flare_rate_off / DAYS_PER_YEAR * (0.5 + 0.5 * world.children.frailty[i])
    rate = np.where(now.off_treatment[i], np.maximum(on, off), on)
    gap = np.where(now.step[i] == Step.RETREATED, p.flare_gap, 0.0)
    flare = now.start[i] + gap - np.log1p(-u[0, i]) / np.maximum(rate, 1e-12)
    flare = np.where(now.off_treatment[i] & (flare > now.start[i] + p.safe_after), NEVER, flare)
    attempt = np.where(now.trying[i] > now.start[i], now.trying[i], NEVER)
    flares = flare <= attempt
    now.start[i] = np.minimum(np.minimum(flare, attempt), NEVER)
    bad, out = i[flares], i[~flares]
    now.state[bad], now.step[bad], now.half_life[bad] = State.FLARE, Step.FLARE, p.flare_rise
    now.target[bad] = p.flare_xuln[0] * np.exp(p.flare_xuln[1] * _normal(u[1, bad], u[2, bad]))
    now.igg_target[bad] = p.igg_flare
    now.step[out], now.off_treatment[out], now.trying[out] = Step.WITHDRAWAL, True, NEVER


def _normal(u: Floats, v: Floats) -> Floats:
    """Return a standard normal variable from two uniform ones (Box and Muller)."""
    return np.asarray(np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v))


def _retreat(now: _Now, world: _World, i: Ints, u: Floats, v: Floats) -> None:
    """Find a flare and treat it with steroid; in a steroid-dependent carrier a matched drug comes into question."""
    p = world.p
    now.start[i] += p.flare_found[0] + (p.flare_found[1] - p.flare_found[0]) * u[0, i]
    now.n_flares[i] += 1
    now.peak[i] = p.peak[0] - p.peak[1] * np.log1p(-u[1, i])
    often = now.n_flares[i] >= 2
    _order_panel(now, world, i[often])
    switch = _may_switch(now, world, i, v[0, i], allowed=often)
    now.option[i] = np.where(switch, Option.MATCHED, Option.NONE)
    now.matched[i] |= switch
    rapid = world.children.response_class[i] == RAPID
    _respond(now, world, i, np.where(rapid, p.flare_half_life, 1.4 * p.flare_half_life))
    now.step[i], now.off_treatment[i] = Step.RETREATED, False
