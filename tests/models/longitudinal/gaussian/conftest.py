"""Arrays for the engine of the mixed models."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.longitudinal.gaussian.likelihood import Rows


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., Rows]:
    """Rows of sorted patients: ``Z`` (n, q), or the number of columns of X that are random too."""

    def codes(labels, *, sort):
        return pd.factorize(np.asarray(labels), sort=sort)[0].astype(np.intp)

    def make(response, X, patient, time=None, Z=1, *, stratum=None, weight=None, cluster=None):
        n = len(response)
        Z = np.asarray(X, float)[:, :Z] if np.isscalar(Z) else np.asarray(Z, float)
        none = np.zeros(0, np.intp)
        return Rows(
            np.asarray(response, float), np.asarray(X, float), codes(patient, sort=False),
            np.zeros(n) if time is None else np.asarray(time, float), none, Z,
            np.zeros(n, np.intp) if stratum is None else codes(stratum, sort=True),
            np.ones(n) if weight is None else np.asarray(weight, float),
            none if cluster is None else codes(cluster, sort=False),
        )  # fmt: skip

    return make
