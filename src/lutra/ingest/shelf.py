"""A study's own copies: each file under the hash of its content, whole or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import NamedTemporaryFile

PARTIAL = ".part"
"""Ending of a file that is being written; whoever was killed leaves one behind."""


def shelf_path(folder: Path, sha256: str) -> Path:
    """Where the file with this content lies."""
    return folder / sha256[:2] / f"{sha256[2:]}.dcm"


def shelve(folder: Path, content: bytes) -> Path:
    """Write a file under its final name only when it is complete and on the disk; one that is there already stays.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left behind.
    """
    target = shelf_path(folder, hashlib.sha256(content).hexdigest())
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=target.parent, suffix=PARTIAL, delete=False) as out:
        try:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())  # whoever sent it may delete it once told that it is here
        except OSError:
            Path(out.name).unlink()
            raise
    Path(out.name).rename(target)
    return target


def shelved(folder: Path) -> list[Path]:
    """Every file on the shelf, sorted."""
    return sorted(folder.glob("??/*.dcm"))
