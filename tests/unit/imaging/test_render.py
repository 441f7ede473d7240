"""Pictures are in the radiological convention, and the outline lies on what it outlines."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.render import crop_png, mip_png, outline_in_crop

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
    picture = pixels(crop_png(volume, (0, 0, 0), 100, (0, 100), "grey"))
    assert centre_of(picture) == pytest.approx([0.7, 0.6], abs=0.005)
    (line,) = outline_in_crop(region, (0, 0, 0), 100)
    assert line.mean(axis=0) == pytest.approx([0.7, 0.6], abs=0.01)
    # Pixel centres up to 4 mm from the middle are inside in the slices 2 mm above and below: half way is 5 mm.
    assert np.ptp(line, axis=0) == pytest.approx([0.10, 0.10], abs=0.005)


def test_scales() -> None:
    volume, _ = spot(PLAIN, (0, 0, -2))
    grey, inverted, hot = (
        pixels(crop_png(volume, (0, 0, -2), 40, (0, 200), scale, pixels=41)) for scale in ("grey", "inverted", "hot")
    )
    assert grey[20, 20] == 128  # half the window
    assert inverted[20, 20] == 128
    assert (inverted[0, 0], grey[0, 0]) == (255, 0)
    assert hot[20, 20].tolist() == [255, 128, 0]


def test_beyond_the_image_is_black_in_every_scale() -> None:
    volume, _ = spot(PLAIN, (0, 0, 0))
    picture = pixels(crop_png(volume, (-50, 0, 0), 60, (0, 100), "inverted"))
    assert picture[:, 0].max() == 0
    assert picture[:, -1].min() == 255


def test_an_empty_image_is_black_without_a_warning() -> None:
    """The window of a cycle in which a lesion holds nothing has no width."""
    volume, _ = spot(PLAIN, (0, 0, 0))
    empty = Volume(np.zeros_like(volume.values), volume.grid, volume.unit)
    assert pixels(crop_png(empty, (0, 0, 0), 20, (0, 0), "hot")).max() == 0


def test_region_in_another_plane_has_no_outline() -> None:
    _, region = spot(PLAIN, (0, 0, -10))
    assert outline_in_crop(region, (0, 0, 20), 100) == ()


@pytest.mark.parametrize("affine", [PLAIN, MIRRORED])
def test_projection_has_the_head_on_top_and_true_proportions(affine: npt.NDArray[np.float64]) -> None:
    """The image spans -51 to 49 mm from right to left and -32 to 28 mm from foot to head."""
    volume, _ = spot(affine, (19, 9, 16))
    picture = pixels(mip_png(volume, (0, 100), "grey", 180))
    assert picture.shape == (180, 300)
    assert centre_of(picture) == pytest.approx([(19 + 51) / 100, (28 - 16) / 60], abs=0.02)
