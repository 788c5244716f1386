"""Status that changes with time: spells, ties of change and event, splitting."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.curves.log_rank import compare_survival
from aih_outcomes.models.survival.curves.restricted_mean import compare_restricted_means, compare_survival_at
from aih_outcomes.models.survival.designs.comparison import compare_groups
from aih_outcomes.models.survival.designs.time_varying import time_varying
from aih_outcomes.outcomes import Groups, TimeToEvent


def spells(rows, changes, irreversible=True, **how):
    frame = pd.DataFrame(rows, columns=["id", "entry", "exit", "event"])
    outcome = TimeToEvent.from_frame(frame, entry="entry", exit="exit", event="event", patient_id="id")
    known = pd.DataFrame(changes, columns=["patient_id", "label", "known_at"])
    groups = Groups(known.assign(onset=known["known_at"]), "status", ("no", "yes"), irreversible=irreversible)
    return time_varying(outcome, groups, **how)


def listed(outcome):
    return [(r.patient_id, r.entry, r.exit, r.event != "censored", str(r.group)) for r in outcome.frame.itertuples()]


def test_every_day_is_counted_in_the_group_known_at_its_beginning():
    outcome = spells([("a", 0, 100, 1)], [("a", "no", 20.0), ("a", "yes", 60.0)])
    assert listed(outcome) == [
        ("a", 0, 20, False, "undetermined"),
        ("a", 20, 60, False, "no"),
        ("a", 60, 100, True, "yes"),
    ]


def test_a_change_on_the_day_of_the_event_applies_after_it():
    assert listed(spells([("a", 0, 100, 1)], [("a", "yes", 100.0)])) == [("a", 0, 100, True, "undetermined")]
    assert listed(spells([("a", 50, 50, 1)], [("a", "yes", 50.0)])) == [("a", 50, 50.5, True, "undetermined")]


def test_status_known_before_entry_applies_from_entry():
    assert listed(spells([("a", 30, 100, 0)], [("a", "no", 10.0), ("a", "yes", 30.0)])) == [
        ("a", 30, 100, False, "yes")
    ]


def test_status_never_known_leaves_the_patient_undetermined():
    assert listed(spells([("a", 0, 9, 1)], [("a", "yes", np.nan), ("b", "no", 1.0)])) == [
        ("a", 0, 9, True, "undetermined")
    ]


def test_undetermined_is_the_reference_unless_another_is_named():
    rows, changes = [("a", 0, 9, 1)], [("a", "yes", 3.0)]
    assert spells(rows, changes).frame["group"].cat.categories.tolist() == ["undetermined", "no", "yes"]
    assert spells(rows, changes, reference="no").frame["group"].cat.categories.tolist() == ["no", "undetermined", "yes"]
    with pytest.raises(OutcomeError, match="no level"):
        spells(rows, changes, reference="maybe")


def test_says_that_it_is_confounded_by_severity_and_no_treatment_effect():
    rows = [(str(i), 0, 20 + i, i % 2) for i in range(20)]
    comparison = compare_groups(spells(rows, [(str(i), "yes", 5.0 + i) for i in range(0, 20, 3)]), by="group")
    assert "Prognostic association, not a treatment effect; confounded by severity." in comparison.describe()
    assert "Simon-Makuch curves; Mantel-Byar test" in comparison.describe()


def test_curves_of_groups_that_may_change_back_are_not_offered():
    rows = [(str(i), 0, 20 + i, i % 2) for i in range(20)]
    comparison = compare_groups(spells(rows, [(str(i), "yes", 5.0) for i in range(9)], irreversible=False), by="group")
    assert comparison.tidy()["measure"].tolist() == ["hazard_ratio"]
    assert "irreversible" in comparison.glance()["not_estimable_absolute"]


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 30), st.booleans(), st.integers(0, 70)), min_size=1, max_size=15
    )
)
def test_splitting_keeps_the_time_at_risk_and_the_events(rows):
    people = [(str(i), entry, entry + length, int(dead)) for i, (entry, length, dead, _) in enumerate(rows)]
    outcome = spells(people, [(str(i), "yes", float(change)) for i, (*_, change) in enumerate(rows)])
    frame = outcome.frame
    expected = sum(max(length, 0.5) for _, length, *_ in rows)
    assert (frame["exit"] - frame["entry"]).sum() == expected
    assert outcome.event.sum() == sum(dead for _, _, dead, _ in rows)
    assert frame["patient_id"].nunique() == len(rows)


def test_statistics_rule_4_no_curve_and_no_test_of_groups_that_may_change_back():
    rows = [(str(i), 0, 10.0 + i, 1) for i in range(9)]
    back = spells(rows, [(str(i), "yes", 5.0) for i in range(9)], irreversible=False)
    for ask in (estimate_survival, compare_survival, compare_survival_at, compare_restricted_means):
        with pytest.raises(OutcomeError, match="may change back"):
            ask(back, by="group")
    comparison = compare_groups(back, by="group")
    assert comparison.survival is None
    assert comparison.tidy()["measure"].tolist() == ["hazard_ratio"]
