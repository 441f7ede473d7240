"""NIfTI label maps as regions on their own grid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.core.errors import InputError, OutsideValidity
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionOrigin
from lutra.imaging.labels import regions_of_labels
from lutra.ingest.nifti import affine_lps_mm, open_nifti
from lutra.ingest.quiet import quietly
from lutra.reference.label_names import LabelName

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
        image = open_nifti(path)
        grid = Grid(image.shape[:3], affine_lps_mm(image, path))
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
