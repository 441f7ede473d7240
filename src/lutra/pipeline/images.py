"""Stages 1 and 2 for one subject: files to quantitative images."""

from __future__ import annotations

from attrs import frozen

from lutra.core.calibration import CalibrationFile
from lutra.core.finding import Severity
from lutra.core.source import SourceFile
from lutra.core.study import Role, SeriesHeader, Timepoint
from lutra.ingest import read_header, read_image, read_volumes
from lutra.pipeline.conductor import Conductor, Files, Made
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.record import SeriesRecord
from lutra.quantify import (
    choose_calibration,
    choose_window,
    fit_diffusion,
    primary_map,
    quantify,
    role_of,
    scatter_share,
    summarise,
    summarise_maps,
)


@frozen
class Image:
    """An image series on its way through the stages."""

    header: SeriesHeader
    header_step: Made
    role: Role
    volume: Made
    summary: Made
    calibration: Made | None
    receipts: tuple[str, ...]


def make_image(
    conductor: Conductor,
    protocol: Protocol,
    uid: str,
    files: tuple[SourceFile, ...],
    calibrations: tuple[CalibrationFile, ...] = (),
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
            if role is Role.DWI:
                image, summary = _diffusion(conductor, protocol, uid, paths, header_step)
                if image and summary:
                    receipts = tuple(conductor.receipts[first_receipt:])
                    found = Image(header, header_step, role, image, summary, None, receipts)
                return found, _record(conductor, uid, first_receipt, header_step, image, summary)
            calibration, raw = _voxels(conductor, protocol, paths, header_step, role, calibrations)
            extra = {"calibration": calibration} if calibration else {}
            if raw:
                image = conductor.step(
                    "quantify.image",
                    quantify,
                    {"header": header_step, "image": raw, "role": role, **extra},
                    settings=protocol.quantify,
                )
            if image:
                summary = conductor.step(
                    "quantify.summary",
                    summarise,
                    {"volume": image, "series_uid": uid, **extra},
                    settings=protocol.quantify,
                )
                receipts = tuple(conductor.receipts[first_receipt:])
                found = Image(header, header_step, role, image, summary, calibration, receipts)
    return found, _record(conductor, uid, first_receipt, header_step, image, summary)


def _record(
    conductor: Conductor, uid: str, first_receipt: int, header: Made, image: Made | None, summary: Made | None
) -> SeriesRecord:
    findings = conductor.findings(conductor.receipts[first_receipt:])
    doubts = sum(f.severity is not Severity.INFO for f in findings)
    return SeriesRecord(uid, "", header, image, summary, doubts)


def _diffusion(
    conductor: Conductor, protocol: Protocol, uid: str, paths: Files, header: Made
) -> tuple[Made | None, Made | None]:
    """Fit a diffusion series: its ADC, and its numbers as a whole."""
    inputs = {"paths": paths, "header": header}
    volumes = conductor.step("ingest.volumes", read_volumes, inputs, settings=protocol.ingest)
    if not volumes:
        return None, None
    maps = conductor.step(
        "quantify.diffusion", fit_diffusion, {"header": header, "volumes": volumes}, settings=protocol.quantify
    )
    if not maps:
        return None, None
    image = conductor.step("quantify.image", primary_map, {"maps": maps})
    return image, conductor.step("quantify.summary", summarise_maps, {"maps": maps, "series_uid": uid})


def _voxels(
    conductor: Conductor,
    protocol: Protocol,
    paths: Files,
    header_step: Made,
    role: Role,
    calibrations: tuple[CalibrationFile, ...],
) -> tuple[Made | None, Made | None]:
    """Read the volume of a series; of a therapy SPECT, its calibration and the volume that belongs to it."""
    header: SeriesHeader = conductor.value(header_step)
    if role is not Role.THERAPY_SPECT:
        raw = conductor.step(
            "ingest.image", read_image, {"paths": paths, "header": header_step}, settings=protocol.ingest
        )
        return None, raw
    calibration = conductor.step(
        "quantify.calibration",
        choose_calibration,
        {"header": header_step, "files": calibrations},
        settings=protocol.quantify,
    )
    if not calibration:
        return None, None
    if len(header.volumes) == 1:
        raw = conductor.step(
            "ingest.image", read_image, {"paths": paths, "header": header_step}, settings=protocol.ingest
        )
        return calibration, raw
    window = conductor.step("quantify.window", choose_window, {"header": header_step, "calibration": calibration})
    if not window:
        return calibration, None
    inputs = {"paths": paths, "header": header_step}
    volumes = conductor.step("ingest.volumes", read_volumes, inputs, settings=protocol.ingest)
    if not volumes:
        return calibration, None
    if header.stored_unit == "CNTS":
        conductor.step("quantify.scatter", scatter_share, {"header": header_step, "volumes": volumes, "peak": window})
    return calibration, volumes.item(int(conductor.value(window)))


def with_label(record: SeriesRecord, timepoint: Timepoint | None) -> SeriesRecord:
    """Name a series as its time point is named."""
    label = timepoint.label if timepoint else "not used"
    return SeriesRecord(record.series_uid, label, record.header, record.image, record.summary, record.findings)
