"""Trend across ordered groups and tests of pairs: against R, by hand, and what cannot be tested."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.curves.log_rank import compare_survival
from aih_outcomes.models.survival.curves.trend import adjust_holm, compare_survival_pairs, compare_survival_trend
from aih_outcomes.outcomes import TimeToEvent


def grouped(exit, event, arm, **more):
    frame = pd.DataFrame({"exit": exit, "event": event, "arm": list(arm), **more})
    return TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["arm", *more])


def test_trend_matches_r(curve_rows, r_figures, assert_close):
    expected = r_figures("curves")["trend"]
    found = [compare_survival_trend(curve_rows(), by="arm", **how).statistic
             for how in ({}, {"scores": [0, 1, 5]}, {"rho": 1})]  # fmt: skip
    assert_close(found, expected, what="trend")


def test_trend_of_two_groups_is_the_log_rank_test_whatever_the_scores():
    rows = grouped([1, 2, 3, 4, 5, 6], [1, 1, 0, 1, 1, 1], "ababab")
    overall = compare_survival(rows, by="arm")
    trend = compare_survival_trend(rows, by="arm", scores=[0, 7])
    assert trend.statistic == pytest.approx(overall.statistic, rel=1e-12)
    assert trend.glance()["p_value"] == pytest.approx(overall.p_value, rel=1e-12)


def test_trend_by_hand():
    # one death, of three at risk with scores 1, 2, 3: (3 − 2)² over the variance of the scores, 2/3
    rows = grouped([1, 2, 2], [1, 0, 0], "cab")
    trend = compare_survival_trend(rows, by="arm")
    assert trend.statistic == pytest.approx(3 / 2)
    assert trend.direction == pytest.approx(1)
    assert trend.tidy()["score"].tolist() == [1, 2, 3]
    assert "p = 0.221" in trend.describe()


def test_scores_are_one_per_group_and_differ():
    rows = grouped([1, 2, 3], [1, 1, 0], "abc")
    with pytest.raises(OutcomeError, match="2 scores are given for 3 groups"):
        compare_survival_trend(rows, by="arm", scores=[1, 2])
    with pytest.raises(OutcomeError, match="not all alike"):
        compare_survival_trend(rows, by="arm", scores=[1, 1, 1])


@pytest.mark.parametrize(("event", "arm", "reason"), [
    ([0, 0, 0], "abc", "no events"), ([1, 1, 1], "aaa", "only one group"),
])  # fmt: skip
def test_a_trend_that_cannot_be_tested_says_why(event, arm, reason):
    trend = compare_survival_trend(grouped([1, 2, 3], event, arm), by="arm")
    assert trend.glance()["not_estimable"] == reason
    assert np.isnan(trend.p_value)
    assert reason in trend.describe()


def test_pairs_match_r(curve_rows, r_figures, assert_close):
    expected = r_figures("curves")["pairs"]
    tidy = compare_survival_pairs(curve_rows(), by="arm").tidy()
    assert_close(tidy["statistic"], expected["chisq"], what="pairs")
    assert_close(tidy["p_adjusted"], expected["holm"], what="pairs, Holm")
    assert tidy["term"].tolist() == ["b vs a", "c vs a", "c vs b"]


def test_a_pair_without_events_does_not_count_in_the_adjustment():
    tidy = compare_survival_pairs(grouped([1, 2, 3, 4, 5, 6], [1, 1, 0, 0, 0, 0], "aabbcc"), by="arm").tidy()
    assert np.isnan(tidy["p_adjusted"].iloc[2])
    assert tidy["p_adjusted"].iloc[0] == pytest.approx(2 * tidy["p_value"].iloc[0])


def test_holm_by_hand():
    assert adjust_holm(np.array([0.2, 0.01, np.nan, 0.02])).tolist()[:2] == pytest.approx([0.2, 0.03])
    assert adjust_holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
