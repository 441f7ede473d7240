"""A second reading of the same files, plain and slow, that shares no code with Lutra: what the headers honestly say.

A number is given only where every slice agrees on what it rests on. Anything else is left out, and Lutra must then refuse or tell.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset


def honest(folder: Path) -> dict[str, dict[str, Any]]:
    """Numbers by series, as :func:`reading.read` names them."""
    logging.getLogger("pydicom").disabled = True
    series: defaultdict[str, list[Dataset]] = defaultdict(list)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                try:
                    file = pydicom.dcmread(path)
                    series[str(file.get("SeriesInstanceUID", "")).strip()].append(file)
                except Exception:  # noqa: BLE001, S112  (an unreadable file says nothing honestly)
                    continue
        found = {}
        for uid, files in series.items():
            unique = {str(f.get("SOPInstanceUID")): f for f in files}
            with suppress(Exception):
                read = BY_MODALITY.get(str(files[0].get("Modality", "")).strip("\0 "))
                found[uid] = read(files[0]) if read else _numbers(list(unique.values()))
    return found


def _numbers(files: list[Dataset]) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    for name, read in (
        ("subject_id", lambda f: str(f.PatientID).strip()),
        ("unit", lambda f: str(f.get("Units", "") or f.get("RescaleType", "") or "").strip() or None),
    ):
        _agreed(numbers, name, files, read)
    if files[0].get("Modality") == "NM":
        with suppress(Exception):
            numbers |= _nm(files[0]) if len(files) == 1 else {}
        return numbers
    with suppress(Exception):
        if "PerFrameFunctionalGroupsSequence" in files[0] or "VFRAME" in files[0].ImageType:
            return numbers | _frames(files)
    try:
        files = sorted(files, key=lambda f: float(np.dot(f.ImagePositionPatient, np.cross(*_axes(files[0])))))
        numbers |= _geometry(files)
    except Exception:  # noqa: BLE001  (whatever is wrong, there is no honest geometry)
        return numbers
    with suppress(Exception):
        numbers["b_values"] = sorted({_b_value(f) for f in files})
    with suppress(Exception):
        numbers["image"] = [_sum(f) for f in files]
    times = [_moment(f, str(f.get("AcquisitionDate", "")) + str(f.get("AcquisitionTime", ""))) for f in files]
    if all(times):
        numbers["acquired_at"] = min(t for t in times if t).isoformat()
        with suppress(Exception):
            numbers |= _activity(files, min(t for t in times if t))
    return numbers


def _agreed(numbers: dict[str, Any], name: str, files: list[Dataset], read: Any) -> None:
    try:
        values = {read(f) for f in files}
    except Exception:  # noqa: BLE001
        return
    if len(values) == 1:
        numbers[name] = values.pop()


def _b_value(file: Dataset) -> float:
    """Of the standard, or of GE, Philips or UIH."""
    if "DiffusionBValue" in file:
        return float(file.DiffusionBValue)
    for group, creator, element in ((0x0043, "GEMS_PARM_01", 0x39), (0x2001, "Philips Imaging DD 001", 0x03)):
        with suppress(KeyError):
            value = file.private_block(group, creator)[element].value
            return float(value[0]) % 1e5 if group == 0x0043 else float(value)
    return float(file.private_block(0x0065, "Image Private Header")[0x09].value)


def _axes(file: Dataset) -> Any:
    return np.array([float(x) for x in file.ImageOrientationPatient]).reshape(2, 3)


def _geometry(files: list[Dataset]) -> dict[str, Any]:
    first = files[0]
    same = {(str(f.PixelSpacing), str(f.ImageOrientationPatient), f.Rows, f.Columns) for f in files}
    if len(same) > 1:
        return {}
    row, column = _axes(first)
    positions = np.array([[float(x) for x in f.ImagePositionPatient] for f in files])
    if len(files) % len(np.unique(positions.round(3), axis=0)) == 0:  # several volumes of the same slices
        positions = positions[:: len(files) // len(np.unique(positions.round(3), axis=0))]
    affine = np.eye(4)
    affine[:3, 0] = row * float(first.PixelSpacing[1])
    affine[:3, 1] = column * float(first.PixelSpacing[0])
    affine[:3, 3] = positions[0]
    if len(positions) > 1:
        steps = np.diff(positions, axis=0)
        if np.abs(steps - steps.mean(axis=0)).max() > 0.02 * np.linalg.norm(steps.mean(axis=0)) + 0.002:
            return {}
        affine[:3, 2] = steps.mean(axis=0)
    else:
        affine[:3, 2] = np.cross(row, column) * float(first.get("SpacingBetweenSlices") or first.SliceThickness)
    return {"shape": [int(first.Columns), int(first.Rows), len(positions)], "affine": affine.ravel().tolist()}


def _sum(file: Dataset) -> float:
    if "ModalityLUTSequence" in file or int(file.get("NumberOfFrames") or 1) != 1:
        raise ValueError
    if len(file.PixelData) != file.Rows * file.Columns * file.BitsAllocated // 8:
        raise ValueError
    values = file.pixel_array.astype(np.float64)
    if "RescaleSlope" in file or "RescaleIntercept" in file or file.Modality == "PT":
        values = values * float(file.RescaleSlope) + float(file.RescaleIntercept)
    weights = 1 + 0.013 * np.arange(values.shape[1])[None, :] + 0.0071 * np.arange(values.shape[0])[:, None]
    return float((values * weights).sum())


def _frames(files: list[Dataset]) -> dict[str, Any]:
    """Sums of the planes of enhanced objects and mosaics, in any order."""
    sums = []
    for file in files:
        if "PerFrameFunctionalGroupsSequence" in file:
            n = int(file.NumberOfFrames)
            shared = file.SharedFunctionalGroupsSequence[0]
            planes = file.pixel_array.reshape(n, file.Rows, file.Columns)
            for group, plane in zip(file.PerFrameFunctionalGroupsSequence, planes, strict=True):
                value = group.get("PixelValueTransformationSequence") or shared.get("PixelValueTransformationSequence")
                slope, intercept = (value[0].RescaleSlope, value[0].RescaleIntercept) if value else (1, 0)
                sums.append(_weighted(plane * float(slope) + float(intercept)))
        else:
            places = file.private_block(0x0065, "Image Private Header")[0x51].value
            across = int(np.ceil(np.sqrt(len(places))))
            down = -(-len(places) // across)
            for n in range(len(places)):
                j, i = divmod(n, across)
                high, wide = file.Rows // down, file.Columns // across
                tile = file.pixel_array[j * high : (j + 1) * high, i * wide : (i + 1) * wide]
                sums.append(
                    _weighted(tile * float(file.get("RescaleSlope", 1)) + float(file.get("RescaleIntercept", 0)))
                )
    b_values = {"b_values": sorted({b for file in files for b in _b_values_within(file)})}
    places = {str(e.value) for e in files[0].iterall() if e.keyword == "ImagePositionPatient"}
    shape = {"shape": [int(files[0].Columns), int(files[0].Rows), len(places)]} if len(files) == 1 else {}
    return {"image": sums} | shape | (b_values if b_values["b_values"] else {})


def _b_values_within(file: Dataset) -> list[float]:
    stated = [float(element.value) for element in file.iterall() if element.keyword == "DiffusionBValue"]
    with suppress(Exception):
        stated = stated or [_b_value(file)]
    return stated


def _weighted(values: np.ndarray[Any, Any]) -> float:
    weights = 1 + 0.013 * np.arange(values.shape[1])[None, :] + 0.0071 * np.arange(values.shape[0])[:, None]
    return float((values * weights).sum())


def _nm(file: Dataset) -> dict[str, Any]:
    """Volumes window by window, slices along the normal of the detector's first slice."""
    n = int(file.NumberOfFrames)
    if len(file.PixelData) != n * file.Rows * file.Columns * 2:
        return {}
    vector = [int(v) for v in file.SliceVector]
    windows = [int(v) for v in file.get("EnergyWindowVector", [1] * n)]
    spacing_mm = float(file.SpacingBetweenSlices)
    if sorted(set(zip(windows, vector, strict=True))) != [
        (w, k + 1) for w in sorted(set(windows)) for k in range(max(vector))
    ]:
        return {}
    item = file.DetectorInformationSequence[0]
    row, column = _axes(item)
    position = np.array([float(x) for x in item.ImagePositionPatient])
    first = position + min(0.0, (max(vector) - 1) * spacing_mm) * np.cross(row, column)
    affine = np.eye(4)
    affine[:3, 0] = row * float(file.PixelSpacing[1])
    affine[:3, 1] = column * float(file.PixelSpacing[0])
    affine[:3, 2] = np.cross(row, column) * abs(spacing_mm)
    affine[:3, 3] = first
    maps = {
        (float(m.RealWorldValueSlope), float(m.RealWorldValueIntercept))
        for m in file.get("RealWorldValueMappingSequence", [])
    }
    ((slope, intercept),) = maps or {(1.0, 0.0)}
    order = sorted(range(n), key=lambda k: (windows[k], vector[k] * spacing_mm))
    pixels = np.frombuffer(file.PixelData, "<u2").reshape(n, file.Rows, file.Columns) * slope + intercept
    acquired = _moment(file, str(file.AcquisitionDate) + str(file.AcquisitionTime))
    started = _moment(file, str(file.SeriesDate) + str(file.SeriesTime))
    usable = file.DecayCorrection == "START" and acquired and started
    started = acquired if usable and started and acquired and started > acquired else started  # made again later
    found: dict[str, Any] = {}
    if usable and started:
        found["decay_at"] = started.isoformat()
        agent = file.RadiopharmaceuticalInformationSequence[0]
        given = _moment(file, str(agent.get("RadiopharmaceuticalStartDateTime", "")))
        if given and given <= started and maps:
            left = 2 ** (-(started - given).total_seconds() / float(agent.RadionuclideHalfLife))
            found["suv"] = float(file.PatientWeight) * 1000 / (float(agent.RadionuclideTotalDose) * 1e6 * left)
    return found | {
        "shape": [int(file.Columns), int(file.Rows), max(vector)],
        "affine": affine.ravel().tolist(),
        "image": [_weighted(pixels[k]) for k in order],
        "acquired_at": acquired.isoformat() if acquired else None,
    }


def _moment(file: Dataset, stamp: str) -> datetime | None:
    match = re.fullmatch(r"(\d{8})(\d{4})(\d\d)?(?:\.(\d{1,6})\d*)?([+-]\d{4})?", stamp.strip().replace(":", ""))
    if not match:
        return None
    day, minute, second, fraction, zone = match.groups()
    zone = zone or str(file.get("TimezoneOffsetFromUTC", "") or "").strip()
    shift = UTC
    try:
        if zone:
            hours, minutes = re.fullmatch(r"([+-]\d\d)(\d\d)", zone).groups()  # type: ignore[union-attr]
            shift = timezone(timedelta(hours=int(hours), minutes=int(hours[0] + minutes)))
        read = datetime.strptime(day + minute + (second or "00"), "%Y%m%d%H%M%S").replace(tzinfo=shift)
        return (read + timedelta(microseconds=int((fraction or "0").ljust(6, "0")))).astimezone(UTC)
    except (AttributeError, ValueError, OverflowError):
        return None


def _activity(files: list[Dataset], acquired_at: datetime) -> dict[str, Any]:
    facts = {
        (
            str(f.get("PatientWeight")),
            str(f.get("Units")),
            str(f.get("DecayCorrection")),
            str(f.get("RadiopharmaceuticalInformationSequence")),
            str(f.get("SeriesDate")) + str(f.get("SeriesTime")),
            str(f.get("TimezoneOffsetFromUTC")),
        )
        for f in files
    }
    if len(facts) > 1:
        return {}
    first = files[0]
    if first.Units == "GML":
        return {"suv": 1.0}
    agent = first.RadiopharmaceuticalInformationSequence[0]
    half_life_s, activity_bq = float(agent.RadionuclideHalfLife), float(agent.RadionuclideTotalDose)
    given_at = _moment(first, str(agent.get("RadiopharmaceuticalStartDateTime", "") or ""))
    if given_at is None and half_life_s < 86400:
        given_at = _moment(first, str(first.AcquisitionDate) + str(agent.get("RadiopharmaceuticalStartTime", "")))
    series_at = _moment(first, str(first.SeriesDate) + str(first.SeriesTime))
    reference = None
    if first.DecayCorrection == "ADMIN":
        reference = given_at
    elif first.DecayCorrection == "NONE":
        reference = _mean_instant(files, acquired_at, half_life_s)
    elif first.DecayCorrection == "START":
        late = series_at is None or series_at > acquired_at
        reference = _scan_start(files, acquired_at, half_life_s) if late else series_at
    if reference is None or given_at is None or given_at > acquired_at:
        return {}
    found: dict[str, Any] = {"decay_at": reference.isoformat()}
    weight_kg = float(first.get("PatientWeight") or 0)
    if weight_kg > 0 and activity_bq > 0 and half_life_s > 0 and first.Units == "BQML":
        elapsed_s = (reference - given_at).total_seconds()
        found["suv"] = weight_kg * 1000 / (activity_bq * 2 ** (-elapsed_s / half_life_s))
    return found


def _within_s(duration_s: float, half_life_s: float) -> float:
    """From the start of a frame to the instant at which its activity was the mean over it."""
    rate = np.log(2) / half_life_s
    return float(np.log(rate * duration_s / -np.expm1(-rate * duration_s)) / rate)


def _mean_instant(files: list[Dataset], acquired_at: datetime, half_life_s: float) -> datetime | None:
    stamps = {(str(f.AcquisitionDate), str(f.AcquisitionTime), str(f.get("ActualFrameDuration"))) for f in files}
    if len(stamps) > 1:
        return None
    return acquired_at + timedelta(seconds=_within_s(float(files[0].ActualFrameDuration) / 1000, half_life_s))


def _scan_start(files: list[Dataset], acquired_at: datetime, half_life_s: float) -> datetime | None:
    """Start of the scan of a series that was made again later: private scan time, frame times, or the acquisition."""
    first = files[0]
    for group, creator, element in ((0x0009, "GEMS_PETD_01", 0x0D), (0x0071, "SIEMENS MED PT", 0x22)):
        with suppress(Exception):
            value = first.private_block(group, creator)[element].value
            return _moment(first, value.decode().strip("\0 ") if isinstance(value, bytes) else str(value))
    offset_s = float(first.get("FrameReferenceTime") or 0) / 1000
    if offset_s > 0 and first.get("ActualFrameDuration"):
        within_s = _within_s(float(first.ActualFrameDuration) / 1000, half_life_s)
        own = _moment(first, str(first.AcquisitionDate) + str(first.AcquisitionTime))
        return own - timedelta(seconds=offset_s - within_s) if own else None
    return acquired_at


def _segments(file: Dataset) -> dict[str, Any]:
    """Volume of every segment: its voxels, or shares of them, times the size of a voxel."""
    labels = {int(s.SegmentNumber): str(s.get("SegmentLabel", "")) for s in file.SegmentSequence}
    shared, frames = file.SharedFunctionalGroupsSequence[0], file.PerFrameFunctionalGroupsSequence
    planes = file.pixel_array.reshape(len(frames), file.Rows, file.Columns)
    if int(file.NumberOfFrames) != len(frames):
        return {}

    def group(frame: Dataset, name: str) -> Dataset:
        return (frame.get(name) or shared.get(name))[0]

    measures = group(frames[0], "PixelMeasuresSequence")
    axes = _axes(group(frames[0], "PlaneOrientationSequence"))
    normal = np.cross(*axes)
    heights = sorted(
        {round(float(np.dot(group(f, "PlanePositionSequence").ImagePositionPatient, normal)), 3) for f in frames}
    )
    stated_mm = float(measures.get("SpacingBetweenSlices") or 0)
    steps = np.diff(heights)
    if stated_mm and (np.abs(steps / stated_mm - np.rint(steps / stated_mm)) < 0.01).all():
        spacing_mm = stated_mm  # frames of slices without the segment may be left out
    else:
        spacing_mm = float(min(steps)) if len(steps) else float(measures.SliceThickness)
    voxel_ml = float(measures.PixelSpacing[0]) * float(measures.PixelSpacing[1]) * abs(spacing_mm) / 1000
    full = float(file.MaximumFractionalValue) if file.SegmentationType == "FRACTIONAL" else 1.0
    sums = dict.fromkeys(labels, 0.0)
    for frame, plane in zip(frames, planes, strict=True):
        if file.SegmentationType == "LABELMAP":
            for number in set(labels) - {0, file.get("PixelPaddingValue", 0)}:
                sums[number] += float((plane == number).sum())
        else:
            number = int(group(frame, "SegmentIdentificationSequence").ReferencedSegmentNumber)
            sums[number] += float(plane.sum()) / full
    seen = [n for n in labels if sums[n]]
    return {"segments": {f"{k} {labels[n]}": sums[n] * voxel_ml for k, n in enumerate(seen)}}


def _dose(file: Dataset) -> dict[str, Any]:
    n = int(file.NumberOfFrames)
    if file.DoseUnits != "GY" or len(file.PixelData) != n * file.Rows * file.Columns * file.BitsAllocated // 8:
        return {}
    row, column = _axes(file)
    offsets = [float(x) for x in file.GridFrameOffsetVector]
    steps = np.diff(offsets)
    if len(offsets) != n or np.abs(steps - steps[0]).max() > 1e-3 * abs(steps[0]):
        return {}
    affine = np.eye(4)
    affine[:3, 0] = row * float(file.PixelSpacing[1])
    affine[:3, 1] = column * float(file.PixelSpacing[0])
    affine[:3, 2] = np.cross(row, column) * steps[0]
    affine[:3, 3] = np.array([float(x) for x in file.ImagePositionPatient]) + offsets[0] * np.cross(row, column)
    planes = file.pixel_array.reshape(n, file.Rows, file.Columns) * float(file.DoseGridScaling)
    return {
        "shape": [int(file.Columns), int(file.Rows), n],
        "affine": affine.ravel().tolist(),
        "image": [_weighted(plane) for plane in planes],
    }


def _contours(file: Dataset) -> dict[str, Any]:
    """Points of every region that has closed contours."""
    try:
        names = {int(roi.ROINumber): str(roi.get("ROIName", "") or "").strip() for roi in file.StructureSetROISequence}
        regions = []
        for drawn in file.ROIContourSequence:
            contours = [
                np.array([float(x) for x in c.ContourData]).reshape(-1, 3)
                for c in drawn.get("ContourSequence") or []
                if c.ContourGeometricType == "CLOSED_PLANAR"
            ]
            contours = [c[:-1] if len(c) > 3 and np.allclose(c[0], c[-1]) else c for c in contours]
            if contours:
                points = np.concatenate(contours)
                regions.append((names[int(drawn.ReferencedROINumber)], points))
    except Exception:  # noqa: BLE001
        return {}
    return {
        "contours": {
            f"{n} {name}": [len(points), float(points.sum()), float(np.square(points).sum())]
            for n, (name, points) in enumerate(regions)
        }
    }


BY_MODALITY = {"RTSTRUCT": _contours, "SEG": _segments, "RTDOSE": _dose}
