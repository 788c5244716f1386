"""Aligned tables of single words: any run of blanks parts two cells."""

import pandas as pd

from tests.endpoints.tables import read


def cells(text: str) -> pd.DataFrame:
    """Read a table whose cells hold no blanks; ``-`` is an empty cell."""
    return read("\n".join(" ".join(line.split()) for line in text.strip().splitlines()))
