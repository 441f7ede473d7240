"""Slices that are missing, doubled, moved or turned."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import numpy as np

from .case import CONTRADICTION, HONEST, REFUSED, SAFE, SAME, TOLD, Case
from .mutate_diffusion import is_diffusion
from .mutation import classic, has, is_image, is_nm, mutation, stacked
from .raw import RawFile
from .sources import Base, decimals, numbers_of


def _moved(file: RawFile, by: Any) -> None:
    position = np.array(numbers_of(file.text("ImagePositionPatient")))
    file.set("ImagePositionPatient", decimals(position + by))


def _normal(file: RawFile) -> Any:
    axes = np.array(numbers_of(file.text("ImageOrientationPatient"))).reshape(2, 3)
    return np.cross(*axes)


def _spacing(base: Base) -> float:
    heights = sorted(float(np.dot(numbers_of(f.text("ImagePositionPatient")), _normal(f))) for f in base.images)
    return heights[1] - heights[0]


@mutation("one slice shifted in its plane", {REFUSED}, stacked, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    n = rng.randrange(len(case.base.images))
    file = case.image(n)
    axes = np.array(numbers_of(file.text("ImageOrientationPatient"))).reshape(2, 3)
    _moved(file, rng.choice([-1, 1]) * rng.uniform(2, 50) * axes[rng.randrange(2)])


@mutation("one slice shifted along the normal", CONTRADICTION, stacked, must_refuse=("affine",))
def _(case: Case, rng: Random) -> None:
    n = rng.randrange(1, len(case.base.images) - 1)
    file = case.image(n)
    _moved(file, rng.choice([-1, 1]) * rng.uniform(0.02, 0.9) * _spacing(case.base) * _normal(file))


@mutation("two slices at one place", {REFUSED, TOLD}, stacked, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    a, b = rng.sample(range(len(case.base.images)), 2)
    case.image(a).set("ImagePositionPatient", case.base.images[b].text("ImagePositionPatient"))


@mutation("every slice shifted alike", {SAME, HONEST}, stacked)
def _(case: Case, rng: Random) -> None:
    by = np.array([rng.randrange(-50, 50) for _ in range(3)])
    for file in case.all():
        _moved(file, by)


@mutation("orientation of one slice changed", {REFUSED}, stacked, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    axes = np.array(numbers_of(file.text("ImageOrientationPatient"))).reshape(2, 3)
    angle = rng.uniform(0.01, 1)
    turned = np.array(
        [math.cos(angle) * axes[0] + math.sin(angle) * axes[1], math.cos(angle) * axes[1] - math.sin(angle) * axes[0]]
    )
    file.set("ImageOrientationPatient", decimals(rng.choice([turned, -axes, axes[::-1]])))


@mutation("orientation that is no rotation", {REFUSED, TOLD}, must_refuse=("image", "affine"), fits=classic)
def _(case: Case, rng: Random) -> None:
    wrong = rng.choice(
        [
            "1\\0\\0\\1\\0\\0",
            "0\\0\\0\\0\\0\\0",
            "1\\0\\0\\0\\0.5\\0",
            "1\\0\\0\\0\\1",
            "2\\0\\0\\0\\2\\0",
            "1e200\\0\\0\\0\\1\\0",
        ]
    )
    case.note = wrong
    for file in case.some():
        file.set("ImageOrientationPatient", wrong)


@mutation("pixel spacing of one slice changed", {REFUSED}, stacked, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    a, b = numbers_of(file.text("PixelSpacing"))
    file.set("PixelSpacing", decimals(rng.choice([[a * 1.01, b * 1.01], [a, b * 2], [b * 1.1, a]])))


@mutation(
    "pixel spacing impossible", {REFUSED, TOLD}, lambda b: classic(b) or is_nm(b), must_refuse=("image", "affine")
)
def _(case: Case, rng: Random) -> None:
    wrong = rng.choice(["0\\0", "-1\\-1", "NaN\\1", "1", "1\\1\\1", "1e-320\\1", "inf\\inf", ""])
    case.note = wrong
    for file in case.some():
        file.set("PixelSpacing", wrong)


@mutation("pixel spacing of every slice doubled", {SAME, HONEST, TOLD}, stacked)
def _(case: Case, rng: Random) -> None:
    for file in case.all():
        file.set("PixelSpacing", decimals(2 * np.array(numbers_of(file.text("PixelSpacing")))))


@mutation("a slice missing in the middle", {REFUSED}, stacked, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    case.drop_file(case.base.images[rng.randrange(1, len(case.base.images) - 1)])


@mutation("a slice missing at an end", SAFE, stacked)
def _(case: Case, rng: Random) -> None:
    case.drop_file(case.base.images[rng.choice([0, -1])])


@mutation(
    "a slice missing at an end of a PET that states their number",
    {REFUSED},
    lambda b: stacked(b) and has("NumberOfSlices")(b),
    must_refuse=("image", "affine"),
)
def _(case: Case, rng: Random) -> None:
    case.drop_file(case.base.images[rng.choice([0, -1])])


@mutation("a slice twice, same bytes", {SAME})
def _(case: Case, rng: Random) -> None:
    case.extra["copy"] = rng.choice(case.base.images).written()


@mutation(
    "a slice twice under another instance identifier",
    {REFUSED, TOLD},
    lambda b: is_image(b) and (b.classic or not is_diffusion(b)),  # a whole volume of diffusion may be measured again
    must_refuse=("image", "affine"),
)
def _(case: Case, rng: Random) -> None:
    file = rng.choice(case.base.images).copy()
    file.set("SOPInstanceUID", file.text("SOPInstanceUID")[:50] + ".99")
    case.extra["copy"] = file.written()


@mutation("a slice twice with other content", {REFUSED, TOLD}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    file = rng.choice(case.base.images).copy()
    file.set("SeriesDescription", "other")
    case.extra["copy"] = file.written()


@mutation("two slices with one instance identifier", {REFUSED, TOLD}, must_refuse=("image",), fits=classic)
def _(case: Case, rng: Random) -> None:
    a, b = rng.sample(range(len(case.base.images)), 2)
    case.image(a).set("SOPInstanceUID", case.base.images[b].text("SOPInstanceUID"))


@mutation("files renamed and in another order", {SAME})
def _(case: Case, rng: Random) -> None:
    names = [f"{n:x}" for n in range(len(case.base.images))]
    rng.shuffle(names)
    for file, name in zip(case.base.images, names, strict=True):
        case.drop_file(file)
        case.extra[name] = file.written()
