"""Displacement fields whose Jacobian, inverse and faults are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.align.field_quality import FieldLimits, dice, field_doubts, jacobian, there_and_back_mm, volume_ratios
from lutra.core.finding import Severity
from lutra.core.grid import Grid
from lutra.core.transform import DisplacementField

GRID = Grid((20, 18, 16), np.diag([4.0, 4, 5, 1]), "frame")
POINTS = GRID.to_lps_mm(np.moveaxis(np.indices(GRID.shape), 0, -1))
ALL = np.ones(GRID.shape, bool)
FINE = {"folded": 0.0, "jacobian_low": 0.8, "jacobian_high": 1.2, "inverse_consistency_mm": 2.0, "correlation": 0.98}


def linear(matrix: np.ndarray, shift: tuple[float, float, float] = (0, 0, 0)) -> DisplacementField:
    """u(p) = (M - 1)(p - c) + t about the middle of the grid."""
    middle = POINTS.mean(axis=(0, 1, 2))
    return DisplacementField(GRID, (POINTS - middle) @ (matrix - np.eye(3)).T + shift)


@pytest.mark.parametrize("flip", [1, -1])
def test_jacobian_of_a_linear_field_is_its_determinant(flip: int) -> None:
    """Whichever way the slices are stacked."""
    matrix = np.array([[1.1, 0.05, 0], [0, 0.9, 0.1], [0.02, 0, 1.2]])
    field = linear(matrix)
    if flip < 0:
        affine = GRID.affine_lps_mm.copy()
        affine[:3, 3] = GRID.to_lps_mm([0, 0, GRID.shape[2] - 1])
        affine[2, 2] *= -1
        field = DisplacementField(Grid(GRID.shape, affine, "frame"), field.lps_mm[:, :, ::-1])
    np.testing.assert_allclose(jacobian(field), np.linalg.det(matrix), rtol=1e-5)


def test_a_shift_changes_no_volume_and_a_mirror_folds() -> None:
    assert volume_ratios(linear(np.eye(3), (9, 0, -4)), ALL) == pytest.approx(
        {"jacobian_low": 1, "jacobian_high": 1, "folded": 0}
    )
    assert volume_ratios(linear(np.diag([-1.0, 1, 1])), ALL)["folded"] == 1


def test_there_and_back() -> None:
    """A field and its exact inverse miss by nothing; a wrong way back by what it is wrong by."""
    matrix = np.diag([1.05, 0.97, 1.0])
    inner = np.zeros_like(ALL)
    inner[4:-4, 4:-4, 4:-4] = True
    there, back = linear(matrix), linear(np.linalg.inv(matrix))
    assert there_and_back_mm(there, back, inner).max() < 1e-3
    wrong = DisplacementField(GRID, back.lps_mm + np.float32([0, 3, 4]))
    np.testing.assert_allclose(there_and_back_mm(there, wrong, inner), 5, atol=1e-3)


def test_dice() -> None:
    one, other = np.arange(10) < 6, np.arange(10) >= 4
    assert dice(one, other, np.ones(10, bool)) == pytest.approx(2 * 2 / 12)
    assert dice(one, other, np.arange(10) < 4) == 0
    assert dice(one & False, one & False, np.ones(10, bool)) is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"folded": 0.01}, "align.folded"),
        ({"jacobian_low": 0.1}, "align.implausible-volume-change"),
        ({"jacobian_high": 4.0}, "align.implausible-volume-change"),
        ({"inverse_consistency_mm": 30.0}, "align.directions-differ"),
        ({"correlation": 0.5}, "align.still-different"),
        ({"bone_dice": 0.1}, "align.still-different"),
        ({"body_dice": 0.1}, "align.still-different"),
    ],
)
def test_each_check_can_fail(change: dict[str, float], code: str) -> None:
    assert field_doubts(FINE, FieldLimits()) == ()
    (finding,) = field_doubts(FINE | change, FieldLimits())
    assert (finding.code, finding.severity) == (code, Severity.WARNING)
    assert finding.evidence.keys() == (FINE | change).keys()
