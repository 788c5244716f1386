"""What reading a source gave, in tables for the screen: counts, rules and mapping lines, never a patient's value."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from aih_outcomes.cohort import Cohort, check_follow_up
from aih_outcomes.load.mapping_parts import Reading
from aih_outcomes.load.privacy.file_names import show_files
from aih_outcomes.load.privacy.identifiers import find_identifiers
from aih_outcomes.schema import DATE_PRECISIONS, TABLES

SHOWN_ROWS = 8
_SHOWN_FILES = 3
_LIMIT_LINES = {"alt": 'fixed.alt = "… U/L"', "ast": 'fixed.ast = "… U/L"', "igg": 'table = ["uk-pru"]'}
_PARTS = ("units", "titres", "codes", "upper_limits")  # of a mapping, each with lines of its own
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN_LETTERS = 200
_ULN_SOURCES = tuple(next(c.levels for c in TABLES["labs"].columns if c.name == "uln_source"))
# A line of a mapping inside a way out: a key, and behind it a part in braces, a list or a text in quotes.
_MAPPING_LINE = re.compile(r'[a-z_.]+ = (?:\{(?:[^{}]|\{[^{}]*\})*\}|\[[^\]]*\]|"[^"]*")')


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """One part of the overview: a title, and below it a table or a sentence where there is nothing to list."""

    title: str
    table: pd.DataFrame
    if_empty: str


def describe_reading(cohort: Cohort) -> Iterator[Section]:
    """Describe what was read: rows kept and set aside, mapping lines, upper limits, dates, identifiers, follow-up."""
    yield Section("Rows read = rows kept + rows set aside for checking", count_rows(cohort), "No row was read.")
    yield Section(
        "Set aside for checking (line numbers of the file; the header is line 1)",
        count_set_aside(cohort), "Nothing was set aside.",
    )  # fmt: skip
    yield Section(
        "Lines for the mapping that would accept rows set aside: check each, and write what is right where … stands",
        list_mapping_lines(cohort), "No row waits for a line of the mapping.",
    )  # fmt: skip
    yield Section("Upper limits of normal by source", count_upper_limits(cohort), "No laboratory results.")
    yield _without_limit(cohort)
    yield Section("How exactly dates are known", count_date_precisions(cohort), "No dates.")
    identifiers = find_identifiers(cohort)
    yield Section(
        "Identifiers found: name a key, and clean the files (line numbers of the file)",
        _with_lines(cohort, identifiers),
        "No identifiers were found.",
    )
    checks = check_follow_up(cohort)
    yield Section(
        "What may not be right: look it up (line numbers of the file)",
        _with_lines(cohort, checks[checks["n_rows"] > 0]),
        f"None of {len(checks)} checks of dates and follow-up found anything.",
    )


def _without_limit(cohort: Cohort) -> Section:
    """Say which results cannot be counted in multiples of the upper limit, and the lines that give them one."""
    labs = cohort.labs
    missing = labs.loc[(labs["uln_source"] == "none") & labs["analyte"].isin(_LIMIT_LINES), "analyte"].value_counts()
    lines = [_LIMIT_LINES[str(analyte)] for analyte in missing.index]
    table = pd.DataFrame({"analyte": missing.index, "n": missing.to_numpy(), "mapping_line": lines})
    title = "Results without an upper limit: no response is evaluable by them; lines for [upper_limits] of a mapping"
    return Section(title, table, "")


def count_rows(cohort: Cohort) -> pd.DataFrame:
    """Return the load report of the files that were read, also of those of which no row is used.

    A file that seems to be named after a patient is shown by its place in the order of all names: ``file 3``.
    """
    report = cohort.load_report
    assert report is not None  # set by Cohort
    shown = report[report["source_file"] != ""]
    hidden = {name: place for name, place in show_files(cohort).items() if name != place}
    for name, place in hidden.items():
        shown = shown.assign(how_read=shown["how_read"].str.replace(name, place, regex=False))
    return shown.replace({"source_file": hidden})


def count_set_aside(cohort: Cohort) -> pd.DataFrame:
    """Return ``table, column, rule, way_out, n, lines`` of the rows set aside, one row per reason."""
    by = ["table", "column", "rule", "way_out"]
    told = cohort.set_aside.fillna(dict.fromkeys(by, ""))
    shown = show_files(cohort)
    n_files = told.groupby("table")["source_file"].nunique().to_dict()
    rows = []
    for reason, found in told.assign(rule=told["rule"].map(_shorten)).groupby(by, sort=True):
        lines = _tell_lines(found, shown, named=n_files[found["table"].iloc[0]] > 1)
        rows.append([*reason, len(found), lines])
    return pd.DataFrame(rows, columns=[*by, "n", "lines"])


def describe_rows(cohort: Cohort) -> pd.DataFrame:
    """Return the frame of a flow chart, ``step, reason, n``: rows read, set aside for which rule, and kept."""
    report = cohort.load_report
    assert report is not None  # set by Cohort
    reasons = cohort.set_aside["rule"].fillna("").map(_shorten).value_counts()
    left = [{"step": "Set aside", "reason": str(rule), "n": int(n)} for rule, n in reasons.items()]
    read = {"step": "Rows read", "reason": "", "n": int(report["n_read"].sum())}
    kept = {"step": "Rows kept", "reason": "", "n": int(report["n_kept"].sum())}
    return pd.DataFrame([read, *left, kept]).astype({"n": "Int64"})


def list_mapping_lines(cohort: Cohort) -> pd.DataFrame:
    """Return ``place, mapping_line, n``: the lines that the ways out offer, and how many rows wait for each.

    ``place`` is the part of the mapping in which the line belongs, such as ``[units]``.
    """
    waiting: Counter[tuple[str, str]] = Counter()
    told = cohort.set_aside.groupby(["table", "way_out"]).size().reset_index(name="n")
    for table, way, n in told.itertuples(index=False, name=None):
        waiting.update({_place(line, table): n for line in offered_lines(way)})
    listed = sorted(waiting.items(), key=lambda pair: (-pair[1], pair[0]))
    return pd.DataFrame([(*line, n) for line, n in listed], columns=["place", "mapping_line", "n"])


def _place(line: str, table: str) -> tuple[str, str]:
    """Return the part of a mapping in which a line belongs, and the line as it is written there.

    Examples
    --------
    >>> _place('units = { igg = { "" = "g/L" } }', "labs"), _place('missing = ["…"]', "labs")
    (('[units]', 'igg."" = "g/L"'), ('[reading]', 'missing = ["…"]'))
    """
    key, _, value = line.partition(" = ")
    if key in _PARTS and value.startswith("{"):
        return f"[{key}]", "; ".join(_flatten(tomllib.loads(line.replace(" … =", ' "…" ='))[key]))
    return ("[reading]" if key in Reading.model_fields else f"[[{table}]]"), line


def _flatten(part: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """Yield the leaves of a nested part with dotted keys, so that lines of one analyte can stand below each other."""
    for key, value in part.items():
        name = prefix + (key if _BARE_KEY.fullmatch(key) else f'"{key}"')
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{name}.")
        else:
            yield f"{name} = {json.dumps(value, ensure_ascii=False)}"


def offered_lines(way_out: str) -> list[str]:
    """Return the lines of a mapping that a way out offers.

    Examples
    --------
    >>> offered_lines('Map it: units = { igg = { "" = "g/L" } }, or correct the cell')
    ['units = { igg = { "" = "g/L" } }']
    """
    return _MAPPING_LINE.findall(way_out)


def count_upper_limits(cohort: Cohort) -> pd.DataFrame:
    """Return one row per analyte: its results, by where their upper limit comes from."""
    labs = cohort.labs
    counts = pd.crosstab(labs["analyte"], labs["uln_source"]).reindex(columns=list(_ULN_SOURCES), fill_value=0)
    return counts.rename_axis(columns=None).reset_index()


def count_date_precisions(cohort: Cohort) -> pd.DataFrame:
    """Return ``table, day, month, year``: rows by their least certain date."""
    tables = {name: table for name, table in cohort.tables().items() if len(table)}
    rows = [table["date_precision"].fillna("day").value_counts().rename(name) for name, table in tables.items()]
    counts = pd.DataFrame(rows).reindex(columns=list(DATE_PRECISIONS)).fillna(0).astype(int)
    return counts.rename_axis(index="table", columns=None).reset_index()


def _shorten(rule: str) -> str:
    """Cut a rule that lists every drug of the catalogue behind a comma."""
    if len(rule) <= _SHOWN_LETTERS:
        return rule
    return rule[:_SHOWN_LETTERS].rpartition(",")[0] + ", … (see the data dictionary)"


def _with_lines(cohort: Cohort, found: pd.DataFrame) -> pd.DataFrame:
    """Replace positions in a table, ``rows``, by the lines of the file in which these rows stand."""
    frames = {**cohort.tables(), "set_aside": cohort.set_aside}
    shown = show_files(cohort)
    lines = []
    for table, rows in zip(found["table"], found["rows"], strict=True):
        frame = frames.get(table)
        if frame is None:  # the load report has no lines
            lines.append("")
            continue
        named = frame["source_file"].nunique() > 1
        lines.append(_tell_lines(frame.iloc[[row - 1 for row in rows]], shown, named=named))
    return found.drop(columns="rows").assign(lines=lines)


def _tell_lines(rows: pd.DataFrame, shown: Mapping[str, str], *, named: bool) -> str:
    """Return line numbers, each file's behind its name where there are several."""
    by_file = rows.groupby("source_file", sort=True, dropna=False)["source_row"]
    lines = {str(file): first_rows(found.dropna().astype(int).tolist()) for file, found in by_file}
    if not named:
        return "; ".join(lines.values())
    told = [f"{shown.get(file, file)}: {numbers}" for file, numbers in list(lines.items())[:_SHOWN_FILES]]
    return "; ".join(told) + (f"; and {len(lines) - _SHOWN_FILES} more files" if len(lines) > _SHOWN_FILES else "")


def first_rows(rows: list[int]) -> str:
    """Return the first few of these numbers."""
    return ", ".join(str(row) for row in sorted(rows)[:SHOWN_ROWS]) + (" …" if len(rows) > SHOWN_ROWS else "")
