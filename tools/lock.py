"""Renew requirements.lock, or check that it is in step with pyproject.toml.

Resolving again would answer "is the lock in step?" only with a network, and differently on the day a package is
released. So the lock carries in its first lines a digest of the tables it was resolved from, and the check compares
digests: no network, and the same answer on every day and machine.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / "requirements.lock"
UV = ROOT / ".venv" / "bin" / "uv"
PREFIX = "# pyproject: sha256:"
# A pin or a hash. An address or a path would tie the lock to the machine that wrote it.
LINE = re.compile(
    r"""[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==[0-9][^\s/]*(\ ;\ [^/]+)?\ \\  # name==1.2 ; marker
      | \ {4}--hash=sha256:[0-9a-f]{64}(\ \\)?""",
    re.VERBOSE,
)


def compute_digest() -> str:
    """Return the digest of everything in pyproject.toml that the lock follows from."""
    with PYPROJECT.open("rb") as file:
        pyproject = tomllib.load(file)
    project = pyproject["project"]
    tables = {
        "build-system": sorted(pyproject["build-system"]["requires"]),
        "requires-python": project["requires-python"],
        "dependencies": sorted(project["dependencies"]),
        "optional-dependencies": {
            extra: sorted(requirements) for extra, requirements in project["optional-dependencies"].items()
        },
        "uv": pyproject.get("tool", {}).get("uv", {}),
    }
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


def read_pins() -> str:
    """Return the lock without its comments."""
    lines = LOCK.read_text(encoding="utf-8").splitlines() if LOCK.exists() else []
    return "".join(f"{line}\n" for line in lines if not line.startswith("#"))


def check() -> None:
    """Leave with a message unless the lock is in step and names no machine."""
    head = LOCK.read_text(encoding="utf-8").split("\n", 1)[0]
    if head != f"{PREFIX}{compute_digest()}":
        sys.exit("requirements.lock is not in step with pyproject.toml: the dependencies changed. Run `make lock`.")
    foreign = [line for line in read_pins().splitlines() if not LINE.fullmatch(line)]
    if foreign:
        sys.exit(f"requirements.lock: {len(foreign)} lines are neither a pin nor a hash, the first: {foreign[0]}")
    print("requirements.lock is in step with pyproject.toml")


def write(options: list[str]) -> None:
    """Resolve again; pins that still fit stay (``--upgrade`` lets them go)."""
    if not UV.exists():
        sys.exit("make lock needs uv in .venv, and this machine has no uv wheel: renew the lock on another machine.")
    pins = LOCK.with_suffix(".tmp")
    pins.write_text(read_pins(), encoding="utf-8")
    command = "pip compile pyproject.toml --quiet --universal --python-version 3.11 --all-extras --generate-hashes"
    quiet = "--no-emit-index-url --no-emit-find-links --no-header --no-annotate"
    try:
        subprocess.run([UV, *command.split(), *quiet.split(), *options, "--output-file", pins], cwd=ROOT, check=True)
        resolved = pins.read_text(encoding="utf-8")
    except subprocess.CalledProcessError:
        sys.exit("make lock: no resolution, see above; requirements.lock is as it was")
    finally:
        pins.unlink()
    note = "# Written by `make lock`: the core and all extras, for every Python and platform."
    LOCK.write_text(f"{PREFIX}{compute_digest()}\n{note}\n{resolved}", encoding="utf-8")
    check()


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        write(sys.argv[2:])
    else:
        check()
