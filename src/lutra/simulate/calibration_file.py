"""The calibration file of a SPECT in counts, as its site would have written it before the study.

In the fast mode the camera is its character, so its phantoms are imaged with that: a large sphere gives the factor, spheres in a
warm cylinder the recoveries. In the full mode they are projected and reconstructed.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np

from lutra.core.study import Camera
from lutra.simulate.images import ACQUISITION, Site, character
from lutra.simulate.spect import calibration_toml
from lutra.simulate.spect.camera import PEAK
from lutra.simulate.spect.character import BACKGROUND
from lutra.simulate.spect.fast import SCATTER_OVER_PRIMARY, blurred, lines_of
from lutra.simulate.spect.phantom import sphere_phantom

RELATIVE_SD = 0.016
"""Of a careful site's camera factor. [1]"""
DOSE_CALIBRATOR_SD = 0.001
"""The simulated site compares its dose calibrator with a standard, so its error is in the factor. [1]"""
DEAD_TIME_RELATIVE_SD, WIDE_RELATIVE_SD = 0.1, 0.2
"""Of the dead time, and of the rate per activity, for a patient scatters otherwise than a cylinder. [1]"""


def write_calibration(
    path: Path,
    site: Site,
    named: Camera,
    spacing_mm: float,
    measured_on: date,
    seed: int,
    relative_sd: float = RELATIVE_SD,
) -> Path:
    """Write the calibration file of one camera.

    Parameters
    ----------
    named
        The camera as its images name it.
    seed
        Of the error of the factor.
    relative_sd
        Its standard uncertainty, as the file states it. [1]
    """
    if site.mode == "full":
        text = calibration_toml(site.gamma_camera, ACQUISITION, spacing_mm, measured_on, seed, relative_sd)
        head, _, rest = text.partition("[camera]\n")
        text = f"{head}[camera]\n{_named(named)}\n[{rest.partition('[')[2]}"
    else:
        text = _fast(site, named, spacing_mm, measured_on, seed, relative_sd)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _fast(site: Site, named: Camera, spacing_mm: float, measured_on: date, seed: int, relative_sd: float) -> str:
    known, camera = character(site.camera, spacing_mm), site.gamma_camera
    phantom = sphere_phantom(spacing_mm, background=BACKGROUND)
    seen = blurred(phantom.activity.values, known.fwhm_mm, phantom.activity.grid.spacing_mm)
    even = sphere_phantom(spacing_mm, background=1.0)
    escaped = lines_of(even.activity, even.attenuation, attenuates=True).total_bq / even.activity.integral()
    wide = camera.cps_per_mbq * escaped * (1 + SCATTER_OVER_PRIMARY) * camera.wide_over_peak
    error = float(np.random.default_rng([seed, *b"camera factor"]).normal(0.0, relative_sd))
    factor = known.factor.value * (1 + error)
    volumes = ", ".join(f"{v:.4f}" for v in phantom.volumes_ml)
    recoveries = ", ".join(f"{r:.4f}" for r in phantom.recoveries(seen))
    return f"""measured_on = {measured_on.isoformat()}
nuclide = "Lu-177"

[camera]
{_named(named)}
[energy_window]
lower_kev = {PEAK.lower_kev}
upper_kev = {PEAK.upper_kev}

[camera_factor]
cps_per_mbq = {factor:.4f}
cps_per_mbq_sd = {factor * relative_sd:.4f}
geometry = "{known.factor.geometry}"

[dose_calibrator]
factor = 1.0
factor_sd = {DOSE_CALIBRATOR_SD}

[dead_time]
tau_s = {camera.tau_s}
tau_sd_s = {camera.tau_s * DEAD_TIME_RELATIVE_SD:.3g}
wide_cps_per_mbq = {wide:.3f}
wide_cps_per_mbq_sd = {wide * WIDE_RELATIVE_SD:.3f}

[recovery]
volumes_ml = [{volumes}]
recoveries = [{recoveries}]
geometry = "{known.factor.geometry}"
"""


def _named(camera: Camera) -> str:
    names = ("manufacturer", "model", "serial_number", "collimator")
    return "".join(f'{name} = "{value}"\n' for name in names if (value := getattr(camera, name)))
