"""Opening a DICOM file. What was parsed for the header is still there when the pixels are asked for a moment later."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pydicom
from attrs import frozen
from pydicom import Dataset

from lutra.core.errors import Unreadable

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
        return Parsed(header, file.tell())


def forget() -> None:
    """Drop what was parsed; for measurements of a first look."""
    _parsed.cache_clear()
