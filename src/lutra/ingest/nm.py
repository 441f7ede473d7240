"""Reconstructed SPECT in multi-frame NM objects (PS3.3 A.5, Image Type RECON TOMO).

Three traps. The frames have no positions of their own: they follow from that of the first, and run along the slice normal or, with
a negative Spacing Between Slices, against it (C.8.4.15); the thickness says nothing about it. The administered activity is in
MBq (C.8.4.10), where PET has Bq. And the pixels are counts unless a real world value mapping or Units say otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve
from pydicom import Dataset
from pydicom.tag import Tag

from lutra.core.errors import InconsistentSeries, InputError
from lutra.core.finding import Finding, Severity
from lutra.core.study import DecayCorrection, EnergyWindow, Radiopharmaceutical, RealWorldMap, SeriesHeader, VolumeKey
from lutra.ingest.classic import acquired_at
from lutra.ingest.elements import count, items, many, number, numbers, pointers, positive, text
from lutra.ingest.frames import Frame, directions, pixel_spacing
from lutra.ingest.pet import decay_correction
from lutra.ingest.radiopharmaceutical import read_radiopharmaceutical

VECTORS = {
    Tag(0x0054, 0x0010): "EnergyWindowVector",
    Tag(0x0054, 0x0020): "DetectorVector",
    Tag(0x0054, 0x0030): "PhaseVector",
    Tag(0x0054, 0x0050): "RotationVector",
    Tag(0x0054, 0x0060): "RRIntervalVector",
    Tag(0x0054, 0x0070): "TimeSlotVector",
    Tag(0x0054, 0x0080): "SliceVector",
    Tag(0x0054, 0x0090): "AngularViewVector",
    Tag(0x0054, 0x0100): "TimeSliceVector",
}
"""What Frame Increment Pointer (0028,0009) may point to in NM."""
UNDERSTOOD = {"EnergyWindowVector", "DetectorVector", "TimeSlotVector", "SliceVector"}

BQ_PER_MBQ = 1e6
LARGEST_MBQ = 1e5
"""100 GBq: no one is given more. A larger number in (0018,1074) is in Bq, and the least activity in Bq, 0.1 MBq, is larger."""
MS_PER_S = 1000.0
STORED_UNITS = {"bq/ml": "BQML", "{counts}": "CNTS", "{counts}/s": "CPS", "g/ml{suvbw}": "GML"}
"""Units (0054,1001) that UCUM codes of a real world value mapping stand for, in lower case."""


def nm_frames(path: Path, header: Dataset, zone: str) -> tuple[Frame, ...]:
    """Make the frames of a reconstructed NM object.

    Raises
    ------
    InputError
        For anything but RECON TOMO, and where the geometry or the order of the frames is missing or impossible.
    """
    kind = many(header, "ImageType")[2:3]
    if kind != ["RECON TOMO"]:
        raise InputError(
            f"Image Type is {kind[0] if kind else 'not given'}: projections, planar, dynamic or gated images hold no activity "
            "per volume",
            where=f"{path} (0008,0008)",
            required="RECON TOMO, an ungated reconstruction",
            do="export the reconstructed slices",
        )
    n = count(header, "NumberOfFrames")
    vectors = _vectors(path, header, n)
    slices = vectors.pop("SliceVector")
    _require_whole(path, header, slices, vectors)
    geometry = [_detector_geometry(path, header, item) for item in items(header, "DetectorInformationSequence")] or [
        _detector_geometry(path, header, header)
    ]
    detectors = int(vectors["DetectorVector"].max())
    if 1 < len(geometry) < detectors:
        raise InputError(
            f"frames of detector {detectors} where {len(geometry)} are described",
            where=f"{path} (0054,0022)",
            required="an item for every detector",
        )
    step_mm = _step(path, header, int(slices.max()))
    several = {name: len(np.unique(vector)) > 1 for name, vector in vectors.items()}
    started_at = acquired_at(header, zone)
    frames = []
    for index in range(n):
        window, detector, slot = (
            int(vectors[v][index]) for v in ("EnergyWindowVector", "DetectorVector", "TimeSlotVector")
        )
        corner, row, column = geometry[0 if len(geometry) == 1 else detector - 1]
        frames.append(
            Frame(
                path=path,
                index=index,
                uid=text(header, "SOPInstanceUID"),
                header=header,
                shape=(count(header, "Columns"), count(header, "Rows")),
                position_lps_mm=corner + (slices[index] - 1) * step_mm * np.cross(row, column),
                along_row_lps=row,
                along_column_lps=column,
                spacing_mm=pixel_spacing(header),
                key=VolumeKey(
                    energy_window=window - 1 if several["EnergyWindowVector"] else None,
                    detector=detector if several["DetectorVector"] else None,
                    time_slot=slot if several["TimeSlotVector"] else None,
                ),
                acquired_at=started_at,
            )
        )
    return tuple(frames)


def by_energy_window(frames: Sequence[Frame]) -> list[Frame]:
    """Tell files of one series apart by their energy window, where each has one: the standard's way for several windows."""
    headers = list({frame.uid: frame.header for frame in frames}.values())
    if len(headers) < 2:
        return list(frames)
    of_file = {text(h, "SOPInstanceUID"): _windows(h) for h in headers}
    known = sorted({w for windows in of_file.values() for w in windows}, key=_by_energy)
    if any(len(windows) != 1 for windows in of_file.values()):
        return list(frames)
    return [
        evolve(frame, key=evolve(frame.key, energy_window=known.index(of_file[frame.uid][0])))
        if len(known) > 1
        else frame
        for frame in frames
    ]


def nm_facts(header: SeriesHeader, frames: Sequence[Frame], zone: str, findings: list[Finding]) -> dict[str, Any]:
    """Fields of :class:`~lutra.core.study.SeriesHeader` that reconstructed NM images have, by name.

    Raises
    ------
    InputError
        If several radionuclides were given, or real world maps contradict each other.
    """
    datasets = list({frame.uid: frame.header for frame in frames}.values())
    first, path = datasets[0], frames[0].path
    corrected = tuple(str(v) for v in many(first, "CorrectedImage"))
    correction = decay_correction(first)
    if correction is None and corrected and "DECY" not in corrected:
        correction = DecayCorrection.NONE  # Corrected Image lists what was done, and decay is not there
    maps = {_real_world(path, d) for d in datasets}
    if len(maps) > 1:
        raise InconsistentSeries("files of one series have different real world maps", where=f"{path} (0040,9096)")
    real_world = maps.pop()
    rotations = items(first, "RotationInformationSequence")
    view_s = [(positive(r, "ActualFrameDuration") or 0) / MS_PER_S for r in rotations]
    views = [positive(r, "NumberOfFramesInRotation") or 0 for r in rotations]
    duration_s = float(np.dot(view_s, views)) if rotations else 0.0
    detectors = items(first, "DetectorInformationSequence") or [first]
    grid_name = text(detectors[0], "CollimatorGridName") or text(detectors[0], "CollimatorType")
    windows = [w for d in datasets for w in _windows(d)]
    return {
        "decay_correction": correction,
        "corrected_image": corrected,
        "frame_duration_s": view_s[0] if view_s and view_s[0] else None,
        "acquisition_duration_s": duration_s or None,
        "radiopharmaceutical": _radiopharmaceutical(header, path, first, zone, findings),
        "real_world": real_world,
        "stored_unit": _unit(first, real_world),
        "has_rescale": header.has_rescale or real_world is not None,
        "energy_windows": tuple(sorted(set(windows), key=_by_energy)) if len(datasets) > 1 else tuple(windows),
        "camera": evolve(header.camera, collimator=grid_name),
    }


def _vectors(path: Path, header: Dataset, n: int) -> dict[str, np.ndarray[Any, Any]]:
    """Index of each frame, from 1, along everything that frames may differ by."""
    found = {}
    increments = pointers(header, "FrameIncrementPointer")
    if n > 1 and Tag(0x0054, 0x0080) not in increments:
        raise InputError(
            f"Frame Increment Pointer is {', '.join(str(p) for p in increments) or 'missing'}",
            where=f"{path} (0028,0009)",
            required="the Slice Vector (0054,0080), which says which slice a frame is",
            do="export the reconstruction again",
        )
    for pointer in increments:
        name = VECTORS.get(pointer, f"element {pointer}")
        vector = numbers(header, name, n) if pointer in VECTORS else np.arange(n)
        if name not in UNDERSTOOD:
            if len(np.unique(vector)) > 1:
                raise InputError(
                    f"frames differ by {name}",
                    where=f"{path} (0028,0009)",
                    required=f"frames that differ by {', '.join(sorted(UNDERSTOOD))} alone",
                    do="export the ungated reconstruction",
                )
            continue
        if (vector < 1).any() or (vector != vector.astype(int)).any():
            raise InputError(f"{name} is {vector.tolist()}", where=str(path), required="whole numbers from 1")
        found[name] = vector.astype(int)
    return {name: found.get(name, np.ones(n, int)) for name in UNDERSTOOD}


def _require_whole(
    path: Path, header: Dataset, slices: np.ndarray[Any, Any], vectors: dict[str, np.ndarray[Any, Any]]
) -> None:
    n_slices = int(positive(header, "NumberOfSlices") or slices.max())
    volumes = len(np.unique(np.stack([vectors[name] for name in sorted(vectors)]), axis=1).T)
    if len(slices) != n_slices * volumes or len(np.unique(slices)) != n_slices or slices.max() != n_slices:
        raise InconsistentSeries(
            f"{len(slices)} frames for {volumes} volumes of {n_slices} slices",
            where=f"{path} (0054,0081), (0054,0080)",
            required="every slice of every volume once",
            do="export the reconstruction again, whole",
        )


def _step(path: Path, header: Dataset, n_slices: int) -> float:
    """Distance of slices along the normal of the first; negative where they run against it. [mm]"""
    step_mm = number(header, "SpacingBetweenSlices")
    if n_slices > 1 and not step_mm:
        raise InputError(
            f"Spacing Between Slices is {text(header, 'SpacingBetweenSlices') or 'missing'}",
            where=f"{path} (0018,0088)",
            required="a distance other than 0, negative where slices run against their normal; the thickness does not stand for it",
            do="export the reconstruction again with geometry",
        )
    return step_mm or 0.0


def _detector_geometry(path: Path, header: Dataset, item: Dataset) -> tuple[Any, Any, Any]:
    """Corner and directions of the first frame; at the top of the header where the detector has none."""
    source = item if many(item, "ImagePositionPatient") else header
    if not many(source, "ImagePositionPatient"):
        raise InputError(
            "no Image Position (Patient)",
            where=f"{path} (0054,0022), (0020,0032)",
            required="position and orientation of the first frame in the Detector Information Sequence",
            do="export the reconstruction again with geometry",
        )
    return numbers(source, "ImagePositionPatient", 3), *directions(source)


def _windows(header: Dataset) -> tuple[EnergyWindow, ...]:
    windows = []
    for item in items(header, "EnergyWindowInformationSequence"):
        limits = [
            (positive(r, "EnergyWindowLowerLimit"), positive(r, "EnergyWindowUpperLimit"))
            for r in items(item, "EnergyWindowRangeSequence")
        ]
        ranges = [(low, high) for low, high in limits if low is not None and high is not None and low < high]
        if not ranges or len(ranges) < len(limits):
            return ()  # their numbers are what frames refer to, so that one unknown window makes all unknown
        windows.append(EnergyWindow(text(item, "EnergyWindowName"), *ranges[0], tuple(ranges[1:])))
    return tuple(windows)


def _by_energy(window: EnergyWindow) -> tuple[float, float, str]:
    return window.lower_kev, window.upper_kev, window.name


def _real_world(path: Path, header: Dataset) -> RealWorldMap | None:
    found = []
    for item in items(header, "RealWorldValueMappingSequence"):
        codes = items(item, "MeasurementUnitsCodeSequence")
        unit = text(codes[0], "CodeValue") if codes else ""
        slope, intercept = number(item, "RealWorldValueSlope"), number(item, "RealWorldValueIntercept")
        if not (unit and slope and intercept is not None):
            raise InputError(
                f"a real world map with unit {unit or 'missing'}, slope {slope}, intercept {intercept}",
                where=f"{path} (0040,9096)",
                required="a unit, a slope other than 0 and an intercept; lookup tables are not read",
                do="export the image again",
            )
        found.append(RealWorldMap(slope, intercept, unit))
    activity = [m for m in found if STORED_UNITS.get(m.unit.lower()) == "BQML"]
    chosen = activity or found
    if len(set(chosen)) > 1:
        raise InputError(
            f"{len(chosen)} real world maps to {', '.join(m.unit for m in chosen)}",
            where=f"{path} (0040,9096)",
            required="one for all pixels",
            do="export the image with one map",
        )
    return chosen[0] if chosen else None


def _unit(header: Dataset, real_world: RealWorldMap | None) -> str | None:
    """Name the unit of the values as read; None where a rescale makes something of the counts that the file does not name."""
    if real_world is not None:
        return STORED_UNITS.get(real_world.unit.lower(), real_world.unit)
    stated = text(header, "Units") or text(header, "RescaleType").removeprefix("US")
    rescaled = (number(header, "RescaleSlope") or 1, number(header, "RescaleIntercept") or 0) != (1, 0)
    return stated or (None if rescaled else "CNTS")


def _radiopharmaceutical(
    header: SeriesHeader, path: Path, first: Dataset, zone: str, findings: list[Finding]
) -> Radiopharmaceutical | None:
    agent = read_radiopharmaceutical(first, header.acquired_at, zone, findings)
    given = items(first, "RadiopharmaceuticalInformationSequence")
    codes = [items(item, "RadionuclideCodeSequence") for item in given]
    if len({(text(c[0], "CodeValue"), text(c[0], "CodeMeaning")) for c in codes if c}) > 1:
        raise InputError(
            "several radionuclides",
            where=f"{path} (0054,0016)",
            required="one: activities of two cannot be told apart here",
            do="export each reconstruction with its own radionuclide",
        )
    if agent is None or agent.activity_bq is None or agent.activity_bq != positive(given[0], "RadionuclideTotalDose"):
        return agent  # nothing stated, or converted already
    if agent.activity_bq <= LARGEST_MBQ:
        return evolve(agent, activity_bq=agent.activity_bq * BQ_PER_MBQ)
    findings.append(
        Finding(
            Severity.WARNING,
            "ingest.activity-in-bq",
            f"{path}: Radionuclide Total Dose (0018,1074) is {agent.activity_bq:g}. NM states it in MBq, which would be more than "
            "anyone is given, so it is read as Bq. To do: check it against the administration record",
        )
    )
    return agent
