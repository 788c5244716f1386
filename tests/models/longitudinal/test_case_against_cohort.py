"""One patient against the cohort: what is left out, what is conditioned on, what is refused, and what is covered."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.errors import DisclosureError, OutcomeError
from aih_outcomes.models.longitudinal.case_against_cohort import case_against_cohort
from aih_outcomes.models.longitudinal.gaussian.prediction import (
    condition,
    joint_distance,
    limit_of_distance,
    predict,
)
from aih_outcomes.models.longitudinal.left_out import expect
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.result import TIDY_COLUMNS
from aih_outcomes.outcomes import RepeatedMeasures, Switches

CASE = "c0"


def invented(n=24, *, seed=2, effect=0.0, values=(9, 14)):
    """Courses of log ALT where the model holds, with the first value after the fourth that is high as the flare."""
    random = np.random.default_rng(seed)
    rows, moments = [], []
    for place in range(n):
        day = np.sort(random.choice(900, random.integers(*values), replace=False)).astype(float)
        dose = np.round(np.clip(0.8 - day / 900 + random.normal(0, 0.15, len(day)), 0, None), 2)
        serial = 0.6**2 * np.exp(-np.abs(day[:, None] - day) / 90)
        log = 1 - 0.2 * day / 365.25 + 0.4 * dose + random.normal(0, 0.4) + random.normal(0, 0.2) * day / 365.25
        log += random.multivariate_normal(np.zeros(len(day)), serial)
        high = np.flatnonzero(log[3:-2] > 1.1)
        at = day[3 + high[0]] if len(high) else day[4]
        switched = place in (0, 1)
        if switched:
            log = log - effect * (day > at)
        rows += [(f"c{place}", d, v, s) for d, v, s in zip(day, np.exp(log), dose, strict=True)]
        moments.append((f"c{place}", at, switched, float(place % 3)))
    frame = pd.DataFrame(rows, columns=["id", "day", "alt", "steroid"])
    return frame, pd.DataFrame(moments, columns=["id", "day", "switched", "lines"])


def read(frame):
    return RepeatedMeasures.from_frame(
        frame, patient_id="id", time="day", value="alt", covariates=["steroid"], label="ALT", unit="× ULN"
    )


def read_switches(moments, **how):
    return Switches.from_frame(
        moments, patient_id="id", time="day", switched="switched", covariates=["lines"], label="first dose", **how
    )


def fit_of(frame, *, serial="exponential", **how):
    return fit_random_effects(read(frame), covariates=["steroid"], serial=serial, scale="log", **how)


def against(frame, moments, *, day=None, **how):
    at = float(moments.loc[moments["id"] == CASE, "day"].iloc[0]) if day is None else day
    how = {"steroid": "steroid", **how}
    return case_against_cohort(fit_of(frame), CASE, from_day=at, switches=read_switches(moments), **how)


@pytest.fixture(scope="module")
def cohort():
    return invented()


@pytest.fixture(scope="module")
def found(cohort):
    return against(*cohort)


def rows_at(rows, places):
    """The rows of the engine at some places, none of them nested."""
    several = ("response", "X", "patient", "time", "Z", "stratum", "weight")
    return replace(rows, **{name: getattr(rows, name)[places] for name in several})


def before_switch(frame, moments):
    """Rows that may be used: nobody's after their own switch."""
    at = moments[moments["switched"]].set_index("id")["day"]
    return frame[frame["day"] <= frame["id"].map(at).fillna(np.inf)]


def test_matches_r_nlme_on_invented_data(r_figures, assert_close, shared):
    expected = r_figures("case_against_cohort")
    frame = pd.read_csv("tests/reference/case_against_cohort.csv")
    fit = fit_of(frame)
    places = np.flatnonzero(fit.frame["patient_id"].to_numpy(str) == "1")
    k = int(np.sum(fit.frame["time"].to_numpy(float)[places] <= expected["day"]))
    one = expect(fit.fitted, np.ones(len(fit.frame), bool), places[:k], places[k:], start=fit.fitted)
    assert one.fitted.evaluation.loglik >= expected["loglik"] - 1e-6 * abs(expected["loglik"])
    # nlme stops a little before its own optimum
    assert_close(one.prediction.mean, expected["mean"], 5e-4, se=expected["sd"], what="predicted log ALT")
    rows = fit.fitted.rows
    own = rows_at(rows, places)
    V, root = one.fitted.kernel.covariance(one.fitted.evaluation, own), one.fitted.evaluation.root
    known = condition(V, own.X, one.fitted.evaluation.beta, own.response[:k])
    covariance = known.covariance + known.slopes @ root @ root.T @ known.slopes.T
    assert_close(np.sqrt(np.diag(covariance)), expected["sd"], 5e-4, what="standard deviation")
    assert_close(joint_distance(one.difference, covariance)[-1], expected["distance"], 5e-4, what="joint distance")
    assert (np.diag(one.prediction.covariance) > np.diag(covariance)).all()


def test_the_fit_is_that_of_the_others_before_their_own_switch(cohort, found):
    frame, moments = cohort
    others = before_switch(frame, moments)
    fit = fit_of(others[others["id"] != CASE])
    assert found.expected.fitted.evaluation.loglik == pytest.approx(fit.loglik, abs=1e-7)
    np.testing.assert_allclose(found.expected.fitted.evaluation.beta, fit.estimate, rtol=1e-6)


def test_an_error_without_variance_is_left_out(cohort, found):
    frame, moments = cohort
    at = float(moments["day"].iloc[0])
    fit = fit_of(frame, serial="exponential and error")
    theta = fit.fitted.evaluation.theta.copy()
    theta[-1] = -20.0
    rows = np.flatnonzero(fit.frame["patient_id"].to_numpy(str) == CASE)
    days = fit.frame["time"].to_numpy(float)
    usable = days <= fit.frame["patient_id"].map(moments[moments["switched"]].set_index("id")["day"]).fillna(np.inf)
    start = replace(fit.fitted, evaluation=replace(fit.fitted.evaluation, theta=theta))
    own = rows[days[rows] <= at], rows[days[rows] > at]
    one = expect(fit.fitted, usable.to_numpy(bool), *own, start=start)
    assert "logit error share" not in one.fitted.kernel.parameters
    np.testing.assert_allclose(one.distance, found.expected.distance, rtol=1e-5)


def test_values_after_the_switch_do_not_move_what_is_predicted(cohort, found):
    frame, moments = cohort
    at = moments.set_index("id")["day"]
    late = frame["id"].isin(["c0", "c1"]) & (frame["day"] > frame["id"].map(at))
    moved = against(frame.assign(alt=frame["alt"].where(~late, frame["alt"] / 5)), moments)
    one, other = found.tidy(), moved.tidy()
    np.testing.assert_allclose(other["estimate"], one["estimate"], rtol=1e-6)
    np.testing.assert_allclose(other["std_error"], one["std_error"], rtol=1e-6)
    assert moved.glance()["distance"] > found.glance()["distance"] + 1
    assert moved.glance()["mean_difference"] == pytest.approx(found.glance()["mean_difference"] - np.log(5), rel=1e-5)
    np.testing.assert_allclose(moved.peers["distance"], found.peers["distance"], rtol=1e-6)


def test_the_flare_itself_is_conditioned_on(cohort, found):
    frame, moments = cohort
    at = float(moments["day"].iloc[0])
    flare = (frame["id"] == CASE) & (frame["day"] == at)
    higher = against(frame.assign(alt=frame["alt"].where(~flare, frame["alt"] * 4)), moments)
    one, other = found.tidy(), higher.tidy()
    after = one["term"] == "after"
    assert (other.loc[after, "estimate"] > one.loc[after, "estimate"]).all()
    assert other.loc[after, "estimate"].iloc[0] < 4 * one.loc[after, "estimate"].iloc[0]  # it returns towards the mean


def test_each_peer_is_predicted_as_the_case_is(cohort, found):
    frame, moments = cohort
    since = found.tidy().query("term == 'after'")["since"]
    others = before_switch(frame, moments)
    others = others[others["id"] != CASE]
    compared = 0
    for name in ("c2", "c3", "c4", "c5"):
        at = float(moments.set_index("id")["day"][name])
        fit, switches = fit_of(others), read_switches(moments)
        alone = case_against_cohort(fit, name, from_day=at, switches=switches, horizon=float(since.max())).glance()
        if alone["n_after"] <= len(since):  # else only those nearest in time to the case's are taken
            assert (found.peers["distance"] - alone["distance"]).abs().min() < 1e-5
            compared += 1
    assert compared >= 2


def test_the_rank_counts_peers_that_lie_farther(found):
    glance = found.glance()
    assert glance["n_ranked"] == len(found.peers) + 1
    assert glance["rank"] == 1 + (found.peers["calibrated"] > glance["calibrated"]).sum()
    assert glance["n_ranked"] + glance["n_left_out"] == 23  # c1 switched, and has no pseudo-switch


def test_the_mean_difference_has_a_rank_of_its_own(found):
    glance, own = found.glance(), found.expected
    spread = np.sqrt(own.prediction.covariance.sum())
    assert glance["standardised_mean"] == pytest.approx((own.difference / spread).sum())
    assert glance["rank_on_average"] == 1 + (found.peers["standardised_mean"].abs() > abs(own.standardised_mean)).sum()
    assert found.against_peers().set_index("term").loc["farther on average", "n"] == glance["rank_on_average"] - 1


def test_a_calm_and_lasting_fall_is_far_on_average_where_the_joint_distance_is_near():
    frame, moments = invented(seed=5)
    fit, switches = fit_of(frame), read_switches(moments)
    at = float(moments["day"].iloc[0])
    late = (frame["id"] == CASE) & (frame["day"] > at)
    expected = case_against_cohort(fit, CASE, switches=switches, steroid="steroid").tidy().query("term == 'after'")
    calm = frame["alt"].copy()
    calm[late] = expected["estimate"].to_numpy() * np.exp(-1.3)
    found = against(frame.assign(alt=calm), moments).glance()
    assert found["distance"] < found["limit"]
    assert found["rank_on_average"] < found["rank"]


def test_an_effect_is_far_and_its_absence_is_not():
    glance = against(*invented(seed=5, effect=2.5)).glance()
    assert glance["rank"] == 1
    assert glance["distance"] > glance["limit"]
    assert glance["mean_difference"] < -1.5
    without = against(*invented(seed=5)).glance()
    assert without["distance"] < without["limit"]


def test_row_order_and_names_change_nothing(cohort, found):
    frame, moments = cohort
    names = {name: f"p{97 - place}" for place, name in enumerate(moments["id"]) if name != CASE} | {CASE: CASE}
    shuffled = frame.sample(frac=1, random_state=1).assign(id=lambda rows: rows["id"].map(names))
    other = against(shuffled, moments.sample(frac=1, random_state=2).assign(id=lambda rows: rows["id"].map(names)))
    np.testing.assert_allclose(other.tidy()["conf_high"], found.tidy()["conf_high"], rtol=1e-5)
    np.testing.assert_allclose(np.sort(other.peers["distance"]), np.sort(found.peers["distance"]), rtol=1e-5)
    assert other.glance()["rank"] == found.glance()["rank"]


def test_the_horizon_ends_the_series(cohort):
    frame, moments = cohort
    short = against(frame, moments, horizon=200.0)
    assert short.tidy()["since"].max() <= 200
    assert short.peers["n_values"].max() <= short.glance()["n_after"]


def test_within_keeps_only_peers_like_the_case(cohort, found):
    alike = against(*cohort, within={"lines": 0.0})
    assert 0 < len(alike.peers) < len(found.peers)
    assert alike.left_out["n"].sum() > found.left_out["n"].sum()
    assert alike.glance()["distance"] == pytest.approx(found.glance()["distance"])


def test_fewer_than_three_values_before_are_not_estimable(cohort):
    frame, moments = cohort
    first = np.sort(frame.loc[frame["id"] == CASE, "day"])[1]
    none = against(frame, moments, day=float(first))
    assert "fewer than 3 values" in none.glance()["not_estimable"]
    assert none.tidy()["estimate"].isna().all()
    assert none.tidy()["observed"].notna().all()
    assert "Not estimable" in none.describe()
    assert len(none.peers) == 0


def test_no_value_after_is_not_estimable(cohort):
    frame, moments = cohort
    at = moments["day"].iloc[0]
    ended = against(frame[(frame["id"] != CASE) | (frame["day"] <= at)], moments)
    assert ended.glance()["not_estimable"] == "no value after the switch"


def test_a_term_that_only_the_case_has_is_not_estimable(cohort):
    frame, moments = cohort
    at = moments.set_index("id")["day"]
    on = frame.assign(drug=((frame["id"] == CASE) & (frame["day"] > frame["id"].map(at))).astype(float))
    measures = RepeatedMeasures.from_frame(on, patient_id="id", time="day", value="alt", covariates=["drug"])
    fit = fit_random_effects(measures, covariates=["drug"], serial="exponential", scale="log")
    alone = case_against_cohort(fit, CASE, from_day=float(at[CASE]), switches=read_switches(moments))
    assert "no counterpart among the others" in alone.not_estimable


def test_nothing_is_attributed_without_the_steroid_dose(cohort, found):
    frame, moments = cohort
    assert found.no_attribution is None
    assert "No difference is attributed" in against(frame, moments, steroid=None).describe()
    at = float(moments["day"].iloc[0])
    bare = fit_random_effects(read(frame), serial="exponential", scale="log")
    drawn = case_against_cohort(bare, CASE, from_day=at, switches=read_switches(moments), steroid="steroid")
    assert drawn.no_attribution == "the model does not hold the steroid dose"
    assert drawn.tidy()["steroid"].notna().all()
    own = (frame["id"] == CASE) & (frame["day"] > at)
    more = against(frame.assign(steroid=frame["steroid"].where(~own, 9.0)), moments)
    assert "higher than any" in more.no_attribution


def test_a_model_without_serial_correlation_says_so(cohort):
    frame, moments = cohort
    at = float(moments["day"].iloc[0])
    fit = fit_of(frame, serial="independent")
    words = case_against_cohort(fit, CASE, from_day=at, switches=read_switches(moments)).describe()
    assert "the bands are too narrow" in words


def test_the_own_switch_is_the_day_where_none_is_given(cohort, found):
    frame, moments = cohort
    fit, switches = fit_of(frame), read_switches(moments)
    own = case_against_cohort(fit, CASE, switches=switches, steroid="steroid")
    assert own.glance()["from_day"] == found.glance()["from_day"]
    assert own.glance()["distance"] == pytest.approx(found.glance()["distance"])
    assert own.moment == "first dose"


def test_a_moment_without_a_switch_is_called_so(cohort):
    frame, moments = cohort
    fit, switches = fit_of(frame), read_switches(moments)
    peer = case_against_cohort(fit, "c6", switches=switches, from_day=float(moments.set_index("id")["day"]["c6"]))
    assert "no first dose: a moment to compare with" in peer.describe()
    day = float(moments["day"].iloc[0]) - 5
    assert case_against_cohort(fit, CASE, switches=switches, from_day=day).moment == "5 days before the first dose"


def test_what_must_be_said_is_said(found):
    words = found.describe()
    assert "would have continued without the switch is an assumption" in words
    assert "not for guiding the treatment" in words
    assert "too narrow" not in words
    assert "no test" in words
    assert "p =" not in words
    assert "p_value" not in found.tidy()
    assert "p_value" not in found.glance()


def test_the_frames_keep_the_contract(found):
    for frame in (found.tidy(), found.against_peers()):
        known = [name for name in frame if name in TIDY_COLUMNS]
        assert known == [name for name in TIDY_COLUMNS if name in known]
    tidy = found.tidy()
    assert tidy["distance"].dropna().is_monotonic_increasing
    after = tidy[tidy["term"] == "after"]
    assert ((after["conf_low"] < after["inner_low"]) & (after["inner_high"] < after["conf_high"])).all()
    assert after["distance"].iloc[-1] == found.glance()["distance"]


def test_it_draws_on_axes_given_and_on_its_own(found):
    from aih_outcomes.figures import figure_of, open_figure

    ax = open_figure(width="single").add_subplot()
    assert found.plot(ax=ax) is ax
    assert len(figure_of(found.plot()).axes) == 3


def test_the_rows_of_the_case_do_not_pass_a_small_number_rule(found):
    with pytest.raises(DisclosureError):
        apply_policy(found.tidy(), "lt5")


def test_small_counts_of_peers_are_hidden_and_the_quantiles_stay(found):
    exact = found.against_peers().set_index("term")
    assert exact.loc["farther", "n"] == found.glance()["rank"] - 1
    assert exact.loc["farther, same side", "n"] <= exact.loc["farther", "n"]
    few = found.against_peers().assign(n=[22] * 10 + [2, 0, 6])
    shown = apply_policy(few, "lt5").set_index("term")
    assert pd.isna(shown.loc["farther", "n"])
    assert shown.loc["50 %", "n"] == 20
    assert shown.loc["50 %", "estimate"] == pytest.approx(exact.loc["50 %", "estimate"], abs=0.01)
    nobody = apply_policy(found.against_peers().assign(n=[8] * 10 + [0, 0, 0], denominator=8), "lt5")
    assert nobody["estimate"].iloc[:10].isna().all()


def test_the_caption_gives_no_small_count_of_peers_away(found):
    few = replace(found, peers=found.peers.iloc[:12].assign(calibrated=[9.0] + [-9.0] * 11))
    assert "fewer than a quarter lie farther from their prediction jointly" in few.describe()
    many = replace(found, peers=pd.concat([found.peers.assign(calibrated=9.0)] * 4))
    assert "all lie farther from their prediction jointly" in many.describe()


def test_no_message_names_the_patient_asked_for(cohort):
    frame, moments = cohort
    fit = fit_of(frame)
    without, known = read_switches(moments[moments["id"] != CASE]), read_switches(moments)
    for ask in (
        lambda: case_against_cohort(fit, CASE, switches=without),
        lambda: case_against_cohort(fit, "a name", switches=known),
        lambda: case_against_cohort(fit, CASE, switches=known, from_day=1e6),
        lambda: case_against_cohort(fit, CASE, switches=without, from_day=300.0, within={"lines": 1}),
    ):
        with pytest.raises(OutcomeError) as caught:
            ask()
        assert CASE not in str(caught.value).split()
        assert "a name" not in str(caught.value)
    found = case_against_cohort(fit, CASE, switches=known)
    assert CASE not in found.describe().split()
    assert CASE not in {str(value) for value in found.glance().values()}


def test_a_dose_in_words_is_refused(cohort):
    frame, moments = cohort
    words = frame.assign(steroid=np.where(frame["steroid"] > 0.3, "much", "little"))
    with pytest.raises(OutcomeError, match="is no number"):
        case_against_cohort(fit_of(words), CASE, switches=read_switches(moments), steroid="steroid")


def test_wrong_requests_are_refused(cohort):
    frame, moments = cohort
    fit, switches = fit_of(frame), read_switches(moments)
    at = float(moments["day"].iloc[0])
    other_clock = read_switches(moments, time_zero="diagnosis")
    for way, message in (
        (lambda: case_against_cohort(fit, "nobody", from_day=at, switches=switches), "no value among those"),
        (lambda: case_against_cohort(fit, CASE, from_day=at + 1, switches=switches), "after the patient's own switch"),
        (lambda: case_against_cohort(fit, CASE, from_day=at, switches=other_clock), "share one clock"),
        (lambda: case_against_cohort(fit, "c7", switches=switches), "has no switch"),
        (lambda: case_against_cohort(fit, CASE, from_day=np.nan, switches=switches), "no day"),
        (lambda: case_against_cohort(fit, CASE, from_day=at, switches=moments), "no Switches"),
        (lambda: case_against_cohort(fit, CASE, switches=switches, horizon=0), "leaves no day after the switch"),
        (lambda: case_against_cohort(fit, CASE, switches=switches, within=["lines"]), "within= is a list"),
        (
            lambda: case_against_cohort(fit, CASE, from_day=at, switches=switches, steroid="x"),
            "not among the covariates",
        ),
    ):
        with pytest.raises(OutcomeError, match=message):
            way()


def test_a_model_by_visits_is_refused(cohort):
    from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures

    frame, moments = cohort
    fit = fit_repeated_measures(read(frame), visits=[100, 300, 500, 700], covariance="ar1")
    with pytest.raises(OutcomeError, match="not one of random effects"):
        case_against_cohort(fit, CASE, from_day=float(moments["day"].iloc[0]), switches=read_switches(moments))


def wandering(n, *, seed):
    """Courses that wander for months, and are high when therapy could have been switched."""
    random = np.random.default_rng(seed)
    rows, moments = [], []
    for place in range(n):
        day = np.sort(random.choice(900, random.integers(12, 19), replace=False)).astype(float)
        serial = 0.8**2 * np.exp(-np.abs(day[:, None] - day) / 250)
        log = 1 + random.normal(0, 0.3) + random.multivariate_normal(np.zeros(len(day)), serial)
        high = np.flatnonzero(log[3:-3] > 1.6)
        moments.append((f"{seed}-{place}", day[3 + high[0]] if len(high) else day[5]))
        rows += [(f"{seed}-{place}", d, v, 0.0) for d, v in zip(day, np.exp(log), strict=True)]
    return pd.DataFrame(rows, columns=["id", "day", "alt", "steroid"]), dict(moments)


def coverage(frame, new, at, serial):
    """Share of later values within 95 % limits, and of series within theirs, of patients who are not in the fit."""
    how = {"course": None, "random": "1", "serial": serial, "scale": "log"}
    fit, other = fit_random_effects(read(frame), **how), fit_random_effects(read(new), **how)  # of this only the rows
    rows, days = other.fitted.rows, other.frame["time"].to_numpy(float)
    switch = other.frame["patient_id"].map(at).to_numpy(float)
    root, values, series = fit.fitted.evaluation.root, [], []
    for patient in np.unique(rows.patient):
        own = np.flatnonzero(rows.patient == patient)
        k = int(np.sum(days[own] <= switch[own]))
        one = predict(fit.fitted, rows_at(rows, own), rows.X[own], rows.response[own[:k]], vcov=root @ root.T)
        low, high = one.limits(0.95)
        late = rows.response[own[k:]]
        values.append(np.mean((low <= late) & (late <= high)))
        series.append(joint_distance(late - one.mean, one.covariance)[-1] < limit_of_distance(len(late), 0.95))
    return np.array(values), np.array(series, float)


def test_intervals_cover_after_a_flare_and_fall_short_without_serial_correlation():
    (frame, _), (new, at) = wandering(120, seed=11), wandering(250, seed=12)
    for share in coverage(frame, new, at, "exponential"):
        assert abs(share.mean() - 0.95) < 3 * np.sqrt(0.95 * 0.05 / len(share))
    values, series = coverage(frame, new, at, "independent")
    assert values.mean() < 0.90
    assert series.mean() < 0.85
