"""What the second pass collects: rows of the tables as text, and what was passed over, counted."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from aih_outcomes.load.fhir.codes import Codebook, Meaning
from aih_outcomes.load.fhir.people import People

LAB_COLUMNS = (
    "patient_id", "file", "row", "key", "version", "status", "date", "analyte", "value", "unit", "ucum", "uln",
    "uln_unit", "uln_source", "method", "visit", "encounter", "date_precision",
)  # fmt: skip


class Origin(NamedTuple):
    """Where a row comes from, and which version of its resource it is."""

    patient_id: str
    file: int
    row: int
    key: str
    version: str
    status: str


class Row(NamedTuple):
    """One row of a table as text: schema column → cell; a treatment also has ``dose_printed, dose_unit``."""

    origin: Origin
    cells: dict[str, str]


class Refused(NamedTuple):
    """A resource of the cohort that is set aside before it is a row."""

    table: str
    patient_id: str
    file: int
    row: int
    column: str
    rule: str
    way_out: str


@dataclass(slots=True)
class Store:
    """Everything that was collected; counters are keyed by table and file.

    Attributes
    ----------
    labs : tuples in the order of ``LAB_COLUMNS``; as there are most of them, they have a form of their own
    rows : table → rows
    diagnosis : schema word of the condition that makes the cohort
    facts : origin, column of 'patients', word, first day
    encounters : key → scheduled, unscheduled or ``""``
    last_seen : patient → last day of any resource
    passed, told : ``(table, file, words)`` → number
    not_used : ``(table, file, code)`` → number
    """

    people: People
    codebook: Codebook
    diagnosis: str
    file: int = 0
    labs: list[tuple[object, ...]] = field(default_factory=list)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    facts: list[tuple[Origin, str, str, str]] = field(default_factory=list)
    encounters: dict[str, str] = field(default_factory=dict)
    last_seen: dict[str, str] = field(default_factory=dict)
    passed: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    told: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    not_used: Counter[tuple[str, int, str]] = field(default_factory=Counter)

    def add(self, table: str, origin: Origin, cells: dict[str, str]) -> None:
        """Add one row."""
        self.rows.setdefault(table, []).append(Row(origin, cells))

    def pass_over(self, table: str, words: str) -> None:
        """Count a resource that is not read on purpose."""
        self.passed[table, self.file, words] += 1

    def tell(self, table: str, words: str) -> None:
        """Count what a reader of the load report should know of a row that is read."""
        self.told[table, self.file, words] += 1

    def leave(self, table: str, code: str) -> None:
        """Count a code that has no word in the schema."""
        self.not_used[table, self.file, code] += 1

    def accept(self, meaning: Meaning, table: str, column: str, origin: Origin) -> bool:
        """Return whether a meaning may be used; set an unsure one aside, and tell of one from memory."""
        if meaning.confidence == "unsure":
            refused = Refused(table, origin.patient_id, origin.file, origin.row, column, meaning.rule, meaning.way_out)
            self.refused.append(refused)
            return False
        if meaning.confidence == "remembered":
            self.tell(table, f"through the code {meaning.code}, which the catalogue has from memory")
        return True
