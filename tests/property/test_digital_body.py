"""Laws of the digital body: who is larger has larger organs, whatever the seed."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.core.grid import Grid
from lutra.simulate.body import Body, regions_on, sample_body


def grid(size_mm: float = 360, spacing_mm: float = 6) -> Grid:
    n = round(size_mm / spacing_mm)
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = -spacing_mm * (n - 1) / 2
    affine[2, 3] += 40
    return Grid((n, n, n), affine)


def painted(body: Body) -> dict[str, float]:
    found = {region.name: region.volume_ml for region in regions_on(body, (), grid())}
    found["left kidney"] = sum(found[f"left kidney {part}"] for part in ("cortex", "medulla", "pelvis"))
    return found


@given(
    seed=st.integers(0, 10_000), height_m=st.floats(1.5, 1.8), taller_m=st.floats(0.05, 0.2), sex=st.sampled_from("FM")
)
@settings(max_examples=5, deadline=None)
def test_a_larger_body_has_larger_organs(seed: int, height_m: float, taller_m: float, sex: str) -> None:
    """Same seed, same BMI, taller: everything inside grows."""
    small, large = (painted(sample_body(seed, sex, h, 24 * h * h)) for h in (height_m, height_m + taller_m))
    for name in ("liver", "spleen", "left kidney", "vertebra L2", "marrow L1", "stomach", "pancreas"):
        assert large[name] > small[name], name


@given(seed=st.integers(0, 10_000), bmi=st.floats(19, 27), more=st.floats(3, 10))
@settings(max_examples=5, deadline=None)
def test_a_heavier_body_has_thicker_fat_but_the_same_bones(seed: int, bmi: float, more: float) -> None:
    lean, heavy = (painted(sample_body(seed, "M", 1.75, b * 1.75**2)) for b in (bmi, bmi + more))
    assert heavy["fat"] > 1.05 * lean["fat"]
    assert heavy["liver"] > lean["liver"]
    assert abs(heavy["vertebra L2"] / lean["vertebra L2"] - 1) < 0.02


@given(seed=st.integers(0, 10_000))
@settings(max_examples=6, deadline=None)
def test_anybody_is_complete_and_in_proportion(seed: int) -> None:
    """Organs of any seed exist, and no organ covers another's place: liver, spleen and kidneys have the mass drawn."""
    body = sample_body(seed)
    found = painted(body)
    for name, organ in (("liver", "liver"), ("spleen", "spleen")):
        assert abs(found[name] * 1.06 / body.masses_g[organ] - 1) < 0.04, name
    for name in ("pancreas", "stomach", "bowel", "aorta", "left lung", "right lung", "adrenals", "gallbladder"):
        assert found[name] > 1, name
