"""What a person does by hand to a subject, as recorded steps whose outcome becomes an edit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from lutra.align import from_landmarks, nudged
from lutra.core.edit import Edit, EditKind
from lutra.core.errors import Undetermined, UsageError
from lutra.core.finding import Finding, Outcome
from lutra.core.lesion import Lock
from lutra.core.response import DiameterPair
from lutra.core.study import SeriesHeader
from lutra.core.transform import Transform
from lutra.ingest import LandmarkPairs, read_itk_transform
from lutra.pipeline.conductor import Conductor, Made, user
from lutra.pipeline.contained import Contained, contained
from lutra.pipeline.edits import active, lock_target, make_edit, transform_target, transforms_of

if TYPE_CHECKING:
    from lutra.pipeline.study import StudyFolder

NEW = "new"
NOT = "not:"
OFF_SLICE = 0.5
"""The ends of a diameter lie in one slice, so at most half a slice from its centre. [slices]"""

Points = npt.NDArray[np.float64]


@frozen
class Correction:
    """An edit, the value it sets, and the doubts met."""

    edit: Edit
    value: Transform | Lock | DiameterPair
    findings: tuple[Finding, ...] = ()


def nudge(
    study: StudyFolder,
    subject_id: str,
    fixed: str,
    moving: str,
    shift_mm: Sequence[float],
    rotation_deg: Sequence[float],
    about_mm: Sequence[float] | None,
    reason: str,
    *,
    expected: int | None = None,
) -> Correction:
    """Move the moving image on the fixed one, from where it lies now.

    Where no transform of the two frames is known, the coordinates of both are taken as the same, as a viewer does that lays
    one image over the other.

    Parameters
    ----------
    fixed, moving
        Series label or UID, or frame of reference UID.
    about_mm
        Point a turn leaves in place; the middle of the fixed image if None. [mm]
    """
    if not any((*shift_mm, *rotation_deg)):
        raise UsageError("a nudge by nothing", required="a shift or a turn")
    there = contained(study.ledger, study.store, subject_id)
    frames = there.frame(fixed), there.frame(moving)
    before = known_transform(study, subject_id, *frames) or Transform(
        *frames, np.eye(4), None, "coordinates of both frames taken as the same"
    )
    about = np.asarray(about_mm, float) if about_mm is not None else _middle(there, fixed, frames[0])
    conductor = Conductor(study.store, study.ledger)
    made = conductor.step(
        "align.nudge",
        _nudged,
        {"transform": before, "shift_lps_mm": np.asarray(shift_mm, float),
         "rotation_deg": np.asarray(rotation_deg, float), "about_lps_mm": about, "by": user()},
        code="lutra.align",
    )  # fmt: skip
    return _set_transform(study, subject_id, conductor, made, reason, expected)


def fit_landmarks(
    study: StudyFolder,
    subject_id: str,
    fixed: str,
    moving: str,
    pairs: LandmarkPairs,
    reason: str,
    *,
    expected: int | None = None,
) -> Correction:
    """Set the rigid transform that fits paired landmarks best.

    Raises
    ------
    Undetermined
        If they do not determine one.
    """
    there = contained(study.ledger, study.store, subject_id)
    conductor = Conductor(study.store, study.ledger)
    made = conductor.step(
        "align.landmarks",
        from_landmarks,
        {"fixed_lps_mm": pairs.fixed_lps_mm, "moving_lps_mm": pairs.moving_lps_mm, "fixed_frame": there.frame(fixed),
         "moving_frame": there.frame(moving), "names": pairs.names, "by": user()},
        code="lutra.align",
    )  # fmt: skip
    return _set_transform(study, subject_id, conductor, made, reason, expected)


def import_transform(
    study: StudyFolder,
    subject_id: str,
    fixed: str,
    moving: str,
    file: Path,
    reason: str,
    *,
    expected: int | None = None,
) -> Correction:
    """Accept the transform of an ITK text file; its content, not the file, is kept."""
    there = contained(study.ledger, study.store, subject_id)
    transform = read_itk_transform(file, there.frame(fixed), there.frame(moving))
    transform = evolve(transform, method=f"{transform.method}, accepted by {user()}")
    return _set(study, subject_id, EditKind.TRANSFORM, transform_target(transform), transform, reason, expected)


def known_transform(study: StudyFolder, subject_id: str, fixed_frame: str, moving_frame: str) -> Transform | None:
    """Return the transform of two frames that is known, in this direction or turned round."""
    for transform in transforms_of(study, subject_id):
        frames = transform.fixed_frame, transform.moving_frame
        if frames == (fixed_frame, moving_frame):
            return transform
        if frames == (moving_frame, fixed_frame) and transform.displacement is None:
            return transform.inverse()
    return None


def lock_lesion(
    study: StudyFolder,
    subject_id: str,
    series: str,
    region: str,
    lesion: str,
    reason: str,
    *,
    expected: int | None = None,
) -> Correction:
    """Say which lesion a region is.

    Parameters
    ----------
    lesion
        `L03`; `new` for one of its own; `not:L03` where it is any but this.
    """
    uid = contained(study.ledger, study.store, subject_id).header(series).series_uid
    if lesion == NEW:
        lock = Lock(uid, region, None)
    else:
        lock = Lock(uid, region, lesion.removeprefix(NOT), same=not lesion.startswith(NOT))
    return _set(study, subject_id, EditKind.LESION_LOCK, lock_target(lock), lock, reason, expected)


def redraw_diameter(
    study: StudyFolder,
    subject_id: str,
    series: str,
    lesion: str,
    long_lps_mm: npt.ArrayLike,
    short_lps_mm: npt.ArrayLike | None,
    reason: str,
    *,
    expected: int | None = None,
) -> Correction:
    """Set the longest diameter of a lesion in a series by the ends of the line.

    Parameters
    ----------
    long_lps_mm, short_lps_mm
        Ends in one slice of the series. Without a short axis, that of the diameter known so far stays if it is in the same
        slice. [mm] (2, 3)

    Raises
    ------
    UsageError
        If the ends are not in one slice of the image, the short axis is missing, or it is longer than the longest diameter.
    """
    there = contained(study.ledger, study.store, subject_id)
    header = there.header(series)
    there.require_lesion(lesion)
    target = f"{header.series_uid} {lesion}"
    long, slice_k = _ends(long_lps_mm, header, "longest diameter")
    if short_lps_mm is not None:
        short, short_k = _ends(short_lps_mm, header, "short axis")
    else:
        known = _known_diameter(study, there, header.series_uid, lesion)
        short, short_k = (known.short_ends_lps_mm, known.slice_k) if known else (np.zeros((2, 3)), -1)
    if short_k != slice_k:
        raise UsageError(
            f"the longest diameter is in slice {slice_k}, "
            + ("where no short axis is known" if short_lps_mm is None else f"the short axis in {short_k}"),
            required="both in one slice",
            do="give the ends of the short axis there",
        )
    long_mm, short_mm = (float(np.linalg.norm(ends[1] - ends[0])) for ends in (long, short))
    if not 0 < short_mm <= long_mm:
        found = f"a short axis of {short_mm:.4g} mm and a longest diameter of {long_mm:.4g} mm"
        raise UsageError(found, required="a short axis that is there and not the longer one")
    pair = DiameterPair(long_mm, short_mm, long, short, slice_k, drawn_by=user())
    return _set(study, subject_id, EditKind.DIAMETER, target, pair, reason, expected)


def _set_transform(
    study: StudyFolder, subject_id: str, conductor: Conductor, made: Made, reason: str, expected: int | None
) -> Correction:
    findings = conductor.findings([made.receipt])
    if not made:
        raise Undetermined(" ".join(finding.text for finding in findings))
    transform: Transform = conductor.value(made)
    done = _set(study, subject_id, EditKind.TRANSFORM, transform_target(transform), transform, reason, expected)
    return evolve(done, findings=findings)


def _set(
    study: StudyFolder,
    subject_id: str,
    kind: EditKind,
    target: str,
    value: Transform | Lock | DiameterPair,
    reason: str,
    expected: int | None,
) -> Correction:
    return Correction(make_edit(study, subject_id, kind, target, value, reason, expected=expected), value)


def _nudged(
    transform: Transform, shift_lps_mm: Points, rotation_deg: Points, about_lps_mm: Points, by: str
) -> Outcome[Transform]:
    return Outcome(nudged(transform, shift_lps_mm, rotation_deg, about_lps_mm, by=by))


def _middle(there: Contained, fixed: str, frame: str) -> Points:
    """Middle of the fixed image: of the series named, or of the first one in the frame."""
    named = [there.header(fixed)] if fixed != frame else []
    for header in (*named, *there.in_frame(frame)):
        if header.grid is not None:
            middle: Points = header.grid.corners_lps_mm.mean(axis=0)
            return middle
    raise UsageError(f"no image with a geometry in frame {frame}", do="give the point to turn about")


def _ends(lps_mm: npt.ArrayLike, header: SeriesHeader, what: str) -> tuple[Points, int]:
    """Check the ends of a line and find the slice both lie in. [mm] (2, 3)"""
    ends = np.asarray(lps_mm, float).reshape(2, 3)
    if header.grid is None:
        raise UsageError(f"series {header.series_uid} has no geometry", required="an image")
    ijk = header.grid.to_ijk(ends)
    slice_k = round(float(ijk[:, 2].mean()))
    inside = (ijk >= -0.5) & (ijk <= np.subtract(header.grid.shape, 0.5))
    if np.abs(ijk[:, 2] - slice_k).max() > OFF_SLICE or not inside.all():
        raise UsageError(
            f"the {what} ends at voxels {' and '.join(str(np.round(end, 1).tolist()) for end in ijk)}",
            required=f"two points in one slice of {header.grid.describe()}",
        )
    return ends, slice_k


def _known_diameter(study: StudyFolder, there: Contained, series_uid: str, lesion_id: str) -> DiameterPair | None:
    """Diameter that holds now: drawn by a person, else measured."""
    drawn = active(study.ledger, study.store, there.subject_id)[EditKind.DIAMETER].get(f"{series_uid} {lesion_id}")
    if isinstance(drawn, DiameterPair):
        return drawn
    for lesion in there.record.lesions:
        for observation in lesion.observations:
            wanted = (lesion.lesion_id, observation.series_uid) == (lesion_id, series_uid)
            if wanted and observation.diameters and observation.diameters.output:
                measured: DiameterPair = study.store.get(observation.diameters.output)
                return measured
    return None
