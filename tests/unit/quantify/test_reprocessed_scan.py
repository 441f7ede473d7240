"""Where the scanner's clock is found when a series was made again after the scan, and its series time is useless."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.core.time import seconds_between
from lutra.quantify import DecayReference, decay_reference

SCAN = datetime(2026, 1, 12, 10, 0, tzinfo=UTC)
MIDDLE_OF_120_S_OF_18F = 59.936854672596
"""Decay-weighted middle of a 120 s frame, half-life 6586.2 s, as a Siemens scanner wrote it in (0054,1300). [s]"""


def reference(**changes: Any) -> DecayReference:
    fields: dict[str, Any] = {
        "series_started_at": SCAN + timedelta(hours=5),
        "acquired_at": SCAN,
        "slice_acquired_at": (SCAN,),
        "frame_duration_s": 120.0,
        "decay_correction": DecayCorrection.START,
        "corrected_image": ("DECY",),
        "radiopharmaceutical": Radiopharmaceutical("F-18", "FDG", 3e8, SCAN - timedelta(hours=1), 6586.2),
    }
    text = dict.fromkeys(("series_uid", "study_uid", "subject_id", "sop_class_uid", "description"), "1")
    identity: dict[str, Any] = {**text, "manufacturer": "", "model": "", "frame_of_reference": "1"}
    header = SeriesHeader(**identity, modality="PT", image_type=(), instances=(), **{**fields, **changes})
    found = decay_reference(header).value
    assert found is not None
    return found


def test_a_single_bed_started_with_its_frame() -> None:
    found = reference(frame_reference_time_s=MIDDLE_OF_120_S_OF_18F)
    assert found.case == "start, from frame reference time"
    assert seconds_between(SCAN, found.at) == pytest.approx(0, abs=1e-6)


def test_a_later_bed_leads_back_to_the_start_of_the_scan() -> None:
    """First slice from the fourth bed, 420 s after the start; the earliest bed is another slice's."""
    times = (SCAN + timedelta(seconds=420), SCAN)
    found = reference(slice_acquired_at=times, frame_reference_time_s=420 + MIDDLE_OF_120_S_OF_18F)
    assert seconds_between(SCAN, found.at) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("offset_s", [None, 0.0, 20.0])
def test_an_impossible_frame_reference_time_is_not_used(offset_s: float | None) -> None:
    """0 is not filled in; 20 s would put the start of the scan 40 s after its first frame."""
    found = reference(frame_reference_time_s=offset_s)
    assert found.case == "start, acquisition time"
    assert found.at == SCAN


def test_the_private_scan_time_goes_first() -> None:
    private = SCAN - timedelta(seconds=30)
    found = reference(scan_reference_at=private, frame_reference_time_s=MIDDLE_OF_120_S_OF_18F)
    assert found.at == private


def test_a_series_time_before_the_first_frame_is_the_reference() -> None:
    """Normal case, whatever else the header offers."""
    started = SCAN - timedelta(seconds=1)
    assert reference(series_started_at=started, scan_reference_at=SCAN, frame_reference_time_s=60.0).at == started
