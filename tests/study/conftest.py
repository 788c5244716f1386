"""A small study: a simulated cohort in files, and its plan."""

from pathlib import Path

import pytest

from aih_outcomes.simulate import COMPOSITE_CHILD, write_synthetic

PLAN = f"""
title = "A small study"
notebooks = ["01_cohort"]
disclosure = "lt5"
[data]
folder = "../../data"
label = "120 invented children"
synthetic = true
[cohort]
exclude = ["de_novo_aih", "giant_cell_hepatitis_aiha", "drug_induced_aih_like", "other_liver_disease"]
[survival]
landmark_days = [182]
covariates = ["age"]
[consent]
patient_id = "{COMPOSITE_CHILD}"
form = "none needed: invented"
covers = ["case_report"]
"""


@pytest.fixture(scope="session")
def plan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("study")
    write_synthetic(root / "data", seed=3, n_patients=120)
    (root / "reports" / "plans").mkdir(parents=True)
    path = root / "reports" / "plans" / "small.toml"
    path.write_text(PLAN, encoding="utf-8")
    return path
