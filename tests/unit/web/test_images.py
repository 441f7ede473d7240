"""The image page: what its voxels are, who may see which, and what is drawn on it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

import lutra.web
from lutra.pipeline.edits import edits_of
from lutra.pipeline.image_view import SubjectImages
from lutra.pipeline.study import StudyFolder
from lutra.segment import DelineationSettings, Method, delineate
from lutra.store.accounts import Accounts, RoleOf
from lutra.web import create_app

from ..pipeline.pet_and_ct import (
    CENTRE,
    CT,
    CT_MM,
    CT_SHAPE,
    FRAME,
    PET,
    PET_MM,
    PET_SHAPE,
    SUV,
    ball,
    grid_of,
    written_study,
)
from .conftest import PASSWORD, token_of

HERE, UPTAKE = "/images/P1/ct-12-jan-2026", "/images/P1/fdg-pet-12-jan-2026"
LATER = "/images/P1/fdg-pet-12-apr-2026"
LESION = "lesion 1 liver"
ASSETS = Path(lutra.web.__file__).parent / "assets"
TO_RAS = np.diag([-1.0, -1, 1, 1])
Enter = Callable[[str], TestClient]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = written_study(tmp_path_factory.mktemp("images"))
    study.ledger.close()
    return study.root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "study")
    accounts = Accounts(tmp_path / "study" / "accounts.db")
    for role in RoleOf:
        accounts.add(f"the-{role}", [role], PASSWORD)
    return tmp_path / "study"


@pytest.fixture
def app(root: Path) -> FastAPI:
    return create_app(root)


def nifti(client: TestClient, url: str) -> nib.Nifti1Image:
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    image: nib.Nifti1Image = nib.Nifti1Image.from_bytes(gzip.decompress(answer.content))
    return image


def facts_of(page: str) -> dict[str, object]:
    found = re.search(r'id="image-facts">(.*?)</script>', page, re.DOTALL)
    assert found
    facts: dict[str, object] = json.loads(found[1])
    return facts


def runs_of(mask: npt.NDArray[np.bool_]) -> str:
    """Lengths of runs, i fastest, as the page sends them."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return ",".join(map(str, np.diff(changes, prepend=0)))


# ---- voxels ----
def test_voxels_are_those_of_the_study_in_their_unit_and_place(enter: Enter, root: Path) -> None:
    client = enter("physicist")
    images = SubjectImages(StudyFolder(root), "P1")
    for url, uid, grid in (
        (HERE, CT, grid_of(CT_SHAPE, CT_MM, FRAME)),
        (UPTAKE, PET, grid_of(PET_SHAPE, PET_MM, FRAME)),
    ):
        image = nifti(client, f"{url}/volume.nii.gz")
        view = next(i for i in images.all if i.series_uid == uid)
        np.testing.assert_array_equal(np.asarray(image.dataobj), images.volume(view).values)
        np.testing.assert_allclose(image.affine, TO_RAS @ grid.affine_lps_mm, atol=1e-4)
        assert image.header.get_xyzt_units()[0] == "mm"
    pet = nifti(client, f"{UPTAKE}/volume.nii.gz")
    at = np.rint(np.linalg.inv(pet.affine) @ [*(CENTRE * [-1, -1, 1]), 1]).astype(int)[:3]
    assert pet.get_fdata()[tuple(at)] == pytest.approx(SUV, rel=0.1), "SUV where the lesion lies"
    assert pet.header["descrip"].tobytes().startswith(b"g/mL{SUVbw}")


def test_a_ct_is_sent_as_whole_numbers(enter: Enter) -> None:
    assert nifti(enter("physicist"), f"{HERE}/volume.nii.gz").get_data_dtype() == np.int16


def test_regions_are_labels_that_the_page_names(enter: Enter) -> None:
    client = enter("physicist")
    facts = facts_of(client.get(HERE).text)
    labels = nifti(client, f"{HERE}/regions.nii.gz")
    assert int(labels.header["intent_code"]) == 1002
    values = np.asarray(labels.dataobj)
    by_name = {r["name"]: r for r in facts["regions"]}  # type: ignore[attr-defined]
    assert set(by_name) == {LESION, "left kidney"}
    assert by_name[LESION]["lesion"] == "L01"
    np.testing.assert_array_equal(values == by_name[LESION]["number"], ball(grid_of(CT_SHAPE, CT_MM, FRAME), 8.0))
    np.testing.assert_allclose(by_name[LESION]["centre"], CENTRE, atol=0.5)


def test_an_image_of_another_frame_lies_where_it_was_moved_to(enter: Enter, root: Path) -> None:
    client = enter("physicist")
    on = f"{LATER}/volume.nii.gz?on=ct-12-jan-2026"
    assert "not registered" in client.get(f"{HERE}?over=fdg-pet-12-apr-2026").text
    before = nifti(client, on)
    form = {
        "kind": "nudge",
        "on": "ct-12-jan-2026",
        "other": "fdg-pet-12-apr-2026",
        "shift": "[[4, -2, 1]]",
        "turn": "[[0, 0, 0]]",
    }
    assert edit(client, HERE, 0, **form).status_code == 303
    after = nifti(client, on)
    np.testing.assert_allclose(after.affine[:3, 3] - before.affine[:3, 3], (-4, 2, 1), atol=1e-4)
    np.testing.assert_array_equal(np.asarray(after.dataobj), np.asarray(before.dataobj))
    assert [e.by for e in edits_of(StudyFolder(root))] == ["the-physicist"]


def test_projections_turn_round(enter: Enter) -> None:
    """Seen from behind it is the mirror of what is seen from the front; a lesion on the right is left in the first picture."""
    client = enter("physicist")
    strip = np.asarray(Image.open(io.BytesIO(client.get(f"{UPTAKE}/projections.png").content))).astype(float)
    pictures = np.split(strip, 24, axis=1)
    np.testing.assert_array_equal(pictures[12], pictures[0][:, ::-1])
    darkest = [np.argwhere(p == p.min()).mean(axis=0) for p in pictures]
    middle = (np.array(pictures[0].shape) - 1) / 2
    np.testing.assert_allclose((darkest[0] - middle)[::-1] * PET_MM[0], (CENTRE[0], -CENTRE[2]), atol=3)
    assert (darkest[6] - middle)[1] * PET_MM[0] == pytest.approx(-CENTRE[1], abs=3), "from the left: front is left"


# ---- who sees what ----
def test_a_reader_sees_anatomy_and_no_uptake(enter: Enter) -> None:
    reader = enter("reader")
    assert reader.get(HERE).status_code == 200
    assert "volume.nii.gz" in str(facts_of(reader.get(HERE).text)["below"])
    listed = reader.get("/images/P1").text
    assert f'href="{HERE}"' in listed
    assert f'href="{UPTAKE}"' not in listed
    assert "hidden from response readers" in listed
    at = ",".join(map(str, CENTRE))
    for path in (
        UPTAKE,
        *(
            f"{UPTAKE}/{what}"
            for what in ("volume.nii.gz", "regions.nii.gz", "projections.png", f"region.nii.gz?name={LESION}")
        ),
        f"{UPTAKE}/threshold.json?at={at}",
        f"{UPTAKE}/threshold.nii.gz?at={at}",
        f"{UPTAKE}/volume.nii.gz?on=ct-12-jan-2026",
        f"{HERE}/volume.nii.gz?on=fdg-pet-12-jan-2026",
        f"{HERE}?over=fdg-pet-12-jan-2026",
    ):
        answer = reader.get(path)
        assert answer.status_code == 403, path
        assert "hidden from response readers" in answer.text
    assert "fdg-pet" not in reader.get(HERE).text
    assert "Draw" not in reader.get(HERE).text


def test_another_person_s_image_is_not_there(enter: Enter) -> None:
    client = enter("physicist")
    assert client.get("/images/P2").status_code == 200
    for path in (
        "/images/P2/fdg-pet-12-jan-2026",
        "/images/P2/fdg-pet-12-jan-2026/volume.nii.gz",
        "/images/P3",
        "/images/P3/x",
    ):
        assert client.get(path).status_code == 404, path
    for path in (
        f"/images/P2/ct-12-jan-2026/region.nii.gz?name={LESION}",
        f"/images/P2/{CT}",
        f"/images/P1/{CT}/volume.nii.gz",
    ):
        assert client.get(path).status_code == 404, path


def test_the_viewer_is_sent_packed_and_pages_have_no_script_of_their_own(enter: Enter) -> None:
    client = enter("physicist")
    answer = client.get("/assets/niivue.umd.js")
    assert answer.headers["content-encoding"] == "gzip"
    assert hashlib.sha256(answer.content).hexdigest() in (ASSETS / "niivue.txt").read_text(), (
        "it is the file it says it is"
    )
    for path in ("images.js", "images.css"):
        assert client.get(f"/assets/{path}").status_code == 200
    for path in (HERE, UPTAKE, "/images/P1"):
        page = client.get(path)
        assert "<script>" not in page.text
        assert " style=" not in page.text
        assert "unsafe" not in page.headers["content-security-policy"]
        assert "blob:" not in page.headers["content-security-policy"]


# ---- edits ----
def edit(client: TestClient, url: str, seen: int, **form: str) -> object:
    token = token_of(client.get("/").text)
    return client.post(f"{url}/edits", data={"csrf": token, "seen": str(seen), "reason": "seen by eye", **form})


GRID = grid_of(CT_SHAPE, CT_MM, FRAME)


def test_a_drawn_region_is_what_the_next_run_measures(enter: Enter, root: Path) -> None:
    """Ball of 12 mm drawn over that of 8 mm."""
    client, mask = enter("physician"), ball(GRID, 12.0)
    form = {
        "kind": "region",
        "name": LESION,
        "what": "lesion",
        "runs": runs_of(mask),
        "base": LESION,
        "on": "ct-12-jan-2026",
    }
    assert edit(client, HERE, 0, **form).status_code == 303
    study = StudyFolder(root)
    (made,) = edits_of(study)
    assert (made.kind.value, made.by, made.target, made.reason) == (
        "region",
        "the-physician",
        f"{CT} {LESION}",
        "seen by eye",
    )
    assert "1 change since the last run" in client.get(HERE).text
    study.run(["P1"])
    assert "since the last run" not in client.get(HERE).text
    after = nifti(client, f"{HERE}/region.nii.gz?name={LESION}")
    np.testing.assert_array_equal(np.asarray(after.dataobj), mask)
    assert f"{mask.sum() * GRID.voxel_volume_ml:.3g} mL" in client.get(HERE).text


def test_drawing_on_a_ct_that_lies_under_a_pet_counts_by_shares_on_the_pet(enter: Enter, root: Path) -> None:
    client, mask = enter("physicist"), ball(GRID, 12.0)
    form = {"kind": "region", "name": "lesion 5", "what": "lesion", "runs": runs_of(mask), "on": "ct-12-jan-2026"}
    assert edit(client, UPTAKE, 0, **form).status_code == 303
    study = StudyFolder(root)
    study.run(["P1"])
    images = SubjectImages(study, "P1")
    pet = images.image("fdg-pet-12-jan-2026")
    region = images.region(pet, "lesion 5")
    assert region.grid.shape == PET_SHAPE
    assert region.volume_ml == pytest.approx(mask.sum() * GRID.voxel_volume_ml, rel=1e-4)
    assert "lesion 5" not in client.get(HERE).text


def test_a_threshold_is_the_pipeline_s_own(enter: Enter, root: Path) -> None:
    client = enter("physicist")
    query = f"at={','.join(map(str, CENTRE))}&method=percent-of-max&value=0.41&radius=40"
    images = SubjectImages(StudyFolder(root), "P1")
    pet = images.image("fdg-pet-12-jan-2026")
    settings = DelineationSettings(method=Method.PERCENT_OF_MAX, share=0.41, search_radius_mm=40)
    expected = delineate(images.volume(pet), CENTRE, settings, [images.region(pet, "left kidney")]).value
    assert expected is not None
    said = client.get(f"{UPTAKE}/threshold.json?{query}").json()
    assert said["volume_ml"] == pytest.approx(expected.volume_ml)
    mask = np.asarray(nifti(client, f"{UPTAKE}/threshold.nii.gz?{query}&on=ct-12-jan-2026").dataobj).astype(bool)
    form = {
        "kind": "region", "name": "lesion 7", "what": "lesion", "runs": runs_of(mask), "on": "ct-12-jan-2026",
        **dict(part.split("=") for part in query.split("&")),
    }  # fmt: skip
    assert edit(client, UPTAKE, 0, **form).status_code == 303
    study = StudyFolder(root)
    region = study.store.get(edits_of(study)[0].value)
    assert region.volume_ml == pytest.approx(expected.volume_ml, rel=1e-4), (
        "partial voxels are kept where nothing was changed"
    )
    assert region.delineation.startswith("threshold: ")
    assert region.delineation.endswith("accepted by the-physicist")
    refused = client.get(f"{UPTAKE}/threshold.json?at=0,900,0&method=fixed&value=2").text
    assert "a seed within the image" in refused
    assert client.get(f"{UPTAKE}/threshold.json?at=1,2&method=x").status_code == 400


def test_a_diameter_a_lock_and_landmarks(enter: Enter, root: Path) -> None:
    client = enter("physicist")
    z = 2.0  # of a slice of the CT
    long, short = [[-6, -10, z], [18, -10, z]], [[6, -18, z], [6, -2, z]]
    assert (
        edit(client, HERE, 0, kind="diameter", lesion="L01", long=json.dumps(long), short=json.dumps(short)).status_code
        == 303
    )
    assert edit(client, HERE, 1, kind="diameter", lesion="L01", long=json.dumps(long)).status_code == 303
    assert edit(client, HERE, 2, kind="lock", region=LESION, lesion="not:L01").status_code == 303
    moving = np.array([[0, 0, 0], [20, 0, 0], [0, 20, 0], [0, 0, 20]])
    pairs = {"fixed": json.dumps(np.add(moving, (3, 2, 1)).tolist()), "moving": json.dumps(moving.tolist())}
    names = {"on": "ct-12-jan-2026", "other": "fdg-pet-12-apr-2026"}
    assert edit(client, HERE, 3, kind="landmarks", **names, **pairs).status_code == 303
    study = StudyFolder(root)
    first, second, lock, transform = (study.store.get(e.value) for e in edits_of(study))
    assert (first.long_mm, first.short_mm, first.drawn_by) == (24, 16, "the-physicist")
    assert second.short_mm == pytest.approx(16, abs=1.2), "the outline is 8 mm in radius"
    assert (lock.lesion_id, lock.same) == ("L01", False)
    np.testing.assert_allclose(transform.fixed_points((0, 0, 0)), (3, 2, 1), atol=1e-9)
    # The moving points are clicked where they lie on the screen now: a second set of the same points changes nothing more.
    again = {"fixed": pairs["fixed"], "moving": pairs["fixed"]}
    assert edit(client, HERE, 4, kind="landmarks", **names, **again).status_code == 303
    np.testing.assert_allclose(study.store.get(edits_of(study)[-1].value).fixed_points((0, 0, 0)), (3, 2, 1), atol=1e-9)
    assert edit(client, HERE, 5, kind="undo", number="5").status_code == 303
    assert edits_of(study)[-1].undoes == 5


def test_of_two_who_edit_at_once_the_second_is_told(enter: Enter, root: Path) -> None:
    one, other = enter("physicist"), enter("physician")
    form = {"kind": "region", "name": LESION, "runs": runs_of(ball(GRID, 12.0)), "on": "ct-12-jan-2026"}
    assert edit(one, HERE, 0, **form).status_code == 303
    told = edit(other, HERE, 0, **form)
    assert told.status_code == 400
    assert "was edited meanwhile" in told.text
    assert "the-physicist" in told.text
    assert len(edits_of(StudyFolder(root))) == 1


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"kind": "colour"}, "an edit of kind"),
        ({"kind": "region", "name": "x", "runs": "1,a"}, "cannot be read"),
        ({"kind": "region", "name": "x", "runs": "1,99999999999"}, "larger than its image"),
        ({"kind": "region", "name": "x", "runs": "-3,5"}, "larger than its image"),
        ({"kind": "region", "name": "x", "runs": ""}, "nothing is drawn"),
        ({"kind": "region", "name": "x", "runs": "1,5", "what": "tree"}, "of kind"),
        ({"kind": "region", "runs": "1,5"}, "without a name"),
        ({"kind": "region", "name": "x", "runs": "1,5", "on": "fdg-pet-12-apr-2026"}, "frame"),
        ({"kind": "region", "name": "x", "runs": "1,5", "reason": " "}, "no reason"),
        ({"kind": "diameter", "lesion": "L01", "long": "[[1,2]]"}, "shape"),
        ({"kind": "diameter", "lesion": "L01", "long": "[[NaN,2,3],[1,2,3]]"}, "points of x, y, z"),
        ({"kind": "diameter", "lesion": "L77", "long": "[[1,2,2],[5,2,2]]"}, "no lesion"),
        ({"kind": "lock", "region": "nothing", "lesion": "new"}, "no region"),
        (
            {"kind": "nudge", "on": "ct-12-jan-2026", "other": "x", "shift": "[[1,0,0]]", "turn": "[[0,0,0]]"},
            "no image",
        ),
        ({"kind": "undo", "number": "one"}, "no number"),
        ({"kind": "undo", "number": "9"}, "no edit 9"),
    ],
)
def test_what_cannot_be_is_refused_in_words(enter: Enter, root: Path, form: dict[str, str], says: str) -> None:
    answer = edit(enter("physicist"), HERE, 0, **form)
    assert answer.status_code == 400
    assert says in answer.text
    assert edits_of(StudyFolder(root)) == ()


def test_a_form_without_what_was_seen_or_of_another_session_is_refused(enter: Enter, root: Path) -> None:
    client = enter("physicist")
    token = token_of(client.get("/").text)
    lock = {"kind": "lock", "region": LESION, "lesion": "new", "reason": "x"}
    assert client.post(f"{HERE}/edits", data={"csrf": token, **lock}).status_code == 400
    assert client.post(f"{HERE}/edits", data={"csrf": "x", "seen": "0", **lock}).status_code == 403
    large = {"csrf": token, "seen": "0", "x": "y" * 1_100_000}
    assert client.post(f"{HERE}/edits", data=large).status_code == 413
    assert edits_of(StudyFolder(root)) == ()


def test_names_of_regions_are_text(enter: Enter, root: Path) -> None:
    client, name = enter("physicist"), '</script><script>alert(1)</script>"{{7*7}}'
    form = {"kind": "region", "name": name, "what": "lesion", "runs": runs_of(ball(GRID, 12.0)), "on": "ct-12-jan-2026"}
    assert edit(client, HERE, 0, **form).status_code == 303
    StudyFolder(root).run(["P1"])
    page = client.get(HERE).text
    assert "<script>alert" not in page
    assert name in {r["name"] for r in facts_of(page)["regions"]}  # type: ignore[attr-defined]


def test_how_far_a_run_is_can_be_asked(enter: Enter) -> None:
    assert enter("physicist").get("/run.json").json() == {"state": ""}


def test_the_report_of_a_subject_leads_to_its_images(enter: Enter, root: Path) -> None:
    (root / "report" / "subjects").mkdir(parents=True)
    (root / "report" / "subjects" / "P1.html").write_text('<nav aria-label="Main"><a>x</a></nav>')
    assert '<a href="/images/P1">Images</a>' in enter("physicist").get("/report/subjects/P1.html").text
    assert 'href="/images/P1"' in enter("reader").get("/").text
