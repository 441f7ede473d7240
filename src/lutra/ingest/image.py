"""Stored voxels of a series, after the file's own rescale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from lutra.core.errors import InputError, Unreadable
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import RealWorldMap, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.ingest.elements import number, text
from lutra.ingest.enhanced import frame_header
from lutra.ingest.files import parsed
from lutra.ingest.mosaic import mosaic_of
from lutra.ingest.pixels import planes_of
from lutra.ingest.quiet import quietly
from lutra.ingest.settings import IngestSettings

EXACT_IN_FLOAT32 = 2.0**24
"""Whole numbers below this keep every digit as float32."""


def read_image(paths: Sequence[Path], header: SeriesHeader, settings: IngestSettings) -> Outcome[Volume]:
    """Read the voxels of a series that holds one volume.

    Returns
    -------
    Outcome
        Volume in :attr:`~lutra.core.units.Unit.STORED` on the header's grid, each slice rescaled by its own slope and
        intercept; none if any slice is broken, or if the series holds several volumes.
    """
    if len(header.volumes) > 1:
        text_ = f"series {header.series_uid} holds {len(header.volumes)} volumes where one is asked for"
        return Outcome(None, (Finding(Severity.ERROR, "ingest.several-volumes", text_),))
    outcome = read_volumes(paths, header, settings)
    return Outcome(outcome.value[0] if outcome.value else None, outcome.findings)


@quietly()
def read_volumes(paths: Sequence[Path], header: SeriesHeader, settings: IngestSettings) -> Outcome[tuple[Volume, ...]]:
    """Read the voxels of every volume of a series whose header is known to be consistent.

    Returns
    -------
    Outcome
        One volume per key of `header.volumes`, in that order, as of :func:`read_image`.
    """
    _ = settings
    if header.grid is None:
        finding = Finding(Severity.UNDETERMINED, "ingest.no-grid", f"series {header.series_uid} has no geometry")
        return Outcome(None, (finding,))
    columns, rows, _ = header.grid.shape
    indices = header.frame_indices or (0,) * len(header.instances)
    place: dict[str, list[tuple[int, int]]] = {}
    for n, (uid, index) in enumerate(zip(header.instances, indices, strict=True)):
        place.setdefault(uid, []).append((n, index))
    # Planes lie one behind another as in the files; seen from outside the axes are still (i, j, k).
    planes = np.empty((0, rows, columns), np.float32)
    filled = np.zeros(len(header.instances), bool)
    try:
        for path in paths:
            stored, pixels = _planes(path, (rows, columns), header.modality)
            if not planes.size:  # not before a file has shown that its header tells no giant image
                planes = np.empty((len(filled), rows, columns), np.float32)
            for n, index in place.get(text(stored, "SOPInstanceUID"), ()):
                if index >= len(pixels):
                    raise Unreadable(f"{len(pixels)} frames, frame {index + 1} is missing", where=str(path))
                _rescale(frame_header(stored, index), path, pixels[index], planes[n], header.real_world)
                filled[n] = True
    except InputError as error:
        return Outcome(None, (Finding(Severity.ERROR, "ingest.image-refused", str(error)),))
    if not filled.all():
        text_ = f"series {header.series_uid}: {int((~filled).sum())} of {len(filled)} slices have no file any more"
        return Outcome(None, (Finding(Severity.ERROR, "ingest.slices-missing", text_),))
    grid = header.grid
    planes.flags.writeable = False  # so that no volume copies them
    blocks = np.split(planes, len(header.volumes))
    return Outcome(tuple(Volume(block.T, grid, Unit.STORED, header.acquired_at) for block in blocks))


def _planes(path: Path, shape: tuple[int, int], modality: str) -> tuple[Dataset, npt.NDArray[Any]]:
    """Header and planes of a file, those of a mosaic cut out of its one picture."""
    mosaic = mosaic_of(parsed(path).header) if modality == "MR" else None
    if mosaic is None:
        return planes_of(path, shape)
    header, pictures = planes_of(path, mosaic.stored(shape))
    return header, mosaic.cut(pictures)


def _rescale(
    stored: Dataset,
    path: Path,
    pixels: npt.NDArray[Any],
    into: npt.NDArray[np.float32],
    real_world: RealWorldMap | None,
) -> None:
    """Slope and intercept of the file, (0028,1053) and (0028,1052), or its real world map; as stored where it has neither."""
    if "ModalityLUTSequence" in stored:
        raise Unreadable(
            "a modality lookup table is not read by this version",
            where=f"{path} (0028,3000)",
            required="a rescale, or neither",
        )
    plain = "RescaleSlope" not in stored and "RescaleIntercept" not in stored
    if real_world is not None:
        slope, intercept = real_world.slope, real_world.intercept
    elif plain and text(stored, "Modality") != "PT":
        slope, intercept = 1.0, 0.0
    else:
        slope, intercept = _given(stored, "RescaleSlope", path), _given(stored, "RescaleIntercept", path)
    whole = slope == int(slope) and intercept == int(intercept)
    if whole and pixels.dtype.itemsize <= 2 and abs(slope) * 2**16 + abs(intercept) < EXACT_IN_FLOAT32:
        into[...] = pixels
        if slope != 1:
            into *= np.float32(slope)
        if intercept:
            into += np.float32(intercept)
        return
    with np.errstate(over="ignore", invalid="ignore"):
        into[...] = pixels * np.float64(slope) + intercept
    if not np.isfinite(into).all():
        raise Unreadable("a pixel is not a finite number", where=f"{path} (7FE0,0010)", do="export the file again")


def _given(stored: Dataset, tag: str, path: Path) -> float:
    value = number(stored, tag)
    if value is None or (tag == "RescaleSlope" and value == 0):
        code = "(0028,1053)" if tag == "RescaleSlope" else "(0028,1052)"
        raise Unreadable(
            f"{tag} is missing, zero or no number",
            where=f"{path} {code}",
            required="a number",
            do="export the file again",
        )
    return value
