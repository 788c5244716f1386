"""The tables of a cohort: columns, types, units and rules, declared once.

The same declarations check a table, convert its types, and print the data dictionary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from aih_outcomes.catalogue import read_analytes, read_drugs
from aih_outcomes.units import COMPARATORS

Kind = Literal["identifier", "text", "category", "date", "number", "integer", "yes_no"]

DTYPES: dict[str, str] = {
    "identifier": "string",
    "text": "string",
    "category": "string",
    "date": "datetime64[s]",
    "number": "float64",
    "integer": "Int64",
    "yes_no": "boolean",
}
VIOLATION_COLUMNS = ("row", "column", "rule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: what it holds, in which unit, and what is accepted."""

    name: str
    kind: Kind
    describes: str
    required: bool = False
    unit: str = ""
    levels: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None

    @property
    def rule(self) -> str:
        """The rule in words, as printed in the dictionary and in errors."""
        parts = ["required" if self.required else "may be empty"]
        if self.levels:
            parts.append(f"one of {', '.join(self.levels)}")
        if self.at_least is not None or self.at_most is not None:
            parts.append(f"between {self.at_least} and {self.at_most}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: one row per fact."""

    name: str
    one_row_per: str
    columns: tuple[Column, ...]

    def column_names(self) -> list[str]:
        """Names in the declared order."""
        return [column.name for column in self.columns]


def _id() -> Column:
    return Column(name="patient_id", kind="identifier", required=True, describes="Pseudonym; the same in every table")


def _date(describes: str, name: str = "date", *, required: bool = True) -> Column:
    return Column(name=name, kind="date", required=required, describes=describes)


def _category(name: str, describes: str, levels: tuple[str, ...], *, required: bool = False) -> Column:
    return Column(name=name, kind="category", describes=describes, levels=levels, required=required)


def _flag(name: str, describes: str) -> Column:
    return Column(name=name, kind="yes_no", describes=describes)


def _text(name: str, describes: str) -> Column:
    return Column(name=name, kind="text", describes=describes)


def _number(name: str, describes: str, low: float, high: float, unit: str = "", *, required: bool = False) -> Column:
    return Column(
        name=name, kind="number", describes=describes, at_least=low, at_most=high, unit=unit, required=required
    )


def _table(name: str, one_row_per: str, *columns: Column) -> Table:
    source = (
        _text("source_file", "File that the row was read from"),
        Column(name="source_row", kind="integer", describes="Line of that file, the header being line 1"),
    )
    return Table(name=name, one_row_per=one_row_per, columns=(*columns, *source))


_ANALYTES = tuple(read_analytes()["analyte"])
_DRUGS = tuple(read_drugs()["drug"])
INDICATIONS = ("aih", "ibd", "jia", "cytopenia", "rejection", "replacement", "other")
STOP_REASONS = ("remission", "inefficacy", "intolerance", "planned", "non_adherence", "other")
EVENT_KINDS = (
    "transplant",
    "death",
    "listing",
    "ascites",
    "variceal_bleed",
    "encephalopathy",
    "hepatocellular_carcinoma",
    "non_adherence",
    "relapse_diagnosed",
    "transfer",
)
DIAGNOSES = ("aih", "giant_cell_hepatitis_aiha", "de_novo_aih", "drug_induced_aih_like", "other_liver_disease")

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _table(
            "patients",
            "patient",
            _id(),
            _category("sex", "Sex at birth", ("female", "male", "unknown")),
            _date("Date of birth; or give age_at_diagnosis", "birth_date", required=False),
            _number("age_at_diagnosis", "Age at diagnosis, where the date of birth is not shared", 0, 110, "years"),
            _date("Diagnosis (usually the biopsy)", "diagnosis_date"),
            _date(
                "First seen at the reporting centre; later than diagnosis in referred patients",
                "first_seen_date",
                required=False,
            ),
            _text("centre", "Reporting centre"),
            _category("diagnosis", "What the clinicians call the disease", DIAGNOSES),
            _category(
                "aih_type",
                "Type by autoantibodies; ASC is an axis of its own",
                ("type_1", "type_2", "seronegative", "unclassified"),
            ),
            _category("asc_at_baseline", "Bile ducts at diagnosis", ("asc", "normal", "not_imaged")),
            _category(
                "presentation",
                "How the disease presented",
                ("acute", "insidious", "acute_liver_failure", "complication", "incidental"),
            ),
            _flag("cirrhosis_at_diagnosis", "Ishak 5 or more, METAVIR F4, or unequivocal imaging"),
            _flag("ibd", "Inflammatory bowel disease at diagnosis"),
            _flag("documented_non_adherence", "Non-adherence documented, or metabolites undetectable"),
            _category("treatment_arm", "Arm of a trial, where the data come from one", ("treatment", "control")),
        ),
        _table(
            "labs",
            "result",
            _id(),
            _date("Sample taken"),
            _category("analyte", "What was measured", _ANALYTES, required=True),
            _number("value", "Result in the canonical unit of the analyte", 0, 1e6, "canonical", required=True),
            _text("unit", "Canonical unit of the analyte (UCUM)"),
            _category("comparator", "Sign printed with the result", COMPARATORS, required=True),
            _text("raw_value", "Result as printed by the laboratory"),
            _text("raw_unit", "Unit as printed by the laboratory"),
            _number("uln", "Upper limit of normal in the canonical unit", 0.001, 1e6, "canonical"),
            _category(
                "uln_source",
                "Where the upper limit comes from",
                ("reported", "laboratory", "age_sex_table", "fixed", "none"),
                required=True,
            ),
            _category("visit", "Whether the sample belongs to a planned visit", ("scheduled", "unscheduled")),
        ),
        _table(
            "treatments",
            "period of one drug at one dose",
            _id(),
            _category("drug", "Ingredient", _DRUGS, required=True),
            _category(
                "route", "Route", ("oral", "intravenous", "subcutaneous", "rectal", "inhaled", "swallowed_topical")
            ),
            _number("dose", "Daily dose", 0, 20000, "mg/day"),
            _text("raw_dose", "Dose as recorded"),
            _text("raw_dose_unit", "Unit of the dose as recorded"),
            _date("First day", "start"),
            _date("Last day; empty while it goes on", "stop", required=False),
            _category("indication", "What it was given for", INDICATIONS, required=True),
            _category("reason_stopped", "Why it stopped", STOP_REASONS),
        ),
        _table(
            "events",
            "event",
            _id(),
            _date("Day of the event"),
            _category("kind", "What happened", EVENT_KINDS, required=True),
            _category("cause", "Cause of death", ("liver", "non_liver", "unknown")),
        ),
        _table(
            "biopsies",
            "liver biopsy",
            _id(),
            _date("Day of the biopsy"),
            _number("hai", "Hepatitis activity index (Ishak), 0 to 18", 0, 18),
            _number("ishak_fibrosis", "Ishak fibrosis stage, 0 to 6", 0, 6),
            _flag("adequate", "Long enough and with enough portal tracts to be read"),
        ),
        _table(
            "imaging",
            "examination",
            _id(),
            _date("Day of the examination"),
            _category(
                "modality",
                "Kind of examination",
                ("mrcp", "ercp", "ultrasound", "endoscopy", "elastography"),
                required=True,
            ),
            _category(
                "finding", "Finding; a normal result is data", ("normal", "abnormal", "indeterminate"), required=True
            ),
            _number("stiffness", "Liver stiffness (elastography)", 1, 75, "kPa"),
        ),
        _table(
            "measurements",
            "measurement",
            _id(),
            _date("Day measured"),
            _category(
                "measure",
                "What was measured; weight is dry weight",
                ("weight", "height", "spleen_below_costal_margin"),
                required=True,
            ),
            _number("value", "weight in kg, height in cm, spleen in cm", 0, 260, "kg or cm", required=True),
        ),
        _table(
            "variants",
            "gene result",
            _id(),
            _date("Day the result was reported"),
            _category(
                "result", "A negative panel is data; untested is not negative", ("variant", "no_variant"), required=True
            ),
            _text("gene", "HGNC symbol"),
            _category(
                "mechanism",
                "How the variant acts",
                ("gain_of_function", "loss_of_function", "dominant_negative", "unknown"),
            ),
            _category("zygosity", "Zygosity", ("heterozygous", "homozygous", "compound_heterozygous", "hemizygous")),
            Column(
                name="acmg_class",
                kind="integer",
                describes="ACMG/AMP class, 1 benign to 5 pathogenic",
                at_least=1,
                at_most=5,
            ),
            _flag("mechanism_confirmed", "Functional assay supports the mechanism"),
            _text("hgvs", "HGVS name; shown only with consent to genetic data"),
        ),
        _table(
            "adverse_events",
            "adverse event",
            _id(),
            _date("Day it began"),
            _category(
                "kind",
                "What it was",
                ("infection", "zoster", "cytopenia", "lipids", "cushingoid", "fracture", "growth", "diabetes", "other"),
                required=True,
            ),
            Column(name="grade", kind="integer", describes="CTCAE v5 grade", at_least=1, at_most=5),
            _flag("serious", "Serious"),
            _category("related_drug", "Drug it was attributed to", _DRUGS),
        ),
        _table(
            "follow_up",
            "period under observation",
            _id(),
            _date("Followed from", "start"),
            _date("Followed until: last known alive", "end"),
            _category(
                "end_reason",
                "Why observation ended",
                ("ongoing", "transfer", "withdrawn", "lost", "death", "transplant"),
                required=True,
            ),
            _category(
                "end_source",
                "How it is known that the patient was alive then",
                ("visit", "linkage", "registry", "letter"),
                required=True,
            ),
        ),
    )
}


def empty_table(name: str) -> pd.DataFrame:
    """Return the table ``name`` with its columns and types and no rows."""
    return conform(pd.DataFrame(), name)


def conform(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return ``frame`` with the declared columns, order and types; optional columns that are missing are empty.

    Values are expected to fit their types already (the loaders see to that). Extra columns are left out.
    """
    return pd.DataFrame({column.name: _conform_column(frame, column) for column in TABLES[name].columns})


def _conform_column(frame: pd.DataFrame, column: Column) -> pd.Series:
    empty = pd.Series([pd.NA] * len(frame), dtype="object")
    values = frame[column.name].reset_index(drop=True) if column.name in frame else empty
    if column.kind == "date":
        return pd.to_datetime(values).astype("datetime64[s]")
    if column.kind == "number":
        return pd.to_numeric(values).astype("Float64").astype("float64")
    if column.kind == "integer":
        return pd.to_numeric(values).astype("Int64")
    return values.astype("boolean") if column.kind == "yes_no" else values.astype("string")


def find_violations(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Check each row against the rules of its own table.

    Returns
    -------
    frame ``row, column, rule``: one line per broken rule; ``row`` is the position in ``frame``
    """
    checks: list[tuple[pd.Series, str, str]] = []
    for column in TABLES[name].columns:
        values = frame[column.name]
        if column.required:
            checks.append((values.isna(), column.name, "required value is missing"))
        if column.levels:
            wrong = values.notna() & ~values.isin(column.levels)
            checks.append((wrong, column.name, f"must be one of {', '.join(column.levels)}"))
        if column.at_least is not None and column.at_most is not None:
            outside = (values < column.at_least) | (values > column.at_most)
            checks.append((outside, column.name, f"must lie between {column.at_least:g} and {column.at_most:g}"))
    if name == "patients":
        neither = frame["birth_date"].isna() & frame["age_at_diagnosis"].isna()
        checks.append((neither, "birth_date", "birth_date or age_at_diagnosis is required"))
    found = list_broken(checks)
    return pd.concat([found, _find_implausible(frame)], ignore_index=True) if name == "labs" else found


def list_broken(checks: Sequence[tuple[pd.Series, str, str]]) -> pd.DataFrame:
    """Return ``row, column, rule`` for each row at which a check ``(mask of bad rows, column, rule)`` is true."""
    parts = [(positions(bad), column, rule) for bad, column, rule in checks]
    columns = {"row": np.concatenate([rows for rows, _, _ in parts] or [np.empty(0, dtype=np.int64)])}
    for place, name in ((1, "column"), (2, "rule")):
        columns[name] = np.repeat(np.array([part[place] for part in parts], object), [len(part[0]) for part in parts])
    return pd.DataFrame(columns, columns=list(VIOLATION_COLUMNS))


def positions(bad: pd.Series) -> np.ndarray:
    """Return the positions, from 0, at which a mask is true; missing counts as not true."""
    return np.flatnonzero(bad.to_numpy(dtype=bool, na_value=False))


def _find_implausible(labs: pd.DataFrame) -> pd.DataFrame:
    limits = read_analytes().set_index("analyte")
    low = labs["analyte"].map(limits["plausible_low"]).astype(float)
    high = labs["analyte"].map(limits["plausible_high"]).astype(float)
    outside = list_broken([((labs["value"] < low) | (labs["value"] > high), "value", "")])
    analytes = labs["analyte"].iloc[outside["row"]].astype(object)
    return outside.assign(rule=[_plausible_rule(limits, analyte) for analyte in analytes])


def _plausible_rule(limits: pd.DataFrame, analyte: str) -> str:
    row = limits.loc[analyte]
    between = f"between {row['plausible_low']:g} and {row['plausible_high']:g} {row['unit']}"
    return f"{analyte} must lie {between} to be plausible"


def data_dictionary() -> pd.DataFrame:
    """Return the schema as a frame: ``table, one_row_per, column, type, unit, rule, describes``."""
    return pd.DataFrame(
        [
            {
                "table": table.name,
                "one_row_per": table.one_row_per,
                "column": column.name,
                "type": column.kind,
                "unit": column.unit,
                "rule": column.rule,
                "describes": column.describes,
            }
            for table in TABLES.values()
            for column in table.columns
        ]
    )
