"""The likelihood of an irreversible illness-death model in which illness is seen only at looks.

States: 0 free of the event, 1 with it, 2 dead. Whoever dies, or is last known alive, some time after the last look may
have had the event in between, unseen: that possibility is integrated over (Joly, Commenges, Helmer & Letenneur,
Biostatistics 2002;3:433). Each patient's likelihood is a sum of terms: one for never having it, one for each node of
the integral over its time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.models.survival.intervals.hazards import Family, Pieces, Weibull
from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]

EVENT, DEATH_WITHOUT, DEATH_AFTER = range(3)  # 0 → 1, 0 → 2, 1 → 2
TRANSITIONS = ("event", "death without event", "death after event")


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is known of each patient; (n,) each.

    Attributes
    ----------
    left, right : the event lies in (left, right], is exact where equal, or was not seen up to ``left`` (right infinite)
    end, dead : last time known alive, or of death
    weight : case weights
    """

    left: Vector
    right: Vector
    end: Vector
    dead: Flags
    weight: Vector

    @property
    def ill(self) -> Flags:
        """(n,) Whether the event was seen."""
        return np.isfinite(self.right)


@dataclass(frozen=True, slots=True, eq=False)
class IllnessDeathLikelihood:
    """Terms of the likelihood, sorted by patient.

    Attributes
    ----------
    owner, ill, log_weight : (n_terms,) the patient; whether the term goes through the event; the node's log weight
    begin : (n,) first term of each patient
    dead, weight : (n,)
    into_event, into_death : hazards 0 → 1 and 0 → 2 at the term's time; ``after_event`` : 1 → 2 at it
    at_end : 1 → 2 at the patient's end
    """

    owner: Index
    ill: Vector
    log_weight: Vector
    begin: Index
    dead: Vector
    weight: Vector
    into_event: Weibull | Pieces
    into_death: Weibull | Pieces
    after_event: Weibull | Pieces
    at_end: Weibull | Pieces

    def evaluate(self, theta: Vector) -> tuple[float, Vector, Matrix]:
        """Log-likelihood, gradient (3P,) and information (3P, 3P); parameters of 0 → 1, 0 → 2, 1 → 2 in turn."""
        value, T = self._terms(theta)
        top = np.maximum.reduceat(value, self.begin)
        likelihood = np.exp(value - top[self.owner])
        total = np.add.reduceat(likelihood, self.begin)
        loglik = float(self.weight @ (top + np.log(total)))
        share = likelihood / total[self.owner]
        weighted = share * self.weight[self.owner]
        scores = np.add.reduceat(share[:, None] * T, self.begin, axis=0)
        information = scores.T @ (self.weight[:, None] * scores) - T.T @ (weighted[:, None] * T)
        information -= self._curvature(theta, weighted)
        finite = np.isfinite(loglik) and bool(np.all(np.isfinite(information)))
        return (loglik if finite else -np.inf), self.weight @ scores, information

    def _terms(self, theta: Vector) -> tuple[Vector, Matrix]:
        """(n_terms,) log of each term and its derivatives (n_terms, 3P)."""
        first, second, third = np.split(theta, 3)
        event, death = self.into_event.evaluate(first), self.into_death.evaluate(second)
        after, end = self.after_event.evaluate(third), self.at_end.evaluate(third)
        o, ill = self.owner, self.ill
        died, died_free = ill * self.dead[o], (1 - ill) * self.dead[o]

        def used(log_hazard: Vector, flag: Vector) -> Vector:
            return np.where(flag > 0, log_hazard, 0.0)

        value = self.log_weight - event.cumulative - death.cumulative + used(event.log_hazard, ill)
        value += used(death.log_hazard, died_free) + used(end.log_hazard[o], died)
        value += ill * (after.cumulative - end.cumulative[o])
        T = np.column_stack([
            ill[:, None] * event.d_log_hazard - event.d_cumulative,
            died_free[:, None] * death.d_log_hazard - death.d_cumulative,
            ill[:, None] * (after.d_cumulative - end.d_cumulative[o]) + died[:, None] * end.d_log_hazard[o],
        ])  # fmt: skip
        return value, T

    def _curvature(self, theta: Vector, weighted: Vector) -> Matrix:
        """(3P, 3P) second derivatives of the terms, in the proportions in which they are likely."""
        first, second, third = np.split(theta, 3)
        ill, dead = self.ill, self.dead[self.owner]
        through = np.add.reduceat(weighted * ill, self.begin)
        none = np.zeros_like(weighted)
        blocks = [
            self.into_event.curvature(first, -weighted, weighted * ill),
            self.into_death.curvature(second, -weighted, weighted * (1 - ill) * dead),
            self.after_event.curvature(third, weighted * ill, none)
            + self.at_end.curvature(third, -through, through * self.dead),
        ]
        p = len(first)
        total = np.zeros((3 * p, 3 * p))
        for place, block in enumerate(blocks):
            total[place * p : (place + 1) * p, place * p : (place + 1) * p] = block
        return total


def prepare(seen: Seen, Z: Matrix, family: Family) -> IllnessDeathLikelihood:
    """Lay out the terms of each patient; Z (n, p) standardised covariates."""
    exact = seen.left == seen.right
    until = np.where(seen.ill, seen.right, seen.end)
    owner, time, weight = family.nodes(seen.left, np.where(exact, seen.left, until))
    points, free = np.flatnonzero(exact), np.flatnonzero(~seen.ill)
    owner = np.concatenate([owner, points, free])
    time = np.concatenate([time, seen.left[points], seen.end[free]])
    ill = np.concatenate([np.ones(len(weight) + len(points)), np.zeros(len(free))])
    log_weight = np.concatenate([np.log(weight), np.zeros(len(points) + len(free))])
    order = np.argsort(owner, kind="stable")
    owner, time, ill, log_weight = owner[order], time[order], ill[order], log_weight[order]
    here = family.at(time, Z[owner])
    return IllnessDeathLikelihood(
        owner, ill, log_weight, np.searchsorted(owner, np.arange(len(seen.left))), seen.dead.astype(float),
        seen.weight, here, here, here, family.at(seen.end, Z),
    )  # fmt: skip


def cumulative_incidence(family: Family, theta: Vector, Z: Matrix, share: Vector, time: float) -> tuple[Vector, Matrix]:
    """Risk of the event, and of death without it, by a time, averaged over rows.

    Parameters
    ----------
    Z, share : (n, p) covariates and (n,) what each row counts for

    Returns
    -------
    risk : (2,) ; its derivatives (2, 3P)
    """
    first, second, _ = np.split(theta, 3)
    n = len(Z)
    owner, when, weight = family.nodes(np.zeros(n), np.full(n, time))
    hazard = family.at(when, Z[owner])
    event, death = hazard.evaluate(first), hazard.evaluate(second)
    free = share[owner] * weight * np.exp(-event.cumulative - death.cumulative)
    risk, slope = np.empty(2), np.zeros((2, len(theta)))
    p = len(first)
    for place, own in enumerate((event, death)):
        part = free * np.exp(own.log_hazard)
        risk[place] = part.sum()
        slope[place, :p] = -part @ event.d_cumulative
        slope[place, p : 2 * p] = -part @ death.d_cumulative
        slope[place, place * p : (place + 1) * p] += part @ own.d_log_hazard
    return risk, slope
