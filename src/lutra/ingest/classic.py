"""Classic objects: one plane per file, all attributes at the top of the dataset."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydicom import Dataset

from lutra.core.study import VolumeKey
from lutra.ingest.clock import moment, parse
from lutra.ingest.elements import count, numbers, text
from lutra.ingest.frames import Frame, directions, pixel_spacing


def classic_frame(path: Path, header: Dataset, zone: str) -> Frame:
    """Read the plane of a single-frame file.

    Raises
    ------
    InputError
        If the geometry is missing or impossible.
    """
    row, column = directions(header)
    return Frame(
        path=path,
        index=0,
        uid=text(header, "SOPInstanceUID"),
        header=header,
        shape=(count(header, "Columns"), count(header, "Rows")),
        position_lps_mm=numbers(header, "ImagePositionPatient", 3),
        along_row_lps=row,
        along_column_lps=column,
        spacing_mm=pixel_spacing(header),
        key=VolumeKey(),
        acquired_at=acquired_at(header, zone),
    )


def acquired_at(header: Dataset, zone: str) -> datetime | None:
    """Start of the acquisition: (0008,0022) with (0008,0032), or (0008,002A)."""
    combined = moment(header, "AcquisitionDate", "AcquisitionTime", zone)
    return combined or parse(text(header, "AcquisitionDateTime"), zone, text(header, "TimezoneOffsetFromUTC"))
