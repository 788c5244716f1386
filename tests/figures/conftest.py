"""Frames as the models give them: 350 invented children over ten years."""

import numpy as np
import pandas as pd
import pytest

GROUPS = (("Responder", 221, 0.008), ("Insufficient response", 86, 0.04), ("Targeted therapy", 9, 0.03))


def survival_of(groups: tuple[tuple[str, int, float], ...], *, late: bool = False) -> pd.DataFrame:
    """A Kaplan-Meier frame in years, with or without late entry."""
    rng = np.random.default_rng(3)
    frames = []
    for name, n, hazard in groups:
        event_at, censored_at = rng.exponential(1 / hazard, n), rng.uniform(1, 11, n)
        entry = rng.uniform(0, 0.9, n) if late else np.zeros(n)
        exit_at = np.maximum(np.minimum(event_at, censored_at), entry + 0.01)
        event = event_at <= censored_at
        time = np.unique(exit_at)
        n_risk = np.array([((entry < t) & (t <= exit_at)).sum() for t in time])
        n_event = np.array([(event & (exit_at == t)).sum() for t in time])
        estimate = np.cumprod(1 - n_event / n_risk)
        frames.append(
            pd.DataFrame(
                {
                    "label": "native-liver survival",
                    "strata": name,
                    "time": time,
                    "n_risk": n_risk,
                    "n_event": n_event,
                    "n_censor": [((~event) & (exit_at == t)).sum() for t in time],
                    "estimate": estimate,
                    "std_error": 0.02,
                    "conf_low": np.clip(estimate - 0.05, 0, 1),
                    "conf_high": np.clip(estimate + 0.04, 0, 1),
                }
            )
        )
    frame = pd.concat(frames, ignore_index=True).astype({"n_risk": "Int64", "n_event": "Int64", "n_censor": "Int64"})
    frame.attrs = {"time_unit": "years", "time_zero": "month 6"}
    return frame


@pytest.fixture
def survival() -> pd.DataFrame:
    return survival_of(GROUPS)


@pytest.fixture
def late_survival() -> pd.DataFrame:
    return survival_of(GROUPS, late=True)


@pytest.fixture
def forest() -> pd.DataFrame:
    rows = [
        ("All children", "landmark at month 6", "responder", 307, 26, 0.27, 0.15, 0.48, False),
        ("Type 2", "landmark at month 6", "responder", 86, 9, 0.22, 0.03, 0.88, False),
        ("Gene-matched", "status changes with time", "targeted", 31, 3, 0.4, 0.1, 3.0, False),
        ("All children", "comparison from day 0", "responder", 350, 44, 0.12, 0.07, 0.21, True),
    ]
    columns = ["label", "design", "term", "n", "n_event", "estimate", "conf_low", "conf_high", "biased"]
    return pd.DataFrame(rows, columns=columns).astype({"n": "Int64", "n_event": "Int64"})


@pytest.fixture
def flows() -> pd.DataFrame:
    rows = [
        ("Start", "All patients", "4 weeks", "≥ 50 % fall", 232),
        ("Start", "All patients", "4 weeks", "Non-response", 43),
        ("Start", "All patients", "4 weeks", "Not evaluable", 75),
        ("4 weeks", "≥ 50 % fall", "6 months", "Responder", 190),
        ("4 weeks", "≥ 50 % fall", "6 months", "Not evaluable", 42),
        ("4 weeks", "Non-response", "6 months", "Responder", 3),
        ("4 weeks", "Non-response", "6 months", "Insufficient response", 40),
        ("4 weeks", "Not evaluable", "6 months", "Responder", 30),
        ("4 weeks", "Not evaluable", "6 months", "Insufficient response", 25),
        ("4 weeks", "Not evaluable", "6 months", "Not evaluable", 20),
    ]
    frame = pd.DataFrame(rows, columns=["time", "state", "next_time", "next_state", "n"]).astype({"n": "Int64"})
    frame["n_state"] = frame.groupby(["time", "state"])["n"].transform("sum")
    frame["n_next_state"] = frame.groupby(["next_time", "next_state"])["n"].transform("sum")
    return frame


@pytest.fixture
def trajectories() -> pd.DataFrame:
    rows = []
    for name, n, plateau, half_life in (("Responder", 221, 0.7, 14), ("Targeted therapy", 12, 1.1, 60)):
        for place, day in enumerate((0, 14, 28, 91, 182, 365)):
            median = plateau + (17 - plateau) * 2 ** (-day / half_life)
            rows.append((name, day, n - 2 * place, median, 0.6 * median, 1.7 * median))
    frame = pd.DataFrame(rows, columns=["strata", "time", "n", "estimate", "conf_low", "conf_high"])
    frame.attrs = {"time_zero": "first dose"}
    return frame.astype({"n": "Int64"})


@pytest.fixture
def exclusions() -> pd.DataFrame:
    rows = [
        ("Suspected autoimmune liver disease", "", 412),
        ("", "Other diagnosis", 38),
        ("", "De novo after transplant", 3),
        ("Autoimmune hepatitis", "", 371),
        ("", "No follow-up", 21),
        ("Followed", "", 350),
    ]
    return pd.DataFrame(rows, columns=["step", "reason", "n"]).astype({"n": "Int64"})


@pytest.fixture
def course() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """One invented child: values with a gap, doses, drugs and events."""
    days = np.array([0, 14, 28, 56, 91, 182, 210, 500, 530, 560, 700])
    labs = pd.concat(
        [
            pd.DataFrame({"time": days, "analyte": "ALT", "value": np.geomspace(22, 0.6, len(days))}),
            pd.DataFrame({"time": days, "analyte": "AST", "value": np.geomspace(25, 0.7, len(days))}),
            pd.DataFrame({"time": days[::3], "analyte": "IgG", "value": np.geomspace(1.9, 0.9, len(days[::3]))}),
        ]
    )
    treatments = pd.DataFrame(
        [
            ("prednisolone", 0, 28, 2.0),
            ("prednisolone", 28, 560, 0.4),
            ("azathioprine", 30, 210, np.nan),
            ("JAK inhibitor", 520, np.nan, np.nan),
        ],
        columns=["drug", "start", "stop", "mg_per_kg"],
    ).assign(matched=[False, False, False, True])
    events = pd.DataFrame(
        [
            (3, "biopsy", "biopsy"),
            (182, "event", "relapse"),
            (200, "event", "azathioprine stopped"),
            (480, "gene", "gene result"),
            (520, "event", "matched drug"),
        ],
        columns=["time", "kind", "words"],
    )
    return labs, treatments, events
