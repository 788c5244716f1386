"""Every endpoint, one row per patient: in parts as in one, and as an analysis set."""

import dask
import numpy as np
import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.definition import definitions, read_definition
from aih_outcomes.endpoints.patients.patient_table import derive_endpoints
from aih_outcomes.endpoints.patients.patient_words import derive_analysis_set
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.simulate import simulate_cohort
from tests.endpoints.response.test_response import visits
from tests.endpoints.tables import cohort, iaihg, same


@pytest.fixture(scope="module")
def simulated() -> Cohort:
    return simulate_cohort(11, 120)


def derive(part: Cohort) -> pd.DataFrame:
    """What runs on each part of a large cohort, on whatever engine."""
    return derive_endpoints(derive_response(part, iaihg()))


def part_of(whole: Cohort, ids: list[str]) -> Cohort:
    return Cohort(**{name: table[table["patient_id"].isin(ids)] for name, table in whole.tables().items()})


def test_parts_of_a_cohort_on_dask_give_what_the_whole_gives(simulated: Cohort) -> None:
    ids = sorted(simulated.patients["patient_id"])
    parts = [part_of(simulated, ids[start::4]) for start in range(4)]
    found = dask.compute(*[dask.delayed(derive)(part) for part in parts], scheduler="threads")
    together = pd.concat(found).sort_values("patient_id", ignore_index=True)
    pd.testing.assert_frame_equal(together, derive(simulated), check_dtype=False)


def test_one_patient_alone_has_the_same_row(simulated: Cohort) -> None:
    whole = derive(simulated).set_index("patient_id")
    for patient_id in whole.index[::30]:
        alone = derive(simulated.select(patient_id)).set_index("patient_id")
        pd.testing.assert_frame_equal(alone, whole.loc[[patient_id]], check_dtype=False)


@pytest.mark.parametrize("name", definitions())
def test_every_preset_gives_a_row_per_patient(name: str, simulated: Cohort) -> None:
    response = derive_response(simulated, read_definition(name))
    table = derive_endpoints(response)
    assert list(table["patient_id"]) == list(response.patients)
    assert ("loss" in table) == (response.definition.loss is not None)


@pytest.mark.parametrize("zero", ["induction", "diagnosis", "follow_up_start"])
def test_a_cohort_without_anybody_gives_an_empty_table(zero: str) -> None:
    nobody = Cohort(pd.DataFrame({"patient_id": pd.array([], dtype="string")}))
    assert derive_endpoints(derive_response(nobody, iaihg(), time_zero=zero)).empty


def test_a_childs_row_says_what_happened() -> None:
    made = cohort(
        visits("A -5 3", "A 90 0.5", "A 175 0.5", "A 400 4", "A 420 4"),
        events="patient day kind\nA 900 transplant",
        follow_up="patient start end end_reason end_source\nA 0 900 transplant visit",
    )
    same(derive_endpoints(derive_response(made, iaihg())), """
        patient  response_by_6m  response_day  loss  loss_day  loss_without  native_liver_day  native_liver_event
        A        met             90            met   400       175           900               Liver transplant
    """)  # fmt: skip


def test_statistics_rule_5_who_died_or_was_transplanted_by_six_months_is_in_no_group() -> None:
    made = cohort(
        visits("alive 90 0.5", "died 90 0.5", "died_later 90 0.5", "transplanted 90 0.5", "unseen 20 3"),
        events="patient day kind\ndied 182 death\ndied_later 183 death\ntransplanted 100 transplant",
    )
    table = derive_endpoints(derive_response(made, iaihg()))
    same(table, """
        patient       response_by_6m  group_6m
        alive         met             Responder
        died          met             -
        died_later    met             Responder
        transplanted  met             -
        unseen        not evaluable   Not evaluable
    """)  # fmt: skip


def test_the_analysis_set_has_words_for_every_column(simulated: Cohort) -> None:
    table = derive_analysis_set(derive_response(simulated, iaihg()))
    labels = [variable.title for variable in table.variables]
    assert len(set(labels)) == len(labels)
    assert not [label for label in labels if "_" in label]
    status = next(variable for variable in table.variables if variable.name == "response_by_6m")
    assert status.missing == ("not evaluable",)
    assert not [name for name in table.frame if pd.api.types.is_datetime64_any_dtype(table.frame[name])]


def test_codes_of_an_analysis_set_do_not_depend_on_who_is_in_it(simulated: Cohort) -> None:
    ids = sorted(simulated.patients["patient_id"])
    few = derive_analysis_set(derive_response(part_of(simulated, ids[:15]), iaihg()))
    all_of_them = derive_analysis_set(derive_response(simulated, iaihg()))
    known = {variable.name: dict(variable.levels) for variable in all_of_them.variables if variable.name != "era"}
    for variable in few.variables:
        if variable.name in known:
            assert dict(variable.levels) == known[variable.name], variable.name


def test_a_column_of_days_is_a_number_or_missing(simulated: Cohort) -> None:
    table = derive(simulated)
    for name in table.columns[table.columns.str.endswith("_day")]:
        assert table[name].dtype == np.float64, name
