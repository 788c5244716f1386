"""Drugs after which IgG says nothing about the disease (clinic 10)."""

from tests.endpoints.tables import same
from tests.endpoints.test_evaluation import status_at_six_months


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
