"""Cumulative incidence, mean cumulative number, states over time, and a coefficient over time."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.errors import OutcomeError
from aih_outcomes.figures import (
    draw_coefficient,
    draw_cumulative_incidence,
    draw_mean_cumulative,
    draw_occupation,
)
from tests.figures.test_draw import figure_of, words

TIME = np.arange(0.0, 10.25, 0.25)


def states_of(shares: dict[str, np.ndarray], *, strata: str = "all", n: int = 200) -> pd.DataFrame:
    followed = np.round(n * np.exp(-TIME / 8)).astype(int)
    frames = [
        pd.DataFrame({"label": "native liver", "strata": strata, "state": state, "time": TIME, "n_risk": followed,
                      "n_event": 1, "n_censor": 0, "estimate": share, "conf_low": share * 0.9, "conf_high": share * 1.1,
                      "n": n, "n_followed": followed})
        for state, share in shares.items()
    ]  # fmt: skip
    frame = pd.concat(frames, ignore_index=True)
    frame.attrs = {"time_unit": "years", "time_zero": "induction"}
    return frame


@pytest.fixture
def incidence() -> pd.DataFrame:
    transplant, death = 0.2 * (1 - np.exp(-TIME / 4)), 0.1 * (1 - np.exp(-TIME / 6))
    return states_of({"event-free": 1 - transplant - death, "Transplant": transplant, "Death": death})


@pytest.mark.parametrize("policy", ["none", "lt5", "tre10"])
def test_states_shown_under_a_small_number_rule_still_sum_to_one(incidence: pd.DataFrame, policy: str) -> None:
    shown = apply_policy(incidence, policy)
    np.testing.assert_allclose(shown.groupby("time")["estimate"].sum(), 1, atol=1e-12)


def test_states_end_where_few_are_followed_whatever_state_they_are_in(incidence: pd.DataFrame) -> None:
    few = incidence.assign(n_risk=np.where(incidence["state"] == "Death", 0, 3))
    shown = apply_policy(few, "lt5")
    followed = few.groupby("time")["n_followed"].max()
    last = followed.index[followed >= 10].max()
    assert (shown.groupby("state")["time"].max() == last).all()
    assert shown["n_risk"].fillna(0).eq(0).all()


def test_a_group_of_few_is_left_out_whole(incidence: pd.DataFrame) -> None:
    small = states_of({"Transplant": np.zeros(len(TIME)), "Death": np.zeros(len(TIME))}, strata="Targeted", n=8)
    both = pd.concat([incidence, small], ignore_index=True)
    shown = apply_policy(both, "lt5", time_unit="years")
    assert shown.attrs["suppressed"] == ("Targeted",)
    assert set(shown["strata"]) == {"all"}


def test_incidence_starts_at_nought_and_draws_no_event_free_curve(incidence: pd.DataFrame) -> None:
    ax = draw_cumulative_incidence(apply_policy(incidence, "lt5"))
    assert ax.get_ylim() == (0, 100)
    curves = [line for line in ax.lines if len(line.get_xdata()) > 3]
    assert len(curves) == 2
    assert {tuple(np.column_stack(line.get_data())[0]) for line in curves} == {(0.0, 0.0)}
    assert not any(text.startswith("event-free") for text in words(figure_of(ax)))


def test_one_event_is_drawn_by_group(incidence: pd.DataFrame) -> None:
    other = states_of({"Transplant": 0.3 * (1 - np.exp(-TIME)), "event-free": np.ones(len(TIME))}, strata="Responder")
    both = pd.concat([incidence, other], ignore_index=True)
    listed = words(figure_of(draw_cumulative_incidence(both, state="Transplant")))
    assert any(text.startswith("Responder (n = 200)") for text in listed)
    assert "Transplant (%)" in listed
    with pytest.raises(OutcomeError, match="2 groups and 2 events"):
        draw_cumulative_incidence(both)
    with pytest.raises(OutcomeError, match="no event 'Relapse'"):
        draw_cumulative_incidence(both, state="Relapse")


def test_the_mean_number_is_drawn_per_hundred_patients_and_its_axis_holds_it(incidence: pd.DataFrame) -> None:
    flares = incidence[incidence["state"] == "Transplant"].drop(columns="state")
    flares[["estimate", "conf_low", "conf_high"]] *= 15
    ax = draw_mean_cumulative(flares)
    highest = 100 * flares["conf_high"].max()
    assert ax.get_ylim()[0] == 0
    assert highest <= ax.get_ylim()[1] <= 2.5 * highest
    assert any("per 100 patients" in text for text in words(figure_of(ax)))


@pytest.mark.parametrize("policy", ["none", "lt5"])
def test_states_are_areas_up_to_a_hundred_and_each_is_named(incidence: pd.DataFrame, policy: str) -> None:
    ax = draw_occupation(apply_policy(incidence, policy), order=["event-free", "Transplant", "Death"])
    listed = words(figure_of(ax))
    assert {"event-free", "Transplant", "Death"} <= set(listed)
    assert len(ax.collections) == 3
    top = max(path.vertices[:, 1].max() for area in ax.collections for path in area.get_paths())
    assert top == pytest.approx(100)


def test_names_of_states_lie_on_the_page_and_not_on_each_other() -> None:
    thin = {name: np.full(len(TIME), 0.01) for name in ("Transplant", "Death", "Advanced therapy", "Loss of response")}
    figure = figure_of(draw_occupation(states_of({"Response": np.full(len(TIME), 0.96), **thin})))
    named = [text for ax in figure.axes for text in ax.texts if text.get_text() in (*thin, "Response")]
    boxes = sorted((Text.get_window_extent(text) for text in named), key=lambda box: box.y0)
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 + 1 for box in boxes)
    assert all(low.y1 <= high.y0 + 2 for low, high in itertools.pairwise(boxes))


def test_nothing_to_show_says_so(incidence: pd.DataFrame) -> None:
    nothing = apply_policy(incidence.iloc[:0], "lt5", time_unit="years")
    for draw in (draw_occupation, draw_cumulative_incidence, draw_mean_cumulative):
        assert any("nothing to show" in text for text in words(figure_of(draw(nothing))))


def test_a_curve_that_ends_where_it_begins_says_so(incidence: pd.DataFrame) -> None:
    moment = incidence[incidence["time"] == 0]
    moment.attrs = incidence.attrs
    for draw in (draw_occupation, draw_cumulative_incidence):
        assert any("nothing to show" in text for text in words(figure_of(draw(moment))))


def test_a_coefficient_is_drawn_with_the_constant_it_should_be() -> None:
    smooth = pd.DataFrame({"term": "log(bili)", "time": TIME, "estimate": 0.8 - 0.05 * TIME})
    smooth = smooth.assign(conf_low=smooth["estimate"] - 0.2, conf_high=smooth["estimate"] + 0.2)
    listed = words(figure_of(draw_coefficient(smooth, constant=0.6)))
    assert "constant, as fitted" in listed
    assert "Log hazard ratio, log(bili)" in listed
