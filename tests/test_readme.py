"""The README is true: its example runs, and its table holds the public names."""

import os
import re
import subprocess
import sys
from pathlib import Path

import aih_outcomes as aih

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_five_line_example_runs_as_printed():
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code is not None
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code[1]], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "hazard ratio" in done.stdout
    assert "risk difference at 5 years" in done.stdout


def test_every_public_name_stands_in_the_table_and_no_other():
    table = README.split("## Public names")[1].split("Each outcome has")[0]
    listed = set(re.findall(r"`(\w+)`", table)) - {"disclose", "save", "case", "groups", "explain"}
    assert listed == set(aih.__all__)


def test_the_pictures_and_files_it_names_are_there():
    for link in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (ROOT / link).exists(), link
    for path in re.findall(r"`((?:reports|data)/[\w./-]+\.(?:toml|csv))`", README):
        assert (ROOT / path).exists() or os.path.basename(path) in ("yours.toml",), path
