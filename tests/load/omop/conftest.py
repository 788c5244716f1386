"""A small invented OMOP database, written as a site would export it."""

import pytest

# Two girls; the first has autoimmune hepatitis, the second diabetes. Lower-case names, as CDM 5.3 sites write them.
TABLES = {
    "person": [
        "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,birth_datetime,person_source_value,care_site_id",
        "1,8532,2008,3,9,,G-17,5",
        "2,8532,2010,,,,G-18,5",
    ],
    "care_site": ["care_site_id,care_site_name", "5,Hospital North"],
    "condition_occurrence": [
        "condition_occurrence_id,person_id,condition_concept_id,condition_start_date,condition_source_value,condition_source_concept_id",
        "11,1,200762,2018-05-02,K75.4,0",
        "12,1,200762,2018-04-20,K75.4,0",
        "13,2,201820,2019-01-01,E10,0",
        "14,1,200528,2020-02-03,R18,0",
    ],
    "measurement": [
        "measurement_id,person_id,measurement_concept_id,measurement_date,operator_concept_id,value_as_number,unit_concept_id,"
        "range_high,measurement_source_value,unit_source_value,value_source_value,visit_occurrence_id",
        "21,1,3006923,2018-05-02,0,410,8645,40,ALT,U/L,410,91",
        "22,1,3024128,2018-05-02,0,2,8840,1.2,BILI,mg/dL,2.0,92",
        "23,1,3006923,2018-06-02,4171756,5,8645,40,ALT,U/L,<5,",
        "24,1,3002971,2018-05-02,,,,,ANA,,1:640,",
        "25,1,99999,2018-05-02,0,1,0,,XYZ,,1,",
        "26,2,3006923,2018-05-02,0,20,8645,40,ALT,U/L,20,",
        "27,1,3005719,2018-05-02,0,24,0,,IGG,,24,",
    ],
    "visit_occurrence": [
        "visit_occurrence_id,person_id,visit_concept_id,visit_start_date,visit_source_value",
        "91,1,9203,2018-05-02,A&E",
        "92,1,9202,2018-05-02,clinic",
    ],
    "drug_exposure": [
        "drug_exposure_id,person_id,drug_concept_id,drug_exposure_start_date,drug_exposure_end_date,quantity,days_supply,sig,drug_source_value",
        "31,1,777,2018-05-03,2018-06-01,60,30,one in the morning,x",
        "32,1,0,2018-06-02,,,,,L04AX01",
        "33,1,778,2018-06-02,2018-07-02,30,30,,mixture",
    ],
    "drug_strength": [
        "drug_concept_id,ingredient_concept_id,amount_value,amount_unit_concept_id",
        "777,1550557,5,8576",
        "778,1550557,5,8576",
        "778,950637,1,8576",
    ],
    "death": ["person_id,death_date,cause_source_value", "1,2021-01-01,K72.9"],
    "observation_period": [
        "observation_period_id,person_id,observation_period_start_date,observation_period_end_date",
        "41,1,2018-04-20,2021-01-01",
    ],
}


@pytest.fixture(scope="session")
def tables():
    """Return table → its lines."""
    return TABLES


@pytest.fixture
def write_cdm(tmp_path):
    """Return a function that writes the tables, some of them replaced or (None) left out, and returns the folder."""

    def write(*, ending=".csv", **replaced):
        for name, lines in (TABLES | replaced).items():
            if lines is not None:
                (tmp_path / f"{name}{ending}").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path

    return write
