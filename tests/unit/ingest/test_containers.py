"""Containers: what comes out is byte for byte what went in, and what does not come out is named."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lutra.core.errors import StoreError
from lutra.core.finding import Finding, Severity
from lutra.ingest import UnpackSettings, scan_unpacked
from lutra.ingest.containers import unpacked

Make = Callable[..., bytes]
BOTTOMLESS = UnpackSettings()


def zipped(members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


def shown(files: Mapping[Path, Path], under: Path) -> dict[str, str]:
    """Content hashes by shown name."""
    return {str(n.relative_to(under)): hashlib.sha256(p.read_bytes()).hexdigest() for p, n in files.items()}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def codes(findings: tuple[Finding, ...]) -> list[str]:
    return [f.code for f in findings]


@pytest.mark.parametrize(
    "pack",
    [zipped, tarred, lambda m: gzip.compress(tarred(m)), lambda m: lzma.compress(tarred(m))],
    ids=["zip", "tar", "tar.gz", "tar.xz"],
)
def test_members_keep_their_bytes_and_their_names(
    pack: Callable[[Mapping[str, bytes]], bytes], instance: Make, tmp_path: Path, into: Path
) -> None:
    """The file's own name says nothing: it is `export` without a suffix."""
    members = {"a/IM1": instance(1), "a/b/IM2": instance(2), "notes.txt": b"hello"}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "export").write_bytes(pack(members))
    files, findings = unpacked([tmp_path / "in"], into, BOTTOMLESS)
    assert findings == ()
    assert shown(files, tmp_path / "in" / "export") == {name: sha256(content) for name, content in members.items()}


def test_a_single_gzipped_image_and_a_gzipped_something(instance: Make, tmp_path: Path, into: Path) -> None:
    (tmp_path / "IM_0001.gz").write_bytes(gzip.compress(instance()))
    (tmp_path / "brain.nii.gz").write_bytes(gzip.compress(b"\x5c\x01\0\0" * 200))
    files, findings = unpacked([tmp_path / "IM_0001.gz", tmp_path / "brain.nii.gz"], into, BOTTOMLESS)
    assert findings == ()
    assert list(files.values()) == [tmp_path / "IM_0001.gz", tmp_path / "brain.nii.gz"]
    assert next(iter(files)).read_bytes() == instance()
    assert tmp_path / "brain.nii.gz" in files  # not decompressed for nothing: intake names it as it lies there


def test_one_container_in_another_but_not_deeper(instance: Make, tmp_path: Path, into: Path) -> None:
    inner = zipped({"IM2": instance(2), "deep.zip": zipped({"IM3": instance(3)})})
    (tmp_path / "outer.zip").write_bytes(zipped({"IM1": instance(1), "in.zip": inner}))
    files, (finding,) = unpacked([tmp_path / "outer.zip"], into, BOTTOMLESS)
    assert set(shown(files, tmp_path / "outer.zip")) == {"IM1", "in.zip/IM2"}
    assert finding.code == "ingest.container-nested"
    assert "outer.zip/in.zip/deep.zip" in finding.text
    assert len(list(into.iterdir())) == 2  # the inner zips themselves are gone


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a/../../evil", r"..\evil", r"C:\evil"])
@pytest.mark.parametrize("pack", [zipped, tarred], ids=["zip", "tar"])
def test_a_name_that_leaves_the_container_is_refused(
    pack: Callable[[Mapping[str, bytes]], bytes], name: str, instance: Make, tmp_path: Path, into: Path
) -> None:
    (tmp_path / "x").write_bytes(pack({name: instance(1), "IM2": instance(2)}))
    before = set(tmp_path.rglob("*"))
    files, (finding,) = unpacked([tmp_path / "x"], into, BOTTOMLESS)
    assert set(shown(files, tmp_path / "x")) == {"IM2"}
    assert finding.code == "ingest.member-refused"
    assert "evil" in finding.text
    assert set(tmp_path.rglob("*")) - before == set(files)


def test_links_and_devices_in_a_tar_are_refused(instance: Make, tmp_path: Path, into: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("null", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    (tmp_path / "x.tar").write_bytes(out.getvalue())
    files, (finding,) = unpacked([tmp_path / "x.tar"], into, BOTTOMLESS)
    assert files == {}
    assert all(name in finding.text for name in ("link", "hard", "null"))


def test_an_encrypted_member_is_refused_by_name(instance: Make, tmp_path: Path, into: Path) -> None:
    """The flag is set by hand in both headers of the first member: Python cannot write encrypted zips."""
    content = bytearray(zipped({"secret": instance(1), "open": instance(2)}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(content)
    files, (finding,) = unpacked([tmp_path / "x.zip"], into, BOTTOMLESS)
    assert set(shown(files, tmp_path / "x.zip")) == {"open"}
    assert (finding.severity, finding.code) == (Severity.ERROR, "ingest.container-encrypted")
    assert "secret" in finding.text
    assert "password" in finding.text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (UnpackSettings(max_ratio=100, ratio_counts_from_mb=1), "unpack.max_ratio = 100"),
        (UnpackSettings(max_gb=0.002), "unpack.max_gb = 0.002"),
        (UnpackSettings(max_members=1), "unpack.max_members = 1"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_bomb_leaves_nothing_behind(
    settings: UnpackSettings, words: str, nested: bool, instance: Make, tmp_path: Path, into: Path
) -> None:
    """4 MB of zeros pack 1000 times smaller; what the container's own headers claim is not asked."""
    bomb = zipped({"IM1": instance(), "zeros": bytes(4_000_000)})
    (tmp_path / "bomb.zip").write_bytes(zipped({"in.zip": bomb}) if nested else bomb)
    (tmp_path / "good.gz").write_bytes(gzip.compress(instance(2)))
    files, (finding,) = unpacked([tmp_path / "bomb.zip", tmp_path / "good.gz"], into, settings)
    assert list(files.values()) == [tmp_path / "good.gz"]
    assert (finding.severity, finding.code) == (Severity.ERROR, "ingest.container-refused")
    assert words in finding.text
    assert len(list(into.iterdir())) == 1


def test_a_small_file_of_zeros_is_no_bomb(tmp_path: Path, into: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped({"zeros": bytes(4_000_000)}))
    assert codes(unpacked([tmp_path / "x.zip"], into, BOTTOMLESS)[1]) == []


def test_a_cut_tar_gives_what_came_before_the_cut(instance: Make, tmp_path: Path, into: Path) -> None:
    whole = gzip.compress(tarred({"IM1": instance(1), "IM2": instance(2), "IM3": instance(3)}), mtime=0)
    plain = tarred({"IM1": instance(1), "IM2": instance(2), "IM3": instance(3)})
    (tmp_path / "cut.tar").write_bytes(plain[: len(plain) // 3])
    (tmp_path / "cut.tgz").write_bytes(whole[: len(whole) - 30])
    files, findings = unpacked([tmp_path / "cut.tar"], into, BOTTOMLESS)
    assert set(shown(files, tmp_path / "cut.tar").values()) <= {sha256(instance(n)) for n in (1, 2, 3)}
    assert set(codes(findings)) == {"ingest.container-broken"}
    files, findings = unpacked([tmp_path / "cut.tgz"], into, BOTTOMLESS)
    assert set(codes(findings)) == {"ingest.container-broken"}
    assert "cut.tgz" in findings[-1].text


def test_a_flipped_bit_costs_one_member(instance: Make, tmp_path: Path, into: Path) -> None:
    """The checksum of the member tells; the other is read."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("IM1", instance(1))
        archive.writestr("IM2", instance(2))
    content = bytearray(out.getvalue())
    content[content.index(b"DICM") + 300] ^= 0x10
    (tmp_path / "x.zip").write_bytes(content)
    files, (finding,) = unpacked([tmp_path / "x.zip"], into, BOTTOMLESS)
    assert set(shown(files, tmp_path / "x.zip")) == {"IM2"}
    assert finding.code == "ingest.container-broken"
    assert "x.zip/IM1" in finding.text
    assert len(list(into.iterdir())) == 1


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04" + bytes(400), b"\x1f\x8b" + bytes(400), b"\xfd7zXZ\x00" + bytes(400)]
)
def test_something_that_only_begins_like_a_container(content: bytes, tmp_path: Path, into: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    files, findings = unpacked([tmp_path / "x"], into, BOTTOMLESS)
    assert (files, codes(findings)) == ({}, ["ingest.container-broken"])


def test_documents_are_not_looked_into(tmp_path: Path, into: Path) -> None:
    (tmp_path / "letter.docx").write_bytes(zipped({"word/document.xml": b"<x/>"}))
    assert unpacked([tmp_path], into, BOTTOMLESS)[0] == {tmp_path / "letter.docx": tmp_path / "letter.docx"}


def test_a_full_disk_is_an_error_with_a_remedy(
    instance: Make, tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(out: object, chunk: bytes) -> None:
        raise StoreError(
            "cannot write what is unpacked: No space left on device", where="x", do="make room on this disk"
        )

    monkeypatch.setattr("lutra.ingest.containers._write", full)
    (tmp_path / "x.zip").write_bytes(zipped({"IM1": instance()}))
    with pytest.raises(StoreError, match="make room"):
        unpacked([tmp_path / "x.zip"], into, BOTTOMLESS)
    assert list(into.iterdir()) == []


def test_findings_call_members_by_the_name_the_user_knows(instance: Make, tmp_path: Path, into: Path) -> None:
    members = {"CT/1": instance(1), "CT/2": instance(1, Manufacturer="other"), "CT/movie.avi": b"RIFF", "a.txt": b"a"}
    (tmp_path / "x.zip").write_bytes(zipped(members))
    intake = scan_unpacked([tmp_path / "x.zip"], into, BOTTOMLESS)
    assert sorted(codes(intake.findings)) == ["ingest.instance-conflict", "ingest.not-dicom", "ingest.not-dicom"]
    text = " ".join(f.text for f in intake.findings)
    assert f"{tmp_path}/x.zip/CT: 1 files" in text
    assert f"{tmp_path}/x.zip/CT/1, {tmp_path}/x.zip/CT/2" in text
    assert str(into) not in text
