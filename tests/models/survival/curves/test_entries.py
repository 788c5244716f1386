"""Numbers at risk can be read off a frame at any time, whoever comes late and whenever."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.figures.risk_table import read_risk
from aih_outcomes.models.survival.competing.cumulative_incidence import estimate_cumulative_incidence
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.outcomes import TimeToEvent

SPELLS = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 9), st.booleans()), min_size=1, max_size=12)


def read(rows):
    entry, length, event = zip(*rows, strict=True)
    frame = pd.DataFrame({"entry": entry, "exit": np.add(entry, length), "event": np.array(event).astype(int)})
    return TimeToEvent.from_frame(frame, entry="entry", exit="exit", event="event", label="death")


@settings(max_examples=40)
@given(SPELLS)
def test_the_next_row_says_who_is_at_risk_at_any_time(rows):
    outcome = read(rows)
    for tidy in (
        estimate_survival(outcome, from_day=0).tidy(),
        estimate_cumulative_incidence(outcome, from_day=0).tidy().query("state == 'event-free'"),
    ):
        for day in np.arange(0.5, outcome.exit.max(), 0.5):
            here = int(np.sum((outcome.entry < day) & (day <= outcome.exit)))
            assert tidy["n_risk"].iloc[np.searchsorted(tidy["time"], day)] == here


@settings(max_examples=40)
@given(SPELLS)
def test_risk_tables_under_late_entry_count_those_who_are_there(rows):
    outcome = read(rows)
    tidy = estimate_survival(outcome, from_day=0).tidy()
    ticks = [0.0, 1.0, 2.5, 4.0]
    table = read_risk(tidy, ticks, hidden="–", is_cut=False)
    expected = [np.sum((outcome.entry <= 0) & (outcome.exit > 0))]
    expected += [np.sum((outcome.entry < tick) & (tick <= outcome.exit)) for tick in ticks[1:]]
    assert table["n_risk"].tolist() == [str(int(n)) for n in expected]


def test_without_late_entry_the_frame_has_only_times_of_leaving():
    assert estimate_survival(read([(0, 3, True), (0, 5, False)])).tidy()["time"].tolist() == [3, 5]


def test_nobody_is_at_risk_before_the_first_comes():
    tidy = estimate_survival(read([(4, 3, True), (6, 5, False)]), from_day=0).tidy()
    assert tidy["time"].tolist() == [0, 4, 6, 7, 11]
    assert tidy["n_risk"].tolist() == [0, 0, 1, 2, 1]
    assert tidy["estimate"].tolist() == pytest.approx([1, 1, 1, 0.5, 0.5])
