"""Withdrawal of treatment, time without it, and response that lasts without it (clinic 16, 27; statistics 1)."""

import numpy as np

from aih_outcomes.endpoints.course.withdrawal import (
    derive_sustained_treatment_free_response,
    derive_treatment_restart,
    derive_withdrawal,
)
from aih_outcomes.endpoints.response.response import derive_response
from tests.endpoints.courses import followed, visits
from tests.endpoints.tables import cohort, iaihg, same


def test_statistics_rule_1_withdrawal_is_dated_at_the_first_day_without_and_known_on_the_thirtieth() -> None:
    drugs = """
        at_end prednisolone 0 980 5 planned
        bile prednisolone 0 100 5 planned
        bile ursodeoxycholic_acid 0 - 500 -
        goes_on prednisolone 0 - 5 -
        in_turn prednisolone 0 100 5 planned
        in_turn azathioprine 50 400 50 planned
        short prednisolone 0 100 5 planned
        short prednisolone 130 - 5 -
        thirty prednisolone 0 100 5 planned
        thirty prednisolone 131 - 5 -
    """
    response = followed(visits("goes_on 90"), drugs=drugs, until=1000)
    same(derive_withdrawal(response).tidy(), """
        patient  status   at_risk_from  last_without  onset  known_at
        at_end   not met  0             980           -      -
        bile     met      0             100           101    130
        goes_on  not met  0             1000          -      -
        in_turn  met      0             400           401    430
        short    not met  0             1000          -      -
        thirty   met      0             100           101    130
    """)  # fmt: skip


def test_drugs_for_the_bowel_are_immunosuppression_too() -> None:
    made = cohort(
        treatments="""
            patient drug start stop indication
            A prednisolone 0 100 aih
            A azathioprine 0 500 ibd
        """,
        steroid=False,
        follow_up="patient start end end_reason end_source\nA 0 1000 ongoing visit",
    )
    same(derive_withdrawal(derive_response(made, iaihg())).tidy(), """
        patient status onset
        A met 501
    """)  # fmt: skip


def test_treatment_after_a_transplant_is_another_matter() -> None:
    drugs = "A prednisolone 0 100 5 planned\nB prednisolone 0 400 5 planned"
    events = "patient day kind\nA 500 transplant\nB 300 transplant"
    response = followed(visits("A 90", "B 90"), drugs=drugs, events=events)
    same(derive_withdrawal(response).tidy(), """
        patient  status   last_without  onset
        A        met      100           101
        B        not met  299           -
    """)  # fmt: skip
    restart = derive_treatment_restart(response)
    same(restart.tidy(), """
        patient  status         last_without  onset
        A        not met        499           -
        B        not evaluable  -             -
    """)  # fmt: skip
    assert restart.to_time_to_event().frame["event"].tolist() == ["Liver transplant"]


def test_whoever_has_no_follow_up_or_was_never_treated_is_not_at_risk() -> None:
    made = cohort(
        patients="patient sex\nlost female\nuntreated male",
        treatments="patient drug start stop\nlost prednisolone 0 100",
        steroid=False,
        follow_up="patient start end end_reason end_source\nuntreated 0 900 ongoing visit",
    )
    response = derive_response(made, iaihg(), time_zero="diagnosis")
    for derive in (derive_withdrawal, derive_sustained_treatment_free_response):
        same(derive(response).tidy(), """
            patient    status         because
            lost       not evaluable  no follow-up recorded
            untreated  not evaluable  never treated
        """)  # fmt: skip


def test_from_the_diagnosis_on_nobody_is_at_risk_before_the_first_treatment() -> None:
    made = cohort(
        treatments="patient drug start stop\nA prednisolone 60 100",
        steroid=False,
        follow_up="patient start end end_reason end_source\nA 0 900 ongoing visit",
    )
    same(derive_withdrawal(derive_response(made, iaihg(), time_zero="diagnosis")).tidy(), """
        patient status at_risk_from last_without onset known_at
        A met 60 100 101 130
    """)  # fmt: skip


def test_clinic_rule_27_time_off_treatment_ends_when_it_is_begun_again() -> None:
    drugs = """
        again prednisolone 0 100 5 planned
        again azathioprine 300 - 50 -
        free prednisolone 0 100 5 planned
        on prednisolone 0 - 5 -
    """
    found = derive_treatment_restart(followed(visits("on 90"), drugs=drugs))
    same(found.tidy(), """
        patient  status         at_risk_from  last_without  onset  because
        again    met            130           299           300    treatment begun again
        free     not met        130           2000          -      still without treatment
        on       not evaluable  -             -             -      never withdrawn
    """)  # fmt: skip
    times = found.to_time_to_event().frame
    assert (times["exit"] - times["entry"]).tolist() == [170, 1870]


STOPS = "A prednisolone 0 100 5 planned"  # day 365 without treatment is 465


def sustained(*lines: str, drugs: str = STOPS, until: int = 2000) -> str:
    found = derive_sustained_treatment_free_response(followed(visits(*lines), drugs=drugs, until=until))
    number = [f"{day:g}" if not np.isnan(day) else "-" for day in (found.onset[0], found.known_at[0])]
    return " ".join([str(found.tidy()["status"].iloc[0]), *number])


def test_statistics_rule_1_sustained_response_is_known_on_day_365_without_treatment() -> None:
    assert sustained("A 90", "A 300") == "met 101 465"


def test_a_relapse_within_the_year_is_not_sustained_and_a_later_one_does_not_undo_it() -> None:
    assert sustained("A 90", "A 300 alt=1.5", "A 400") == "not met - -"
    assert sustained("A 90", "A 400", "A 466 alt=5") == "met 101 465"


def test_the_last_evaluation_is_no_older_than_180_days_at_the_end_of_the_year() -> None:
    assert sustained("A 285") == "met 101 465"
    assert sustained("A 284") == "not evaluable - -"
    assert sustained("A 90") == "not evaluable - -"
    assert sustained("A 300 igg=-") == "not evaluable - -"


def test_less_than_a_year_without_treatment_is_not_sustained() -> None:
    assert sustained("A 300", until=464) == "not met - -"
    assert sustained("A 300", until=465) == "met 101 465"
    assert sustained("A 300", drugs=STOPS + "\nA azathioprine 465 - 50 -") == "not met - -"


def test_a_second_withdrawal_may_succeed() -> None:
    drugs = STOPS + "\nA prednisolone 250 400 20 planned"
    assert sustained("A 90", "A 240 alt=5", "A 500", "A 700", drugs=drugs) == "met 401 765"


def test_until_when_response_without_treatment_was_known_to_be_absent() -> None:
    drugs = "on prednisolone 0 - 5 -\nrelapsed prednisolone 0 100 5 planned\nwaits prednisolone 0 1800 5 planned"
    response = followed(visits("on 90", "relapsed 300 alt=5", "waits 1900"), drugs=drugs)
    same(derive_sustained_treatment_free_response(response).tidy(), """
        patient   status   last_without  because
        on        not met  2000          never without treatment for 365 days
        relapsed  not met  300           criteria not met while without treatment
        waits     not met  1800          never without treatment for 365 days
    """)  # fmt: skip


def test_response_by_transaminases_alone_may_be_asked_for() -> None:
    response = followed(visits("A 300 igg=-"), drugs=STOPS).transaminases_only()
    assert derive_sustained_treatment_free_response(response).tidy()["status"].tolist() == ["met"]
