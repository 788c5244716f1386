"""Gray's test: against cuminc of cmprsk, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.competing.gray import compare_cumulative_incidence
from aih_outcomes.outcomes import TimeToEvent

RTOL = 1e-7
ROWS = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from(["censored", "flare", "death"]), st.sampled_from("abc")),
    min_size=12, max_size=40,
)  # fmt: skip


@pytest.fixture(scope="module")
def invented(request):
    return pd.read_csv(request.path.parents[3] / "reference" / "competing_risks.csv")


def outcome(frame, covariates, **how):
    return TimeToEvent.from_frame(frame, exit="time", event="status", covariates=covariates, **how)


def _assert_tests(tests, causes, expected, rtol, assert_close, name):
    rows = tests.tidy().set_index("state").loc[causes]
    assert_close(rows["statistic"], expected["chisq"], rtol, what=f"{name} chisq")
    assert_close(rows["p_value"], expected["p"], rtol, what=f"{name} p")
    assert rows["df"].tolist() == expected["df"]


@pytest.mark.parametrize("by", ["trt", "edema"])
def test_matches_cuminc_on_pbc(by, data_set, reference, assert_close):
    frame = data_set("pbc").dropna(subset=[by])
    frame = frame.assign(status=frame["status"].map({0: "censored", 1: "transplant", 2: "death"}))
    tests = compare_cumulative_incidence(outcome(frame, [by], competing=["transplant"]), by=by)
    result = reference("pbc_competing_risks")[f"gray_{by}"]
    _assert_tests(tests, result["values"]["cause"], result["values"], result["rtol"], assert_close, f"gray {by}")


INVENTED = {
    "gray_g": ("g", {}), "gray_z": ("z", {}), "gray_g_rho": ("g", {"rho": 1}),
    "gray_g_strata": ("g", {"strata": "centre"}), "gray_z_strata_rho": ("z", {"strata": "g", "rho": -0.5}),
    "gray_short_group": ("g", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", INVENTED)
def test_matches_cuminc_with_ties_strata_weights_of_time_and_a_group_that_leaves_early(
    name, invented, r_figures, assert_close
):
    by, how = INVENTED[name]
    frame = invented
    if name == "gray_short_group":
        frame = invented[(invented["g"] != "a") | (invented["time"] <= 6)]
    tests = compare_cumulative_incidence(outcome(frame, ["g", "z", "centre"]), by=by, **how)
    expected = r_figures("competing_risks")[name]
    _assert_tests(tests, ["relapse", "death"], expected, RTOL, assert_close, name)


def test_four_patients_by_hand():
    # a: flare 1, flare 3; b: death 2, flare 4. h = y/S(t-), R = h(1 - F(t-)), for flares, of group a:
    # score: at 1, h = R = (2, 2): 1 - 1/2; at 3, h = (2, 2), R = (1, 2): 1 - 1/3; at 4, a has left: 7/6 in all
    # c runs 1/4, then 7/12, since F. is 1/4 before day 3; variance: day 1, (1 - 1/3·1/2)²/8 + (1 + 1/3·1/4)²/8;
    # the death on day 2, (1/3·3/2)²/4; day 3, 2/8; in all 629/1152
    frame = pd.DataFrame({"time": [1, 3, 2, 4], "status": ["flare", "flare", "death", "flare"], "arm": list("aabb")})
    tests = compare_cumulative_incidence(outcome(frame, ["arm"]), by="arm").tidy().set_index("state")
    assert tests.loc["flare", "statistic"] == pytest.approx((7 / 6) ** 2 / (629 / 1152), rel=1e-12)


@settings(max_examples=15)
@given(ROWS)
def test_row_order_time_unit_and_labels_change_nothing(rows):
    frame = pd.DataFrame(rows, columns=["time", "status", "arm"])
    one = compare_cumulative_incidence(outcome(frame, ["arm"]), by="arm").tidy()
    assume(one["statistic"].notna().any())
    names = {"a": "z", "b": "y", "c": "x"}  # the last group becomes the first
    turned = frame.iloc[::-1].assign(time=frame["time"] * 3, arm=frame["arm"].map(names))
    other = compare_cumulative_incidence(outcome(turned, ["arm"]), by="arm").tidy()
    np.testing.assert_allclose(one["statistic"], other["statistic"], rtol=1e-6)


@settings(max_examples=10)
@given(ROWS)
def test_identical_groups_do_not_differ(rows):
    frame = pd.DataFrame(rows, columns=["time", "status", "arm"])
    both = pd.concat([frame.assign(arm="a"), frame.assign(arm="b")])
    statistic = compare_cumulative_incidence(outcome(both, ["arm"]), by="arm").tidy()["statistic"]
    assert np.nan_to_num(statistic).max(initial=0.0) < 1e-9


def test_late_entry_weights_and_spells_are_refused_with_a_way_out(invented):
    for how, message in (({"entry": "start"}, "enter later"), ({"weight": "w"}, "have a weight")):
        with pytest.raises(OutcomeError, match=message) as error:
            compare_cumulative_incidence(outcome(invented, ["g"], **how), by="g")
        assert "finegray" in error.value.way_out


def test_patients_who_are_all_followed_from_a_landmark_are_compared(invented):
    later = invented[invented["time"] > 3].assign(start=3)
    from_start = compare_cumulative_incidence(outcome(later, ["g"]), by="g").tidy()
    from_landmark = compare_cumulative_incidence(outcome(later, ["g"], entry="start"), by="g").tidy()
    np.testing.assert_array_equal(from_start["statistic"], from_landmark["statistic"])


NO_TEST = {
    "no events": (["censored"] * 4, list("aabb"), "no events"),
    "one group": (["flare", "death", "flare", "censored"], list("aaaa"), "only one group"),
    "nothing to compare": (["censored", "censored", "flare", "flare"], list("aabb"), "no time"),
}


@pytest.mark.parametrize("case", NO_TEST)
def test_what_cannot_be_tested_says_why(case):
    status, arm, reason = NO_TEST[case]
    levels = pd.Categorical(status, ["censored", "flare", "death"])
    rows = outcome(pd.DataFrame({"time": [1, 2, 3, 4], "status": levels, "arm": arm}), ["arm"])
    tests = compare_cumulative_incidence(rows, by="arm")
    assert reason in tests.glance()["not_estimable"]
    assert tests.tidy()["statistic"].isna().any()
    assert "not estimable" in tests.describe()


def test_the_words_carry_the_design_and_no_p_of_zero(data_set):
    frame = data_set("pbc").assign(status=lambda rows: rows["status"].map({0: "censored", 1: "transplant", 2: "death"}))
    text = compare_cumulative_incidence(outcome(frame, ["edema"], design="landmark"), by="edema").describe()
    assert "p < 0.001" in text
    assert "Prognostic association" in text


def test_a_power_that_is_no_number_is_refused(invented):
    with pytest.raises(OutcomeError, match="gives the test no weights"):
        compare_cumulative_incidence(outcome(invented, ["g"]), by="g", rho=float("nan"))
