"""Which of a site's calibrations applies to a scan, and what they leave uncertain.

Of each kind (camera factor, dose calibrator, dead time, recovery) the latest measurement with this camera, nuclide and energy
window that is not after the scan. A scan in counts without a camera factor has no activity. A scan whose dates were moved by
de-identification cannot be dated against a calibration: it takes the only one there is, with a Finding, and none of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot
from typing import Any

from lutra.core.calibration import Calibration, CalibrationFile
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.study import EnergyWindow, SeriesHeader
from lutra.core.time import seconds_between
from lutra.core.units import DAY_S
from lutra.core.volume import Volume
from lutra.quantify.settings import QuantifySettings

COUNT_UNITS = {"CNTS", "CPS"}
"""(0054,1001): counts, and counts per second. Everything else is the camera maker's own calibration, or refused."""
PARTS = {
    "camera factor": "camera_factor",
    "dose calibrator": "dose_calibrator",
    "dead time": "dead_time",
    "recovery": "recovery",
    "decay correction": "decay_correction",
}
WINDOW_TOLERANCE_KEV = 1.0
"""Limits are written rounded; windows that differ by more see other counts."""
CAMERA_CALIBRATION, DOSE_CALIBRATOR, DEAD_TIME = "camera calibration", "dose calibrator", "dead time"
BQ_PER_MBQ = 1e6


def choose_calibration(
    header: SeriesHeader, files: tuple[CalibrationFile, ...], settings: QuantifySettings
) -> Outcome[Calibration]:
    """Choose what applies to one scan.

    Returns
    -------
    Outcome
        The parts found, each with its file in the Findings; empty for images in Bq/mL of a camera nobody has checked. None if
        the image is in counts and there is no camera factor, if two files of one date compete, or if several do and the dates of
        the scan were moved.
    """
    counts = header.stored_unit in COUNT_UNITS
    unfit = {f.name: _why_not(f, header) for f in files}
    fitting = [f for f in files if not unfit[f.name]]
    unit = "cps/MBq" if counts else "1"
    corrected_by_scanner = "DTIM" in header.corrected_image
    chosen: dict[str, CalibrationFile] = {}
    for part, name in PARTS.items():
        candidates = [
            f
            for f in fitting
            if getattr(f, name) is not None
            and (f.camera_factor is None or name != "camera_factor" or f.camera_factor.unit == unit)
        ]
        if header.dates_moved and len(candidates) > 1:
            return Outcome(None, (_undated(header, part, candidates),))
        latest = [f for f in candidates if f.measured_at == max(c.measured_at for c in candidates)]
        if len(latest) > 1:
            text = (
                f"series {header.series_uid}: {' and '.join(f.name for f in latest)} both give the {part} of "
                f"{latest[0].measured_at:%Y-%m-%d}. Required: one. To do: remove one, or give it its own date"
            )
            return Outcome(None, (Finding(Severity.UNDETERMINED, "quantify.calibration-ambiguous", text),))
        if latest and not (part == "dead time" and corrected_by_scanner):
            chosen[part] = latest[0]
    if counts and "camera factor" not in chosen:
        return Outcome(None, (_none(header, files, unfit, Severity.UNDETERMINED),))
    missing = []
    if "camera factor" in chosen and "dose calibrator" not in chosen:
        missing.append(DOSE_CALIBRATOR)
    findings = _findings(header, chosen, settings)
    if counts and "dead time" not in chosen and not corrected_by_scanner:
        missing.append(DEAD_TIME)
        findings.append(
            Finding(
                Severity.WARNING,
                "quantify.no-dead-time",
                f"series {header.series_uid}: counts lost while the camera was busy are not corrected, so activities are too low, "
                "the more the earlier the scan. Required: [dead_time] in a calibration file, or DTIM in Corrected Image "
                "(0028,0051)",
            )
        )
    if files and not chosen:
        findings.append(_none(header, files, unfit, Severity.INFO))
    found: dict[str, Any] = {PARTS[part]: getattr(f, PARTS[part]) for part, f in chosen.items()}
    factor = chosen.get("camera factor")
    return Outcome(
        Calibration(
            **found,
            energy_window=factor.energy_window if factor else None,
            files=tuple((part, f.name, f.sha256) for part, f in chosen.items()),
            not_evaluated=tuple(missing),
        ),
        findings,
    )


def choose_window(header: SeriesHeader, calibration: Calibration) -> Outcome[int]:
    """Choose the volume of a series that the camera factor was measured for, by its energy window."""
    wanted = calibration.energy_window
    places = [
        n
        for n, key in enumerate(header.volumes)
        if len(header.volumes) == 1 or (wanted and _same(wanted, window_of(header, key.energy_window)))
    ]
    if len(places) == 1:
        return Outcome(places[0])
    text = (
        f"series {header.series_uid} holds {len(header.volumes)} volumes (energy windows, detectors or time slots), and "
        f"{len(places)} of them are of the window of the camera factor, {_described(wanted) if wanted else 'which names none'}. "
        "Required: one. To do: give [energy_window] in the calibration file, or export one reconstruction"
    )
    return Outcome(None, (Finding(Severity.UNDETERMINED, "quantify.no-energy-window", text),))


def calibration_sources(
    volume: Volume, calibration: Calibration, settings: QuantifySettings
) -> dict[str, float | None]:
    """Relative standard uncertainty that the calibration gives every activity of an image, by source. [1]

    Sources carry the name of the file they come from: scans that share it share its error.
    """
    factor, meter, dead = calibration.camera_factor, calibration.dose_calibrator, calibration.dead_time
    busy = busy_share(volume, calibration)
    # Less activity seen is less loss undone: an error of the factor is amplified by the correction.
    gain = 1 / (1 - busy)
    sources: dict[str, float | None] = {CAMERA_CALIBRATION: settings.camera_calibration_relative_sd}
    if factor is not None:
        sources = {_named(CAMERA_CALIBRATION, calibration, "camera factor"): gain * factor.sd / factor.value}
    if meter is not None:
        sources[_named(DOSE_CALIBRATOR, calibration)] = gain * meter.factor_sd / meter.factor
    if dead is not None:
        relative = hypot(dead.tau_sd_s / dead.tau_s, dead.wide_cps_per_mbq_sd / dead.wide_cps_per_mbq)
        sources[_named(DEAD_TIME, calibration)] = gain * busy * relative
    return sources | dict.fromkeys(calibration.not_evaluated)


def busy_share(activity: Volume, calibration: Calibration) -> float:
    """Product of true rate and dead time, with the rate that the activity in the image stands for. [1]"""
    dead = calibration.dead_time
    if dead is None:
        return 0.0
    return max(activity.integral(), 0.0) / BQ_PER_MBQ * dead.wide_cps_per_mbq * dead.tau_s


def _named(source: str, calibration: Calibration, part: str = "") -> str:
    return f"{source}: {calibration.file_of(part or source)}"


def _why_not(file: CalibrationFile, header: SeriesHeader) -> str:
    """Reason why a file does not speak of this scan; empty if it does."""
    nuclide = header.radiopharmaceutical.nuclide if header.radiopharmaceutical else None
    if file.nuclide != nuclide:
        return f"is of {file.nuclide}"
    for field in ("manufacturer", "model", "serial_number", "station", "collimator"):
        wanted, there = getattr(file.camera, field), getattr(header.camera, field)
        if wanted and " ".join(wanted.casefold().split()) != " ".join(there.casefold().split()):
            return f"is of {field.replace('_', ' ')} {wanted!r}, the scan of {there!r}"
    if file.energy_window and not any(_same(file.energy_window, w) for w in header.energy_windows):
        windows = ", ".join(_described(w) for w in header.energy_windows) or "no window it names"
        return f"is of window {_described(file.energy_window)}, the scan of {windows}"
    if header.dates_moved:
        return ""
    if header.acquired_at is None or seconds_between(file.measured_at, header.acquired_at) < 0:
        return (
            f"is of {file.measured_at:%Y-%m-%d}, after the scan"
            if header.acquired_at
            else "cannot be dated against the scan"
        )
    return ""


def _same(one: EnergyWindow, other: EnergyWindow | None) -> bool:
    if other is None or len(one.further_kev) != len(other.further_kev):
        return False
    ranges = zip(
        ((one.lower_kev, one.upper_kev), *one.further_kev),
        ((other.lower_kev, other.upper_kev), *other.further_kev),
        strict=True,
    )
    return all(abs(a - b) <= WINDOW_TOLERANCE_KEV for pair in ranges for a, b in zip(*pair, strict=True))


def window_of(header: SeriesHeader, index: int | None) -> EnergyWindow | None:
    """Window that a volume key names; None if it names none, or one the header does not describe."""
    return header.energy_windows[index] if index is not None and index < len(header.energy_windows) else None


def _described(window: EnergyWindow) -> str:
    return f"{window.lower_kev:g} to {window.upper_kev:g} keV"


def _findings(header: SeriesHeader, chosen: dict[str, CalibrationFile], settings: QuantifySettings) -> list[Finding]:
    findings = []
    for file in {f.name: f for f in chosen.values()}.values():
        parts = ", ".join(part for part, f in chosen.items() if f is file)
        age_days = seconds_between(file.measured_at, header.acquired_at) / DAY_S if header.acquired_at else 0.0
        days = f"{file.measured_at:%Y-%m-%d}, {age_days:.0f} days before the scan"
        if header.dates_moved:
            age_days, days = 0.0, f"{file.measured_at:%Y-%m-%d}, against a scan whose dates were moved"
        about = f"series {header.series_uid}: {parts} of {file.name}, {days}"
        evidence = FrozenMap(
            {"file": file.name, "sha256": file.sha256, "measured_at": file.measured_at.isoformat(), "parts": parts}
        )
        findings.append(Finding(Severity.INFO, "quantify.calibration-used", about, evidence))
        if header.dates_moved:
            text = (
                f"{about} (0028,0303), so whether it is of before the scan, and how old, cannot be told. To do: ask whoever keeps "
                "the key of the de-identification by how many days the dates are moved"
            )
            findings.append(Finding(Severity.WARNING, "quantify.calibration-undated", text))
        if age_days > settings.calibration_max_age_days:
            text = (
                f"{about}; older than {settings.calibration_max_age_days:g} days (quantify.calibration_max_age_days). To do: "
                "measure again, or show by constancy checks that it still holds"
            )
            findings.append(Finding(Severity.WARNING, "quantify.calibration-old", text))
    return findings


def _undated(header: SeriesHeader, part: str, candidates: Sequence[CalibrationFile]) -> Finding:
    return Finding(
        Severity.UNDETERMINED,
        "quantify.calibration-undated",
        f"series {header.series_uid}: the dates of the scan were moved (0028,0303), so which {part} of "
        f"{', '.join(sorted(f.name for f in candidates))} was measured last before it cannot be told. Required: one. To do: have "
        "whoever keeps the key of the de-identification choose, and leave the others out of the study",
    )


def _none(header: SeriesHeader, files: Sequence[CalibrationFile], unfit: dict[str, str], severity: Severity) -> Finding:
    c = header.camera
    about = (
        "; ".join(f"{f.name} {unfit[f.name] or 'gives no camera factor for this unit'}" for f in files)
        or "there is no calibration file"
    )
    text = (
        f"series {header.series_uid} of {c.manufacturer} {c.model}, serial {c.serial_number or 'unknown'}, station "
        f"{c.station or 'unknown'}, collimator {c.collimator or 'unknown'}, in {header.stored_unit or 'an unknown unit'}: no "
        f"calibration applies: {about}. Required for counts: a camera factor. To do: put a file in STUDY/calibration "
        "(docs/calibration.md)"
    )
    return Finding(severity, "quantify.no-calibration", text)
