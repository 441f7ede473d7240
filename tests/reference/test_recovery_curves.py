"""How far the two published forms of a recovery curve are from the exact recovery of spheres in a Gaussian blur.

The spheres are those of the published table of the closed form. Neither form is exact.
"""

from __future__ import annotations

import numpy as np
import pytest

from lutra.physics.recovery_curve import fit_best_recovery, recovery_at

DIAMETERS_MM = np.array([10, 13, 17, 22, 28, 37, 60])
VOLUMES_ML = np.pi / 6 * DIAMETERS_MM**3 / 1000
TABLE = {
    6: (0.443, 0.555, 0.652, 0.728, 0.785, 0.836, 0.899),
    10: (0.215, 0.329, 0.452, 0.561, 0.648, 0.730, 0.832),
    12: (0.151, 0.248, 0.368, 0.485, 0.584, 0.679, 0.799),
    15: (0.091, 0.163, 0.267, 0.384, 0.493, 0.604, 0.750),
}


@pytest.mark.parametrize("fwhm_mm", TABLE)
def test_the_first_form_fits_the_closed_form_better_at_every_resolution(fwhm_mm: int) -> None:
    first, second = fit_best_recovery(VOLUMES_ML, TABLE[fwhm_mm], "sphere")
    assert (first.curve.form, second.curve.form) == ("hill", "exponential")
    misfits = [abs(recovery_at(first.curve, v)[0] - r) for v, r in zip(VOLUMES_ML, TABLE[fwhm_mm], strict=True)]
    assert max(misfits) == pytest.approx(first.largest_misfit)
    # The stated scatter covers the misfit: no sphere is further away than twice of it.
    assert max(misfits) < 2 * first.curve.scatter
