"""Permutation tests of groups: exact where the arrangements can be counted out, refused where follow-up differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.guard import require_time_to_event
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.curves.arrangements import Labels, count_arrangements, draw_labels, enumerate_labels
from aih_outcomes.models.survival.curves.arrays import PATIENT, Rows, number_strata, read_rows
from aih_outcomes.models.survival.curves.checks import refuse_no_draws
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival, name_groups
from aih_outcomes.models.survival.curves.log_rank import SINGULAR, p_in_words, quadratic_form, sum_log_rank
from aih_outcomes.models.survival.curves.restricted_mean import compare_restricted_means
from aih_outcomes.models.survival.designs.design import caution, name_design
from aih_outcomes.outcomes import Groups, TimeToEvent, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Statistic = Literal["log-rank", "restricted mean difference"]

STATISTICS = ("log-rank", "restricted mean difference")
MOST_ARRANGEMENTS = 100_000
FOLLOW_UP_ALPHA = 0.05  # below it follow-up counts as different between groups
LEAST_DIFFERENCE = 1e-9  # relative; statistics nearer than this are equal


@dataclass(frozen=True, slots=True, eq=False)
class PermutationTest:
    """How often labels handed out at random within strata give a difference as large as the one seen.

    Attributes
    ----------
    statistic : ``log-rank`` or ``restricted mean difference``
    horizon : of the restricted mean, in the outcome's unit; NaN for the log-rank test
    observed : the statistic seen: the quadratic form of the log-rank scores with their permutation variance, or the
        difference of restricted means
    p_value : two-sided
    n_arrangements : how many there are; ``n_counted`` of them were looked at, all of them if ``exact``
    follow_up_p_value, entry_p_value : of the checks that follow-up and entry are alike in the groups; NaN where nobody
        was censored, or nobody entered late
    """

    outcome: TimeToEvent
    by: Groups | str
    levels: tuple[str, ...]
    strata: tuple[str, ...]
    statistic: Statistic
    horizon: float
    observed: float
    p_value: float
    n_arrangements: int
    n_counted: int
    exact: bool
    follow_up_p_value: float
    entry_p_value: float
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row: ``label, term, time, estimate, std_error, p_value, measure, exact, n_counted``.

        ``std_error`` is that of the p-value, by chance of the draw: 0 where the test is exact, NaN where there is none.
        """
        chance = 0.0 if self.exact else self.p_value * (1 - self.p_value) / max(self.n_counted, 1)
        error = float("nan") if self.not_estimable else float(np.sqrt(chance))
        return order_columns(pd.DataFrame([{
            "label": self.outcome.label, "term": " vs ".join(reversed(self.levels)), "time": self.horizon,
            "estimate": self.observed, "std_error": error, "p_value": self.p_value, "measure": self.statistic,
            "exact": self.exact, "n_counted": self.n_counted,
        }]))  # fmt: skip

    def glance(self) -> dict[str, Any]:
        """Return the test, its size and the checks made before it."""
        return {
            "n": len(self.outcome.frame), "n_event": int(self.outcome.event.sum()), "statistic": self.statistic,
            "observed": self.observed, "p_value": self.p_value, "n_arrangements": self.n_arrangements,
            "n_counted": self.n_counted, "exact": self.exact, "by": name_groups(self.by), "strata": self.strata,
            "horizon": self.horizon, "follow_up_p_value": self.follow_up_p_value, "entry_p_value": self.entry_p_value,
            "design": name_design(self.outcome.design), "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        outcome = self.outcome
        if self.not_estimable:
            return f"Permutation test of {outcome.label} not estimable: {self.not_estimable}."
        how = "all arrangements" if self.exact else f"{self.n_counted:,} arrangements drawn at random"
        within = f" within {', '.join(self.strata)}" if self.strata else ""
        measure: str = self.statistic
        if np.isfinite(self.horizon):
            measure += f" to {self.horizon:g} {outcome.time_unit}"
        text = (
            f"Permutation test of {outcome.label} ({measure}; {how} of the labels{within}): "
            f"{p_in_words(self.p_value)}. No difference of follow-up or entry was found between the groups (log-rank "
            f"tests of reverse Kaplan-Meier and of entry, threshold p < {FOLLOW_UP_ALPHA:g})."
        )
        return f"{text} {caution(outcome.design)}".strip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves that the test compares."""
        return estimate_survival(self.outcome, by=self.by).plot(ax=ax)


def compare_by_permutation(
    outcome: TimeToEvent,
    *,
    by: Groups | str,
    rng: np.random.Generator,
    statistic: Statistic = "log-rank",
    strata: str | Sequence[str] | None = None,
    horizon: float | None = None,
    n_permutations: int = 10_000,
) -> PermutationTest:
    """Test whether groups differ by handing their labels out anew within strata.

    All arrangements are counted where there are at most 100,000, and p is their share; otherwise ``n_permutations`` are
    drawn and p = (b + 1) / (B + 1).

    Parameters
    ----------
    outcome : one row per patient, of one landmark; no weights
    by : groups known at entry (guarded) or a covariate
    rng : draws arrangements where they are too many to count
    statistic : ``log-rank`` (any number of groups), or ``restricted mean difference`` of two; a curve that ends before
        the horizon in an arrangement is carried on at its last value
    strata : covariates; labels move within their joint levels only
    horizon : as in ``compare_restricted_means``

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : several rows of a patient, weights, or follow-up that differs between the groups: censoring or entry
        with p < 0.05 in a log-rank test. Labels are then no longer exchangeable though the event times are alike; an
        unknown statistic, no permutation, no numpy Generator

    Notes
    -----
    Log-rank scores are those of the pooled data (Peto & Peto, J R Stat Soc A 1972;135:185); their sum by group is a
    product of labels and scores. Restricted means: Horiguchi & Uno, Stat Med 2020;39:4075. (b + 1) / (B + 1): Phipson &
    Smyth, Stat Appl Genet Mol Biol 2010;9:39.
    """
    names = (strata,) if isinstance(strata, str) else tuple(strata or ())
    require_time_to_event(outcome)
    refuse_unknown_choice("statistic", statistic, STATISTICS)
    refuse_no_draws("n_permutations", n_permutations, rng)
    _refuse_repeated(outcome)
    rows, stratum = read_rows(outcome, by), _join_strata(outcome, names)
    follow_up, entry = _check_exchangeable(rows, stratum)
    reason = "only one group" if len(rows.levels) < 2 else ("no events" if not rows.event.any() else None)
    limit, measure = float("nan"), _log_rank_form(rows, stratum)
    if statistic == "restricted mean difference" and reason is None:
        limit, measure, reason = _restricted_mean_form(outcome, by, rows, horizon)
    ways = count_arrangements(rows.group, stratum)
    exact = ways <= MOST_ARRANGEMENTS
    known = (outcome, by, rows.levels, names, statistic, limit)
    if reason:
        return PermutationTest(*known, np.nan, np.nan, ways, 0, exact, follow_up, entry, reason)
    observed = float(measure(rows.group.astype(np.int16)[None, :])[0])
    least = abs(observed) * (1 - LEAST_DIFFERENCE)
    blocks = enumerate_labels(rows.group, stratum) if exact else draw_labels(rows.group, stratum, n_permutations, rng)
    extreme = sum(int(np.sum(np.abs(measure(block)) >= least)) for block in blocks)
    p_value = extreme / ways if exact else (extreme + 1) / (n_permutations + 1)
    counted = ways if exact else n_permutations
    return PermutationTest(*known, observed, p_value, ways, counted, exact, follow_up, entry, None)


def compute_log_rank_scores(rows: Rows, stratum: NDArray[np.int64]) -> Vector:
    """Return each row's (n,) log-rank score: its event minus the hazard it was exposed to, groups taken together.

    Their sum over a group is that group's observed − expected events.
    """
    scores = np.zeros(len(rows.exit))
    for value in np.unique(stratum):
        own = stratum == value
        part = rows.select(own)
        time, where = np.unique(part.exit, return_inverse=True)
        d = np.bincount(where, part.event, len(time))
        entered = np.searchsorted(np.sort(part.entry), time, side="left")
        left = np.searchsorted(np.sort(part.exit), time, side="left")
        hazard = np.concatenate([[0.0], np.cumsum(d / (entered - left))])
        since = np.searchsorted(time, part.entry, side="right")
        scores[own] = part.event - (hazard[where + 1] - hazard[since])
    return scores


def _log_rank_form(rows: Rows, stratum: NDArray[np.int64]) -> Callable[[Labels], Vector]:
    """Return a function of labels (n_arrangements, n): the quadratic form of the groups' sums of scores."""
    scores, k = compute_log_rank_scores(rows, stratum), len(rows.levels)
    variance = np.zeros((k, k))
    for value in np.unique(stratum):
        own = stratum == value
        n, sizes = int(own.sum()), np.bincount(rows.group[own], minlength=k).astype(float)
        spread = float(np.sum(scores[own] ** 2)) / max(n - 1, 1)  # the scores of a stratum sum to 0
        variance += spread * (np.diag(sizes) - np.outer(sizes, sizes) / n)
    inverse = np.linalg.pinv(variance, rcond=SINGULAR, hermitian=True)

    def measure(labels: Labels) -> Vector:
        sums = np.column_stack([(labels == code) @ scores for code in range(k)])
        return np.asarray(np.sum((sums @ inverse) * sums, axis=1), float)

    return measure


def _restricted_mean_form(
    outcome: TimeToEvent, by: Groups | str, rows: Rows, horizon: float | None
) -> tuple[float, Callable[[Labels], Vector], str | None]:
    """Return the horizon, a function of labels (n_arrangements, n) and why nothing can be told, if so."""
    if len(rows.levels) != 2:
        raise OutcomeError(
            f"{len(rows.levels)} groups are given", "A difference of restricted means has two",
            "Leave the others out by name, or use statistic='log-rank'",
        )  # fmt: skip
    seen = compare_restricted_means(outcome, by=by, horizon=horizon)
    limit, start = seen.horizon, seen.curves.alive_at
    exits = np.unique(rows.exit[rows.event & (rows.exit > start) & (rows.exit < limit)])
    at_risk = ((rows.entry[:, None] < exits) & (exits <= rows.exit[:, None])).astype(float)
    dead = ((rows.exit[:, None] == exits) & rows.event[:, None]).astype(float)
    widths = np.diff(np.concatenate([[start], exits, [limit]]))

    def area(chosen: NDArray[np.float64]) -> Vector:
        n, d = chosen @ at_risk, chosen @ dead
        survival = np.cumprod(1 - np.divide(d, n, out=np.zeros_like(d), where=n > 0), axis=1)
        return np.asarray(widths[0] + survival @ widths[1:], float)

    def measure(labels: Labels) -> Vector:
        return area((labels == 1).astype(float)) - area((labels == 0).astype(float))

    return limit, measure, seen.not_estimable


def _check_exchangeable(rows: Rows, stratum: NDArray[np.int64]) -> tuple[float, float]:
    """Return the p-values of log-rank tests of censoring and of entry between the groups; refuse small ones."""
    found = [float("nan"), float("nan")]
    censoring = replace(rows, event=~rows.event)
    entering = replace(rows, entry=np.full(len(rows.entry), -np.inf), exit=rows.entry, event=np.ones_like(rows.event))
    for place, swapped in enumerate((censoring, entering)):
        if swapped.event.any() and len(np.unique(swapped.exit)) > 1:
            statistic, df, reason = quadratic_form(*sum_log_rank(swapped, stratum))
            found[place] = float("nan") if reason else float(chi2.sf(statistic, df))
    for name, p_value in zip(("Censoring", "Entry"), found, strict=True):
        if p_value < FOLLOW_UP_ALPHA:
            raise OutcomeError(
                f"{name} differs between the groups (log-rank test, {p_in_words(p_value)})",
                "A permutation test needs the same follow-up in every group: labels are not exchangeable otherwise "
                f"(threshold p < {FOLLOW_UP_ALPHA:g})",
                "Use compare_survival(...), which lets follow-up differ, or compare within strata=... that explain it",
            )
    return found[0], found[1]


def _join_strata(outcome: TimeToEvent, names: tuple[str, ...]) -> NDArray[np.int64]:
    joint = np.zeros(len(outcome.frame), np.int64)
    for name in names:
        codes = number_strata(outcome, name)
        joint = np.unique(joint * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1].astype(np.int64)
    return joint


def _refuse_repeated(outcome: TimeToEvent) -> None:
    repeated = int(outcome.frame[PATIENT].duplicated().sum())
    weighted = int(np.sum(outcome.weight != 1))
    if repeated or weighted:
        raise OutcomeError(
            f"{repeated} rows are of a patient seen before, {weighted} have a weight other than 1",
            "A permutation hands out one label per patient, all alike",
            "Keep one row per patient and no weights; groups that change with time: compare_survival(...)",
        )
