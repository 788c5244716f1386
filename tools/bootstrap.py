"""Make the environment ``.venv`` from requirements.lock; run by the Makefile with the Python it chose.

Standard library only. The order below also works where Debian has left ``ensurepip`` out and where the system's
Python is "externally managed" (PEP 668): the environment is made without pip, and pip works on it from outside.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
UV = ENVIRONMENT / "bin" / "uv"
LOCK = ROOT / "requirements.lock"
INSTALLED = ENVIRONMENT / "requirements.lock"  # the lock that .venv was last filled from
MINIMUM_PIP = (22, 3)  # the first with `pip --python`
IN_RANGE = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))"


def run(*command: str | Path) -> bool:
    """Run a command in the project's folder and say whether it succeeded."""
    # A foreign VIRTUAL_ENV or PYTHONPATH would draw packages from, or into, another environment.
    environment = {key: value for key, value in os.environ.items() if key not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    return subprocess.run([str(part) for part in command], cwd=ROOT, env=environment, check=False).returncode == 0


def require(*command: str | Path) -> None:
    """Run a command; leave with its message when it fails."""
    if not run(*command):
        sys.exit(f"bootstrap: failed: {' '.join(str(part) for part in command)}")


def has_pip() -> bool:
    """Say whether this Python has a pip that can work on another environment."""
    try:
        numbers = importlib.metadata.version("pip").split(".")[:2]
    except importlib.metadata.PackageNotFoundError:
        return False
    return tuple(int(number) for number in numbers) >= MINIMUM_PIP


def make_environment() -> list[str | Path]:
    """Make ``.venv`` unless a usable one exists; return the command that installs into it."""
    usable = PYTHON.exists() and subprocess.run([PYTHON, "-c", IN_RANGE], check=False).returncode == 0
    if not usable and ENVIRONMENT.exists():
        shutil.rmtree(ENVIRONMENT)
    if not usable:
        print(f"bootstrap: making .venv with Python {'.'.join(map(str, sys.version_info[:3]))}", flush=True)
    if UV.exists():
        return [UV, "pip", "install", "--python", PYTHON]
    if has_pip():
        if not usable:
            venv.create(ENVIRONMENT, with_pip=False, symlinks=True)
        pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", PYTHON, "install"]
    elif importlib.util.find_spec("ensurepip") is not None:
        venv.create(ENVIRONMENT, with_pip=True, symlinks=True)
        pip = [PYTHON, "-m", "pip", "install"]
    else:
        sys.exit(
            f"bootstrap: {sys.executable} has neither pip {'.'.join(map(str, MINIMUM_PIP))} or newer nor ensurepip.\n"
            "Install one of them (Debian and Ubuntu: the package python3-pip or python3-venv) and run make again."
        )
    if run(*pip, "--quiet", "--only-binary", "uv", "uv>=0.8"):
        return [UV, "pip", "install", "--python", PYTHON]
    print("bootstrap: no uv for this machine; pip does the same from the same lock, more slowly", flush=True)
    return pip


def install_lock(install: list[str | Path]) -> None:
    """Bring ``.venv`` to exactly what the lock names; without a change of the lock do nothing and ask no network."""
    if INSTALLED.exists() and INSTALLED.read_bytes() == LOCK.read_bytes():
        return
    print("bootstrap: installing what requirements.lock names, a minute or so", flush=True)
    if install[0] == UV:
        # Bytecode now: without it the first import of each package is three to five times slower.
        # The build constraints hold the one source-only package to the lock's own setuptools.
        options = ["--compile-bytecode"] if sys.stdout.isatty() else ["--compile-bytecode", "--quiet"]
        require(UV, "pip", "sync", "--python", PYTHON, *options, "--build-constraints", LOCK, LOCK)
    else:
        require(*install, "--quiet", "--require-hashes", "--requirement", LOCK)
    shutil.copyfile(LOCK, INSTALLED)


def main() -> None:
    """Install what the lock names, then the project itself."""
    install = make_environment()
    install_lock(install)
    require(*install, "--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")


if __name__ == "__main__":
    main()
