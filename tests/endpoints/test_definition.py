"""Response criteria from files: the shipped ones, a user's own, and files that cannot be used."""

import re
from pathlib import Path

import pytest

from aih_outcomes.endpoints.definition import definitions, read_definition
from aih_outcomes.endpoints.groups import attained_or_insufficient
from aih_outcomes.endpoints.response import derive_response
from aih_outcomes.endpoints.states import derive_response_status, derive_states
from aih_outcomes.errors import PlanError
from tests.endpoints.tables import cohort, same

OWN = """
name = "bilirubin"
version = "1"
title = "Bilirubin normal"
reference = "Our protocol, page 4"

[response]
term = "Normal bilirubin"
short = "NB"
criteria = [{ analyte = "bilirubin", at_most = 1.2, unit = "mg/dL" }]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_criteria_say_in_words_what_they_ask_and_how_sure_they_are() -> None:
    assert "iaihg-2022" in definitions()
    words = read_definition("iaihg-2022").describe()
    assert "ALT ≤ 1 × ULN and AST ≤ 1 × ULN and IgG ≤ 1 × ULN, drawn within 14 days of each other" in words
    assert "by 6 months = any day 1–182, at 6 months = days 150–182 (tolerant 121–240)" in words
    assert "fall from baseline of less than 50 % in any of ALT and AST on days 21–28" in words
    assert "Baseline: last value on days -14 to 0, else -30 to -15 (flagged)." in words
    assert "IgG is not interpreted during and for 122 days after immunoglobulin." in words
    assert "remembered from the full text" in words


def test_a_users_own_criteria_work_like_shipped_ones(tmp_path: Path) -> None:
    own = read_definition(write(tmp_path, OWN))
    made = cohort("""
        patient day analyte value uln
        at_limit 170 bilirubin 20.5248 -
        above 170 bilirubin 20.6 -
        below 90 bilirubin 5 -
        unseen 20 bilirubin 50 -
    """)
    response = derive_response(made, own)
    same(response.status_by(182), """
        patient   status         known_at
        above     not met        182
        at_limit  met            170
        below     met            90
        unseen    not evaluable  182
    """)  # fmt: skip
    assert attained_or_insufficient(response, 182).analytes == ("bilirubin",)
    assert "bilirubin ≤ 1.2 mg/dL; by 6 months" in own.describe()
    assert "Confidence: user." in own.describe()
    assert "bilirubin 20.52 (day 170, row 1)" in response.explain("at_limit")
    assert "4 weeks" not in set(derive_states(made, response)["time"])
    statuses = derive_response_status(made, response)
    assert statuses["status"].equals(statuses["status_transaminases"])  # no IgG among the criteria
    assert list(dict.fromkeys(statuses["endpoint"]))[:2] == ["NB by 6 months", "NB at 6 months"]


def test_windows_of_own_criteria_name_their_month(tmp_path: Path) -> None:
    windows = "\n[windows]\nby = [1, 91]\nat = [71, 91]\nat_tolerant = [60, 120]\njudged_from = 60\n"
    own = read_definition(write(tmp_path, OWN + windows))
    response = derive_response(cohort("patient day analyte value\nA 80 bilirubin 50"), own)
    assert "NB by 3 months" in set(
        derive_response_status(cohort("patient day analyte value\nA 80 bilirubin 50"), response)["endpoint"]
    )
    assert "by 3 months = any day 1–91" in own.describe()


BAD = {
    "an unknown key": (OWN + "colour = 'red'\n", "response.colour"),
    "a misspelt part": (OWN + "[non_respons]\n", "non_respons"),
    "an unknown analyte": (OWN.replace('"bilirubin", at', '"bilirubine", at'), "response.criteria.0.analyte"),
    "a bad unit": (
        OWN.replace("mg/dL", "mg/L"),
        "bilirubin: unit 'mg/L' has no exact conversion; expected one of umol/L, mg/dL",
    ),
    "both limits": (
        OWN.replace("at_most = 1.2", "at_most_xuln = 1.0, at_most = 1.2"),
        "either at_most_xuln, or at_most",
    ),
    "no limit": (OWN.replace("at_most = 1.2, ", ""), "either at_most_xuln, or at_most"),
    "a unit for a multiple": (OWN.replace("at_most = 1.2", "at_most_xuln = 1.2"), "at_most_xuln has no unit"),
    "a negative limit": (OWN.replace("1.2", "-1.2"), "response.criteria.0.at_most"),
    "an analyte twice": (
        OWN.replace("criteria = [", 'criteria = [{ analyte = "bilirubin", at_most_xuln = 1 }, '),
        "an analyte appears twice",
    ),
    "no criteria": (
        OWN.replace('[{ analyte = "bilirubin", at_most = 1.2, unit = "mg/dL" }]', "[]"),
        "response.criteria",
    ),
    "a missing key": (OWN.replace('title = "Bilirubin normal"', ""), "title: Field required"),
    "a window turned round": (OWN + "[windows]\nat = [182, 150]\n", "windows.at"),
    "a window before treatment": (OWN + "[windows]\nby = [-3, 182]\n", "windows.by"),
    "judged after the end": (OWN + "[windows]\njudged_from = 200\n", "judged_from (200)"),
    "a baseline after treatment began": (OWN + "[baseline]\nwindow = [-14, 3]\n", "baseline.window"),
    "an unknown drug class": (
        OWN + '[[not_interpretable]]\nanalyte = "igg"\ndrug_class = "ivig"\ndays = 9\n',
        "not_interpretable.0.drug_class",
    ),
}


@pytest.mark.parametrize(("text", "named"), BAD.values(), ids=BAD)
def test_a_file_that_cannot_be_used_names_the_key_the_rule_and_the_way_out(
    tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(PlanError, match=re.escape(named)) as caught:
        read_definition(write(tmp_path, text))
    assert "own.toml" in caught.value.what
    assert caught.value.rule
    assert caught.value.way_out


@pytest.mark.parametrize("text", ["[response", "Complete biochemical response"])
def test_a_file_that_is_not_toml_says_where(tmp_path: Path, text: str) -> None:
    with pytest.raises(PlanError, match=r"own\.toml is not valid TOML: "):
        read_definition(write(tmp_path, text))


def test_a_file_in_another_encoding_is_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes('name = "Übersicht"'.encode("latin-1"))
    with pytest.raises(PlanError, match="TOML file in UTF-8"):
        read_definition(path)


def test_an_unknown_name_lists_the_shipped_criteria() -> None:
    with pytest.raises(PlanError, match=r"Shipped presets are .*iaihg-2022"):
        read_definition("iaihg-2023")
