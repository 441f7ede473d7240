"""Delineation in real images from a seed in every lesion that somebody drew, against their drawing.

The tumours of the head and neck FDG PET were drawn generously (the lowest SUV inside is a quarter of the highest in the median
tumour), so that a share of the maximum gives less volume; what must hold is that the region lies in the drawing, that the
method nearest to how they were drawn agrees with it, and that what cannot be told is refused instead of invented.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from attrs import evolve

from lutra.core.finding import Outcome
from lutra.core.region import Region, RegionKind
from lutra.core.study import Role
from lutra.core.volume import Volume
from lutra.ingest import IngestSettings, read_contours, read_header, read_image, read_segmentation
from lutra.quantify import QuantifySettings, quantify
from lutra.segment import (
    SPECT,
    DelineationSettings,
    Method,
    SegmentSettings,
    delineate,
    regions_from_contours,
    regions_on_grid,
)

Archive = Callable[[str], Path]
PET = DelineationSettings(fwhm_mm=7.0, smallest_diameter_mm=8.0)


def read(paths: list[Path], role: Role) -> tuple[Volume, str]:
    header = read_header(paths, IngestSettings()).value
    image = quantify(header, read_image(paths, header, IngestSettings()).value, role, QuantifySettings()).value
    return image, header.series_uid


def dice_and_share_inside(found: Region, drawn: Region) -> tuple[float, float]:
    one, other = (np.zeros(found.grid.shape, np.float32) for _ in range(2))
    one[found.box], other[drawn.box] = found.fraction, drawn.fraction
    both = float(np.minimum(one, other).sum())
    return 2 * both / float(one.sum() + other.sum()), both / float(one.sum())


@pytest.fixture(scope="module")
def head_and_neck(archive: Archive) -> tuple[Volume, tuple[Region, ...]]:
    folder = archive("pet_fdg_siemens_qinhn0139_seg") / "seg_dicom4qi" / "data_3"
    image, uid = read(sorted((folder / "image").iterdir()), Role.FDG_PET)
    (path,) = (folder / "mask").iterdir()
    return image, regions_on_grid(read_segmentation(path).value, image.grid, SegmentSettings(), uid).value


def all_of(
    image: Volume, drawn: tuple[Region, ...], method: Method, share: float
) -> list[tuple[Region, Outcome[Region]]]:
    settings = evolve(PET, method=method, share=share)
    return [(r, delineate(image, r, settings, tuple(o for o in drawn if o is not r), r.name)) for r in drawn]


@pytest.mark.parametrize(
    ("method", "share", "least_dice", "least_volume"),
    [
        (Method.PERCENT_OF_MAX, 0.41, 0.65, 0.5),
        (Method.SPHERE_ADAPTED, 0.5, 0.6, 0.45),
        (Method.BACKGROUND_ADAPTED, 0.5, 0.42, 0.25),
    ],
)
def test_eleven_tumours_lie_in_their_drawings(
    head_and_neck: tuple[Volume, tuple[Region, ...]],
    method: Method,
    share: float,
    least_dice: float,
    least_volume: float,
) -> None:
    image, drawn = head_and_neck
    made = [(r, o.value) for r, o in all_of(image, drawn, method, share) if o.value is not None]
    assert len(made) >= 8
    scores = [dice_and_share_inside(found, r) for r, found in made]
    assert np.median([inside for _, inside in scores]) > 0.95
    assert np.median([dice for dice, _ in scores]) > least_dice
    assert least_volume < np.median([found.volume_ml / r.volume_ml for r, found in made]) < 1


def test_what_runs_into_a_neighbour_is_said(head_and_neck: tuple[Volume, tuple[Region, ...]]) -> None:
    """Of any region more than a tenth of which lies outside its drawing, or that was not made, a Finding tells why."""
    image, drawn = head_and_neck
    for r, outcome in all_of(image, drawn, Method.BACKGROUND_ADAPTED, 0.5):
        if outcome.value is None or dice_and_share_inside(outcome.value, r)[1] < 0.9:
            assert outcome.findings


def test_a_sarcoma_that_is_hot_in_places_is_not_taken_for_its_hottest_place(archive: Archive) -> None:
    """365 mL with a SUV of 0.2 to 7.9: half of the maximum is the border of a spot in it, not of the tumour."""
    folder = archive("pet_fdg_ge_sts001")
    files = sorted(folder.rglob("*.dcm"))
    image, uid = read([p for p in files if _modality(p) == "PT"], Role.FDG_PET)
    contours = read_contours(next(p for p in files if _modality(p) == "RTSTRUCT")).value
    tumour = next(
        r
        for r in regions_from_contours(contours, image.grid, SegmentSettings(), uid).value
        if r.kind is RegionKind.LESION
    )
    outcome = delineate(image, tumour, PET)
    assert outcome.value is None
    assert [f.code for f in outcome.findings] == ["segment.low-contrast"]


def test_liver_lesions_of_the_lu177_patient(archive: Archive) -> None:
    """107 mL: a part of what was drawn on CT. 2.8 mL, a sphere of 17 mm: behind 13 mm resolution it has no border of its own."""
    (folder,) = archive("spect_lu177_umich").rglob("SCAN_001")
    files = sorted(p for p in folder.rglob("*.dcm"))
    image, uid = read([p for p in files if _modality(p) == "PT"], Role.THERAPY_SPECT)
    contours = read_contours(next(p for p in files if _modality(p) == "RTSTRUCT")).value
    large, small = sorted(
        regions_from_contours(contours, image.grid, SegmentSettings(), uid).value, key=lambda r: -r.volume_ml
    )
    found = delineate(image, large, evolve(SPECT, method=Method.SPHERE_ADAPTED), (small,))
    dice, inside = dice_and_share_inside(found.value, large)
    assert dice > 0.7
    assert inside > 0.95
    assert delineate(image, small, SPECT, (large,)).value is None


def _modality(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality"]).get("Modality", ""))
