"""Transforms that other programs wrote as ITK text (.tfm, .txt): rigid and affine ones, also as a chain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutra.core.errors import InputError
from lutra.core.transform import Transform

FIRST_LINE = "#Insight Transform File V1.0"
LINE = re.compile(r"^(Transform|Parameters|FixedParameters):(.*)$", re.MULTILINE)
SUFFIX = re.compile(r"_(double|float)_3_3$")
WITH_MATRIX = {"AffineTransform", "MatrixOffsetTransformBase"}
FARTHEST_MM = 1e5
"""Nothing in a scanner is moved by 100 m."""
Numbers = npt.NDArray[np.float64]


def read_itk_transform(path: Path, fixed_frame: str, moving_frame: str) -> Transform:
    """Read a rigid or affine map that 3D Slicer, SimpleITK, elastix or ANTs exported as text.

    ITK maps points of the fixed image to the moving one, in LPS; the map is turned round to be `fixed_from_moving`. Of a
    composite the last transform acts first. The file does not say which images it belongs to: the caller does.

    Parameters
    ----------
    path
        Insight Transform File V1.0 with AffineTransform, MatrixOffsetTransformBase, Euler3DTransform, VersorRigid3DTransform,
        Similarity3DTransform, TranslationTransform, or a CompositeTransform of these.

    Raises
    ------
    InputError
        If it is no such file, holds another kind of transform, or one that has no inverse.
    """
    try:
        text = path.read_text("ascii")
    except (OSError, ValueError) as error:
        do = "export it as ITK text (.tfm), not as .h5 or .mat"
        raise InputError(f"cannot be read as text: {error}", where=str(path), do=do) from error
    if not text.startswith(FIRST_LINE):
        raise InputError("this is no ITK transform file", where=str(path), required=f"{FIRST_LINE!r} on its first line")
    moving_from_fixed = np.eye(4)
    kinds = []
    for kind, parameters, fixed in _blocks(text, path):
        if kind != "CompositeTransform":
            moving_from_fixed = moving_from_fixed @ _matrix(kind, parameters, fixed, path)
            kinds.append(kind)
    if not kinds:
        raise InputError("it holds no transform", where=str(path), do="export it again")
    if not np.isfinite(moving_from_fixed).all() or abs(np.linalg.det(moving_from_fixed)) < 1e-6:
        raise InputError("the transform has no inverse", where=str(path), required="a rigid or affine map")
    method = f"imported from an ITK transform file: {', '.join(kinds)}"
    return Transform(fixed_frame, moving_frame, np.linalg.inv(moving_from_fixed), None, method)


def _blocks(text: str, path: Path) -> list[tuple[str, Numbers, Numbers]]:
    """Kind, parameters and fixed parameters of each transform, in the order of the file."""
    found: list[dict[str, str]] = []
    for key, value in LINE.findall(text):
        if key == "Transform":
            found.append({})
        if not found or key in found[-1]:
            raise InputError(f"{key} stands where it does not belong", where=str(path), do="export it again")
        found[-1][key] = value.strip()
    blocks = []
    for block in found:
        name = block["Transform"]
        try:
            parameters, fixed = (
                np.array(block.get(key, "").split(), float) for key in ("Parameters", "FixedParameters")
            )
        except ValueError:
            raise InputError(f"parameters of {name} are no numbers", where=str(path), do="export it again") from None
        if not SUFFIX.search(name):
            raise InputError(f"a transform of kind {name}", where=str(path), required="one from 3 to 3 dimensions")
        blocks.append((SUFFIX.sub("", name), parameters, fixed))
    return blocks


def _matrix(kind: str, p: Numbers, fixed: Numbers, path: Path) -> Numbers:
    """Matrix of one transform, fixed to moving point. (4, 4)"""
    expected = {
        "Euler3DTransform": 6,
        "VersorRigid3DTransform": 6,
        "Similarity3DTransform": 7,
        "TranslationTransform": 3,
    }
    expected |= dict.fromkeys(WITH_MATRIX, 12)
    if kind not in expected:
        raise InputError(
            f"a transform of kind {kind}",
            where=str(path),
            required=f"one of {', '.join(sorted(expected))}",
            do="export the linear part, or register deformably here",
        )
    if len(p) != expected[kind] or not (np.abs([*p, *fixed]) < FARTHEST_MM).all():
        raise InputError(
            f"{kind} with parameters {p.tolist()}", where=str(path), required=f"{expected[kind]} numbers of a map"
        )
    if kind in WITH_MATRIX:
        linear, shift = p[:9].reshape(3, 3), p[9:]
    elif kind == "Euler3DTransform":
        linear, shift = _euler(p[:3], zyx=len(fixed) > 3 and fixed[3] != 0), p[3:]
    elif kind == "TranslationTransform":
        linear, shift = np.eye(3), p
    else:
        scale = p[6] if kind == "Similarity3DTransform" else 1.0
        linear, shift = scale * _versor(p[:3], path), p[3:6]
    centre = fixed[:3] if len(fixed) >= 3 else np.zeros(3)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, shift + centre - linear @ centre
    return matrix


def _euler(angles: Sequence[float] | Numbers, *, zyx: bool) -> Numbers:
    """ITK's order: Z X Y, or Z Y X where the fourth fixed parameter says so."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    turn: Numbers = z @ y @ x if zyx else z @ x @ y
    return turn


def _versor(vector: Numbers, path: Path) -> Numbers:
    """Turn of a unit quaternion given by its vector part."""
    length = float(vector @ vector)
    if length > 1:
        raise InputError(f"a versor of length {length**0.5:.6g}", where=str(path), required="1 at most")
    w = np.sqrt(1 - length)
    cross = np.array([[0, -vector[2], vector[1]], [vector[2], 0, -vector[0]], [-vector[1], vector[0], 0]])
    turn: Numbers = np.eye(3) + 2 * w * cross + 2 * cross @ cross
    return turn
