"""A mapping template filled from the files' own columns: every guess is marked, every gap says what belongs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from aih_outcomes.formats.redcap import INSTANCE, INSTRUMENT
from aih_outcomes.load.guesses.blocks import Block, find_columns_by_visit, guess_blocks, guess_first_treatment
from aih_outcomes.load.guesses.columns import Sheet
from aih_outcomes.load.guesses.known import Known, know_sheets
from aih_outcomes.load.guesses.pattern import FILL, GAP, quote
from aih_outcomes.load.guesses.reading import guess_reading
from aih_outcomes.schema import TABLES

_HEADER = """# How the columns of your files become a cohort; the keys are explained in aih_outcomes.load.mapping.
# Lines marked "guessed" were filled from your files' own columns and words: check each, and correct or delete it.
# Lines marked "fill in" wait for you: write the right word where … stands, or delete the line.
# This file holds words of your data: keep it inside your study group.
"""
_LIMITS = """# Where results came without an upper limit: your laboratory's table, the catalogue's, or a fixed one.
# [upper_limits]
# table = ["uk-pru", "caliper"]
# fixed = { alt = "40 U/L" }
"""

_SECOND = """# The same patients stand in another sheet: a patient has one row. Take the better list, or join the two.
# What follows is a comment, and not read.
"""
_ORDER = tuple(TABLES)


def guess_mapping(sheets: Sequence[Sheet], *, reading: Mapping[str, str]) -> str:
    """Return the text of a mapping (TOML) for these sheets.

    Parameters
    ----------
    reading : keys of ``[reading]`` that are known already, e.g. the encoding by which the files could be read
    """
    known = know_sheets(sheets)
    blocks = [block for one in known for block in guess_blocks(one)]
    if not any(block.table == "treatments" for block in blocks):
        blocks += [block for one in known for block in guess_first_treatment(one)]
    blocks = _leave_out_repeats(blocks)
    texts = [block.text for block in sorted(blocks, key=lambda block: _ORDER.index(block.table))]
    if not any(block.table == "patients" for block in blocks):
        texts.insert(0, _empty_patients())
    return "\n".join([_HEADER, guess_reading(known, reading), *texts, _LIMITS, _list_unused(known, blocks)])


def _leave_out_repeats(blocks: Sequence[Block]) -> list[Block]:
    """Turn a second list of the same patients into comments: a patient has one row, and one line of follow-up."""
    left: list[Block] = []
    for table in ("patients", "follow_up"):
        ranked = sorted((one for one in blocks if one.table == table), key=lambda one: -len(one.known.patients()))
        for place, block in enumerate(ranked):
            if any(block.known.patients() & other.known.patients() for other in ranked[:place]):
                left.append(block)
    return [replace(block, text=_comment(block.text)) if block in left else block for block in blocks]


def _comment(block: str) -> str:
    return _SECOND + "".join(f"# {line}\n" for line in block.splitlines())


def _list_unused(known: Sequence[Known], blocks: Sequence[Block]) -> str:
    """Return comments with the columns that no line uses, sheet by sheet."""
    lines = []
    for one in known:
        text = "".join(block.text for block in blocks if block.known is one)
        by_visit = find_columns_by_visit(one)
        used = {*by_visit.columns, *by_visit.dates, INSTRUMENT, INSTANCE}
        unused = [name for name in one.roles if quote(name) not in text and name not in used]
        if unused:
            place = [str(one.sheet.place[key]) for key in ("file", "sheet") if key in one.sheet.place]
            lines.append(f"#   {', '.join(place)}: {', '.join(map(quote, unused))}")
    return "# Columns that no line uses yet:\n" + "".join(f"{line}\n" for line in lines) if lines else ""


def _empty_patients() -> str:
    gaps = [column for column in TABLES["patients"].columns if column.required or column.name == "birth_date"]
    lines = [f'file = "{GAP}"  {FILL}: the file with one row per patient']
    lines += [f'columns.{column.name} = "{GAP}"  {FILL}: the column with: {column.describes}' for column in gaps]
    return "[[patients]]\n" + "".join(f"{line}\n" for line in lines)
