"""Reverse Kaplan-Meier: whose follow-up ends, and where curves begin."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.survival.cox.time_split import split_follow_up
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_follow_up, estimate_survival
from aih_outcomes.models.survival.curves.restricted_mean import compare_survival_at
from aih_outcomes.outcomes import TimeToEvent

TIMES, ENDS = [2, 4, 6, 8, 9], ["death", "censored", "transplant", "censored", "censored"]


def outcome(frame=None, **how):
    rows = pd.DataFrame({"time": TIMES, "end": ENDS}) if frame is None else frame
    return TimeToEvent.from_frame(rows, exit="time", event="end", label="death", **how)


def test_a_competing_event_censors_follow_up_as_the_event_does():
    follow_up = estimate_follow_up(outcome(competing=["transplant"]))
    assert follow_up.tidy()["n_event"].tolist() == [0, 1, 0, 1, 1]
    assert follow_up.tidy()["estimate"].tolist() == [1, 0.75, 0.75, 0.375, 0]
    assert follow_up.quantiles([0.5])["estimate"].tolist() == [8]


@pytest.mark.parametrize("cuts", [[3], [1, 5, 7]])
def test_splitting_follow_up_leaves_its_median_as_it_is(cuts):
    whole = outcome(competing=["transplant"])
    split = estimate_follow_up(split_follow_up(whole, at=cuts))
    assert split.quantiles([0.25, 0.5])["estimate"].tolist() == [6, 8]  # 6: the middle of a flat step at 3/4
    assert estimate_follow_up(whole).quantiles([0.25, 0.5])["estimate"].tolist() == [6, 8]


def test_who_begins_where_it_was_asked_is_not_said_to_have_too_few_at_risk():
    text = estimate_survival(outcome(), from_day=3).describe()
    assert "fewer than 5" not in text
    assert "The curves are conditional on being event-free at about 0.25 years" in text


def test_a_clock_that_begins_before_zero_loses_nobody():
    moved = pd.DataFrame({"since": -10, "time": np.array(TIMES) - 10, "end": ENDS})
    early, usual = estimate_survival(outcome(moved, entry="since")), estimate_survival(outcome())
    assert early.alive_at == -10
    assert early.tidy()["estimate"].tolist() == usual.tidy()["estimate"].tolist()
    assert "conditional" not in early.describe()


def test_at_no_time_nothing_is_known():
    at = estimate_survival(outcome()).at([float("nan")])
    assert at[["estimate", "std_error", "cumulative_hazard"]].isna().all(axis=None)


def test_weights_of_any_size_leave_the_small_ones_their_share():
    ends = ["censored", "death", "death", "death", "censored"]
    frame = pd.DataFrame({"time": [1, 2, 3, 4, 5], "end": ends, "w": [1e17, 1e-3, 1e-3, 2e-3, 1]})
    curve = estimate_survival(outcome(frame, weight="w"), variance="greenwood").tidy()
    assert curve["estimate"].tolist() == pytest.approx(
        [1, 1003 / 1004, 1002 / 1004, 1000 / 1004, 1000 / 1004], rel=1e-12
    )


def test_without_a_horizon_no_number_of_events_is_given():
    frame = pd.DataFrame({"time": [1, 2, 3], "end": "death", "arm": list("aab")})
    compared = compare_survival_at(outcome(frame, covariates=["arm"]), by="arm")
    assert "never has 5" in compared.not_estimable
    assert compared.tidy()["n_event"].isna().all()
