"""The calibration file of a simulated camera, as a site would write it after imaging its phantoms (docs/calibration.md)."""

from __future__ import annotations

from datetime import date

import numpy as np
from attrs import asdict, evolve

from lutra.simulate.spect.acquire import BQ_PER_MBQ, Acquisition, acquire
from lutra.simulate.spect.camera import PEAK, GammaCamera
from lutra.simulate.spect.character import BACKGROUND, sphere_recoveries
from lutra.simulate.spect.image import mean_decay, measured_factor
from lutra.simulate.spect.phantom import sphere_phantom

FACTOR_RELATIVE_SD = 0.016
"""What careful sites reach; 5 % is usual. [1]"""
DEAD_TIME_RELATIVE_SD = 0.1
WIDE_RELATIVE_SD = 0.2
"""A patient's attenuation and scatter differ from those of the cylinder. [1]"""


def calibration_toml(
    camera: GammaCamera,
    how: Acquisition,
    spacing_mm: float,
    measured_on: date,
    seed: int | None = None,
    relative_sd: float = FACTOR_RELATIVE_SD,
) -> str:
    """Image a large sphere and the sphere phantom with this camera and protocol, and write down what was found.

    The spheres lie in a warm background, as lesions do; their recoveries hold for hot objects of that contrast.

    Parameters
    ----------
    spacing_mm
        Edge of the voxels. [mm]
    seed
        Of the error the site makes of the activity in its phantoms: it is in the factor, and cancels in the recoveries. None: none
    relative_sd
        Standard uncertainty of that activity, and what the file states. [1]
    """
    quiet = evolve(how, noise=False, dead_time=False)
    factor = measured_factor(camera, quiet, spacing_mm)
    phantom = sphere_phantom(spacing_mm, background=BACKGROUND)
    recoveries = sphere_recoveries(phantom, camera, quiet, factor)
    error = (
        0.0 if seed is None else float(np.random.default_rng([seed, *b"spect calibration"]).normal(0.0, relative_sd))
    )
    found = factor.value * (1 + error)
    tables: dict[str, dict[str, object]] = {
        "camera": {key: value for key, value in asdict(camera.identity).items() if value},
        "energy_window": {"lower_kev": PEAK.lower_kev, "upper_kev": PEAK.upper_kev},
        "camera_factor": {
            "cps_per_mbq": round(found, 4),
            "cps_per_mbq_sd": round(found * relative_sd, 4),
            "geometry": factor.geometry,
        },
    }
    if camera.tau_s and how.dead_time:
        wide = _wide_cps_per_mbq(camera, quiet, spacing_mm)
        tables["dead_time"] = {
            "tau_s": camera.tau_s,
            "tau_sd_s": camera.tau_s * DEAD_TIME_RELATIVE_SD,
            "wide_cps_per_mbq": round(wide, 2),
            "wide_cps_per_mbq_sd": round(wide * WIDE_RELATIVE_SD, 2),
        }
    tables["recovery"] = {
        "volumes_ml": [round(v, 4) for v in phantom.volumes_ml],
        "recoveries": [round(r, 4) for r in recoveries],
        "geometry": factor.geometry,
    }
    head = f'measured_on = {measured_on.isoformat()}\nnuclide = "Lu-177"\n'
    return head + "".join(f"\n[{name}]\n{_lines(table)}" for name, table in tables.items())


def _wide_cps_per_mbq(camera: GammaCamera, quiet: Acquisition, spacing_mm: float) -> float:
    """Rate of the whole spectrum of one head per activity in a cylinder of water filled evenly. [cps/MBq]"""
    phantom = sphere_phantom(spacing_mm, background=1.0)
    few = evolve(quiet, views=16, subsets=1)
    views = acquire(phantom.activity, phantom.attenuation, camera, few, 0)
    peak_per_s = float(views.counts.sum(dtype=np.float64)) / few.views / few.s_per_view
    mbq = phantom.activity.integral() / BQ_PER_MBQ * mean_decay(few.duration_s(camera))
    return camera.wide_over_peak * peak_per_s / mbq


def _lines(table: dict[str, object]) -> str:
    return "".join(f"{key} = {_written(value)}\n" for key, value in table.items())


def _written(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
