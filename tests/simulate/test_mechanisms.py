"""Mechanisms of their own: what is drawn agrees with the truth told of it, counted in ways that need no estimator."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.outcomes import IntervalTime, StateHistory, TimeToEvent
from aih_outcomes.simulate.mechanisms.clocks import YEARS, Hazard, days_of, survive_frailty, whole_days
from aih_outcomes.simulate.mechanisms.competing import compute_incidence, draw_competing
from aih_outcomes.simulate.mechanisms.frailty import draw_status
from aih_outcomes.simulate.mechanisms.intervals import compute_onset, draw_intervals
from aih_outcomes.simulate.mechanisms.recurrent import draw_recurrent
from aih_outcomes.simulate.mechanisms.small import draw_ten_events
from aih_outcomes.simulate.mechanisms.states import draw_states
from aih_outcomes.simulate.mechanisms.subdistribution import draw_subdistribution
from aih_outcomes.simulate.mechanisms.truncation import draw_truncated
from aih_outcomes.simulate.scores import count_days, solve_ratio
from aih_outcomes.simulate.truth_mechanisms import truth_of_mechanisms

FILE = Path(__file__).resolve().parents[2] / "data" / "synthetic" / "truth.json"
NEVER = 1e9
DRAWS: dict[str, Callable[[np.random.Generator], pd.DataFrame]] = {
    "competing": lambda rng: draw_competing(rng, 500),
    "subdistribution": lambda rng: draw_subdistribution(rng, 500),
    "subdistribution, late": lambda rng: draw_subdistribution(rng, 500, entry="late"),
    "status": lambda rng: draw_status(rng, 500),
    "truncated": lambda rng: draw_truncated(rng, 500),
    "truncated, dependent": lambda rng: draw_truncated(rng, 500, truncation="dependent"),
    "states": lambda rng: draw_states(rng, 500),
    "states, semi-Markov": lambda rng: draw_states(rng, 500, sojourn="semi-markov"),
    "recurrent": lambda rng: draw_recurrent(rng, 500),
    "intervals": lambda rng: draw_intervals(rng, 500),
    "ten events": draw_ten_events,
    "ten events, crowded": lambda rng: draw_ten_events(rng, sample="crowded"),
}


@pytest.fixture(scope="module")
def committed() -> dict[tuple[str, str], dict]:
    return {(e["name"], e["mechanism"]): e for e in json.loads(FILE.read_text(encoding="utf-8"))["estimands"]}


def assert_share(happened: np.ndarray, truth: float) -> None:
    """A mean of n independent values lies within 4 standard errors of the truth."""
    happened = np.asarray(happened, float)
    error = happened.std() / len(happened) ** 0.5
    assert abs(happened.mean() - truth) < 4 * error + 1e-9, (happened.mean(), truth, error)


def seen_by(frame: pd.DataFrame, event: object, day: int, censoring: tuple[float, float]) -> np.ndarray:
    """(n,) unbiased shares of an event by a day: each seen one counts for all whom censoring would have hidden."""
    first, last = days_of(censoring[0]), days_of(censoring[1])
    followed = np.clip((last - frame["exit"].to_numpy(float) + 1) / (last - first + 1), 0, 1)
    happened = ((frame["event"] == event) & (frame["exit"] <= day)).to_numpy(bool)
    return np.where(happened, 1 / np.maximum(followed, 1e-9), 0.0)


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_seed_gives_the_same_rows_and_another_seed_others(name: str) -> None:
    one, again, other = (DRAWS[name](np.random.default_rng(seed)) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(one, again)
    assert not one.equals(other)


@pytest.mark.parametrize("name", ["competing", "subdistribution, late", "status", "truncated", "ten events"])
def test_times_are_whole_days_and_enter_an_outcome(name: str) -> None:
    frame = DRAWS[name](np.random.default_rng(5))
    entry = "entry" if "entry" in frame else None
    outcome = TimeToEvent.from_frame(frame, exit="exit", event="event", entry=entry, patient_id="patient_id")
    assert np.array_equal(outcome.exit, np.round(outcome.exit))
    assert np.array_equal(outcome.entry, np.round(outcome.entry))
    assert outcome.n_half_day == 0
    assert outcome.n_patients == len(frame)


def test_hazard_by_hand() -> None:
    hazard = Hazard((0.36525, 0.73050), (0.0, 100.0))  # 0.001 and 0.002 per day
    np.testing.assert_allclose(hazard.until(np.array([50.0, 100.0, 150.0])), [0.05, 0.10, 0.20], rtol=1e-12)
    np.testing.assert_allclose(hazard.when(np.array([0.05, 0.20])), [50.0, 150.0], rtol=1e-12)
    np.testing.assert_allclose(hazard.at(np.array([0.0, 99.0, 100.0])), [0.001, 0.001, 0.002], rtol=1e-12)
    assert whole_days(np.array([0.0, 0.2, 3.0, 3.1])).tolist() == [1.0, 1.0, 3.0, 4.0]


def test_survival_under_gamma_frailty_by_hand() -> None:
    np.testing.assert_allclose(survive_frailty(np.array([1.0, 3.0]), 1.0), [1 / 2, 1 / 4], rtol=1e-12)
    np.testing.assert_allclose(survive_frailty(np.array([1.0]), 0.0), [np.exp(-1)], rtol=1e-12)


def test_the_committed_truths_agree_with_a_small_recount(committed: dict) -> None:
    found = truth_of_mechanisms(1, 20_000)
    assert len({(e.name, e.mechanism) for e in found}) == len(found)
    off = []
    for estimand in found:
        wanted = committed[estimand.name, estimand.mechanism]
        assert wanted["definition"] == estimand.definition
        for key, value in estimand.value.items():
            error = np.hypot(estimand.monte_carlo_error[key], wanted["monte_carlo_error"][key])
            if abs(value - wanted["value"][key]) > 4 * error + 1e-5 * abs(value):
                off.append((estimand.name, estimand.mechanism, key, value, wanted["value"][key]))
    assert not off


def test_no_truth_is_told_twice() -> None:
    told = [(e["name"], e["mechanism"]) for e in json.loads(FILE.read_text(encoding="utf-8"))["estimands"]]
    assert len(told) == len(set(told))


@pytest.mark.parametrize("years", YEARS)
def test_competing_causes_come_as_often_as_told(committed: dict, years: int) -> None:
    frame = draw_competing(np.random.default_rng(11), 100_000)
    truth = committed[f"cumulative incidence, {years} years", "competing causes"]["value"]
    for cause in ("transplant", "death"):
        came = seen_by(frame, cause, days_of(years), (2.0, 12.0))
        assert_share(came, truth[cause])
        assert_share(came[frame["treated"] == 1], truth[f"{cause}_treated"])
        assert_share(came[frame["treated"] == 0], truth[f"{cause}_untreated"])


def test_competing_causes_and_neither_sum_to_one_and_time_lost_to_the_horizon(committed: dict) -> None:
    for years in YEARS:
        truth = committed[f"cumulative incidence, {years} years", "competing causes"]["value"]
        assert truth["transplant"] + truth["death"] + truth["event_free"] == pytest.approx(1, abs=2e-6)
    truth = committed["restricted mean, 5 years", "competing causes"]["value"]
    assert truth["event_free"] + truth["lost_to_transplant"] + truth["lost_to_death"] == pytest.approx(1826, abs=0.01)


def test_without_effect_treatment_changes_no_cause() -> None:
    days = np.array([365.0, 3652.0])
    one, other = (compute_incidence(days, x, effect="none") for x in (1.0, 0.0))
    for cause in one:
        np.testing.assert_array_equal(one[cause], other[cause])
    frame = draw_competing(np.random.default_rng(12), 60_000, effect="none")
    for cause in one:
        came = frame["event"].eq(cause) & frame["exit"].le(730)
        treated = frame["treated"] == 1
        assert abs(came[treated].mean() - came[~treated].mean()) < 4 * (0.3 / 30_000) ** 0.5


def test_the_subdistribution_hazards_are_proportional_at_every_time(committed: dict) -> None:
    beta = committed["log subdistribution hazard ratios", "subdistribution"]["value"]["treated"]
    for years in YEARS:
        truth = committed[f"cumulative incidence, {years} years", "subdistribution"]["value"]
        one, other = (np.log1p(-truth[f"transplant_{x}_marker_0"]) for x in ("treated", "untreated"))
        assert one / other == pytest.approx(np.exp(beta), rel=2e-5)


@pytest.mark.parametrize("years", YEARS)
def test_subdistribution_events_come_as_often_as_told(committed: dict, years: int) -> None:
    frame = draw_subdistribution(np.random.default_rng(13), 100_000)
    truth = committed[f"cumulative incidence, {years} years", "subdistribution"]["value"]
    for cause in ("transplant", "death"):
        came = seen_by(frame, cause, days_of(years), (2.0, 12.0))
        assert_share(came[frame["treated"] == 1], truth[f"{cause}_treated"])
        assert_share(came[frame["treated"] == 0], truth[f"{cause}_untreated"])


def test_late_entry_leaves_those_event_free_at_entry() -> None:
    frame = draw_subdistribution(np.random.default_rng(14), 5_000, entry="late")
    assert len(frame) == 5_000
    assert (frame["entry"] < frame["exit"]).all()
    assert 0.3 < (frame["entry"] == 0).mean() < 0.5  # three in ten before the others had to live to their entry


def ratio_of(frame: pd.DataFrame, start: float, since: np.ndarray) -> tuple[float, float]:
    exit, event = frame["exit"].to_numpy(float), frame["event"].to_numpy(float) == 1
    found = solve_ratio(count_days(np.full(len(frame), start), exit, event, since))
    return found.log_ratio, found.error


def test_without_frailty_and_effect_honest_designs_find_nothing_and_the_naive_one_does(committed: dict) -> None:
    frame = draw_status(np.random.default_rng(15), 100_000, frailty="none", effect="none")
    since = frame["changed"].fillna(NEVER).to_numpy(float)
    for start, turn in ((0.0, since), (365.0, np.where(since <= 365, 0.0, NEVER))):
        found, error = ratio_of(frame, start, turn)
        assert abs(found) < 4 * error
    assert committed["naive log hazard ratio", "status, frailty none, null"]["value"]["log_hazard_ratio"] < -1


def test_a_shared_frailty_hides_a_benefit_and_one_of_death_only_weakens_it(committed: dict) -> None:
    marginal = {
        kind: committed["marginal log hazard ratio", f"status, frailty {kind}"]["value"]["log_hazard_ratio"]
        for kind in ("shared", "of death", "none")
    }
    assert marginal["none"] == -0.7
    assert -0.7 < marginal["of death"] < 0 < marginal["shared"]


@pytest.mark.parametrize("kind", ["independent", "dependent"])
def test_entry_taken_into_account_or_not_ends_where_told(committed: dict, kind: str) -> None:
    frame = draw_truncated(np.random.default_rng(16), 100_000, truncation=kind)
    exit, event = frame["exit"].to_numpy(float), frame["event"].to_numpy(float) == 1
    delayed = "survival" if kind == "independent" else "survival, delayed entry"
    for name, entry in ((delayed, frame["entry"].to_numpy(float)), ("survival, entry ignored", np.zeros(len(frame)))):
        counts = count_days(entry, exit, event, np.full(len(frame), NEVER))
        alive = np.cumprod(1 - counts.without_events / counts.without_risk)
        spread = np.sqrt(np.cumsum(counts.without_events / counts.without_risk**2))
        for years in YEARS:
            day = days_of(years) - 1
            truth = committed[name, f"truncation, {kind}"]["value"][f"years_{years}"]
            assert abs(alive[day] - truth) < 5 * alive[day] * spread[day]


def test_dependent_truncation_biases_delayed_entry_downward_and_ignoring_entry_upward(committed: dict) -> None:
    truth, delayed, ignored = (
        committed[name, "truncation, dependent"]["value"]["years_5"]
        for name in ("survival", "survival, delayed entry", "survival, entry ignored")
    )
    assert delayed < truth - 0.02
    assert ignored > truth + 0.02


@pytest.mark.parametrize(("sample", "n", "n_exposed"), [("few exposed", 60, 12), ("crowded", 30, 15)])
def test_ten_events_are_ten_whatever_the_sample(sample: str, n: int, n_exposed: int) -> None:
    for seed in range(20):
        frame = draw_ten_events(np.random.default_rng(seed), sample=sample)
        assert len(frame) == n
        assert frame["event"].sum() == 10
        assert frame["exposed"].sum() == n_exposed
        assert frame["exit"].max() == frame.loc[frame["event"] == 1, "exit"].max()


def test_recurrent_spells_follow_each_other_and_end_once() -> None:
    frame = draw_recurrent(np.random.default_rng(17), 3_000)
    same = frame["patient_id"].eq(frame["patient_id"].shift())
    assert (frame["entry"] < frame["exit"]).all()
    assert (frame.loc[same, "entry"] == frame["exit"].shift()[same]).all()
    assert (frame.loc[~same, "entry"] == 0).all()
    last = frame.groupby("patient_id")["event"].last()
    assert last.isin(["death", "censored"]).all()
    assert (frame["event"] != "flare").sum() == 3_000


def test_flares_come_as_often_as_told(committed: dict) -> None:
    frame = draw_recurrent(np.random.default_rng(18), 50_000)
    treated = frame.groupby("patient_id")["treated"].first()
    for years in (1, 2):  # nobody is censored before
        truth = committed[f"mean cumulative flares, {years} years", "recurrent flares"]["value"]
        flares = frame["event"].eq("flare") & frame["exit"].le(days_of(years))
        number = flares.groupby(frame["patient_id"]).sum()
        assert_share(number[treated == 1], truth["treated"])
        assert_share(number[treated == 0], truth["untreated"])
        dead = frame["event"].eq("death") & frame["exit"].le(days_of(years))
        assert_share(~dead.groupby(frame["patient_id"]).any(), truth["survival"])


def test_an_onset_lies_between_its_visits_and_before_the_end() -> None:
    frame = draw_intervals(np.random.default_rng(19), 20_000)
    outcome = IntervalTime.from_frame(
        frame, left="left", right="right", end="end", terminal="died", covariates=["treated"]
    )
    assert len(outcome.frame) == 20_000
    seen = np.isfinite(frame["right"])
    onset = frame["onset"]
    assert (onset[seen] > frame.loc[seen, "left"]).all()
    assert (onset[seen] <= frame.loc[seen, "right"]).all()
    unseen = ~seen & onset.notna()
    assert unseen.sum() > 500  # rule 12: death or the end came before the visit that would have found it
    assert (onset[unseen] > frame.loc[unseen, "left"]).all()
    assert (frame["left"] <= frame["end"]).all()
    assert (onset.dropna() <= frame.loc[onset.notna(), "end"]).all()


@pytest.mark.parametrize("years", YEARS)
def test_onset_and_death_come_as_often_as_told(committed: dict, years: int) -> None:
    frame = draw_intervals(np.random.default_rng(20), 100_000)
    truth = committed[f"incidence, {years} years", "interval-censored onset"]["value"]
    event = np.where(frame["died"] == 1, np.where(frame["onset"].notna(), "after", "without"), "censored")
    ends = frame.assign(exit=frame["end"], event=event)
    onset = ends.assign(exit=frame["onset"].fillna(NEVER), event="onset")
    day = days_of(years)
    without, after = (seen_by(ends, name, day, (3.0, 12.0)) for name in ("without", "after"))
    assert_share(without, truth["death_without_onset"])
    assert_share(without + after, truth["death"])
    assert_share(seen_by(onset, "onset", day, (3.0, 12.0)), truth["onset"])


def test_where_nobody_dies_onset_has_its_own_distribution(committed: dict) -> None:
    frame = draw_intervals(np.random.default_rng(21), 50_000, death="none")
    assert not frame["died"].any()
    for years in (1, 2):
        truth = committed[f"free of onset, {years} years", "interval-censored onset, no death"]["value"]
        free = ~frame["onset"].le(days_of(years))
        assert_share(free, truth["onset_free"])
        assert_share(free[frame["treated"] == 1], truth["onset_free_treated"])


def test_chances_of_onset_agree_with_adding_up_small_steps() -> None:
    day = days_of(10)
    u = np.linspace(0, day, 400_001)
    onset, death, after = (
        size * ratio * (u / 3652.5) ** shape
        for size, shape, ratio in ((0.6, 1.3, np.exp(-0.5)), (0.3, 1.5, np.exp(-0.2)), (2.0, 1.2, np.exp(0.3)))
    )
    neither = np.exp(-onset - death)
    middle = (neither[1:] + neither[:-1]) / 2
    found = compute_onset(day, 1.0)
    assert found["onset"] == pytest.approx(float(middle @ np.diff(onset)), rel=1e-8)
    assert found["death_without_onset"] == pytest.approx(float(middle @ np.diff(death)), rel=1e-8)
    later = 1 - np.exp((after[1:] + after[:-1]) / 2 - after[-1])
    assert found["death"] - found["death_without_onset"] == pytest.approx(
        float(middle @ (later * np.diff(onset))), rel=1e-6
    )


def test_state_histories_follow_and_enter_an_outcome() -> None:
    for sojourn in ("markov", "semi-markov"):
        frame = draw_states(np.random.default_rng(22), 1_000, sojourn=sojourn)
        history = StateHistory.from_frame(
            frame, patient_id="patient_id", entry="entry", exit="exit", from_state="from_state", to_state="to_state",
            states=("response", "relapse", "dead"), covariates=["treated"],
        )  # fmt: skip
        assert history.frame["patient_id"].nunique() == 1_000
        assert not frame["from_state"].eq("dead").any()
