"""Lines of treatment, gene-matched therapy, steroid dose (clinic 12 to 16)."""

import pandas as pd
import pytest

from aih_outcomes.endpoints.clock import find_time_zero
from aih_outcomes.endpoints.treatment.treatment import derive_steroid_dose, derive_treatment_starts
from tests.endpoints.tables import cohort, same


def second_lines(treatments: str) -> pd.DataFrame:
    return derive_treatment_starts(cohort(treatments=treatments))


def test_clinic_rule_15_lines_of_treatment() -> None:
    same(second_lines("""
        patient drug start stop indication
        azathioprine_late azathioprine 400 - aih
        mercaptopurine_after azathioprine 20 60 aih
        mercaptopurine_after mercaptopurine 61 - aih
        mmf_after_azathioprine azathioprine 10 29 aih
        mmf_after_azathioprine mycophenolate 30 - aih
        mmf_after_90_days mycophenolate 91 - aih
        mmf_with_steroid mycophenolate 0 - aih
        mmf_dose_raised mycophenolate 5 120 aih
        mmf_dose_raised mycophenolate 121 - aih
        mmf_begun_again mycophenolate 5 120 aih
        mmf_begun_again mycophenolate 900 - aih
        tacrolimus_rescue tacrolimus 15 - aih
        tacrolimus_induction tacrolimus 14 - aih
        ciclosporin_induction ciclosporin 3 60 aih
        ciclosporin_before_aih ciclosporin -30 60 aih
        tacrolimus_after_thiopurine azathioprine 2 - aih
        tacrolimus_after_thiopurine tacrolimus 9 - aih
        tacrolimus_after_mmf mycophenolate 0 300 aih
        tacrolimus_after_mmf tacrolimus 301 - aih
        bile_acid ursodeoxycholic_acid 200 - aih
    """), """
        patient second_line
        azathioprine_late -
        bile_acid -
        ciclosporin_before_aih -
        ciclosporin_induction -
        mercaptopurine_after -
        mmf_after_90_days 91
        mmf_after_azathioprine 30
        mmf_begun_again -
        mmf_dose_raised -
        mmf_with_steroid -
        tacrolimus_after_mmf 301
        tacrolimus_after_thiopurine 9
        tacrolimus_induction -
        tacrolimus_rescue 15
    """)  # fmt: skip


def test_clinic_rule_14_drugs_for_bowel_or_joints_are_no_line() -> None:
    same(second_lines("""
        patient drug start indication
        bowel infliximab 100 ibd
        joints methotrexate 100 jia
        liver infliximab 100 aih
        transplant tacrolimus 100 rejection
    """), """
        patient second_line empirical_advanced
        bowel - -
        joints - -
        liver - 100
        transplant - -
    """)  # fmt: skip


def test_clinic_rule_14_what_began_before_the_diagnosis_is_never_a_line_whatever_its_later_dose() -> None:
    same(second_lines("""
        patient drug start stop indication
        before mycophenolate -50 99 aih
        before mycophenolate 100 - aih
        before_advanced infliximab -50 99 aih
        before_advanced infliximab 100 - aih
        on_the_day infliximab 0 - aih
    """), """
        patient second_line empirical_advanced
        before - -
        before_advanced - -
        on_the_day - 0
    """)  # fmt: skip


GENE = "variant STAT3 gain_of_function heterozygous"


@pytest.mark.parametrize(
    ("gene", "drug", "matched"),
    [
        (f"99 {GENE} 5 yes", "ruxolitinib", True),
        (f"100 {GENE} 4 yes", "tocilizumab", True),
        (f"99 {GENE} 3 yes", "ruxolitinib", False),  # of uncertain significance
        (f"99 {GENE} 5 no", "ruxolitinib", False),  # mechanism not confirmed
        (f"99 {GENE} 5 -", "ruxolitinib", False),
        (f"101 {GENE} 5 yes", "ruxolitinib", False),  # the result came after the first dose
        (f"99 {GENE} 5 yes", "infliximab", False),  # acts elsewhere
        ("99 variant STAT3 loss_of_function heterozygous 5 yes", "ruxolitinib", False),
        ("99 variant STAT3 unknown heterozygous 5 yes", "ruxolitinib", False),
        ("99 variant LRBA loss_of_function heterozygous 5 yes", "abatacept", False),
        ("99 variant LRBA loss_of_function homozygous 5 yes", "abatacept", True),
        ("99 variant LRBA loss_of_function compound_heterozygous 5 yes", "abatacept", True),
        ("99 no_variant - - - - -", "ruxolitinib", False),
    ],
)
def test_clinic_rules_12_and_13_gene_matched_needs_class_mechanism_zygosity_proof_and_date(
    gene: str, drug: str, matched: bool
) -> None:
    starts = derive_treatment_starts(
        cohort(
            treatments=f"patient drug start\nA {drug} 100",
            variants=f"patient day result gene mechanism zygosity acmg_class mechanism_confirmed\nA {gene}",
        )
    )
    same(starts, f"""
        patient gene_matched empirical_advanced
        A {100 if matched else "-"} {"-" if matched else 100}
    """)  # fmt: skip


@pytest.mark.parametrize(
    ("later", "matched"),
    [
        ("90 {gene} 2 no", False),  # benign before the drug
        ("100 {gene} 3 yes", False),  # uncertain on its first day
        ("101 {gene} 2 no", True),  # benign after its first day: it was chosen for the gene
        ("90 {gene} 5 no", False),  # the assay did not hold
        ("90 {gene} 4 yes", True),
        ("90 variant STAT3 loss_of_function heterozygous 2 no", True),  # another mechanism
        ("90 variant STAT1 gain_of_function heterozygous 2 no", True),  # another gene
        ("90 no_variant - - - - -", True),  # a panel that did not look there
        ("90 {gene} - -", True),  # without a class nothing is classified
        ("80 {gene} 2 no", True),  # of one day none is the later
    ],
)
def test_clinic_rule_13_the_latest_classification_before_the_drug_decides(later: str, matched: bool) -> None:
    starts = derive_treatment_starts(
        cohort(
            treatments="patient drug start\nA ruxolitinib 100",
            variants=f"""
            patient day result gene mechanism zygosity acmg_class mechanism_confirmed
            A 80 {GENE} 5 yes
            A {later.format(gene=GENE)}
        """,
        )
    )
    same(starts, f"""
        patient gene_matched empirical_advanced
        A {100 if matched else "-"} {"-" if matched else 100}
    """)  # fmt: skip


def test_clinic_rule_13_a_variant_found_pathogenic_again_matches_again() -> None:
    starts = derive_treatment_starts(
        cohort(
            treatments="""
            patient drug start stop
            between ruxolitinib 100 -
            after ruxolitinib 200 -
        """,
            variants=f"""
            patient day result gene mechanism zygosity acmg_class mechanism_confirmed
            between 50 {GENE} 4 yes
            between 90 {GENE} 3 yes
            between 150 {GENE} 5 yes
            after 50 {GENE} 4 yes
            after 90 {GENE} 3 yes
            after 150 {GENE} 5 yes
        """,
        )
    )
    same(starts, """
        patient gene_matched empirical_advanced
        after 200 -
        between - 100
    """)  # fmt: skip


def test_a_change_of_dose_after_the_gene_result_does_not_make_an_empirical_drug_matched() -> None:
    starts = derive_treatment_starts(
        cohort(
            treatments="""
            patient drug start stop
            dose_changed ruxolitinib 100 199
            dose_changed ruxolitinib 200 -
            begun_again ruxolitinib 100 120
            begun_again ruxolitinib 200 -
        """,
            variants=f"""
            patient day result gene mechanism zygosity acmg_class mechanism_confirmed
            dose_changed 150 {GENE} 5 yes
            begun_again 150 {GENE} 5 yes
        """,
        )
    )
    same(starts, """
        patient gene_matched empirical_advanced
        begun_again 200 100
        dose_changed - 100
    """)  # fmt: skip


def test_time_zero_is_the_first_systemic_steroid_for_autoimmune_hepatitis() -> None:
    made = cohort(
        treatments="""
        patient drug route start indication
        budesonide budesonide oral 3 aih
        inhaled budesonide inhaled 1 aih
        inhaled prednisolone oral 9 aih
        for_bowel prednisolone oral 1 ibd
        no_route prednisone - 4 aih
        pulse methylprednisolone intravenous -2 aih
    """,
        steroid=False,
    )
    zero = find_time_zero(made, "induction").reset_index(name="zero")
    same(zero, """
        patient zero
        budesonide 3
        inhaled 9
        no_route 4
        pulse -2
    """)  # fmt: skip


def doses(treatments: str, days: tuple[int, ...] = (28,), weight_day: int = 28) -> pd.DataFrame:
    made = cohort(
        treatments=treatments,
        measurements=f"patient day measure value\nA {weight_day} weight 20",
        follow_up="patient start end end_reason end_source\nA 0 100 ongoing visit",
        steroid=False,
    )
    return derive_steroid_dose(made, find_time_zero(made, "diagnosis"), days)


@pytest.mark.parametrize(
    ("drug", "route", "dose", "indication", "mg_per_day"),
    [
        ("prednisolone", "oral", "10", "aih", "10"),
        ("prednisone", "-", "10", "aih", "10"),
        ("methylprednisolone", "intravenous", "8", "aih", "10"),
        ("dexamethasone", "oral", "1.5", "aih", "10.0005"),
        ("hydrocortisone", "oral", "20", "aih", "5"),
        ("hydrocortisone", "oral", "20", "replacement", "0"),
        ("prednisolone", "oral", "10", "ibd", "0"),
        ("prednisolone", "rectal", "10", "aih", "0"),
        ("prednisolone", "inhaled", "10", "aih", "0"),
        ("budesonide", "oral", "9", "aih", "0"),
        ("prednisolone", "oral", "-", "aih", "-"),  # given, dose not recorded: not zero
    ],
)
def test_clinic_rule_16_systemic_steroid_for_aih_in_prednisolone_equivalents(
    drug: str, route: str, dose: str, indication: str, mg_per_day: str
) -> None:
    found = doses(f"patient drug route dose start indication\nA {drug} {route} {dose} 0 {indication}")
    same(found, f"""
        patient day mg_per_day
        A 28 {mg_per_day}
    """)  # fmt: skip


def test_dose_per_kg_needs_a_weight_within_60_days() -> None:
    taken = "patient drug dose start stop\nA prednisolone 20 0 60\nA prednisolone 10 61 90"
    same(doses(taken, (0, 60, 89, 91, 182), weight_day=0), """
        patient day mg_per_day mg_per_kg
        A 0 20 1
        A 60 20 1
        A 89 10 -
        A 91 0 0
    """)  # fmt: skip


def test_steroids_given_together_add_up() -> None:
    taken = "patient drug route dose start\nA prednisolone oral 20 0\nA methylprednisolone intravenous 16 28"
    same(doses(taken), """
        patient day mg_per_day mg_per_kg
        A 28 40 2
    """)  # fmt: skip


def test_of_weights_at_the_same_distance_the_earlier_counts_and_of_one_day_the_lowest() -> None:
    made = cohort(
        treatments="patient drug dose start\nA prednisolone 40 0\nB prednisolone 40 0",
        measurements="""
        patient day measure value
        A 10 weight 20
        A 20 weight 40
        B 15 weight 20
        B 15 weight 16
        B 15 height 100
    """,
        follow_up="patient start end end_reason end_source\nA 0 100 ongoing visit\nB 0 100 ongoing visit",
        steroid=False,
    )
    same(derive_steroid_dose(made, find_time_zero(made, "induction"), (15,)), """
        patient day mg_per_day mg_per_kg
        A 15 40 2
        B 15 40 2.5
    """)  # fmt: skip


def test_what_ends_on_the_day_the_next_dose_begins_is_not_taken_twice() -> None:
    taken = "patient drug dose start stop\nA prednisolone 20 0 28\nA prednisolone 10 28 90"
    same(doses(taken, (27, 28)), """
        patient day mg_per_day
        A 27 20
        A 28 10
    """)  # fmt: skip
