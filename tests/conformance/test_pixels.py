"""Pixels taken from the file as they lie, against pydicom's own decoder on real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from lutra.ingest import scan
from lutra.ingest.pixels import planes_of

ARCHIVES = (
    "ct_lung1_001_rtstruct",
    "adc_abdomen_toshiba_cmbcrc",
    "pet_fdg_ge_sts001",
    "spect_lu177_umich",
    "dwi_uih_dcmqa",
)


@pytest.mark.parametrize("name", ARCHIVES)
def test_every_tenth_image_is_bit_equal(archive: Callable[[str], Path], name: str) -> None:
    images = [f for f in scan([archive(name)]).files if f.modality in {"CT", "MR", "PT"}][::10]
    assert images
    for image in images:
        theirs = pydicom.dcmread(image.path).pixel_array
        _, planes = planes_of(Path(image.path), theirs.shape[-2:])
        assert np.array_equal(planes.reshape(theirs.shape), theirs)
