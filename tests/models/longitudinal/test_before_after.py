"""Before and after a switch of therapy, naively and against pseudo-switches (statistics 16, 21)."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.before_after import NAIVE, UNADJUSTED, WITHOUT_WINDOW, fit_before_after
from aih_outcomes.models.longitudinal.pseudo_switches import match_pseudo_switches
from aih_outcomes.models.longitudinal.switch_model import ALONE, DIFFERENCE
from aih_outcomes.outcomes import RepeatedMeasures, Switches
from aih_outcomes.simulate.mechanisms.switches import DRUG, draw_switches

OPTIMUM = 1e-6  # lmer's search stops within about this distance of the optimum


def measures_of(frame, covariates=("steroid",), **kwargs):
    return RepeatedMeasures.from_frame(
        frame, patient_id="id", time="day", value="value", covariates=list(covariates), **kwargs
    )


def switches_of(frame, covariates=("peak",), **kwargs):
    return Switches.from_frame(
        frame, patient_id="id", time="day", switched="switched", covariates=list(covariates), **kwargs
    )


@pytest.fixture(scope="module")
def invented():
    return pd.read_csv("tests/reference/switches_values.csv"), pd.read_csv("tests/reference/switches_moments.csv")


def small(n=4, *, change=-1.0, others=0.0, noise=0.0, seed=1):
    """Each of n patients who switch on day 200, and n who could have, with three values on each side."""
    rng = np.random.default_rng(seed)
    days = np.array([20, 80, 140, 190, 230, 290, 350])
    rows, moments = [], []
    for kind, shift in ((1, change), (0, others)):
        for k in range(n):
            name = f"{'sp'[1 - kind]}{k}"
            value = 3 + 0.5 * k + shift * (days > 200) + (days == 190) * 2 + noise * rng.standard_normal(len(days))
            rows.append(pd.DataFrame({"id": name, "day": days, "value": value, "steroid": 0.1}))
            moments.append((name, 200, kind, 1.0 + 0.01 * k))
    return pd.concat(rows), pd.DataFrame(moments, columns=["id", "day", "switched", "peak"])


@pytest.mark.parametrize(("place", "name"), [(0, "naive"), (1, "without_window"), (2, "difference"), (3, "adjusted")])
def test_matches_r_lmertest_on_the_same_series(invented, r_figures, assert_close, place, name):
    values, moments = invented
    found = fit_before_after(measures_of(values), switches_of(moments, ("peak", "age")), scale="log", vcov="model")
    estimate, std_error, df, n_values = r_figures("switches")[name]
    row = found.tidy().iloc[place]
    assert_close(row["n_values"], n_values, what=f"{name}: values used")
    assert_close(row["estimate"], estimate, OPTIMUM, se=std_error, what=f"{name}: log ratio of change")
    assert_close(row["std_error"], std_error, OPTIMUM, what=f"{name}: standard error")
    assert_close(row["df"], df, 5 * OPTIMUM, what=f"{name}: Satterthwaite degrees of freedom")
    assert row["ratio"] == np.exp(row["estimate"])


def test_a_change_by_hand():
    values, moments = small(noise=1e-3)
    found = fit_before_after(measures_of(values), switches_of(moments), adjust=[]).tidy().set_index("term")
    # Before: three values of the level and one 2 above it, on day 190; after: the level less 1.
    assert found.loc[NAIVE, "estimate"] == pytest.approx(-1 - 2 / 4, abs=0.01)
    assert found.loc[WITHOUT_WINDOW, "estimate"] == pytest.approx(-1, abs=0.01)
    assert found.loc[UNADJUSTED, "estimate"] == pytest.approx(-1, abs=0.01)
    assert found["n"].tolist() == [4, 4, 4]
    assert found["n_values"].tolist() == [28, 24, 48]
    assert found["biased"].tolist() == [True, True, False]


def test_the_day_of_the_switch_and_28_days_before_it_are_the_decision_window():
    values, moments = small(noise=1e-2)
    moved = values.assign(day=values["day"].replace({190: 200, 140: 171, 230: 201}))
    found = fit_before_after(measures_of(moved), switches_of(moments), adjust=[])
    own = found.series[found.series["kind"] == "switch"]
    assert sorted(own["day"].unique()) == [-180, -120, -29, 0, 1, 90, 150]
    assert found.rows[1].n_values == 24  # only day 0 falls out of the window
    wider = fit_before_after(measures_of(moved), switches_of(moments), adjust=[], decision_days=29)
    assert wider.rows[1].n_values == 20


def test_a_control_ends_with_her_own_switch():
    values, moments = small(noise=1e-2)
    moments = pd.concat([moments, pd.DataFrame({"id": ["p0"], "day": [230], "switched": [1], "peak": [9.0]})])
    found = fit_before_after(measures_of(values), switches_of(moments), adjust=[])
    pseudo = found.series[(found.series["kind"] == "pseudo-switch") & (found.series["patient_id"] == "p0")]
    assert pseudo["time"].max() == 230  # the value of that day was measured before the first dose


def test_regression_to_the_mean_is_no_effect_and_the_drug_is():
    seen = {}
    for effect in ("none", "default"):
        values, flares = draw_switches(np.random.default_rng(11), 1500, effect=effect)
        measures = RepeatedMeasures.from_frame(
            values, patient_id="patient_id", time="time", value="value", covariates=["steroid"]
        )
        switches = Switches.from_frame(
            flares, patient_id="patient_id", time="time", switched="switched", covariates=["peak"]
        )
        seen[effect] = fit_before_after(measures, switches, before_days=196, after_days=280).tidy()
    naive, _, _, adjusted = (seen["none"].iloc[k] for k in range(4))
    assert naive["conf_high"] < -0.15  # a drug that does nothing seems to work
    assert adjusted["conf_low"] < 0 < adjusted["conf_high"]
    assert abs(adjusted["estimate"]) < 3 * adjusted["std_error"]
    adjusted = seen["default"].iloc[3]
    assert abs(adjusted["estimate"] - DRUG) < 3 * adjusted["std_error"]
    assert seen["default"].iloc[0]["conf_high"] < DRUG  # the naive one exaggerates


def test_fewer_than_three_switches_are_described_and_not_estimated():
    values, moments = small(2)
    found = fit_before_after(measures_of(values), switches_of(moments), scale="log")
    tidy = found.tidy()
    assert tidy["estimate"].isna().all()
    assert tidy["not_estimable"].str.fullmatch(r"fewer than 3 (matched )?switches with values on both sides").all()
    assert "Not estimable" in found.describe()
    cells = found.cells().set_index(["strata", "term"])["estimate"]
    assert cells["switch", "after"] == pytest.approx(np.median([2.0, 2.5]))
    assert cells["pseudo-switch", "before"] == pytest.approx(np.median([3.0, 3.5]))


def test_fewer_than_three_pseudo_switches_leave_only_the_naive_rows():
    values, moments = small(4, noise=0.1)
    found = fit_before_after(measures_of(values), switches_of(moments[~moments["id"].isin(["p2", "p3"])])).tidy()
    assert found["estimate"].notna().tolist() == [True, True, False, False]
    assert found["not_estimable"].iloc[3] == "fewer than 3 matched switches with values on both sides"


def test_a_switch_without_values_on_both_sides_says_nothing_of_a_change():
    values, moments = small(5, noise=0.1)
    found = fit_before_after(measures_of(values[(values["id"] != "s0") | (values["day"] < 200)]), switches_of(moments))
    assert found.n_one_sided == 1
    assert found.tidy()["n"].tolist() == [4, 4, 4, 4]
    assert found.cells()["n"].tolist()[:2] == [5, 4]
    assert "Switches without a value on both sides" in found.describe()
    assert found.glance()["n_one_sided"] == 1


def test_without_the_covariate_the_adjusted_row_says_so():
    values, moments = small(noise=0.1)
    found = fit_before_after(measures_of(values, ()), switches_of(moments)).tidy()
    assert found["not_estimable"].iloc[3] == "'value' declares no covariate steroid"
    assert found["estimate"].notna().tolist() == [True, True, True, False]


def test_values_without_a_known_dose_are_left_out_of_the_adjusted_row_only():
    values, moments = small(noise=0.1)
    values["steroid"] = np.where(values["day"] == 290, np.nan, 0.1 * (values["day"] > 200))
    found = fit_before_after(measures_of(values), switches_of(moments)).tidy()
    assert found["n_values"].tolist() == [28, 24, 48, 40]


@settings(max_examples=4)
@given(st.integers(0, 10_000))
def test_the_order_of_rows_and_names_of_patients_have_no_effect(seed):
    values, moments = small(noise=0.3, seed=seed % 5)
    one = fit_before_after(measures_of(values), switches_of(moments), adjust=[]).tidy()
    names = {name: f"x{k:02d}" for k, name in enumerate(np.random.default_rng(seed).permutation(moments["id"]))}
    shuffled = values.sample(frac=1, random_state=seed).replace({"id": names})
    other = fit_before_after(measures_of(shuffled), switches_of(moments.replace({"id": names})[::-1]), adjust=[]).tidy()
    for column in ("estimate", "std_error", "df"):
        np.testing.assert_allclose(other[column], one[column], rtol=1e-6)


def test_the_unit_of_time_has_no_effect():
    values, moments = small(noise=0.3)
    one = fit_before_after(measures_of(values), switches_of(moments), adjust=[]).tidy()
    years = values.assign(day=values["day"] / 365.25), moments.assign(day=moments["day"] / 365.25)
    other = fit_before_after(
        measures_of(years[0], time_unit="years"), switches_of(years[1], time_unit="years"), adjust=[]
    ).tidy()
    np.testing.assert_allclose(other[["estimate", "std_error"]], one[["estimate", "std_error"]], rtol=1e-7)


def test_one_value_on_each_side_is_enough():
    values, moments = small(5, noise=0.3)
    found = fit_before_after(measures_of(values[values["day"].isin([140, 230])]), switches_of(moments), adjust=[])
    assert found.tidy()["estimate"].notna().all()


def test_ties_everywhere_and_no_spread_end_with_a_reason_or_an_estimate():
    values, moments = small(noise=0.0)
    found = fit_before_after(measures_of(values.assign(value=1.0)), switches_of(moments.assign(peak=1.0)))
    tidy = found.tidy()
    assert ((tidy["estimate"].abs() < 1e-9) | tidy["not_estimable"].notna()).all()


def test_rule_21_words_and_designs_are_named():
    values, moments = small(noise=0.1)
    found = fit_before_after(measures_of(values), switches_of(moments, label="start of the drug"), scale="log")
    words = found.describe()
    for part in ("Prognostic association, not a treatment effect; confounded by severity.", "[−28, 0]",
                 "it assumes that without the switch", "start of the drug", "Matching"):  # fmt: skip
        assert part in words
    assert list(dict.fromkeys(found.tidy()["design"])) == [ALONE, DIFFERENCE]
    ratios = found.ratios()
    assert ratios["estimate"].tolist() == pytest.approx(found.tidy()["ratio"].tolist())
    assert found.glance()["not_estimable"] is None
    assert found.course()["strata"].unique().tolist() == ["pseudo-switch", "switch"]


def test_a_matching_of_ones_own_is_used_as_it_is():
    values, moments = small(noise=0.1)
    matching = match_pseudo_switches(switches_of(moments), ratio=1)
    found = fit_before_after(measures_of(values), matching)
    assert found.matching is matching
    assert found.primary.n_reference == 4


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"decision_days": -1}, "no stretch of time"), ({"after_days": 0}, "no stretch of time"),
     ({"before_days": None}, "is no time"), ({"adjust": "steroid"}, "in a list"),
     ({"adjust": ["kind"]}, "comparison's own"), ({"conf_level": 2}, "no level"), ({"serial": "ar9"}, "serial")],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(wrong, words):
    values, moments = small()
    with pytest.raises(OutcomeError, match=words):
        fit_before_after(measures_of(values), switches_of(moments), **wrong)


def test_other_clocks_and_scales_are_refused():
    values, moments = small(noise=0.1)
    with pytest.raises(OutcomeError, match="on one clock"):
        fit_before_after(measures_of(values, time_zero="diagnosis"), switches_of(moments))
    with pytest.raises(OutcomeError, match="no logarithm"):
        fit_before_after(measures_of(values.assign(value=values["value"] - 9)), switches_of(moments), scale="log")
    with pytest.raises(OutcomeError, match="no common axis"):
        fit_before_after(measures_of(values), switches_of(moments)).ratios()
    with pytest.raises(OutcomeError, match="RepeatedMeasures"):
        fit_before_after(values, switches_of(moments))


def test_the_caption_holds_no_counts():
    values, moments = small()
    words = fit_before_after(measures_of(values), switches_of(moments), adjust=[]).describe()
    assert "4 switches" not in words
    assert "switch of their own" in words


def test_names_in_adjust_are_texts_and_count_once():
    values, moments = small(noise=0.1)
    with pytest.raises(OutcomeError, match="1 of 1 names in adjust= are no text"):
        fit_before_after(measures_of(values), switches_of(moments), adjust=[3])
    twice = fit_before_after(measures_of(values), switches_of(moments), adjust=["steroid", "steroid"])
    assert twice.adjust == ("steroid",)


@pytest.mark.parametrize("name", ["moment", "last", "distance"])
def test_a_covariate_may_have_any_name_that_is_not_refused(name):
    values, moments = small(noise=0.1)
    named = measures_of(values.assign(**{name: values["day"] % 7}), ["steroid", name])
    plain = fit_before_after(measures_of(values), switches_of(moments), adjust=[])
    assert fit_before_after(named, switches_of(moments), adjust=[]).primary.tidy().equals(plain.primary.tidy())
