"""Label maps: every voxel belongs to one region at most."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, label

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Shape

LARGEST_LABEL = 65535


def regions_of_labels(labels: npt.NDArray[np.integer[Any]]) -> dict[int, tuple[Shape, npt.NDArray[np.float32]]]:
    """Cut each label's bounding box out of a label map.

    Parameters
    ----------
    labels
        Number of the region of each voxel; 0 and below are none. (i, j, k)

    Returns
    -------
    dict
        By number: first voxel of the box, and 1 for the region's voxels within it. [1] (i, j, k)

    Raises
    ------
    OutsideValidity
        If a number is above 65535, more than a DICOM label map can hold.
    """
    if labels.size and labels.max() > LARGEST_LABEL:
        raise OutsideValidity(f"a label of {labels.max()}", required=f"numbers up to {LARGEST_LABEL}")
    found: dict[int, tuple[Shape, npt.NDArray[np.float32]]] = {}
    for number, box in enumerate(find_objects(labels.astype(np.int32, copy=False)), start=1):
        if box is not None:
            i, j, k = (int(side.start) for side in box)
            found[number] = (i, j, k), (labels[box] == number).astype(np.float32)
    return found


def trimmed(start: Shape, fraction: npt.NDArray[np.float32]) -> tuple[Shape, npt.NDArray[np.float32]] | None:
    """Take the empty margins off a bounding box; None if there is nothing in it."""
    first = []
    for axis in range(3):
        filled = np.flatnonzero(fraction.any(axis=tuple(a for a in range(3) if a != axis)))
        if not len(filled):
            return None
        fraction = fraction.take(range(filled[0], filled[-1] + 1), axis=axis)
        first.append(start[axis] + int(filled[0]))
    i, j, k = first
    return (i, j, k), np.ascontiguousarray(fraction)


def largest_part(start: Shape, fraction: npt.NDArray[np.float32]) -> tuple[Shape, npt.NDArray[np.float32]]:
    """Keep the largest of the parts that touch nowhere, not even at a corner; of an empty box, the box."""
    parts, count = label(fraction > 0, np.ones((3, 3, 3)))
    if count < 2:
        return start, fraction
    volumes = np.bincount(parts.ravel(), fraction.ravel())[1:]
    found = trimmed(start, np.where(parts == 1 + int(np.argmax(volumes)), fraction, 0).astype(np.float32))
    assert found is not None  # noqa: S101  (a part has a voxel)
    return found
