"""ADC maps of each maker without a unit, units as they are written, and values that give a wrong convention away."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.finding import Severity
from lutra.core.units import Unit
from lutra.quantify import QuantifySettings, to_adc
from lutra.quantify.adc import plain_unit

from .test_units_and_statistics import image, mr


@pytest.mark.parametrize(
    ("manufacturer", "rule"),
    [
        ("TOSHIBA", "TOSHIBA"),
        ("CANON_MEC", "CANON"),
        ("SIEMENS", "SIEMENS"),
        ("Siemens Healthineers", "SIEMENS"),
        ("GE MEDICAL SYSTEMS", "GE"),
        ("UIH", "UIH"),
        ("Philips Medical Systems", "PHILIPS"),
    ],
)
@pytest.mark.parametrize("unit", [None, "US", "normalized"])
def test_each_maker_has_a_named_rule(manufacturer: str, rule: str, unit: str | None) -> None:
    outcome = to_adc(mr(unit, manufacturer), image([1100] * 4, Unit.STORED), QuantifySettings())
    assert outcome.value is not None
    np.testing.assert_allclose(outcome.value.values, 1.1e-3)
    (finding,) = outcome.findings
    assert (finding.severity, finding.code) == (Severity.WARNING, "quantify.adc-unit-assumed")
    assert f"'vendor convention {rule}'" in finding.text


@pytest.mark.parametrize("stored", [1.1, 1.1e-3, 1.1e6])
def test_another_convention_is_a_thousand_away_and_refused(stored: float) -> None:
    outcome = to_adc(mr(None, "SIEMENS"), image([stored] * 4, Unit.STORED), QuantifySettings())
    assert outcome.value is None
    assert outcome.findings[0].code == "quantify.adc-unit-implausible"


def test_an_unknown_maker_is_refused() -> None:
    outcome = to_adc(mr(None, "GENERIC"), image([1100] * 4, Unit.STORED), QuantifySettings())
    assert outcome.value is None
    assert outcome.findings[0].code == "quantify.adc-unit-missing"


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("mm2/s", "mm2/s"),
        ("mm^2/s", "mm2/s"),
        ("mm²/s", "mm2/s"),
        ("10^-6 mm^2/s", "10-6mm2/s"),
        ("x10⁻⁶ mm²/s", "10-6mm2/s"),
        ("1E-6 mm2/sec", "1e-6mm2/s"),
        ("µm²/s", "um2/s"),
    ],
)
def test_units_as_they_are_written(written: str, plain: str) -> None:
    assert plain_unit(written) == plain
