"""Apply a mapping: the lines of a clinic's files become records of the cohort's tables."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from aih_outcomes.errors import PlanError
from aih_outcomes.load.doses import convert_doses
from aih_outcomes.load.laboratory import convert_results
from aih_outcomes.load.mapping import Block, ColumnMap, Mapping, Reading, WideColumn
from aih_outcomes.load.mapping_rules import WIDE_FILLS, number_factor, read_amount
from aih_outcomes.load.parse import ISO, Writing, parse_table, read_date, read_number
from aih_outcomes.load.records import Records, split_records
from aih_outcomes.load.source import Source, read_source
from aih_outcomes.schema import empty_table

_UNREADABLE = "?"  # stands for a cell that was read and found wrong; no kind of column accepts it
_MOST_DAYS = 100_000


def read_mapped(folder: Path, mapping: Mapping) -> list[Records]:
    """Read the records of every block; weights come before doses, which may be per kg."""
    sources = {block.file: _open(folder, name, block, mapping.reading) for name, block in mapping.blocks()}
    used: dict[str, set[str]] = {file: set() for file in sources}
    for name, block in mapping.blocks():
        used[block.file] |= _check_columns(name, block, sources[block.file])
    records: list[Records] = []
    counted: set[tuple[str, str]] = set()
    for name, block in sorted(mapping.blocks(), key=lambda pair: pair[0] != "measurements"):
        source = sources[block.file]
        if (name, block.file) in counted:  # lines that cannot be read count once per table, not once per block
            source = replace(source, uneven=())
        counted.add((name, block.file))
        weights = [part.kept for part in records if part.table == "measurements"]
        read = _read_block(name, block, source, mapping, pd.concat(weights) if weights else empty_table("measurements"))
        records.append(replace(read, columns_not_used=source.list_unused(used[source.name])))
    return records


def _open(folder: Path, table: str, block: Block, reading: Reading) -> Source:
    if not (folder / block.file).is_file():
        near = get_close_matches(block.file, [path.name for path in folder.glob("*.csv")], n=1)
        raise PlanError(
            f"The mapping names the file '{block.file}' for '{table}', and it is not in the folder '{folder.name}'",
            "Files are looked for in the folder that is read",
            f"Perhaps '{near[0]}' is meant" if near else 'Correct the line file = "…" of the mapping',
        )
    return read_source(folder, block.file, separator=reading.separator, encoding=reading.encoding)


def _check_columns(table: str, block: Block, source: Source) -> set[str]:
    """Return the columns of the file that the block uses; refuse one that is not there.

    Of the header only a name close to the one looked for is quoted: in a file without header it is a patient's row.
    """
    header = [str(column) for column in source.cells.columns]
    origins = [column.days_since for column in block.columns.values() if column.days_since]
    wanted = [column.column for column in block.columns.values()]
    wanted += [*block.only, *block.only_if_filled, *(origin for origin in origins if read_date(origin) is None)]
    for entry in block.wide:
        wanted += [entry.column, entry.uln_column, entry.date]
    names = {name for name in wanted if name is not None}
    missing = sorted(name for name in names if name not in header)
    if missing:
        near = get_close_matches(missing[0], header, n=1)
        raise PlanError(
            f"'{source.name}' lacks {len(missing)} column(s) that the mapping names for '{table}': "
            f"{', '.join(missing)}",
            "A mapped column stands in line 1 of its file, in the same spelling",
            f"Perhaps '{near[0]}' is meant for '{missing[0]}'" if near
            else "Correct the name in the mapping, or the separator: [reading] separator",
        )  # fmt: skip
    return names


def _read_block(name: str, block: Block, source: Source, mapping: Mapping, weights: pd.DataFrame) -> Records:
    reading = mapping.reading
    cells, chosen = _choose_lines(block, source, reading)
    text = pd.DataFrame({"source_row": cells.index})
    for column, column_map in block.columns.items():
        text = text.join(_read_column(cells, column, column_map, reading))
    if block.wide:
        text = _lengthen(text, cells, name, block, reading)
    n_before = len(text)
    if block.distinct:
        text = text[~text.duplicated([column for column in text if column != "source_row"])].reset_index(drop=True)
    writing = {str(column): _writing(name, str(column), block, reading) for column in text}
    converted = {"labs": ["value", "unit", "uln"], "treatments": ["dose_unit"]}.get(name, [])
    frame, problems = parse_table(text.drop(columns=converted, errors="ignore"), name, writing)
    more, further = _convert(name, text, frame, block, mapping, weights)
    frame = frame.drop(columns=more.columns, errors="ignore").join(more)
    return split_records(
        name, frame.assign(source_file=source.name, source_row=text["source_row"]), [*problems, *further],
        source_file=source.name,
        uneven=source.uneven,
        n_read=len(text) + len(source.uneven),
        how_read=_say_how(block, source, chosen, n_before, len(text)),
    )  # fmt: skip


def _convert(
    name: str, text: pd.DataFrame, frame: pd.DataFrame, block: Block, mapping: Mapping, weights: pd.DataFrame
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Turn what was printed into canonical units: results, doses, measurements."""
    if name == "labs":
        printed = text.rename(columns={"value_printed": "printed"})
        limits = {analyte: read_amount(analyte, amount) for analyte, amount in block.uln.items()}
        return convert_results(
            printed, frame["analyte"], units=mapping.units, limits=limits, decimal=mapping.reading.decimal
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


def _read_column(cells: pd.DataFrame, name: str, column: ColumnMap, reading: Reading) -> pd.DataFrame:
    """Return the text of one column under its name in the cohort; what was printed stays beside values and doses."""
    if column.column is None:
        printed = pd.Series(str(column.constant), index=cells.index, dtype=object)
    else:
        found = cells[column.column]
        printed = found.mask(found.isin([*reading.missing, *column.missing]), "")
    text = printed.map(lambda cell: column.codes.get(cell, cell)) if column.codes else printed
    if column.days_since is not None:
        text = _add_days(text, column.days_since, cells, column, reading)
    frame = pd.DataFrame({name: text}).reset_index(drop=True)
    if name in ("value", "dose"):
        frame[f"{name}_printed"] = printed.to_numpy()
    if column.unit is not None and name in ("value", "dose"):
        frame["unit" if name == "value" else "dose_unit"] = column.unit
    return frame


def _add_days(text: pd.Series, origin: str, cells: pd.DataFrame, column: ColumnMap, reading: Reading) -> pd.Series:
    """Return ISO dates from whole days since a date, or since the date in another column of the line."""
    spellings = column.date_format or reading.date_format
    fixed = read_date(origin)
    origins = [fixed] * len(text) if fixed else [read_date(cell, spellings) for cell in cells[origin]]
    dates = []
    for cell, start in zip(text, origins, strict=True):
        days = read_number(cell, reading.decimal)
        if start is None or days is None or days != int(days) or abs(days) > _MOST_DAYS:
            dates.append(_UNREADABLE if cell else "")
        else:
            dates.append((start + timedelta(days=int(days))).isoformat())
    return pd.Series(dates, index=text.index, dtype=object)


def _lengthen(text: pd.DataFrame, cells: pd.DataFrame, name: str, block: Block, reading: Reading) -> pd.DataFrame:
    """Return one row per filled cell of the wide columns, line by line; a blank cell is not measured, not a row."""
    parts = []
    for entry in block.wide:
        filled = ~cells[entry.column].isin(["", *reading.missing]).to_numpy()
        cell = cells[entry.column].to_numpy()[filled]
        part = text[filled].assign(**{WIDE_FILLS[name]: cell})
        for key in ("analyte", "measure", "kind", "unit"):
            if getattr(entry, key) is not None and (key != "unit" or name == "labs"):
                part[key] = getattr(entry, key)
        if name == "labs":
            part["value_printed"] = cell
        parts.append(_add_limits(part, entry, cells[filled], reading))
    long = pd.concat(parts).sort_values("source_row", kind="stable").reset_index(drop=True)
    return long.fillna({column: "" for column in long if column != "fixed_uln"})


def _add_limits(part: pd.DataFrame, entry: WideColumn, cells: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    if entry.uln is not None:
        part["fixed_uln"] = entry.uln
    for name, column in (("uln", entry.uln_column), ("date", entry.date)):
        if column is not None:
            part[name] = cells[column].mask(cells[column].isin(reading.missing), "").to_numpy()
    return part


def _writing(name: str, column: str, block: Block, reading: Reading) -> Writing:
    mapped = block.columns.get(column)
    if mapped is None:
        return Writing(dates=reading.date_format, decimal=reading.decimal)
    constant = mapped.constant is not None
    converted = (name, column) in {("labs", "value"), ("treatments", "dose")}
    return Writing(
        dates=(ISO,) if mapped.days_since or constant else mapped.date_format or reading.date_format,
        decimal="." if constant else reading.decimal,
        factor=1.0 if converted else number_factor(name, column, mapped.unit),
        rule="must be a whole number of days after a date that exists" if mapped.days_since else "",
    )


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}" + ("" if n == 1 else "s")


def _say_how(block: Block, source: Source, chosen: int, n_before: int, n_records: int) -> str:
    """Say in words how the lines of the file became records."""
    said = [_count(source.n_lines, "line")]
    conditions: Sequence[str] = [*block.only, *(f"{column} filled" for column in block.only_if_filled)]
    if conditions:
        said.append(f"{chosen:,} of them chosen by {', '.join(conditions)}")
    if block.wide:
        blank = chosen * len(block.wide) - n_before
        said.append(f"{_count(n_before, 'filled cell')} in {_count(len(block.wide), 'column')}, {blank:,} blank")
    if block.distinct:
        said.append(f"{_count(n_records, 'distinct record')}, {n_before - n_records:,} repeats of them")
    if source.n_blank:
        said.append(f"{_count(source.n_blank, 'blank line')} passed over")
    return "; ".join(said) if len(said) > 1 else ""
