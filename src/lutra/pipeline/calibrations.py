"""The calibrations of a study: one dated TOML file per measurement in STUDY/calibration, described in docs/calibration.md.

What a site has measured may stand there as result, or as the points it was measured with: then the fit is made here.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import attrs

from lutra.core.calibration import CalibrationFile, CameraFactor, DeadTime, DoseCalibrator, RecoveryCurve
from lutra.core.errors import LutraError, ProtocolError
from lutra.core.study import Camera, DecayCorrection, EnergyWindow
from lutra.core.time import assume_zone
from lutra.physics.dead_time import fit_dead_time
from lutra.physics.recovery_curve import fit_best_recovery, fit_recovery
from lutra.pipeline.protocol import structured

FOLDER = "calibration"
FACTOR_KEYS = {"cps_per_mbq": "cps/MBq", "image_over_true": "1"}
"""Names of a camera factor, which say its unit: one for images in counts, one for images in Bq/mL."""
TABLES: dict[str, type] = {
    "camera": Camera,
    "energy_window": EnergyWindow,
    "camera_factor": CameraFactor,
    "dose_calibrator": DoseCalibrator,
    "dead_time": DeadTime,
    "recovery": RecoveryCurve,
}
MEASURED = ("camera_factor", "dose_calibrator", "dead_time", "recovery")
SINGLE = ("measured_on", "nuclide", "decay_correction")


def read_calibrations(folder: Path, zone: str) -> tuple[CalibrationFile, ...]:
    """Read every calibration file of a folder, in the order of their names; none if there is no folder.

    Parameters
    ----------
    zone
        IANA zone of dates and times that name none; a date alone is the beginning of that day.

    Raises
    ------
    ProtocolError
        Naming file, setting, what is required and what to do.
    """
    return tuple(read_calibration(path, zone) for path in sorted(folder.glob("*.toml")))


def read_calibration(path: Path, zone: str) -> CalibrationFile:
    """Read one calibration file; see :func:`read_calibrations`."""
    content, where = path.read_bytes(), str(path)
    try:
        given = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"not valid TOML: {error}", where=where) from error
    for key in given:
        if key not in (*SINGLE, *TABLES) or (key in TABLES) is not isinstance(given[key], dict):
            raise ProtocolError(
                f"unknown setting {key}", where=where, required=f"{', '.join(SINGLE)} and tables {', '.join(TABLES)}"
            )
    camera = given.get("camera", {})
    if not any(camera.get(name) for name in ("manufacturer", "model", "serial_number", "station")):
        raise ProtocolError(
            "does not say which camera",
            where=f"{where} [camera]",
            required="manufacturer, model, serial_number or station, as the headers write it (lutra inspect --json)",
        )
    if not any(name in given for name in MEASURED):
        raise ProtocolError("nothing is measured", where=where, required=f"one of: {', '.join(MEASURED)}")
    nuclide = given.get("nuclide")
    if not isinstance(nuclide, str) or not nuclide:
        raise ProtocolError(f"nuclide is {nuclide!r}", where=where, required="a name such as 'Lu-177'")
    correction = given.get("decay_correction")
    if correction is not None and correction not in set(DecayCorrection):
        raise ProtocolError(
            f"decay_correction is {correction!r}", where=where, required=f"one of: {', '.join(DecayCorrection)}"
        )
    values: dict[str, Any] = {
        name: structured(_prepared(name, given[name], where), kind, where, f"{name}.")
        for name, kind in TABLES.items()
        if name in given
    }
    return CalibrationFile(
        name=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        measured_at=_moment(given.get("measured_on"), zone, where),
        nuclide=nuclide,
        decay_correction=None if correction is None else DecayCorrection(correction),
        **values,
    )


def _moment(given: Any, zone: str, where: str) -> datetime:
    if isinstance(given, datetime):
        return assume_zone(given, zone)
    if isinstance(given, date):
        return assume_zone(datetime.combine(given, time()), zone)
    raise ProtocolError(f"measured_on is {given!r}", where=where, required="a date such as 2026-01-10, without quotes")


def _prepared(name: str, table: dict[str, Any], where: str) -> dict[str, Any]:
    """Bring a table into the form of its value: name the unit, fit the points."""
    try:
        return PREPARE[name](dict(table)) if name in PREPARE else table
    except (TypeError, ValueError, KeyError) as error:
        raise ProtocolError(
            f"cannot be used: {error}", where=f"{where} [{name}]", do="see docs/calibration.md"
        ) from error
    except LutraError as error:
        raise ProtocolError(error.found, where=f"{where} [{name}]", required=error.required, do=error.do) from error


def _window(table: dict[str, Any]) -> dict[str, Any]:
    return {"name": "", **table}


def _camera_factor(table: dict[str, Any]) -> dict[str, Any]:
    names = [key for key in FACTOR_KEYS if key in table]
    if len(names) != 1:
        raise ValueError(f"one of {' and '.join(FACTOR_KEYS)} is required")
    value, sd = table.pop(names[0]), table.pop(f"{names[0]}_sd", None)
    return {"value": value, "sd": sd, "unit": FACTOR_KEYS[names[0]], **table}


def _dead_time(table: dict[str, Any]) -> dict[str, Any]:
    if "observed_per_s" not in table:
        return table
    activity, observed, counted = (table.pop(k) for k in ("activity_mbq", "observed_per_s", "counting_time_s"))
    fit = fit_dead_time(activity, observed, counted)
    return {
        "tau_s": fit.tau_s,
        "tau_sd_s": fit.tau_sd_s,
        "wide_cps_per_mbq": fit.rate_per_activity,
        "wide_cps_per_mbq_sd": fit.rate_per_activity_sd,
        **table,
    }


def _recovery(table: dict[str, Any]) -> dict[str, Any]:
    if "recoveries" not in table:
        return table
    points = table.pop("volumes_ml"), table.pop("recoveries")
    geometry, form, sd = table.pop("geometry"), table.pop("form", None), table.pop("recoveries_sd", None)
    fit = fit_recovery(*points, form, geometry, sd) if form else fit_best_recovery(*points, geometry, sd)[0]
    return {**attrs.asdict(fit.curve), **table}


PREPARE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "energy_window": _window,
    "camera_factor": _camera_factor,
    "dead_time": _dead_time,
    "recovery": _recovery,
}
