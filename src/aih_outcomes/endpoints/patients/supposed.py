"""What would follow if a result were found: copies of patients with results added, put to the same criteria."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_analytes
from aih_outcomes.endpoints.definition import Definition
from aih_outcomes.endpoints.response.evaluation import evaluate
from aih_outcomes.endpoints.response.interpretable import find_interpretable
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.timelines import Days, Flags, Labs, Timelines, Treatments
from aih_outcomes.endpoints.treatment.dosing import steroid_steps

NORMAL_XULN = 0.1  # of a result that is supposed; its value is the lowest plausible one
Rows = TypeVar("Rows", Labs, Treatments)
Added = Mapping[str, tuple[Days, Days]]  # analyte → copy and day of each result that is supposed


@dataclass(frozen=True, eq=False)
class Supposed(Timelines):
    """Copies of patients of ``source``, each with normal results that nobody has found yet.

    Attributes
    ----------
    who : (m,) the patient behind each copy
    added : per analyte that the criteria read, the results that are supposed
    """

    source: Timelines
    who: Days
    added: Added

    @cached_property
    def positions_in_source(self) -> dict[str, Days]:
        """Per analyte, where each copied result stands in the source; −1 for one that is supposed."""
        return {name: position for name, (_, position) in self._copied.items()}

    @cached_property
    def labs(self) -> dict[str, Labs]:
        """Results of the copies, by copy and day."""
        return {name: labs for name, (labs, _) in self._copied.items()}

    @cached_property
    def _copied(self) -> dict[str, tuple[Labs, Days]]:
        lowest = read_analytes().set_index("analyte")["plausible_low"]
        return {name: self._with(name, *more, float(lowest[name])) for name, more in self.added.items()}

    def _with(self, name: str, copy: Days, day: Days, value: float) -> tuple[Labs, Days]:
        source = self.source.labs[name]
        old, position = _copies(source, self.who, self.source.n)
        m = len(copy)
        row = np.full(m, len(self.source.cohort.labs))  # a row of its own, behind those that were read
        none = np.zeros(m, dtype=np.int8)
        new = Labs(copy, day, np.full(m, value), np.full(m, NORMAL_XULN), none, none.astype(bool), row)
        both = [np.concatenate([getattr(old, f.name), getattr(new, f.name)]) for f in fields(Labs)]
        together = Labs(*both)
        order = np.argsort(together.line, kind="stable")
        return Labs(*(values[order] for values in both)), np.append(position, np.full(m, -1))[order]

    def made_by(self, analyte: str, method: str) -> Flags:
        """Return which results were made by a method; those that are supposed are."""
        position = self.positions_in_source[analyte]
        made = position < 0
        made[~made] = self.source.made_by(analyte, method)[position[~made]]
        return made

    @cached_property
    def treatments(self) -> Treatments:
        """Treatments of the copies, by copy and first day."""
        return _copies(self.source.treatments, self.who, self.source.n)[0]


def suppose(response: Response, who: Days, added: Added) -> Response:
    """Judge copies of patients with further normal results by the same criteria.

    Parameters
    ----------
    who : (m,) position in ``response.patients`` of the patient behind each copy
    added : analyte → copy (position in ``who``) and day of each result; by the method that the criteria ask for
    """
    definition = response.definition
    everything = dict.fromkeys(analytes_read(definition), (_NONE, _NONE))
    zero = pd.Series(response.zero.to_numpy()[who], index=pd.RangeIndex(len(who)))
    timelines = Supposed(
        response.timelines.cohort, response.time_zero, zero, response.timelines, who, {**everything, **added}
    )
    usable = find_interpretable(timelines, definition)
    for name, position in timelines.positions_in_source.items():
        old = position >= 0
        usable[name][old] &= response.interpretable[name][position[old]]
    steroid = steroid_steps(timelines)
    return Response(definition, timelines, usable, steroid, evaluate(timelines, definition, usable, steroid))


_NONE: NDArray[np.int64] = np.empty(0, dtype=np.int64)


def analytes_read(definition: Definition) -> tuple[str, ...]:
    """Return every analyte that response depends on: of the criteria, of non-response, and of recovery."""
    names = list(definition.analytes)
    names += [] if definition.non_response is None else definition.non_response.analytes
    for rule in definition.not_interpretable:
        names += [rule.analyte] if rule.recovered is None else [rule.analyte, rule.recovered.analyte]
    return tuple(dict.fromkeys(names))


def _copies(rows: Rows, who: Days, n: int) -> tuple[Rows, Days]:
    """Return the rows of each copy's patient, ``patient`` being the copy, and where each stood before."""
    starts = np.searchsorted(rows.patient, np.arange(n + 1))
    count = starts[who + 1] - starts[who]
    position = np.repeat(starts[who] - (np.cumsum(count) - count), count) + np.arange(count.sum())
    values = {field.name: getattr(rows, field.name)[position] for field in fields(rows)}
    values["patient"] = np.repeat(np.arange(len(who)), count)
    return type(rows)(**values), position
