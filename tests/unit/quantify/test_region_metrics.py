"""What a region measures beside the plain numbers: other SUV scales, roles, noise, gaps, and the name of its region."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lutra.core.estimate import Estimate
from lutra.core.finding import Severity
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.study import Role
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify import QuantifySettings, measure

GRID = Grid((20, 20, 20), np.diag([4.0, 4.0, 4.0, 1.0]), "1")
NOISE = np.random.default_rng(4).normal(5, 1, GRID.shape)
BOX = Region(
    "r", RegionKind.LESION, GRID, (5, 5, 5), np.ones((10, 10, 10)), None, RegionOrigin.THRESHOLD, "41 % of max"
)


def values_of(values: Any, unit: Unit = Unit.SUV_BW, **given: Any) -> dict[str, Estimate]:
    settings = given.pop("settings", QuantifySettings())
    found = measure(Volume(values, GRID, unit), BOX, "L01", "9", settings, **given).value
    assert found is not None
    assert found.delineation == "threshold: 41 % of max"
    return dict(found.values)


def test_scales_multiply_and_name_their_unit() -> None:
    scales = FrozenMap({"sul": 0.77, "sul_james": 0.75, "suv_bsa": 0.025})
    found = values_of(NOISE, scales=scales)
    for name, unit in (("sul", Unit.SUV_LBM), ("sul_james", Unit.SUV_LBM_JAMES), ("suv_bsa", Unit.SUV_BSA)):
        for word in ("max", "mean", "peak"):
            scaled = found[f"{name}_{word}"]
            assert scaled.value == pytest.approx(found[f"suv_{word}"].value * scales[name])
            assert scaled.unit is unit
            assert "body size formula" in scaled.not_evaluated
    assert not any(name.startswith(("sul", "suv_bsa")) for name in values_of(NOISE))


def test_the_role_names_volume_and_total() -> None:
    fdg, sstr = values_of(NOISE, role=Role.FDG_PET), values_of(NOISE, role=Role.SSTR_PET)
    assert fdg.keys() - sstr.keys() == {"mtv", "tlg"}
    assert sstr.keys() - fdg.keys() == {"sstr_tv", "tl_sstr"}
    assert sstr["sstr_tv"].value == fdg["mtv"].value == fdg["volume"].value == pytest.approx(64)
    assert sstr["tl_sstr"].value == pytest.approx(fdg["suv_mean"].value * 64)
    assert "mtv" in values_of(NOISE)


def test_noise_of_a_mean_is_known_only_with_a_resolution() -> None:
    """A spread of 1, said to be blurred to 8 mm: cells of 1.75 mL, 36.7 of them in 64 mL, a few more at its edges."""
    source = "noise: L01 9"
    assert values_of(NOISE)["suv_mean"].budget[source] is None
    sd = values_of(NOISE, settings=QuantifySettings(pet_fwhm_mm=8.0))["suv_mean"].budget[source]
    assert sd == pytest.approx(1 / 36.7**0.5, rel=0.25)
    assert (
        values_of(np.full(GRID.shape, 3.0), settings=QuantifySettings(pet_fwhm_mm=8.0))["suv_mean"].budget[source] == 0
    )


def test_a_ct_mean_knows_its_noise_and_its_border() -> None:
    """1000 independent voxels of spread 1, at best; and the outer layer of the box, which differs by chance alone."""
    budget = values_of(NOISE, Unit.HU)["hu_mean"].budget
    noise, border = budget["noise: L01 9"], budget["border: L01 9"]
    assert noise is not None
    assert border is not None
    assert 0.9 / 1000**0.5 < noise < 2 / 1000**0.5
    assert abs(border) < 4 / 512**0.5


@pytest.mark.parametrize("gap", [np.nan, 0.0])
def test_voxels_without_a_value_are_left_out_and_named(gap: float) -> None:
    """Makers write 0 into an ADC map where there is no coefficient."""
    values = np.full(GRID.shape, 1e-3)
    values[5:10] = gap  # half of the box
    outcome = measure(Volume(values, GRID, Unit.MM2_PER_S), BOX, "L01", "9", QuantifySettings())
    assert outcome.value is not None
    assert outcome.value.values["adc_mean"].value == pytest.approx(1e-3)
    assert outcome.value.values["adc_p10"].value == pytest.approx(1e-3)
    assert [(f.severity, f.code) for f in outcome.findings] == [(Severity.WARNING, "quantify.voxels-without-value")]
    assert "50.0%" in outcome.findings[0].text


def test_a_region_of_nothing_but_gaps_is_refused() -> None:
    outcome = measure(Volume(np.full(GRID.shape, np.nan), GRID, Unit.SUV_BW), BOX, "L01", "9", QuantifySettings())
    assert outcome.value is None
    assert [f.code for f in outcome.findings] == ["quantify.voxels-without-value", "quantify.empty-region"]


def test_a_gap_in_the_box_but_not_in_the_region_is_no_matter() -> None:
    share = np.ones((10, 10, 10))
    share[0] = 0
    values = np.full(GRID.shape, 2.0)
    values[5] = np.nan
    region = Region("r", RegionKind.LESION, GRID, (5, 5, 5), share, None, RegionOrigin.DRAWN, "x")
    outcome = measure(Volume(values, GRID, Unit.SUV_BW), region, "L01", "9", QuantifySettings())
    assert outcome.findings == ()
    assert outcome.value is not None
    assert outcome.value.values["suv_peak"].value == pytest.approx(2)
