"""Whether RECIST 1.1 would call it measurable."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.response import DiameterPair
from lutra.imaging.contours import rasterise
from lutra.imaging.lines import drawn_diameters
from lutra.response import measure_diameters


def disc(diameter_mm: float, slice_mm: float, pixel_mm: float = 0.8) -> Region:
    grid = Grid((80, 80, 3), np.diag([pixel_mm, pixel_mm, slice_mm, 1.0]), "frame")
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    x, y = diameter_mm / 2 * np.cos(angle), diameter_mm / 2 * np.sin(angle)
    start, fraction = rasterise([np.column_stack([32 + x, 32 + y, np.full(200, slice_mm)])], grid)
    return Region("lesion", RegionKind.LESION, grid, start, fraction, None, RegionOrigin.DRAWN, "test")


@pytest.mark.parametrize(
    ("diameter_mm", "slice_mm", "codes"),
    [
        (12, 5, []),
        (9, 5, ["response.below-measurable"]),
        (12, 7, ["response.slice-too-thick"]),  # two slices are 14 mm
        (15, 7, []),
        (9, 7, ["response.slice-too-thick"]),
    ],
)
def test_measurability(diameter_mm: float, slice_mm: float, codes: list[str]) -> None:
    outcome = measure_diameters(disc(diameter_mm, slice_mm))
    assert outcome.value.long_mm == pytest.approx(diameter_mm, abs=0.2)
    assert [finding.code for finding in outcome.findings] == codes


def test_too_small_for_an_outline() -> None:
    outcome = measure_diameters(disc(0.5, 3, pixel_mm=2))
    assert outcome.value is None
    (finding,) = outcome.findings
    assert finding.code == "response.no-diameter"
    assert "too small to measure" in finding.text


def drawn(region: Region, long_mm: float, short_mm: float, centre_mm: float = 32) -> DiameterPair:
    """A cross of these lengths about the middle of the disc."""
    z, c = region.grid.affine_lps_mm[2, 2], centre_mm
    long = [[c - long_mm / 2, c, z], [c + long_mm / 2, c, z]]
    return drawn_diameters(region.grid, long, [[c, c - short_mm / 2, z], [c, c + short_mm / 2, z]], "reader 1")


def test_a_line_of_a_person_stands_in_place_of_the_programs() -> None:
    region = disc(20, 3)
    outcome = measure_diameters(region, drawn(region, 21, 19))
    assert (outcome.value.long_mm, outcome.value.drawn_by) == (21, "reader 1")
    assert outcome.findings == ()  # within what two readers differ by


def test_a_line_that_differs_by_more_than_readers_do_is_said_with_both_lengths() -> None:
    region = disc(20, 3)
    outcome = measure_diameters(region, drawn(region, 26, 19))
    (finding,) = outcome.findings
    assert outcome.value.long_mm == 26
    assert finding.code == "response.line-differs"
    assert "longest diameter 26.0 mm for 20.0 mm" in finding.text


def test_a_short_line_is_judged_by_its_own_length() -> None:
    region = disc(10.5, 3)
    codes = [f.code for f in measure_diameters(region, drawn(region, 9.5, 9)).findings]
    assert codes == ["response.below-measurable"]


def test_a_line_that_cannot_stand_leaves_no_diameter() -> None:
    region = disc(20, 3)
    outcome = measure_diameters(region, evolve(drawn(region, 20, 19), slice_k=2))
    (finding,) = outcome.findings
    assert outcome.value is None
    assert finding.code == "response.line-refused"
    assert "to do: draw both lines in the same slice" in finding.text


def test_a_person_measures_what_the_program_cannot() -> None:
    region = disc(0.5, 3, pixel_mm=2)
    outcome = measure_diameters(region, drawn(region, 12, 8))
    assert outcome.value.long_mm == 12
    assert outcome.findings == ()


def test_parts_are_said_with_what_recist_adds() -> None:
    one, other = disc(20, 3), np.zeros((80, 80, 3))
    other[one.box] = one.fraction
    other[2:12, 2:12, 1] = 1
    region = evolve(one, start_ijk=(0, 0, 0), fraction=other)
    (finding,) = measure_diameters(region).findings
    assert finding.code == "response.several-parts"
    assert "2 parts" in finding.text


def test_coronal_slices_are_cut_into_axial_ones() -> None:
    """A rod of 20 x 15 mm across and 30 mm long, on coronal slices of 3 mm: 20 mm in axial slices, its length not asked for."""
    coronal = np.array([[1.0, 0, 0, 0], [0, 0, 3, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    grid = Grid((40, 60, 10), coronal, "frame")
    x, y = np.meshgrid((np.arange(400) + 0.5) / 10 - 0.5, 3 * ((np.arange(100) + 0.5) / 10 - 0.5), indexing="ij")
    ellipse = ((x - 20) / 10) ** 2 + ((y - 14) / 7.5) ** 2 <= 1
    share = ellipse.reshape(40, 10, 10, 10).mean(axis=(1, 3))
    rod = np.repeat(share[:, None, :], 30, axis=1)
    region = Region("lesion", RegionKind.LESION, grid, (0, 10, 0), rod, None, RegionOrigin.DRAWN, "test")
    outcome = measure_diameters(region)
    assert (outcome.value.long_mm, outcome.value.short_mm) == pytest.approx((20, 15), abs=0.5)
    assert outcome.value.slice_k in {4, 5}
    assert [f.code for f in outcome.findings] == ["response.cut-to-axial"]
