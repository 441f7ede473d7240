"""Diffusion images against the signal equation, Rician statistics, and what the program itself makes of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from lutra.core.errors import UsageError
from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, write_diffusion_series
from lutra.ingest import IngestSettings, read_header, read_volumes
from lutra.quantify import QuantifySettings
from lutra.quantify.dwi import fit_diffusion
from lutra.quantify.rician import noise_sd_from_air
from lutra.simulate.dwi import LIVER_SIGNAL, TISSUES, MrProtocol, sample_protocol, simulate_dwi, volume_keys

GRID = Grid((44, 40, 16), np.diag([4.0, 4.0, 6.0, 1.0]), "1.2.826.0.1.3680043.8.498.2")
BODY, LESION = (slice(8, 36), slice(8, 32), slice(2, 14)), (slice(16, 26), slice(14, 24), slice(5, 11))
INNER_BODY, INNER_LESION = (slice(10, 14), slice(10, 30), slice(4, 12)), (slice(18, 24), slice(16, 22), slice(6, 10))
PURE = MrProtocol((50.0, 400.0, 800.0), 1e7)
Maps = tuple[Volume, np.ndarray, np.ndarray]


def phantom(lesion_d: float = 1.0e-3, perfusion: float | None = None) -> Maps:
    """A liver with a block of lesion in it, air around."""
    d, f, signal = np.zeros(GRID.shape), np.zeros(GRID.shape), np.zeros(GRID.shape)
    for where, tissue, own in (
        (BODY, TISSUES["liver"], TISSUES["liver"].d_mm2_per_s),
        (LESION, TISSUES["lesion"], lesion_d),
    ):
        d[where], signal[where] = own, tissue.signal
        f[where] = tissue.perfusion if perfusion is None else perfusion
    return Volume(d, GRID, Unit.MM2_PER_S), f, signal


def adc_of(
    volumes: tuple[Volume, ...], b: tuple[float, ...], header: SeriesHeader, method: str = "log-linear"
) -> dict[str, np.ndarray]:
    settings = QuantifySettings(adc_method=method)
    fitted = fit_diffusion(evolve(header, volumes=volume_keys(b)), volumes, settings).value
    assert fitted is not None
    return {name: np.asarray(volume.values, float) for name, volume in fitted.maps.items()}


def test_signal_without_noise_by_hand() -> None:
    """Liver at b = 400: 400 [.8 e^(-.424) + .2 e^(-16)] = 209.4."""
    (volume,) = simulate_dwi(*phantom(), MrProtocol((400.0,), 1e7), seed=1)
    assert volume.unit is Unit.STORED
    assert volume.values[INNER_BODY].mean() == pytest.approx(400 * 0.8 * np.exp(-0.4 * 1.06), abs=0.6)  # whole numbers
    assert (volume.values == np.rint(volume.values)).all()


def test_without_perfusion_the_adc_is_the_diffusion_coefficient(plain_header: Callable[..., SeriesHeader]) -> None:
    volumes = simulate_dwi(*phantom(1.0e-3, perfusion=0.0), evolve(PURE, liver_signal=20000.0), seed=1)
    found = adc_of(volumes, PURE.b_s_per_mm2, plain_header(GRID))["adc"]
    assert found[INNER_LESION] == pytest.approx(1.0e-3, rel=1e-3)


def test_air_has_the_statistics_of_one_channel() -> None:
    """Rayleigh: mean sigma sqrt(pi/2), and the noise estimated from the corners is that of the protocol."""
    protocol = MrProtocol((800.0,), 30.0)
    (volume,) = simulate_dwi(*phantom(), protocol, seed=4)
    sigma = LIVER_SIGNAL / 30
    air = volume.values[:5].astype(float)
    assert air.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.02)
    assert noise_sd_from_air(volume.values) == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize(("snr", "bias"), [(45.0, 0.01), (30.0, 0.01), (15.0, 0.03)])
def test_the_mean_adc_of_a_lesion_is_recovered(
    snr: float, bias: float, plain_header: Callable[..., SeriesHeader]
) -> None:
    """From b 400 and 800 perfusion is gone: the mean over 144 voxels of a lesion of 1.0e-3 mm2/s is within 1 % at usual noise.

    One voxel has a spread of about sqrt(1/S1^2 + 1/S2^2) / SNR / 400; the mean of 144 is 12 times better: 0.5 % at an SNR of 30.
    """
    found = []
    for seed in range(6):
        protocol = MrProtocol((50.0, 400.0, 800.0), snr)
        volumes = simulate_dwi(*phantom(), protocol, seed)
        found.append(adc_of(volumes, protocol.b_s_per_mm2, plain_header(GRID))["adc"][INNER_LESION].mean())
    assert np.mean(found) == pytest.approx(1.0e-3, rel=bias)


def test_all_b_values_together_include_perfusion(plain_header: Callable[..., SeriesHeader]) -> None:
    """By the closed form of two exponentials the liver comes out 6 % higher over b 50-800 than over 400-800."""
    volumes = simulate_dwi(*phantom(), evolve(PURE, liver_signal=20000.0), seed=1)
    found = adc_of(volumes, PURE.b_s_per_mm2, plain_header(GRID))
    ratio = found["adc_all_b"][INNER_BODY].mean() / found["adc"][INNER_BODY].mean()
    assert ratio == pytest.approx(1.12 / 1.06, rel=0.01)


def test_strong_diffusion_near_the_noise_floor_reads_low_but_for_the_rician_fit(
    plain_header: Callable[..., SeriesHeader],
) -> None:
    """D = 2.6e-3 mm2/s at b = 800 leaves an eighth of the signal: with an SNR of 8 it lies in the noise."""
    protocol = MrProtocol((50.0, 400.0, 800.0), 8.0)
    maps = phantom(2.6e-3, perfusion=0.0)
    plain, rician = [], []
    for seed in range(4):
        volumes = simulate_dwi(*maps, protocol, seed)
        plain.append(adc_of(volumes, protocol.b_s_per_mm2, plain_header(GRID))["adc_all_b"][INNER_LESION].mean())
        rician.append(
            adc_of(volumes, protocol.b_s_per_mm2, plain_header(GRID), "rician")["adc_all_b"][INNER_LESION].mean()
        )
    assert np.mean(plain) < 2.6e-3 * 0.99
    assert abs(np.mean(rician) / 2.6e-3 - 1) < abs(np.mean(plain) / 2.6e-3 - 1)


def test_the_image_is_shifted_along_the_phase_encoding() -> None:
    still, moved = (
        simulate_dwi(*phantom(), evolve(PURE, shift_mm=mm), seed=1)[0].values.astype(float) for mm in (0, 5.0)
    )
    y = GRID.to_lps_mm(np.stack(np.indices(GRID.shape), axis=-1))[..., 1]
    centre = [float((v * y).sum() / v.sum()) for v in (still, moved)]
    assert centre[1] - centre[0] == pytest.approx(5.0, abs=0.05)


def test_protocols_vary_as_stated() -> None:
    drawn = [sample_protocol(seed) for seed in range(400)]
    assert np.mean([p.liver_snr for p in drawn]) == pytest.approx(30, abs=3 * 8 / 20)
    assert {np.sign(p.shift_mm) for p in drawn} == {-1, 1}
    assert 2 <= min(abs(p.shift_mm) for p in drawn) <= max(abs(p.shift_mm) for p in drawn) <= 6
    with pytest.raises(UsageError, match="7 T"):
        sample_protocol(1, 7.0)


def test_written_and_read_again(tmp_path: Path, plain_header: Callable[..., SeriesHeader]) -> None:
    b = (50.0, 400.0, 800.0)
    volumes = simulate_dwi(*phantom(), MrProtocol(b, 30.0), seed=2)
    at = datetime(2026, 3, 3, 10, tzinfo=UTC)
    header = evolve(plain_header(GRID, "MR", 3 * GRID.shape[2]), volumes=volume_keys(b), acquired_at=at)
    paths = write_diffusion_series(tmp_path, header, volumes, PatientIdentity("SIM-1", "A^B", "F", 66, 1.68), at)
    read = read_header(list(paths), IngestSettings()).value
    assert read is not None
    assert [key.b_value_s_per_mm2 for key in read.volumes] == list(b)
    back = read_volumes(list(paths), read, IngestSettings()).value
    assert back is not None
    for one, other in zip(back, volumes, strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_another_unit_is_refused() -> None:
    d, f, s = phantom()
    with pytest.raises(UsageError, match="Bq"):
        simulate_dwi(Volume(d.values, GRID, Unit.BQ_PER_ML), f, s, PURE, 1)
