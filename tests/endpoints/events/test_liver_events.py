"""What only an examination shows: new cirrhosis, varices, conversion to ASC (statistics 12; clinic 18, 22)."""

from dataclasses import replace
from typing import Literal

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.events.liver_events import (
    STIFFNESS_F4,
    derive_asc_conversion,
    derive_cirrhosis,
    derive_varices,
)
from aih_outcomes.endpoints.timelines import Timelines, derive_timelines
from tests.endpoints.tables import cohort, read, same

FLAGS = ("adequate", "cirrhosis_at_diagnosis")
YES_NO = {"yes": True, "no": False}


def examined(
    clock: Literal["diagnosis", "induction"] = "diagnosis", *, steroid: bool = True, **tables: str
) -> Timelines:
    """Put a cohort from text tables on its clock; flags are written ``yes`` and ``no``."""
    made = cohort(**{name: _without_flags(text) for name, text in tables.items()}, steroid=steroid)
    return derive_timelines(_with_flags(made, tables), time_zero=clock)


def _without_flags(text: str) -> str:
    frame = read(text).drop(columns=[*FLAGS], errors="ignore").fillna("-")
    return "\n".join("  ".join(cells) for cells in [list(frame.columns), *frame.to_numpy().tolist()])


def _with_flags(made: Cohort, tables: dict[str, str]) -> Cohort:
    for name, text in tables.items():
        given = read(text)
        for column in given.columns.intersection(FLAGS):
            flags = given[column].map(YES_NO).astype("boolean")
            table = made.tables()[name]
            if name == "patients":
                flags = table["patient_id"].map(pd.Series(flags.array, index=given["patient"])).astype("boolean")
            made = replace(made, **{name: table.assign(**{column: flags.array})})
    return made


def biopsies(*lines: str) -> str:
    return "\n".join(["patient day ishak_fibrosis adequate", *lines])


def imaging(*lines: str) -> str:
    return "\n".join(["patient day modality finding shows", *lines])


# --- cirrhosis


def test_new_cirrhosis_lies_between_the_last_biopsy_without_and_the_first_with() -> None:
    timelines = examined(biopsies=biopsies("A 0 2 yes", "A 700 4 yes", "A 1400 5 yes", "A 1500 3 yes"))
    found = derive_cirrhosis(timelines)
    same(found.tidy(), """
        patient  status  at_risk_from  last_without  onset  known_at  because
        A        met     0             700           1400   1400      biopsy
    """)  # fmt: skip
    same(found.to_intervals().frame, """
        patient left right
        A 700 1400
    """)  # fmt: skip


def test_ishak_5_is_cirrhosis_and_4_is_not() -> None:
    timelines = examined(biopsies=biopsies("five 0 1 yes", "five 700 5 yes", "four 0 1 yes", "four 700 4 yes"))
    same(derive_cirrhosis(timelines).tidy(), """
        patient  status   last_without  onset
        five     met      0             700
        four     not met  700           -
    """)  # fmt: skip


def test_cirrhosis_at_diagnosis_is_never_new() -> None:
    timelines = examined(
        patients="patient cirrhosis_at_diagnosis\nrecorded yes",
        biopsies=biopsies(
            "day_90 0 2 yes", "day_90 90 6 yes", "recorded 800 6 yes", "day_91 0 2 yes", "day_91 91 6 yes"
        ),
    )
    same(derive_cirrhosis(timelines).tidy(), """
        patient   status         onset  because
        day_90    not evaluable  -      cirrhosis at diagnosis
        day_91    met            91     biopsy
        recorded  not evaluable  -      cirrhosis at diagnosis
    """)  # fmt: skip


def test_no_cirrhosis_recorded_at_diagnosis_is_a_look_that_showed_none() -> None:
    timelines = examined(patients="patient cirrhosis_at_diagnosis\nA no", biopsies=biopsies("A 900 5 yes"))
    same(derive_cirrhosis(timelines).tidy(), """
        patient  status  at_risk_from  last_without  onset
        A        met     0             0             900
    """)  # fmt: skip


def test_cirrhosis_that_was_never_shown_to_be_absent_may_be_old() -> None:
    timelines = examined(biopsies=biopsies("A 900 5 yes", "B 900 2 yes", "B 1500 5 yes"))
    same(derive_cirrhosis(timelines).tidy(), """
        patient  status         at_risk_from  onset  because
        A        not evaluable  -             -      cirrhosis at the first look
        B        met            900           1500   biopsy
    """)  # fmt: skip


def test_an_inadequate_biopsy_decides_nothing() -> None:
    timelines = examined(biopsies=biopsies("A 0 2 yes", "A 700 6 no", "B 0 2 no", "B 700 1 no"))
    same(derive_cirrhosis(timelines).tidy(), """
        patient  status         because
        A        not evaluable  not looked for again
        B        not evaluable  never shown to be absent
    """)  # fmt: skip


def test_a_biopsy_not_said_to_be_adequate_shows_cirrhosis_but_never_its_absence() -> None:
    timelines = examined(biopsies=biopsies("A 0 2 yes", "A 700 5 -", "B 0 2 yes", "B 700 2 -"))
    same(derive_cirrhosis(timelines).tidy(), """
        patient  status         onset  because
        A        met            700    biopsy
        B        not evaluable  -      not looked for again
    """)  # fmt: skip


def test_imaging_may_show_cirrhosis_but_a_normal_ultrasound_never_its_absence() -> None:
    timelines = examined(
        biopsies=biopsies("A 0 2 yes", "B 0 2 yes"),
        imaging=imaging("A 500 ultrasound abnormal cirrhosis", "B 500 ultrasound normal -"),
    )
    same(derive_cirrhosis(timelines).tidy(), """
        patient  status         last_without  onset  because
        A        met            0             500    imaging
        B        not evaluable  -             -      not looked for again
    """)  # fmt: skip


STIFF = """
    patient day modality finding stiffness
    early 181 elastography abnormal 30
    reached 182 elastography abnormal 16
    softer 400 elastography normal 15.9
    """


def test_elastography_says_nothing_unless_asked() -> None:
    timelines = examined(patients="patient cirrhosis_at_diagnosis\nearly no\nreached no\nsofter no", imaging=STIFF)
    assert derive_cirrhosis(timelines).tidy()["status"].tolist() == ["not evaluable"] * 3


def test_clinic_rule_22_stiffness_counts_only_after_6_months_of_treatment() -> None:
    timelines = examined(patients="patient cirrhosis_at_diagnosis\nearly no\nreached no\nsofter no", imaging=STIFF)
    same(derive_cirrhosis(timelines, stiffness_at_least=STIFFNESS_F4).tidy(), """
        patient  status         last_without  onset  because
        early    not evaluable  -             -      not looked for again
        reached  met            0             182    stiffness
        softer   not met        400           -      not found
    """)  # fmt: skip


def test_without_treatment_stiffness_speaks_of_inflammation() -> None:
    timelines = examined(patients="patient cirrhosis_at_diagnosis\nreached no", imaging=STIFF, steroid=False)
    assert set(derive_cirrhosis(timelines, stiffness_at_least=16).tidy()["status"]) == {"not evaluable"}


def test_a_biopsy_of_the_graft_says_nothing_about_the_native_liver() -> None:
    timelines = examined(
        biopsies=biopsies("A 0 2 yes", "A 500 3 yes", "A 800 6 yes"), events="patient day kind\nA 800 transplant"
    )
    found = derive_cirrhosis(timelines)
    same(found.tidy(), """
        patient  status   last_without  onset
        A        not met  500           -
    """)  # fmt: skip
    same(found.to_time_to_event().frame, """
        patient  entry  exit  event
        A        0      800   Liver transplant
    """)  # fmt: skip


def test_statistics_rule_12_censoring_is_at_the_last_look_and_not_at_the_last_contact() -> None:
    timelines = examined(
        biopsies=biopsies("A 0 2 yes", "A 500 3 yes"),
        follow_up="patient start end end_reason end_source\nA 0 3000 ongoing visit",
    )
    same(derive_cirrhosis(timelines).to_time_to_event().frame, """
        patient entry exit event
        A 0 500 censored
    """)  # fmt: skip


def test_a_referred_patient_is_at_risk_from_being_first_seen() -> None:
    timelines = examined(
        patients="patient first_seen_date\nnew 400\nold 400",
        biopsies=biopsies("new 0 2 yes", "new 900 5 yes", "old 0 2 yes", "old 300 5 yes"),
    )
    same(derive_cirrhosis(timelines).tidy(), """
        patient  status         at_risk_from  onset  because
        new      met            400           900    biopsy
        old      not evaluable  -             -      found before being first seen
    """)  # fmt: skip


def test_baseline_is_counted_from_diagnosis_on_any_clock() -> None:
    tables = {
        "patients": "patient diagnosis_date\nA -60\nB -60",
        "biopsies": biopsies("A -60 2 yes", "A 30 5 yes", "B -60 2 yes", "B 31 5 yes"),
    }
    same(derive_cirrhosis(examined("induction", **tables)).tidy(), """
        patient  status         at_risk_from  onset
        A        not evaluable  -             -
        B        met            0             31
    """)  # fmt: skip


# --- varices


def test_new_varices_lie_between_a_normal_endoscopy_and_the_first_that_shows_them() -> None:
    timelines = examined(
        imaging=imaging("A 400 endoscopy normal -", "A 800 endoscopy normal -", "A 1200 endoscopy abnormal varices")
    )
    same(derive_varices(timelines).tidy(), """
        patient  status  at_risk_from  last_without  onset  because
        A        met     400           800           1200   endoscopy
    """)  # fmt: skip


def test_varices_that_bleed_are_varices() -> None:
    timelines = examined(
        imaging=imaging("A 400 endoscopy normal -", "A 900 endoscopy abnormal varices"),
        events="patient day kind\nA 600 variceal_bleed",
    )
    same(derive_varices(timelines).tidy(), """
        patient  status  onset  because
        A        met     600    variceal bleed
    """)  # fmt: skip


def test_who_was_never_scoped_and_whose_first_endoscopy_shows_varices_are_not_evaluable() -> None:
    timelines = examined(
        patients="patient sex\nnever female",
        imaging=imaging("first 900 endoscopy abnormal varices", "at_diagnosis 10 endoscopy abnormal varices"),
    )
    same(derive_varices(timelines).tidy(), """
        patient       status         because
        at_diagnosis  not evaluable  varices at diagnosis
        first         not evaluable  varices at the first look
        never         not evaluable  never shown to be absent
    """)  # fmt: skip


def test_an_abnormal_endoscopy_that_does_not_say_what_it_shows_decides_nothing() -> None:
    timelines = examined(imaging=imaging("A 100 endoscopy normal -", "A 900 endoscopy abnormal -"))
    assert derive_varices(timelines).tidy()["because"].tolist() == ["not looked for again"]


# --- sclerosing cholangitis


def test_clinic_rule_18_conversion_is_an_abnormal_cholangiogram_after_a_documented_normal_one() -> None:
    timelines = examined(
        imaging=imaging("A 20 mrcp normal -", "A 700 mrcp normal -", "A 1500 ercp abnormal cholangiopathy")
    )
    found = derive_asc_conversion(timelines)
    same(found.tidy(), """
        patient  status  at_risk_from  last_without  onset  known_at
        A        met     20            700           1500   1500
    """)  # fmt: skip
    same(found.to_intervals().frame, """
        patient left right
        A 700 1500
    """)  # fmt: skip


def test_clinic_rule_18_an_abnormal_first_cholangiogram_is_asc_at_first_imaging_however_late() -> None:
    timelines = examined(
        patients="patient asc_at_baseline\nrecorded asc\nlate not_imaged",
        imaging=imaging("late 2000 mrcp abnormal cholangiopathy", "recorded 100 mrcp normal -"),
    )
    same(derive_asc_conversion(timelines).tidy(), """
        patient   status         because
        late      not evaluable  ASC at first imaging
        recorded  not evaluable  ASC at first imaging
    """)  # fmt: skip


def test_clinic_rule_18_who_was_never_imaged_is_not_evaluable() -> None:
    timelines = examined(patients="patient asc_at_baseline\nA not_imaged\nB -")
    same(derive_asc_conversion(timelines).tidy(), """
        patient  status         because
        A        not evaluable  never shown to be absent
        B        not evaluable  never shown to be absent
    """)  # fmt: skip


def test_normal_ducts_recorded_at_diagnosis_open_the_interval() -> None:
    timelines = examined(
        patients="patient asc_at_baseline\nA normal\nB normal", imaging=imaging("A 900 mrcp abnormal -")
    )
    same(derive_asc_conversion(timelines).tidy(), """
        patient  status         last_without  onset  because
        A        met            0             900    cholangiogram
        B        not evaluable  -             -      not looked for again
    """)  # fmt: skip


@pytest.mark.parametrize(
    "line", ["A 900 mrcp indeterminate -", "A 900 mrcp abnormal focal_lesion", "A 900 ultrasound abnormal -"]
)
def test_what_is_not_a_clear_cholangiogram_decides_nothing(line: str) -> None:
    timelines = examined(imaging=imaging("A 20 mrcp normal -", "A 700 mrcp normal -", line))
    same(derive_asc_conversion(timelines).tidy(), """
        patient  status   last_without
        A        not met  700
    """)  # fmt: skip


def test_a_child_with_ducts_found_abnormal_within_weeks_of_a_normal_cholangiogram_converted() -> None:
    timelines = examined(imaging=imaging("A 5 mrcp normal -", "A 60 ercp abnormal cholangiopathy"))
    assert derive_asc_conversion(timelines).tidy()["onset"].tolist() == [60]


# --- nothing to look at


@pytest.mark.parametrize("derive", [derive_cirrhosis, derive_varices, derive_asc_conversion])
def test_nothing_to_look_at_gives_nobody_at_risk(derive: object) -> None:
    assert callable(derive)
    nobody = derive_timelines(Cohort(pd.DataFrame({"patient_id": pd.Series(dtype="string")})), time_zero="diagnosis")
    alone = examined(patients="patient sex\nA female")
    assert derive(nobody).tidy().empty
    assert derive(alone).tidy()["status"].tolist() == ["not evaluable"]
    for found in (derive(nobody), derive(alone)):
        assert found.to_intervals().frame.empty
        assert found.to_time_to_event().frame.empty
