"""Drugs after which IgG says nothing about the disease (clinic 10)."""

from aih_outcomes.endpoints.response.response import derive_response
from tests.endpoints.response.test_evaluation import status_at_six_months
from tests.endpoints.tables import cohort, iaihg, same


def test_clinic_rule_10_igg_says_nothing_for_4_months_after_ivig() -> None:
    labs = "patient day analyte xuln"
    for name in ("during", "after_122", "after_123", "goes_on", "abnormal"):
        alt = 5 if name == "abnormal" else 0.5
        labs += f"\n{name} 172 alt {alt}\n{name} 172 ast 0.5\n{name} 172 igg 0.5"
    status = status_at_six_months(
        labs,
        treatments="""
        patient drug start stop indication
        during immunoglobulin 150 180 other
        after_122 immunoglobulin 50 50 other
        after_123 immunoglobulin 49 49 other
        goes_on immunoglobulin -300 - other
        abnormal immunoglobulin 150 180 other
    """,
    )
    same(status, """
        patient    status         because
        abnormal   not met        criteria not met
        after_122  not evaluable  IgG not interpretable
        after_123  met            criteria met
        during     not evaluable  IgG not interpretable
        goes_on    not evaluable  IgG not interpretable
    """)  # fmt: skip


def test_clinic_rule_10_igg_says_nothing_for_12_months_after_anti_cd20() -> None:
    status = status_at_six_months(
        """
        patient day analyte xuln
        within 172 alt 0.5
        within 172 ast 0.5
        within 172 igg 0.5
        beyond 172 alt 0.5
        beyond 172 ast 0.5
        beyond 172 igg 0.5
    """,
        treatments="""
        patient drug start stop indication
        within rituximab -193 -193 cytopenia
        beyond rituximab -194 -194 cytopenia
    """,
    )
    same(status, """
        patient  status
        beyond   met
        within   not evaluable
    """)  # fmt: skip


def test_clinic_rule_10_after_12_months_igg_waits_for_b_cells_where_they_were_counted() -> None:
    labs = """
        patient day analyte xuln value
        low 450 alt 0.5 -
        low 450 ast 0.5 -
        low 450 igg 0.5 -
        low 440 cd19 - 20
        back 450 alt 0.5 -
        back 450 ast 0.5 -
        back 450 igg 0.5 -
        back 440 cd19 - 150
        uncounted 450 alt 0.5 -
        uncounted 450 ast 0.5 -
        uncounted 450 igg 0.5 -
        before 450 alt 0.5 -
        before 450 ast 0.5 -
        before 450 igg 0.5 -
        before 5 cd19 - 20
        too_soon 300 alt 0.5 -
        too_soon 300 ast 0.5 -
        too_soon 300 igg 0.5 -
        too_soon 290 cd19 - 150
    """
    given = "\n".join(f"{p} rituximab 30 30" for p in ("low", "back", "uncounted", "before", "too_soon"))
    made = cohort(labs, treatments=f"patient drug start stop\n{given}")
    same(derive_response(made, iaihg()).evaluations, """
        patient    known_day  status
        back       450        met
        before     450        met
        low        450        not evaluable
        too_soon   300        not evaluable
        uncounted  450        met
    """)  # fmt: skip
