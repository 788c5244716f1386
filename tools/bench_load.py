"""How fast sources are read: an OMOP database of a million persons, FHIR lines, and a REDCap project of 350 patients.

The OMOP database is invented: 20 results a person, one person in fifty with autoimmune hepatitis, whose rows lie
between those of the others. What it is held against is the engine's own scan of the same columns of the same persons,
measured in the same run, and 5 µs for each row that is kept: to fetch it, convert it, check it and put it into a
cohort. A smaller database is read before, so that what is read once per process (catalogue, engine) does not count.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import duckdb
from bench_load_fhir import measure_fhir
from proof import Proof
from stopwatch import time_call

from aih_outcomes.load.omop import read_omop
from aih_outcomes.load.redcap import read_redcap
from aih_outcomes.simulate.exports.printed import print_cohort
from aih_outcomes.simulate.exports.redcap import export_redcap
from aih_outcomes.simulate.exports.tables import SEED
from aih_outcomes.simulate.synthetic import simulate_cohort

N_LARGE, EACH, ONE_IN = 1_000_000, 20, 50
MICROSECONDS_PER_ROW, MOST_MEMORY, SMALL = 5.0, 2.0, 350
# Concepts of ALT, AST, bilirubin, IgG and albumin; their units' concepts and spellings; spread and upper limit.
RESULTS = (
    (3006923, 8645, "U/L", 900, 0, 40.0), (3013721, 8645, "U/L", 700, 0, 40.0), (3024128, 8749, "umol/L", 80, 0, 21.0),
    (3005719, 8636, "g/L", 300, 1, 16.0), (3024561, 8636, "g/L", 30, 0, 50.0),
)  # fmt: skip
_KIND = ("concept", "unit", "written", "spread", "digits", "uln")
SETTINGS = {"threads": 2, "memory_limit": "1GB"}
SCAN = """
    SELECT count(*), min(measurement_id), max(measurement_concept_id), max(measurement_date), max(operator_concept_id),
           sum(value_as_number), max(unit_concept_id), sum(range_high), max(unit_source_value), max(value_source_value)
    FROM measurement WHERE person_id IN (SELECT person_id FROM condition_occurrence WHERE condition_concept_id = 200762)
"""


def draw_database(path: Path, n_persons: int) -> None:
    """Write an invented database with SQL of the engine."""
    n = n_persons
    kinds = {name: _choose(n, [row[place] for row in RESULTS]) for place, name in enumerate(_KIND)}
    value = f"round(10 + hash(i) % {kinds['spread']} / pow(10, {kinds['digits']}), {kinds['digits']})"
    with duckdb.connect(path, config=SETTINGS) as base:
        base.execute(f"""
            CREATE TABLE person AS SELECT i AS person_id, if(i % 4 = 0, 8507, 8532) AS gender_concept_id,
                1995 + i % 15 AS year_of_birth, 1 + i % 12 AS month_of_birth, 1 + i % 28 AS day_of_birth,
                'P' || i AS person_source_value FROM range({n}) AS t(i);
            CREATE TABLE condition_occurrence AS SELECT i AS condition_occurrence_id, i AS person_id,
                if(i % {ONE_IN} = 0, 200762, 4000000 + i % 1000) AS condition_concept_id,
                DATE '2012-01-01' + (i % 300)::INTEGER AS condition_start_date FROM range({n}) AS t(i);
            CREATE TABLE observation_period AS SELECT i AS observation_period_id, i AS person_id,
                DATE '2012-01-01' AS observation_period_start_date, DATE '2024-12-31' AS observation_period_end_date
                FROM range({n}) AS t(i);
            CREATE TABLE measurement AS SELECT i AS measurement_id, i % {n} AS person_id,
                {kinds["concept"]} AS measurement_concept_id,
                DATE '2012-06-01' + (i // {n} * 60 + i % 59)::INTEGER AS measurement_date, 0 AS operator_concept_id,
                {value} AS value_as_number, {kinds["unit"]} AS unit_concept_id, {kinds["uln"]}::DOUBLE AS range_high,
                {kinds["written"]} AS unit_source_value, {value}::VARCHAR AS value_source_value
            FROM range({n * EACH}) AS t(i)""")


def _choose(n_persons: int, options: list[object]) -> str:
    """Return the SQL that picks one of the options by the number of a person's result."""
    cases = " ".join(f"WHEN {place} THEN {option!r}" for place, option in enumerate(options))
    return f"(CASE (i // {n_persons}) % {len(options)} {cases} END)"


def read_database(path: Path, small: Path) -> tuple[float, float, int, float]:
    """Return seconds of the engine's scan and of reading, rows kept, and the most memory this process held (GB)."""
    with duckdb.connect(path, read_only=True, config=SETTINGS) as base:
        scan = time_call(lambda: base.execute(SCAN).fetchall(), 3)
    read_omop(small)
    spent = time_call(lambda: read_omop(path), 3)
    n_kept = sum(len(table) for table in read_omop(path).tables().values())
    return scan, spent, n_kept, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def measure_omop(proof: Proof, folder: Path, n_persons: int) -> None:
    """Read an invented database in a process of its own, so that its memory is its own."""
    path, small = folder / "cdm.duckdb", folder / "small.duckdb"
    context = get_context("spawn")
    for target, n in ((path, n_persons), (small, SMALL)):
        with ProcessPoolExecutor(1, mp_context=context) as pool:  # its peak must not be that of the one that reads
            pool.submit(draw_database, target, n).result()
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        scan, spent, n_kept, memory = pool.submit(read_database, path, small).result()
    name = f"OMOP, {n_persons * EACH:,} results of {n_persons:,} persons, {n_kept:,} rows kept"
    proof.add(f"{name}: the engine's scan of the cohort's rows, 9 columns", scan, "s")
    whole = n_persons == N_LARGE
    bar = scan + MICROSECONDS_PER_ROW * n_kept / 1e6
    proof.add(f"{name}: reading into a cohort", spent, "s", f"<= {bar:.3f}" if whole else "")
    proof.add(f"{name}: beyond the scan, per row kept", (spent - scan) / n_kept * 1e6, "µs",
              f"<= {MICROSECONDS_PER_ROW}" if whole else "")  # fmt: skip
    proof.add(f"{name}: memory", memory, "GB", f"< {MOST_MEMORY}")


def measure_redcap(proof: Proof, folder: Path) -> None:
    """Read a project of 350 patients, exported once."""
    export_redcap(print_cohort(simulate_cohort(SEED, SMALL)), folder)
    proof.add(f"REDCap, {SMALL} patients", time_call(lambda: read_redcap(folder), 5), "s", "< 1")


def main(n_persons: int) -> int:
    """Measure and record."""
    proof = Proof("bench-load")
    with tempfile.TemporaryDirectory() as folder:
        measure_redcap(proof, Path(folder))
    for row in measure_fhir(n_persons):
        proof.add(*row)
    with tempfile.TemporaryDirectory() as folder:
        measure_omop(proof, Path(folder), n_persons)
    return proof.finish()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else N_LARGE))
