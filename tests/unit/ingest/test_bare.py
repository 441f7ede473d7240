"""Whole instances and broken ones; data sets without the head of PS3.10."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lutra.core.errors import Unreadable
from lutra.core.finding import Severity
from lutra.ingest import UnpackSettings, scan_unpacked
from lutra.ingest.bare import read_whole, with_head
from lutra.ingest.quiet import quietly

Make = Callable[..., bytes]


def body(content: bytes) -> bytes:
    """What follows the head: 128 bytes, the mark, and group 2 with the length it states."""
    return content[144 + int.from_bytes(content[140:144], "little") :]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_bare_data_set_gets_a_head_and_keeps_its_bytes(syntax: str, instance: Make, tmp_path: Path) -> None:
    bare = body(instance(syntax=syntax))
    (tmp_path / "IM1").write_bytes(bare)
    whole = with_head(tmp_path / "IM1")
    assert whole is not None
    assert body(whole) == bare
    read = pydicom.dcmread(io.BytesIO(whole))
    assert read == pydicom.dcmread(io.BytesIO(instance(syntax=syntax)))
    assert read.file_meta.TransferSyntaxUID == syntax


def test_a_bare_data_set_is_used_with_a_note(instance: Make, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "into").mkdir()
    (tmp_path / "in" / "IM1").write_bytes(body(instance(1, syntax=ImplicitVRLittleEndian)))
    intake = scan_unpacked([tmp_path / "in"], tmp_path / "into", UnpackSettings())
    assert [f.sop_instance_uid for f in intake.files] == ["1.2.826.0.1.3680043.10.1.1"]
    (finding,) = intake.findings
    assert (finding.severity, finding.code) == (Severity.INFO, "ingest.no-preamble")
    assert str(tmp_path / "in" / "IM1") in finding.text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bare: bare[:-1],  # cut within the pixels
        lambda bare: bare[: bare.index(b"\xe0\x7f\x10\x00")],  # cut before them
        lambda bare: bare + b"more",
        lambda bare: bare.replace(b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.1.2.1.2.3.4", 1),  # no storage class
        lambda bare: bare.replace(b"1.2.826.0.1", b"1.2.826.0.x", 1),
        lambda bare: b"\x08\x00\x16\x00" + b"abcdefgh" * 40,  # no DICOM at all
    ],
)
def test_anything_less_is_left_out_by_name(spoil: Callable[[bytes], bytes], instance: Make, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "into").mkdir()
    (tmp_path / "in" / "IM1.dcm").write_bytes(spoil(body(instance(syntax=ImplicitVRLittleEndian))))
    intake = scan_unpacked([tmp_path / "in"], tmp_path / "into", UnpackSettings())
    assert intake.files == ()
    assert [f.code for f in intake.findings] == ["ingest.not-dicom"]
    assert "IM1.dcm" in intake.findings[0].text


def test_every_cut_of_an_instance_is_seen(instance: Make) -> None:
    """pydicom reads most of these without complaint."""
    content = instance()
    with quietly():
        assert read_whole(content).InstanceNumber == 1
        assert read_whole(content + bytes(6)).InstanceNumber == 1  # padding
        for end in range(len(content)):
            with pytest.raises(Unreadable):
                read_whole(content[:end])


def test_a_cut_sequence_of_undefined_length_is_seen(instance: Make) -> None:
    """An RTSTRUCT ends in sequences, whose writers may leave their length open."""
    item = pydicom.Dataset()
    item.ROINumber, item.ROIName = 1, "lesion"
    dataset = pydicom.dcmread(io.BytesIO(instance()))
    for tag in [element.tag for element in dataset if element.tag.group > 0x20]:
        del dataset[tag]
    dataset.SOPClassUID, dataset.StructureSetROISequence = "1.2.840.10008.5.1.4.1.1.481.3", [item]
    dataset["StructureSetROISequence"].is_undefined_length = True
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset)
    content = out.getvalue()
    with quietly():
        assert read_whole(content).StructureSetROISequence[0].ROIName == "lesion"
        for end in range(content.index(b"\x06\x30\x20\x00") + 1, len(content) - 4):
            with pytest.raises(Unreadable):
                read_whole(content[:end])
