"""What people change, from the command line to the values that hold: two CTs of one person in two frames of reference."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from lutra.cli.main import app
from lutra.core.edit import EditKind
from lutra.core.errors import StoreError, UsageError
from lutra.core.grid import Grid
from lutra.core.lesion import Lock
from lutra.core.response import DiameterPair
from lutra.core.study import SeriesHeader
from lutra.core.transform import Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series
from lutra.export.dicom_image import STORAGE
from lutra.ingest import read_itk_transform, read_spatial_registration
from lutra.pipeline.edits import active, edits_of, make_edit, state_of, taken_back, transforms_of, undo_edit
from lutra.pipeline.study import StudyFolder

AFFINE = np.array([[2.0, 0, 0, -12], [0, 2, 0, 5], [0, 0, 3, 100], [0, 0, 0, 1]])
SHAPE = 24, 22, 10
EARLY, LATE = stable_uid("ct", "early"), stable_uid("ct", "late")
FRAME, LATER_FRAME = stable_uid("frame", "early"), stable_uid("frame", "late")


def write_ct(folder: Path, series: str, frame: str, month: int) -> None:
    at = datetime(2026, month, 12, 9, 0, tzinfo=UTC)
    grid = Grid(SHAPE, AFFINE, frame)
    header = SeriesHeader(
        series, stable_uid("study", str(month)), "P1", "CT", str(STORAGE["CT"]), "", "test", "",
        ("ORIGINAL", "PRIMARY", "AXIAL"), frame, tuple(stable_uid(series, str(k)) for k in range(SHAPE[2])), acquired_at=at,
    )  # fmt: skip
    identity = PatientIdentity("P1", "P1", "F", 70, 1.7)
    write_image_series(folder, header, Volume(np.full(SHAPE, 40.0), grid, Unit.HU), identity, at)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that has been run: a lesion of 5 x 6 x 4 voxels in both CTs."""
    folder = tmp_path_factory.mktemp("edits")
    write_ct(folder / "early", EARLY, FRAME, 1)
    write_ct(folder / "late", LATE, LATER_FRAME, 4)
    values = np.zeros(SHAPE, np.uint8)
    values[6:11, 7:13, 3:7] = 1
    nib.save(nib.Nifti1Image(values, np.diag([-1.0, -1, 1, 1]) @ AFFINE), folder / "labels.nii")
    (folder / "names.csv").write_text("1,lesion 1\n")
    study = StudyFolder.create(folder / "study")
    study.add([folder / "early", folder / "late"])
    for series in (EARLY, LATE):
        arguments = ["--labels", str(folder / "labels.nii"), "--names", str(folder / "names.csv"), "--for", series]
        assert CliRunner().invoke(app, ["study", "add", str(study.root), *arguments]).exit_code == 0
    study.run()
    study.ledger.close()
    return study.root


@pytest.fixture
def study(template: Path, tmp_path: Path) -> StudyFolder:
    shutil.copytree(template, tmp_path / "study")
    return StudyFolder(tmp_path / "study")


def lutra(study: StudyFolder, command: str, *arguments: object, code: int = 0) -> str:
    ran = CliRunner().invoke(app, [*command.split(), str(study.root), *map(str, arguments)])
    assert ran.exit_code == code, ran.output
    return ran.output


def said(study: StudyFolder, command: str, *arguments: object, code: int = 0) -> dict[str, object]:
    found: dict[str, object] = json.loads(lutra(study, command, *arguments, "--json", code=code))
    return found


def shifted(mm: float) -> Transform:
    matrix = np.eye(4)
    matrix[0, 3] = mm
    return Transform(FRAME, LATER_FRAME, matrix, None, "known")


def set_shift(study: StudyFolder, mm: float, *, expected: int | None = None) -> int:
    target = f"{FRAME} {LATER_FRAME}"
    return make_edit(study, "P1", EditKind.TRANSFORM, target, shifted(mm), "test", expected=expected).number


def shift_in_force(study: StudyFolder) -> list[float]:
    return [float(t.fixed_from_moving[0, 3]) for t in transforms_of(study, "P1")]


def test_the_last_edit_holds_and_every_one_can_be_taken_back(study: StudyFolder) -> None:
    assert shift_in_force(study) == []
    first, second = set_shift(study, 1.0), set_shift(study, 2.0)
    assert shift_in_force(study) == [2.0]
    undo = undo_edit(study, second, "wrong").number
    assert shift_in_force(study) == [1.0]
    undo_edit(study, undo, "right after all")
    assert shift_in_force(study) == [2.0]
    edits = edits_of(study, "P1")
    states = [state_of(edit, edits) for edit in edits]
    assert states == ["replaced by 2", "in force", "taken back by 4", "undoes 3"]
    assert taken_back(edits) == {undo: undo + 1}
    assert first == 1


def test_a_value_is_kept_under_its_digest_and_the_audit_trail_tells(study: StudyFolder) -> None:
    set_shift(study, 1.0)
    (edit,) = edits_of(study)
    assert study.store.get(edit.value).method == "known"
    (line,) = [row for row in study.ledger.audit_trail() if row["action"] == "edit"]
    assert line["by"] == edit.by
    assert line["detail"] == {
        "edit": 1, "subject": "P1", "kind": "transform", "target": f"{FRAME} {LATER_FRAME}", "by": edit.by,
        "undoes": None, "value": edit.value, "reason": "test",
    }  # fmt: skip


def test_what_holds_is_told_by_kind(study: StudyFolder) -> None:
    lutra(study, "lesion lock", "P1", LATE, "lesion 1", "new", "--reason", "another one")
    set_shift(study, 1.0)
    values = active(study.ledger, study.store, "P1")
    assert {kind: list(targets) for kind, targets in values.items()} == {
        EditKind.LESION_LOCK: [f"{LATE} lesion 1"],
        EditKind.TRANSFORM: [f"{FRAME} {LATER_FRAME}"],
        EditKind.DIAMETER: [],
        EditKind.REGION: [],
    }


def test_an_edit_of_an_older_state_is_refused(study: StudyFolder) -> None:
    set_shift(study, 1.0, expected=0)
    with pytest.raises(StoreError, match=r"P1 was edited meanwhile: 1 by \w+, transform .*: test"):
        set_shift(study, 2.0, expected=0)
    assert shift_in_force(study) == [1.0]
    set_shift(study, 2.0, expected=1)
    with pytest.raises(StoreError, match="edited meanwhile: 2 by"):
        undo_edit(study, 1, "late", expected=1)
    arguments = ("P1", EARLY, LATE, "--shift-mm", 1, 2, 3, "--reason", "x", "--expected", 1)
    lutra(study, "align nudge", *arguments, code=1)
    lutra(study, "align nudge", *arguments[:-1], 2)


def test_of_many_at_once_one_is_written(study: StudyFolder) -> None:
    """Eight people, each sure that nobody was there before."""

    def attempt(mm: int) -> bool:
        try:
            set_shift(StudyFolder(study.root), mm, expected=0)
        except StoreError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
    assert len(edits_of(study)) == 1


@pytest.mark.parametrize(
    ("kind", "target", "value", "message"),
    [
        (
            EditKind.TRANSFORM,
            f"{FRAME} 1.2.3",
            shifted(1),
            "no series '1.2.3' in P1; required: one of: .*CT 12 Jan 2026",
        ),
        (EditKind.TRANSFORM, f"{LATER_FRAME} {FRAME}", shifted(1), "the value is about"),
        (EditKind.TRANSFORM, FRAME, shifted(1), "two words"),
        (EditKind.LESION_LOCK, f"{EARLY} lesion 1", shifted(1), "lesion-lock with Transform"),
        (EditKind.LESION_LOCK, f"{EARLY} node", Lock(EARLY, "node", "L01"), "no region 'node'.*one of: lesion 1"),
        (EditKind.LESION_LOCK, f"{EARLY} lesion 1", Lock(EARLY, "lesion 1", "L09"), "no lesion 'L09'.*one of: L01"),
        (EditKind.DIAMETER, f"{EARLY} L07", DiameterPair(2, 1, np.eye(2, 3), np.eye(2, 3), 4), "no lesion 'L07'"),
    ],
)
def test_what_is_not_there_is_named(
    study: StudyFolder, kind: EditKind, target: str, value: Lock | Transform | DiameterPair, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make_edit(study, "P1", kind, target, value, "test")
    assert edits_of(study) == ()


def test_an_edit_needs_a_reason_a_subject_and_a_run(study: StudyFolder, tmp_path: Path) -> None:
    target = f"{FRAME} {LATER_FRAME}"
    with pytest.raises(UsageError, match="no reason"):
        make_edit(study, "P1", EditKind.TRANSFORM, target, shifted(1), "  ")
    with pytest.raises(UsageError, match=r"no subject 'P2'.*P1"):
        make_edit(study, "P2", EditKind.TRANSFORM, target, shifted(1), "x")
    write_ct(tmp_path / "ct", EARLY, FRAME, 1)
    fresh = StudyFolder.create(tmp_path / "fresh")
    fresh.add([tmp_path / "ct"])
    with pytest.raises(UsageError, match="has not been run"):
        make_edit(fresh, "P1", EditKind.TRANSFORM, target, shifted(1), "x")


def test_undoing_what_is_not_there(study: StudyFolder) -> None:
    with pytest.raises(UsageError, match=r"no edit 1.*nothing was edited yet"):
        undo_edit(study, 1, "x")
    number = set_shift(study, 1.0)
    undo_edit(study, number, "x")
    with pytest.raises(UsageError, match="edit 1 is taken back already, by edit 2"):
        undo_edit(study, number, "x")


# ---- the commands ----
def test_nudges_add_up(study: StudyFolder) -> None:
    """By label, by UID and by frame; the second from where the first left it."""
    lutra(study, "align nudge", "P1", "CT 12 Jan 2026", "ct-12-apr-2026", "--shift-mm", 1, 2, -3, "--reason", "off")
    lutra(study, "align nudge", "P1", FRAME, LATE, "--shift-mm", 1, 0, 0, "--reason", "still off")
    (transform,) = transforms_of(study, "P1")
    np.testing.assert_allclose(transform.fixed_points((0, 0, 0)), (2, 2, -3), atol=1e-12)
    turned = said(study, "align nudge", "P1", EARLY, LATE, "--rotate-deg", 0, 0, 90, "--reason", "turned")
    matrix = np.array(turned["fixed_from_moving"])
    middle = AFFINE[:3, :3] @ (np.array(SHAPE) - 1) / 2 + AFFINE[:3, 3]
    np.testing.assert_allclose(matrix[:3, :3] @ (middle - [2, 2, -3]) + matrix[:3, 3], middle, atol=1e-9)
    np.testing.assert_allclose(
        matrix[:3, 0], (0, 1, 0), atol=1e-12
    )  # left goes to posterior, right-handed about superior
    assert turned["error_mm"] is None
    receipt = study.ledger.receipt_of_output(edits_of(study)[-1].value)
    assert receipt is not None
    assert receipt.made_by.step == "align.nudge"


def test_a_transform_known_the_other_way_round_is_where_a_nudge_begins(study: StudyFolder) -> None:
    lutra(study, "align nudge", "P1", EARLY, LATE, "--shift-mm", 5, 0, 0, "--reason", "off")
    lutra(study, "align nudge", "P1", LATE, EARLY, "--shift-mm", 0, 1, 0, "--reason", "off")
    there = {t.fixed_frame: t for t in transforms_of(study, "P1")}[LATER_FRAME]
    np.testing.assert_allclose(there.fixed_points((0, 0, 0)), (-5, 1, 0), atol=1e-12)


def test_one_frame_needs_no_transform(study: StudyFolder) -> None:
    output = lutra(study, "align nudge", "P1", EARLY, FRAME, "--shift-mm", 1, 2, 3, "--reason", "x", code=2)
    assert "in one frame of reference" in output
    assert "by nothing" in lutra(study, "align nudge", "P1", EARLY, LATE, "--reason", "x", code=2)


def pairs_file(path: Path, fixed: np.ndarray, moving: np.ndarray) -> Path:
    rows = [
        ",".join(f"{x:.6f}" for x in (*f, *m)) + f",point {n}"
        for n, (f, m) in enumerate(zip(fixed, moving, strict=True))
    ]
    head = "fixed_l_mm,fixed_p_mm,fixed_s_mm,moving_l_mm,moving_p_mm,moving_s_mm,name"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


MOVING = np.array([[0.0, 0, 0], [90, 10, -5], [20, 70, 30], [-40, 25, 110], [60, -50, 80]])


def test_landmarks_from_a_table(study: StudyFolder, tmp_path: Path) -> None:
    turn = Rotation.from_euler("xyz", [5, 10, -20], degrees=True)
    fixed = np.add(turn.apply(MOVING), [10, 20, 30])
    done = said(
        study, "align landmarks", "P1", EARLY, LATE, pairs_file(tmp_path / "p.csv", fixed, MOVING), "--reason", "x"
    )
    np.testing.assert_allclose(np.array(done["fixed_from_moving"])[:3, :3], turn.as_matrix(), atol=1e-6)
    assert done["quality"]["landmark_error_mm"] < 1e-5
    fixed[1, 0] += 40
    arguments = "P1", EARLY, LATE, pairs_file(tmp_path / "p.csv", fixed, MOVING), "--reason", "x"
    assert "align.landmark-outlier: Landmark pair point 1" in lutra(study, "align landmarks", *arguments, code=3)
    assert len(edits_of(study)) == 2
    pairs_file(tmp_path / "p.csv", fixed[:2], MOVING[:2])
    assert "2 pairs of landmarks" in lutra(study, "align landmarks", *arguments, code=4)
    (tmp_path / "p.csv").write_text("fixed_l_mm\n1\n")
    assert "no column fixed_p_mm" in lutra(study, "align landmarks", *arguments, code=1)
    head = pairs_file(tmp_path / "p.csv", fixed, MOVING).read_text().splitlines()
    (tmp_path / "p.csv").write_text("\n".join([head[0], "1,2,x,4,5,6,a"]))
    assert "line 2, fixed_s_mm: 'x' is no place" in lutra(study, "align landmarks", *arguments, code=1)
    assert len(edits_of(study)) == 2


def test_transforms_leave_and_come_back(study: StudyFolder, tmp_path: Path) -> None:
    lutra(study, "align nudge", "P1", EARLY, LATE, "--shift-mm", 1, 2, -3, "--rotate-deg", 1, 2, 3, "--reason", "off")
    (transform,) = transforms_of(study, "P1")
    (tfm,) = said(study, "align export", "P1", "--as", "itk", tmp_path / "out")["files"]
    assert Path(tfm).name == "CT-12-Jan-2026_from_CT-12-Apr-2026.tfm"
    points = np.random.default_rng(1).uniform(-300, 300, (30, 3))
    back = read_itk_transform(Path(tfm), "f", "m")
    np.testing.assert_allclose(back.moving_points(points), transform.moving_points(points), atol=1e-9)
    (reg,) = said(study, "align export", "P1", "--as", "dicom", tmp_path / "out")["files"]
    (found,) = read_spatial_registration(Path(reg)).value
    np.testing.assert_allclose(found.moving_points(points), transform.moving_points(points), atol=1e-6)
    file = pydicom.dcmread(reg)
    assert (file.PatientID, file.StudyInstanceUID) == ("P1", stable_uid("study", "1"))
    assert {s.SeriesInstanceUID for s in file.ReferencedSeriesSequence} >= {EARLY}
    first = Path(reg).read_bytes()
    lutra(study, "align export", "P1", "--as", "dicom", tmp_path / "out")
    assert Path(reg).read_bytes() == first
    lutra(study, "edits undo", 1, "--reason", "x")
    assert "no transform of P1 is known" in lutra(study, "align export", "P1", "--as", "itk", tmp_path / "o", code=2)
    lutra(study, "align import", "P1", EARLY, LATE, tfm, "--reason", "made in Slicer")
    (again,) = transforms_of(study, "P1")
    np.testing.assert_allclose(again.fixed_from_moving, transform.fixed_from_moving, atol=1e-12)
    assert again.method.startswith("imported from an ITK transform file: AffineTransform, accepted by ")
    (tmp_path / "t.tfm").write_text("nothing")
    assert "no ITK transform file" in lutra(
        study, "align import", "P1", EARLY, LATE, tmp_path / "t.tfm", "--reason", "x", code=1
    )


def test_locks(study: StudyFolder) -> None:
    for words, lock in (
        ("L01", Lock(LATE, "lesion 1", "L01")),
        ("new", Lock(LATE, "lesion 1", None)),
        ("not:L01", Lock(LATE, "lesion 1", "L01", same=False)),
    ):
        said(study, "lesion lock", "P1", "CT 12 Apr 2026", "lesion 1", words, "--reason", "seen by eye")
        assert active(study.ledger, study.store, "P1")[EditKind.LESION_LOCK] == {f"{LATE} lesion 1": lock}
    assert "no lesion 'L05'" in lutra(study, "lesion lock", "P1", LATE, "lesion 1", "not:L05", "--reason", "x", code=2)


def test_a_redrawn_diameter(study: StudyFolder, tmp_path: Path) -> None:
    """Slice 4 is at 112 mm; the ends lie half a millimetre off it."""
    long, short = (2, 20, 112.5, 2, 32, 112.5), (0, 26, 112, 8, 26, 112)
    lutra(study, "lesion line", "P1", EARLY, "L01", "--long", *long, "--short", *short, "--reason", "edge unclear")
    (pair,) = active(study.ledger, study.store, "P1")[EditKind.DIAMETER].values()
    assert (pair.long_mm, pair.short_mm, pair.slice_k) == (pytest.approx(12), pytest.approx(8), 4)
    assert pair.drawn_by == edits_of(study)[0].by
    lutra(study, "lesion line", "P1", EARLY, "L01", "--long", *long[:4], 34, 112, "--reason", "longer")
    (pair,) = active(study.ledger, study.store, "P1")[EditKind.DIAMETER].values()
    # Of the outline, 10 mm wide there: on whole voxels that is read to a sixth of a millimetre.
    assert (pair.long_mm, pair.short_mm) == (pytest.approx(14, abs=0.02), pytest.approx(10, abs=0.17))
    (tmp_path / "ends.csv").write_text(
        "line,l_mm,p_mm,s_mm\nlong,2,20,115\nlong,2,30,115\nshort,0,26,115\nshort,4,26,115\n"
    )
    lutra(study, "lesion line", "P1", EARLY, "L01", tmp_path / "ends.csv", "--reason", "from the viewer")
    (pair,) = active(study.ledger, study.store, "P1")[EditKind.DIAMETER].values()
    assert (pair.long_mm, pair.short_mm, pair.slice_k) == (pytest.approx(10), pytest.approx(4), 5)


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("--long", 2, 20, 112, 2, 32, 118), "required: both ends in one slice", 1),
        (("--long", 2, 20, 112, 2, 320, 112), "the longest diameter leaves the image", 1),
        (("--long", 2, 20, 100, 2, 32, 100), "has no outline in slice 0", 1),
        (("--long", 2, 20, 112, 2, 26, 112, "--short", 0, 24, 112, 9, 24, 112), "longer than the longest diameter", 1),
        ((), "not given once", 2),
    ],
)
def test_a_line_that_is_no_diameter(study: StudyFolder, arguments: tuple[object, ...], message: str, code: int) -> None:
    assert message in lutra(study, "lesion line", "P1", EARLY, "L01", *arguments, "--reason", "x", code=code)


def test_the_list(study: StudyFolder) -> None:
    assert "nothing was edited" in lutra(study, "edits list")
    set_shift(study, 1.0)
    lutra(study, "edits undo", 1, "--reason", "wrong [sic]")
    output = lutra(study, "edits list", "P1")
    assert "taken back by 2" in output
    assert "wrong [sic]" in output
    listed = said(study, "edits list")["edits"]
    assert [(e["number"], e["kind"], e["state"], e["undoes"]) for e in listed] == [
        (1, "transform", "taken back by 2", None), (2, "transform", "undoes 1", 1),
    ]  # fmt: skip
