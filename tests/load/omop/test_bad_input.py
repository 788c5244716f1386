"""Databases that are not as they should be: each is read as far as it can be, or refused with what and where."""

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import DataError
from aih_outcomes.load.omop import read_omop

DROP = "'); DROP TABLE person; --"


def refused(folder, *words, **choices):
    """Return the message, which names each of the words and no patient."""
    with pytest.raises(DataError) as found:
        read_omop(folder, **choices)
    message = str(found.value)
    assert all(word in message for word in words), message
    assert "G-17" not in message
    return message


@pytest.mark.parametrize("missing", ["person", "condition_occurrence"])
def test_a_table_that_is_needed_is_missing(write_cdm, missing):
    refused(write_cdm(**{missing: None}), f"lacks 1 table(s): {missing.upper()}", "DEATH")


def test_other_tables_may_be_missing(write_cdm, tables):
    others = dict.fromkeys(set(tables) - {"person", "condition_occurrence"})
    cohort = read_omop(write_cdm(**others))
    assert cohort.n_patients == 1
    assert cohort.labs.empty


def test_a_column_that_is_needed_is_missing(write_cdm, tables):
    lines = [line.replace("measurement_date", "taken_on") for line in tables["measurement"]]
    refused(write_cdm(measurement=lines), "'measurement.csv' lacks 1 column(s) of MEASUREMENT: measurement_date")


def test_text_where_a_date_or_number_belongs_sets_the_row_aside_with_its_line(write_cdm, tables):
    lines = [
        *tables["measurement"],
        "31,1,3006923,02/05/2018,0,410,8645,40,ALT,U/L,410,",
        "32,1,3006923,2018-05-02,0,high,8645,40,ALT,U/L,,",
        "33,1,3006923,2018-02-30,0,410,8645,1.2.3,ALT,U/L,410,",
    ]
    aside = read_omop(write_cdm(measurement=lines)).set_aside.query("source_row > 8")
    assert aside["source_row"].tolist() == [9, 10, 11]
    columns = [set(column.split("; ")) - {"value"} for column in aside["column"]]
    assert columns == [{"measurement_date"}, {"value_as_number"}, {"measurement_date", "range_high"}]


def test_a_concept_that_is_no_number_is_no_concept(write_cdm, tables):
    lines = [*tables["measurement"], "31,1,ALT,2018-05-02,0,410,8645,40,,U/L,410,"]
    cohort = read_omop(write_cdm(measurement=lines))
    assert (
        "2 row(s) with 2 other code(s) passed over" in cohort.load_report.query("table == 'labs'")["how_read"].iloc[0]
    )


def test_lines_with_other_numbers_of_cells_are_set_aside_and_later_lines_keep_their_number(write_cdm, tables):
    header, *rows = tables["measurement"]
    lines = [header, "1,2,3", *rows[:1], "9" * 5 + ",1", *rows[1:]]
    cohort = read_omop(write_cdm(measurement=lines))
    broken = cohort.set_aside[cohort.set_aside["rule"].str.contains("more or fewer cells")]
    assert broken["source_row"].tolist() == [2, 4]
    assert cohort.labs["source_row"].tolist() == [3, 5, 6, 7]


def test_a_broken_line_of_a_table_that_becomes_no_records_is_told(write_cdm, tables):
    cohort = read_omop(write_cdm(visit_occurrence=[*tables["visit_occurrence"], "93,1"]))
    said = cohort.load_report.query("table == 'patients'")["how_read"].iloc[0]
    assert "1 line(s) of visit_occurrence.csv cannot be split into cells" in said


def test_a_quotation_mark_that_is_never_closed_is_refused(write_cdm, tables):
    header, *rows = tables["measurement"]
    refused(write_cdm(measurement=[header, '20,1,"3006923,x', *rows]), "Line 2 of 'measurement.csv'")


def test_empty_files_and_files_in_another_encoding_are_refused(write_cdm):
    folder = write_cdm()
    (folder / "measurement.csv").write_bytes(b"")
    refused(folder, "'measurement.csv' has no header")
    (folder / "measurement.csv").write_bytes("measurement_id,person_id\n1,1\n".encode("utf-16"))
    refused(folder, "'measurement.csv' has no header", "CSV UTF-8")


def test_a_line_that_is_no_utf_8_is_set_aside(write_cdm, tables):
    folder = write_cdm()
    lines = "\n".join([*tables["measurement"], "31,1,3006923,2018-05-02,0,410,8645,40,ALT é,U/L,410,"])
    (folder / "measurement.csv").write_bytes(lines.encode("latin-1"))
    aside = read_omop(folder).set_aside
    assert aside.loc[aside["table"] == "labs", "source_row"].tolist() == [8, 9]


def test_a_table_with_a_header_alone_holds_nothing(write_cdm, tables):
    cohort = read_omop(write_cdm(measurement=tables["measurement"][:1]))
    assert cohort.labs.empty
    refused(write_cdm(person=tables["person"][:1]), "0 patients")


def test_a_field_of_ten_million_characters_sets_its_line_aside(write_cdm, tables):
    lines = [*tables["measurement"], f"31,1,3006923,2018-05-02,0,410,8645,40,ALT,U/L,{'9' * 10_000_000},"]
    cohort = read_omop(write_cdm(measurement=lines))
    assert 9 in set(cohort.set_aside["source_row"])
    assert len(cohort.labs) == 4


def test_sql_in_any_cell_or_name_is_only_text(write_cdm, tables):
    person = [tables["person"][0].replace("care_site_id", f'"{DROP}"'), f"1,8532,2008,3,9,,{DROP},5"]
    lines = [line.replace(",ALT,", f",{DROP},") for line in tables["measurement"]]
    cohort = read_omop(write_cdm(person=person, measurement=lines))
    assert cohort.patients["patient_id"].tolist() == [DROP]
    assert len(cohort.labs) == 4


def test_a_file_that_is_no_database_or_was_cut_short_is_refused(tmp_path, write_cdm):
    (tmp_path / "notes.duckdb").write_text("not a database")
    refused(tmp_path / "notes.duckdb", "is no DuckDB file")
    with duckdb.connect(tmp_path / "whole.duckdb") as base:
        base.execute("CREATE TABLE person AS SELECT i AS person_id FROM range(100000) t(i)")
    cut = tmp_path / "cut.duckdb"
    cut.write_bytes((tmp_path / "whole.duckdb").read_bytes()[:9000])
    refused(cut, "'cut.duckdb' cannot be read")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "person.parquet").write_bytes(b"PAR1 and no more")
    refused(tmp_path / "site", "'person.parquet' cannot be read")
    refused(tmp_path / "nothing", "There is no file or folder 'nothing'")


def test_a_view_in_a_database_file_cannot_reach_other_files(tmp_path, write_cdm):
    folder = write_cdm()
    with duckdb.connect(tmp_path / "site.duckdb") as base:
        for name in ("person", "condition_occurrence"):
            base.execute(f"CREATE VIEW {name} AS SELECT * FROM read_csv('{folder / name}.csv', header=true)")
    refused(tmp_path / "site.duckdb", "cannot be read")


def test_a_table_that_stands_there_twice_is_refused(write_cdm, tables, tmp_path):
    folder = write_cdm()
    (folder / "Person.tsv").write_text("\n".join(tables["person"]).replace(",", "\t"), encoding="utf-8")
    refused(folder, "holds the table PERSON twice")


@pytest.mark.slow
@settings(max_examples=8)
@given(
    cells=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters='\r\n",'), max_size=12), min_size=12, max_size=12
    )
)
@example(cells=["1", "1", "3006923", "infinity", "nan", "inf", "1e400", "-1", "\u00b5", "\u0000", "1:0", "-"])
@example(cells=["1", "1", "3006923", "2018-05-02", "1.5", "1e308", "8645", "1e-320", " ", "\ufeff", "<", "1.0"])
def test_whatever_a_line_holds_every_line_of_the_cohort_is_kept_or_set_aside(tmp_path_factory, tables, cells):
    folder = tmp_path_factory.mktemp("cdm")
    needed = {name: tables[name] for name in ("person", "condition_occurrence")}
    lines = [tables["measurement"][0], ",".join(["1", "1", "3006923", *cells[3:]]), ",".join(cells)]
    for name, rows in (needed | {"measurement": lines}).items():
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    cohort = read_omop(folder)
    line = cohort.load_report.query("table == 'labs'").iloc[0]
    assert line["n_read"] == line["n_kept"] + line["n_set_aside"]
    assert line["n_read"] >= 1
