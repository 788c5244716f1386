"""The same children as other laboratories write them: in each format the loader must convert, and the answer is known.

The identity tests of ``test_identity`` write what the simulator printed. Here every result is in another unit, titres
are fractions, doses are per kg, dates lack their day, and in REDCap, FHIR and OMOP codes and units are a laboratory's
own. The true values are the simulator's; the factors between units are written here by hand (domain 4.2), not taken
from the catalogue.
"""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from aih_outcomes.load.fhir import read_fhir
from aih_outcomes.load.mapping import Rules
from aih_outcomes.load.omop import read_omop
from aih_outcomes.load.redcap import read_redcap
from aih_outcomes.simulate import SEED, simulate_cohort
from aih_outcomes.simulate.exports.fhir import export_fhir
from aih_outcomes.simulate.exports.omop import export_omop
from aih_outcomes.simulate.exports.printed import print_cohort

from .test_identity import FORMATS, PLACES, write_and_read

# analyte → unit as the other laboratory writes it, and canonical units per unit of it.
ELSEWHERE = {
    "alt": ("µkat/l", 60.0), "ast": ("nkat/L", 0.06), "ggt": ("mikrokat/L", 60.0), "bilirubin": ("mg/dl", 17.104),
    "igg": ("mg/dL", 0.01), "albumin": ("g/dl", 10.0), "platelets": ("lakh/cumm", 100.0), "inr": ("{INR}", 1.0),
    "creatinine": ("mg%", 88.4), "sodium": ("mval/l", 1.0), "cd19": ("10^9/l", 1000.0),
}  # fmt: skip
TITRES = ("ana", "sma", "lkm1")
NEAR = pd.Timedelta(days=60)
# Floats converted there and back differ in their last digits.
TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def truth():
    """Return the simulator's children, some of whose results lie beyond the limits of detection."""
    cohort = simulate_cohort(SEED, 16)
    labs = cohort.labs
    third = pd.Series(labs.index % 3 == 0)
    low, high = third & labs["analyte"].isin(["ggt", "bilirubin"]), third & labs["analyte"].eq("alt")
    return replace(cohort, labs=labs.assign(comparator=labs["comparator"].mask(low, "<").mask(high, ">=")))


@pytest.fixture(scope="module")
def elsewhere(truth):
    """Return what the other laboratory printed."""
    printed = print_cohort(truth)
    printed["labs"] = write_results(truth.labs, printed["labs"])
    printed["treatments"] = write_doses(truth, printed["treatments"])
    return printed


def write_results(labs, printed):
    """Return results in other units, titres as ``<1/20`` without a unit, and each second mid-month without its day."""
    factor = labs["analyte"].map({name: factor for name, (_, factor) in ELSEWHERE.items()})
    sign = labs["comparator"].replace("=", "").astype(object)
    titre = labs["analyte"].isin(TITRES)
    number = (labs["value"] / factor).map(lambda number: repr(float(number)))
    text = sign + number.mask(titre, "1/" + labs["value"].map("{:.0f}".format))
    unit = labs["analyte"].map({name: unit for name, (unit, _) in ELSEWHERE.items()}).fillna("")
    month = pd.Series(labs["date"].dt.day == 15) & (labs["source_row"].fillna(0).index % 2 == 0)
    return printed.assign(
        raw_value=text.to_numpy(), raw_unit=unit.to_numpy(), date_precision=month.map({True: "month", False: ""})
    )


def write_doses(truth, printed):
    """Return doses per kg where the child was weighed within 60 days: of two weights as near the earlier counts."""
    weights = truth.measurements.query("measure == 'weight'")
    found = []
    for row in truth.treatments.itertuples():
        own = weights[weights["patient_id"] == row.patient_id].sort_values("date")
        away = (own["date"] - row.start).abs()
        near = own.loc[away[away <= NEAR].index, "value"]
        found.append(near[away[near.index].idxmin()] if len(near) and not pd.isna(row.dose) else None)
    weight = pd.Series(found, index=truth.treatments.index, dtype="float64")
    per_kg = (truth.treatments["dose"] / weight).map(lambda number: repr(float(number)))
    return printed.assign(
        raw_dose=printed["raw_dose"].where(weight.isna(), per_kg),
        raw_dose_unit=printed["raw_dose_unit"].where(weight.isna(), "MG/KG/d"),
    )


def assert_true_values(found, truth, printed):
    """Compare with the simulator: the numbers closely, all else exactly."""
    labs = truth.labs.assign(**{
        name: printed["labs"][name].replace("", None).astype("string")
        for name in ("raw_value", "raw_unit", "date_precision")
    })  # fmt: skip
    doses = truth.treatments.assign(**{
        name: printed["treatments"][name].replace("", None).astype("string") for name in ("raw_dose", "raw_dose_unit")
    })  # fmt: skip
    assert found.set_aside.empty
    for table, expected, numbers in (("labs", labs, ["value", "uln"]), ("treatments", doses, ["dose"])):
        in_order = []
        for frame in (found.tables()[table], expected):
            kept = frame.drop(columns=PLACES)
            in_order.append(kept.sort_values([name for name in kept if name not in numbers], ignore_index=True))
        assert_frame_equal(*in_order, rtol=TOLERANCE, atol=0, obj=table)


def without_day(printed):
    """Return printed tables in which a date known to the month is written as one: ``2019-05``."""
    labs = printed["labs"]
    month = labs["date_precision"] == "month"
    return printed | {"labs": labs.assign(date=labs["date"].mask(month, labs["date"].str[:7]), date_precision="")}


def test_what_is_written_is_another_laboratorys(truth, elsewhere):
    """The premise of this file: hardly a number or unit is as before, and every kind of writing occurs."""
    labs, before = elsewhere["labs"], print_cohort(truth)["labs"]
    assert (labs["raw_unit"] == before["raw_unit"]).mean() < 0.05
    assert (labs["raw_value"] == before["raw_value"]).mean() < 0.25  # INR and sodium keep their numbers
    assert labs["raw_value"].str.startswith("<1/").any()
    assert labs["raw_value"].str.match("<[0-9.]+$").any()
    assert labs["raw_value"].str.match(">=[0-9.]+$").any()
    assert (labs["date_precision"] == "month").any()
    assert (elsewhere["treatments"]["raw_dose_unit"] == "MG/KG/d").sum() > 50
    assert set(ELSEWHERE) | set(TITRES) >= set(labs["analyte"])


@pytest.mark.parametrize("name", FORMATS)
def test_other_units_titres_and_doses_per_kg_become_the_simulators_values(name, truth, elsewhere, tmp_path):
    assert_true_values(write_and_read(elsewhere, name, tmp_path), truth, elsewhere)


@pytest.mark.parametrize("name", ["tables", "workbook", "redcap", "fhir"])  # OMOP's DATE holds whole days only
def test_dates_without_a_day_stand_on_the_fifteenth_and_say_so(name, truth, elsewhere, tmp_path):
    assert_true_values(write_and_read(without_day(elsewhere), name, tmp_path), truth, elsewhere)


LOCAL = {"alt": "LAB-ALT", "bilirubin": "BILI-T", "ana": "ANA-IF"}
RULES = Rules(codes={"labs": {code: analyte for analyte, code in LOCAL.items()}})


def test_fhir_with_local_codes_and_units_that_are_no_ucum(truth, elsewhere, tmp_path):
    export_fhir(elsewhere, tmp_path)
    path = tmp_path / "Observation.ndjson"
    rewritten = []
    for row, line in zip(
        elsewhere["labs"].to_dict("records"), path.read_text(encoding="utf-8").splitlines(), strict=False
    ):
        one = json.loads(line, parse_float=str, parse_int=str)
        assert one["id"].startswith("labs-")
        code = LOCAL.get(row["analyte"])
        if code is not None:
            one["code"] = {"coding": [{"system": "urn:oid:1.2.3", "code": code}]}
        for name in ("system", "code"):
            one.get("valueQuantity", {}).pop(name, None)
        rewritten.append(one)
    others = path.read_text(encoding="utf-8").splitlines()[len(rewritten) :]
    path.write_text("".join(f"{line}\n" for line in [*map(write_bare, rewritten), *others]), encoding="utf-8")
    assert_true_values(read_fhir(tmp_path, RULES), truth, elsewhere)


def write_bare(one):
    """Return a resource as JSON in which a quantity's number, kept digit by digit as text, is a number again."""
    for quantity in (one.get("valueQuantity"), *(part.get("high") for part in one.get("referenceRange", []))):
        if quantity is not None:
            quantity["value"] = f"\0{quantity['value']}\0"
    ratio = one.get("valueRatio", {})
    for part in ratio.values():
        part["value"] = f"\0{part['value']}\0"
    return json.dumps(one).replace('"\\u0000', "").replace('\\u0000"', "")


REDCAP_MAPPING = """
[reading]
decimal = ","
[units]
bilirubin = {{ "mg pro dl" = "mg/dL" }}
igg = {{ "Einheit 7" = "0.01 g/L" }}
[patients]
file = "child"
columns.patient_id = "study_no"
columns.birth_date = "born"
columns.age_at_diagnosis = "age"
columns.diagnosis_date = "biopsy"
[labs]
file = "blood"
columns.patient_id = "study_no"
columns.date = "taken"
columns.analyte = {{ column = "test", codes = {{ {codes} }} }}
columns.value = "result"
columns.unit = "unit"
"""
DICTIONARY = """field_name,form_name,field_type,field_label,select_choices_or_calculations
study_no,child,text,Study number,
born,child,text,Born,
age,child,text,Age,
biopsy,child,text,Biopsy,
taken,blood,text,Taken,
test,blood,radio,Test,"{choices}"
result,blood,text,Result,
unit,blood,text,Unit,
"""


def test_redcap_project_of_a_centre_with_its_own_forms_codes_words_and_decimal_commas(truth, elsewhere, tmp_path):
    labs, people = elsewhere["labs"], elsewhere["patients"]
    number = {analyte: str(place) for place, analyte in enumerate((*ELSEWHERE, *TITRES), start=1)}
    choices = " | ".join(f"{code}, Test {code}" for code in number.values())
    (tmp_path / "dictionary.csv").write_text(DICTIONARY.format(choices=choices), encoding="utf-8")
    child = pd.DataFrame({
        "study_no": people["patient_id"], "redcap_repeat_instrument": "", "redcap_repeat_instance": "",
        "born": people["birth_date"], "age": people["age_at_diagnosis"].str.replace(".", ","),
        "biopsy": people["diagnosis_date"],
    })  # fmt: skip
    words = {"bilirubin": "mg pro dl", "igg": "Einheit 7"}
    blood = pd.DataFrame({
        "study_no": labs["patient_id"], "redcap_repeat_instrument": "blood",
        "redcap_repeat_instance": (labs.groupby("patient_id").cumcount() + 1).astype(str), "taken": labs["date"],
        "test": labs["analyte"].map(number), "result": labs["raw_value"].str.replace(".", ","),
        "unit": labs["analyte"].map(words).fillna(labs["raw_unit"]),
    })  # fmt: skip
    pd.concat([child, blood]).fillna("").to_csv(tmp_path / "data.csv", index=False)
    codes = ", ".join(f'"{code}" = "{analyte}"' for analyte, code in number.items())
    (tmp_path / "mapping.toml").write_text(REDCAP_MAPPING.format(codes=codes), encoding="utf-8")
    found = read_redcap(tmp_path, tmp_path / "mapping.toml")
    assert found.set_aside.empty
    known = ["patient_id", "date", "analyte", "comparator", "unit", "value"]
    in_order = [table[known].sort_values(known, ignore_index=True) for table in (found.labs, truth.labs)]
    assert_frame_equal(*in_order, rtol=TOLERANCE, atol=0)


def test_omop_with_local_codes_and_numbers_in_the_units_of_the_source(truth, elsewhere, tmp_path):
    """No unit concept, and nothing but the source's number and unit: what ETLs leave behind most often."""
    export_omop(elsewhere, tmp_path)
    (tmp_path / "cdm.duckdb").unlink()
    path = tmp_path / "MEASUREMENT.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    labs = elsewhere["labs"]
    ours, body = rows.iloc[: len(labs)].copy(), rows.iloc[len(labs) :]
    assert ours["value_source_value"].to_list() == labs["raw_value"].to_list()
    plain = ~labs["analyte"].isin(TITRES).to_numpy()
    number = labs["raw_value"].str.lstrip("<>=").to_numpy()
    factor = labs["analyte"].map({name: factor for name, (_, factor) in ELSEWHERE.items()}).to_numpy()
    limit = pd.to_numeric(labs["uln"]).to_numpy() / factor
    ours["value_as_number"] = pd.Series(number, ours.index).where(plain, "")
    ours["value_source_value"] = ours["value_source_value"].mask(plain, "")
    ours["unit_concept_id"] = "0"
    ours["range_high"] = pd.Series(limit, ours.index).map(lambda uln: "" if pd.isna(uln) else repr(float(uln)))
    local = labs["analyte"].map(LOCAL).to_numpy(object)
    mapped = pd.notna(local)
    ours.loc[mapped, ["measurement_concept_id", "measurement_source_concept_id"]] = "0"
    ours.loc[mapped, "measurement_source_value"] = local[mapped]
    pd.concat([ours, body]).to_csv(path, index=False)
    found = read_omop(tmp_path, RULES)
    bare = labs.assign(raw_value=labs["raw_value"].where(~plain, sign_first(labs)))
    assert_true_values(found, truth, elsewhere | {"labs": bare})


def sign_first(labs):
    """Return the result as OMOP keeps it: the sign of the operator and the shortest form of the number."""
    sign = labs["raw_value"].str.extract("^([<>=]*)")[0]
    return sign + labs["raw_value"].str.lstrip("<>=").map(lambda text: text if "/" in text else repr(float(text)))


def test_a_factor_that_is_wrong_would_be_seen(truth, elsewhere, tmp_path: Path):
    """Ten times too much igG in the file is ten times too much in the cohort: nothing here repairs itself."""
    labs = elsewhere["labs"]
    igg = labs["analyte"] == "igg"
    wrong = elsewhere | {"labs": labs.assign(raw_unit=labs["raw_unit"].mask(igg, "g/L"))}
    with pytest.raises(AssertionError):
        assert_true_values(write_and_read(wrong, "fhir", tmp_path), truth, wrong)
