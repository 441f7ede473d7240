"""What every DICOM file written here has in common."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pydicom import DataElement, Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_data_element, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lutra.core.errors import Unreadable
from lutra.export.uids import IMPLEMENTATION, stable_uid

PREAMBLE = bytes(128) + b"DICM"
LONG_STRING = 64
ENCODING = "utf8"
"""Of texts, where Specific Character Set (0008,0005) is ISO_IR 192."""


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


def long_string(text: str) -> str:
    """Cut a text to what a long string (LO) holds: 64 characters by PS3.5, of which validators count the bytes."""
    return text.encode()[:LONG_STRING].decode(errors="ignore")


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
    dataset.file_meta = _meta(dataset, ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    dataset.save_as(partial, enforce_file_format=True)
    partial.rename(path)


def stamp(file: Dataset, made_at: datetime, instance_uid: str) -> None:
    """Put the caller's time and stable UIDs where highdicom put the clock's and drawn ones."""
    file.InstanceCreationDate = file.ContentDate = file.SeriesDate = date_text(made_at)
    file.InstanceCreationTime = file.ContentTime = file.SeriesTime = time_text(made_at)
    file.TimezoneOffsetFromUTC = offset_text(made_at)
    organization = stable_uid(instance_uid, "dimensions")
    for item in (*file.DimensionOrganizationSequence, *file.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    for item in file.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = datetime_text(made_at)


def header_of(path: Path) -> Dataset:
    """Read everything before the pixels of an image that a new object refers to.

    Raises
    ------
    Unreadable
        If the file is gone or no DICOM.
    """
    try:
        return dcmread(path, stop_before_pixels=True)
    except (OSError, InvalidDicomError) as error:
        raise Unreadable(f"cannot be read: {error}", where=str(path), do="bring it back") from error


class SeriesSaver:
    """Saves the instances of one series, which share most of their elements: those that have not changed are not encoded again.

    An element has changed if its value is another object; values must not be changed in themselves.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, bytes]] = {}

    def save(self, path: Path, dataset: Dataset) -> None:
        """Write an instance; see :func:`save`."""
        correct_ambiguous_vr(dataset, is_little_endian=True)
        head = DicomBytesIO()
        head.is_little_endian, head.is_implicit_VR = True, False
        head.write(PREAMBLE)
        write_file_meta_info(head, _meta(dataset, ExplicitVRLittleEndian))
        body = b"".join([self._encoded(element) for element in dataset])
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        partial.write_bytes(head.getvalue() + body)
        partial.rename(path)

    def _encoded(self, element: DataElement) -> bytes:
        known = self._known.get(element.tag)
        if known is None or known[0] is not element.value:
            buffer = DicomBytesIO()
            buffer.is_little_endian, buffer.is_implicit_VR = True, False
            write_data_element(buffer, element, [ENCODING])
            known = self._known[element.tag] = element.value, buffer.getvalue()
        return known[1]


def _meta(dataset: Dataset, syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION)
    meta.ImplementationVersionName = "LUTRA"
    return meta
