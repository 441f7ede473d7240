"""PET and diffusion appearance of tissues against the table they are drawn from and the laws between them."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.errors import UsageError
from lutra.simulate.fdg import (
    region_suv,
    sample_tissues,
    sstr_tissues,
    tissue_of,
)
from lutra.simulate.pbpk_cohort import cohort_patient
from lutra.simulate.uptake import curves


def test_sstr_tissues_are_those_of_the_model_where_it_has_them() -> None:
    p = cohort_patient(8)
    ga = curves(p, "Ga-68", 1, 1.5e8, 20.0)
    suvs = sstr_tissues(ga, p)
    assert suvs["liver"] == region_suv(ga, "liver", p)
    by_hand = float(ga.activity_bq("spleen", 3600.0)) / ga.volume_ml("spleen") * 2 ** (3600 / 4062.6)
    assert suvs["spleen"] == pytest.approx(by_hand / (1.5e8 / (p.weight_kg * 1e3)))
    assert suvs["brain"] == sample_tissues("sstr", 8)["brain"]
    with pytest.raises(UsageError, match="Lu-177"):
        sstr_tissues(curves(p, "Lu-177", 1, 7.4e9, 200.0), p)


def test_normal_tissues_have_the_mean_and_spread_of_the_table() -> None:
    """FDG liver 2.2 +- .4, muscle .7 +- .15; ADC of the spleen .85e-3 +- 18 %; 800 patients."""
    drawn = [(sample_tissues("fdg", s), sample_tissues("adc", s)) for s in range(800)]
    for values, mean, sd in (
        ([f["liver"] for f, _ in drawn], 2.2, 0.4),
        ([f["muscle"] for f, _ in drawn], 0.7, 0.15),
        ([a["spleen"] for _, a in drawn], 0.85e-3, 0.153e-3),
    ):
        assert np.mean(values) == pytest.approx(mean, rel=0.03)
        assert np.std(values) == pytest.approx(sd, rel=0.1)


@pytest.mark.parametrize(
    ("region", "tissue"),
    [
        ("left kidney cortex", "kidney cortex"),
        ("marrow L2", "marrow"),
        ("vertebra T12", "bone cortex"),
        ("right lung", "lung"),
    ],
)
def test_painted_regions_find_their_tissue(region: str, tissue: str) -> None:
    assert tissue_of(region) == tissue


def test_a_region_without_tissue_is_named() -> None:
    with pytest.raises(UsageError, match="'spaceship'"):
        tissue_of("spaceship")
