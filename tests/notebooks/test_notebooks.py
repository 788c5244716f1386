"""Notebooks hold prose, calls and figures; the report executes them, here their manners are checked."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_of(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_the_title_is_a_question(notebook):
    assert re.match(r"# .+\?", notebook.cells[0].source.splitlines()[0])


def test_at_most_fifteen_cells_of_at_most_eight_lines(notebook):
    code = code_of(notebook)
    assert len(code) <= 15
    assert max(len(source.splitlines()) for source in code) <= 8


def test_committed_without_outputs(notebook):
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def test_only_the_public_names_are_imported_and_nothing_is_defined(notebook):
    tree = ast.parse("\n".join(code_of(notebook)))
    defined = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
    imports = [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert not defined
    assert imports == ["import aih_outcomes as aih"]


def test_no_frames_are_merged_and_no_number_is_typed_by_hand(notebook):
    tree = ast.parse("\n".join(code_of(notebook)))
    calls = {n.func.attr for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)}
    sizes = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.keyword) and n.arg == "height_mm"}
    typed = [
        n.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Constant) and isinstance(n.value, int | float) and id(n) not in sizes
    ]
    assert not calls & {"merge", "concat", "groupby", "pivot", "assign"}
    assert not [value for value in typed if not isinstance(value, bool) and value not in (0, 1)]


def test_every_figure_and_table_passes_the_small_number_rule(notebook):
    code = "\n".join(code_of(notebook))
    assert "study.disclose(" in code
    assert "study.save(" in code  # which refuses what did not pass study.disclose
