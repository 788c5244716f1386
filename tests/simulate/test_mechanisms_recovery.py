"""The recovery's bars: a bias or a coverage beyond them falls short, and noise does not."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
N = 5_000


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch):
    """The module ``tools/survival_study.py``."""
    monkeypatch.syspath_prepend(str(TOOLS))
    return import_module("survival_study")


def judged(study, values: np.ndarray, width: float, target: object) -> dict[str, str]:
    """Return whether the mean and the coverage of normal estimates around 1 hold, by what was judged."""
    found = np.column_stack([values, values - width, values + width])
    proof = study.Proof("test")
    study.judge(proof, study.Study("one", lambda rng: {}, {"figure": target}), {"figure": found})
    return {name.split(": ")[2].split(" ")[0]: ok for name, _, _, _, ok in proof.rows}


def draw(shift: float = 0.0) -> np.ndarray:
    """Estimates with standard error 0.1: equally spaced quantiles of a normal distribution, so that noise is none."""
    from scipy.stats import norm

    return 1 + shift + 0.1 * norm.ppf((np.arange(N) + 0.5) / N)


def test_an_unbiased_estimate_with_right_limits_passes(study) -> None:
    assert judged(study, draw(), 0.196, study.Target(1.0)) == {"mean": "ok", "coverage": "ok"}


@pytest.mark.parametrize(("width", "ok"), [(0.183, "SHORT"), (0.190, "ok"), (0.203, "ok"), (0.212, "SHORT")])
def test_coverage_below_94_or_above_96_percent_falls_short(study, width: float, ok: str) -> None:
    assert judged(study, draw(), width, study.Target(1.0))["coverage"] == ok


@pytest.mark.parametrize(("shift", "ok"), [(0.004, "ok"), (-0.006, "SHORT"), (0.006, "SHORT")])
def test_a_bias_beyond_noise_and_a_twentieth_of_the_standard_error_falls_short(study, shift: float, ok: str) -> None:
    assert judged(study, draw(shift), 0.196, study.Target(1.0))["mean"] == ok


def test_monte_carlo_error_of_the_truth_widens_the_bar(study) -> None:
    assert judged(study, draw(0.008), 0.196, study.Target(1.0, error=0.003))["mean"] == "ok"


def test_an_estimate_that_is_missing_falls_short(study) -> None:
    values = draw()
    values[:3] = np.nan
    assert judged(study, values, 0.196, study.Target(1.0))["not"] == "SHORT"


def test_a_biased_analysis_is_held_to_its_own_limit_only(study) -> None:
    found = judged(study, draw(), 0.196, study.Target(1.0, missed=2.0))
    assert set(found.values()) == {"ok"}
    assert "bias" in found
