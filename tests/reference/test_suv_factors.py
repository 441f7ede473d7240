"""SUV factors of real header sets of four vendors' ways, as an independent implementation computed them.

Tolerance 1e-9: both sides evaluate the same closed form in double precision.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from lutra.core.frozen import FrozenMap
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.ingest.clock import parse
from lutra.physics.decay import mean_activity_time_s
from lutra.quantify import suv_bw_factor

NAMES = ("SIEMENS", "GE_MEDICAL_AND_BQML", "PHILIPS_BQML", "PHILIPS_CNTS_AND_SUV")


def header_of(instances: list[dict[str, Any]]) -> SeriesHeader:
    first = instances[0]
    times = [parse(i["AcquisitionDate"] + str(i["AcquisitionTime"]), "UTC") for i in instances]
    stamp = str(first.get("RadiopharmaceuticalStartDateTime") or "").strip()
    administered_at = parse(stamp, "UTC") or parse(
        first["SeriesDate"] + str(first["RadiopharmaceuticalStartTime"]), "UTC"
    )
    private = first.get("PhilipsPETPrivateGroup") or {}
    factors = {
        "philips_suv": private.get("SUVScaleFactor"),
        "philips_activity": private.get("ActivityConcentrationScaleFactor"),
    }
    scan = parse(str(first.get("GEPrivatePostInjectionDateTime") or "").strip(), "UTC")
    known = tuple(t for t in times if t)
    return SeriesHeader(
        series_uid="1",
        study_uid="1",
        subject_id="x",
        modality="PT",
        sop_class_uid="",
        description="",
        manufacturer="",
        model="",
        image_type=(),
        frame_of_reference="",
        instances=(),
        stored_unit=first["Units"],
        decay_correction=DecayCorrection(first["DecayCorrection"]),
        corrected_image=tuple(first["CorrectedImage"]),
        series_started_at=parse(first["SeriesDate"] + str(first["SeriesTime"]), "UTC"),
        acquired_at=min(known, default=datetime(1900, 1, 1, tzinfo=UTC)),
        scan_reference_at=scan,
        slice_acquired_at=known,
        frame_reference_time_s=first.get("FrameReferenceTime", 0) / 1000,
        frame_duration_s=first.get("ActualFrameDuration", 0) / 1000,
        radiopharmaceutical=Radiopharmaceutical(
            "F-18", None, float(first["RadionuclideTotalDose"]), administered_at, float(first["RadionuclideHalfLife"])
        ),
        patient_weight_kg=float(first["PatientWeight"]),
        vendor_factors=FrozenMap({k: float(v) for k, v in factors.items() if v}),
    )


@pytest.mark.parametrize("name", NAMES)
def test_factor_of_a_vendors_header_set(shared_data: Path, name: str) -> None:
    folder = shared_data / "dicom" / "pet_headers"
    expected = json.loads((folder / "expected_suvbw_factors.json").read_text())["factors"][name]
    factor = suv_bw_factor(header_of(json.loads((folder / f"{name}-instances.json").read_text())))
    assert factor.value == pytest.approx(expected, rel=1e-9), factor.case


def test_philips_writes_two_factors_that_agree_with_the_header(shared_data: Path) -> None:
    """A real Philips header (set PHILIPS_CNTS_AND_BQML_SUV of the same collection) carries both private factors.

    54 kg, 238 MBq at 08:30:00, series time 09:35:56, half-life 6588 s; 1.602563 Bq/mL per count, and by the scanner's own
    calculation 0.000551 SUV per count, which has three digits.
    """
    header = header_of(json.loads((shared_data / "dicom/pet_headers/PHILIPS_BQML-instances.json").read_text()))
    day = datetime(2020, 12, 17, tzinfo=UTC)
    counts = evolve(
        header,
        stored_unit="CNTS",
        vendor_factors=FrozenMap({"philips_activity": 1.602563}),
        series_started_at=day.replace(hour=9, minute=35, second=56),
        acquired_at=day.replace(hour=9, minute=54, second=39),
        slice_acquired_at=(),
        patient_weight_kg=54.0,
        radiopharmaceutical=Radiopharmaceutical("F-18", None, 238e6, day.replace(hour=8, minute=30), 6588.0),
    )
    assert suv_bw_factor(counts).value == pytest.approx(0.000551, abs=0.5e-6)


def test_a_scanners_frame_reference_time_is_our_mean_time() -> None:
    """(0054,1300) of the first bed of a Siemens scanner: 180 s of 18F, half-life 6586.2 s, 89857.9232492 ms."""
    assert mean_activity_time_s(180, 6586.2) == pytest.approx(89.8579232492, rel=1e-9)
