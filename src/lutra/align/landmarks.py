"""The rigid motion that brings paired landmarks together, how far off it may be, and which pair does not belong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.stats import f as f_distribution

from lutra.core.errors import UsageError
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.transform import Transform

Points = npt.NDArray[np.float64]

FEWEST = 3
NEAREST_TO_LINE_MM = 1.0
"""Least root mean square distance of the landmarks from a line through them: nobody marks a point much more exactly, so below
it the turn about the line is anybody's guess. [mm]"""
FALSE_ALARM = 0.01
"""How often a set of landmarks without a wrong pair may be told that it has one. [1]"""
ROUNDING_MM = 1e-6
"""A residual below this is the rounding of numbers, not of a hand. [mm]"""


@frozen(eq=False)
class _Fit:
    """A rigid motion and what is left of each pair in the fixed frame. [mm] (n, 3)"""

    fixed_from_moving: Points
    residuals_mm: Points

    @property
    def mean_square_mm2(self) -> float:
        return float((self.residuals_mm**2).sum(axis=-1).mean())


def from_landmarks(
    fixed_lps_mm: npt.ArrayLike,
    moving_lps_mm: npt.ArrayLike,
    fixed_frame: str,
    moving_frame: str,
    *,
    names: Sequence[str] = (),
    targets_lps_mm: npt.ArrayLike | None = None,
    by: str = "",
) -> Outcome[Transform]:
    """Fit the rigid motion with the least sum of squared distances between paired landmarks.

    The solution is the singular value decomposition of [arun1987] without mirror images [umeyama1991]. The error is that of
    :func:`target_error_mm`: it knows how exactly the landmarks were placed from what is left of them after the fit, and
    nothing of tissue that moved between them.

    Parameters
    ----------
    fixed_lps_mm, moving_lps_mm
        The same anatomical points in both frames of reference, in the same order; three at least, not on a line. [mm] (n, 3)
    names
        What each pair is called in Findings; numbers from 1 if empty.
    targets_lps_mm
        Points of the fixed frame whose error matters; the landmarks themselves if None. [mm] (m, 3)
    by
        Who placed them, for the transform's `method`.

    Raises
    ------
    UsageError
        If the points are no pairs of finite numbers.

    References
    ----------
    [arun1987] Arun, Huang, Blostein, IEEE Trans Pattern Anal Mach Intell 9:698.
    [umeyama1991] Umeyama, IEEE Trans Pattern Anal Mach Intell 13:376.
    """
    fixed, moving = (np.asarray(points, float) for points in (fixed_lps_mm, moving_lps_mm))
    if fixed.shape != moving.shape or fixed.ndim != 2 or fixed.shape[1] != 3:
        raise UsageError(f"landmarks of shapes {fixed.shape} and {moving.shape}", required="pairs of points (n, 3)")
    if not (np.isfinite(fixed).all() and np.isfinite(moving).all()):
        raise UsageError("a landmark is not a finite number", required="millimetres")
    doubt = _undetermined(fixed, moving)
    if doubt is not None:
        return Outcome(None, (doubt,))
    n, fit = len(fixed), _fitted(fixed, moving)
    targets = fixed if targets_lps_mm is None else np.asarray(targets_lps_mm, float)
    transform = Transform(
        fixed_frame,
        moving_frame,
        fit.fixed_from_moving,
        target_error_mm(fixed, fit.mean_square_mm2**0.5, targets),
        f"rigid fit to {n} pairs of landmarks" + (f" placed by {by}" if by else ""),
        quality=FrozenMap({"landmark_error_mm": fit.mean_square_mm2**0.5}),
    )
    labels = tuple(names) or tuple(str(i) for i in range(1, n + 1))
    return Outcome(transform, (*_few(n), *_outliers(fixed, moving, fit, labels)))


def target_error_mm(landmarks_lps_mm: npt.ArrayLike, landmark_error_mm: float, targets_lps_mm: npt.ArrayLike) -> float:
    """Say how far off a rigid fit to landmarks is to be expected at some points, root mean square over them. [mm]

    To first order a displacement at r is t + w x r, and six such parameters from n points placed with a standard deviation s
    per axis have the covariance s2 (sum JᵀJ)^-1, J = [1, -[r]x]. Its trace at a target is the formula of [fitzpatrick1998],
    TRE2(r) = FLE2/n (1 + 1/3 sum d_k2/f_k2); FLE2 = n/(n - 2) FRE2 is theirs, too.

    Parameters
    ----------
    landmarks_lps_mm
        In the fixed frame. [mm] (n, 3)
    landmark_error_mm
        FRE, root mean square distance of the pairs after the fit. [mm]
    targets_lps_mm
        [mm] (m, 3)

    References
    ----------
    [fitzpatrick1998] Fitzpatrick, West, Maurer, IEEE Trans Med Imaging 17:694.
    """
    landmarks, targets = np.asarray(landmarks_lps_mm, float), np.asarray(targets_lps_mm, float)
    n = len(landmarks)
    placed_mm2 = n / (n - 2) * landmark_error_mm**2
    share = np.trace(_leverage(landmarks, targets), axis1=-2, axis2=-1)
    return float(np.sqrt(placed_mm2 / 3 * share.mean()))


def _undetermined(fixed: Points, moving: Points) -> Finding | None:
    n = len(fixed)
    if n < FEWEST:
        text = f"{n} pairs of landmarks do not determine a rigid motion. Required: {FEWEST} that are not on a line"
        return Finding(Severity.UNDETERMINED, "align.too-few-landmarks", text, FrozenMap({"pairs": str(n)}))
    for frame, points in (("fixed", fixed), ("moving", moving)):
        extents = np.linalg.svd(points - points.mean(axis=0), compute_uv=False) / np.sqrt(n)
        off_mm = float(np.hypot(extents[1], extents[2]))
        if off_mm < NEAREST_TO_LINE_MM:
            text = (
                f"The landmarks in the {frame} image lie within {off_mm:.2g} mm (root mean square) of one line: the turn about it "
                f"is not determined. Required: {NEAREST_TO_LINE_MM:g} mm or more. To do: place a landmark away from the line"
            )
            evidence = FrozenMap({"image": frame, "from_line_mm": f"{off_mm:.3g}"})
            return Finding(Severity.UNDETERMINED, "align.landmarks-on-a-line", text, evidence)
    return None


def _fitted(fixed: Points, moving: Points) -> _Fit:
    centre, other = fixed.mean(axis=0), moving.mean(axis=0)
    left, _, right = np.linalg.svd((fixed - centre).T @ (moving - other))
    turn = left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, centre - turn @ other
    return _Fit(matrix, fixed - (moving @ turn.T + matrix[:3, 3]))


def _leverage(landmarks: Points, at: Points) -> Points:
    """Covariance at some points of a motion fitted to landmarks, in units of the variance of one coordinate. (m, 3, 3)"""
    centre = landmarks.mean(axis=0)
    rows = _jacobian(landmarks - centre)
    information = (rows.transpose(0, 2, 1) @ rows).sum(axis=0)
    there = _jacobian(at - centre)
    covariance: Points = there @ np.linalg.solve(information, there.transpose(0, 2, 1))
    return covariance


def _jacobian(points: Points) -> Points:
    """Motion of points by a small shift and turn, J (t, w) = t + w x r. (m, 3, 6)"""
    turns = np.cross(np.eye(3)[None], points[:, None, :]).transpose(0, 2, 1)
    return np.concatenate([np.broadcast_to(np.eye(3), turns.shape), turns], axis=-1)


def _few(n: int) -> tuple[Finding, ...]:
    if n > FEWEST:
        return ()
    text = (
        "Three pairs of landmarks leave none to check the others against: the error rests on three numbers, and a wrong pair is "
        "not found out. To do: add a pair"
    )
    return (Finding(Severity.WARNING, "align.few-landmarks", text),)


def _outliers(fixed: Points, moving: Points, fit: _Fit, names: Sequence[str]) -> list[Finding]:
    """Pairs that the others contradict, by an F test of the distance from a fit to the others (externally studentised residual)."""
    n, findings = len(fixed), []
    if n <= FEWEST:
        return []
    freedom = 3 * (n - 1) - 6
    limit = float(f_distribution.isf(FALSE_ALARM / n, 3, freedom))
    for i in range(n):
        others = np.arange(n) != i
        if _undetermined(fixed[others], moving[others]) is not None:
            continue  # the others alone say nothing
        without = _fitted(fixed[others], moving[others])
        left = fixed[i] - (without.fixed_from_moving[:3, :3] @ moving[i] + without.fixed_from_moving[:3, 3])
        off_mm = float(np.linalg.norm(left))
        variance_mm2 = max((without.residuals_mm**2).sum() / freedom, ROUNDING_MM**2)
        expected = np.eye(3) + _leverage(fixed[others], fixed[i : i + 1])[0]
        if left @ np.linalg.solve(expected, left) / (3 * variance_mm2) > limit:
            rest_mm = without.mean_square_mm2**0.5
            text = (
                f"Landmark pair {names[i]} lies {off_mm:.3g} mm from where the other {n - 1} pairs put it, and these agree within "
                f"{rest_mm:.2f} mm. To do: see whether both marks are the same place; correct the pair or leave it out"
            )
            evidence = {
                "pair": names[i], "off_mm": f"{off_mm:.4g}", "others_mm": f"{rest_mm:.4g}",
                "residual_mm": f"{np.linalg.norm(fit.residuals_mm[i]):.4g}",
            }  # fmt: skip
            findings.append(Finding(Severity.WARNING, "align.landmark-outlier", text, FrozenMap(evidence)))
    return findings
