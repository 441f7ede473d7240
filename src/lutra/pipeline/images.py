"""Stages 1 and 2 for one subject: files to quantitative images."""

from __future__ import annotations

from attrs import frozen

from lutra.core.finding import Severity
from lutra.core.source import SourceFile
from lutra.core.study import Role, SeriesHeader, Timepoint
from lutra.ingest import read_header, read_image
from lutra.pipeline.conductor import Conductor, Files, Made
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.record import SeriesRecord
from lutra.quantify import quantify, role_of, summarise


@frozen
class Image:
    """An image series on its way through the stages."""

    header: SeriesHeader
    header_step: Made
    role: Role
    volume: Made
    summary: Made
    receipts: tuple[str, ...]


def make_image(
    conductor: Conductor, protocol: Protocol, uid: str, files: tuple[SourceFile, ...]
) -> tuple[Image | None, SeriesRecord]:
    """Read a series and convert it to the quantity the study needs of it; what is refused leaves its Findings."""
    first_receipt = len(conductor.receipts)
    paths = Files(files)
    header_step = conductor.step("ingest.header", read_header, {"paths": paths}, settings=protocol.ingest)
    image, summary, found = None, None, None
    if header_step:
        header: SeriesHeader = conductor.value(header_step)
        role_step = conductor.step("quantify.role", role_of, {"header": header_step})
        if header.grid is not None and role_step:
            role = Role(conductor.value(role_step))
            raw = conductor.step(
                "ingest.image", read_image, {"paths": paths, "header": header_step}, settings=protocol.ingest
            )
            if raw:
                image = conductor.step(
                    "quantify.image",
                    quantify,
                    {"header": header_step, "image": raw, "role": role},
                    settings=protocol.quantify,
                )
            if image:
                summary = conductor.step(
                    "quantify.summary", summarise, {"volume": image, "series_uid": uid}, settings=protocol.quantify
                )
                found = Image(header, header_step, role, image, summary, tuple(conductor.receipts[first_receipt:]))
    findings = conductor.findings(conductor.receipts[first_receipt:])
    doubts = sum(f.severity is not Severity.INFO for f in findings)
    return found, SeriesRecord(uid, "", header_step, image, summary, doubts)


def with_label(record: SeriesRecord, timepoint: Timepoint | None) -> SeriesRecord:
    """Name a series as its time point is named."""
    label = timepoint.label if timepoint else "not used"
    return SeriesRecord(record.series_uid, label, record.header, record.image, record.summary, record.findings)
