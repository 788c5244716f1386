"""Response without steroid, and on a low dose (statistics 1; clinic 16)."""

import numpy as np
import pytest

from aih_outcomes.endpoints.course.steroid_free import (
    derive_low_dose_response,
    derive_steroid_free_response,
    status_steroid_free_at,
)
from aih_outcomes.endpoints.response.response import Response, derive_response
from tests.endpoints.courses import followed, visits
from tests.endpoints.tables import cohort, iaihg, same

STOPS = "A prednisolone 0 100 5 planned"  # without steroid from day 101 on; day 90 of that is 190


def steroid_free(*lines: str, drugs: str = STOPS, until: int = 2000) -> str:
    found = derive_steroid_free_response(followed(visits(*lines), drugs=drugs, until=until))
    number = [f"{day:g}" if not np.isnan(day) else "-" for day in (found.onset[0], found.known_at[0])]
    return " ".join([str(found.tidy()["status"].iloc[0]), *number])


def test_statistics_rule_1_known_on_day_90_without_steroid_and_dated_at_the_first() -> None:
    assert steroid_free("A 90", "A 150") == "met 101 190"


def test_response_that_comes_later_is_dated_and_known_then() -> None:
    assert steroid_free("A 150 alt=3", "A 170") == "met 170 190"
    assert steroid_free("A 150 alt=3", "A 300") == "met 300 300"


def test_response_lost_before_day_90_does_not_count_until_it_is_regained() -> None:
    assert steroid_free("A 110", "A 185 alt=3") == "not met - -"
    assert steroid_free("A 110", "A 185 alt=3", "A 400") == "met 400 400"


def test_an_evaluation_on_steroid_does_not_count() -> None:
    assert steroid_free("A 90") == "not evaluable - -"
    assert steroid_free("A 101") == "met 101 190"


def test_missing_igg_is_never_a_normal_igg() -> None:
    assert steroid_free("A 90", "A 150 igg=-") == "not evaluable - -"


def test_89_days_without_steroid_are_not_enough() -> None:
    again = STOPS + "\nA prednisolone {} - 5 -"
    assert steroid_free("A 150", drugs=again.format(190)) == "not met - -"
    assert steroid_free("A 150", drugs=again.format(191)) == "met 150 190"
    assert steroid_free("A 150", until=189) == "not met - -"


def test_clinic_rule_16_budesonide_is_steroid_and_azathioprine_is_not() -> None:
    assert steroid_free("A 150", drugs=STOPS + "\nA budesonide 101 - 6 -") == "not met - -"
    assert steroid_free("A 150", drugs=STOPS + "\nA azathioprine 101 - 50 -") == "met 150 190"


def test_until_when_it_was_known_to_be_absent_and_why() -> None:
    drugs = """
        found prednisolone 0 100 5 planned
        later prednisolone 0 100 5 planned
        on prednisolone 0 - 5 -
        unseen prednisolone 0 100 5 planned
        active prednisolone 0 100 5 planned
    """
    labs = visits("found 150", "later 150 alt=3", "later 300", "on 150", "active 150 alt=3")
    same(derive_steroid_free_response(followed(labs, drugs=drugs)).tidy(), """
        patient  status         at_risk_from  last_without  onset  because
        active   not met        0             150           -      criteria not met while steroid-free
        found    met            0             100           150    criteria met, steroid-free for 90 days
        later    met            0             150           300    criteria met, steroid-free for 90 days
        on       not met        0             2000          -      never steroid-free for 90 days
        unseen   not evaluable  0             -             -      steroid-free for 90 days, not evaluated then
    """)  # fmt: skip


def test_without_follow_up_nobody_knows_how_long_the_spell_was() -> None:
    found = derive_steroid_free_response(followed(visits("A 150"), drugs=STOPS, until=0))
    assert found.tidy()["status"].tolist() == ["not met"]  # on steroid on day 0, not followed later


def test_the_number_of_days_is_a_rule_of_the_criteria() -> None:
    longer = iaihg().treatment.model_copy(update={"steroid_free_days": 180})
    response = followed(visits("A 150"), drugs=STOPS, definition=iaihg().model_copy(update={"treatment": longer}))
    found = derive_steroid_free_response(response)
    assert (found.onset[0], found.known_at[0]) == (150, 280)


def test_clinic_rule_16_low_dose_is_at_most_5_mg_and_0_2_mg_per_kg() -> None:
    drugs = """
        low prednisolone 0 100 40 planned
        low prednisolone 101 - 5 -
        high prednisolone 0 100 40 planned
        high prednisolone 101 - 6 -
        small prednisolone 0 100 40 planned
        small prednisolone 101 - 5 -
    """
    weights = "patient day measure value\n" + "\n".join(
        f"{who} 101 weight {kg}" for who, kg in (("low", 25), ("high", 60), ("small", 20))
    )
    labs = visits("low 150", "high 150", "small 150")
    same(derive_low_dose_response(followed(labs, drugs=drugs, measurements=weights)).tidy(), """
        patient  status   onset  known_at
        high     not met  -      -
        low      met      150    190
        small    not met  -      -
    """)  # fmt: skip


WEIGHED = "patient day measure value\nA {} weight 25"
ON_5 = "A prednisolone 0 100 40 planned\nA prednisolone 101 - {} -"


def low_dose(*lines: str, dose: str = "5", weighed: int = 101, drugs: str = "") -> Response:
    given = ON_5.format(dose) + drugs
    return followed(visits(*lines), drugs=given, measurements=WEIGHED.format(weighed), until=900)


def test_a_dose_or_weight_that_is_not_known_is_neither_low_nor_high() -> None:
    for response, because in (
        (low_dose("A 150", dose="-"), "dose not recorded"),
        (low_dose("A 150", weighed=300), "no weight within 60 days of a dose"),
        (low_dose("A 150", dose="-", weighed=300), "dose not recorded"),
    ):
        same(derive_low_dose_response(response).tidy(), f"""
            patient  status         last_without  onset  because
            A        not evaluable  -             -      {because}
        """)  # fmt: skip


def test_what_is_not_known_of_the_dose_does_not_matter_where_something_else_decides() -> None:
    same(derive_low_dose_response(low_dose("A 150 alt=3", dose="-")).tidy(), """
        patient  status   last_without  because
        A        not met  150           criteria not met while on a low dose at most
    """)  # fmt: skip
    same(derive_low_dose_response(low_dose("A 150", dose="6", weighed=300)).tidy(), """
        patient  status   last_without  because
        A        not met  900           never on a low dose at most for 90 days
    """)  # fmt: skip
    beside = low_dose("A 150", dose="-", drugs="\nA prednisone 101 - 20 -")
    assert derive_low_dose_response(beside).tidy()["status"].tolist() == ["not met"]
    budesonide = low_dose("A 150", drugs="\nA budesonide 101 - 6 -")
    assert derive_low_dose_response(budesonide).tidy()["status"].tolist() == ["not met"]


def test_only_days_known_not_to_be_low_are_days_without() -> None:
    drugs = "A prednisolone 0 100 40 planned\nA prednisolone 101 200 - planned\nA prednisolone 201 - 5 -"
    response = followed(visits("A 250"), drugs=drugs, measurements=WEIGHED.format(201), until=900)
    same(derive_low_dose_response(response).tidy(), """
        patient  status  last_without  onset  known_at
        A        met     100           250    290
    """)  # fmt: skip


def test_statistics_rule_1_low_dose_is_not_known_before_the_weight_that_decides() -> None:
    for weighed, known_at in ((41, 190), (161, 190)):
        assert derive_low_dose_response(low_dose("A 150", weighed=weighed)).known_at[0] == known_at


def test_statistics_rule_1_low_dose_waits_for_a_weight_measured_after_its_day_90() -> None:
    drugs = "A prednisolone 0 100 40 planned\nA prednisolone 101 180 5 planned\nA prednisolone 181 - 4 -"
    weights = WEIGHED.format(101) + "\nA 110 weight 25\nA 200 weight 26"
    with_gap = followed(visits("A 150"), drugs=drugs, measurements=weights, until=900)
    assert derive_low_dose_response(with_gap).known_at[0] == 200  # 71 days after the last, the next one decides


YEAR = (300, 430)


def test_clinic_rule_16_steroid_free_response_at_12_months() -> None:
    drugs = """
        free prednisolone 0 100 5 planned
        on prednisolone 0 - 5 -
        recent prednisolone 0 320 5 planned
        active prednisolone 0 100 5 planned
        unseen prednisolone 0 100 5 planned
        unseen_on prednisolone 0 - 5 -
        half prednisolone 0 100 5 planned
    """
    labs = visits("free 360", "on 360", "recent 360", "active 360 alt=3", "half 360 igg=-")
    same(status_steroid_free_at(followed(labs, drugs=drugs), 365, window=YEAR), """
        patient    status         known_at  because
        active     not met        430       criteria not met
        free       met            430       criteria met, steroid-free
        half       not evaluable  430       IgG missing
        on         not met        430       on steroid
        recent     not met        430       steroid-free for less than 90 days
        unseen     not evaluable  430       no result in the window
        unseen_on  not met        430       on steroid
    """)  # fmt: skip


def test_who_is_no_longer_followed_is_not_evaluable() -> None:
    table = status_steroid_free_at(followed(visits("A 150"), drugs=STOPS, until=250), 365, window=YEAR)
    same(table, """
        patient  status         because
        A        not evaluable  no longer followed
    """)  # fmt: skip


@pytest.mark.parametrize(
    ("stops_and_starts", "until", "status", "because"),
    [
        ("0 200, 366 -", 900, "met", "criteria met, steroid-free"),
        ("0 200, 365 -", 900, "not met", "on steroid"),  # begun again on the day itself
        ("0 200, 320 -", 900, "not met", "on steroid"),
        ("0 200, 320 340", 900, "not met", "on steroid"),  # and stopped again
        ("0 200", 364, "not evaluable", "no longer followed"),
        ("0 -", 364, "not met", "on steroid"),  # on the day of the evaluation
    ],
)
def test_steroid_free_at_a_day_is_without_steroid_from_the_evaluation_to_that_day(
    stops_and_starts: str, until: int, status: str, because: str
) -> None:
    drugs = "\n".join(f"A prednisolone {days} 40 -" for days in stops_and_starts.split(", "))
    response = followed(visits("A 100", "A 305"), drugs=drugs, until=until)
    table = status_steroid_free_at(response, 365, window=YEAR)
    assert table[["status", "because"]].iloc[0].tolist() == [status, because]


def test_steroid_free_at_a_day_by_a_later_evaluation() -> None:
    drugs = "A prednisolone 0 200 40 -\nA prednisolone {} - 40 -"
    for restart, status in ((380, "not met"), (401, "met")):
        response = followed(visits("A 400"), drugs=drugs.format(restart))
        assert status_steroid_free_at(response, 365, window=YEAR)["status"].tolist() == [status]


def test_without_any_steroid_recorded_steroid_free_is_not_evaluable() -> None:
    rows = [f"A {day} {analyte} 0.5" for day in (100, 200) for analyte in ("alt", "ast", "igg")]
    made = cohort(
        "\n".join(["patient day analyte xuln", *rows]), steroid=False,
        follow_up="patient start end end_reason end_source\nA 0 900 ongoing visit",
    )  # fmt: skip
    response = derive_response(made, iaihg(), time_zero="diagnosis")
    same(derive_steroid_free_response(response).tidy(), """
        patient  status         because
        A        not evaluable  no steroid recorded
    """)  # fmt: skip
    same(status_steroid_free_at(response, 365, window=(150, 430)), """
        patient  status         because
        A        not evaluable  no steroid recorded
    """)  # fmt: skip
