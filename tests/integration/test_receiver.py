"""The receiver against Orthanc and dcmtk as senders."""

from __future__ import annotations

import hashlib
import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest

from lutra.ingest.bare import read_whole
from lutra.pipeline.study import StudyFolder

from .conftest import COMMAND_S, KNOWN, RECEIVER, START_S, URL, Namespace, rest

RLE, JPEG_LOSSLESS = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    StudyFolder.create(tmp_path / "study", "demo")
    return tmp_path / "study"


@contextmanager
def receiving(network: Namespace, study: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A receiver that listens; killed at the end if it has not ended by itself."""
    process = network.start_lutra("receive", study, "--port", str(RECEIVER), "--json", *words)
    try:
        assert process.stderr is not None
        ready, _, _ = select.select([process.stderr], [], [], START_S)
        line = process.stderr.readline() if ready else "nothing"
        assert "listens on 127.0.0.1" in line, line
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the receiver says when it has ended."""
    out, err = process.communicate(timeout=COMMAND_S)
    assert "Traceback" not in err, err
    said: dict[str, Any] = json.loads(out)
    return {**said, "exit": process.returncode}


def data_sets(folder: Path) -> dict[str, bytes]:
    """Each instance's pixel data, by identity."""
    return {str(f.SOPInstanceUID): f.get("PixelData", b"") for f in map(pydicom.dcmread, folder.rglob("*.dcm"))}


def test_orthanc_sends_to_us(orthanc: Namespace, patient: Path, study: Path) -> None:
    assert orthanc.lutra("send", patient, "--url", URL, **KNOWN).code == 0
    wanted = data_sets(patient)
    ids = re.findall(r'"([0-9a-f-]{44})"', rest(orthanc, "/series").out)
    with receiving(orthanc, study, "--once") as process:
        echo = orthanc.run("echoscu", "-aec", "LUTRA", "127.0.0.1", str(RECEIVER))
        assert echo.code == 0, echo.err
        answer = rest(orthanc, "/modalities/lutra/store", "POST", str(ids).replace("'", '"'))
        assert answer.code == 0, answer.out
        assert '"FailedInstancesCount" : 0' in answer.out
        said = ended(process)
    assert said == {"received": len(wanted), "new_instances": len(wanted), "findings": [], "exit": 0}
    assert data_sets(study / "dicom") == wanted
    assert StudyFolder(study).check() == ()


@pytest.mark.parametrize(
    ("tool", "proposal", "syntax"), [("dcmcrle", "-xr", RLE), ("dcmcjpeg", "-xs", JPEG_LOSSLESS)], ids=["RLE", "JPEG"]
)
def test_compressed_images_stay_as_they_are(
    tool: str, proposal: str, syntax: str, network: Namespace, patient: Path, study: Path, tmp_path: Path
) -> None:
    """What follows the head is byte for byte what the sender holds; decoded it is the image before compression."""
    (tmp_path / "out").mkdir()
    originals = sorted((patient / "CT").glob("*.dcm"))[:5]
    for path in originals:
        done = subprocess.run([tool, path, tmp_path / "out" / path.name], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    with receiving(network, study, "--once") as process:
        store = ("storescu", proposal, "-aec", "LUTRA", "127.0.0.1", str(RECEIVER), "+sd", tmp_path / "out")
        ran = network.run(*store)
        assert ran.code == 0, ran.err
        assert ended(process)["received"] == len(originals)
    raw = {str(f.SOPInstanceUID): f.pixel_array for f in map(pydicom.dcmread, originals)}
    sent = {str(f.SOPInstanceUID): f.PixelData for f in map(pydicom.dcmread, (tmp_path / "out").iterdir())}
    for path in (study / "dicom").rglob("*.dcm"):
        file = pydicom.dcmread(path)
        assert file.file_meta.TransferSyntaxUID == syntax
        assert file.PixelData == sent[file.SOPInstanceUID]
        assert (file.pixel_array == raw[file.SOPInstanceUID]).all()


@pytest.mark.parametrize(
    ("words", "called", "calling"),
    [(("--allow", "PACS"), "LUTRA", "STRANGER"), ((), "OTHER", "PACS")],
    ids=["caller", "called"],
)
def test_a_title_that_does_not_fit_is_refused_and_said(
    words: tuple[str, ...], called: str, calling: str, network: Namespace, patient: Path, study: Path
) -> None:
    with receiving(network, study, "--once", *words) as process:
        image = next((patient / "CT").glob("*.dcm"))
        to = ("127.0.0.1", str(RECEIVER), image)
        refused = network.run("storescu", "-aec", called, "-aet", calling, *to)
        assert refused.code != 0
        assert "Rejected" in refused.err
        assert network.run("storescu", "-aec", "LUTRA", "-aet", "PACS", *to).code == 0
        said = ended(process)
    assert said["received"] == 1
    assert said["exit"] == 3
    assert [f["code"] for f in said["findings"]] == ["ingest.association-refused"]
    assert said["findings"][0]["evidence"] == {"caller": calling, "called": called}


def test_a_class_that_is_not_read_is_refused_before_it_is_sent(
    network: Namespace, patient: Path, study: Path, tmp_path: Path
) -> None:
    capture = pydicom.dcmread(next((patient / "CT").glob("*.dcm")))
    capture.SOPClassUID = capture.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    capture.save_as(tmp_path / "capture.dcm")
    with receiving(network, study, "--idle-seconds", "3") as process:
        to = ("127.0.0.1", str(RECEIVER), tmp_path / "capture.dcm")
        assert network.run("storescu", "-aec", "LUTRA", *to).code != 0
        said = ended(process)
    assert (said["received"], said["exit"]) == (0, 0)


def test_several_senders_at_once(network: Namespace, patient: Path, study: Path) -> None:
    wanted = data_sets(patient)
    with receiving(network, study) as process:
        senders = [
            network.start("storescu", "-aec", "LUTRA", "-aet", name, "127.0.0.1", str(RECEIVER), "+sd", patient / name)
            for name in ("CT", "PT", "RTSTRUCT")
        ]
        for sender in senders:
            _, err = sender.communicate(timeout=COMMAND_S)
            assert sender.returncode == 0, err
        process.send_signal(signal.SIGINT)
        said = ended(process)
    assert said == {"received": len(wanted), "new_instances": len(wanted), "findings": [], "exit": 0}
    assert data_sets(study / "dicom") == wanted


def stored_so_far(study: Path) -> int:
    return len(list((study / "dicom").glob("??/*.dcm")))


@pytest.mark.parametrize("kill", ["receiver", "sender"])
def test_killed_in_the_middle(kill: str, network: Namespace, patient: Path, study: Path) -> None:
    """No half file, and nothing that was acknowledged is lost: the next command finds it."""
    folder = patient / "CT"
    with receiving(network, study) as process:
        slow = ("storescu", "-v", "-aec", "LUTRA", "127.0.0.1", str(RECEIVER), "+sd", "+rn")
        copies = study.parent / "many"
        for n in range(10):  # long enough to be in the middle of something
            for path in folder.glob("*.dcm"):
                (copies / str(n)).mkdir(parents=True, exist_ok=True)
                file = pydicom.dcmread(path)
                file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = f"{file.SOPInstanceUID[:55]}.{n + 1}"
                file.save_as(copies / str(n) / path.name)
        sender = network.start(*slow, copies, "+r")
        until = time.monotonic() + START_S
        while stored_so_far(study) < 20:
            assert time.monotonic() < until, "nothing arrives"
            time.sleep(0.01)
        if kill == "receiver":
            process.kill()
            process.wait()
            sender.communicate(timeout=COMMAND_S)
        else:
            sender.kill()
            sender.communicate()
            time.sleep(3)  # it notices, and takes what it has into the ledger
            process.send_signal(signal.SIGINT)
            assert ended(process)["received"] == stored_so_far(study)
    files = list((study / "dicom").glob("??/*.dcm"))
    assert 20 <= len(files) < 10 * len(list(folder.glob("*.dcm")))
    for path in files:
        content = path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == path.parent.name + path.stem
        assert read_whole(content).PixelData
    with receiving(network, study, "--idle-seconds", "0.5") as process:
        ended(process)
    assert {s.path for s in StudyFolder(study).ledger.sources()} == {str(path) for path in files}


def test_a_full_disk(network: Namespace, patient: Path, tmp_path: Path) -> None:
    """The sender hears 'out of resources'; what fitted is whole; once there is room the receiver takes the rest."""
    disk = tmp_path / "disk"
    disk.mkdir()
    wanted = data_sets(patient / "CT")
    store = ("storescu", "-v", "-aec", "LUTRA", "127.0.0.1", str(RECEIVER), "+sd", patient / "CT")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], check=True)
    try:
        study = disk / "study"
        StudyFolder.create(study, "demo")
        with receiving(network, study) as process:
            space = os.statvfs(disk)
            (disk / "filler").write_bytes(bytes(space.f_bavail * space.f_frsize - 200_000))
            full = network.run(*store)
            assert "OutOfResources" in full.err + full.out, full.err + full.out
            files = list((study / "dicom").glob("??/*.dcm"))
            assert 0 < len(files) < len(wanted)
            for path in files:
                read_whole(path.read_bytes())
            assert list((study / "dicom").glob("??/*.part")) == []
            (disk / "filler").unlink()
            again = network.run(*store)
            assert again.code == 0, again.err
            process.send_signal(signal.SIGTERM)
            said = ended(process)
        assert {f["code"] for f in said["findings"]} == {"ingest.not-received"}
        assert "No space left" in said["findings"][0]["text"]
        assert data_sets(study / "dicom") == wanted
        assert {s.sop_instance_uid for s in StudyFolder(study).ledger.sources()} == set(wanted)
        assert StudyFolder(study).check() == ()
    finally:
        subprocess.run(["umount", "-l", disk], check=False)
