"""Stored voxels of a series, after the file's own rescale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset

from lutra.core.errors import InputError, Unreadable
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.ingest.clock import text
from lutra.ingest.quiet import quietly
from lutra.ingest.settings import IngestSettings


def read_image(paths: Sequence[Path], header: SeriesHeader, settings: IngestSettings) -> Outcome[Volume]:
    """Read the voxels of a series whose header is known to be consistent.

    Returns
    -------
    Outcome
        Volume in :attr:`~lutra.core.units.Unit.STORED` on the header's grid, each slice rescaled by its own slope and
        intercept; none if any slice is broken.
    """
    _ = settings
    if header.grid is None:
        finding = Finding(Severity.UNDETERMINED, "ingest.no-grid", f"series {header.series_uid} has no geometry")
        return Outcome(None, (finding,))
    columns, rows, n_slices = header.grid.shape
    place = {uid: k for k, uid in enumerate(header.instances)}
    values = np.empty((columns, rows, n_slices), np.float32, order="F")
    filled = np.zeros(n_slices, bool)
    try:
        for path in paths:
            stored = _read(path)
            k = place.get(text(stored, "SOPInstanceUID"))
            if k is None:
                continue
            values[:, :, k] = _rescaled(stored, path, (rows, columns)).T
            filled[k] = True
    except InputError as error:
        return Outcome(None, (Finding(Severity.ERROR, "ingest.image-refused", str(error)),))
    if not filled.all():
        text_ = f"series {header.series_uid}: {int((~filled).sum())} of {n_slices} slices have no file any more"
        return Outcome(None, (Finding(Severity.ERROR, "ingest.slices-missing", text_),))
    return Outcome(Volume(values, header.grid, Unit.STORED, header.acquired_at))


def _read(path: Path) -> Dataset:
    try:
        with quietly():
            return pydicom.dcmread(path)
    except Exception as error:
        raise Unreadable(f"broken DICOM: {error}", where=str(path), do="export it again") from error


def _rescaled(stored: Dataset, path: Path, shape: tuple[int, int]) -> np.ndarray[Any, Any]:
    try:
        with quietly():
            pixels = stored.pixel_array
    except Exception as error:
        raise Unreadable(
            f"pixel data cannot be read: {error}",
            where=f"{path} (7FE0,0010)",
            required=f"{shape[0]} × {shape[1]} pixels of {text(stored, 'BitsAllocated')} bits",
            do="export the file again; it may be truncated",
        ) from error
    if pixels.shape != shape:
        raise Unreadable(f"pixel array of {pixels.shape}", where=f"{path} (7FE0,0010)", required=str(shape))
    if "RescaleSlope" not in stored and "RescaleIntercept" not in stored:
        return np.asarray(pixels, np.float64)
    return pixels.astype(np.float64) * _number(stored, "RescaleSlope", path) + _number(stored, "RescaleIntercept", path)


def _number(stored: Dataset, tag: str, path: Path) -> float:
    try:
        number = float(stored[tag].value)
    except (KeyError, TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number) or (tag == "RescaleSlope" and number == 0):
        code = "(0028,1053)" if tag == "RescaleSlope" else "(0028,1052)"
        raise Unreadable(
            f"{tag} is missing, zero or no number",
            where=f"{path} {code}",
            required="a number",
            do="export the file again",
        )
    return number
