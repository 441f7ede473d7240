"""Real curves of one patient (177Lu-DOTATATE, 7210.4 MBq) whose integrals others have published or computed.

Four scans; free bi-exponential integrals of 7643 MBq h (left kidney) and 9543 MBq h (spleen), indicative: four points and four
parameters leave no residual to judge them by, so that 1 % is what two programs can differ by.
"""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.curve import TimeActivityCurve
from lutra.core.estimate import Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics import Bayesian, Biexponential, Haenscheid
from lutra.kinetics.single_time_point import haenscheid_ratio

TIMES_H = (3.741111, 27.725278, 103.094167, 123.983611)
ORGANS = [
    ("kidney", (98.561, 73.599, 25.396, 19.047), 7643.0),
    ("spleen", (87.207, 77.633, 34.655, 27.943), 9543.0),
]
NO_SETTINGS: FrozenMap[str, float | str | bool] = FrozenMap()


def curve(organ: str, values_mbq: tuple[float, ...], noise: float | None = 0.05) -> TimeActivityCurve:
    points = tuple(
        Estimate(1e6 * v, Unit.BQ, {} if noise is None else {f"noise: {n}": noise * 1e6 * v})
        for n, v in enumerate(values_mbq)
    )
    return TimeActivityCurve(organ, "Lu-177", np.multiply(TIMES_H, HOUR_S), points, organ)


@pytest.mark.parametrize(("organ", "values_mbq", "tia_mbq_h"), ORGANS)
def test_uptake_and_washout_agree_with_the_free_bi_exponential(
    organ: str, values_mbq: tuple[float, ...], tia_mbq_h: float
) -> None:
    fit = Biexponential().fit(curve(organ, values_mbq), NO_SETTINGS, 0).value
    assert fit is not None
    assert fit.time_integrated_activity.value / HOUR_S / 1e6 == pytest.approx(tia_mbq_h, rel=0.01)


@pytest.mark.parametrize("noise", [0.05, None])
@pytest.mark.parametrize(("organ", "values_mbq", "tia_mbq_h"), ORGANS)
def test_the_posterior_holds_it(
    organ: str, values_mbq: tuple[float, ...], tia_mbq_h: float, noise: float | None
) -> None:
    fit = Bayesian().fit(curve(organ, values_mbq, noise), NO_SETTINGS, 0).value
    assert fit is not None
    low, high = fit.time_integrated_activity.evaluated_interval()
    assert low < tia_mbq_h * HOUR_S * 1e6 < high
    assert fit.time_integrated_activity.value / HOUR_S / 1e6 == pytest.approx(tia_mbq_h, rel=0.03)


@pytest.mark.parametrize(("x", "ratio"), [(0.5, 0.707), (0.75, 0.892), (1, 1), (1.443, 1.061), (2, 1), (2.5, 0.884)])
def test_error_of_the_half_life_free_formula(x: float, ratio: float) -> None:
    """2x / 2^x for a mono-exponential washout, as the model gives it. [haenscheid2018]"""
    assert haenscheid_ratio(x) == pytest.approx(ratio, abs=5e-4)
    half_life_h = 96 / x
    one = Estimate(1e8 * 2**-x, Unit.BQ, {})
    fit = Haenscheid().fit(TimeActivityCurve("L1", "Lu-177", [96 * HOUR_S], (one,), "tumour"), NO_SETTINGS, 0).value
    assert fit is not None
    exact = 1e8 * half_life_h * HOUR_S / np.log(2)
    assert fit.time_integrated_activity.value / exact == pytest.approx(ratio, abs=5e-4)
