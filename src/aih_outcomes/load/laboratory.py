"""Laboratory results: from the value and unit as printed to the canonical unit; nothing is guessed."""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from aih_outcomes.load.mapping_rules import read_translation
from aih_outcomes.load.records import list_problems
from aih_outcomes.units import accepted_units, canonical_units, compute_factor, parse_results

# A laboratory's unit may be named in a message, a word that slipped into the column (a name, a number) may not.
_LOOKS_LIKE_UNIT = re.compile(
    r"[^\W\d_][\w.*^\[\]{}() ]{0,11}/\s?(l|dl|ml|ul|µl|μl|mm3|kg|g|h|d|day|min|mol|mmol)", re.IGNORECASE
)
_UPPER = re.compile(r"^(?:[0-9.]+\s*[-–]\s*)?(?:<=|<|≤)?\s*([0-9]+(?:\.[0-9]+)?)$")


def check_canonical_units(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """Find rows of a canonical table whose unit is not the canonical unit of the analyte."""
    expected = frame["analyte"].map(canonical_units())
    unit = frame["unit"].fillna("")
    bad = expected.notna() & (unit != expected)
    return [
        list_problems(
            bad & (frame["analyte"] == analyte) & (unit == written),
            "unit",
            f"{_name_unit(written, analyte)} in a canonical table must be {canonical_units()[analyte]}",
            "Convert the value, or read the file with a mapping, which converts: "
            'columns.value = "value", columns.unit = "unit"',
        )
        for analyte, written in _distinct(frame["analyte"][bad], unit[bad])
    ]


def convert_results(
    text: pd.DataFrame, analyte: pd.Series, *, units: Mapping[str, Mapping[str, str]], limits: Mapping[str, float],
    decimal: str,
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:  # fmt: skip
    """Convert results as printed.

    Parameters
    ----------
    text : ``value, printed, unit`` and, where mapped, ``uln, fixed_uln``; all but the last are text, ``""`` where blank
    analyte : analyte of each row; missing where it was not recognised
    units : analyte → word of the laboratory → unit it stands for
    limits : analyte → fixed upper limit in the canonical unit, for rows without one of their own
    decimal : ``.`` or ``,``

    Returns
    -------
    frame ``value, unit, comparator, raw_value, raw_unit, uln, uln_source``, and its problems
    """
    factor, problems = _factors(analyte, text["unit"], units)
    results = parse_results(_with_point(text["value"], decimal))
    uln, reported = _upper_limits(text, factor, decimal)
    fixed = text["fixed_uln"].astype(float) * factor if "fixed_uln" in text else pd.Series(np.nan, index=text.index)
    fixed = fixed.fillna(analyte.map(limits).astype(float))
    source = pd.Series(np.select([uln.notna(), fixed.notna()], ["reported", "fixed"], "none"), index=text.index)
    frame = pd.DataFrame(
        {
            "value": results["number"] * factor,
            "unit": analyte.map(canonical_units()).astype("string"),
            "comparator": results["comparator"],
            "raw_value": text["printed"].astype("string"),
            "raw_unit": text["unit"].replace("", None).astype("string"),
            "uln": uln.fillna(fixed),
            "uln_source": source.astype("string"),
        }
    )
    unread = reported & uln.isna() & factor.notna()
    return frame, [*problems, *_list_unread(results["number"].isna(), unread)]


def _list_unread(value: pd.Series, uln: pd.Series) -> list[pd.DataFrame]:
    return [
        list_problems(
            value, "value", "must be a number, a sign with a number (<5) or a titre (1:40)",
            'Correct the cell; in a mapping, name codes for missing (missing = ["haemolysed"]) or decimal = ","',
        ),
        list_problems(
            uln, "uln", "upper limit must be a number or a range such as 5-40",
            'Correct the cell; in a mapping, name codes for missing: missing = ["NA"]',
        ),
    ]  # fmt: skip


def _with_point(text: pd.Series, decimal: str) -> pd.Series:
    """Return numbers with a decimal point; a point where the file has decimal commas makes the cell unreadable."""
    if decimal == ".":
        return text
    return text.str.replace(",", ".", regex=False).mask(text.str.contains(".", regex=False), "?")


def _upper_limits(text: pd.DataFrame, factor: pd.Series, decimal: str) -> tuple[pd.Series, pd.Series]:
    """Return upper limits in the canonical unit, and which rows have one in the file."""
    if "uln" not in text:
        return pd.Series(np.nan, index=text.index), pd.Series(data=False, index=text.index)
    upper = _with_point(text["uln"], decimal).astype("string").str.extract(_UPPER)[0]
    return pd.to_numeric(upper).astype(float) * factor, text["uln"] != ""


def _factors(
    analyte: pd.Series, unit: pd.Series, units: Mapping[str, Mapping[str, str]]
) -> tuple[pd.Series, list[pd.DataFrame]]:
    """Return canonical units per unit of each row, and the rows whose unit is unknown or missing."""
    known = {}
    for name, written in _distinct(analyte, unit):
        times, meant = read_translation(units.get(name, {}).get(written, written))
        known[name, written] = times * compute_factor(name, meant)
    factor = pd.Series([known.get(pair, np.nan) for pair in zip(analyte, unit, strict=True)], index=unit.index)
    problems = [
        list_problems((analyte == name) & (unit == written), "unit", *_explain_unit(name, written))
        for (name, written), value in known.items()
        if np.isnan(value)
    ]
    return factor.astype(float), problems


def _distinct(analyte: pd.Series, unit: pd.Series) -> list[tuple[str, str]]:
    pairs = pd.DataFrame({"analyte": analyte, "unit": unit}).dropna().drop_duplicates()
    return list(pairs.itertuples(index=False, name=None))


def _name_unit(written: str, analyte: str) -> str:
    if not written:
        return f"missing unit for '{analyte}'"
    return f"unit '{written}' for '{analyte}'" if _may_be_named(written) else f"unit for '{analyte}'"


def _may_be_named(written: str) -> bool:
    return _LOOKS_LIKE_UNIT.fullmatch(written) is not None


def _explain_unit(analyte: str, written: str) -> tuple[str, str]:
    shown = written if not written or _may_be_named(written) else "…"
    return (
        f"{_name_unit(written, analyte)}; expected one of {', '.join(accepted_units(analyte))}",
        f'Map it: units = {{ {analyte} = {{ "{shown}" = "…" }} }}, where … is one of these, or a number of them '
        'as in "0.001 g/L"',
    )
