"""Volumes as NIfTI, for programs that read nothing else."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from lutra.core.volume import Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
LEVEL = 1
"""zlib's quickest: the file is read once, over a short way."""
AT_ONCE = 8
"""Slices packed at a time."""


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


def gzipped_nifti(
    values: npt.NDArray[Any], affine_lps_mm: npt.NDArray[np.float64], description: str = ""
) -> Iterator[bytes]:
    """Give a `.nii.gz` piece by piece, so that no more than a few slices are held twice.

    Whole numbers within 16 bits, as a CT has them, are written as such; the values are the same and half as long.

    Parameters
    ----------
    values
        float32, or unsigned numbers of regions, which the header calls labels. (i, j, k)
    """
    if values.dtype.kind == "f" and _whole(values):
        values = values.astype(np.int16)
    make: Any = nib.Nifti1Header
    header = make()
    header.set_data_dtype(values.dtype)
    header.set_data_shape(values.shape)
    header.set_sform(LPS_TO_RAS @ affine_lps_mm, code="scanner")
    header.set_qform(LPS_TO_RAS @ affine_lps_mm, code="scanner", strip_shears=True)
    header.set_xyzt_units("mm")
    header["descrip"] = description.encode()[:79]
    if values.dtype.kind == "u":
        header.set_intent("label")
    header["magic"], header["vox_offset"] = b"n+1", 352
    packer = zlib.compressobj(LEVEL, wbits=31)
    yield packer.compress(header.binaryblock + bytes(4))
    for k in range(0, values.shape[2], AT_ONCE):
        yield packer.compress(values[:, :, k : k + AT_ONCE].tobytes("F"))
    yield packer.flush()


def _whole(values: npt.NDArray[Any]) -> bool:
    """Tell whether all values are whole numbers that 16 bits hold."""
    if not values.size or not -32768 <= float(values.min()) <= float(values.max()) <= 32767:
        return False
    return bool(np.array_equal(values, np.rint(values)))
