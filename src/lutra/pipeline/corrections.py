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
from lutra.core.errors import InputError, Undetermined, UsageError
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.lesion import Lock
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.transform import Transform
from lutra.imaging.lines import drawn_diameters, drawn_on_region
from lutra.ingest import LandmarkPairs, read_itk_transform, read_label_map
from lutra.pipeline.conductor import Conductor, Made, user
from lutra.pipeline.contained import Contained, contained
from lutra.pipeline.edits import (
    Value,
    lock_target,
    make_edit,
    region_target,
    require_frame,
    transform_target,
    transforms_of,
)
from lutra.pipeline.record import stored_region
from lutra.pipeline.regions import place_drawn
from lutra.reference.region_names import LESION_CODE

if TYPE_CHECKING:
    from lutra.pipeline.study import StudyFolder

NEW = "new"
NOT = "not:"

Points = npt.NDArray[np.float64]


@frozen
class Correction:
    """An edit, the value it sets, and the doubts met."""

    edit: Edit
    value: Value
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
    by: str | None = None,
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
         "rotation_deg": np.asarray(rotation_deg, float), "about_lps_mm": about, "by": by or user()},
        code="lutra.align",
    )  # fmt: skip
    return _set_transform(study, subject_id, conductor, made, reason, expected, by)


def fit_landmarks(
    study: StudyFolder,
    subject_id: str,
    fixed: str,
    moving: str,
    pairs: LandmarkPairs,
    reason: str,
    *,
    expected: int | None = None,
    by: str | None = None,
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
         "moving_frame": there.frame(moving), "names": pairs.names, "by": by or user()},
        code="lutra.align",
    )  # fmt: skip
    return _set_transform(study, subject_id, conductor, made, reason, expected, by)


def import_transform(
    study: StudyFolder,
    subject_id: str,
    fixed: str,
    moving: str,
    file: Path,
    reason: str,
    *,
    expected: int | None = None,
    by: str | None = None,
) -> Correction:
    """Accept the transform of an ITK text file; its content, not the file, is kept."""
    there = contained(study.ledger, study.store, subject_id)
    transform = read_itk_transform(file, there.frame(fixed), there.frame(moving))
    transform = evolve(transform, method=f"{transform.method}, accepted by {by or user()}")
    return _set(study, subject_id, EditKind.TRANSFORM, transform_target(transform), transform, reason, expected, by)


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
    by: str | None = None,
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
    return _set(study, subject_id, EditKind.LESION_LOCK, lock_target(lock), lock, reason, expected, by)


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
    by: str | None = None,
) -> Correction:
    """Set the longest diameter of a lesion in a series by the ends of the line.

    Parameters
    ----------
    long_lps_mm, short_lps_mm
        Ends in one slice of the series. Without a short axis it is the lesion's widest extent square to the line. [mm] (2, 3)

    Raises
    ------
    InputError
        If the lines cannot be the two diameters of something in one slice of the image.
    UsageError
        If there is no such series or lesion, or neither a short axis nor an outline to measure it in.
    """
    there = contained(study.ledger, study.store, subject_id)
    header = there.header(series)
    there.require_lesion(lesion)
    target = f"{header.series_uid} {lesion}"
    if header.grid is None:
        raise UsageError("the series has no geometry", where=header.series_uid, required="an image")
    long = np.asarray(long_lps_mm, float).reshape(-1, 3)
    if short_lps_mm is None:
        pair = drawn_on_region(_drawn_region(study, there, header.series_uid, lesion), long, by or user())
    else:
        pair = drawn_diameters(header.grid, long, np.asarray(short_lps_mm, float).reshape(-1, 3), by or user())
    return _set(study, subject_id, EditKind.DIAMETER, target, pair, reason, expected, by)


def draw_region(
    study: StudyFolder,
    subject_id: str,
    series: str,
    drawn: Region,
    reason: str,
    *,
    expected: int | None = None,
    by: str | None = None,
) -> Correction:
    """Set a region of a series, in place of the one of its name there, whose meaning it keeps, or as a new one.

    Parameters
    ----------
    drawn
        On any grid of the series' frame of reference; on that of the series it counts by the share of each voxel inside.

    Raises
    ------
    UsageError
        If there is no such series, or the region is in another frame.
    InputError
        If nothing of it lies on the image.
    """
    there = contained(study.ledger, study.store, subject_id)
    header = there.header(series)
    region = evolve(drawn, referenced_series_uid=header.series_uid)
    require_frame(region, header)
    before = _region_named(study, there, header.series_uid, drawn.name)
    if before is not None:
        region = evolve(
            region,
            kind=before.kind,
            code=before.code,
            tracking_id=before.tracking_id,
            tracking_uid=before.tracking_uid,
        )
    conductor = Conductor(study.store, study.ledger)
    placed = place_drawn(conductor, study.protocol, region, header)
    findings = conductor.findings([placed.receipt])
    if not placed or not conductor.value(placed):
        raise InputError(
            f"nothing of “{region.name}” lies on the image", where=header.series_uid, do="draw it on this image"
        )
    return evolve(
        _set(study, subject_id, EditKind.REGION, region_target(region), region, reason, expected, by), findings=findings
    )


def region_from_file(
    study: StudyFolder, subject_id: str, series: str, name: str, file: Path, kind: RegionKind
) -> Region:
    """Read a mask as a region of a series.

    Raises
    ------
    InputError
        If the file cannot be read, or does not hold just one region.
    UsageError
        If there is no such series.
    """
    header = contained(study.ledger, study.store, subject_id).header(series)
    outcome = read_label_map(file, None, header.series_uid)
    regions = outcome.value or ()
    if len(regions) != 1:
        refused = "; ".join(f.text for f in outcome.findings if f.severity is Severity.ERROR)
        raise InputError(
            refused or f"{len(regions)} labels", where=str(file), required="one region: a mask of an image"
        )
    (read,) = regions
    grid = evolve(read.grid, frame_of_reference=header.frame_of_reference)
    code = LESION_CODE if kind is RegionKind.LESION else None
    return evolve(read, name=name, kind=kind, code=code, grid=grid, origin=RegionOrigin.DRAWN)


def _set_transform(
    study: StudyFolder,
    subject_id: str,
    conductor: Conductor,
    made: Made,
    reason: str,
    expected: int | None,
    by: str | None,
) -> Correction:
    findings = conductor.findings([made.receipt])
    if not made:
        raise Undetermined(" ".join(finding.text for finding in findings))
    transform: Transform = conductor.value(made)
    done = _set(study, subject_id, EditKind.TRANSFORM, transform_target(transform), transform, reason, expected, by)
    return evolve(done, findings=findings)


def _set(
    study: StudyFolder,
    subject_id: str,
    kind: EditKind,
    target: str,
    value: Value,
    reason: str,
    expected: int | None,
    by: str | None,
) -> Correction:
    return Correction(make_edit(study, subject_id, kind, target, value, reason, expected=expected, by=by), value)


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


def _region_named(study: StudyFolder, there: Contained, series_uid: str, name: str) -> Region | None:
    for observation in (*there.record.organs, *(o for lesion in there.record.lesions for o in lesion.observations)):
        if (observation.series_uid, observation.region_name) == (series_uid, name):
            return stored_region(study.store, observation.region)
    return None


def _drawn_region(study: StudyFolder, there: Contained, series_uid: str, lesion_id: str) -> Region:
    """Outline of a lesion in a series."""
    for lesion in there.record.lesions:
        for observation in lesion.observations:
            if (lesion.lesion_id, observation.series_uid) == (lesion_id, series_uid):
                return stored_region(study.store, observation.region)
    raise UsageError(
        f"{lesion_id} has no outline in this series, so its short axis cannot be measured",
        where=series_uid,
        do="give the ends of the short axis too",
    )
