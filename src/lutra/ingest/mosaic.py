"""Classic MR files that hold all slices of a volume side by side in one picture."""

from __future__ import annotations

from math import ceil, isqrt
from pathlib import Path
from typing import Any

import numpy.typing as npt
from attrs import evolve, frozen
from pydicom import Dataset

from lutra.core.errors import InputError
from lutra.ingest.classic import classic_frame
from lutra.ingest.elements import count, many, text
from lutra.ingest.enhanced import laid_over
from lutra.ingest.frames import Frame

UIH_CREATOR = "Image Private Header"
UIH_FRAMES = 0x51


@frozen
class Mosaic:
    """How the slices lie in the picture: `across` in a row of tiles, `down` rows of them, `n` in all, row after row."""

    n: int
    across: int
    down: int

    def stored(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the picture, from those of a tile."""
        return shape[0] * self.down, shape[1] * self.across

    def cut(self, pictures: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Tiles of the one picture of a file. (n, rows, columns)"""
        _, rows, columns = pictures.shape
        tiles = pictures.reshape(self.down, rows // self.down, self.across, columns // self.across)
        return tiles.swapaxes(1, 2).reshape(-1, rows // self.down, columns // self.across)[: self.n]


def mosaic_of(header: Dataset) -> Mosaic | None:
    """Tell how a file is tiled; None if it holds one plane.

    UIH: `VFRAME` in (0008,0008); (0065,1050) slices, ceil(sqrt(n)) across [dcm2niix, notes on UIH].

    Raises
    ------
    InputError
        If the file is a Siemens mosaic, or does not say what it holds.
    """
    types = {str(v).upper() for v in many(header, "ImageType")}
    if "MOSAIC" in types:
        raise InputError(
            "a Siemens mosaic",
            where=f"{getattr(header, 'filename', '')} (0008,0008)",
            required="one slice per file, or an enhanced object: the places of its slices are in a private header",
            do="export the series from the scanner without mosaic",
        )
    if "VFRAME" not in types or not text(header, "Manufacturer").upper().startswith("UIH"):
        return None
    n = len(_uih_frames(header))
    across = isqrt(n - 1) + 1
    down = ceil(n / across)
    rows, columns = count(header, "Rows"), count(header, "Columns")
    if rows % down or columns % across:
        raise InputError(
            f"{n} slices in a picture of {rows} × {columns}",
            where=f"{getattr(header, 'filename', '')} (0065,1050)",
            required=f"{down} × {across} equal tiles",
        )
    return Mosaic(n, across, down)


def mr_frames(path: Path, header: Dataset, zone: str) -> tuple[Frame, ...]:
    """Read the plane of a classic MR file, or the planes of a UIH mosaic."""
    mosaic = mosaic_of(header)
    if mosaic is None:
        return (classic_frame(path, header, zone),)
    shape = count(header, "Columns") // mosaic.across, count(header, "Rows") // mosaic.down
    frames = (classic_frame(path, laid_over(header, item), zone) for item in _uih_frames(header))
    return tuple(evolve(frame, index=index, shape=shape) for index, frame in enumerate(frames))


def _uih_frames(header: Dataset) -> list[Dataset]:
    """Items of (0065,1051): position and time of each tile."""
    try:
        found = list(header.private_block(0x0065, UIH_CREATOR)[UIH_FRAMES].value)
    except Exception:  # noqa: BLE001  (a vendor's own element: no standard says what it must be)
        found = []
    if not found or not all(isinstance(item, Dataset) for item in found):
        raise InputError(
            "a UIH mosaic without the places of its slices",
            where=f"{getattr(header, 'filename', '')} (0065,1051)",
            required="the private sequence of frames",
            do="export the series again with private elements",
        )
    return found
