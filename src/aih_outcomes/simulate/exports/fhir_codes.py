"""The standard codes that the FHIR exporter writes: only those that the catalogue has checked."""

from functools import cache

import pandas as pd

from aih_outcomes.catalogue import read_conditions
from aih_outcomes.catalogue.tables import read_table
from aih_outcomes.formats.fhir import ADDRESSES, ATC, LOINC, OWN, RXNORM, SNOMED
from aih_outcomes.units import normalise_unit

_CHECKED = ("exact", "checked")
_SHORT = {address: short for short, address in ADDRESSES.items()}
# Kinds of unit in the catalogue that a LOINC code of results with numbers stands for; a presence has none.
_OF_NUMBERS = ("catalytic activity", "mass", "count", "ratio", "time", "fraction")
# As the schema's own words, not those of a code: what a measurement is.
_MEASURES = {"weight": "29463-7", "height": "8302-2"}


def analyte_coding(analyte: str, unit: str) -> tuple[str, str]:
    """Return system and code of an analyte as measured in a unit; the project's own where LOINC has no checked one.

    Examples
    --------
    >>> analyte_coding("bilirubin", "mg/dL"), analyte_coding("bilirubin", "umol/L")
    (('http://loinc.org', '1975-2'), ('http://loinc.org', '14631-6'))
    """
    canonical = normalise_unit(unit) if unit else ""
    kinds = ("amount",) if "mol/" in canonical else ("titre",) if canonical == "{titer}" else _OF_NUMBERS
    codes = _analyte_codes()
    found = next((codes[analyte, kind] for kind in kinds if (analyte, kind) in codes), "")
    return (LOINC, found) if found else (f"{OWN}labs.analyte", analyte)


@cache
def _analyte_codes() -> dict[tuple[str, str], str]:
    rows = _checked("analyte_codes", LOINC)
    keys = zip(rows["analyte"], rows["unit_kind"], strict=True)
    return dict(zip(list(keys)[::-1], list(rows["code"])[::-1], strict=True))  # the first of several stands


@cache
def drug_codings() -> dict[str, list[tuple[str, str]]]:
    """Return drug → system and code in RxNorm and ATC."""
    found: dict[str, list[tuple[str, str]]] = {}
    for system in (RXNORM, ATC):
        rows = _checked("drug_codes", system)
        rows = rows[rows["status"] == "current"].drop_duplicates("drug")
        for drug, code in zip(rows["drug"], rows["code"], strict=True):
            found.setdefault(str(drug), []).append((system, str(code)))
    return found


@cache
def event_codes() -> dict[str, str]:
    """Return kind of event → SNOMED CT code of the condition or procedure; a death is told by the patient."""
    conditions = read_conditions()
    events = conditions[(conditions["table"] == "events") & (conditions["kind"] != "status")].set_index("condition")
    rows = _checked("condition_codes", SNOMED).drop_duplicates("condition")
    rows = rows[rows["condition"].isin(events.index)]
    return dict(zip(rows["condition"].map(events["word"]), rows["code"].astype(str), strict=True))


def measure_coding(measure: str) -> tuple[str, str]:
    """Return system and code of a measurement."""
    code = _MEASURES.get(measure)
    return (LOINC, code) if code else (f"{OWN}measurements.measure", measure)


def _checked(table: str, address: str) -> pd.DataFrame:
    rows = read_table(table)
    return rows[(rows["system"] == _SHORT[address]) & rows["confidence"].isin(_CHECKED)]
