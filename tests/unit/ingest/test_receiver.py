"""The receiver against pynetdicom as sender, where dcmtk would not send what the test needs."""

from __future__ import annotations

import errno
import hashlib
import io
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE

from lutra.core.errors import MissingExtra, Unreachable
from lutra.core.finding import Finding
from lutra.ingest.receiver import (
    CANNOT_UNDERSTAND,
    NOT_OF_ITS_CLASS,
    OUT_OF_RESOURCES,
    Ended,
    Receiver,
    ReceiverSettings,
)

Make = Callable[..., bytes]


def receiver(folder: Path, **settings: Any) -> Receiver:
    return Receiver(folder, ReceiverSettings(port=0, **settings))


def events(running: Receiver) -> list[Path | Finding | Ended]:
    """Everything up to the first silence."""
    found = []
    while (happened := running.next(0.5)) is not None:
        found.append(happened)
    return found


def association(
    running: Receiver, title: str = "TEST", called: str = "LUTRA", syntax: str = ExplicitVRLittleEndian
) -> Any:
    entity = AE(title)
    entity.add_requested_context(CTImageStorage, syntax)
    entity.add_requested_context(SecondaryCaptureImageStorage, syntax)
    entity.add_requested_context("1.2.840.10008.1.1")
    return entity.associate("127.0.0.1", running.port, ae_title=called)


def send_raw(open_association: Any, body: bytes, instance: str, sop_class: str = CTImageStorage) -> Any:
    """Send any bytes as a data set, as a faulty sender would."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, instance
    request.DataSet = io.BytesIO(body)
    context = next(c for c in open_association.accepted_contexts if c.abstract_syntax == sop_class)
    open_association._reactor_checkpoint.clear()
    open_association.dimse.send_msg(request, context.context_id)
    _, answer = open_association.dimse.get_msg(block=True)
    open_association._reactor_checkpoint.set()
    return answer


def body(content: bytes) -> bytes:
    return content[144 + int.from_bytes(content[140:144], "little") :]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_the_data_set_is_kept_byte_for_byte(syntax: str, instance: Make, tmp_path: Path) -> None:
    content = instance(1, syntax=syntax)
    with receiver(tmp_path) as running:
        line = association(running, syntax=syntax)
        assert line.send_c_echo().Status == 0
        assert line.send_c_store(pydicom.dcmread(io.BytesIO(content))).Status == 0
        line.release()
        path, *ends = events(running)
    assert isinstance(path, Path)
    assert body(path.read_bytes()) == body(content)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == path.parent.name + path.stem
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
    assert {type(e) for e in ends} == {Ended}


@pytest.mark.parametrize(
    ("spoil", "announced", "status", "words"),
    [
        (lambda b: b[:-10], 1, CANNOT_UNDERSTAND, "(7FE0,0010)"),
        (lambda b: b"no data set at all, but some bytes" * 9, 1, CANNOT_UNDERSTAND, ""),
        (lambda b: b.replace(b"1.2.3.1.1", b"\0" * 9), 1, CANNOT_UNDERSTAND, "SeriesInstanceUID"),
        (lambda b: b, 2, NOT_OF_ITS_CLASS, "announced as"),
    ],
    ids=["cut", "garbage", "no series", "another instance"],
)
def test_a_bad_data_set_is_refused_and_the_next_one_taken(
    spoil: Callable[[bytes], bytes], announced: int, status: int, words: str, instance: Make, tmp_path: Path
) -> None:
    whole = body(instance(1))
    uid = pydicom.dcmread(io.BytesIO(instance(1))).SOPInstanceUID
    with receiver(tmp_path) as running:
        line = association(running)
        answer = send_raw(line, spoil(whole), uid if announced == 1 else f"{uid}9")
        assert answer.Status == status
        assert answer.ErrorComment
        assert send_raw(line, whole, uid).Status == 0
        line.release()
        finding, path, *_ = events(running)
    assert isinstance(finding, Finding)
    assert finding.code == "ingest.not-received"
    assert words in finding.text
    assert f"0x{status:04X}" in finding.text
    assert isinstance(path, Path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_a_full_disk_is_out_of_resources(instance: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with receiver(tmp_path) as running:
        line = association(running)
        with monkeypatch.context() as patch:
            patch.setattr("lutra.ingest.shelf.os.fsync", full)
            assert line.send_c_store(pydicom.dcmread(io.BytesIO(instance()))).Status == OUT_OF_RESOURCES
        assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
        assert line.send_c_store(pydicom.dcmread(io.BytesIO(instance()))).Status == 0
        line.release()
        finding, path, *_ = events(running)
    assert isinstance(finding, Finding)
    assert "No space left" in finding.text
    assert isinstance(path, Path)


def test_secondary_captures_are_not_negotiated(tmp_path: Path) -> None:
    with receiver(tmp_path) as running:
        line = association(running)
        assert [c.abstract_syntax for c in line.rejected_contexts] == [SecondaryCaptureImageStorage]
        line.release()


@pytest.mark.parametrize(("title", "called"), [("STRANGER", "LUTRA"), ("PACS", "OTHER")])
def test_other_titles_are_refused(title: str, called: str, tmp_path: Path) -> None:
    with receiver(tmp_path, callers=("PACS", "CT1")) as running:
        assert not association(running, title, called).is_established
        (finding,) = [e for e in events(running) if isinstance(e, Finding)]
        assert finding.code == "ingest.association-refused"
        assert title in finding.text
        assert called in finding.text
        line = association(running, "CT1")
        assert line.is_established
        line.release()


def test_it_listens_on_loopback_alone(tmp_path: Path) -> None:
    with receiver(tmp_path) as running:
        assert running._server.server_address[0] == "127.0.0.1"


def test_a_port_in_use_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = ReceiverSettings(port=other.getsockname()[1])
        with pytest.raises(Unreachable, match="--port"), Receiver(tmp_path, settings):
            pass


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynetdicom", None)
    with pytest.raises(MissingExtra, match=r"pip install 'lutra\[pacs\]'"):
        receiver(tmp_path)
