"""Gray's test of equal cumulative incidence in K groups, one test per cause."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, label_rows, require_time_to_event
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.curves.arrays import number_strata
from aih_outcomes.models.survival.curves.checks import refuse_no_weights
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.models.survival.curves.log_rank import p_in_words
from aih_outcomes.models.survival.designs.design import TIME_VARYING, caution, name_design
from aih_outcomes.outcomes import CENSORED, Groups, TimeToEvent, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = NDArray[np.float64]
Flags = NDArray[np.bool_]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class IncidenceTests:
    """Tests of equal cumulative incidence, one per cause.

    Attributes
    ----------
    levels : (k,) the groups; ``n`` (k,) patients
    table : ``state, n_event, statistic, df, p_value, not_estimable``, one row per cause
    rho : weights (1 − F(t−))^rho of the pooled incidence F
    """

    outcome: TimeToEvent
    by: Groups | str
    levels: tuple[str, ...]
    n: Vector
    table: pd.DataFrame
    rho: float
    strata: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per cause: ``label, state, n_event, statistic, df, p_value, not_estimable``."""
        return order_columns(self.table.assign(label=self.outcome.label))

    def glance(self) -> dict[str, Any]:
        """Return the sizes, and the reasons of the causes that have no test."""
        reasons = {row["state"]: row["not_estimable"] for row in self.table.to_dict("records") if row["not_estimable"]}
        return {
            "n": int(self.n.sum()), "n_event": int(self.table["n_event"].sum()), "rho": self.rho, "strata": self.strata,
            "by": name_groups(self.by), "design": name_design(self.outcome.design),
            "not_estimable": "; ".join(f"{cause}: {reason}" for cause, reason in reasons.items()) or None,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        within = f", stratified by {self.strata}" if self.strata else ""
        weights = f", weights of rho = {self.rho:g}" if self.rho else ""
        tests = [_in_words(row) for row in self.table.to_dict("records")]
        text = f"Gray's test of the cumulative incidence ({self.outcome.label}{within}{weights}): {'; '.join(tests)}."
        return f"{text} {caution(self.outcome.design)}".strip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves that the tests compare."""
        from aih_outcomes.models.survival.competing.cumulative_incidence import estimate_cumulative_incidence

        return estimate_cumulative_incidence(self.outcome, by=self.by).plot(ax=ax)


def compare_cumulative_incidence(
    outcome: TimeToEvent, *, by: Groups | str, rho: float = 0.0, strata: str | None = None
) -> IncidenceTests:
    """Test for each cause whether its cumulative incidence is the same in all groups.

    Parameters
    ----------
    outcome : one row per patient, all followed from the same time; competing events as such
    by : groups known at entry (guarded) or a covariate
    rho : weights (1 − F(t−))^rho of the pooled incidence F; 0 for the usual test
    strata : covariate within whose levels the groups are compared

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : late entry, weights, several spells of a patient, an undeclared covariate, rows without a stratum, a
        rho that is no number

    Notes
    -----
    Gray, Ann Stat 1988;16:1141; the same figures as cmprsk's ``cuminc``, ties included.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {
    ...         "t": [1, 2, 3, 4, 5, 6],
    ...         "arm": ["a", "b", "a", "b", "a", "b"],
    ...         "end": ["flare", "death", "flare", "flare", "censored", "death"],
    ...     }
    ... )
    >>> outcome = TimeToEvent.from_frame(frame, exit="t", event="end", covariates=["arm"], competing=["death"])
    >>> compare_cumulative_incidence(outcome, by="arm").tidy()[["state", "df"]].values.tolist()
    [['death', 1], ['flare', 1]]
    """
    require_time_to_event(outcome)
    refuse_no_weights(rho=rho)
    _refuse_uncovered(outcome)
    frame = label_rows(outcome, by)
    stratum = np.zeros(len(frame), np.int64) if strata is None else number_strata(outcome, strata)
    levels = tuple(str(level) for level in frame[GROUP].cat.categories)
    group = frame[GROUP].cat.codes.to_numpy(np.int64)
    ended = (frame["event"] != CENSORED).to_numpy(bool)
    rows = []
    for cause in frame["event"].cat.categories.drop(CENSORED):
        own = (frame["event"] == cause).to_numpy(bool)
        score, variance = np.zeros(len(levels)), np.zeros((len(levels), len(levels)))
        for value in np.unique(stratum):
            part = stratum == value
            u, v = _one_stratum(outcome.exit[part], own[part], (ended & ~own)[part], group[part], len(levels), rho)
            score, variance = score + u, variance + v
        rows.append({"state": str(cause), "n_event": int(own.sum())} | _test(score, variance, int(own.sum())))
    n = np.bincount(group, minlength=len(levels)).astype(float)
    table = pd.DataFrame(rows, columns=["state", "n_event", "statistic", "df", "p_value", "not_estimable"])
    return IncidenceTests(outcome, by, levels, n, table, rho, strata)


def _test(score: Vector, variance: Matrix, n_event: int) -> dict[str, object]:
    """Weigh the scores of all groups but the last, which follows from them."""
    df = len(score) - 1
    reason = "only one group" if not df else (None if n_event else "no events")
    spread = variance[:df, :df]
    if reason is None and not np.isfinite(spread).all():
        reason = "the pooled incidence reaches 1 while someone is at risk"
    if reason is None and np.linalg.matrix_rank(spread, hermitian=True) < df:
        reason = "no time at which the groups can be compared"
    statistic = float("nan") if reason else float(score[:df] @ np.linalg.solve(spread, score[:df]))
    p_value = float(chi2.sf(statistic, max(df, 1)))
    return {"statistic": statistic, "df": df, "p_value": p_value, "not_estimable": reason}


def _one_stratum(
    exit: Vector, event: Flags, competing: Flags, group: Index, k: int, rho: float
) -> tuple[Vector, Matrix]:
    """Gray's score (k,) and its variance (k, k) in one stratum.

    With y at risk, S the survival free of any event just before t, F the incidence: h = y / S(t−), R = h (1 − F(t−)).
    The score is Σ L (dN − R dN. / R.), L = (1 − F.(t−))^rho (Gray 1988, section 2). Its variance sums over time, with
    a the deterministic part and c its integral over the pooled incidence, the squares of
    a + (c(∞) − c(t)) (1 − (1 − F.)/S) at events and of (c(∞) − c(t)) (1 − F.)/S at competing ones (section 3).
    """
    time, place = np.unique(exit[event | competing], return_inverse=True)
    if not len(time):
        return np.zeros(k), np.zeros((k, k))
    who = group[event | competing]
    own = _count(place[event[event | competing]], who[event[event | competing]], len(time), k)
    other = _count(place, who, len(time), k) - own
    at_risk = np.column_stack([
        np.sum(group == j) - np.searchsorted(np.sort(exit[group == j]), time, "left") for j in range(k)
    ]).astype(float)  # fmt: skip
    y = np.where(at_risk > 0, at_risk, np.inf)  # a group that has left counts for nothing
    after: Matrix = np.asarray(np.cumprod(1 - (own + other) / y, axis=0), float)
    before = _lag(after, 1.0)
    free = 1 - _lag(np.cumsum(before * own / y, axis=0), 0.0)  # 1 − F of each group just before
    h = np.where(at_risk > 0, at_risk / np.where(before > 0, before, 1.0), 0.0)
    d, total, R = own.sum(axis=1), h.sum(axis=1), h * free
    pooled: Vector = np.asarray(np.cumsum(d / total), float)
    pooled_before = _lag(pooled[:, None], 0.0)[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):  # groups that leave early may take the pooled F beyond 1
        L = (1 - pooled_before) ** rho
        score = L @ (own - R * (d / R.sum(axis=1))[:, None])
        a = L[:, None, None] * (np.eye(k) * h[:, None, :] - h[:, :, None] * (h / total[:, None])[:, None, :])
        c = np.cumsum(a * (d / (total * (1 - pooled_before)))[:, None, None], axis=0)
        return score, _variance(a, c[-1] - c, 1 - pooled, before, after, y, h, total, d, other)


def _variance(
    a: NDArray[np.float64], to_come: NDArray[np.float64], free: Vector, before: Matrix, after: Matrix, y: Matrix,
    h: Matrix, total: Vector, d: Vector, other: Matrix,
) -> Matrix:  # fmt: skip
    """(k, k) the variance from each group's own events and competing events; tied ones drawn without replacement."""
    odds = np.divide(free[:, None], after, out=np.zeros_like(after), where=after > 0)
    share = np.where(after > 0, 1 - odds, 1.0)
    spared = _finite(d[:, None] - 1, total[:, None] * before - 1, d[:, None] > 1)
    weight = np.where(h > 0, (1 - spared) * (d / total)[:, None] / np.where(h > 0, h, 1.0), 0.0)
    x = a + to_come * share[:, None, :]
    spared = _finite(other - 1, y - 1, other > 1)
    weight_other = (1 - spared) * other * before**2 / y**2
    z = to_come * odds[:, None, :]
    own = np.einsum("tir,tjr,tr->ij", x, x, weight, optimize=True)
    return np.asarray(own + np.einsum("tir,tjr,tr->ij", z, z, weight_other, optimize=True), float)


def _finite(top: Matrix, bottom: Matrix, where: Flags) -> Matrix:
    where, _ = np.broadcast_arrays(where, bottom)
    return np.divide(top * np.ones_like(bottom), bottom, out=np.zeros_like(bottom), where=where)


def _lag(values: NDArray[np.floating], first: float) -> Matrix:
    """(K, k) the value before each time."""
    return np.vstack([np.full((1, values.shape[1]), first), values[:-1]]).astype(float)


def _count(place: Index, who: Index, n_times: int, k: int) -> Matrix:
    """(K, k) how many at each time in each group."""
    return np.bincount(place * k + who, minlength=n_times * k).reshape(n_times, k).astype(float)


def _refuse_uncovered(outcome: TimeToEvent) -> None:
    """Refuse what the test's derivation does not cover."""
    late = int(np.sum(outcome.entry > outcome.entry.min(initial=np.inf)))
    if late or outcome.design.startswith(TIME_VARYING):
        raise OutcomeError(
            f"{late} of {len(outcome.frame)} rows of {outcome.label!r} enter later than the others",
            "Gray's test compares patients who are all followed from one time",
            "Use fit_fine_gray(..., convention='finegray'), or compare hazards with compare_survival(...) of "
            "cause_specific()",
        )
    if np.any(outcome.weight != 1):
        raise OutcomeError(
            f"{int(np.sum(outcome.weight != 1))} of {len(outcome.frame)} rows of {outcome.label!r} have a weight",
            "Gray's test counts each patient once",
            "Leave the weights out, or use fit_fine_gray(..., convention='finegray')",
        )


def _in_words(test: dict[Hashable, Any]) -> str:
    if test["not_estimable"]:
        return f"{test['state']} not estimable ({test['not_estimable']})"
    return f"{test['state']} χ² = {test['statistic']:.2f}, df = {test['df']}, {p_in_words(test['p_value'])}"
