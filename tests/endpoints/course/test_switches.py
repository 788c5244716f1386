"""When targeted therapy was begun, and comparable moments at which it was not (statistics 16)."""

import numpy as np
import pytest

from aih_outcomes.endpoints.course.switches import derive_switches
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.errors import PlanError
from tests.endpoints.courses import followed, visits
from tests.endpoints.tables import cohort, iaihg, same

STEROID = "{0} prednisolone 0 - - -\n"


def flare(patient, alt="8"):
    """In response on day 100; a flare of day 290, known when the second sample confirms it on day 300."""
    return [f"{patient} 100", f"{patient} 290 alt=5", f"{patient} 300 alt={alt}"]


def derive(*lines, drugs="", **others):
    return derive_switches(followed(visits(*lines), drugs=drugs, **others), therapy="advanced")


def test_statistics_rule_16_a_flare_of_somebody_who_had_not_switched_is_a_pseudo_switch():
    found = derive(*flare("A"), measurements="patient day measure value\nA 290 weight 20",
                   drugs="A prednisolone 0 199 40 -\nA prednisolone 200 305 10 -")  # fmt: skip
    same(found.frame.round(3), """
        patient time switched log_alt_peak days_since_induction steroid lines
        A 300 False 2.079 300 0.5 1
    """)  # fmt: skip
    assert found.frame["age"].iloc[0] == pytest.approx((10 * 365.25 + 300) / 365.25, abs=0.01)


def test_steroid_is_what_the_decision_found_by_a_weight_of_the_year_before():
    found = derive(*flare("A"), *flare("B"), measurements="patient day measure value\nA 10 weight 20\nB 310 weight 20",
                   drugs="A prednisolone 0 299 10 -\nA prednisolone 300 - 40 -\nB prednisolone 0 - 10 -")  # fmt: skip
    same(found.frame, """
        patient time steroid
        A 300 0.5
        B 300 -
    """)  # fmt: skip


def test_the_first_dose_is_the_switch_and_later_flares_are_none_of_hers():
    found = derive(*flare("A"), *flare("B"), drugs=STEROID.format("A") + "A infliximab 200 - - -")
    same(found.frame, """
        patient time switched lines
        A 200 True 1
        B 300 False 1
    """)  # fmt: skip


def test_whoever_switches_later_lends_the_earlier_flare():
    found = derive(*flare("A"), drugs=STEROID.format("A") + "A infliximab 340 - - -")
    same(found.frame, """
        patient time switched
        A 300 False
        A 340 True
    """)  # fmt: skip


def test_only_gene_matched_therapy_is_targeted():
    drugs = STEROID.format("A") + "A ruxolitinib 340 - - -\n" + STEROID.format("B") + "B infliximab 340 - - -"
    variants = (
        "patient day gene mechanism zygosity acmg_class mechanism_confirmed result\n"
        "A 60 STAT1 gain_of_function heterozygous 5 yes variant"
    )
    found = derive_switches(followed(visits(*flare("A"), *flare("B")), drugs=drugs, variants=variants))
    same(found.frame, """
        patient time switched
        A 300 False
        A 340 True
        B 300 False
    """)  # fmt: skip
    assert found.label == "start of gene-matched therapy"


def test_the_peak_is_the_highest_of_the_eight_weeks_up_to_the_day():
    found = derive(*flare("A", "3"), "A 243 alt=9", "A 244 alt=4",
                   drugs=STEROID.format("A") + "A infliximab 300 - - -")  # fmt: skip
    own = found.frame.loc[found.switched, "log_alt_peak"]
    assert np.exp(own).tolist() == pytest.approx([5.0])  # day 290, not day 243
    none = derive("A 28 alt=9", drugs=STEROID.format("A") + "A infliximab 300 - - -")
    assert none.frame["log_alt_peak"].isna().tolist() == [True]


def test_moments_from_transplant_on_are_left_out_and_counted():
    found = derive(*flare("B"), "A 30 alt=5", drugs=STEROID.format("A") + "A infliximab 400 - - -",
                   events="patient day kind\nA 350 transplant")  # fmt: skip
    same(found.frame, "patient time switched\nB 300 False")
    same(found.exclusions, """
        reason  n  n_event
        Moment from transplant or death on  1  1
    """)  # fmt: skip


def test_a_failure_within_28_days_of_a_flare_is_no_second_moment():
    drugs = "A azathioprine 10 - - -\nA mycophenolate 200 - - -\nA tacrolimus 310 - - -"
    response = followed(visits(*flare("A")), drugs=STEROID.format("A") + drugs)
    assert derive_switches(response, at=["flare"]).frame["time"].tolist() == [300]
    assert derive_switches(response, at=["failure"]).frame["time"].tolist() == [290]  # one sample shows a loss
    assert derive_switches(response).frame["time"].tolist() == [290]


@pytest.mark.parametrize("wrong", [{"therapy": "steroid"}, {"at": ["relapse"]}])
def test_an_unknown_therapy_or_moment_is_refused(wrong):
    response = derive_response(cohort("patient day analyte xuln\nA 28 alt 4"), iaihg())
    with pytest.raises(PlanError, match="Choices are"):
        derive_switches(response, **wrong)


def test_a_cohort_without_flares_has_no_moments():
    assert len(derive("A 28 alt=4").frame) == 0


def test_a_switch_before_time_zero_stays_so_that_treated_time_is_nobodys_control():
    found = derive(*flare("A"), *flare("B"), patients="patient diagnosis_date\nA -9",
                   drugs="A infliximab -5 - - -\n" + STEROID.format("A") + STEROID.format("B"))  # fmt: skip
    same(found.frame, """
        patient time switched days_since_induction
        A -5 True -
        B 300 False 300
    """)  # fmt: skip
    assert found.exclusions.empty
