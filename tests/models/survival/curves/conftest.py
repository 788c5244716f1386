"""The invented data behind tests/reference/curves.json."""

from pathlib import Path

import pandas as pd
import pytest

from aih_outcomes.outcomes import TimeToEvent

REFERENCE = Path(__file__).parents[3] / "reference"


@pytest.fixture(scope="session")
def curve_rows():
    """90 invented rows with ties; ``late`` for the late entries, ``weight`` for a column of weights."""

    def read(late=False, weight=None, event="dead", **how):
        return TimeToEvent.from_frame(
            pd.read_csv(REFERENCE / "curves.csv"), exit="stop", event=event, entry="start" if late else None,
            weight=weight, covariates=["arm", "x", "sex", "cluster"], **how,
        )  # fmt: skip

    return read
