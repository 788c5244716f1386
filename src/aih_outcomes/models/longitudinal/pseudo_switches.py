"""Matching: for each switch of therapy the most similar moments at which others did not switch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_number
from aih_outcomes.models.result import order_columns
from aih_outcomes.outcomes import Switches, Vector
from aih_outcomes.outcomes.checks import list_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = NDArray[np.float64]
Places = NDArray[np.intp]

BEFORE, AFTER = "before matching", "after matching"
RATIO, CALIPER = 3, 0.75  # [P] pseudo-switches per switch; greatest distance, in standard deviations
SAME = 12  # decimals beyond which distances are equal


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Switches with their matched pseudo-switches.

    Attributes
    ----------
    switches : what was matched
    moments : rows of ``switches.frame`` that were kept, with ``set`` (0, 1, …: a switch and its pseudo-switches) and
        ``distance`` (0 for the switch); a switch without a partner is in no set
    covariates : by which was matched
    balance : ``strata`` (before or after matching), ``term`` (covariate), ``mean_switched, mean_pseudo``, ``estimate``
        (standardised difference of means), ``n`` switches, ``n_reference`` pseudo-switches
    ratio, caliper : most partners of a switch, greatest distance
    n_incomplete : moments left out for a covariate that is not known, switches among them in ``n_switches_incomplete``
    n_unmatched : switches without a partner within the caliper
    """

    switches: Switches
    moments: pd.DataFrame
    covariates: tuple[str, ...]
    balance: pd.DataFrame
    ratio: int
    caliper: float
    n_incomplete: int
    n_switches_incomplete: int
    n_unmatched: int

    @property
    def n_sets(self) -> int:
        """Number of switches that have a partner."""
        return int(self.moments["switched"].sum())

    def tidy(self) -> pd.DataFrame:
        """One row per covariate, before and after matching.

        Returns
        -------
        frame : ``label, strata, term, estimate`` (standardised difference of means), ``mean_switched, mean_pseudo, n,
            n_reference``
        """
        return order_columns(self.balance.assign(label=self.switches.label))

    def glance(self) -> dict[str, Any]:
        """Facts about the whole matching."""
        after = self.balance.loc[self.balance["strata"] == AFTER, "estimate"].abs()
        return {
            "n_switches": self.switches.n_switches, "n_matched": self.n_sets, "n_unmatched": self.n_unmatched,
            "n_incomplete": self.n_incomplete, "n_switches_incomplete": self.n_switches_incomplete,
            "n_pseudo_switches": self.switches.n_pseudo_switches,
            "n_pseudo_matched": int((~self.moments["switched"]).sum()), "ratio": self.ratio, "caliper": self.caliper,
            "largest_difference": float(after.max()) if after.notna().any() else float("nan"),
            "not_estimable": None if self.n_sets else "no switch has a comparable pseudo-switch",
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption; no counts, which ``glance`` holds."""
        facts = self.glance()
        parts = [
            f"Matching of {self.switches.label} on {', '.join(self.covariates)}, as known on that day: nearest "
            f"neighbours (root mean square of standardised differences, at most {self.caliper:g}), up to {self.ratio} "
            "pseudo-switches per switch, each patient lending one series.",
            "Some switches have no partner, and are left out." if facts["n_unmatched"] else "",
            "Moments with a missing covariate are left out." if self.n_incomplete else "",
            f"Largest standardised difference after matching: {facts['largest_difference']:.2f}."
            if np.isfinite(facts["largest_difference"])
            else "",
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Refuse: a balance is read as a table.

        Raises
        ------
        OutcomeError
        """
        raise OutcomeError(
            f"The balance of {len(self.covariates)} covariates has no figure",
            "Standardised differences before and after matching are a table",
            "Show tidy() as a table; draw what follows from the matching with fit_before_after(...).plot()",
        )


def match_pseudo_switches(
    switches: Switches, *, covariates: Sequence[str] | None = None, ratio: int = RATIO, caliper: float = CALIPER
) -> Matching:
    """Match each switch to the most similar pseudo-switches of other patients.

    Parameters
    ----------
    switches : real and possible switches with what was known on each day
    covariates : which to match on; None for all that ``switches`` declares
    ratio : most pseudo-switches per switch
    caliper : greatest distance, the root mean square over covariates of differences in standard deviations

    Returns
    -------
    matching : who has no partner and who was left out is counted

    Raises
    ------
    OutcomeError : no covariate, or one that is not declared or no number; a ratio or caliper that is none

    Notes
    -----
    A standard deviation is that of all complete moments. Pairs are taken in the order of their distance, first one
    partner for everybody who has one, then a second, and so on; every patient lends one series at most, and nobody is
    the partner of their own switch. Of equally distant pairs the earlier pseudo-switch, then the earlier switch, then
    the names decide, so that the order of rows has no effect. Who switches later may lend earlier moments (risk-set
    sampling: Li, Propert & Rosenbaum, J Am Stat Assoc 2001;96:870).

    Examples
    --------
    >>> frame = pd.DataFrame({"id": ["a", "b", "c"], "day": [90, 80, 70], "dosed": [1, 0, 0], "peak": [3.0, 2.9, 1.0]})
    >>> found = Switches.from_frame(frame, patient_id="id", time="day", switched="dosed", covariates=["peak"])
    >>> match_pseudo_switches(found, ratio=1).moments["patient_id"].tolist()
    ['a', 'b']
    """
    names = _read_covariates(switches, covariates)
    _refuse_no_size(ratio, caliper)
    values = np.column_stack([_numbers(switches, name) for name in names])
    complete = np.asarray(np.isfinite(values).all(axis=1), bool)
    order = np.lexsort((switches.frame["patient_id"].to_numpy(str), switches.time))
    order = order[complete[order]]
    frame = switches.frame.iloc[order].reset_index(drop=True)
    switched, z = frame["switched"].to_numpy(bool), _standardise(values[order])
    real, pseudo = np.flatnonzero(switched), np.flatnonzero(~switched)
    patient = pd.factorize(frame["patient_id"])[0]
    distance = compute_distances(z[real], z[pseudo])
    allowed = (distance <= caliper) & np.not_equal.outer(patient[real], patient[pseudo])
    pairs = assign_partners(distance, allowed, patient[pseudo], ratio=ratio)
    moments = _sets(frame, real, pseudo, pairs, distance)
    return Matching(
        switches, moments, names, _tabulate_balance(frame, moments, names), ratio, float(caliper),
        int((~complete).sum()), int((~complete & switches.switched).sum()), len(real) - int(moments["switched"].sum()),
    )  # fmt: skip


def compute_distances(one: Matrix, other: Matrix) -> Matrix:
    """(n, m) root mean squares of differences between rows of (n, k) and (m, k).

    Examples
    --------
    >>> compute_distances(np.array([[0.0, 0.0]]), np.array([[1.0, 1.0], [2.0, 0.0]])).round(3).tolist()
    [[1.0, 1.414]]
    """
    total = np.zeros((len(one), len(other)))
    for k in range(one.shape[1]):  # one covariate at a time: n × m numbers, not n × m × k
        total += (one[:, None, k] - other[None, :, k]) ** 2
    return np.asarray(np.sqrt(total / one.shape[1]))


def assign_partners(distance: Matrix, allowed: NDArray[np.bool_], patient: Places, *, ratio: int) -> Matrix:
    """Pair rows with columns, nearest first, in ``ratio`` rounds; a patient's columns are used once altogether.

    Parameters
    ----------
    distance, allowed : (n, m)
    patient : (m,) codes of the columns' patients

    Returns
    -------
    pairs : (n_pairs, 2) row and column; of equal distances the earlier column, then the earlier row comes first
    """
    n, m = distance.shape
    rank = np.full((n, m), n * m, dtype=np.int64)
    row, column = np.nonzero(allowed)
    order = np.lexsort((row, column, distance[row, column].round(SAME)))
    rank[row[order], column[order]] = np.arange(len(order))
    ranks = np.full((n, int(patient.max(initial=-1)) + 1), n * m, dtype=np.int64)
    np.minimum.at(ranks, (np.arange(n)[:, None], patient[None, :]), rank)  # of a patient the best moment for each row
    taken: list[NDArray[np.int64]] = []
    for _ in range(ratio):
        waiting = np.ones(n, dtype=bool)
        while True:
            best = np.where(waiting, ranks.min(axis=1, initial=n * m), n * m)
            open_rows = np.flatnonzero(best < n * m)
            if not len(open_rows):
                break
            lender = ranks[open_rows].argmin(axis=1)
            wanted = np.full(ranks.shape[1], n * m, dtype=np.int64)
            np.minimum.at(wanted, lender, best[open_rows])
            mutual = wanted[lender] == best[open_rows]  # nobody else has a nearer claim: such pairs are final
            taken.append(best[open_rows[mutual]])
            waiting[open_rows[mutual]] = False
            ranks[:, lender[mutual]] = n * m
    found = order[np.concatenate(taken)] if taken else np.empty(0, dtype=np.intp)
    return np.column_stack([row[found], column[found]])


def _sets(frame: pd.DataFrame, real: Places, pseudo: Places, pairs: Matrix, distance: Matrix) -> pd.DataFrame:
    """Return the moments of all sets: each switch, then its pseudo-switches from near to far."""
    rows, columns = pairs[:, 0].astype(np.intp), pairs[:, 1].astype(np.intp)
    matched = np.unique(rows)
    place = np.concatenate([real[matched], pseudo[columns]])
    far = np.concatenate([np.zeros(len(matched)), distance[rows, columns]])
    number = np.searchsorted(matched, np.concatenate([matched, rows]))
    found = frame.iloc[place].assign(set=number, distance=far)
    order = np.lexsort((place, far, ~found["switched"].to_numpy(bool), number))
    return found.iloc[order].reset_index(drop=True)


def _tabulate_balance(frame: pd.DataFrame, moments: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """Tabulate means and standardised differences; the same standard deviations stand under both."""
    rows = []
    for strata, part in ((BEFORE, frame), (AFTER, moments)):
        switched = part["switched"].to_numpy(bool)
        for name in names:
            spread = np.sqrt((_variance(frame, name, True) + _variance(frame, name, False)) / 2)
            own, theirs = (part.loc[who, name].to_numpy(float) for who in (switched, ~switched))
            means = [_mean(own), _mean(theirs)]
            rows.append({
                "strata": strata, "term": name, "mean_switched": means[0], "mean_pseudo": means[1],
                "estimate": (means[0] - means[1]) / spread if spread > 0 else np.nan, "n": len(own),
                "n_reference": len(theirs),
            })  # fmt: skip
    return pd.DataFrame(rows).astype({"n_reference": "Int64"})


def _mean(values: Vector) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _variance(frame: pd.DataFrame, name: str, switched: bool) -> float:
    values = frame.loc[frame["switched"] == switched, name].to_numpy(float)
    return float(values.var(ddof=1)) if len(values) > 1 else float("nan")


def _standardise(values: Matrix) -> Matrix:
    """(n, k) in standard deviations from the mean; a covariate that never varies tells nobody apart."""
    if len(values) < 2:
        return np.zeros_like(values)
    spread = values.std(axis=0, ddof=1)
    flat = spread <= 1e-12 * np.maximum(np.abs(values).max(axis=0), 1e-300)
    return np.where(flat, 0.0, (values - values.mean(axis=0)) / np.where(flat, 1.0, spread))


def _read_covariates(switches: Switches, covariates: Sequence[str] | None) -> tuple[str, ...]:
    if not isinstance(switches, Switches):
        raise OutcomeError(
            f"{type(switches).__name__} is no Switches", "Matching takes switches and pseudo-switches",
            "Use derive_switches(...), or Switches.from_frame(frame, patient_id=..., time=..., switched=...)",
        )  # fmt: skip
    given = switches.covariates if covariates is None else list_names("covariates", covariates, "covariates=['age']")
    unknown = [str(name) for name in given if name not in switches.covariates]
    if unknown or not given:
        raise OutcomeError(
            f"{len(unknown)} covariate(s) to match on are not declared: {', '.join(unknown)}"
            if unknown
            else "There is no covariate to match on",
            f"Declared are: {', '.join(switches.covariates) or 'none'}",
            "Declare what was known on that day: Switches.from_frame(..., covariates=['log_alt_peak'])",
        )
    return tuple(dict.fromkeys(given))


def _numbers(switches: Switches, name: str) -> Vector:
    """(n,) values of a covariate; missing stays missing, text is refused."""
    column = switches.frame[name]
    values = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
    texts = int((np.isnan(values) & column.notna().to_numpy(bool)).sum())
    if texts:
        raise OutcomeError(
            f"{texts} of {len(values)} moments have no number in {name!r}", "Distances are taken between numbers",
            "Make 0/1 columns of a category, or leave it out of covariates=",
        )  # fmt: skip
    return values


def _refuse_no_size(ratio: object, caliper: object) -> None:
    if not isinstance(ratio, int | np.integer) or isinstance(ratio, bool) or ratio < 1:
        raise OutcomeError("ratio= is no number of partners", "It is a whole number from 1 on", "Write ratio=3")
    if read_number("caliper", caliper, "caliper=0.75") <= 0:
        raise OutcomeError("caliper= is not above 0", "It is a distance in standard deviations", "Write caliper=0.75")
