"""Forms of the image page: what somebody drew, measured or matched there, as recorded steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from lutra.core.errors import UsageError
from lutra.core.finding import Outcome
from lutra.core.region import Region, RegionKind
from lutra.core.study import Role
from lutra.ingest import LandmarkPairs
from lutra.pipeline.corrections import draw_region, fit_landmarks, lock_lesion, nudge, redraw_diameter
from lutra.pipeline.edits import undo_edit
from lutra.pipeline.image_view import ImageView, SubjectImages
from lutra.segment import SPECT, DelineationSettings, Method, delineate, drawn_region
from lutra.web.answers import seen_in

Form = Mapping[str, str]
Points = npt.NDArray[np.float64]


@frozen
class _Asked:
    """A form on an image, read when it is asked for.

    Parameters
    ----------
    expected
        Number of the subject's last edit that the person saw.
    """

    images: SubjectImages
    image: ImageView
    form: Form
    by: str

    @property
    def who(self) -> dict[str, Any]:
        """Reason, last edit seen and person, as every correction takes them."""
        return {"reason": self.form.get("reason", ""), "expected": seen_in(self.form), "by": self.by}

    @property
    def other(self) -> ImageView:
        """The second image of a form about two."""
        return self.images.image(self.form.get("other", ""))

    def points(self, name: str) -> Points:
        """Points of a field, as JSON. [mm] (n, 3)"""
        return _points(self.form.get(name, ""), name)


def make(images: SubjectImages, image: ImageView, form: Form, by: str) -> None:
    """Record what a form says.

    Raises
    ------
    UsageError
        If it cannot be read, gives no reason, or speaks of what is not there.
    StoreError
        If somebody edited the subject since the page was made.
    """
    kind = form.get("kind", "")
    if kind not in KINDS:
        raise UsageError(f"an edit of kind {kind!r}", required=f"one of: {', '.join(KINDS)}")
    KINDS[kind](_Asked(images, image, form, by))


def grown_from(images: SubjectImages, image: ImageView, asked: Form) -> Outcome[Region]:
    """Delineate what lies at a point, as the pipeline does it. Regions that do not hold the point are not part of it.

    Raises
    ------
    UsageError
        If the point or the settings cannot be read, or the point lies outside the image.
    """
    at = _points(f"[[{asked.get('at', '')}]]", "at")[0]
    regions = [images.region(image, region.name) for region in images.regions(image)]
    others = [region for region in regions if not _holds(region, at)]
    return delineate(images.volume(image), at, _settings(image.role, asked), others, asked.get("name") or "lesion")


def _settings(role: Role, asked: Form) -> DelineationSettings:
    usual = SPECT if role is Role.THERAPY_SPECT else DelineationSettings()
    try:
        method = Method(asked.get("method", usual.method))
        value, radius_mm = float(asked.get("value", "0.5")), float(asked.get("radius") or usual.search_radius_mm)
        asked_for = {"level": value} if method is Method.FIXED else {"share": value}
        return evolve(usual, method=method, search_radius_mm=radius_mm, **asked_for)
    except ValueError as error:
        raise UsageError(
            f"a threshold that cannot be read: {error}", required="a method, its value, a radius in mm"
        ) from error


def _holds(region: Region, point_lps_mm: Points) -> bool:
    ijk = np.rint(region.grid.to_ijk(point_lps_mm)).astype(int) - region.start_ijk
    inside = bool(np.all(ijk >= 0) and np.all(ijk < region.fraction.shape))
    return inside and float(region.fraction[tuple(ijk)]) > 0


def _diameter(asked: _Asked) -> None:
    short = asked.points("short") if asked.form.get("short") else None
    redraw_diameter(
        asked.images.study, asked.images.there.subject_id, asked.image.series_uid, asked.form.get("lesion", ""),
        asked.points("long"), short, **asked.who,
    )  # fmt: skip


def _lock(asked: _Asked) -> None:
    lock_lesion(
        asked.images.study, asked.images.there.subject_id, asked.image.series_uid, asked.form.get("region", ""),
        asked.form.get("lesion", ""), **asked.who,
    )  # fmt: skip


def _nudge(asked: _Asked) -> None:
    shift, turn = asked.points("shift")[0], asked.points("turn")[0]
    on = asked.images.image(asked.form.get("on", ""))
    nudge(
        asked.images.study, asked.images.there.subject_id, on.series_uid, asked.other.series_uid,
        [float(n) for n in shift], [float(n) for n in turn], None, **asked.who,
    )  # fmt: skip


def _landmarks(asked: _Asked) -> None:
    """Points were clicked where the moving image lies now; they go back to where they are in itself."""
    on = asked.images.image(asked.form.get("on", ""))
    shown = asked.points("moving")
    fixed, moving = asked.points("fixed"), asked.images.transform(on, asked.other).moving_points(shown)
    if fixed.shape != moving.shape:
        raise UsageError(f"{len(fixed)} points on one image and {len(moving)} on the other", required="pairs")
    pairs = LandmarkPairs(names=tuple(str(n + 1) for n in range(len(fixed))), fixed_lps_mm=fixed, moving_lps_mm=moving)
    fit_landmarks(
        asked.images.study, asked.images.there.subject_id, on.series_uid, asked.other.series_uid, pairs, **asked.who
    )


def _region(asked: _Asked) -> None:
    form, images, image = asked.form, asked.images, asked.image
    name = form.get("name", "").strip()
    if not name:
        raise UsageError("a region without a name", required="its name, that of another image if it is the same thing")
    on = images.image(form.get("on", "") or image.name)
    kind = form.get("what", RegionKind.LESION.value)
    if kind not in set(RegionKind):
        raise UsageError(f"a region of kind {kind!r}", required=f"one of: {', '.join(RegionKind)}")
    mask = _unpacked(form.get("runs", ""), on.grid.shape)
    drawn = drawn_region(mask, on.grid, name, RegionKind(kind), asked.by, _begun_with(asked))
    draw_region(images.study, images.there.subject_id, image.series_uid, drawn, **asked.who)


def _begun_with(asked: _Asked) -> Region | None:
    """Region a drawing began with: one that was there, or one grown from a point."""
    if base := asked.form.get("base"):
        return asked.images.region(asked.image, base)
    if asked.form.get("at"):
        return grown_from(asked.images, asked.image, asked.form).value
    return None


def _undo(asked: _Asked) -> None:
    number = asked.form.get("number", "")
    if not number.isdigit():
        raise UsageError("no number of an edit", required="the one to take back")
    undo_edit(asked.images.study, int(number), **asked.who)


KINDS: dict[str, Callable[[_Asked], None]] = {
    "diameter": _diameter,
    "lock": _lock,
    "nudge": _nudge,
    "landmarks": _landmarks,
    "region": _region,
    "undo": _undo,
}


def _points(text: str, what: str) -> Points:
    try:
        points = np.asarray(json.loads(text), float)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{what} cannot be read", required="points of x, y, z in mm") from error
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise UsageError(f"{what} of shape {points.shape}", required="points of x, y, z in mm")
    return points


def _unpacked(runs: str, shape: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    """Read lengths of runs, first of voxels outside and then in turn, i fastest. (i, j, k)"""
    try:
        lengths = np.asarray([int(n) for n in runs.split(",")] if runs else [], np.int64)
    except (ValueError, OverflowError) as error:
        raise UsageError("a drawing that cannot be read", required="lengths of runs of voxels") from error
    size = int(np.prod(shape))
    if np.any(lengths < 0) or np.any(lengths > size) or lengths.sum() > size:
        raise UsageError("a drawing larger than its image", do="load the page again")
    inside = np.zeros(size, bool)
    ends = np.cumsum(lengths)
    for first, last in zip(ends[::2], ends[1::2], strict=False):
        inside[first:last] = True
    return inside.reshape(shape, order="F")
