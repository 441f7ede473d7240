"""Stored pixels of a file. Plain little-endian ones are taken from the file as they lie; everything else is pydicom's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lutra.core.errors import Unreadable
from lutra.ingest.elements import count, number, text
from lutra.ingest.files import UNDEFINED_LENGTH, Parsed, parsed

PIXEL_DATA = b"\xe0\x7f\x10\x00"
"""Tag (7FE0,0010) as it lies in a little-endian file."""
GREY = {"MONOCHROME1", "MONOCHROME2"}
MOST_PIXELS_PER_BYTE = 5000
"""An empty image compresses to a fifth of this; a header of nonsense claims a million."""


def planes_of(path: Path, shape: tuple[int, int]) -> tuple[Dataset, npt.NDArray[Any]]:
    """Read a file and its pixels before any rescale.

    Parameters
    ----------
    shape
        Rows and columns that the pixels must have.

    Returns
    -------
    header
        The dataset without its pixels.
    planes
        (frames, rows, columns)

    Raises
    ------
    Unreadable
        If the file or its pixel data is broken, or has another size.
    """
    file = parsed(path)
    planes = _plain(path, file, shape)
    if planes is None:
        planes = _decoded(path, file.header, shape)
    return file.header, planes


def require_believable(path: Path, header: Dataset) -> None:
    """Refuse a header that claims more pixels than the file could hold, before room is made for them.

    Raises
    ------
    InputError
        Naming both sizes.
    """
    rows, columns, frames = count(header, "Rows"), count(header, "Columns"), _frame_count(header)
    size = path.stat().st_size
    if rows * columns * frames > MOST_PIXELS_PER_BYTE * size:
        raise Unreadable(
            f"{frames} frames of {rows} × {columns} pixels in a file of {size} bytes",
            where=f"{path} (0028,0008), (0028,0010), (0028,0011)",
            required="as many pixels as the header says",
            do="export the file again",
        )


def _plain(path: Path, parsed_: Parsed, shape: tuple[int, int]) -> npt.NDArray[Any] | None:
    """Pixels of the commonest kind of file, read in one piece; None if it is of another kind or anything looks odd.

    pydicom's decoder costs more than reading the bytes: this halves the time of a CT.
    """
    header = parsed_.header
    syntax = text(header.file_meta, "TransferSyntaxUID")
    if syntax not in {ExplicitVRLittleEndian, ImplicitVRLittleEndian}:
        return None
    allocated, stored = number(header, "BitsAllocated"), number(header, "BitsStored")
    signed = number(header, "PixelRepresentation")
    if allocated != 16 or number(header, "SamplesPerPixel") != 1 or signed not in {0.0, 1.0}:
        return None
    if stored is None or number(header, "HighBit") != stored - 1 or (signed and stored != 16):
        return None
    if text(header, "PhotometricInterpretation") not in GREY:
        return None
    if number(header, "Rows") != shape[0] or number(header, "Columns") != shape[1]:
        return None
    with path.open("rb") as file:
        file.seek(parsed_.pixels_at)
        lead = file.read(12 if syntax == ExplicitVRLittleEndian else 8)
        length = int.from_bytes(lead[-4:], "little")
        frames, rest = divmod(length, 2 * shape[0] * shape[1])
        known = lead[:4] == PIXEL_DATA and length != UNDEFINED_LENGTH and not rest
        if not known or frames != (number(header, "NumberOfFrames") or 1):
            return None
        raw = file.read(length)
    if len(raw) != length:
        return None
    planes: npt.NDArray[Any] = np.frombuffer(raw, "<i2" if signed else "<u2").reshape(frames, *shape)
    # More than the stored bits: an overlay may hide there, so pydicom decides.
    return planes if stored == 16 or planes.max() < 2**stored else None


def _require_values(path: Path, header: Dataset) -> None:
    kind = text(header, "PhotometricInterpretation")
    if kind not in GREY:
        raise Unreadable(
            f"photometric interpretation {kind or 'missing'}",
            where=f"{path} (0028,0004)",
            required="grey values, MONOCHROME1 or MONOCHROME2",
        )
    stored, high = number(header, "BitsStored"), number(header, "HighBit")
    if stored is not None and high is not None and high != stored - 1:
        raise Unreadable(
            f"High Bit {high:g} and Bits Stored {stored:g}",
            where=f"{path} (0028,0102), (0028,0101)",
            required="the high bit one less than the bits stored; otherwise which bits are the value is not known",
            do="export the file again",
        )


def _decoded(path: Path, header: Dataset, shape: tuple[int, int]) -> npt.NDArray[Any]:
    _require_values(path, header)
    require_believable(path, header)
    try:
        file = pydicom.dcmread(path)
        pixels = file.pixel_array
    except Exception as error:
        raise Unreadable(
            f"pixel data cannot be read: {error}",
            where=f"{path} (7FE0,0010)",
            required=f"{shape[0]} × {shape[1]} pixels of {text(header, 'BitsAllocated')} bits",
            do="export the file again; if it is whole and compressed, install the decoders: pip install 'lutra[codecs]'",
        ) from error
    if pixels.ndim == 2:
        pixels = pixels[None]
    wanted = (_frame_count(header), *shape)
    if pixels.shape != wanted:
        raise Unreadable(
            f"pixel array of {pixels.shape}",
            where=f"{path} (7FE0,0010)",
            required=f"{wanted[0]} frames of {shape[0]} × {shape[1]} pixels, as the header says",
            do="export the file again",
        )
    _require_no_rest(path, file, pixels)
    return pixels


def _frame_count(header: Dataset) -> int:
    return count(header, "NumberOfFrames") if text(header, "NumberOfFrames") else 1


def _require_no_rest(path: Path, file: Dataset, pixels: npt.NDArray[Any]) -> None:
    """Uncompressed pixels that go on after the last row were written for another matrix than the header says."""
    if UID(text(file.file_meta, "TransferSyntaxUID")).is_compressed:
        return
    there, used = len(file.PixelData), (pixels.size * int(file.BitsAllocated) + 7) // 8
    if there not in {used, used + used % 2}:
        raise Unreadable(
            f"{there} bytes of pixel data where the header describes {used}",
            where=f"{path} (7FE0,0010)",
            required="rows × columns × frames × bits allocated / 8",
            do="export the file again",
        )
