"""How the reading room lays one image on another, and what it calls changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lutra.core.edit import Edit, EditKind
from lutra.core.transform import DisplacementField, Transform
from lutra.pipeline.edits import make_edit
from lutra.pipeline.image_view import NOT_REGISTERED, SAME_FRAME, SubjectImages
from lutra.pipeline.study import StudyFolder

from .pet_and_ct import CT, CT_MM, CT_SHAPE, FRAME, LATER_FRAME, PET_MM, grid_of, written_study

CT_NAME, PET_NAME, LATER_NAME = "ct-12-jan-2026", "fdg-pet-12-jan-2026", "fdg-pet-12-apr-2026"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return written_study(tmp_path_factory.mktemp("view"))


def test_a_pet_lies_over_the_ct_of_its_frame(study: StudyFolder) -> None:
    images = SubjectImages(study, "P1")
    assert images.beneath(images.image(PET_NAME)).name == CT_NAME
    assert images.beneath(images.image(LATER_NAME)).name == LATER_NAME, "there is no CT in that frame"
    assert images.beneath(images.image(CT_NAME)).name == CT_NAME


def test_a_map_that_bends_is_sampled_and_one_that_does_not_moves_the_voxels(study: StudyFolder) -> None:
    images = SubjectImages(study, "P1")
    ct, pet, later = map(images.image, (CT_NAME, PET_NAME, LATER_NAME))
    assert {i.name: how for i, how in images.others(ct)} == {PET_NAME: SAME_FRAME, LATER_NAME: NOT_REGISTERED}
    assert images.carried(ct, pet).grid.matches(pet.grid)
    grid = grid_of(CT_SHAPE, CT_MM, FRAME)
    field = DisplacementField(grid, np.broadcast_to([PET_MM[0], 0.0, 0.0], (*CT_SHAPE, 3)))
    bent = Transform(FRAME, LATER_FRAME, np.eye(4), None, "bent by hand", field)
    make_edit(study, "P1", EditKind.TRANSFORM, f"{FRAME} {LATER_FRAME}", bent, "test")
    carried = images.carried(ct, later)
    assert carried.grid.matches(grid)
    at = np.array([20, 18, 8])
    expected = images.volume(later)
    source = expected.grid.to_ijk(np.add(grid.to_lps_mm(at), (PET_MM[0], 0, 0)))
    low = np.floor(source).astype(int)
    corners = expected.values[tuple(slice(n, n + 2) for n in low)]
    assert corners.min() <= carried.values[tuple(at)] <= corners.max()
    assert {i.name: how for i, how in images.others(ct)}[LATER_NAME] == "bent by hand"


def test_what_was_changed_while_a_run_went_on_is_not_in_it(study: StudyFolder) -> None:
    study.run(["P1"])
    assert SubjectImages(study, "P1").changed_since_run == 0
    begun = datetime.fromisoformat(
        next(e for e in study.ledger.audit_trail()[::-1] if e["action"] == "run")["detail"]["begun"]
    )
    during = begun + timedelta(microseconds=1)
    study.ledger.add_edit(Edit(0, "P1", EditKind.LESION_LOCK, f"{CT} x", "", "A", during.astimezone(UTC), "late"))
    assert SubjectImages(study, "P1").changed_since_run == 1
