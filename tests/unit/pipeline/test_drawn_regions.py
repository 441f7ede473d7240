"""Regions that people set: where they stand, what of a run follows from them, and what comes back with an undo."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve
from typer.testing import CliRunner

from lutra.cli.main import app
from lutra.core.edit import EditKind
from lutra.core.errors import InputError, UsageError
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.pipeline.corrections import draw_region, nudge
from lutra.pipeline.edits import make_edit, undo_edit
from lutra.pipeline.image_view import RegionView, SubjectImages
from lutra.pipeline.study import StudyFolder
from lutra.segment import drawn_region, shown_mask

from .pet_and_ct import (
    CENTRE,
    CT,
    CT_LABEL,
    CT_MM,
    CT_SHAPE,
    FRAME,
    LATER,
    LATER_LABEL,
    PET,
    PET_LABEL,
    PET_MM,
    PET_SHAPE,
    ball,
    grid_of,
    write_mask,
    written_study,
)

GRID = grid_of(CT_SHAPE, CT_MM, FRAME)
LESION, KIDNEY = "lesion 1 liver", "left kidney"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = written_study(tmp_path_factory.mktemp("drawn"))
    study.ledger.close()
    return study.root


@pytest.fixture
def study(template: Path, tmp_path: Path) -> StudyFolder:
    shutil.copytree(template, tmp_path / "study")
    return StudyFolder(tmp_path / "study")


def drawn(name: str = LESION, radius_mm: float = 12.0, base: Region | None = None) -> Region:
    return drawn_region(ball(GRID, radius_mm), GRID, name, RegionKind.LESION, "A", base)


def regions(study: StudyFolder, label: str) -> dict[str, RegionView]:
    images = SubjectImages(study, "P1")
    image = next(i for i in images.all if i.label == label)
    return {r.name: r for r in images.regions(image)}


def test_a_drawn_region_takes_the_place_of_the_one_of_its_name_in_the_next_run(study: StudyFolder) -> None:
    """A ball of 12 mm radius in place of one of 8 mm, by the voxels of the CT: the CT's own, and by shares on the PET."""
    before = {label: regions(study, label) for label in (CT_LABEL, PET_LABEL)}
    edit = draw_region(study, "P1", CT, drawn(), "too small").edit
    computed = study.run(["P1"]).computed
    volume_ml = ball(GRID, 12.0).sum() * GRID.voxel_volume_ml
    for label in (CT_LABEL, PET_LABEL):
        after = regions(study, label)
        assert after[LESION].volume_ml == pytest.approx(volume_ml, rel=1e-6)
        assert (after[LESION].lesion_id, after[LESION].delineation) == ("L01", "drawn: by A")
        assert after[KIDNEY] == before[label][KIDNEY]
    assert 0 < computed < 25, "what does not rest on the region is found, not computed"
    assert study.run(["P1"]).computed == 0
    undo_edit(study, edit.number, "right after all")
    assert study.run(["P1"]).computed <= 1, "identities alone are found anew: the list issued in between is an input"
    assert regions(study, CT_LABEL)[LESION].volume_ml == before[CT_LABEL][LESION].volume_ml


def test_a_region_set_on_the_pet_stays_there(study: StudyFolder) -> None:
    before = regions(study, CT_LABEL)[LESION].volume_ml
    draw_region(study, "P1", PET, drawn(radius_mm=14.0), "uptake beyond the outline")
    study.run(["P1"])
    assert regions(study, CT_LABEL)[LESION].volume_ml == before
    assert regions(study, PET_LABEL)[LESION].volume_ml > 2 * before
    assert set(regions(study, PET_LABEL)) == {LESION, KIDNEY}


def test_a_new_region_is_a_lesion_of_its_own(study: StudyFolder) -> None:
    away = ball(GRID, 7.0, np.add(CENTRE, (-26, 24, 0)))
    draw_region(study, "P1", CT, drawn_region(away, GRID, "lesion 2 rib", RegionKind.LESION, "A"), "seen")
    study.run(["P1"])
    found = regions(study, CT_LABEL)
    assert {r.lesion_id for r in found.values()} == {"", "L01", "L02"}
    assert found["lesion 2 rib"].diameters is not None


def test_where_regions_are_propagated_the_others_still_come(study: StudyFolder) -> None:
    nudge(study, "P1", PET_LABEL, LATER_LABEL, (4, 0, 0), (0, 0, 0), None, "breathing")
    study.run(["P1"])
    moved = regions(study, LATER_LABEL)
    assert moved[LESION].centre_lps_mm[0] == pytest.approx(CENTRE[0] - 4, abs=0.3)
    there = evolve(
        drawn(), grid=evolve(GRID, frame_of_reference=SubjectImages(study, "P1").there.header(LATER).frame_of_reference)
    )
    draw_region(study, "P1", LATER, there, "it grew")
    study.run(["P1"])
    after = regions(study, LATER_LABEL)
    assert set(after) == set(moved) == {LESION, KIDNEY}
    assert after[LESION].delineation == "drawn: by A"
    assert after[KIDNEY] == moved[KIDNEY]
    assert regions(study, CT_LABEL)[LESION].delineation.startswith("imported")


def test_what_is_redrawn_in_the_source_is_propagated(study: StudyFolder) -> None:
    nudge(study, "P1", PET_LABEL, LATER_LABEL, (4, 0, 0), (0, 0, 0), None, "breathing")
    draw_region(study, "P1", CT, drawn(), "too small")
    study.run(["P1"])
    assert regions(study, LATER_LABEL)[LESION].delineation.startswith("propagated: drawn: by A")


def test_voxels_that_are_left_keep_their_share() -> None:
    pet = grid_of(PET_SHAPE, PET_MM, FRAME)
    share = np.zeros(pet.shape, np.float32)
    share[8:12, 8:12, 8:12], share[12, 8:12, 8:12] = 1.0, 0.3
    base = Region("L", RegionKind.LESION, pet, (0, 0, 0), share, None, RegionOrigin.IMPORTED, "a file", tracking_id="T")
    mask = shown_mask(base, pet)
    same = drawn_region(mask, pet, "L", RegionKind.LESION, "A", base)
    assert same.volume_ml == pytest.approx(base.volume_ml)
    assert (same.origin, same.tracking_id) == (RegionOrigin.IMPORTED, "T")
    mask[12, 8, 8], mask[8, 8, 8] = True, False
    changed = drawn_region(mask, pet, "L", RegionKind.LESION, "A", base)
    assert changed.volume_ml / pet.voxel_volume_ml == pytest.approx(share.sum() + 0.7 - 1.0)
    assert changed.delineation == "drawn: by A, from imported: a file"
    with pytest.raises(InputError, match="nothing is drawn"):
        drawn_region(np.zeros(pet.shape, bool), pet, "L", RegionKind.LESION, "A", base)


def test_the_command_takes_a_mask(study: StudyFolder, tmp_path: Path) -> None:
    mask = write_mask(tmp_path / "m.nii.gz", ball(GRID, 12.0), GRID)
    arguments = [
        "lesion",
        "region",
        str(study.root),
        "P1",
        CT_LABEL,
        LESION,
        str(mask),
        "--reason",
        "too small",
        "--json",
    ]
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code in (0, 3), ran.output
    said = json.loads(ran.output)["edit"]
    assert (said["kind"], said["target"]) == ("region", f"{CT} {LESION}")
    study.run(["P1"])
    found = regions(study, CT_LABEL)[LESION]
    assert found.volume_ml == pytest.approx(ball(GRID, 12.0).sum() * GRID.voxel_volume_ml, rel=1e-6)
    assert found.kind is RegionKind.LESION
    assert CliRunner().invoke(app, [*arguments, "--expected", "0"]).exit_code == 1
    write_mask(tmp_path / "m.nii.gz", ball(GRID, 0.1), GRID)
    assert "0 labels" in CliRunner().invoke(app, arguments).output


def test_what_is_not_there_is_refused(study: StudyFolder) -> None:
    elsewhere = evolve(drawn(), grid=evolve(GRID, frame_of_reference="1.2.3"))
    with pytest.raises(UsageError, match="frame"):
        draw_region(study, "P1", CT, elsewhere, "x")
    with pytest.raises(UsageError, match="frame"):
        make_edit(study, "P1", EditKind.REGION, f"{CT} {LESION}", evolve(elsewhere, referenced_series_uid=CT), "x")
    with pytest.raises(UsageError, match="the value is about"):
        make_edit(study, "P1", EditKind.REGION, f"{CT} other", evolve(drawn(), referenced_series_uid=CT), "x")
    far = evolve(GRID, affine_lps_mm=GRID.affine_lps_mm + np.outer([1, 0, 0, 0], [0, 0, 0, 900]))
    with pytest.raises(InputError, match="nothing of"):
        draw_region(study, "P1", CT, evolve(drawn(), grid=far), "x")
    assert study.ledger.edits("P1") == ()
