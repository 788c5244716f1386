"""The endpoint manual: written from the tests, with enough cases for a clinician to check each rule by eye."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def manual() -> dict[str, object]:
    return runpy.run_path(str(ROOT / "tools" / "manual.py"))


def test_the_manual_holds_at_least_150_cases(manual):
    chapters = manual["read_chapters"]()
    cases = sum(example.n_cases for chapter in chapters for example in chapter.examples)
    assert cases >= 150


def test_each_statistics_rule_from_1_to_14_has_a_test_named_after_it():
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    missing = [rule for rule in range(1, 15) if f"statistics_rule_{rule}_" not in text]
    assert not missing


def test_the_manual_shows_every_preset_and_a_case_as_the_test_has_it(manual):
    page = manual["render"](manual["read_chapters"]())
    for title in ("IAIHG 2022", "CAMARO 2024", "ESPGHAN 2018 (strict titres)", "ESPGHAN 2018 (lenient titres)"):
        assert title in page
    assert "Confirmed response is dated at the first and known at the confirming evaluation" in page
    assert "<td>lkm_10</td>" in page
