"""What Lutra makes of a folder: every number that leaves the first two stages, and what it says beside them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from attrs import Factory, define

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader
from lutra.core.time import in_utc
from lutra.core.volume import Volume
from lutra.ingest import (
    IngestSettings,
    read_contours,
    read_dose_grid,
    read_header,
    read_segmentation,
    read_stored_dvhs,
    read_volumes,
    scan,
)
from lutra.quantify import QuantifySettings, decay_reference, quantify, role_of, suv_bw_factor, to_activity
from lutra.segment import SegmentSettings, regions_from_contours, regions_on_grid

NUMBERS = {
    *("subject_id", "shape", "affine", "acquired_at", "decay_at", "suv", "image", "unit", "volumes", "b_values"),
    *("total", "quantified", "contours", "region_ml", "segments", "dvhs"),
}
ABOUT_ACTIVITY = {"suv", "decay_at", "total", "quantified", "unit"}
ABOUT_REGIONS = {"contours", "region_ml", "segments"}
CONCERNS = {
    r"quantify\..*": ABOUT_ACTIVITY,
    r"ingest\.(no-weight|suv-type.*)": {"suv", "quantified"},
    r"ingest\.(administration|activity|residual|unknown-nuclide|several-radio).*": ABOUT_ACTIVITY,
    r"ingest\.no-series-time": ABOUT_ACTIVITY,
    r"ingest\.no-acquisition-time": {"acquired_at", *ABOUT_ACTIVITY},
    r"ingest\.(uneven-slices|leaning-stack)": {"affine", *ABOUT_REGIONS, "total"},
    r"(segment\..*|ingest\.(contour|region|no-contours|segment|no-segments).*)": ABOUT_REGIONS,
    r"ingest\.several-patients.*": {"subject_id"},
    r"ingest\.dvh.*": {"dvhs"},
    r"ingest\.(dose-refused|dose-in-part)": {"image", "affine", "shape", "dvhs"},
}
"""Which numbers a Finding speaks of; all of them if it is not listed."""
ORDER = list(Severity)


@define
class Reading:
    """Numbers by series, and all Findings."""

    numbers: dict[str, dict[str, Any]] = Factory(dict)
    findings: list[Finding] = Factory(list)
    suv_reasons: dict[str, str] = Factory(dict)

    def texts(self, folder: Path) -> set[tuple[str, str]]:
        """Code and text of every doubt, without the folder, so that two folders can be compared."""
        return {
            (f.code, f.text.replace(str(folder), ""))
            for f in self.findings
            if ORDER.index(f.severity) >= ORDER.index(Severity.WARNING)
        }


def concerns(code: str) -> set[str]:
    return next((numbers for pattern, numbers in CONCERNS.items() if re.fullmatch(pattern, code)), NUMBERS)


def read(folder: Path) -> Reading:
    """Take a folder through stages 1 and 2 and its contours to regions."""
    reading = Reading()
    intake = scan([folder])
    reading.findings += intake.findings
    series: defaultdict[str, list[Path]] = defaultdict(list)
    modality = {}
    for file in intake.files:
        series[file.series_uid].append(Path(file.path))
        modality[file.series_uid] = file.modality
    grids: dict[str, Grid] = {}
    for uid, paths in sorted(series.items()):
        if modality[uid] not in BY_FILE:
            _image(reading, uid, paths, grids)
    for uid, paths in sorted(series.items()):
        for path in paths if modality[uid] in BY_FILE else ():
            BY_FILE[modality[uid]](reading, uid, path, grids)
    return reading


def _image(reading: Reading, uid: str, paths: list[Path], grids: dict[str, Grid]) -> None:
    settings, numbers = IngestSettings(), reading.numbers.setdefault(uid, {})
    header = _value(reading, read_header(paths, settings))
    if header is None or header.grid is None:
        return
    numbers["subject_id"] = header.subject_id
    numbers["unit"] = header.stored_unit
    numbers["volumes"] = len(header.volumes)
    b_values = {key.b_value_s_per_mm2 for key in header.volumes}
    numbers["b_values"] = None if None in b_values else sorted(b for b in b_values if b is not None)
    numbers["shape"] = list(header.grid.shape)
    numbers["affine"] = header.grid.affine_lps_mm.ravel().tolist()
    numbers["acquired_at"] = _utc(header.acquired_at)
    grids[header.frame_of_reference] = header.grid
    if header.modality in {"PT", "NM"}:
        suv = suv_bw_factor(header)
        reading.suv_reasons[uid] = suv.reason if suv.value is None else ""
        reading.findings += suv.findings
        numbers["suv"] = suv.value
        reference = _value(reading, decay_reference(header))
        numbers["decay_at"] = _utc(reference.at) if reference else None
    volumes = _value(reading, read_volumes(paths, header, settings))
    if volumes is None:
        return
    numbers["image"] = [float(x) for volume in volumes for x in weighted_sums(volume.values)]
    _quantities(reading, header, volumes, numbers)


def weighted_sums(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Sum of each slice with weights that grow along rows and columns, so that no exchange of pixels goes unseen."""
    i, j = np.arange(values.shape[0]), np.arange(values.shape[1])
    weights = 1 + 0.013 * i[:, None] + 0.0071 * j[None, :]
    return np.einsum("ijk,ij->k", values.astype(np.float64), weights)


def _quantities(reading: Reading, header: SeriesHeader, volumes: tuple[Volume, ...], numbers: dict[str, Any]) -> None:
    if header.stored_unit == "BQML" and len(volumes) == 1:
        activity = _value(reading, to_activity(header, volumes[0]))
        numbers["total"] = activity.integral() if activity else None
    role = _value(reading, role_of(header))
    if role is not None:
        quantified = _value(reading, quantify(header, volumes, role, QuantifySettings()))
        numbers["quantified"] = quantified.integral() if isinstance(quantified, Volume) else None


def _contours(reading: Reading, uid: str, path: Path, grids: dict[str, Grid]) -> None:
    numbers = reading.numbers.setdefault(uid, {})
    drawn = _value(reading, read_contours(path))
    if drawn is None:
        return
    numbers["contours"] = {}
    for n, region in enumerate(drawn):
        points = [p for contour in region.contours_lps_mm for p in contour]
        numbers["contours"][f"{n} {region.name}"] = [
            len(points),
            float(np.sum(points)),
            float(np.sum(np.square(points))),
        ]
    for frame, grid in grids.items():
        regions = _value(reading, regions_from_contours(drawn, grid, SegmentSettings()))
        if regions and frame:
            numbers["region_ml"] = {f"{n} {r.name}": r.volume_ml for n, r in enumerate(regions)}


def _segments(reading: Reading, uid: str, path: Path, grids: dict[str, Grid]) -> None:
    numbers = reading.numbers.setdefault(uid, {})
    regions = _value(reading, read_segmentation(path))
    if regions is not None:
        numbers["segments"] = {f"{n} {r.name}": r.volume_ml for n, r in enumerate(regions)}
        for grid in grids.values():
            _value(reading, regions_on_grid(regions, grid, SegmentSettings()))


def _dose(reading: Reading, uid: str, path: Path, grids: dict[str, Grid]) -> None:
    numbers = reading.numbers.setdefault(uid, {})
    dose = _value(reading, read_dose_grid(path))
    if dose is not None:
        numbers["shape"] = list(dose.grid.shape)
        numbers["affine"] = dose.grid.affine_lps_mm.ravel().tolist()
        numbers["image"] = [float(x) for x in weighted_sums(dose.values)]
    dvhs = _value(reading, read_stored_dvhs(path))
    numbers["dvhs"] = None if dvhs is None else [float(np.sum(d.volume_ml)) for d in dvhs]


BY_FILE = {"RTSTRUCT": _contours, "SEG": _segments, "RTDOSE": _dose}


def _value(reading: Reading, outcome: Outcome[Any]) -> Any:
    reading.findings += outcome.findings
    return outcome.value


def _utc(moment: Any) -> str | None:
    return None if moment is None else in_utc(moment).isoformat()


NAMES_A_PLACE = re.compile(r"\([0-9A-F]{4},[0-9A-F]{4}\)|/|series |[Rr]egion |\.dcm")


def nameless(findings: Iterable[Finding]) -> list[str]:
    """Refusals that name neither a file nor a tag."""
    refusals = [f for f in findings if f.severity in {Severity.ERROR, Severity.UNDETERMINED}]
    return [f.text for f in refusals if not NAMES_A_PLACE.search(f.text)]
