"""Values: immutable, identified by content, honest about geometry and time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from lutra.core.curve import TimeActivityCurve
from lutra.core.digest import canonical, digest
from lutra.core.errors import GridMismatch, InputError, UsageError
from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.time import seconds_between
from lutra.core.volume import Volume

AFFINE = np.array([[2.0, 0, 0, -10], [0, 3.0, 0, 5], [0, 0, -4.0, 100], [0, 0, 0, 1]])


def grid() -> Grid:
    return Grid((4, 5, 6), AFFINE, "1.2.3")


def test_arrays_of_a_value_cannot_be_written() -> None:
    volume = Volume(np.zeros((4, 5, 6)), grid(), Unit.HU)
    with pytest.raises(ValueError, match="read-only"):
        volume.values[0, 0, 0] = 1


def test_a_value_does_not_follow_the_array_it_was_made_from() -> None:
    source = np.zeros((4, 5, 6), np.float32)
    volume = Volume(source, grid(), Unit.HU)
    source[:] = 7
    assert volume.values.max() == 0


def test_same_content_same_digest_and_any_change_another() -> None:
    assert digest(grid()) == digest(grid())
    assert digest(grid()) != digest(Grid((4, 5, 6), AFFINE + 1e-9, "1.2.3"))
    assert digest(FrozenMap({"a": 1, "b": 2})) == digest(FrozenMap({"b": 2, "a": 1}))
    assert digest(0.0) == digest(-0.0)
    assert digest(Estimate(1, Unit.BQ)) != digest(Estimate(1, Unit.GY))


def test_known_digest_does_not_drift() -> None:
    """SHA-256 of the text `{"a":[1,2.5,null,"x"]}`, computed with sha256sum."""
    assert digest({"a": (1, 2.5, None, "x")}) == "629bba16e68e57c01e0ddbacda12d8b4c2e7b949f3cabd70b58acd3b42e8b15c"


def test_naive_datetimes_have_no_canonical_form() -> None:
    with pytest.raises(TypeError, match="time zone"):
        canonical(datetime(2026, 1, 1))  # noqa: DTZ001


def test_grid_geometry_by_hand() -> None:
    """Voxel (1, 2, 3) of this grid lies at -10+2, 5+6, 100-12."""
    assert grid().spacing_mm == (2, 3, 4)
    assert grid().voxel_volume_ml == pytest.approx(0.024)
    assert grid().to_lps_mm((1, 2, 3)).tolist() == [-8, 11, 88]
    assert grid().to_ijk((-8, 11, 88)) == pytest.approx([1, 2, 3])


def test_grids_of_different_frames_do_not_match() -> None:
    with pytest.raises(GridMismatch, match=r"1\.2\.3"):
        grid().require_match(Grid((4, 5, 6), AFFINE, "9.9"), "mask and image")


def test_integral_is_sum_times_voxel_volume() -> None:
    volume = Volume(np.full((4, 5, 6), 10.0), grid(), Unit.BQ_PER_ML)
    assert volume.integral() == pytest.approx(10 * 120 * 0.024)


def test_region_counts_partial_voxels() -> None:
    region = Region(
        "x", RegionKind.LESION, grid(), (1, 1, 1), np.array([[[1.0, 0.5]]]), None, RegionOrigin.DRAWN, "test"
    )
    assert region.volume_ml == pytest.approx(1.5 * 0.024)
    assert region.centroid_lps_mm == pytest.approx(grid().to_lps_mm((1, 1, 1 + 1 / 3)))


def test_region_outside_its_grid_is_refused() -> None:
    with pytest.raises(GridMismatch):
        Region("x", RegionKind.LESION, grid(), (3, 0, 0), np.ones((2, 1, 1)), None, RegionOrigin.DRAWN, "test")


def test_elapsed_time_across_the_change_to_summer_time() -> None:
    """29 March 2026, Brussels: from 01:30 to 03:30 on the wall is one hour."""
    zone = ZoneInfo("Europe/Brussels")
    start, end = datetime(2026, 3, 29, 1, 30, tzinfo=zone), datetime(2026, 3, 29, 3, 30, tzinfo=zone)
    assert end - start != (end.astimezone(UTC) - start.astimezone(UTC))  # the trap this function exists for
    assert seconds_between(start, end) == 3600


def test_elapsed_time_needs_zones() -> None:
    with pytest.raises(UsageError, match="time zone"):
        seconds_between(datetime(2026, 1, 1), datetime(2026, 1, 2, tzinfo=UTC))  # noqa: DTZ001


def test_an_outcome_without_value_says_why() -> None:
    with pytest.raises(ValueError, match="says why"):
        Outcome(None)
    assert Outcome(None, (Finding(Severity.UNDETERMINED, "x.y", "because"),)).value is None


def test_curve_times_must_increase() -> None:
    with pytest.raises(InputError, match="administration"):
        TimeActivityCurve("L01", "Lu-177", [3600.0, 3600.0], (Estimate(1, Unit.BQ), Estimate(1, Unit.BQ)))
