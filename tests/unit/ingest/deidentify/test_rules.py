"""The list of what may stay against the profile's own table, and objects that no list makes safe."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, Sequence
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from lutra.core.errors import InputError, Unreadable
from lutra.ingest.deidentify.rules import Do, profile_tags, rules
from lutra.reference.deidentification import GROUPS, deidentification_table

from .planted import KEY, NAME, OLD_UID, cleaned, ct, found_in, saved

TABLE = deidentification_table()
CLEAN_DESCRIPTORS = {
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "ContrastBolusAgent",
    "StructureSetLabel",
    "ROIName",
    "ROIObservationLabel",
}
"""Text of PS3.15 Table E.1-1 that stays cleaned, column Clean Descriptors Option."""


def test_every_name_on_the_list_is_an_element() -> None:
    unknown = {k for group in (*GROUPS, "plain") for k in TABLE.groups[group] if tag_for_keyword(k) is None}
    assert unknown == set()


def test_what_the_profile_removes_stays_only_by_one_of_its_options() -> None:
    """PS3.15 Table E.1-1: whatever it lists is on our list as a UID, a moved date, or by a named option."""
    listed = profile_tags()
    assert len(listed) > 600
    kept = {
        keyword: group
        for group, keywords in TABLE.groups.items()
        for keyword in keywords
        if tag_for_keyword(keyword) in listed and dictionary_VR(keyword) != "UI"
    }
    by_option = {
        k for k, group in kept.items() if group in ("patient", "device", "dates", "references", "emptied", "comments")
    }
    assert set(kept) - by_option == CLEAN_DESCRIPTORS & set(kept)


def test_uids_of_the_profile_are_keyed() -> None:
    assert {rules()[tag].do for tag in profile_tags(("U_TAGS",)) if tag in rules()} == {Do.UID}


def test_no_free_text_is_kept_without_being_named() -> None:
    """Text outside the groups for text would come through unread."""
    named = {
        k
        for group in ("machine_text", "device", "code_text", "person_text", "region_text", "comments")
        for k in TABLE.groups[group]
    }
    free = {"LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "AE", "UN"}
    kept = {k for group in TABLE.groups.values() for k in group if dictionary_VR(k) in free}
    assert kept - named == {"TimezoneOffsetFromUTC"}


def test_what_is_kept_is_kept(tmp_path: Path) -> None:
    _, after = cleaned(saved(tmp_path / "a.dcm", ct()))
    assert (after.PatientWeight, after.PatientSize, after.PatientSex, after.PatientAge) == (71.5, 1.68, "F", "061Y")
    assert (after.Manufacturer, after.ManufacturerModelName, after.DeviceSerialNumber) == ("ACME", "Scanner 3", "SN77")
    assert after.SeriesDescription == "CT abdomen 3.0 mm"
    assert after.PatientBirthDate == ""
    assert (after.PatientIdentityRemoved, after.LongitudinalTemporalInformationModified) == ("YES", "MODIFIED")
    codes = {(c.CodeValue, c.CodingSchemeDesignator) for c in after.DeidentificationMethodCodeSequence}
    assert codes == {(c, "DCM") for c in ("113100", "113105", "113107", "113108", "113109", "113111")}


def test_every_class_that_can_be_de_identified_keeps_its_class(tmp_path: Path) -> None:
    """Also one that pydicom's dictionary does not know yet."""
    for sop_class in TABLE.classes:
        file = ct()
        file.SOPClassUID = sop_class
        _, after = cleaned(saved(tmp_path / "a.dcm", file))
        assert after.SOPClassUID == after.file_meta.MediaStorageSOPClassUID == sop_class


def test_links_survive_and_standard_uids_stay(tmp_path: Path) -> None:
    """One old UID becomes one new UID wherever it stands; SOP classes and coding schemes are nobody's."""
    file = ct()
    reference, code = Dataset(), Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = file.SOPClassUID, file.SOPInstanceUID
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "113076", "DCM", "Segmentation"
    code.CodingSchemeUID = "2.16.840.1.113883.6.96"
    reference.PurposeOfReferenceCodeSequence = Sequence([code])
    file.SourceImageSequence = Sequence([reference])
    _, after = cleaned(saved(tmp_path / "a.dcm", file))
    (link,) = after.SourceImageSequence
    assert link.ReferencedSOPInstanceUID == after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID
    assert after.SOPInstanceUID == KEY.uid(OLD_UID + ".1")
    assert link.ReferencedSOPClassUID == after.SOPClassUID == file.SOPClassUID
    assert link.PurposeOfReferenceCodeSequence[0].CodingSchemeUID == "2.16.840.1.113883.6.96"


@pytest.mark.parametrize(
    ("what", "value", "words"),
    [
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7", "Secondary Capture"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.104.1", "Encapsulated PDF"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.33", "Comprehensive SR"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.11.1", "Presentation State"),
        ("SOPClassUID", "1.3.46.670589.11.0.0.12.2", "cannot be de-identified"),
        ("BurnedInAnnotation", "YES", "burned into"),
        ("BurnedInAnnotation", "MAYBE", "burned into"),
        ("ImageType", ["DERIVED", "SECONDARY", "SCREEN SAVE"], "picture of a screen"),
        ("ConversionType", "WSD", "picture of a screen"),
        ("PhotometricInterpretation", "RGB", "colour picture"),
        ("TimezoneOffsetFromUTC", "Brussels", "0008,0201"),
    ],
)
def test_what_cannot_be_made_safe_is_refused_by_name(tmp_path: Path, what: str, value: object, words: str) -> None:
    file = ct()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        setattr(file, what, value)
        path = saved(tmp_path / "a.dcm", file)
    with pytest.raises(InputError, match=words) as caught:
        cleaned(path)
    assert str(path) in str(caught.value)


def test_an_overlay_in_the_pixels_is_refused(tmp_path: Path) -> None:
    file = ct()
    file.add_new(0x60000100, "US", 16)
    file.add_new(0x60000102, "US", 15)
    with pytest.raises(InputError, match="unused bits"):
        cleaned(saved(tmp_path / "a.dcm", file))


def test_compressed_pixels_come_out_plain_and_equal(tmp_path: Path) -> None:
    """A comment in the stream of a compressed image would be carried along with it."""
    pixels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    packed = ct(16, 16)
    saved(tmp_path / "plain.dcm", packed)
    packed.compress(RLELossless, pixels, generate_instance_uid=False)
    packed.save_as(tmp_path / "packed.dcm")
    content, after = cleaned(tmp_path / "packed.dcm")
    assert np.array_equal(after.pixel_array, pixels)
    assert after.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert after.SOPInstanceUID == KEY.uid(OLD_UID + ".1")
    assert found_in(content) == set()


def test_a_file_that_is_no_dicom_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "text.dcm").write_text("hello")
    with pytest.raises(Unreadable, match=r"text\.dcm"):
        cleaned(tmp_path / "text.dcm")


@pytest.mark.parametrize(
    ("comment", "kept"),
    [
        ("b=1500(0.000,1.000,0.000)", "b=1500(0.000,1.000,0.000)"),
        ("Janssens b = 800 repeat", "b = 800"),
        ("b=19570312", ""),
        ("seen by Vermeulen", ""),
    ],
)
def test_the_b_value_in_a_comment_of_canon_stays_and_nothing_else(tmp_path: Path, comment: str, kept: str) -> None:
    file = ct()
    file.ImageComments = comment
    assert cleaned(saved(tmp_path / "a.dcm", file))[1].ImageComments == kept


def test_descriptions_kept_are_not_called_removed(tmp_path: Path) -> None:
    """With `keep` the file does not claim that the identity was removed; with `remove` nothing of the text stays."""
    file = ct()
    file.SeriesDescription = f"CT {NAME}"
    path = saved(tmp_path / "a.dcm", file)
    _, kept = cleaned(path, descriptions="keep")
    assert kept.SeriesDescription == f"CT {NAME}"
    assert kept.PatientIdentityRemoved == "NO"
    assert "113100" not in {c.CodeValue for c in kept.DeidentificationMethodCodeSequence}
    assert cleaned(path, descriptions="remove")[1].SeriesDescription == ""
    assert cleaned(path)[1].SeriesDescription == "CT"
    assert cleaned(path, words=frozenset({"Janssens"}))[1].SeriesDescription == f"CT {NAME}"
