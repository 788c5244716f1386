"""Illness-death from looks: known days, known truth, an integral in closed form, and bounds without assumptions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.survival.intervals.accelerated_failure import fit_accelerated_failure
from aih_outcomes.models.survival.intervals.hazards import Family
from aih_outcomes.models.survival.intervals.illness_death import fit_illness_death
from aih_outcomes.models.survival.intervals.illness_death_kernel import Seen, prepare
from aih_outcomes.models.survival.intervals.incidence_bounds import estimate_incidence_bounds
from aih_outcomes.outcomes import Groups, IntervalTime, TimeToEvent

TRUTH = {"shape": [1.3, 1.5, 1.2], "scale": [6, 15, 5], "z": [0.5, 0.2, 0.3]}
SHAPES = ["weibull", "piecewise constant"]
DEATHS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(1, 4), st.integers(0, 4), st.booleans(), st.booleans()), min_size=2,
    max_size=30,
)  # fmt: skip


@pytest.fixture(scope="module")
def known_days(liver_deaths):
    """The same patients with the day of cirrhosis known, and the last look on the last day."""
    ill = liver_deaths["true"] <= liver_deaths["end"]
    day = liver_deaths["true"].where(ill, liver_deaths["end"])
    return liver_deaths[["end", "dead", "z"]].assign(left=day, right=day.where(ill))


def of(frame, seen_at_looks, **how):
    return seen_at_looks(frame[["left", "right", "end", "dead", "z"]], label="cirrhosis", time_unit="years", **how)


@pytest.fixture(scope="module")
def weibull(liver_deaths, seen_at_looks):
    return fit_illness_death(of(liver_deaths, seen_at_looks), covariates=["z"])


def test_the_simulated_truth_comes_back(weibull):
    """All within three standard errors, and all together as far off as chance allows."""
    own = weibull.tidy()
    own = own[~own["biased"]]
    base = weibull.baselines()
    distance = [(own["estimate"] - TRUTH["z"]) / own["std_error"]]
    for term in ("shape", "scale"):
        part = base[base["term"] == term]
        distance.append((part["estimate"] - TRUTH[term]) / part["std_error"])
    distance = np.concatenate(distance)
    assert np.abs(distance).max() < 3
    assert (distance**2).sum() < 22  # chi-squared with 9 degrees of freedom: 99 %
    assert weibull.glance()["scaled_gradient"] < 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_the_risk_is_that_of_the_days_nobody_saw(shape, liver_deaths, seen_at_looks):
    fit = fit_illness_death(of(liver_deaths, seen_at_looks), covariates=["z"], hazards=shape)
    risk = fit.at([2, 5])
    risk = risk[risk["state"] == "cirrhosis"]
    truth = [(liver_deaths["true"] <= time).mean() for time in (2, 5)]
    assert (np.abs(risk["estimate"] - truth) < 3 * risk["std_error"]).all()
    assert ((risk["conf_low"] < risk["estimate"]) & (risk["estimate"] < risk["conf_high"])).all()


def test_censoring_at_the_last_look_is_shown_and_marked(weibull):
    tidy = weibull.tidy()
    assert tidy["biased"].tolist() == [False, False, False, True]
    assert tidy["state"].tolist() == ["cirrhosis", "dead without cirrhosis", "dead after cirrhosis", "cirrhosis"]
    assert tidy["estimate"].iloc[3] < tidy["estimate"].iloc[0]
    assert "do not interpret" in weibull.describe()


def test_known_days_give_the_three_ordinary_models(known_days, seen_at_looks):
    fit = fit_illness_death(of(known_days, seen_at_looks), covariates=["z"])
    ill = known_days["right"].notna()
    free = known_days.assign(entry=0.0, exit=known_days["left"], event=ill)
    died = free.assign(event=~ill & known_days["dead"])
    after = known_days[ill].assign(entry=known_days["left"], exit=known_days["end"], event=known_days["dead"])
    own = fit.tidy()[~fit.tidy()["biased"]]
    base = fit.baselines()
    for place, rows in enumerate((free, died, after)):
        spells = TimeToEvent.from_frame(rows, entry="entry", exit="exit", event="event", covariates=["z"])
        alone = fit_accelerated_failure(spells, covariates=["z"])
        estimate, std_error = alone.log_hazard_ratios()
        assert own["estimate"].iloc[place] == pytest.approx(estimate[0], rel=1e-7)
        assert own["std_error"].iloc[place] == pytest.approx(std_error[0], rel=1e-6)
        shape = base[base["term"] == "shape"]["estimate"].iloc[place]
        assert shape == pytest.approx(1 / alone.scale, rel=1e-7)


def test_known_days_by_hand(seen_at_looks):
    # free of it 2 + 3 + 4 + 1 + 5 = 15 years: 3 fell ill, 1 died; ill 1 + 4 + 3 = 8 years: 2 died
    frame = pd.DataFrame({"left": [2, 3, 4, 1, 5], "right": [2, None, 4, 1, None], "end": [3, 3, 8, 4, 5],
                          "dead": [1, 1, 0, 1, 0]})  # fmt: skip
    how = {"hazards": "piecewise constant", "cuts": []}
    rates = fit_illness_death(seen_at_looks(frame), **how).baselines()
    assert rates["estimate"].tolist() == pytest.approx([3 / 15, 1 / 15, 2 / 8], rel=1e-9)
    logs = np.log(rates["conf_high"] / rates["estimate"]) / 1.959963984540054
    assert logs.tolist() == pytest.approx([3**-0.5, 1, 2**-0.5], rel=1e-9)


def test_pieces_of_time_by_hand(seen_at_looks):
    # cut at 2: free 2+2+2+1+2 before and 1+2+3 after it; ill 0 + 1 before, 1 + 4 + 2 after
    frame = pd.DataFrame({"left": [2, 3, 4, 1, 5], "right": [2, None, 4, 1, None], "end": [3, 3, 8, 4, 5],
                          "dead": [1, 1, 0, 1, 0]})  # fmt: skip
    twice = pd.concat([frame] * 3)
    twice["end"] = [3, 3, 8, 4, 5] * 2 + [3, 3, 8, 2, 5]  # deaths after it in both pieces
    twice["left"] = [2, 3, 4, 1, 5] * 2 + [2, 1, 4, 1, 5]
    twice.loc[twice.index == 1, "end"] = [3, 3, 1]
    rates = fit_illness_death(seen_at_looks(twice), hazards="piecewise constant", cuts=[2]).baselines()
    free, fell, died = [9 + 9 + 8, 6 + 6 + 5], [6, 3], [1, 2]
    ill, died_ill = [3, 1 + 4 + 2 + 1 + 4 + 2 + 1 + 4], [1, 5]
    expected = np.concatenate([np.divide(a, b) for a, b in ((fell, free), (died, free), (died_ill, ill))])
    assert rates["estimate"].tolist() == pytest.approx(expected, rel=1e-9)
    assert rates["time"].tolist() == [0, 2] * 3


@pytest.mark.parametrize("dead", [False, True])
def test_the_unseen_onset_is_integrated_in_closed_form(dead):
    # constant hazards a, b, c, last look at 3, end at 7: e^-(a+b)7 b^d + a e^-7c (e^-3s - e^-7s)/s c^d, s = a + b - c
    a, b, c = 0.1, 0.05, 0.3
    s = a + b - c
    unseen = a * np.exp(-7 * c) * (np.exp(-3 * s) - np.exp(-7 * s)) / s
    expected = np.log(np.exp(-(a + b) * 7) * (b if dead else 1) + unseen * (c if dead else 1))
    seen = Seen(np.array([3.0]), np.array([np.inf]), np.array([7.0]), np.array([dead]), np.ones(1))
    Z = np.empty((1, 0))
    pieces = prepare(seen, Z, Family("piecewise constant", 0.0, np.array([4.0, 5.0])))
    assert pieces.evaluate(np.log(np.repeat([a, b, c], 3)))[0] == pytest.approx(expected, rel=1e-12)
    weibull = prepare(seen, Z, Family("weibull", 0.0, np.empty(0)))
    theta = np.array([np.log(a), 1, np.log(b), 1, np.log(c), 1])
    assert weibull.evaluate(theta)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_neighbour_of_the_optimum_is_better(shape, liver_deaths, seen_at_looks):
    fit = fit_illness_death(of(liver_deaths.iloc[:300], seen_at_looks), covariates=["z"], hazards=shape)
    Z = (fit.rows.design.X - fit.engine.mean) / fit.engine.spread
    likelihood = prepare(fit.seen, Z, fit.family)
    error = np.sqrt(np.diag(fit.engine.vcov))
    for place in range(len(error)):
        for side in (-1, 1):
            moved = fit.engine.theta.copy()
            moved[place] += side * 0.01 * error[place]
            assert likelihood.evaluate(moved)[0] < fit.engine.loglik


def test_row_order_and_replication_change_nothing(liver_deaths, seen_at_looks):
    frame = liver_deaths.iloc[:200]
    both = pd.concat([frame.iloc[::-1], frame])
    twice = seen_at_looks(frame[["left", "right", "end", "dead", "z"]].assign(w=2.0))
    one = fit_illness_death(twice, covariates=["z"]).engine
    other = fit_illness_death(of(both, seen_at_looks), covariates=["z"]).engine
    np.testing.assert_allclose(one.theta, other.theta, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(one.vcov, other.vcov, rtol=1e-5, atol=1e-9)


def test_the_time_unit_scales_times_only(liver_deaths, seen_at_looks):
    frame = liver_deaths.iloc[:300]
    days = frame.assign(**{name: frame[name] * 365.25 for name in ("left", "right", "end")})
    years = fit_illness_death(of(frame, seen_at_looks), covariates=["z"])
    in_days = fit_illness_death(
        seen_at_looks(days[["left", "right", "end", "dead", "z"]], label="cirrhosis"), covariates=["z"]
    )
    np.testing.assert_allclose(in_days.tidy()["estimate"], years.tidy()["estimate"], rtol=1e-6)
    one, other = years.at([2, 5]), in_days.at([2, 5], unit="years")
    pd.testing.assert_frame_equal(one, other, rtol=1e-6)


def test_the_average_risk_is_the_mean_of_every_patients(weibull):
    patients = weibull.rows.frame[["z"]]
    single = weibull.at([4], rows=patients).groupby("state", sort=False)["estimate"].mean()
    np.testing.assert_allclose(weibull.at([4])["estimate"], single, rtol=1e-10)


def test_groups_are_counted_for_each_transition(liver_deaths, seen_at_looks):
    frame = liver_deaths.assign(z=np.where(liver_deaths["z"] > 0, "high", "low"))
    tidy = fit_illness_death(of(frame, seen_at_looks), by="z").tidy()
    high = frame["z"] == "low"
    ill = np.isfinite(frame["right"])
    expected = [ill & high, ~ill & frame["dead"] & high, ill & frame["dead"] & high]
    assert tidy["term"].unique().tolist() == ["group: low (ref. high)"]
    assert tidy["n_event"].tolist()[:3] == [int(flag.sum()) for flag in expected]


HOPELESS = {
    "never seen": ({"left": [1, 2, 3], "right": [None] * 3, "end": [4, 5, 6], "dead": [1, 0, 1]}, "no events"),
    "no death after": (
        {"left": [1, 2, 3], "right": [2, None, 4], "end": [4, 5, 6], "dead": [0, 1, 0]}, "in whom the event was seen"
    ),
    "no death before": ({"left": [1, 2, 3], "right": [2, None, 4], "end": [4, 5, 6], "dead": [1, 0, 1]}, "not seen"),
    "few": ({"left": [1, 2], "right": [2, None], "end": [4, 5], "dead": [1, 1]}, "fewer events than parameters"),
    "one patient": ({"left": [1], "right": [2], "end": [4], "dead": [1]}, "not seen"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOPELESS)
def test_what_cannot_be_estimated_says_why_and_is_missing(case, seen_at_looks):
    columns, reason = HOPELESS[case]
    fit = fit_illness_death(seen_at_looks(pd.DataFrame(columns)))
    assert reason in str(fit.not_estimable)
    assert fit.baselines()["estimate"].isna().all()
    assert fit.at([2])["estimate"].isna().all()
    assert "Not estimable" in fit.describe()


def test_death_before_any_look_still_counts(liver_deaths, seen_at_looks):
    frame = liver_deaths.iloc[:300]
    never = pd.DataFrame({"left": [0.0] * 2, "right": [np.inf] * 2, "end": [0.0, 0.8], "dead": [True, True], "z": 0.0})
    fit = fit_illness_death(of(pd.concat([frame, never]), seen_at_looks), covariates=["z"])
    facts = fit.glance()
    assert (facts["n"], facts["n_uninformative"], facts["n_half_day"]) == (302, 0, 1)
    without = fit_illness_death(of(frame, seen_at_looks), covariates=["z"]).glance()
    assert facts["n_dead"] == without["n_dead"] + 2


def test_missing_covariates_are_refused_or_counted(liver_deaths, seen_at_looks):
    frame = liver_deaths.iloc[:300].copy()
    frame.loc[:2, "z"] = np.nan
    with pytest.raises(OutcomeError, match="3 of 300 rows"):
        fit_illness_death(of(frame, seen_at_looks), covariates=["z"])
    fit = fit_illness_death(of(frame, seen_at_looks), covariates=["z"], missing="exclude")
    assert (fit.glance()["n_missing_excluded"], fit.glance()["n"]) == (3, 297)


REFUSED = {
    "shape": ({"hazards": "gompertz"}, "hazards='gompertz' is unknown"),
    "cuts of a Weibull": ({"cuts": [2, 4]}, "cut"),
    "cuts in disorder": ({"hazards": "piecewise constant", "cuts": [4, 2]}, "cut"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_asked_is_refused(case, liver_deaths, seen_at_looks):
    how, words = REFUSED[case]
    with pytest.raises(OutcomeError, match=words):
        fit_illness_death(of(liver_deaths, seen_at_looks), **how)


@pytest.mark.parametrize("model", [fit_illness_death, estimate_incidence_bounds])
def test_an_end_of_follow_up_is_needed_and_groups_known_at_the_start(model, liver_deaths, seen_at_looks):
    with pytest.raises(OutcomeError, match="end="):
        model(seen_at_looks(liver_deaths[["left", "right"]]))
    outcome = of(liver_deaths, seen_at_looks)
    known = pd.DataFrame({"patient_id": outcome.frame["patient_id"], "label": "a", "onset": 1, "known_at": 1})
    days = seen_at_looks(liver_deaths[["left", "right", "end", "dead"]])
    with pytest.raises(ImmortalTimeError):
        model(days, by=Groups(known, "later", ("a",)))


def test_results_draw_or_refuse(weibull, liver_deaths, seen_at_looks):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(7, 5))
    assert weibull.plot(ax=ax) is ax
    plt.close(figure)
    with pytest.raises(OutcomeError, match="no figure"):
        estimate_incidence_bounds(of(liver_deaths, seen_at_looks)).plot()


def test_bounds_by_hand(seen_at_looks):
    # found at 2; dead at 4, unknown since 2; one censored at 2 and one at 4: S(2-) = 1, then 3/4 · 1/2 of risk at 4
    frame = pd.DataFrame(
        {"left": [0, 2, 2, 4], "right": [2, None, None, None], "end": [5, 4, 3, 4], "dead": [0, 1, 0, 0]}
    )
    bounds = estimate_incidence_bounds(seen_at_looks(frame, label="cirrhosis"))
    at = bounds.at([1, 2, 4])
    assert at["estimate_low"].tolist() == pytest.approx([0, 1 / 4, 1 / 4])
    assert at["estimate_high"].tolist() == pytest.approx([0, 1 / 4, 1 / 4 + 3 / 4 * 1 / 2])
    assert bounds.glance()["n_unknown"] == 1


@given(DEATHS)
def test_bounds_hold_each_other_and_meet_where_nothing_is_unknown(rows):
    frame = pd.DataFrame(rows, columns=["left", "wait", "gap", "seen", "dead"]).astype(int)
    frame["left"] += 1
    frame["right"] = (frame["left"] + frame["wait"]).where(frame["seen"] == 1)
    frame["end"] = frame["right"].fillna(frame["left"]) + frame["gap"]
    bounds = estimate_incidence_bounds(
        IntervalTime.from_frame(frame, left="left", right="right", end="end", terminal="dead")
    )
    at = bounds.at([1, 3, 5, 8])
    known = at[["estimate_low", "estimate_high"]].dropna()
    assert (known["estimate_low"] <= known["estimate_high"] + 1e-12).all()
    if not bounds.glance()["n_unknown"]:
        np.testing.assert_allclose(known["estimate_low"], known["estimate_high"])


def test_the_model_lies_between_the_bounds_once_everyone_was_looked_at(weibull, liver_deaths, seen_at_looks):
    at = estimate_incidence_bounds(of(liver_deaths, seen_at_looks)).at([10])
    risk = weibull.at([10])["estimate"][0]
    assert at["estimate_low"][0] < risk < at["estimate_high"][0]


def test_the_naive_model_names_its_own_levels():
    """Whoever died unseen is not in it; if a level has nobody else, its terms are fewer than the other model's."""
    random = np.random.default_rng(3)
    left = random.integers(1, 9, 120).astype(float)
    seen, dead = random.random(120) < 0.5, random.random(120) < 0.6
    frame = pd.DataFrame({
        "left": left, "right": np.where(seen, left + 2, np.nan), "end": left + random.integers(2, 9, 120), "dead": dead,
        "g": np.where(np.arange(120) % 2, "a", "b"),
    })  # fmt: skip
    unseen = pd.DataFrame({"left": 0.0, "right": np.nan, "end": [3.0, 5, 4, 6, 2, 7], "dead": True, "g": "c"})
    everyone = pd.concat([frame, unseen], ignore_index=True)
    outcome = IntervalTime.from_frame(
        everyone, left="left", right="right", end="end", terminal="dead", covariates=["g"]
    )
    tidy = fit_illness_death(outcome, covariates=["g"]).tidy()
    assert tidy.loc[tidy["biased"], "term"].tolist() == ["g: b (ref. a)"]
    assert len(tidy) == 3 * 2 + 1


@pytest.mark.parametrize("cuts", ["early", 5, [None]])
def test_cuts_are_a_list_of_numbers(cuts, liver_deaths, seen_at_looks):
    with pytest.raises(OutcomeError, match="no list of numbers"):
        fit_illness_death(of(liver_deaths, seen_at_looks), hazards="piecewise constant", cuts=cuts)
