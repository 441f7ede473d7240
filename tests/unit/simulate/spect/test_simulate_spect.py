"""Both modes of the simulated scan: the fast one against the closed form and against the full one; bytes; calibration files."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lutra.core.calibration import CameraFactor
from lutra.core.errors import UsageError
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.physics.recovery import sphere_recovery
from lutra.physics.recovery_curve import recovery_at
from lutra.pipeline.calibrations import read_calibration
from lutra.simulate.spect import (
    Acquisition,
    Character,
    calibration_toml,
    character_of,
    gamma_camera,
    gamma_cameras,
    measured,
    measured_factor,
    simulate_spect,
)
from lutra.simulate.spect.camera import gaussian_camera
from lutra.simulate.spect.character import measured_character
from lutra.simulate.spect.fast import grain
from lutra.simulate.spect.phantom import centred_grid, round_share

CAMERA = gamma_camera("symbia-melp")
SHORT = Acquisition(views=32, subsets=4, iterations=2)


@pytest.fixture(scope="module")
def patient(trunk: Any) -> tuple[Volume, Volume, dict[str, np.ndarray]]:
    """A trunk after four days: some 100 MBq in background, liver, kidneys and a lesion of 40 mm in the liver."""
    kidneys = trunk.ball((65, 55, -20), (25, 25, 50)) | trunk.ball((-65, 55, -20), (25, 25, 50))
    liver, lesion = trunk.ball((-75, -15, 60), (75, 70, 70)), trunk.ball((-60, -20, 70), (20, 20, 20))
    activity = 1500.0 * trunk.body
    for where, level in ((liver, 20_000), (kidneys, 110_000), (lesion, 300_000)):
        activity[where] = level
    near = trunk.ball((-60, -20, 70), (45, 45, 45))
    regions = {
        "background": trunk.body & (trunk.z < -90),
        "liver": trunk.ball((-75, -15, 60), (55, 50, 50)) & ~near,
        "kidneys": kidneys,
        "lesion": lesion,
    }
    return trunk.activity(activity), trunk.attenuation, regions


@pytest.mark.parametrize("fwhm_mm", [6.0, 10.0, 15.0])
@pytest.mark.parametrize("diameter_mm", [10, 13, 17, 22, 28, 37, 60])
def test_a_pure_gaussian_gives_the_closed_form(diameter_mm: float, fwhm_mm: float) -> None:
    """Fast mode with a Gaussian and no noise; sphere painted on voxels of a twentieth of its diameter: within 2 %."""
    spacing = diameter_mm / 20
    grid = centred_grid((diameter_mm + 3 * fwhm_mm,) * 3, spacing)
    share = round_share(grid, (0, 0, 0), diameter_mm / 2)
    true, mu = Volume(1e5 * share, grid, Unit.BQ_PER_ML), Volume(0 * share, grid, Unit.ONE)
    camera = gaussian_camera(fwhm_mm)
    how = Acquisition(noise=False, attenuation=False, dead_time=False)
    pure = Character(fwhm_mm, 0.0, fwhm_mm, CameraFactor(2 * camera.cps_per_mbq, 0.0, "cps/MBq", "sphere"))
    image = simulate_spect(true, mu, camera, how, 0, "fast", character=pure)
    recovery = float(np.sum(share * image.volume.values) / share.sum()) / 1e5
    assert recovery == pytest.approx(sphere_recovery(diameter_mm, fwhm_mm), rel=0.02)


def test_fast_mode_is_as_noisy_as_the_full_one(patient: tuple[Volume, Volume, dict[str, np.ndarray]]) -> None:
    """Voxel noise of eight full reconstructions in four regions of very different activity, within 20 %; means within 10 %.

    The constants of the fast mode were measured on other phantoms.
    """
    activity, attenuation, regions = patient
    how = Acquisition(views=60, s_per_view=120)
    factor = measured_factor(CAMERA, how, 8.0)
    full, fast = (
        np.array(
            [
                simulate_spect(activity, attenuation, CAMERA, how, seed, mode, factor=factor).volume.values  # type: ignore[arg-type]
                for seed in range(8)
            ]
        )
        for mode in ("full", "fast")
    )
    for name, region in regions.items():
        (mean, sd), (mean_fast, sd_fast) = (
            (x[:, region].mean(), np.sqrt(x.var(axis=0, ddof=1)[region].mean())) for x in (full, fast)
        )
        assert mean_fast == pytest.approx(mean, rel=0.1), name
        assert sd_fast / mean_fast == pytest.approx(sd / mean, rel=0.2), name


def test_both_modes_count_the_same_and_keep_the_activity(patient: tuple[Volume, Volume, dict[str, np.ndarray]]) -> None:
    """Total counts of the fast mode within 10 % of those counted; activity within 5 % of the truth in both."""
    activity, attenuation, _ = patient
    how = Acquisition(s_per_view=20)
    full, fast = (simulate_spect(activity, attenuation, CAMERA, how, 3, mode) for mode in ("full", "fast"))
    assert fast.total_counts == pytest.approx(full.total_counts, rel=0.1)
    assert fast.lost_share == pytest.approx(full.lost_share, rel=0.15)
    for image in (full, fast):
        assert image.volume.integral() == pytest.approx(activity.integral(), rel=0.05)
        assert image.volume.unit == Unit.BQ_PER_ML
        assert image.counts.unit == Unit.STORED


@pytest.mark.parametrize("mode", ["full", "fast"])
def test_the_same_seed_gives_the_same_bytes_with_one_thread_or_two(
    mode: Any, patient: tuple[Volume, Volume, dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    activity, attenuation, _ = patient
    images = []
    for cores in (1, 2):
        monkeypatch.setattr(os, "cpu_count", lambda n=cores: n)
        measured_factor.cache_clear()
        how = SHORT if mode == "full" else Acquisition()
        images.append(simulate_spect(activity, attenuation, CAMERA, how, 5, mode).volume.values.tobytes())
    other = simulate_spect(activity, attenuation, CAMERA, how, 6, mode).volume.values.tobytes()
    assert images[0] == images[1]
    assert images[0] != other


def test_grain_has_unit_variance_and_the_asked_correlation() -> None:
    """A Gaussian of standard deviation s leaves white noise correlated by exp(-d^2 / 4 s^2)."""
    fwhm, spacing = 20.0, 4.0
    noise = grain((64, 64, 64), fwhm, (spacing,) * 3, np.random.default_rng(0))
    assert noise.std() == pytest.approx(1, rel=0.03)
    sigma = fwhm / 2.3548
    for lag in (1, 2):
        found = float(np.mean(noise[lag:] * noise[:-lag]))
        assert found == pytest.approx(np.exp(-((lag * spacing) ** 2) / 4 / sigma**2), abs=0.04)


def test_tabulated_characters_are_measured_ones() -> None:
    """Measured anew for one camera and size; and every camera of the table has one at the sizes in use."""
    table, anew = (c(CAMERA, Acquisition(), 8.0) for c in (character_of, measured_character))
    assert [table.fwhm_mm, table.noise, table.grain_fwhm_mm, table.factor.value] == pytest.approx(
        [anew.fwhm_mm, anew.noise, anew.grain_fwhm_mm, anew.factor.value], rel=2e-3
    )
    for camera in gamma_cameras().values():
        measured = [character_of(camera, Acquisition(s_per_view=15.0), size) for size in (4.0, 4.42, 4.8, 6.4, 8.0)]
        assert all(m.factor.value == pytest.approx(2 * camera.cps_per_mbq, rel=0.12) for m in measured)


def test_a_site_calibrates_the_simulated_camera(tmp_path: Path) -> None:
    """The file is read by the pipeline; its factor carries the error of the site, its curve the spheres."""
    how = Acquisition(views=60)
    found = measured(CAMERA, how, 8.0)
    texts = [calibration_toml(found, CAMERA, date(2026, 1, 10), seed) for seed in (None, 1)]
    files = []
    for n, text in enumerate(texts):
        path = tmp_path / f"{n}.toml"
        path.write_text(text, encoding="utf-8")
        files.append(read_calibration(path, "Europe/Stockholm"))
    exact, site = (f.camera_factor for f in files)
    assert exact is not None
    assert site is not None
    assert exact.value == pytest.approx(measured_factor(CAMERA, how, 8.0).value, rel=1e-4)
    assert 0 < abs(site.value / exact.value - 1) < 4 * 0.016
    assert site.sd == pytest.approx(0.016 * site.value, rel=1e-3)
    curve, dead = files[0].recovery, files[0].dead_time
    assert curve is not None
    assert dead is not None
    assert recovery_at(curve, 1.15)[0] < recovery_at(curve, 26.5)[0]
    assert dead.tau_s == 0.55e-6
    assert files[0].camera.collimator == "MELP"


def test_unknown_mode(patient: tuple[Volume, Volume, dict[str, np.ndarray]]) -> None:
    activity, attenuation, _ = patient
    with pytest.raises(UsageError, match="full or fast"):
        simulate_spect(activity, attenuation, CAMERA, SHORT, 0, "quick")  # type: ignore[arg-type]
