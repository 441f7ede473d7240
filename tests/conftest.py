"""What every test may ask for."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# A landing must not hang on a lucky draw: CI repeats the same examples, everybody else searches on.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the reference data, which is not part of the project."""
    if not SHARED_DATA.is_dir():
        reason = "the reference data folder ../shared/data is not beside the repository"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return SHARED_DATA


@pytest.fixture(scope="session")
def archive(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Unpack `data/dicom/NAME.tar.*` once per test run and return its folder."""
    unpacked: dict[str, Path] = {}

    def unpack(name: str) -> Path:
        if name not in unpacked:
            (packed,) = (shared_data / "dicom").glob(f"{name}.tar.*")
            unpacked[name] = tmp_path_factory.mktemp(name)
            with tarfile.open(packed) as tar:
                tar.extractall(unpacked[name], filter="data")
        return unpacked[name]

    return unpack
