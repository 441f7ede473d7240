"""PET headers as files have them: administrations, private elements, and slices that contradict each other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from lutra.core.finding import Finding
from lutra.core.grid import Grid
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series
from lutra.export.dicom_image import STORAGE
from lutra.ingest import IngestSettings, read_header, read_image
from lutra.quantify import suv_bw_factor, to_suv

GIVEN = datetime(2026, 1, 12, 12, 0, tzinfo=UTC)
SCAN = GIVEN + timedelta(hours=1)
HALF_LIFE_S = 6586.2
SHAPE = (4, 3, 4)
BY_HAND = 70_000 / (3e8 * 2 ** (-3600 / HALF_LIFE_S))

Change = Callable[[Dataset], None]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Four slices of a PET, in slice order: 70 kg, 300 MBq of 18F an hour before the scan."""
    grid = Grid(SHAPE, np.diag([2.0, 2, 4, 1]), stable_uid("frame"))
    header = SeriesHeader(
        series_uid=stable_uid("pet"),
        study_uid=stable_uid("study"),
        subject_id="P1",
        modality="PT",
        sop_class_uid=STORAGE["PT"],
        description="pet",
        manufacturer="test",
        model="",
        image_type=("ORIGINAL", "PRIMARY"),
        frame_of_reference=grid.frame_of_reference,
        instances=tuple(stable_uid("pet", str(k)) for k in range(SHAPE[2])),
        acquired_at=SCAN,
        series_started_at=SCAN,
        stored_unit="BQML",
        decay_correction=DecayCorrection.START,
        corrected_image=("DECY", "ATTN"),
        decay_factor=1.0,
        frame_reference_time_s=60.0,
        frame_duration_s=120.0,
        radiopharmaceutical=Radiopharmaceutical("F-18", "FDG", 3e8, GIVEN, HALF_LIFE_S),
    )
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE) * 10.0
    volume = Volume(values, grid, Unit.BQ_PER_ML)
    identity = PatientIdentity("P1", "P1", "F", 70, 1.7)
    return list(write_image_series(tmp_path, header, volume, identity, SCAN))


def edit(path: Path, change: Change) -> None:
    file = pydicom.dcmread(path)
    change(file)
    file.save_as(path)


def edit_all(paths: list[Path], change: Change) -> None:
    for path in paths:
        edit(path, change)


def item(header: Dataset) -> Dataset:
    agent: Dataset = header.RadiopharmaceuticalInformationSequence[0]
    return agent


def read(paths: list[Path]) -> tuple[SeriesHeader, tuple[Finding, ...]]:
    outcome = read_header(paths, IngestSettings())
    assert outcome.value is not None, outcome.findings
    return outcome.value, outcome.findings


def codes(findings: tuple[Finding, ...]) -> set[str]:
    return {f.code for f in findings}


def test_clean_files_give_the_factor_by_hand(files: list[Path]) -> None:
    header, findings = read(files)
    assert codes(findings) == set()
    assert suv_bw_factor(header).value == pytest.approx(BY_HAND, rel=1e-9)


def set_weight(header: Dataset) -> None:
    header.PatientWeight = "71"


def set_size(header: Dataset) -> None:
    header.PatientSize = "1.71"


def set_sex(header: Dataset) -> None:
    header.PatientSex = "M"


def drop_weight(header: Dataset) -> None:
    del header.PatientWeight


def set_activity(header: Dataset) -> None:
    item(header).RadionuclideTotalDose = "310000000"


def set_half_life(header: Dataset) -> None:
    item(header).RadionuclideHalfLife = "4062.6"


def set_administration(header: Dataset) -> None:
    item(header).RadiopharmaceuticalStartDateTime = "20260112113000+0000"


def set_nuclide(header: Dataset) -> None:
    item(header).RadionuclideCodeSequence[0].CodeValue = "C-131A3"


def drop_agent(header: Dataset) -> None:
    del header.RadiopharmaceuticalInformationSequence


def drop_time(header: Dataset) -> None:
    header.AcquisitionTime = ""


@pytest.mark.parametrize(
    ("change", "tag", "fact"),
    [
        (set_weight, "(0010,1030)", "patient_weight_kg"),
        (drop_weight, "(0010,1030)", "patient_weight_kg"),
        (set_size, "(0010,1020)", "patient_height_m"),
        (set_sex, "(0010,0040)", "patient_sex"),
        (set_activity, "(0018,1074)", "activity_bq"),
        (set_half_life, "(0018,1075)", "half_life_s"),
        (set_administration, "(0018,1078)", "administered_at"),
        (set_nuclide, "(0054,0300)", "nuclide"),
        (drop_agent, "(0054,0016)", "radiopharmaceutical"),
        (drop_time, "(0008,0032)", "acquired_at"),
    ],
)
@pytest.mark.parametrize("slice_", [0, 2])
def test_the_first_slice_does_not_decide(files: list[Path], change: Change, tag: str, fact: str, slice_: int) -> None:
    edit(files[slice_], change)
    header, findings = read(files)
    (contradiction,) = [f for f in findings if f.code == "ingest.slices-disagree"]
    assert tag in contradiction.text
    holder = header if hasattr(header, fact) else header.radiopharmaceutical
    assert getattr(holder, fact) is None
    if fact not in {"patient_height_m", "patient_sex", "nuclide"}:
        assert suv_bw_factor(header).value is None


def test_series_times_that_contradict_each_other_are_not_used(files: list[Path]) -> None:
    edit(files[1], lambda h: setattr(h, "SeriesTime", "120500"))
    header, findings = read(files)
    assert "ingest.slices-disagree" in codes(findings)
    assert header.series_started_at is None


def test_one_slice_without_attenuation_correction_spoils_the_series(files: list[Path]) -> None:
    edit(files[3], lambda h: setattr(h, "CorrectedImage", ["DECY"]))
    header, _ = read(files)
    assert header.corrected_image == ("DECY",)
    assert suv_bw_factor(header).value is None


def test_the_order_of_files_does_not_matter(files: list[Path]) -> None:
    """Names decide nothing: the same slices under other names, in another order."""
    expected, _ = read(files)
    for n, path in enumerate(files):
        path.rename(path.with_name(f"{7 * n % 4}-{n}.dcm"))
    renamed = sorted(files[0].parent.glob("*.dcm"), reverse=True)
    header, _ = read(renamed)
    assert header.instances == expected.instances
    assert suv_bw_factor(header) == suv_bw_factor(expected)


def test_every_slice_has_its_own_rescale(files: list[Path]) -> None:
    """Twice the slope with half the pixel is the same image."""
    header, _ = read(files)
    before = read_image(files, header, IngestSettings()).value

    def halve(file: Dataset) -> None:
        file.PixelData = (file.pixel_array // 2).astype(np.int16).tobytes()
        file.RescaleSlope = f"{2 * float(file.RescaleSlope):.12g}"

    edit(files[1], halve)
    edit(files[3], halve)
    slopes = {str(pydicom.dcmread(path).RescaleSlope) for path in files}
    assert len(slopes) == 4
    after = read_image(files, header, IngestSettings()).value
    assert before is not None
    assert after is not None
    step = max(float(s) for s in slopes)  # what an odd pixel loses
    np.testing.assert_allclose(after.values, before.values, atol=step)
    suv = to_suv(header, after).value
    assert suv is not None
    np.testing.assert_allclose(suv.values, after.values * BY_HAND, rtol=1e-6)


def private(header: Dataset, group: int, creator: str, **elements: tuple[int, str, object]) -> None:
    block = header.private_block(group, creator, create=True)
    for offset, vr, value in elements.values():
        block.add_new(offset, vr, value)


def ge(tracer_mbq: float, residual_mbq: float, residual_at: str = "20260112123000") -> Change:
    """Syringe measured 30 min before the injection at 12:00, and after it."""

    def change(header: Dataset) -> None:
        private(
            header,
            0x0009,
            "GEMS_PETD_01",
            tracer=(0x38, "FL", tracer_mbq),
            tracer_at=(0x39, "DT", "20260112113000"),
            residual=(0x3C, "FL", residual_mbq),
            residual_at=(0x3D, "DT", residual_at),
        )

    return change


RESIDUAL_AT_INJECTION = 40e6 * 2 ** (1800 / HALF_LIFE_S)


def test_a_residual_that_is_taken_off_already_is_not_taken_off_twice(files: list[Path]) -> None:
    """The tracer activity less the residual, both at 12:00, is the 300 MBq of the header."""
    edit_all(files, ge((3e8 + RESIDUAL_AT_INJECTION) / 1e6 * 2 ** (1800 / HALF_LIFE_S), 40))
    header, findings = read(files)
    assert codes(findings) == {"ingest.residual-activity"}
    assert "already less" in next(iter(findings)).text
    assert suv_bw_factor(header).value == pytest.approx(BY_HAND, rel=1e-9)


def test_a_residual_is_taken_off_an_activity_of_the_syringe(files: list[Path]) -> None:
    edit_all(files, ge(300 * 2 ** (1800 / HALF_LIFE_S), 40))
    header, _ = read(files)
    factor = suv_bw_factor(header)
    assert factor.case.endswith("less residual")
    assert [f.code for f in factor.findings] == ["quantify.residual-activity"]
    assert factor.value == pytest.approx(BY_HAND * 3e8 / (3e8 - RESIDUAL_AT_INJECTION), rel=1e-6)  # FL has 7 digits


@pytest.mark.parametrize(
    "change",
    [
        ge(500, 40),  # neither 300 MBq nor 300 plus 48
        ge(300 * 2 ** (1800 / HALF_LIFE_S), 40, "20260112113500"),  # measured before the injection
        ge(300 * 2 ** (1800 / HALF_LIFE_S), 40, ""),
        ge(0, 40),
    ],
)
def test_activities_that_do_not_fit_are_a_doubt_and_the_header_stands(files: list[Path], change: Change) -> None:
    edit_all(files, change)
    header, findings = read(files)
    assert codes(findings) == {"ingest.residual-contradiction"}
    assert suv_bw_factor(header).value == pytest.approx(BY_HAND, rel=1e-9)


@pytest.mark.parametrize(
    ("group", "creator", "element"), [(0x0009, "GEMS_PETD_01", 0x0D), (0x0071, "SIEMENS MED PT", 0x22)]
)
def test_scan_time_of_a_series_made_again(files: list[Path], group: int, creator: str, element: int) -> None:
    def reprocess(header: Dataset) -> None:
        header.SeriesTime = "180000"
        private(header, group, creator, time=(element, "DT", "20260112125900.00"))

    edit_all(files, reprocess)
    header, _ = read(files)
    factor = suv_bw_factor(header)
    assert factor.case == "BQML, start, private scan time"
    assert factor.value == pytest.approx(BY_HAND * 2 ** (-60 / HALF_LIFE_S), rel=1e-9)


def test_philips_counts_without_an_suv_factor(files: list[Path]) -> None:
    def philips(header: Dataset) -> None:
        header.Units = "CNTS"
        private(header, 0x7053, "Philips PET Private Group", suv=(0x00, "DS", "0"), activity=(0x09, "DS", "4.709921"))

    edit_all(files, philips)
    header, _ = read(files)
    assert suv_bw_factor(header).value == pytest.approx(4.709921 * BY_HAND, rel=1e-9)
    private_zero = lambda h: private(h, 0x7053, "Philips PET Private Group", activity=(0x09, "DS", "0"))  # noqa: E731
    edit_all(files, private_zero)
    header, _ = read(files)
    assert suv_bw_factor(header).case == "refused, counts without a factor"


def test_stored_sul_is_not_taken_as_suv(files: list[Path]) -> None:
    def sul(header: Dataset) -> None:
        header.Units, header.SUVType = "GML", "LBMJANMA"

    edit_all(files, sul)
    header, _ = read(files)
    assert header.suv_type == "LBMJANMA"
    assert suv_bw_factor(header).value is None
    edit_all(files[1:], lambda h: delattr(h, "SUVType"))
    header, _ = read(files)
    assert header.suv_type == "BW and LBMJANMA"
    assert suv_bw_factor(header).value is None


@pytest.mark.parametrize("activity", ["300", "3e20"])
def test_an_activity_in_another_unit_is_not_used(files: list[Path], activity: str) -> None:
    edit_all(files, lambda h: setattr(item(h), "RadionuclideTotalDose", activity))
    header, findings = read(files)
    assert codes(findings) == {"ingest.activity-implausible"}
    assert "(0018,1074)" in suv_bw_factor(header).reason


def test_two_administrations_are_none(files: list[Path]) -> None:
    def again(header: Dataset) -> None:
        other = pydicom.dcmread(files[0]).RadiopharmaceuticalInformationSequence[0]
        other.RadionuclideTotalDose = "150000000"
        header.RadiopharmaceuticalInformationSequence.append(other)

    edit_all(files, again)
    header, findings = read(files)
    assert codes(findings) == {"ingest.several-radiopharmaceuticals"}
    assert suv_bw_factor(header).value is None


def test_a_time_of_day_that_contradicts_the_date_is_said(files: list[Path]) -> None:
    edit_all(files, lambda h: setattr(item(h), "RadiopharmaceuticalStartTime", "113000"))
    edit_all(files, lambda h: setattr(item(h), "RadiopharmaceuticalStartDateTime", "20260112120000"))
    header, findings = read(files)
    assert codes(findings) == {"ingest.administration-times-differ"}
    assert suv_bw_factor(header).value == pytest.approx(BY_HAND, rel=1e-9)


@pytest.mark.parametrize("weight", ["0", "-70", ""])
def test_no_weight_says_what_is_there(files: list[Path], weight: str) -> None:
    edit_all(files, lambda h: setattr(h, "PatientWeight", weight))
    header, findings = read(files)
    (doubt,) = [f for f in findings if f.code == "ingest.no-weight"]
    assert (weight or "missing") in doubt.text
    assert suv_bw_factor(header).value is None
