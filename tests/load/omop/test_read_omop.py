"""What a data manager expects of an OMOP database: who is read, which rows, in which units, and what is told."""

import duckdb
import pandas as pd
import pytest

from aih_outcomes.errors import DataError, PlanError
from aih_outcomes.load.mapping import Rules
from aih_outcomes.load.omop import read_omop


def told(cohort, table):
    return " ".join(cohort.load_report.query("table == @table")["how_read"])


def test_only_persons_with_the_condition_are_read_and_it_began_with_its_first_row(write_cdm):
    cohort = read_omop(write_cdm())
    (girl,) = cohort.patients.to_dict("records")
    assert girl["patient_id"] == "G-17"
    assert girl["sex"] == "female"
    assert girl["birth_date"] == pd.Timestamp("2008-03-09")
    assert girl["diagnosis_date"] == pd.Timestamp("2018-04-20")
    assert girl["diagnosis"] == "aih"
    assert girl["centre"] == "Hospital North"
    assert "2 person(s), 1 of them with the condition in 2 row(s)" in told(cohort, "patients")


def test_results_come_in_canonical_units_with_the_upper_limit_of_their_row(write_cdm):
    labs = read_omop(write_cdm()).labs.set_index("source_row")
    assert labs["value"].round(2).to_dict() == {2: 410.0, 3: 34.21, 4: 5.0, 5: 640.0}  # 2 mg/dL x 17.104
    assert labs["uln"].round(2).to_dict()[3] == 20.52  # 1.2 mg/dL
    assert labs.loc[4, "comparator"] == "<"
    assert "1 row(s) with a sign (<, >) whose concept number is from memory" in told(read_omop(write_cdm()), "labs")
    assert labs.loc[2, "visit"] == "unscheduled"  # an emergency
    assert pd.isna(labs.loc[3, "visit"])  # whether it was planned is not told
    assert labs.loc[5, "raw_value"] == "1:640"


def test_a_number_that_only_the_source_value_holds_is_in_the_unit_of_the_source(write_cdm, tables):
    """The concept says µmol/L (8749), but nobody converted: 2.0 mg/dL are 34 µmol/L, and not 2."""
    line = "28,1,3024128,2018-06-09,0,,8749,,BILI,mg/dL,2.0,"
    labs = read_omop(write_cdm(measurement=[*tables["measurement"], line])).labs.set_index("source_row")
    assert labs.loc[9, "value"] == pytest.approx(34.208)
    assert labs.loc[9, "raw_unit"] == "mg/dL"


def test_a_sex_in_words_that_are_not_known_is_counted(write_cdm):
    person = [
        "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,birth_datetime,person_source_value,"
        "gender_source_value",
        "1,0,2008,3,9,,G-17,weiblich",
    ]
    cohort = read_omop(write_cdm(person=person))
    assert cohort.patients["sex"].isna().all()
    assert "1 whose sex is told by no concept, and by a word of the source that is not" in told(cohort, "patients")


def test_a_missing_unit_is_set_aside_with_the_line_of_the_file(write_cdm):
    given = {"indication": {"": "aih"}}
    aside = read_omop(write_cdm(), Rules(codes=given)).set_aside
    assert aside[["table", "source_file", "source_row", "column"]].values.tolist() == [
        ["labs", "measurement.csv", 8, "unit"]
    ]
    mended = read_omop(write_cdm(), Rules(units={"igg": {"": "g/L"}}, codes=given))
    assert mended.set_aside.empty
    assert 24.0 in set(mended.labs["value"])


def test_codes_that_are_not_in_the_catalogue_are_passed_over_and_counted(write_cdm):
    cohort = read_omop(write_cdm())
    line = cohort.load_report.query("table == 'labs'").iloc[0]
    assert "7 row(s), 6 of them of the cohort; 1 row(s) with 1 other code(s) passed over" in line["how_read"]
    assert line["columns_not_used"] == "concept 99999"


def test_a_mapped_word_that_is_none_sets_its_rows_aside(write_cdm):
    aside = read_omop(write_cdm(), Rules(codes={"labs": {"99999": "atl"}})).set_aside
    assert aside.loc[aside["source_row"] == 6, "column"].tolist() == ["analyte"]


def test_a_mapping_accepts_a_local_code(write_cdm, tables):
    lines = [*tables["measurement"], "28,1,0,2018-05-03,0,33,8645,,LAB_ALT_X,U/L,33,"]
    assert len(read_omop(write_cdm(measurement=lines)).labs) == 4
    accepted = read_omop(write_cdm(measurement=lines), Rules(codes={"labs": {"LAB_ALT_X": "alt"}}))
    assert len(accepted.labs) == 5


def test_a_drug_is_known_by_its_ingredient_and_dosed_only_where_that_is_certain(write_cdm):
    cohort = read_omop(write_cdm(), Rules(codes={"indication": {"": "aih"}}))
    drugs = cohort.treatments.set_index("drug")
    assert set(drugs.index) == {"prednisolone", "azathioprine"}  # the mixture of two ingredients is no one drug
    assert drugs.loc["prednisolone", "dose"] == 10.0  # 60 tablets of 5 mg in 30 days
    assert pd.isna(drugs.loc["azathioprine", "dose"])
    assert pd.isna(drugs.loc["azathioprine", "stop"])


def test_what_a_drug_was_given_for_is_never_assumed(write_cdm):
    cohort = read_omop(write_cdm())
    aside = cohort.set_aside[cohort.set_aside["table"] == "treatments"]
    assert cohort.treatments.empty
    assert aside["column"].tolist() == ["indication"] * 2
    assert aside["way_out"].str.endswith('codes = { indication = { "" = "aih" } }').all()


def test_events_deaths_and_follow_up_and_what_they_do_not_tell(write_cdm):
    cohort = read_omop(write_cdm())
    events = cohort.events.sort_values("date")
    assert events[["kind", "source_file"]].values.tolist() == [
        ["ascites", "condition_occurrence.csv"],
        ["death", "death.csv"],
    ]
    assert events["cause"].isna().all()
    assert "1 with a cause in other words" in told(cohort, "events")
    assert cohort.follow_up["end_reason"].tolist() == ["death"]
    assert "why it ended is not recorded in 1 row(s)" in told(cohort, "follow_up")


@pytest.mark.parametrize(("month", "day", "date", "precision"), [
    ("", "", "2008-07-01", "year"), ("3", "", "2008-03-15", "month"), ("3", "9", "2008-03-09", None),
])  # fmt: skip
def test_a_birth_known_to_the_year_or_month_is_kept_with_its_precision(write_cdm, month, day, date, precision, tables):
    person = [tables["person"][0], f"1,8532,2008,{month},{day},,G-17,5"]
    (girl,) = read_omop(write_cdm(person=person)).patients.to_dict("records")
    assert girl["birth_date"] == pd.Timestamp(date)
    assert girl["date_precision"] == precision or pd.isna(girl["date_precision"])


def test_a_condition_that_was_not_mapped_is_found_by_its_source_code(write_cdm, tables):
    lines = [tables["condition_occurrence"][0], "11,2,0,2018-05-02,K75.4,0"]
    assert read_omop(write_cdm(condition_occurrence=lines)).patients["patient_id"].tolist() == ["G-18"]


def test_a_source_concept_is_found_by_what_it_maps_to(write_cdm, tables):
    lines = [tables["condition_occurrence"][0], "11,2,0,2018-05-02,,45500000"]
    related = ["concept_id_1,concept_id_2,relationship_id", "45500000,200762,Maps to", "45500000,1,Is a"]
    cohort = read_omop(write_cdm(condition_occurrence=lines, concept_relationship=related))
    assert cohort.patients["patient_id"].tolist() == ["G-18"]


def test_what_descends_from_a_concept_is_that_concept_too(write_cdm, tables):
    lines = [tables["condition_occurrence"][0], "11,2,45600000,2018-05-02,,0"]
    above = ["ancestor_concept_id,descendant_concept_id,min_levels_of_separation", "200762,45600000,1"]
    files = {"condition_occurrence": lines, "concept_ancestor": above}
    assert read_omop(write_cdm(**files)).patients["patient_id"].tolist() == ["G-18"]
    assert read_omop(write_cdm(**files), condition=200762).patients["patient_id"].tolist() == ["G-18"]


def test_a_concept_is_known_by_its_code_in_the_vocabulary(write_cdm, tables):
    lines = [*tables["measurement"], "28,1,555,2018-05-03,0,33,8645,,,U/L,33,"]
    vocabulary = ["concept_id,concept_name,vocabulary_id,concept_code", "555,x,LOINC,1743-4"]
    assert len(read_omop(write_cdm(measurement=lines, concept=vocabulary)).labs) == 5


def test_another_condition_is_asked_for_by_concept_numbers(write_cdm):
    assert read_omop(write_cdm(), condition="201820").patients["patient_id"].tolist() == ["G-18"]
    assert read_omop(write_cdm(), condition=[201820, 200762]).n_patients == 2


def test_nobody_with_the_condition_is_said_with_numbers_and_a_way_out(write_cdm):
    with pytest.raises(
        DataError, match=r"0 of 2 person\(s\).*4 row\(s\) of condition_occurrence.csv with 3 concept"
    ) as found:
        read_omop(write_cdm(), condition="primary_biliary_cholangitis")
    assert "condition =" in found.value.way_out


def test_a_condition_that_is_none_is_refused(write_cdm):
    with pytest.raises(PlanError, match="autoimmune_hepatitis"):
        read_omop(write_cdm(), condition="autoimune_hepatitis")


def test_a_person_without_a_name_of_its_own_is_called_by_its_number(write_cdm, tables):
    person = [tables["person"][0], "1,8532,2008,3,9,,,5"]
    assert set(read_omop(write_cdm(person=person)).labs["patient_id"]) == {"1"}


def test_parquet_files_and_other_schemas_of_a_duckdb_file_give_the_same_cohort(write_cdm, tmp_path, tables):
    folder = write_cdm()
    (tmp_path / "parquet").mkdir()
    with duckdb.connect(tmp_path / "site.duckdb") as base:
        base.execute('CREATE SCHEMA cdm; CREATE SCHEMA "odd ""name"""; CREATE TABLE "odd ""name"""."DEATH" (x INTEGER)')
        for name in tables:
            rows = f"read_csv('{folder / name}.csv', header=true)"
            base.execute(f'CREATE TABLE cdm."{name.upper()}" AS SELECT * FROM {rows}')
            base.execute(f"COPY cdm.{name} TO '{tmp_path / 'parquet' / name}.parquet'")
    expected = read_omop(folder)
    for other in (read_omop(tmp_path / "site.duckdb"), read_omop(tmp_path / "parquet")):
        for name, table in expected.tables().items():
            kept = [column for column in table if not column.startswith("source_")]
            assert other.tables()[name][kept].equals(table[kept])
    assert read_omop(tmp_path / "site.duckdb").labs["source_row"].tolist() == [21, 22, 23, 24]  # the rows' own numbers


def test_keys_and_concepts_written_as_decimal_text_are_the_same(write_cdm, tables):
    header, *rows = (line.split(",") for line in tables["measurement"])
    lines = [",".join(header), *(",".join([row[0], f"{row[1]}.0", f"{row[2]}.0", *row[3:]]) for row in rows)]
    assert read_omop(write_cdm(measurement=lines)).labs.equals(read_omop(write_cdm()).labs)


def test_a_database_without_the_condition_of_another_site_says_so(shared_inputs):
    with pytest.raises(DataError, match=r"0 of 28 person\(s\)"):
        read_omop(shared_inputs / "omop" / "Synthea27Nj_5.4")


def test_a_database_of_another_site_is_read_for_a_condition_that_it_has(shared_inputs):
    cohort = read_omop(shared_inputs / "omop" / "Synthea27Nj_5.4", condition=372328)  # otitis media
    assert cohort.n_patients == 9
    assert cohort.set_aside.empty
    assert set(cohort.labs["unit"][cohort.labs["analyte"] == "platelets"]) == {"10*9/L"}
    assert (cohort.measurements["measure"] == "height").sum() > 50
