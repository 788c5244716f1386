"""How the schema is written in the OMOP Common Data Model: tables, columns, concepts, and the project's own facts.

Tables and columns are those of CDM 5.4 with the older names that 5.3 has beside them (OHDSI CommonDataModel,
https://ohdsi.github.io/CommonDataModel/cdm54.html). A column of the schema without a home in the model stands in
OBSERVATION: ``observation_source_value`` names it (``labs.method``), ``value_as_string`` holds it, and
``observation_event_id`` is the number of the row that it belongs to. A row without any home of its own is such facts
and no more. Where the catalogue knows no concept for a word, the ``*_source_value`` of its row says it in the schema's
own terms: ``labs.analyte=sla``.
"""

from dataclasses import dataclass
from typing import Literal

from aih_outcomes.schema import TABLES

CellKind = Literal["key", "whole", "number", "date", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CdmTable:
    """One table of the model: the columns that are read or written, and which must be there.

    Attributes
    ----------
    columns : name → kind; a ``key`` joins tables and is never interpreted
    needed : columns without which the table cannot be read
    number : the column that numbers its rows; empty where it has none
    code : prefix of ``<code>_concept_id, <code>_source_concept_id, <code>_source_value``; empty where it has none
    """

    columns: dict[str, CellKind]
    needed: tuple[str, ...] = ("person_id",)
    number: str = ""
    code: str = ""


def _coded(name: str, dates: tuple[str, ...], **columns: CellKind) -> CdmTable:
    """Return a table whose rows each say that something with a concept happened to a person on a day."""
    table, code = f"{name}_id", name.removesuffix("_occurrence").removesuffix("_exposure")
    return CdmTable(
        columns={
            table: "key", "person_id": "key", f"{code}_concept_id": "whole", **dict.fromkeys(dates, "date"), **columns,
            f"{code}_source_value": "text", f"{code}_source_concept_id": "whole",
        },
        needed=("person_id", f"{code}_concept_id", dates[0]),
        number=table,
        code=code,
    )  # fmt: skip


CDM: dict[str, CdmTable] = {
    "person": CdmTable(
        columns={
            "person_id": "key", "gender_concept_id": "whole", "year_of_birth": "whole", "month_of_birth": "whole",
            "day_of_birth": "whole", "birth_datetime": "date", "location_id": "key", "care_site_id": "key",
            "person_source_value": "text", "gender_source_value": "text",
        },
        needed=("person_id", "gender_concept_id", "year_of_birth"),
        number="person_id",
    ),
    "observation_period": CdmTable(
        columns={
            "observation_period_id": "key", "person_id": "key", "observation_period_start_date": "date",
            "observation_period_end_date": "date",
        },
        needed=("person_id", "observation_period_start_date", "observation_period_end_date"),
        number="observation_period_id",
    ),
    "visit_occurrence": _coded("visit_occurrence", ("visit_start_date", "visit_end_date")),
    "condition_occurrence": _coded("condition_occurrence", ("condition_start_date", "condition_end_date")),
    "procedure_occurrence": _coded("procedure_occurrence", ("procedure_date",)),
    "drug_exposure": _coded(
        "drug_exposure", ("drug_exposure_start_date", "drug_exposure_end_date", "verbatim_end_date"),
        quantity="number", days_supply="number", sig="text", route_concept_id="whole", route_source_value="text",
        dose_unit_source_value="text",
    ),
    "measurement": _coded(
        "measurement", ("measurement_date",),
        operator_concept_id="whole", value_as_number="number", value_as_concept_id="whole", unit_concept_id="whole",
        range_high="number", visit_occurrence_id="key", unit_source_value="text", value_source_value="text",
    ),
    "observation": _coded(
        "observation", ("observation_date",), value_as_string="text", observation_event_id="key",
    ),
    "death": CdmTable(
        columns={
            "person_id": "key", "death_date": "date", "cause_concept_id": "whole", "cause_source_value": "text",
            "cause_source_concept_id": "whole",
        },
        needed=("person_id", "death_date"),
    ),
    "care_site": CdmTable(
        columns={"care_site_id": "key", "care_site_name": "text", "care_site_source_value": "text"},
        needed=("care_site_id",),
    ),
    "concept": CdmTable(
        columns={"concept_id": "whole", "concept_name": "text", "vocabulary_id": "text", "concept_code": "text"},
        needed=("concept_id", "vocabulary_id", "concept_code"),
    ),
    "concept_ancestor": CdmTable(
        columns={
            "ancestor_concept_id": "whole", "descendant_concept_id": "whole", "min_levels_of_separation": "whole",
        },
        needed=("ancestor_concept_id", "descendant_concept_id"),
    ),
    "concept_relationship": CdmTable(
        columns={"concept_id_1": "whole", "concept_id_2": "whole", "relationship_id": "text"},
        needed=("concept_id_1", "concept_id_2", "relationship_id"),
    ),
    "drug_strength": CdmTable(
        columns={
            "drug_concept_id": "whole", "ingredient_concept_id": "whole", "amount_value": "number",
            "amount_unit_concept_id": "whole",
        },
        needed=("drug_concept_id", "ingredient_concept_id"),
    ),
}  # fmt: skip

# The table of a cohort that the lines of a file become.
BECOMES = {
    "person": "patients", "observation_period": "follow_up", "condition_occurrence": "events",
    "procedure_occurrence": "events", "death": "events", "drug_exposure": "treatments", "measurement": "labs",
}  # fmt: skip

MAPS_TO = "Maps to"
# Vocabulary of the model → its name in the catalogue.
SYSTEMS = {
    "LOINC": "loinc", "SNOMED": "snomed", "RxNorm": "rxnorm", "ATC": "atc", "ICD10": "icd10", "ICD10CM": "icd10cm",
    "ICD10GM": "icd10", "ICD10PCS": "icd10pcs", "OPCS4": "opcs4", "CPT4": "cpt",
}  # fmt: skip
UCUM = "UCUM"

GENDERS = {8532: "female", 8507: "male"}
# Seen in OHDSI's sample tables; their meaning is from memory, and each is the sign that its name there says.
OPERATORS = {4172703: "=", 4172704: ">", 4171756: "<", 4171754: "<=", 4171755: ">="}
# Unit concept → UCUM: those of OHDSI's DataQualityDashboard 5.4 and sample tables.
UNITS = {
    8645: "U/L", 8923: "[IU]/L", 8636: "g/L", 8713: "g/dL", 8840: "mg/dL", 8749: "umol/L", 8842: "ng/mL", 8555: "s",
    8848: "10*3/uL", 8961: "10*3/uL", 9444: "10*9/L", 9529: "kg", 8582: "cm",
}  # fmt: skip
# The same from memory: used where the database has no CONCEPT to look them up in, and told.
UNITS_REMEMBERED = {8753: "mmol/L", 8748: "ug/L", 8554: "%", 8647: "/uL", 9557: "mEq/L", 8523: "{ratio}"}
MILLIGRAM = 8576
# From memory; a route said in the schema's own word needs no number.
ROUTES = {
    4132161: "oral", 4171047: "intravenous", 4112421: "intravenous", 4142048: "subcutaneous", 4290759: "rectal",
    45956874: "inhaled",
}  # fmt: skip
EMERGENCY_VISITS = (9203, 262)  # emergency room; emergency room and inpatient
OUTPATIENT_VISIT = 9202

OWN_FACTS = tuple(
    f"{name}.{column.name}"
    for name, table in TABLES.items()
    for column in table.columns
    if column.name not in ("patient_id", "source_file", "source_row")
)


def own_word(table: str, column: str, word: str) -> str:
    """Return a word of the schema as a source value, for a row that has no concept.

    Examples
    --------
    >>> own_word("labs", "analyte", "sla")
    'labs.analyte=sla'
    """
    return f"{table}.{column}={word}"
