"""Cameras by hand calculation."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.errors import UsageError
from lutra.simulate.spect.camera import gamma_camera, gamma_cameras, gaussian_camera


def test_melp_by_hand() -> None:
    """l_e = 40.64 - 2/1.07 = 38.771; R_g(100) = 2.94 x 138.771 / 38.771 = 10.523; with 3.9: 11.222 mm.

    g = (.26 x 2.94 / 38.771)^2 x (2.94 / 4.08)^2 = 3.8871e-4 x .51925 = 2.0184e-4; x 1e6 x .1038 x .44 = 9.218 cps/MBq.
    """
    camera = gamma_camera("symbia-melp")
    assert camera.fwhm_mm(100) == pytest.approx(11.222, abs=1e-3)
    assert camera.geometric_efficiency == pytest.approx(2.0184e-4, rel=1e-4)
    assert camera.derived_cps_per_mbq == pytest.approx(9.218, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "at_10_cm", "at_20_cm"),
    [("symbia-melp", 11.2, 18.5), ("discovery870-megp", 9.2, 14.2), ("brightview-megp", 10.2, 15.9)],
)
def test_resolution_as_tabulated(name: str, at_10_cm: float, at_20_cm: float) -> None:
    camera = gamma_camera(name)
    assert [camera.fwhm_mm(100), camera.fwhm_mm(200)] == pytest.approx([at_10_cm, at_20_cm], abs=0.05)


def test_the_array_form_says_the_same() -> None:
    for camera in (*gamma_cameras().values(), gaussian_camera(9.0)):
        widths = camera.sigma_mm(np.array([0.0, 80.0, 300.0])) * np.sqrt(8 * np.log(2))
        assert widths == pytest.approx([camera.fwhm_mm(d) for d in (0, 80, 300)], rel=1e-12)


def test_every_camera_says_where_its_numbers_come_from() -> None:
    assert all(c.source and c.identity.manufacturer and c.identity.collimator for c in gamma_cameras().values())


def test_unknown_camera_lists_the_known() -> None:
    with pytest.raises(UsageError, match="symbia-melp"):
        gamma_camera("symbia-lehr")
