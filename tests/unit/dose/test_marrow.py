"""Marrow dose by hand, and what is said where methods disagree or are missing."""

from __future__ import annotations

import pytest

from lutra.core.dose import DoseResult
from lutra.core.estimate import Estimate, Unit
from lutra.dose.marrow import MarrowSettings, marrow_dose

BLOOD = Estimate(0.5e6 * 3600, Unit.BQ_S, {"counting": 0.1 * 0.5e6 * 3600})
"""0.5 MBq h/mL: about what 7.4 GBq leave in blood."""
CROSS = Estimate(0.1, Unit.GY, {"camera": 0.005})


def test_blood_by_hand() -> None:
    """.5 MBq h/mL x 85.32 mGy g/(MBq h) / 1.03 g/mL = 41.4 mGy, and .1 Gy from elsewhere."""
    found = marrow_dose("Lu-177", CROSS, MarrowSettings(), blood=BLOOD).value
    assert found is not None
    (blood,) = found.methods
    assert blood.own.value == pytest.approx(0.04142, rel=1e-3)
    assert blood.total.value == pytest.approx(0.14142, rel=1e-3)
    assert blood.total.not_evaluated == ("blood to marrow",)
    assert found.ratio is None


def test_two_methods_and_their_ratio() -> None:
    """An image of .3 Gy with .1 of photons: own .2 Gy over a recovery of .78, and .1: .356 Gy, 2.5 times the blood's."""
    image = DoseResult(
        "marrow L2-L4",
        "hybrid",
        Estimate(0.3, Unit.GY, {"camera": 0.015}),
        Estimate(80, Unit.G),
        None,
        {"photons": 0.1},
    )
    settings = MarrowSettings(rmblr_sd=0.2, image_recovery=0.78)
    outcome = marrow_dose("Lu-177", CROSS, settings, blood=BLOOD, image=image)
    assert outcome.value is not None
    assert outcome.value.methods[1].total.value == pytest.approx(0.2 / 0.78 + 0.1)
    assert outcome.value.ratio == pytest.approx(0.35641 / 0.14142, rel=1e-3)
    assert [f.code for f in outcome.findings] == ["dose.marrow-methods-differ"]


def test_what_is_missing_is_missing() -> None:
    assert [f.code for f in marrow_dose("Lu-177", CROSS, MarrowSettings()).findings] == ["dose.no-marrow"]
    alone = marrow_dose("Lu-177", None, MarrowSettings(rmblr_sd=0.2), blood=BLOOD).value
    assert alone is not None
    assert alone.methods[0].total.not_evaluated == ("cross-dose",)
