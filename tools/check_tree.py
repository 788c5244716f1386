"""Check the files that are, or could be, committed: no machine's paths or hosts; notebooks without outputs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Someone's folder or a registry's address makes a file true on one machine only.
MACHINE = re.compile(
    r"(?<![\w.\-~$})])/(?:home|Users|root|opt|work|mnt|srv|private)/\w"
    r"|file:/{2}|\b(?:python[h]osted|py[p]i)\.org\b|--(?:extra-)?index-url[ =]\S|--find-links[ =]\S"
)


def list_files() -> list[Path]:
    """Return the files git tracks or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [path for name in sorted(set(names)) if name and (path := ROOT / name).is_file()]


def find_machine_names(path: Path) -> list[str]:
    """Return one message per line that names a machine."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []
    return [
        f"{path.relative_to(ROOT)}:{number}: names a machine's path or host: {match.group()}"
        for number, line in enumerate(lines, 1)
        if (match := MACHINE.search(line))
    ]


def find_outputs(path: Path) -> list[str]:
    """Return one message if the notebook was committed with what a run left in it."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    left = sum(bool(cell.get("outputs")) or cell.get("execution_count") is not None for cell in cells)
    return [f"{path.relative_to(ROOT)}: {left} cells with outputs or counts; clear all outputs"] if left else []


def main() -> None:
    """Print what is wrong and leave with 1, or say that nothing is."""
    files = list_files()
    messages = [message for path in files for message in find_machine_names(path)]
    messages += [message for path in files if path.suffix == ".ipynb" for message in find_outputs(path)]
    if messages:
        sys.exit("\n".join(messages))
    print(f"tree: {len(files)} files, none names a machine, no notebook has outputs")


if __name__ == "__main__":
    main()
