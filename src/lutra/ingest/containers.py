"""Unpacks zip, tar, gz, xz and bz2 files, and gives DICOM files without a head the one they lack.

Content decides what a file is, never its name. What is unpacked lies in one folder under running numbers: a member's name
never becomes a path, it is only what the reader of a Finding is shown.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from attrs import Factory, define, frozen

from lutra.core.errors import StoreError
from lutra.core.finding import Finding, Severity, few
from lutra.core.frozen import FrozenMap
from lutra.ingest.bare import could_be_bare, is_dicom, with_head
from lutra.ingest.files import files_under
from lutra.ingest.settings import UnpackSettings

HEAD = 512
"""Bytes that tell what a file is: a tar header is one block, the 'DICM' of PS3.10 stands at 128. [byte]"""
CHUNK = 1 << 20
MAX_DEPTH = 2
"""A zip in a zip, or gzipped images in a tar; what is packed more often is left out by name."""
ZIPPED_DOCUMENTS = {".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".epub", ".jar", ".apk", ".whl", ".npz"}
COMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ\0": lzma.open, b"BZh": bz2.open}
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What the standard library raises on damaged or exotic containers."""


def unpacked(
    paths: Iterable[Path], into: Path, settings: UnpackSettings
) -> tuple[dict[Path, Path], tuple[Finding, ...]]:
    """Find every file in files, folders and containers.

    Parameters
    ----------
    paths
        What the user named. A DICOMDIR stands for the folder it lies in.
    into
        An empty folder for what is unpacked.

    Returns
    -------
    tuple
        Where each file is, with the name to show for it (a member of `a.zip` is shown as `a.zip/FOLDER/NAME`), sorted by
        that name; and a Finding for everything left out: encrypted, damaged, packed too often, members whose name leaves the
        container, links, and containers that grow beyond `settings`.

    Raises
    ------
    StoreError
        If there is no room for what is unpacked.
    """
    unpacker = _Unpacker(into, settings)
    roots = [path.parent if path.name.upper() == "DICOMDIR" else path for path in paths]
    for file in files_under(roots, unpacker.findings):
        unpacker.add(file)
    return dict(sorted(unpacker.files.items(), key=lambda item: item[1])), tuple(unpacker.findings)


class _TooLargeError(Exception):
    """A container grows beyond its limits."""


@define
class _Budget:
    """What one container of the user's, with everything in it, has grown to."""

    settings: UnpackSettings
    packed: int
    unpacked: int = 0
    members: int = 0

    def count(self) -> None:
        self.members += 1
        if self.members > self.settings.max_members:
            raise _TooLargeError(f"more than unpack.max_members = {self.settings.max_members} files")

    def spend(self, n_bytes: int) -> None:
        self.unpacked += n_bytes
        if self.unpacked > self.settings.max_gb * 1e9:
            raise _TooLargeError(f"more than unpack.max_gb = {self.settings.max_gb:g} GB")
        counts = self.unpacked > self.settings.ratio_counts_from_mb * 1e6
        if counts and self.unpacked > self.settings.max_ratio * self.packed:
            raise _TooLargeError(f"more than unpack.max_ratio = {self.settings.max_ratio:g} times its packed size")


@frozen
class _Member:
    """One file in a container; `refused` says why it must not be unpacked."""

    name: str
    open: Callable[[], IO[bytes]]
    refused: str = ""


@define
class _Tail:
    """A stream that remembers the last block read from it: a tar that was cut ends without a block of zeros."""

    stream: IO[bytes]
    tail: bytes = b""

    def read(self, n_bytes: int) -> bytes:
        chunk = self.stream.read(n_bytes)
        self.tail = (self.tail + chunk)[-HEAD:]
        return chunk


@define
class _Unpacker:
    into: Path
    settings: UnpackSettings
    files: dict[Path, Path] = Factory(dict)
    findings: list[Finding] = Factory(list)
    made: int = 0

    def add(self, path: Path) -> None:
        """Take a file of the user's. A container beyond the limits leaves nothing behind."""
        files, findings, made = dict(self.files), list(self.findings), self.made
        try:
            self._take(path, path, 0, _Budget(self.settings, path.stat().st_size))
        except _TooLargeError as error:
            for n in range(made, self.made):
                (self.into / f"{n + 1:07d}").unlink(missing_ok=True)
            self.files, self.findings = files, findings
            self._note(
                Severity.ERROR,
                "ingest.container-refused",
                path,
                f"unpacks to {error}; nothing of it is used. To do: if it is no bomb, raise that setting in protocol.toml",
            )
        except OSError as error:
            what = (
                f"cannot be opened: {error.strerror}, and was left out. To do: see whether it is there and may be read"
            )
            self._note(Severity.WARNING, "ingest.not-reached", path, what)

    def _take(self, path: Path, shown: Path, depth: int, budget: _Budget) -> None:
        """Unpack a file, or keep it as it is."""
        with path.open("rb") as file:
            head = file.read(HEAD)
        if not _is_container(head, shown):
            self._keep(path, shown, head)
            return
        if depth == MAX_DEPTH:
            what = f"packed more than {MAX_DEPTH} times and left out. To do: unpack the outer one yourself"
            self._note(Severity.WARNING, "ingest.container-nested", shown, what)
        else:
            try:
                self._unpack(path, shown, head, depth, budget)
            except BROKEN as error:
                self._broken(shown, error)
        if path not in self.files and path.parent == self.into:
            path.unlink()

    def _unpack(self, path: Path, shown: Path, head: bytes, depth: int, budget: _Budget) -> None:
        if _is_zip(head):
            with zipfile.ZipFile(path) as archive:
                self._members(_zip_members(archive), shown, depth, budget)
            return
        with _opened(path, head) as stream:
            inner = stream.read(HEAD)
            stream.seek(0)
            if _is_tar(inner):
                watched = _Tail(stream)
                with tarfile.open(fileobj=watched, mode="r|") as archive:  # type: ignore[call-overload]
                    self._members(_tar_members(archive), shown, depth, budget)
                if watched.tail.strip(b"\0"):
                    raise EOFError("it ends without the mark of its end")
            elif is_dicom(inner) or could_be_bare(inner):
                self._extract(stream, shown, depth, budget)
            else:
                self.files[path] = shown

    def _members(self, members: Iterator[_Member], shown: Path, depth: int, budget: _Budget) -> None:
        left_out: defaultdict[str, list[str]] = defaultdict(list)
        for member in members:
            budget.count()
            reason = member.refused or _unsafe(member.name)
            if reason:
                left_out[reason].append(member.name)
                continue
            inside = shown.joinpath(*_parts(member.name))
            try:
                with member.open() as source:
                    self._extract(source, inside, depth, budget)
            except BROKEN as error:
                self._broken(inside, error)
        for reason, names in sorted(left_out.items()):
            grave = reason == ENCRYPTED
            self._note(
                Severity.ERROR if grave else Severity.WARNING,
                "ingest.container-encrypted" if grave else "ingest.member-refused",
                shown,
                f"{len(names)} members are {reason} and were left out: {few(names)}. To do: "
                + ("unpack it yourself with its password" if grave else "nothing, unless images are missing"),
            )

    def _extract(self, source: IO[bytes], shown: Path, depth: int, budget: _Budget) -> None:
        target = self._target()
        try:
            with target.open("xb") as out:
                while chunk := source.read(CHUNK):
                    budget.spend(len(chunk))
                    _write(out, chunk)
        except BaseException:
            target.unlink()
            raise
        self._take(target, shown, depth + 1, budget)

    def _keep(self, path: Path, shown: Path, head: bytes) -> None:
        whole = with_head(path) if could_be_bare(head) else None
        if whole is None:
            self.files[path] = shown
            return
        target = self._target()
        with target.open("xb") as out:
            _write(out, whole)
        self.files[target] = shown
        if path.parent == self.into:
            path.unlink()
        self._note(
            Severity.INFO,
            "ingest.no-preamble",
            shown,
            "a DICOM data set without the head of PS3.10, complete to its last byte; a copy with that head is used",
        )

    def _target(self) -> Path:
        self.made += 1
        return self.into / f"{self.made:07d}"

    def _broken(self, shown: Path, error: Exception) -> None:
        what = f"cannot be unpacked to its end: {error}. What came before is used. To do: copy or download it again"
        self._note(Severity.ERROR, "ingest.container-broken", shown, what)

    def _note(self, severity: Severity, code: str, shown: Path, what: str) -> None:
        self.findings.append(Finding(severity, code, f"{shown}: {what}", FrozenMap({"file": str(shown)})))


# ---- what a file is ----
def _is_container(head: bytes, shown: Path) -> bool:
    if is_dicom(head):
        return False
    return (
        (_is_zip(head) and shown.suffix.lower() not in ZIPPED_DOCUMENTS)
        or head.startswith(tuple(COMPRESSED))
        or _is_tar(head)
    )


def _is_zip(head: bytes) -> bool:
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def _is_tar(head: bytes) -> bool:
    """Whether this is a tar header: its checksum fits, which the older ones without a mark have as well."""
    try:
        tarfile.TarInfo.frombuf(head[:HEAD], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _opened(path: Path, head: bytes) -> IO[bytes]:
    openers = [opener for mark, opener in COMPRESSED.items() if head.startswith(mark)]
    return cast("IO[bytes]", openers[0](path)) if openers else path.open("rb")


# ---- members ----
ENCRYPTED = "encrypted"
LINK_OR_DEVICE = "links or devices"
OUTSIDE = "named as if they lay outside"


def _zip_members(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for info in archive.infolist():
        if not info.is_dir():
            refused = ENCRYPTED if info.flag_bits & 1 else ""
            yield _Member(info.filename, partial(archive.open, info), refused)


def _tar_members(archive: tarfile.TarFile) -> Iterator[_Member]:
    for info in archive:
        if not info.isdir():
            refused = "" if info.isreg() else LINK_OR_DEVICE
            yield _Member(info.name, cast("Callable[[], IO[bytes]]", partial(archive.extractfile, info)), refused)


def _unsafe(name: str) -> str:
    absolute = name.startswith(("/", "\\")) or name[1:2] == ":"
    return OUTSIDE if absolute or ".." in _parts(name) else ""


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _write(out: IO[bytes], chunk: bytes) -> None:
    try:
        out.write(chunk)
    except OSError as error:
        raise StoreError(
            f"cannot write what is unpacked: {error.strerror}", where=str(out.name), do="make room on this disk"
        ) from error
