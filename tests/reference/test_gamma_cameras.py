"""Cameras against what was measured with them."""

from __future__ import annotations

import pytest

from lutra.simulate.spect.camera import gamma_camera


@pytest.mark.parametrize(
    ("name", "measured"),
    [("symbia-melp", 9.1), ("symbia-melp", 9.5), ("discovery870-megp", 4.6), ("discovery670-megp", 5.67)],
)
def test_sensitivity_from_the_collimator_is_near_the_measured_one(name: str, measured: float) -> None:
    """cps/MBq per head at 208 keV: four Symbia and the Discovery 870 of MRTDosimetry, the Discovery 670 of Santoro 2018."""
    camera = gamma_camera(name)
    assert camera.derived_cps_per_mbq == pytest.approx(measured, rel=0.15)
    assert camera.cps_per_mbq == pytest.approx(measured, rel=0.03)
