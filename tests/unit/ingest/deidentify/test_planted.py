"""A person planted everywhere is found nowhere in the bytes that come out."""

from __future__ import annotations

import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset, Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from lutra.reference.deidentification import deidentification_table

from .planted import BIRTH, ID, NAME, OLD_UID, TEXT, cleaned, ct, found_in, keywords, saved

VERBATIM = deidentification_table().groups["device"] | deidentification_table().groups["machine_text"]
"""Text that stays as the machine wrote it, by the options Retain Device Identity and by the list."""


def plant(into: Dataset) -> None:
    """Put the person into every element of the dictionary that holds text, a date, a time or a UID."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tag, vr, keyword in keywords(TEXT | {"DA", "DT", "UI"}):
            if keyword not in VERBATIM:
                into.add_new(tag, vr, {"DA": BIRTH, "DT": BIRTH + "1011", "UI": OLD_UID}.get(vr, NAME))


def person(file: Dataset) -> Dataset:
    """The person at the top, in sequences that stay and that go, and in private blocks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sop_class = file.SOPClassUID
        plant(file)
        file.SOPClassUID, file.PatientName, file.PatientID = sop_class, f"{NAME}^Marieke=Жанссенс", ID
        file.StudyDate = file.AcquisitionDate = "20180326"
        for _, _, keyword in keywords({"SQ"}):
            item = Dataset()
            item.PatientName, item.PatientID, item.CodeMeaning = NAME, ID, NAME
            item.CodeValue, item.CodingSchemeDesignator = ID, "99LOCAL"
            item.InstitutionName, item.ReferencedSOPInstanceUID = "Elderberry Hospital", OLD_UID
            item.RadiopharmaceuticalStartDateTime = BIRTH + "101112"
            inner = Dataset()
            inner.ReferringPhysicianName, inner.TextValue = "Vermeulen", NAME
            item.SourceImageSequence = Sequence([inner])
            setattr(file, keyword, Sequence([item]))
        plant(file.RadiopharmaceuticalInformationSequence[0])
        for creator in ("ACME 1.0", NAME, "GEMS_PETD_01", "Philips PET Private Group"):
            for group in (0x0009, 0x7053):
                block = file.private_block(group, creator, create=True)
                block.add_new(0x00, "LO", NAME)
                block.add_new(0x02, "LO", ID)
                block.add_new(0x0D, "DT", BIRTH + "101112")
                block.add_new(0x09, "UN", NAME.encode("utf-16-le"))
                block.add_new(0x39, "LT", NAME)
                block.add_new(0x10, "SQ", Sequence([item]))
        file.add_new(0x60000010, "US", 4)
        file.add_new(0x60000100, "US", 1)
        file.add_new(0x60003000, "OW", NAME.encode())
        file.add_new(0x60004000, "LT", NAME)
        file.add_new(0x50003000, "OW", NAME.encode())
        file.add_new(0xFFFCFFFC, "OB", NAME.encode())
        file.BurnedInAnnotation = "NO"
        file.PixelData = file.PixelData + NAME.encode()
        for keyword in ("TimezoneOffsetFromUTC", "ConversionType"):
            if keyword in file:
                del file[keyword]
    return file


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_a_person_planted_everywhere_is_nowhere(tmp_path: Path, syntax: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = saved(tmp_path / f"{NAME}.dcm", person(ct()), syntax, NAME.encode().ljust(128, b"\0"))
    before = path.read_bytes()
    content, file = cleaned(path)
    if syntax != DeflatedExplicitVRLittleEndian:
        assert found_in(before) >= {"janssens", "19570312", "elderberry"}  # the search finds what is there
    assert found_in(content) == set()
    assert path.read_bytes() == before
    assert file.PixelData == pydicom.dcmread(path).PixelData[:32]
    assert file.pixel_array.shape == (4, 4)
    assert file.PatientID == file.PatientName
    assert str(file.PatientID).startswith("LU-")


def test_only_what_machines_write_stays_as_it_was(tmp_path: Path) -> None:
    """A different word in every text element: those that come through are the two groups of the list, and no other."""
    file = ct()
    texts = keywords(TEXT - {"PN", "AE", "UR"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n, (tag, vr, keyword) in enumerate(texts):
            if keyword != "ConversionType":
                file.add_new(tag, vr, f"q{n}zx")
        content, _ = cleaned(saved(tmp_path / "a.dcm", file))
    came_through = {keyword for n, (_, _, keyword) in enumerate(texts) if f"q{n}zx".encode() in content}
    assert came_through == VERBATIM - {"TimezoneOffsetFromUTC"}


@pytest.mark.parametrize("language", ["ISO_IR 100", "ISO_IR 192", "ISO_IR 144"])
def test_names_in_other_letters(tmp_path: Path, language: str) -> None:
    file = ct()
    file.SpecificCharacterSet = language
    name = {"ISO_IR 100": "Jänssens", "ISO_IR 192": "Жанссенс Jänssens", "ISO_IR 144": "Жанссенс"}[language]
    file.PatientName = file.SeriesDescription = file.StudyDescription = file.ProtocolName = name
    path = saved(tmp_path / "a.dcm", file)
    assert found_in(path.read_bytes())
    content, after = cleaned(path)
    assert found_in(content) == set()
    assert after.SeriesDescription == ""


def test_an_element_of_another_kind_than_its_tag_says_does_not_stay(tmp_path: Path) -> None:
    """Text written where the standard has a number, under a value representation of text and under that of the number."""
    file = ct()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.add_new("KVP", "LO", NAME)
        file.add_new("SliceLocation", "LO", NAME)
        file.add_new("AcquisitionNumber", "LO", NAME)
        path = saved(tmp_path / "a.dcm", file)
    path.write_bytes(path.read_bytes().replace(b"LO\x08\x00Janssens", b"DS\x08\x00Janssens", 1))
    content, after = cleaned(path)
    assert found_in(content) == set()
    assert [float(x) for x in after.PixelSpacing] == [2, 2]
