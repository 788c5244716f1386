"""Cells of an export, read by the type of their field: labels become codes, decimal commas points."""

import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import date

from aih_outcomes.load.redcap.columns import ExportColumn
from aih_outcomes.load.redcap.dictionary import Field

_DAY = r"(\d{4}-\d{2}-\d{2})"
_TIME = r"([01]?\d|2[0-3]):[0-5]\d"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_COMMA = r"[+-]?(\d+,?\d*|,\d+)"
_POSTCODE = r"[A-Za-z0-9]{2,5}[ -]?[A-Za-z0-9]{2,5}"
_PATTERNS = {
    "date": _DAY,
    "datetime": rf"{_DAY}[T ]{_TIME}(:[0-5]\d)?",
    "datetime_seconds": rf"{_DAY}[T ]{_TIME}:[0-5]\d",
    "time": rf"{_TIME}",
    "time_hh_mm_ss": rf"{_TIME}:[0-5]\d",
    "time_mm_ss": r"[0-5]?\d:[0-5]\d",
    "integer": r"[+-]?\d+",
    "number": _NUMBER,
    "number_comma_decimal": _COMMA,
    "alpha_only": r"[^\W\d_]+",
    "email": r"[^@\s]+@[^@\s]+\.[^@\s]+",
    "phone": r"(?=.*\d)\+?[\d\s().-]{7,}((x|ext\.?)\s?\d+)?",
    "zipcode": r"\d{5}(-\d{4})?",
    "postalcode": _POSTCODE,
    "ssn": r"\d{3}-?\d{2}-?\d{4}",
    "mrn_10d": r"\d{10}",
    "mrn_generic": r"(?=.*[A-Za-z0-9])[A-Za-z0-9-]+",
    "vmrn": r"\d{1,9}",
}
_RULES = {
    "date": "must be a date that exists, written YYYY-MM-DD as REDCap exports it",
    "datetime": "must be a day and time, written YYYY-MM-DD HH:MM as REDCap exports it",
}
_PLACES = re.compile(r"number_(\d)dp(_comma_decimal)?")
_CONTACT = ("email", "phone", "zipcode", "postalcode", "ssn", "mrn_10d", "mrn_generic", "vmrn")
Reader = Callable[[str], tuple[str, bool]]  # cell → what it is read as, and whether it keeps the rule


def general_type(validation: str) -> str:
    """Return the general validation type: ``date_dmy`` → ``date``, ``phone_australia`` → ``phone``.

    Examples
    --------
    >>> [general_type(name) for name in ("date_dmy", "datetime_seconds_mdy", "postalcode_french", "number_2dp")]
    ['date', 'datetime_seconds', 'postalcode', 'number_2dp']
    """
    general = re.sub(r"_(dmy|mdy|ymd)$", "", validation.lower())
    general = re.sub(r"^(phone|postalcode)_.*", r"\1", general)
    return "time" if general == "time_hh_mm" else general


def identifies(one: Field) -> bool:
    """Tell whether a field names, reaches or shows a person, or holds free text: it is read on demand only."""
    free = one.kind in ("notes", "file")
    return one.identifier or free or general_type(one.validation) in _CONTACT


def is_labelled(columns: Sequence[tuple[ExportColumn, Collection[str]]]) -> bool:
    """Tell whether the coded cells of an export hold labels: most coded columns then hold labels and no codes."""
    votes = 0
    for column, values in columns:
        codes, labels = set(column.choices), set(column.choices.values())
        if column.choices and values and codes != labels:
            votes += set(values) <= labels
            votes -= set(values) <= codes
    return votes > 0


def make_reader(column: ExportColumn, *, labelled: bool) -> tuple[Reader | None, str]:
    """Return what reads a filled cell of a column (None where any text will do), and the rule in words."""
    if column.choices:
        return _read_choice(column.choices, labelled=labelled)
    one = column.field
    if one is None or one.kind in ("calc", "sql", "notes", "file"):
        return None, ""
    general = "number" if one.kind == "slider" else general_type(one.validation)
    places = _PLACES.fullmatch(general)
    sign = "," if general.endswith("comma_decimal") else "."
    pattern = rf"[+-]?(?=[{sign}]?\d)\d*[{sign}]?\d{{0,{places.group(1)}}}" if places else _PATTERNS.get(general)
    if pattern is None:
        return None, ""
    within, limits = _limits(one, general)
    rule = _RULES.get(general, f"must be written as its validation type '{one.validation or one.kind}' says")
    return _read_pattern(re.compile(pattern), within, comma=sign == ","), rule + limits


def _read_choice(choices: dict[str, str], *, labelled: bool) -> tuple[Reader, str]:
    labels = list(choices.values())
    single = {label: code for code, label in choices.items() if labels.count(label) == 1}
    known = single if labelled else {code: code for code in choices}
    rule = "must be one of the codes of its choices"
    if labelled:
        rule = "must be one of the labels of its choices, and the label of one code only"
    return lambda cell: (known.get(cell, cell), cell in known), rule


def _read_pattern(pattern: re.Pattern[str], within: Callable[[str], bool], *, comma: bool) -> Reader:
    def read(cell: str) -> tuple[str, bool]:
        if pattern.fullmatch(cell) is None:
            return cell, False
        plain = cell.replace(",", ".") if comma else cell
        return plain, within(plain)

    return read


def _limits(one: Field, general: str) -> tuple[Callable[[str], bool], str]:
    """Return whether a cell lies within the limits of its field, and the limits in words."""
    if general.startswith("date"):
        return _day_exists, ""
    low, high = (_number(limit) for limit in (one.low, one.high))
    if low is None and high is None:
        return lambda _: True, ""
    bottom, top = (-float("inf") if low is None else low), (float("inf") if high is None else high)
    words = f", from {one.low or '…'} to {one.high or '…'} (REDCap warns of others, and keeps them)"
    return lambda cell: bottom <= (_number(cell) or 0.0) <= top, words


def _number(text: str) -> float | None:
    with suppress(ValueError):
        return float(text.replace(",", "."))
    return None


def _day_exists(cell: str) -> bool:
    with suppress(ValueError):
        date.fromisoformat(cell[: len("YYYY-MM-DD")])
        return True
    return False
