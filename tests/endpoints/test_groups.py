"""Who belongs where, and since when that is known (statistics 1 to 6; clinic 5, 12, 13)."""

import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.groups import (
    attained_by,
    attained_or_insufficient,
    derive_groups,
    derive_later_moves,
    ever_attained,
    non_response_at,
    status_at,
    targeted_over_time,
)
from aih_outcomes.endpoints.response import Response, derive_response
from aih_outcomes.errors import PlanError
from tests.endpoints.tables import cohort, iaihg, same
from tests.endpoints.test_response import visits

# One child each: who responds, on what, by day 182.
TREATED = """
    patient drug start
    targeted_responding ruxolitinib 100
    targeted_not baricitinib 182
    targeted_later baricitinib 183
    empirical_responding infliximab 60
    second_line_responding azathioprine 10
    second_line_responding mycophenolate 90
    second_line_not tacrolimus 90
    """
GENES = """
    patient day result gene mechanism zygosity acmg_class mechanism_confirmed
    targeted_responding 50 variant STAT1 gain_of_function heterozygous 5 yes
    targeted_not 182 variant STAT3 gain_of_function heterozygous 4 yes
    targeted_later 50 variant STAT3 gain_of_function heterozygous 4 yes
    """
LABS = visits(
    "steroid_responding 90 0.5",
    "steroid_responding 175 3",
    "targeted_responding 170 0.5",
    "targeted_not 170 3",
    "targeted_later 170 3",
    "empirical_responding 170 0.5",
    "second_line_responding 170 0.5",
    "second_line_not 170 3",
    "unseen 20 3",
)


def both() -> tuple[Cohort, Response]:
    made = cohort(LABS, treatments=TREATED, variants=GENES)
    return made, derive_response(made, iaihg())


def test_statistics_rule_4_groups_are_disjoint_and_in_the_stated_order() -> None:
    groups = derive_groups(*both(), day=182)
    same(groups.frame, """
        patient                 label                       onset  known_at
        empirical_responding    Empirical advanced therapy  182    182
        second_line_not         Insufficient response       182    182
        second_line_responding  Responder on second line    182    182
        steroid_responding      Responder                   182    182
        targeted_later          Insufficient response       182    182
        targeted_not            Targeted therapy            182    182
        targeted_responding     Targeted therapy            182    182
        unseen                  Not evaluable               182    182
    """)  # fmt: skip
    assert groups.landmark == 182
    assert groups.levels[0] == "Insufficient response"


def test_statistics_rule_4_who_moves_later_stays_and_is_counted() -> None:
    same(derive_later_moves(*both(), day=182), """
        label                  moved_to          n  median_day
        Insufficient response  Targeted therapy  1  183
    """)  # fmt: skip


def test_statistics_rule_1_a_responder_is_known_earlier_than_the_landmark() -> None:
    labs = visits("early 90 0.5", "late 170 0.5", "after 185 0.5", "not 170 3")
    groups = attained_by(derive_response(cohort(labs), iaihg()), 182)
    same(groups.frame, """
        patient  label                onset  known_at
        early    Responder            90     90
        late     Responder            170    170
        not      Not yet in response  182    182
    """)  # fmt: skip
    assert list(groups.at(181).index) == ["early", "late"]
    assert len(groups.at(182)) == 3  # of 'after' nothing was documented by then


def test_statistics_rule_3_the_primary_contrast_leaves_not_evaluable_apart() -> None:
    labs = visits("early 90 0.5", "early 170 3", "not 170 3", "unseen 20 3")
    groups = attained_or_insufficient(derive_response(cohort(labs), iaihg()), 182)
    same(groups.frame, """
        patient  label                  known_at
        early    Responder              90
        not      Insufficient response  182
        unseen   Not evaluable          182
    """)  # fmt: skip
    assert groups.name == "response to first-line treatment (IAIHG 2022), attained by day 182"


def test_statistics_rule_6_a_landmark_lies_at_or_after_the_end_of_its_window() -> None:
    response = derive_response(cohort(visits("A 200 0.5")), iaihg())
    with pytest.raises(PlanError, match="window ends on day 240"):
        status_at(response, 182, window=(121, 240))
    groups = status_at(response, 365, window=(121, 240))
    same(groups.frame, """
        patient label known_at
        A Responder 240
    """)  # fmt: skip
    assert groups.landmark == 365


def test_statistics_rule_2_over_time_nobody_is_a_non_responder() -> None:
    groups = ever_attained(derive_response(cohort(visits("A 90 0.5", "A 170 3", "B 170 3")), iaihg()))
    same(groups.frame, """
        patient label onset known_at
        A Responder 90 90
    """)  # fmt: skip
    assert groups.irreversible


def test_statistics_rule_3_four_week_groups_carry_their_own_rule_and_landmark() -> None:
    labs = """
        patient day analyte xuln
        A 0 alt 20
        A 0 ast 20
        A 10 alt 5
        A 10 ast 5
        B 0 alt 20
        B 0 ast 20
        B 25 alt 15
        B 25 ast 15
    """
    groups = non_response_at(derive_response(cohort(labs), iaihg()))
    same(groups.frame, """
        patient  label         onset  known_at
        A        ≥ 50 % fall   10     10
        B        Non-response  28     28
    """)  # fmt: skip
    assert (groups.landmark, groups.analytes) == (28, ("alt", "ast"))


def test_targeted_therapy_over_time_is_absorbing_and_known_when_it_begins() -> None:
    groups = targeted_over_time(*both())
    same(groups.frame, """
        patient              label             onset  known_at
        targeted_later       Targeted therapy  183    183
        targeted_not         Targeted therapy  182    182
        targeted_responding  Targeted therapy  100    100
    """)  # fmt: skip
    assert groups.irreversible
    assert groups.name == "gene-matched therapy"
