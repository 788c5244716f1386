"""The Mayo Clinic trial in primary biliary cholangitis, through its mapping (numerical check only)."""

from pathlib import Path

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.load import read_tables

MAPPING = Path(__file__).resolve().parents[2] / "reports" / "plans" / "pbcseq-mapping.toml"
MG_PER_DL = 17.104  # µmol/L of bilirubin


@pytest.fixture(scope="module")
def file(shared: Path) -> pd.DataFrame:
    return pd.read_csv(shared / "inputs" / "pbcseq" / "pbcseq.csv")


@pytest.fixture(scope="module")
def cohort(shared: Path) -> Cohort:
    return read_tables(shared / "inputs" / "pbcseq", MAPPING)


def test_nothing_of_the_file_is_lost(cohort, file):
    assert cohort.set_aside.empty
    assert cohort.n_patients == 312
    assert len(cohort.labs[["patient_id", "date"]].drop_duplicates()) == len(file) == 1945
    columns = {"bilirubin": "bili", "ast": "ast", "alp": "alk.phos", "albumin": "albumin", "platelets": "platelet",
               "prothrombin_time": "protime", "cholesterol": "chol"}  # fmt: skip
    expected = {analyte: int(file[column].notna().sum()) for analyte, column in columns.items()}
    assert cohort.labs["analyte"].value_counts().to_dict() == expected
    assert expected["bilirubin"] == 1945


def test_normal_bilirubin_is_normal_after_conversion(cohort, file):
    bilirubin = cohort.labs[cohort.labs["analyte"] == "bilirubin"].reset_index(drop=True)
    normal = file["bili"] <= 1.2
    assert (bilirubin["value"] <= 1.2 * MG_PER_DL).tolist() == normal.tolist()
    assert (bilirubin["value"] / bilirubin["uln"] <= 1).tolist() == normal.tolist()
    assert bilirubin["source_row"].tolist() == list(range(2, 1947))


def test_days_and_outcomes_are_those_of_the_file(cohort, file):
    first = file.drop_duplicates("id").set_index(file.drop_duplicates("id")["id"].astype(str))
    follow_up = cohort.follow_up.set_index("patient_id")
    assert (follow_up["end"] - follow_up["start"]).dt.days.tolist() == first["futime"].tolist()
    kinds = cohort.events["kind"].value_counts()
    assert (kinds["death"], kinds["transplant"]) == (140, 29)
    assert kinds["ascites"] == int((file["ascites"] == 1).sum())
    assert cohort.patients["age_at_diagnosis"].tolist() == first["age"].tolist()
    assert cohort.patients["treatment_arm"].eq("treatment").sum() == first["trt"].eq(1).sum() == len(cohort.treatments)
