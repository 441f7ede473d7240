"""Regions drawn on a multi-frame SPECT, written as SEG: every segment frame names the frame of the SPECT it lies on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.study import DecayCorrection, EnergyWindow, Radiopharmaceutical, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import Algorithm, PatientIdentity, stable_uid, write_nm_recon, write_segmentation
from lutra.ingest import IngestSettings, read_header, read_segmentation
from lutra.segment import SegmentSettings, regions_on_grid

AT = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)
SHAPE = (7, 5, 6)
GRID = Grid(SHAPE, np.array([[4.0, 0, 0, -17], [0, 3, 0, 31], [0, 0, 5, -402], [0, 0, 0, 1]]), stable_uid("frame"))
WINDOWS = (EnergyWindow("208", 187.2, 228.8), EnergyWindow("113", 101.7, 124.3))


@pytest.mark.parametrize("windows", [1, 2])
@pytest.mark.parametrize("against", [False, True])
def test_segments_of_a_spect_name_its_frames(tmp_path: Path, windows: int, *, against: bool) -> None:
    """Slices 2 and 4, frames 3 and 5 of the first window, or 4 and 2 where the file begins with the last slice."""
    header = SeriesHeader(
        stable_uid("nm"), stable_uid("study"), "P", "NM", "", "", "m", "n", (), GRID.frame_of_reference, (stable_uid("one"),),
        acquired_at=AT, decay_correction=DecayCorrection.NONE, frame_duration_s=25.0, acquisition_duration_s=1500.0,
        radiopharmaceutical=Radiopharmaceutical("Lu-177", "x", 7.4e9, AT - timedelta(days=1), None),
        energy_windows=WINDOWS[:windows],
    )  # fmt: skip
    patient = PatientIdentity("P", "P^P", "F", 66, 1.68)
    volumes = [Volume(np.ones(SHAPE), GRID, Unit.STORED)] * windows
    path = write_nm_recon(tmp_path / "nm.dcm", header, volumes, patient, AT, against_normal=against)
    spect = read_header([path], IngestSettings()).value
    mask = (np.random.default_rng(1).random((4, 3, 3)) > 0.3).astype(float)
    mask[:, :, 1] = 0
    drawn = Region("lesion", RegionKind.LESION, spect.grid, (2, 1, 2), mask, None, RegionOrigin.THRESHOLD, "")
    seg = write_segmentation(
        tmp_path / "seg.dcm", (drawn,), [path], spect, series_uid="1.2.8", instance_uid="1.2.9", drawn_at=AT,
        algorithm=Algorithm("threshold", "1", "AUTOMATIC"),
    )  # fmt: skip
    found = regions_on_grid(read_segmentation(seg).value, spect.grid, SegmentSettings(), spect.series_uid)
    assert found.findings == ()
    np.testing.assert_array_equal(found.value[0].fraction, drawn.fraction)
    assert found.value[0].start_ijk == drawn.start_ijk

    named = {}
    for frame in hd.seg.segread(seg).PerFrameFunctionalGroupsSequence:
        (image,) = frame.DerivationImageSequence[0].SourceImageSequence
        assert image.ReferencedSOPInstanceUID == stable_uid("one")
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        named[round(spect.grid.to_ijk([float(x) for x in position])[2])] = image.ReferencedFrameNumber
    first = dict(zip(range(6), spect.frame_indices, strict=False))
    assert named == {k: first[k] + 1 for k in (2, 4)}
    assert named == ({2: 4, 4: 2} if against else {2: 3, 4: 5})
