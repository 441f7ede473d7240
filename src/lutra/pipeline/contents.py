"""What a file that is no image holds, in a line for each region or dose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lutra.core.finding import Finding, Outcome
from lutra.core.region import ContourSet, Region
from lutra.core.volume import Volume
from lutra.ingest import read_contours, read_dose_grid, read_segmentation


def contents(modality: str, paths: Sequence[Path]) -> Outcome[tuple[str, ...]] | None:
    """Say what RTSTRUCT, SEG and RTDOSE files hold; None for other modalities."""
    if modality not in READERS:
        return None
    read, described = READERS[modality]
    lines: list[str] = []
    findings: list[Finding] = []
    for path in paths:
        outcome = read(path)
        findings += outcome.findings
        lines += described(outcome.value) if outcome.value is not None else []
    return Outcome(tuple(lines), findings)


def _contours(sets: tuple[ContourSet, ...]) -> list[str]:
    return [
        f"{one.name}: {len(one.contours_lps_mm)} contours, drawn on series {one.referenced_series_uid or 'unknown'}"
        for one in sets
    ]


def _segments(regions: tuple[Region, ...]) -> list[str]:
    return [
        f"{one.name}: {one.volume_ml:.4g} mL{f', {one.code.meaning}' if one.code else ''}, drawn on series "
        f"{one.referenced_series_uid or 'unknown'}"
        for one in regions
    ]


def _dose(dose: Volume) -> list[str]:
    return [f"dose up to {dose.values.max():.4g} Gy on {dose.grid.describe()}"]


READERS: dict[str, tuple[Callable[[Path], Outcome[Any]], Callable[[Any], list[str]]]] = {
    "RTSTRUCT": (read_contours, _contours),
    "SEG": (read_segmentation, _segments),
    "RTDOSE": (read_dose_grid, _dose),
}
