r"""Photons that scattered in the body and are still counted, and those that went through the collimator's lead.

Of the photons a path takes out of the beam, the share w is deflected by so little that its energy stays in the peak window. To a
parallel-hole collimator that sees a broad body, as many come into its lines of sight as leave them. So scatter is what attenuation
would spare if it took only the others, spread over the detector:

.. math:: S = K_L * \bigl(A_{\mu(1-w)} f - A_\mu f\bigr), \qquad K_L(r) = \frac{e^{-r/L}}{2\pi L^2}

Klein and Nishina give 0.265 of the collisions at 208 keV for a window of 20 % and a resolution of 9.5 % at 140 keV. Paths of
scattered photons are longer and softer: w = 0.235. A Monte Carlo calculation (Klein-Nishina, forced detection, up to seven
collisions) in an elliptical cylinder of water, 340 x 240 x 300 mm, gave scatter over primary of 0.230 for uniform activity, 0.555,
0.369, 0.326 and 0.156 for spheres in the centre, in the liver, in a kidney and under the skin, with a mean distance from the source
of 26 to 36 mm on the detector. The model agrees within 7 %, its mean distance is 30 mm.

Valid for the 208 keV peak and soft tissue in a trunk; for 113 keV or bone-rich bodies it is a guess.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy import fft
from scipy.ndimage import gaussian_filter

from lutra.core.frozen import float32
from lutra.core.study import EnergyWindow
from lutra.physics.energy_windows import scatter_from_windows
from lutra.simulate.spect.camera import LOWER, PEAK, UPPER, GammaCamera

Image = npt.NDArray[np.float32]

IN_WINDOW = 0.235
SCATTER_LENGTH_MM = 15.0
LOWER_SHARE = 0.95
"""Part of the estimate that the lower window gives; what lies above the peak is spill-over of the peak and 250 keV."""
WINDOW_SMOOTHING_VOXELS = 2.0
"""Side windows are narrow and noisy; they are smoothed before use. [voxels, standard deviation]"""


@frozen(eq=False)
class SideWindows:
    """Counts in the windows below and above the peak. (views, n, nz)"""

    lower: Image = field(converter=float32)
    upper: Image = field(converter=float32)

    def scatter(self) -> Image:
        """Scatter in the peak by the trapezium between the windows, from smoothed counts. (views, n, nz)"""
        sigma = (0.0, WINDOW_SMOOTHING_VOXELS, WINDOW_SMOOTHING_VOXELS)
        lower, upper = (gaussian_filter(counts, sigma, mode="constant") for counts in (self.lower, self.upper))
        found = scatter_from_windows(0.0, _kev(PEAK), lower, _kev(LOWER), upper, _kev(UPPER))
        return np.asarray(found.scatter, np.float32)


def side_windows(scatter: Image, camera: GammaCamera) -> SideWindows:
    """Expect counts beside the peak, such that their trapezium gives `tew_over_scatter` times the scatter in the peak."""
    per_kev = scatter * (camera.tew_over_scatter * 2 / _kev(PEAK))
    return SideWindows(LOWER_SHARE * _kev(LOWER) * per_kev, (1 - LOWER_SHARE) * _kev(UPPER) * per_kev)


def spread_exponentially(views: Image, length_mm: float, spacing_mm: tuple[float, float]) -> Image:
    """Convolve views with :math:`e^{-r/L}/(2 pi L^2)`; what leaves the detector is lost. (views, n, nz)"""
    n, nz = views.shape[1:]
    reach = [int(np.ceil(8 * length_mm / s)) for s in spacing_mm]
    size = [fft.next_fast_len(m + r, real=True) for m, r in zip((n, nz), reach, strict=True)]
    frequencies = np.meshgrid(fft.fftfreq(size[0], spacing_mm[0]), fft.rfftfreq(size[1], spacing_mm[1]), indexing="ij")
    waves = (2 * np.pi * length_mm) ** 2 * (frequencies[0] ** 2 + frequencies[1] ** 2)
    response = np.asarray((1 + waves) ** -1.5, np.float32)
    spread = fft.irfft2(fft.rfft2(views, size) * response, size)[:, :n, :nz]
    return np.asarray(np.maximum(spread, 0), np.float32)


def _kev(window: EnergyWindow) -> float:
    return window.upper_kev - window.lower_kev
