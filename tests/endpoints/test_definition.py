"""Response criteria from files: the shipped ones, a user's own, and files that cannot be used."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from aih_outcomes.catalogue import definition_files
from aih_outcomes.endpoints.definition import Definition, definitions, read_definition
from aih_outcomes.endpoints.groups.groups import attained_or_insufficient
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.endpoints.response.states import derive_response_status, derive_states
from aih_outcomes.errors import PlanError, models_in
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
    assert "Confidence in these criteria: stated by the user." in own.describe()
    assert "bilirubin 20.52 (day 170, row 1)" in response.explain("at_limit")
    assert "4 weeks" not in set(derive_states(response)["time"])
    statuses = derive_response_status(response)
    assert statuses["status"].equals(statuses["status_transaminases"])  # no IgG among the criteria
    assert list(dict.fromkeys(statuses["endpoint"]))[:2] == ["NB by 6 months", "NB at 6 months"]


def test_windows_of_own_criteria_name_their_month(tmp_path: Path) -> None:
    windows = "\n[windows]\nby = [1, 91]\nat = [71, 91]\nat_tolerant = [60, 120]\njudged_from = 60\n"
    own = read_definition(write(tmp_path, OWN + windows))
    response = derive_response(cohort("patient day analyte value\nA 80 bilirubin 50"), own)
    assert "NB by 3 months" in set(derive_response_status(response)["endpoint"])
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
        "give one of at_most_xuln, at_most or below with its unit, fall_percent",
    ),
    "no limit": (
        OWN.replace("at_most = 1.2, ", ""),
        "give one of at_most_xuln, at_most or below with its unit, fall_percent",
    ),
    "a unit for a multiple": (OWN.replace("at_most = 1.2", "at_most_xuln = 1.2"), "unit belongs to at_most or below"),
    "a negative limit": (OWN.replace("1.2", "-1.2"), "response.criteria.0.at_most"),
    "an analyte twice": (
        OWN.replace("criteria = [", 'criteria = [{ analyte = "bilirubin", at_most_xuln = 1 }, '),
        "an analyte appears twice",
    ),
    "no criteria": (
        OWN.replace('[{ analyte = "bilirubin", at_most = 1.2, unit = "mg/dL" }]', "[]"),
        "response.criteria",
    ),
    "a missing key": (OWN.replace('title = "Bilirubin normal"', ""), "title: is missing"),
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


def test_an_error_names_the_line_of_the_key_in_an_inline_table_and_in_a_repeated_part(tmp_path: Path) -> None:
    text = (
        OWN
        + """
[[not_interpretable]]
analyte = "igg"
drug_class = "immunoglobulin"
days = 122

[[not_interpretable]]
analyte = "igg"
drug_class = "immunoglobulin"
days = 0
"""
    )
    with pytest.raises(PlanError, match=r"line 20, not_interpretable\.1\.days"):
        read_definition(write(tmp_path, text))
    with pytest.raises(PlanError, match=r"line 10, response\.criteria\.0\.unit"):
        read_definition(write(tmp_path, OWN.replace('unit = "mg/dL"', "unit = 3")))


def test_every_shipped_preset_says_how_sure_it_is_and_none_is_of_2025() -> None:
    assert definitions() == [
        "aasld-2019", "camaro-2024", "easl-2015", "espghan-2018", "espghan-2018-lenient", "iaihg-2022",
        "rapid-response-8w", "transaminases-only",
    ]  # fmt: skip
    for name in definitions():
        preset = read_definition(name)
        assert preset.name == name
        assert preset.confidence in {"checked", "remembered", "unsure"}
        assert preset.unsure
        assert "Confidence in these criteria:" in preset.describe()
    assert "low: do not publish without checking the paper" in read_definition("espghan-2018").describe()


def test_clinic_rule_8_the_old_words_live_in_presets_of_older_guidelines_only() -> None:
    words = read_definition("iaihg-2022").describe().lower()
    assert "remission" not in words
    assert "relapse" not in words


def test_a_choice_that_does_not_exist_is_named() -> None:
    with pytest.raises(PlanError, match="rescue"):
        read_definition("iaihg-2022").choosing(rescue="forgotten")


WINDOWS = {  # by → at, at_tolerant and judged_from that follow from it
    "six months": ("by = [1, 182]", (150, 182), (121, 240), 121),
    "a year": ("by = [1, 365]", (333, 365), (304, 423), 304),
    "eight weeks": ("by = [42, 70]", (42, 70), (42, 128), 42),
    "an own window at": ("by = [1, 365]\nat = [300, 365]", (300, 365), (300, 423), 304),
    "a late window at": ("by = [1, 365]\nat = [365, 410]", (365, 410), (304, 423), 304),
}


@pytest.mark.parametrize(("given", "at", "tolerant", "judged_from"), WINDOWS.values(), ids=WINDOWS)
def test_windows_that_are_not_given_follow_from_by(
    tmp_path: Path, given: str, at: tuple[int, int], tolerant: tuple[int, int], judged_from: int
) -> None:
    windows = read_definition(write(tmp_path, f"{OWN}[windows]\n{given}\n")).windows
    assert (windows.at, windows.at_tolerant, windows.judged_from) == (at, tolerant, judged_from)


CONTRADICTORY = {  # what is given in lines 12 on, and what is said of it
    "at of another month": ("by = [1, 365]\nat = [150, 182]", "line 13, windows.at: ends on day 182"),
    "tolerant without at": ("by = [1, 365]\nat_tolerant = [121, 240]", "line 13, windows.at_tolerant: does not hold"),
    "judged after the end": ("by = [1, 91]\njudged_from = 121", "line 13, windows.judged_from: judged_from (121) lies"),
}


@pytest.mark.parametrize(("given", "said"), CONTRADICTORY.values(), ids=CONTRADICTORY)
def test_windows_that_contradict_each_other_are_refused_with_their_line(tmp_path: Path, given: str, said: str) -> None:
    with pytest.raises(PlanError, match=re.escape(said)):
        read_definition(write(tmp_path, f"{OWN}[windows]\n{given}\n"))


LIMIT = 'criteria = [{ analyte = "bilirubin", at_most = 1.2, unit = "mg/dL" }]'
ALT = 'criteria = [{ analyte = "alt", at_most_xuln = 2.0 }]'
NON_RESPONSE = '[non_response]\nterm = "N"\nanalytes = ["alt"]\nfall_percent = 50\nby_day = 28\nwindow = '
NOT_MEANT = {
    "a share for per cent": (
        OWN.replace(LIMIT, ALT.replace("at_most_xuln = 2.0", "fall_percent = 0.8")), "80, not 0.8",
    ),
    "an infinite limit": (OWN.replace(LIMIT, ALT.replace("2.0", "inf")), "at_most_xuln: must be a finite number"),
    "no number": (OWN.replace(LIMIT, ALT.replace("2.0", "nan")), "at_most_xuln: must be"),
    "true for 1": (OWN.replace(LIMIT, ALT.replace("2.0", "true")), "at_most_xuln: must be a number"),
    "true for a day": (f"{OWN}[windows]\nby = [true, 182]\n", "windows.by.0: must be a whole number"),
    "a method of no titre": (
        OWN.replace(LIMIT, ALT.replace("2.0", '2.0, method = "elisa"')),
        "alt: method belongs to titres of antibodies",
    ),
    "loss below response": (
        f'{OWN.replace(LIMIT, ALT)}[loss]\nterm = "L"\nabove_xuln = {{ alt = 1.0 }}\n',
        "line 11, loss: ALT above 1 × ULN is a loss, but up to 2 × ULN a response",
    ),
    "confirmed loss below response": (
        f'{OWN.replace(LIMIT, ALT)}[loss]\nterm = "L"\nconfirmed_above_xuln = {{ alt = 1.5 }}\n',
        "ALT above 1.5 × ULN",
    ),
    "flare below response": (
        f'{OWN.replace(LIMIT, ALT)}[flare]\nterm = "L"\nabove_xuln = {{ alt = 1.5 }}\n', "flare: ALT above 1.5 × ULN",
    ),
    "non-response before the fall is asked": (f"{OWN}{NON_RESPONSE}[14, 21]\n", "ends on day 21: by_day (28) to"),
    "non-response long after": (f"{OWN}{NON_RESPONSE}[21, 60]\n", "ends on day 60: by_day (28) to 14 days after"),
    "no title": (OWN.replace("Bilirubin normal", " "), "title: must not be empty"),
    "no term": (OWN.replace("Normal bilirubin", ""), "response.term: must not be empty"),
    "no term of loss": (f'{OWN}[loss]\nterm = ""\nabove_xuln = {{ alt = 1.0 }}\n', "loss.term: must not be empty"),
    "a rise as a share": (f"{OWN}[failure]\nrise_percent = 0.67\n", "67, not 0.67"),
    "a title of others": (OWN.replace("Bilirubin normal", "IAIHG 2022"), "has the title of the shipped iaihg-2022"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), NOT_MEANT.values(), ids=NOT_MEANT)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PlanError, match=re.escape(said)) as caught:
        read_definition(write(tmp_path, text))
    assert "1 key(s)" in caught.value.what or "title of the shipped" in caught.value.what


def test_a_copy_of_a_shipped_file_is_that_preset(tmp_path: Path) -> None:
    text = definition_files()["iaihg-2022"].read_text(encoding="utf-8")
    assert read_definition(write(tmp_path, text)) == read_definition("iaihg-2022")
    assert read_definition(definition_files()["iaihg-2022"]) == read_definition("iaihg-2022")


PLAIN = {
    "a misspelt part is one problem": (
        OWN.replace("[response]", "[respons]"), "(line 7, respons: is no key here; did you mean response?)",
    ),
    "a misspelt key": (
        OWN.replace("short =", "shrot ="), "line 9, response.shrot: is no key here; did you mean short?",
    ),
    "a misspelt key of a list": (
        OWN.replace("at_most =", "at_mots ="), "response.criteria.0.at_mots: is no key here; did you mean at_most?",
    ),
    "a key like no other": (f"{OWN}colour = 'red'\n", "response.colour: is no key here; keys are term, short, "),
    "a key that is missing": (OWN.replace('short = "NB"', ""), "response.short: is missing"),
    "a day for a window": (f"{OWN}[windows]\nby = 182\n", "windows.by: must be a list in brackets"),
    "one day of two": (f"{OWN}[windows]\nby = [182]\n", "windows.by.1: is missing"),
    "three days": (f"{OWN}[windows]\nby = [1, 2, 3]\n", "windows.by: must have at most 2 items, not 3"),
    "text for a part": (f"loss = 'no'\n{OWN}", "line 1, loss: must be a part with keys of its own"),
    "a number for text": (OWN.replace('"Bilirubin normal"', "3"), "title: must be text in quotes"),
    "text for a number": (OWN.replace("1.2", '"1.2"'), "at_most: must be a number"),
    "another word": (
        OWN + "transaminases = 'one'\n", "response.transaminases: must be 'both' or 'one_suffices'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), PLAIN.values(), ids=PLAIN)
def test_a_problem_is_said_once_in_plain_words(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PlanError, match=re.escape(said)) as caught:
        read_definition(write(tmp_path, text))
    assert caught.value.what.startswith("1 key(s) of own.toml cannot be used")
    assert "iaihg-2022.toml, which shows each key" in caught.value.way_out


def test_a_file_from_an_editor_that_marks_utf_8_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8-sig")
    assert read_definition(path).title == "Bilirubin normal"


def keys_of(model: type[BaseModel]) -> set[str]:
    found = set(model.model_fields)
    for field in model.model_fields.values():
        for part in models_in(field.annotation):
            found |= keys_of(part)
    return found


def test_the_shipped_iaihg_file_shows_every_key() -> None:
    text = definition_files()["iaihg-2022"].read_text(encoding="utf-8")
    assert [key for key in sorted(keys_of(Definition)) if not re.search(rf"\b{key}\b", text)] == []


def test_an_analyte_that_does_not_exist_cannot_be_left_out() -> None:
    iaihg = read_definition("iaihg-2022")
    for name in ("foo", "IgG"):
        with pytest.raises(PlanError, match=f"'{name}' is not an analyte"):
            iaihg.without(name)
    with pytest.raises(PlanError, match="Perhaps 'igg' was meant"):
        iaihg.without("IgG")
    assert iaihg.without("bilirubin") is iaihg


def test_choices_that_change_nothing_leave_the_criteria_and_their_title() -> None:
    iaihg = read_definition("iaihg-2022")
    assert iaihg.choosing() is iaihg
    assert iaihg.choosing(rescue="ignored") is iaihg
    changed = iaihg.choosing(rescue="failure", transaminases="both")
    assert changed.title == "IAIHG 2022 (rescue: failure)"


def test_what_is_no_choice_is_refused_with_the_choices() -> None:
    iaihg = read_definition("iaihg-2022")
    for other in ({"criteria": [{"analyte": "alt", "at_most_xuln": 2}]}, {"term": "Remission"}, {"resque": "failure"}):
        with pytest.raises(PlanError, match="Choices are same_evaluation_days, transaminases"):
            iaihg.choosing(**other)
