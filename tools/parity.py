"""Every figure that a test compares with R or SAS: ours, theirs, the difference, its tolerance, its origin.

The tests of the models are run with a record of each comparison; what they hold and what stands here cannot differ.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, select_autoescape
from proof import ROOT, Proof

PAGE = Path(__file__).with_suffix(".html.jinja")
OUT = ROOT / "reports" / "output" / "parity"
COLUMNS = ("result", "figure", "ours", "theirs", "relative_difference", "tolerance", "origin", "test")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of ours beside theirs; ``difference`` is relative to the larger of it and its standard error."""

    result: str
    figure: str
    ours: float
    theirs: float
    difference: float
    tolerance: float
    origin: str
    test: str

    @property
    def used(self) -> float:
        """The share of the tolerance that the difference takes; infinite where there is no difference to take."""
        return self.difference / self.tolerance if self.tolerance else float(self.difference > 0)


def run_tests(folder: str) -> int:
    """Run the tests of the models with their record written to ``folder``; return pytest's exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "tests/models"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "AIH_PARITY": folder}, check=False).returncode


def read_record(folder: str) -> list[Figure]:
    """Read what every process wrote, in one order whatever process compared what."""
    figures = []
    for path in Path(folder).glob("part-*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                figures.append(Figure(row[0], row[1], *map(float, row[2:6]), *row[6:]))  # type: ignore[arg-type]
    return sorted(figures, key=lambda f: (f.result, f.test, f.figure))


def main(record: str | None) -> int:
    """Compare, unless a run of the tests has written its record already, and write the page."""
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        if record is None:
            code = run_tests(folder)
        figures = read_record(record or folder)
    if not figures:
        print("Nothing was compared: the folder of reference data is absent; set AIH_SHARED to it", file=sys.stderr)
        return 1
    proof = Proof("parity")
    results = []
    for name, own in groupby(figures, key=lambda f: f.result):
        rows = list(own)
        results.append((name, rows, max(rows, key=lambda f: f.used)))
        proof.add(
            f"{name}, {len(rows)} figures, largest difference over its tolerance", results[-1][2].used, "1", "<= 1"
        )
    proof.add("figures compared", len(figures), "figures")
    OUT.mkdir(parents=True, exist_ok=True)
    with (OUT / "parity.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(
            [f.result, f.figure, f.ours, f.theirs, f.difference, f.tolerance, f.origin, f.test] for f in figures
        )
    environment = Environment(autoescape=select_autoescape(default=True, default_for_string=True))
    page = environment.from_string(PAGE.read_text(encoding="utf-8")).render(results=results, n=len(figures))
    (OUT / "index.html").write_text(page, encoding="utf-8", newline="\n")
    print(OUT / "index.html")
    return max(proof.finish(), code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
