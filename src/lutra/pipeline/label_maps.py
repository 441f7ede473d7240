"""Adds a NIfTI label map to a study as a DICOM segmentation, which has the identity and the frame of reference NIfTI lacks."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from lutra.core.errors import InputError, UsageError
from lutra.core.finding import Finding, Outcome
from lutra.core.region import Region
from lutra.core.study import SeriesHeader
from lutra.export import Algorithm, stable_uid, write_segmentation
from lutra.ingest import read_header, read_label_map, read_label_names
from lutra.pipeline.deidentified import Deidentification
from lutra.pipeline.study import StudyFolder
from lutra.segment import regions_on_grid

T = TypeVar("T")
MADE_BY = Algorithm("label map of another program", "unknown", "SEMIAUTOMATIC")


def add_label_map(
    study: StudyFolder,
    labels: Path,
    names: Path | None,
    series_uid: str,
    deidentified: Deidentification | None = None,
) -> tuple[int, tuple[Finding, ...]]:
    """Put a label map on a series of the study and add it as a segmentation under `dicom/`.

    Parameters
    ----------
    names
        Table of numbers and names, or the name of a shipped one (`totalsegmentator-total`); None for those in the file.
    deidentified
        How a de-identified study takes it in: without the names of files, with names of regions cleaned.

    Returns
    -------
    tuple
        Number of new instances, and the Findings met.

    Raises
    ------
    UsageError
        If the series is not in the study or the file does not exist.
    InputError
        If label map or table cannot be used.
    """
    if deidentified is None:
        study.require_identified()
    sources = [source for source in study.ledger.sources() if source.series_uid == series_uid]
    if not sources or not labels.is_file():
        raise UsageError(
            f"no series {series_uid} in this study" if not sources else "no such file",
            where=str(study.root if not sources else labels),
            do="add the images first; lutra inspect lists their series",
        )
    protocol, images = study.protocol, [Path(source.path) for source in sources]
    findings: list[Finding] = []
    header: SeriesHeader = _value(read_header(images, protocol.ingest), findings)
    table = None if names is None else read_label_names(names)
    drawn: tuple[Region, ...] = _value(read_label_map(labels, table, series_uid), findings)
    if header.grid is None:
        raise InputError("the series has no geometry", where=series_uid, required="an image")
    placed: tuple[Region, ...] = _value(regions_on_grid(drawn, header.grid, protocol.segment, series_uid), findings)
    if not placed:
        raise InputError("no region lies on the image", where=str(labels), do="check that it belongs to this series")
    content = sha256(labels.read_bytes() + repr(table).encode() + series_uid.encode()).hexdigest()
    instance_uid = stable_uid("label map", content)

    def write(path: Path) -> None:
        write_segmentation(
            path,
            placed,
            images,
            header,
            series_uid=stable_uid("label map series", content),
            instance_uid=instance_uid,
            drawn_at=datetime.now(UTC),
            algorithm=MADE_BY,
            description=labels.name,
        )

    if deidentified is not None:
        if any(source.sop_instance_uid == instance_uid for source in study.ledger.sources()):
            return 0, tuple(findings)
        with TemporaryDirectory() as folder:
            write(Path(folder) / "labels.dcm")
            new, found = study.add([Path(folder)], deidentified=deidentified)
        return new, (*findings, *found)
    path = study.root / "dicom" / content[:2] / f"{content[2:]}.dcm"
    if not path.exists():
        write(path)
    new, found = study.add([path])
    study.log("study add labels", {"labels": str(labels), "names": str(names), "series": series_uid})
    return new, (*findings, *found)


def _value(outcome: Outcome[T], findings: list[Finding]) -> T:
    findings += outcome.findings
    if outcome.value is None:
        raise InputError("; ".join(finding.text for finding in outcome.findings))
    return outcome.value
