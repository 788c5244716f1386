"""The query list as a workbook: one sheet per centre (clinic 25)."""

import datetime as dt
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from aih_outcomes.endpoints.patients.queries import derive_queries
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.errors import OutcomeError, PlanError
from aih_outcomes.study.query_list import write_query_list
from aih_outcomes.study.workbook import name_sheets
from tests.endpoints.tables import cohort, iaihg

LONG = "Hospital of an exceedingly long name, North"


def queries_of(centres: str) -> pd.DataFrame:
    labs = "\n".join(f"{p} 170 {a} 0.5" for p in "ABCD" for a in ("alt", "ast"))
    made = cohort("patient day analyte xuln\n" + labs, patients=centres, events="patient day kind\nB 300 death")
    table = derive_queries(derive_response(made, iaihg()))
    return table[table["endpoint"] != "≥ 50 % fall by 4 weeks"].reset_index(drop=True)


def read(path: Path) -> dict[str, list[list[object]]]:
    book = openpyxl.load_workbook(path)
    return {sheet.title: [[cell.value for cell in row] for row in sheet.iter_rows()] for sheet in book}


CENTRES = f"patient  centre\nA  King's [liver]\nB  King's [liver]\nC  {LONG}\nD  {LONG.replace('North', 'South')}"


def test_clinic_rule_25_each_centre_has_a_sheet_with_blank_columns_for_the_answer(tmp_path: Path) -> None:
    sheets = read(write_query_list(queries_of(CENTRES), tmp_path / "new" / "queries.xlsx"))
    assert list(sheets) == [
        "start here", "Hospital of an exceedingly long", "Hospital of an exceedingly  (2)", "King's _liver_"
    ]  # fmt: skip
    head, first, *_ = sheets["King's _liver_"]
    assert head == ["patient", "endpoint", "please look for", "from", "until", "why", "value", "unit", "date",
                    "found by", "comment"]  # fmt: skip
    day = dt.datetime
    assert first == ["A", "CBR by 6 months", "IgG, days 156–182", day(2020, 6, 5), day(2020, 7, 1), "IgG missing",
                     None, None, None, None, None]  # fmt: skip


def test_a_centre_sees_its_own_patients_only_and_what_is_not_asked_last(tmp_path: Path) -> None:
    sheets = read(write_query_list(queries_of(CENTRES), tmp_path / "queries.xlsx"))
    rows = sheets["King's _liver_"][1:]
    assert {row[0] for row in rows} == {"A", "B"}
    assert rows[-1][:3] == ["B", "CBR at 12 months", None]
    assert rows[-1][5] == "transplant or death by the end of the window: not asked"
    assert all(row[2] for row in rows[:-1])


def test_the_first_sheet_explains_and_counts(tmp_path: Path) -> None:
    lines = [row[0] for row in read(write_query_list(queries_of(CENTRES), tmp_path / "q.xlsx"))["start here"]]
    assert "Internal use only" in str(lines[1])
    assert "King's [liver]: 7 results of 2 patients" in lines


def test_without_queries_the_workbook_says_that_nothing_is_missing(tmp_path: Path) -> None:
    sheets = read(write_query_list(queries_of(CENTRES).iloc[:0], tmp_path / "q.xlsx"))
    assert list(sheets) == ["start here"]
    assert ["Nothing is missing: every endpoint of every patient is evaluable."] in sheets["start here"]


def test_the_same_queries_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = (write_query_list(queries_of(CENTRES), tmp_path / name) for name in ("1.xlsx", "2.xlsx"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("name", ["q.csv", "folder", "folder.xlsx", "file/q.xlsx", "file/below/q.xlsx"])
def test_a_path_that_is_no_workbook_to_write_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("kept")
    for folder in ("folder", "folder.xlsx"):
        (tmp_path / folder).mkdir()
    with pytest.raises(PlanError) as caught:
        write_query_list(queries_of(CENTRES), tmp_path / name)
    assert caught.value.way_out
    assert str(tmp_path) not in str(caught.value)
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("other", [pd.DataFrame({"patient_id": ["A"]}), None])
def test_another_frame_is_refused(tmp_path: Path, other: object) -> None:
    with pytest.raises(OutcomeError, match=r"derive_queries\(response\)"):
        write_query_list(other, tmp_path / "q.xlsx")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_sheet_names_are_those_that_excel_takes() -> None:
    names = ["a/b", "A?B", "'quoted'", "History", "", "x" * 40, "X" * 40, "start here"]
    given = name_sheets(["start here", *names])
    assert given == [
        "start here", "a_b", "A_B (2)", "quoted", "History_", "sheet", "x" * 31, "X" * 27 + " (2)", "start here (2)"
    ]  # fmt: skip
    assert max(map(len, given)) <= 31
    assert len({name.lower() for name in given}) == len(given)
