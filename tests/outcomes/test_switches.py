"""Switches and pseudo-switches: what a moment may be."""

import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.outcomes import Switches


def moments(*rows):
    return pd.DataFrame(rows, columns=["id", "day", "dosed"])


def read(frame, **kwargs):
    return Switches.from_frame(frame, patient_id="id", time="day", switched="dosed", **kwargs)


def test_counts_switches_and_pseudo_switches():
    found = read(moments(("a", 10, 0), ("a", 90, 1), ("b", 30, 0)))
    assert (found.n_switches, found.n_pseudo_switches) == (1, 2)
    assert found.day_of_switch().to_dict() == {"a": 90.0}
    assert found.switched.tolist() == [False, True, False]


def test_covariates_known_then_are_kept_also_where_missing():
    frame = moments(("a", 10, 0), ("b", 90, 1)).assign(peak=[2.5, None])
    found = read(frame, covariates=["peak"], label="first dose", time_zero="diagnosis")
    assert found.frame["peak"].isna().tolist() == [False, True]
    assert (found.label, found.time_zero, found.covariates) == ("first dose", "diagnosis", ("peak",))


def test_nobody_and_nobody_who_switched_are_allowed():
    assert read(moments()).n_switches == 0
    assert read(moments(("a", 10, 0))).day_of_switch().empty


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("a", 10, 1), ("a", 90, 1)], "switch a second time"),
        ([("a", 10, 1), ("a", 90, 0)], "on or after the patient's own switch"),
        ([("a", 90, 1), ("a", 90, 0)], "on or after the patient's own switch"),
        ([("a", 90, 0), ("a", 90, 0)], "repeat a patient and time"),
        ([("a", None, 0)], "no usable number"),
        ([("a", 90, 2)], "neither 0 nor 1"),
        ([(None, 90, 0)], "name no patient"),
    ],
)
def test_what_is_no_moment_is_refused(rows, words):
    with pytest.raises(OutcomeError, match=words):
        read(moments(*rows))


def test_a_covariate_may_not_take_the_name_of_a_column():
    with pytest.raises(OutcomeError, match="name of a column of its own"):
        read(moments(("a", 1, 0)).assign(time=1), covariates=["time"])


@pytest.mark.parametrize("name", ["set", "distance"])
def test_a_covariate_may_not_take_the_name_of_what_a_matching_adds(name):
    with pytest.raises(OutcomeError, match="name of a column of its own"):
        read(moments(("a", 1, 0)).assign(**{name: 1}), covariates=[name])


def test_a_covariate_named_twice_counts_once():
    assert read(moments(("a", 1, 0)).assign(peak=1.0), covariates=["peak", "peak"]).covariates == ("peak",)
