"""Mess with known truth (T15): what is wrong is listed, and nothing else was touched."""

import pytest

from aih_outcomes.simulate import simulate_cohort
from aih_outcomes.simulate.exports.printed import print_cohort
from aih_outcomes.simulate.mess import make_mess

WITH_A_DEATH_AND_TRANSPLANTS = 10
KINDS = {
    "exact duplicate", "conflicting units", "impossible value", "missing unit", "unknown unit", "no number",
    "titre in words", "result before birth", "result after death", "date missing", "date that cannot be",
    "transplant without date", "unknown patient", "two rows of one patient", "patient without date of diagnosis",
    "misspelt category", "unit of a dose", "decimal slip", "below the limit of detection", "unit in another spelling",
    "date known to the month", "ends before it starts",
}  # fmt: skip


@pytest.fixture(scope="module")
def printed():
    return print_cohort(simulate_cohort(WITH_A_DEATH_AND_TRANSPLANTS, 16))


@pytest.fixture(scope="module")
def mess(printed):
    return make_mess(printed, seed=1)


def test_a_cohort_with_a_death_and_transplants_gets_every_kind_of_fault(mess):
    assert set(mess.truth["kind"]) == KINDS


def test_the_same_seed_spoils_the_same_rows_and_another_seed_others(printed, mess):
    assert make_mess(printed, seed=1).truth.equals(mess.truth)
    assert not make_mess(printed, seed=2).truth.equals(mess.truth)


def test_every_row_that_is_not_listed_is_as_it_was(printed, mess):
    for name, table in printed.items():
        listed = mess.truth.loc[mess.truth["table"] == name, "row"]
        untouched = table.index.difference(listed)
        assert mess.printed[name].loc[untouched].equals(table.loc[untouched])


def test_the_right_value_mends_every_row_that_was_there_before(printed, mess):
    for name, table in printed.items():
        mended = mess.printed[name].iloc[: len(table)].copy()
        for line in mess.truth[mess.truth["table"] == name].itertuples():
            if line.row < len(table):
                mended.loc[line.row, line.column] = line.right_value
        assert mended.equals(table)


def test_no_row_has_two_faults_and_no_row_of_a_spoilt_patient_has_one(mess):
    assert not mess.truth.duplicated(["table", "row"]).any()
    wrong = mess.truth[mess.truth["table"] == "patients"]
    spoilt = set(mess.printed["patients"].loc[wrong["row"], "patient_id"])
    for line in mess.truth[mess.truth["table"] != "patients"].itertuples():
        assert mess.printed[line.table].loc[line.row, "patient_id"] not in spoilt


def test_what_was_printed_stays_as_it_is(printed, mess):
    assert printed["labs"].equals(print_cohort(simulate_cohort(WITH_A_DEATH_AND_TRANSPLANTS, 16))["labs"])
    assert len(mess.printed["labs"]) > len(printed["labs"])


def test_nobody_died_so_no_result_is_put_after_a_death(printed):
    living = dict(printed, events=printed["events"].query("kind != 'death'"))
    assert "result after death" not in set(make_mess(living, seed=1).truth["kind"])
