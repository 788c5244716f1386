"""Adverse events counted in the time in which they could have happened."""

from dataclasses import replace

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.events.adverse_events import ANY_EVENT, ANY_TIME, KINDS, SERIOUS, derive_adverse_events
from aih_outcomes.errors import PlanError
from aih_outcomes.models.event_rates import estimate_event_rates
from tests.endpoints.tables import cohort, same

EVENTS = """
    patient day kind
    A 0 infection
    A 1 infection
    A 100 infection
    A 101 zoster
    B 50 zoster
    B 90 infection
"""


def made(adverse_events: str = EVENTS, serious: tuple[int, ...] = (), **others: str) -> Cohort:
    tables = {
        "follow_up": "patient start end end_reason end_source\nA -30 100 ongoing visit\nB 50 150 ongoing visit",
        "treatments": "patient drug start stop\nA azathioprine 50 89\nB azathioprine 20 -",
    }
    built = cohort(adverse_events=adverse_events, **(tables | others))
    flagged = built.adverse_events.assign(serious=pd.array([k in serious for k in range(len(built.adverse_events))]))
    return replace(built, adverse_events=flagged)


def counts(found: pd.DataFrame, *labels: str, strata: str = ANY_TIME) -> pd.DataFrame:
    return found[found["label"].isin(labels) & (found["strata"] == strata)].reset_index(drop=True)


def test_statistics_rule_11_an_event_on_the_first_day_of_follow_up_was_there_before() -> None:
    # A is followed over (0, 100], B over (50, 150]: 200 days; A's day 0 and day 101 and B's day 50 lie outside
    same(counts(derive_adverse_events(made()), "infection", "zoster"), """
        label n n_with_event n_event n_outside person_days
        infection 2 2 3 1 200
        zoster 2 0 0 2 200
    """)  # fmt: skip


def test_every_kind_any_and_any_serious_have_a_row() -> None:
    found = derive_adverse_events(made(serious=(1, 5)))
    assert found["label"].tolist() == [ANY_EVENT, SERIOUS, *KINDS]
    same(counts(found, ANY_EVENT, SERIOUS)[["n_with_event", "n_event"]], """
        n_with_event n_event
        2 3
        2 2
    """)  # fmt: skip


def test_on_a_drug_time_runs_to_the_day_after_its_last_dose() -> None:
    # A takes it on days 50 to 89: (50, 90]; B goes on, and is followed over (50, 150]
    same(counts(derive_adverse_events(made(), drug_classes=["thiopurine"]), "infection", strata="thiopurine"), """
        n n_with_event n_event person_days
        2 1 1 140
    """)  # fmt: skip


def test_time_after_transplant_is_not_counted() -> None:
    found = derive_adverse_events(made(events="patient day kind\nA 60 transplant"))
    same(counts(found, "infection"), """
        n_event n_outside person_days
        2 2 160
    """)  # fmt: skip


def test_two_periods_of_follow_up_leave_the_gap_out() -> None:
    found = derive_adverse_events(made(follow_up="""
        patient start end end_reason end_source
        A 0 20 transfer visit
        A 80 100 ongoing visit
    """))  # fmt: skip
    same(counts(found, "infection"), """
        n n_event person_days
        1 2 40
    """)  # fmt: skip


def test_the_counts_become_rates() -> None:
    rates = estimate_event_rates(derive_adverse_events(made())).tidy()
    infection = rates[rates["label"] == "infection"].iloc[0]
    assert infection["estimate"] == pytest.approx(3 / (200 / 365.25))


def test_nobody_has_no_time_and_an_unknown_class_is_refused() -> None:
    nobody = Cohort(pd.DataFrame({"patient_id": pd.Series(dtype="string")}))
    found = derive_adverse_events(nobody, drug_classes=["steroid"])
    assert len(found) == 2 * (len(KINDS) + 2)
    assert found["person_days"].sum() == 0
    assert estimate_event_rates(found).tidy()["estimate"].isna().all()
    with pytest.raises(PlanError, match="catalogue"):
        derive_adverse_events(nobody, drug_classes=["aspirin"])
