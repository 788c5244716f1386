"""``read_redcap``: the export of a REDCap project to a cohort."""

from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import PlanError
from aih_outcomes.load.collection import without_collection
from aih_outcomes.load.door import make_cohort
from aih_outcomes.load.mapping import Mapping, read_mapping
from aih_outcomes.load.mapping_parts import Block
from aih_outcomes.load.privacy.pseudonyms import Pseudonyms
from aih_outcomes.load.redcap.project import RedcapProject, read_project
from aih_outcomes.load.redcap.template import is_template, read_template, template_fields
from aih_outcomes.load.spreadsheets.mapped import map_blocks
from aih_outcomes.load.spreadsheets.source import Source
from aih_outcomes.load.values.limits import read_upper_limits


@without_collection()
def read_redcap(
    folder: str | Path, mapping: str | Path | Mapping | None = None, *, label: str | None = None,
    pseudonyms: Pseudonyms | None = None,
) -> Cohort:  # fmt: skip
    """Read the export of a REDCap project into a cohort.

    Parameters
    ----------
    folder : the records as CSV, raw or labelled, with the data dictionary and, where there are any, events, arms,
        instruments and data access groups as the project exports them
    mapping : None where the project is made of the blank dictionary of the schema (``write_redcap_template``). Else a
        mapping (TOML) as for tables, whose ``file`` names a form: its columns are the fields (a checkbox's as
        ``race___1``) with their codes, and ``redcap_event_name``, ``redcap_event_label``, ``redcap_arm``,
        ``redcap_day_offset``, ``redcap_repeat_instance`` and ``redcap_data_access_group``. Numbers have a decimal point
    label : what the data are, printed with every figure; else the label of the mapping, else ``cohort``
    pseudonyms : replaces identifiers as the rows come in

    Returns
    -------
    Cohort : as of ``read_tables``; rows name their file and form, as in ``data.csv:labs``

    Raises
    ------
    DataError : the export cannot be read; file, row and field are named
    PlanError : the project is not that of the schema and there is no mapping, or it names a form that is not there
    """
    folder = Path(folder)
    if mapping is None:
        project = read_project(folder, keep=template_fields())
        if not is_template(project):
            raise _no_mapping(folder, project)
        return make_cohort(read_template(project), label=label or "cohort", pseudonyms=pseudonyms)
    if not isinstance(mapping, Mapping):
        mapping = read_mapping(mapping)
    limits = read_upper_limits(mapping.upper_limits, folder if folder.is_dir() else folder.parent, mapping.reading)
    records = map_blocks(_open_forms(folder, mapping), mapping)
    return make_cohort(records, label=label or mapping.label or "cohort", limits=limits, pseudonyms=pseudonyms)


def _open_forms(folder: Path, mapping: Mapping) -> list[tuple[str, Block, Source]]:
    """Return table, block and form of each block; the first tells which forms are not used."""
    named = {name for _, block in mapping.blocks() for name in _list_columns(block)}
    reading = mapping.reading
    project = read_project(folder, keep=named, missing=reading.missing, encoding=reading.encoding)
    opened = [(table, block, _find_form(project, table, block)) for table, block in mapping.blocks()]
    used = {source.name for _, _, source in opened}
    unused = [form for form, source in project.forms.items() if source.name not in used]
    if unused:
        table, block, source = opened[0]
        told = (*source.notes, f"forms not used: {', '.join(unused)}")
        opened[0] = (table, block, replace(source, notes=told))
    return opened


def _list_columns(block: Block) -> Iterator[str]:
    """Yield the columns that a block names, which are then read though they may identify a person."""
    for column in block.columns.values():
        yield from filter(None, (column.column, column.days_since))
    yield from (*block.only, *block.only_if_filled)
    for entry in block.wide:
        yield from filter(None, (entry.column, entry.uln_column, entry.date, entry.since))


def _find_form(project: RedcapProject, table: str, block: Block) -> Source:
    if block.file is None and len(project.forms) == 1:
        return next(iter(project.forms.values()))
    if block.file not in project.forms:
        near = get_close_matches(str(block.file), project.forms, n=1)
        raise PlanError(
            f"The mapping names the form '{block.file}' for '{table}', and the project does not have it",
            f"file names a form of the project: {', '.join(project.forms)}",
            f"Perhaps '{near[0]}' is meant" if near else 'Correct the line file = "…" of the mapping',
        )
    return project.forms[block.file]


def _no_mapping(folder: Path, project: RedcapProject) -> PlanError:
    return PlanError(
        f"'{project.data_file}' is the export of a project with {len(project.forms)} form(s) and "
        f"{len(project.fields)} field(s) that are not those of the schema's own dictionary",
        "Which field holds what is never guessed: a project of one's own is read with a mapping",
        f"Write one with `aih-outcomes init NEW_FOLDER --from {folder.name}`, which fills it from the dictionary, and "
        "correct it",
    )
