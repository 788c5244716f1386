"""Every score of a cohort on a day: versions, ages, windows, what is missing and why (clinic 9, 11, 22)."""

from dataclasses import replace

import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.endpoints.scores.derive import SCORE_COLUMNS, derive_scores
from aih_outcomes.endpoints.scores.sources import SOURCES
from tests.endpoints.scores.cells import cells
from tests.endpoints.tables import BORN, DAY_0, cohort, iaihg, same

FACTS = {"yes": True, "no": False}
# As in test_prognostic: bilirubin 4.2 mg/dL, INR 1.6, creatinine 1.9 mg/dL give MELD 23, with sodium 128 MELD-Na 28.
MELD_23 = {"bilirubin": 71.8368, "inr": 1.6, "creatinine": 167.96}


def labs(day: int = 0, *, patient: str = "A", **values: float) -> str:
    rows = [f"{patient} {day} {analyte} {value}" for analyte, value in values.items()]
    return "\n".join(["patient day analyte value", *rows])


def aged(years: float, start: pd.Timestamp = DAY_0) -> str:
    """A patient A who is so old on day 0; a birthday is day 0 itself where ``years`` is whole."""
    born = start - pd.DateOffset(years=int(years)) - pd.Timedelta(days=round((years % 1) * 365))
    return f"patient birth_date sex\nA {(born - start).days} female"


def scores(made: Cohort, day: int = 0, score: str | None = None, **how: pd.Series) -> pd.DataFrame:
    table = derive_scores(derive_response(made, iaihg()), day=day, **how)
    chosen = table if score is None else table[table["score"] == score]
    return chosen.astype(object).map(lambda cell: None if cell == "" else cell).reset_index(drop=True)


def with_facts(made: Cohort, text: str, table: str = "patients") -> Cohort:
    """Set columns of a table, in the order of its rows; yes and no become flags."""
    facts = cells(text)
    flags = [name for name in facts if facts[name].isin(list(FACTS)).any()]
    columns = {name: facts[name].map(FACTS) if name in flags else facts[name] for name in facts.columns}
    return replace(made, **{table: getattr(made, table).assign(**columns)})


@pytest.mark.parametrize(
    ("start", "version", "value"),
    [("2016-01-10", "UNOS 2002", 23), ("2016-01-11", "MELD-Na 2016", 28), ("2023-07-12", "MELD-Na 2016", 28)],
)
def test_clinic_rule_22_meld_has_the_version_in_use_on_its_date(start: str, version: str, value: float) -> None:
    began = pd.Timestamp(start)
    made = cohort(labs(**MELD_23, sodium=128), patients=aged(14, began), start=began)
    (row,) = scores(made, score="MELD").to_dict("records")
    assert (row["version"], row["value"], row["status"]) == (version, value, "evaluable")


def test_clinic_rule_22_meld_3_0_from_13_july_2023() -> None:
    # 1.5, 1.2, 1.0 mg/dL, 135, 3.0 g/dL: 13 at any sex under 18; of an adult 13 in women and 12 in men
    values = {"bilirubin": 25.656, "inr": 1.2, "creatinine": 88.4, "sodium": 135, "albumin": 30}
    began = pd.Timestamp("2023-07-13")
    for sex, years, expected in [("male", 17, 13), ("female", 18, 13), ("male", 18, 12)]:
        who = aged(years, began).replace("female", sex)
        found = scores(cohort(labs(**values), patients=who, start=began), score="MELD")
        assert found["version"].tolist() == ["MELD 3.0"]
        assert found["value"].tolist() == [expected]


def test_meld_3_0_of_an_adult_asks_the_sex() -> None:
    began = pd.Timestamp("2024-01-01")
    values = {"bilirubin": 25.656, "inr": 1.2, "creatinine": 88.4, "sodium": 135, "albumin": 30}
    made = cohort(labs(**values), patients=aged(20, began).replace("female", "unknown"), start=began)
    same(scores(made, score="MELD"), """
        version   value  items_missing  status         because
        MELD 3.0  -      sex            not evaluable  missing: sex
    """)  # fmt: skip


@pytest.mark.parametrize(("days_old", "meld", "peld"), [(4382, False, True), (4383, True, False)])
def test_clinic_rule_22_peld_until_the_day_before_the_12th_birthday(days_old: int, meld: bool, peld: bool) -> None:
    # born on 1 January 2008, 12 on 1 January 2020, 4,383 days later
    made = cohort(labs(**MELD_23, sodium=137, albumin=40), patients=f"patient birth_date\nA -{days_old}")
    found = scores(made, growth_failure=pd.Series([False], index=["A"])).set_index("score")["status"]
    assert (found["MELD"] == "evaluable") == meld
    assert (found["PELD"] == "evaluable") == peld


@pytest.mark.parametrize(("day", "status"), [(-1, "not evaluable"), (0, "evaluable")])
def test_an_adult_is_one_from_the_18th_birthday_by_the_calendar(day: int, status: str) -> None:
    # 18 years are 6,574 or 6,575 days: 1 January 2002 to 1 January 2020 has 4 leap days
    born = (pd.Timestamp("2002-01-01") - DAY_0).days - day
    made = cohort(labs(bilirubin=10, albumin=40), patients=f"patient birth_date\nA {born}")
    assert scores(made, score="ALBI")["status"].tolist() == [status]


def test_age_at_diagnosis_serves_where_the_date_of_birth_is_not_shared() -> None:
    made = cohort(labs(**MELD_23, sodium=137), patients="patient sex\nA female\nB female")
    who = made.patients.assign(birth_date=pd.NaT, age_at_diagnosis=[12.0, 11.99])
    found = scores(replace(made, patients=who), score="MELD")
    assert found["because"].fillna("").tolist() == ["", "PELD below 12 years"]


def test_peld_needs_to_know_of_growth_failure() -> None:
    # bilirubin 3 mg/dL, INR 1.5, albumin 2.5 g/dL: 7 without and 13 with growth failure
    rows = "\n".join(
        labs(patient=p, bilirubin=51.312, inr=1.5, albumin=25).split("\n", 1)[1] for p in ("A", "B", "C", "D")
    )
    made = cohort("patient day analyte value\n" + rows)
    failed = pd.Series([False, True, pd.NA], index=["A", "B", "C"], dtype="boolean")
    same(scores(made, score="PELD", growth_failure=failed), """
        patient  version    value  items_missing   status         because
        A        PELD 2002  7      -               evaluable      -
        B        PELD 2002  13     -               evaluable      -
        C        PELD 2002  -      growth failure  not evaluable  missing: growth failure
        D        PELD 2002  -      growth failure  not evaluable  missing: growth failure
    """)  # fmt: skip
    same(scores(made, score="PELD"), """
        patient  status
        A        not evaluable
        B        not evaluable
        C        not evaluable
        D        not evaluable
    """)  # fmt: skip


@pytest.mark.parametrize(
    ("start", "version", "status"),
    [("2023-07-12", "PELD 2002", "evaluable"), ("2023-07-13", "PELD Cr 2023", "not evaluable")],
)
def test_peld_from_13_july_2023_has_no_checked_coefficients(start: str, version: str, status: str) -> None:
    began = pd.Timestamp(start)
    made = cohort(labs(bilirubin=51.312, inr=1.5, albumin=25), patients=aged(5, began), start=began)
    found = scores(made, score="PELD", growth_failure=pd.Series([False], index=["A"]))
    assert found[["version", "status"]].to_numpy().tolist() == [[version, status]]


def test_dialysis_in_the_week_before_stands_for_creatinine() -> None:
    # bilirubin 2, INR 1.5, creatinine 4 mg/dL by the rule: 27
    rows = "\n".join(labs(patient=p, bilirubin=34.208, inr=1.5, sodium=137).split("\n", 1)[1] for p in ("A", "B", "C"))
    who = "patient birth_date\n" + "\n".join(f"{p} -5000" for p in ("A", "B", "C"))
    made = cohort(
        "patient day analyte value\n" + rows,
        patients=who, events="patient day kind\nA -3 dialysis\nB -7 dialysis\nC 1 dialysis",
    )  # fmt: skip
    same(scores(made, score="MELD"), """
        patient  value  items_missing
        A        27     -
        B        -      creatinine
        C        -      creatinine
    """)  # fmt: skip


@pytest.mark.parametrize(("day", "status"), [(0, "not evaluable"), (181, "not evaluable"), (182, "evaluable")])
def test_clinic_rule_22_apri_fib4_and_stiffness_not_before_6_months_of_treatment(day: int, status: str) -> None:
    # APRI 100 × 2 / 100 = 2; FIB-4 at 40 years: 40 × 80 / (100 × √64) = 4
    made = cohort(
        f"patient day analyte value uln\nA {day} ast 80 40\nA {day} alt 64 40\nA {day} platelets 100 -",
        patients=aged(40), imaging=f"patient day modality finding stiffness\nA {day} elastography abnormal 12.5",
    )  # fmt: skip
    found = scores(made, day).set_index("score").loc[["APRI", "FIB-4", "Liver stiffness"]]
    assert found["status"].tolist() == [status] * 3
    if status == "evaluable":
        assert found["value"].round(2).tolist() == [2.0, round((40 + day / 365.25) * 0.1, 2), 12.5]
    else:
        assert set(found["because"]) == {"not before 6 months of treatment"}


def test_months_of_treatment_begin_with_the_steroid_not_with_the_diagnosis() -> None:
    made = cohort(
        "patient day analyte value uln\nA 182 ast 80 40\nA 182 platelets 100 -",
        treatments="patient drug start\nA prednisolone 30", steroid=False, patients="patient diagnosis_date\nA 0",
    )  # fmt: skip
    table = derive_scores(derive_response(made, iaihg(), time_zero="diagnosis"), day=182)
    assert table.set_index("score").loc["APRI", "because"] == "not before 6 months of treatment"


def test_clinic_rule_22_scores_of_adults_only() -> None:
    made = cohort(labs(bilirubin=10, albumin=40, inr=1.0), patients=aged(17.5))
    found = scores(made).set_index("score").loc[["FIB-4", "ALBI", "Child-Pugh"], "because"]
    assert found.tolist() == ["adults only"] * 3
    same(scores(cohort(labs(bilirubin=10, albumin=40, inr=1.0), patients=aged(40))).iloc[[4, 5]], """
        score       version         value  category  status
        ALBI        2015            -2.74  grade 1   evaluable
        Child-Pugh  1973, with INR  5      A         evaluable
    """)  # fmt: skip


def test_child_pugh_takes_grades_from_the_two_months_before() -> None:
    rows = "\n".join(
        labs(patient=p, bilirubin=60, albumin=27, inr=1.0).split("\n", 1)[1] for p in ("A", "B", "C", "D", "E")
    )
    who = "patient birth_date\n" + "\n".join(f"{p} -15000" for p in ("A", "B", "C", "D", "E"))
    made = cohort("patient day analyte value\n" + rows, patients=who, events="""
        patient  day  kind            grade
        B        -5   ascites         1
        C        -5   encephalopathy  3
        D        -5   ascites         -
        E        -90  ascites         3
    """)  # fmt: skip
    same(scores(made, score="Child-Pugh"), """
        patient  value  category  because
        A        9      B         -
        B        10     C         -
        C        11     C         -
        D        -      -         known only as a bound: ascites
        E        -      -         known only as a bound: ascites
    """)  # fmt: skip


def test_a_sign_matters_only_where_it_could_change_the_score() -> None:
    made = cohort("""
        patient  day  analyte     value   comparator
        A        0    bilirubin   3       <
        A        0    inr         1.0     =
        A        0    creatinine  30      <
        A        0    sodium      140     =
        B        0    bilirubin   71.837  =
        B        0    inr         1.6     >
        B        0    creatinine  167.96  =
        B        0    sodium      140     =
        C        0    bilirubin   71.837  =
        C        0    inr         1.6     =
        C        0    creatinine  400     >
        C        0    sodium      140     =
    """, patients="patient birth_date\nA -5000\nB -5000\nC -5000")  # fmt: skip
    # C: 10 × (1.32668 + 0.54246 + 0.52640 + 0.643) = 30.39
    same(scores(made, score="MELD"), """
        patient  value  because
        A        6      -
        B        -      known only as a bound: INR
        C        30     -
    """)  # fmt: skip


def test_a_bound_below_a_limit_has_the_points_of_below_it() -> None:
    made = cohort("""
        patient  day  analyte    value  comparator
        A        0    bilirubin  34     <
        A        0    albumin    40     =
        A        0    inr        1.0    =
        B        0    bilirubin  34     <=
        B        0    albumin    40     =
        B        0    inr        1.0    =
    """, patients="patient birth_date\nA -15000\nB -15000")  # fmt: skip
    same(scores(made, score="Child-Pugh"), """
        patient  value
        A        5
        B        -
    """)  # fmt: skip


def test_what_is_missing_is_named() -> None:
    same(scores(cohort(labs(bilirubin=20), patients=aged(14)), score="MELD"), """
        items_missing            status         because
        INR, creatinine, sodium  not evaluable  missing: INR, creatinine, sodium
    """)  # fmt: skip


def test_a_later_day_takes_the_last_value_of_the_two_months_before() -> None:
    made = cohort("""
        patient  day  analyte    value
        A        300  bilirubin  10
        A        340  bilirubin  100
        A        366  bilirubin  1000
        A        305  albumin    30
        B        303  bilirubin  10
        B        365  albumin    30
    """, patients="patient birth_date\nA -15000\nB -15000")  # fmt: skip
    same(scores(made, 365, "ALBI"), """
        patient  value  items_missing
        A        -1.23  -
        B        -      bilirubin
    """)  # fmt: skip


def test_no_score_of_a_liver_that_is_no_longer_there() -> None:
    made = cohort(
        labs(340, bilirubin=10, albumin=40), patients=aged(40), events="patient day kind\nA 350 transplant"
    )  # fmt: skip
    assert scores(made, 345, "ALBI")["status"].tolist() == ["evaluable"]
    assert scores(made, 365, "ALBI")["because"].tolist() == ["after transplant or death"]


SEROLOGY = """
    patient  day  analyte  value  comparator  method      uln
    A        -5   ana      80     =           iif_rodent  -
    A        -5   sma      20     <           iif_rodent  -
    A        -5   lkm1     10     <           iif_rodent  -
    A        0    igg      24     =           -           16
"""
WELL_KNOWN = "viral_hepatitis sla_positive lc1_positive panna_positive other_causes_excluded autoimmune_disease \
family_autoimmunity asc_at_baseline\nnegative no no no yes no no normal"


def known_child(serology: str = SEROLOGY, likelihood: str = "typical", day: int = -3) -> Cohort:
    made = cohort(serology, biopsies=f"patient day aih_likelihood\nA {day} {likelihood}")
    return with_facts(made, WELL_KNOWN)


def test_the_diagnostic_scores_of_one_child() -> None:
    # 2008: titre 2, IgG 1.5 2, typical 2, no virus 2.  ESPGHAN AIH: 2 + 0 + 2 + 2 + 2 + 0 + 0 + 2; ASC: the last −2.
    same(scores(known_child()).iloc[9:], """
        score             version  value  category  items_missing  status
        IAIHG simplified  2008     8      definite  -              evaluable
        ESPGHAN, AIH      2018     10     definite  -              evaluable
        ESPGHAN, ASC      2018     6      no        -              evaluable
    """)  # fmt: skip


@pytest.mark.parametrize("method", ["iif_hep2", "elisa", "blot", "-"])
def test_clinic_rule_9_only_titres_on_rodent_tissue_count(method: str) -> None:
    found = scores(known_child(SEROLOGY.replace("iif_rodent", method)), score="IAIHG simplified")
    assert found["items_missing"].tolist() == ["autoantibodies"]
    assert found["because"].tolist() == ["the total lies between 6 and 8"]
    assert found["value"].isna().all()


@pytest.mark.parametrize(
    ("day", "value"),
    [(-400, 8), (0, 8), (28, 8), (29, 6)],  # 1:80 then; on day -5 it was 1:20, which gives nothing
)
def test_the_highest_titre_up_to_four_weeks_into_treatment_counts(day: int, value: float) -> None:
    weak = SEROLOGY.replace("80     =", "20     =")
    made = known_child(weak + f"    A  {day}  ana  80  =  iif_rodent  -")
    assert scores(made, score="IAIHG simplified")["value"].tolist() == [value]


def test_the_biopsy_before_treatment_counts_else_one_of_the_first_four_weeks() -> None:
    assert scores(known_child(day=28), score="IAIHG simplified")["items_missing"].isna().all()
    assert scores(known_child(day=29), score="IAIHG simplified")["items_missing"].tolist() == ["histology"]
    two = cohort(SEROLOGY, biopsies="patient day aih_likelihood\nA 5 unlikely\nA -300 typical\nA -3 compatible")
    assert scores(with_facts(two, WELL_KNOWN), score="IAIHG simplified")["value"].tolist() == [7]


def test_an_inadequate_biopsy_says_nothing() -> None:
    made = with_facts(known_child(), "adequate\nno", "biopsies")
    assert scores(made, score="IAIHG simplified")["items_missing"].tolist() == ["histology"]


def test_clinic_rule_10_igg_after_immunoglobulin_is_a_missing_item() -> None:
    made = cohort(
        SEROLOGY, treatments="patient drug start stop\nA immunoglobulin -40 -39",
        biopsies="patient day aih_likelihood\nA -3 typical",
    )  # fmt: skip
    assert scores(with_facts(made, WELL_KNOWN), score="IAIHG simplified")["items_missing"].tolist() == ["IgG"]


def test_the_score_after_treatment_needs_a_response_and_says_that_it_is_circular() -> None:
    found = scores(known_child(), score="IAIHG revised, after treatment")
    assert found["because"].tolist() == ["response is not known before treatment"]
    # ALP 1 × ULN over AST 10 × ULN: 2; female 2, IgG 1.5: 2, ANA 1:80: 2, AMA 0, markers 3, drugs 1, alcohol 2,
    # histology 5, no other disease: 19; complete response 2, with a relapse 3
    chemistry = "    A        0    alp      100    =           -           100\n"
    chemistry += "    A        0    ast      400    =           -           40\n"
    normal = "".join(
        f"    A        {day}  {analyte}      10     =           -           40\n"
        for day in (170, 700) for analyte in ("alt", "ast", "igg")
    )  # fmt: skip
    made = cohort(
        SEROLOGY + chemistry + normal, events="patient day kind\nA 600 relapse_diagnosed",
        biopsies="patient day aih_likelihood\nA -3 typical",
    )  # fmt: skip
    made = with_facts(made, WELL_KNOWN + "\n")
    made = with_facts(made, "sex alcohol ama_positive hepatotoxic_drugs\nfemale under_25 no no")
    histology = "interface_hepatitis lymphoplasmacytic rosettes biliary_changes other_changes\nyes yes yes no no"
    made = with_facts(made, histology, "biopsies")
    assert scores(made, 182, "IAIHG revised")["value"].tolist() == [19]
    at_six_months = scores(made, 182, "IAIHG revised, after treatment")
    assert at_six_months["value"].tolist() == [21]
    assert at_six_months["because"].tolist() == [
        "counts the response: never to select patients for an analysis of response"
    ]
    assert scores(made, 730, "IAIHG revised, after treatment")["value"].tolist() == [22]


def test_the_score_of_juvenile_disease_is_for_those_under_18() -> None:
    made = cohort(SEROLOGY, patients=aged(18))
    found = scores(made).set_index("score").loc[["ESPGHAN, AIH", "ESPGHAN, ASC"], "because"]
    assert found.tolist() == ["under 18 years only"] * 2


def test_diagnostic_scores_are_those_at_time_zero_whatever_the_day() -> None:
    made = known_child()
    early, late = scores(made).iloc[9:], scores(made, 365).iloc[9:]
    pd.testing.assert_frame_equal(early, late)


def test_one_row_per_patient_and_score_and_a_value_exactly_where_evaluable() -> None:
    rows = labs(**MELD_23) + "\nB 0 albumin 30\nB 0 bilirubin 30"
    made = cohort(rows, patients="patient birth_date\nA -5000\nB -15000\nC -100")
    for day in (0, 200):
        table = derive_scores(derive_response(made, iaihg()), day=day)
        assert list(table.columns) == list(SCORE_COLUMNS)
        assert not table.duplicated(["patient_id", "score"]).any()
        assert len(table) == 3 * table["score"].nunique() == 3 * 12
        assert ((table["status"] == "evaluable") == table["value"].notna()).all()
        assert (table.loc[table["status"] == "not evaluable", "because"] != "").all()
        versions = {(source.score, source.version) for source in SOURCES.values()}
        assert set(zip(table["score"], table["version"], strict=True)) <= versions


NOBODY = Cohort(pd.DataFrame({"patient_id": pd.Series(dtype="string")}))


@pytest.mark.parametrize(
    "made",
    [
        NOBODY,
        cohort(patients="patient sex\nA female"),
        cohort(patients="patient sex\nA female", steroid=False),
        cohort(labs(**MELD_23), events="patient day kind\nA -9 transplant"),
        cohort("patient day analyte value\nA 3000 ana 80"),
    ],
    ids=["nobody", "no results", "no time zero", "transplanted before", "one titre"],
)
def test_nothing_known_gives_nothing_evaluable(made: Cohort) -> None:
    response = derive_response(made, iaihg())
    for day in (0, 365):
        table = derive_scores(response, day=day)
        assert len(table) == 12 * len(response.patients)
        assert table["value"].isna().all()


def test_a_patients_scores_depend_on_that_patients_rows_alone() -> None:
    rows = labs(**MELD_23, sodium=128) + "\nB 0 albumin 30\nB 0 bilirubin 30\nC 0 ana 80"
    events = "patient day kind grade\nA -4 dialysis -\nB -3 ascites 2"
    who = "patient birth_date\nA -5000\nB -15000\nC -100"
    together = cohort(rows, patients=who, events=events)
    everyone = derive_scores(derive_response(together, iaihg()))
    for patient in "ABC":
        alone = together.select(patient)
        own = derive_scores(derive_response(alone, iaihg()))
        expected = everyone[everyone["patient_id"] == patient].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, expected)


def test_the_birth_date_of_these_tests_makes_a_child_of_ten() -> None:
    assert (DAY_0 - BORN).days // 365 == 10
