"""Wide files, one column per test or visit: each filled cell becomes a record."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from aih_outcomes.catalogue.codes import Match, find_analyte
from aih_outcomes.errors import PlanError
from aih_outcomes.load.mapping_parts import Block, Reading, WideColumn, WidePattern
from aih_outcomes.load.mapping_rules import PLACEHOLDER, STEPS, WIDE_FILLS
from aih_outcomes.load.spreadsheets.source import Source
from aih_outcomes.load.values.dates import read_dates
from aih_outcomes.schema import TABLES

UNREADABLE = "?"  # stands for a cell that was read and found wrong; no kind of column accepts it
PRECISION = "date_precision"


def list_entries(name: str, block: Block, source: Source) -> Block:
    """Return the block with an entry of ``wide`` for each column that its pattern finds.

    Raises
    ------
    PlanError : the pattern finds none
    """
    pattern = block.wide_pattern
    if pattern is None:
        return block
    header = [str(column) for column in source.cells.columns]
    found = [entry for column in header for entry in _match(name, pattern, column)]
    if not found:
        raise PlanError(
            f"0 of {len(header)} columns of '{source.name}' follow the pattern '{pattern.columns}' with a known name",
            "A column follows the pattern to the letter, and its name is one of the catalogue or of names",
            'Correct columns = "…" in wide_pattern, or say what a word means: names = { "GPT serum" = "alt" }',
        )
    return block.model_copy(update={"wide": (*block.wide, *found)})


def bring_dates(block: Block, source: Source, lists: Sequence[tuple[Block, Source]]) -> Source:
    """Return a source with the columns of ``since`` that stand in the list of patients, and not in its own sheet.

    Parameters
    ----------
    lists : the blocks of ``patients`` and what they read; a patient with two dates there has none here
    """
    own = block.columns["patient_id"].column if "patient_id" in block.columns else None
    wanted = dict.fromkeys(entry.since for entry in block.wide if entry.since not in (None, *source.cells.columns))
    for name in wanted:
        for listed, from_list in lists:
            by = listed.columns["patient_id"].column if "patient_id" in listed.columns else None
            if own in source.cells and by in from_list.cells and name in from_list.cells:
                dates = (
                    from_list.cells[[by, name]].drop_duplicates().drop_duplicates(by, keep=False).set_index(by)[name]
                )
                cells = source.cells.assign(**{str(name): source.cells[own].map(dates).fillna("")})
                source = replace(source, cells=cells, notes=(*source.notes, f"{name} from {from_list.name}"))
                break
    return source


def tell_names(table: str, pattern: WidePattern, source: Source) -> str:
    """Say which names of columns the catalogue was asked for, and what it took them for."""
    found = {}
    for column in source.cells.columns:
        words = _words(table, pattern, str(column))
        match = _find_name(table, words["name"], pattern) if words else None
        if match is not None and words["name"] not in pattern.names:
            found[words["name"]] = match.word + (" (from memory)" if match.confidence == "remembered" else "")
    return ", ".join(f"{word} = {meant}" for word, meant in found.items())


def _words(table: str, pattern: WidePattern, column: str) -> dict[str, str]:
    """Return the words that stand in a column's name for the placeholders; none where it does not follow the pattern.

    The one for the analyte or measure is called ``name``.
    """
    parts = re.fullmatch(_expression(pattern.columns), column)
    if parts is None:
        return {}
    words = parts.groupdict()
    return {**words, "name": words["analyte" if table == "labs" else "measure"].strip()}


def _match(table: str, pattern: WidePattern, column: str) -> list[WideColumn]:
    """Return the entry of a column that follows the pattern, or nothing."""
    words = _words(table, pattern, column)
    match = _find_name(table, words["name"], pattern) if words else None
    if match is None:
        return []
    step = next((step for step in (*STEPS, "visit") if step in words), "visit")
    date = pattern.date and pattern.date.replace(f"{{{step}}}", words[step])
    counted = {} if date else {"since": pattern.since, step: int(words[step])}
    unit = pattern.units.get(match.word, words.get("unit", "" if table == "labs" else None))
    named = "analyte" if table == "labs" else "measure"
    told = {"column": column, "unit": unit, "date": date, named: match.word, "precision": pattern.precision, **counted}
    return [WideColumn.model_validate(told)]


def _expression(columns: str) -> str:
    """Return the pattern as a regular expression with a group per placeholder."""
    places = iter(PLACEHOLDER.findall(columns))
    literals = [re.escape(text) for text in PLACEHOLDER.split(columns)[::2]]
    groups = [rf"(?P<{place}>-?\d{{1,4}})" if place in STEPS else f"(?P<{place}>.+?)" for place in places]
    return "".join(literal + group for literal, group in zip(literals, [*groups, ""], strict=True))


def _find_name(table: str, word: str, pattern: WidePattern) -> Match | None:
    """Return what a name in the header stands for; what the catalogue is unsure of is not used."""
    if word in pattern.names:
        return Match(pattern.names[word], "exact")
    if table == "labs":
        match = find_analyte(word)
        return match if match is not None and match.confidence != "unsure" else None
    levels = next(column.levels for column in TABLES[table].columns if column.name == "measure")
    return Match(word.lower(), "exact") if word.lower() in levels else None


def lengthen(text: pd.DataFrame, cells: pd.DataFrame, name: str, block: Block, reading: Reading) -> pd.DataFrame:
    """Return one row per filled cell of the wide columns, line by line; a blank cell is not measured, not a row.

    Parameters
    ----------
    text : what holds for the whole line, one row per row of ``cells``
    """
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
        parts.append(_add_limits_and_dates(part, entry, cells[filled], reading))
    long = pd.concat(parts).sort_values("source_row", kind="stable").reset_index(drop=True)
    return long.fillna({column: "" for column in long if column != "fixed_uln"})


def _add_limits_and_dates(part: pd.DataFrame, entry: WideColumn, cells: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    if entry.uln is not None:
        part["fixed_uln"] = entry.uln
    for name, column in (("uln", entry.uln_column), ("date", entry.date)):
        if column is not None:
            part[name] = cells[column].mask(cells[column].isin(reading.missing), "").to_numpy()
    if entry.since is not None:
        dated = count_from(cells[entry.since], entry, reading)
        part["date"], part[PRECISION] = dated["date"].to_numpy(), dated[PRECISION].to_numpy()
    return part


def count_from(origin: pd.Series, entry: WideColumn, reading: Reading) -> pd.DataFrame:
    """Return ISO dates some months, weeks or days after those in ``origin``, and their precision.

    A later visit named by its month is known to the month, unless the mapping takes the planned day for its own.
    """
    blank = origin.isin(["", *reading.missing])
    start, precision = read_dates(origin.mask(blank, ""), reading.date_format)
    if entry.months is not None:
        dates = start + pd.DateOffset(months=entry.months)
        if entry.months and entry.precision == "month":
            precision = precision.fillna("month")
    else:
        dates = start + pd.Timedelta(days=7 * (entry.weeks or 0) + (entry.days or 0))
    written = dates.dt.strftime("%Y-%m-%d").astype(object)
    text = written.where(start.notna(), UNREADABLE).mask(blank, "")
    return pd.DataFrame({"date": text, PRECISION: precision.astype(object).where(precision.notna(), "")})
