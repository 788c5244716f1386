"""Read an OMOP database into a cohort; needs the extra ``omop``."""

from importlib.util import find_spec

from aih_outcomes.errors import DataError

if find_spec("ibis") is None or find_spec("duckdb") is None or find_spec("pyarrow") is None:
    raise DataError(
        "OMOP cannot be read: a package of ibis, duckdb and pyarrow is not installed",
        "OMOP databases are read with Ibis on DuckDB, which come with the extra 'omop'",
        "Install it: pip install 'aih-outcomes[omop]'",
    )

from aih_outcomes.load.omop.read import read_omop

__all__ = ["read_omop"]
