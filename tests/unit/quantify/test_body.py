"""Lean body mass and body surface against worked numbers, and what no person weighs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.core.study import SeriesHeader
from lutra.quantify.body import body_surface_cm2, lean_body_mass_james_kg, lean_body_mass_kg, suv_scales


def person(weight_kg: float | None, height_m: float | None, sex: str | None) -> SeriesHeader:
    identity: dict[str, Any] = dict.fromkeys(
        ("series_uid", "study_uid", "subject_id", "sop_class_uid", "description", "manufacturer", "model"), "1"
    )
    return SeriesHeader(
        **identity,
        modality="PT",
        image_type=(),
        frame_of_reference="1",
        instances=(),
        patient_weight_kg=weight_kg,
        patient_height_m=height_m,
        patient_sex=sex,
    )


@pytest.mark.parametrize(
    ("sex", "weight_kg", "height_m", "lean_kg"),
    [("M", 80, 1.80, 61.7314), ("F", 65, 1.65, 41.2549), ("F", 120, 1.60, 55.02)],
)
def test_janmahasatian(sex: str, weight_kg: float, height_m: float, lean_kg: float) -> None:
    """By the published formula, worked to the digits given."""
    assert lean_body_mass_kg(sex, weight_kg, height_m) == pytest.approx(
        lean_kg, abs=0.006 if weight_kg == 120 else 6e-5
    )
    scales = suv_scales(person(weight_kg, height_m, sex)).value
    assert scales is not None
    assert scales["sul"] * weight_kg == pytest.approx(lean_kg, abs=0.006 if weight_kg == 120 else 6e-5)


def test_james() -> None:
    """1.07 x 120 - 148 x (120 / 160)^2 = 128.4 - 83.25; 1.10 x 80 - 128 x (80 / 180)^2 = 88 - 25.284."""
    assert lean_body_mass_james_kg("F", 120, 1.60) == pytest.approx(45.15)
    assert lean_body_mass_james_kg("M", 80, 1.80) == pytest.approx(88 - 128 * 16 / 81)


def test_du_bois() -> None:
    """70 kg and 170 cm have 1.81 m2, as every nomogram says."""
    assert body_surface_cm2(70, 1.70) == pytest.approx(18_100, abs=50)
    scales = suv_scales(person(70, 1.70, "M")).value
    assert scales is not None
    assert scales["suv_bsa"] == pytest.approx(body_surface_cm2(70, 1.70) / 70_000)


@given(weight_kg=st.floats(20, 300), height_m=st.floats(1.2, 2.2), sex=st.sampled_from("MF"))
def test_lean_body_mass_is_part_of_the_body(weight_kg: float, height_m: float, sex: str) -> None:
    """Where a formula says otherwise it is left out."""
    scales = suv_scales(person(weight_kg, height_m, sex)).value
    assert scales is not None
    assert all(0 < scales[name] < 1 for name in ("sul", "sul_james") if name in scales)


@given(body_mass_index=st.floats(12.1, 100), height_m=st.floats(1.2, 2.2), sex=st.sampled_from("MF"))
def test_more_weight_is_more_lean_mass(body_mass_index: float, height_m: float, sex: str) -> None:
    """What speaks for Janmahasatian: by James the very heavy would have less of it."""
    weight_kg = body_mass_index * height_m**2
    lean_kg = lean_body_mass_kg(sex, weight_kg, height_m)
    assert lean_kg < weight_kg
    assert lean_body_mass_kg(sex, weight_kg * 1.01, height_m) > lean_kg


@pytest.mark.parametrize(
    ("weight_kg", "height_m", "sex", "there"),
    [
        (70, 1.70, "M", {"sul", "sul_james", "suv_bsa"}),
        (70, 1.70, "O", {"suv_bsa"}),
        (70, 1.70, None, {"suv_bsa"}),
        (70, None, "M", set()),
        (None, 1.70, "M", set()),
        (250, 1.50, "F", {"sul", "suv_bsa"}),  # James: 267.5 - 148 x 2.78 is negative
        (30, 1.65, "M", {"sul_james", "suv_bsa"}),  # Janmahasatian: 30.7 kg of 30
    ],
)
def test_what_cannot_be_determined_is_left_out_with_a_finding(
    weight_kg: float | None, height_m: float | None, sex: str | None, there: set[str]
) -> None:
    outcome = suv_scales(person(weight_kg, height_m, sex))
    assert outcome.value is not None
    assert set(outcome.value) == there
    assert [f.code for f in outcome.findings] == (["quantify.no-body"] if len(there) < 3 else [])


@pytest.mark.parametrize(
    ("weight_kg", "height_m", "tag"),
    [
        (70, 170, "(0010,1020)"),  # cm
        (70, 5.6, "(0010,1020)"),  # feet
        (70_000, 1.70, "(0010,1030)"),  # g
        (0.07, 1.70, "(0010,1030)"),  # t
        (1.70, 1.70, "(0010,1030)"),  # the height in both
        (70, 0.4, "body mass index"),
    ],
)
def test_mistaken_units_give_no_number(weight_kg: float, height_m: float, tag: str) -> None:
    outcome = suv_scales(person(weight_kg, height_m, "F"))
    assert outcome.value is not None
    assert len(outcome.value) == 0
    (doubt,) = outcome.findings
    assert doubt.code == "quantify.body-implausible"
    assert tag in doubt.text
