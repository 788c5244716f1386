"""Growth: z-scores for sex and exact age, their change, and growth failure (domain 1.2, 3.1, 4.1).

Where no reference is named, a made-up one stands in: at every age a child of 100 cm, 20 kg and 20 kg/m² has z = 0, and
5 cm, 2 kg and 2 kg/m² are one standard deviation. z-scores against CDC 2000 were computed in R (``approx`` and the LMS
formula on the published rows).
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aih_outcomes.catalogue import read_growth_reference
from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.patients.growth import derive_growth, derive_growth_change, derive_growth_failure
from aih_outcomes.endpoints.patients.growth_reference import compute_growth_z
from aih_outcomes.errors import DataError, PlanError
from tests.endpoints.tables import cohort, read, same

GIRL = "patient sex\nA female"
DAYS_8_YEARS = 2922  # 8 × 365.25: exactly 96 months
MADE_UP = pd.DataFrame(
    [
        ("made up", measure, sex, age, 1.0, middle, sd / middle)
        for measure, middle, sd in (("height", 100, 5), ("weight", 20, 2), ("bmi", 20, 2))
        for sex in ("female", "male")
        for age in (0, 240)
    ],
    columns=["reference", "measure", "sex", "age_months", "l", "m", "s"],
)


def measured(text: str, patients: str = GIRL, **others: Any) -> Cohort:
    return cohort(patients=patients, measurements=f"patient day measure value\n{text.strip()}", **others)


def born(days_before: int, sex: str = "female") -> str:
    return f"patient sex birth_date\nA {sex} -{days_before}"


def z_of(text: str, patients: str) -> dict[str, float]:
    growth = derive_growth(measured(text, patients)).dropna(subset=["day"])
    return dict(zip(growth["measure"], growth["z"], strict=True))


def changes(text: str, **others: Any) -> pd.DataFrame:
    """Return changes of height to 12 months."""
    growth = derive_growth(measured(text, **others), reference=MADE_UP)
    table = derive_growth_change(growth, visits=(365,))
    return table[table["measure"] == "height"]


# The LMS formula


@pytest.mark.parametrize(
    ("value", "l", "m", "s", "z"),
    [
        (105, 1, 100, 0.05, 1),  # (1.05 − 1) / 0.05
        (110, 2, 100, 0.05, 2.1),  # (1.21 − 1) / 0.10
        (50, -1, 100, 0.5, -2),  # (2 − 1) / −0.5
        (100 * np.e, 0, 100, 0.5, 2),  # ln e / 0.5
        (100, 0.7, 100, 0.1, 0),  # the median
    ],
)
def test_z_by_hand(value: float, l: float, m: float, s: float, z: float) -> None:
    found = compute_growth_z(np.array([float(value)]), l=np.array([float(l)]), m=np.array([m]), s=np.array([s]))
    assert found == pytest.approx([z], abs=1e-12)


@given(z=st.floats(-4, 4), l=st.floats(-1, 1).filter(lambda l: abs(l) > 1e-3), s=st.floats(0.03, 0.2))
def test_the_value_at_a_z_score_has_that_z_score_on_either_side(z: float, l: float, s: float) -> None:
    value = 120 * (1 + l * s * np.array([z, -z])) ** (1 / l)  # Cole's inverse
    assert compute_growth_z(value, l=np.full(2, l), m=np.full(2, 120.0), s=np.full(2, s)) == pytest.approx(
        [z, -z], abs=1e-9
    )


def test_z_does_not_break_down_where_l_crosses_zero() -> None:
    l = np.array([-1e-12, 0.0, 1e-12])
    assert compute_growth_z(np.full(3, 110.0), l=l, m=np.full(3, 100.0), s=np.full(3, 0.05)) == pytest.approx(
        np.log(1.1) / 0.05
    )


def test_a_value_that_is_missing_or_zero_has_no_z() -> None:
    one = np.ones(3)
    assert np.isnan(compute_growth_z(np.array([np.nan, 0.0, -1.0]), l=one, m=one, s=one)).all()


# CDC 2000 at an exact age


def test_a_girl_of_8_years_lies_halfway_between_the_rows_of_95_and_a_half_and_96_and_a_half_months() -> None:
    median = (127.3522056 + 127.8262759) / 2
    assert z_of(f"A 0 height {median}", born(DAYS_8_YEARS)) == pytest.approx({"height": 0}, abs=1e-6)
    assert z_of("A 0 height 120", born(DAYS_8_YEARS)) == pytest.approx({"height": -1.33831859}, abs=1e-7)


def test_a_girl_of_eight_and_a_half_years() -> None:
    found = z_of("A 0 height 120\nA 0 weight 22", born(3105))
    assert found == pytest.approx({"height": -1.78555472, "weight": -1.34578461, "bmi": -0.420737953}, abs=1e-7)


def test_a_boy_of_the_same_age_and_size_has_another_z() -> None:
    found = z_of("A 0 height 112\nA 0 weight 30", born(3652, "male"))
    assert found["height"] == pytest.approx(-4.25162319, abs=1e-7)
    assert found["weight"] == pytest.approx(-0.363160346, abs=1e-7)


def test_clinic_rule_11_z_does_not_jump_at_a_birthday() -> None:
    growth = derive_growth(measured("A -1 height 128\nA 0 height 128\nA 1 height 128", born(DAYS_8_YEARS)))
    z = growth.loc[growth["measure"] == "height", "z"]
    assert list(z) == pytest.approx([0.0726105843, 0.0699515312, 0.0672929596], abs=1e-7)


def test_age_from_the_age_at_diagnosis_is_as_good() -> None:
    made = measured("A 0 height 120", born(1))
    no_birthday = made.patients.assign(birth_date=pd.NaT, age_at_diagnosis=8.0)
    assert derive_growth(replace(made, patients=no_birthday))["z"].iloc[0] == pytest.approx(-1.33831859, abs=1e-7)


def test_a_child_is_measured_lying_below_24_months_and_standing_from_then_on() -> None:
    assert z_of("A 0 height 87", born(730)) == pytest.approx({"height": 0.354857535}, abs=1e-7)
    assert z_of("A 0 height 87", born(731)) == pytest.approx({"height": 0.580405663}, abs=1e-7)


def test_the_reference_begins_at_birth() -> None:
    assert z_of("A 0 weight 3.0", born(0, "male")) == pytest.approx({"weight": -0.924680258}, abs=1e-7)
    assert z_of("A 0 height 70", born(365, "male")) == pytest.approx({"height": -2.02287748}, abs=1e-7)


def test_bmi_has_a_reference_from_24_months_only() -> None:
    for days, because in ((730, "outside the ages of the reference"), (731, None)):
        growth = derive_growth(measured("A 0 height 87\nA 0 weight 12", born(days)))
        assert growth.set_index("measure")["because"].fillna("").to_dict()["bmi"] == (because or "")


@pytest.mark.parametrize(("days", "height", "bmi"), [(7305, True, True), (7306, False, True), (7321, False, False)])
def test_the_reference_ends_at_20_years(days: int, height: bool, bmi: bool) -> None:
    found = z_of("A 0 height 170\nA 0 weight 70", born(days, "male"))
    assert np.isfinite([found["height"], found["weight"], found["bmi"]]).tolist() == [height, height, bmi]


def test_a_20_year_old_is_judged_by_the_last_row() -> None:
    assert z_of("A 0 height 170", born(7305, "male")) == pytest.approx({"height": -0.956224803}, abs=1e-7)


# What is a row


def test_bmi_needs_height_and_weight_of_the_same_day() -> None:
    growth = derive_growth(
        measured("A 0 height 100\nA 0 weight 22\nA 30 height 101\nA 31 weight 22"), reference=MADE_UP
    )
    same(growth, """
        patient day measure value z
        A 0 height 100 0
        A 30 height 101 0.2
        A 0 weight 22 1
        A 31 weight 22 1
        A 0 bmi 22 1
    """)  # fmt: skip


def test_of_several_values_of_a_day_the_lowest_counts() -> None:
    growth = derive_growth(measured("A 0 weight 30\nA 0 weight 22\nA 0 height 100\nA 0 height 110"), reference=MADE_UP)
    same(growth, """
        patient day measure value
        A 0 height 100
        A 0 weight 22
        A 0 bmi 22
    """)  # fmt: skip


def test_every_patient_has_every_measure_and_why_it_is_not_evaluable() -> None:
    made = measured(
        """
        A 0 height 100
        B 0 height 100
        C 0 height 130
        D 9 height 100
        D 10 height 100
        E 9999 height 100
        """,
        patients="patient sex\nA unknown\nB -\nC female\nD female\nE female\nF female",
        events="patient day kind\nD 10 transplant",
    )
    growth = derive_growth(made, reference=MADE_UP)
    same(growth[growth["measure"] == "height"], """
        patient  day   z   because
        A        0     -   sex not known
        B        0     -   sex not known
        C        0     6   z beyond ±5: check the measurement
        D        9     0   -
        D        10    0   after transplant
        E        9999  -   outside the ages of the reference
        F        -     -   never measured
    """)  # fmt: skip
    assert set(growth.loc[growth["measure"] == "weight", "because"]) == {"never measured"}
    assert set(growth.loc[growth["measure"] == "bmi", "because"]) == {"height and weight never measured on one day"}


def test_z_of_exactly_five_is_not_flagged() -> None:
    growth = derive_growth(measured("A 0 height 75\nA 9 height 74"), reference=MADE_UP)
    same(growth[growth["measure"] == "height"], """
        patient  day  z     because
        A        0    -5    -
        A        9    -5.2  z beyond ±5: check the measurement
    """)  # fmt: skip


def test_without_time_zero_there_is_a_z_but_no_day() -> None:
    growth = derive_growth(measured("A 0 height 105", steroid=False), reference=MADE_UP)
    same(growth[growth["measure"] == "height"], """
        patient  day  z  because
        A        -    1  no time zero
    """)  # fmt: skip
    from_diagnosis = derive_growth(measured("A 3 height 105", steroid=False), time_zero="diagnosis", reference=MADE_UP)
    assert from_diagnosis["day"].to_list()[0] == 3


def test_a_value_of_zero_is_not_evaluable() -> None:
    growth = derive_growth(measured("A 0 height 0\nA 0 weight 20"), reference=MADE_UP).set_index("measure")
    assert growth["because"].fillna("").to_dict() == {
        "height": "value is not above zero",
        "weight": "",
        "bmi": "value is not above zero",
    }


def test_spleen_size_is_no_growth() -> None:
    growth = derive_growth(measured("A 0 spleen_below_costal_margin 4"), reference=MADE_UP)
    assert growth["day"].isna().all()


# A centre's own reference


def test_a_centre_may_give_its_own_reference() -> None:
    made = measured("A 0 height 105")
    assert derive_growth(made, reference=MADE_UP)["reference"].iloc[0] == "made up"
    assert derive_growth(made)["reference"].iloc[0] == "CDC 2000"


def test_the_packaged_reference_given_by_hand_changes_nothing() -> None:
    made = measured("A 0 height 120\nA 0 weight 22", born(3105))
    shuffled = read_growth_reference().drop(columns=["source", "confidence"]).sort_values("age_months", kind="stable")
    pd.testing.assert_frame_equal(derive_growth(made), derive_growth(made, reference=shuffled))


def test_an_age_that_stands_twice_is_a_step() -> None:
    step = pd.DataFrame(
        [
            ("lying", "height", "female", 90, 1, 100, 0.05),
            ("lying", "height", "female", 96, 1, 100, 0.05),
            ("standing", "height", "female", 96, 1, 110, 0.05),
            ("standing", "height", "female", 99, 1, 110, 0.05),
        ],
        columns=MADE_UP.columns,
    )
    growth = derive_growth(measured("A -1 height 110\nA 0 height 110", born(DAYS_8_YEARS)), reference=step)
    same(growth[growth["measure"] == "height"], """
        patient day z reference
        A -1 2 lying
        A 0 0 standing
    """)  # fmt: skip


def test_what_the_reference_does_not_hold_is_not_evaluable() -> None:
    girls = MADE_UP[(MADE_UP["sex"] == "female") & (MADE_UP["measure"] == "height")]
    made = measured("A 0 height 100\nA 0 weight 20\nB 0 height 100", "patient sex\nA female\nB male")
    same(derive_growth(made, reference=girls), """
        patient  measure  day  because
        A        height   0    -
        A        weight   0    no growth reference
        A        bmi      0    no growth reference
        B        height   0    no growth reference
        B        weight   -    never measured
        B        bmi      -    height and weight never measured on one day
    """)  # fmt: skip


def test_an_empty_reference_makes_nothing_evaluable() -> None:
    growth = derive_growth(measured("A 0 height 100"), reference=MADE_UP.iloc[:0])
    assert growth["because"].iloc[0] == "no growth reference"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (MADE_UP.drop(columns=["l", "s"]), r"2 column\(s\) of the growth reference are missing \(l, s\)"),
        (MADE_UP.assign(m=0.0), "12 of 12 rows"),
        (MADE_UP.assign(s=[-0.1] + [0.1] * 11), "1 of 12 rows"),
        (MADE_UP.assign(l=[np.nan] + [1.0] * 11), "1 of 12 rows"),
        (MADE_UP.assign(age_months="two"), "12 of 12 rows"),
        (MADE_UP.assign(age_months=-1), "12 of 12 rows"),
        (MADE_UP.replace({"sex": {"female": "girls"}}), "6 of 12 rows"),
        (MADE_UP.replace({"measure": {"bmi": "BMI"}}), "4 of 12 rows"),
    ],
)
def test_a_reference_that_cannot_be_used_is_refused(reference: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        derive_growth(measured("A 0 height 100"), reference=reference)


# Change on treatment


def test_the_start_is_the_last_z_of_days_minus_90_to_14() -> None:
    text = "A -91 height 90\nA -90 height 95\nA 14 height 100\nA 15 height 110\nA 365 height 105"
    same(changes(text), """
        patient visit day_start day_visit z_start z_visit change status
        A 365 14 365 0 1 1 evaluable
    """)  # fmt: skip


def test_statistics_rule_15_a_visit_is_the_z_nearest_its_nominal_day() -> None:
    text = "A 0 height 100\nA 300 height 90\nA 360 height 95\nA 370 height 105\nA 430 height 110"
    same(changes(text), """
        patient day_visit change
        A 360 -1
    """)  # fmt: skip


@pytest.mark.parametrize(("day", "because"), [(300, None), (430, None), (299, "no"), (431, "no")])
def test_the_window_of_a_visit(day: int, because: str | None) -> None:
    found = changes(f"A 0 height 100\nA {day} height 105")
    assert found["because"].isna().all() == (because is None)


def test_a_change_that_is_not_evaluable_says_why() -> None:
    made = measured(
        """
        A 0 height 100
        B 365 height 100
        C 0 height 130
        C 365 height 100
        D 0 height 100
        D 365 height 100
        F 15 height 100
        """,
        patients="patient sex\nA female\nB female\nC female\nD female\nE female\nF unknown",
        events="patient day kind\nD 200 transplant",
    )
    table = derive_growth_change(derive_growth(made, reference=MADE_UP), visits=(365,))
    same(table[table["measure"] == "height"], """
        patient  z_start  z_visit  change  status         because
        A        0        -        -       not evaluable  no height on days 300 to 430
        B        -        0        -       not evaluable  no height on days -90 to 14
        C        -        0        -       not evaluable  z beyond ±5: check the measurement
        D        0        -        -       not evaluable  after transplant
        E        -        -        -       not evaluable  never measured
        F        -        -        -       not evaluable  no height on days -90 to 14
    """)  # fmt: skip


def test_a_value_to_be_checked_gives_way_to_another_of_the_window() -> None:
    same(changes("A -10 height 100\nA 0 height 200\nA 365 height 105"), """
        patient day_start change
        A -10 1
    """)  # fmt: skip


def test_one_row_per_patient_measure_and_visit() -> None:
    made = measured("B 0 height 100\nA 0 weight 20\nA 730 weight 24", "patient sex\nB male\nA female")
    same(derive_growth_change(derive_growth(made, reference=MADE_UP)), """
        patient measure visit change
        A height 365 -
        A height 730 -
        A weight 365 -
        A weight 730 2
        A bmi 365 -
        A bmi 730 -
        B height 365 -
        B height 730 -
        B weight 365 -
        B weight 730 -
        B bmi 365 -
        B bmi 730 -
    """)  # fmt: skip


def test_catch_up_growth_against_cdc_2000() -> None:
    # a boy born on 1 January 2010, 135 cm at day 0 and still 135 cm a year later
    growth = derive_growth(measured("A 0 height 135\nA 365 height 135", "patient sex\nA male"))
    change = derive_growth_change(growth, visits=(365,))["change"].iloc[0]
    assert change == pytest.approx(-1.23189172 - -0.551652195, abs=1e-7)


def test_the_order_of_rows_does_not_matter() -> None:
    made = measured(
        "A 0 height 100\nA 360 height 95\nA 370 height 105\nB 0 weight 20\nB 365 weight 22",
        "patient sex\nA female\nB male",
    )
    growth = derive_growth(made, reference=MADE_UP)
    turned = growth.iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(derive_growth_change(growth), derive_growth_change(turned))
    pd.testing.assert_series_equal(derive_growth_failure(growth), derive_growth_failure(turned))


def test_another_patient_changes_nothing() -> None:
    alone = derive_growth(measured("B 0 height 95\nB 365 height 100", "patient sex\nB male"), reference=MADE_UP)
    text = "A 2 height 80\nA 365 height 70\nB 0 height 95\nB 365 height 100\nC 0 weight 20"
    among = derive_growth(measured(text, "patient sex\nA female\nB male\nC -"), reference=MADE_UP)
    own = among[among["patient_id"] == "B"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, alone)


@pytest.mark.parametrize("visit", [0, 12, 366])
def test_an_unknown_visit_is_refused(visit: int) -> None:
    growth = derive_growth(measured("A 0 height 100"), reference=MADE_UP)
    with pytest.raises(PlanError, match="Visits are the days 28"):
        derive_growth_change(growth, visits=(365, visit))


# Growth failure


FAILURES = """
    why                                           height  weight  failure
    both within two standard deviations           100     20      False
    exactly two below is not failure              90      16      False
    height more than two below                    89      20      True
    weight more than two below                    100     15      True
    one below is enough, the other not measured   89      -       True
    one normal, the other not measured            100     -       -
    one normal, the other to be checked           100     60      -
    to be checked is no failure                   60      20      -
    neither measured                              -       -       -
    tall and heavy                                115     26      False
"""


@pytest.mark.parametrize(("why", "height", "weight", "failure"), read(FAILURES).to_numpy().tolist())
def test_growth_failure(why: str, height: str | None, weight: str | None, failure: str | None) -> None:
    values = [f"A 0 {name} {value}" for name, value in (("height", height), ("weight", weight)) if value]
    made = measured("\n".join(values)) if values else cohort(patients=GIRL)
    found = derive_growth_failure(derive_growth(made, reference=MADE_UP))
    assert (found.name, found.index.name, str(found.dtype)) == ("growth_failure", "patient_id", "boolean")
    assert str(found["A"]) == (failure or "<NA>"), why


@pytest.mark.parametrize(
    ("day", "failure"), [(-1, "<NA>"), (0, "True"), (49, "True"), (50, "False"), (140, "False"), (141, "<NA>")]
)
def test_growth_failure_looks_back_90_days_and_never_ahead(day: int, failure: str) -> None:
    made = measured("A 0 height 89\nA 0 weight 20\nA 50 height 91\nA 50 weight 20")
    assert str(derive_growth_failure(derive_growth(made, reference=MADE_UP), day=day)["A"]) == failure


# Nothing to judge


@pytest.mark.parametrize(
    "made",
    [
        Cohort(pd.DataFrame({"patient_id": pd.Series(dtype="string")})),
        cohort(patients=GIRL),
        cohort(patients=GIRL, steroid=False),
        cohort(patients="patient sex\nA -\nB -"),
    ],
    ids=["nobody", "never measured", "no time zero either", "sex never recorded"],
)
def test_nothing_to_judge(made: Cohort) -> None:
    growth = derive_growth(made)
    assert len(growth) == 3 * made.n_patients
    assert growth["because"].notna().all()
    change = derive_growth_change(growth)
    assert len(change) == 6 * made.n_patients
    assert set(change["status"]) <= {"not evaluable"}
    assert derive_growth_change(growth, visits=()).empty
    failure = derive_growth_failure(growth)
    assert failure.isna().all()
    assert len(failure) == made.n_patients


def test_the_cohort_is_left_as_it_was() -> None:
    made = measured("A 0 height 100\nA 0 weight 20")
    before = made.measurements.copy()
    growth = derive_growth(made)
    kept = growth.copy()
    derive_growth_change(growth)
    derive_growth_failure(growth)
    pd.testing.assert_frame_equal(made.measurements, before)
    pd.testing.assert_frame_equal(growth, kept)
