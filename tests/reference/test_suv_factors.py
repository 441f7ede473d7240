"""SUV factors of real header sets of four vendors' ways, as an independent implementation computed them.

Tolerance 1e-9: both sides evaluate the same closed form in double precision.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lutra.core.frozen import FrozenMap
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.ingest.clock import parse
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
