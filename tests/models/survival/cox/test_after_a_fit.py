"""What follows a Cox fit: what it refuses, what it says, and where it begins under late entry."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.baseline import estimate_baseline_hazard
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.prediction import predict_survival
from aih_outcomes.models.survival.cox.proportional_hazards import check_proportional_hazards
from aih_outcomes.models.survival.cox.refit import refit
from aih_outcomes.models.survival.cox.residuals import compute_residuals
from aih_outcomes.models.survival.cox.standardisation import estimate_standardised_survival
from aih_outcomes.models.survival.cox.time_split import fit_by_period, split_follow_up
from aih_outcomes.outcomes import TimeToEvent

TWO = pd.DataFrame({"arm": ["a", "b"], "x": [0.0, 1.0]})


def rng():
    return np.random.default_rng(1)


def patients(n=60, **columns):
    draw = np.random.default_rng(5)
    frame = pd.DataFrame({
        "time": draw.integers(5, 60, n), "dead": draw.integers(0, 2, n), "arm": ["a", "b"] * (n // 2),
        "x": draw.normal(size=n).round(2), "since": 0,
    })  # fmt: skip
    return frame.assign(**columns)


def outcome(frame, **how):
    return TimeToEvent.from_frame(
        frame, exit="time", event="dead", entry="since", covariates=["arm", "x"], label="death", **how
    )


@pytest.fixture(scope="module")
def fit():
    return fit_cox(outcome(patients()), by="arm", covariates=["x"])


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda fit: estimate_baseline_hazard(fit, hazard="banana"), "hazard='banana' is unknown"),
        (lambda fit: predict_survival(fit, TWO, hazard="banana"), "hazard='banana' is unknown"),
        (lambda fit: predict_survival(fit, TWO, conf_type="banana"), "conf_type='banana' is unknown"),
        (lambda fit: predict_survival(fit, TWO.set_axis([7, 7])), "1 of 2 rows have a name that another row has"),
        (lambda fit: predict_survival(fit, TWO.to_dict()), "A dict is given"),
        (lambda fit: compute_residuals(fit, "banana"), "kind='banana' is unknown"),
        (lambda fit: check_proportional_hazards(fit, transform="banana"), "transform='banana' is unknown"),
        (lambda fit: estimate_standardised_survival(fit, rng=rng(), n_resamples=0), "n_resamples=0 is no number"),
        (lambda fit: estimate_standardised_survival(fit, rng=1), "rng is a int"),
        (lambda fit: refit(fit, rng=None), "rng is a NoneType"),
        (lambda fit: refit(fit, rng=rng(), n_resamples=2.5), "n_resamples=2.5 is no number"),
        (lambda fit: split_follow_up(fit, at=[5]), "CoxFit is no TimeToEvent"),
        (lambda fit: split_follow_up(fit.outcome, at=["soon"]), "1 time.s. are given to split"),
        (lambda fit: fit_by_period(fit.frame, at=[5], by="arm"), "DataFrame is no TimeToEvent"),
    ],
)
def test_what_does_not_exist_is_refused_not_taken_for_something_else(fit, ask, words):
    with pytest.raises(OutcomeError, match=words):
        ask(fit)


@pytest.mark.parametrize(
    "ask",
    [
        estimate_baseline_hazard,
        lambda what: predict_survival(what, TWO),
        lambda what: compute_residuals(what, "martingale"),
        check_proportional_hazards,
        lambda what: estimate_standardised_survival(what, rng=rng()),
        lambda what: refit(what, rng=rng()),
    ],
)
def test_what_is_no_cox_fit_is_refused(ask):
    with pytest.raises(OutcomeError, match="TimeToEvent is no Cox fit"):
        ask(outcome(patients()))


def test_events_per_parameter_stand_beside_everything_that_follows_a_fit(fit):
    results = [
        estimate_baseline_hazard(fit), predict_survival(fit, TWO), check_proportional_hazards(fit),
        estimate_standardised_survival(fit, rng=rng(), n_resamples=5), refit(fit, rng=rng(), n_resamples=5),
    ]  # fmt: skip
    assert {result.glance()["events_per_parameter"] for result in results} == {fit.events_per_parameter}


def test_nobody_described_from_far_outside_the_data_breaks_the_prediction(fit):
    far = predict_survival(fit, pd.DataFrame({"arm": ["b", "b"], "x": [1e6, -1e6]}), times=[30]).tidy()
    assert sorted(far["estimate"]) == [0, 1]


def test_the_means_of_nobody_are_no_answer():
    empty = outcome(patients(dead=0))
    fit = fit_cox(empty.with_rows(empty.frame.iloc[:0]), by="arm", covariates=["x"])
    hazard = estimate_baseline_hazard(fit, at="means")
    assert hazard.not_estimable
    assert hazard.tidy().empty


def test_the_test_of_proportional_hazards_says_p_and_the_words_of_its_design():
    frame = patients(200)
    frame = frame.assign(time=np.where(frame["arm"] == "a", frame["time"], frame["time"] % 7 + 25), dead=1)
    rows = outcome(frame, design="landmark at day 28")
    text = check_proportional_hazards(fit_cox(rows, by="arm")).describe()
    assert "p < 0.001" in text
    assert text.endswith("Prognostic association, not a treatment effect.")


def test_a_model_without_terms_has_no_coefficient_to_draw():
    fit = fit_cox(outcome(patients(arm="a")), by="arm")
    with pytest.raises(OutcomeError, match="has no terms"):
        check_proportional_hazards(fit).plot()


@pytest.fixture(scope="module")
def few_early():
    """Two are followed from the start and one of them dies; everyone else comes on day 10."""
    frame = patients(since=10, time=np.random.default_rng(3).integers(12, 60, 60))
    frame.loc[0, ["since", "time", "dead"]] = [0, 4, 1]
    frame.loc[1, ["since", "time", "dead"]] = [0, 40, 1]
    return fit_cox(outcome(frame), by="arm", covariates=["x"])


def test_statistics_rule_13_standardised_curves_begin_where_enough_are_at_risk(few_early):
    result = estimate_standardised_survival(few_early, rng=rng(), n_resamples=20)
    tidy = result.tidy()
    assert result.alive_at == result.glance()["alive_at"] == 10
    assert tidy.groupby("strata")["time"].min().tolist() == [10, 10]
    assert tidy.groupby("strata")["estimate"].max().tolist() == pytest.approx([1, 1], rel=1e-12)
    rows = few_early.frame
    assert tidy["n_event"].sum() == ((rows["event"] == "death") & rows["exit"].between(11, result.horizon)).sum()
    assert "Given event-free at about 0.25 years" in result.describe()
    means = result.contrasts().query("measure == 'restricted_mean'")
    assert (means["estimate"] <= result.horizon - 10).all()


def test_without_other_terms_a_standardised_curve_is_the_predicted_one_given_its_beginning(few_early):
    fit = fit_cox(few_early.outcome, by="arm")
    at = estimate_standardised_survival(fit, rng=rng(), n_resamples=5).at([20, 30])
    predicted = predict_survival(fit, pd.DataFrame({"arm": ["a", "b"]}), times=[10, 20, 30]).tidy()
    wide = predicted.pivot_table(index="time", columns="strata", values="estimate")
    for level, column in (("a", "0"), ("b", "1")):
        expected = wide[column].loc[[20, 30]].to_numpy() / wide[column].loc[10]
        assert at[at["strata"] == level]["estimate"].to_numpy() == pytest.approx(expected, rel=1e-12)


def test_a_horizon_before_the_beginning_is_not_estimable(few_early):
    result = estimate_standardised_survival(few_early, rng=rng(), horizon=8, n_resamples=5)
    assert "not lie after the beginning" in result.not_estimable
