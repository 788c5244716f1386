"""Who changes category with the choice of upper limits, and who because the limit changed on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import TimeZero
from aih_outcomes.endpoints.definition import Definition, read_definition
from aih_outcomes.endpoints.response.limit_reasons import LIMIT_REASONS, ages_at
from aih_outcomes.endpoints.response.limits import AS_RECORDED, FIXED, limits_in_words, list_limit_changes
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.models.result import order_columns
from aih_outcomes.study.definitions import compare_definitions, derive_responses

CHOICE = "choice of limits"
REASONS = (CHOICE, *LIMIT_REASONS)
AGE_BANDS = ("0–4 years", "5–9 years", "10–14 years", "15 years or more")
_BAND_STARTS = (5, 10, 15)
COLUMNS = (
    "label",
    "reason",
    "patient_id",
    "day",
    "age_band",
    "analyte",
    "uln_before",
    "uln",
    "status_before",
    "status",
)
_USUAL = ("met → not met", "not met → met")


@dataclass(frozen=True, slots=True, eq=False)
class UlnComparison:
    """The same patients judged with upper limits from several sources.

    Attributes
    ----------
    labels : sources of limits in words; the first is the one that the others are set beside
    n : patients judged
    patients : ``label, reason, patient_id, day, age_band, analyte, uln_before, uln, status_before, status``: one row
        per change. With the reason *choice of limits*, ``status_before`` is that with the first source, on the last day
        of the window; with the others it is that of the patient's evaluation before, with the same source. For internal
        use
    """

    labels: tuple[str, ...]
    n: int
    patients: pd.DataFrame

    def tidy(self) -> pd.DataFrame:
        """Return the number of patients by source, reason and change of category, zeros included.

        Returns
        -------
        frame ``label`` (source)``, term`` (reason)``, state`` (``met → not met`` …)``, n, denominator``
        """
        changes = self.patients.assign(state=self.patients["status_before"] + " → " + self.patients["status"])
        seen = changes[["reason", "state"]].drop_duplicates()
        rest = [pair for pair in seen.itertuples(index=False, name=None) if pair[1] not in _USUAL]
        pairs = [(reason, state) for reason in REASONS for state in _USUAL] + sorted(rest)
        grid = [(label, *pair) for label in self.labels for pair in pairs if not self._itself(label, pair[0])]
        return self._count(changes.rename(columns={"reason": "term"}), ["label", "term", "state"], grid)

    def by_age(self) -> pd.DataFrame:
        """Return the number of patients who change category by source, reason and age at that time.

        Returns
        -------
        frame ``label, strata`` (age band)``, term, n, denominator``
        """
        grid = [
            (label, band, reason)
            for label in self.labels
            for reason in REASONS
            for band in AGE_BANDS
            if not self._itself(label, reason)
        ]
        named = self.patients.rename(columns={"age_band": "strata", "reason": "term"})
        return self._count(named, ["label", "strata", "term"], grid)

    def _itself(self, label: str, reason: str) -> bool:
        return label == self.labels[0] and reason == CHOICE

    def _count(self, changes: pd.DataFrame, keys: list[str], grid: Sequence[tuple[str, ...]]) -> pd.DataFrame:
        counted = changes.groupby(keys)["patient_id"].nunique()
        wanted = pd.MultiIndex.from_tuples(grid, names=keys)
        return order_columns(counted.reindex(wanted, fill_value=0).rename("n").reset_index().assign(denominator=self.n))


def compare_uln(
    cohort: Cohort,
    definition: Definition | str | None = None,
    *,
    upper_limits: Sequence[str] = (AS_RECORDED, FIXED, "uk-pru", "caliper"),
    day: int = 182,
    time_zero: TimeZero = "induction",
) -> UlnComparison:
    """Show whose category depends on the upper limits: on their source, or on a limit that changed between visits.

    A limit changes on the way with the child's *age band*, the *laboratory*, or the *assay* (another method or unit);
    listed are changes of category that the earlier limit would not have made (``list_limit_changes``), at any time.

    Parameters
    ----------
    definition : response criteria, or their name or file; IAIHG 2022 where not given
    upper_limits : names among ``UPPER_LIMITS``; the others are set beside the first
    day : response by this day since time zero

    Raises
    ------
    PlanError : criteria or sources are not known, or given twice; ``day`` is no day
    """
    chosen = definition if isinstance(definition, Definition) else read_definition(definition or "iaihg-2022")
    compared = compare_definitions(cohort, [chosen], upper_limits=upper_limits, day=day, time_zero=time_zero)
    responses = derive_responses(cohort, [chosen], upper_limits=upper_limits, time_zero=time_zero)
    words = [limits_in_words(source) for source, _ in responses]
    first = next(iter(responses.values()))
    parts = [
        _by_choice(compared.disagreements(compared.labels[0], label), first, day).assign(label=word)
        for label, word in zip(compared.labels[1:], words[1:], strict=True)
    ]
    parts += [
        _name_bands(list_limit_changes(response)).assign(label=word)
        for response, word in zip(responses.values(), words, strict=True)
    ]
    filled = [part[list(COLUMNS)] for part in parts if len(part)]
    found = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(COLUMNS))
    return UlnComparison(tuple(words), len(first.patients), found)


def _by_choice(changes: pd.DataFrame, response: Response, day: int) -> pd.DataFrame:
    """Return whose status differs between two sources in the columns of ``UlnComparison.patients``."""
    date = changes["patient_id"].map(response.timelines.zero) + pd.Timedelta(days=day)
    named = changes.rename(columns={"status_first": "status_before", "status_second": "status"})
    age = ages_at(response.timelines.cohort, changes["patient_id"], date)
    return _name_bands(named.assign(reason=CHOICE, day=day, age=age, analyte="", uln_before=np.nan, uln=np.nan))


def _name_bands(changes: pd.DataFrame) -> pd.DataFrame:
    place = np.searchsorted(_BAND_STARTS, changes["age"].to_numpy(float), side="right")
    return changes.assign(age_band=np.array(AGE_BANDS, dtype=object)[place])
