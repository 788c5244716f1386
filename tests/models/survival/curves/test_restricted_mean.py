"""Absolute differences at a horizon: against survRM2, by hand, and the rule for the horizon."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.curves.restricted_mean import (
    compare_restricted_means,
    compare_survival_at,
    restricted_mean,
)
from aih_outcomes.models.survival.designs.comparison import compare_groups
from aih_outcomes.outcomes import TimeToEvent


def two_groups(n_first=6, n_second=6, **more):
    exit = [*range(1, n_first + 1), *range(4, 4 + 2 * n_second, 2)]
    frame = pd.DataFrame({"exit": exit, "event": 1, "arm": ["a"] * n_first + ["b"] * n_second, **more})
    return TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["arm"])


@pytest.mark.parametrize(("name", "least"), [("rmst_diff_death_trt", 2), ("rmst_diff_nls_trt", 1)])
def test_matches_survrm2_on_pbc(name, least, reference, data_set, assert_close):
    result = reference("pbc_km_logrank_rmst")[name]
    pbc = data_set("pbc").dropna(subset=["trt"])
    arm = pd.Categorical(np.where(pbc["trt"] == 1, "D-penicillamine", "placebo"), ["placebo", "D-penicillamine"])
    rows = TimeToEvent.from_frame(
        pbc.assign(arm=arm, dead=(pbc["status"] >= least).astype(int)), exit="time", event="dead", covariates=["arm"]
    )
    for expected in result["values"].values():
        found = compare_restricted_means(rows, by="arm", horizon=expected["tau"])
        for place, arm_name in enumerate(("arm0", "arm1")):
            own = found.groups.loc[place, ["estimate", "std_error", "conf_low", "conf_high"]].to_numpy(float)
            assert_close(
                own,
                [expected[arm_name][key] for key in ("rmst", "se", "lower", "upper")],
                result["rtol"],
                what=arm_name,
            )
        named = ("difference_1_minus_0", "ratio", "rmtl_ratio")
        for (_, row), key in zip(found.contrasts.iterrows(), named, strict=True):
            own = row[["estimate", "conf_low", "conf_high", "p_value"]].to_numpy(float)
            assert_close(
                own, [expected[key][part] for part in ("est", "lower", "upper", "p")], result["rtol"], what=key
            )


@pytest.mark.parametrize(("file", "name", "by"), [
    ("pbc_km_logrank_rmst", "km_death_by_edema", "edema"), ("pbc_km_logrank_rmst", "km_nls_by_trt", "trt"),
    ("pbc_km_logrank_rmst", "km_death_by_trt", "trt"), ("pbc_km_logrank_rmst", "km_death_all418", None),
])  # fmt: skip
def test_restricted_mean_and_its_greenwood_error_match_r(file, name, by, reference, data_set, assert_close):
    result = reference(file)[name]
    groups = [by] if by else []
    pbc = data_set("pbc").dropna(subset=groups)
    least = 1 if "nls" in name else 2
    rows = TimeToEvent.from_frame(
        pbc.assign(dead=(pbc["status"] >= least).astype(int)), exit="time", event="dead", covariates=groups
    )
    for curve in estimate_survival(rows, by=by).curves:
        expected = result["values"][curve.strata]["rmst"]
        assert_close(
            restricted_mean(curve, expected["tau"]),
            [expected["rmst"], expected["se"]],
            result["rtol"],
            what=curve.strata,
        )


def test_by_hand():
    curve = estimate_survival(two_groups(4, 4), by="arm").curves[0]  # deaths on days 1, 2, 3, 4
    mean, error = restricted_mean(curve, 3.0)
    assert mean == pytest.approx(1 + 3 / 4 + 2 / 4)
    # areas still to come: after day 1: 5/4, after day 2: 1/2; jumps 1/(4·3), 1/(3·2)
    assert error == pytest.approx(((5 / 4) ** 2 / 12 + (1 / 2) ** 2 / 6) ** 0.5)


def test_risk_difference_is_that_of_the_curves():
    found = compare_survival_at(two_groups(8, 8), by="arm", horizon=4)
    assert found.groups["estimate"].tolist() == pytest.approx([4 / 8, 1 / 8])
    row = found.contrasts.iloc[0]
    assert row["estimate"] == pytest.approx(-3 / 8)
    assert row["std_error"] == pytest.approx((1 / 4 / 8 + 7 / 64 / 8) ** 0.5)
    assert row["term"] == "b − a"


def test_the_horizon_is_the_last_time_with_five_at_risk_in_every_group():
    assert compare_restricted_means(two_groups(6, 9), by="arm").horizon == 2
    too_late = compare_survival_at(two_groups(6, 9), by="arm", horizon=2.5)
    assert "beyond the last time with 5 at risk" in too_late.glance()["not_estimable"]
    assert too_late.tidy()["estimate"].isna().all()


def test_a_group_that_never_has_five_at_risk_has_no_horizon():
    found = compare_restricted_means(two_groups(4, 9), by="arm")
    assert found.glance()["not_estimable"] == "a group never has 5 at risk"
    assert found.tidy()["estimate"].isna().all()
    comparison = compare_groups(two_groups(4, 9), by="arm")
    assert comparison.tidy()["estimate"].notna().tolist() == [True, False, False]
    assert "never has 5 at risk" in comparison.describe()


def test_a_group_without_events_has_absolute_differences_though_no_ratio():
    exit = [*range(1, 9), *range(1, 9)]
    frame = pd.DataFrame({"exit": exit, "event": [1] * 8 + [0] * 8, "arm": ["a"] * 8 + ["b"] * 8})
    comparison = compare_groups(TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["arm"]), by="arm")
    assert comparison.tidy()["estimate"].notna().tolist() == [False, True, True]
    assert "no events in group: b" in comparison.glance()["not_estimable"]


def test_one_row_per_contrast_and_measure_for_the_forest():
    frame = pd.DataFrame({"exit": range(1, 31), "event": [1, 1, 0] * 10, "arm": list("abc") * 10})
    tidy = compare_groups(
        TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["arm"]), by="arm"
    ).tidy()
    assert tidy[["term", "measure"]].drop_duplicates().shape[0] == len(tidy) == 6
    assert {"design", "biased", "n", "n_event", "n_reference", "n_event_reference"} <= set(tidy)
