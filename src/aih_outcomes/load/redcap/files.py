"""The files of a REDCap project: each is known by its header, whatever its name."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from aih_outcomes.errors import DataError
from aih_outcomes.load.redcap.dictionary import HEADERS_OF, is_dictionary
from aih_outcomes.load.spreadsheets.separated import read_lines
from aih_outcomes.load.spreadsheets.source import Layout, Line, Source, arrange_lines

_ENDINGS = (".csv", ".tsv", ".txt")
# What the API calls each list, and the columns by which it is known; the first that fits counts.
_KNOWN_BY = {
    "field_names": {"original_field_name", "choice_value", "export_field_name"},
    "event_forms": {"unique_event_name", "form"},
    "events": {"unique_event_name", "event_name"},
    "arms": {"arm_num", "name"},
    "repeating": {"form_name", "custom_form_label"},
    "groups": {"data_access_group_name", "unique_group_name"},
    "instruments": {"instrument_name", "instrument_label"},
    "project": {"project_id", "project_title"},
    "users": {"username"},
    "logging": {"timestamp", "username", "action"},
}


@dataclass(frozen=True, slots=True, eq=False)
class OpenFile:
    """A file whose header has been read: ``lines`` are those below it."""

    name: str
    header: list[str]
    lines: Iterator[Line]
    notes: list[str]

    def arrange(self) -> Source:
        """Return its cells."""
        return arrange_lines(self.name, [(1, self.header), *self.lines], Layout(), notes=self.notes)


@dataclass(frozen=True, slots=True, eq=False)
class ProjectFiles:
    """The files of a project: its data, its dictionary and the lists beside them; ``others`` were not read."""

    data: OpenFile
    dictionary: Source | None
    lists: dict[str, pd.DataFrame] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def pairs(self, name: str, key: str, value: str) -> dict[str, str]:
        """Return key → value of a list; nothing where it is not there."""
        frame = self.lists.get(name, pd.DataFrame())
        return {} if not {key, value} <= set(frame) else dict(zip(frame[key], frame[value], strict=True))


def open_files(path: Path, encoding: str = "utf-8") -> ProjectFiles:
    """Open the files of a folder, or a data file with those beside it.

    Parameters
    ----------
    encoding : of files that are not in UTF-8, as a spreadsheet program leaves one of several that it saved

    Raises
    ------
    DataError : there is no data file, or several
    """
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        raise DataError(f"There is no file or folder '{path.name}'", "A REDCap export is a folder of CSV files",
                        "Check its path")  # fmt: skip
    names = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in _ENDINGS and file.is_file())
    opened = [_open(folder, name, encoding) for name in names]
    dictionaries = [file for file in opened if is_dictionary(file.header)]
    lists, rest = {}, []
    for file in (file for file in opened if file not in dictionaries):
        kind = next((kind for kind, known in _KNOWN_BY.items() if known <= set(file.header)), None)
        if kind is None:
            rest.append(file)
        else:
            lists[kind] = file.arrange().cells
    data = _choose_data(rest, path, folder.name, dictionaries)
    chosen, others = _choose_dictionary(dictionaries, data)
    others += [file.name for file in rest if file is not data]
    return ProjectFiles(data=data, dictionary=chosen, lists=lists, others=tuple(others))


def _open(folder: Path, name: str, encoding: str) -> OpenFile:
    try:
        lines, notes = read_lines(folder / name, name)
    except DataError:
        if encoding == "utf-8":
            raise
        lines, notes = read_lines(folder / name, name, encoding=encoding)
        notes.append(f"text in {encoding}, as the mapping says")
    _, header = next(lines, (1, []))
    return OpenFile(name, [cell.strip() for cell in header], lines, notes)


def _choose_data(files: list[OpenFile], path: Path, folder: str, dictionaries: list[OpenFile]) -> OpenFile:
    named = [file for file in files if file.name == path.name]
    likely = [file for file in files if any(map(_is_of_export, file.header))]
    by_name = [file for file in likely or files if Path(file.name).stem.lower() == "data"]
    for found in (named, by_name, likely, files):
        if len(found) == 1:
            return found[0]
    if not files:
        beside = f"; it holds the dictionary '{dictionaries[0].name}' alone" if dictionaries else ""
        raise DataError(
            f"The folder '{folder}' holds no data of a REDCap project{beside}",
            "A REDCap export holds the records as CSV, raw or labelled, with its data dictionary",
            "Export the records (Data Exports, CSV raw) into the folder",
        )
    raise DataError(
        f"The folder '{folder}' holds {len(files)} files that may be the records: "
        f"{', '.join(file.name for file in files)}",
        "One file holds the records",
        "Give the path of that file instead of the folder, or take the others out",
    )


def _is_of_export(cell: str) -> bool:
    return cell.startswith("redcap_") or cell.endswith("_complete") or cell in ("Event Name", "Complete?")


def _choose_dictionary(dictionaries: list[OpenFile], data: OpenFile) -> tuple[Source | None, list[str]]:
    """Return the dictionary that describes most columns of the data, and the names of the others."""
    if not dictionaries:
        return None, []
    sources = [file.arrange() for file in dictionaries]
    columns = {cell.partition("___")[0] for cell in data.header}
    first = (HEADERS_OF["field_name"], "field_name")
    known = [
        len(columns & {cell for name in first if name in source.cells for cell in source.cells[name]})
        for source in sources
    ]
    best = known.index(max(known))
    return sources[best], [source.name for source in sources if source is not sources[best]]
