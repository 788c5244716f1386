"""The endpoint manual: the response criteria in words, and every spec test as the clinician's example that it is.

Nothing here is written by hand: the examples are the tests' own tables, which `make test` holds.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, select_autoescape

from aih_outcomes.endpoints.definition import definitions, read_definition

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "tools" / "manual.html.jinja"
SPECS = ROOT / "tests" / "endpoints"
RULE = re.compile(r"^(statistics|clinic)_rules?_(\d+(?:_and_\d+)*)_")
HEADER = re.compile(r"[a-z][a-z_ ]+")  # what a column is called; patients have capitals or one letter
DRUG_HEADS = ["patient", "drug", "start", "stop", "mg/day", "reason stopped"]
ABBREVIATIONS = {
    word.lower(): word
    for word in ("ALT", "AST", "IgG", "CBR", "ULN", "IAIHG", "AASLD", "EASL", "ESPGHAN", "CAMARO", "MELD", "PELD",
                 "APRI", "ALBI", "INR", "ASC", "HAI", "IVIG", "CD20", "CNI", "LKM", "HEp2", "BMI", "CDC", "R")
}  # fmt: skip


@dataclass
class Table:
    """Cells of one text table; the first row names the columns."""

    what: str
    rows: list[list[str]]


@dataclass
class Example:
    """One test: its sentence, what is given, what follows."""

    title: str
    note: str = ""
    given: list[Table] = field(default_factory=list)
    then: list[Table] = field(default_factory=list)

    @property
    def n_cases(self) -> int:
        """Lines of what follows: one patient, or one case, each."""
        return sum(len(table.rows) - 1 for table in self.then)


@dataclass
class Chapter:
    """One file of tests."""

    title: str
    examples: list[Example]


def in_words(name: str) -> str:
    """Return a test's name as a sentence: ``test_clinic_rule_9_…`` → ``Clinic, rule 9: …``."""
    rest = name.removeprefix("test_")
    rule = RULE.match(rest)
    prefix = ""
    if rule:
        prefix = f"{rule.group(1).capitalize()}, rule {rule.group(2).replace('_', ' ')}: "
        rest = rest[rule.end() :]
    words = " ".join(ABBREVIATIONS.get(word, word) for word in rest.split("_"))
    return prefix + words[:1].upper() + words[1:]


def read_table(what: str, text: str) -> Table | None:
    """Read a text table as the tests do; None where the text is none."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    part = "  " if any("  " in line for line in lines) else " "
    rows = [[cell.strip() for cell in line.split(part) if cell.strip()] for line in lines]
    if not rows or len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
        return None
    if not HEADER.fullmatch(rows[0][0]):  # rows alone, as for a list of drugs
        if what != "drugs" and len(rows) == 1:
            return None
        heads = DRUG_HEADS[: len(rows[0])] if what == "drugs" else ["" for _ in rows[0]]
        rows = [heads, *rows]
    return Table(what, rows) if len(rows) > 1 else None


def _texts(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield name and text of every text table below a node, outside of ``same(…)``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and _name_of(child) == "same":
            yield from (found for part in child.args[:1] for found in _texts_of(part, ""))
        elif isinstance(child, ast.keyword):
            yield from _texts_of(child.value, (child.arg or "").replace("_", " "))
        elif isinstance(child, ast.Assign):
            target = child.targets[0]
            yield from _texts_of(
                child.value, target.id.lower().replace("_", " ") if isinstance(target, ast.Name) else ""
            )
        else:
            yield from _texts_of(child, "")


def _texts_of(node: ast.AST, what: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield what, node.value
    elif isinstance(node, ast.Call) and _name_of(node) == "visits" and node.args:
        lines = [part.value for part in node.args if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        rows = [(*line.split()[:2], " ".join(line.split()[2:]) or "all normal") for line in lines]
        yield (
            "visits: ALT, AST and IgG alike, or by name",
            "\n".join(map("  ".join, [("patient", "day", "× ULN"), *rows])),
        )
        yield from (found for part in node.keywords for found in _texts_of(part.value, part.arg or ""))
    else:
        yield from _texts(node)


def _name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def read_example(test: ast.FunctionDef, shared: dict[str, ast.AST]) -> Example:
    """Read one test: tables given (its own and those of the file that it names), and tables that follow."""
    example = Example(in_words(test.name), ast.get_docstring(test) or "")
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    sources = [shared[name] for name in shared if name in names]
    for source in [*sources, test]:
        for what, text in _texts(source):
            table = read_table(what, text)
            if table and table not in example.given:
                example.given.append(table)
    for call in (node for node in ast.walk(test) if isinstance(node, ast.Call) and _name_of(node) == "same"):
        if len(call.args) > 1 and isinstance(call.args[1], ast.Constant) and isinstance(call.args[1].value, str):
            table = read_table(ast.unparse(call.args[0]), call.args[1].value)
            if table:
                example.then.append(table)
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and _name_of(decorator) == "parametrize" and len(decorator.args) > 1:
            example.then += _cases(decorator)
    return example


def _cases(decorator: ast.Call) -> list[Table]:
    """Return the cases of a parametrised test as one table; none where they are not written out."""
    named, values = decorator.args[:2]
    if not isinstance(values, ast.List | ast.Tuple):
        return []
    names = ast.literal_eval(named)
    columns = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    rows = []
    for value in values.elts:
        cells = value.elts if isinstance(value, ast.Tuple) else [value]
        rows.append([cell.value if isinstance(cell, ast.Constant) else ast.unparse(cell) for cell in cells])
    if any(len(row) != len(columns) for row in rows):
        return []
    return [Table("cases", [columns, *[[str(cell) for cell in row] for row in rows]])]


def read_chapter(path: Path) -> Chapter:
    """Read one file of tests; tests without a table are left to the code."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    shared: dict[str, ast.AST] = {
        node.targets[0].id: node
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    examples = [read_example(test, shared) for test in tests]
    title = (ast.get_docstring(tree) or path.stem).split("\n")[0]
    return Chapter(title, [example for example in examples if example.then])


def read_chapters() -> list[Chapter]:
    """Read every file of spec tests of the endpoints, in order of their names."""
    chapters = [read_chapter(path) for path in sorted(SPECS.rglob("test_*.py"))]
    return [chapter for chapter in chapters if chapter.examples]


def render(chapters: list[Chapter]) -> str:
    """Return the manual as one page."""
    page = Environment(autoescape=select_autoescape(default=True, default_for_string=True)).from_string(
        PAGE.read_text(encoding="utf-8")
    )
    examples = [example for chapter in chapters for example in chapter.examples]
    return page.render(
        chapters=chapters,
        criteria=[read_definition(name) for name in definitions()],
        n_cases=sum(example.n_cases for example in examples),
        n_examples=len(examples),
    )


def main(path: Path) -> int:
    """Write the manual and say where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(read_chapters()), encoding="utf-8", newline="\n")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
