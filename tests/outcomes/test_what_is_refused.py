"""What an outcome refuses at birth, because it would be read as something else without a word."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.outcomes import Groups, IntervalTime, RecurrentEvents, StateHistory, TimeToEvent

FRAME = pd.DataFrame({
    "id": ["S1", "S2", "S3"], "start": [0, 0, 0], "stop": [5, 7, 9], "dead": [1, 0, 1], "weight": [61.0, 54.0, 70.0],
    "what": ["death", "transplant", "censored"], "well": "well", "to": ["ill", "censored", "ill"],
    "right": [8, np.nan, 12], "known": [1, 0, 1], "entry": 1, "event": 1, "left": 2, "from_state": "x",
})  # fmt: skip


def spells(frame=FRAME, **how):
    return TimeToEvent.from_frame(frame, **({"exit": "stop", "event": "dead", "patient_id": "id"} | how))


def intervals(frame=FRAME, **how):
    return IntervalTime.from_frame(frame, left="stop", right="right", patient_id="id", **how)


def states(frame=FRAME, **how):
    return StateHistory.from_frame(
        frame, patient_id="id", entry="start", exit="stop", from_state="well", to_state="to", **how
    )


def again(frame=FRAME, **how):
    return RecurrentEvents.from_frame(frame, patient_id="id", exit="stop", event="dead", **how)


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (spells, "weight"), (spells, "entry"), (spells, "event"), (intervals, "weight"), (intervals, "left"),
        (intervals, "event"), (states, "weight"), (states, "from_state"), (again, "weight"), (again, "event"),
    ],
)  # fmt: skip
def test_a_covariate_never_takes_the_place_of_a_column_of_the_outcome(read, name):
    """The weight of a body is no weight of a case."""
    with pytest.raises(OutcomeError, match=f"a column of its own: {name}"):
        read(covariates=[name])
    renamed = read(FRAME.rename(columns={"weight": "body_weight"}), covariates=["body_weight"])
    assert renamed.weight.tolist() == [1, 1, 1]


@pytest.mark.parametrize("competing", ["transplant", 5, None])
def test_competing_events_are_a_list(competing):
    """A single text, read letter by letter, would name no event, and every transplant would count as a death."""
    with pytest.raises(OutcomeError, match="competing= is a"):
        spells(event="what", competing=competing)
    assert spells(event="what", competing=["transplant"]).event.tolist() == [True, False, False]


@pytest.mark.parametrize("name", ["Transplant", "transplant ", "TRANSPLANT"])
def test_a_competing_event_is_spelt_as_in_the_data(name):
    with pytest.raises(OutcomeError, match="Names differ by each letter"):
        spells(event="what", competing=[name])


def test_a_competing_event_that_never_happens_may_be_named():
    assert spells(event="what", competing=["withdrawal"]).competing == ()


@pytest.mark.parametrize("kind", ["object", "category"])
def test_censored_is_spelt_as_it_is(kind):
    frame = FRAME.assign(what=FRAME["what"].replace("censored", "Censored").astype(kind))
    with pytest.raises(OutcomeError, match="'censored' is what is known"):
        spells(frame, event="what")


@pytest.mark.parametrize("time", [pd.Timestamp("2020-01-01"), pd.Timedelta(5, "D"), 1j])
def test_dates_are_no_times(time):
    """Read as numbers they would be nanoseconds."""
    with pytest.raises(OutcomeError, match="not a date"):
        spells(FRAME.assign(stop=time))


@pytest.mark.parametrize("read", [spells, intervals, states, again])
def test_a_row_without_a_patient_is_refused(read):
    with pytest.raises(OutcomeError, match=r"1 of 3 rows .* name no patient"):
        read(FRAME.assign(id=["S1", None, "S3"]))


@pytest.mark.parametrize("known", [["yes", "no", "no"], [2, 1, 0], [None, 1, 0]])
def test_a_terminal_event_is_0_or_1(known):
    """``bool("no")`` is True."""
    with pytest.raises(OutcomeError, match="neither 0 nor 1"):
        intervals(FRAME.assign(known=known, end=20), end="end", terminal="known")


@pytest.mark.parametrize("read", [spells, intervals, states, again])
@pytest.mark.parametrize("unit", ["weeks", None, ["days"]])
def test_an_unknown_unit_is_refused(read, unit):
    with pytest.raises(OutcomeError, match="time_unit="):
        read(time_unit=unit)


@pytest.mark.parametrize("read", [spells, intervals, states, again])
@pytest.mark.parametrize("how", [{"covariates": "well"}, {"covariates": 5}, {"label": None}, {"weight": ["w"]}])
def test_what_is_no_name_is_refused_and_not_taken_apart(read, how):
    with pytest.raises(OutcomeError):
        read(**how)


@pytest.mark.parametrize("read", [spells, intervals, states, again])
def test_what_is_no_frame_is_refused_as_is_a_column_that_stands_twice(read):
    with pytest.raises(OutcomeError, match="a list"):
        read([1, 2])
    with pytest.raises(OutcomeError, match="more than once"):
        read(pd.concat([FRAME, FRAME[["stop"]]], axis=1))


@pytest.mark.parametrize("states_given", [(), ("well", "well", "ill"), 5])
def test_states_are_named_once(states_given):
    with pytest.raises(OutcomeError, match="declares no states"):
        states(states=states_given)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"levels": ("a", "a")}, "declares no levels"), ({"levels": "a"}, "declares no levels"),
        ({"known_at": "soon"}, "no number in onset or known_at"), ({"patient_id": None}, "name no patient"),
    ],
)  # fmt: skip
def test_groups_have_levels_days_and_patients(how, words):
    frame = pd.DataFrame({"patient_id": ["S1"], "label": ["a"], "onset": [1.0], "known_at": [2.0]})
    changes = {name: value for name, value in how.items() if name != "levels"}
    with pytest.raises(OutcomeError, match=words):
        Groups(frame.assign(**changes), "response", how.get("levels", ("a",)))
