"""Response, relapse and death: probabilities that compose, and shares that are met by counting."""

import json
from pathlib import Path

import numpy as np
import pytest

from aih_outcomes.simulate.mechanisms.clocks import YEARS, days_of
from aih_outcomes.simulate.mechanisms.states import (
    STATES,
    Moves,
    compute_time_in_state,
    compute_transition,
    draw_moves,
    draw_states,
)

FILE = Path(__file__).resolve().parents[2] / "data" / "synthetic" / "truth.json"
N = 60_000


@pytest.fixture(scope="module")
def committed() -> dict[tuple[str, str], dict]:
    return {(e["name"], e["mechanism"]): e for e in json.loads(FILE.read_text(encoding="utf-8"))["estimands"]}


@pytest.fixture(scope="module", params=["markov", "semi-markov"])
def moves(request: pytest.FixtureRequest) -> tuple[str, Moves]:
    mechanism = {"markov": "states, Markov", "semi-markov": "states, semi-Markov"}[request.param]
    return mechanism, draw_moves(np.random.default_rng(31), np.ones(N), np.full(N, 3653.0), request.param)


def state_on(moves: Moves, day: float) -> np.ndarray:
    """(N,) each patient's state: where the last spell that began by the day has led."""
    state = np.full(N, 2)
    for patient, entry, exit, code in zip(
        *(getattr(moves, name).tolist() for name in ("patient", "entry", "exit", "from_state")), strict=True
    ):
        if entry <= day < exit:
            state[patient] = code
    return state


def assert_shares(state: np.ndarray, truth: dict[str, float], prefix: str = "") -> None:
    for code, name in enumerate(STATES):
        share = (state == code).mean()
        error = (share * (1 - share) / len(state)) ** 0.5
        assert abs(share - truth[f"{prefix}{name}"]) < 4 * error + 2e-3 * error


@pytest.mark.parametrize("years", YEARS)
def test_states_are_occupied_as_told(committed: dict, moves: tuple[str, Moves], years: int) -> None:
    mechanism, drawn = moves
    assert_shares(state_on(drawn, days_of(years)), committed[f"occupation, {years} years", mechanism]["value"])


def test_transition_probabilities_are_met(committed: dict, moves: tuple[str, Moves]) -> None:
    mechanism, drawn = moves
    begin, end = state_on(drawn, days_of(2)), state_on(drawn, days_of(5))
    truth = committed["transition, 2 to 5 years", mechanism]["value"]
    for code, name in enumerate(STATES[:2]):
        assert_shares(end[begin == code], truth, f"{name}_to_")


def test_time_in_each_state_is_met_and_adds_up(committed: dict, moves: tuple[str, Moves]) -> None:
    mechanism, drawn = moves
    truth = committed["expected days in state, 5 years", mechanism]["value"]
    assert sum(truth.values()) == pytest.approx(days_of(5), abs=0.01)
    spent = np.clip(np.minimum(drawn.exit, days_of(5)) - drawn.entry, 0, None)
    for code, name in enumerate(STATES[:2]):
        each = np.bincount(drawn.patient, spent * (drawn.from_state == code), N)
        assert abs(each.mean() - truth[name]) < 4 * each.std() / N**0.5


def test_probabilities_compose_and_rows_sum_to_one() -> None:
    whole, first, second = (compute_transition(*span) for span in ((0, 3000), (0, 500), (500, 3000)))
    np.testing.assert_allclose(first @ second, whole, atol=1e-14)
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-14)
    assert whole[2].tolist() == [0, 0, 1]


def test_time_in_state_is_the_integral_of_occupation() -> None:
    days = np.linspace(0, 1826, 1827)
    occupied = np.array([np.array([0.7, 0.3, 0.0]) @ compute_transition(0, day) for day in days])
    by_trapezoids = ((occupied[1:] + occupied[:-1]) / 2).sum(axis=0)
    np.testing.assert_allclose(compute_time_in_state(1826), by_trapezoids, rtol=1e-5)


def test_a_relapse_that_lasts_is_less_often_left_than_a_markov_one_would_be(committed: dict) -> None:
    stays = {
        kind: committed["transition, 2 to 5 years", f"states, {kind}"]["value"] for kind in ("Markov", "semi-Markov")
    }
    gain = {kind: p["response_to_response"] - p["relapse_to_response"] for kind, p in stays.items()}
    assert gain["semi-Markov"] > 2 * gain["Markov"]


def test_treatment_makes_relapses_rarer_and_changes_nothing_where_it_has_no_effect() -> None:
    for effect, ratio in (("default", np.exp(-0.5)), ("none", 1.0)):
        frame = draw_states(np.random.default_rng(33), 20_000, effect=effect)
        early = frame[(frame["from_state"] == "response") & (frame["entry"] < 730)]
        years = (early["exit"].clip(upper=730) - early["entry"]).groupby(early["treated"]).sum()
        relapses = (early["to_state"].eq("relapse") & early["exit"].le(730)).groupby(early["treated"]).sum()
        rate = relapses / years
        error = (1 / relapses).sum() ** 0.5
        assert abs(np.log(rate[1.0] / rate[0.0]) - np.log(ratio)) < 4 * error
