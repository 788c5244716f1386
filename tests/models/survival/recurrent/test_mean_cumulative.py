"""The mean cumulative function: by hand, against R, and what cannot change it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.survival.recurrent.mean_cumulative import estimate_mean_cumulative
from aih_outcomes.outcomes import Groups, RecurrentEvents, TimeToEvent
from tests.models.conftest import REFERENCE

SETS = ["events", "ties"]
BY_DERIVATIVE = 1e-8  # R's figure is a central difference with step 1e-4
DISCRETE = 2e-3  # mets takes the influence in continuous time, Y where the exact one has Y − D

FOUR = [
    ("a", 0, 2, "flare"), ("a", 2, 6, "flare"), ("a", 6, 8, "censored"), ("b", 0, 3, "death"), ("c", 0, 4, "flare"),
    ("c", 4, 5, "death"), ("d", 0, 7, "censored"),
]  # fmt: skip


def read(rows, columns=(), **how):
    frame = pd.DataFrame(rows, columns=["id", "start", "stop", "what", *columns])
    return RecurrentEvents.from_frame(
        frame, patient_id="id", entry="start", exit="stop", event="what",
        **{"terminal": ["death"], "label": "flare"} | how,
    )  # fmt: skip


def from_r(name, **how):
    frame = pd.read_csv(REFERENCE / f"recurrent_{name}.csv")
    frame = frame.assign(any=(frame["what"] == 1).astype(int))
    frame["what"] = frame["what"].map({0: "censored", 1: "flare", 2: "death"})
    named = {"event": "what", "terminal": ["death"], "covariates": ["arm", "x"], "label": "flare"} | how
    return RecurrentEvents.from_frame(frame, patient_id="id", entry="start", exit="stop", **named)


def test_four_patients_by_hand():
    """At 2 one of 4; then one of 4 dies; at 4 one of 3; then one of 3 dies; at 6 one of 2."""
    found = estimate_mean_cumulative(read(FOUR))
    curve = found.at([1, 2, 3, 4, 5, 6, 8])
    assert curve["estimate"].tolist() == pytest.approx([0, 1 / 4, 1 / 4, 1 / 2, 1 / 2, 3 / 4, 3 / 4])
    assert curve["n_risk"].tolist() == [4, 4, 4, 3, 3, 2, 1]
    assert curve["n_event"].tolist() == [0, 1, 1, 2, 2, 3, 3]
    assert found.tidy()["n_censor"].tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert found.glance()["n_terminal"] == 2


def test_the_variance_of_four_patients_by_hand():
    """Influences on the mean at 4 are 1/8, −1/8, 1/8, −1/8: see the terms of each event and each death."""
    assert estimate_mean_cumulative(read(FOUR)).at([4])["std_error"].tolist() == pytest.approx([1 / 4])


def test_death_leaves_fewer_events_to_come_than_censoring_at_it():
    censored = estimate_mean_cumulative(read([(*row[:3], row[3].replace("death", "censored")) for row in FOUR]))
    assert censored.at([6])["estimate"].item() == pytest.approx(1 / 4 + 1 / 3 + 1 / 2)


def test_the_mean_counts_who_is_not_at_risk_and_the_rate_does_not():
    rows = [("a", 0, 4, "flare", 1), ("a", 4, 9, "censored", 0), ("b", 0, 10, "censored", 0), ("c", 0, 6, "flare", 1)]
    outcome = read(rows, ["risk"], at_risk="risk")
    mean, rate = (estimate_mean_cumulative(outcome, estimand=name) for name in ("mean", "rate_at_risk"))
    assert mean.at([4, 6])["estimate"].tolist() == pytest.approx([1 / 3, 1 / 3 + 1 / 3])
    assert rate.at([4, 6])["estimate"].tolist() == pytest.approx([1 / 2, 1 / 2 + 1])
    assert "whether at risk or not" in mean.describe()
    assert "while at risk" in rate.describe()


def test_who_is_alive_but_not_watched_counts_for_survival_only():
    """Three are watched at 4, one of whom flares; at 5 one of four alive dies; at 6 one of two watched flares."""
    rows = [
        ("a", 0, 4, "flare", 1), ("a", 4, 9, "censored", 1), ("b", 0, 2, "censored", 1), ("b", 2, 9, "censored", 0),
        ("c", 0, 3, "censored", 1), ("c", 3, 5, "death", 0), ("d", 0, 6, "flare", 1),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["id", "start", "stop", "what", "seen"]).assign(risk=lambda d: d["seen"])
    outcome = RecurrentEvents.from_frame(
        frame, patient_id="id", entry="start", exit="stop", event="what", terminal=["death"], at_risk="risk",
        watched="seen",
    )  # fmt: skip
    found = estimate_mean_cumulative(outcome).at([4, 6])
    assert found["estimate"].tolist() == pytest.approx([1 / 2, 1 / 2 + 3 / 4 * 1 / 2])
    assert found["n_risk"].tolist() == [2, 2]


@pytest.mark.parametrize("name", SETS)
def test_without_terminal_events_matches_r_survfit_with_robust_errors(name, r_figures, assert_close):
    expected = r_figures("recurrent")[f"{name}_nelson_aalen"]
    found = estimate_mean_cumulative(from_r(name, event="any", terminal=[]), from_day=0).at(expected["time"])
    assert_close(found["estimate"], expected["mean"], what=f"{name} mean cumulative function")
    assert_close(found["std_error"], expected["se"], what=f"{name} robust standard error")


@pytest.mark.parametrize("name", SETS)
def test_weights_match_r_survfit(name, r_figures, assert_close):
    expected = r_figures("recurrent")[f"{name}_weighted"]
    outcome = from_r(name, event="any", terminal=[], weight="w")
    found = estimate_mean_cumulative(outcome, from_day=0).at(expected["time"])
    assert_close(found["estimate"], expected["mean"], what=f"{name} weighted mean cumulative function")
    assert_close(found["std_error"], expected["se"], what=f"{name} weighted robust standard error")


@pytest.mark.parametrize("name", SETS)
def test_ghosh_lin_matches_a_plain_sum_in_r_and_its_derivative_by_patients(name, r_figures, assert_close):
    expected = r_figures("recurrent")[f"{name}_ghosh_lin"]
    found = estimate_mean_cumulative(from_r(name), from_day=0).at(expected["time"])
    assert_close(found["estimate"], expected["mean"], what=f"{name} Ghosh-Lin mean")
    assert_close(found["std_error"], expected["se"], BY_DERIVATIVE, what=f"{name} Ghosh-Lin standard error")


def test_ghosh_lin_matches_r_mets(r_figures, assert_close):
    expected = r_figures("recurrent")["events_mets"]
    found = estimate_mean_cumulative(from_r("events"), from_day=0).at(expected["time"])
    assert_close(found["estimate"], expected["mean"], what="Ghosh-Lin mean (mets)")
    assert_close(found["std_error"], expected["se"], DISCRETE, what="Ghosh-Lin standard error (mets)")


PATIENT = st.tuples(
    st.integers(0, 4), st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=4), st.booleans()
)


def invented(patients):
    rows = []
    for number, (entry, spells, dies) in enumerate(patients):
        for place, (length, event) in enumerate(spells):
            last = place == len(spells) - 1
            what = "death" if last and dies else ("flare" if event else "censored")
            rows.append((f"p{number}", entry, entry + length, what, number % 2))
            entry += length
    return pd.DataFrame(rows, columns=["id", "start", "stop", "what", "arm"])


def estimated(frame, **how):
    outcome = RecurrentEvents.from_frame(
        frame, patient_id="id", entry="start", exit="stop", event="what", terminal=["death"], label="flare", **how
    )
    return estimate_mean_cumulative(outcome, from_day=0)


@settings(max_examples=50)
@given(st.lists(PATIENT, min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_row_order_names_and_splits_change_nothing(patients, random):
    frame = invented(patients)
    whole = estimated(frame).tidy()
    long = (frame["stop"] - frame["start"] > 1).to_numpy()
    first = frame[long].assign(stop=frame.loc[long, "start"] + 1, what="censored")
    second = frame.assign(start=frame["start"] + long)
    order = list(range(len(first) + len(second)))
    random.shuffle(order)
    split = pd.concat([second, first], ignore_index=True).iloc[order].reset_index(drop=True)
    split["id"] = "other " + split["id"]
    pd.testing.assert_frame_equal(estimated(split).tidy(), whole, rtol=1e-9, atol=1e-12)


@settings(max_examples=30)
@given(st.lists(PATIENT, min_size=2, max_size=8))
def test_the_variance_is_the_sum_of_squared_derivatives_by_patients_weights(patients):
    frame, step = invented(patients), 1e-4
    curve = estimated(frame).curves[0]
    times = curve.steps.time.tolist()
    slopes = []
    for name in frame["id"].unique():
        more, less = (
            estimated(frame.assign(w=np.where(frame["id"] == name, 1 + h, 1.0)), weight="w").at(times)["estimate"]
            for h in (step, -step)
        )
        slopes.append((more - less).to_numpy(float) / (2 * step))
    assert curve.std_error == pytest.approx(np.sqrt(np.sum(np.square(slopes), axis=0)), rel=1e-5, abs=1e-6)


def test_a_change_of_unit_changes_the_times_alone():
    frame = invented([(0, [(3, True), (4, False)], True), (1, [(2, True), (5, True)], False)])
    days = estimated(frame)
    years = estimated(frame.assign(start=frame["start"] / 365.25, stop=frame["stop"] / 365.25), time_unit="years")
    pd.testing.assert_frame_equal(days.tidy(unit="years"), years.tidy())


def test_the_same_bytes_on_every_run():
    tables = {estimate_mean_cumulative(from_r("ties"), by="arm").tidy().to_csv() for _ in range(5)}
    assert len(tables) == 1


def test_late_entry_with_few_at_risk_early_counts_from_a_stated_time():
    rows = [(f"p{n}", 10, 30, "censored") for n in range(8)] + [("early", 0, 2, "flare"), ("early", 2, 20, "censored")]
    found = estimate_mean_cumulative(read(rows))
    assert found.alive_at == 10
    assert "among those alive then" in found.describe()
    assert found.n_at_risk([10])["n_risk"].tolist() == [9]
    assert estimate_mean_cumulative(read(rows), from_day=0).at([2])["estimate"].tolist() == [1.0]


def test_groups_known_later_are_refused():
    groups = Groups(
        pd.DataFrame({"patient_id": list("abcd"), "label": "yes", "onset": 3.0, "known_at": 3.0}), "response", ("yes",)
    )
    with pytest.raises(ImmortalTimeError):
        estimate_mean_cumulative(read(FOUR), by=groups)


def test_what_is_no_recurrent_event_is_refused_with_the_way_to_one():
    frame = pd.DataFrame({"t": [1, 2], "e": [1, 0]})
    with pytest.raises(OutcomeError, match=r"TimeToEvent holds no recurrent events.*RecurrentEvents\.from_frame"):
        estimate_mean_cumulative(TimeToEvent.from_frame(frame, exit="t", event="e"))


def test_no_event_is_a_mean_of_nought_without_limits_on_the_log_scale():
    quiet = estimate_mean_cumulative(read([("a", 0, 5, "censored"), ("b", 0, 6, "death")])).tidy()
    assert quiet["estimate"].tolist() == [0, 0]
    assert quiet["std_error"].tolist() == [0, 0]
    assert quiet["conf_low"].isna().all()


def test_after_the_last_time_observed_nothing_is_known_unless_all_have_died():
    assert np.isnan(estimate_mean_cumulative(read(FOUR)).at([9])["estimate"].item())
    dead = read([("a", 0, 2, "flare"), ("a", 2, 5, "death"), ("b", 0, 3, "death")])
    assert estimate_mean_cumulative(dead).at([9])["estimate"].tolist() == [0.5]


def test_one_patient_and_weights_of_nought_and_fractions():
    alone = estimate_mean_cumulative(read(FOUR[:3])).tidy()
    assert alone["estimate"].tolist() == [1, 2, 2]
    assert alone["std_error"].tolist() == [0, 0, 0]
    weight = [0.5, 0.5, 0.5, 0, 2.5, 2.5, 1]
    some = read([(*row, w) for row, w in zip(FOUR, weight, strict=True)], ["w"], weight="w")
    found = estimate_mean_cumulative(some)
    assert found.at([2])["estimate"].tolist() == pytest.approx([0.5 / 4])
    assert found.tidy()["n_risk"].tolist() == [3, 3, 3, 2, 2, 1]
    with pytest.raises(OutcomeError, match="no rows"):
        estimate_mean_cumulative(read([(*row, 0) for row in FOUR], ["w"], weight="w"))


def test_a_late_start_with_nobody_left_is_refused():
    with pytest.raises(OutcomeError, match="Nobody in group 'all' is followed after 50"):
        estimate_mean_cumulative(read(FOUR), from_day=50)


def test_every_count_of_a_curve_is_one_that_the_small_number_rule_knows():
    tidy = estimate_mean_cumulative(from_r("events"), by="arm").tidy(unit="years")
    assert {name for name in tidy if name.startswith("n")} == {"n", "n_risk", "n_event", "n_censor"}
    shown = apply_policy(tidy, "lt5")
    assert not (shown[["n_event", "n_censor"]].fillna(0).isin([1, 2, 3, 4])).to_numpy().any()


def test_the_figure_counts_events_per_hundred_patients():
    rows = [(f"p{n}", 0, 100 + n, "flare") for n in range(40)] + [
        (f"p{n}", 100 + n, 500, "censored") for n in range(40)
    ]
    ax = estimate_mean_cumulative(read(rows)).plot()
    assert "per 100 patients" in ax.get_ylabel()


def test_a_mean_above_one_is_still_one_after_the_small_number_rule():
    rows = [(f"p{n}", day, day + 100, "flare") for n in range(40) for day in (0, 100, 200)]
    rows += [(f"p{n}", 300, 900, "censored") for n in range(40)]
    shown = apply_policy(estimate_mean_cumulative(read(rows)).tidy(), "lt5")
    assert shown["estimate"].max() == pytest.approx(3.0)
    assert shown["estimate"].iloc[0] == 0


def test_a_million_years_of_rounding_do_not_make_a_variance_negative():
    rows = [(f"p{n}", 0, n + 1, "flare") for n in range(300)] + [(f"p{n}", n + 1, 400, "censored") for n in range(300)]
    assert np.all(np.isfinite(estimate_mean_cumulative(read(rows)).tidy()["std_error"]))


@pytest.mark.parametrize(
    "how", [{"estimand": "median"}, {"conf_type": "log-log"}, {"from_day": "late"}, {"from_day": np.nan}]
)
def test_what_cannot_be_asked_is_refused_before_it_is_written_into_a_caption(how):
    with pytest.raises(OutcomeError, match=next(iter(how))):
        estimate_mean_cumulative(from_r("events"), **how)
    with pytest.raises(OutcomeError, match="times="):
        estimate_mean_cumulative(from_r("events")).at("late")
