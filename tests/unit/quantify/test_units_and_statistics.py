"""Stated and unstated units of ADC maps, and statistics over partial voxels by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lutra.core.errors import GridMismatch
from lutra.core.finding import Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.measurement import Measurements
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify import QuantifySettings, measure, to_adc, to_hu

GRID = Grid((4, 1, 1), np.diag([10.0, 10, 10, 1]), "1")  # voxels of 1 mL


def mr(stored_unit: str | None, manufacturer: str = "CANON", **changes: Any) -> SeriesHeader:
    text = dict.fromkeys(("series_uid", "study_uid", "subject_id", "sop_class_uid", "description"), "1")
    identity: dict[str, Any] = {**text, "modality": "MR", "model": "", "frame_of_reference": "1", "instances": ()}
    fields: dict[str, Any] = {"image_type": ("ADC",), "has_rescale": True, **changes}
    return SeriesHeader(**identity, manufacturer=manufacturer, stored_unit=stored_unit, **fields)


def image(values: list[float], unit: Unit) -> Volume:
    return Volume(np.reshape(values, GRID.shape), GRID, unit)


def region(fraction: list[float], grid: Grid = GRID) -> Region:
    share = np.reshape(fraction, grid.shape)
    return Region("r", RegionKind.LESION, grid, (0, 0, 0), share, None, RegionOrigin.DRAWN, "test")


def values_of(outcome: Outcome[Measurements]) -> dict[str, float]:
    assert outcome.value is not None
    return {name: estimate.value for name, estimate in outcome.value.values.items()}


def test_a_stated_unit_is_used_and_nothing_is_assumed() -> None:
    outcome = to_adc(mr("1e-6 mm2/s", "any"), image([1100] * 4, Unit.STORED), QuantifySettings())
    assert outcome.findings == ()
    assert outcome.value is not None
    assert outcome.value.values.ravel().tolist() == pytest.approx([1.1e-3] * 4)


def test_a_stated_unit_nobody_knows_is_not_overruled_by_a_convention() -> None:
    outcome = to_adc(mr("furlong2/s"), image([1100] * 4, Unit.STORED), QuantifySettings())
    assert outcome.value is None
    assert outcome.findings[0].severity is Severity.UNDETERMINED
    assert "'furlong2/s'" in outcome.findings[0].text


def test_unspecified_is_as_good_as_no_unit() -> None:
    outcome = to_adc(mr("US"), image([1100] * 4, Unit.STORED), QuantifySettings())
    assert [f.code for f in outcome.findings] == ["quantify.adc-unit-assumed"]


@pytest.mark.parametrize(("rescale", "unit", "known"), [(True, "HU", True), (True, None, True), (False, None, False)])
def test_ct_numbers_need_a_rescale(rescale: bool, unit: str | None, known: bool) -> None:
    outcome = to_hu(mr(unit, has_rescale=rescale), image([0] * 4, Unit.STORED))
    assert (outcome.value is not None) is known


def test_suv_by_hand() -> None:
    """SUV 8, 4, 2 with 0.25, 1, 0.75 of a millilitre: volume 2, mean 7.5 / 2, TLG 7.5; 8 is mostly outside."""
    found = values_of(
        measure(image([8, 4, 2, 0], Unit.SUV_BW), region([0.25, 1, 0.75, 0]), "L", "1", QuantifySettings())
    )
    assert found["volume"] == pytest.approx(2)
    assert found["suv_mean"] == pytest.approx(3.75)
    assert found["tlg"] == pytest.approx(7.5)
    assert found["suv_max"] == 4


def test_the_maximum_of_a_region_thinner_than_half_a_voxel_is_its_fullest_voxel() -> None:
    found = values_of(
        measure(image([8, 4, 2, 0], Unit.SUV_BW), region([0.1, 0.3, 0.3, 0]), "L", "1", QuantifySettings())
    )
    assert found["suv_max"] == 4


def test_adc_quantiles_count_voxels_by_their_share() -> None:
    """Two equal halves: the median lies in the middle; the voxel outside has no say."""
    adc = image([1e-3, 2e-3, 9e-3, 0], Unit.MM2_PER_S)
    found = values_of(measure(adc, region([1, 1, 0, 0]), "L", "1", QuantifySettings()))
    assert found["adc_mean"] == pytest.approx(1.5e-3)
    assert found["adc_median"] == pytest.approx(1.5e-3)
    assert found["adc_p10"] == pytest.approx(1e-3)
    assert found["adc_p90"] == pytest.approx(2e-3)


def test_ct_by_hand() -> None:
    """Mean of 40 and 60 is 50, their spread 10."""
    found = values_of(measure(image([40, 60, 0, 0], Unit.HU), region([1, 1, 0, 0]), "L", "1", QuantifySettings()))
    assert found["hu_mean"] == pytest.approx(50)
    assert found["hu_sd"] == pytest.approx(10)


def test_an_empty_region_is_said_to_be_empty() -> None:
    outcome = measure(image([1] * 4, Unit.SUV_BW), region([0] * 4), "L", "1", QuantifySettings())
    assert outcome.value is None
    assert outcome.findings[0].code == "quantify.empty-region"


def test_a_region_of_another_grid_is_refused() -> None:
    other = Grid((4, 1, 1), np.diag([10.0, 10, 10, 1]), "2")
    with pytest.raises(GridMismatch):
        measure(image([1] * 4, Unit.SUV_BW), region([1] * 4, other), "L", "1", QuantifySettings())
