"""Who belongs where, and since when that is known (statistics 1 to 6; clinic 5, 12, 13)."""

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.groups.groups import (
    attained_by,
    attained_or_insufficient,
    derive_groups,
    derive_later_moves,
    ever_attained,
    gene_groups,
    non_response_at,
    status_at,
    targeted_over_time,
)
from aih_outcomes.endpoints.response.response import Response, derive_response
from aih_outcomes.errors import PlanError
from aih_outcomes.outcomes import Groups
from tests.endpoints.response.test_response import visits
from tests.endpoints.tables import cohort, iaihg, same

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
    groups = derive_groups(both()[1], day=182)
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
    same(derive_later_moves(both()[1], day=182), """
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
    groups = targeted_over_time(both()[1])
    same(groups.frame, """
        patient              label             onset  known_at
        targeted_later       Targeted therapy  183    183
        targeted_not         Targeted therapy  182    182
        targeted_responding  Targeted therapy  100    100
    """)  # fmt: skip
    assert groups.irreversible
    assert groups.name == "gene-matched therapy"


# --- what genetic testing has found


def genes(*lines: str, patients: str = "") -> Groups:
    """Results ``patient day result gene mechanism zygosity acmg_class mechanism_confirmed``."""
    columns = "patient day result gene mechanism zygosity acmg_class mechanism_confirmed"
    return gene_groups(derive_response(cohort(patients=patients, variants="\n".join([columns, *lines])), iaihg()))


STAT1 = "variant STAT1 gain_of_function heterozygous 5 yes"
CTLA4 = "variant CTLA4 loss_of_function heterozygous 4 yes"
NEGATIVE = "no_variant - - - - -"


def test_clinic_rule_13_gene_groups_are_keyed_by_gene_mechanism_and_zygosity() -> None:
    groups = genes(
        f"gain 50 {STAT1}",
        "loss 50 variant STAT1 loss_of_function heterozygous 5 yes",
        "one_copy 50 variant LRBA loss_of_function heterozygous 5 yes",
        "two_copies 50 variant LRBA loss_of_function compound_heterozygous 5 yes",
    )
    same(groups.frame[groups.frame["known_at"] > 0], """
        patient     label                        onset  known_at
        gain        JAK-STAT, gain of function   50     50
        loss        Variant without a match      50     50
        one_copy    Variant without a match      50     50
        two_copies  CTLA-4 pathway               50     50
    """)  # fmt: skip


def test_statistics_rule_1_untested_is_not_negative_and_a_result_is_known_on_its_date() -> None:
    groups = genes(f"tested 50 {NEGATIVE}", f"before -400 {STAT1}", patients="patient sex\nuntested female")
    same(groups.frame, """
        patient   label                       known_at
        before    JAK-STAT, gain of function  0
        tested    Untested                    0
        tested    No variant found            50
        untested  Untested                    0
    """)  # fmt: skip
    assert groups.at(49)["tested"] == "Untested"
    assert groups.irreversible


@pytest.mark.parametrize(
    ("result", "label"),
    [
        ("variant STAT1 gain_of_function heterozygous 3 yes", "Variant without a match"),
        ("variant STAT1 gain_of_function heterozygous - yes", "Variant without a match"),
        ("variant STAT1 gain_of_function heterozygous 5 no", "Variant without a match"),
        ("variant STAT1 gain_of_function heterozygous 5 -", "Variant without a match"),
        ("variant STAT1 unknown heterozygous 5 yes", "Variant without a match"),
        ("variant FOXP3 loss_of_function hemizygous 5 yes", "Variant without a match"),
        ("variant STAT1 gain_of_function heterozygous 2 yes", "No variant found"),
    ],
)
def test_clinic_rule_13_an_uncertain_or_unconfirmed_variant_has_no_match(result: str, label: str) -> None:
    assert genes(f"A 50 {result}").frame["label"].tolist() == ["Untested", label]


def test_a_finding_stays_and_a_higher_one_takes_its_place() -> None:
    groups = genes(
        f"A 50 {NEGATIVE}", f"A 90 {CTLA4}", f"A 120 {STAT1}", f"A 150 {NEGATIVE}", f"B 50 {CTLA4}", f"B 50 {STAT1}"
    )
    same(groups.frame, """
        patient  label                       known_at
        A        Untested                    0
        A        No variant found            50
        A        CTLA-4 pathway              90
        B        Untested                    0
        B        JAK-STAT, gain of function  50
    """)  # fmt: skip


BENIGN = "variant STAT1 gain_of_function heterozygous 2 no"
UNCERTAIN = "variant STAT1 gain_of_function heterozygous 3 -"


def test_clinic_rule_13_a_later_classification_changes_the_label_from_its_own_date_on() -> None:
    groups = genes(
        f"benign 50 {STAT1}", f"benign 150 {BENIGN}",
        f"uncertain 50 {STAT1}", f"uncertain 150 {UNCERTAIN}", f"uncertain 250 {STAT1}",
        f"before 0 {STAT1}", f"before -30 {BENIGN}", f"struck -200 {STAT1}", f"struck -50 {BENIGN}",
        f"second 50 {STAT1}", f"second 60 {CTLA4}", f"second 150 {BENIGN}",
    )  # fmt: skip
    same(groups.frame, """
        patient    label                       known_at
        before     JAK-STAT, gain of function  0
        benign     Untested                    0
        benign     JAK-STAT, gain of function  50
        benign     No variant found            150
        second     Untested                    0
        second     JAK-STAT, gain of function  50
        second     CTLA-4 pathway              150
        struck     No variant found            0
        uncertain  Untested                    0
        uncertain  JAK-STAT, gain of function  50
        uncertain  Variant without a match     150
        uncertain  JAK-STAT, gain of function  250
    """)  # fmt: skip
    assert groups.at(149)["benign"] == "JAK-STAT, gain of function"
    assert groups.at(150)["benign"] == "No variant found"


@pytest.mark.parametrize(
    ("later", "irreversible"),
    [(f"A 150 {BENIGN}", False), (f"A 150 {UNCERTAIN}", False), (f"A 150 {NEGATIVE}", True), (f"A 150 {STAT1}", True)],
)
def test_gene_groups_are_irreversible_only_while_no_label_was_taken_back(later: str, irreversible: bool) -> None:
    assert genes(f"A 50 {STAT1}", later).irreversible == irreversible


def test_an_uncertain_variant_that_becomes_pathogenic_only_moves_on() -> None:
    groups = genes(f"A 50 {UNCERTAIN}", f"A 150 {STAT1}")
    assert groups.frame["label"].tolist() == ["Untested", "Variant without a match", "JAK-STAT, gain of function"]
    assert groups.irreversible


def test_nobody_tested_and_nobody_at_all() -> None:
    assert genes(patients="patient sex\nA female").frame["label"].tolist() == ["Untested"]
    nobody = Cohort(pd.DataFrame({"patient_id": pd.array([], dtype="string")}))
    assert gene_groups(derive_response(nobody, iaihg())).frame.empty


@pytest.mark.parametrize("build", [attained_or_insufficient, lambda response, day: derive_groups(response, day=day)])
def test_statistics_rule_6_nobody_is_insufficient_before_the_window_is_over(build) -> None:
    with pytest.raises(PlanError, match="until day 182") as caught:
        build(both()[1], 30)
    assert "attained_by(response, 30)" in caught.value.way_out
