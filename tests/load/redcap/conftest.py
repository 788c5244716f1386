"""Small REDCap projects, written as the files of an export."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

Project = Callable[..., Path]
HEADER = "field_name,form_name,field_type,field_label,select_choices_or_calculations,{},{},{},identifier".format(
    "text_validation_type_or_show_slider_number", "text_validation_min", "text_validation_max"
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Write ``<name>.csv`` for each keyword; the dictionary without its header: name, form, type, label, choices …"""

    def write(**files: str) -> Path:
        for name, text in files.items():
            lines = dedent(text).strip().splitlines()
            if name == "dictionary":
                lines = [HEADER, *(line + "," * (HEADER.count(",") - count_separators(line)) for line in lines)]
            (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path

    return write


def count_separators(line: str) -> int:
    return "".join(line.split('"')[::2]).count(",")
