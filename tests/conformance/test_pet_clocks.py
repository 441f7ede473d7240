"""How real scanners keep time: beds, frames and decay factors of whole series."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pydicom
import pytest
from attrs import evolve

from lutra.core.study import DecayCorrection, SeriesHeader
from lutra.core.time import seconds_between
from lutra.ingest import IngestSettings, read_header, scan
from lutra.quantify import decay_reference, suv_bw_factor

Archive = Callable[[str], Path]
SIEMENS, GE = "pet_fdg_siemens_qinhn0139_seg", "pet_fdg_ge_sts001"


def pet_of(folder: Path) -> tuple[SeriesHeader, list[Path]]:
    paths = [Path(f.path) for f in scan([folder]).files if f.modality == "PT"]
    header = read_header(paths, IngestSettings()).value
    assert header is not None
    return header, paths


def made_again(header: SeriesHeader) -> SeriesHeader:
    """The same series with the series time of a reconstruction two hours later."""
    assert header.series_started_at is not None
    return evolve(header, series_started_at=header.series_started_at + timedelta(hours=2))


def test_nine_beds_lead_back_to_one_start(archive: Archive) -> None:
    """Counted back from any of the 545 slices, the scan started at the series time the scanner wrote."""
    header, _ = pet_of(archive(SIEMENS))
    assert len(set(header.slice_acquired_at)) == 9
    assert suv_bw_factor(header).case == "BQML, start, series time"
    found = decay_reference(made_again(header)).value
    assert found is not None
    assert found.case == "start, from frame reference time"
    assert header.series_started_at is not None
    assert seconds_between(header.series_started_at, found.at) == pytest.approx(0, abs=2e-3)  # headers carry ms


def test_one_acquisition_time_for_six_beds_is_that_of_the_scan(archive: Archive) -> None:
    """GE writes frame times from 0 to 1215 s beside one acquisition time: counting back would err by 20 min, 13.6 %."""
    header, _ = pet_of(archive(GE))
    assert len(set(header.slice_acquired_at)) == 1
    assert max(header.slice_frame_reference_s) == 1215
    found = decay_reference(made_again(header)).value
    assert found is not None
    assert (found.case, found.at) == ("start, acquisition time", header.series_started_at)


def test_undoing_the_scanners_decay_correction_gives_the_same_suv(archive: Archive) -> None:
    """Divided by each slice's Decay Factor (0054,1321) the image is uncorrected; slice by slice its SUV must be what it was.

    The scanner's own factors are the reference. They agree with its half-life and clock to 1e-6.
    """
    header, paths = pet_of(archive(SIEMENS))
    files = (pydicom.dcmread(path, stop_before_pixels=True) for path in paths)
    scanner = {str(f.SOPInstanceUID): float(f.DecayFactor) for f in files}
    uncorrected = suv_bw_factor(evolve(header, decay_correction=DecayCorrection.NONE))
    assert uncorrected.case == "BQML, none, slice by slice"
    assert len(set(uncorrected.slice_values)) == 9
    corrected = suv_bw_factor(header).value
    assert corrected is not None
    for uid, factor in zip(header.instances, uncorrected.slice_values, strict=True):
        assert factor / scanner[uid] == pytest.approx(corrected, rel=1e-6)
