"""How a plan says where its data are, in which format, and by which key identifiers are replaced."""

import shutil

import pytest

from aih_outcomes.errors import PlanError
from aih_outcomes.load.privacy.keys import new_key
from aih_outcomes.study import Study, open_study, read_plan

PLAN = """
title = "A study"
notebooks = ["01_cohort"]
[data]
folder = "../../data"
"""
OUTAGE = 'outages = [{ name = "cyber attack", from = 2024-06-03, until = 2024-10-31 }]\n'
PATIENTS = """patient_id,sex,birth_date,diagnosis_date,centre
943 476 5919,female,2001-01-01,2010-01-01,Kingsbury
401 023 2137,male,2002-02-02,2011-01-01,Kingsbury
"""


@pytest.fixture
def project(tmp_path):
    for folder in ("reports/plans", "data", "keys"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data" / "patients.csv").write_text(PATIENTS, encoding="utf-8")
    new_key(tmp_path / "keys" / "study.key")
    return tmp_path


def study(project, lines=""):
    plan = project / "reports" / "plans" / "study.toml"
    plan.write_text(PLAN + lines, encoding="utf-8")
    return open_study(plan)


KEYED = 'key = "../../keys/study.key"\n'


def test_without_a_key_identifiers_stay_as_they_are(project):
    assert study(project).source.patients["patient_id"].to_list() == ["943 476 5919", "401 023 2137"]


def test_with_a_key_they_are_replaced_the_same_way_each_time(project):
    first, second = (study(project, KEYED).source.patients for _ in range(2))
    assert first["patient_id"].str.fullmatch("P[0-9a-f]{16}").all()
    assert first["patient_id"].to_list() == second["patient_id"].to_list()
    assert first["birth_date"].dt.year.to_list() == [2001, 2002]


def test_dates_are_moved_where_the_plan_says_so(project):
    moved = study(project, KEYED + "shift_dates = true\n" + OUTAGE).source.patients
    plain = study(project).source.patients
    assert (moved["birth_date"] < plain["birth_date"]).all()
    assert moved["diagnosis_era"].to_list() == ["2010-2014", "2010-2014"]


def test_a_key_within_the_data_is_refused(project):
    shutil.copy(project / "keys" / "study.key", project / "data" / "study.key")
    with pytest.raises(PlanError, match="within the folder of the data"):
        _ = study(project, 'key = "../../data/study.key"\n').source


def test_other_data_given_at_the_command_line_are_watched_too(project):
    shutil.copytree(project / "data", project / "keys" / "data")
    path = project / "reports" / "plans" / "study.toml"
    path.write_text(PLAN + KEYED, encoding="utf-8")
    with pytest.raises(PlanError, match="within the folder of the data"):
        _ = Study(read_plan(path), path, project, project / "keys").source


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("shift_dates = true", "shift_dates needs key"),
        (KEYED + OUTAGE, "they need shift_dates = true"),
        (KEYED + "shift_dates = true\noutages = [{ name = 'x', from = 2024-06-03, until = 2024-06-02 }]", "until"),
        (KEYED + "shift_dates = true\noutages = [{ name = 'x', since = 2024-06-03 }]", "since"),
        ('source = "sas"', "data.source"),
    ],
)
def test_a_choice_without_what_it_needs_is_refused(project, lines, said):
    with pytest.raises(PlanError) as caught:
        study(project, lines)
    assert said in caught.value.what


def test_the_format_is_that_of_the_plan_and_not_guessed(project, monkeypatch):
    asked = {}

    def read_omop(path, mapping, *, label, pseudonyms):
        asked.update(path=path, mapping=mapping, label=label, keyed=pseudonyms is not None)

    monkeypatch.setattr("aih_outcomes.load.omop.read_omop", read_omop)
    opened = study(project, 'source = "omop"\nlabel = "ours"\nmapping = "codes.toml"\n' + KEYED)
    _ = opened.source
    mapping = project / "reports" / "plans" / "codes.toml"
    assert asked == {"path": project / "data", "mapping": mapping, "label": "ours", "keyed": True}
