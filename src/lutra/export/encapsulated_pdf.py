"""Documents on paper as encapsulated PDF."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from lutra import __version__
from lutra.core.errors import UsageError
from lutra.export.part10 import date_text, header_of, long_string, offset_text, save, time_text
from lutra.export.rtdose import OF_PATIENT, OF_STUDY, copy_trial


def write_encapsulated_pdf(
    path: Path,
    document: bytes,
    image: Path,
    *,
    series_uid: str,
    instance_uid: str,
    made_at: datetime,
    title: str,
    number: int = 1,
) -> Path:
    """Write a PDF as an instance of the study that an image belongs to.

    Parameters
    ----------
    document
        The file as it is.
    image
        Who the patient is, and the study and trial, are read from it.
    number
        Of the instance within its series.

    Raises
    ------
    UsageError
        If it is no PDF.
    Unreadable
        If the image cannot be read.
    """
    if not document.startswith(b"%PDF-"):
        raise UsageError("this is no PDF", required="a file that begins with %PDF-")
    header = header_of(image)
    file = Dataset()
    file.SpecificCharacterSet = "ISO_IR 192"
    file.SOPClassUID, file.SOPInstanceUID = EncapsulatedPDFStorage, instance_uid
    file.Modality, file.ConversionType = "DOC", "WSD"
    for keyword in (*OF_PATIENT, *OF_STUDY):
        setattr(file, keyword, getattr(header, keyword, None))
    copy_trial(file, header)
    file.SeriesInstanceUID, file.SeriesNumber, file.InstanceNumber = series_uid, 92, number
    file.SeriesDescription = "Reports"
    file.Manufacturer, file.ManufacturerModelName, file.SoftwareVersions = "Lutra", "Lutra", __version__
    file.TimezoneOffsetFromUTC = offset_text(made_at)
    file.SeriesDate = file.ContentDate = file.InstanceCreationDate = date_text(made_at)
    file.SeriesTime = file.ContentTime = file.InstanceCreationTime = time_text(made_at)
    file.AcquisitionDateTime = ""
    file.BurnedInAnnotation, file.RecognizableVisualFeatures = "YES", "NO"
    file.DocumentTitle = long_string(title)
    file.ConceptNameCodeSequence = []
    file.MIMETypeOfEncapsulatedDocument = "application/pdf"
    file.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    file.EncapsulatedDocumentLength = len(document)
    save(path, file)
    return path
