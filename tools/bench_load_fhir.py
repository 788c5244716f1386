"""Bench of the FHIR loader: Observations per second on one core, and memory that does not grow with the file.

The NDJSON is invented: 20 % of its results belong to patients with autoimmune hepatitis, as of a hospital that exports
a clinic. Rates count every line, kept or not; a second rate has all of them kept. Memory is measured in a process of
its own for 10⁵ and 10⁶ lines of which the same number is kept.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from aih_outcomes.load.door import make_cohort
from aih_outcomes.load.fhir.assemble import assemble, lay_out
from aih_outcomes.load.fhir.codes import Codebook
from aih_outcomes.load.fhir.collect import collect
from aih_outcomes.load.fhir.people import find_people, read_wanted
from aih_outcomes.load.fhir.store import Store
from aih_outcomes.load.fhir.stream import find_files
from aih_outcomes.load.mapping import Rules

_CODES = (
    ("1742-6", "U/L", "41.20", 40),
    ("1920-8", "U/L", "38", 40),
    ("2465-3", "g/L", "17.3", 16),
    ("777-3", "10*9/L", "212", 400),
)
_PER_PATIENT = 100
_KEPT = 10_000  # results kept in the runs that measure memory
_TIMED, _RUNS = 300_000, 3


def measure_fhir(n_lines: int = 1_000_000) -> list[tuple[str, float, str, str]]:
    """Return name, value, unit and bar of each figure; memory is measured at ``n_lines`` and a tenth of them."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        peaks = []
        for n in (n_lines // 10, n_lines):
            folder = Path(name) / f"lines-{n}"
            write_observations(folder, n, n_kept=min(_KEPT, n // 10))
            peaks.append(_peak(folder))
            rows.append((f"FHIR: peak memory, {n:,} lines, the same rows kept", peaks[-1], "MB", ""))
        rows.append(("FHIR: peak memory, ten times the lines", peaks[1] / peaks[0], "ratio", "<= 1.1"))
        n = min(n_lines, _TIMED)
        for label, share in (("all kept", 1.0), ("1 in 5 kept", 0.2)):
            folder = Path(name) / label
            write_observations(folder, n, n_kept=int(n * share))
            runs = [_time(folder) for _ in range(_RUNS)]
            columns, records, cohort = (n / median(run[step] for run in runs) for step in range(3))
            rows.append((f"FHIR: Observations parsed, filtered, in columns, {label}", columns, "1/s", ">= 100000"))
            rows.append((f"FHIR: the same in canonical units, as records, {label}", records, "1/s", ""))
            rows.append((f"FHIR: the same checked, as a Cohort, {label}", cohort, "1/s", ""))
    return rows


def write_observations(folder: Path, n_lines: int, *, n_kept: int) -> None:
    """Write invented results, those of the cohort first, and their patients and conditions."""
    folder.mkdir(parents=True)
    n_patients = -(-n_lines // _PER_PATIENT)
    n_cohort = max(1, n_kept // _PER_PATIENT)
    with (folder / "Patient.ndjson").open("w") as file:
        for patient in range(n_patients):
            file.write(
                json.dumps(
                    {"resourceType": "Patient", "id": f"p{patient}", "gender": "female", "birthDate": "2001-02-03"}
                )
                + "\n"
            )
    with (folder / "Condition.ndjson").open("w") as file:
        for patient in range(n_cohort):
            code = {"coding": [{"system": "http://snomed.info/sct", "code": "408335007"}]}
            file.write(json.dumps({
                "resourceType": "Condition", "id": f"c{patient}", "code": code,
                "subject": {"reference": f"Patient/p{patient}"}, "onsetDateTime": "2010-01-02",
            }) + "\n")  # fmt: skip
    with (folder / "Observation.ndjson").open("w") as file:
        for line in range(n_lines):
            file.write(_observation(line) + "\n")


def _observation(line: int) -> str:
    """Return a laboratory result as servers write it: two codings of its category and code, range, encounter."""
    code, unit, value, high = _CODES[line % len(_CODES)]
    patient, day = divmod(line, _PER_PATIENT)
    date = f"{2011 + day // 28}-{1 + day % 12:02d}-{1 + day % 28:02d}T08:{line % 60:02d}:00+01:00"
    quantity = f'{{"value":{value},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}}'
    limit = f'{{"value":{high},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}}'
    return (
        f'{{"resourceType":"Observation","id":"o{line}","meta":{{"versionId":"1","lastUpdated":"{date}"}},'
        '"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category",'
        '"code":"laboratory"}]}],'
        f'"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}],"text":"Test"}},'
        f'"subject":{{"reference":"Patient/p{patient}"}},"encounter":{{"reference":"Encounter/e{line // 8}"}},'
        f'"effectiveDateTime":"{date}","issued":"{date}","valueQuantity":{quantity},'
        f'"referenceRange":[{{"high":{limit}}}]}}'
    )


def _time(folder: Path) -> tuple[float, float, float]:
    """Return processor seconds from the start to columns of text, to records and to a Cohort, in one run."""
    began = time.process_time()
    files = find_files(folder)
    codebook = Codebook(Rules())
    found = find_people(files, read_wanted("autoimmune_hepatitis"), codebook)
    store = Store(people=found, codebook=codebook, diagnosis="aih")
    collect(files, store)
    lay_out(store, "labs")
    columns = time.process_time() - began
    records = assemble(store, [name for name, _ in files], Rules())
    read = time.process_time() - began
    make_cohort(records, label="bench")
    return columns, read, time.process_time() - began


def _peak(folder: Path) -> float:
    """Return the peak memory, in MB, of a process that reads a folder."""
    script = "import sys; from bench_load_fhir import peak; from aih_outcomes.load.fhir import read_fhir; " \
             "read_fhir(sys.argv[1]); print(peak())"  # fmt: skip
    command = [sys.executable, "-c", script, str(folder)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent).stdout)


def peak() -> float:
    """Return the most memory that this program held, in MB: on Linux its own, not that of whoever began it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024e-6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1e-6  # macOS counts bytes
