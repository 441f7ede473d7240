"""Transforms of a subject to files that other programs read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lutra.core.digest import digest
from lutra.core.errors import UsageError
from lutra.core.transform import Transform
from lutra.export import stable_uid, write_itk_transform, write_spatial_registration
from lutra.pipeline.conductor import user
from lutra.pipeline.contained import Contained, contained
from lutra.pipeline.edits import transforms_of
from lutra.pipeline.results import slug

if TYPE_CHECKING:
    from lutra.pipeline.study import StudyFolder

Kind = Literal["itk", "dicom"]


def export_transforms(study: StudyFolder, subject_id: str, kind: Kind, out: Path) -> tuple[Path, ...]:
    """Write each transform known of a subject into a folder, named after the images it relates: `FIXED_from_MOVING`.

    Raises
    ------
    UsageError
        If none is known.
    """
    paths = write_transforms(study, subject_id, kind, out)
    if not paths:
        raise UsageError(f"no transform of {subject_id} is known", do="lutra align landmarks, nudge or import make one")
    study.log("align export", {"subject": subject_id, "as": kind, "files": len(paths)})
    return paths


def write_transforms(study: StudyFolder, subject_id: str, kind: Kind, out: Path) -> tuple[Path, ...]:
    """Write each transform known of a subject, if any; see :func:`export_transforms`."""
    there = contained(study.ledger, study.store, subject_id)
    taken: dict[str, int] = {}
    paths = []
    for transform in transforms_of(study, subject_id):
        name = f"{_name(there, transform.fixed_frame)}_from_{_name(there, transform.moving_frame)}"
        taken[name] = taken.get(name, 0) + 1
        stem = out / (name if taken[name] == 1 else f"{name}-{taken[name]}")
        if kind == "itk":
            paths.append(write_itk_transform(stem.parent / f"{stem.name}.tfm", transform))
        else:
            paths.append(_write_dicom(study, there, transform, stem.parent / f"{stem.name}.dcm"))
    return tuple(paths)


def _name(there: Contained, frame: str) -> str:
    """Label of the first series of a frame, fit for a file name."""
    labels = [there.labels.get(header.series_uid, "") for header in there.in_frame(frame)]
    return slug(next((label for label in labels if label), frame)).replace("_", "-")


def _write_dicom(study: StudyFolder, there: Contained, transform: Transform, path: Path) -> Path:
    fixed, moving = there.in_frame(transform.fixed_frame), there.in_frame(transform.moving_frame)
    sources = (s for s in study.ledger.sources(there.subject_id) if fixed and s.series_uid == fixed[0].series_uid)
    like = next(sources, None)
    if like is None:
        raise UsageError(
            f"no file of frame {transform.fixed_frame} is known", do="add the images, run, and export again"
        )
    at, by = _made(study, there.subject_id, transform)
    referred = (header.series_uid for header in (*fixed, *moving))
    return write_spatial_registration(
        path,
        transform,
        fixed,
        moving,
        Path(like.path),
        series_uid=stable_uid("registration series", there.subject_id, transform.fixed_frame),
        instance_uid=stable_uid("registration", digest(transform), at.isoformat(), *referred),
        made_at=at,
        made_by=by,
    )


def _made(study: StudyFolder, subject_id: str, transform: Transform) -> tuple[datetime, str]:
    """When a transform was made and by whom: as an edit, or by a step; so that the same transform gives the same file."""
    content = digest(transform)
    for edit in reversed(study.ledger.edits(subject_id)):
        if edit.value == content:
            return edit.at, edit.by
    receipt = study.ledger.receipt_of_output(content)
    return (receipt.at, receipt.by) if receipt else (datetime.now(UTC), user())
