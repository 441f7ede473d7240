"""Values to colours, and colours to PNG."""

from __future__ import annotations

from io import BytesIO
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

Scale = Literal["grey", "inverted", "hot"]
Picture = npt.NDArray[np.float64]
"""Red, green and blue, or one grey; 0 to 1. (row, column, 3) or (row, column)"""

COMPRESSION = 6
"""zlib's own default: the next steps take six times as long and save 4 %."""


def level(values: npt.NDArray[np.floating], window: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Where values lie in a window, 0 to 1. Something that is no number is at the bottom."""
    low, high = window
    # A window of no width, as of an image that is empty there, shows what lies above it and nothing else.
    width = max(high - low, float(np.finfo(np.float32).tiny))
    return np.asarray(np.nan_to_num(np.clip((values.astype(np.float64) - low) / width, 0, 1)))


def colours(share: npt.NDArray[np.float64], scale: Scale) -> Picture:
    """Colours of levels: `grey` black to white, `inverted` white to black, `hot` black through red and yellow to white."""
    if scale == "hot":
        return np.clip(np.stack([3 * share, 3 * share - 1, 3 * share - 2], axis=-1), 0, 1)
    return 1 - share if scale == "inverted" else share


def png(picture: Picture, shown: npt.NDArray[np.bool_]) -> bytes:
    """Write a picture as PNG; what is not shown is black. (row, column)"""
    pixels = np.rint(255 * picture).astype(np.uint8)
    pixels[~shown] = 0
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=COMPRESSION)
    return file.getvalue()
