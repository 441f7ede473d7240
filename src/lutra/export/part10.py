"""What every DICOM file written here has in common."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lutra.export.uids import IMPLEMENTATION


def date_text(moment: datetime) -> str:
    """DICOM DA in the moment's own zone."""
    return f"{moment:%Y%m%d}"


def time_text(moment: datetime) -> str:
    """DICOM TM in the moment's own zone."""
    return f"{moment:%H%M%S.%f}"


def datetime_text(moment: datetime) -> str:
    """DICOM DT with its offset from UTC."""
    return f"{moment:%Y%m%d%H%M%S.%f%z}"


def offset_text(moment: datetime) -> str:
    """DICOM (0008,0201), such as `+0100`."""
    return f"{moment:%z}"


def on_clock_of(acquired_at: datetime, moment: datetime) -> datetime:
    """Put a moment on the clock of an acquisition: one offset (0008,0201) holds for all times of a file, whatever the season."""
    return moment.astimezone(timezone(acquired_at.utcoffset() or timedelta(0)))


def save(path: Path, dataset: Dataset, *, implicit: bool = False) -> None:
    """Write one instance as little endian, under its final name only when complete.

    Parameters
    ----------
    implicit
        Without value representations: the only way to write a text element of more than 64 kB, such as a long contour.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION)
    meta.ImplementationVersionName = "LUTRA"
    dataset.file_meta = meta
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    dataset.save_as(partial, enforce_file_format=True)
    partial.rename(path)
