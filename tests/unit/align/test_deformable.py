"""Deformable registration of a digital trunk whose displacement is known, and what it does when there is nothing to register.

The fixed image is painted anew where the known map says, with noise of its own and on another grid than the moving one: nothing
is interpolated from one to the other.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from lutra.align import elastix
from lutra.align.demons import Demons
from lutra.align.elastix import BSpline, elastix_parameters
from lutra.core.errors import MissingExtra, ProtocolError, Undetermined
from lutra.core.finding import Outcome
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.transform import Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume

SHIFT_MM = np.array([5.0, -4, 3])
ORGANS = (
    (30, 0, 0, 34, 28, 40, 60),
    (-35, 10, -5, 22, 18, 34, 35),
    (0, 42, 0, 14, 14, 90, 400),
    (-20, -30, 25, 15, 14, 18, 130),
)
"""Centre [mm], half-axes [mm], value [HU]."""
OPTIONS = FrozenMap({"spacing_mm": 5.0})


def known(points: np.ndarray) -> np.ndarray:
    """Fixed point to moving point before the rigid part: 7 mm down in the middle, fading outwards."""
    fade = np.exp(-np.sum((points / [70, 60, 60]) ** 2, axis=-1))
    return points + fade[..., None] * np.array([0, 2.0, 7.0])


def trunk(points: np.ndarray, seed: int, enhanced_hu: float = 0) -> np.ndarray:
    vessels = 40 * np.sin(points / [7, 8, 9]).prod(
        axis=-1
    )  # no part of a body is as even as to say nothing of movement
    hu = np.where(np.sum((points[..., :2] / [95, 75]) ** 2, axis=-1) < 1, vessels - 90, -1000)
    for n, (x, y, z, a, b, c, value) in enumerate(ORGANS):
        depth = 1 - np.linalg.norm((points - [x, y, z]) / [a, b, c], axis=-1)
        share = np.clip(depth * a / 3 + 0.5, 0, 1)
        hu = hu * (1 - share) + share * (value + enhanced_hu * (n < 2))
    return hu + np.random.default_rng(seed).normal(0, 15, hu.shape)


def on(spacing_mm: tuple[float, float, float], frame: str, middle: np.ndarray | float = 0.0) -> tuple[Grid, np.ndarray]:
    shape = np.round(np.divide((220, 180, 150), spacing_mm)).astype(int)
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = middle - (shape - 1) / 2 * spacing_mm
    grid = Grid(shape, affine, frame)
    return grid, grid.to_lps_mm(np.moveaxis(np.indices(shape), 0, -1))


def images(enhanced_hu: float = 0) -> tuple[Volume, Volume, Transform]:
    there, there_points = on((3, 3, 3), "moving", SHIFT_MM)
    here, here_points = on((3.4, 3.4, 2.8), "fixed")
    moving = Volume(trunk(there_points - SHIFT_MM, 1), there, Unit.HU)
    fixed = Volume(trunk(known(here_points), 2, enhanced_hu), here, Unit.HU)
    matrix = np.eye(4)
    matrix[:3, 3] = -SHIFT_MM
    return fixed, moving, Transform("fixed", "moving", matrix, 3.0, "couch")


def organ_error_mm(transform: Transform) -> np.ndarray:
    """Over the surfaces of the organs, where a region's border will be."""
    directions = np.random.default_rng(0).normal(size=(300, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    errors = []
    for x, y, z, a, b, c, _ in (organ for organ in ORGANS if organ[5] < 80):
        moving = directions * [a, b, c] + [x, y, z]
        fixed = moving
        for _ in range(40):
            fixed = moving - (known(fixed) - fixed)
        errors.append(np.linalg.norm(transform.moving_points(fixed) - SHIFT_MM - moving, axis=-1))
    return np.concatenate(errors)


@pytest.fixture(scope="module")
def refined() -> Outcome[Transform]:
    fixed, moving, start = images()
    return Demons().register(fixed, moving, OPTIONS, 0, start)


def test_demons_find_the_known_displacement(refined: Outcome[Transform]) -> None:
    start = images()[2]
    assert refined.findings == ()
    found = refined.value
    assert np.median(organ_error_mm(start)) > 4
    assert np.median(organ_error_mm(found)) < 1.5
    np.testing.assert_array_equal(found.fixed_from_moving, start.fixed_from_moving)  # the start stays the rigid part
    assert found.error_mm > np.sqrt(np.mean(organ_error_mm(found) ** 2)) / 2
    assert {"jacobian_low", "jacobian_high", "folded", "inverse_consistency_mm", "correlation"} <= found.quality.keys()
    assert "demons" in found.method
    assert "couch" in found.method


def test_medium_in_the_organs_misleads_demons_little() -> None:
    """50 HU in two of the organs: without taking that out it is 3 mm and more."""
    fixed, moving, start = images(enhanced_hu=50)
    found = Demons().register(fixed, moving, OPTIONS, 0, start).value
    assert np.median(organ_error_mm(found)) < 2.0


def test_another_anatomy_is_given_up() -> None:
    fixed, moving, start = images()
    outcome = Demons().register(fixed, evolve(moving, values=moving.values[::-1, ::-1]), OPTIONS, 0, start)
    assert outcome.value is None
    assert {f.code for f in outcome.findings} & {"align.still-different", "align.directions-differ"}


def test_nothing_to_start_from() -> None:
    fixed, moving, start = images()
    (finding,) = Demons().register(fixed, moving, OPTIONS, 0).findings
    assert finding.code == "align.no-shared-frame"
    far = start.fixed_from_moving.copy()
    far[:3, 3] += 900
    (finding,) = Demons().register(fixed, moving, OPTIONS, 0, evolve(start, fixed_from_moving=far)).findings
    assert finding.code == "align.not-deformable"
    air = evolve(fixed, values=np.full(fixed.grid.shape, -1000))
    (finding,) = Demons().register(air, moving, OPTIONS, 0, start).findings
    assert finding.code == "align.not-deformable"


def test_a_bent_start_is_refused(refined: Outcome[Transform]) -> None:
    fixed, moving, _ = images()
    (finding,) = Demons().register(fixed, moving, OPTIONS, 0, refined.value).findings
    assert finding.code == "align.not-deformable"


def test_unknown_options_are_refused() -> None:
    fixed, moving, start = images()
    with pytest.raises(ProtocolError, match="smoothness"):
        Demons().register(fixed, moving, FrozenMap({"smoothness": 1.0}), 0, start)


def test_bspline_finds_the_known_displacement() -> None:
    pytest.importorskip("itk", reason="the extra `elastix` is not installed")
    fixed, moving, start = images(enhanced_hu=50)
    options = FrozenMap({"spacing_mm": 4.0})
    outcome = BSpline().register(fixed, moving, options, 0, start)
    assert outcome.findings == ()
    assert np.median(organ_error_mm(outcome.value)) < 1.5
    assert "AdvancedMattesMutualInformation" in outcome.value.method


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(MissingExtra, match=r"lutra\[elastix\]"):
        BSpline().register(*images()[:2], FrozenMap(), 0)


@pytest.mark.parametrize(
    ("body", "says"),
    [("import time; time.sleep(60)", "stopped after 1 s"), ("import os; os.abort()", "ended with"), ("", "no result")],
)
def test_the_end_of_the_process_is_not_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, says: str
) -> None:
    """A child that hangs, crashes or does nothing."""
    (tmp_path / "broken_child.py").write_text(body, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(elastix, "CHILD", "broken_child")
    moving = images()[1]
    on_one = evolve(moving, grid=evolve(moving.grid, frame_of_reference="fixed"))
    with pytest.raises(Undetermined, match=says):
        elastix.displacement(on_one, on_one, elastix_parameters(24, 1, 0), 1.0 if "sleep" in body else 60.0)


def test_a_failed_process_becomes_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(*_: object) -> None:
        raise Undetermined("the process of elastix ended with -6 and no result")

    monkeypatch.setattr(elastix, "elastix_version", lambda: "0")
    monkeypatch.setattr(elastix, "displacement", ends)
    fixed, moving, start = images()
    outcome = BSpline().register(fixed, moving, FrozenMap({"spacing_mm": 6.0}), 0, start)
    assert outcome.value is None
    assert [f.code for f in outcome.findings] == ["align.process-failed"]
