"""Gathers what the report shows of registrations and of lesions through all images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutra.core.grid import Grid
from lutra.core.lesion import Correspondence
from lutra.core.study import Role
from lutra.core.transform import QUALITY, Transform
from lutra.core.volume import Volume
from lutra.imaging.render import checkerboard_png
from lutra.imaging.section import Section
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.record import SubjectRecord, TransformRecord
from lutra.report.model import CorrespondenceView, TransformView

CHECKS = {
    "multi_start_agreement_mm": ("starts differ by", "mm"),
    "starts_agreeing": ("starts agreeing", ""),
    "overlap": ("overlap of the fields", ""),
    "body_dice": ("body, Dice", ""),
    "bone_dice": ("bone, Dice", ""),
    "jacobian_low": ("local volume ratio, 1st percentile", ""),
    "jacobian_high": ("local volume ratio, 99th percentile", ""),
    "folded": ("folded share", ""),
    "inverse_consistency_mm": ("there and back", "mm"),
    "landmark_error_mm": ("landmarks, rms", "mm"),
}
"""Checks a page shows, in this order: words and unit. Those left out stand in the receipt."""
CT_WINDOW = (-160.0, 240.0)
PIXELS = 260


def transform_views(
    conductor: Conductor, record: SubjectRecord, slug: str, images: dict[str, bytes]
) -> tuple[TransformView, ...]:
    """Say of every map how it was found and how far it is to be trusted; pictures go into `images`."""
    labels = {t.series_uid: t.label for t in record.subject.timepoints}
    return tuple(
        _view(conductor, record, transform, labels, f"{slug}-registration-{number}.png", images)
        for number, transform in enumerate(record.transforms, start=1)
    )


def correspondence_views(conductor: Conductor, record: SubjectRecord) -> tuple[CorrespondenceView, ...]:
    """Say of every lesion what became of it in every image."""
    if not record.correspondences:
        return ()
    labels = {t.series_uid: t.label for t in record.subject.timepoints}
    table: tuple[Correspondence, ...] = conductor.value(record.correspondences)
    return tuple(
        CorrespondenceView(
            lesion_id=c.lesion_id,
            series_label=labels[c.series_uid],
            sighting=c.sighting.value,
            region_name=c.region_name or "",
            confidence=c.confidence,
            matched_by=c.matched_by,
            distance_mm=c.distance_mm,
            volume_ratio=c.volume_ratio,
            merged_into=c.merged_into or "",
        )
        for c in table
    )


def _view(
    conductor: Conductor,
    record: SubjectRecord,
    made: TransformRecord,
    labels: dict[str, str],
    name: str,
    images: dict[str, bytes],
) -> TransformView:
    fixed, moving = labels[made.fixed_series], labels[made.moving_series]
    if not made.transform:
        reason = " ".join(finding.text for finding in conductor.findings([made.transform.receipt]))
        return TransformView(fixed, moving, "", None, (), reason, None, made.transform.receipt)
    transform: Transform = conductor.value(made.transform)
    checks = tuple(
        (words, transform.quality[check], unit) for check, (words, unit) in CHECKS.items() if check in transform.quality
    )
    picture = _picture(conductor, record, made, transform)
    if picture is not None:
        images[name] = picture
    return TransformView(
        fixed,
        moving,
        transform.method,
        transform.error_mm,
        checks,
        "",
        None if picture is None else name,
        made.transform.receipt,
    )


def _picture(conductor: Conductor, record: SubjectRecord, made: TransformRecord, transform: Transform) -> bytes | None:
    series = {s.series_uid: s for s in record.series}
    both = [series[uid].image for uid in (made.fixed_series, made.moving_series)]
    roles = {t.series_uid: t.role for t in record.subject.timepoints}
    if not all(both):
        return None
    fixed, moving = (_volume(conductor, image) for image in both if image)
    windows = [
        _window(volume, roles[uid]) for volume, uid in ((fixed, made.fixed_series), (moving, made.moving_series))
    ]
    centre, field_mm = _middle(fixed.grid)
    return checkerboard_png(
        fixed, moving, Section(centre, field_mm, "coronal", PIXELS), windows[0], windows[1], transform
    )


def _volume(conductor: Conductor, image: Made) -> Volume:
    volume: Volume = conductor.value(image)
    return volume


def _middle(grid: Grid) -> tuple[npt.NDArray[np.float64], float]:
    """Centre of an image and the edge of a square that holds its length and width. [mm]"""
    corners = grid.corners_lps_mm
    extent = corners.max(axis=0) - corners.min(axis=0)
    return corners.mean(axis=0), float(max(extent[0], extent[2]))


def _window(volume: Volume, role: Role) -> tuple[float, float]:
    return CT_WINDOW if role is Role.CT else (0.0, float(volume.values.max()))


assert set(CHECKS) <= set(QUALITY)  # noqa: S101
