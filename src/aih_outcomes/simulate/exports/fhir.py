"""A cohort as a FHIR R4 bulk export: one NDJSON file per kind of resource, or the same as one Bundle.

Standard codes are written where the catalogue has checked ones, and the project's own (``formats.fhir``) elsewhere.
Nothing is repaired: what a centre wrote, empty and wrong cells included, is written as it stands.
"""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from aih_outcomes.schema import TABLES
from aih_outcomes.simulate.exports.fhir_resources import (
    Json,
    diagnosis_resource,
    event_resource,
    measurement_resource,
    own_row_resource,
    patient_resource,
    result_resource,
    treatment_resource,
)
from aih_outcomes.simulate.exports.printed import Printed

_MARKED = re.compile(r'"\\u0000([0-9.eE+-]*)\\u0000"')


def export_fhir(printed: Printed, folder: Path | str, *, packed: bool = False, bundle: bool = False) -> list[Path]:
    """Write a cohort as FHIR R4.

    Parameters
    ----------
    printed : table → its cells as text, see ``simulate.exports.printed``
    folder : where to write; it is made if it does not exist
    packed : pack each file with gzip
    bundle : write one Bundle of the type collection instead of a file per kind

    Returns
    -------
    the files that were written; the same cohort gives the same bytes
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    resources = list(_list_resources(printed))
    if bundle:
        entries = [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} if "id" in one else {"resource": one}
                   for one in resources]  # fmt: skip
        return [
            _write(out / "bundle.json", [{"resourceType": "Bundle", "type": "collection", "entry": entries}], packed)
        ]
    kinds = dict.fromkeys(one["resourceType"] for one in resources)
    return [
        _write(out / f"{kind}.ndjson", [one for one in resources if one["resourceType"] == kind], packed)
        for kind in kinds
    ]


def _write(path: Path, resources: list[Json], packed: bool) -> Path:
    lines = (json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in resources)
    text = "".join(f"{_bare_numbers(line)}\n" for line in lines)
    data = text.encode("utf-8")
    if packed:
        path = path.with_name(f"{path.name}.gz")
        data = gzip.compress(data, mtime=0)
    path.write_bytes(data)
    return path


def _bare_numbers(line: str) -> str:
    return _MARKED.sub(r"\1", line)


def _list_resources(printed: Printed) -> Iterator[Json]:
    identifiers = printed["patients"]["patient_id"]
    repeated = set(identifiers[identifiers.duplicated()])
    deaths = _sole_deaths(printed)
    for place, row in enumerate(_rows(printed["patients"])):
        twice = row["patient_id"] in repeated
        yield patient_resource(row, death=None if twice else deaths.get(row["patient_id"]), repeated=twice)
        yield diagnosis_resource(row, place, repeated=twice)
    for place, row in enumerate(_rows(printed["labs"])):
        yield result_resource(row, place)
    for place, row in enumerate(_rows(printed["treatments"])):
        yield treatment_resource(row, place)
    for place, row in enumerate(_rows(printed["measurements"])):
        yield measurement_resource(row, place)
    for place, row in enumerate(_rows(printed["events"])):
        if deaths.get(row["patient_id"]) != row or row["patient_id"] in repeated:
            yield event_resource(row, place)
    for table in TABLES:
        if table not in ("patients", "labs", "treatments", "measurements", "events"):
            yield from (own_row_resource(row, table, place) for place, row in enumerate(_rows(printed[table])))


def _rows(frame: pd.DataFrame) -> list[dict[str, str]]:
    columns = [str(column) for column in frame.columns]
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*(frame[name] for name in columns), strict=True)]


def _sole_deaths(printed: Printed) -> dict[str, dict[str, str]]:
    """Return the death of each patient of the table 'patients' who has one, dated: the Patient resource holds it."""
    events = printed["events"]
    dead = events[(events["kind"] == "death") & (events["date"] != "")]
    dead = dead[~dead["patient_id"].duplicated(keep=False) & dead["patient_id"].isin(printed["patients"]["patient_id"])]
    return {row["patient_id"]: row for row in _rows(dead)}
