"""One patient's course: days since the first steroid, doses by weight, events in short words."""

import pytest

from aih_outcomes.endpoints.patients.course import derive_course
from aih_outcomes.errors import DataError
from aih_outcomes.simulate import COMPOSITE_CHILD, simulate_cohort


@pytest.fixture(scope="module")
def cohort():
    return simulate_cohort(1, 3)


@pytest.fixture(scope="module")
def course(cohort):
    return derive_course(cohort.select(COMPOSITE_CHILD))


def test_the_first_steroid_is_day_0_and_its_dose_is_by_weight(course):
    first = course.treatments[course.treatments["drug"] == "Prednisolone"].iloc[0]
    assert first["start"] == 0
    assert first["mg_per_kg"] == pytest.approx(55 / 27.5)


def test_the_matched_drug_is_marked_and_has_no_dose(course):
    matched = course.treatments[course.treatments["matched"]]
    assert matched["drug"].tolist() == ["Baricitinib"]
    assert matched["mg_per_kg"].isna().all()
    assert matched["stop"].isna().all()


def test_the_gene_is_named_by_its_group_never_by_its_variant(course):
    genes = course.events[course.events["kind"] == "gene"]
    assert genes["words"].tolist() == ["JAK-STAT, gain of function"]


def test_every_frame_keeps_the_pseudonym_so_that_the_door_can_ask_for_consent(course):
    for frame in (course.labs, course.treatments, course.events, course.growth):
        assert frame["patient_id"].eq(COMPOSITE_CHILD).all()


def test_more_than_one_patient_is_no_course(cohort):
    with pytest.raises(DataError, match="3 patients"):
        derive_course(cohort)
