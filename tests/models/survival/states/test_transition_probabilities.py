"""P(s, t): by hand, against etm and mstate, its invariants, what it refuses."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.result import TIDY_COLUMNS
from aih_outcomes.models.survival.states.state_occupation import estimate_state_occupation
from aih_outcomes.models.survival.states.transition_probabilities import estimate_transitions
from aih_outcomes.outcomes import StateHistory

SEQ_STATES = ["comp", "decomp", "transplant", "death"]
NAMES = dict(enumerate(SEQ_STATES, start=1))


@pytest.fixture(scope="module")
def pbcseq(data_set) -> pd.DataFrame:
    frame = data_set("derived_pbcseq_multistate")
    return frame.assign(
        to=frame["event"].map(dict(enumerate(["censored", *SEQ_STATES[1:]]))), birth=np.round(frame["age"] * 365.25)
    )


def read(frame, entry="tstart", exit="tstop", **more):
    return StateHistory.from_frame(
        frame, patient_id="id", entry=entry, exit=exit, from_state="istate", to_state="to", states=SEQ_STATES,
        covariates=["trt"], **more,
    )  # fmt: skip


def pick(frame, origin, target):
    return frame[(frame["term"] == origin) & (frame["state"] == target)]


def assert_etm(found, result, assert_close):
    """Each pair of states that the reference has, of 1 comp, 2 decomp, 3 transplant, 4 death."""
    for pair, own in result["values"].items():
        at = pick(found.at(own["time"]), *(NAMES[int(code)] for code in pair.split("->")))
        assert_close(at["estimate"], own["p"], result["rtol"], what=f"P {pair}")
        assert_close(at["std_error"], own["se_greenwood"], result["rtol"], what=f"se {pair}")


@pytest.mark.parametrize("day", [0, 365])
def test_matches_etm_on_pbcseq(day, pbcseq, reference, assert_close):
    result = reference("pbcseq_multistate")[f"transition_probabilities_etm_s{day}"]
    assert_etm(estimate_transitions(read(pbcseq), from_day=day), result, assert_close)


def test_matches_etm_on_the_age_scale_from_40_years(pbcseq, reference, assert_close):
    result = reference("pbcseq_multistate")["left_truncation_age_scale_etm"]
    frame = pbcseq.assign(begin=pbcseq["birth"] + pbcseq["tstart"], end=pbcseq["birth"] + pbcseq["tstop"])
    assert_etm(estimate_transitions(read(frame, "begin", "end"), from_day=14610), result, assert_close)


@pytest.mark.parametrize(("name", "day"), [("greenwood_s0", 0), ("greenwood_s365", 365), ("aalen_s0", 0)])
def test_matches_mstate_on_pbcseq(name, day, pbcseq, reference, assert_close):
    result = reference("pbcseq_multistate")["transition_probabilities_mstate"]
    found = estimate_transitions(read(pbcseq), from_day=day, variance=name.split("_")[0])
    for start, own in result["values"][name].items():
        origin = start.removeprefix("from_")
        at = found.at(own["time"]).query("term == @origin")
        for code, state in NAMES.items():
            one = at.query("state == @state")
            what = f"{name} {origin} {state}"
            assert_close(one["estimate"], own[f"pstate{code}"], result["rtol"], what=f"P {what}")
            assert_close(one["std_error"], own[f"se{code}"], result["rtol"], what=f"se {what}")


def test_matches_mstate_length_of_stay_on_pbcseq(pbcseq, reference, assert_close):
    result = reference("pbcseq_multistate")["transition_probabilities_mstate"]
    expected = result["values"]["expected_length_of_stay_s0_tau3650"]["values"]
    stay = estimate_transitions(read(pbcseq), from_day=0).time_in_state(3650)
    for origin, row in zip(("comp", "decomp"), expected, strict=False):
        assert_close(stay.query("term == @origin")["estimate"], row, result["rtol"], what=f"length of stay {origin}")


@pytest.fixture(scope="module")
def reversible() -> StateHistory:
    frame = pd.read_csv(Path(__file__).parents[3] / "reference" / "aalen_johansen.csv")
    return StateHistory.from_frame(
        frame, patient_id="id", entry="entry", exit="exit", from_state="from", to_state="to",
        states=["a", "b", "c", "d"], covariates=["arm"],
    )  # fmt: skip


@pytest.mark.parametrize("day", [0, 4])
@pytest.mark.parametrize("state", ["a", "b", "c"])
def test_matches_etm_with_reversible_states_ties_and_late_entry(day, state, reversible, r_figures, assert_close):
    figures = r_figures("aalen_johansen")[f"etm_{day}_{state}"]
    at = estimate_transitions(reversible, from_day=day).at(figures["times"]).query("term == @state")
    assert_close(at["estimate"], figures["p"], 1e-9, what=f"P from {state}")
    assert_close(at["std_error"], figures["se"], 1e-9, what=f"se from {state}")


def test_matches_r_cumulative_hazards(reversible, r_figures, assert_close):
    figures = r_figures("aalen_johansen")
    times = figures["start_estimated"]["times"]
    hazards = estimate_transitions(reversible, from_day=0).cumulative_hazards()
    for pair, expected in figures["cumhaz"].items():
        own = pick(hazards, *("abcd"[int(code) - 1] for code in pair.split(".")))
        steps = np.concatenate([[0.0], own["estimate"]])[np.searchsorted(own["time"], times, side="right")]
        assert_close(steps, expected, 1e-12, what=f"cumulative hazard {pair}")


def history(rows, **more):
    frame = pd.DataFrame(rows, columns=["id", "entry", "exit", "at", "to"]).assign(**more)
    return StateHistory.from_frame(
        frame, patient_id="id", entry="entry", exit="exit", from_state="at", to_state="to",
        states=["well", "ill", "dead"], weight="weight" if more else None,
    )  # fmt: skip


FOUR = [
    (1, 0, 2, "well", "ill"), (1, 2, 6, "ill", "dead"), (2, 0, 4, "well", "dead"), (3, 0, 4, "ill", "well"),
    (3, 4, 7, "well", "censored"), (4, 0, 9, "well", "censored"),
]  # fmt: skip


def test_by_hand_with_a_tie():
    # day 2: 1 of 3 well falls ill; day 4: 1 of 2 well dies and 1 of 2 ill gets well; day 6: the one ill dies
    found = estimate_transitions(history(FOUR), from_day=0).at([2, 4, 6]).set_index(["term", "time", "state"])
    p = found["estimate"]
    assert p["well"][2].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert p["well"][4].tolist() == pytest.approx([2 / 3 / 2 + 1 / 3 / 2, 1 / 3 / 2, 2 / 3 / 2])
    assert p["ill"][6].tolist() == pytest.approx([1 / 2, 0, 1 / 2])
    assert found["std_error"]["well"][2].tolist() == pytest.approx([(2 / 9 / 3) ** 0.5] * 2 + [0])


def test_numbers_and_columns():
    tidy = estimate_transitions(history(FOUR), from_day=0).tidy()
    assert list(tidy.columns) == [*[name for name in TIDY_COLUMNS if name in tidy], "n"]
    assert tidy["term"].unique().tolist() == ["well", "ill"]  # nobody is followed among the dead
    to_ill = tidy.query("term == 'well' and state == 'ill'")
    assert to_ill["n_risk"].tolist() == [3, 2, 2]
    assert to_ill["n_event"].tolist() == [1, 0, 0]


def test_transitions_on_the_first_day_do_not_count():
    later = estimate_transitions(history(FOUR), from_day=2).tidy()
    assert later["time"].min() == 4


def test_rows_of_one_start_equal_state_occupation_from_it(reversible):
    times = [5, 6, 9, 12]
    rows = estimate_transitions(reversible, from_day=4).at(times).query("term == 'b'")
    occupation = estimate_state_occupation(reversible, from_day=4, start={"b": 1.0}).at(times)
    np.testing.assert_allclose(rows["estimate"], occupation["estimate"], rtol=1e-12)


@settings(max_examples=25)
@given(st.integers(1, 14), st.integers(1, 14))
def test_from_s_over_u_to_t_is_from_s_to_t(first, second):
    frame = pd.read_csv(Path(__file__).parents[3] / "reference" / "aalen_johansen.csv")
    told = StateHistory.from_frame(
        frame, patient_id="id", entry="entry", exit="exit", from_state="from", to_state="to", states=list("abcd")
    )
    middle, last = sorted((first, second))

    def matrix(start, end):
        at = estimate_transitions(told, from_day=start).at([end])
        return np.vstack([at["estimate"].to_numpy().reshape(3, 4), np.eye(4)[3]])

    np.testing.assert_allclose(matrix(0, middle) @ matrix(middle, last), matrix(0, last), atol=1e-13)


def test_case_weights_equal_written_out_patients():
    written_out = [*FOUR, *[(who + 10, *rest) for who, *rest in FOUR]]
    double = estimate_transitions(history(FOUR, weight=2), from_day=0).at([2, 4, 6])
    pd.testing.assert_frame_equal(double, estimate_transitions(history(written_out), from_day=0).at([2, 4, 6]))


def test_two_groups_come_in_the_order_of_their_levels(reversible):
    assert estimate_transitions(reversible, from_day=0, by="arm").tidy()["strata"].unique().tolist() == ["x", "y"]


def test_what_cannot_be_estimated_is_refused():
    for told, how, words in (
        (history(FOUR), {"variance": "robust"}, "greenwood"),
        (history(FOUR, weight=0.5), {}, "case counts"),
        (history(FOUR), {"from_day": 9}, "followed after 9"),
    ):
        with pytest.raises(OutcomeError, match=words):
            estimate_transitions(told, **{"from_day": 0, **how})
    with pytest.raises(OutcomeError, match="horizon"):
        estimate_transitions(history(FOUR), from_day=4).time_in_state(4)
    assert estimate_transitions(history(FOUR), from_day=0).time_in_state(99)["estimate"].isna().all()


def test_the_caption_names_the_markov_assumption_and_the_plot_refuses_two_starts():
    found = estimate_transitions(history(FOUR), from_day=0)
    assert "Markov" in found.describe()
    assert found.glance()["n_event"] == 4
    with pytest.raises(OutcomeError, match="areas"):
        found.plot()


def test_plot_draws_one_start():
    import matplotlib.pyplot as plt

    rows = [(who, 0, 1000 + who, "well", "dead") for who in range(12)]
    figure, ax = plt.subplots(figsize=(6, 5))
    assert estimate_transitions(history(rows), from_day=0).plot(ax=ax) is ax
    plt.close(figure)
