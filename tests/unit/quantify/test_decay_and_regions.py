"""Decay references by hand, and region metrics on images whose answer is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.study import DecayCorrection, Radiopharmaceutical, Role, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify import QuantifySettings, decay_reference, measure, role_of, suv_bw_factor, to_activity, to_adc

START = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)
HALF_LIFE_S = 574300.8
GRID = Grid((20, 20, 20), np.diag([3.0, 3, 3, 1]), "1")


def header(**changes: Any) -> SeriesHeader:
    agent = Radiopharmaceutical("Lu-177", None, 7.4e9, START, HALF_LIFE_S)
    base = SeriesHeader(
        series_uid="1",
        study_uid="1",
        subject_id="x",
        modality="PT",
        sop_class_uid="",
        description="",
        manufacturer="",
        model="",
        image_type=(),
        frame_of_reference="1",
        instances=(),
        stored_unit="BQML",
        decay_correction=DecayCorrection.ADMIN,
        corrected_image=("DECY",),
        series_started_at=START + timedelta(hours=24),
        acquired_at=START + timedelta(hours=24),
        radiopharmaceutical=agent,
        patient_weight_kg=70.0,
    )
    return evolve(base, **changes)


def stored(value: float = 1000.0) -> Volume:
    return Volume(np.full(GRID.shape, value), GRID, Unit.STORED, START + timedelta(hours=24))


def test_admin_image_is_decayed_to_its_acquisition_and_start_image_is_not() -> None:
    """24 h of 177Lu: exp(-0.00434499 x 24) = 0.90096."""
    admin = to_activity(header(), stored()).value
    start = to_activity(header(decay_correction=DecayCorrection.START), stored()).value
    assert admin is not None
    assert start is not None
    assert admin.values.mean() == pytest.approx(1000 * np.exp(-0.00434499 * 24), rel=1e-5)
    assert start.values.mean() == 1000


def test_admin_without_administration_is_refused() -> None:
    agent = Radiopharmaceutical("Lu-177", None, 7.4e9, None, HALF_LIFE_S)
    outcome = to_activity(header(radiopharmaceutical=agent), stored())
    assert outcome.value is None
    assert "(0018,1078)" in outcome.findings[-1].text


def test_series_time_of_reprocessing_is_not_the_decay_reference() -> None:
    late = header(decay_correction=DecayCorrection.START, series_started_at=START + timedelta(days=3))
    reference = decay_reference(late).value
    assert reference is not None
    assert reference.at == late.acquired_at
    private = evolve(late, scan_reference_at=START + timedelta(hours=23.9))
    assert decay_reference(private).value.at == private.scan_reference_at  # type: ignore[union-attr]


def test_decay_factor_of_one_with_admin_is_a_doubt_with_its_size() -> None:
    findings = decay_reference(header(decay_factor=1.0)).findings
    assert "11.0%" in findings[0].text  # exp(0.00434499 x 24) - 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"patient_weight_kg": None}, "(0010,1030)"),
        ({"stored_unit": "PROPCPS"}, "PROPCPS"),
        ({"stored_unit": "CNTS"}, "(7053,1000)"),
        ({"decay_correction": None}, "(0054,1102)"),
    ],
)
def test_suv_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    factor = suv_bw_factor(header(**changes))
    assert factor.value is None
    assert words in factor.reason


def test_roles() -> None:
    assert role_of(header()).value is Role.THERAPY_SPECT
    assert role_of(header(modality="MR", image_type=("DERIVED", "ADC"))).value is Role.ADC
    fdg = Radiopharmaceutical("F-18", "Fluorodeoxyglucose", 1, START, 6586.2)
    assert role_of(header(radiopharmaceutical=fdg)).value is Role.FDG_PET


def test_adc_without_unit_follows_the_named_rule_or_is_refused() -> None:
    mr = header(modality="MR", manufacturer="TOSHIBA", stored_unit=None)
    outcome = to_adc(mr, stored(1100), QuantifySettings())
    assert outcome.value is not None
    assert outcome.value.values.mean() == pytest.approx(1.1e-3)
    assert outcome.findings[0].code == "quantify.adc-unit-assumed"
    assert to_adc(mr, stored(1100), QuantifySettings(adc_missing_unit="refuse")).value is None
    assert to_adc(evolve(mr, manufacturer="X"), stored(1100), QuantifySettings()).value is None
    assert to_adc(mr, stored(90000), QuantifySettings()).value is None


def box(fraction: Any = None) -> Region:
    share = np.ones((4, 4, 4)) if fraction is None else fraction
    return Region("r", RegionKind.LESION, GRID, (8, 8, 8), share, None, RegionOrigin.DRAWN, "test")


def test_activity_is_concentration_times_volume_and_unknown_sources_stay_unknown() -> None:
    volume = Volume(np.full(GRID.shape, 500.0), GRID, Unit.BQ_PER_ML)
    values = measure(volume, box(), "L01", "1", QuantifySettings()).value.values  # type: ignore[union-attr]
    assert values["activity"].value == pytest.approx(500 * 64 * 0.027)
    assert values["activity"].sd is None
    assert set(values["activity"].not_evaluated) == {"camera calibration", "recovery: L01", "volume: L01"}


def test_volume_error_enters_activity_and_concentration_with_opposite_signs() -> None:
    settings = QuantifySettings(
        camera_calibration_relative_sd=0.05, spect_fwhm_mm=12, delineation_fwhm_mm=3, partial_volume="sphere"
    )
    volume = Volume(np.full(GRID.shape, 500.0), GRID, Unit.BQ_PER_ML)
    values = measure(volume, box(), "L01", "1", settings).value.values  # type: ignore[union-attr]
    relative = {name: values[name].relative()["volume: L01"] for name in ("activity", "concentration", "volume")}
    assert relative["concentration"] < 0 < relative["activity"]  # type: ignore[operator]
    total = (relative["activity"] or 0) - (relative["concentration"] or 0)
    assert total == pytest.approx(relative["volume"])  # A = C x V
    assert values["activity"].sd is not None


def test_suv_peak_of_a_uniform_image_is_its_value_and_of_a_point_is_small() -> None:
    uniform = Volume(np.full(GRID.shape, 3.0), GRID, Unit.SUV_BW)
    values = measure(uniform, box(), "L", "1", QuantifySettings()).value.values  # type: ignore[union-attr]
    assert values["suv_peak"].value == pytest.approx(3, rel=1e-9)
    point = np.zeros(GRID.shape)
    point[9, 9, 9] = 1
    values = measure(Volume(point, GRID, Unit.SUV_BW), box(), "L", "1", QuantifySettings()).value.values  # type: ignore[union-attr]
    assert values["suv_max"].value == 1
    assert values["suv_peak"].value == pytest.approx(0.027 / 1.0, rel=0.01)  # one 0.027 mL voxel in 1.0 mL
