"""What went in and what came out, by hash: no time, path, host or duration."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

PACKAGE = "aih-outcomes"


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:  # a database may be larger than memory
        return hashlib.file_digest(file, "sha256").hexdigest()


def package_versions() -> dict[str, str]:
    """Return the versions of Python, this package and its direct dependencies."""
    direct = [re.split(r"[^A-Za-z0-9_.-]", line)[0] for line in requires(PACKAGE) or [] if "extra ==" not in line]
    return {
        "python": platform.python_version(),
        PACKAGE: version(PACKAGE),
        **{name: version(name) for name in sorted(direct)},
    }


def render_manifest(
    *, plan: Path, inputs: dict[str, Path], notebooks: dict[str, dict[str, str]], folder: Path, seed: int
) -> str:
    """Return the manifest as JSON with sorted keys; outputs are the files below ``figures`` and ``tables``."""
    outputs = {
        kind: {p.name: hash_file(p) for p in sorted((folder / kind).glob("*"))} for kind in ("figures", "tables")
    }
    manifest: dict[str, Any] = {
        "plan": {plan.name: hash_file(plan)},
        "inputs": {name: hash_file(path) for name, path in inputs.items()},
        "notebooks": notebooks,
        "packages": package_versions(),
        "seed": seed,
        **outputs,
    }
    return json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
