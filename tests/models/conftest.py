"""Reference figures and data sets for the tests of the models."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.outcomes import Groups, TimeToEvent

REFERENCE = Path(__file__).parents[1] / "reference"
CLOSED_FORM = 1e-10  # a sum in another order


@pytest.fixture
def assert_close(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Assert |x − ref| <= rtol · max(|ref|, se), missing where the reference is missing."""

    def check(actual, expected, rtol=CLOSED_FORM, *, se=0.0, what=""):
        actual = np.asarray(actual, float)
        reference = np.asarray([np.nan if v is None else v for v in np.ravel(expected)], float).reshape(
            np.shape(expected)
        )
        assert actual.shape == reference.shape, what
        assert (np.isnan(actual) == np.isnan(reference)).all(), f"{what}: {actual} against {reference}"
        scale = np.maximum(np.maximum(np.abs(reference), np.nan_to_num(np.asarray(se, float))), 1e-300)
        known = ~np.isnan(reference)
        difference = np.where(known, np.abs(actual - reference), 0.0)
        worst = float(np.max(np.where(known, difference / scale, 0.0), initial=0.0)) if known.any() else 0.0
        zero = known & (reference == 0)
        worst = float(np.max(difference, initial=0.0)) if zero.all() and known.any() else worst
        record_property("worst", worst)
        near_zero = zero & (difference <= rtol)
        assert ((difference <= rtol * scale) | near_zero | ~known).all(), (
            f"{what}: {actual} against {reference}, {worst:.1e}"
        )

    return check


@pytest.fixture(scope="session")
def r_figures() -> Callable[[str], dict]:
    """Figures written by tests/reference/survival.R."""
    return lambda name: json.loads((REFERENCE / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def reference(shared: Path) -> Callable[[str], dict]:
    """Results of one file of the reference folder by name: ``rule``, ``rtol``, ``values``."""

    def read(name):
        results = json.loads((shared / "reference" / "reference" / f"{name}.json").read_text())["results"]
        return {result["name"]: result for result in results}

    return read


@pytest.fixture(scope="session")
def data_set(shared: Path) -> Callable[[str], pd.DataFrame]:
    """One data set of the reference folder."""
    return lambda name: pd.read_csv(shared / "reference" / "data" / f"{name}.csv")


@pytest.fixture(scope="session")
def royal_free() -> TimeToEvent:
    """Prednisolone against no treatment in chronic active hepatitis: 44 patients, months (Kirk, Gut 1980;21:78)."""
    prednisolone = "2,6,12,54,56+,68,89,96,96,125+,128+,131+,140+,141+,143,145+,146,148+,162+,168,173+,181+"
    control = "2,3,4,7,10,22,28,29,32,37,40,41,54,61,63,71,127+,140+,146+,158+,167+,182+"
    rows = [
        (arm, text)
        for arm, listed in (("prednisolone", prednisolone), ("control", control))
        for text in listed.split(",")
    ]
    frame = pd.DataFrame(rows, columns=["arm", "text"])
    frame["month"], frame["dead"] = frame["text"].str.rstrip("+").astype(int), ~frame["text"].str.endswith("+")
    frame["arm"] = pd.Categorical(frame["arm"], ["control", "prednisolone"])
    return TimeToEvent.from_frame(
        frame,
        exit="month",
        event="dead",
        covariates=["arm"],
        label="death",
        time_unit="months",
        time_zero="entry to the trial",
    )


@pytest.fixture(scope="session")
def late_entry() -> TimeToEvent:
    """60 invented spells with ties, late entry and case weights; 15 patients have two of them."""
    return TimeToEvent.from_frame(
        pd.read_csv(REFERENCE / "late_entry.csv"), entry="start", exit="stop", event="dead", patient_id="id",
        covariates=["arm", "x", "sex", "w"],
    )  # fmt: skip


@pytest.fixture(scope="session")
def responders(data_set) -> pd.DataFrame:
    """pbcseq, bilirubin above 1.2 on day 0; ``tresp`` = first later day at or below 1.2, before the end."""
    visits = data_set("pbcseq").sort_values(["id", "day"])
    first = visits[visits["day"] == 0]
    eligible = first[first["bili"] > 1.2].set_index("id")
    normal = visits[(visits["day"] > 0) & (visits["bili"] <= 1.2) & (visits["day"] < visits["futime"])]
    frame = eligible[["futime", "age"]].assign(bili0=eligible["bili"], dead=(eligible["status"] > 0).astype(int))
    return frame.assign(tresp=normal.groupby("id")["day"].min()).reset_index()


@pytest.fixture(scope="session")
def pbcseq(responders) -> TimeToEvent:
    """Time to death or transplant of those whose bilirubin was raised."""
    return TimeToEvent.from_frame(
        responders,
        exit="futime",
        event="dead",
        patient_id="id",
        covariates=["age", "bili0"],
        label="death or transplant",
    )


@pytest.fixture(scope="session")
def responded_by(responders) -> Callable[[int], Groups]:
    """Groups fixed on a day: responders since their response, all others 'not yet', known on that day."""

    def fix(day):
        early = responders["tresp"] <= day
        label = np.where(early, "responder", "not yet")
        known_at = np.where(early, responders["tresp"], day)
        frame = pd.DataFrame({"patient_id": responders["id"], "label": label, "onset": known_at, "known_at": known_at})
        return Groups(frame, "normal bilirubin", ("not yet", "responder"), analytes=("bilirubin",), landmark=day)

    return fix


@pytest.fixture(scope="session")
def ever_responded(responders) -> Groups:
    """Responders since their response; the others have no label."""
    ever = responders.dropna(subset=["tresp"])
    frame = pd.DataFrame(
        {"patient_id": ever["id"], "label": "responder", "onset": ever["tresp"], "known_at": ever["tresp"]}
    )
    return Groups(frame, "normal bilirubin", ("responder",), analytes=("bilirubin",), irreversible=True)
