"""A CT slice with a person in every place a file has for one."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from lutra.ingest.deidentify import Deidentifier, DeidentifySettings, PseudonymKey

NAME, ID, BIRTH = "Janssens", "PID4711X", "19570312"
OLD_UID = "1.2.840.99999.19570312.4711"
SECRETS = (
    "janssens",
    "pid4711x",
    "19570312",
    "19570312.4711",
    "жанссенс",
    "jänssens",
    "elderberry",
    "vermeulen",
    "acc998877",
)
TEXT = {"LO", "SH", "PN", "ST", "LT", "UT", "UC", "UR", "AE"}
KEY = PseudonymKey(bytes(range(32)))
FIXED = {  # what the object is; not a place for a person
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "SOPClassUID",
}


def ct(rows: int = 4, columns: int = 4) -> Dataset:
    """A small CT slice as scanners write it, of nobody in particular."""
    file = Dataset()
    file.SpecificCharacterSet = "ISO_IR 192"
    file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, OLD_UID + ".1"
    file.StudyInstanceUID, file.SeriesInstanceUID = OLD_UID + ".2", OLD_UID + ".3"
    file.FrameOfReferenceUID = OLD_UID + ".4"
    file.Modality, file.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    file.PatientName, file.PatientID, file.PatientBirthDate, file.PatientSex = f"{NAME}^Marieke", ID, BIRTH, "F"
    file.PatientAge, file.PatientWeight, file.PatientSize = "061Y", "71.5", "1.68"
    file.StudyDate = file.SeriesDate = file.AcquisitionDate = file.ContentDate = "20180326"
    file.StudyTime = file.SeriesTime = file.AcquisitionTime = file.ContentTime = "101112.5"
    file.Manufacturer, file.ManufacturerModelName, file.DeviceSerialNumber = "ACME", "Scanner 3", "SN77"
    file.SeriesDescription = "CT abdomen 3.0 mm"
    file.Rows, file.Columns, file.SamplesPerPixel, file.PhotometricInterpretation = rows, columns, 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit, file.PixelRepresentation = 15, 0
    file.PixelSpacing, file.SliceThickness = ["2", "2"], "3"
    file.ImagePositionPatient, file.ImageOrientationPatient = ["0", "0", "0"], ["1", "0", "0", "0", "1", "0"]
    file.RescaleSlope, file.RescaleIntercept = "1", "-1024"
    file.PixelData = np.arange(rows * columns, dtype="<u2").tobytes()
    return file


def saved(
    path: Path, file: Dataset, transfer_syntax: str = ExplicitVRLittleEndian, preamble: bytes = b"\0" * 128
) -> Path:
    """Write a dataset as a file, whatever it holds."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = file.SOPClassUID, file.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    file.file_meta, file.preamble = meta, preamble
    pydicom.dcmwrite(path, file, enforce_file_format=True)
    return path


def cleaned(path: Path, **settings: Any) -> tuple[bytes, Dataset]:
    """De-identify a file with the tests' key; its bytes, and what pydicom reads of them."""
    content = Deidentifier(KEY, DeidentifySettings(**settings)).file(path).content
    return content, pydicom.dcmread(BytesIO(content))


def keywords(vrs: set[str]) -> list[tuple[int, str, str]]:
    """Tag, value representation and keyword of every element of the standard's dictionary with one of these."""
    return [
        (tag, vr, keyword)
        for tag, (vr, _, _, _, keyword) in DicomDictionary.items()
        if vr in vrs and keyword and 0x0008 <= tag >> 16 < 0xFFFA and keyword not in FIXED
    ]


def found_in(content: bytes, secrets: tuple[str, ...] = SECRETS) -> set[str]:
    """Secrets that stand in some bytes in any usual encoding, capitals or not."""
    lower = content.lower()
    hits = set()
    for secret in secrets:
        for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "cp1251", "iso8859_5"):
            for form in (secret, secret.upper(), secret.capitalize()):
                try:
                    coded = form.encode(encoding)
                except UnicodeEncodeError:
                    continue
                if coded in content or coded.lower() in lower:
                    hits.add(secret)
    return hits
