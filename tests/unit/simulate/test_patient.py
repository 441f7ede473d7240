"""The digital patient: same seed, same bytes; conservation; its polygons and its truth."""

from __future__ import annotations

import hashlib
from math import log
from pathlib import Path

import numpy as np
import pytest

from lutra.core.grid import Grid
from lutra.simulate import write_patient
from lutra.simulate.anatomy import Ellipsoid
from lutra.simulate.patient import Tissue
from lutra.simulate.scanner import blur

GRID = Grid((60, 50, 40), np.diag([3.0, 3, 4, 1]), "1")
BALL = Ellipsoid("ball", (90, 75, 80), (24, 18, 20), 40)


def test_partial_voxels_hold_the_exact_volume() -> None:
    assert BALL.fraction(GRID).sum() * GRID.voxel_volume_ml == pytest.approx(BALL.volume_ml, rel=0.01)


def test_blur_keeps_the_total_and_spreads_by_the_fwhm() -> None:
    """A point seen through 12 mm FWHM: the total stays, the variance along i is (12 / 2.3548)^2."""
    image = np.zeros(GRID.shape, np.float32)
    image[30, 25, 20] = 1
    seen = blur(image, 12, GRID.spacing_mm)
    assert seen.sum() == pytest.approx(1, abs=1e-4)
    x_mm = np.arange(60) * 3.0 - 90
    assert (seen.sum(axis=(1, 2)) * x_mm**2).sum() == pytest.approx((12 / 2.3548) ** 2, rel=0.01)


def test_polygon_area_is_the_ellipse() -> None:
    (middle,) = [p for p in BALL.contours(GRID) if p[0, 2] == 80]
    x, y = middle[:, 0], middle[:, 1]
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert area == pytest.approx(np.pi * 24 * 18, rel=1e-9)


def test_integral_of_uptake_and_washout_by_hand() -> None:
    """Two exponentials: (T - T_up) / ln 2, here compared with a fine sum."""
    tissue = Tissue(1e6, 60, 1, 1, 1e-3)
    t = np.arange(0, 1000 * 3600, 60.0)
    summed = sum(tissue.concentration_bq_per_ml(float(s)) for s in t[::10]) * 600
    assert tissue.integral_bq_s_per_ml() == pytest.approx(1e6 * (60 - 1.2) * 3600 / log(2))
    assert summed == pytest.approx(tissue.integral_bq_s_per_ml(), rel=1e-3)


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    def hashes(out: Path, seed: int) -> dict[str, str]:
        write_patient(out, seed)
        files = [p for p in out.rglob("*") if p.is_file() and "adc" in str(p)]
        return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    first = hashes(tmp_path / "a", 3)
    assert first
    assert first == hashes(tmp_path / "b", 3)
