"""The simulated cohort: the same bytes, valid for any seed, printed as laboratories print, honest about its child."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.catalogue import read_drugs, read_gene_matches
from aih_outcomes.cohort import Cohort, check_follow_up
from aih_outcomes.errors import DataError
from aih_outcomes.schema import TABLES, conform
from aih_outcomes.simulate import COMPOSITE_CHILD, simulate_cohort, write_synthetic
from aih_outcomes.simulate.export import SEED, as_text
from aih_outcomes.units import canonical_units, compute_factors, parse_results

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "data" / "synthetic"


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return simulate_cohort(11, 150)


@pytest.fixture(scope="module")
def child() -> Cohort:
    return simulate_cohort(SEED, 2).select(COMPOSITE_CHILD)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    write_synthetic(folder)
    return folder


def texts_of(cohort: Cohort) -> str:
    return "".join(as_text(table, name).to_csv(index=False) for name, table in cohort.tables().items())


def digest_in_new_process(**environment: str) -> str:
    code = (
        "import hashlib\n"
        "from aih_outcomes.simulate import simulate_cohort\n"
        "from aih_outcomes.simulate.export import as_text\n"
        "tables = simulate_cohort(11, 40).tables()\n"
        "text = ''.join(as_text(table, name).to_csv(index=False) for name, table in tables.items())\n"
        "print(hashlib.sha256(text.encode()).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_same_seed_gives_the_same_bytes_in_another_process_with_other_hashes_and_time_zone() -> None:
    here = hashlib.sha256(texts_of(simulate_cohort(11, 40)).encode()).hexdigest()
    assert digest_in_new_process(PYTHONHASHSEED="77", TZ="Pacific/Kiritimati") == here


def test_another_seed_gives_another_cohort() -> None:
    assert texts_of(simulate_cohort(11, 20)) != texts_of(simulate_cohort(12, 20))


@pytest.mark.parametrize("seed", range(8))
def test_every_seed_gives_a_valid_cohort_without_overlaps(seed: int) -> None:
    checks = check_follow_up(simulate_cohort(seed, 60)).set_index("check")["n_rows"]
    worth_a_look = [name for name in checks.index if "without any result" in name]  # long gaps, a child never sampled
    assert checks.drop(worth_a_look).sum() == 0


@pytest.mark.parametrize("n", [1, 2, 3, 7])
@pytest.mark.parametrize("child", ["added", "left out"])
def test_small_cohorts_have_the_number_of_patients_asked_for(n: int, child: str) -> None:
    cohort = simulate_cohort(5, n, composite_child=child)
    assert cohort.n_patients == n
    assert (COMPOSITE_CHILD in set(cohort.patients["patient_id"])) == (child == "added")


def test_no_patient_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="0 patients"):
        simulate_cohort(1, 0)


@pytest.mark.parametrize(
    ("switch", "n"),
    [
        ({"response_effect": "none"}, 150),
        ({"targeted_effect": "none"}, 400),
        ({"hazard": "high"}, 100),
        ({"severity": "off"}, 100),
        ({"igg_missing": "mar"}, 50),
        ({"igg_missing": "mnar"}, 50),
    ],
)
def test_every_switch_gives_a_valid_and_other_cohort(switch: dict[str, str], n: int) -> None:
    assert texts_of(simulate_cohort(3, n, **switch)) != texts_of(simulate_cohort(3, n))


def test_every_result_converts_back_to_its_canonical_value(cohort: Cohort) -> None:
    labs = cohort.labs
    parsed = parse_results(labs["raw_value"])
    factor = compute_factors(labs["analyte"], labs["raw_unit"])
    np.testing.assert_array_equal(parsed["number"] * factor, labs["value"])
    assert (parsed["comparator"] == labs["comparator"]).all()
    assert (labs["unit"] == labs["analyte"].map(canonical_units())).all()
    assert set(labs.loc[labs["analyte"] == "alt", "raw_unit"]) == {"U/L", "IU/L", "ukat/L", "UI/L"}


def test_igg_limits_follow_age(cohort: Cohort) -> None:
    assert cohort.labs.loc[cohort.labs["analyte"] == "igg", "uln"].between(10.9, 16.1).all()
    assert cohort.labs.loc[cohort.labs["analyte"] == "igg", "uln"].nunique() > 1


def test_every_row_is_accounted_for(cohort: Cohort) -> None:
    report = cohort.load_report.set_index("table")
    assert (report["n_read"] == report["n_kept"]).all()
    assert {name: len(table) for name, table in cohort.tables().items()} == report["n_kept"].to_dict()


def test_some_patients_cannot_be_evaluated_and_some_are_to_be_excluded() -> None:
    cohort = simulate_cohort(SEED, 350)
    assert cohort.patients["diagnosis"].nunique() == 4
    early = (
        cohort.labs["patient_id"].map(cohort.patients.set_index("patient_id")["first_seen_date"]) > cohort.labs["date"]
    )
    assert early.any()
    referred = cohort.patients["first_seen_date"] > cohort.patients["diagnosis_date"]
    first = cohort.labs.groupby("patient_id")["date"].min()
    seen = cohort.patients.set_index("patient_id")["first_seen_date"]
    assert (first.reindex(seen.index) >= seen)[referred.to_numpy()].any()


def test_advanced_drugs_carry_no_dose(cohort: Cohort) -> None:
    advanced = cohort.treatments["drug"].isin(["baricitinib", "ruxolitinib", "tocilizumab", "abatacept", "sirolimus",
                                               "infliximab", "rituximab", "adalimumab"])  # fmt: skip
    assert advanced.any()
    assert cohort.treatments.loc[advanced, ["dose", "raw_dose", "raw_dose_unit"]].isna().all(axis=None)


def test_matched_drugs_follow_a_gene_result_that_the_catalogue_matches() -> None:
    cohort = simulate_cohort(SEED, 350)
    matched = cohort.treatments[
        cohort.treatments["drug"].isin(["ruxolitinib", "tocilizumab", "abatacept", "sirolimus"])
    ]
    result = cohort.variants[cohort.variants["acmg_class"] >= 4].set_index("patient_id")
    assert len(matched) >= 3
    assert (matched["start"] >= matched["patient_id"].map(result["date"])).all()
    classes = read_drugs().set_index("drug")["drug_class"]
    offered = read_gene_matches().groupby("gene")["drug_class"].agg(set)
    for patient, drug in zip(matched["patient_id"], matched["drug"], strict=True):
        assert classes[drug] in offered[result.loc[patient, "gene"]]


def test_steroid_falls_from_at_most_60_mg_and_2_mg_per_kg(cohort: Cohort) -> None:
    steroid = cohort.treatments[cohort.treatments["drug"] == "prednisolone"]
    assert steroid["dose"].between(1, 60).all()
    first = steroid.sort_values("start").groupby("patient_id")["dose"].first()
    later = steroid[steroid["start"] > steroid["patient_id"].map(steroid.groupby("patient_id")["start"].min())]
    assert first.median() > 3 * later["dose"].median()


def test_no_result_of_the_native_liver_is_dated_after_death() -> None:
    cohort = simulate_cohort(21, 300, hazard="high")
    died = cohort.events[cohort.events["kind"] == "death"].set_index("patient_id")["date"]
    assert len(died) > 5
    for name in ("labs", "measurements", "biopsies", "imaging", "adverse_events"):
        table = getattr(cohort, name)
        assert not (table["date"] > table["patient_id"].map(died)).any()


class TestCompositeChild:
    def test_is_not_the_published_child(self, child: Cohort) -> None:
        row = child.patients.iloc[0]
        assert row["age_at_diagnosis"] > 4  # the published child was 21 months old
        assert row["aih_type"] == "type_2"
        assert row["sex"] == "unknown"
        assert pd.isna(row["centre"])
        assert pd.isna(row["birth_date"])

    def test_has_a_variant_without_its_name(self, child: Cohort) -> None:
        row = child.variants.iloc[0]
        assert (row["gene"], row["mechanism"]) == ("STAT1", "gain_of_function")
        assert pd.isna(row["hgvs"])

    def test_takes_the_matched_drug_without_a_dose(self, child: Cohort) -> None:
        row = child.treatments[child.treatments["drug"] == "baricitinib"].iloc[0]
        assert row[["dose", "raw_dose", "raw_dose_unit"]].isna().all()

    def test_gene_result_comes_before_the_matched_drug_and_after_three_relapses(self, child: Cohort) -> None:
        start = child.treatments.loc[child.treatments["drug"] == "baricitinib", "start"].iloc[0]
        assert child.variants["date"].iloc[0] < start
        assert (child.events["kind"].eq("relapse_diagnosed") & (child.events["date"] < start)).sum() == 3

    def test_alt_and_steroid_fall_together_after_the_switch(self, child: Cohort) -> None:
        start = child.treatments.loc[child.treatments["drug"] == "baricitinib", "start"].iloc[0]
        alt = child.labs[child.labs["analyte"] == "alt"]
        assert alt.loc[alt["date"] > start + pd.Timedelta(days=180), "value"].max() < 40
        steroid = child.treatments[child.treatments["drug"] == "prednisolone"].sort_values("start")
        assert steroid.loc[steroid["start"] >= start, "dose"].is_monotonic_decreasing
        assert steroid["stop"].max() < start + pd.Timedelta(days=300)


class TestFiles:
    def test_committed_files_are_those_of_the_seed(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            assert path.read_bytes() == (COMMITTED / path.name).read_bytes(), path.name

    def test_hold_all_tables_the_dictionary_and_a_readme_but_no_truth(self, folder: Path) -> None:
        expected = {f"{name}.csv" for name in TABLES} | {"data_dictionary.csv", "README.md"}
        assert {path.name for path in folder.iterdir()} == expected

    def test_stay_below_five_megabytes(self, folder: Path) -> None:
        assert sum(path.stat().st_size for path in folder.iterdir()) < 5_000_000

    def test_read_back_as_the_same_cohort(self, folder: Path) -> None:
        cohort = simulate_cohort(SEED)
        for name, table in cohort.tables().items():
            text = pd.read_csv(folder / f"{name}.csv", dtype="string", keep_default_na=False, na_values=[""])
            assert list(text.columns) == [c for c in TABLES[name].column_names() if not c.startswith("source_")]
            for column in TABLES[name].columns:
                if column.kind == "yes_no":
                    text[column.name] = text[column.name].map({"yes": True, "no": False})
                if column.kind in ("number", "integer") and column.name in text:
                    text[column.name] = text[column.name].astype("Float64").astype("float64")
            pd.testing.assert_frame_equal(conform(text, name), table)
