"""Facts about a patient that become known after time zero."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.outcomes.checks import read_ids, refuse, require


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Who belongs where, and since when that is known: facts that become known after time zero.

    Attributes
    ----------
    frame : ``patient_id, label, onset, known_at``; days since time zero; one row per patient and change of label;
        ``known_at`` is NaN where membership never became known
    name : what the labels speak of, with the criteria, e.g. ``response to first-line treatment (IAIHG 2022)``
    levels : labels in the order shown; the first is the reference of a comparison
    time_zero : the clock of ``onset`` and ``known_at``
    analytes : analytes that decide membership; a trajectory of one of them may only be described
    irreversible : whether a label, once known, stays
    landmark : day at which the groups were fixed; None where they change over time
    """

    frame: pd.DataFrame
    name: str
    levels: tuple[str, ...]
    time_zero: str = "time zero"
    analytes: tuple[str, ...] = ()
    irreversible: bool = False
    landmark: int | None = None

    def __post_init__(self) -> None:
        """Refuse labels that are not declared and membership known before it began."""
        levels: object = self.levels
        if not isinstance(levels, tuple | list) or not levels or len(set(levels)) < len(levels):
            raise OutcomeError(
                f"{self.name!r} declares no levels, or one of them twice", "Each label has a name of its own",
                "Write levels=('non-responder', 'responder')",
            )  # fmt: skip
        require(self.frame, ["patient_id", "label", "onset", "known_at"], self.name)
        refuse(
            ~self.frame["label"].isin(self.levels).to_numpy(bool),
            self.name,
            "have a label that is not declared",
            f"Labels are {', '.join(self.levels)}",
            "Declare the label in levels=(…)",
        )
        known_at, onset = (pd.to_numeric(self.frame[name], errors="coerce") for name in ("known_at", "onset"))
        broken = (known_at.isna() & self.frame["known_at"].notna()) | (onset.isna() & self.frame["onset"].notna())
        refuse(
            broken.to_numpy(bool), self.name, "have no number in onset or known_at", "They are days since time zero",
            "Count days, or leave them missing where membership never became known",
        )  # fmt: skip
        read_ids(self.frame, "patient_id", self.name)
        early = (known_at < onset).to_numpy(bool)
        refuse(
            early,
            self.name,
            "are known before their onset",
            "known_at is the last date that the decision used",
            "Check onset and known_at",
        )
        if self.irreversible:
            ordered = self.frame.sort_values(["patient_id", "known_at"], kind="stable")
            place = ordered["label"].map({level: place for place, level in enumerate(self.levels)})
            same = ordered["patient_id"].eq(ordered["patient_id"].shift())
            refuse(
                (same & (place < place.shift())).to_numpy(bool),
                self.name,
                "go back to an earlier label",
                "Irreversible labels only move on, in the order of levels",
                "Declare irreversible=False, or keep the later label",
            )
        repeated = self.frame.duplicated(["patient_id", "known_at"]).to_numpy(bool)
        refuse(
            repeated,
            self.name,
            "repeat a patient at the same known_at",
            "A patient has one label at a time",
            "Merge these rows",
        )

    def at(self, day: float) -> pd.Series:
        """Return each patient's latest label known at or before ``day`` (index ``patient_id``)."""
        known = self.frame[self.frame["known_at"] <= day].sort_values("known_at", kind="stable")
        return known.groupby("patient_id", sort=True)["label"].last()
