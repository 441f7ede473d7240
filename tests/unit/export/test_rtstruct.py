"""Contours written and read again with pydicom."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pydicom
import pytest

from lutra.core.errors import UsageError
from lutra.core.region import ContourSet
from lutra.core.study import SeriesHeader
from lutra.export import PatientIdentity, write_rtstruct

PATIENT = PatientIdentity("P-1", "One^Patient", "F", 66.0, 1.68)
DRAWN_AT = datetime(2026, 1, 6, 10, tzinfo=timezone(timedelta(hours=1)))
CT = "1.2.840.10008.5.1.4.1.1.2"
TRIANGLE = np.array([[-0.5, 20.25, -7.0], [10.125, 20.25, -7.0], [3.0, 31.0625, -7.0]])
DRAWN_ON = SeriesHeader(
    "1.2.3", "1.2.4", "P-1", "CT", CT, "", "Lutra simulate", "", ("ORIGINAL",), "1.2.9", ("1.2.3.1", "1.2.3.2")
)


def contour_set(
    name: str, *polygons: np.ndarray[tuple[int, ...], np.dtype[np.float64]], frame: str = "1.2.9"
) -> ContourSet:
    return ContourSet(name, polygons, frame, "1.2.3", "1.2.5")


def write(path: Path, *sets: ContourSet) -> pydicom.Dataset:
    return pydicom.dcmread(
        write_rtstruct(path, sets, DRAWN_ON, PATIENT, series_uid="1.2.6", instance_uid="1.2.5", drawn_at=DRAWN_AT)
    )


def test_points_come_back_under_their_name(tmp_path: Path) -> None:
    """Two regions of one and two polygons: numbers tie names, contours and observations together."""
    file = write(tmp_path / "r.dcm", contour_set("lesion 1", TRIANGLE), contour_set("liver", TRIANGLE * 2, TRIANGLE))
    names = {roi.ROINumber: roi.ROIName for roi in file.StructureSetROISequence}
    found = {
        names[item.ReferencedROINumber]: [
            np.reshape(c.ContourData, (-1, 3)).astype(float) for c in item.ContourSequence
        ]
        for item in file.ROIContourSequence
    }
    assert [o.ReferencedROINumber for o in file.RTROIObservationsSequence] == list(names)
    assert {name: len(polygons) for name, polygons in found.items()} == {"lesion 1": 1, "liver": 2}
    np.testing.assert_allclose(found["lesion 1"][0], TRIANGLE, atol=5e-5)  # written to 0.1 micrometre
    np.testing.assert_allclose(found["liver"][0], TRIANGLE * 2, atol=5e-5)
    contour = file.ROIContourSequence[0].ContourSequence[0]
    assert (contour.ContourGeometricType, contour.NumberOfContourPoints) == ("CLOSED_PLANAR", 3)


def test_refers_to_the_image_it_was_drawn_on(tmp_path: Path) -> None:
    file = write(tmp_path / "r.dcm", contour_set("lesion 1", TRIANGLE))
    (frame,) = file.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence
    assert {frame.FrameOfReferenceUID, file.FrameOfReferenceUID} == {"1.2.9"}
    assert file.StructureSetROISequence[0].ReferencedFrameOfReferenceUID == "1.2.9"
    assert (study.ReferencedSOPInstanceUID, series.SeriesInstanceUID) == ("1.2.4", "1.2.3")
    images = [(i.ReferencedSOPClassUID, i.ReferencedSOPInstanceUID) for i in series.ContourImageSequence]
    assert images == [(CT, "1.2.3.1"), (CT, "1.2.3.2")]
    assert (file.StructureSetDate, file.StructureSetTime) == ("20260106", "100000.000000")


def test_contours_of_another_frame_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="contours of node are in another frame"):
        write(tmp_path / "r.dcm", contour_set("node", TRIANGLE, frame="1.2.10"))
    assert not list(tmp_path.iterdir())
