"""Pictures are in the radiological convention, and the outline lies on what it outlines."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.transform import Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.projection import mip_png, outline_in_mip
from lutra.imaging.render import OPACITY, checkerboard_png, crop_png, fused_png
from lutra.imaging.section import Section, View

PLAIN = np.array([[2.0, 0, 0, -50], [0, 2, 0, -40], [0, 0, 4, -30], [0, 0, 0, 1]])
MIRRORED = np.array([[-2.0, 0, 0, 48], [0, -2, 0, 38], [0, 0, -4, 26], [0, 0, 0, 1]])


def spot(affine: npt.NDArray[np.float64], at_lps_mm: tuple[float, float, float]) -> tuple[Volume, Region]:
    """A ball of 6 mm radius of value 100 on zero."""
    grid = Grid((50, 40, 15), affine, "frame")
    where = grid.to_lps_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    ball = (np.linalg.norm(where - at_lps_mm, axis=-1) <= 6).astype(np.float32)
    region = Region("ball", RegionKind.LESION, grid, (0, 0, 0), ball, None, RegionOrigin.DRAWN, "test")
    return Volume(100 * ball, grid, Unit.ONE), region


def pixels(png: bytes) -> npt.NDArray[np.float64]:
    return np.asarray(Image.open(BytesIO(png)), dtype=float)


def centre_of(picture: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Centre of gravity in shares of the picture, (x right, y down)."""
    rows, columns = (np.arange(n) + 0.5 for n in picture.shape)
    return np.array(
        [
            (picture.sum(axis=0) @ columns) / picture.sum() / picture.shape[1],
            (picture.sum(axis=1) @ rows) / picture.sum() / picture.shape[0],
        ]
    )


@pytest.mark.parametrize("affine", [PLAIN, MIRRORED])
def test_patient_left_is_right_and_back_is_down(affine: npt.NDArray[np.float64]) -> None:
    """A spot 20 mm to the patient's left and 10 mm to the back of the centre of a 100 mm field: at (0.7, 0.6)."""
    volume, region = spot(affine, (20, 10, 0))
    section = Section((0, 0, 0), 100)
    picture = pixels(crop_png(volume, section, (0, 100), "grey"))
    assert centre_of(picture) == pytest.approx([0.7, 0.6], abs=0.005)
    (line,) = section.outlines(region)
    assert line.mean(axis=0) == pytest.approx([0.7, 0.6], abs=0.01)
    # Pixel centres up to 4 mm from the middle are inside in the slices 2 mm above and below: half way is 5 mm.
    assert np.ptp(line, axis=0) == pytest.approx([0.10, 0.10], abs=0.005)


def test_scales() -> None:
    volume, _ = spot(PLAIN, (0, 0, -2))
    grey, inverted, hot = (
        pixels(crop_png(volume, Section((0, 0, -2), 40, pixels=41), (0, 200), scale))
        for scale in ("grey", "inverted", "hot")
    )
    assert grey[20, 20] == 128  # half the window
    assert inverted[20, 20] == 128
    assert (inverted[0, 0], grey[0, 0]) == (255, 0)
    assert hot[20, 20].tolist() == [255, 128, 0]


def test_beyond_the_image_is_black_in_every_scale() -> None:
    volume, _ = spot(PLAIN, (0, 0, 0))
    picture = pixels(crop_png(volume, Section((-50, 0, 0), 60), (0, 100), "inverted"))
    assert picture[:, 0].max() == 0
    assert picture[:, -1].min() == 255


def test_an_empty_image_is_black_without_a_warning() -> None:
    """The window of a cycle in which a lesion holds nothing has no width."""
    volume, _ = spot(PLAIN, (0, 0, 0))
    empty = Volume(np.zeros_like(volume.values), volume.grid, volume.unit)
    assert pixels(crop_png(empty, Section((0, 0, 0), 20), (0, 0), "hot")).max() == 0


def test_region_in_another_plane_has_no_outline() -> None:
    _, region = spot(PLAIN, (0, 0, -10))
    assert Section((0, 0, 20), 100).outlines(region) == ()


@pytest.mark.parametrize("affine", [PLAIN, MIRRORED])
def test_projection_has_the_head_on_top_and_true_proportions(affine: npt.NDArray[np.float64]) -> None:
    """The image spans -51 to 49 mm from right to left and -32 to 28 mm from foot to head."""
    volume, _ = spot(affine, (19, 9, 16))
    picture = pixels(mip_png(volume, (0, 100), "grey", 180))
    assert picture.shape == (180, 300)
    assert centre_of(picture) == pytest.approx([(19 + 51) / 100, (28 - 16) / 60], abs=0.02)


@pytest.mark.parametrize(("side", "across"), [("coronal", (19 + 51) / 100), ("sagittal", (9 + 41) / 80)])
@pytest.mark.parametrize("affine", [PLAIN, MIRRORED])
def test_projection_from_front_and_left_with_the_outline_on_the_spot(
    affine: npt.NDArray[np.float64], side: str, across: float
) -> None:
    """The image spans -51 to 49 mm to the left, -41 to 39 mm to the back and -32 to 28 mm to the head."""
    volume, region = spot(affine, (19, 9, 16))
    picture = pixels(mip_png(volume, (0, 100), "grey", 180, side))  # type: ignore[arg-type]
    assert picture.shape == (180, {"coronal": 300, "sagittal": 240}[side])
    assert centre_of(picture) == pytest.approx([across, (28 - 16) / 60], abs=0.02)
    (line,) = outline_in_mip(region, volume.grid, side)  # type: ignore[arg-type]
    assert line.mean(axis=0) == pytest.approx([across, (28 - 16) / 60], abs=0.02)


def test_an_image_turned_by_more_than_half_a_right_angle_has_no_projection() -> None:
    turned = np.eye(4)
    turned[:3, :3] = (
        2 * np.array([[2, -1, 2], [2, 2, -1], [-1, 2, 2]]) / 3
    )  # two directions of the body lie nearest to one axis
    volume, _ = spot(turned, (10, 10, 10))
    with pytest.raises(OutsideValidity, match="too oblique for a coronal"):
        mip_png(volume, (0, 100), "grey")


@pytest.mark.parametrize(
    ("view", "at"),
    [("axial", (0.7, 0.6)), ("coronal", (0.7, 0.35)), ("sagittal", (0.6, 0.35))],
)
@pytest.mark.parametrize("affine", [PLAIN, MIRRORED])
def test_views(affine: npt.NDArray[np.float64], view: View, at: tuple[float, float]) -> None:
    """A spot 20 mm to the left, 10 mm to the back and 15 mm to the head, in a field of 100 mm cut through it each way."""
    volume, region = spot(affine, (20, 10, 15))
    centre = {"axial": (0, 0, 15), "coronal": (0, 10, 0), "sagittal": (20, 0, 0)}[view]
    section = Section(centre, 100, view)
    assert centre_of(pixels(crop_png(volume, section, (0, 100), "grey"))) == pytest.approx(at, abs=0.02)
    (line,) = section.outlines(region)
    assert line.mean(axis=0) == pytest.approx(at, abs=0.02)
    assert section.shares([20, 10, 15]) == pytest.approx(at)


def uniform(value: float, frame: str = "frame") -> Volume:
    return Volume(np.full((50, 40, 15), value, np.float32), Grid((50, 40, 15), PLAIN, frame), Unit.ONE)


def test_fusion_is_grey_without_uptake_and_colour_with_it() -> None:
    """Anatomy at half its window. At the top of the scale white covers it by OPACITY; where there is nothing it is untouched."""
    hot, _ = spot(PLAIN, (20, 10, -2))
    picture = pixels(fused_png(uniform(0.5), hot, Section((0, 0, -2), 100, pixels=101), (0, 1), (0, 100)))
    assert picture[10, 10] == pytest.approx([128] * 3, abs=1)
    assert picture[60, 70] == pytest.approx([255 * (OPACITY + (1 - OPACITY) / 2)] * 3, abs=1)


def test_fusion_through_a_transform_puts_uptake_where_it_belongs() -> None:
    """The functional image is 30 mm off to the right in its own frame: fixed = moving + 30 mm to the left."""
    moving, _ = spot(PLAIN, (-10, 10, -2))
    shift = np.eye(4)
    shift[0, 3] = 30
    transform = Transform("frame", "other", shift, None, "test")
    section = Section((0, 0, -2), 100, pixels=101)
    picture = pixels(fused_png(uniform(0.0), moving, section, (0, 1), (0, 100), transform))
    assert centre_of(picture.sum(axis=-1)) == pytest.approx([0.7, 0.6], abs=0.005)
    # Beyond the functional image there is nothing to lay over: the patient's right of -51 + 30 mm.
    covered = pixels(fused_png(uniform(0.0), uniform(100.0), section, (0, 1), (0, 100), transform))
    assert covered[50, 27].max() == 0
    assert covered[50, 31].min() > 0


def test_a_checkerboard_shows_both_images_in_turn_and_one_image_if_they_are_the_same() -> None:
    section = Section((0, 0, 0), 40, pixels=60)
    picture = pixels(checkerboard_png(uniform(1.0), uniform(0.25), section, (0, 1), (0, 1)))
    assert picture[5, 5] == 255  # the first square is of the fixed image
    assert picture[5, 15] == picture[15, 5] == 64
    assert picture[15, 15] == 255
    volume, _ = spot(PLAIN, (3, 2, 0))
    same = checkerboard_png(volume, volume, section, (0, 100), (0, 100))
    assert np.array_equal(pixels(same), pixels(crop_png(volume, section, (0, 100), "grey")))
