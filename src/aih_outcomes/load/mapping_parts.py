"""The parts of a mapping file: how files are written, where a column comes from, one block per file and table."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from aih_outcomes.load.mapping_rules import check_pattern
from aih_outcomes.load.spreadsheets.separated import SEPARATORS
from aih_outcomes.load.values.dates import ISO, date_patterns


def as_list(value: object) -> object:
    """Return a list or tuple as it is, anything else as a list of one."""
    return value if isinstance(value, list | tuple) else [value]


def _as_column(value: object) -> object:
    return value if isinstance(value, dict) else {"column": value}


def _as_text(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.isoformat() if isinstance(value, date) else value


def _check_spelling(value: str) -> str:
    date_patterns(value)
    return value


Word = Annotated[str, BeforeValidator(_as_text)]
Words = Annotated[tuple[Word, ...], BeforeValidator(as_list)]
Spellings = Annotated[tuple[Annotated[str, BeforeValidator(_check_spelling)], ...], BeforeValidator(as_list)]


class Part(BaseModel):
    """A part of a mapping file: keys that it does not know are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Reading(Part):
    """How the files are written."""

    separator: str | None = None
    encoding: str = "utf-8"
    values: Literal["labels", "codes"] = "labels"
    decimal: Literal[".", ","] = "."
    date_format: Spellings = (ISO,)
    missing: Words = ()

    @field_validator("separator")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in SEPARATORS:
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


class ColumnMap(Part):
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


class WideColumn(Part):
    """One column of the file whose filled cells each make a record.

    ``column`` holds the laboratory value, the measurement or the date of the event; the other keys hold for all of
    them. The date of a result stands in the column ``date``, or some ``months``, ``weeks`` or ``days`` after the one
    in the column ``since`` of this sheet, or else of the one with the patients. A visit named by its month is dated to
    the month, and is in no window of days; ``precision = "day"`` takes the planned day for that of the sample.
    """

    column: str
    analyte: str | None = None
    measure: str | None = None
    kind: str | None = None
    unit: str | None = None
    uln: float | None = Field(default=None, gt=0)
    uln_column: str | None = None
    date: str | None = None
    since: str | None = None
    months: int | None = None
    weeks: int | None = None
    days: int | None = None
    precision: Literal["day", "month"] = "month"

    @model_validator(mode="after")
    def _one_of_each(self) -> "WideColumn":
        if self.uln is not None and self.uln_column is not None:
            raise ValueError("give either uln (a number) or uln_column")
        given = [step for step in (self.months, self.weeks, self.days) if step is not None]
        if len(given) != (self.since is not None):
            raise ValueError("since (a column with a date) goes with one of months, weeks or days")
        if self.since is not None and self.date is not None:
            raise ValueError("give either date (a column) or since")
        return self


class WidePattern(Part):
    """Columns named by a rule, such as ``ALT_m0, ALT_m3``: each is read as an entry of ``wide``.

    Attributes
    ----------
    columns : the rule: ``{analyte}`` (in measurements ``{measure}``), perhaps ``{unit}``, and the visit: ``{months}``,
        ``{weeks}`` or ``{days}`` since the date in the column ``since``, or ``{visit}``
    since : column that holds the date from which months, weeks or days are counted, of this sheet, or else of the one
        with the patients
    date : instead: rule of the column that holds the date of the visit, such as ``date_m{months}``
    names : word of the file → analyte or measure, beside the names that the catalogue knows
    units : analyte or measure → unit
    precision : of visits named by their month, as of ``WideColumn``
    """

    columns: str
    since: str | None = None
    date: str | None = None
    precision: Literal["day", "month"] = "month"
    names: dict[str, str] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_date(self) -> "WidePattern":
        check_pattern(self.columns, self.since, self.date)
        return self


class Block(Part):
    """One file, or sheet of a workbook, that gives records of one table."""

    file: str | None = None
    sheet: str | None = None
    first_row: int = Field(default=1, ge=1)
    header_rows: int = Field(default=1, ge=1, le=5)
    columns: dict[str, Annotated[ColumnMap, BeforeValidator(_as_column)]] = Field(default_factory=dict)
    only: dict[str, Words] = Field(default_factory=dict)
    only_if_filled: Words = ()
    distinct: bool = False
    wide: tuple[WideColumn, ...] = ()
    wide_pattern: WidePattern | None = None
