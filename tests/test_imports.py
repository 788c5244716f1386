"""The rooms keep to the contracts in pyproject.toml, and the contracts see a breach."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def lint_imports(project: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts on the sources in ``project``, whatever is installed."""
    return subprocess.run(
        [LINT_IMPORTS, "--config", "pyproject.toml", "--no-cache"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_are_kept() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("room", "statement", "contract"),
    [
        ("models", "import aih_outcomes.endpoints", "statistics and drawing know no disease"),
        ("errors.py", "import aih_outcomes.cohort", "rooms stand in layers"),
        ("tables", "import matplotlib.pyplot", "only figures draw"),
        ("endpoints", "import statsmodels.api", "only models compute statistics"),
        ("models", "import lifelines", "lifelines is the tests' second opinion"),
    ],
)
def test_a_planted_breach_is_caught(copy: Path, room: str, statement: str, contract: str) -> None:
    path = copy / "src" / "aih_outcomes" / room
    path = path / "planted.py" if path.is_dir() else path
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{statement}\n")
    result = lint_imports(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    broken = [line for line in result.stdout.splitlines() if line.rstrip().endswith("BROKEN")]
    assert any(contract in line for line in broken), result.stdout


def test_a_room_without_a_place_in_the_layers_is_caught(copy: Path) -> None:
    (copy / "src" / "aih_outcomes" / "attic.py").touch()
    assert "attic" in lint_imports(copy).stdout
