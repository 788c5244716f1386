"""States at the looks, flows between them, and the statuses behind response rates (clinic 7; statistics 5, 8)."""

from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.endpoints.response.states import derive_flows, derive_response_status, derive_states
from tests.endpoints.response.test_response import visits
from tests.endpoints.tables import cohort, iaihg, same

LABS = visits(
    "died 90 0.5",
    "left 90 3",
    "moved 90 3",
    "moved 175 3",
    "moved 360 0.5",
    "well 90 0.5",
    "well 175 0.5",
    "well 360 0.5",
)
FOLLOWED = """
    patient start end end_reason end_source
    died 0 150 death visit
    left 0 120 lost visit
    moved 0 900 ongoing visit
    well 0 900 ongoing visit
    unseen 0 900 ongoing visit
    """
MADE = cohort(LABS, follow_up=FOLLOWED, events="patient day kind\ndied 150 death")
RESPONSE = derive_response(MADE, iaihg())


def test_states_show_transplant_or_death_no_longer_followed_and_not_evaluable_apart() -> None:
    states = derive_states(RESPONSE)
    wide = states.pivot(index="patient_id", columns="time", values="state").reset_index()
    same(wide.rename(columns=lambda name: name.replace(" ", "_")), """
        patient  3_months             6_months               12_months
        died     Responder            Transplant or death    Transplant or death
        left     Not yet in response  No longer followed     No longer followed
        moved    Not yet in response  Insufficient response  Responder
        unseen   Not evaluable        Not evaluable          Not evaluable
        well     Responder            Responder              Responder
    """)  # fmt: skip
    assert list(dict.fromkeys(states["time"])) == ["Start", "4 weeks", "3 months", "6 months", "12 months"]


def test_every_patient_flows_from_look_to_look() -> None:
    flows = derive_flows(derive_states(RESPONSE))
    assert set(flows.groupby("time")["n"].sum()) == {5}
    same(flows[flows["time"] == "6 months"], """
        state                  next_state           n
        Responder              Responder            1
        Insufficient response  Responder            1
        Transplant or death    Transplant or death  1
        No longer followed     No longer followed   1
        Not evaluable          Not evaluable        1
    """)  # fmt: skip


def test_statistics_rule_5_for_rates_death_before_the_window_is_not_met() -> None:
    statuses = derive_response_status(RESPONSE)
    same(statuses[statuses["patient_id"] == "died"], """
        endpoint                         patient  status         status_transaminases
        ≥ 50 % fall by 4 weeks       died     not evaluable  not evaluable
        CBR by 6 months                  died     met            met
        CBR at 6 months                  died     not met        not met
        CBR by 12 months                 died     met            met
        CBR at 12 months                 died     not met        not met
        CBR at 6 months, tolerant window  died     not met        not met
    """)  # fmt: skip


def test_a_transplant_before_time_zero_is_no_failure_of_the_treatment() -> None:
    made = cohort(visits("A 90 0.5"), events="patient day kind\nA -100 transplant")
    statuses = derive_response_status(derive_response(made, iaihg()))
    assert set(statuses["status"]) == {"not evaluable"}


def test_statistics_rule_8_the_status_without_igg_stands_beside_it() -> None:
    made = cohort("""
        patient day analyte xuln
        A 170 alt 0.5
        A 170 ast 0.5
        B 170 alt 2
        B 170 ast 0.5
    """)
    statuses = derive_response_status(derive_response(made, iaihg()))
    same(statuses[statuses["endpoint"] == "CBR at 6 months"], """
        patient  status         status_transaminases
        A        not evaluable  met
        B        not met        not met
    """)  # fmt: skip
