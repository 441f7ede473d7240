"""Mass from volume, against hand calculation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.core.errors import ProtocolError
from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Severity
from lutra.dose import DoseSettings, mass_from_ct, mass_from_volume

VOLUME = Estimate(20.0, Unit.ML, {"volume: L1": 2.0})


def hu(value: float, sd: float = 0.0) -> Estimate:
    return Estimate(value, Unit.HU, {"noise: L1 CT": sd})


def density(value_hu: float) -> float:
    mass = mass_from_ct(VOLUME, hu(value_hu), DoseSettings()).value
    assert mass is not None
    return mass.value / VOLUME.value


def test_assumed_density() -> None:
    """20 mL of 1.03 g/mL; 10 % of volume and 3 % of density."""
    outcome = mass_from_volume(VOLUME, DoseSettings(), "assumed")
    assert outcome.value is not None
    assert outcome.value.unit is Unit.G
    assert outcome.value.value == pytest.approx(20.6)
    assert outcome.value.budget["volume: L1"] == pytest.approx(2.06)
    assert outcome.value.budget["tissue density"] == pytest.approx(0.618)
    assert [(f.severity, f.code) for f in outcome.findings] == [(Severity.WARNING, "dose.density-assumed")]


@pytest.mark.parametrize(
    ("value_hu", "g_per_ml"), [(-98, 0.93), (0, 1.0175), (14, 1.03), (40, 1.0409), (101, 1.0762), (1600, 1.9642)]
)
def test_density_from_ct(value_hu: float, g_per_ml: float) -> None:
    """Published nodes, and straight lines between: 0 HU is .93 + .1 x 98/112; 40 HU is 1.031 + .0452 x 17/78."""
    assert density(value_hu) == pytest.approx(g_per_ml, abs=6e-5)


@given(low=st.floats(-98, 1600), step=st.floats(1e-3, 200))
def test_density_never_falls_with_the_ct_number(low: float, step: float) -> None:
    """The published curve does, by 4 % at 100 HU: a trap for anybody who sorts by density."""
    high = min(low + step, 1600.0)
    assert density(high) >= density(low)


def test_doubt_of_the_ct_number_reaches_the_mass() -> None:
    """Between 23 and 101 HU the slope is .0452/78 g/mL per HU."""
    mass = mass_from_ct(VOLUME, hu(40, sd=10), DoseSettings()).value
    assert mass is not None
    assert mass.budget["noise: L1 CT"] == pytest.approx(20 * 10 * 0.0452 / 78)
    assert mass.budget["tissue density"] == pytest.approx(0.02 * mass.value)


@pytest.mark.parametrize("value_hu", [-400, 3000, np.nan])
def test_air_and_metal_are_no_tissue(value_hu: float) -> None:
    outcome = mass_from_ct(VOLUME, hu(value_hu), DoseSettings())
    assert outcome.value is None
    assert [(f.severity, f.code) for f in outcome.findings] == [(Severity.UNDETERMINED, "dose.not-tissue")]


def test_no_volume_no_mass() -> None:
    nothing = Estimate(0.0, Unit.ML)
    assert mass_from_volume(nothing, DoseSettings(), "assumed").value is None
    assert mass_from_ct(nothing, hu(40), DoseSettings()).findings[0].code == "dose.no-volume"


def test_options_of_an_engine_that_is_not_used_are_an_error() -> None:
    with pytest.raises(ProtocolError, match="spere"):
        DoseSettings(options={"spere": {}})
