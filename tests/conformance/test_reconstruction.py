"""How real PET images say they were reconstructed: by this two images are compared or not. Values read with dcmdump."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from lutra.core.study import Role, SeriesHeader
from lutra.ingest import IngestSettings, read_header
from lutra.quantify.comparable import differences

Archive = Callable[[str], Path]


def pet(folder: Path) -> SeriesHeader:
    paths = [
        p for p in sorted(folder.rglob("*.dcm")) if pydicom.dcmread(p, specific_tags=["Modality"]).Modality == "PT"
    ]
    header = read_header(paths, IngestSettings()).value
    assert header is not None
    return header


@pytest.mark.parametrize(
    ("name", "reconstruction"),
    [("pet_fdg_ge_sts001", "OSEM"), ("pet_fdg_siemens_qinhn0139_seg", "OSEM2D 4i8s; XYZG=7.00")],
)
def test_reconstruction_as_the_scanner_names_it(archive: Archive, name: str, reconstruction: str) -> None:
    assert pet(archive(name)).reconstruction == reconstruction


def test_two_vendors_are_not_comparable(archive: Archive) -> None:
    pair = (pet(archive(name)) for name in ("pet_fdg_ge_sts001", "pet_fdg_siemens_qinhn0139_seg"))
    found = differences(*pair, Role.FDG_PET)
    assert [text.split()[0] for text in found] == ["manufacturer", "model", "serial", "reconstruction", "voxel"]
