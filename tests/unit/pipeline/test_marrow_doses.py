"""Blood samples of a study: the curve they make, and what is left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lutra.core.clinical import BloodSample
from lutra.core.study import Administration
from lutra.core.units import HOUR_S
from lutra.kinetics import KineticsSettings
from lutra.pipeline import plugins
from lutra.pipeline.marrow_doses import BLOOD_MODELS, _fit_blood

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
GIVEN = Administration(1, "Lu-177", START, 7.4e9)
MODELS = [plugins.load("kinetics", name) for name in BLOOD_MODELS]
HOURS = (0.75, 1.5, 4.0, 8.0, 24.0, 72.0, 120.0)


def sample(hours: float, bq_per_ml: float) -> BloodSample:
    return BloodSample(1, START + timedelta(hours=hours), bq_per_ml, 0.03 * bq_per_ml)


def two_phases(hours: float) -> float:
    """Of 200 and 40 kBq/mL with half-lives of 1.5 and 40 h."""
    return float(2e5 * np.exp(-np.log(2) * hours / 1.5) + 4e4 * np.exp(-np.log(2) * hours / 40.0))


def test_the_integral_of_blood_is_that_of_its_two_phases() -> None:
    samples = tuple(sample(h, two_phases(h)) for h in HOURS)
    outcome = _fit_blood(samples, GIVEN, KineticsSettings(), 1, models=MODELS)
    assert outcome.value is not None
    integral = (2e5 * 1.5 + 4e4 * 40.0) / np.log(2) * HOUR_S
    assert outcome.value.time_integrated_activity.value == pytest.approx(integral, rel=0.03)


def test_a_sample_before_the_infusion_is_left_out_and_said() -> None:
    samples = (sample(-1.0, 10.0), *(sample(h, two_phases(h)) for h in HOURS))
    outcome = _fit_blood(samples, GIVEN, KineticsSettings(), 1, models=MODELS)
    assert outcome.value is not None
    assert "kinetics.blood-too-early" in [f.code for f in outcome.findings]


def test_without_samples_after_it_there_is_no_curve() -> None:
    outcome = _fit_blood((sample(-1.0, 10.0),), GIVEN, KineticsSettings(), 1, models=MODELS)
    assert outcome.value is None
    assert "kinetics.no-curve" in [f.code for f in outcome.findings]
