"""Finding and opening files. What was parsed for the header is still there when the pixels are asked for a moment later."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from attrs import frozen
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from lutra.core.errors import NotDicom, Unreadable
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap

PREAMBLE, MARK = 128, b"DICM"
UNDEFINED_LENGTH = 0xFFFFFFFF
REMEMBERED_FILES = 1024
"""Parsing is half of the cost of reading a CT slice; a long series is parsed once and not twice."""


@frozen(eq=False)
class Parsed:
    """A dataset without its pixels, not to be changed, and where they start in the file."""

    header: Dataset
    pixels_at: int


def parsed(path: Path) -> Parsed:
    """Parse a file, or find what an earlier look at the very same file has given.

    Raises
    ------
    Unreadable
        If the file is gone or is no complete DICOM header.
    """
    try:
        stat = path.stat()
        return _parsed(path, stat.st_mtime_ns, stat.st_size)
    except Exception as error:
        raise Unreadable(f"broken DICOM: {error}", where=str(path), do="export it again") from error


@lru_cache(maxsize=REMEMBERED_FILES)
def _parsed(path: Path, _mtime_ns: int, _size: int) -> Parsed:
    with path.open("rb") as file:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        pixels_at = file.tell()
    _require_last_whole(header)
    return Parsed(header, pixels_at)


def _require_last_whole(header: Dataset) -> None:
    """Refuse a length that leads beyond the end of the file: it has swallowed what followed, and pydicom does not mind."""
    last: Any = header.get_item(max(header.keys(), default=Tag(0)))
    if isinstance(last, RawDataElement) and last.length != UNDEFINED_LENGTH and len(last.value or b"") < last.length:
        raise Unreadable(
            f"the file ends within {last.tag} {keyword_for_tag(last.tag)}, {last.length} bytes by its own account"
        )


@frozen(eq=False)
class Identified:
    """The elements asked for, the SHA-256 of the file [hex], and what the file system says of it."""

    header: Dataset
    sha256: str
    stat: os.stat_result


def identified(path: Path, tags: list[str], shown: Path) -> Identified:
    """Read a file once, for some elements and for its hash; both are of the same bytes.

    Parameters
    ----------
    shown
        Name of the file in messages.

    Raises
    ------
    NotDicom
        If it lacks the mark of PS3.10; then no more than its beginning is read.
    Unreadable
        If it cannot be opened, or is no complete DICOM header.
    """
    content, stat = _content(path, shown)
    try:
        header = pydicom.dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=tags)
    except Exception as error:
        do = "export it again from the scanner or archive"
        raise Unreadable(f"broken DICOM: {error}", where=str(shown), do=do) from error
    header.filename = str(shown)
    return Identified(header, hashlib.sha256(content).hexdigest(), stat)


def _content(path: Path, shown: Path) -> tuple[bytes, os.stat_result]:
    try:
        with path.open("rb") as file:
            head, stat = file.read(PREAMBLE + len(MARK)), os.fstat(file.fileno())
            content = head + file.read() if head[PREAMBLE:] == MARK else None
    except OSError as error:
        what = f"cannot be opened: {error.strerror}"
        raise Unreadable(what, where=str(shown), do="see whether it is there and may be read") from error
    if content is None:
        raise NotDicom("no 'DICM' mark of PS3.10", where=str(shown))
    return content, stat


def is_text(path: Path) -> bool:
    """Whether a file that is not DICOM begins like text; one that is not there does not."""
    try:
        with path.open("rb") as file:
            return b"\0" not in file.read(PREAMBLE + len(MARK))
    except OSError:
        return False


def files_under(paths: Iterable[Path], findings: list[Finding]) -> list[Path]:
    """Find every file, in order of its name; links are followed, a folder is entered once.

    What cannot be entered or leads nowhere leaves a Finding.
    """
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found.update(_walk(path, set(), findings))
        elif path.is_file():
            found.add(path)
        else:
            _not_reached(path, "is not there", findings)
    return sorted(found)


def _walk(folder: Path, entered: set[tuple[int, int]], findings: list[Finding]) -> Iterator[Path]:
    try:
        stat = folder.stat()
        if (stat.st_dev, stat.st_ino) in entered:  # a link to a folder above, or one that was seen by its own name
            return
        entered.add((stat.st_dev, stat.st_ino))
        entries = sorted(os.scandir(folder), key=lambda entry: (entry.is_symlink(), entry.name))
    except OSError as error:
        _not_reached(folder, f"cannot be opened: {error.strerror}", findings)
        return
    for entry in entries:
        path = Path(entry.path)
        try:
            if entry.is_dir():
                yield from _walk(path, entered, findings)
            elif entry.is_file():
                yield path
            elif entry.is_symlink():
                _not_reached(path, "is a link that leads nowhere", findings)
        except OSError as error:
            _not_reached(path, f"cannot be followed: {error.strerror}", findings)


def _not_reached(path: Path, why: str, findings: list[Finding]) -> None:
    text = f"{path} {why} and was left out. To do: see whether it is there and may be read"
    findings.append(Finding(Severity.WARNING, "ingest.not-reached", text, FrozenMap({"file": str(path)})))


def forget() -> None:
    """Drop what was parsed; for measurements of a first look."""
    _parsed.cache_clear()
