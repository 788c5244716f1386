"""Nothing to judge gives an empty or not evaluable answer, never an error or a warning."""

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.events.endpoint import ENDPOINTS, derive_time_to_event
from aih_outcomes.endpoints.groups import groups as group_rules
from aih_outcomes.endpoints.patients.baseline import derive_baseline
from aih_outcomes.endpoints.patients.measures import derive_measures
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.endpoints.response.states import derive_flows, derive_response_status, derive_states
from aih_outcomes.endpoints.treatment.treatment import derive_steroid_dose, derive_treatment_starts
from tests.endpoints.response.test_response import visits
from tests.endpoints.tables import cohort, iaihg

LABS = visits("A 0 5", "A 25 2", "A 170 0.5", "B 170 3")
FOLLOWED = "patient start end end_reason end_source\nA 0 900 ongoing visit\nB 0 900 ongoing visit"
NOBODY = Cohort(pd.DataFrame({"patient_id": pd.Series(dtype="string")}))
COHORTS = {
    "nobody at all": NOBODY,
    "one patient, nothing else": cohort(patients="patient sex\nA female", steroid=False),
    "no results": cohort(patients="patient sex\nA female\nB male", follow_up=FOLLOWED),
    "no treatments, so nobody with a time zero": cohort(LABS, follow_up=FOLLOWED, steroid=False),
    "no events": cohort(LABS, follow_up=FOLLOWED),
    "no follow-up": cohort(LABS),
    "one patient": cohort(visits("A 170 0.5")),
    "results before treatment only": cohort(visits("A -5 0.5", "B -100 3")),
    "other analytes only": cohort("patient day analyte value\nA 30 platelets 200"),
    "all censored": cohort(LABS, follow_up=FOLLOWED, events="patient day kind\nA 10 listing"),
    "all transplanted": cohort(LABS, follow_up=FOLLOWED, events="patient day kind\nA -9 transplant\nB 0 transplant"),
    "some without time zero": cohort(
        LABS, follow_up=FOLLOWED, treatments="patient drug start\nB prednisolone 0", steroid=False
    ),
}


@pytest.mark.parametrize("made", COHORTS.values(), ids=COHORTS)
def test_every_derivation_answers(made: Cohort) -> None:
    response = derive_response(made, iaihg())
    n = len(response.patients)
    for judged in (response, response.transaminases_only()):
        for status in (judged.status_by(182), judged.status_at((150, 182)), judged.non_response()):
            assert len(status) == n
            assert set(status["status"]) <= {"met", "not met", "not evaluable"}
            assert str(status["known_on"].dtype).startswith("datetime64")
    assert len(response.in_response_at_baseline()) <= n
    assert len(group_rules.attained_by(response, 182).frame) <= n  # without any result there is no label
    fixed = [
        group_rules.attained_or_insufficient(response, 182),
        group_rules.status_at(response, 182, window=(150, 182)),
        group_rules.derive_groups(response, day=182),
        group_rules.non_response_at(response),
    ]
    assert {len(groups.frame) for groups in fixed} == {n}
    assert len(group_rules.ever_attained(response).frame) <= n
    assert group_rules.targeted_over_time(response).frame.empty
    assert group_rules.derive_later_moves(response, day=182).empty
    states = derive_states(response)
    assert len(states) == 5 * n
    assert derive_flows(states)["n"].sum() == 4 * n
    assert len(derive_response_status(response)) == 6 * n
    assert len(derive_baseline(response)) == n
    assert len(derive_treatment_starts(made)) == made.n_patients
    assert (derive_steroid_dose(made, response.zero, (0, 28))["mg_per_day"].dropna() >= 0).all()
    for analyte in ("alt", "igg", "steroid"):
        assert len(derive_measures(response, analyte).frame) >= 0
    for endpoint in ENDPOINTS.values():
        for zero in ("induction", "diagnosis", "follow_up_start"):
            outcome = derive_time_to_event(made, endpoint, time_zero=zero)
            assert outcome.n_patients + outcome.exclusions["n"].sum() == made.n_patients


@pytest.mark.parametrize("zero", ["diagnosis", "follow_up_start"])
def test_response_may_be_counted_from_another_day(zero: str) -> None:
    response = derive_response(COHORTS["no events"], iaihg(), time_zero=zero)
    assert list(response.status_by(182)["status"]) == ["met", "not met"]
