"""Rows and terms of a regression on interval-censored times: read, answered for where missing, found hopeless early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.guard import GROUP, counts_by_level, join_groups, label_rows
from aih_outcomes.models.survival.cox.fit import overflows
from aih_outcomes.models.survival.cox.result import FEW_EVENTS
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.models.survival.intervals.likelihood import Ends
from aih_outcomes.models.terms.design import Design, build_design, code_rows, restrict_design
from aih_outcomes.models.terms.formula import list_terms, read_terms
from aih_outcomes.outcomes import CENSORED, Groups, IntervalTime, TimeToEvent, Vector

Outcome = IntervalTime | TimeToEvent
Missing = Literal["raise", "exclude"]
Cluster = Literal["patient_id"] | None

EVENT = "event"
COUNTS = ["n", "n_event", "reference", "n_reference", "n_event_reference"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows a model uses, and their terms.

    Attributes
    ----------
    frame : rows used, with ``group``, ``weight`` and ``event`` (``censored`` where it was never seen)
    design : the terms and their columns
    ends : what is known of each time
    n_missing : left out for a missing covariate
    n_uninformative : left out because nothing is known of their time: never looked at after time zero
    """

    frame: pd.DataFrame
    design: Design
    ends: Ends
    by_name: str
    n_missing: int
    n_uninformative: int

    @property
    def n_event(self) -> int:
        """Rows in which the event was seen."""
        return int(self.ends.seen.sum())

    def counts(self) -> pd.DataFrame:
        """(n_terms,) patients and events of each level compared, and of its reference; missing for numbers."""
        found = [self._counts_of(place) for place in range(len(self.design.terms))]
        frame = pd.DataFrame(found, columns=COUNTS)
        return frame.astype({name: "Int64" for name in COUNTS if name != "reference"})

    def facts(self) -> dict[str, object]:
        """Sizes, for ``glance()``."""
        return {
            "n": len(self.frame), "n_patients": int(self.frame["patient_id"].nunique()), "n_event": self.n_event,
            "n_exact": int(self.ends.exact.sum()), "n_left_censored": int(np.sum(self.ends.seen & ~self._began)),
            "n_missing_excluded": self.n_missing, "n_uninformative": self.n_uninformative, "by": self.by_name,
        }  # fmt: skip

    def caveats(self, n_parameters: int) -> str:
        """Sentences for a caption: who was left out, and whether there are too few events."""
        said = {
            "Patients with missing covariates were left out.": self.n_missing > 0,
            "Patients never looked at after time zero were left out.": self.n_uninformative > 0,
            f"Fewer than {FEW_EVENTS} events per parameter.": self.n_event < FEW_EVENTS * n_parameters,
        }
        return " ".join(words for words, applies in said.items() if applies)

    @property
    def _began(self) -> NDArray[np.bool_]:
        return np.asarray(self.ends.left > 0)

    def _counts_of(self, place: int) -> list[object]:
        term = self.design.terms[place]
        if term.level is None or term.variable not in self.design.categories:
            return [pd.NA] * len(COUNTS)
        levels = self.frame.assign(**{GROUP: self.design.categories[term.variable]})
        counts = counts_by_level(levels, [str(term.level), str(term.reference)])
        (n, n_event), (n_reference, n_event_reference) = counts.to_numpy().tolist()
        return [n, n_event, term.reference, n_reference, n_event_reference]


def require_interval_time(outcome: object) -> None:
    """Refuse whatever is no interval-censored time.

    Raises
    ------
    OutcomeError
    """
    if not isinstance(outcome, IntervalTime):
        raise OutcomeError(
            f"{type(outcome).__name__} is no IntervalTime", "This model takes an event seen between two looks",
            "Use IntervalTime.from_frame(frame, left=..., right=...); for exact times fit_cox(...)",
        )  # fmt: skip


def refuse_unusable(outcome: object, cluster: Cluster) -> None:
    """Refuse what has no times, an unknown cluster, and weights that make the model's own variance meaningless.

    Raises
    ------
    OutcomeError
    """
    if not isinstance(outcome, IntervalTime | TimeToEvent):
        require_interval_time(outcome)
        return
    refuse_unknown_choice("cluster", cluster, (None, "patient_id"))
    broken = int(np.sum(outcome.weight != np.round(outcome.weight)))
    if broken and cluster is None:
        raise OutcomeError(
            f"{broken} of {len(outcome.frame)} weights are not whole numbers",
            "Weights that are no case counts need a robust variance", "Pass cluster='patient_id'",
        )  # fmt: skip


def read_rows(outcome: Outcome, by: Groups | str | None, covariates: Sequence[str] | str, missing: Missing) -> Rows:
    """Read rows and terms; leave out rows of weight 0, of missing covariates (by policy), of no information.

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : unknown terms, missing covariates, competing events, an event at time 0
    """
    refuse_unknown_choice("missing", missing, ("raise", "exclude"))
    names = list_terms(covariates)
    read_terms(names, list(dict.fromkeys([*outcome.covariates, GROUP])))  # refuses what is not declared
    labelled = join_groups(outcome, by) if isinstance(outcome, TimeToEvent) else label_rows(outcome, by)
    frame = labelled.assign(weight=outcome.weight)
    ends = _ends_of(outcome)
    frame[EVENT] = np.where(ends.seen, outcome.label, CENSORED)
    design = build_design(frame, names if by is None else [GROUP, *(name for name in names if name not in (by, GROUP))])
    complete = np.isfinite(design.X).all(axis=1)
    counted = ends.weight > 0
    n_missing = _answer_for_missing(int(np.sum(~complete & counted)), len(frame), outcome.label, missing)
    empty = (ends.left <= np.maximum(ends.entry, 0)) & ~ends.seen
    used = complete & counted & ~empty
    if not used.all():
        frame = frame[used].reset_index(drop=True)
        design = restrict_design(design, frame)
        ends = Ends(ends.entry[used], ends.left[used], ends.right[used], ends.weight[used])
    return Rows(
        frame, design, ends, name_groups(by), n_missing, int(np.sum(complete & counted & empty)),
    )  # fmt: skip


def build_design_at(rows: Rows, at: pd.DataFrame) -> NDArray[np.float64]:
    """(n_at, n_terms) terms of other rows, with the levels and knots of those fitted.

    Raises
    ------
    OutcomeError : a column or a value is missing, or a level was never fitted
    """
    columns = rows.design.columns
    absent = [name for name in columns if name not in at]
    if absent:
        raise OutcomeError(
            f"{len(absent)} column(s) are missing: {', '.join(absent)}",
            f"The model reads {', '.join(columns)}", "Give one row for each patient to predict, with these columns",
        )  # fmt: skip
    X = code_rows(rows.design, at.reset_index(drop=True))
    incomplete = int(np.sum(~np.isfinite(X).all(axis=1)))
    if incomplete:
        raise OutcomeError(
            f"{incomplete} of {len(at)} rows to predict lack a value", f"The model reads {', '.join(columns)}",
            "Complete these rows",
        )  # fmt: skip
    return X


def why_hopeless(rows: Rows, n_parameters: int) -> str | None:
    """Say what can be seen before fitting, or None."""
    X, p = rows.design.X, len(rows.design.terms)
    single = [name for name, levels in rows.design.categories.items() if len(levels.categories) < 2]
    if not len(rows.frame):
        return "no rows that say anything about the time"
    if single:
        return f"only one group in {', '.join(single)}"
    if not rows.n_event:
        return "no events"
    if rows.n_event < n_parameters:
        return "fewer events than parameters"
    for variable, levels in rows.design.categories.items():
        counts = counts_by_level(rows.frame.assign(**{GROUP: levels}), [str(level) for level in levels.categories])
        empty = [str(level) for level in counts.index[counts["n_event"] == 0]]
        if empty:
            return f"no events in {variable}: {', '.join(empty)}"
    if p and overflows(X):
        return "a term has values too large to compute with"
    if p:
        spread = X.std(axis=0)
        centred = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)
        if np.any(spread == 0) or np.linalg.matrix_rank(centred) < p:
            return "terms are constant or collinear"
    if not np.any(rows.ends.left > 0):
        return "every event came before the first look: nothing says when"
    return None


def _ends_of(outcome: Outcome) -> Ends:
    if isinstance(outcome, TimeToEvent):
        left = outcome.exit
        ends = Ends(np.maximum(outcome.entry, 0.0), left, np.where(outcome.event, left, np.inf), outcome.weight)
    else:
        frame = outcome.frame
        left, right = frame["left"].to_numpy(float), frame["right"].to_numpy(float)
        ends = Ends(np.zeros(len(frame)), left, right, outcome.weight)
    at_zero = int(np.sum((ends.right <= 0) & (ends.weight > 0)))
    if at_zero:
        raise OutcomeError(
            f"{at_zero} of {len(left)} rows of {outcome.label!r} have the event at time 0",
            "A model of log time needs times after time zero",
            "Leave them out by name (the event was there at the start), or count half a day",
        )
    return ends


def _answer_for_missing(n_missing: int, n: int, label: str, missing: Missing) -> int:
    if n_missing and missing == "raise":
        raise OutcomeError(
            f"{n_missing} of {n} rows of {label!r} lack a covariate of the model",
            "A missing value is never a normal one",
            "Pass missing='exclude' to leave these rows out, counted; or impute them; or drop the covariate",
        )
    return n_missing


def numbered(values: pd.Series) -> NDArray[np.int64]:
    """(n,) numbers from 0, sorted by value."""
    return np.asarray(pd.factorize(values, sort=True)[0], np.int64)


def robust_variance(scores: NDArray[np.float64], cluster: NDArray[np.int64], vcov: NDArray[np.float64]) -> Vector:
    """(p, p) sandwich: each cluster's share of the gradient between two inverse informations."""
    summed = np.column_stack([np.bincount(cluster, column) for column in (scores @ vcov).T])
    return np.asarray(summed.T @ summed)
