"""Truth of the digital patient against hand calculation and the laws of decay."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.integrate import quad

from lutra.simulate.anatomy import ORGANS, Ellipsoid
from lutra.simulate.patient import Tissue, digital_patient

LU177_PHYSICAL_HALF_LIFE_H = 159.53
HOUR = 3600.0


def test_concentration_by_hand() -> None:
    """1 MBq/mL, 50 h, uptake 1.2 h: nothing at 0; at 24 h 2^-(24/50) - 2^-20 = 0.716977 MBq/mL."""
    tissue = Tissue(1e6, 50, 0, 0, 0)
    assert tissue.concentration_bq_per_ml(0) == 0
    assert tissue.concentration_bq_per_ml(24 * HOUR) == pytest.approx(716_977, abs=1)


def test_integral_is_the_integral() -> None:
    tissue = Tissue(1.1e6, 85, 0, 0, 0)
    numeric, _ = quad(tissue.concentration_bq_per_ml, 0, 3000 * HOUR, limit=200, points=[5 * HOUR, 50 * HOUR])
    assert tissue.integral_bq_s_per_ml() == pytest.approx(numeric, rel=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_every_patient_is_possible(seed: int) -> None:
    """Nothing washes out slower than it decays; one lesion shrinks, one stays, one grows; lesions lie apart, two in the liver."""
    patient = digital_patient(seed)
    tissues = (*patient.tissues.values(), *(lesion.tissue for lesion in patient.lesions))
    assert all(t.half_life_h < LU177_PHYSICAL_HALF_LIFE_H for t in tissues)
    assert [lesion.growth for lesion in patient.lesions] == sorted(lesion.growth for lesion in patient.lesions)
    shapes = [lesion.shape for lesion in patient.lesions]
    for one, other in combinations(shapes, 2):
        distance_mm = np.linalg.norm(one.centre_lps_mm - other.centre_lps_mm)
        assert distance_mm > one.semi_axes_mm.max() + other.semi_axes_mm.max()
    (liver,) = (organ for organ in ORGANS if organ.name == "liver")
    assert all(_inside(shape, liver) for shape in shapes[:2])
    assert not any(_inside(shapes[2], organ) for organ in ORGANS)


def _inside(shape: Ellipsoid, organ: Ellipsoid) -> bool:
    directions = np.random.default_rng(0).normal(size=(2000, 3))
    surface = shape.centre_lps_mm + directions / np.linalg.norm(directions, axis=1)[:, None] * shape.semi_axes_mm
    return bool(((((surface - organ.centre_lps_mm) / organ.semi_axes_mm) ** 2).sum(axis=1) < 1).all())


def test_same_seed_same_patient() -> None:
    one, again, other = digital_patient(3), digital_patient(3), digital_patient(4)
    assert one.tissues == again.tissues
    assert one.tissues != other.tissues
