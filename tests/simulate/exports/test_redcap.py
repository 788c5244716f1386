"""A cohort written as a REDCap export comes back as itself, in codes or labels, clean or messy."""

from pathlib import Path

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.load.redcap import read_redcap
from aih_outcomes.simulate.exports.printed import Printed, print_cohort
from aih_outcomes.simulate.exports.redcap import Values, export_redcap
from aih_outcomes.simulate.exports.tables import SEED
from aih_outcomes.simulate.mess import Mess, make_mess
from aih_outcomes.simulate.synthetic import simulate_cohort


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return simulate_cohort(SEED, 24)


@pytest.fixture(scope="module")
def printed(cohort: Cohort) -> Printed:
    return print_cohort(cohort)


@pytest.fixture(scope="module")
def mess(printed: Printed) -> Mess:
    return make_mess(printed, 7)


def rows(cohort: Cohort, name: str) -> pd.DataFrame:
    table = cohort.tables()[name].drop(columns=["source_file", "source_row"])
    return table.sort_values(table.columns.tolist(), ignore_index=True)


def same(left: Cohort, right: Cohort) -> None:
    for name in left.tables():
        pd.testing.assert_frame_equal(rows(left, name), rows(right, name), check_exact=True)


def read_data(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "data.csv", dtype=str, keep_default_na=False)


@pytest.mark.parametrize("values", ["codes", "labels"])
def test_a_cohort_comes_back_as_itself(cohort: Cohort, printed: Printed, tmp_path: Path, values: Values) -> None:
    export_redcap(printed, tmp_path, values=values)
    read = read_redcap(tmp_path)
    same(cohort, read)
    assert read.set_aside.empty
    assert read.load_report is not None
    assert read.load_report["n_read"].tolist() == [len(table) for table in printed.values()]


@pytest.mark.slow
def test_the_default_cohort_comes_back_as_itself(tmp_path: Path) -> None:
    cohort = simulate_cohort(SEED, 350)
    export_redcap(print_cohort(cohort), tmp_path)
    read = read_redcap(tmp_path)
    same(cohort, read)
    assert read.set_aside.empty


def test_what_is_wrong_in_a_messy_cohort_is_set_aside(mess: Mess, tmp_path: Path) -> None:
    export_redcap(mess.printed, tmp_path)
    read = read_redcap(tmp_path)
    aside = read.set_aside["table"].value_counts()
    for table, wrong in mess.truth.query("found == 'yes'").groupby("table"):
        assert aside.get(table, 0) >= len(wrong)
    assert read.load_report is not None
    assert read.load_report["n_read"].tolist() == [len(table) for table in mess.printed.values()]


def test_codes_and_labels_of_a_messy_cohort_keep_and_set_aside_the_same_rows(mess: Mess, tmp_path: Path) -> None:
    export_redcap(mess.printed, tmp_path / "codes")
    export_redcap(mess.printed, tmp_path / "labels", values="labels")
    codes, labels = read_redcap(tmp_path / "codes"), read_redcap(tmp_path / "labels")
    pd.testing.assert_frame_equal(codes.set_aside, labels.set_aside)
    for name, table in codes.tables().items():
        pd.testing.assert_frame_equal(table, labels.tables()[name])


def test_writes_the_same_bytes_each_time(printed: Printed, tmp_path: Path) -> None:
    export_redcap(printed, tmp_path / "once")
    export_redcap(printed, tmp_path / "again")
    names = sorted(path.name for path in (tmp_path / "once").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "again").iterdir())
    assert all((tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)


def test_is_laid_out_as_redcap_exports_a_longitudinal_project(printed: Printed, tmp_path: Path) -> None:
    export_redcap(printed, tmp_path)
    data = read_data(tmp_path)
    assert list(data.columns[:4]) == [
        "patient_id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance",
    ]  # fmt: skip
    first = data[data["patient_id"] == data["patient_id"].iloc[0]]
    assert first["redcap_event_name"].iloc[0] == "diagnosis_arm_1"
    assert first["redcap_repeat_instrument"].iloc[0] == ""
    repeated = data[data["redcap_repeat_instrument"] == "labs"]
    assert not repeated.duplicated(["patient_id", "redcap_event_name", "redcap_repeat_instance"]).any()
    assert len(repeated) == len(printed["labs"])
    periods = data[data["redcap_event_name"] == "observation_arm_1"]  # an event that repeats names no instrument
    assert set(periods["redcap_repeat_instrument"]) == {""}
    assert set(periods["redcap_repeat_instance"]) == {"1"}


def test_flags_and_choices_are_codes(printed: Printed, tmp_path: Path) -> None:
    export_redcap(printed, tmp_path)
    data = read_data(tmp_path)
    assert set(data["ibd"]) <= {"", "0", "1"}
    assert set(data["judged_clinician_response"]) <= {"", "met", "not_met", "not_evaluable"}


def test_the_centre_is_the_data_access_group(printed: Printed, tmp_path: Path) -> None:
    export_redcap(printed, tmp_path)
    groups = pd.read_csv(tmp_path / "data_access_groups.csv").set_index("unique_group_name")["data_access_group_name"]
    data = read_data(tmp_path).drop_duplicates("patient_id").set_index("patient_id")["redcap_data_access_group"]
    centres = printed["patients"].set_index("patient_id")["centre"]
    assert data.map(groups).fillna("").to_dict() == centres.to_dict()


def test_centres_of_like_names_stay_apart(printed: Printed, tmp_path: Path) -> None:
    patients = printed["patients"].copy()
    patients["centre"] = ["Centre 1", "centre-1", "", *["Centre 1"] * (len(patients) - 3)]
    export_redcap({**printed, "patients": patients}, tmp_path)
    read = read_redcap(tmp_path).patients
    assert read["centre"].fillna("").tolist() == patients["centre"].tolist()
