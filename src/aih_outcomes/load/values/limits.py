"""Upper limits for results that came without one: the laboratory's table, then age and sex, then a fixed one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from aih_outcomes.catalogue import read_reference_limits
from aih_outcomes.load.mapping_rules import read_amount
from aih_outcomes.load.records import Records
from aih_outcomes.load.values.laboratory_limits import read_laboratory_limits
from aih_outcomes.schema import empty_table
from aih_outcomes.upper_limits import BAND_COLUMNS, Floats, Samples, describe_ends, find_certain_limits, find_limits

if TYPE_CHECKING:
    from aih_outcomes.load.mapping_parts import Reading

# What a limit that came otherwise outranks: clinic's rule, reported > laboratory > age and sex > fixed.
_RANK = {"none": 0, "fixed": 1, "age_sex_table": 2, "laboratory": 3, "reported": 4}
_SOURCES = np.array(list(_RANK), dtype=object)
_SURE = ("exact", "checked")


class LimitChoices(BaseModel):
    """The part ``[upper_limits]`` of a mapping: where results without an upper limit get one from, in this order.

    Attributes
    ----------
    laboratory : CSV file beside the data, see ``laboratory_limits``
    table : names of tables of the catalogue; the first that has a band for the child's sex and age counts
    fixed : analyte → limit with its unit, as in ``{ alt = "40 U/L" }``
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    laboratory: str | None = None
    table: Annotated[tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)] = ()
    fixed: dict[str, str] = Field(default_factory=dict)

    @field_validator("table")
    @classmethod
    def _in_catalogue(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = list(dict.fromkeys(read_reference_limits()["table"]))
        wrong = [name for name in value if name not in known]
        if wrong:
            raise ValueError(f"upper_limits.table: '{wrong[0]}' is no table of limits; known: {', '.join(known)}")
        return value

    @field_validator("fixed")
    @classmethod
    def _with_units(cls, value: dict[str, str]) -> dict[str, str]:
        for analyte, amount in value.items():
            read_amount(analyte, amount)
        return value


@dataclass(frozen=True, slots=True, eq=False)
class UpperLimits:
    """Where upper limits come from, in this order.

    Attributes
    ----------
    laboratory : bands as of ``read_laboratory_limits``; None without such a table
    tables : names of tables of the catalogue
    fixed : analyte → limit in the canonical unit
    """

    laboratory: pd.DataFrame | None = None
    tables: tuple[str, ...] = ()
    fixed: Mapping[str, float] | None = None


def read_upper_limits(choices: LimitChoices | None, folder: Path, reading: "Reading | None" = None) -> UpperLimits:
    """Return the limits that a mapping chooses; its laboratory's table is read from ``folder``.

    Parameters
    ----------
    reading : how the files of the folder are written; default as in canonical files

    Raises
    ------
    DataError : the laboratory's table cannot be used
    """
    if choices is None:
        return UpperLimits()
    bands = None if choices.laboratory is None else read_laboratory_limits(folder, choices.laboratory, reading)
    fixed = {analyte: read_amount(analyte, amount) for analyte, amount in choices.fixed.items()}
    return UpperLimits(bands, choices.table, fixed)


def fill_upper_limits(records: Sequence[Records], limits: UpperLimits | None) -> list[Records]:
    """Complete upper limits: each result keeps the best it has, and ``uln_source`` says which that is.

    Reported with the result > the laboratory's table at the day of the sample > a table of the catalogue by the child's
    sex and age at the sample > fixed. What was done is counted in ``how_read``.
    """
    if limits is None or (limits.laboratory is None and not limits.tables and not limits.fixed):
        return list(records)
    people = [part.kept for part in records if part.table == "patients"]
    patients = pd.concat(people, ignore_index=True) if people else empty_table("patients")
    asked = [part.table == "labs" and len(part.kept) > 0 for part in records]
    return [_fill(part, patients, limits) if fill else part for part, fill in zip(records, asked, strict=True)]


def _fill(part: Records, patients: pd.DataFrame, limits: UpperLimits) -> Records:
    labs = part.kept
    uln = labs["uln"].to_numpy(float, copy=True)
    rank = labs["uln_source"].map(_RANK).fillna(0).to_numpy(np.int64, copy=True)
    rank[np.isnan(uln)] = 0
    told = []
    ends = describe_ends(labs, patients)
    for source, offered, words in _offers(ends, limits):
        better = (rank < _RANK[source]) & ~np.isnan(offered)
        uln[better], rank[better] = offered[better], _RANK[source]
        told.append(f"{int(better.sum()):,} {words}")
    told.append(f"{int((rank == 0).sum()):,} without any")
    if len(ends) > 1:
        told.append("a source gives none where a date or age known in part leaves open which")
    filled = labs.assign(uln=uln, uln_source=pd.array(_SOURCES[rank], dtype="string"))
    said = [part.how_read] if part.how_read else []
    return replace(part, kept=filled, how_read="; ".join([*said, f"upper limits of results: {', '.join(told)}"]))


def _offers(ends: tuple[Samples, ...], limits: UpperLimits) -> Iterator[tuple[str, Floats, str]]:
    """Yield each source with the limits that it has for the results, and how it is told; the best source first."""
    if limits.laboratory is not None:
        found = [_of_laboratory(samples, limits.laboratory) for samples in ends]
        yield "laboratory", np.where(found[0] == found[-1], found[0], np.nan), "from the laboratory's table"
    reference = read_reference_limits() if limits.tables else pd.DataFrame()
    for name in limits.tables:
        table = reference[reference["table"] == name]
        doubtful = [word for word in dict.fromkeys(table["confidence"]) if word not in _SURE]
        memory = f", whose figures are {' or '.join(doubtful)}" if doubtful else ""
        offered = find_certain_limits(ends, table[list(BAND_COLUMNS)])
        yield "age_sex_table", offered, f"by age and sex (table {name}{memory})"
    if limits.fixed:
        yield "fixed", np.array([limits.fixed.get(name, np.nan) for name in ends[0].analyte]), "fixed"


def _of_laboratory(samples: Samples, bands: pd.DataFrame) -> Floats:
    """Return the limits of the centres' own lines, else of those for every centre."""
    general = bands["laboratory"] == ""
    own = find_limits(samples, bands[~general])
    return np.where(np.isnan(own), find_limits(samples, bands[general].drop(columns="laboratory")), own)
