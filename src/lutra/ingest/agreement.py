"""What the files of one series must agree on. A contradiction is named with both files; the first file never decides alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.tag import Tag

from lutra.core.errors import InconsistentSeries
from lutra.ingest.elements import same_bytes, text
from lutra.ingest.frames import Frame

MUST_AGREE = {
    "PatientID": "(0010,0020)",
    "StudyInstanceUID": "(0020,000D)",
    "SeriesInstanceUID": "(0020,000E)",
    "Modality": "(0008,0060)",
    "SOPClassUID": "(0008,0016)",
    "FrameOfReferenceUID": "(0020,0052)",
    "Units": "(0054,1001)",
    "DecayCorrection": "(0054,1102)",
    "RescaleType": "(0028,1054)",
    "PhotometricInterpretation": "(0028,0004)",
    "BitsAllocated": "(0028,0100)",
    "BitsStored": "(0028,0101)",
    "PixelRepresentation": "(0028,0103)",
}
AGREEING = tuple(Tag(tag) for tag in MUST_AGREE)
ALL_OR_NONE = {
    "RescaleSlope": "(0028,1053)",
    "RescaleIntercept": "(0028,1052)",
    "ModalityLUTSequence": "(0028,3000)",
}
"""Values may differ from slice to slice, as in PET; a slice without one is stored in other units than the rest."""
GEOMETRY_TOLERANCE = 1e-4
"""Direction cosines and spacings [mm] are text in DICOM; writers round them differently from slice to slice."""


def require_agreement(files: Sequence[tuple[Path, Dataset]]) -> None:
    """Refuse files that do not belong together, and an instance that is there twice.

    Raises
    ------
    InconsistentSeries
        Naming the element and two files.
    """
    require_same_storage(files)
    _require_distinct(files)


def require_same_storage(planes: Sequence[tuple[Path, Dataset]]) -> None:
    """Refuse files, or frames of one file, whose pixels are not to be read alike.

    Raises
    ------
    InconsistentSeries
        Naming the element and two files.
    """
    reference_path, reference = planes[0]
    for path, header in planes:
        if not same_bytes(header, reference, AGREEING):
            _compare(path, header, reference_path, reference)
    for tag, code in ALL_OR_NONE.items():
        odd = next((path for path, header in planes if (tag in header) != (tag in reference)), None)
        if odd is not None:
            raise InconsistentSeries(
                f"{tag} is {'missing' if tag in reference else 'there'} here and not so in {reference_path.name}",
                where=f"{odd} {code}",
                required="in every slice of a series, or in none",
                do="export the series again",
            )


def _compare(path: Path, header: Dataset, reference_path: Path, reference: Dataset) -> None:
    for tag, code in MUST_AGREE.items():
        here, there = text(header, tag), text(reference, tag)
        if here != there:
            raise InconsistentSeries(
                f"{tag} is {here or 'missing'} here and {there or 'missing'} in {reference_path.name}",
                where=f"{path} {code}",
                required="one value in a series",
                do="separate the series at its source",
            )


def _require_distinct(files: Sequence[tuple[Path, Dataset]]) -> None:
    seen: dict[str, Path] = {}
    for path, header in files:
        uid = text(header, "SOPInstanceUID")
        if not uid or uid in seen:
            raise InconsistentSeries(
                f"the instance identifier is that of {seen[uid].name} as well" if uid else "no instance identifier",
                where=f"{path} (0008,0018)",
                required="one of its own for every file",
                do="remove the copy, or export the series again",
            )
        seen[uid] = path


def require_one_geometry(frames: Sequence[Frame]) -> None:
    """Refuse planes of different size, spacing or direction.

    Raises
    ------
    InconsistentSeries
        Naming the element and two files.
    """
    first = frames[0]
    for tag, code, read in (
        ("Columns, Rows", "(0028,0011), (0028,0010)", lambda f: f.shape),
        ("PixelSpacing", "(0028,0030)", lambda f: f.spacing_mm),
        ("ImageOrientationPatient", "(0020,0037)", lambda f: (*f.along_row_lps, *f.along_column_lps)),
    ):
        values = np.array([read(frame) for frame in frames], float)
        odd = int(np.abs(values - values[0]).max(axis=1).argmax())
        if np.abs(values[odd] - values[0]).max() > GEOMETRY_TOLERANCE:
            raise InconsistentSeries(
                f"{tag} is {values[odd].tolist()} here and {values[0].tolist()} in {first.name}",
                where=f"{frames[odd].path} {code}",
                required="one value in a series",
                do="separate the series at its source",
            )
