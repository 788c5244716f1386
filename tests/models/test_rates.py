"""Response rates: denominators, bounds, and the pooling of imputed statuses (statistics, rule 8)."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.rates import estimate_rates


def statuses(met: int, not_met: int, not_evaluable: int = 0, endpoint: str = "CBR") -> pd.DataFrame:
    """Return the statuses of as many patients; those not evaluable have normal transaminases."""
    status = ["met"] * met + ["not met"] * not_met + ["not evaluable"] * not_evaluable
    without = ["met" if each == "not evaluable" else each for each in status]
    ids = [f"P{i}" for i in range(len(status))]
    return pd.DataFrame({"endpoint": endpoint, "patient_id": ids, "status": status, "status_transaminases": without})


def test_statistics_rule_8_a_rate_stands_with_its_bounds_and_the_rate_without_igg() -> None:
    row = estimate_rates(statuses(4, 6, 10)).tidy().iloc[0]
    assert row[["n", "n_met", "n_not_met", "n_not_evaluable"]].tolist() == [20, 4, 6, 10]
    assert row[["estimate", "bound_low", "bound_high", "transaminase_only"]].tolist() == [0.4, 0.2, 0.7, 0.7]


# Newcombe, Stat Med 1998;17:857, table I, method 3 (Wilson's score without continuity correction)
@pytest.mark.parametrize(
    ("met", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_limits_are_wilsons(met: int, n: int, low: float, high: float) -> None:
    row = estimate_rates(statuses(met, n - met)).tidy().iloc[0]
    assert row[["conf_low", "conf_high"]].tolist() == pytest.approx([low, high], abs=5e-5)


def test_nothing_is_corrected_without_imputations() -> None:
    rates = estimate_rates(statuses(4, 6, 10))
    assert rates.tidy()[["corrected", "corrected_low", "corrected_high"]].isna().all(axis=None)
    assert "imputation" not in rates.describe()
    assert rates.glance() == {"n": 20, "n_endpoints": 1, "n_imputations": 0}


def test_where_nothing_was_missing_corrected_is_the_rate_with_wilsons_limits() -> None:
    table = statuses(4, 6)
    row = estimate_rates(table, completed=np.tile([1.0] * 4 + [0.0] * 6, (3, 1))).tidy().iloc[0]
    assert row["corrected"] == pytest.approx(row["estimate"], rel=1e-12)
    assert row["corrected_low"] == pytest.approx(row["conf_low"], rel=1e-12)
    assert row["corrected_high"] == pytest.approx(row["conf_high"], rel=1e-12)


def test_limits_solve_lott_and_reiters_equation() -> None:
    """Two imputations of ten patients, five and seven met: W = 0.023, B = 0.02, r = 1.5 · 0.02 / 0.023 = 30/23."""
    completed = np.array([[1.0] * 5 + [0.0] * 5, [1.0] * 7 + [0.0] * 3])
    row = estimate_rates(statuses(4, 3, 3), completed=completed).tidy().iloc[0]
    assert row["corrected"] == pytest.approx(0.6)
    quantile = t.ppf(0.975, (1 + 23 / 30) ** 2)
    for p in row[["corrected_low", "corrected_high"]]:
        assert abs(0.6 - p) == pytest.approx(quantile * np.sqrt((1 + 30 / 23) * p * (1 - p) / 10))


def test_rows_left_out_of_the_correction_count_everywhere_else() -> None:
    completed = np.array([[1.0, 0.0, np.nan, np.nan]] * 2)
    row = estimate_rates(statuses(1, 3), completed=completed).tidy().iloc[0]
    assert (row["n"], row["estimate"], row["corrected"]) == (4, 0.25, 0.5)


def test_each_endpoint_has_its_own_imputations() -> None:
    both = pd.concat([statuses(1, 1, endpoint="one"), statuses(2, 0, endpoint="other")])
    rates = estimate_rates(both, completed=np.array([[1.0, 1.0, np.nan, np.nan]]))
    corrected = rates.tidy().set_index("label")["corrected"]
    assert corrected["one"] == 1
    assert np.isnan(corrected["other"])
    assert "missing at random given" in rates.describe()


def test_statuses_of_nobody_have_no_rates() -> None:
    nobody = estimate_rates(statuses(0, 0), completed=np.empty((3, 0)))
    assert nobody.tidy().empty
    assert nobody.glance()["n"] == 0


def test_imputations_of_other_patients_are_refused() -> None:
    with pytest.raises(OutcomeError, match="one imputed status"):
        estimate_rates(statuses(1, 1), completed=np.ones((2, 3)))
