"""What curves and tests of curves refuse, and what they say where nothing can be told."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_follow_up, estimate_survival
from aih_outcomes.models.survival.curves.log_rank import compare_survival
from aih_outcomes.models.survival.curves.milestones import compare_milestones
from aih_outcomes.models.survival.curves.permutation import compare_by_permutation
from aih_outcomes.models.survival.curves.pseudo_value_fit import fit_pseudo_values
from aih_outcomes.models.survival.curves.restricted_mean import compare_restricted_means
from aih_outcomes.models.survival.curves.trend import compare_survival_pairs, compare_survival_trend
from aih_outcomes.outcomes import TimeToEvent


def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda o: estimate_survival(o, conf_type="banana"), "conf_type='banana' is unknown"),
        (lambda o: estimate_follow_up(o, conf_type="banana"), "conf_type='banana' is unknown"),
        (lambda o: estimate_survival(o, variance="banana"), "variance='banana' is unknown"),
        (lambda o: estimate_survival(o, from_day=float("nan")), "from_day=nan is no time"),
        (lambda o: estimate_survival(o).tidy(unit="weeks"), "unit='weeks' is unknown"),
        (lambda o: estimate_survival(o).quantiles([0.5, 2]), "1 of 2 numbers are no share"),
        (lambda o: compare_survival(o, by="arm", rho=float("nan")), "rho=nan gives the test no weights"),
        (lambda o: compare_survival(o, by="arm", gamma=-1), "gamma=-1 gives the test no weights"),
        (lambda o: compare_milestones(o, by="arm", times=[5], scale="banana"), "scale='banana' is unknown"),
        (lambda o: compare_milestones(o, by="arm", times=[5, float("nan")]), "1 of 2 times are no finite numbers"),
        (lambda o: compare_survival_trend(o, by="arm", scores=["low", "high", "x"]), "3 scores are given"),
        (lambda o: compare_restricted_means(o, by="arm", horizon=float("nan")), "horizon=nan is no time"),
        (lambda o: compare_by_permutation(o, by="arm", rng=rng(), statistic="banana"), "statistic='banana' is unknown"),
        (lambda o: compare_by_permutation(o, by="arm", rng=rng(), n_permutations=0), "n_permutations=0 is no number"),
        (lambda o: compare_by_permutation(o, by="arm", rng=7), "rng is a int"),
        (lambda o: fit_pseudo_values(o, times=[5], by="arm", of="banana"), "of='banana' is unknown"),
        (lambda o: fit_pseudo_values(o, times=[5], by="arm", link="banana"), "link='banana' is unknown"),
        (lambda o: fit_pseudo_values(o, times=[5], by="arm", missing="banana"), "missing='banana' is unknown"),
        (lambda o: fit_pseudo_values(o, times=[5, 5], by="arm"), "1 of 2 times are asked for twice"),
    ],
)
def test_what_does_not_exist_is_refused_not_taken_for_something_else(curve_rows, ask, words):
    with pytest.raises(OutcomeError, match=words):
        ask(curve_rows())


def outcome(frame, **how):
    return TimeToEvent.from_frame(frame, exit="time", event="dead", covariates=["arm", "place"], label="death", **how)


FOUR_ARMS = pd.DataFrame({
    "time": [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 6, 6, 7, 9],
    "dead": [1, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0],
    "arm": list("ababbaab") + list("cdcddccd"),
    "place": ["north"] * 8 + ["south"] * 8,
})  # fmt: skip


def test_arms_that_never_meet_are_tested_where_they_do_each_with_its_own_degrees_of_freedom():
    both = compare_survival(outcome(FOUR_ARMS), by="arm", strata="place")
    parts = [compare_survival(outcome(own), by="arm") for _, own in FOUR_ARMS.groupby("place")]
    assert both.df == 2
    assert both.statistic == pytest.approx(sum(part.statistic for part in parts), rel=1e-12)
    assert "stratified by place" in both.describe()
    assert both.glance()["strata"] == "place"


def test_arms_that_are_the_strata_are_not_compared():
    test = compare_survival(outcome(FOUR_ARMS), by="place", strata="place")
    assert test.not_estimable == "no time at which two groups are at risk and an event falls"
    assert np.isnan(test.statistic)


def test_a_pair_without_a_test_says_why():
    frame = FOUR_ARMS.assign(dead=np.where(FOUR_ARMS["arm"].isin(["a", "b"]), 0, FOUR_ARMS["dead"]))
    tidy = compare_survival_pairs(outcome(frame), by="arm").tidy().set_index("term")
    assert tidy.loc["b vs a", "not_estimable"] == "no events"
    assert tidy.loc["d vs c", "not_estimable"] is None


def test_rows_of_weight_zero_count_for_no_test():
    frame = FOUR_ARMS.assign(w=np.where(FOUR_ARMS["time"] == 1, 0, 1))
    weighted = compare_survival(outcome(frame, weight="w"), by="arm")
    without = compare_survival(outcome(frame[frame["w"] > 0]), by="arm")
    pd.testing.assert_frame_equal(weighted.tidy(), without.tidy())
    assert weighted.glance() == without.glance()


def test_a_test_of_nobody_is_not_estimable():
    nobody = outcome(FOUR_ARMS)
    assert compare_survival(nobody.with_rows(nobody.frame.iloc[:0]), by="arm").not_estimable == "only one group"


def test_a_permutation_test_without_an_answer_has_a_row_without_numbers():
    frame = FOUR_ARMS.assign(dead=0, arm=list("abba" * 4))
    test = compare_by_permutation(outcome(frame), by="arm", rng=rng())
    assert test.not_estimable == "no events"
    assert test.tidy()[["estimate", "std_error", "p_value"]].isna().all(axis=None)


def test_a_negative_power_gives_no_weight_after_everyone_at_risk_has_died():
    frame = pd.DataFrame({
        "entry": [0, 0, 0, 0, *[3] * 6], "time": [1, 2, 1, 2, 4, 5, 6, 4, 6, 7], "dead": 1,
        "arm": list("aabbaaabbb"), "place": "north",
    })  # fmt: skip
    test = compare_survival(outcome(frame, entry="entry"), by="arm", rho=-0.5)
    early = compare_survival(outcome(frame[frame["entry"] == 0]), by="arm", rho=-0.5)
    assert test.statistic == pytest.approx(early.statistic, rel=1e-12)


def test_curves_and_tests_of_groups_that_change_bear_their_authors_names():
    rows = FOUR_ARMS.assign(group=FOUR_ARMS["arm"].isin(["a", "c"]).map({True: "not yet", False: "response"}))
    changing = TimeToEvent.from_frame(
        rows, exit="time", event="dead", covariates=["group"], design="status changing with time: response"
    )
    assert compare_survival(changing, by="group").describe().startswith("Mantel-Byar test")
    assert "Simon-Makuch estimate" in estimate_survival(changing, by="group").describe()
