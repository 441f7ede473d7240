"""One header for all instances of a series, or the reason why they do not make one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset

from lutra.core.errors import InconsistentSeries, InputError, Unreadable
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.study import DecayCorrection, SeriesHeader
from lutra.core.time import in_utc
from lutra.ingest.clock import moment, parse, text
from lutra.ingest.quiet import quietly
from lutra.ingest.radiopharmaceutical import positive, read_radiopharmaceutical
from lutra.ingest.settings import IngestSettings

IMAGE_MODALITIES = {"CT", "PT", "MR"}

MUST_AGREE = {
    "PatientID": "(0010,0020)",
    "Modality": "(0008,0060)",
    "Rows": "(0028,0010)",
    "Columns": "(0028,0011)",
    "PixelSpacing": "(0028,0030)",
    "ImageOrientationPatient": "(0020,0037)",
    "FrameOfReferenceUID": "(0020,0052)",
    "Units": "(0054,1001)",
    "DecayCorrection": "(0054,1102)",
}
ROUNDED = {"PixelSpacing", "ImageOrientationPatient"}
"""Only these are compared as numbers: patient `0012` is not patient `12`."""
ORIENTATION_TOLERANCE = 1e-4
"""Direction cosines and spacings are text in DICOM; writers round them differently from slice to slice."""


def read_header(paths: Sequence[Path], settings: IngestSettings) -> Outcome[SeriesHeader]:
    """Read what one series says about itself.

    Parameters
    ----------
    paths
        All files of one series, in any order.

    Returns
    -------
    Outcome
        The header with slices in spatial order, or none with an ERROR Finding that names file, tag, what is required and
        what to do.
    """
    findings: list[Finding] = []
    try:
        slices = [(path, _read(path)) for path in sorted(paths)]
        first = slices[0][1]
        if text(first, "Modality") not in IMAGE_MODALITIES:
            return _not_an_image(slices, findings)
        _require_agreement(slices)
        slices, grid = _geometry(slices, settings, findings)
    except InputError as error:
        return Outcome(None, (*findings, Finding(Severity.ERROR, "ingest.series-refused", str(error))))
    return Outcome(_header(slices, grid, settings, findings), findings)


def slice_order(headers: Sequence[Dataset]) -> np.ndarray[Any, Any]:
    """Positions along the slice normal. [mm] (n,)"""
    rows, columns = _orientation(headers[0])
    normal = np.cross(rows, columns)
    return np.array([np.dot(_numbers(h, "ImagePositionPatient", 3), normal) for h in headers])


def _read(path: Path) -> Dataset:
    try:
        with quietly():
            return pydicom.dcmread(path, stop_before_pixels=True)
    except Exception as error:
        raise Unreadable(f"broken DICOM: {error}", where=str(path), do="export it again") from error


def _not_an_image(slices: list[tuple[Path, Dataset]], findings: list[Finding]) -> Outcome[SeriesHeader]:
    modality = text(slices[0][1], "Modality")
    if modality == "RTSTRUCT":
        note = f"{slices[0][0]}: contours, not an image; they are read with the images of their frame of reference"
        return Outcome(None, (Finding(Severity.INFO, "ingest.not-an-image", note),))
    return Outcome(
        None,
        (
            *findings,
            Finding(
                Severity.WARNING,
                "ingest.modality-not-read",
                f"{slices[0][0]}: objects of modality {modality or 'unknown'} (0008,0060) are not read by this version. Required: "
                "CT, PT, MR or RTSTRUCT. To do: nothing, or export the images as one of these",
            ),
        ),
    )


def _require_agreement(slices: list[tuple[Path, Dataset]]) -> None:
    reference_path, reference = slices[0]
    for path, header in slices:
        if int(header.get("NumberOfFrames", 1) or 1) > 1:
            raise InputError(
                "multi-frame object",
                where=f"{path} (0028,0008)",
                required="one slice per file",
                do="export as classic slices",
            )
        for tag, code in MUST_AGREE.items():
            here, there = text(header, tag), text(reference, tag)
            if here != there and not (tag in ROUNDED and _nearly_equal(here, there)):
                raise InconsistentSeries(
                    f"{tag} is {here or 'missing'} here and {there or 'missing'} in {reference_path.name}",
                    where=f"{path} {code}",
                    required="one value in a series",
                    do="separate the series at its source",
                )


def _nearly_equal(one: str, other: str) -> bool:
    try:
        a, b = (np.array([float(x) for x in t.strip("[]").replace("\\", ",").split(",")]) for t in (one, other))
    except ValueError:
        return False
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=0, atol=ORIENTATION_TOLERANCE))


def _geometry(
    slices: list[tuple[Path, Dataset]], settings: IngestSettings, findings: list[Finding]
) -> tuple[list[tuple[Path, Dataset]], Grid]:
    """Sort the slices and find the grid; positions decide, never SliceThickness."""
    positions = slice_order([h for _, h in slices])
    order = np.argsort(positions, kind="stable")
    slices, positions = [slices[n] for n in order], positions[order]
    first = slices[0][1]
    _require_count(slices)
    if len(slices) == 1:
        distance = positive(first, "SpacingBetweenSlices") or positive(first, "SliceThickness")
        if distance is None:
            raise InputError(
                "a single slice without thickness",
                where=f"{slices[0][0]} (0018,0050)",
                required="SpacingBetweenSlices or SliceThickness",
            )
        findings.append(Finding(Severity.INFO, "ingest.single-slice", f"{slices[0][0]}: the series has one slice"))
        step = np.cross(*_orientation(first)) * distance
    else:
        _require_even(slices, positions, settings, findings)
        ends = [_numbers(h, "ImagePositionPatient", 3) for _, h in (slices[0], slices[-1])]
        step = (ends[1] - ends[0]) / (len(slices) - 1)
    rows, columns = _orientation(first)
    row_spacing, column_spacing = _numbers(first, "PixelSpacing", 2)  # between rows first: along j, then along i
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = rows * column_spacing, columns * row_spacing, step
    affine[:3, 3] = _numbers(first, "ImagePositionPatient", 3)
    shape = (int(first.Columns), int(first.Rows), len(slices))
    return slices, Grid(shape, affine, text(first, "FrameOfReferenceUID"))


def _require_count(slices: list[tuple[Path, Dataset]]) -> None:
    stated = positive(slices[0][1], "NumberOfSlices")
    if stated is not None and text(slices[0][1], "Modality") == "PT" and len(slices) < int(stated):
        raise InconsistentSeries(
            f"{len(slices)} of {int(stated)} slices are there",
            where=f"{slices[0][0].parent} (0054,0081)",
            required="all slices",
            do="export the series again, whole",
        )


def _require_even(
    slices: list[tuple[Path, Dataset]],
    positions: np.ndarray[Any, Any],
    settings: IngestSettings,
    findings: list[Finding],
) -> None:
    distances = np.diff(positions)
    usual = float(np.median(distances))
    if distances.min() < 1e-3:
        n = int(distances.argmin())
        raise InconsistentSeries(
            f"two slices at {positions[n]:.3f} mm: {slices[n][0].name} and {slices[n + 1][0].name}",
            where=f"{slices[n][0].parent} (0020,0032)",
            required="one slice per position",
            do="remove the slice that does not belong, or separate the series",
        )
    worst = int(np.abs(distances - usual).argmax())
    where = (
        f"{distances[worst]:.3f} mm between {slices[worst][0].name} at {positions[worst]:.3f} mm and "
        f"{slices[worst + 1][0].name} at {positions[worst + 1]:.3f} mm, usually {usual:.3f} mm"
    )
    if abs(distances[worst] - usual) > settings.slice_gap_limit * usual:
        missing = round(distances[worst] / usual) - 1
        raise InconsistentSeries(
            f"{f'about {missing} slices missing' if missing > 0 else 'uneven spacing'}: {where}",
            where=f"{slices[worst][0].parent} (0020,0032)",
            required=f"even spacing within {settings.slice_gap_limit:.0%}",
            do="export the series again, whole",
        )
    if abs(distances[worst] - usual) > max(settings.slice_gap_tolerance * usual, 2e-3):
        regular = np.linspace(positions[0], positions[-1], len(positions))
        findings.append(
            Finding(
                Severity.WARNING,
                "ingest.uneven-slices",
                f"{slices[0][0].parent} (0020,0032): {where}. Put on an even grid, a slice moves by at most "
                f"{np.abs(regular - positions).max():.2f} mm; joins of bed positions look like this",
            )
        )


def _header(
    slices: list[tuple[Path, Dataset]], grid: Grid, settings: IngestSettings, findings: list[Finding]
) -> SeriesHeader:
    first, zone = slices[0][1], settings.time_zone
    headers = [h for _, h in slices]
    if not text(first, "TimezoneOffsetFromUTC"):
        findings.append(
            Finding(
                Severity.INFO,
                "ingest.no-time-zone",
                f"{slices[0][0].parent}: the files name no time zone (0008,0201); the study's zone {zone} applies. To do: set "
                "study.time_zone in protocol.toml if that is not where the scanner stands",
            )
        )
    times = [_acquired_at(h, zone) for h in headers]
    known = tuple(t for t in times if t is not None)
    acquired_at = min(known, key=in_utc) if known else None
    if acquired_at is None:
        findings.append(
            Finding(
                Severity.WARNING,
                "ingest.no-acquisition-time",
                f"{slices[0][0].parent}: no acquisition time (0008,0022), (0008,0032), so the image has no place in time",
            )
        )
    weight = positive(first, "PatientWeight")
    if text(first, "Modality") == "PT" and weight is None:
        findings.append(
            Finding(
                Severity.WARNING,
                "ingest.no-weight",
                f"{slices[0][0].parent}: no patient weight (0010,1030), so there is no SUV. To do: have it entered at the source",
            )
        )
    return SeriesHeader(
        series_uid=text(first, "SeriesInstanceUID"),
        study_uid=text(first, "StudyInstanceUID"),
        subject_id=text(first, "PatientID"),
        modality=text(first, "Modality"),
        sop_class_uid=text(first, "SOPClassUID"),
        description=text(first, "SeriesDescription"),
        manufacturer=text(first, "Manufacturer"),
        model=text(first, "ManufacturerModelName"),
        image_type=tuple(str(v) for v in _many(first.get("ImageType"))),
        frame_of_reference=text(first, "FrameOfReferenceUID"),
        instances=tuple(text(h, "SOPInstanceUID") for h in headers),
        grid=grid,
        stored_unit=text(first, "Units") or text(first, "RescaleType") or None,
        has_rescale="RescaleSlope" in first,
        decay_correction=_decay_correction(first),
        corrected_image=tuple(str(v) for v in _many(first.get("CorrectedImage"))),
        decay_factor=positive(first, "DecayFactor"),
        series_started_at=moment(first, "SeriesDate", "SeriesTime", zone),
        acquired_at=acquired_at,
        scan_reference_at=_private_time(first, zone),
        slice_acquired_at=known if len(known) == len(times) else (),
        frame_reference_time_s=_milliseconds(first, "FrameReferenceTime"),
        frame_duration_s=_milliseconds(first, "ActualFrameDuration"),
        radiopharmaceutical=read_radiopharmaceutical(first, acquired_at, zone, findings),
        patient_weight_kg=weight,
        patient_height_m=positive(first, "PatientSize"),
        patient_sex=text(first, "PatientSex") or None,
        slice_thickness_mm=positive(first, "SliceThickness"),
        vendor_factors=_philips_factors(first),
    )


def _acquired_at(header: Dataset, zone: str) -> datetime | None:
    combined = moment(header, "AcquisitionDate", "AcquisitionTime", zone)
    return combined or parse(text(header, "AcquisitionDateTime"), zone, text(header, "TimezoneOffsetFromUTC"))


def _decay_correction(header: Dataset) -> DecayCorrection | None:
    stated = text(header, "DecayCorrection")
    return DecayCorrection(stated) if stated in set(DecayCorrection) else None


def _private_time(header: Dataset, zone: str) -> datetime | None:
    """GE (0009,100D): scan date and time."""
    try:
        value = header.private_block(0x0009, "GEMS_PETD_01")[0x0D].value
    except KeyError:
        return None
    stamp = value.decode("ascii", "ignore") if isinstance(value, bytes) else str(value)
    return parse(stamp.strip("\0 "), zone, text(header, "TimezoneOffsetFromUTC"))


def _philips_factors(header: Dataset) -> FrozenMap[str, float]:
    found = {}
    for name, element in (("philips_suv", 0x00), ("philips_activity", 0x09)):
        try:
            value = header.private_block(0x7053, "Philips PET Private Group")[element].value
            number = float(value.decode("ascii") if isinstance(value, bytes) else value)
        except (KeyError, ValueError, TypeError):
            continue
        if number > 0:
            found[name] = number
    return FrozenMap(found)


def _milliseconds(header: Dataset, tag: str) -> float | None:
    try:
        return float(header.get(tag)) / 1000
    except (TypeError, ValueError):
        return None


def _orientation(header: Dataset) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    cosines = _numbers(header, "ImageOrientationPatient", 6)
    rows, columns = cosines[:3], cosines[3:]
    if abs(np.dot(rows, columns)) > 1e-3 or not np.allclose(
        [np.linalg.norm(rows), np.linalg.norm(columns)], 1, atol=1e-3
    ):
        raise InputError(f"direction cosines {cosines.tolist()} are not orthonormal", where="(0020,0037)")
    return rows, columns


def _numbers(header: Dataset, tag: str, n: int) -> np.ndarray[Any, Any]:
    values = _many(header.get(tag))
    try:
        numbers = np.array([float(v) for v in values])
    except (TypeError, ValueError):
        numbers = np.array([])
    if len(numbers) != n or not np.isfinite(numbers).all():
        raise InputError(
            f"{tag} is {values or 'missing'}",
            where=str(getattr(header, "filename", "")),
            required=f"{n} numbers",
            do="export the series again with geometry",
        )
    return numbers


def _many(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return [value] if isinstance(value, (str, bytes, float, int)) else list(value)
