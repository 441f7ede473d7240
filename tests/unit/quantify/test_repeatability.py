"""Change or noise: published limits, their edges, and everything that must not be judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attrs import evolve

from lutra.core.errors import ProtocolError, UnitMismatch
from lutra.core.estimate import Estimate
from lutra.core.finding import Severity
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.measurement import Measurements
from lutra.core.response import ChangeVerdict, RealChange
from lutra.core.study import Camera, Role, SeriesHeader
from lutra.core.units import Unit
from lutra.pipeline.protocol import parse_protocol
from lutra.quantify import QuantifySettings, change_from_baseline, classify_change
from lutra.quantify.comparable import differences
from lutra.reference.repeatability import RC_PER_SD, limits_of_wcv, published_limits, tissue_in_name

GRID = Grid((2, 2, 2), np.diag([4.07, 4.07, 3.0, 1.0]), "1")


def classified(before: float, after: float, quantity: str, tissue: str | None = None, **wcv: float) -> RealChange:
    unit = {"suv_max": Unit.SUV_BW, "adc_median": Unit.MM2_PER_S, "volume": Unit.ML}[quantity.split(".")[1]]
    site = FrozenMap({"sstr-pet.suv_max": wcv["site"]}) if wcv else FrozenMap()
    return classify_change(Estimate(before, unit), Estimate(after, unit), quantity, tissue, site)


def test_repeatability_coefficient() -> None:
    assert pytest.approx(2.77, abs=0.005) == RC_PER_SD


@pytest.mark.parametrize(("wcv", "limits"), [(0.12, (-28, 39)), (0.10, (-24, 32))])
def test_limits_are_the_published_ones(wcv: float, limits: tuple[int, int]) -> None:
    """-28 % and +39 % for a wCV of 12 %, as cited for FDG PET; -24 % and +32 % for 10 % by hand: exp(2.7719 x 0.09975)."""
    assert tuple(round(100 * x) for x in limits_of_wcv(wcv)) == limits


def test_limits_are_the_same_there_and_back() -> None:
    lower, upper = limits_of_wcv(0.12)
    assert (1 + lower) * (1 + upper) == pytest.approx(1)


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        (14.0, ChangeVerdict.INCREASE),
        (13.8, ChangeVerdict.WITHIN_NOISE),
        (7.3, ChangeVerdict.WITHIN_NOISE),
        (7.1, ChangeVerdict.DECREASE),
        (0.0, ChangeVerdict.DECREASE),
    ],
)
def test_fdg(after: float, verdict: ChangeVerdict) -> None:
    change = classified(10, after, "fdg-pet.suv_max")
    assert change.verdict is verdict
    assert change.change == pytest.approx(after / 10 - 1)
    assert not change.confirmed
    assert "not confirmed" in change.reason


@pytest.mark.parametrize(("tissue", "limit"), [("liver", 0.27), ("brain", 0.08), ("prostate", 0.27), ("breast", 0.15)])
def test_adc_limits_of_qiba(tissue: str, limit: float) -> None:
    below = classified(1e-3, 1e-3 * (1 + limit - 0.01), "adc.adc_median", tissue)
    above = classified(1e-3, 1e-3 * (1 + limit + 0.01), "adc.adc_median", tissue)
    fallen = classified(1e-3, 1e-3 * (1 - limit - 0.01), "adc.adc_median", tissue)
    assert (below.verdict, above.verdict, fallen.verdict) == ("within noise", "increase", "decrease")
    assert above.confirmed


@pytest.mark.parametrize("tissue", [None, "bone"])
def test_adc_elsewhere_is_not_known(tissue: str | None) -> None:
    change = classified(1e-3, 3e-3, "adc.adc_median", tissue)
    assert (change.verdict, change.lower, change.upper) == (ChangeVerdict.NOT_KNOWN, None, None)
    assert "liver, brain, prostate, breast" in change.reason
    assert change.change == pytest.approx(2)


def test_sstr_is_not_known_until_the_site_measures_it() -> None:
    unknown = classified(20, 40, "sstr-pet.suv_max")
    assert unknown.verdict is ChangeVerdict.NOT_KNOWN
    assert "quantify.repeatability_wcv" in unknown.reason
    assert classified(20, 40, "sstr-pet.suv_max", site=0.15).verdict is ChangeVerdict.INCREASE


@pytest.mark.parametrize(("before_ml", "grown"), [(4.2, 0.47), (33.0, 0.32), (180.0, 0.25)])
def test_small_tumours_must_grow_more(before_ml: float, grown: float) -> None:
    """Balls of 20, 40 and 70 mm: limits of 14.1, 10.3 and 8.5 % wCV, +47, +33 and +27 % on the logarithm."""
    limit = {4.2: 0.141, 33.0: 0.103, 180.0: 0.085}[before_ml]
    upper = limits_of_wcv(limit)[1]
    assert classified(before_ml, before_ml * (1 + upper + 0.01), "ct.volume").verdict is ChangeVerdict.INCREASE
    assert classified(before_ml, before_ml * (1 + upper - 0.01), "ct.volume").verdict is ChangeVerdict.WITHIN_NOISE
    assert upper == pytest.approx(grown, abs=0.02)


def test_a_tumour_smaller_than_was_ever_repeated_is_not_known() -> None:
    assert classified(0.3, 3, "ct.volume").verdict is ChangeVerdict.NOT_KNOWN


@pytest.mark.parametrize(("before", "after"), [(0.0, 3.0), (-1.0, 2.0), (2.0, -1.0), (float("nan"), 1.0)])
def test_no_relative_change_of_nothing(before: float, after: float) -> None:
    change = classified(before, after, "fdg-pet.suv_max")
    assert (change.verdict, change.change) == (ChangeVerdict.NOT_KNOWN, None)


def test_units_must_agree() -> None:
    with pytest.raises(UnitMismatch):
        classify_change(Estimate(1, Unit.SUV_BW), Estimate(1, Unit.SUV_LBM), "fdg-pet.suv_max", None)


def test_every_limit_has_a_source_and_a_mark() -> None:
    limits = [one for several in published_limits().values() for one in several]
    assert all(one.source and -1 < one.lower < 0 < one.upper for one in limits)
    assert {one.confirmed for several in published_limits().values() for one in several} == {True, False}


@pytest.mark.parametrize(
    ("name", "tissue"),
    [
        ("lesion 1 liver dome", "liver"),
        ("Liver_Met-2", "liver"),
        ("hepatic segment 4 lesion", "liver"),
        ("GTV-1", None),
        ("brain metastasis", "brain"),
        ("lesion between liver and breast", None),
    ],
)
def test_tissue_in_the_name(name: str, tissue: str | None) -> None:
    assert tissue_in_name(name) == tissue


def header(uid: str = "1", **changes: Any) -> SeriesHeader:
    text = dict.fromkeys(("study_uid", "subject_id", "sop_class_uid", "frame_of_reference"), "1")
    base = SeriesHeader(
        series_uid=uid,
        modality="PT",
        description="PET AC",
        manufacturer="SIEMENS",
        model="Biograph",
        image_type=(),
        instances=(),
        grid=GRID,
        camera=Camera(serial_number="10000"),
        reconstruction="OSEM 4i8s; XYZG=7.00",
        **text,
    )
    return evolve(base, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"manufacturer": "GE"}, "manufacturer SIEMENS and GE"),
        ({"camera": Camera(serial_number="2")}, "serial number 10000 and 2"),
        ({"reconstruction": "PSF+TOF 3i21s"}, "reconstruction OSEM 4i8s; XYZG=7.00 and PSF+TOF 3i21s"),
        (
            {"grid": Grid((2, 2, 2), np.diag([2.0, 2.0, 3.0, 1.0]), "1")},
            "voxel size 4.07 × 4.07 × 3 mm and 2 × 2 × 3 mm",
        ),
        ({"description": "PET AC EARL2"}, "standard not stated and EARL2"),
        ({"reconstruction": ""}, "and not stated"),
    ],
)
def test_images_that_are_not_alike(changes: dict[str, Any], words: str) -> None:
    (found,) = differences(header(), header("2", **changes), Role.FDG_PET)
    assert words in found


def test_earl1_and_earl2_are_not_one_standard() -> None:
    pair = header(description="WB EARL-1"), header("2", description="wb earl_2 lesion")
    assert differences(*pair, Role.SSTR_PET) == ("standard EARL1 and EARL2",)


def test_an_mr_has_no_reconstruction_to_compare() -> None:
    assert differences(header(), header("2", reconstruction="x", description="EARL2"), Role.ADC) == ()


def measured(uid: str, name: str, value: float, unit: Unit) -> Measurements:
    return Measurements(uid, "L01", FrozenMap({name: Estimate(value, unit)}))


def test_a_change_between_unlike_images_is_not_judged_and_says_so() -> None:
    outcome = change_from_baseline(
        measured("1", "suv_max", 10, Unit.SUV_BW),
        measured("2", "suv_max", 30, Unit.SUV_BW),
        (header(), header("2", description="EARL2")),
        Role.FDG_PET,
        "lesion 1 liver",
        QuantifySettings(),
    )
    assert outcome.value is not None
    (change,) = outcome.value
    assert (change.verdict, change.change) == (ChangeVerdict.NOT_KNOWN, pytest.approx(2))
    assert [(f.severity, f.code) for f in outcome.findings] == [(Severity.WARNING, "quantify.not-comparable")]


def test_a_change_between_like_images_names_both() -> None:
    outcome = change_from_baseline(
        measured("1", "adc_median", 1e-3, Unit.MM2_PER_S),
        measured("2", "adc_median", 1.4e-3, Unit.MM2_PER_S),
        (header(modality="MR"), header("2", modality="MR")),
        Role.ADC,
        "lesion 1 liver",
        QuantifySettings(),
    )
    assert outcome.findings == ()
    assert outcome.value is not None
    (change,) = outcome.value
    assert change.verdict is ChangeVerdict.INCREASE
    assert (change.series_before, change.series_after, change.tissue) == ("1", "2", "liver")


def test_a_value_that_is_missing_in_one_image_has_no_change() -> None:
    outcome = change_from_baseline(
        measured("1", "suv_mean", 10, Unit.SUV_BW),
        measured("2", "suv_max", 30, Unit.SUV_BW),
        (header(), header("2")),
        Role.FDG_PET,
        "lesion",
        QuantifySettings(),
    )
    assert outcome.value == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{ "suv_max" = 0.1 }', "is not a role and a quantity"),
        ('{ "pet.suv_max" = 0.1 }', "is not a role and a quantity"),
        ('{ "sstr-pet.suv_max" = 0.0 }', "must be positive"),
        ('{ "sstr-pet.suv_max" = "0.1" }', "quantify"),
    ],
)
def test_a_misspelt_limit_is_refused(line: str, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        parse_protocol(f'[study]\nname = "x"\n[quantify]\nrepeatability_wcv = {line}', "protocol.toml")


def test_a_site_gives_its_own_repeatability() -> None:
    text = '[study]\nname = "x"\n[quantify]\nrepeatability_wcv = { "sstr-pet.suv_max" = 0.1 }'
    assert dict(parse_protocol(text, "protocol.toml").quantify.repeatability_wcv) == {"sstr-pet.suv_max": 0.1}
