"""A program of its own, run by ``statistical``: reads one file and hands its frame and its labels back.

The C code of pyreadstat can crash on a damaged file; here it takes no analysis with it.
"""

import pickle
import sys
import warnings

NOT_READ = 3


def main(path: str, kind: str, encoding: str) -> int:
    """Write the frame, its value and column labels to standard output; return NOT_READ where it cannot be read."""
    import pyreadstat

    warnings.simplefilter("ignore")
    read = pyreadstat.read_dta if kind == ".dta" else pyreadstat.read_sav
    try:
        frame, meta = read(path, encoding=encoding or None)
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, OSError, ValueError, OverflowError, MemoryError):
        return NOT_READ
    pickle.dump((frame, meta.variable_value_labels, meta.column_names_to_labels), sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
