"""The analysis set: what a colleague opens in SPSS, Stata, R or Excel, read back from each file."""

import builtins
import datetime as dt
import io
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyreadstat
import pytest

from aih_outcomes.endpoints.patients.analysis_set import (
    STATUS_LEVELS,
    STATUS_MISSING,
    YES_NO_LEVELS,
    AnalysisSet,
    Variable,
)
from aih_outcomes.errors import OutcomeError, PlanError
from aih_outcomes.study.analysis_set import describe_variables, write_analysis_set

PATIENT = Variable(name="patient_id", label="Pseudonym")
VARIABLES = (
    PATIENT,
    Variable(name="cbr_6m", label="CBR by 6 months", levels=STATUS_LEVELS, missing=STATUS_MISSING),
    Variable(name="ibd", label="Inflammatory bowel disease", levels=YES_NO_LEVELS),
    Variable(name="aih_type", label="Type", levels={1: "type 1", 2: "type 2", 3: "unclassified"}),
    Variable(name="alt_xuln", label="ALT before treatment", unit="× ULN"),
    Variable(name="visits", label="Visits in the first year"),
    Variable(name="nobody", label="Stiffness", unit="kPa"),
    Variable(name="diagnosed", label="Diagnosis"),
    Variable(name="died", label="Death"),
    Variable(name="centre", label="Centre"),
    Variable(name="note", label="Note"),
)
FRAME = pd.DataFrame(
    {
        "patient_id": pd.Series(["Ä-1", "B-2", "C-3", "D-4"], dtype="string"),
        "cbr_6m": ["met", "not met", "not evaluable", None],
        "ibd": pd.array([True, False, None, True], dtype="boolean"),
        "aih_type": pd.Series(["type 2", None, "type 1", "type 1"], dtype="string"),
        "alt_xuln": [12.5, np.nan, 0.25, 3.0],
        "visits": pd.array([4, None, 12, 1], dtype="Int64"),
        "nobody": [np.nan] * 4,
        "diagnosed": pd.to_datetime(["1959-12-31", "2020-02-29", None, "2021-01-01"]).astype("datetime64[s]"),
        "died": pd.Series([pd.NaT] * 4).astype("datetime64[s]"),
        "centre": ["Zürich", "São Paulo", "King's — Denmark Hill", None],
        "note": pd.Series([None] * 4, dtype="string"),
    }
)
TABLE = AnalysisSet(FRAME, VARIABLES, "four invented children")
EMPTY = AnalysisSet(FRAME.iloc[:0], VARIABLES)


def written(table: AnalysisSet, folder: Path, ending: str) -> Path:
    (path,) = write_analysis_set(table, folder, formats=(ending,))  # type: ignore[arg-type]
    return path


def rows_of(path: Path, sheet: str) -> list[list[object]]:
    return [[cell.value for cell in row] for row in openpyxl.load_workbook(path)[sheet].iter_rows()]


def test_csv_holds_words_iso_dates_and_empty_fields(tmp_path: Path) -> None:
    text = written(TABLE, tmp_path, "csv").read_text(encoding="utf-8")
    assert text.splitlines() == [
        "patient_id,cbr_6m,ibd,aih_type,alt_xuln,visits,nobody,diagnosed,died,centre,note",
        "Ä-1,met,yes,type 2,12.5,4,,1959-12-31,,Zürich,",
        "B-2,not met,no,,,,,2020-02-29,,São Paulo,",
        "C-3,not evaluable,,type 1,0.25,12,,,,King's — Denmark Hill,",
        "D-4,,yes,type 1,3.0,1,,2021-01-01,,,",
    ]


def test_excel_holds_words_numbers_real_dates_and_empty_cells(tmp_path: Path) -> None:
    head, *rows = rows_of(written(TABLE, tmp_path, "xlsx"), "data")
    assert head == list(FRAME.columns)
    day = dt.datetime
    assert rows == [
        ["Ä-1", "met", "yes", "type 2", 12.5, 4, None, day(1959, 12, 31), None, "Zürich", None],
        ["B-2", "not met", "no", None, None, None, None, day(2020, 2, 29), None, "São Paulo", None],
        ["C-3", "not evaluable", None, "type 1", 0.25, 12, None, None, None, "King's — Denmark Hill", None],
        ["D-4", None, "yes", "type 1", 3, 1, None, day(2021, 1, 1), None, None, None],
    ]


def test_excel_has_a_frozen_header_and_a_codebook(tmp_path: Path) -> None:
    path = written(TABLE, tmp_path, "xlsx")
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["data", "codebook"]
    assert book["data"].freeze_panes == "A2"
    assert book["data"].column_dimensions["A"].width > 8
    codebook = {row[0]: row[1:] for row in rows_of(path, "codebook")}
    assert codebook["name"] == ["label", "unit", "type", "codes", "missing", "n_known"]
    assert codebook["cbr_6m"] == [
        "CBR by 6 months", None, "coded", "0 = not met; 1 = met; 9 = not evaluable",
        "not evaluable (SPSS: user-missing 9; Stata: .a)", 2,
    ]  # fmt: skip
    assert codebook["alt_xuln"] == ["ALT before treatment", "× ULN", "number", None, None, 3]


def test_a_cell_that_begins_like_a_formula_stays_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"patient_id": ["=1+1", "0012", "http://a.b"]})
    path = written(AnalysisSet(frame, (PATIENT,)), tmp_path, "xlsx")
    assert rows_of(path, "data")[1:] == [["=1+1"], ["0012"], ["http://a.b"]]
    assert openpyxl.load_workbook(path)["data"]["A2"].data_type == "s"


def test_spss_holds_codes_with_labels_and_units(tmp_path: Path) -> None:
    frame, meta = pyreadstat.read_sav(written(TABLE, tmp_path, "sav"), user_missing=True)
    assert frame["cbr_6m"].tolist()[:3] == [1, 0, 9]
    assert frame["ibd"].tolist()[:2] == [1, 0]
    assert frame["aih_type"].tolist()[2:] == [1, 1]
    assert frame["patient_id"].tolist() == ["Ä-1", "B-2", "C-3", "D-4"]
    assert frame["centre"].tolist() == ["Zürich", "São Paulo", "King's — Denmark Hill", ""]
    assert meta.variable_value_labels["cbr_6m"] == {0: "not met", 1: "met", 9: "not evaluable"}
    assert meta.column_names_to_labels["alt_xuln"] == "ALT before treatment (× ULN)"
    assert meta.variable_measure["cbr_6m"] == "nominal"
    assert meta.file_label == "four invented children"


def test_spss_takes_not_evaluable_for_missing_and_keeps_its_label(tmp_path: Path) -> None:
    path = written(TABLE, tmp_path, "sav")
    averaged, _ = pyreadstat.read_sav(path)
    assert averaged["cbr_6m"].mean() == 0.5  # met and not met only
    _, meta = pyreadstat.read_sav(path, user_missing=True)
    assert meta.missing_ranges == {"cbr_6m": [{"lo": 9, "hi": 9}]}


def test_stata_takes_not_evaluable_for_an_extended_missing_value_with_a_label(tmp_path: Path) -> None:
    path = written(TABLE, tmp_path, "dta")
    frame, meta = pyreadstat.read_dta(path, user_missing=True)
    assert frame["cbr_6m"].tolist()[:3] == [1, 0, "a"]
    assert meta.variable_value_labels["cbr_6m"] == {0: "not met", 1: "met", "a": "not evaluable"}
    assert meta.missing_user_values == {"cbr_6m": ["a"]}
    averaged, _ = pyreadstat.read_dta(path)
    assert averaged["cbr_6m"].astype(float).mean() == 0.5
    assert path.read_bytes().startswith(b"<stata_dta><header><release>118<")  # every edition from Stata 14 on


@pytest.mark.parametrize("ending", ["sav", "dta"])
def test_a_missing_value_stays_missing_and_is_not_the_same_as_not_evaluable(tmp_path: Path, ending: str) -> None:
    read = {"sav": pyreadstat.read_sav, "dta": pyreadstat.read_dta}[ending]
    frame, _ = read(written(TABLE, tmp_path, ending), user_missing=True)
    assert pd.isna(frame["cbr_6m"].iloc[3])
    assert pd.isna(frame["ibd"].iloc[2])
    assert frame["nobody"].isna().all()
    assert frame["alt_xuln"].tolist()[2:] == [0.25, 3.0]
    assert frame["visits"].tolist()[2:] == [12, 1]


@pytest.mark.parametrize("ending", ["sav", "dta"])
def test_dates_are_dates_before_and_after_the_program_s_day_0(tmp_path: Path, ending: str) -> None:
    read = {"sav": pyreadstat.read_sav, "dta": pyreadstat.read_dta}[ending]
    frame, meta = read(written(TABLE, tmp_path, ending))
    day = dt.date
    assert frame["diagnosed"].tolist()[:2] == [day(1959, 12, 31), day(2020, 2, 29)]
    assert pd.isna(frame["diagnosed"].iloc[2])
    assert frame["died"].isna().all()
    assert meta.original_variable_types["died"] == {"sav": "SDATE10", "dta": "%tdCCYY-NN-DD"}[ending]


@pytest.mark.parametrize("ending", ["csv", "xlsx", "sav", "dta"])
def test_an_empty_cohort_has_columns_labels_and_no_rows(tmp_path: Path, ending: str) -> None:
    path = written(EMPTY, tmp_path, ending)
    if ending == "csv":
        assert path.read_text(encoding="utf-8").count("\n") == 1
    elif ending == "xlsx":
        assert rows_of(path, "data") == [list(FRAME.columns)]
    else:
        frame, meta = {"sav": pyreadstat.read_sav, "dta": pyreadstat.read_dta}[ending](path)
        assert list(frame.columns) == list(FRAME.columns)
        assert frame.empty
        assert "met" in meta.variable_value_labels["cbr_6m"].values()


def test_a_status_that_is_never_or_always_evaluable_is_written(tmp_path: Path) -> None:
    for words in ("met", "not evaluable", None):
        frame = pd.DataFrame({"patient_id": ["A", "B"], "cbr_6m": pd.Series([words, words], dtype=object)})
        write_analysis_set(AnalysisSet(frame, VARIABLES[:2]), tmp_path)
        stata, _ = pyreadstat.read_dta(tmp_path / "analysis_set.dta", user_missing=True)
        expected = {"met": 1, "not evaluable": "a", None: None}[words]
        assert [None if pd.isna(v) else v for v in stata["cbr_6m"]] == [expected] * 2


def test_several_missing_words_have_letters_of_their_own(tmp_path: Path) -> None:
    levels = {1: "asc", 2: "normal", 8: "not imaged", 9: "not evaluable"}
    bile_ducts = Variable(name="asc", label="Bile ducts", levels=levels, missing=("not imaged", "not evaluable"))
    frame = pd.DataFrame({"patient_id": list("ABC"), "asc": ["asc", "not imaged", "not evaluable"]})
    write_analysis_set(AnalysisSet(frame, (PATIENT, bile_ducts)), tmp_path)
    stata, _ = pyreadstat.read_dta(tmp_path / "analysis_set.dta", user_missing=True)
    assert stata["asc"].tolist() == [1, "a", "b"]
    spss, meta = pyreadstat.read_sav(tmp_path / "analysis_set.sav", user_missing=True)
    assert spss["asc"].tolist() == [1, 8, 9]
    assert [one["lo"] for one in meta.missing_ranges["asc"]] == [8, 9]


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_analysis_set(TABLE, tmp_path / "first")
    second = write_analysis_set(TABLE, tmp_path / "second")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.suffix


def test_no_file_tells_when_it_was_written(tmp_path: Path) -> None:
    csv, xlsx, sav, dta = write_analysis_set(TABLE, tmp_path)
    assert sav.read_bytes()[92:109] == b"01 Jan 8000:00:00"
    assert b"<timestamp>\x1101 Jan 1980 00:00</timestamp>" in dta.read_bytes()
    inside = zipfile.ZipFile(io.BytesIO(xlsx.read_bytes()))
    assert b"1980-01-01T00:00:00Z" in inside.read("docProps/core.xml")
    assert {item.date_time[0] for item in inside.infolist()} == {1980}
    assert csv.name == "analysis_set.csv"


def test_the_files_are_named_in_the_order_asked_for(tmp_path: Path) -> None:
    paths = write_analysis_set(TABLE, tmp_path / "new" / "folder", name="children", formats=("xlsx", "csv"))
    assert [path.name for path in paths] == ["children.xlsx", "children.csv"]


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="'sas' is not a format"):
        write_analysis_set(TABLE, tmp_path / "new", formats=("csv", "sas"))  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_without_the_package_the_error_says_which_extra_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "pyreadstat":
            raise ImportError
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PlanError, match=r'the extra .spss.*pip install "aih-outcomes\[spss\]"'):
        write_analysis_set(TABLE, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert len(write_analysis_set(TABLE, tmp_path / "new", formats=("csv", "xlsx"))) == 2


def test_nothing_is_changed(tmp_path: Path) -> None:
    before = FRAME.copy()
    write_analysis_set(TABLE, tmp_path)
    pd.testing.assert_frame_equal(FRAME, before)


def test_the_codebook_counts_patients_with_an_answer() -> None:
    counts = describe_variables(TABLE).set_index("name")["n_known"]
    assert counts.to_dict() == {
        "patient_id": 4, "cbr_6m": 2, "ibd": 3, "aih_type": 3, "alt_xuln": 3, "visits": 3, "nobody": 0, "diagnosed": 3,
        "died": 0, "centre": 3, "note": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "label", "problem"),
    [
        ("4_weeks", "x", "not a letter followed by"),
        ("alt×uln", "x", "not a letter followed by"),
        ("a" * 33, "x", "not a letter followed by"),
        ("with", "x", "SPSS or Stata keep for themselves"),
        ("Patient_ID", "x", "stands twice"),
        ("alt", "", "more than 80 characters, or none"),
        ("alt", "x" * 81, "more than 80 characters, or none"),
    ],
)
def test_a_name_or_label_that_spss_or_stata_refuse_is_refused_at_birth(name: str, label: str, problem: str) -> None:
    frame = pd.DataFrame({"patient_id": ["A"], name: [1.0]})
    with pytest.raises(OutcomeError, match=problem):
        AnalysisSet(frame, (PATIENT, Variable(name=name, label=label)))


def test_the_longest_label_is_written(tmp_path: Path) -> None:
    frame = pd.DataFrame({"patient_id": ["A"], "x": [1.0]})
    write_analysis_set(AnalysisSet(frame, (PATIENT, Variable(name="x", label="×" * 80))), tmp_path)
    for read, ending in ((pyreadstat.read_sav, "sav"), (pyreadstat.read_dta, "dta")):
        assert read(tmp_path / f"analysis_set.{ending}")[1].column_names_to_labels["x"] == "×" * 80


@pytest.mark.parametrize(
    ("values", "variable", "problem"),
    [
        (["met", "maybe"], VARIABLES[1], "1 of 2 values of 'cbr_6m'"),
        ([True, False], Variable(name="ibd", label="IBD"), "2 of 2 values of 'ibd'"),
        ([1.0, np.inf], Variable(name="alt", label="ALT"), "1 of 2 values of 'alt'"),
        ([1, "x"], Variable(name="mixed", label="Mixed"), "1 of 2 values of 'mixed'"),
        (
            pd.to_datetime(["2020-01-01 00:00", "2020-01-01 12:00"]),
            Variable(name="on", label="On"),
            "1 of 2 values of 'on'",
        ),
    ],
)
def test_a_column_that_its_variable_does_not_describe_is_refused(
    values: list[object], variable: Variable, problem: str
) -> None:
    frame = pd.DataFrame({"patient_id": ["A", "B"], variable.name: values})
    with pytest.raises(OutcomeError, match=problem):
        AnalysisSet(frame, (PATIENT, variable))


def test_a_patient_who_stands_twice_is_refused() -> None:
    with pytest.raises(OutcomeError, match="2 of 3 rows of the analysis set have no patient of their own"):
        AnalysisSet(pd.DataFrame({"patient_id": ["A", "A", "B"]}), (PATIENT,))


def test_columns_without_a_variable_are_refused() -> None:
    with pytest.raises(OutcomeError, match="2 columns and 1 variables"):
        AnalysisSet(pd.DataFrame({"patient_id": ["A"], "x": [1.0]}), (PATIENT,))


@pytest.mark.parametrize("name", ["sub/table", "..\\table", ""])
def test_a_name_with_a_folder_in_it_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PlanError, match="without ending and without folder"):
        write_analysis_set(TABLE, tmp_path / "new", name=name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_or_a_file_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "out" / "analysis_set.dta").mkdir(parents=True)
    for folder in ("file", "file/below", "out"):
        with pytest.raises(PlanError, match="cannot be written into") as caught:
            write_analysis_set(TABLE, tmp_path / folder)
        assert str(tmp_path) not in str(caught.value)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["analysis_set.dta"]


def test_what_is_no_analysis_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutcomeError, match="DataFrame is no analysis set"):
        write_analysis_set(FRAME, tmp_path)  # type: ignore[arg-type]
