"""The columns of an export, held against the dictionary: by field name, or by label in their order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from aih_outcomes.errors import DataError
from aih_outcomes.formats.redcap import COMPLETE, EVENT, GROUP, INSTANCE, INSTRUMENT
from aih_outcomes.load.redcap.dictionary import Field, Problem, without_markup

CHECKED = {"1": "Checked", "0": "Unchecked"}
_SYSTEM = {
    EVENT: "Event Name",
    INSTRUMENT: "Repeat Instrument",
    INSTANCE: "Repeat Instance",
    GROUP: "Data Access Group",
    "redcap_survey_identifier": "Survey Identifier",
}
_SURVEY_ENDINGS = ("_timestamp", "_return_code")
_SURVEY_LABEL = "Survey Timestamp"
_STATE = "Complete?"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportColumn:
    """One column of the export.

    Attributes
    ----------
    position : in the line, from 0
    name : as in a raw export
    form : form it belongs to; ``""`` for the record's identifier and for a column of the system
    field : its field; None for a column of the system or of the form's state
    choices : code → label where it is coded
    """

    position: int
    name: str
    form: str = ""
    field: Field | None = None
    choices: dict[str, str]

    @property
    def counts(self) -> bool:
        """Tell whether a filled cell says that the form was filled; a survey's time does, a code to return not."""
        return bool(self.form) and not self.name.endswith("_return_code")

    @property
    def is_checkbox(self) -> bool:
        """Tell whether a cell says that one choice is ticked."""
        return self.field is not None and self.choices is CHECKED


def checkbox_name(field: str, code: str) -> str:
    """Return the column of one choice of a checkbox; REDCap writes it in lower case and a minus as underscore.

    Examples
    --------
    >>> checkbox_name("race", "-1"), checkbox_name("drug", "MMF")
    ('race____1', 'drug___mmf')
    """
    return f"{field}___{code.lower().replace('-', '_').replace('.', '_')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    name: str
    label: str
    form: str
    field: Field | None
    choices: dict[str, str]


def match_columns(
    file: str, header: Sequence[str], fields: Sequence[Field], dictionary: str
) -> tuple[list[ExportColumn], list[Problem]]:
    """Return the columns that the dictionary knows, and a problem for each that it does not or that is not there.

    Raises
    ------
    DataError : the header does not hold the record's identifier (the first field), or a column twice
    """
    expected = _expect(fields)
    names = {one.name for one in expected}
    labels = {one.label for one in expected}
    by_label = sum(cell in labels for cell in header) > sum(cell.lower() in names for cell in header)
    found = _match_labels(header, expected) if by_label else _match_names(header, expected)
    record = fields[0].name
    if record not in {column.name for column in found}:
        raise _other_project(file, dictionary, record)
    _refuse_twice(file, [column.name for column in found])
    known = {column.position for column in found}
    unknown = [
        Problem(file=file, row=1, field=f"column {place + 1}" if by_label or not cell else cell,
                rule="is no column of this name alone that the data dictionary describes; it is not read" if cell
                else "has no name; it is not read")
        for place, cell in enumerate(header) if place not in known
    ]  # fmt: skip
    seen = {column.field.name for column in found if column.field}
    absent = [
        Problem(file=dictionary, row=one.row, field=one.name, rule=f"is not in the data '{file}'")
        for one in fields[1:]
        if one.name not in seen and one.kind != "descriptive"
    ]
    return found, unknown + absent


def _other_project(file: str, dictionary: str, record: str) -> DataError:
    return DataError(
        f"Line 1 of '{file}' has no column '{record}', the first field of the data dictionary '{dictionary}'",
        "The first field of a project identifies the record, and each export holds it",
        "Check that data and dictionary are of the same project, and export the data with its header",
    )


def _refuse_twice(file: str, names: list[str]) -> None:
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
    if twice:
        raise DataError(
            f"{len(twice)} column(s) stand twice in line 1 of '{file}': {', '.join(twice[:5])}",
            "Each field has one column",
            "Export the data again",
        )


def _expect(fields: Sequence[Field]) -> list[_Expected]:
    """Return the columns of a full export in its order."""
    expected = []
    for place, one in enumerate(fields):
        if place == 0 or fields[place - 1].form != one.form:
            expected.append(_of_form(f"{one.form}_timestamp", _SURVEY_LABEL, one.form))
        expected += _expect_field(one, is_record=place == 0)
        if place == 0:
            expected += [_of_form(name, label, "") for name, label in _SYSTEM.items()]
        if place == len(fields) - 1 or fields[place + 1].form != one.form:
            expected.append(
                _Expected(name=f"{one.form}_complete", label=_STATE, form=one.form, field=None, choices=COMPLETE)
            )
    return expected


def _of_form(name: str, label: str, form: str) -> _Expected:
    return _Expected(name=name, label=label, form=form, field=None, choices={})


def _expect_field(one: Field, *, is_record: bool) -> list[_Expected]:
    if is_record:
        return [_of_form(one.name, one.label, "")]
    if one.kind == "descriptive":
        return []
    if one.kind != "checkbox":
        return [_Expected(name=one.name, label=one.label, form=one.form, field=one, choices=one.choices)]
    return [
        _Expected(
            name=checkbox_name(one.name, code), label=f"{one.label} (choice={label})", form=one.form, field=one,
            choices=CHECKED,
        )
        for code, label in one.choices.items()
    ]  # fmt: skip


def _match_names(header: Sequence[str], expected: Sequence[_Expected]) -> list[ExportColumn]:
    by_name = {one.name: one for one in expected}
    stems = {one.field.name: one for one in expected if one.field}
    forms = {one.form for one in expected}
    found = []
    for place, cell in enumerate(header):
        name = cell.lower() if cell.lower() in by_name else cell
        stem = name.partition("___")[0]
        ending = next((ending for ending in _SURVEY_ENDINGS if name.endswith(ending)), "")
        if name in by_name:
            found.append(_make(place, by_name[name]))
        elif stem != name and stem in stems:  # a missing-data code, or no dictionary
            like = stems[stem]
            found.append(ExportColumn(position=place, name=name, form=like.form, field=like.field, choices=CHECKED))
        elif ending and name.removesuffix(ending) in forms:
            found.append(ExportColumn(position=place, name=name, form=name.removesuffix(ending), choices={}))
    return found


def _match_labels(header: Sequence[str], expected: Sequence[_Expected]) -> list[ExportColumn]:
    """Match by label; a label of several fields counts where all of them were exported, in their order."""
    labels = [without_markup(cell) for cell in header]
    system = {label: name for name, label in _SYSTEM.items()}
    meant: dict[str, list[_Expected]] = {}
    for one in expected:
        meant.setdefault(one.label, []).append(one)
    found: list[ExportColumn] = []
    times, before = Counter(labels), Counter[str]()
    for place, label in enumerate(labels):
        fields = meant.get(label, [])
        if label in system:
            found.append(ExportColumn(position=place, name=system[label], choices={}))
        elif label == _STATE:  # of the form whose fields stand before it
            form = next((column.form for column in reversed(found) if column.form), "")
            found += [_make(place, one) for one in fields if one.form == form]
        elif times[label] == len(fields):
            found.append(_make(place, fields[before[label]]))
        before[label] += 1
    return found


def _make(place: int, one: _Expected) -> ExportColumn:
    return ExportColumn(position=place, name=one.name, form=one.form, field=one.field, choices=one.choices)
