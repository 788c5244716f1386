"""The data dictionary of a REDCap project: fields, forms, choices."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from aih_outcomes.errors import DataError
from aih_outcomes.formats.redcap import HEADERS, YES_NO
from aih_outcomes.load.spreadsheets.source import Source

KINDS = (
    "text", "notes", "calc", "dropdown", "radio", "checkbox", "yesno", "truefalse", "file", "slider", "descriptive",
    "sql",
)  # fmt: skip
CODED = ("dropdown", "radio", "checkbox", "yesno", "truefalse")
_TRUE_FALSE = {"1": "True", "0": "False"}
_API_NAMES = {header.lower(): name for header, name in HEADERS.items()} | {
    "choices or calculations": "select_choices_or_calculations",  # older versions of REDCap
}
_NEEDED = ("field_name", "form_name", "field_type")
_TAGS = re.compile(r"</?[a-zA-Z][^<>]*>")
_SEPARATOR = re.compile(r"\||\n|\\n")  # a bar; older projects have each choice on a line of its own
_LISTED = 5  # rows or fields named in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of the dictionary.

    Attributes
    ----------
    name, form, kind, label : as in the dictionary; the label without markup
    choices : code → label of a coded field
    validation, low, high : validation type and its limits as text
    identifier : the project's owners marked it as identifying
    row : line of the dictionary
    """

    name: str
    form: str
    kind: str = "text"
    label: str = ""
    choices: dict[str, str] = field(default_factory=dict)
    validation: str = ""
    low: str = ""
    high: str = ""
    identifier: bool = False
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What cannot be read: file, row (None for the file as a whole), field and the rule; never the cell itself."""

    file: str
    row: int | None
    field: str
    rule: str


def parse_choices(text: str) -> dict[str, str]:
    """Return code → label of choices as a dictionary holds them; of two with the same code the first stands.

    Examples
    --------
    >>> parse_choices("1, Yes | 2, No, never | -1, ")
    {'1': 'Yes', '2': 'No, never', '-1': ''}
    """
    choices: dict[str, str] = {}
    for part in _SEPARATOR.split(text):
        code, comma, label = (piece.strip() for piece in part.partition(","))
        if code or label:
            choices.setdefault(code, label if comma else code)
    return choices


def without_markup(label: str) -> str:
    """Return a label as an export prints it: without tags, blanks and line breaks as single blanks."""
    return " ".join(_TAGS.sub(" ", label).split())


def is_dictionary(header: Sequence[str]) -> bool:
    """Tell whether a header is that of a data dictionary, downloaded or from the API."""
    return set(_NEEDED) <= set(_translate(header))


def _translate(header: Iterable[str]) -> list[str]:
    lower = [" ".join(name.lower().split()) for name in header]
    return [_API_NAMES.get(name, name) for name in lower]


def read_fields(source: Source) -> tuple[list[Field], list[Problem]]:
    """Return the fields of a dictionary in its order, and what of it cannot be read.

    Raises
    ------
    DataError : a line is cut off, or has no field or form name, or a field or column stands there twice
    """
    cells = source.cells.set_axis(_translate(source.cells.columns), axis=1)
    cells = cells.loc[:, cells.columns != ""]
    _refuse_columns(source.name, cells.columns[cells.columns.duplicated()])
    _refuse_lines(source.name, source.uneven, "has more or fewer cells than the header", "")
    for name in ("field_name", "form_name"):
        _refuse_lines(source.name, cells.index[cells[name].isin(["", "NA"])], "is empty", HEADERS_OF[name])
    _refuse_lines(
        source.name, cells.index[cells["field_name"].duplicated()], "names a field for the second time",
        HEADERS_OF["field_name"],
    )  # fmt: skip
    optional = cells.drop(columns=list(_NEEDED))
    if (optional == "NA").any(axis=None) and not (optional == "").any(axis=None):  # as R writes an empty cell
        cells[optional.columns] = optional.replace("NA", "")
    rows = cells.to_dict("records")
    fields = [_make_field(row, line) for line, row in zip(cells.index.tolist(), rows, strict=True)]
    choices = cells.get("select_choices_or_calculations", pd.Series("", index=cells.index))
    checked = zip(fields, choices, strict=True)
    return fields, [problem for one, text in checked for problem in _check(one, text, source.name)]


HEADERS_OF = {name: header for header, name in HEADERS.items()}


def _refuse_columns(file: str, twice: Iterable[str]) -> None:
    for name in twice:
        raise DataError(
            f"The data dictionary '{file}' has two columns '{HEADERS_OF.get(name, name)}'",
            "Each column of a data dictionary has a name of its own, as downloaded or from the API",
            "Download the data dictionary again, and do not edit it in a spreadsheet",
        )


def _refuse_lines(file: str, lines: Iterable[int], fault: str, column: str) -> None:
    found = [str(line) for line in lines]
    if found:
        where = f", column '{column}'" if column else ""
        raise DataError(
            f"{len(found)} line(s) of the data dictionary '{file}' cannot be read: line {', '.join(found[:_LISTED])}"
            f"{' …' if len(found) > _LISTED else ''}{where} {fault}",
            "Each line of a data dictionary describes one field: its name, once, and its form",
            "Download the data dictionary again, and do not edit it in a spreadsheet",
        )


def _make_field(row: Mapping[Any, str], line: int) -> Field:
    kind = row["field_type"].lower()
    choices = parse_choices(row.get("select_choices_or_calculations", "")) if kind in CODED else {}
    if kind == "yesno":
        choices = dict(YES_NO)
    if kind == "truefalse":
        choices = dict(_TRUE_FALSE)
    return Field(
        name=row["field_name"],
        form=row["form_name"],
        kind=kind,
        label=without_markup(row.get("field_label", "")),
        choices={code: without_markup(label) for code, label in choices.items()},
        validation="" if kind == "slider" else row.get("text_validation_type_or_show_slider_number", ""),
        low=row.get("text_validation_min", ""),
        high=row.get("text_validation_max", ""),
        identifier=row.get("identifier", "").lower() == "y",
        row=line,
    )


def _check(one: Field, choices: str, file: str) -> list[Problem]:
    rules = []
    codes = [part.partition(",")[0].strip() for part in _SEPARATOR.split(choices) if part.strip()]
    if one.kind in ("dropdown", "radio", "checkbox") and len(set(codes)) < len(codes):
        rules.append("each choice needs a code of its own; of two with the same code the first is read")
    if one.kind not in KINDS:
        rules.append(f"field type must be one of {', '.join(KINDS)}")
    if one.kind in CODED and not one.choices:
        rules.append("a coded field needs choices, written '1, Yes | 0, No'")
    return [Problem(file=file, row=one.row, field=one.name, rule=rule) for rule in rules]


def infer_fields(header: Sequence[str]) -> list[Field]:
    """Return the fields of an export without a dictionary: a form ends with its column ``<form>_complete``."""
    fields: list[Field] = []
    pending: list[str] = []
    for name in header:
        if name.endswith("_complete"):
            form = name.removesuffix("_complete")
            fields += [_inferred(column, form) for column in dict.fromkeys(pending)]
            pending = []
        elif name and not name.startswith("redcap_"):
            pending.append(name.partition("___")[0])
    return fields + [_inferred(column, "data") for column in dict.fromkeys(pending)]


def _inferred(column: str, form: str) -> Field:
    return Field(name=column, form=form, kind="text")
