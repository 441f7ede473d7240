"""NIfTI files. The only place where RAS coordinates become LPS."""

from __future__ import annotations

import logging
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from lutra.core.errors import InputError
from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.ingest.quiet import quietly

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SAME_PLACE_VOXELS = 0.1
"""sform and qform may differ by this much at any corner: the qform is stored as a rounded quaternion. [voxels]"""
MM_PER_UNIT = {"mm": 1.0, "unknown": 1.0, "meter": 1000.0, "micron": 1e-3}
"""NIfTI states the unit of length in xyzt_units; a file that does not is in mm, as every program writes it."""
MOST_EXPANSION = 1100
"""Deflate packs no tighter than 1032 to 1; a header that claims more is not believed before room is made for it."""


@quietly()
def read_nifti(path: Path, unit: Unit) -> Volume:
    """Read an image whose unit the user states: NIfTI has none, and no frame of reference.

    Raises
    ------
    InputError
        If it is no NIfTI image of three dimensions, has no orientation, or holds values that are not finite.
    """
    image = open_nifti(path)
    grid = Grid(image.shape[:3], affine_lps_mm(image, path))
    try:
        values = np.asarray(image.dataobj, np.float32).reshape(image.shape[:3])
    except Exception as error:
        raise InputError(f"broken NIfTI: {error}", where=str(path), do="export it again") from error
    if not np.isfinite(values).all():
        raise InputError("values that are not finite", where=str(path), required="a number for each voxel")
    return Volume(values, grid, unit)


def open_nifti(path: Path) -> Any:
    """Open a NIfTI image of three dimensions; its voxels are not read yet.

    Raises
    ------
    InputError
        If it is none, or claims more voxels than the file can hold.
    """
    log = logging.getLogger("nibabel.global")
    before, log.disabled = log.disabled, True
    try:
        image = nib.load(path)
    except Exception as error:
        raise InputError(
            f"no NIfTI file: {error}", where=str(path), required=".nii or .nii.gz", do="export it again"
        ) from error
    finally:
        log.disabled = before
    if not isinstance(image, nib.Nifti1Image):  # NIfTI-2 is a kind of it
        raise InputError(f"a file of type {type(image).__name__}", where=str(path), required="NIfTI")
    if len(image.shape) < 3 or any(n != 1 for n in image.shape[3:]) or min(image.shape) < 1:
        raise InputError(
            f"an image of {' × '.join(map(str, image.shape))}", where=str(path), required="three dimensions"
        )
    itemsize = int(image.header["bitpix"]) // 8
    claimed, size = prod(image.shape) * itemsize, path.stat().st_size
    if claimed > size * MOST_EXPANSION:
        raise InputError(
            f"{claimed:.3g} bytes of voxels in a file of {size} bytes",
            where=str(path),
            required="as many voxels as its header says",
            do="export it again",
        )
    return image


def affine_lps_mm(image: Any, path: Path) -> npt.NDArray[np.float64]:
    """Place of the voxels in patient coordinates. [mm] (4, 4)

    Raises
    ------
    InputError
        If the file has no orientation, an impossible one, or two that differ.
    """
    header = image.header
    try:
        found = {
            name: affine
            for name, (affine, code) in (
                ("sform", header.get_sform(coded=True)),
                ("qform", header.get_qform(coded=True)),
            )
            if code > 0 and affine is not None
        }
        unit = header.get_xyzt_units()[0]
    except Exception as error:
        raise InputError(f"orientation cannot be read: {error}", where=str(path), do="export it again") from error
    if not found:
        raise InputError(
            "no orientation: sform_code and qform_code are 0",
            where=str(path),
            required="one of them, for without it left and right cannot be told",
            do="export it again with its orientation",
        )
    affine = next(iter(found.values()))
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9 or unit not in MM_PER_UNIT:
        raise InputError(f"an impossible orientation, unit {unit}", where=str(path), do="export it again")
    if len(found) == 2:
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in image.shape[:3]], [1], indexing="ij"), axis=-1).reshape(
            8, 4
        )
        apart_mm = float(np.linalg.norm(corners @ (found["sform"] - found["qform"]).T, axis=1).max())
        if apart_mm > SAME_PLACE_VOXELS * float(np.linalg.norm(affine[:3, :3], axis=0).min()):
            raise InputError(
                f"sform and qform put its corners up to {apart_mm:.3g} mm apart",
                where=str(path),
                required="one place for each voxel",
                do="find out which is right and export it with that alone",
            )
    scale = np.diag([*[MM_PER_UNIT[unit]] * 3, 1.0])
    return np.asarray(RAS_TO_LPS @ scale @ affine)
