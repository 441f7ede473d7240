"""Stopping powers and attenuation of our media against the tables of NIST, and tissues against those of Schneider."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from lutra.physics.hounsfield import HU_NODES, MEDIA, density_g_per_ml, medium
from lutra.physics.materials import ADIPOSE, AIR, BONE, LUNG, SOFT, WATER, Material, material, mixed
from lutra.physics.stopping import collision_stopping, radiative_stopping
from lutra.reference.interactions import elements


@pytest.mark.parametrize(
    ("medium", "table", "collision"),
    [
        (WATER, "WATER_LIQUID", 0.006),
        (AIR, "AIR_DRY_NEAR_SEA_LEVEL", 0.002),
        (LUNG, "LUNG_ICRP", 0.004),
        # Of another composition and excitation energy than the tissue of ICRU 44 that transport uses.
        (SOFT, "TISSUE_SOFT_ICRP", 0.011),
        (ADIPOSE, "ADIPOSE_TISSUE_ICRP", 0.012),
        (BONE, "BONE_CORTICAL_ICRP", 0.025),
    ],
)
def test_stopping_power(shared_data: Path, medium: Material, table: str, collision: float) -> None:
    with (shared_data / "physics" / "nist_estar" / f"{table}.csv").open() as file:
        rows = np.array([[float(x) for x in row] for row in list(csv.reader(file))[1:]])
    rows = rows[(rows[:, 0] >= 0.01) & (rows[:, 0] <= 3.0)]
    kev = rows[:, 0] * 1e3
    np.testing.assert_allclose(collision_stopping(medium, kev) * 1e-3, rows[:, 1], rtol=collision)
    np.testing.assert_allclose(radiative_stopping(medium, kev) * 1e-3, rows[:, 2], rtol=0.09)


@pytest.mark.parametrize(
    ("medium", "table"),
    [
        (WATER, "water"),
        (AIR, "air"),
        (LUNG, "lungtissue"),
        (SOFT, "muscle"),
        (ADIPOSE, "adipose"),
        (BONE, "bonecortical"),
    ],
)
def test_attenuation(shared_data: Path, medium: Material, table: str) -> None:
    """Within 0.6 % from 10 keV to 1.5 MeV; beyond, pair production is missing; soft tissue is compared with muscle."""
    text = (shared_data / "physics" / "nist_attenuation" / f"{table}.csv").read_text()
    rows = np.array([[float(x) for x in line.split()[-3:-1]] for line in text.splitlines()[1:] if line.strip()])
    rows = rows[(rows[:, 0] >= 0.01) & (rows[:, 0] <= 1.5)]
    known = elements()
    whole = known.photoelectric_cm2_per_g + known.incoherent_cm2_per_g + known.coherent_cm2_per_g
    ours = np.exp(np.interp(np.log(rows[:, 0] * 1e3), np.log(known.energy_kev), np.log(mixed(medium, whole))))
    np.testing.assert_allclose(ours, rows[:, 1], rtol=0.006)


def test_density_never_falls_with_the_ct_number(shared_data: Path) -> None:
    """Equal to Schneider's nodes, but for 100 HU, whose branch would fall by 4 % at the next one."""
    hu = np.arange(-1100, 3200)
    assert (np.diff(density_g_per_ml(hu)) >= 0).all()
    lines = (shared_data / "physics" / "Schneider2000DensitiesTable.txt").read_text().splitlines()
    nodes = [tuple(map(float, line.split())) for line in lines if line.strip() and not line.startswith("#")]
    for at, published in nodes:
        expected = pytest.approx(published, rel=2e-3)
        assert at in (-97, 100) or float(density_g_per_ml(at)) == expected, at
    assert {at for at, _ in nodes} - {-97, 100} == set(HU_NODES)


def test_media_follow_the_ct_number() -> None:
    hu = np.array([-3024, -1000, -800, -100, 0, 60, 200, 1000, 3000])
    names = [MEDIA[n] for n in medium(hu)]
    assert names == ["air", "air", "lung", "adipose", "soft_tissue", "soft_tissue", "bone_10", "bone_70", "bone_90"]
    calcium = [material(name).fractions.get(20, 0.0) for name in MEDIA[3:]]
    assert calcium == sorted(calcium)
    for name in MEDIA:
        assert sum(material(name).fractions.values()) == pytest.approx(1, abs=2e-3), name
