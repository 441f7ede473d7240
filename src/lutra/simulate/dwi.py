r"""Diffusion-weighted MR in image space.

.. math:: S(b) = S_0 \bigl[(1 - f)\, e^{-b D} + f\, e^{-b D^*}\bigr]

blurred by the acquisition, shifted along the phase encoding as echo-planar images are, and with the noise of a magnitude image:
:math:`|S + n_1 + i\,n_2|`. The signal at b = 0 is relative to that of the liver, T2 decay included.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from scipy import fft

from lutra.core.errors import UsageError
from lutra.core.frozen import FloatArray
from lutra.core.study import VolumeKey
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.simulate.point_spread import Image, blurred

PSEUDO_DIFFUSION_MM2_PER_S = 40e-3
"""Of the blood that perfuses liver and lesions; at b = 100 s/mm2 a fiftieth of its signal is left [M]."""
LIVER_SIGNAL = 400.0
"""Of the liver at b = 0 in the stored image, where scanners have some hundreds. [signal]"""
LIVER_SNR = {1.5: (30.0, 8.0), 3.0: (45.0, 12.0)}
"""Signal over noise of one voxel of the liver at b = 0, averages included: mean and spread over patients, by field in T [M]."""
SHIFT_MM = (2.0, 6.0)
"""By how much echo-planar images lie beside the truth along the phase encoding [M]."""


@frozen
class DiffusionTissue:
    """A tissue in diffusion-weighted MR: D [mm2/s], perfusion fraction [1], and signal at b = 0 relative to the liver [1]."""

    d_mm2_per_s: float
    perfusion: float
    signal: float


TISSUES = {
    "liver": DiffusionTissue(1.06e-3, 0.20, 1.0),
    "spleen": DiffusionTissue(0.80e-3, 0.08, 1.8),
    "kidneys": DiffusionTissue(1.75e-3, 0.18, 1.9),
    "pancreas": DiffusionTissue(1.35e-3, 0.20, 1.2),
    "muscle": DiffusionTissue(1.35e-3, 0.05, 0.8),
    "marrow": DiffusionTissue(0.45e-3, 0.05, 0.5),
    "fluid": DiffusionTissue(2.95e-3, 0.0, 4.0),
    "bowel": DiffusionTissue(1.60e-3, 0.10, 1.2),
    "fat": DiffusionTissue(0.20e-3, 0.0, 0.12),
    "rest": DiffusionTissue(1.20e-3, 0.05, 0.6),
    "lung": DiffusionTissue(0.0, 0.0, 0.0),
    "lesion": DiffusionTissue(1.27e-3, 0.15, 1.8),
    "necrosis": DiffusionTissue(2.30e-3, 0.02, 2.6),
}
"""D and perfusion so that fits over b 0-800 and 50-800, on average, give the median ADC of a review of 115 studies in liver 1.28,
spleen .85, kidney 1.94 and pancreas 1.60 (1e-3 mm2/s) within 3 %. Perfusion .10-.25 in liver and lesions, signals from usual T2 at
an echo time of 60 ms [M]. Fat is suppressed; air in lung and gas has no signal. D of a lesion is its own."""


@frozen
class MrProtocol:
    """One diffusion protocol.

    Parameters
    ----------
    b_s_per_mm2
        B-values, from the lowest. [s/mm2]
    liver_snr
        Signal over noise in the liver at b = 0, averages included. [1]
    fwhm_mm
        Resolution along the read-out, the phase encoding and the slices; truncation and echo train widen the voxel. [mm]
    shift_mm
        How far the image lies towards higher j than the truth: the phase encoding. [mm]
    """

    b_s_per_mm2: tuple[float, ...] = (50.0, 400.0, 800.0)
    liver_snr: float = 30.0
    fwhm_mm: tuple[float, float, float] = (3.0, 3.5, 5.0)
    shift_mm: float = 0.0
    liver_signal: float = LIVER_SIGNAL


def sample_protocol(
    seed: int, field_t: float = 1.5, b_s_per_mm2: tuple[float, ...] = (50.0, 400.0, 800.0)
) -> MrProtocol:
    """Draw signal-to-noise ratio and shift of one examination.

    Parameters
    ----------
    field_t
        1.5 or 3. [T]
    """
    if field_t not in LIVER_SNR:
        raise UsageError(f"a field of {field_t:g} T", required="1.5 or 3 T")
    mean, sd = LIVER_SNR[field_t]
    rng = np.random.default_rng([seed, *b"mr protocol"])
    snr = max(float(rng.normal(mean, sd)), mean / 3)
    return MrProtocol(b_s_per_mm2, snr, shift_mm=float(rng.uniform(*SHIFT_MM)) * (1 if rng.random() < 0.5 else -1))


def simulate_dwi(
    d: Volume, perfusion: FloatArray, signal: FloatArray, protocol: MrProtocol, seed: int
) -> tuple[Volume, ...]:
    """Make the magnitude images of all b-values.

    Parameters
    ----------
    d
        Diffusion coefficient without perfusion. [mm2/s]
    perfusion
        Share of the signal from blood that flows. [1] (i, j, k)
    signal
        At b = 0, relative to the liver; 0 in air. [1] (i, j, k)
    seed
        Of this examination.

    Returns
    -------
    tuple of Volume
        Whole numbers, as scanners store them, one volume per b-value, in the order of the protocol.
    """
    if d.unit is not Unit.MM2_PER_S:
        raise UsageError(f"diffusion in {d.unit}", required=Unit.MM2_PER_S.value)
    noise_sd = protocol.liver_signal / protocol.liver_snr
    volumes = []
    for b in protocol.b_s_per_mm2:
        pure = (
            protocol.liver_signal
            * signal
            * ((1 - perfusion) * np.exp(-b * d.values) + perfusion * np.exp(-b * PSEUDO_DIFFUSION_MM2_PER_S))
        )
        seen = _shifted(np.maximum(blurred(pure, protocol.fwhm_mm, d.grid.spacing_mm), 0), protocol, d)
        rng = np.random.default_rng([seed, *f"mr noise b {b:g}".encode()])
        real, imaginary = rng.standard_normal((2, *d.grid.shape), np.float32) * np.float32(noise_sd)
        magnitude = np.hypot(seen + real, imaginary)
        volumes.append(Volume(np.rint(magnitude), d.grid, Unit.STORED, d.acquired_at))
    return tuple(volumes)


def volume_keys(b_s_per_mm2: Sequence[float]) -> tuple[VolumeKey, ...]:
    """Keys of trace images, for the header of a series."""
    return tuple(VolumeKey(b) for b in b_s_per_mm2)


def _shifted(image: Image, protocol: MrProtocol, like: Volume) -> Image:
    """Move the image along j by its Fourier phase; what leaves at one edge comes in at the other, as in an echo-planar image."""
    if not protocol.shift_mm:
        return image
    cycles = fft.rfftfreq(image.shape[1], like.grid.spacing_mm[1]) * protocol.shift_mm
    phase = np.exp(-2j * np.pi * cycles).astype(np.complex64)
    moved = fft.irfft(fft.rfft(image, axis=1) * phase[None, :, None], image.shape[1], axis=1)
    return np.maximum(np.asarray(moved, np.float32), 0)
