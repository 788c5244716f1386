"""An event that may happen again: what is read, and what is refused at birth."""

import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.outcomes import RecurrentEvents, TimeToEvent


def read(rows, **how):
    frame = pd.DataFrame(rows, columns=["id", "start", "stop", "what"])
    flags = {name: how.pop(name) for name in ("risk", "seen") if name in how}
    named = {"at_risk": "risk"} if "risk" in flags else {}
    named |= {"watched": "seen"} if "seen" in flags else {}
    return RecurrentEvents.from_frame(
        frame.assign(**flags), patient_id="id", entry="start", exit="stop", event="what", terminal=["death"],
        label="flare", **named, **how,
    )  # fmt: skip


STORY = [("a", 0, 90, "flare"), ("a", 90, 400, "flare"), ("a", 400, 500, "death"), ("b", 30, 200, "censored")]


def test_a_patient_goes_on_after_an_event_and_not_after_a_terminal_one():
    outcome = read(STORY)
    assert outcome.event.tolist() == [True, True, False, False]
    assert outcome.ends.tolist() == [False, False, True, False]
    assert outcome.terminal == ("death",)
    assert outcome.number_of_event().tolist() == [1, 2, 3, 1]
    with pytest.raises(OutcomeError, match=r"1 of 5 rows of flare follow a terminal event"):
        read([*STORY, ("a", 500, 600, "censored")])


def test_everyone_is_at_risk_and_watched_unless_said_otherwise():
    assert read(STORY).at_risk.all()
    assert read(STORY).watched.all()
    assert read(STORY, risk=[1, 1, 0, 0]).watched.all()


def test_statistics_rule_14_an_event_happens_only_while_at_risk():
    with pytest.raises(OutcomeError, match="1 of 4 rows of flare end with the event though not at risk"):
        read(STORY, risk=[0, 1, 1, 1])


def test_who_is_at_risk_is_watched():
    with pytest.raises(OutcomeError, match="at risk and not watched"):
        read(STORY, seen=[1, 1, 0, 1])


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([("a", 5, 3, "flare")], "end before they begin"),
        ([("a", 0, 5, "flare"), ("a", 4, 9, "censored")], "overlap"),
        ([("a", 0, None, "flare")], "no usable number"),
        ([("a", 0, 5, None)], "no event code"),
    ],
)
def test_refuses_spells_that_cannot_be(rows, problem):
    with pytest.raises(OutcomeError, match=problem):
        read(rows)


def test_refuses_a_flag_that_is_neither_yes_nor_no():
    with pytest.raises(OutcomeError, match="neither 0 nor 1 in 'risk'"):
        read(STORY, risk=[1, 1, None, 1])


def test_death_on_the_day_of_an_event_comes_half_a_day_after_it():
    outcome = read([("a", 0, 90, "flare"), ("a", 90, 90, "death")])
    assert outcome.exit.tolist() == [90, 90.5]
    assert outcome.n_half_day == 1


def test_the_number_of_an_event_does_not_depend_on_the_order_of_rows():
    assert read(STORY[::-1]).number_of_event().tolist() == [1, 3, 2, 1]


def test_its_spells_carry_terminal_events_as_competing_ones():
    spells = read(STORY).to_spells()
    assert isinstance(spells, TimeToEvent)
    assert spells.competing == ("death",)
    assert spells.event.tolist() == [True, True, False, False]


def test_no_event_at_all_is_an_outcome():
    assert not read([("a", 0, 9, "censored")]).event.any()
