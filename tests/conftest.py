"""What all tests share: the reference folder, a quiet drawing backend, a Hypothesis that repeats itself."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# One BLAS thread: more of them change the last bits, and the workers of xdist already fill the cores.
for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[variable] = "1"

settings.register_profile("project", derandomize=True, deadline=None, max_examples=50, database=None)
settings.load_profile("project")


def pytest_configure() -> None:
    # Here and not above: numpy, which matplotlib imports, reads the number of threads once.
    import matplotlib

    matplotlib.use("agg")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of reference data: $AIH_SHARED, or ``shared`` beside the checkout; with AIH_REQUIRE_SHARED=1 a must."""
    folder = Path(os.environ.get("AIH_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if (folder / "reference").is_dir():
        return folder.resolve()
    reason = "the folder of reference data is absent; set AIH_SHARED to it, or lay it beside the checkout as 'shared'"
    if os.environ.get("AIH_REQUIRE_SHARED") == "1":
        pytest.fail(f"{reason} (AIH_REQUIRE_SHARED=1 makes this a failure)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_inputs(shared: Path) -> Path:
    """Folder of real exports that others made."""
    return shared / "inputs"
