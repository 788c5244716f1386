"""Episodes and lines of treatment (clinic 12, 14 and 15). Every patient takes prednisolone from day 0 on."""

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.timelines import derive_timelines
from aih_outcomes.endpoints.treatment.episodes import derive_episodes
from aih_outcomes.endpoints.treatment.lines import derive_lines, derive_second_line
from tests.endpoints.tables import cohort, same

FOLLOWED = "patient start end end_reason end_source\n"


def given(rows: str, *, columns: str = "patient drug start stop reason_stopped", **others: str) -> Cohort:
    return cohort(treatments=f"{columns}\n{rows.strip()}", **others)


def drugs_but_steroid(found: pd.DataFrame) -> pd.DataFrame:
    return found[found["drug"] != "prednisolone"].reset_index(drop=True)


def lines(rows: str) -> pd.DataFrame:
    return drugs_but_steroid(derive_lines(given(rows)))


def episodes(rows: str, columns: str = "patient drug start stop reason_stopped") -> pd.DataFrame:
    return drugs_but_steroid(derive_episodes(given(rows, columns=columns)))


def test_a_change_of_dose_and_a_pause_of_30_days_do_not_end_an_episode() -> None:
    same(episodes("""
        A azathioprine 14 99 planned
        A azathioprine 100 199 planned
        A azathioprine 230 300 intolerance
        B azathioprine 14 99 intolerance
        B azathioprine 131 - -
    """), """
        patient drug start stop n_periods reason_stopped ongoing
        A azathioprine 14 300 3 intolerance False
        B azathioprine 14 99 1 intolerance False
        B azathioprine 131 - 1 - True
    """)  # fmt: skip


def test_clinic_rule_14_the_same_drug_for_another_indication_is_an_episode_of_its_own_and_no_line() -> None:
    same(episodes("""
        A infliximab 100 150 ibd
        A infliximab 151 200 aih
    """, "patient drug start stop indication"), """
        patient drug indication start stop is_line
        A infliximab ibd 100 150 False
        A infliximab aih 151 200 True
    """)  # fmt: skip


def test_clinic_rule_14_anti_tnf_before_the_diagnosis_is_flagged_whatever_it_was_for() -> None:
    same(episodes("""
        bowel adalimumab -300 -10 ibd
        joints methotrexate -300 - jia
        later infliximab 0 - aih
        liver infliximab -1 - aih
    """, "patient drug start stop indication"), """
        patient before_diagnosis anti_tnf_before_diagnosis is_line
        bowel True True False
        joints True False False
        later False False True
        liver True True False
    """)  # fmt: skip


def test_an_episode_that_stops_before_it_starts_is_a_single_day() -> None:
    """Stopped some time in the month, which is written as its 15th: before the day on which it was begun."""
    same(episodes("A azathioprine 20 14 other month", "patient drug start stop reason_stopped date_precision"), """
        patient start stop reason_stopped
        A 20 20 other
    """)  # fmt: skip


def test_clinic_rule_15_the_steroid_is_the_first_line_and_the_thiopurine_its_step_up() -> None:
    same(derive_lines(given("A azathioprine 400 - -\nB azathioprine 0 - -")), """
        patient line drug start stop why
        A 1 prednisolone 0 - first
        A 1 azathioprine 400 - step-up
        B 1 prednisolone 0 - first
        B 1 azathioprine 0 - first
    """)  # fmt: skip


@pytest.mark.parametrize(
    ("drug", "day", "line"),
    [
        ("mycophenolate", 0, 1),
        ("mycophenolate", 90, 1),
        ("mycophenolate", 91, 2),
        ("ciclosporin", 0, 1),
        ("ciclosporin", 14, 1),
        ("tacrolimus", 15, 2),
        ("methotrexate", 0, 1),
        ("methotrexate", 1, 2),
        ("azathioprine", 2000, 1),
        ("infliximab", 0, 2),  # any advanced therapy is a line of its own
        ("sirolimus", 3, 2),
    ],
)
def test_clinic_rule_15_which_line_a_drug_begun_after_steroid_alone_is(drug: str, day: int, line: int) -> None:
    found = lines(f"A {drug} {day} - -")
    assert found["line"].tolist() == [line]


def test_clinic_rule_15_after_a_thiopurine_mycophenolate_is_the_second_line_however_early() -> None:
    same(lines("A azathioprine 0 9 intolerance\nA mycophenolate 10 - -"), """
        patient  line  drug  why
        A  1  azathioprine  first
        A  2  mycophenolate  switch for intolerance
    """)  # fmt: skip


def test_each_new_class_is_the_next_line() -> None:
    same(lines("""
        A azathioprine 14 199 inefficacy
        A mycophenolate 200 399 inefficacy
        A tacrolimus 400 599 inefficacy
        A infliximab 600 799 inefficacy
        A rituximab 800 - -
    """), """
        patient line drug
        A 1 azathioprine
        A 2 mycophenolate
        A 3 tacrolimus
        A 4 infliximab
        A 5 rituximab
    """)  # fmt: skip


def test_classes_begun_on_one_day_share_a_line() -> None:
    same(lines("""
        A azathioprine 14 199 inefficacy
        A mycophenolate 200 - -
        A tacrolimus 200 - -
        A infliximab 300 - -
    """), """
        patient line drug
        A 1 azathioprine
        A 2 mycophenolate
        A 2 tacrolimus
        A 3 infliximab
    """)  # fmt: skip


def test_a_switch_within_a_class_does_not_advance_the_line() -> None:
    same(lines("""
        cni tacrolimus 100 199 intolerance
        cni ciclosporin 200 - -
        thiopurine azathioprine 14 99 intolerance
        thiopurine mercaptopurine 100 - -
        tnf infliximab 100 199 inefficacy
        tnf adalimumab 200 - -
    """), """
        patient  line  drug  why
        cni  2  tacrolimus  added
        cni  2  ciclosporin  switch within class
        thiopurine  1  azathioprine  step-up
        thiopurine  1  mercaptopurine  switch within class
        tnf  2  infliximab  added
        tnf  2  adalimumab  switch within class
    """)  # fmt: skip


def test_a_drug_begun_again_keeps_its_line() -> None:
    same(lines("""
        A azathioprine 14 99 remission
        A mycophenolate 200 299 inefficacy
        A azathioprine 300 399 planned
        A mycophenolate 400 - -
    """), """
        patient  line  drug  start  why
        A  1  azathioprine  14  step-up
        A  2  mycophenolate  200  after a pause
        A  1  azathioprine  300  begun again
        A  2  mycophenolate  400  begun again
    """)  # fmt: skip


@pytest.mark.parametrize(
    ("stop", "reason", "why"),
    [
        ("199", "inefficacy", "switch for inefficacy"),
        ("199", "intolerance", "switch for intolerance"),
        ("199", "other", "switch"),
        ("199", "-", "switch"),
        ("230", "inefficacy", "switch for inefficacy"),  # 30 days of crossing over
        ("231", "inefficacy", "added"),
        ("-", "-", "added"),
        ("169", "remission", "switch"),
        ("168", "remission", "after a pause"),
        ("100", "intolerance", "switch for intolerance"),
    ],
)
def test_intolerance_is_not_inefficacy_why_mycophenolate_followed_azathioprine(
    stop: str, reason: str, why: str
) -> None:
    found = lines(f"A azathioprine 14 {stop} {reason}\nA mycophenolate 200 - -")
    assert found["why"].tolist() == ["step-up", why]
    assert found["earlier_drug"].tolist()[1] == "azathioprine"


def test_a_further_line_follows_the_drug_begun_last_and_steroid_where_there_is_no_other() -> None:
    same(lines("""
        A mycophenolate 91 199 intolerance
        A azathioprine 150 299 inefficacy
        A tacrolimus 300 - -
    """), """
        patient line drug earlier_drug earlier_stopped
        A 2 mycophenolate prednisolone -
        A 1 azathioprine - -
        A 3 tacrolimus azathioprine inefficacy
    """)  # fmt: skip


def test_bile_acid_immunoglobulin_and_drugs_for_other_organs_are_in_no_line() -> None:
    found = derive_lines(given("""
        A ursodeoxycholic_acid 10 aih
        A immunoglobulin 20 aih
        A infliximab 30 ibd
        A tacrolimus 40 rejection
    """, columns="patient drug start indication"))  # fmt: skip
    assert found["drug"].tolist() == ["prednisolone"]


def test_inhaled_budesonide_is_in_no_line_and_oral_budesonide_in_the_first() -> None:
    found = given("A budesonide inhaled 10\nB budesonide oral 10", columns="patient drug route start")
    same(drugs_but_steroid(derive_lines(found)), """
        patient  line  drug  why
        B  1  budesonide  switch within class
    """)  # fmt: skip


def test_without_a_first_line_the_next_one_is_the_first() -> None:
    made = cohort(treatments="patient drug start\nA infliximab 5\nA rituximab 9", steroid=False)
    same(derive_lines(made, time_zero="diagnosis"), """
        patient line drug
        A 1 infliximab
        A 2 rituximab
    """)  # fmt: skip


def test_clinic_rule_12_a_line_chosen_for_a_gene_says_so() -> None:
    made = given(
        "A infliximab 50\nA ruxolitinib 100", columns="patient drug start",
        variants="""
        patient day result gene mechanism zygosity acmg_class mechanism_confirmed
        A 60 variant STAT3 gain_of_function heterozygous 5 yes
    """)  # fmt: skip
    same(drugs_but_steroid(derive_lines(made)), """
        patient line drug gene_matched
        A 2 infliximab False
        A 3 ruxolitinib True
    """)  # fmt: skip


def second_line(rows: str, follow_up: str, **others: str) -> pd.DataFrame:
    made = given(rows, follow_up=FOLLOWED + follow_up, **others)
    return derive_second_line(derive_timelines(made)).tidy()


def test_time_to_second_line_is_exact_and_censored_at_the_last_day_known_alive() -> None:
    same(second_line(
        "A mycophenolate 200 - -\nB azathioprine 20 - -",
        "A 0 900 ongoing visit\nB 0 700 ongoing linkage",
    ), """
        patient  status  at_risk_from  last_without  onset  known_at  because
        A  met  0  199  200  200  added
        B  not met  0  700  -  -  no second line by the end of follow-up
    """)  # fmt: skip


def test_a_second_line_before_time_zero_leaves_nobody_at_risk_of_a_first() -> None:
    made = cohort(
        treatments="patient drug start\nA prednisolone -50\nA mycophenolate 60\nA tacrolimus 500",
        patients="patient diagnosis_date\nA 0",
        follow_up=FOLLOWED + "A 200 900 ongoing visit",
        steroid=False,
    )
    timelines = derive_timelines(made, time_zero="follow_up_start")
    same(derive_second_line(timelines).tidy(), """
        patient  status  at_risk_from  onset  because
        A  not evaluable  -  -  second line before time zero
    """)  # fmt: skip


def test_what_is_begun_after_transplant_is_no_second_line() -> None:
    same(second_line(
        "A tacrolimus 301 - -", "A 0 900 ongoing visit", events="patient day kind\nA 300 transplant"
    ), """
        patient  status  last_without  onset
        A  not met  300  -
    """)  # fmt: skip


def test_a_second_line_becomes_a_time_to_event_with_death_and_transplant_competing() -> None:
    made = given(
        "A mycophenolate 200 - -\nB azathioprine 5 - -",
        follow_up=FOLLOWED + "A 0 900 ongoing visit\nB 0 50 death visit",
        events="patient day kind\nB 50 death",
    )  # fmt: skip
    same(derive_second_line(derive_timelines(made)).to_time_to_event().frame, """
        patient  entry  exit  event
        A  0  200  Second-line treatment
        B  0  50  Death
    """)  # fmt: skip


def test_nobody_and_nothing_give_empty_tables() -> None:
    nobody = Cohort(pd.DataFrame({"patient_id": pd.Series(dtype="string")}))
    assert derive_lines(nobody).empty
    assert derive_episodes(nobody).empty
    assert derive_second_line(derive_timelines(nobody)).tidy().empty
    untreated = cohort(patients="patient sex\nA female", steroid=False)
    assert derive_lines(untreated, time_zero="diagnosis").empty
    assert derive_second_line(derive_timelines(untreated, time_zero="diagnosis")).tidy()["because"].tolist() == [
        "no follow-up"
    ]
