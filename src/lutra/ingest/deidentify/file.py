"""One DICOM file made into one that names nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom
from attrs import define, field, frozen
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from lutra.core.clinical_trial import ClinicalTrial
from lutra.core.errors import InputError, Unreadable
from lutra.core.frozen import FrozenMap
from lutra.ingest.deidentify.dataset import Cleaner, LeftBehind, Wording
from lutra.ingest.deidentify.dates import Calendar, local_offset, offset_text
from lutra.ingest.deidentify.key import PseudonymKey
from lutra.ingest.deidentify.refusals import require_safe
from lutra.ingest.deidentify.subject import SubjectIdentity, identify
from lutra.ingest.elements import text
from lutra.ingest.quiet import quietly
from lutra.reference.deidentification import deidentification_table

CODES = {
    "113100": "Basic Application Confidentiality Profile",
    "113105": "Clean Descriptors Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
    "113109": "Retain Device Identity Option",
    "113111": "Retain Safe Private Option",
}
"""DICOM PS3.16 CID 7050, De-identification Method."""
DESCRIPTIONS = ("clean", "remove", "keep")
ANCHORS = ("Acquisition", "Series", "Content", "StructureSet", "Study")
"""Dates and times of a file, the one its offset from UTC is taken at first."""


@frozen
class DeidentifySettings:
    """What a study asks of de-identification.

    Parameters
    ----------
    time_zone
        IANA zone of files that name none; its offset is written into them.
    descriptions
        Text typed by a person: `clean` keeps known words, `remove` nothing, `keep` everything. With `keep` the files do not say
        that the identity was removed: that is for the user to know.
    words
        Further words that may stay.
    trial
        Written into every file; None: nothing is said of a trial.
    """

    time_zone: str = "UTC"
    descriptions: str = "clean"
    words: frozenset[str] = frozenset()
    trial: ClinicalTrial | None = None


@frozen
class CleanFile:
    """A de-identified file, not yet written.

    Parameters
    ----------
    content
        The whole file.
    proof
        Of its subject, :meth:`lutra.ingest.deidentify.key.PseudonymKey.proof`; empty for a file made from de-identified images.
    """

    content: bytes = field(repr=False)
    sha256: str
    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    study_uid: str
    subject_id: str
    modality: str
    proof: str


@define
class Deidentifier:
    """Makes the files of one study.

    Parameters
    ----------
    key
        The study's key.
    pseudonyms
        Chosen pseudonyms by patient identifier; empty to have them made from the key.
    known
        Pseudonyms that are in the study already.
    left
        What was left behind so far.
    zones_written
        How many files got an offset from UTC.
    """

    key: PseudonymKey
    settings: DeidentifySettings = field(factory=DeidentifySettings)
    pseudonyms: FrozenMap[str, str] = field(factory=FrozenMap)
    known: frozenset[str] = frozenset()
    left: LeftBehind = field(factory=LeftBehind)
    zones_written: int = 0

    def file(self, path: Path) -> CleanFile:
        """Read a file and return it without its patient. The file itself is not touched.

        Raises
        ------
        Unreadable
            If it is broken.
        InputError
            If it cannot be made safe, or its patient has no pseudonym.
        """
        try:
            with quietly():
                return self._clean(pydicom.dcmread(path), str(path))
        except Unreadable as error:
            where = error.where if str(path) in error.where else f"{path} {error.where}"
            raise Unreadable(error.found, where=where, required=error.required, do=error.do) from error
        except InputError:
            raise
        except Exception as error:
            raise Unreadable(f"broken DICOM: {error}", where=str(path), do="export it again") from error

    def _clean(self, old: Dataset, where: str) -> CleanFile:
        require_safe(old, where)
        subject = identify(text(old, "PatientID"), self.key, self.pseudonyms, self.known)
        calendar = self._calendar(old, subject, where)
        words = deidentification_table().words | {word.lower() for word in self.settings.words}
        _decompress(old, where)
        new = Cleaner(subject, calendar, Wording(self.settings.descriptions, words), self.left).dataset(old)
        _name(new, subject, self.settings)
        if calendar.offset is not None:
            new.TimezoneOffsetFromUTC = offset_text(calendar.offset)
            self.zones_written += 1
        _cut_pixels(new)
        return _written(new, old, subject)

    def _calendar(self, old: Dataset, subject: SubjectIdentity, where: str) -> Calendar:
        zone = self.settings.time_zone
        if text(old, "TimezoneOffsetFromUTC"):
            return Calendar(subject.days)
        found = (local_offset(text(d, f"{a}Date"), text(d, f"{a}Time"), zone) for d in _all(old) for a in ANCHORS)
        offset = next((o for o in found if o is not None), None)
        for item in old.get("RadiopharmaceuticalInformationSequence") or []:
            day = text(old, "AcquisitionDate") or text(old, "SeriesDate")
            own = local_offset(day, text(item, "RadiopharmaceuticalStartTime"), zone)
            if not text(item, "RadiopharmaceuticalStartDateTime") and own not in (None, offset):
                raise InputError(
                    "administration and acquisition lie on two sides of a change of the clock, and neither has an offset",
                    where=f"{where} (0018,1072)",
                    required="(0018,1078) Radiopharmaceutical Start DateTime, or (0008,0201) Timezone Offset From UTC",
                    do="correct the header at its source",
                )
        return Calendar(subject.days, zone, offset)


def _all(dataset: Dataset) -> Iterator[Dataset]:
    """Walk a dataset and every item in it."""
    yield dataset
    for sequence in [element.value for element in dataset if element.VR == "SQ"]:
        for item in sequence:
            yield from _all(item)


def _decompress(old: Dataset, where: str) -> None:
    """Write pixels out: comments can hide in the stream of a compressed image."""
    if "PixelData" not in old or not UID(text(old.file_meta, "TransferSyntaxUID")).is_compressed:
        return
    if UID(old.file_meta.TransferSyntaxUID).is_deflated:
        return
    try:
        old.decompress(generate_instance_uid=False)
    except Exception as error:
        raise Unreadable(
            f"compressed pixels cannot be read: {error}",
            where=where,
            required="a compression that can be decoded here",
            do="install the extra `codecs`, or export the images uncompressed",
        ) from error


def _name(new: Dataset, subject: SubjectIdentity, settings: DeidentifySettings) -> None:
    """Write the pseudonym, and what was done (PS3.15 E.1.1)."""
    new.PatientName = new.PatientID = subject.pseudonym
    cleaned = settings.descriptions != "keep"
    new.PatientIdentityRemoved = "YES" if cleaned else "NO"
    new.DeidentificationMethod = "Lutra" if cleaned else "Lutra, descriptions kept as typed"
    new.LongitudinalTemporalInformationModified = "MODIFIED"
    if settings.trial is not None:
        for keyword, value in settings.trial.elements(subject.pseudonym).items():
            setattr(new, keyword, value)
    wanted = CODES if cleaned else {code: CODES[code] for code in CODES if code not in ("113100", "113105")}
    new.DeidentificationMethodCodeSequence = [_code(value, meaning) for value, meaning in wanted.items()]


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _cut_pixels(new: Dataset) -> None:
    """Leave behind what lies after the last pixel."""
    if "PixelData" not in new:
        return
    try:
        length = get_expected_length(new)
    except (AttributeError, KeyError, TypeError, ValueError):
        return  # a header that does not say how many pixels; the reader refuses it
    length += length % 2
    if len(new.PixelData) > length:
        new["PixelData"].value = new.PixelData[:length]


def _written(new: Dataset, old: Dataset, subject: SubjectIdentity) -> CleanFile:
    big_endian = text(old.file_meta, "TransferSyntaxUID") == ExplicitVRBigEndian
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = new.SOPClassUID
    meta.MediaStorageSOPInstanceUID = new.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRBigEndian if big_endian else ExplicitVRLittleEndian
    new.file_meta = meta
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, new, enforce_file_format=True)
    content = buffer.getvalue()
    return CleanFile(
        content,
        hashlib.sha256(content).hexdigest(),
        sop_instance_uid=text(new, "SOPInstanceUID"),
        sop_class_uid=text(new, "SOPClassUID"),
        series_uid=text(new, "SeriesInstanceUID"),
        study_uid=text(new, "StudyInstanceUID"),
        subject_id=subject.pseudonym,
        modality=text(new, "Modality"),
        proof=subject.proof,
    )
