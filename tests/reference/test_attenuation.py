"""Mass attenuation against the tables of NIST, between the energies we hold as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lutra.core.errors import OutsideValidity, UsageError
from lutra.reference.attenuation import mass_attenuation_cm2_per_g

FILES = {
    "soft": "muscle",
    "adipose": "adipose",
    "bone": "bonecortical",
    "lung": "lungtissue",
    "air": "air",
    "water": "water",
}


def nist(
    path: Path,
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Energies [keV] and coefficients [cm2/g]; the first line is the density, absorption edges have a label in front."""
    rows = [line.split()[-3:-1] for line in path.read_text().splitlines()[1:] if len(line.split()) >= 3]
    table = np.array(rows, float)
    return table[:, 0] * 1000, table[:, 1]


@pytest.mark.parametrize("medium", FILES)
@pytest.mark.parametrize("kev", [60.0, 113.0, 140.5, 208.4, 245.0, 364.0, 511.0])
def test_coefficients_of_nist(shared_data: Path, medium: str, kev: float) -> None:
    """A cubic through all of the NIST energies on log-log axes; ours is through some of them: within 0.2 %."""
    from scipy.interpolate import CubicSpline

    energies, coefficients = nist(shared_data / "physics" / "nist_attenuation" / f"{FILES[medium]}.csv")
    smooth = energies >= 20  # above the edges
    exact = np.exp(CubicSpline(np.log(energies[smooth]), np.log(coefficients[smooth]))(np.log(kev)))
    assert mass_attenuation_cm2_per_g(medium, kev) == pytest.approx(float(exact), rel=0.002)


def test_what_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(UsageError, match="soft"):
        mass_attenuation_cm2_per_g("wood", 208)
    with pytest.raises(OutsideValidity, match="keV"):
        mass_attenuation_cm2_per_g("soft", 2000)
