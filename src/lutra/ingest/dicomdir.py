"""DICOMDIR: the list of contents of a CD, held against what is there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

import pydicom
from pydicom import Dataset

from lutra.core.finding import Finding, Severity, few
from lutra.core.frozen import FrozenMap
from lutra.ingest.quiet import quietly

IN_USE = 0xFFFF
"""RecordInUseFlag (0004,1410) of a record that counts; 0 marks one that was deleted [PS3.3 F.3.2.2]."""
ISO_VERSION = re.compile(r"\.?;\d+$")
"""What ISO 9660 appends to a name, and some drivers show: `IM0001.;1`."""


def check_dicomdir(path: Path, shown: Path, present: Iterable[Path]) -> list[Finding]:
    """Find what a DICOMDIR names and is not there.

    Names are compared without regard to case, to ISO 9660 version numbers and to a `.gz` at their end. A name that leaves the
    DICOMDIR's folder is refused. Files that it does not name are no concern of its.

    Parameters
    ----------
    path
        Where the DICOMDIR is.
    shown
        Its name as the user knows it, in the same terms as `present`.
    present
        Every file there is.
    """
    try:
        with quietly():
            named = list(_named(pydicom.dcmread(path)))
    except Exception as error:  # noqa: BLE001  (pydicom raises many kinds on broken files)
        what = f"{shown} is broken: {error}. The files beside it are read all the same, but nothing says whether all are there"
        return [_finding("ingest.dicomdir-unreadable", what, shown)]
    folder = shown.parent
    there = {_plain(file.relative_to(folder).parts) for file in present if file.is_relative_to(folder)}
    outside = sorted({"/".join(parts) for parts in named if _leaves(parts)})
    missing = sorted({"/".join(parts) for parts in named if not _leaves(parts) and _plain(parts) not in there})
    findings = []
    if outside:
        what = f"{shown} names files outside its folder, which are not looked for: {few(outside)}"
        findings.append(_finding("ingest.dicomdir-outside", what, shown, outside))
    if missing:
        what = (
            f"{shown} names {len(named)} files (0004,1500), of which {len(missing)} are not there: {few(missing)}. "
            "To do: copy the whole medium again"
        )
        findings.append(_finding("ingest.dicomdir-file-missing", what, shown, missing))
    return findings


def _named(directory: Dataset) -> Iterator[tuple[str, ...]]:
    for record in directory.DirectoryRecordSequence:
        parts = record.get("ReferencedFileID")
        if parts and record.get("RecordInUseFlag", IN_USE) == IN_USE:
            yield tuple(str(part) for part in ([parts] if isinstance(parts, str) else parts))


def _leaves(parts: tuple[str, ...]) -> bool:
    """Whether the components are more than names; each must be one without a separator [PS3.10 8.2]."""
    return any(part in {"", ".", ".."} or re.search(r"[/\\:]", part) for part in parts)


def _plain(parts: tuple[str, ...]) -> tuple[str, ...]:
    plain = [ISO_VERSION.sub("", part).rstrip(".").casefold() for part in parts]
    return (*plain[:-1], plain[-1].removesuffix(".gz")) if plain else ()


def _finding(code: str, what: str, shown: PurePath, names: Iterable[str] = ()) -> Finding:
    evidence = {"file": str(shown), **({"names": ", ".join(names)} if names else {})}
    return Finding(Severity.WARNING, code, what, FrozenMap(evidence))
