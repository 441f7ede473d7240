"""NIfTI label maps and tables of names, written with nibabel and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from lutra.core.errors import InputError
from lutra.core.region import RegionKind
from lutra.ingest import read_label_map, read_label_names
from lutra.reference.label_names import LabelName

RAS = np.array([[-2.0, 0, 0, 30], [0, 2.5, 0, -40], [0, 0, 3, 100], [0, 0, 0, 1]])
LABELS = np.zeros((6, 7, 8), np.uint8)
LABELS[1:3, 2:4, 5] = 3
LABELS[4, 5, 6] = 9
NAMES = {3: LabelName("liver"), 9: LabelName("lesion 1")}


def write(
    path: Path, values: npt.NDArray[Any] = LABELS, affine: npt.NDArray[np.float64] | None = RAS, **codes: int
) -> Path:
    image = nib.Nifti1Image(values, affine)
    for name, code in codes.items():
        image.header[name] = code
    nib.save(image, path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_labels_become_regions_in_lps(tmp_path: Path, suffix: str) -> None:
    """Voxel (1, 2, 5) lies at RAS (28, -35, 115), which is LPS (-28, 35, 115)."""
    outcome = read_label_map(write(tmp_path / f"l{suffix}"), NAMES, "1.2")
    liver, lesion = outcome.value
    assert outcome.findings == ()
    assert (liver.name, lesion.name) == ("liver", "lesion 1")
    np.testing.assert_allclose(liver.grid.to_lps_mm(liver.start_ijk), [-28, 35, 115])
    assert liver.volume_ml == pytest.approx(4 * 0.015)
    assert (liver.grid.frame_of_reference, liver.referenced_series_uid) == ("", "1.2")


def test_numbers_without_a_name_are_called_by_their_number(tmp_path: Path) -> None:
    outcome = read_label_map(write(tmp_path / "l.nii"), {3: LabelName("liver")})
    assert [r.name for r in outcome.value] == ["liver", "label 9"]
    assert [f.code for f in outcome.findings] == ["ingest.label-without-name"]


def test_whole_numbers_stored_as_floats_are_labels(tmp_path: Path) -> None:
    assert len(read_label_map(write(tmp_path / "l.nii", LABELS.astype(np.float32)), NAMES).value) == 2


def _disagreeing(path: Path) -> Path:
    image = nib.Nifti1Image(LABELS, RAS)
    other = RAS.copy()
    other[0, 3] += 10
    image.set_qform(other, 1)
    nib.save(image, path)
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_disagreeing, "sform and qform put its corners up to 10 mm apart"),
        (lambda path: write(path, affine=None, sform_code=0, qform_code=0), "no orientation"),
        (lambda path: write(path, LABELS + np.float32(0.5)), "no labels"),
        (lambda path: write(path, LABELS.astype(np.int32) * 30000), "270000"),
        (lambda path: write(path, np.zeros((2, 2, 2, 3), np.uint8)), "three dimensions"),
        (lambda path: (path.write_bytes(b"hello"), path)[1], "no NIfTI"),
    ],
)
def test_what_cannot_be_placed_or_read_is_refused(tmp_path: Path, make: Any, says: str) -> None:
    outcome = read_label_map(make(tmp_path / "l.nii"), NAMES)
    assert outcome.value is None
    (finding,) = outcome.findings
    assert finding.code == "ingest.label-map-refused"
    assert says in finding.text


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "l.nii")
    path.write_bytes(path.read_bytes()[:-50])
    assert [f.code for f in read_label_map(path, NAMES).findings] == ["ingest.label-map-refused"]


def test_an_empty_map_says_so(tmp_path: Path) -> None:
    outcome = read_label_map(write(tmp_path / "l.nii", np.zeros_like(LABELS)), NAMES)
    assert (outcome.value, [f.code for f in outcome.findings]) == (None, ["ingest.no-segments"])


def test_length_in_metres(tmp_path: Path) -> None:
    image = nib.Nifti1Image(LABELS, RAS / [[1000], [1000], [1000], [1]])
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "l.nii")
    assert read_label_map(tmp_path / "l.nii", NAMES).value[0].grid.spacing_mm == pytest.approx((2, 2.5, 3), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.toml", '0 = "background"\n3 = "liver"\n9 = "lesion 1"\n'),
        ("t.toml", '[labels]\n3 = "liver"\n9 = "lesion 1"\n'),
        ("t.json", '{"3": "liver", "9": "lesion 1"}'),
        ("t.json", '{"labels": {"background": 0, "liver": 3, "lesion 1": 9}, "channel_names": {"0": "CT"}}'),
        ("t.csv", "label,name\n0,background\n3,liver\n9,lesion 1\n"),
        ("t.csv", "3,liver\n\n9, lesion 1 \n"),
    ],
)
def test_tables_of_names(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert read_label_names(tmp_path / name) == NAMES


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "3,liver\n3,spleen\n"),
        ("t.csv", "3\n"),
        ("t.json", '{"three": "liver"}'),
        ("t.json", "[1, 2]"),
        ("t.json", "{"),
        ("t.toml", "3 = liver"),
        ("t.txt", "3 liver"),
        ("t.toml", '0 = "background"'),
    ],
)
def test_tables_that_name_nothing_or_too_much_are_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=r"t\."):
        read_label_names(tmp_path / name)


def test_a_shipped_table() -> None:
    names = read_label_names("totalsegmentator-total")
    assert len(names) == 117
    assert (names[2].name, names[2].code.meaning, names[2].kind) == ("kidney_right", "Right kidney", RegionKind.ORGAN)
