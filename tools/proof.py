"""What a proof target measured: one row per figure, printed and written, and a bar that no one moves."""

from __future__ import annotations

import csv
import operator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_HOLDS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}


class Proof:
    """Figures of one target, in the order in which they were measured."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.rows: list[tuple[str, str, str, str, str]] = []

    def add(self, name: str, value: float, unit: str, bar: str = "") -> None:
        """Record a figure and print it; ``bar`` is e.g. ``<= 0.1``, empty for a figure that is only told."""
        ok = "ok"
        if bar:
            sign, limit = bar.split()
            ok = "ok" if _HOLDS[sign](value, float(limit)) else "SHORT"
        self.rows.append((name, f"{value:.6g}", unit, bar, ok))
        print("  ".join(self.rows[-1]), flush=True)

    def finish(self) -> int:
        """Write the rows to ``reports/output/proof`` and return the exit code: 1 where a figure falls short."""
        path = ROOT / "reports" / "output" / "proof" / f"{self.target}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["name", "value", "unit", "bar", "ok"])
            writer.writerows(self.rows)
        return int(any(row[-1] == "SHORT" for row in self.rows))
