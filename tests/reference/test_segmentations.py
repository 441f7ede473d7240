"""Segmentations of other programs, read by us and by others: the same voxels in the same places."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from lutra.core.region import Region, RegionKind
from lutra.ingest import IngestSettings, read_header, read_label_map, read_label_names, read_segmentation
from lutra.segment import SegmentSettings, regions_on_grid

Archive = Callable[[str], Path]


def whole(region: Region) -> npt.NDArray[np.float32]:
    array = np.zeros(region.grid.shape, np.float32)
    array[region.box] = region.fraction
    return array


@pytest.mark.parametrize(
    ("file", "source", "labels"),
    [
        ("liver.dcm", "liver_seg.nrrd", {"Liver": 1}),
        ("partial_overlaps.dcm", "partial_overlaps-1.nrrd", {"GREEN": 1, "LIGHT_BLUE": 4, "DARK_BLUE": 5}),
        ("partial_overlaps.dcm", "partial_overlaps-2.nrrd", {"ORANGE": 2}),
        ("partial_overlaps.dcm", "partial_overlaps-3.nrrd", {"PURPLE": 3}),
        ("23x38x3/seg/label.seg", "23x38x3/nrrd/label.nrrd", {"Liver": 1}),
        ("24x38x3/seg/label.seg", "24x38x3/nrrd/label.nrrd", {"Liver": 1}),
        ("sparse-labelmap-noppv.dcm", "sparse_labelmap_noppv_seg.nrrd", {"Liver": 1}),
        ("sparse-labelmap-ppv5.dcm", "sparse_labelmap_ppv5_seg.nrrd", {"Liver": 1}),
    ],
)
def test_dcmqi_examples_are_the_label_images_they_were_made_from(
    archive: Archive, file: str, source: str, labels: dict[str, int]
) -> None:
    """Overlapping segments, frames that end within a byte, label maps without their middle slice; read by SimpleITK."""
    sitk = pytest.importorskip("SimpleITK")
    folder = archive("seg_dcmqi") / "data" / "segmentations"
    image = sitk.ReadImage(str(folder / source))
    truth = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    regions = {r.name: r for r in read_segmentation(folder / file).value}
    for name, label in labels.items():
        region = regions[name]
        np.testing.assert_allclose(region.grid.affine_lps_mm[:3, 3], image.GetOrigin(), atol=1e-4)
        np.testing.assert_allclose(region.grid.spacing_mm, image.GetSpacing(), atol=1e-6)
        np.testing.assert_array_equal(whole(region), truth == label)


def test_eleven_tumours_of_a_real_pet(archive: Archive) -> None:
    """On 71 of 545 slices of the PET: highdicom finds the same voxels, and they are voxels of the PET."""
    folder = archive("pet_fdg_siemens_qinhn0139_seg") / "seg_dicom4qi" / "data_3"
    (path,) = (folder / "mask").iterdir()
    regions = read_segmentation(path).value
    theirs = hd.seg.segread(path).get_volume()
    assert len(regions) == 11
    for n, region in enumerate(regions):
        # Theirs: slices from the top down, rows, columns, segments.
        np.testing.assert_array_equal(whole(region), theirs.array[..., n].transpose(2, 1, 0)[:, :, ::-1])
    pet = read_header(sorted((folder / "image").iterdir()), IngestSettings()).value
    outcome = regions_on_grid(regions, pet.grid, SegmentSettings(), pet.series_uid)
    assert outcome.findings == ()
    for before, after in zip(regions, outcome.value, strict=True):
        np.testing.assert_array_equal(before.fraction, after.fraction)
        assert after.kind is RegionKind.LESION
        np.testing.assert_allclose(after.centroid_lps_mm, before.centroid_lps_mm, atol=0.1)  # slices at joins of beds


def test_label_numbers_are_those_the_program_writes(shared_data: Path) -> None:
    """TotalSegmentator writes its names into the file: all 117 are ours."""
    path = shared_data / "ct_labelled" / "example_seg_fast_force_split.nii.gz"
    (extension,) = nib.load(path).header.extensions
    theirs = {
        int(n): name
        for n, name in re.findall(r'Key="(\d+)"[^>]*><!\[CDATA\[(.*?)\]\]', extension.get_content().decode())
    }
    assert {n: label.name for n, label in read_label_names("totalsegmentator-total").items()} == theirs
    assert {r.name for r in read_label_map(path).value} <= set(theirs.values())


def test_labelled_ct_lies_in_the_patient_as_it_must(shared_data: Path) -> None:
    """Liver to the right of the spleen and between lungs and hips; volumes are those of nibabel's voxels; the CT has its grid."""
    folder = shared_data / "ct_labelled"
    outcome = read_label_map(folder / "example_seg_fast_force_split.nii.gz", read_label_names("totalsegmentator-total"))
    regions = {r.name: r for r in outcome.value}
    centre = {name: region.centroid_lps_mm for name, region in regions.items()}
    assert centre["liver"][0] < centre["spleen"][0]
    assert centre["kidney_right"][0] < centre["kidney_left"][0]
    assert centre["hip_left"][2] < centre["liver"][2] < centre["lung_lower_lobe_left"][2]
    assert centre["vertebrae_L3"][1] > centre["aorta"][1]  # the spine is behind
    labels = np.asarray(nib.load(folder / "example_seg_fast_force_split.nii.gz").dataobj)
    assert regions["liver"].volume_ml == pytest.approx((labels == 5).sum() * 0.027, rel=1e-6)
    ct = nib.load(folder / "example_ct.nii.gz")
    lps = np.diag([-1, -1, 1, 1]) @ ct.affine
    np.testing.assert_allclose(regions["liver"].grid.affine_lps_mm, lps)


def test_codes_of_the_shipped_labels_are_those_of_dicom() -> None:
    from pydicom.sr.codedict import codes

    listed = {getattr(codes.SCT, name).value for name in codes.SCT.dir()}
    sided = {"9846003", "18639004"}  # kidneys, as in the table of region names
    for label in read_label_names("totalsegmentator-total").values():
        assert label.code is None or label.code.value in listed | sided, label
