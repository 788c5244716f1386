"""How files are written, by the words of their columns: dates, decimal signs, words for missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aih_outcomes.load.guesses.columns import (
    are_dates,
    are_numbers,
    find_spellings,
    has_decimal_commas,
    has_decimal_points,
    missing_words,
)
from aih_outcomes.load.guesses.known import Known
from aih_outcomes.load.guesses.pattern import FILL, GAP, GUESSED, quote, stem_of
from aih_outcomes.load.values.dates import ISO


def guess_reading(known: Sequence[Known], reading: Mapping[str, str]) -> str:
    """Return the part that says how the files are written; ``reading`` holds the keys that are known already."""
    columns = [
        (one, name)
        for one in known
        for name, roles in one.roles.items()
        if roles or one.analyte(name) or one.analyte(stem_of(name))
    ]
    words = {(place, name): one.words(name) for place, (one, name) in enumerate(columns)}
    dates = [find_spellings(found) for found in words.values()]
    sure = dict.fromkeys(spelling for needed, _ in dates for spelling in needed)
    unsettled = [either for _, either in dates if either and not set(either) & set(sure)]
    lines = [f"{key} = {quote(value)}  {GUESSED}" for key, value in reading.items()]
    if unsettled:
        lines.append(f"date_format = [{', '.join(map(quote, [*sure, GAP]))}]  {FILL}: {' or '.join(unsettled[0])}")
    elif set(sure) - {ISO}:
        lines.append(f"date_format = [{', '.join(map(quote, sure))}]  {GUESSED}")
    numbers = [
        (one, words[place, name]) for place, (one, name) in enumerate(columns) if are_numbers(words[place, name])
    ]
    commas = sum(has_decimal_commas(found, typed=one.sheet.typed) for one, found in numbers)
    points = sum(has_decimal_points(found) for one, found in numbers if not one.sheet.typed)
    if commas and points:
        lines.append(f'decimal = "{GAP}"  {FILL}: {commas} column(s) have commas and {points} points; one is set aside')
    elif commas:
        lines.append(f'decimal = ","  {GUESSED}')
    read = [
        one.sheet.cells[name]
        for place, (one, name) in enumerate(columns)
        if are_dates(words[place, name]) or are_numbers(words[place, name])
    ]
    if missing := missing_words(read):
        lines.append(f"missing = [{', '.join(map(quote, missing))}]  {GUESSED}")
    return "[reading]\n" + "".join(f"{line}\n" for line in lines)
