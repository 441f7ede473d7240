"""BED of regions against the vectors of the formula, and what carries over into its uncertainty."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.curve import CurveBand, Phase, TacFit, TimeActivityCurve
from lutra.core.dose import BiologicalDose, DoseResult, Dvh
from lutra.core.errors import ProtocolError
from lutra.core.estimate import Draws, Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.dose.effects import biological_dose, cumulative_bed, dose_rate_gy_per_h
from lutra.dose.settings import DoseSettings, Tissues

LN2 = np.log(2)
BAND = CurveBand([0, 1], [1, 1], [1, 1], [1, 1])
SHIPPED: Tissues = FrozenMap()
KIDNEY_25: Tissues = FrozenMap(
    {"kidney": FrozenMap({"alpha_beta_gy": 2.5, "repair_half_life_h": 2.8, "alpha_beta_sd_gy": 0.1})}
)


def fit(*phases: tuple[float, float], half_life_h: float = 50.0, identifiable: bool = True) -> TacFit:
    """Amplitudes and half-lives in h."""
    curve = TimeActivityCurve("left kidney", "Lu-177", [3600.0], (Estimate(1e6, Unit.BQ),))
    own = tuple(Phase(a, LN2 / (h * HOUR_S)) for a, h in phases)
    return TacFit(
        curve,
        "test",
        {},
        Estimate(1e12, Unit.BQ_S),
        Estimate(half_life_h * HOUR_S, Unit.S),
        0.1,
        identifiable,
        BAND,
        own,
    )


def dose(gy: float, dvh: Dvh | None = None, **relative: float) -> DoseResult:
    budget = {name.replace("_", " "): sd * gy for name, sd in relative.items()}
    return DoseResult("left kidney", "hybrid", Estimate(gy, Unit.GY, budget), Estimate(150.0, Unit.G), dvh)


def bed(found: DoseResult, of: TacFit, tissue: str = "kidney", settings: Tissues = KIDNEY_25) -> BiologicalDose:
    value = biological_dose(found, of, tissue, settings).value
    assert value is not None
    return value


def test_one_washout() -> None:
    """D 6 Gy, T_eff 50 h, repair 2.8 h, alpha/beta 2.5 Gy: BED 6.763636."""
    found = bed(dose(6.0), fit((1.0, 50.0)))
    assert found.bed.value == pytest.approx(6.763636, abs=1e-6)
    assert found.eqd2.value == pytest.approx(6.763636 / (1 + 2 / 2.5), abs=1e-6)


def test_default_tissue() -> None:
    """D 5 Gy, alpha/beta 2.6 Gy, repair 2.8 h, T_eff 52 h: 5.49130; with an uptake of 1.5 h: 5.486492."""
    assert bed(dose(5.0), fit((1.0, 52.0)), settings=SHIPPED).bed.value == pytest.approx(5.49130, abs=1e-5)
    taken_up = bed(dose(5.0), fit((1.0, 52.0), (-1.0, 1.5)), settings=SHIPPED)
    assert taken_up.bed.value == pytest.approx(5.486492, abs=1e-6)


def test_a_rate_in_gray_per_hour() -> None:
    """R = (.1, -.1) Gy/h, T = (50, 2) h, alpha/beta 2.5 Gy: D 6.92494, BED 7.92586 Gy."""
    course = fit((0.1, 50.0), (-0.1, 2.0))
    found = bed(dose(6.92494), course)
    assert found.bed.value == pytest.approx(7.92586, abs=1e-5)
    rate = dose_rate_gy_per_h(dose(6.92494), course, np.array([0.0, 10.0]) * HOUR_S)
    assert rate == pytest.approx([0.0, 0.1 * (2 ** (-10 / 50) - 2 ** (-10 / 2))], abs=1e-6)


def test_four_cycles_add() -> None:
    """4 x 6.763636 = 27.0545. A camera error is the same in all; what the points of each cycle left open is not."""
    course = fit((1.0, 50.0))
    one = bed(dose(6.0, camera=0.05, **{"fit: left_kidney": 0.1}), course)
    total = cumulative_bed((one,) * 4, (course,) * 4, (1, 2, 3, 4)).value
    assert total is not None
    assert total.bed.value == pytest.approx(27.0545, abs=1e-4)
    camera = one.bed.budget["camera"] or 0.0
    assert total.bed.budget["camera"] == pytest.approx(4 * camera)
    own = [sd for name, sd in total.bed.budget.items() if name.startswith("fit: ")]
    assert own == pytest.approx([one.bed.budget["fit: left kidney"]] * 4)


def test_what_a_population_decided_is_the_same_error_in_every_cycle() -> None:
    course = fit((1.0, 50.0), identifiable=False)
    one = bed(dose(6.0, **{"fit: left_kidney": 0.1}), course)
    total = cumulative_bed((one, one), (course, course), (1, 2)).value
    assert total is not None
    assert total.bed.budget["fit: left kidney"] == pytest.approx(2 * (one.bed.budget["fit: left kidney"] or 0))


def test_uncertainty_of_the_dose_counts_more_in_the_bed() -> None:
    """d BED/d D = 1 + 2 G D/(alpha/beta), as a difference shows; draws each have their own BED."""
    course = fit((1.0, 50.0))
    found = bed(dose(6.0, camera=0.05), course)
    more = bed(dose(6.0 + 1e-4), course).bed.value
    assert found.bed.budget["camera"] == pytest.approx(0.3 * (more - found.bed.value) / 1e-4, rel=1e-3)
    less_sensitive: Tissues = FrozenMap({"kidney": FrozenMap({"alpha_beta_gy": 2.6, "repair_half_life_h": 2.8})})
    change = bed(dose(6.0), course, settings=less_sensitive).bed.value - found.bed.value
    assert found.bed.budget["alpha/beta: kidney"] == pytest.approx(change, rel=0.05)
    values = np.array([5.0, 6.0, 7.0])
    drawn = Estimate(6.0, Unit.GY, {"fit: left kidney": values.std()}, Draws(("fit: left kidney",), values))
    with_draws = bed(DoseResult("left kidney", "hybrid", drawn, Estimate(150.0, Unit.G)), course)
    assert with_draws.bed.draws is not None
    assert with_draws.bed.draws.values == pytest.approx([bed(dose(d), course).bed.value for d in values])


def test_unknown_parameters_are_said() -> None:
    """Without a stated uncertainty of alpha/beta that of the BED is not evaluated."""
    found = bed(dose(6.0, camera=0.05), fit((1.0, 50.0)), settings=SHIPPED)
    assert found.bed.sd is None
    assert found.bed.not_evaluated == ("alpha/beta: kidney",)
    liver = biological_dose(dose(6.0), fit((1.0, 50.0)), "liver", SHIPPED)
    assert [f.code for f in liver.findings] == ["dose.no-radiobiology"]
    without_phases = biological_dose(dose(6.0), fit(), "kidney", KIDNEY_25)
    assert [f.code for f in without_phases.findings] == ["dose.bed-by-half-life"]
    assert without_phases.value is not None
    assert without_phases.value.bed.value == pytest.approx(6.763636, abs=1e-6)


def test_voxels_of_unequal_dose_have_a_higher_mean_bed_and_a_lower_equivalent() -> None:
    """Half at 4 and half at 8 Gy: the mean of the squares is 40, not 36. Survivors are where the dose is low."""
    levels = np.array([0.0, 3.9999, 4.0001, 7.9999, 8.0001])
    dvh = Dvh(levels, np.array([1.0, 1.0, 0.5, 0.5, 0.0]))
    settings: Tissues = FrozenMap(
        {"tumour": FrozenMap({"alpha_beta_gy": 2.5, "repair_half_life_h": 2.8, "alpha_per_gy": 0.5})}
    )
    found = bed(dose(6.0, dvh), fit((1.0, 50.0)), "tumour", settings)
    g = 2.8 / (2.8 + 50)
    low, high = (d + g * d**2 / 2.5 for d in (4.0, 8.0))
    assert found.voxel_bed_gy == pytest.approx((low + high) / 2, rel=1e-4)
    assert found.eud_bed_gy == pytest.approx(-np.log((np.exp(-0.5 * low) + np.exp(-0.5 * high)) / 2) / 0.5, rel=1e-4)


@pytest.mark.parametrize("given", [{"alpha_beta_gy": 0.0}, {"alpha/beta": 2.0}])
def test_impossible_parameters_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(ProtocolError, match=r"dose\.tissues\.kidney"):
        DoseSettings(tissues=FrozenMap({"kidney": FrozenMap(given)}))
