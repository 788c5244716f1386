"""A REDCap project: its dictionary and one table of text per form."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
import pandas as pd

from aih_outcomes.errors import DataError
from aih_outcomes.formats.redcap import EVENT, GROUP, INSTANCE, INSTRUMENT
from aih_outcomes.load.collection import without_collection
from aih_outcomes.load.redcap.cells import identifies, is_labelled, make_reader
from aih_outcomes.load.redcap.columns import ExportColumn, match_columns
from aih_outcomes.load.redcap.dictionary import Field, Problem, infer_fields, parse_choices, read_fields
from aih_outcomes.load.redcap.events import Events, find_name, read_events
from aih_outcomes.load.redcap.files import ProjectFiles, open_files
from aih_outcomes.load.redcap.rows import FormLines, Shared, share_out
from aih_outcomes.load.spreadsheets.source import Source, count

_PROBLEM_COLUMNS = ("file", "row", "field", "rule")
_DAMAGED = "<U+"  # what R on Windows writes for a letter outside its code page
_DAMAGE = "holds letters that a program wrote as <U+…>; export it again"
_TWICE = "an earlier line holds the same record, event and instance of this form"
_NO_DICTIONARY = "no data dictionary: nothing is known of types, choices and which fields identify a person"
_LISTED = 5  # fields named in a note
Cells = dict[str, Sequence[str]]


@dataclass(frozen=True, slots=True, eq=False)
class RedcapProject:
    """An export of a REDCap project, read and not yet interpreted.

    Attributes
    ----------
    data_file : name of the file with the records
    record_id : first field of the project, which identifies the record
    fields : the dictionary; without one, what the header tells
    forms : form → its lines as text, with the record's identifier, event, instance and data access group; coded cells
        hold codes, numbers have a decimal point, and cells of a missing-data code are blank
    problems : ``file, row, field, rule``: what is not as the dictionary says; the cell is kept as it stands
    withheld : fields that identify a person or hold free text or files, and were not asked for
    notes : what must be told of how the export was read
    """

    data_file: str
    record_id: str
    fields: tuple[Field, ...]
    forms: dict[str, Source]
    problems: pd.DataFrame
    withheld: tuple[str, ...]
    notes: tuple[str, ...]


@without_collection()
def read_project(
    path: str | Path, *, keep: Collection[str] = (), missing: Collection[str] = (), encoding: str = "utf-8"
) -> RedcapProject:
    """Read the export of a REDCap project: records as CSV, raw or labelled, with data dictionary, events and arms.

    Parameters
    ----------
    path : the folder, or its data file; each file is known by its header
    keep : identifying fields, free text and files that are read; others of their kind are withheld
    missing : codes for missing data that the project uses; those of an exported project information are known
    encoding : of files that are not in UTF-8

    Raises
    ------
    DataError : a file is missing, cut off, in another encoding, or of another project; file, row and field are named
    """
    files = open_files(Path(path), encoding)
    file = files.data.name
    fields, problems, described_by = _read_dictionary(files)
    columns, unmatched = match_columns(file, files.data.header, fields, described_by)
    events = read_events(files, [one.form for one in fields])
    shared = share_out(files.data.lines, len(files.data.header), columns, events.forms)
    cells, found, labelled = _read_cells(file, shared.forms, columns, {*missing, *_missing_codes(files)})
    for form, lines in shared.forms.items():
        found += _check_records(file, fields[0].name, lines, cells[form], events)
    withheld = {column.field.name for column in columns if column.field and identifies(column.field)} - set(keep)
    notes = tuple(_tell(files, shared, labelled=labelled))
    sources = {}
    for form, lines in shared.forms.items():
        out = {column.name for column in lines.columns if column.field and column.field.name in withheld}
        told = (*notes, *_tell_form(found, lines, out))
        kept = {name: column for name, column in cells[form].items() if name not in out}
        sources[form] = _arrange(f"{file}:{form}", lines, _name(kept, events, files), told)
    listed = pd.DataFrame(list(dict.fromkeys([*problems, *unmatched, *found])), columns=list(_PROBLEM_COLUMNS))
    return RedcapProject(
        data_file=file,
        record_id=fields[0].name,
        fields=tuple(fields),
        forms=sources,
        problems=listed.astype({"row": "Int64"}),
        withheld=tuple(sorted(withheld)),
        notes=notes,
    )


def _read_dictionary(files: ProjectFiles) -> tuple[list[Field], list[Problem], str]:
    """Return fields, what is wrong with them, and the file that describes them."""
    problems: list[Problem] = []
    if files.dictionary is None:
        fields, name = infer_fields(files.data.header), files.data.name
        problems = [Problem(file=name, row=None, field="", rule=_NO_DICTIONARY)]
    else:
        (fields, problems), name = read_fields(files.dictionary), files.dictionary.name
    if not fields:
        raise DataError(
            f"'{name}' names no field",
            "A project has at least the field that identifies the record",
            "Export the data dictionary again, and the records with their header",
        )
    return fields, problems, name


def _missing_codes(files: ProjectFiles) -> set[str]:
    """Return the project's codes for missing data, where its information was exported with the data."""
    project = files.lists.get("project", pd.DataFrame())
    return {code for text in project.get("missing_data_codes", ()) for code in parse_choices(text)}


def _read_cells(
    file: str, forms: Mapping[str, FormLines], columns: Sequence[ExportColumn], missing: set[str]
) -> tuple[dict[str, Cells], list[Problem], bool]:
    """Return form → column → cells as read, what breaks a rule, and whether the export holds labels."""
    by_name = {column.name: column for column in columns}
    read = {form: lines.cells() for form, lines in forms.items()}
    distinct = {(form, name): set(cells) for form, one in read.items() for name, cells in one.items()}
    labelled = is_labelled([(by_name[name], values - missing) for (_, name), values in distinct.items()])
    problems: list[Problem] = []
    for (form, name), values in distinct.items():
        column, cells = by_name[name], read[form][name]
        reader, rule = make_reader(column, labelled=labelled)
        becomes, bad = _read_values(values, reader, missing if column.form else set())
        damaged = {value for value in values if _DAMAGED in value}
        for wrong, words in ((bad, rule), (damaged, _DAMAGE)):
            rows = compress(forms[form].numbers, map(wrong.__contains__, cells)) if wrong else ()
            problems += [Problem(file=file, row=row, field=name, rule=words) for row in rows]
        if becomes:
            read[form][name] = [becomes.get(cell, cell) for cell in cells]
    return read, problems, labelled


def _read_values(
    values: set[str], reader: Callable[[str], tuple[str, bool]] | None, missing: set[str]
) -> tuple[dict[str, str], set[str]]:
    """Return distinct cell → what it becomes, where it changes, and the cells that break the rule."""
    becomes, bad = {}, set()
    for value in values:
        plain = value.strip()
        if plain in missing:
            plain = ""
        elif plain and reader is not None:
            plain, good = reader(plain)
            if not good:
                bad.add(value)
        if plain != value:
            becomes[value] = plain
    return becomes, bad


def _check_records(file: str, record: str, lines: FormLines, cells: Cells, events: Events) -> Iterable[Problem]:
    """Yield lines without identifier, of an unknown event, or that stand twice."""
    keys = list(zip(*(cells[name] for name in (record, EVENT, INSTANCE) if name in cells), strict=True))
    if len(set(keys)) < len(keys):
        seen: set[tuple[str, ...]] = set()
        for number, key in zip(lines.numbers, keys, strict=True):
            if key in seen:
                yield Problem(file=file, row=number, field=record, rule=_TWICE)
            seen.add(key)
    for number in compress(lines.numbers, (not cell for cell in cells[record])):
        yield Problem(file=file, row=number, field=record, rule="the record's identifier is blank")
    for name, known, rule in (
        (EVENT, events.names, "must be an event of the project"),
        (INSTRUMENT, events.forms, "must be a form of the project"),
    ):
        unknown = {cell for cell in set(cells.get(name, ())) if cell and known and not find_name(cell, known)}
        rows = compress(lines.numbers, map(unknown.__contains__, cells[name])) if unknown else ()
        for number in rows:
            yield Problem(file=file, row=number, field=name, rule=rule)


def _tell(files: ProjectFiles, shared: Shared, *, labelled: bool) -> Iterable[str]:
    """Yield what must be told of the export as a whole."""
    yield from files.data.notes
    if labelled:
        yield "labels read as the codes of the dictionary"
    if files.dictionary is None:
        yield _NO_DICTIONARY
    if shared.n_blank:
        yield f"{count(shared.n_blank, 'blank line')} of {files.data.name} passed over"
    if shared.n_empty:
        yield f"{count(shared.n_empty, 'line')} of {files.data.name} with nothing filled in passed over"
    n_uneven = sum(len(lines.uneven) for lines in shared.forms.values())
    if n_uneven:
        yield f"{count(n_uneven, 'line')} of {files.data.name} longer or shorter than its header"
    if files.others:
        yield f"files not read: {', '.join(files.others)}"


def _tell_form(problems: Sequence[Problem], lines: FormLines, withheld: Collection[str]) -> Iterable[str]:
    """Yield how many cells of a form are not as the dictionary says, and which of its columns are withheld."""
    own = {column.name for column in lines.columns if column.form}
    n_by_field = Counter(problem.field for problem in problems if problem.field in own)
    if n_by_field:
        shown = ", ".join(f"{field} {n:,}" for field, n in n_by_field.most_common(_LISTED))
        more = f" and {len(n_by_field) - _LISTED} more" if len(n_by_field) > _LISTED else ""
        yield f"cells that are not as the data dictionary says: {shown}{more}"
    if withheld:
        yield f"not read, as they may identify a person: {', '.join(sorted(withheld))}"


def _name(cells: Cells, events: Events, files: ProjectFiles) -> Cells:
    """Return the cells with unique names of events, with label, arm and day of each, and names of groups."""
    named = dict(cells)
    groups = files.pairs("groups", "unique_group_name", "data_access_group_name")
    for column, names in ((EVENT, events.names), (GROUP, groups)):
        if column in named and names:
            named[column] = [names.get(cell, cell) for cell in named[column]]
    if EVENT in named:
        for column, known in events.described():
            named[column] = [known.get(cell, "") for cell in named[EVENT]]
    return named


def _arrange(name: str, lines: FormLines, cells: Cells, notes: tuple[str, ...]) -> Source:
    kept = {column: np.array(text, dtype=object) for column, text in cells.items()}
    frame = pd.DataFrame(kept, index=pd.Index(lines.numbers, dtype="int64"), copy=False)
    return Source(name=name, cells=frame, uneven=tuple(lines.uneven), n_blank=0, notes=notes)
