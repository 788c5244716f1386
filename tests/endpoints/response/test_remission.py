"""Histological remission: hepatitis activity index below 4 of 18 (clinic 8)."""

from dataclasses import replace

import numpy as np
import pandas as pd

from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.response.remission import derive_histological_remission
from aih_outcomes.endpoints.timelines import derive_timelines
from tests.endpoints.tables import DAY_0, cohort, read, same


def remission(biopsies: str, **others: str) -> Detection:
    """Judge biopsies ``patient day hai adequate`` (yes, no, or - where that was not recorded)."""
    table = read("patient_id day hai adequate\n" + biopsies.strip())
    table = table.assign(
        date=DAY_0 + pd.to_timedelta(table["day"].astype(int), unit="D"),
        hai=table["hai"].astype(float),
        adequate=table["adequate"].map({"yes": True, "no": False}),
    )
    everyone = "\n".join(["patient sex", *[f"{patient} male" for patient in table["patient_id"].unique()]])
    return derive_histological_remission(
        derive_timelines(replace(cohort(patients=everyone, **others), biopsies=table, load_report=None))
    )


def test_clinic_rule_8_remission_is_an_activity_index_below_4() -> None:
    found = remission("""
        active 0 12 yes
        active 700 4 yes
        remits 0 12 yes
        remits 700 3 yes
    """)
    same(found.tidy(), """
        patient  status   at_risk_from  last_without  onset  known_at  because
        active   not met  0             700           -      -         HAI 4 or more
        remits   met      0             -             700    700       HAI below 4
    """)  # fmt: skip


def test_statistics_rule_12_it_came_about_between_two_biopsies() -> None:
    found = remission("""
        A -3 12 yes
        A 400 6 yes
        A 800 2 yes
        A 1200 9 yes
        B 10 12 yes
        B 800 2 yes
    """)
    assert found.to_intervals().frame[["left", "right"]].to_numpy().tolist() == [[400, 800], [10, 800]]


def test_who_is_not_biopsied_again_is_not_evaluable() -> None:
    same(remission("A 0 12 yes").tidy(), """
        patient  status         because
        A        not evaluable  no adequate biopsy later
    """)  # fmt: skip


def test_who_had_no_active_biopsy_at_the_start_is_not_at_risk() -> None:
    found = remission("""
        late 31 12 yes
        late 700 3 yes
        mild 0 3 yes
        mild 700 3 yes
        soon 30 12 yes
        soon 700 3 yes
        took_two 0 12 yes
        took_two 30 3 yes
    """)
    same(found.tidy(), """
        patient   status         at_risk_from  onset  because
        late      not evaluable  -             -      no adequate biopsy before treatment
        mild      not evaluable  -             -      HAI below 4 before treatment
        soon      met            30            700    HAI below 4
        took_two  not evaluable  -             -      HAI below 4 before treatment
    """)  # fmt: skip


def test_an_inadequate_biopsy_or_one_without_an_index_is_no_look() -> None:
    found = remission("""
        A 0 12 yes
        A 500 3 no
        A 700 3 yes
        B 0 12 yes
        B 500 - yes
        C 0 12 no
        C 700 3 yes
        D 0 12 -
        D 700 3 -
    """)
    same(found.tidy(), """
        patient  status         onset
        A        met            700
        B        not evaluable  -
        C        not evaluable  -
        D        met            700
    """)  # fmt: skip


def test_a_biopsy_of_the_graft_says_nothing() -> None:
    found = remission("A 0 12 yes\nA 700 3 yes", events="patient day kind\nA 600 transplant")
    assert np.isnan(found.onset).all()
    assert found.tidy()["status"].tolist() == ["not evaluable"]
