"""Words per patient: the first that holds, or all that hold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.endpoints.timelines import Flags

Words = NDArray[np.object_]  # (n,); an empty text where there is nothing to say


def say(holds: Mapping[str, Flags], n: int) -> Words:
    """Return for each of ``n`` patients the first text that holds; an empty one where none does."""
    words = np.full(n, "", dtype=object)
    for text, chosen in reversed(list(holds.items())):
        words[chosen] = text
    return words


def join_names(holds: Mapping[str, Flags], n: int) -> Words:
    """Return for each of ``n`` patients all names that hold, joined by commas."""
    words = np.full(n, "", dtype=object)
    for name, chosen in holds.items():
        words[chosen] += np.where(words[chosen] == "", name, f", {name}").astype(object)
    return words
