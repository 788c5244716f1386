"""The same patients under several definitions and upper limits: rates, agreement, and who is judged otherwise."""

from pathlib import Path

import numpy as np
import pytest

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.endpoints.definition import Definition, read_definition
from aih_outcomes.errors import PlanError
from aih_outcomes.study.definitions import DefinitionComparison, compare_definitions
from aih_outcomes.tables import tabulate_agreement, tabulate_rates
from tests.endpoints.tables import cohort, iaihg, same

EARLY_FALL = """
name = "fall-8w"
version = "1.0"
title = "Fall at 8 weeks"
reference = "A test"
[response]
term = "Fall"
short = "fall"
criteria = [{ analyte = "ast", at_most_xuln = 3.0 }]
[windows]
by = [42, 70]
at = [42, 70]
at_tolerant = [35, 84]
judged_from = 42
"""
LABS = """
    patient day analyte value uln
    both 60 alt 20 25
    both 60 ast 20 25
    both 60 igg 10 16
    igg_high 60 alt 20 25
    igg_high 60 ast 20 25
    igg_high 60 igg 20 16
    igg_high 170 alt 20 25
    igg_high 170 ast 20 25
    igg_high 170 igg 20 16
    no_igg 170 alt 20 25
    no_igg 170 ast 20 25
    by_limit 60 alt 35 25
    by_limit 60 ast 30 25
    by_limit 60 igg 10 16
    by_limit 170 alt 35 25
    by_limit 170 ast 30 25
    by_limit 170 igg 10 16
    """
FULL, WITHOUT = "IAIHG 2022", "IAIHG 2022 without IgG"


@pytest.fixture
def early_fall(tmp_path: Path) -> Definition:
    path = tmp_path / "fall.toml"
    path.write_text(EARLY_FALL, encoding="utf-8")
    return read_definition(path)


def compare(
    labs: str = LABS, *, upper_limits: tuple[str, ...] = ("as_recorded",), **others: str
) -> DefinitionComparison:
    definitions = [iaihg(), iaihg().without("igg")]
    return compare_definitions(cohort(labs, **others), definitions, upper_limits=upper_limits)


def test_each_definition_has_its_rate_with_all_denominators() -> None:
    same(compare().rates, f"""
        label      definition  upper_limits  n  n_met  n_not_met  n_not_evaluable
        {FULL}     {FULL}      as recorded   4  1      2          1
        {WITHOUT}  {WITHOUT}   as recorded   4  3      1          0
    """)  # fmt: skip


def test_each_source_of_limits_has_its_own_rate() -> None:
    same(compare(upper_limits=("as_recorded", "fixed")).rates, f"""
        label                                     n_met  n_not_met  n_not_evaluable
        {FULL}; as recorded                       1      2          1
        {WITHOUT}; as recorded                    3      1          0
        {FULL}; fixed: ALT 40, AST 40, IgG 16     2      1          1
        {WITHOUT}; fixed: ALT 40, AST 40, IgG 16  4      0          0
    """)  # fmt: skip


def test_whose_status_differs_and_what_each_says_of_it() -> None:
    same(compare().disagreements(FULL, WITHOUT), """
        patient   status_first   because_first     status_second  because_second
        igg_high  not met        criteria not met  met            criteria met
        no_igg    not evaluable  IgG missing       met            criteria met
    """)  # fmt: skip


def test_the_two_way_table_holds_every_patient() -> None:
    assert compare().crosstab(FULL, WITHOUT).counts.tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 0]]


def test_pairs_that_differ_in_one_choice_are_compared() -> None:
    pairs = list(compare(upper_limits=("as_recorded", "fixed")).agreement["label"].unique())
    fixed = "fixed: ALT 40, AST 40, IgG 16"
    assert pairs == [
        f"{FULL}; as recorded against {WITHOUT}; as recorded",
        f"{FULL}; as recorded against {FULL}; {fixed}",
        f"{WITHOUT}; as recorded against {WITHOUT}; {fixed}",
        f"{FULL}; {fixed} against {WITHOUT}; {fixed}",
    ]


def test_one_definition_alone_has_rates_and_nothing_to_agree_with() -> None:
    alone = compare_definitions(cohort(LABS), ["iaihg-2022"])
    assert alone.labels == [FULL]
    assert alone.agreement.empty


def test_statistics_rule_5_transplant_or_death_before_the_day_counts_as_failure_in_rates() -> None:
    result = compare(events="patient day kind\nno_igg 175 transplant\nboth 100 death")
    same(result.rates, f"""
        label      n_met  n_not_met  n_not_evaluable
        {FULL}     1      3          0
        {WITHOUT}  3      1          0
    """)  # fmt: skip
    statuses = result.statuses.query("label == @FULL").set_index("patient_id")
    assert statuses.loc["no_igg", "because"] == "transplant or death"
    assert statuses.loc["both", "because"] == "criteria met"


def test_criteria_may_choose_that_a_transplant_is_not_evaluable() -> None:
    lost = iaihg().choosing(transplant_or_death="not_evaluable")
    made = cohort(LABS, events="patient day kind\nigg_high 175 transplant")
    (status,) = compare_definitions(made, [lost]).statuses.query("patient_id == 'igg_high'")["status"]
    assert status == "not evaluable"


def test_a_day_moves_criteria_that_count_from_the_start_of_treatment() -> None:
    early = compare_definitions(cohort(LABS), [iaihg()], day=50).rates.iloc[0]
    assert (early["n_met"], early["n_not_evaluable"]) == (0, 4)


def test_criteria_bound_to_a_visit_are_judged_at_that_visit(early_fall: Definition) -> None:
    made = cohort("""
        patient day analyte xuln
        at_visit 56 ast 2
        later 56 ast 5
        later 170 ast 2
        not_seen 170 ast 2
    """)
    statuses = compare_definitions(made, [early_fall]).statuses
    same(statuses, """
        patient   status
        at_visit  met
        later     not met
        not_seen  not evaluable
    """)  # fmt: skip


def test_definitions_come_by_name_file_or_themselves(early_fall: Definition, tmp_path: Path) -> None:
    labels = compare_definitions(cohort(LABS), ["iaihg-2022", str(tmp_path / "fall.toml")]).labels
    assert labels == [FULL, early_fall.title]


def test_what_is_given_twice_unknown_or_not_at_all_is_refused() -> None:
    made = cohort(LABS)
    with pytest.raises(PlanError, match="1 of 2 response criteria are given twice"):
        compare_definitions(made, ["iaihg-2022", iaihg()])
    with pytest.raises(PlanError, match="No response criteria"):
        compare_definitions(made, [])
    with pytest.raises(PlanError, match="given twice"):
        compare_definitions(made, [iaihg()], upper_limits=("fixed", "fixed"))
    with pytest.raises(PlanError, match="not a source of upper limits"):
        compare_definitions(made, [iaihg()], upper_limits=("local",))
    with pytest.raises(PlanError, match="was not compared"):
        compare().crosstab(FULL, "Other")


def test_an_empty_cohort_has_rates_of_nobody() -> None:
    nobody = compare_definitions(cohort("", patients="patient sex\nA female", steroid=False), [iaihg()])
    same(nobody.rates, f"""
        label   n  n_met  n_not_met  n_not_evaluable  estimate
        {FULL}  0  0      0          0                -
    """)  # fmt: skip


def many(met_by_both: int, igg_high: int, not_met: int) -> str:
    rows = ["patient day analyte xuln"]
    for kind, n, alt, igg in (("a", met_by_both, 0.5, 0.5), ("b", igg_high, 0.5, 2), ("c", not_met, 3, 2)):
        for i in range(n):
            rows += [f"{kind}{i} 170 alt {alt}", f"{kind}{i} 170 ast {alt}", f"{kind}{i} 170 igg {igg}"]
    return "\n".join(rows)


def test_statistics_rule_23_rates_and_agreement_pass_the_door_and_hide_the_difference_together() -> None:
    """Three children are met by one definition only: no table may say three."""
    result = compare(many(40, 3, 22))
    rates, agreement = apply_policy(result.rates, "lt5"), apply_policy(result.agreement, "lt5")
    crossed = apply_policy(result.crosstab(FULL, WITHOUT).tidy(), "lt5")
    assert rates["n_met"].tolist() == [40, 45]  # 40 and 43: the difference may be 0 to 9
    assert crossed.query("strata == 'not met' and state == 'met'")["n"].isna().all()
    assert agreement.query("measure == 'kappa'")["estimate"].isna().all()
    assert "<5" in tabulate_agreement(crossed).display.to_numpy().tolist()[1]
    assert tabulate_rates(rates).display.iloc[0, 0] == FULL


def visit(patient: str, alt: str, uln: str, *, igg: str = "20") -> str:
    """One visit on day 170: ALT and its upper limit, a normal AST, and IgG (above 16 by default)."""
    return f"\n{patient} 170 alt {alt} {uln}\n{patient} 170 ast 20 25\n{patient} 170 igg {igg} 16"


def test_a_rate_is_not_estimable_where_most_have_no_upper_limit() -> None:
    labs = "patient day analyte value uln" + "".join(visit(p, "20", "-") for p in "ABC") + visit("D", "20", "25")
    rates = compare(labs).rates
    same(rates, f"""
        label      n_met  n_not_met  n_not_evaluable  estimate  conf_low  conf_high  bound_high  transaminase_only
        {FULL}     0      4          0                -         -         -          0           -
        {WITHOUT}  1      0          3                -         -         -          1           -
    """)  # fmt: skip
    assert set(rates["because"]) == {"not estimable: no upper limit of ALT in more than half of the patients measured"}


def test_a_rate_stands_where_half_have_an_upper_limit() -> None:
    labs = "patient day analyte value uln" + visit("A", "20", "-") + visit("B", "20", "25", igg="10")
    rates = compare(labs).rates
    assert rates["estimate"].tolist() == [0.5, 1.0]
    assert rates["because"].tolist() == ["", ""]


def test_a_limit_that_lacks_for_igg_only_leaves_the_rate_without_igg() -> None:
    labs = LABS.replace(" 16\n", " -\n")
    rates = compare(labs).rates.set_index("label")
    assert np.isnan(rates.loc[FULL, "estimate"])
    assert rates.loc[FULL, "transaminase_only"] == rates.loc[WITHOUT, "estimate"] == 0.75
    assert "IgG" in rates.loc[FULL, "because"]


def test_a_missing_result_is_no_missing_limit() -> None:
    labs = (
        "patient day analyte value uln\nA 170 alt 20 25\nB 170 alt 20 25\nC 60 alt 20 25\nC 60 ast 20 25\nC 60 igg 9 16"
    )
    assert compare(labs).rates["because"].tolist() == ["", ""]


def test_nobody_met_and_most_not_evaluable_is_said() -> None:
    labs = "patient day analyte value uln" + "".join(f"\n{p} 170 alt 20 25" for p in "ABC") + visit("D", "90", "25")
    rates = compare(labs).rates
    assert rates["estimate"].tolist() == [0.0, 0.0]
    assert set(rates["because"]) == {"caution: nobody met, and more than half are not evaluable"}


def test_the_reason_passes_disclosure_and_the_table() -> None:
    labs = "patient day analyte value uln" + "".join(visit(p, "20", "-") for p in "ABC")
    shown = apply_policy(compare(labs).rates, "lt5")
    assert shown["because"].str.startswith("not estimable").all()
    tabulate_rates(shown)


@pytest.mark.parametrize("day", [-5, "182", 182.5])
def test_a_day_that_is_none_is_refused(early_fall: Definition, day: object) -> None:
    with pytest.raises(PlanError, match="whole days since time zero"):
        compare_definitions(cohort(LABS), [early_fall], day=day)  # type: ignore[arg-type]


def test_agreement_with_the_studys_own_criteria_leaves_out_pairs_of_others() -> None:
    lenient = iaihg().without("igg")
    found = compare_definitions(cohort(LABS), [iaihg(), lenient, "camaro-2024"])
    pairs = found.agreement_with(FULL)
    assert list(dict.fromkeys(pairs["second"])) == [WITHOUT, "CAMARO 2024"]
    assert set(pairs["first"]) == {FULL}
    assert pairs[pairs["measure"] == "patients"].groupby("second")["n"].sum().tolist() == [4, 4]
    with pytest.raises(PlanError, match="was not compared"):
        found.agreement_with("another")


def test_a_plan_without_other_criteria_has_an_empty_table_that_says_so() -> None:
    alone = compare_definitions(cohort(LABS), [iaihg()])
    table = tabulate_agreement(apply_policy(alone.agreement_with(FULL), "lt5"), caption="Agreement")
    assert table.display.empty
    assert "No other criteria or limits are laid beside these." in table.to_html()
