"""The file with the key of the pseudonyms: made once, kept outside of the data, read by whoever may."""

import os
import secrets
from pathlib import Path

from aih_outcomes.errors import PlanError

MIN_KEY_BYTES = 32  # as long as the digest of SHA-256: RFC 2104, section 3
_OWNER_ONLY = 0o600
_OTHERS = 0o007
_RULE = "Who has the key can go from a pseudonym back to a child, and ten digits are tried in minutes"


def new_key(path: str | Path) -> Path:
    """Make a key of 256 random bits and write it, as text, to a new file that only its owner may read.

    Returns
    -------
    the file

    Raises
    ------
    PlanError : the file is there already (a key is never overwritten: with it goes every pseudonym made by it), or
        cannot be written
    """
    path = Path(path)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(MIN_KEY_BYTES) + "\n")
    except FileExistsError:
        raise PlanError(
            f"'{path.name}' is there already",
            "A key is never overwritten: without it no pseudonym made by it can be made again",
            "Name a new file, or use the key that is there",
        ) from None
    except OSError as error:
        raise PlanError(f"The key '{path.name}' cannot be written ({error.strerror})",
                        "A key is written to a folder that is there and that you may write to",
                        "Make the folder, or name another one") from None  # fmt: skip
    return path


def read_key(path: str | Path, *, data: str | Path) -> bytes:
    """Read the key of the pseudonyms.

    A key that everybody on the machine may read is refused, as no key at all would be: pseudonyms would be undone by
    anyone with an account. A group may read it, so that a team can share one. Where a file system has no such rights
    (Windows), nothing is asked.

    Parameters
    ----------
    data : folder or file of the data; the key lies outside, so that who is given the data is not given the key

    Returns
    -------
    the bytes of the file without white space around them

    Raises
    ------
    PlanError : there is no such file, it lies with the data, is too short, or everybody may read it
    """
    named, data = Path(path).absolute(), Path(data).resolve()
    path, folder = named.resolve(), data.parent if data.is_file() else data
    # A link within the data to a key elsewhere is followed by whoever copies the folder with what its links point to.
    if any(place.is_relative_to(folder) for place in (path, named.parent.resolve() / named.name)):
        raise PlanError(
            f"The key '{path.name}' lies within the folder of the data",
            f"{_RULE}: it lies outside of the data's folder, which is copied and handed on",
            "Move it to a folder of its own that is not shared, and name its new path in the plan: [data] key",
        )
    try:
        key, mode = path.read_bytes().strip(), path.stat().st_mode
    except OSError as error:
        raise PlanError(
            f"The key '{path.name}' cannot be read ({error.strerror})",
            "Pseudonyms are made with a key from a file",
            "Check the path, which is relative to the plan, or make a key with 'aih-outcomes key FILE'",
        ) from None
    if len(key) < MIN_KEY_BYTES:
        raise PlanError(
            f"The key '{path.name}' holds {len(key)} bytes",
            f"A key holds at least {MIN_KEY_BYTES} bytes, drawn at random: a shorter one is found by trying",
            "Make one with 'aih-outcomes key FILE'",
        )
    if os.name == "posix" and mode & _OTHERS:
        raise PlanError(
            f"Everybody on this machine may open the key '{path.name}'", _RULE,
            f"Take that right away: chmod o-rwx {path.name}",
        )  # fmt: skip
    return key
