"""Small text tables, written as the files of a centre."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Write ``<name>.csv`` for each keyword and return the folder; blanks around commas are laid out for the eye."""

    def write(**tables: str) -> Path:
        for name, text in tables.items():
            lines = [",".join(cell.strip() for cell in line.split(",")) for line in dedent(text).strip().splitlines()]
            (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path

    return write
