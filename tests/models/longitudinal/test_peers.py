"""Which pseudo-switches are comparable, and which of a peer's values are taken."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.peers import (
    NONE_AFTER,
    TOO_FEW_BEFORE,
    UNLIKE,
    choose_peers,
    comparable_moments,
    nearest_in_time,
    on_therapy_since,
)
from aih_outcomes.outcomes import Switches

MOMENTS = """
id day switched alt
a  100 1        8
b   90 0        7
b  300 0        9
c   50 0       20
d   60 0        8
e  400 0        8
"""


@pytest.fixture
def switches():
    lines = [line.split() for line in MOMENTS.strip().splitlines()]
    frame = pd.DataFrame(lines[1:], columns=lines[0]).astype({"day": float, "switched": int, "alt": float})
    return Switches.from_frame(frame, patient_id="id", time="day", switched="switched", covariates=["alt"])


def rows(**days):
    ids = pd.Series([name for name, own in days.items() for _ in own], dtype="string")
    return ids, np.array([day for own in days.values() for day in own], float)


def test_therapy_begins_at_the_own_switch_only(switches):
    since = on_therapy_since(switches, pd.Series(["a", "b", "z"]))
    assert since.tolist() == [100.0, np.inf, np.inf]


def test_without_within_every_other_moment_is_comparable(switches):
    found = comparable_moments(switches, "a", 100.0, {})
    assert found["patient_id"].tolist() == ["c", "d", "b", "b", "e"]
    assert found["alike"].all()


def test_within_asks_for_what_was_known_at_that_time(switches):
    found = comparable_moments(switches, "a", 100.0, {"alt": 1.0})
    assert found.loc[~found["alike"], "patient_id"].tolist() == ["c"]


@pytest.mark.parametrize(("within", "day"), [({"age": 1.0}, 100.0), ({"alt": 1.0}, 90.0)])
def test_a_covariate_that_nobody_knows_is_refused(switches, within, day):
    with pytest.raises(OutcomeError, match="Declare them in Switches"):
        comparable_moments(switches, "a", day, within)


@pytest.mark.parametrize(("within", "says"), [
    ({"alt": -1}, "below 0"), ({"alt": np.nan}, "finite number"), ({"alt": "1"}, "finite number"),
    (["alt"], "is a list"),
])  # fmt: skip
def test_a_distance_that_is_none_is_refused(switches, within, says):
    with pytest.raises(OutcomeError, match=says):
        comparable_moments(switches, "a", 100.0, within)


def test_a_covariate_in_words_has_no_distance():
    frame = pd.DataFrame({"id": ["a", "b"], "day": [9.0, 9.0], "switched": [1, 0], "gene": ["x", "y"]})
    found = Switches.from_frame(frame, patient_id="id", time="day", switched="switched", covariates=["gene"])
    with pytest.raises(OutcomeError, match="no number in 'gene'"):
        comparable_moments(found, "a", 9.0, {"gene": 1})


def test_each_peer_counts_once_and_the_others_are_counted_by_reason(switches):
    ids, days = rows(
        a=[0, 10, 20, 110], b=[0, 100, 200, 280, 320, 350, 900], c=[0, 10, 20, 60], d=[0, 10, 60], e=[0, 1, 2, 3]
    )
    moments = comparable_moments(switches, "a", 100.0, {"alt": 1.0})
    usable = np.ones(len(days), bool)
    peers, left_out = choose_peers(moments, ids, days, usable, np.array([10.0, 40.0]), horizon=100.0)
    assert [days[peer.past].tolist() for peer in peers] == [[0, 100, 200, 280]]  # on day 90 only one value before
    assert [days[peer.future].tolist() for peer in peers] == [[320, 350]]
    assert left_out.set_index("reason")["n"].to_dict() == {NONE_AFTER: 2, UNLIKE: 1}


def test_rows_on_therapy_are_no_peers_values(switches):
    ids, days = rows(d=[0, 10, 60, 70, 80])
    moments = comparable_moments(switches, "a", 100.0, {})
    peers, _ = choose_peers(moments, ids, days, days <= 70, np.array([10.0, 20.0]), horizon=100.0)
    assert days[peers[0].future].tolist() == [70]
    peers, left_out = choose_peers(moments, ids, days, days >= 10, np.array([10.0]), horizon=100.0)
    assert not peers
    assert TOO_FEW_BEFORE in left_out["reason"].tolist()


def test_values_nearest_in_time_are_taken_one_for_each():
    assert nearest_in_time(np.array([1.0, 2.0, 3.0]), np.array([3.0, 3.0])).tolist() == [1, 2]
    assert nearest_in_time(np.array([5.0]), np.array([3.0, 9.0])).tolist() == [0]
