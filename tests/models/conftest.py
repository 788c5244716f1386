"""Reference figures and data sets for the tests of the models, and the record of every figure compared.

With AIH_PARITY naming a folder each comparison is written there, figure by figure (see tools/parity.py).
"""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.outcomes import Groups, TimeToEvent

REFERENCE = Path(__file__).parents[1] / "reference"
CLOSED_FORM = 1e-10  # a sum in another order


class Results(dict):
    """Results of one file of the reference folder; the one asked for last is the origin of what is compared next."""

    def __init__(self, name, results, software):
        super().__init__({result["name"]: result for result in results})
        self.name, self.software = name, software

    def __getitem__(self, key):
        PARITY.origin, PARITY.result = f"{self.name}.json, {self.software}", f"{self.name}: {key}"
        return super().__getitem__(key)


class Parity:
    """Every figure compared in this process: result, figure, ours, theirs, difference, tolerance, origin."""

    def __init__(self):
        self.origin = self.result = ""
        self.rows = []

    def add(self, test, what, actual, reference, scale, rtol):
        for place, (ours, theirs, size) in enumerate(
            zip(actual.ravel(), reference.ravel(), scale.ravel(), strict=True)
        ):
            if not np.isnan(theirs):
                figure = f"{what or 'value'} [{place}]" if actual.size > 1 else what or "value"
                gap = abs(ours - theirs)
                relative = gap / size if theirs or gap > rtol else gap
                self.rows.append([self.result, figure, ours, theirs, relative, rtol, self.origin, test])


PARITY = Parity()


def pytest_sessionfinish():
    folder = os.environ.get("AIH_PARITY")
    if folder and PARITY.rows:
        with open(Path(folder) / f"part-{os.getpid()}.csv", "w", newline="") as file:
            csv.writer(file).writerows(PARITY.rows)


@pytest.fixture
def assert_close(request) -> Callable[..., None]:
    """Assert |x − ref| <= rtol · max(|ref|, se), missing where the reference is missing; ``what`` names the figure."""

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
        if PARITY.result:
            PARITY.add(request.node.name, what, actual, reference, scale, rtol)
        near_zero = known & (reference == 0) & (difference <= rtol)
        worst = np.max(np.where(known & ~near_zero, difference / scale, 0.0), initial=0.0)
        assert ((difference <= rtol * scale) | near_zero | ~known).all(), (
            f"{what}: {actual} against {reference}, {worst:.1e}"
        )

    PARITY.origin = PARITY.result = ""
    return check


@pytest.fixture(scope="session")
def r_figures() -> Callable[[str], dict]:
    """Figures written by the script of that name, or by survival.R, in tests/reference."""

    def read(name):
        figures = json.loads((REFERENCE / f"{name}.json").read_text())
        packages = figures.get("origin", "R survival") if isinstance(figures, dict) else "R survival"
        PARITY.origin, PARITY.result = f"tests/reference/{name}.json, {packages}", name
        return figures

    return read


@pytest.fixture(scope="session")
def reference(shared: Path) -> Callable[[str], dict]:
    """Results of one file of the reference folder by name: ``rule``, ``rtol``, ``values``."""

    def read(name):
        page = json.loads((shared / "reference" / "reference" / f"{name}.json").read_text())
        packages = ", ".join(f"{package} {version}" for package, version in page["software"].items())
        return Results(name, page["results"], packages)

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
