"""The tables of a cohort: columns, types, units and rules, declared once.

The same declarations check a table, convert its types, and print the data dictionary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray

from aih_outcomes.catalogue import read_analytes, read_drugs
from aih_outcomes.errors import DataError
from aih_outcomes.units import COMPARATORS

Mask = pd.Series | NDArray[np.bool_]
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
_TOO_LARGE = 2**53  # a float holds every whole number below it
_UNREAD: dict[Kind, tuple[str, str, str]] = {
    "date": (
        "no date",
        "A date is a datetime without a time zone, or text written YYYY-MM-DD",
        "Read the files with read_tables(folder, mapping), whose date_format says how dates are written; "
        "or turn them into datetimes, with dt.tz_localize(None) where they carry a time zone",
    ),
    "number": (
        "no number",
        "A number is written with digits and a decimal point; a sign such as < stands in a column of its own",
        "Correct these cells, or read the files with read_tables(folder, mapping), which reads signs and commas",
    ),
    "integer": ("no whole number", "A count, grade or class is a whole number", "Correct these cells"),
    "yes_no": ("neither True nor False", "A flag is True, False or empty", "Turn these cells into True and False"),
}
DATE_PRECISIONS = ("day", "month", "year")
MISSING = "required value is missing"
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
        _category(
            "date_precision",
            "How exactly the least certain date of the row is known; empty means to the day. A date known to the month "
            "stands on its 15th, to the year on 1 July",
            DATE_PRECISIONS,
        ),
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
    "spontaneous_bacterial_peritonitis",
    "hepatorenal_syndrome",
    "dialysis",
    "non_adherence",
    "relapse_diagnosed",
    "transfer",
)
STATUSES = ("met", "not met", "not evaluable")
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
            _text("diagnosis_era", "Five years in which the diagnosis fell, e.g. 2015-2019, where dates were shifted"),
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
            _category("viral_hepatitis", "Viral markers at diagnosis", ("negative", "positive")),
            _flag("hepatotoxic_drugs", "History of hepatotoxic drugs at diagnosis"),
            _category(
                "alcohol",
                "Average alcohol at diagnosis, g/day",
                ("under_25", "25_to_60", "over_60"),
            ),
            _flag(
                "other_causes_excluded", "Viral hepatitis (A, B, E, EBV), fatty liver, Wilson disease, drugs excluded"
            ),
            _flag("autoimmune_disease", "Another autoimmune disease of the patient, outside the liver"),
            _flag("family_autoimmunity", "Autoimmune disease in a first-degree relative; shown only with consent"),
            _flag("hla_dr3_or_dr4", "HLA DR3 or DR4"),
            _flag("ama_positive", "Antimitochondrial antibody positive at diagnosis"),
            _flag("sla_positive", "Antibody to soluble liver antigen positive at diagnosis"),
            _flag("lc1_positive", "Liver-cytosol antibody type 1 positive at diagnosis"),
            _flag(
                "panna_positive", "Peripheral antinuclear neutrophil antibody (atypical pANCA) positive at diagnosis"
            ),
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
            _category(
                "method",
                "How an antibody was measured; titres of different methods are never mixed",
                ("iif_rodent", "iif_hep2", "elisa", "blot"),
            ),
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
            Column(
                name="grade",
                kind="integer",
                describes="Grade of encephalopathy (West Haven, 1 to 4) or ascites (1 to 3)",
                at_least=1,
                at_most=4,
            ),
        ),
        _table(
            "biopsies",
            "liver biopsy",
            _id(),
            _date("Day of the biopsy"),
            _number("hai", "Hepatitis activity index (Ishak), 0 to 18", 0, 18),
            _number("ishak_fibrosis", "Ishak fibrosis stage, 0 to 6", 0, 6),
            _flag("adequate", "Long enough and with enough portal tracts to be read"),
            _category("aih_likelihood", "How well it fits autoimmune hepatitis", ("typical", "compatible", "unlikely")),
            _flag("interface_hepatitis", "Interface hepatitis"),
            _flag("lymphoplasmacytic", "Predominantly lymphoplasmacytic infiltrate"),
            _flag("rosettes", "Rosetting of hepatocytes"),
            _flag("biliary_changes", "Biliary changes"),
            _flag("other_changes", "Changes that suggest another cause"),
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
            _category(
                "shows",
                "What an abnormal examination shows",
                ("varices", "cirrhosis", "splenomegaly", "ascites", "cholangiopathy", "focal_lesion"),
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
            "clinician_responses",
            "judgement of response by a clinician",
            _id(),
            _date("Day it was written down"),
            _category("endpoint", "What was judged", ("response_by_6_months", "non_response_4_weeks"), required=True),
            _category("clinician_response", "The clinician's judgement", STATUSES, required=True),
            Column(name="reason", kind="text", describes="Why; never left empty", required=True),
            Column(name="initials", kind="text", describes="Who judged", required=True),
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
            _flag(
                "laboratory_outage",
                "Results of this period are missing in part, as a laboratory was out of order",
            ),
        ),
    )
}


def empty_table(name: str) -> pd.DataFrame:
    """Return the table ``name`` with its columns and types and no rows."""
    return conform(pd.DataFrame(), name)


def conform(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return ``frame`` with the declared columns, order and types; optional columns that are missing are empty.

    Nothing is guessed: dates are datetimes or ISO text, flags are True and False (or 1 and 0). Columns that are not
    declared are left out, unless their name differs from a declared one by its spelling alone.

    Raises
    ------
    DataError : a cell is not of its column's kind, a column's name is nearly right or stands there twice, or ``frame``
        is no frame
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            f"'{name}' is no table but of type {type(frame).__name__}", "A table of a cohort is a pandas DataFrame",
            "Leave out a table that there is not; it is then empty",
        )  # fmt: skip
    _refuse_names(frame, name)
    columns = {column.name: _conform_column(frame, column, name) for column in TABLES[name].columns}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))


def _refuse_names(frame: pd.DataFrame, table: str) -> None:
    declared = TABLES[table].column_names()
    twice = sorted(set(declared) & set(frame.columns[frame.columns.duplicated()]))
    if twice:
        raise DataError(
            f"{len(twice)} column(s) of '{table}' stand there twice: {', '.join(twice)}",
            "Each column has a name of its own", "Rename one of the two, or drop it",
        )  # fmt: skip
    meant = {_letters(name): name for name in declared}
    near = {str(one): meant[_letters(one)] for one in frame if one not in declared and _letters(one) in meant}
    if near:
        raise DataError(
            f"{len(near)} column(s) of '{table}' differ from declared ones by their spelling alone: {', '.join(near)}",
            "Columns bear the names of the data dictionary, to the letter; others are not read",
            f"Name them {', '.join(near.values())}, or drop them",
        )


def _letters(name: object) -> str:
    return "".join(filter(str.isalnum, str(name).casefold()))


def _conform_column(frame: pd.DataFrame, column: Column, table: str) -> ExtensionArray:
    dtype: Any = DTYPES[column.kind]
    if column.name not in frame:
        empty: ExtensionArray = pd.Series(index=pd.RangeIndex(len(frame)), dtype=dtype).array
        return empty
    values = frame[column.name]
    if values.dtype != dtype and dtype != "string":
        values = _read_kind(values, column, table)
    cells: ExtensionArray = values.astype(dtype, copy=False).array
    return cells


def _read_kind(values: pd.Series, column: Column, table: str) -> pd.Series:
    read = _read_dates(values) if column.kind == "date" else _read_numbers(values, column.kind)
    bad = positions(values.notna() & values.ne("") & read.isna())
    if len(bad):
        noun, rule, way_out = _UNREAD[column.kind]
        raise DataError(
            f"{len(bad)} of {len(values)} rows of '{table}' hold {noun} in column '{column.name}'", rule, way_out
        )
    return read


def _read_dates(values: pd.Series) -> pd.Series:
    """Return dates; empty where a cell is none, or could be read in two ways."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "M":
        return values
    iso = values.astype("string").str.removesuffix(" 00:00:00")  # as a datetime among other objects prints itself
    return pd.to_datetime(iso.where(iso.str.len() == len("YYYY-MM-DD")), format="%Y-%m-%d", errors="coerce")


def _read_numbers(values: pd.Series, kind: Kind) -> pd.Series:
    """Return numbers; empty where a cell is none, or none of its kind."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return pd.Series(index=values.index, dtype="Float64")
    numbers = pd.to_numeric(values, errors="coerce").astype("Float64")
    if kind == "integer":
        return numbers.where((numbers % 1 == 0) & (numbers.abs() < _TOO_LARGE))
    return numbers.where(numbers.isin([0, 1])) if kind == "yes_no" else numbers


def find_violations(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Check each row against the rules of its own table.

    Returns
    -------
    frame ``row, column, rule``: one line per broken rule; ``row`` is the position in ``frame``
    """
    checks: list[tuple[Mask, str, str]] = []
    for column in TABLES[name].columns:
        values = frame[column.name]
        if column.levels:  # a look at the few distinct words is faster than one at each row
            words = {None if pd.isna(word) else word for word in values.unique()}
            if column.required and None in words:
                checks.append((values.isna(), column.name, MISSING))
            if words - {None, *column.levels}:
                wrong = values.notna() & ~values.isin(column.levels)
                checks.append((wrong, column.name, f"must be one of {', '.join(column.levels)}"))
        elif column.required:
            checks.append((values.isna(), column.name, MISSING))
        if column.at_least is not None and column.at_most is not None:
            outside = (values < column.at_least) | (values > column.at_most)
            checks.append((outside, column.name, f"must lie between {column.at_least:g} and {column.at_most:g}"))
    if name == "patients":
        neither = frame["birth_date"].isna() & frame["age_at_diagnosis"].isna()
        checks.append((neither, "birth_date", "birth_date or age_at_diagnosis is required"))
    found = list_broken(checks)
    return pd.concat([found, _find_implausible(frame)], ignore_index=True) if name == "labs" else found


def list_broken(checks: Sequence[tuple[Mask, str, str]]) -> pd.DataFrame:
    """Return ``row, column, rule`` for each row at which a check ``(mask of bad rows, column, rule)`` is true."""
    parts = [(positions(bad), column, rule) for bad, column, rule in checks]
    columns = {"row": np.concatenate([rows for rows, _, _ in parts] or [np.empty(0, dtype=np.int64)])}
    for place, name in ((1, "column"), (2, "rule")):
        columns[name] = np.repeat(np.array([part[place] for part in parts], object), [len(part[0]) for part in parts])
    return pd.DataFrame(columns, columns=list(VIOLATION_COLUMNS))


def positions(bad: Mask) -> NDArray[np.intp]:
    """Return the positions, from 0, at which a mask is true; missing counts as not true."""
    if isinstance(bad, np.ndarray):
        return np.flatnonzero(bad)
    return np.flatnonzero(bad.to_numpy(dtype=bool, na_value=False))


def _find_implausible(labs: pd.DataFrame) -> pd.DataFrame:
    limits = read_analytes().set_index("analyte")
    low = labs["analyte"].map(limits["plausible_low"]).astype(float)
    high = labs["analyte"].map(limits["plausible_high"]).astype(float)
    outside = list_broken([((labs["value"] < low) | (labs["value"] > high), "value", "")])
    analytes = labs["analyte"].iloc[outside["row"]].astype(object)
    rules = {analyte: _plausible_rule(limits, analyte) for analyte in analytes.unique()}
    return outside.assign(rule=[rules[analyte] for analyte in analytes])


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
