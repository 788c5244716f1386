"""The likelihood with one component of the covariance held fast, all else at its best.

Λ is written so that the component is one of its parameters: an SD stands first on the diagonal; a correlation ρ is the
direction (ρ, √(1 − ρ²)) of the second row. SDs of 0 and correlations of ±1 are then points like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import brentq

from aih_outcomes.models.longitudinal.gaussian.effects import Effects
from aih_outcomes.models.longitudinal.gaussian.likelihood import Array, Evaluation, Fitted, Matrix
from aih_outcomes.models.longitudinal.gaussian.newton import WithScale, maximise
from aih_outcomes.models.longitudinal.gaussian.singular import semidefinite_cholesky
from aih_outcomes.outcomes import Vector

Rule = Literal["sd", "entry", "direction"]
FAR = 14.0  # from the estimate on a logarithmic scale: as good as without limit
EXACT = 1e-8  # of a limit, relative to its distance from the estimate
MOST_STRIDES = 60


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """One component of a covariance.

    Attributes
    ----------
    estimate : on the scale on which it is held: SD, correlation, or an entry of θ
    low, high : where its range ends; an entry is looked for as far as ``FAR``
    told : from that scale to what is told
    rule : an SD is that of parameter ``place`` times σ; an entry is parameter ``place``; a direction is Λ's own
    order : random effects of Z as given, those of the component first
    """

    name: str
    estimate: float
    low: float
    high: float
    told: Callable[[float], float]
    rule: Rule
    place: int
    order: tuple[int, ...]


class Held:
    """A kernel with a component held at a value, in the parameters that are left."""

    def __init__(self, kernel: Effects, component: Component, value: float) -> None:
        self.component, self.value = component, value
        inner = copy(kernel.inner)
        loadings = _loadings(kernel, component, value)
        inner.structure = replace(kernel.structure, spanned=loadings)  # type: ignore[attr-defined]  # both kernels
        self.kernel: WithScale = inner  # type: ignore[assignment]  # both have log σ first
        self.small_sample, self.blocks, self.covariance = inner.small_sample, inner.blocks, inner.covariance

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that are left."""
        names = self.kernel.parameters
        place = self.component.place
        return names if self.component.rule == "direction" else (*names[:place], *names[place + 1 :])

    def start(self) -> Vector:
        """Begin where the kernel does."""
        return self.shorten(self.kernel.start())

    def shorten(self, theta: Vector) -> Vector:
        """Leave out the parameter that is held."""
        return theta if self.component.rule == "direction" else np.delete(theta, self.component.place)

    def evaluate(self, short: Vector) -> Evaluation | None:
        """Return the likelihood and its derivatives in the parameters that are left."""
        rule, place = self.component.rule, self.component.place
        if rule == "direction":
            return self.kernel.evaluate(short)
        at = self.value if rule == "entry" else self.value * np.exp(-short[0])
        full = self.kernel.evaluate(np.insert(short, place, at))
        if full is None:
            return None
        gradient, hessian = self.shorten(full.gradient), np.delete(np.delete(full.hessian, place, 0), place, 1)
        if rule == "sd":
            # The parameter is SD / σ: it moves with log σ.
            across = self.shorten(full.hessian[place])
            gradient[0] -= at * full.gradient[place]
            hessian[0] -= at * across
            hessian[:, 0] -= at * across
            hessian[0, 0] += at**2 * full.hessian[place, place] + at * full.gradient[place]
        return replace(full, theta=short, gradient=gradient, hessian=hessian, state=full)


def _loadings(kernel: Effects, component: Component, value: float) -> Array | None:
    """(entries, q, q) Λ's parameters in the order of the component, in the columns of the search."""
    structure, q = kernel.structure, kernel.structure.q
    if not q or not component.order:
        return None
    into = np.linalg.inv(kernel.scales.Z)[:, list(component.order)]
    own = replace(structure, spanned=None).loadings
    if component.rule == "direction":
        keep = [h for h, (a, b) in enumerate(structure.places) if (a, b) != (1, 1)]
        own = own[keep]
        row = next(h for h, place in enumerate(keep) if structure.places[place] == (1, 0))
        own[row, 1, 0], own[row, 1, 1] = value, np.sqrt(1 - value**2)
    return np.asarray(into @ own)


def _begin(kernel: Effects, component: Component, theta: Vector) -> Vector:
    """θ of the optimum in the component's own parameters."""
    structure, q = kernel.structure, kernel.structure.q
    if not q or not component.order:
        return theta
    T, Lambda = kernel.scales.Z, structure.factor(theta)
    G = (T @ Lambda @ Lambda.T @ T.T)[np.ix_(component.order, component.order)]
    lower = semidefinite_cholesky(G)
    entries = [lower[a, b] for a, b in structure.places]
    if component.rule == "direction":
        entries = [np.sqrt(G[1, 1]) if place == (1, 0) else value
                   for place, value in zip(structure.places, entries, strict=True) if place != (1, 1)]  # fmt: skip
    return np.concatenate([theta[:1], entries, theta[1 + structure.n_entries :]])


def find_limits(fitted: Fitted, component: Component, fall: float) -> tuple[float, float]:
    """Return where the log-likelihood has fallen by ``fall`` on either side of the estimate, as told.

    The root of twice the fall is nearly straight in the component, so that few fits find where it reaches its target
    (Bates, Mächler, Bolker & Walker, J Stat Softw 2015;67:1, section 5).
    """
    kernel = fitted.kernel
    assert isinstance(kernel, Effects)
    best: Evaluation = fitted.evaluation.state
    target = float(np.sqrt(2 * fall))
    last = {"theta": _begin(kernel, component, best.theta)}
    if component.rule != "direction":
        last["theta"] = np.delete(last["theta"], component.place)

    def beyond(value: float) -> float:
        held = Held(kernel, component, value)
        if held.evaluate(last["theta"]) is None:
            return target
        found = maximise(held, fitted.rows, reml=fitted.reml, start=last["theta"], roots=("lambda", "zeta"))
        last["theta"] = found.evaluation.theta
        return float(np.sqrt(max(2 * (best.loglik - found.evaluation.loglik), 0.0))) - target

    begin = last["theta"]
    ends = []
    for end in (component.low, component.high):
        last["theta"] = begin
        far = component.rule == "entry" and np.isinf(end)
        reach = component.estimate + np.sign(end) * FAR if far else end
        limit = _cross(beyond, component.estimate, reach, target)
        ends.append(component.told(end if limit == reach else limit))
    return min(ends), max(ends)


def _cross(beyond: Callable[[float], float], estimate: float, end: float, target: float) -> float:
    """Return where ``beyond`` crosses 0 between the estimate, where it is −target, and the end of the range."""
    direction = 1.0 if end > estimate else -1.0
    if estimate == end:
        return end
    inner, outer, stride = estimate, estimate, 0.25 * max(abs(estimate), 0.1)
    for _ in range(MOST_STRIDES):
        outer = outer + direction * stride
        stride *= 2
        if direction * (outer - end) >= 0:
            if beyond(end) < 0:
                return end
            outer = end
            break
        if beyond(outer) >= 0:
            break
        inner = outer
    at_inner = -target if inner == estimate else None
    known = {inner: at_inner} if at_inner is not None else {}
    return float(brentq(lambda value: known[value] if value in known else beyond(value), inner, outer,
                        xtol=EXACT * max(abs(outer - estimate), 1e-300), rtol=1e-12))  # fmt: skip


def list_components(fitted: Fitted) -> list[Component]:
    """Components in the order: SDs of random effects, correlations, SD between centres, residual SD, then the rest."""
    kernel, theta = fitted.kernel, fitted.evaluation.theta
    assert isinstance(kernel, Effects)
    structure, scales, q = kernel.structure, kernel.scales, kernel.structure.q
    G = kernel.random_cov(fitted.evaluation)
    sd = np.sqrt(np.diag(G))
    found = []
    for a in range(q):
        order = tuple(range(q)) if structure.diagonal else (a, *(b for b in range(q) if b != a))
        place = 1 + (a if structure.diagonal else 0)
        found.append(Component("sd", float(sd[a]), 0.0, np.inf, float, "sd", place, order))
    if not structure.diagonal:
        found += [_correlation(G, a, b) for a in range(q) for b in range(a)]
    sigma = float(np.exp(theta[0]))
    weight = float(np.sqrt(scales.weight))
    tell: dict[str, Callable[[float], float]] = {
        "atanh": lambda value: float(np.tanh(value)), "log rate": lambda value: float(scales.time * np.exp(-value)),
        "logit": lambda value: float(1 / (1 + np.exp(-value))), "log sd": lambda value: float(np.exp(value)),
    }  # fmt: skip
    names = kernel.parameters
    if structure.nested:
        place = names.index("zeta")
        found.append(Component("sd", abs(float(theta[place])) * sigma, 0.0, np.inf, float, "sd", place, ()))
    found.append(Component("sd", float(theta[0]), -np.inf, np.inf, lambda value: float(np.exp(value)) * weight, "entry",
                           0, ()))  # fmt: skip
    for place, name in enumerate(names):
        for how, told in tell.items():
            if name.startswith(how):
                found.append(Component(name, float(theta[place]), -np.inf, np.inf, told, "entry", place, ()))
    return found


def _correlation(G: Matrix, a: int, b: int) -> Component:
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = float(np.clip(G[a, b] / np.sqrt(G[a, a] * G[b, b]), -1.0, 1.0))
    order = (b, a, *(c for c in range(len(G)) if c not in (a, b)))
    return Component("correlation", rho, -1.0, 1.0, float, "direction", 0, order)
