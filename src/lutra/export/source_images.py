"""Files of an image series as highdicom takes the sources of what lies on them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset

from lutra.core.errors import Unreadable, UsageError
from lutra.core.study import SeriesHeader


def source_images(
    images: Sequence[Path], drawn_on: SeriesHeader, first: int, stop: int
) -> tuple[list[Dataset], list[int]]:
    """Datasets that highdicom takes patient, geometry and references from, and the slice of each of their frames.

    Parameters
    ----------
    images
        The files of the series.
    drawn_on
        Its header; the first volume is taken.
    first, stop
        Slices that are needed; of a file with many frames all are given.

    Raises
    ------
    UsageError
        If the series has no geometry, or a slice has no file.
    Unreadable
        If a file cannot be read.
    """
    if drawn_on.grid is None:
        raise UsageError("a series without geometry", where=drawn_on.series_uid, required="an image")
    uids = drawn_on.instances[: drawn_on.grid.shape[2]]
    wanted = set(uids if drawn_on.frame_indices else uids[first:stop])
    found: dict[str, Dataset] = {}
    for image in images:
        try:
            header = pydicom.dcmread(image, stop_before_pixels=True)
        except Exception as error:
            raise Unreadable(f"broken DICOM: {error}", where=str(image), do="export it again") from error
        if header.get("SOPInstanceUID") in wanted:
            found[header.SOPInstanceUID] = _complete(header)
    missing = wanted - set(found)
    if missing:
        raise UsageError(
            f"{len(missing)} of the slices have no file", required="the files of the series the regions lie on"
        )
    if not drawn_on.frame_indices:
        return [found[uid] for uid in uids[first:stop]], list(range(first, stop))
    (uid,) = wanted
    return [_with_frames(found[uid], drawn_on)], list(np.argsort(drawn_on.frame_indices[: len(uids)]))


def _complete(header: Dataset) -> Dataset:
    """Elements that DICOM wants to be there, if empty, and real files lack."""
    for tag in (
        "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
    ):  # fmt: skip
        if tag not in header:
            setattr(header, tag, "")
    return header


def _with_frames(header: Dataset, drawn_on: SeriesHeader) -> Dataset:
    """Describe the frames of the first volume of an NM or enhanced object as an enhanced object does, on the header's grid."""
    grid = drawn_on.grid
    assert grid is not None  # noqa: S101  (checked before)
    stand_in = deepcopy(header)
    directions = grid.affine_lps_mm[:3, :3] / grid.spacing_mm
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [f"{grid.spacing_mm[1]:.10g}", f"{grid.spacing_mm[0]:.10g}"]
    measures.SliceThickness = measures.SpacingBetweenSlices = f"{grid.spacing_mm[2]:.10g}"
    orientation.ImageOrientationPatient = [f"{x:.10f}" for x in (*directions[:, 0], *directions[:, 1])]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    frames = []
    for k in np.argsort(drawn_on.frame_indices[: grid.shape[2]]):
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = [f"{x:.9g}" for x in grid.to_lps_mm((0, 0, k))]
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    stand_in.SharedFunctionalGroupsSequence, stand_in.PerFrameFunctionalGroupsSequence = [shared], frames
    stand_in.NumberOfFrames = len(frames)
    return stand_in
