"""Fetching and receiving into a study: what arrived stays, whatever happens next. The archive here is a few lines; real ones
are in tests/integration."""

from __future__ import annotations

import gzip
import hashlib
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from lutra.cli.archive import secrets
from lutra.core.errors import BrokenAnswer, NetworkError, StoreError, Unreachable, UsageError
from lutra.ingest import Archive, DicomWeb, Query, Remote, shelve
from lutra.ingest.bare import MARK, file_meta
from lutra.pipeline.exchange import fetch
from lutra.pipeline.inspect import inspect
from lutra.pipeline.study import StudyFolder

Make = Callable[..., bytes]


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    return StudyFolder.create(tmp_path / "study", "demo")


class FakeArchive:
    """Gives what it holds; raises what it is told to, the nth time it is asked."""

    archive = Archive("http://archive.test")

    def __init__(self, held: dict[str, bytes], faults: dict[int, Exception] | None = None) -> None:
        self.held, self.faults, self.asked = held, faults or {}, 0

    def find(self, _: Query) -> tuple[Remote, ...]:
        return tuple(Remote("1.2.3.1", "1.2.3.1.1", uid) for uid in sorted(self.held))

    def retrieve(self, remote: Remote, _: str = "") -> bytes:
        self.asked += 1
        if self.asked in self.faults:
            raise self.faults[self.asked]
        return self.held[remote.instance_uid]


def fetched(study: StudyFolder, archive: FakeArchive) -> Any:
    return fetch(study, cast("DicomWeb", archive), Query(patient_id="P1"))


@pytest.fixture
def held(instance: Make) -> dict[str, bytes]:
    return {f"1.2.826.0.1.3680043.10.1.{n}": instance(n) for n in range(1, 21)}


def in_ledger(study: StudyFolder) -> set[str]:
    return {source.sop_instance_uid for source in study.ledger.sources()}


def test_what_came_before_a_lost_line_is_kept(study: StudyFolder, held: dict[str, bytes]) -> None:
    with pytest.raises(Unreachable):
        fetched(study, FakeArchive(held, {8: Unreachable("gone")}))
    before = in_ledger(study)
    assert 0 < len(before) < len(held)
    again = FakeArchive(held)
    done = fetched(study, again)
    assert again.asked == len(held) - len(before) == done.moved
    assert done.known == len(before)
    assert in_ledger(study) == set(held)
    assert study.check() == ()


def test_one_broken_instance_costs_no_other(study: StudyFolder, held: dict[str, bytes]) -> None:
    done = fetched(study, FakeArchive(held, {3: BrokenAnswer("cut")}))
    (finding,) = done.findings
    assert finding.code == "ingest.not-fetched"
    assert "cut" in finding.text
    assert finding.evidence["instances"] in held
    assert len(in_ledger(study)) == len(held) - 1
    assert fetched(study, FakeArchive(held)).moved == 1


def test_nothing_fits(study: StudyFolder) -> None:
    with pytest.raises(NetworkError, match="nothing there fits"):
        fetched(study, FakeArchive({}))


def test_a_full_disk_ends_it_with_a_remedy(
    study: StudyFolder, held: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lutra.pipeline.exchange.shelve", full)
    with pytest.raises(StoreError, match="make room"):
        fetched(study, FakeArchive(held))


def test_what_a_killed_command_left_is_found(study: StudyFolder, held: dict[str, bytes]) -> None:
    """It had written files and not yet told the ledger; what it had half written is removed once it is old."""
    for content in list(held.values())[:5]:
        shelve(study.root / "dicom", content)
    half = study.root / "dicom" / "ab" / "tmp1.part"
    half.parent.mkdir(exist_ok=True)
    half.write_bytes(b"half")
    assert fetched(study, FakeArchive(held)).moved == len(held) - 5
    assert in_ledger(study) == set(held)
    assert half.exists()  # perhaps somebody is at it
    os.utime(half, (0, time.time() - 2 * 86400))
    study.adopt()
    shelve(study.root / "dicom", b"x" * 200)  # something to adopt
    study.adopt()
    assert not half.exists()


def test_the_same_data_set_under_another_head_is_no_conflict(
    study: StudyFolder, instance: Make, tmp_path: Path
) -> None:
    """An archive writes its own head; what follows it is what was added from the CD."""
    content = instance(1)
    body = content[144 + int.from_bytes(content[140:144], "little") :]
    cd, pacs = tmp_path / "cd.dcm", tmp_path / "pacs.dcm"
    cd.write_bytes(content)
    uid = "1.2.826.0.1.3680043.10.1.1"
    head = b"PACS" * 32 + MARK[128:] + file_meta("1.2.840.10008.5.1.4.1.1.2", uid, "1.2.840.10008.1.2.1")
    pacs.write_bytes(head + body)
    assert cd.read_bytes() != pacs.read_bytes()
    assert study.add([cd])[0] == 1
    new, findings = study.add([pacs])
    assert (new, [f.code for f in findings]) == (0, ["ingest.duplicate"])
    pacs.write_bytes(instance(1, Manufacturer="another"))
    assert [f.code for f in study.add([pacs])[1]] == ["ingest.instance-conflict"]
    assert [s.path for s in study.ledger.sources()] == [str(cd)]


def test_members_of_a_zip_become_the_studys_own(study: StudyFolder, instance: Make, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for n in (1, 2, 3):
            archive.writestr(f"CT/{n}", instance(n))
        archive.writestr("CT/4.gz", gzip.compress(instance(4)))
    assert study.add([tmp_path / "x.zip"]) == (4, ())
    (tmp_path / "x.zip").unlink()
    assert study.check() == ()
    for n in (1, 2, 3, 4):
        sha256 = hashlib.sha256(instance(n)).hexdigest()
        assert (study.root / "dicom" / sha256[:2] / f"{sha256[2:]}.dcm").read_bytes() == instance(n)
    assert {p.name for p in (study.root / "dicom").iterdir() if len(p.name) != 2} == set()


def test_inspect_leaves_nothing_behind(instance: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its Findings name members, not the folder that is gone when they are read."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("CT/1", instance(1))
        archive.writestr("CT/2", instance(2, Rows=8))
    (series,), findings = inspect([tmp_path / "x.zip"])
    texts = [f.text for f in (*series.findings, *findings)]
    assert any("x.zip/CT/" in text for text in texts)
    assert not any("temp" in text for text in texts)
    assert list((tmp_path / "temp").iterdir()) == []


def test_secrets_come_from_a_private_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTRA_DICOMWEB_TOKEN", "abc")
    assert secrets(None) == {"token": "abc"}
    file = tmp_path / "secret.toml"
    file.write_text('user = "me"\npassword = "pw"\n')
    file.chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        secrets(file)
    file.chmod(0o600)
    assert secrets(file) == {"user": "me", "password": "pw"}
    for wrong in ("", "user = 3", "pasword = 'x'", "user ="):
        file.write_text(wrong)
        with pytest.raises(UsageError):
            secrets(file)
    with pytest.raises(UsageError):
        secrets(tmp_path / "none")
