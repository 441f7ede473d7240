"""Commands of people who correct: transforms, lesions, diameters; and the list of what was corrected."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from lutra.cli import show

if TYPE_CHECKING:
    from lutra.core.edit import Edit
    from lutra.pipeline.corrections import Correction

align_app = typer.Typer(no_args_is_help=True, help="Set, import and export how images map to each other.")
lesion_app = typer.Typer(
    no_args_is_help=True, help="Say which lesion a region is; redraw its diameter or the region itself."
)
edits_app = typer.Typer(no_args_is_help=True, help="What people changed, and taking it back.")

Three = tuple[float, float, float]
Six = tuple[float, float, float, float, float, float]
Dir = Annotated[Path, typer.Argument(help="Study folder.", show_default=False)]
Subject = Annotated[str, typer.Argument(help="Subject.", show_default=False)]
Fixed = Annotated[
    str, typer.Argument(help="Fixed image: series label or UID, or frame of reference UID.", show_default=False)
]
Moving = Annotated[
    str, typer.Argument(help="Moving image: series label or UID, or frame of reference UID.", show_default=False)
]
Series = Annotated[str, typer.Argument(help="Series label or UID.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the edit.", show_default=False)]
Expected = Annotated[
    int | None,
    typer.Option(min=0, help="Number of the subject's last edit you saw, 0 for none: refuse if there is a later one."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


class FileKind(StrEnum):
    """How transforms are written."""

    ITK = "itk"
    DICOM = "dicom"


class RegionKindName(StrEnum):
    """What a region stands for."""

    LESION = "lesion"
    ORGAN = "organ"
    OTHER = "other"


@align_app.command("nudge")
def align_nudge(
    directory: Dir,
    subject: Subject,
    fixed: Fixed,
    moving: Moving,
    *,
    reason: Reason,
    shift_mm: Annotated[Three, typer.Option(help="Shift to the left, posterior and superior, in mm.")] = (
        0.0,
        0.0,
        0.0,
    ),
    rotate_deg: Annotated[
        Three, typer.Option(help="Right-handed turns about these axes, one after the other, in degrees.")
    ] = (0.0, 0.0, 0.0),
    about_mm: Annotated[
        Three | None,
        typer.Option(help="Point that a turn leaves in place; none: the middle of the fixed image. In mm."),
    ] = None,
    expected: Expected = None,
    json: Json = False,
) -> None:
    """Move the moving image on the fixed one, from where it lies now."""
    from lutra.pipeline.corrections import nudge
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        done = nudge(
            StudyFolder(directory), subject, fixed, moving, shift_mm, rotate_deg, about_mm, reason, expected=expected
        )
    _say(done, json)


@align_app.command("landmarks")
def align_landmarks(
    directory: Dir,
    subject: Subject,
    fixed: Fixed,
    moving: Moving,
    pairs: Annotated[
        Path,
        typer.Argument(help="CSV: fixed_l_mm, fixed_p_mm, fixed_s_mm, moving_l_mm, ..., name.", show_default=False),
    ],
    reason: Reason,
    expected: Expected = None,
    json: Json = False,
) -> None:
    """Set the rigid transform that brings paired landmarks together, with its error and the pair that does not belong."""
    from lutra.ingest import read_landmark_pairs
    from lutra.pipeline.corrections import fit_landmarks
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        study = StudyFolder(directory)
        done = fit_landmarks(study, subject, fixed, moving, read_landmark_pairs(pairs), reason, expected=expected)
    _say(done, json)


@align_app.command("import")
def align_import(
    directory: Dir,
    subject: Subject,
    fixed: Fixed,
    moving: Moving,
    file: Annotated[Path, typer.Argument(help="ITK text transform (.tfm), rigid or affine.", show_default=False)],
    reason: Reason,
    expected: Expected = None,
    json: Json = False,
) -> None:
    """Accept a transform that was made in another program."""
    from lutra.pipeline.corrections import import_transform
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        done = import_transform(StudyFolder(directory), subject, fixed, moving, file, reason, expected=expected)
    _say(done, json)


@align_app.command("export")
def align_export(
    directory: Dir,
    subject: Subject,
    out: Annotated[Path, typer.Argument(help="Folder to write into.", show_default=False)],
    kind: Annotated[FileKind, typer.Option("--as", help="itk: .tfm files; dicom: Spatial Registration.")],
    json: Json = False,
) -> None:
    """Write every transform of a subject for other programs."""
    from lutra.pipeline.study import StudyFolder
    from lutra.pipeline.transform_files import export_transforms

    with show.reported():
        paths = export_transforms(StudyFolder(directory), subject, kind.value, out)
    if json:
        show.print_json({"files": [str(path) for path in paths]})
    else:
        show.out.print("\n".join(str(path) for path in paths), markup=False)


@lesion_app.command("lock")
def lesion_lock(
    directory: Dir,
    subject: Subject,
    series: Series,
    region: Annotated[str, typer.Argument(help="Name of the region on that series.", show_default=False)],
    lesion: Annotated[
        str, typer.Argument(help="L03; new: a lesion of its own; not:L03: any but this.", show_default=False)
    ],
    reason: Reason,
    expected: Expected = None,
    json: Json = False,
) -> None:
    """Say which lesion a region is; matching keeps to it."""
    from lutra.pipeline.corrections import lock_lesion
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        done = lock_lesion(StudyFolder(directory), subject, series, region, lesion, reason, expected=expected)
    _say(done, json)


@lesion_app.command("line")
def lesion_line(
    directory: Dir,
    subject: Subject,
    series: Series,
    lesion: Annotated[str, typer.Argument(help="Lesion, such as L03.", show_default=False)],
    ends: Annotated[
        Path | None, typer.Argument(help="CSV: line (long or short), l_mm, p_mm, s_mm; a line for each end.")
    ] = None,
    *,
    reason: Reason,
    long: Annotated[Six | None, typer.Option(help="Ends of the longest diameter: x y z x y z, LPS in mm.")] = None,
    short: Annotated[Six | None, typer.Option(help="Ends of the short axis in the same slice.")] = None,
    expected: Expected = None,
    json: Json = False,
) -> None:
    """Redraw the longest diameter of a lesion in a series, and its short axis."""
    from lutra.core.errors import UsageError
    from lutra.ingest import read_line_ends
    from lutra.pipeline.corrections import redraw_diameter
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        if (ends is None) == (long is None) or (ends is not None and short is not None):
            raise UsageError("the ends of the line are not given once", required="a CSV file, or --long and --short")
        across: Any = short
        along: Any = long
        if ends is not None:
            along, across = read_line_ends(ends)
        done = redraw_diameter(
            StudyFolder(directory), subject, series, lesion, along, across, reason, expected=expected
        )
    _say(done, json)


@lesion_app.command("region")
def lesion_region(
    directory: Dir,
    subject: Subject,
    series: Series,
    name: Annotated[str, typer.Argument(help="Name of a region of that series, or a new one.", show_default=False)],
    mask: Annotated[
        Path, typer.Argument(help="NIfTI mask on the series, or elsewhere in its place.", show_default=False)
    ],
    *,
    reason: Reason,
    kind: Annotated[
        RegionKindName, typer.Option(help="What a new region is; one that is there stays what it was.")
    ] = RegionKindName.LESION,
    expected: Expected = None,
    json: Json = False,
) -> None:
    """Set a region of a series by a mask; what depends on it is computed again by the next run."""
    from lutra.core.region import RegionKind
    from lutra.pipeline.corrections import draw_region, region_from_file
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        study = StudyFolder(directory)
        drawn = region_from_file(study, subject, series, name, mask, RegionKind(kind.value))
        done = draw_region(study, subject, series, drawn, reason, expected=expected)
    _say(done, json)


@edits_app.command("list")
def edits_list(
    directory: Dir,
    subject: Annotated[str | None, typer.Argument(help="Only this subject.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """List what people changed, in the order made, and what of it holds."""
    from lutra.pipeline.edits import edits_of, state_of
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        edits = edits_of(StudyFolder(directory), subject)
    if json:
        show.print_json({"edits": [_edit_json(edit) | {"state": state_of(edit, edits)} for edit in edits]})
        return
    table = show.table("no.", "subject", "kind", "target", "state", "by", "at", "reason")
    for e in edits:
        row = (
            e.number,
            e.subject_id,
            e.kind.value,
            e.target,
            state_of(e, edits),
            e.by,
            f"{e.at:%Y-%m-%d %H:%M}",
            e.reason,
        )
        table.add_row(*(escape(str(cell)) for cell in row))
    show.out.print(table if edits else "nothing was edited")


@edits_app.command("undo")
def edits_undo(
    directory: Dir,
    number: Annotated[int, typer.Argument(help="Number of the edit, as listed.", show_default=False)],
    reason: Reason,
    expected: Expected = None,
    json: Json = False,
) -> None:
    """Take an edit back; the undo is an edit and can be taken back as well."""
    from lutra.pipeline.edits import undo_edit
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        edit = undo_edit(StudyFolder(directory), number, reason, expected=expected)
    if json:
        show.print_json({"edit": _edit_json(edit)})
    else:
        show.out.print(f"edit {edit.number}: {number} is taken back; next: lutra run {directory}", markup=False)


def _say(done: Correction, json: bool) -> None:
    from lutra.core.transform import Transform

    value = done.value
    if json:
        numbers: dict[str, Any] = {}
        if isinstance(value, Transform):
            numbers = {"fixed_from_moving": value.fixed_from_moving.tolist(), "error_mm": value.error_mm,
                       "quality": dict(value.quality), "method": value.method}  # fmt: skip
        show.print_json({"edit": _edit_json(done.edit), **numbers, "findings": show.finding_json(done.findings)})
    else:
        show.print_findings(done.findings)
        said = f"edit {done.edit.number}: {done.edit.kind.value} {done.edit.target}"
        if isinstance(value, Transform):
            error = "not evaluated" if value.error_mm is None else f"{value.error_mm:.2g} mm"
            said += f"\n{value.method}; expected error {error}"
        show.out.print(said, markup=False)
    raise typer.Exit(show.exit_code(done.findings))


def _edit_json(edit: Edit) -> dict[str, Any]:
    return {
        "number": edit.number, "subject": edit.subject_id, "kind": edit.kind.value, "target": edit.target,
        "value": edit.value, "by": edit.by, "at": edit.at.isoformat(), "reason": edit.reason, "undoes": edit.undoes,
    }  # fmt: skip
