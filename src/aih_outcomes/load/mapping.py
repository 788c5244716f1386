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
... [titres]                           # words in place of a titre: the dilution at which the laboratory begins
... ana = { neg = "<1:20" }
...
... [upper_limits]                     # of results that came without one, in this order
... laboratory = "limits.csv"          # columns: see aih_outcomes.load.values.laboratory_limits
... table = ["uk-pru", "caliper"]      # of the catalogue, by sex and age at the sample
... fixed = { ast = "40 U/L" }
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
missing), ``missing`` (further words for missing), ``date_format`` (one or several; ``excel`` for serial numbers),
``days_since`` (a date, or a column of the same file that holds one: the cell is then a number of days), ``unit`` (of a
laboratory value, a dose, an age in months). ``columns.sex = "Sex"`` is short for
``columns.sex = { column = "Sex" }``.

Keys of ``[reading]``: ``separator`` (else found), ``encoding``, ``decimal``, ``date_format``, ``missing``, ``values``
(of SPSS and Stata files: ``labels``, the default, or ``codes``).

Keys of a block: ``file`` (not needed where one file is read), ``sheet`` (of a workbook; else its first), ``first_row``
and ``header_rows`` (where the header stands; the words of several rows are joined, as in ``ALT | m3``), ``columns``,
``only`` (column → words: which lines count), ``only_if_filled``, ``distinct`` (one record per distinct set of mapped
cells, for files that repeat a patient's facts on each line), ``wide`` (one record per filled cell of each listed
column), ``wide_pattern`` (the same for columns named by a rule, as in
``{ columns = "{analyte}_m{months}", since = "Start", units = { alt = "U/L" } }``). Laboratory results are mapped as
printed: ``value``, ``unit``, ``uln``, ``uln_unit`` and ``uln_source``; doses as recorded: ``dose`` and ``dose_unit``.
"""

import re
import tomllib
from collections.abc import Mapping as Dictionary
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from aih_outcomes.errors import PlanError, find_line
from aih_outcomes.load.mapping_parts import Block, Part, Reading, as_list
from aih_outcomes.load.mapping_rules import check_block, check_titres, check_units, check_wide_units
from aih_outcomes.load.values.limits import LimitChoices
from aih_outcomes.schema import TABLES

_WAY_OUT = "Correct it; the example in aih_outcomes.load.mapping shows each key"


Model = TypeVar("Model", bound=Part)
Blocks = Annotated[tuple[Block, ...], BeforeValidator(as_list)]


class _Words(Part):
    """What every mapping may say: the laboratory's own words, and where upper limits come from.

    Attributes
    ----------
    label : what the data are
    units : analyte → word of the laboratory → unit it stands for
    titres : analyte → word in place of a titre → titre it stands for
    upper_limits : where results without an upper limit get one from
    """

    label: str | None = None
    units: dict[str, dict[str, str]] = Field(default_factory=dict)
    titres: dict[str, dict[str, str]] = Field(default_factory=dict)
    upper_limits: LimitChoices | None = None

    @field_validator("units")
    @classmethod
    def _units_convert(cls, value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        check_units(value)
        return value

    @field_validator("titres")
    @classmethod
    def _titres_are_read(cls, value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        check_titres(value)
        return value


class Rules(_Words):
    """What a coded source (FHIR, OMOP) leaves open.

    Attributes
    ----------
    codes : table → local code or text → analyte, drug, kind of event … of the schema
    """

    codes: dict[str, dict[str, str]] = Field(default_factory=dict)


class Mapping(_Words):
    """A mapping file, checked against the schema of the tables."""

    reading: Reading = Reading()
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

    @model_validator(mode="after")
    def _blocks_fit_schema(self) -> "Mapping":
        for name, block in self.blocks():
            check_block(name, block)
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
    return parse_mapping(_read_text(path), name=path.name)


def read_rules(path: str | Path) -> Rules:
    """Read the mapping file (TOML) of a coded source; errors as of ``read_mapping``."""
    path = Path(path)
    return _parse(Rules, _read_text(path), path.name)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise PlanError(
            f"The mapping '{path.name}' cannot be read",
            "A mapping is a TOML file in UTF-8",
            "Check its path, and save it as UTF-8",
        ) from None


def parse_mapping(text: str, *, name: str = "mapping") -> Mapping:
    """Read a mapping from the text of a TOML file; see ``read_mapping``."""
    return _parse(Mapping, text, name)


def _parse(model: type[Model], text: str, name: str) -> Model:
    try:
        return model.model_validate(tomllib.loads(text))
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
    if fault["type"] == "extra_forbidden" and len(loc) > 1 and loc[-1] in {"units", "titres", "upper_limits"}:
        message += f"; it stands above the first part in brackets, or in a part of its own, [{loc[-1]}]"
    key = re.match(r"([\w.]+): ", message)
    path = tuple(key.group(1).split(".")) if key else tuple(part for part in fault["loc"] if part != "[key]")
    line = find_line(text, path)
    return (f"line {line}: " if line else "") + (message if key else f"{'.'.join(loc)}: {message}")
