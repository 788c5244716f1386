"""Knowledge as data: each row with its source and how sure it is.

``confidence`` is ``exact``, ``checked`` (against a published source), ``remembered`` or ``unsure``.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path

import pandas as pd

_HERE = files(__package__)


@cache
def _read(name: str) -> pd.DataFrame:
    with (_HERE / f"{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def read_analytes() -> pd.DataFrame:
    """Return analytes: ``analyte, name, unit`` (canonical, UCUM), plausible range, LOINC code."""
    return _read("analytes").copy()


def read_conversions() -> pd.DataFrame:
    """Return accepted units: canonical value = factor × value."""
    return _read("conversions").copy()


def read_drugs() -> pd.DataFrame:
    """Return drugs: class, mg prednisolone per mg (empty where there is no accepted equivalence), whether advanced."""
    drugs = _read("drugs").copy()
    drugs["advanced"] = drugs["advanced"].eq("yes")
    return drugs


def read_gene_matches() -> pd.DataFrame:
    """Return gene + mechanism + zygosity → drug class, as the literature describes it; never a recommendation."""
    return _read("gene_matches").copy()


def read_reference_limits() -> pd.DataFrame:
    """Return lower and upper reference limits by analyte, table, sex and age band ``[from, to)`` in years."""
    return _read("reference_limits").copy()


def read_growth_reference() -> pd.DataFrame:
    """Return the growth reference: ``reference, measure, sex, age_months, l, m, s, source, confidence`` (LMS method).

    Height in cm (length below 24 months, where its age stands twice), weight in kg, BMI in kg/m².
    """
    return _growth_reference().copy()


@cache
def _growth_reference() -> pd.DataFrame:
    rows, sources = _read("growth_reference"), _read("growth_sources").set_index("table")
    of = sources.reindex(rows["table"])
    told = {name: of[name].to_numpy(dtype=object) for name in ("reference", "source", "confidence")}
    return rows.drop(columns="table").assign(**told)


def definition_files() -> dict[str, Path]:
    """Return the shipped response criteria: name → TOML file."""
    folder = Path(str(_HERE / "definitions"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"), key=lambda path: path.stem)}
