"""Real archives before and after de-identification: what is left is on the list, and no number has changed."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import attrs
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_VR

from lutra.core.errors import LutraError
from lutra.core.study import SeriesHeader
from lutra.core.time import seconds_between
from lutra.ingest import IngestSettings, read_contours, read_header, read_segmentation, read_volumes, scan
from lutra.ingest.deidentify import Deidentifier, DeidentifySettings, PseudonymKey
from lutra.ingest.quiet import quietly
from lutra.quantify.decay_reference import decay_reference
from lutra.quantify.suv import suv_bw_factor
from lutra.reference.deidentification import deidentification_table

Archive = Callable[[str], Path]
ZONE = "Europe/Brussels"
KEY = PseudonymKey(bytes(range(32)))
SETTINGS = IngestSettings(time_zone=ZONE)
ARCHIVES = [
    "adc_abdomen_toshiba_cmbcrc",
    "ct_lung1_001_rtstruct",
    "dwi_ge_dcmqa",
    "dwi_philips_dcmqa",
    "dwi_uih_dcmqa",
    "pet_fdg_ge_sts001",
    "pet_fdg_siemens_qinhn0139_seg",
    "rt_dose_struct_dicompyler",
    "seg_dcmqi",
    "spect_lu177_umich",
]
WRITTEN = {
    "PatientName": "PN",
    "PatientID": "LO",
    "PatientIdentityRemoved": "CS",
    "DeidentificationMethod": "LO",
    "DeidentificationMethodCodeSequence": "SQ",
    "LongitudinalTemporalInformationModified": "CS",
}
PLACES = {"PatientBirthDate", "InstitutionName", "SeriesInstanceUID", "StudyDate", "PatientID", "AccessionNumber"}


@attrs.frozen(eq=False)
class Pair:
    """An archive and its de-identified copy, file by file."""

    before: Path
    after: Path
    files: tuple[tuple[Path, Path], ...]

    @cached_property
    def headers(self) -> tuple[dict[str, SeriesHeader], dict[str, SeriesHeader]]:
        """Image headers by series, of both."""
        return headers(self.before), headers(self.after)


@pytest.fixture(scope="module")
def pair(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Pair]]:
    made: dict[str, Pair] = {}

    def make(name: str) -> Pair:
        if name not in made:
            made[name] = _pair(archive(name), tmp_path_factory.mktemp(name))
        return made[name]

    yield make
    for each in made.values():
        shutil.rmtree(each.after.parent)


def _pair(source: Path, out: Path) -> Pair:
    worker = Deidentifier(KEY, DeidentifySettings(time_zone=ZONE))
    before, after = out / "before", out / "after"
    before.mkdir()
    after.mkdir()
    files = []
    paths = sorted(p for p in source.rglob("*") if p.is_file() and p.name != "DICOMDIR")
    for n, path in enumerate(paths[:80] if "philips" in source.name else paths):  # 544 slices of one kind
        original = before / f"{n:05d}.dcm"
        original.write_bytes(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
        try:
            content = worker.file(original).content
        except LutraError:
            original.unlink()
            continue
        (after / original.name).write_bytes(content)
        files.append((original, after / original.name))
    return Pair(before, after, tuple(files))


def elements(file: Dataset) -> Iterator[tuple[str, str, str, object]]:
    """Name, value representation, private creator and value of everything, at any depth."""
    for element in file:
        name = (
            f"({element.tag.group:04X},xx{element.tag.element & 0xFF:02X})"
            if element.tag.is_private
            else element.keyword
        )
        yield name, element.VR, element.private_creator or "", element.value
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item)


@quietly()
def _elements(path: Path) -> list[tuple[str, str, str, object]]:
    return list(elements(pydicom.dcmread(path)))


@pytest.mark.parametrize("name", ARCHIVES)
def test_what_is_left_is_on_the_list(pair: Callable[[str], Pair], name: str) -> None:
    """Tag and value representation of every element are a subset of the list; emptied ones of the profile are empty."""
    table = deidentification_table()
    allowed = {(k, vr) for group in table.groups.values() for k in group for vr in dictionary_VR(k).split(" or ")}
    allowed |= set(WRITTEN.items())
    private = {(safe.creator, f"({safe.group:04X},xx{safe.element:02X})", safe.vr) for safe in table.private}
    creators = {safe.creator for safe in table.private}
    seen = 0
    for _, path in pair(name).files[:: max(1, len(pair(name).files) // 60)]:
        for keyword, vr, creator, value in _elements(path):
            seen += 1
            if keyword.startswith("("):
                if creator:
                    assert (creator, keyword, vr) in private
                else:
                    assert value in creators
            elif (keyword, vr) not in allowed:
                assert value in (None, ""), f"{keyword} {vr} {value!r}"
    assert seen > 100


@pytest.mark.parametrize("name", ARCHIVES)
def test_identifiers_and_dates_of_the_originals_are_not_in_the_bytes(pair: Callable[[str], Pair], name: str) -> None:
    """UIDs, identifiers, institutions and dates as they stand in each original, searched in the bytes of its copy."""
    for before, after in pair(name).files[:: max(1, len(pair(name).files) // 25)]:
        with quietly():
            file, content = pydicom.dcmread(before, stop_before_pixels=True), after.read_bytes()
            header = content[: len(content) - len(pydicom.dcmread(after).get("PixelData", b""))]
            every = list(file)
        for keyword in PLACES:
            value = str(file.get(keyword, "") or "").strip()
            if len(value) >= 8 and value != file.get("StationName"):  # a station may be called like its hospital
                assert value.encode() not in header, keyword
        for element in every:
            if element.VR == "UI" and element.value and not str(element.value).startswith("1.2.840.10008."):
                for uid in [element.value] if isinstance(element.value, str) else element.value:
                    assert str(uid).encode() not in header


def headers(folder: Path) -> dict[str, SeriesHeader]:
    series = defaultdict(list)
    for file in scan([folder]).files:
        series[file.series_uid].append(Path(file.path))
    read = {uid: read_header(paths, SETTINGS).value for uid, paths in series.items()}
    return {uid: header for uid, header in read.items() if header is not None and header.grid is not None}


IDENTITY = {
    "series_uid", "study_uid", "subject_id", "frame_of_reference", "instances", "description", "grid",
    "series_started_at", "acquired_at", "scan_reference_at", "slice_acquired_at", "radiopharmaceutical", "dates_moved",
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHIVES)
def test_no_number_changes(pair: Callable[[str], Pair], name: str) -> None:
    """Header, SUV factor, decay reference, geometry and voxels, read by Lutra before and after; equality, not tolerance."""
    before, after = pair(name).headers
    assert {KEY.uid(uid) for uid in before} == set(after)
    for uid, old in before.items():
        new = after[KEY.uid(uid)]
        days = KEY.shift_days(old.subject_id) * 86400.0
        for field in attrs.fields(SeriesHeader):
            if field.name not in IDENTITY:
                assert getattr(new, field.name) == getattr(old, field.name), field.name
        assert new.instances == tuple(KEY.uid(instance) for instance in old.instances)
        assert new.grid is not None
        assert old.grid is not None
        assert new.grid.shape == old.grid.shape
        assert np.array_equal(new.grid.affine_lps_mm, old.grid.affine_lps_mm)
        for when in ("series_started_at", "acquired_at", "scan_reference_at"):
            one, other = getattr(old, when), getattr(new, when)
            assert (one is None) == (other is None)
            assert one is None or seconds_between(one, other) == days
        gaps = [seconds_between(a, b) for a, b in zip(old.slice_acquired_at, new.slice_acquired_at, strict=True)]
        assert set(gaps) <= {days}
        if old.radiopharmaceutical is not None:
            _same_agent(old, new, days)
        assert suv_bw_factor(new).value == suv_bw_factor(old).value
        assert suv_bw_factor(new).case == suv_bw_factor(old).case
        one, other = decay_reference(old).value, decay_reference(new).value
        assert (one is None) == (other is None)
        if one is not None and other is not None and one.at is not None and other.at is not None:
            assert seconds_between(one.at, other.at) == days


def _same_agent(old: SeriesHeader, new: SeriesHeader, days: float) -> None:
    one, other = old.radiopharmaceutical, new.radiopharmaceutical
    assert one is not None
    assert other is not None
    assert (one.nuclide, one.activity_bq, one.half_life_s) == (other.nuclide, other.activity_bq, other.half_life_s)
    assert (one.administered_at is None) == (other.administered_at is None)
    if one.administered_at is not None and other.administered_at is not None:
        assert seconds_between(one.administered_at, other.administered_at) == days
        assert old.acquired_at is not None
        assert new.acquired_at is not None
        assert seconds_between(one.administered_at, old.acquired_at) == seconds_between(
            other.administered_at, new.acquired_at
        )


@pytest.mark.parametrize("name", ["adc_abdomen_toshiba_cmbcrc", "dwi_ge_dcmqa", "pet_fdg_ge_sts001", "seg_dcmqi"])
def test_voxels_are_the_same(pair: Callable[[str], Pair], name: str) -> None:
    before, after = pair(name).headers
    paths: dict[str, list[Path]] = defaultdict(list)
    for folder in (pair(name).before, pair(name).after):
        for file in scan([folder]).files:
            paths[file.series_uid].append(Path(file.path))
    for uid, old in before.items():
        new = after[KEY.uid(uid)]
        one = read_volumes(paths[uid], old, SETTINGS).value
        other = read_volumes(paths[KEY.uid(uid)], new, SETTINGS).value
        assert (one is None) == (other is None)
        for a, b in zip(one or (), other or (), strict=True):
            assert np.array_equal(a.values, b.values, equal_nan=True)


@pytest.mark.parametrize("name", ["ct_lung1_001_rtstruct", "spect_lu177_umich", "rt_dose_struct_dicompyler"])
def test_contours_are_the_same_and_still_lie_on_their_images(pair: Callable[[str], Pair], name: str) -> None:
    found = 0
    frames = {h.frame_of_reference for h in pair(name).headers[1].values()}
    for before, after in pair(name).files:
        if pydicom.dcmread(before, specific_tags=["Modality"]).Modality != "RTSTRUCT":
            continue
        one, other = read_contours(before).value, read_contours(after).value
        assert one is not None
        assert other is not None
        assert len({s.name for s in other}) == len({s.name for s in one})
        for a, b in zip(one, other, strict=True):
            found += 1
            assert b.frame_of_reference == KEY.uid(a.frame_of_reference)
            assert all(np.array_equal(p, q) for p, q in zip(a.contours_lps_mm, b.contours_lps_mm, strict=True))
            assert name == "rt_dose_struct_dicompyler" or b.frame_of_reference in frames
    assert found


@pytest.mark.parametrize("name", ["pet_fdg_siemens_qinhn0139_seg", "seg_dcmqi"])
def test_segments_are_the_same(pair: Callable[[str], Pair], name: str) -> None:
    """As many regions, as many names, voxel by voxel on the same geometry."""
    found = 0
    for before, after in pair(name).files:
        if pydicom.dcmread(before, specific_tags=["Modality"]).get("Modality") != "SEG":
            continue
        one, other = read_segmentation(before).value, read_segmentation(after).value
        assert (one is None) == (other is None)
        assert len({r.name for r in other or ()}) == len({r.name for r in one or ()})
        for a, b in zip(one or (), other or (), strict=True):
            found += 1
            assert np.array_equal(a.grid.affine_lps_mm, b.grid.affine_lps_mm)
            assert np.array_equal(a.fraction, b.fraction)
            assert (a.start_ijk, a.kind) == (b.start_ijk, b.kind)
    assert found > 5


@pytest.mark.parametrize("name", ARCHIVES)
def test_validator_finds_no_new_error(pair: Callable[[str], Pair], name: str) -> None:
    """`dciodvfy` of dicom3tools: every error of a copy is one of its original."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    files = pair(name).files
    few = [*files[:: max(1, len(files) // 6)], *(f for f in files if f[0].stat().st_size < 60_000)][:14]
    for before, after in few:
        assert _errors(after) - _errors(before) == set()


def _errors(path: Path) -> set[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
    return {line for line in done.stderr.splitlines() if line.startswith("Error")}


def test_the_four_vendors_private_numbers_survive(pair: Callable[[str], Pair]) -> None:
    """b-values of GE, Philips and UIH, counted in the originals with a DICOM dump's tags."""
    for name, group, creator, element in (
        ("dwi_ge_dcmqa", 0x0043, "GEMS_PARM_01", 0x39),
        ("dwi_philips_dcmqa", 0x2001, "Philips Imaging DD 001", 0x03),
        ("dwi_uih_dcmqa", 0x0065, "Image Private Header", 0x09),
    ):
        values = []
        for before, after in pair(name).files:
            one, other = pydicom.dcmread(before), pydicom.dcmread(after)
            try:
                there = one.private_block(group, creator)[element].value
            except KeyError:
                continue
            assert other.private_block(group, creator)[element].value == there
            values.append(there)
        assert len(values) > 10
