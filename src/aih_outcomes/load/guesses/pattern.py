"""Columns named after a test and a time, such as ``ALT_m0, ALT_m3`` or ``ALT 3 months``: the rule behind them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aih_outcomes.units import accepted_units

GAP = "…"
GUESSED = "# guessed: check"
FILL = "# fill in"
_FEWEST = 2  # columns that make a rule
_STEPS = {"m": "months", "w": "weeks", "d": "days", "v": "visit", "": GAP}
_MARK = r"(?P<mark>months?|mth|mo|m|weeks?|wks?|w|days?|d|visit|v)"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?P<stem>.*?)(?P<before>[\s_.|:-]*{_MARK}[\s_.-]?)(?P<number>\d+)(?P<after>)",  # ALT_m3
        rf"(?P<stem>.*?)(?P<before>[\s_.|:-]+)(?P<number>\d+)(?P<after>[\s_.-]?{_MARK})",  # ALT 3 months
        r"(?P<stem>.*?[^\W\d])(?P<before>_?)(?P<number>\d+)(?P<after>)(?P<mark>)",  # ALT3
    )
)
_BASELINE = re.compile(r"(?P<stem>.+?)[\s_.|:-]+(?:at )?(?:baseline|diagnosis|start|bl)", re.IGNORECASE)
_OF_ONE_TEST = 4  # IgG1 to IgG4, C3, C4: a bare number is a time where a test has one above, or a 0


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A rule for columns: the number of ``step`` stands behind a test's name; no columns, no rule.

    Attributes
    ----------
    columns : column → analyte
    units : analyte → unit in the brackets of its columns, ``…`` where there is none
    before, after : what stands on either side of the number
    step : months, weeks, days or visit; ``…`` where nothing says which
    date, since : what stands before the number in the columns that hold dates; else the column to count from
    dates : the columns that hold dates
    """

    columns: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)
    before: str = ""
    after: str = ""
    step: str = ""
    date: str = ""
    since: str = ""
    dates: tuple[str, ...] = ()

    def write(self) -> list[str]:
        """Return the rule as lines of a mapping."""
        when = f"{self.before}{{{self.step}}}{self.after}"
        gaps = [f"{word} {' or '.join(accepted_units(word))}" for word, unit in self.units.items() if unit == GAP]
        told = [f"the units: {'; '.join(gaps)}"] if gaps else []
        told += ["months, weeks, days or visit in braces"] if self.step == GAP else []
        told += ["the column of this sheet with the date from which they are counted"] if self.since == GAP else []
        written = ", ".join(f"{word} = {quote(unit)}" for word, unit in self.units.items())
        dated = f"date = {quote(self.date + when)}" if self.date else f"since = {quote(self.since)}"
        rule = f"columns = {quote('{analyte}' + when)}, {dated}, units = {{ {written} }}"
        line = f"wide_pattern = {{ {rule} }}  {f'{FILL} ' + '; '.join(told) if told else GUESSED}"
        return [line, PLANNED] if self.since and self.step == "months" else [line]


PLANNED = (
    "# Visits named by their month are dated to it, and count in no window of days. If the planned day may stand "
    'for that of the sample, add precision = "day" within the braces.'
)


def quote(text: str) -> str:
    """Return text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def stem_of(name: str) -> str:
    """Return the part of a column's name before the time: ``ALT`` of ``ALT_m3``; nothing where there is no time.

    Examples
    --------
    >>> stem_of("ALT (U/L) | m3"), stem_of("IgG_week12"), stem_of("ALT 3 months"), stem_of("Date of visit")
    ('ALT (U/L)', 'IgG', 'ALT', '')
    """
    found = _split(name)
    return found["stem"] if found else ""


def baseline_of(name: str) -> str:
    """Return the part of a column's name before *baseline*: ``ALT`` of ``ALT | baseline``; nothing without that."""
    found = _BASELINE.fullmatch(name)
    return found["stem"] if found else ""


def _split(name: str) -> re.Match[str] | None:
    return next((found for form in _FORMS if (found := form.fullmatch(name))), None)


def find_pattern(words: Mapping[str, str], units: Mapping[str, str], dates: Iterable[str], since: str) -> Pattern:
    """Return the rule that most columns keep to.

    Parameters
    ----------
    words : column → analyte that the part before the time stands for
    units : column → its unit, ``""`` where nothing tells
    dates : columns that hold dates of visits and are named alike
    since : column that holds the date from which time is counted, where visits have no dates of their own
    """
    found = {name: match for name in words if (match := _split(name)) and _is_time(match, words)}
    forms = Counter(map(_form_of, found.values()))
    if not forms or forms.most_common(1)[0][1] < _FEWEST:
        return Pattern({})
    form = forms.most_common(1)[0][0]
    columns = {name: words[name] for name, match in found.items() if _form_of(match) == form}
    known = {words[name]: units[name] for name in columns if units.get(name)}
    dated = [name for name in dates if (match := _split(name)) and _form_of(match) == form]
    before, after, step = form
    return Pattern(
        columns, {word: known.get(word, GAP) for word in dict.fromkeys(columns.values())},
        before, after, step, stem_of(dated[0]) if dated else "", since, tuple(dated),
    )  # fmt: skip


def _form_of(match: re.Match[str]) -> tuple[str, str, str]:
    return match["before"], match["after"], _STEPS[match["mark"][:1].lower()]


def _is_time(match: re.Match[str], names: Iterable[str]) -> bool:
    """Return whether the number behind a test's name is a time: a bare one may belong to the name, as in ``IgG4``."""
    if match["mark"]:
        return True
    others = [other for name in names if (other := _split(name)) and other["stem"] == match["stem"]]
    numbers = {int(other["number"]) for other in others if not other["mark"]}
    return 0 in numbers or max(numbers) > _OF_ONE_TEST
