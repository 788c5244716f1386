"""The mapping file: how the columns of a clinic's own spreadsheets become the tables of a cohort.

A mapping is a TOML file with one block per table. Each line of a block says which column of the file holds what:

>>> example = '''
... label = "Liver clinic, export of March"
...
... [reading]                          # how the files are written
... separator = ";"
... decimal = ","
... date_format = "DD.MM.YYYY"
... missing = ["NA", "unknown"]        # these words mean: not known
...
... [units]                            # words of this laboratory: the unit they mean
... igg = { "g/L (serum)" = "g/L", "mg/L" = "0.001 g/L" }
...
... [patients]
... file = "children.csv"
... columns.patient_id = "Study no"
... columns.birth_date = "Born"
... columns.diagnosis_date = "Biopsy"
... columns.sex = { column = "Sex", codes = { f = "female", m = "male" } }
... columns.diagnosis = { constant = "aih" }
...
... [labs]                             # one line of the file per visit, one column per test
... file = "visits.csv"
... columns.patient_id = "Study no"
... columns.date = "Visit"
... wide = [
...     { column = "ALT", analyte = "alt", unit = "U/L", uln = 40 },
...     { column = "IgG", analyte = "igg", unit = "g/L (serum)", uln_column = "IgG limit" },
... ]
...
... [[events]]                         # a table may have several blocks: double brackets
... file = "children.csv"
... only_if_filled = ["Transplant"]    # other lines are no event
... columns.patient_id = "Study no"
... columns.date = "Transplant"
... columns.kind = { constant = "transplant" }
... '''
>>> mapping = parse_mapping(example)
>>> [block.columns["date"].column for block in mapping.labs]
['Visit']

Keys of a column: ``column`` (in the file) or ``constant``; ``codes`` (word in the file → accepted word, ``""`` for
missing), ``missing`` (further words for missing), ``date_format`` (one or several), ``days_since`` (a date, or a
column of the same file that holds one: the cell is then a number of days), ``unit`` (of a laboratory value, a dose,
an age in months). ``columns.sex = "Sex"`` is short for ``columns.sex = { column = "Sex" }``.

Keys of a block: ``file``, ``columns``, ``only`` (column → words: which lines count), ``only_if_filled``, ``distinct``
(one record per distinct set of mapped cells, for files that repeat a patient's facts on each line), ``wide`` (one
record per filled cell of each listed column), and in ``labs`` ``uln`` (a fixed upper limit per analyte, as in
``uln = { alt = "40 U/L" }``). Laboratory results are mapped as printed: ``value``, ``unit`` and ``uln``; doses as
recorded: ``dose`` and ``dose_unit``.
"""

import re
import tomllib
from collections.abc import Mapping as Dictionary
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from aih_outcomes.errors import PlanError, find_line
from aih_outcomes.load.mapping_rules import check_block, check_units, check_wide_units, read_amount
from aih_outcomes.load.parse import ISO, date_pattern
from aih_outcomes.load.source import SEPARATORS
from aih_outcomes.schema import TABLES

_WAY_OUT = "Correct it; the example in aih_outcomes.load.mapping shows each key"


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _as_column(value: object) -> object:
    return value if isinstance(value, dict) else {"column": value}


def _as_text(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.isoformat() if isinstance(value, date) else value


def _check_spelling(value: str) -> str:
    date_pattern(value)
    return value


Word = Annotated[str, BeforeValidator(_as_text)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_as_list)]
Spellings = Annotated[tuple[Annotated[str, BeforeValidator(_check_spelling)], ...], BeforeValidator(_as_list)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Reading(_Part):
    """How the files are written."""

    separator: str = ","
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."
    date_format: Spellings = (ISO,)
    missing: Words = ()

    @field_validator("separator")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in SEPARATORS:
            raise ValueError('must be ",", ";", "|" or a tab, written "\\t"')
        return value

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError:
            raise ValueError("is no encoding; usual ones are utf-8, cp1252, latin-1, utf-16") from None
        return value


class ColumnMap(_Part):
    """Where a column of a cohort's table comes from."""

    column: str | None = None
    constant: Word | None = None
    codes: dict[str, Word] = Field(default_factory=dict)
    missing: Words = ()
    date_format: Spellings = ()
    days_since: Word | None = None
    unit: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "ColumnMap":
        if (self.column is None) == (self.constant is None):
            raise ValueError("give either column (in the file) or constant")
        return self


class WideColumn(_Part):
    """One column of the file whose filled cells each make a record.

    ``column`` holds the laboratory value, the measurement or the date of the event; the other keys hold for all of
    them.
    """

    column: str
    analyte: str | None = None
    measure: str | None = None
    kind: str | None = None
    unit: str | None = None
    uln: float | None = Field(default=None, gt=0)
    uln_column: str | None = None
    date: str | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> "WideColumn":
        if self.uln is not None and self.uln_column is not None:
            raise ValueError("give either uln (a number) or uln_column")
        return self


class Block(_Part):
    """One file that gives records of one table."""

    file: str
    columns: dict[str, Annotated[ColumnMap, BeforeValidator(_as_column)]] = Field(default_factory=dict)
    only: dict[str, Words] = Field(default_factory=dict)
    only_if_filled: Words = ()
    distinct: bool = False
    wide: tuple[WideColumn, ...] = ()
    uln: dict[str, str] = Field(default_factory=dict)


Blocks = Annotated[tuple[Block, ...], BeforeValidator(_as_list)]


class Mapping(_Part):
    """A mapping file, checked against the schema of the tables."""

    label: str | None = None
    reading: Reading = Reading()
    units: dict[str, dict[str, str]] = Field(default_factory=dict)
    patients: Blocks
    labs: Blocks = ()
    treatments: Blocks = ()
    events: Blocks = ()
    biopsies: Blocks = ()
    imaging: Blocks = ()
    measurements: Blocks = ()
    variants: Blocks = ()
    adverse_events: Blocks = ()
    clinician_responses: Blocks = ()
    follow_up: Blocks = ()

    def blocks(self) -> list[tuple[str, Block]]:
        """Return each block with the name of its table, in the order of the schema."""
        return [(name, block) for name in TABLES for block in getattr(self, name)]

    @field_validator("units")
    @classmethod
    def _units_convert(cls, value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        check_units(value)
        return value

    @model_validator(mode="after")
    def _blocks_fit_schema(self) -> "Mapping":
        for name, block in self.blocks():
            check_block(name, block)
            for analyte, amount in block.uln.items():
                read_amount(analyte, amount)
            if name == "labs":
                check_wide_units(block, self.units)
        return self


def read_mapping(path: str | Path) -> Mapping:
    """Read a mapping file (TOML).

    Raises
    ------
    PlanError : the file is missing, is not TOML, or holds a key that cannot be used; the line is named where known
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise PlanError(
            f"The mapping '{path.name}' cannot be read",
            "A mapping is a TOML file in UTF-8",
            "Check its path, and save it as UTF-8",
        ) from None
    return parse_mapping(text, name=path.name)


def parse_mapping(text: str, *, name: str = "mapping") -> Mapping:
    """Read a mapping from the text of a TOML file; see ``read_mapping``."""
    try:
        return Mapping.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"The mapping '{name}' is not TOML: {error}", "A mapping is a TOML file", _WAY_OUT) from None
    except ValidationError as error:
        faults = [_describe_fault(fault, text) for fault in error.errors(include_url=False, include_input=False)]
        raise PlanError(
            f"{len(faults)} fault(s) in the mapping '{name}': {'; '.join(faults)}",
            "A mapping holds the keys that its documentation names, and no others",
            _WAY_OUT,
        ) from None


def _describe_fault(fault: Dictionary[str, Any], text: str) -> str:
    loc = [part for part in fault["loc"] if isinstance(part, str) and part != "[key]"]
    message = fault["msg"].removeprefix("Value error, ").replace("Extra inputs are not permitted", "is no key here")
    key = re.match(r"([\w.]+): ", message)
    path = tuple(key.group(1).split(".")) if key else tuple(part for part in fault["loc"] if part != "[key]")
    line = find_line(text, path)
    return (f"line {line}: " if line else "") + (message if key else f"{'.'.join(loc)}: {message}")
