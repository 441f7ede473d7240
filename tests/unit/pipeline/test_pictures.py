"""Which pictures of a lesion a report gets, and that what is drawn on them lies where it was measured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.response import DiameterPair
from lutra.core.study import Role, SeriesHeader, Subject, Timepoint
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.pictures import PictureCutter, beside_spect
from lutra.pipeline.record import LesionRecord, ObservationRecord, SeriesRecord, SubjectRecord
from lutra.store.artifacts import ArtifactStore

AT = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)
AFFINE = np.array([[4.0, 0, 0, -100], [0, 4, 0, -80], [0, 0, 5, 0], [0, 0, 0, 1]])
SERIES = {  # role, unit, frame of reference, day
    "diagnostic": (Role.CT, Unit.HU, "one", 0),
    "pet": (Role.FDG_PET, Unit.SUV_BW, "two", 1),
    "low-dose": (Role.CT, Unit.HU, "three", 8),
    "spect": (Role.THERAPY_SPECT, Unit.BQ_PER_ML, "three", 8),
}
LESION = (slice(30, 35), slice(20, 24), slice(6, 9))
"""From 18 to 38 mm to the left, -2 to 14 mm to the back, 27.5 to 42.5 mm to the head; centre (28, 6, 35)."""


@pytest.fixture
def cut(tmp_path: Path) -> tuple[Any, Any, dict[str, bytes], frozenset[str]]:
    """A lesion in a diagnostic CT, a PET, and a SPECT with its CT; a reader drew its diameters one slice below its centre."""
    store = ArtifactStore(tmp_path / "artifacts")

    def made(value: Any) -> Made:
        return Made(store.put(value), "receipt")

    drawn = DiameterPair(
        20, 16, np.array([[18, 6, 30], [38, 6, 30]]), np.array([[28, -2, 30], [28, 14, 30]]), 6, "reader 1"
    )
    records, observations, timepoints = [], [], []
    for uid, (role, unit, frame, day) in SERIES.items():
        grid = Grid((50, 40, 16), AFFINE, frame)
        values = np.zeros(grid.shape, np.float32)
        values[LESION] = 100
        header = SeriesHeader(uid, "1", "P", "XX", "1", uid, "", "", (), frame, (), grid)
        timepoints.append(
            Timepoint(uid, role, uid, 1 if role is Role.THERAPY_SPECT else None, AT + timedelta(day), None)
        )
        region = Region(
            "lesion", RegionKind.LESION, grid, (30, 20, 6), np.ones((5, 4, 3)), None, RegionOrigin.DRAWN, "test"
        )
        records.append(SeriesRecord(uid, uid, made(header), made(Volume(values, grid, unit)), None, 0))
        reference = f"{store.put((region,))}[0]"
        observations.append(
            ObservationRecord(uid, uid, reference, "lesion", made(0.0), made(drawn) if role is Role.CT else None)
        )
    record = SubjectRecord(
        Subject("P", None, (), tuple(timepoints)),
        tuple(records),
        (LesionRecord("L01", "lesion", tuple(observations), (), None),),
        (),
        (),
    )
    conductor, images = Conductor(store, None), {}  # type: ignore[arg-type, var-annotated]
    cutter = PictureCutter(conductor, record, "p", images)
    return cutter.lesions(), cutter.projections(), images, beside_spect(conductor, record)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)), dtype=float)


def test_every_image_but_the_ct_of_a_spect_has_a_picture(cut: Any) -> None:
    pictures, _, images, beside = cut
    assert beside == {"low-dose"}
    assert set(pictures) == {("L01", uid) for uid in ("diagnostic", "pet", "spect")}
    assert {p.file for p in pictures.values()} < set(images)
    assert [pictures["L01", uid].white for uid in ("diagnostic", "pet", "spect")] == [False, True, False]


def test_a_spect_lies_in_colour_over_its_ct_and_a_pet_without_ct_stands_alone(cut: Any) -> None:
    pictures, _, images, _ = cut
    assert "over CT" in pictures["L01", "spect"].window_text
    assert pixels(images[pictures["L01", "spect"].file]).ndim == 3
    assert "over CT" not in pictures["L01", "pet"].window_text
    assert pixels(images[pictures["L01", "pet"].file]).ndim == 2


def test_diameters_lie_on_ct_in_their_slice_with_who_drew_them(cut: Any) -> None:
    """In a field of 100 mm about (28, 6): ends 10 mm to either side, and 8 mm above and below."""
    pictures, _, _, _ = cut
    picture = pictures["L01", "diagnostic"]
    assert picture.drawn_by == "reader 1"
    long, short = (np.array(line) for line in picture.diameters)
    assert long == pytest.approx(np.array([[0.4, 0.5], [0.6, 0.5]]))
    assert short == pytest.approx(np.array([[0.5, 0.42], [0.5, 0.58]]))
    (outline,) = (np.array(line) for line in picture.outlines)
    assert (outline.min(axis=0), outline.max(axis=0)) == (
        pytest.approx([0.4, 0.42], abs=0.006),
        pytest.approx([0.6, 0.58], abs=0.006),
    )
    assert all(pictures["L01", uid].diameters == () for uid in ("pet", "spect"))


def test_projections_of_pet_and_spect_mark_the_lesion(cut: Any) -> None:
    """The image spans -102 to 98 mm to the left and -2.5 to 77.5 mm to the head."""
    _, projections, images, _ = cut
    assert [p.label for p in projections] == ["pet", "spect"]
    for projection in projections:
        assert pixels(images[projection.file]).shape == (projection.height, projection.width)
        assert projection.width / projection.height == pytest.approx(200 / 80, rel=0.01)
        ((name, (outline,)),) = projection.marks
        assert name == "L01"
        assert np.mean([np.min(outline, axis=0), np.max(outline, axis=0)], axis=0) == pytest.approx(
            [(28 + 102) / 200, (77.5 - 35) / 80], abs=0.01
        )
