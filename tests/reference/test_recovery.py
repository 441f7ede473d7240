"""Recovery of spheres in a Gaussian blur against the published three-decimal table of the closed form."""

from __future__ import annotations

import pytest

from lutra.physics.recovery import sphere_recovery

DIAMETERS_MM = (10, 13, 17, 22, 28, 37, 60)
TABLE = {
    6: (0.443, 0.555, 0.652, 0.728, 0.785, 0.836, 0.899),
    10: (0.215, 0.329, 0.452, 0.561, 0.648, 0.730, 0.832),
    12: (0.151, 0.248, 0.368, 0.485, 0.584, 0.679, 0.799),
    15: (0.091, 0.163, 0.267, 0.384, 0.493, 0.604, 0.750),
}


@pytest.mark.parametrize("fwhm_mm", TABLE)
def test_table(fwhm_mm: float) -> None:
    found = [sphere_recovery(d, fwhm_mm) for d in DIAMETERS_MM]
    assert found == pytest.approx(TABLE[int(fwhm_mm)], abs=5.1e-4)
