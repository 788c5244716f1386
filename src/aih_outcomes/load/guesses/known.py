"""Every sheet with what its columns may hold: by their names, and where these say nothing by their cells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aih_outcomes.catalogue import Match, find_analyte
from aih_outcomes.load.guesses.columns import ANY_TABLE, Role, Sheet, are_dates, bracketed, filled, find_roles
from aih_outcomes.schema import TABLES
from aih_outcomes.units import accepted_units, normalise_unit

_SHARED = 0.9  # of a column's words that stand among the known identifiers: it names the same patients
_FEWEST_SHARED = 3
_LAST_WORD = re.compile(r"[^\s_]+$")  # IgG g/L, ALT_U/L
_ID = Role(ANY_TABLE, "patient_id")
_DATES = {(table.name, column.name) for table in TABLES.values() for column in table.columns if column.kind == "date"}


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The columns of one sheet by what they may hold.

    Attributes
    ----------
    listed_since : column of the list of patients with the date from which this sheet's visits may be counted
    """

    sheet: Sheet
    roles: Mapping[str, Sequence[Role]]
    listed_since: str = ""

    def pick(self, table: str, column: str) -> str | None:
        """Return the first column of the file that may hold this column of a table."""
        wanted = {Role(table, column), Role(ANY_TABLE, column)}
        return next((name for name, roles in self.roles.items() if wanted & set(roles)), None)

    def of_kind(self, table: str) -> list[tuple[str, str]]:
        """Return the columns that hold one kind of a table's facts, and which: ``Weight (kg)``, ``weight``."""
        pairs = [(name, role) for name, roles in self.roles.items() for role in roles]
        return [(name, role.level) for name, role in pairs if role.table == table and role.level]

    def analyte(self, name: str) -> Match | None:
        """Return the analyte that a column's name, or else its label, stands for."""
        return find_analyte(name) or find_analyte(self.sheet.labels.get(name, ""))

    def unit(self, name: str, analyte: str) -> str:
        """Return the unit in brackets or at the end of a column's name or label, where it is one of the analyte."""
        told = (name, self.sheet.labels.get(name, ""))
        units = (unit for words in told for unit in (bracketed(words), *_LAST_WORD.findall(words)))
        return next((unit for unit in units if normalise_unit(unit) in accepted_units(analyte)), "")

    def words(self, name: str) -> list[str]:
        """Return the distinct filled words of a column."""
        return filled(self.sheet.cells[name])

    def patients(self) -> set[str]:
        """Return the words by which the sheet names its patients."""
        name = self.pick(*_ID_PLACE)
        return set(self.words(name)) if name else set()

    def since(self) -> str | None:
        """Return the column with the date from which visits are counted: the start of treatment, else diagnosis."""
        return self.pick("treatments", "start") or self.pick("patients", "diagnosis_date")

    def holds_results(self) -> bool:
        """Return whether any column holds laboratory results, or names the tests that were done."""
        return self.pick("labs", "analyte") is not None or any(map(self.analyte, self.roles))


_ID_PLACE = (_ID.table, _ID.column)


def know_sheets(sheets: Sequence[Sheet]) -> list[Known]:
    """Return the sheets with what their columns may hold.

    A sheet whose patients' column bears no known name has the one whose words are the identifiers of other sheets; the
    only column of dates that nothing else is known of holds the dates of the sheet's results.
    """
    known = [_know(sheet) for sheet in sheets]
    patients = set().union(*(one.patients() for one in known))
    lists = [since for one in known if one.pick("patients", "birth_date") and (since := one.since())]
    listed = lists[0] if lists else ""
    return [replace(_know_date(_know_patients(one, patients)), listed_since=listed) for one in known]


def _know(sheet: Sheet) -> Known:
    """Return what each column may hold, by its name or else by its label; words alone are no dates."""
    named = Known(sheet, {str(name): () for name in sheet.cells.columns if name})
    roles = {name: find_roles(name, sheet.labels.get(name, "")) for name in named.roles}
    for name, found in roles.items():
        words = named.words(name)
        if words and not any(sign.isdigit() for word in words for sign in word):
            roles[name] = [role for role in found if (role.table, role.column) not in _DATES]
    if sheet.patient_id:
        roles = {name: [role for role in found if role != _ID] for name, found in roles.items()}
        roles[sheet.patient_id] = [_ID]
    return replace(named, roles=roles)


def _know_patients(known: Known, patients: set[str]) -> Known:
    if known.pick(*_ID_PLACE) is not None:
        return known
    words = {name: set(known.words(name)) for name, roles in known.roles.items() if not roles}
    shared = {name: len(found & patients) for name, found in words.items() if found}
    best = max(shared, key=lambda name: shared[name], default="")
    if not best or shared[best] < max(_FEWEST_SHARED, _SHARED * len(words[best])):
        return known
    return replace(known, roles={**known.roles, best: [_ID]})


def _know_date(known: Known) -> Known:
    if known.pick("labs", "date") is not None or not known.holds_results():
        return known
    dates = [name for name, roles in known.roles.items() if not roles and are_dates(known.words(name))]
    if len(dates) != 1:
        return known
    return replace(known, roles={**known.roles, dates[0]: [Role("labs", "date"), Role("measurements", "date")]})
