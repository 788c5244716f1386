"""The catalogue's files, read once."""

from functools import cache
from importlib.resources import files

import pandas as pd

FOLDER = files(__package__)


@cache
def read_cached(name: str) -> pd.DataFrame:
    """Return a file of the catalogue; shared, so not to be written to. Its words are read as they stand: ``NA`` too."""
    with (FOLDER / f"{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(
            file, dtype={"code": str, "omim": str, "default_line": str}, keep_default_na=False, na_values=[""]
        )


def read_table(name: str) -> pd.DataFrame:
    """Return a copy of a file of the catalogue."""
    return read_cached(name).copy()
