"""The calibration file of a simulated camera, as a site would write it after imaging its phantoms (docs/calibration.md).

The same phantoms in both modes: a large sphere gives the factor, spheres in a warm cylinder the recoveries, a cylinder filled
evenly the rate of the whole spectrum. In the full mode they are projected and reconstructed; in the fast mode the camera is its
character, so that is what images them.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from attrs import asdict, evolve, frozen

from lutra.core.calibration import CameraFactor
from lutra.core.study import Camera
from lutra.simulate.spect.acquire import BQ_PER_MBQ, Acquisition, acquire
from lutra.simulate.spect.camera import PEAK, GammaCamera
from lutra.simulate.spect.character import BACKGROUND, sphere_recoveries
from lutra.simulate.spect.fast import SCATTER_OVER_PRIMARY, Character, blurred, lines_of
from lutra.simulate.spect.image import mean_decay, measured_factor
from lutra.simulate.spect.phantom import sphere_phantom

FACTOR_RELATIVE_SD = 0.016
"""What careful sites reach; 5 % is usual. [1]"""
DOSE_CALIBRATOR_SD = 0.001
"""The simulated site compares its dose calibrator with a standard, so its error is in the factor. [1]"""
DEAD_TIME_RELATIVE_SD = 0.1
WIDE_RELATIVE_SD = 0.2
"""A patient's attenuation and scatter differ from those of the cylinder. [1]"""


@frozen
class Calibrated:
    """What a site finds on its phantoms.

    Parameters
    ----------
    wide_cps_per_mbq
        Rate of the whole spectrum of one head per activity in a cylinder of water filled evenly. [cps/MBq]
    volumes_ml, recoveries
        Of the spheres. [mL], [1]
    """

    factor: CameraFactor
    wide_cps_per_mbq: float
    volumes_ml: tuple[float, ...]
    recoveries: tuple[float, ...]


def measured(camera: GammaCamera, how: Acquisition, spacing_mm: float) -> Calibrated:
    """Image the phantoms in full.

    The spheres lie in a warm background, as lesions do; their recoveries hold for hot objects of that contrast.

    Parameters
    ----------
    spacing_mm
        Edge of the voxels. [mm]
    """
    quiet = evolve(how, noise=False, dead_time=False)
    factor = measured_factor(camera, quiet, spacing_mm)
    phantom = sphere_phantom(spacing_mm, background=BACKGROUND)
    recoveries = sphere_recoveries(phantom, camera, quiet, factor)
    even = sphere_phantom(spacing_mm, background=1.0)
    few = evolve(quiet, views=16, subsets=1)
    views = acquire(even.activity, even.attenuation, camera, few, 0)
    peak_per_s = float(views.counts.sum(dtype=np.float64)) / few.views / few.s_per_view
    mbq = even.activity.integral() / BQ_PER_MBQ * mean_decay(few.duration_s(camera))
    return Calibrated(factor, camera.wide_over_peak * peak_per_s / mbq, phantom.volumes_ml, recoveries)


def expected(camera: GammaCamera, character: Character, spacing_mm: float) -> Calibrated:
    """Image the phantoms as the fast mode does."""
    phantom = sphere_phantom(spacing_mm, background=BACKGROUND)
    seen = blurred(phantom.activity.values, character.fwhm_mm, phantom.activity.grid.spacing_mm)
    even = sphere_phantom(spacing_mm, background=1.0)
    escaped = lines_of(even.activity, even.attenuation, attenuates=True).total_bq / even.activity.integral()
    wide = camera.cps_per_mbq * escaped * (1 + SCATTER_OVER_PRIMARY) * camera.wide_over_peak
    return Calibrated(character.factor, wide, phantom.volumes_ml, phantom.recoveries(seen))


def calibration_toml(
    found: Calibrated,
    camera: GammaCamera,
    measured_on: date,
    seed: int | None = None,
    relative_sd: float = FACTOR_RELATIVE_SD,
    named: Camera | None = None,
) -> str:
    """Write down what a site found.

    Parameters
    ----------
    seed
        Of the error the site makes of the activity in its phantoms: it is in the factor, and cancels in the recoveries. None: none
    relative_sd
        Standard uncertainty of that activity, and what the file states. [1]
    named
        The camera as its images name it; None: as its maker does.
    """
    error = 0.0 if seed is None else float(np.random.default_rng([seed, *b"camera factor"]).normal(0.0, relative_sd))
    factor = found.factor.value * (1 + error)
    geometry = found.factor.geometry
    tables: dict[str, dict[str, object]] = {
        "camera": {key: value for key, value in asdict(named or camera.identity).items() if value},
        "energy_window": {"lower_kev": PEAK.lower_kev, "upper_kev": PEAK.upper_kev},
        "camera_factor": {
            "cps_per_mbq": round(factor, 4),
            "cps_per_mbq_sd": round(factor * relative_sd, 4),
            "geometry": geometry,
        },
        "dose_calibrator": {"factor": 1.0, "factor_sd": DOSE_CALIBRATOR_SD},
    }
    if camera.tau_s:
        tables["dead_time"] = {
            "tau_s": camera.tau_s,
            "tau_sd_s": camera.tau_s * DEAD_TIME_RELATIVE_SD,
            "wide_cps_per_mbq": round(found.wide_cps_per_mbq, 3),
            "wide_cps_per_mbq_sd": round(found.wide_cps_per_mbq * WIDE_RELATIVE_SD, 3),
        }
    tables["recovery"] = {
        "volumes_ml": [round(v, 4) for v in found.volumes_ml],
        "recoveries": [round(r, 4) for r in found.recoveries],
        "geometry": geometry,
    }
    head = f'measured_on = {measured_on.isoformat()}\nnuclide = "Lu-177"\n'
    return head + "".join(f"\n[{name}]\n{_lines(table)}" for name, table in tables.items())


def _lines(table: dict[str, object]) -> str:
    return "".join(f"{key} = {_written(value)}\n" for key, value in table.items())


def _written(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
