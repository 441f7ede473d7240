"""Volumes as NIfTI, for programs that read nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lutra.core.volume import Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_nifti(path: Path, volume: Volume, *, factor: float = 1.0, description: str = "") -> None:
    """Write a volume with its place in the body. NIfTI states no unit: say it in the description.

    Parameters
    ----------
    path
        `.nii` or `.nii.gz`.
    factor
        What values are multiplied by.
    """
    make: Any = nib.Nifti1Image
    image = make(volume.values * np.float32(factor), LPS_TO_RAS @ volume.grid.affine_lps_mm)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode()[:79]
    nib.save(image, path)
