"""Features against the reference values of the IBSI: digital phantom, and CT phantom in configuration A.

Values and tolerances are read from the standard's own files. They are given to three digits, so ours are rounded to three before
they are compared. Configuration A interpolates nothing and cuts the mask to -500 to 400 HU; B to E resample the image first.
"""

from __future__ import annotations

import csv
import tarfile
from decimal import Context, Decimal
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom.sr.codedict import codes

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify.features import measure_features
from lutra.quantify.first_order import intensity_histogram
from lutra.reference.ibsi import features

IDS = [f"{f.code}-{f.tag}" for f in features().values()]
STANDARD = {"mL": 1000.0, "intensity.mL": 1000.0}
"""The standard counts volumes in mm3."""


@pytest.fixture(scope="session")
def ibsi(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ibsi")
    (packed,) = (shared_data / "ibsi").glob("ibsi1_*.tar.gz")
    with tarfile.open(packed) as tar:
        tar.extractall(folder, filter="data")
    return folder / "test" / "data"


@pytest.fixture(scope="session")
def digital_phantom(ibsi: Path) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Grey levels 1 to 6 in 74 voxels of 2 mm."""
    image, region = phantom(ibsi / "ibsi_1_digital_phantom", Unit.ONE)
    found = measure_features(image, region, "phantom", "1").value
    assert found is not None
    levels = image.values[region.fraction > 0].astype(float)
    return {**found.values, **intensity_histogram(levels, 1, 1)}, expected(ibsi, "dig_phantom")


@pytest.fixture(scope="session")
def configuration_a(ibsi: Path) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """A lung tumour on CT, 0.977 x 0.977 x 3 mm."""
    image, region = phantom(ibsi / "ibsi_1_ct_radiomics_phantom", Unit.HU)
    found = measure_features(image, region, "tumour", "1", intensity_range=(-500, 400)).value
    assert found is not None
    return dict(found.values), expected(ibsi, "chest_config_a")


def phantom(folder: Path, unit: Unit) -> tuple[Volume, Region]:
    (image,), (mask,) = ((nib.load(p) for p in (folder / "nifti" / kind).iterdir()) for kind in ("image", "mask"))
    grid = Grid(image.shape, np.diag([-1.0, -1, 1, 1]) @ image.affine, "1")
    inside = np.asarray(mask.dataobj) > 0
    region = Region("mask", RegionKind.LESION, grid, (0, 0, 0), inside, None, RegionOrigin.IMPORTED, "IBSI")
    return Volume(np.rint(image.get_fdata()), grid, unit), region


def expected(ibsi: Path, name: str) -> dict[str, tuple[float, float]]:
    """Reference value and tolerance by tag."""
    with (ibsi / "ibsi_1_reference_values" / f"ibsi_1_{name}.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter=";") if row["reference value"]]
    return {row["tag"].replace("_", ".", 1): (float(row["reference value"]), float(row["tolerance"])) for row in rows}


def three_digits(value: float) -> float:
    return float(Context(prec=3).create_decimal(Decimal(repr(value))))


@pytest.mark.parametrize("tag", features(), ids=IDS)
def test_digital_phantom(digital_phantom: tuple[dict[str, float], dict[str, tuple[float, float]]], tag: str) -> None:
    ours, standard = digital_phantom
    value, tolerance = standard[tag]
    scale = STANDARD.get(features()[tag].unit, 1.0)
    assert three_digits(ours[tag] * scale) == pytest.approx(value, rel=0, abs=tolerance + 1e-9 * abs(value))


@pytest.mark.parametrize("tag", features(), ids=IDS)
def test_ct_phantom_configuration_a(
    configuration_a: tuple[dict[str, float], dict[str, tuple[float, float]]], tag: str
) -> None:
    ours, standard = configuration_a
    value, tolerance = standard[tag]
    scale = STANDARD.get(features()[tag].unit, 1.0)
    assert three_digits(ours[tag] * scale) == pytest.approx(value, rel=0, abs=tolerance + 1e-9 * abs(value))


def test_every_feature_we_give_has_its_identifier(
    digital_phantom: tuple[dict[str, float], dict[str, tuple[float, float]]],
) -> None:
    assert digital_phantom[0].keys() == features().keys()


IN_DICOM = {code.value: code.meaning for code in (getattr(codes.IBSI, name) for name in codes.IBSI.dir())}


@pytest.mark.parametrize("tag", [tag for tag in features() if not tag.startswith(("stat.", "loc."))])
def test_identifiers_are_those_of_dicom(tag: str) -> None:
    """DICOM PS3.16 repeats identifiers and names of the standard, without the statistics and local intensity families."""
    assert IN_DICOM[features()[tag].code] == features()[tag].name
