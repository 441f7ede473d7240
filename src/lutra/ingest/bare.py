"""DICOM instances as bytes: whether one is whole, and the head of PS3.10 for one that comes without."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pydicom
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from lutra.core.errors import Unreadable
from lutra.ingest.quiet import quietly

MARK = b"\0" * 128 + b"DICM"
STORAGE_PREFIX = "1.2.840.10008.5.1.4.1.1."
"""Every storage SOP class of the standard begins so [PS3.4 annex B]."""
FIRST_ELEMENTS = {0x0000, 0x0001, 0x0005, 0x0008, 0x0012, 0x0016, 0x0018}
"""What a data set of a storage class begins with in group 0008."""
IDENTITY = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality")
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
GROUP_LENGTH_BYTES = 12
"""Size of (0002,0000), which counts the bytes after itself. [byte]"""
UNDEFINED_LENGTH = 0xFFFFFFFF
DELIMITERS = (b"\xfe\xff\xdd\xe0", b"\xff\xfe\xe0\xdd")
"""(FFFE,E0DD) in little and big endian: ends a sequence or encapsulated pixels of undefined length."""


def is_dicom(head: bytes) -> bool:
    """Whether the first bytes of a file carry the mark of PS3.10."""
    return head[128:132] == b"DICM"


def could_be_bare(head: bytes) -> bool:
    """Whether a file could begin with a data set in little endian. Most foreign files fail here, at no cost."""
    group, element = int.from_bytes(head[:2], "little"), int.from_bytes(head[2:4], "little")
    return len(head) > len(MARK) and not is_dicom(head) and group == 0x0008 and element in FIRST_ELEMENTS


def with_head(path: Path) -> bytes | None:
    """Return a bare data set with preamble and file meta information before it; its own bytes stay as they are.

    None unless the file is beyond doubt a complete data set of a storage class, in implicit or explicit little endian.
    """
    content = path.read_bytes()
    try:
        with quietly():
            dataset = pydicom.dcmread(io.BytesIO(content), force=True)
            named = all(str(dataset.get(name, "") or "") for name in IDENTITY)
            storage = named and str(dataset.SOPClassUID).startswith(STORAGE_PREFIX) and dataset.SOPInstanceUID.is_valid
            implicit, little = dataset.original_encoding
            if not (storage and little) or dataset.file_meta or defect(dataset, content):
                return None
            syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
            return MARK + file_meta(dataset.SOPClassUID, dataset.SOPInstanceUID, syntax) + content
    except Exception:  # noqa: BLE001  (pydicom raises many kinds on what is not DICOM; intake then says so)
        return None


def read_whole(content: bytes) -> Dataset:
    """Read the bytes of one instance with its identity, or refuse them.

    Raises
    ------
    Unreadable
        If they are broken, cut, or say not which instance of which patient they are.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(content))
        missing = [name for name in (*IDENTITY, "PatientID") if not str(dataset.get(name, "") or "")]
        what = defect(dataset, content)
    except Exception as error:  # pydicom raises many kinds on broken data
        raise Unreadable(f"broken DICOM: {error}", do="export it again") from error
    if what or missing:
        raise Unreadable(what or f"no {', '.join(missing)}", required="one complete instance", do="export it again")
    return dataset


def same_but_for_the_head(one: Path, other: Path) -> bool:
    """Whether two files hold the same data set, byte for byte, in the same encoding.

    Archives write preamble and file meta information anew with each transfer: they say who wrote the file, not what it shows.
    """
    try:
        return _without_head(one) == _without_head(other)
    except (OSError, AttributeError, InvalidDicomError):
        return False


def _without_head(path: Path) -> tuple[str, bytes]:
    with path.open("rb") as file, quietly():
        meta = read_file_meta_info(path)
        file.seek(len(MARK) + GROUP_LENGTH_BYTES + int(meta.FileMetaInformationGroupLength))
        return str(meta.TransferSyntaxUID), hashlib.file_digest(file, "sha256").digest()


def file_meta(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """Encode the file meta information of an instance [PS3.10 7.1]."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance)
    meta.TransferSyntaxUID = UID(transfer_syntax)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_file_meta_info(buffer, meta)
    return bytes(buffer.getvalue())


def defect(dataset: Dataset, content: bytes) -> str:
    """Say why `content`, which `dataset` was read from, is not one whole instance; empty if it is.

    The reader takes what a broken transfer left as if it were everything: pixels that are too short, or the elements before
    the cut. So the last element must end where the file does; zeros after it are padding.
    """
    if len(dataset) == 0:
        return "it holds no element"
    image = "Rows" in dataset or UID(str(dataset.get("SOPClassUID", ""))).name.endswith("Image Storage")
    if image and not any(tag in dataset for tag in PIXELS):
        return "it is an image and has no pixel data (7FE0,0010)"
    if getattr(dataset, "file_meta", {}).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return ""  # a cut one does not inflate
    last: Any = dataset.get_item(max(dataset.keys()))
    if isinstance(last, RawDataElement):
        end = None if last.length == UNDEFINED_LENGTH else last.value_tell + last.length
    elif last.is_empty and last.VR != "SQ":
        n_bytes = 4 if dataset.original_encoding[0] or last.VR in EXPLICIT_VR_LENGTH_32 else 2
        end = last.file_tell + int.from_bytes(content[last.file_tell - n_bytes : last.file_tell], "little")
    else:
        end = None
    if end is None:
        whole = content.rstrip(b"\0").endswith(DELIMITERS)
    else:
        whole = end <= len(content) and not content[end:].strip(b"\0")
    return "" if whole else f"it ends within or right after {last.tag}, before the data set does"
