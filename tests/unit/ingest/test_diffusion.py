"""B-values as each vendor writes them, private elements as numbers or as the bytes an archive made of them, and what is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from lutra.core.errors import InconsistentSeries, InputError
from lutra.core.finding import Finding
from lutra.core.study import VolumeKey
from lutra.ingest.classic import classic_frame
from lutra.ingest.diffusion import weigh, weighting
from lutra.ingest.frames import Frame

OBLIQUE = [0.8, 0.6, 0, 0, 0, -1]  # rows, columns; the normal is (-0.6, 0.8, 0)
Fill = Callable[[Dataset], None]


def plain(z_mm: float = 0.0, **attributes: Any) -> Dataset:
    header = Dataset()
    header.ImageOrientationPatient = OBLIQUE
    header.ImagePositionPatient = [0, 0, z_mm]
    header.PixelSpacing = [2, 2]
    header.Rows = header.Columns = 4
    header.SOPInstanceUID = "1.2.3"
    header.ImageType = ["ORIGINAL", "PRIMARY"]
    for name, value in attributes.items():
        setattr(header, name, value)
    return header


def add(header: Dataset, group: int, creator: str, element: int, vr: str, value: Any) -> None:
    header.private_block(group, creator, create=True).add_new(element, vr, value)


def frame(header: Dataset, name: str = "a.dcm") -> Frame:
    return classic_frame(Path(name), header, "UTC")


def ge(b: Any, gradient: tuple[float, float, float] | None = None, kind: int = 16, vr: str = "IS") -> Fill:
    def fill(header: Dataset) -> None:
        header.InPlanePhaseEncodingDirection = "COL"
        add(header, 0x0043, "GEMS_PARM_01", 0x39, vr, b)
        add(header, 0x0043, "GEMS_PARM_01", 0x30, "SS", kind)
        for element, component in zip((0xBB, 0xBC, 0xBD), gradient or (), strict=False):
            add(header, 0x0019, "GEMS_ACQU_01", element, "DS", component)

    return fill


def siemens(b: Any, gradient: Any = None, vr: str = "IS", gradient_vr: str = "FD") -> Fill:
    def fill(header: Dataset) -> None:
        add(header, 0x0019, "SIEMENS MR HEADER", 0x0C, vr, b)
        if gradient is not None:
            add(header, 0x0019, "SIEMENS MR HEADER", 0x0E, gradient_vr, gradient)

    return fill


def philips(b: Any, gradient: Any, direction: str, vr: str = "FL") -> Fill:
    def fill(header: Dataset) -> None:
        add(header, 0x2001, "Philips Imaging DD 001", 0x03, vr, b)
        add(header, 0x2001, "Philips Imaging DD 001", 0x04, "CS", direction)
        for element, component in zip((0xB0, 0xB1, 0xB2), gradient, strict=True):
            add(header, 0x2005, "Philips MR Imaging DD 001", element, vr, component)

    return fill


def uih(b: Any, gradient: Any, vr: str = "FD") -> Fill:
    def fill(header: Dataset) -> None:
        add(header, 0x0065, "Image Private Header", 0x09, vr, b)
        add(header, 0x0065, "Image Private Header", 0x0A, "FD", 1000.0)  # what the user asked for, not what was applied
        add(header, 0x0065, "Image Private Header", 0x37, vr, gradient)

    return fill


def standard(**attributes: Any) -> Fill:
    def fill(header: Dataset) -> None:
        for name, value in attributes.items():
            setattr(header, name, value)

    return fill


def with_items(sequence: str, **attributes: Any) -> Fill:
    def fill(header: Dataset) -> None:
        item = Dataset()
        for name, value in attributes.items():
            setattr(item, name, value)
        setattr(header, sequence, [item])
        if "DiffusionGradientOrientation" in attributes:
            header.DiffusionBValue = 500.0

    return fill


def doubles(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}d", *numbers)


# By hand, with rows (0.8, 0.6, 0), columns (0, 0, -1), normal (-0.6, 0.8, 0).
CASES: list[tuple[str, Fill, str, float, tuple[float, float, float] | None]] = [
    ("GE", ge([800, 8, 0, 0]), "GE (0043,1039)", 800, None),
    ("GE with the bias of several b-values", ge([1000000800, 8, 0, 0]), "GE (0043,1039)", 800, None),
    ("GE biased, as text bytes", ge(b"1000000050\\8\\0\\0", vr="UN"), "GE (0043,1039)", 50, None),
    ("GE b of 30 000 is no bias", ge([30000, 8, 0, 0]), "GE (0043,1039)", 30000, None),
    ("GE along frequency: against the rows", ge([800, 8, 0, 0], (1, 0, 0)), "GE (0043,1039)", 800, (-0.8, -0.6, 0)),
    ("GE along phase: against the columns", ge([800, 8, 0, 0], (0, 1, 0)), "GE (0043,1039)", 800, (0, 0, 1)),
    ("GE inner shell, half the gradient", ge([2000, 8, 0, 0], (0, 0, 0.5)), "GE (0043,1039)", 500, (-0.6, 0.8, 0)),
    ("GE b = 0 of a tensor scan", ge([2000, 8, 0, 0], (0, 0, 0)), "GE (0043,1039)", 0, None),
    ("GE trace image", ge([800, 8, 0, 0], (0, 0, 0), kind=15), "GE (0043,1039)", 800, None),
    ("Siemens", siemens(50, [0.0, 0.6, 0.8]), "Siemens (0019,100C)", 50, (0, 0.6, 0.8)),
    ("Siemens, bytes", siemens(b"1000", doubles(0, 0, -1), "UN", "UN"), "Siemens (0019,100C)", 1000, (0, 0, -1)),
    ("Siemens b = 0", siemens(0), "Siemens (0019,100C)", 0, None),
    ("Philips", philips(600.0, (0.6, 0.0, 0.8), "O"), "Philips (2001,1003)", 600, (0.6, 0, 0.8)),
    ("Philips isotropic", philips(600.0, (1.0, 0.0, 0.0), "I"), "Philips (2001,1003)", 600, None),
    (
        "Philips, bytes",
        philips(struct.pack("<f", 600), [struct.pack("<f", x) for x in (0, 1, 0)], "O", "UN"),
        "Philips (2001,1003)",
        600,
        (0, 1, 0),
    ),
    ("UIH applied, not asked for", uih(928.25, [0.0, 0.0, 1.0]), "UIH (0065,1009)", 928.25, (-0.6, 0.8, 0)),
    ("UIH, bytes", uih(doubles(928.25), doubles(1, 0, 0), "OB"), "UIH (0065,1009)", 928.25, (0.8, 0.6, 0)),
    ("standard", standard(DiffusionBValue=400.0), "standard (0018,9087)", 400, None),
    (
        "standard with direction",
        standard(DiffusionBValue=400.0, DiffusionGradientOrientation=[0, 0, 2]),
        "standard (0018,9087)",
        400,
        (0, 0, 1),
    ),
    ("standard, none stated", standard(DiffusionDirectionality="NONE"), "standard (0018,9087)", 0, None),
    (
        "standard isotropic",
        standard(DiffusionBValue=400.0, DiffusionDirectionality="ISOTROPIC", DiffusionGradientOrientation=[1, 0, 0]),
        "standard (0018,9087)",
        400,
        None,
    ),
    (
        "enhanced",
        with_items("DiffusionGradientDirectionSequence", DiffusionGradientOrientation=[0, 1, 0]),
        "standard (0018,9087)",
        500,
        (0, 1, 0),
    ),
    (
        "Canon comment: column, row, against the slices",
        standard(Manufacturer="CANON_MEC", ImageComments="b=1500(0.000,1.000,0.000)"),
        "Canon (0020,4000)",
        1500,
        (0.8, 0.6, 0),
    ),
    ("Canon b = 0", standard(Manufacturer="CANON_MEC", ImageComments="b=0"), "Canon (0020,4000)", 0, None),
]


@pytest.mark.parametrize(("fill", "rule", "b", "gradient"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_each_rule_by_hand(fill: Fill, rule: str, b: float, gradient: tuple[float, float, float] | None) -> None:
    header = plain()
    fill(header)
    found = weighting(header)
    assert found is not None
    assert found[0] == rule
    assert found[1].b_s_per_mm2 == pytest.approx(b)
    assert found[1].gradient_lps == (pytest.approx(gradient, abs=1e-4) if gradient else None)


def test_b_matrix_gives_its_trace_and_main_axis() -> None:
    """b g g' with b = 900 and g = (0.6, 0, 0.8)."""
    header = plain()
    add(header, 0x0019, "SIEMENS MR HEADER", 0x27, "FD", [324.0, 0.0, 432.0, 0.0, 0.0, 576.0])
    found = weighting(header)
    assert found is not None
    assert found[0] == "Siemens b-matrix (0019,1027)"
    assert found[1].b_s_per_mm2 == pytest.approx(900)
    assert np.abs(np.dot(found[1].gradient_lps or (0, 0, 0), (0.6, 0, 0.8))) == pytest.approx(1, abs=1e-3)


def test_a_comment_of_another_maker_is_a_comment() -> None:
    assert weighting(plain(Manufacturer="SIEMENS", ImageComments="b=1500(0,1,0)")) is None


def test_no_b_value_is_none_and_not_zero() -> None:
    assert weighting(plain()) is None


@pytest.mark.parametrize("b", [-5.0, 1e6])
def test_an_impossible_b_value_is_refused(b: float) -> None:
    with pytest.raises(InputError, match="required: 0 to"):
        weighting(plain(DiffusionBValue=b))


def test_elements_that_contradict_each_other_are_refused() -> None:
    header = plain(DiffusionBValue=1000.0)
    siemens(500)(header)
    with pytest.raises(InputError, match="two b-values: 500 s/mm2 by rule Siemens"):
        weighting(header)


def test_the_standard_may_repeat_what_ge_scales() -> None:
    header = plain(DiffusionBValue=2000.0)
    ge([2000, 8, 0, 0], (0, 0, 0.5))(header)
    found = weighting(header)
    assert found is not None
    assert found[1].b_s_per_mm2 == pytest.approx(500)


def test_one_frame_without_b_value_refuses_the_series() -> None:
    """Toshiba leaves the element out at b = 0: no rule reads that, so nothing is assumed."""
    frames = [frame(plain(DiffusionBValue=800.0)), frame(plain(), "zero.dcm")]
    with pytest.raises(InconsistentSeries, match=r"1 of 2 frames state no b-value, zero\.dcm"):
        weigh(frames, [])


def test_an_ordinary_series_stays_as_it_is() -> None:
    frames = [frame(plain(z)) for z in (0, 5)]
    assert weigh(frames, []) == frames


def test_computed_maps_in_a_diffusion_series_are_left_out_and_said() -> None:
    findings: list[Finding] = []
    frames = [
        frame(plain(DiffusionBValue=0.0)),
        frame(plain(DiffusionBValue=800.0)),
        frame(plain(DiffusionBValue=800.0, ImageType=["DERIVED", "PRIMARY", "ADC"])),
    ]
    assert [f.key.b_value_s_per_mm2 for f in weigh(frames, findings)] == [0, 800]
    assert [f.code for f in findings] == ["ingest.computed-maps-left-out", "ingest.b-value-rule"]


def test_a_map_that_lost_its_mark_does_not_stand_for_what_was_measured() -> None:
    """Three slices of an ADC map, one without ADC in its Image Type: not a series of one slice beside two maps."""
    marked = [frame(plain(z, DiffusionBValue=800.0, ImageType=["DERIVED", "PRIMARY", "ADC"])) for z in (0, 5)]
    lost = frame(plain(10, DiffusionBValue=800.0, ImageType=["DERIVED", "PRIMARY"]))
    with pytest.raises(InconsistentSeries, match="2 computed maps lie where nothing was measured"):
        weigh([*marked, lost], [])


def test_an_adc_map_alone_is_no_diffusion_series_whatever_b_it_names() -> None:
    (only,) = weigh([frame(plain(DiffusionBValue=500.0, ImageType=["DERIVED", "SECONDARY", "ADC"]))], [])
    assert only.key == VolumeKey()


def test_repetitions_are_numbered_as_they_were_acquired() -> None:
    headers = [plain(z, DiffusionBValue=0.0, AcquisitionNumber=n) for n in (7, 3) for z in (0, 5)]
    slots = [f.key.time_slot for f in weigh([frame(h) for h in headers], [])]
    assert slots == [2, 2, 1, 1]


def test_philips_signals_on_two_scales_are_refused() -> None:
    headers = [plain(DiffusionBValue=b, RescaleSlope=1.5) for b in (0.0, 800.0)]
    for header, scale in zip(headers, (0.02, 0.03), strict=True):
        add(header, 0x2005, "Philips MR Imaging DD 001", 0x0E, "FL", scale)
    with pytest.raises(InconsistentSeries, match="signals scaled differently"):
        weigh([frame(h) for h in headers], [])


def test_a_siemens_mosaic_is_refused_by_name(tmp_path: Path) -> None:
    from lutra.ingest.mosaic import mr_frames

    with pytest.raises(InputError, match="a Siemens mosaic"):
        mr_frames(tmp_path / "m.dcm", plain(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), "UTC")
