"""Gaussian mechanisms: moments by hand, and shares and limits counted in ways that need no model."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.outcomes import RepeatedMeasures
from aih_outcomes.simulate.mechanisms.courses import (
    NOMINAL,
    SPREAD,
    Spread,
    compute_mean,
    draw_courses,
    draw_deviations,
    draw_lines,
)
from aih_outcomes.simulate.mechanisms.dropout import draw_dropout
from aih_outcomes.simulate.mechanisms.nominal import CORRELATION, DAYS, draw_visits
from aih_outcomes.simulate.mechanisms.switches import compute_chance, draw_switches
from aih_outcomes.simulate.mechanisms.visit_process import draw_visit_process

FILE = Path(__file__).resolve().parents[2] / "data" / "synthetic" / "truth.json"
DRAWS: dict[str, Callable[[np.random.Generator], pd.DataFrame]] = {
    "courses": lambda rng: draw_courses(rng, 200),
    "courses, errors independent": lambda rng: draw_courses(rng, 200, serial="none"),
    "visits": lambda rng: draw_visits(rng, 200),
    "dropout": lambda rng: draw_dropout(rng, 200),
    "dropout, MCAR": lambda rng: draw_dropout(rng, 200, dropout="MCAR"),
    "dropout, MNAR": lambda rng: draw_dropout(rng, 200, dropout="MNAR"),
    "visit process, fixed": lambda rng: draw_visit_process(rng, 200, visits="fixed"),
    "visit process, observed": lambda rng: draw_visit_process(rng, 200, visits="observed"),
    "visit process, latent": lambda rng: draw_visit_process(rng, 200),
    "switches": lambda rng: draw_switches(rng, 200)[0],
    "flares": lambda rng: draw_switches(rng, 200)[1],
}


@pytest.fixture(scope="module")
def committed() -> dict[tuple[str, str], dict]:
    return {(e["name"], e["mechanism"]): e for e in json.loads(FILE.read_text(encoding="utf-8"))["estimands"]}


def assert_mean(values: np.ndarray | pd.Series, truth: float, *, error: float = 0.0) -> None:
    """A mean of n independent values lies within 4 standard errors of the truth."""
    values = np.asarray(values, float)
    limit = 4 * np.hypot(values.std() / len(values) ** 0.5, error)
    assert abs(values.mean() - truth) < limit, (values.mean(), truth, limit)


def residuals(frame: pd.DataFrame) -> np.ndarray:
    """(n,) values less their mean given time, treatment and marker."""
    years, treated, marker = (frame[name].to_numpy(float) for name in ("time", "treated", "marker"))
    return frame["value"].to_numpy(float) - compute_mean(years / 365.25, treated, marker)


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_seed_gives_the_same_rows_and_another_seed_others(name: str) -> None:
    one, again, other = (DRAWS[name](np.random.default_rng(seed)) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(one, again)
    assert not one.equals(other)


@pytest.mark.parametrize("name", [name for name in DRAWS if name != "flares"])
def test_values_follow_in_time_and_enter_an_outcome(name: str) -> None:
    frame = DRAWS[name](np.random.default_rng(5))
    covariates = [column for column in ("treated", "marker", "steroid") if column in frame]
    measures = RepeatedMeasures.from_frame(
        frame, patient_id="patient_id", time="time", value="value", covariates=covariates
    )
    assert measures.frame["patient_id"].nunique() == 200
    same = frame["patient_id"].eq(frame["patient_id"].shift())
    assert (frame["time"].diff()[same] > 0).all()
    assert frame["patient_id"].is_monotonic_increasing


def test_covariance_of_a_course_by_hand() -> None:
    spread = Spread(intercept=2.0, slope=1.0, correlation=0.5, serial=3.0, days=10.0, error=1.0)
    at = np.array([0.0, 365.25])
    # Var(b0) + serial² + error²; a year later Var(b0 + b1) = 4 + 1 + 2 × 0.5 × 2 × 1 = 7; Cov(b0, b0 + b1) = 4 + 1
    expected = [[4 + 9 + 1, 5 + 9 * np.exp(-36.525)], [5 + 9 * np.exp(-36.525), 7 + 9 + 1]]
    np.testing.assert_allclose(spread.covariance(at), expected, rtol=1e-12)
    half = spread.covariance(np.array([0.0, 10 * np.log(2)]))  # serial part halves every 10 log 2 days
    assert half[0, 1] == pytest.approx(4 + 1 * 10 * np.log(2) / 365.25 + 4.5, rel=1e-12)


def test_mean_of_a_course_by_hand() -> None:
    years, treated, marker = np.array([0.0, 2.0, 2.0]), np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0])
    np.testing.assert_allclose(compute_mean(years, treated, marker), [0.9, 0.9, 0.2], rtol=1e-12)
    np.testing.assert_allclose(compute_mean(years, treated, marker, effect="none"), [0.9, 0.9, 0.9], rtol=1e-12)


def test_own_lines_and_deviations_have_the_moments_told() -> None:
    rng = np.random.default_rng(6)
    intercept, slope = draw_lines(rng, 100_000, SPREAD)
    assert_mean(intercept**2, SPREAD.intercept**2)
    assert_mean(slope**2, SPREAD.slope**2)
    assert_mean(intercept * slope, SPREAD.correlation * SPREAD.intercept * SPREAD.slope)
    path = draw_deviations(rng, np.broadcast_to([0.0, 60.0, 60.0, 180.0], (100_000, 4)), SPREAD)
    variance = SPREAD.serial**2
    for k in range(4):
        assert_mean(path[:, k] ** 2, variance)
    assert_mean(path[:, 0] * path[:, 1], variance * np.exp(-1))
    assert_mean(path[:, 1] * path[:, 3], variance * np.exp(-2))
    np.testing.assert_allclose(path[:, 1], path[:, 2], rtol=1e-12)


@pytest.mark.parametrize("serial", ["exponential", "none"])
def test_courses_have_the_mean_and_covariance_told(committed: dict, serial: str) -> None:
    frame = draw_courses(np.random.default_rng(7), 30_000, serial=serial)
    frame["visit"] = np.abs(frame["time"].to_numpy(float)[:, None] - NOMINAL).argmin(axis=1)
    wide = frame.assign(residual=residuals(frame)).pivot(index="patient_id", columns="visit", values="residual")
    words = "" if serial == "exponential" else ", errors independent"
    spread = Spread(**committed["variance components", f"Gaussian course{words}"]["value"])
    for column in wide:
        assert_mean(wide[column].dropna(), 0.0)
    for one, other in ((0, 0), (0, 1), (5, 5), (5, 11)):  # days differ by a few: the mean over them
        at = frame.pivot(index="patient_id", columns="visit", values="time")[[one, other]].iloc[:, [0, -1]].dropna()
        expected = [spread.covariance(days)[0, -1] if one != other else spread.covariance(days[:1])[0, 0]
                    for days in at.to_numpy(float)[:3000]]  # fmt: skip
        both = (wide[one] * wide[other]).dropna().to_numpy(float)
        assert_mean(both, float(np.mean(expected)), error=float(np.std(expected)) / 3000**0.5)


def test_courses_miss_a_tenth_of_visits_but_never_the_first() -> None:
    frame = draw_courses(np.random.default_rng(8), 20_000)
    number = frame.groupby("patient_id").size()
    assert_mean(number, 1 + 11 * 0.9)
    assert (frame.groupby("patient_id")["time"].first() == 0).all()
    assert (frame["time"] == frame["time"].round()).all()
    assert frame.groupby("patient_id")["treated"].first().mean() == 0.5


def test_nominal_visits_have_the_means_and_correlations_told(committed: dict) -> None:
    frame = draw_visits(np.random.default_rng(9), 40_000)
    wide = frame.pivot(index="patient_id", columns="time", values="value")
    patients = frame.groupby("patient_id")[["treated", "marker"]].first()
    truth, spread = (committed[name, "Gaussian visits"]["value"] for name in ("means by visit", "covariance"))
    rest = wide.sub(truth["marker"] * patients["marker"], axis=0)
    for day in DAYS:
        untreated = truth[f"untreated_day_{day}"]
        assert_mean(rest.loc[patients["treated"] == 0, day], untreated)
        assert_mean(rest.loc[patients["treated"] == 1, day], untreated + truth[f"difference_day_{day}"])
        own = (rest[day] - untreated - patients["treated"] * truth[f"difference_day_{day}"]) / spread[f"sd_day_{day}"]
        assert_mean(own**2, 1.0)
        rest[day] = own
    for i, one in enumerate(DAYS):
        for other in DAYS[i + 1 :]:
            assert_mean(rest[one] * rest[other], spread[f"correlation_{one}_{other}"])


def test_the_correlation_between_visits_is_one() -> None:
    np.testing.assert_array_equal(CORRELATION, CORRELATION.T)
    assert np.linalg.eigvalsh(CORRELATION).min() > 0.1


@pytest.mark.parametrize("draw", [draw_courses, draw_visits, draw_dropout])
def test_without_effect_the_treated_are_as_the_untreated(draw: Callable[..., pd.DataFrame]) -> None:
    frame = draw(np.random.default_rng(10), 20_000, effect="none")
    own = frame["value"] - (0.3 if draw is draw_courses else 0.2) * frame["marker"]
    each = own.groupby(frame["patient_id"]).mean()
    treated = frame.groupby("patient_id")["treated"].first() == 1
    error = (each[treated].var() / treated.sum() + each[~treated].var() / (~treated).sum()) ** 0.5
    assert abs(each[treated].mean() - each[~treated].mean()) < 4 * error


@pytest.mark.parametrize("kind", ["MCAR", "MAR", "MNAR"])
def test_whoever_stops_coming_does_not_come_back(kind: str) -> None:
    frame = draw_dropout(np.random.default_rng(11), 2_000, dropout=kind)
    seen = frame.pivot(index="patient_id", columns="time", values="seen").to_numpy(bool)
    assert seen[:, 0].all()
    assert (np.diff(seen.astype(int), axis=1) <= 0).all()


def test_one_in_five_drops_out_completely_at_random(committed: dict) -> None:
    frame = draw_dropout(np.random.default_rng(12), 40_000, dropout="MCAR")
    assert_mean(frame.loc[frame["time"] == 365, "seen"], 0.8)
    truth = committed["share seen", "dropout, MCAR"]["value"]
    assert truth["treated"] == pytest.approx(0.8, abs=0.003)


def test_dropout_at_random_depends_on_the_last_value_seen_in_opposite_directions() -> None:
    frame = draw_dropout(np.random.default_rng(13), 40_000, dropout="MAR")
    first, second = (frame[frame["time"] == day].reset_index() for day in (28, 56))
    for treated, slope in ((1, 1.2), (0, -1.2)):
        own = (first["treated"] == treated).to_numpy(bool)
        value = first.loc[own, "value"].to_numpy(float)
        assert_mean((~second.loc[own, "seen"]).to_numpy(float) - 1 / (1 + np.exp(2.2 - slope * (value - 0.5))), 0.0)


def test_not_at_random_only_shifts_what_is_not_seen(committed: dict) -> None:
    at_random, not_at_random = (
        draw_dropout(np.random.default_rng(14), 5_000, dropout=kind) for kind in ("MAR", "MNAR")
    )
    np.testing.assert_array_equal(at_random["seen"], not_at_random["seen"])
    shift = (not_at_random["value"] - at_random["value"]).to_numpy(float)
    delta = committed["shift of what is not seen", "dropout, MNAR"]["value"]
    expected = np.where(at_random["treated"] == 1, delta["treated"], delta["untreated"]) * ~at_random["seen"]
    np.testing.assert_allclose(shift, expected, atol=1e-12)


def test_the_bias_of_taking_dropout_to_be_at_random_is_the_share_lost_times_the_shift(committed: dict) -> None:
    own = "dropout, MNAR"
    truth, assumed = (committed[name, own]["value"]["last"] for name in ("difference", "difference, as if MAR"))
    lost = 1 - committed["share seen", own]["value"]["treated"]
    delta = committed["shift of what is not seen", own]["value"]["treated"]
    assert truth - assumed == pytest.approx(
        lost * delta, abs=4 * committed["difference", own]["monte_carlo_error"]["last"]
    )


def test_complete_cases_mislead_under_mar_and_not_under_mcar(committed: dict) -> None:
    for kind, misled in (("MCAR", False), ("MAR", True)):
        truth = committed["difference", f"dropout, {kind}"]["value"]
        for how in ("complete cases", "values seen"):
            for key, error in committed[f"difference, {how}", f"dropout, {kind}"]["monte_carlo_error"].items():
                gap = committed[f"difference, {how}", f"dropout, {kind}"]["value"][key] - truth[key]
                assert (gap < -0.1) if misled else abs(gap) < 4 * error


@pytest.mark.parametrize("kind", ["fixed", "observed", "latent"])
def test_everybody_comes_to_scheduled_visits(kind: str) -> None:
    frame = draw_visit_process(np.random.default_rng(15), 500, visits=kind)
    planned = frame[frame["scheduled"]]
    assert (planned.groupby("patient_id").size() == 9).all()
    assert sorted(planned["time"].unique()) == pytest.approx(np.arange(9) * 91.25)
    assert frame["time"].between(0, 730).all()
    last = frame.groupby("patient_id")["value"].shift()
    pd.testing.assert_series_equal(frame["last"], last, check_names=False)


@pytest.mark.parametrize("kind", ["observed", "latent"])
def test_visits_between_come_as_often_as_told(committed: dict, kind: str) -> None:
    frame = draw_visit_process(np.random.default_rng(16), 10_000, visits=kind)
    between = (~frame["scheduled"]).groupby(frame["patient_id"]).sum()
    treated = frame.groupby("patient_id")["treated"].first() == 1
    truth = committed["visits between", f"visits, {kind}"]["value"]
    assert_mean(between[treated], truth["treated"])
    assert_mean(between[~treated], truth["untreated"])


def test_given_the_last_value_seen_the_rate_of_visits_between_is_as_told(committed: dict) -> None:
    """Events less rate × time, summed per patient: a martingale."""
    frame = draw_visit_process(np.random.default_rng(17), 10_000, visits="observed")
    rate = committed["log rate of visits between", "visits, observed"]["value"]
    until = frame.groupby("patient_id")["time"].shift(-1).fillna(730.0)
    expected = np.exp(rate["intercept"] + rate["per_value"] * frame["value"]) * (until - frame["time"]) / 365.25
    gap = (~frame["scheduled"]).astype(float) - expected
    assert_mean(gap.groupby(frame["patient_id"]).sum(), 0.0)
    assert_mean((gap * frame["last"].fillna(0.0) + expected * frame["last"].fillna(0.0)
                 - expected * frame["value"]).groupby(frame["patient_id"]).sum(), 0.0)  # fmt: skip


@pytest.mark.parametrize("kind", ["fixed", "observed", "latent"])
def test_scheduled_values_have_the_means_told_and_all_values_only_where_visits_are_fixed(
    committed: dict, kind: str
) -> None:
    frame = draw_visit_process(np.random.default_rng(18), 20_000, visits=kind)
    truth = committed["mean at 1 year", f"visits, {kind}"]["value"]
    for name, x in (("treated", 1), ("untreated", 0)):
        own = frame[frame["treated"] == x]
        year = own[own["scheduled"] & (own["time"] == 365)]
        assert_mean(year["value"], truth[name])
        if kind != "fixed":
            alike = committed["mean at 1 year, all values alike", f"visits, {kind}"]["value"]
            assert alike[name] > truth[name] + 0.05


def test_unseen_flares_bring_higher_values_than_those_already_seen() -> None:
    excess = {}
    for kind in ("observed", "latent"):
        frame = draw_visit_process(np.random.default_rng(19), 5_000, visits=kind)
        excess[kind] = frame.loc[~frame["scheduled"], "value"].mean() - frame.loc[frame["scheduled"], "value"].mean()
    assert excess["latent"] > excess["observed"] > 0.1


def test_a_flare_is_the_first_value_of_four_times_the_limit() -> None:
    measures, flares = draw_switches(np.random.default_rng(20), 3_000)
    high = measures[measures["time"].between(196, 448) & (measures["value"] >= np.log(4))]
    first = high.groupby("patient_id")[["time", "value"]].first()
    assert first.index.tolist() == flares["patient_id"].tolist()
    np.testing.assert_array_equal(first["time"], flares["time"])
    np.testing.assert_array_equal(first["value"], flares["peak"])


def test_switches_and_flares_come_as_often_as_told(committed: dict) -> None:
    _, flares = draw_switches(np.random.default_rng(21), 40_000)
    truth = committed["flares and switches", "switch at a flare"]["value"]
    assert_mean(np.isin(np.arange(40_000), flares["patient_id"]), truth["flares"])
    assert_mean(flares["switched"], truth["switches"])
    assert_mean(flares["switched"] - compute_chance(flares["peak"].to_numpy(float)), 0.0)


@pytest.mark.parametrize("effect", ["default", "none"])
def test_steroid_is_raised_at_the_flare_and_more_in_those_who_switch(effect: str) -> None:
    measures, flares = draw_switches(np.random.default_rng(22), 2_000, effect=effect)
    rows = measures.merge(flares, on="patient_id", suffixes=("", "_flare"))
    since = rows["time"] - rows["time_flare"]
    assert (rows.loc[since <= 0, "steroid"] == 0.1).all()
    assert (rows.loc[since > 182, "steroid"] == 0.1).all()
    early, late = ((rows["steroid"] - 0.1)[since.between(*days)] for days in ((1, 91), (92, 182)))
    np.testing.assert_allclose(late.groupby(rows["patient_id"]).mean() * 2, early.groupby(rows["patient_id"]).mean())
    added = early.groupby(rows["patient_id"]).first()
    switched = flares.set_index("patient_id")["switched"]
    assert added[~switched].between(0.2, 0.6).all()
    assert added[switched].between(0.5, 0.9).all()
    others = measures.loc[~measures["patient_id"].isin(flares["patient_id"]), "steroid"]
    assert (others == 0.1).all()


def test_without_effect_the_drug_changes_no_course_and_with_it_those_of_switchers_only() -> None:
    with_effect, without = (
        draw_switches(np.random.default_rng(23), 2_000, effect=kind) for kind in ("default", "none")
    )
    switched = with_effect[1].set_index("patient_id").query("switched")
    after = with_effect[0]["time"] > with_effect[0]["patient_id"].map(switched["time"])  # False where there was none
    assert not without[1]["effect"].any()
    np.testing.assert_array_equal(with_effect[1]["switched"], without[1]["switched"])
    change = with_effect[0]["value"] - without[0]["value"]
    np.testing.assert_allclose(change[after], with_effect[0]["patient_id"].map(switched["effect"])[after], atol=1e-12)
    assert not change[~after].any()


def test_effects_differ_between_children_by_the_spread_told(committed: dict) -> None:
    _, flares = draw_switches(np.random.default_rng(24), 60_000)
    truth = committed["effect of the drug", "switch at a flare"]["value"]
    assert_mean(flares["effect"], truth["mean"])
    assert_mean((flares["effect"] - truth["mean"]) ** 2, truth["sd"] ** 2)
    assert_mean(flares.loc[flares["switched"], "effect"], truth["mean"])


def test_who_did_not_switch_falls_after_the_flare_too_and_the_naive_change_is_not_the_effect(committed: dict) -> None:
    for own in ("switch at a flare", "switch at a flare, no effect"):
        truth = committed["effect of the drug", own]["value"]["mean"]
        for name in ("the flare", "196 days", "the decision window"):
            change = committed[f"change from before {name}", own]
            value, error = change["value"], change["monte_carlo_error"]
            assert value["others"] < -0.05
            assert value["switchers"] < truth - 0.1
            assert value["difference"] < truth - 0.05  # more steroid with the drug
            assert abs(value["difference_given_steroid"] - truth) < 4 * error["difference_given_steroid"]


def test_changes_after_the_flare_are_met(committed: dict) -> None:
    measures, flares = draw_switches(np.random.default_rng(25), 30_000)
    rows = measures.merge(flares, on="patient_id", suffixes=("", "_flare"))
    since = rows["time"] - rows["time_flare"]
    patient = rows["patient_id"]
    after = rows["value"][since.between(1, 280)].groupby(patient).mean()
    before = rows["value"][since.between(-196, -29)].groupby(patient).mean()
    truth = committed["change from before the decision window", "switch at a flare"]["value"]
    switched = flares.set_index("patient_id")["switched"]
    assert_mean((after - before)[switched], truth["switchers"])
    assert_mean((after - before)[~switched], truth["others"])
