"""Knowledge as data: each row with its source and how sure it is.

``confidence`` is ``exact``, ``checked`` (against a published source), ``remembered`` or ``unsure``.
"""

from functools import cache
from pathlib import Path

import pandas as pd

from aih_outcomes.catalogue.codes import (
    USED,
    Match,
    analyte_by_code,
    drug_by_code,
    find_analyte,
    find_drug,
    matches,
)
from aih_outcomes.catalogue.tables import FOLDER, read_cached, read_table

__all__ = (
    "USED",
    "Match",
    "analyte_by_code",
    "definition_files",
    "drug_by_code",
    "find_analyte",
    "find_drug",
    "matches",
    "read_analytes",
    "read_conditions",
    "read_conversions",
    "read_drugs",
    "read_gene_matches",
    "read_genes",
    "read_growth_reference",
    "read_missing_words",
    "read_reference_limits",
    "read_titre_words",
    "read_unit_guesses",
    "read_unit_spellings",
)


def read_analytes() -> pd.DataFrame:
    """Return analytes: ``analyte, name, unit`` (canonical, UCUM), plausible range, range without a warning, LOINC.

    A value outside the plausible range is set aside; one outside the range without a warning is kept and counted.
    """
    return read_table("analytes")


def read_conversions() -> pd.DataFrame:
    """Return units: canonical value = factor × value + offset. Only ``exact`` and ``checked`` ones are accepted."""
    return read_table("conversions")


def read_drugs() -> pd.DataFrame:
    """Return drugs: class, usual line, mg prednisolone per mg (empty where none is accepted), whether advanced."""
    drugs = read_table("drugs")
    drugs["advanced"] = drugs["advanced"].eq("yes")
    return drugs


def read_gene_matches() -> pd.DataFrame:
    """Return gene + mechanism + zygosity → drug class, as the literature describes it; never a recommendation."""
    return read_table("gene_matches")


def read_genes() -> pd.DataFrame:
    """Return genes of immune dysregulation with or like autoimmune hepatitis: disease, OMIM, liver, group."""
    return read_table("genes")


def read_conditions() -> pd.DataFrame:
    """Return conditions and procedures, and the ``table, column, word`` of the schema that each becomes."""
    return read_table("conditions")


def read_missing_words() -> pd.DataFrame:
    """Return words that stand for no result in clinics' files; offered to the user, never assumed."""
    return read_table("missing_words")


def read_titre_words() -> pd.DataFrame:
    """Return words in place of a titre: ``negative`` or ``positive``, but at which dilution is not told."""
    return read_table("titre_words")


def read_unit_spellings() -> pd.DataFrame:
    """Return how clinics write units, and the UCUM unit meant."""
    return read_table("unit_spellings")


def read_unit_guesses() -> pd.DataFrame:
    """Return signs by which a missing unit may be guessed; the guess is offered, never used."""
    return read_table("unit_guesses")


def read_reference_limits() -> pd.DataFrame:
    """Return lower and upper reference limits by analyte, table, sex and age band ``[from, to)`` in years."""
    return read_table("reference_limits")


def read_growth_reference() -> pd.DataFrame:
    """Return the growth reference: ``reference, measure, sex, age_months, l, m, s, source, confidence`` (LMS method).

    Height in cm (length below 24 months, where its age stands twice), weight in kg, BMI in kg/m².
    """
    return _growth_reference().copy()


@cache
def _growth_reference() -> pd.DataFrame:
    rows, sources = read_cached("growth_reference"), read_cached("growth_sources").set_index("table")
    of = sources.reindex(rows["table"])
    told = {name: of[name].to_numpy(dtype=object) for name in ("reference", "source", "confidence")}
    return rows.drop(columns="table").assign(**told)


def definition_files() -> dict[str, Path]:
    """Return the shipped response criteria: name → TOML file."""
    folder = Path(str(FOLDER / "definitions"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"), key=lambda path: path.stem)}
