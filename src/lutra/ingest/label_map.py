"""NIfTI label maps as regions on their own grid. The only place where RAS coordinates become LPS."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from lutra.core.errors import InputError, OutsideValidity
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionOrigin
from lutra.imaging.labels import regions_of_labels
from lutra.ingest.quiet import quietly
from lutra.reference.label_names import LabelName

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SAME_PLACE_VOXELS = 0.1
"""sform and qform may differ by this much at any corner: the qform is stored as a rounded quaternion. [voxels]"""
MM_PER_UNIT = {"mm": 1.0, "unknown": 1.0, "meter": 1000.0, "micron": 1e-3}
"""NIfTI states the unit of length in xyzt_units; a file that does not is in mm, as every program writes it."""
MOST_EXPANSION = 1100
"""Deflate packs no tighter than 1032 to 1; a header that claims more is not believed before room is made for it."""
OWN_NAMES = re.compile(r'<Label Key="(\d+)"[^>]*>(?:<!\[CDATA\[)?(.*?)(?:\]\]>)?</Label>')
"""Label table of the Caret extension, where TotalSegmentator writes its names."""


@quietly()
def read_label_map(
    path: Path, names: Mapping[int, LabelName] | None = None, referenced_series_uid: str | None = None
) -> Outcome[tuple[Region, ...]]:
    """Read every label of a NIfTI file.

    Parameters
    ----------
    path
        `.nii` or `.nii.gz` with one whole number for each voxel.
    names
        What the numbers stand for; None takes the names the file itself holds, if any.
    referenced_series_uid
        Series it belongs to, as the user says: NIfTI knows none.

    Returns
    -------
    Outcome
        A region for each number that is there, on a grid without a frame of reference; none with an ERROR Finding if the file
        has several places for its voxels (sform and qform disagree), none at all, or values that are no labels.
    """
    try:
        image = _image(path)
        grid = Grid(image.shape[:3], _affine_lps_mm(image, path))
        own = _own_names(image) if names is None else dict(names)
        boxes = regions_of_labels(_labels(image, path))
    except (InputError, OutsideValidity) as error:
        return Outcome(None, (Finding(Severity.ERROR, "ingest.label-map-refused", str(error)),))
    findings = []
    nameless = [number for number in boxes if number not in own]
    if nameless:
        text = f"{path}: labels {', '.join(map(str, nameless))} have no name; they are called by their number"
        findings.append(Finding(Severity.WARNING, "ingest.label-without-name", text))
    if not boxes:
        findings.append(Finding(Severity.WARNING, "ingest.no-segments", f"{path} holds no label above 0"))
        return Outcome(None, findings)
    content = sha256(path.read_bytes()).hexdigest()
    regions = []
    for number, (start, fraction) in boxes.items():
        label = own.get(number, LabelName(f"label {number}"))
        source = f"label {number} of {path.name}, SHA-256 {content}"
        regions.append(
            Region(
                label.name,
                label.kind,
                grid,
                start,
                fraction,
                label.code,
                RegionOrigin.IMPORTED,
                source,
                referenced_series_uid,
            )
        )
    return Outcome(tuple(regions), findings)


def _image(path: Path) -> Any:
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


def _affine_lps_mm(image: Any, path: Path) -> npt.NDArray[np.float64]:
    """Place of the voxels in patient coordinates. [mm] (4, 4)"""
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


def _labels(image: Any, path: Path) -> npt.NDArray[Any]:
    try:
        values = np.asarray(image.dataobj).reshape(image.shape[:3])
    except Exception as error:
        raise InputError(f"broken NIfTI: {error}", where=str(path), do="export it again") from error
    if values.dtype.kind in "iub":
        return values.astype(np.uint8) if values.dtype.kind == "b" else values
    if values.dtype.kind != "f" or not np.isfinite(values).all() or np.any(values != np.rint(values)):
        raise InputError(
            "values that are no labels",
            where=str(path),
            required="a whole number for each voxel",
            do="export the label map, not the image or a probability",
        )
    if np.abs(values).max(initial=0) > 2**31 - 1:
        raise InputError(f"a label of {values.max():g}", where=str(path), required="numbers up to 65535")
    return values.astype(np.int32)


def _own_names(image: Any) -> dict[int, LabelName]:
    names = {}
    for extension in image.header.extensions:
        content = extension.get_content()
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
        names.update({int(number): LabelName(name) for number, name in OWN_NAMES.findall(text)})
    return names
