"""What changes nothing: the order of rows, other analytes, all dates moved, rows in several files, other units."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.definition import read_definition
from aih_outcomes.endpoints.patients.patient_table import derive_endpoints
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.load import read_tables
from aih_outcomes.schema import TABLES
from aih_outcomes.simulate import simulate_cohort, write_synthetic

DATES = {name: [c.name for c in table.columns if c.kind == "date"] for name, table in TABLES.items()}


@pytest.fixture(scope="module")
def simulated() -> Cohort:
    return simulate_cohort(5, 60)


@pytest.fixture(scope="module")
def endpoints(simulated: Cohort) -> pd.DataFrame:
    return derive(simulated)


def derive(cohort: Cohort) -> pd.DataFrame:
    return derive_endpoints(derive_response(cohort, read_definition("iaihg-2022")))


def rebuilt(cohort: Cohort, **tables: pd.DataFrame) -> Cohort:
    return Cohort(**cohort.tables() | tables)


@settings(derandomize=True, deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_changes_no_endpoint(seed: int, simulated: Cohort, endpoints: pd.DataFrame) -> None:
    rng = np.random.default_rng(seed)
    shuffled = {
        name: table.iloc[rng.permutation(len(table))].reset_index(drop=True)
        for name, table in simulated.tables().items()
    }
    pd.testing.assert_frame_equal(derive(Cohort(**shuffled)), endpoints)


@settings(derandomize=True, deadline=None, max_examples=10)
@given(days=st.integers(-3000, 3000))
def test_moving_all_dates_changes_no_endpoint_but_what_hangs_on_age(
    days: int, simulated: Cohort, endpoints: pd.DataFrame
) -> None:
    shift = pd.Timedelta(days=days)
    moved = {
        name: table.assign(**{column: table[column] + shift for column in DATES[name]})
        for name, table in simulated.tables().items()
    }
    growth = ["height_z_change_12m", "weight_z_change_12m"]  # months of an age are those of the calendar
    pd.testing.assert_frame_equal(derive(Cohort(**moved)).drop(columns=growth), endpoints.drop(columns=growth))


def test_visits_of_other_analytes_change_no_endpoint(simulated: Cohort, endpoints: pd.DataFrame) -> None:
    zero = simulated.treatments.groupby("patient_id")["start"].min()
    extra = pd.DataFrame(
        {"patient_id": zero.index.repeat(3), "date": np.repeat(zero.to_numpy(), 3), "analyte": "ggt", "value": 40.0}
    )
    extra["date"] += pd.to_timedelta(np.tile([20, 100, 160], len(zero)), unit="D")
    extra = extra.assign(comparator="=", uln_source="none")
    labs = pd.concat([simulated.labs, extra], ignore_index=True)
    died = simulated.events[simulated.events["kind"] == "death"].groupby("patient_id")["date"].min()
    labs = labs[~(labs["date"] > labs["patient_id"].map(died))].reset_index(drop=True)
    pd.testing.assert_frame_equal(derive(rebuilt(simulated, labs=labs)), endpoints)


def test_rows_split_between_files_and_other_units_change_no_endpoint(tmp_path: Path) -> None:
    write_synthetic(tmp_path, n_patients=25)
    labs = pd.read_csv(tmp_path / "labs.csv", dtype="string", keep_default_na=False)
    labs["value"] = labs["comparator"].where(labs["comparator"] != "=", "") + labs["value"]
    enzymes = labs["analyte"].isin(["alt", "ast"]) & (labs["comparator"] == "=")
    in_ukat = labs[enzymes].assign(unit="ukat/L")
    for column in ("value", "uln"):
        in_ukat[column] = [repr(float(text) / 60) if text else "" for text in labs.loc[enzymes, column]]
    parts = {"labs_1.csv": labs[~enzymes].iloc[::2], "labs_2.csv": labs[~enzymes].iloc[1::2], "labs_3.csv": in_ukat}
    for file, part in {"labs_all.csv": labs, **parts}.items():
        part.to_csv(tmp_path / file, index=False)
    columns = ["patient_id", "date", "analyte", "value", "unit", "uln", "visit"]

    def read(*files: str) -> Cohort:
        blocks = [_block("labs", file, columns) for file in files]
        for name in TABLES:
            if name != "labs":
                has = pd.read_csv(tmp_path / f"{name}.csv", nrows=0).columns
                unit = ['columns.dose_unit = { constant = "mg/day" }'] if name == "treatments" else []
                blocks += [_block(name, f"{name}.csv", [c for c in has if not c.startswith("raw_")]), *unit]
        mapping = tmp_path / "mapping.toml"
        mapping.write_text("\n".join(blocks), encoding="utf-8")
        return read_tables(tmp_path, mapping)

    one, other = read("labs_all.csv"), read(*parts)
    assert len(one.labs) == len(other.labs) == len(labs)
    pd.testing.assert_frame_equal(derive(one), derive(other))


def _block(table: str, file: str, columns: list[str]) -> str:
    return "\n".join([f"[[{table}]]", f'file = "{file}"', *(f'columns.{name} = "{name}"' for name in columns)])
