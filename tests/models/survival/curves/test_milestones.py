"""Survival at several days at once: by hand, against the one-day comparison, and the rule for the horizon."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.curves.milestones import compare_milestones
from aih_outcomes.models.survival.curves.restricted_mean import compare_survival_at
from aih_outcomes.outcomes import TimeToEvent


def two_groups():
    # of 10: 2, 4 dead by day 5; of 10: 1, 2 dead by day 5; nobody censored before day 20
    exit = [1, 4, *[20] * 8, 2, *[20] * 9, 3]
    event = [1, 1, *[0] * 8, 1, *[0] * 9, 1]
    arm = ["a"] * 10 + ["b"] * 11
    frame = pd.DataFrame({"exit": exit, "event": event, "arm": arm})
    return TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["arm"])


def pbc_by_trt(data_set):
    pbc = data_set("pbc").dropna(subset=["trt"])
    return TimeToEvent.from_frame(
        pbc.assign(dead=(pbc["status"] == 2).astype(int)), exit="time", event="dead", covariates=["trt"]
    )


def test_difference_and_ratio_by_hand():
    tidy = compare_milestones(two_groups(), by="arm", times=[5]).tidy()
    assert tidy["measure"].tolist() == ["survival", "survival", "survival_difference", "survival_ratio"]
    assert tidy["estimate"].tolist() == pytest.approx([8 / 10, 9 / 11, 9 / 11 - 8 / 10, 90 / 88])
    spread = (8 / 10 * 2 / 10 / 10 + 9 / 11 * 2 / 11 / 11) ** 0.5
    row = tidy.iloc[2]
    assert row["std_error"] == pytest.approx(spread)
    assert row["conf_high"] - row["estimate"] == pytest.approx(norm.ppf(0.975) * spread)
    assert row["p_value"] == pytest.approx(2 * norm.sf(row["estimate"] / spread))
    log_spread = (2 / 8 / 10 + 2 / 9 / 11) ** 0.5  # d / (n (n − d)), no censoring
    assert tidy["std_error"].iloc[3] == pytest.approx(log_spread)


def test_intervals_on_the_log_log_scale_are_made_from_the_groups():
    rows = two_groups()
    tidy = compare_milestones(rows, by="arm", times=[5], scale="log-log").tidy()
    limits = estimate_survival(rows, by="arm").at([5])
    assert tidy["conf_low"].tolist()[:2] == limits["conf_low"].tolist()
    (low0, low), (high0, high) = limits["conf_low"], limits["conf_high"]
    s0, s, row = 8 / 10, 9 / 11, tidy.iloc[2]
    assert row["conf_low"] == pytest.approx(s - s0 - ((s - low) ** 2 + (high0 - s0) ** 2) ** 0.5)
    assert row["conf_high"] == pytest.approx(s - s0 + ((high - s) ** 2 + (s0 - low0) ** 2) ** 0.5)
    ratio = tidy.iloc[3]
    assert np.log(ratio["conf_low"]) == pytest.approx(
        np.log(s / s0) - (np.log(s / low) ** 2 + np.log(high0 / s0) ** 2) ** 0.5
    )
    assert ratio["p_value"] == row["p_value"]
    bent = np.log(-np.log(s0)) - np.log(-np.log(s))
    spread = (2 / 8 / 10 / np.log(s0) ** 2 + 2 / 9 / 11 / np.log(s) ** 2) ** 0.5
    assert row["statistic"] == pytest.approx(bent / spread)


def test_matches_r_in_each_group_at_one_to_ten_years(reference, data_set, assert_close):
    found = compare_milestones(pbc_by_trt(data_set), by="trt", times=[365, 1825, 3650], scale="log-log").tidy()
    result = reference("pbc_km_logrank_rmst")["km_death_by_trt"]
    for arm, expected in result["values"].items():
        own = found.query("strata == @arm")
        table = pd.DataFrame(expected["table"]).set_index("time").loc[[365, 1825, 3650]]
        for column, other in (("estimate", "surv"), ("std_error", "se_greenwood"), ("conf_low", "lower_loglog"),
                              ("conf_high", "upper_loglog")):  # fmt: skip
            assert_close(own[column], table[other].to_numpy(), result["rtol"], what=f"milestone {column} {arm}")


def test_agrees_with_the_risk_difference_at_one_day(data_set):
    rows = pbc_by_trt(data_set)
    milestone = compare_milestones(rows, by="trt", times=[1825]).tidy().query("measure == 'survival_difference'")
    one_day = compare_survival_at(rows, by="trt", horizon=1825).contrasts.iloc[0]
    for sign, mine, other in ((-1, "estimate", "estimate"), (1, "std_error", "std_error"), (1, "p_value", "p_value")):
        assert milestone[mine].iloc[0] == pytest.approx(sign * one_day[other], rel=1e-12)


def test_a_day_beyond_the_last_with_five_at_risk_is_not_estimable():
    found = compare_milestones(two_groups(), by="arm", times=[5, 21])
    assert "21 days" in found.glance()["not_estimable"]
    assert "Not estimable" in found.describe()
    tidy = found.tidy()
    assert tidy.loc[tidy["time"] == 21, "estimate"].isna().all()
    assert tidy.loc[tidy["time"] == 5, "estimate"].notna().all()


@pytest.mark.parametrize("scale", ["plain", "log-log"])
def test_without_events_there_is_no_interval(scale):
    frame = pd.DataFrame({"exit": [9] * 12, "event": 0, "arm": list("ab") * 6})
    rows = TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["arm"])
    tidy = compare_milestones(rows, by="arm", times=[5], scale=scale).tidy()
    assert tidy["estimate"].tolist() == [1.0, 1.0, 0.0, 1.0]
    assert tidy["p_value"].isna().all()


def test_no_time_is_refused():
    with pytest.raises(OutcomeError, match="No time"):
        compare_milestones(two_groups(), by="arm", times=[])
