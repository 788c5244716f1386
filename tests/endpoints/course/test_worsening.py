"""Loss of response: which samples show it, when it is known, and until when it was not there (statistics 1, 12)."""

import numpy as np
import pytest

from aih_outcomes.endpoints.course.worsening import derive_loss, derive_relapse_after_withdrawal
from aih_outcomes.endpoints.definition import read_definition
from aih_outcomes.endpoints.rules import Worsening
from aih_outcomes.errors import PlanError
from tests.endpoints.courses import followed, losing, visits
from tests.endpoints.tables import iaihg, same

IN_RESPONSE = ("A 90",)
ALT_3 = Worsening(term="Relapse", above_xuln={"alt": 3.0})
OFF = "A prednisolone 0 200 5 planned"  # off all treatment from day 201 on: day 30 of that is 230


def loss_of(*lines: str, labs: str = "", rule: Worsening | None = None, drugs: str = "", **others: str) -> str:
    """Return status, onset and day known of patient A, in response on day 90, as ``met 200 200``."""
    response = followed(visits(*IN_RESPONSE, *lines) + labs, drugs=drugs, **others)
    found = derive_loss(response, rule=rule)
    number = (f"{day:g}" if not np.isnan(day) else "-" for day in (found.onset[0], found.known_at[0]))
    return " ".join([str(found.tidy()["status"].iloc[0]), *number])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["A 200 alt=2.1"], "met 200 200"),  # above 2 × ULN: one sample suffices
        (["A 200 ast=2.1"], "met 200 200"),  # of AST too
        (["A 200 igg=2.1"], "not evaluable - -"),  # of IgG it takes two
        (["A 200 alt=2.0", "A 300"], "not met - -"),  # at the limit is not above it
        (["A 200 alt=1.5", "A 207 alt=1.5"], "met 200 207"),  # dated at the first, known at the second
        (["A 200 alt=1.5", "A 206 alt=1.5"], "not evaluable - -"),  # six days apart
        (["A 200 alt=1.5", "A 204 alt=1.5", "A 208 alt=1.5"], "met 200 208"),  # the third confirms the first
        (["A 200 alt=1.5", "A 230", "A 260 alt=1.5"], "not met - -"),  # normal in between
        (["A 200 alt=1.5", "A 230 alt=-", "A 260 alt=1.5"], "met 200 260"),  # not measured in between
        (["A 200 alt=1.5", "A 210 ast=1.5"], "not evaluable - -"),  # two samples of one analyte, not of two
        (["A 200 igg=1.1", "A 290 igg=1.1"], "met 200 290"),
        (["A 200 igg=1.1", "A 230 alt=2.1 igg=-", "A 290 igg=1.1"], "met 230 230"),  # the way known first counts
        (["A 50 alt=9"], "not evaluable - -"),  # before response there is nothing to lose
        (["A 90 alt=0.5"], "not evaluable - -"),  # nobody looked after response
        (["A 200 igg=-"], "not evaluable - -"),  # IgG missing: not known to be without
        (["A 200 alt=1.0 ast=1.0 igg=1.0"], "not met - -"),
    ],
)
def test_which_samples_show_a_loss_of_response(lines: list[str], expected: str) -> None:
    assert loss_of(*lines) == expected


@pytest.mark.parametrize(
    ("stepped_up", "expected"),
    [
        (200, "met 200 200"),  # on the day of the sample
        (228, "met 200 228"),  # known when treatment was stepped up
        (229, "not evaluable - -"),  # 29 days later
        (199, "not evaluable - -"),  # before the sample
    ],
)
def test_one_raised_sample_and_treatment_stepped_up_within_28_days_are_a_loss(stepped_up: int, expected: str) -> None:
    drugs = f"A prednisolone 0 {stepped_up - 1} 5 planned\nA prednisolone {stepped_up} - 20 -"
    assert loss_of("A 200 alt=1.5", drugs=drugs) == expected


def test_a_second_sample_before_the_step_up_makes_it_known_earlier() -> None:
    drugs = "A prednisolone 0 219 5 planned\nA prednisolone 220 - 20 -"
    assert loss_of("A 200 alt=1.5", "A 210 alt=1.5", drugs=drugs) == "met 200 210"


def test_of_several_results_of_one_day_the_worst_counts() -> None:
    assert loss_of("A 200 alt=1.5", "A 210 alt=1.5", labs="\nA 210 alt 0.5") == "met 200 210"


@pytest.mark.parametrize(
    ("sign", "value", "status"),
    [
        (">", 90, "met"),  # more than 2.25 × ULN
        (">", 60, "not evaluable"),  # more than 1.5 × ULN: above 1 for sure, above 2 perhaps
        (">", 30, "not evaluable"),  # may be normal
        ("<", 50, "not evaluable"),  # may be normal
        ("<", 30, "not met"),
    ],
)
def test_a_result_with_a_sign_says_only_what_is_sure(sign: str, value: int, status: str) -> None:
    rows = [f"A 90 {a} {v} =" for a, v in (("alt", 20), ("ast", 20), ("igg", 8))]
    rows += [f"A 200 {a} {v} =" for a, v in (("ast", 20), ("igg", 8))] + [f"A 200 alt {value} {sign}"]
    labs = "\n".join(["patient day analyte value comparator", *rows])
    assert derive_loss(followed(labs)).tidy()["status"].tolist() == [status]


def test_an_unclear_result_between_two_raised_ones_decides_nothing() -> None:
    rows = [f"A 90 {a} {v} =" for a, v in (("alt", 20), ("ast", 20), ("igg", 8))]
    rows += ["A 200 alt 60 =", "A 204 alt 50 <", "A 208 alt 60 ="]
    found = derive_loss(followed("\n".join(["patient day analyte value comparator", *rows])))
    same(found.tidy(), """
        patient  status  onset  known_at  because
        A        met     200    208       ALT > 1 × ULN on two samples
    """)  # fmt: skip


def test_clinic_rule_10_igg_after_immunoglobulin_shows_no_loss() -> None:
    lines = ["A 200 igg=1.5", "A 230 igg=1.5"]
    given = "A prednisolone 0 - 5 -\nA immunoglobulin 195 195 - -"
    assert loss_of(*lines, drugs=given) == "not evaluable - -"
    assert loss_of(*lines) == "met 200 230"


def test_statistics_rule_12_without_loss_until_the_last_day_on_which_everything_was_seen_to_be_normal() -> None:
    lines = ["A 90", "A 200", "A 300 igg=-", "A 400 alt=1.5"]
    lost = ["B 90", "B 200", "B 300 igg=-", "B 400 alt=5"]
    found = derive_loss(followed(visits(*lines, *lost)))
    same(found.tidy(), """
        patient  status   at_risk_from  last_without  onset  known_at  because
        A        not met  90            200           -      -         no worsening seen
        B        met      90            200           400    400       ALT > 2 × ULN
    """)  # fmt: skip
    intervals = found.to_intervals().frame
    assert intervals[["left", "right"]].to_numpy().tolist() == [[200, np.inf], [200, 400]]
    times = found.to_time_to_event().frame
    assert times[["entry", "exit"]].to_numpy().tolist() == [[90, 200], [90, 400]]
    assert times["event"].tolist() == ["censored", "Loss of biochemical response"]


def test_who_cannot_be_judged_is_told_why() -> None:
    response = followed(
        visits("never 90 alt=3", "unseen 90", "half 90", "half 200 igg=-", "once 90", "once 200 alt=1.5")
    )
    same(derive_loss(response).tidy(), """
        patient  status         at_risk_from  because
        half     not evaluable  90            no complete evaluation of ALT, AST and IgG since
        never    not evaluable  -             never in response
        once     not evaluable  90            raised, but not confirmed
        unseen   not evaluable  90            no complete evaluation of ALT, AST and IgG since
    """)  # fmt: skip


def test_at_risk_from_the_day_response_was_known() -> None:
    confirmed = iaihg().choosing(confirmed_after_days=28)
    found = derive_loss(followed(visits("A 90", "A 118", "A 200 alt=5"), definition=confirmed))
    same(found.tidy(), """
        patient status at_risk_from onset known_at
        A met 118 200 200
    """)  # fmt: skip


def test_results_after_a_transplant_do_not_count() -> None:
    found = derive_loss(followed(visits("A 90", "A 150", "A 400 alt=9"), events="patient day kind\nA 300 transplant"))
    same(found.tidy(), """
        patient  status   last_without
        A        not met  150
    """)  # fmt: skip
    assert found.to_time_to_event().frame["event"].tolist() == ["Liver transplant"]


def test_clinic_rule_8_the_name_comes_from_the_criteria() -> None:
    response = followed(visits("A 90"))
    assert derive_loss(response).label == "Loss of biochemical response"
    easl = followed(visits("A 90"), definition=read_definition("easl-2015"))
    assert derive_loss(easl).label == "Relapse"


@pytest.mark.parametrize(
    ("line", "status"), [("A 200 alt=3.1", "met"), ("A 200 alt=3.0", "not met"), ("A 200 ast=9 igg=3", "not met")]
)
def test_easl_relapse_is_alt_above_three_times_normal(line: str, status: str) -> None:
    response = followed(visits("A 90", line), definition=read_definition("easl-2015"))
    assert derive_loss(response).tidy()["status"].tolist() == [status]


def test_van_gerven_loss_of_remission_is_a_rise_for_which_treatment_was_stepped_up() -> None:
    rule = Worsening(term="Loss of remission", confirmed_above_xuln={"alt": 1.0}, days_apart=365)
    drugs = "A prednisolone 0 - 5 -\nA azathioprine 210 - 50 -\nB prednisolone 0 - 5 -"
    response = followed(visits("A 90", "A 200 alt=1.5", "B 90", "B 200 alt=1.5", "B 260"), drugs=drugs)
    same(derive_loss(response, rule=rule).tidy(), """
        patient  status   onset  known_at  because
        A        met      200    210       ALT > 1 × ULN and treatment stepped up
        B        not met  -      -         no worsening seen
    """)  # fmt: skip


@pytest.mark.parametrize(
    ("day", "status"),
    [
        (150, "not evaluable"),  # on treatment: a flare, no relapse; and nobody looked after the withdrawal
        (201, "not evaluable"),  # the first day without: it arose on treatment
        (202, "met"),
        (230, "met"),
        (231, "met"),
        (900, "met"),
    ],
)
def test_aasld_relapse_counts_only_after_withdrawal(day: int, status: str) -> None:
    response = followed(visits("A 90", f"A {day} alt=5", "A 199"), drugs=OFF, definition=read_definition("aasld-2019"))
    assert derive_loss(response).tidy()["status"].tolist() == [status]


def test_aasld_relapse_needs_a_withdrawal_of_30_days_in_response() -> None:
    drugs = """
        stays prednisolone 0 - 5 -
        short prednisolone 0 200 5 planned
        short prednisolone 230 - 5 -
        active prednisolone 0 200 5 other
        early prednisolone 0 200 5 planned
    """
    lines = [f"{who} {line}" for who in ("stays", "short", "active", "early") for line in ("90", "300 alt=5")]
    lines += ["active 190 alt=1.5", "early 220 alt=4"]
    response = followed(visits(*lines), drugs=drugs, definition=read_definition("aasld-2019"))
    same(derive_loss(response).tidy(), """
        patient  status         at_risk_from  onset  because
        active   not evaluable  -             -      not in response when treatment was withdrawn
        early    met            201           220    ALT > 2 × ULN
        short    not evaluable  -             -      not in response when treatment was withdrawn
        stays    not evaluable  -             -      not in response when treatment was withdrawn
    """)  # fmt: skip


def test_loss_on_treatment_leaves_out_every_withdrawal() -> None:
    on = Worsening(term="Flare", above_xuln={"alt": 2.0}, treatment="on")
    drugs = "A prednisolone 0 200 5 planned\nA prednisolone 400 - 5 -"
    assert loss_of("A 210 alt=5", "A 300 alt=5", "A 350", rule=on, drugs=drugs) == "not evaluable - -"
    assert loss_of("A 300 alt=5", "A 450 alt=5", rule=on, drugs=drugs) == "not evaluable - -"  # time off is no time on
    assert loss_of("A 201 alt=5", rule=on, drugs=drugs) == "met 201 201"  # the first day without
    assert loss_of("A 150", "A 300 alt=5", rule=on, drugs=drugs) == "not met - -"


def test_clinic_rule_27_relapse_after_withdrawal_by_any_rule() -> None:
    response = followed(visits("A 90", "A 150 alt=5", "A 199", "A 300", "A 400 alt=3.5", "B 90"), drugs=OFF)
    found = derive_relapse_after_withdrawal(response, rule=ALT_3)
    assert found.label == "Relapse after withdrawal"
    same(found.tidy(), """
        patient  status         at_risk_from  last_without  onset
        A        met            201           300           400
        B        not evaluable  -             -             -
    """)  # fmt: skip
    assert derive_relapse_after_withdrawal(response).label == "Loss of biochemical response after withdrawal"


def test_criteria_without_a_rule_refuse() -> None:
    bare = followed(visits("A 90"), definition=iaihg().model_copy(update={"loss": None}))
    for derive in (derive_loss, derive_relapse_after_withdrawal):
        with pytest.raises(PlanError, match="no rule of loss of response"):
            derive(bare)
    assert derive_loss(bare, rule=ALT_3).label == "Relapse"
    assert losing(ALT_3).loss == ALT_3


def relapse(*lines: str, again: str = "") -> str:
    """Return status, day at risk from, last look, onset and day known of A: in response on day 90, off from 201 on."""
    drugs = OFF + (f"\nA prednisolone {again} 20 planned" if again else "")
    found = derive_relapse_after_withdrawal(followed(visits(*IN_RESPONSE, *lines), drugs=drugs)).tidy()
    days = found[["at_risk_from", "last_without", "onset", "known_at"]].iloc[0]
    return " ".join([str(found["status"].iloc[0]), *("-" if np.isnan(day) else f"{day:g}" for day in days)])


@pytest.mark.parametrize(
    ("lines", "again", "expected"),
    [
        (["A 220 alt=5"], "", "met 201 - 220 230"),  # known to be a withdrawal on its day 30
        (["A 220 alt=5", "A 260 alt=5"], "", "met 201 - 220 230"),  # never the second sample
        (["A 220 alt=1.5", "A 240 alt=1.5"], "", "met 201 - 220 240"),  # confirmed later than that
        (["A 210", "A 220 alt=5"], "", "met 201 210 220 230"),
        (["A 220 alt=5"], "231 -", "met 201 - 220 230"),  # begun again after thirty days
        (["A 220 alt=5"], "230 -", "not evaluable - - - -"),  # after 29: a flare in a pause
        (["A 201 alt=5"], "", "not evaluable - - - -"),  # arose on treatment: not withdrawn in response
        (["A 202 alt=5"], "", "met 201 - 202 230"),
        (["A 210", "A 320 alt=5"], "320 -", "met 201 210 320 320"),  # treated again because of it
        (["A 210", "A 320"], "320 -", "not met 201 320 - -"),
        (["A 210", "A 321 alt=5"], "320 -", "not met 201 210 - -"),  # on treatment again
    ],
)
def test_a_relapse_counts_from_the_second_day_without_treatment_to_the_day_it_is_begun_again(
    lines: list[str], again: str, expected: str
) -> None:
    assert relapse(*lines, again=again) == expected


def test_time_on_treatment_again_is_no_time_off_it() -> None:
    """Only the first withdrawal counts: begun again on day 320, stopped for good on day 600, relapse on day 800."""
    assert relapse("A 250", "A 500", "A 800 alt=5", again="320 599") == "not met 201 250 - -"
    response = followed(visits("A 90", "A 250", "A 800 alt=5"), drugs=OFF + "\nA prednisolone 320 599 20 planned")
    times = derive_relapse_after_withdrawal(response).to_time_to_event().frame
    assert times[["entry", "exit", "event"]].to_numpy().tolist() == [[201, 250, "censored"]]
