"""What ``check`` shows of data: counts and rules, the lines that would accept rows, and never a patient's value."""

import re
import tomllib
from dataclasses import replace

import pandas as pd
import pytest

from aih_outcomes.errors import PlanError
from aih_outcomes.load.set_aside_file import write_set_aside
from aih_outcomes.load.spreadsheets.tables import read_tables
from aih_outcomes.load.values.limits import LimitChoices
from aih_outcomes.simulate import SEED, simulate_cohort
from aih_outcomes.simulate.exports.printed import print_cohort
from aih_outcomes.simulate.exports.tables import export_tables
from aih_outcomes.simulate.mess import make_mess
from aih_outcomes.study.opened import open_source
from aih_outcomes.study.overview import (
    count_date_precisions,
    count_rows,
    count_set_aside,
    count_upper_limits,
    describe_reading,
    describe_rows,
    list_mapping_lines,
    offered_lines,
)


@pytest.fixture(scope="module")
def mess():
    return make_mess(print_cohort(simulate_cohort(SEED, 24)), seed=1)


@pytest.fixture(scope="module")
def cohort(mess, tmp_path_factory):
    folder = tmp_path_factory.mktemp("messy")
    export_tables(mess.printed, folder)
    return read_tables(folder)


def test_every_row_set_aside_is_counted_once(cohort):
    assert count_set_aside(cohort)["n"].sum() == len(cohort.set_aside) > 0


def test_lines_of_a_mapping_are_found_in_ways_out():
    way = 'Map it: units = { igg = { "" = "g/L" } }; or decimal = "," where the file has commas; missing = ["NA", "-"]'
    assert offered_lines(way) == ['units = { igg = { "" = "g/L" } }', 'decimal = ","', 'missing = ["NA", "-"]']
    assert offered_lines("Correct the cell in the file") == []


def test_each_line_says_how_many_rows_wait_for_it(cohort):
    lines = list_mapping_lines(cohort)
    assert (lines["n"] > 0).all()
    assert lines["n"].is_monotonic_decreasing
    assert lines["mapping_line"].str.startswith("igg.").any()


def test_upper_limits_are_counted_by_source_for_every_result(cohort):
    counts = count_upper_limits(cohort).set_index("analyte")
    assert list(counts.columns) == ["reported", "laboratory", "age_sex_table", "fixed", "none"]
    assert counts.sum(axis=1).to_dict() == cohort.labs["analyte"].value_counts().to_dict()


def test_dates_are_counted_by_how_exactly_they_are_known(cohort):
    counts = count_date_precisions(cohort).set_index("table")
    assert counts.loc["labs", "month"] == cohort.labs["date_precision"].eq("month").sum() > 0
    assert (counts.sum(axis=1) == [len(cohort.tables()[name]) for name in counts.index]).all()


def test_a_file_of_which_no_row_is_used_is_shown_with_its_reason(cohort):
    none_used = {"n_read": 0, "n_kept": 0, "n_set_aside": 0, "how_read": "9 row(s) passed over"}
    line = cohort.load_report[cohort.load_report["table"] == "labs"].assign(source_file="other.csv", **none_used)
    shown = count_rows(replace(cohort, load_report=pd.concat([cohort.load_report, line], ignore_index=True)))
    assert shown.loc[shown["source_file"] == "other.csv", "how_read"].tolist() == ["9 row(s) passed over"]
    assert "no file" not in set(shown["how_read"])


def test_files_named_after_patients_are_shown_by_their_place(cohort, tmp_path):
    """Of a file with rows of many patients a known given name is looked for, else any two capitalised words."""
    of_many = {"source_file": {"labs.csv": "Michele_Wolf_9.json"}}
    empty = {"source_file": "Chet_Thompson_17.json", "n_read": 0, "n_kept": 0, "n_set_aside": 0}
    line = cohort.load_report.head(1).assign(**empty, how_read="1 line of Chet_Thompson_17.json passed over")
    report = pd.concat([cohort.load_report, line], ignore_index=True).replace(of_many)
    tables = {name: frame.replace(of_many) for name, frame in cohort.tables().items()}
    named = replace(cohort, **tables, load_report=report, set_aside=cohort.set_aside.replace(of_many))
    shown = " ".join(section.title + section.table.to_string() for section in describe_reading(named))
    written = write_set_aside(named, tmp_path / "aside.csv").read_text(encoding="utf-8-sig")
    for text in (shown, written):
        assert not {"Chet", "Thompson", "Michele", "Wolf"} & set(re.findall("[A-Za-z]+", text))
        assert "file 2" in text
        assert "patients.csv" in text
    assert "1 line of file 1 passed over" in shown


def test_the_flow_of_rows_adds_up(cohort):
    flow = describe_rows(cohort)
    read, kept = flow["n"].iloc[0], flow["n"].iloc[-1]
    assert read == kept + flow["n"].iloc[1:-1].sum()
    assert flow["reason"].iloc[[0, -1]].eq("").all()


def test_nothing_shown_holds_an_identifier_or_a_value(mess, cohort):
    """Words of the catalogue, such as 'see note' for missing, are nobody's and may be named."""
    shown = " ".join(section.title + section.table.to_string() for section in describe_reading(cohort))
    assert not any(patient_id in shown for patient_id in mess.printed["patients"]["patient_id"])
    for wrong in ("X-9999", "normall", "ahi", "99999", "furlong", "spoons"):
        assert wrong not in shown


def test_a_plan_says_itself_how_its_data_are_read(tmp_path):
    plan = tmp_path / "study.toml"
    plan.write_text('title = "A study"\nnotebooks = ["01"]\n[data]\nfolder = "data"\n', encoding="utf-8")
    with pytest.raises(PlanError, match="--mapping and --key"):
        open_source(plan, mapping=tmp_path / "m.toml", key=tmp_path / "k")


def test_data_without_a_plan_have_no_other_data_in_their_place(tmp_path):
    with pytest.raises(PlanError, match="--data"):
        open_source(tmp_path, data=tmp_path)


def test_lines_of_one_part_can_be_copied_below_each_other(cohort):
    lines = list_mapping_lines(cohort)
    for place, part in lines[lines["place"] == "[units]"].groupby("place"):
        known = part["mapping_line"][~part["mapping_line"].str.contains("…")]
        assert len(tomllib.loads("\n".join([place, *known]))["units"]) >= 1


def test_what_the_checks_find_is_told_by_the_lines_of_the_file(cohort):
    (found,) = [one for one in describe_reading(cohort) if one.title.startswith("What may not be right")]
    told = found.table.set_index("check")["lines"][
        "date known to the month or year only in 'labs'; not used for windows"
    ]
    inexact = cohort.labs.loc[cohort.labs["date_precision"].isin(["month", "year"]), "source_row"]
    assert told.removesuffix(" …").split(", ") == [str(row) for row in sorted(inexact)[:8]]
    assert (found.table["n_rows"] > 0).all()


def test_results_without_a_limit_get_the_line_that_gives_one():
    cohort = simulate_cohort(SEED, 12)
    bare = replace(cohort, labs=cohort.labs.assign(uln=float("nan"), uln_source="none"))
    (found,) = [one for one in describe_reading(bare) if one.title.startswith("Results without an upper limit")]
    assert set(found.table["analyte"]) == {"alt", "ast", "igg"}
    text = "\n".join(found.table["mapping_line"]).replace("…", "40")
    assert set(LimitChoices.model_validate(tomllib.loads(text)).fixed) == {"alt", "ast"}
