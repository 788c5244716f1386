"""Observations → laboratory results, measurements, gene results, and rows in the project's own code system."""

from aih_outcomes.formats.fhir import (
    ABSENT,
    ACMG_CLASSES,
    ALLELIC_STATE,
    GENE,
    HGVS,
    LOINC,
    OWN,
    OWN_TABLE,
    SIGNIFICANCE,
    VARIANT,
    ZYGOSITIES,
)
from aih_outcomes.load.fhir.codes import Meaning, name_concept, own_word
from aih_outcomes.load.fhir.datatypes import Coding, Concept
from aih_outcomes.load.fhir.resources import Component, Observation
from aih_outcomes.load.fhir.store import Origin, Store
from aih_outcomes.load.fhir.values import (
    cell_text,
    concept_text,
    day_of,
    own_cells,
    printed_result,
    printed_unit,
    start_of,
    upper_limit,
    version_of,
    with_interpretation,
)
from aih_outcomes.schema import TABLES

_METHOD = f"{OWN}labs.method"
_STIFFNESS = "stiffness"  # of the catalogue's measures; its examination and finding are not told by a code


def take_observation(store: Store, one: Observation, patient_id: str, row: int, day: str) -> None:
    """Read one Observation of a patient of the cohort; ``day`` as of ``date_of``."""
    concept = one.code
    meaning = store.codebook.find(concept, "analyte", "measure")
    if meaning is not None:
        if meaning.kind == "analyte":
            _take_result(store, one, meaning, patient_id, row, day)
        else:
            _take_measurement(store, one, meaning, _origin(store, one, patient_id, row))
        return
    table = own_word(concept, OWN_TABLE)
    if table in TABLES:
        _take_own_row(store, one, table, _origin(store, one, patient_id, row))
    elif has_code(concept, VARIANT):
        _take_variant(store, one, _origin(store, one, patient_id, row))
    elif not _take_components(store, one, patient_id, row, day):
        store.leave("labs", name_concept(concept) or "(no code)")


def has_code(concept: Concept | None, code: str) -> bool:
    """Return whether a concept has a code of LOINC."""
    coding = concept.coding if concept is not None else None
    return any(one.code == code and one.system == LOINC for one in coding or ())


def date_of(one: Observation) -> str:
    """Return the day on which a sample was taken; the day of the report where none is given."""
    day = one.effective_date_time or one.effective_instant
    return day_of(day) if day else start_of(one.effective_period) or day_of(one.issued)


def _origin(store: Store, one: Observation, patient_id: str, row: int) -> Origin:
    return Origin(patient_id, store.file, row, one.id or "", version_of(one.meta), one.status or "")


def _take_result(store: Store, one: Observation, meaning: Meaning, patient_id: str, row: int, day: str) -> None:
    if meaning.confidence not in ("exact", "checked") and not store.accept(
        meaning, "labs", "analyte", _origin(store, one, patient_id, row)
    ):
        return
    value, unit, ucum = printed_result(one)
    if one.interpretation:
        value = with_interpretation(value, one.interpretation)
    if not value and one.data_absent_reason is not None:
        store.pass_over("labs", "without a result (dataAbsentReason)")
        return
    if one.effective_date_time is None and one.effective_instant is None and one.effective_period is None:
        store.tell("labs", "dated by their report, as no day of sampling is given")
    uln, uln_unit = upper_limit(one.reference_range)
    own: dict[str, str] = {}
    if one.extension:
        own = own_cells(one.extension, "labs")
        unit = printed_unit(one.extension) or unit
    encounter = one.encounter.reference if one.encounter is not None else None
    store.labs.append(
        (
            patient_id, store.file, row, one.id or "", version_of(one.meta) if one.meta is not None else "",
            one.status, day, meaning.word, value, unit, ucum, uln, uln_unit,
            _limit_source(one), _method(one.method) if one.method is not None else "", own.get("visit", ""),
            encounter or "", own.get("date_precision", ""),
        )
    )  # fmt: skip


def _limit_source(one: Observation) -> str:
    """Return what the project's own exporter wrote of where an upper limit is from."""
    limits = one.reference_range
    if not limits or limits[0].extension is None:
        return ""
    return own_cells(limits[0].extension, "labs").get("uln_source", "")


def _method(concept: Concept) -> str:
    return own_word(concept, _METHOD) or ""


def _take_components(store: Store, one: Observation, patient_id: str, row: int, day: str) -> bool:
    """Read the components of a panel, each as a result of its own; return whether any is known."""
    known = False
    for place, part in enumerate(one.component or ()):
        meaning = store.codebook.find(part.code, "analyte", "measure")
        if meaning is None:
            store.leave("labs", name_concept(part.code) or "(no code)")
            continue
        known = True
        single = _single(one, part, place)
        if meaning.kind == "analyte":
            _take_result(store, single, meaning, patient_id, row, day)
        else:
            _take_measurement(store, single, meaning, _origin(store, single, patient_id, row))
    return known


def _single(one: Observation, part: Component, place: int) -> Observation:
    """Return a component as an Observation of its own, with the dates and status of the whole."""
    return Observation(
        id=f"{one.id}#{place}" if one.id else None, meta=one.meta, status=one.status, code=part.code,
        subject=one.subject, encounter=one.encounter, effective_date_time=one.effective_date_time,
        effective_instant=one.effective_instant, effective_period=one.effective_period, issued=one.issued,
        method=one.method, data_absent_reason=part.data_absent_reason, reference_range=part.reference_range,
        interpretation=part.interpretation,
        value_quantity=part.value_quantity, value_string=part.value_string, value_integer=part.value_integer,
        value_codeable_concept=part.value_codeable_concept, value_ratio=part.value_ratio,
        value_range=part.value_range, value_boolean=part.value_boolean,
    )  # fmt: skip


def _take_measurement(store: Store, one: Observation, meaning: Meaning, origin: Origin) -> None:
    if meaning.word == _STIFFNESS:
        store.leave("imaging", meaning.code)
        return
    if not store.accept(meaning, "measurements", "measure", origin):
        return
    value, unit, ucum = printed_result(one)
    unit = printed_unit(one.extension) or ucum or unit
    cells = {"date": date_of(one), "measure": meaning.word, "value": value, "unit": unit}
    store.add("measurements", origin, cells | own_cells(one.extension, "measurements"))


def _take_own_row(store: Store, one: Observation, table: str, origin: Origin) -> None:
    """Read a row that the project's own exporter wrote: a component per cell."""
    cells = {}
    for part in one.component or ():
        column = own_word(part.code, f"{OWN}{table}")
        if column:
            cells[column] = cell_text(part)
    dated = {"date": date_of(one)} if "date" in TABLES[table].column_names() else {}
    store.add(table, origin, dated | cells)


def _take_variant(store: Store, one: Observation, origin: Origin) -> None:
    """Read a gene result; what is not told by a known answer stays empty."""
    absent = one.value_codeable_concept is not None and has_code(one.value_codeable_concept, ABSENT)
    cells = {"date": date_of(one), "result": "no_variant" if absent else "variant"}
    for part in one.component or ():
        answer = next((code.code or "" for code in _coding(part) if code.system == LOINC), "")
        if has_code(part.code, GENE):
            cells["gene"] = next((c.display or "" for c in _coding(part)), "") or concept_text(
                part.value_codeable_concept
            )
        elif has_code(part.code, HGVS):
            cells["hgvs"] = cell_text(part)
        elif has_code(part.code, SIGNIFICANCE):
            cells["acmg_class"] = ACMG_CLASSES.get(answer, "")
        elif has_code(part.code, ALLELIC_STATE):
            cells["zygosity"] = ZYGOSITIES.get(answer, "")
    store.tell("variants", "with LOINC answers that are known from memory")
    store.add("variants", origin, cells)


def _coding(part: Component) -> list[Coding]:
    concept = part.value_codeable_concept
    return (concept.coding if concept is not None else None) or []
