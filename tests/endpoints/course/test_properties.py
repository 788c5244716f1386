"""What may not matter after the first response does not: row order, the calendar; and nobody at all is no error."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.course.difficult import derive_difficult
from aih_outcomes.endpoints.course.failure import derive_treatment_failure
from aih_outcomes.endpoints.course.flares import derive_flares
from aih_outcomes.endpoints.course.steroid_free import (
    derive_low_dose_response,
    derive_steroid_free_response,
    status_steroid_free_at,
)
from aih_outcomes.endpoints.course.withdrawal import (
    derive_sustained_treatment_free_response,
    derive_treatment_restart,
    derive_withdrawal,
)
from aih_outcomes.endpoints.course.worsening import derive_loss, derive_relapse_after_withdrawal
from aih_outcomes.endpoints.detection import Detection
from aih_outcomes.endpoints.response.fall_categories import derive_fall_categories
from aih_outcomes.endpoints.response.remission import derive_histological_remission
from aih_outcomes.endpoints.response.response import Response, derive_response
from tests.endpoints.tables import DAY_0, ULN, cohort, iaihg

DETECTIONS: tuple[Callable[[Response], Detection], ...] = (
    derive_loss, derive_relapse_after_withdrawal, derive_steroid_free_response, derive_low_dose_response,
    derive_withdrawal, derive_treatment_restart, derive_sustained_treatment_free_response, derive_treatment_failure,
)  # fmt: skip
CHILDREN = [f"child_{number:03d}" for number in range(100)]
EXAMPLES = settings(max_examples=2)
seeds = given(st.integers(0, 2**32 - 1))


def draw(seed: int) -> Cohort:
    """Draw children with long courses: response, relapses, treatment tapered, stopped and begun again."""
    random = np.random.default_rng(seed)
    visits, analytes = np.arange(-2, 1500, 28), ["alt", "ast", "igg", "bilirubin"]
    drawn = pd.MultiIndex.from_product([CHILDREN, visits, analytes]).to_frame(name=["patient_id", "day", "analyte"])
    drawn = drawn[random.random(len(drawn)) < 0.8].reset_index(drop=True)
    n, limit = len(drawn), drawn["analyte"].map(ULN | {"bilirubin": 20.0})
    labs = pd.DataFrame(
        {
            "patient_id": drawn["patient_id"],
            "date": DAY_0 + pd.to_timedelta(drawn["day"] + random.integers(0, 5, n), unit="D"),
            "analyte": drawn["analyte"],
            "value": limit * random.choice([0.4, 1.0, 1.4, 2.5, 6.0], n, p=[0.7, 0.2, 0.06, 0.02, 0.02]),
            "uln": limit,
            "comparator": random.choice(["=", "<", ">"], n, p=[0.96, 0.02, 0.02]),
            "uln_source": "reported",
        }
    )
    start = random.choice([0, 300, 700], len(CHILDREN) * 3)
    start[::3] = 0
    drugs = pd.DataFrame(
        {
            "patient_id": np.repeat(CHILDREN, 3),
            "drug": random.choice(["prednisolone", "azathioprine", "tacrolimus"], len(start), p=[0.6, 0.3, 0.1]),
            "dose": random.choice([5.0, 20.0, 60.0, np.nan], len(start)),
            "start": DAY_0 + pd.to_timedelta(start, unit="D"),
            "stop": DAY_0 + pd.to_timedelta(start + random.integers(60, 500, len(start)), unit="D"),
            "indication": "aih",
            "reason_stopped": random.choice(["planned", "intolerance", "inefficacy"], len(start)),
        }
    )
    drugs.loc[::3, "drug"] = "prednisolone"
    made = cohort(patients="\n".join(["patient sex", *[f"{child} male" for child in CHILDREN]]), steroid=False)
    until = pd.DataFrame({"patient_id": CHILDREN, "start": DAY_0, "end": DAY_0 + pd.Timedelta(days=1500)})
    follow_up = until.assign(end_reason="ongoing", end_source="visit")
    return replace(made, labs=labs, treatments=drugs, follow_up=follow_up, load_report=None)


def answers(made: Cohort) -> list[pd.DataFrame]:
    response = derive_response(made, iaihg())
    flares = derive_flares(response)
    return [
        *[derive(response).tidy() for derive in DETECTIONS],
        derive_histological_remission(response.timelines).tidy(),
        flares.events, flares.at_risk, flares.to_counting_process(),
        derive_difficult(response), derive_fall_categories(response),
        status_steroid_free_at(response, 365, window=(300, 430)).drop(columns="known_on"),
    ]  # fmt: skip


@EXAMPLES
@seeds
def test_row_order_does_not_matter(seed: int) -> None:
    made = draw(seed)
    turned = {name: table.sample(frac=1, random_state=seed) for name, table in made.tables().items()}
    for one, other in zip(answers(made), answers(replace(made, **turned, load_report=None)), strict=True):
        pd.testing.assert_frame_equal(one, other)


@EXAMPLES
@seeds
def test_shifting_every_date_changes_nothing(seed: int) -> None:
    made, by = draw(seed), pd.Timedelta(days=1 + seed % 4000)
    moved = {
        name: table.assign(**{column: table[column] + by for column in table.select_dtypes("datetime")})
        for name, table in made.tables().items()
    }
    for one, other in zip(answers(made), answers(replace(made, **moved, load_report=None)), strict=True):
        pd.testing.assert_frame_equal(one, other)


@EXAMPLES
@seeds
def test_a_patient_s_answer_depends_on_that_patient_alone(seed: int) -> None:
    made, half = draw(seed), CHILDREN[::2]
    part = {name: table[table["patient_id"].isin(half)] for name, table in made.tables().items()}
    for one, other in zip(answers(made), answers(replace(made, **part, load_report=None)), strict=True):
        pd.testing.assert_frame_equal(one[one["patient_id"].isin(half)].reset_index(drop=True), other)


@EXAMPLES
@seeds
def test_each_answer_keeps_its_order_of_days(seed: int) -> None:
    response = derive_response(draw(seed), iaihg())
    for derive in DETECTIONS:
        found = derive(response)
        met = ~np.isnan(found.onset)
        assert met.any()
        assert not (found.known_at[met] < found.onset[met]).any()
        assert not (found.last_without[met] >= found.onset[met]).any()
        assert set(found.status()) <= {-1, 0, 1}
        assert found.to_intervals().frame["left"].notna().all()
        assert len(found.to_time_to_event().frame) <= len(CHILDREN)
    at_risk = derive_flares(response).at_risk
    assert (at_risk["entry"] < at_risk["exit"]).all()
    same_child = at_risk["patient_id"].eq(at_risk["patient_id"].shift())
    assert not (same_child & (at_risk["entry"] < at_risk["exit"].shift())).any()


@EXAMPLES
@seeds
def test_a_normal_value_never_undoes_a_loss_known_before_it(seed: int) -> None:
    made = draw(seed)
    before = derive_loss(derive_response(made, iaihg()))
    last = made.labs["date"].max() + pd.Timedelta(days=30)
    normal = pd.DataFrame({"patient_id": CHILDREN, "date": last, "analyte": "alt", "value": 10.0, "uln": 40.0})
    labs = pd.concat([made.labs, normal.assign(comparator="=", uln_source="reported")], ignore_index=True)
    after = derive_loss(derive_response(replace(made, labs=labs, load_report=None), iaihg()))
    np.testing.assert_array_equal(before.onset, after.onset)


@EXAMPLES
@seeds
def test_statistics_rule_1_what_is_known_by_a_day_does_not_depend_on_later_results(seed: int) -> None:
    made, day = draw(seed), 700
    early = made.labs[made.labs["date"] <= DAY_0 + pd.Timedelta(days=day)]
    full, cut = (
        derive_loss(derive_response(replace(made, labs=labs, load_report=None), iaihg())) for labs in (made.labs, early)
    )
    known = full.known_at <= day
    np.testing.assert_array_equal(known, cut.known_at <= day)
    np.testing.assert_array_equal(full.onset[known], cut.onset[known])


NOBODY = Cohort(pd.DataFrame({"patient_id": pd.Series(dtype="string")}))
FOLLOWED = "patient start end end_reason end_source\nA 0 900 ongoing visit"
COHORTS = {
    "nobody at all": NOBODY,
    "one patient, nothing else": cohort(patients="patient sex\nA female", steroid=False),
    "no results": cohort(patients="patient sex\nA female", follow_up=FOLLOWED),
    "no follow-up": cohort("patient day analyte xuln\nA 90 alt 0.5\nA 90 ast 0.5\nA 90 igg 0.5"),
    "transplanted before": cohort(
        patients="patient sex\nA female", follow_up=FOLLOWED, events="patient day kind\nA -9 transplant"
    ),
}


@pytest.mark.parametrize("made", COHORTS.values(), ids=COHORTS)
def test_nothing_to_judge_gives_an_answer(made: Cohort) -> None:
    response = derive_response(made, iaihg())
    for derive in DETECTIONS:
        found = derive(response)
        assert not found.tidy()["status"].eq("met").any()
        found.to_intervals()
        found.to_time_to_event()
    assert derive_flares(response).events.empty
    assert len(derive_difficult(response)) == 4 * len(response.patients)
    assert len(answers(made)) == len(DETECTIONS) + 7
