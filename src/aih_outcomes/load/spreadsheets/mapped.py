"""Apply a mapping: the lines of a clinic's files become records of the cohort's tables."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from aih_outcomes.errors import PlanError
from aih_outcomes.load.mapping import Mapping
from aih_outcomes.load.mapping_parts import Block, ColumnMap, Reading
from aih_outcomes.load.mapping_rules import number_factor
from aih_outcomes.load.records import Records, split_records
from aih_outcomes.load.spreadsheets.files import Files, find_file
from aih_outcomes.load.spreadsheets.source import Layout, Source, count
from aih_outcomes.load.spreadsheets.wide import PRECISION, UNREADABLE, bring_dates, lengthen, list_entries, tell_names
from aih_outcomes.load.values.dates import ISO, least_certain, read_date, read_dates
from aih_outcomes.load.values.doses import convert_doses
from aih_outcomes.load.values.laboratory import convert_results
from aih_outcomes.load.values.parse import Writing, parse_table, read_number
from aih_outcomes.schema import empty_table

_MOST_DAYS = 100_000


def read_mapped(path: Path, mapping: Mapping) -> list[Records]:
    """Read the records of every block; weights come before doses, which may be per kg.

    Parameters
    ----------
    path : folder that holds the files, or the one file
    """
    return map_blocks(_open(path, mapping), mapping)


def map_blocks(opened: Sequence[tuple[str, Block, Source]], mapping: Mapping) -> list[Records]:
    """Return the records of each block; ``opened`` names the table, and the source that the block reads."""
    opened = [(name, list_entries(name, block, source), source) for name, block, source in opened]
    lists = [(block, source) for name, block, source in opened if name == "patients"]
    opened = [(name, block, bring_dates(block, source, lists)) for name, block, source in opened]
    used: dict[str, set[str]] = {source.name: set() for _, _, source in opened}
    for name, block, source in opened:
        used[source.name] |= _check_columns(name, block, source)
    records: list[Records] = []
    counted: set[tuple[str, str]] = set()
    for name, block, source in sorted(opened, key=lambda one: one[0] != "measurements"):
        if (name, source.name) in counted:  # lines that cannot be read count once per table, not once per block
            source = replace(source, uneven=())
        counted.add((name, source.name))
        weights = [part.kept for part in records if part.table == "measurements"]
        read = _read_block(name, block, source, mapping, pd.concat(weights) if weights else empty_table("measurements"))
        records.append(replace(read, columns_not_used=source.list_unused(used[source.name])))
    return records


def _open(path: Path, mapping: Mapping) -> list[tuple[str, Block, Source]]:
    """Return table, block and source of each block; the first of a workbook tells which sheets are not used."""
    reading = mapping.reading
    files = Files(
        separator=reading.separator, encoding=reading.encoding, values=reading.values, decimal=reading.decimal
    )
    found: dict[tuple[Path, str | None, Layout], Source] = {}
    places = []
    for name, block in mapping.blocks():
        layout = Layout(first_row=block.first_row, header_rows=block.header_rows)
        place = (find_file(path, block.file, name), block.sheet, layout)
        places.append(place)
        if place not in found:
            found[place] = files.read(*place)
    told = set()
    for place, source in found.items():
        others = files.list_other_sheets(place[0], {one.sheet for key, one in found.items() if key[0] == place[0]})
        if others and place[0] not in told:
            found[place] = replace(source, notes=(*source.notes, f"sheets not used: {others}"))
        told.add(place[0])
    return [(name, block, found[place]) for (name, block), place in zip(mapping.blocks(), places, strict=True)]


def _check_columns(table: str, block: Block, source: Source) -> set[str]:
    """Return the columns of the file that the block uses; refuse one that is not there.

    Of the header only a name close to the one looked for is quoted: in a file without header it is a patient's row.
    """
    header = [str(column) for column in source.cells.columns]
    origins = [column.days_since for column in block.columns.values() if column.days_since]
    wanted = [column.column for column in block.columns.values()]
    wanted += [*block.only, *block.only_if_filled, *(origin for origin in origins if read_date(origin) is None)]
    for entry in block.wide:
        wanted += [entry.column, entry.uln_column, entry.date, entry.since]
    names = {name for name in wanted if name is not None}
    missing = sorted(name for name in names if name not in header)
    if missing:
        near = get_close_matches(missing[0], header, n=1)
        raise PlanError(
            f"'{source.name}' lacks {len(missing)} column(s) that the mapping names for '{table}': "
            f"{', '.join(missing)}",
            f"A mapped column stands in the header, line {block.first_row} of its file, in the same spelling",
            f"Perhaps '{near[0]}' is meant for '{missing[0]}'" if near
            else "Correct the name in the mapping, or say where the header stands (first_row, header_rows) or how "
            "cells are separated ([reading] separator)",
        )  # fmt: skip
    return names


def _read_block(name: str, block: Block, source: Source, mapping: Mapping, weights: pd.DataFrame) -> Records:
    reading = _with_typed_dates(mapping.reading, source)
    cells, chosen = _choose_lines(block, source, reading)
    text = pd.DataFrame({"source_row": cells.index})
    for column, column_map in block.columns.items():
        text = text.join(_read_column(cells, column, column_map, reading, source))
    if block.wide:
        text = lengthen(text, cells, name, block, reading)
    text = _join_precision(text)
    n_before = len(text)
    if block.distinct:
        text = text[~text.duplicated([column for column in text if column != "source_row"])].reset_index(drop=True)
    writing = {str(column): _writing(name, str(column), block, reading, source) for column in text}
    converted = {"labs": ["value", "unit", "uln", "uln_unit"], "treatments": ["dose_unit"]}.get(name, [])
    frame, problems = parse_table(text.drop(columns=converted, errors="ignore"), name, writing)
    more, further = _convert(name, text, frame, block, mapping, weights)
    frame = frame.drop(columns=more.columns, errors="ignore").join(more)
    return split_records(
        name, frame.assign(source_file=source.name, source_row=text["source_row"]), [*problems, *further],
        source_file=source.name,
        uneven=source.uneven,
        n_read=len(text) + len(source.uneven),
        how_read=_say_how(name, block, source, chosen, n_before, len(text)),
    )  # fmt: skip


def _convert(
    name: str, text: pd.DataFrame, frame: pd.DataFrame, block: Block, mapping: Mapping, weights: pd.DataFrame
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Turn what was printed into canonical units: results, doses, measurements."""
    if name == "labs":
        printed = text.rename(columns={"value_printed": "printed"})
        return convert_results(
            printed, frame["analyte"], units=mapping.units, titres=mapping.titres, decimal=mapping.reading.decimal
        )
    if name == "treatments" and "dose" in text:
        return convert_doses(text, frame, weights[weights["measure"] == "weight"])
    if name == "measurements" and block.wide:
        factors = {entry.measure: number_factor(name, str(entry.measure), entry.unit) for entry in block.wide}
        return pd.DataFrame({"value": frame["value"] * frame["measure"].map(factors).astype(float)}), []
    return pd.DataFrame(index=frame.index), []


def _choose_lines(block: Block, source: Source, reading: Reading) -> tuple[pd.DataFrame, int]:
    """Return the lines that count as records, and their number."""
    cells = source.cells
    keep = pd.Series(data=True, index=cells.index)
    for column, words in block.only.items():
        keep &= cells[column].isin(words)
    for column in block.only_if_filled:
        keep &= ~cells[column].isin(["", *reading.missing])
    return cells[keep], int(keep.sum())


def _with_typed_dates(reading: Reading, source: Source) -> Reading:
    """Return how cells are written; dates that came typed stand as YYYY-MM-DD beside those written as text."""
    spellings = _join(reading.date_format, (ISO,) if source.typed_dates else ())
    return reading.model_copy(update={"date_format": spellings})


def _spellings(column: ColumnMap, reading: Reading, source: Source) -> tuple[str, ...]:
    own = _join(column.date_format, (ISO,) if source.typed_dates else ())
    return own if column.date_format else reading.date_format


def _read_column(cells: pd.DataFrame, name: str, column: ColumnMap, reading: Reading, source: Source) -> pd.DataFrame:
    """Return the text of one column under its name in the cohort; what was printed stays beside values and doses."""
    if column.column is None:
        printed = pd.Series(str(column.constant), index=cells.index, dtype=object)
    else:
        found = cells[column.column]
        printed = found.mask(found.isin([*reading.missing, *column.missing]), "")
    text = printed.map(lambda cell: column.codes.get(cell, cell)) if column.codes else printed
    frame = pd.DataFrame({name: text}).reset_index(drop=True)
    if column.days_since is not None:
        frame = _add_days(frame[name], column.days_since, cells, _spellings(column, reading, source), reading.decimal)
    if name in ("value", "dose"):
        frame[f"{name}_printed"] = printed.to_numpy()
    if column.unit is not None and name in ("value", "dose"):
        frame["unit" if name == "value" else "dose_unit"] = column.unit
    return frame


def _add_days(
    text: pd.Series, origin: str, cells: pd.DataFrame, spellings: tuple[str, ...], decimal: str
) -> pd.DataFrame:
    """Return ISO dates from whole days since a date, or since the date in another column; and their precision."""
    fixed = read_date(origin)
    origins = pd.Series(origin, index=text.index) if fixed else cells[origin].reset_index(drop=True)
    start, precision = read_dates(origins.astype(object), (ISO,) if fixed else spellings)
    numbers = {cell: read_number(cell, decimal) for cell in text.unique()}
    days = text.map(numbers).astype(float)
    good = start.notna() & (days % 1 == 0) & (days.abs() <= _MOST_DAYS)
    dates = (
        (start + pd.to_timedelta(days.where(good), unit="D").astype("timedelta64[s]"))
        .dt.strftime("%Y-%m-%d")
        .astype(object)
    )
    written = dates.where(good, UNREADABLE).mask(text == "", "")
    return pd.DataFrame({text.name: written, f"{text.name} {PRECISION}": precision.where(good)})


def _join_precision(text: pd.DataFrame) -> pd.DataFrame:
    """Put the precision of dates that were counted from others into one column."""
    counted = [column for column in text if str(column).endswith(f" {PRECISION}")]
    if not counted:
        return text
    given = [text[PRECISION].astype("string")] if PRECISION in text else []
    joined = least_certain([*given, *(text[column].astype("string") for column in counted)])
    return text.drop(columns=counted).assign(**{PRECISION: joined.astype(object).where(joined.notna(), "")})


def _writing(name: str, column: str, block: Block, reading: Reading, source: Source) -> Writing:
    mapped = block.columns.get(column)
    counted = (ISO,) if any(entry.since for entry in block.wide) else ()
    if mapped is None:
        return Writing(dates=_join(reading.date_format, counted), decimal=reading.decimal)
    constant = mapped.constant is not None
    converted = (name, column) in {("labs", "value"), ("treatments", "dose")}
    return Writing(
        dates=(ISO,) if mapped.days_since or constant else _spellings(mapped, reading, source),
        decimal="." if constant else reading.decimal,
        factor=1.0 if converted else number_factor(name, column, mapped.unit),
        rule="must be a whole number of days after a date that exists" if mapped.days_since else "",
    )


def _join(spellings: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*spellings, *more)))


def _say_how(name: str, block: Block, source: Source, chosen: int, n_before: int, n_records: int) -> str:
    """Say in words how the lines of the file became records."""
    said = [count(source.n_lines, "line")]
    conditions: Sequence[str] = [*block.only, *(f"{column} filled" for column in block.only_if_filled)]
    if conditions:
        said.append(f"{chosen:,} of them chosen by {', '.join(conditions)}")
    if block.wide:
        blank = chosen * len(block.wide) - n_before
        said.append(f"{count(n_before, 'filled cell')} in {count(len(block.wide), 'column')}, {blank:,} blank")
    if block.wide_pattern and (names := tell_names(name, block.wide_pattern, source)):
        said.append(f"columns named {names}")
    if block.distinct:
        said.append(f"{count(n_records, 'distinct record')}, {n_before - n_records:,} repeats of them")
    said += source.tell()
    return "; ".join(said) if len(said) > 1 else ""
