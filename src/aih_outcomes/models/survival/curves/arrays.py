"""From an outcome to the arrays of each group: the one way in for curves and tests of curves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import EVERYONE, GROUP, declared_column, join_groups, require_time_to_event
from aih_outcomes.models.survival.designs.design import refuse_reversible
from aih_outcomes.outcomes import CENSORED, Groups, TimeToEvent, Vector

PATIENT = "patient_id"


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Spells of one group, or of all with the codes of their groups.

    Attributes
    ----------
    entry, exit, event : (n,) spells (entry, exit] and whether they end in the event
    weight : (n,) above 0; None where each row counts 1
    cluster : (n,) codes of rows that belong together; None where nobody asked
    group : (n,) code of each row's group in ``levels``
    levels : names of the groups
    """

    entry: Vector
    exit: Vector
    event: NDArray[np.bool_]
    weight: Vector | None
    cluster: NDArray[np.int64] | None
    group: NDArray[np.int64]
    levels: tuple[str, ...]

    def select(self, kept: NDArray[np.bool_] | NDArray[np.intp]) -> Rows:
        """Return the rows kept, by a mask or by their places."""
        return replace(
            self, entry=self.entry[kept], exit=self.exit[kept], event=self.event[kept], group=self.group[kept],
            weight=None if self.weight is None else self.weight[kept],
            cluster=None if self.cluster is None else self.cluster[kept],
        )  # fmt: skip

    def by_group(self) -> dict[str, Rows]:
        """Return the rows of each group that has any, in the order of the levels."""
        if len(self.levels) < 2 or not len(self.exit):
            return {self.levels[0]: self} if len(self.exit) else {}
        small = self.group.astype(np.int16) if len(self.levels) < 2**15 else self.group  # sorted digit by digit
        order = np.argsort(small, kind="stable")
        ends = np.cumsum(np.bincount(self.group, minlength=len(self.levels)))
        starts = np.concatenate([[0], ends[:-1]])
        return {
            level: self.select(order[start:end])
            for level, start, end in zip(self.levels, starts, ends, strict=True)
            if end > start
        }


def read_rows(outcome: TimeToEvent, by: Groups | str | None) -> Rows:
    """Read an outcome and its groups, checked by the guard; rows of weight 0 are left out.

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : no TimeToEvent, competing events, groups that may change back, rows without a group
    """
    require_time_to_event(outcome)
    refuse_reversible(outcome.design, by)
    group, levels = _read_groups(outcome, by)
    weight = outcome.weight if "weight" in outcome.frame else None
    rows = Rows(outcome.entry, outcome.exit, read_events(outcome), weight, None, group, levels)
    if weight is not None and not weight.all():
        rows = rows.select(weight > 0)
    if rows.weight is not None and (rows.weight == 1).all():
        rows = replace(rows, weight=None)
    return rows


def read_events(outcome: TimeToEvent) -> NDArray[np.bool_]:
    """Return (n_rows,) whether a row ends in the event, from the codes of its category."""
    events = outcome.frame["event"].cat
    none = np.isin(np.asarray(events.categories, str), [CENSORED, *outcome.competing])
    return np.asarray(~none[events.codes.to_numpy()], bool) if len(outcome.frame) else np.empty(0, bool)


def are_last(outcome: TimeToEvent) -> NDArray[np.bool_]:
    """(n_rows,) whether a row is its patient's last: one that another follows ends no follow-up."""
    if not len(outcome.frame) or np.ptp(outcome.entry) == 0:  # spells do not overlap: one row each
        return np.ones(len(outcome.frame), bool)
    patient = pd.factorize(outcome.frame[PATIENT])[0]
    order = np.lexsort((outcome.exit, patient))
    last = np.empty(len(order), bool)
    last[order] = np.append(patient[order][1:] != patient[order][:-1], True)
    return last


def has_fractions(outcome: TimeToEvent) -> bool:
    """Return whether weights are no case counts."""
    return "weight" in outcome.frame and bool(np.any(outcome.weight != np.round(outcome.weight)))


def refuse_fractions(outcome: TimeToEvent, way_out: str) -> None:
    """Refuse weights that are no case counts, where a variance takes them for such.

    Raises
    ------
    OutcomeError
    """
    if has_fractions(outcome):
        broken = int(np.sum(outcome.weight != np.round(outcome.weight)))
        raise OutcomeError(
            f"{broken} of {len(outcome.frame)} weights are not whole numbers",
            "The variance of this method takes weights for case counts",
            way_out,
        )


def number_clusters(outcome: TimeToEvent, cluster: str) -> NDArray[np.int64]:
    """Return (n_rows,) codes of the rows that belong together.

    Raises
    ------
    OutcomeError : an undeclared covariate, rows without a value
    """
    column = outcome.frame[PATIENT] if cluster == PATIENT else declared_column(outcome, cluster)
    return _codes(column, outcome, cluster, "A cluster-robust variance needs to know who belongs together")


def number_strata(outcome: TimeToEvent, strata: str) -> NDArray[np.int64]:
    """Return (n_rows,) codes of the strata of a test.

    Raises
    ------
    OutcomeError : an undeclared covariate, rows without a value
    """
    column = declared_column(outcome, strata)
    return _codes(column, outcome, strata, "A stratified test compares within known strata")


def _codes(column: pd.Series, outcome: TimeToEvent, name: str, rule: str) -> NDArray[np.int64]:
    codes = np.asarray(pd.factorize(column)[0], np.int64)
    missing = int(np.sum(codes < 0))
    if missing:
        raise OutcomeError(
            f"{missing} of {len(codes)} rows of {outcome.label!r} have no value in {name!r}", rule,
            "Exclude these rows by name, or give them a level of their own",
        )  # fmt: skip
    return codes


def _read_groups(outcome: TimeToEvent, by: Groups | str | None) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Pass the guard with no more of the frame than it reads: a million rows are neither copied nor named singly."""
    if by is None:
        join_groups(replace(outcome, frame=outcome.frame.iloc[:0]), None)
        return np.zeros(len(outcome.frame), np.int64), (EVERYONE,)
    needed = [name for name in ([by] if isinstance(by, str) else [PATIENT, "entry"]) if name in outcome.frame]
    frame = outcome.frame[needed]
    codes = np.arange(len(frame))
    if isinstance(by, str) and needed:
        found, _ = pd.factorize(frame[by])
        if (found >= 0).all():
            codes, frame = np.asarray(found, np.int64), frame.drop_duplicates()
    labels = join_groups(replace(outcome, frame=frame), by)[GROUP].cat
    return np.asarray(labels.codes.to_numpy()[codes], np.int64), tuple(str(level) for level in labels.categories)
