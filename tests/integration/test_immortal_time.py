"""A cumulative dose at baseline finds what is not there; the three sound ways do not. The long run is bench/immortal_time.py."""

import runpy
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench" / "immortal_time.py"


def test_only_the_dose_at_baseline_finds_an_effect_that_is_not_there() -> None:
    """120 trials: 5 % have a binomial 99.9 % limit of 12 %."""
    found = runpy.run_path(str(BENCH))["found"](120, 7)
    assert found.pop("cumulative dose at baseline") > 0.2
    assert len(found) == 3
    assert max(found.values()) <= 0.125, found
