"""Hazards from a landmark: what was known then, whatever came after it."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.data_table import DataTable
from lutra.core.frozen import FrozenMap
from lutra.predict import ModelResult, fit_models, kinds, parse_spec
from lutra.stats.firth_cox import FirthCoxFit

LANDMARK = 10.0
OF_PATIENTS = f"""
cluster = "pat"
[[model]]
name = "m"
kind = "cox"
time = "time"
event = "event"
predictors = ["dose"]
landmark = {LANDMARK}
"""
OF_INTERVALS = OF_PATIENTS.replace('kind = "cox"', 'kind = "cox"\ntable = "intervals"\nstart = "start"')
Columns = dict[str, list[float | str]]


def _table(name: str, columns: Columns) -> DataTable:
    return DataTable(name, FrozenMap({c: tuple(map(str, cells)) for c, cells in columns.items()}))


def _fit(spec: str, patients: Columns, intervals: Columns | None = None) -> ModelResult:
    pieces = None if intervals is None else _table("intervals", intervals)
    (found,) = fit_models(
        parse_spec(spec, "spec"), _table("lesions", {"pat": ["x"]}), _table("patients", patients), pieces
    )
    return found


def _people(later: float) -> tuple[Columns, Columns]:
    """Patients by their dose at the landmark, and the same cut at days 4, 12 and 20, with `later` added after it."""
    rng = np.random.default_rng(3)
    patients: Columns = {"pat": [], "time": [], "event": [], "dose": []}
    intervals: Columns = {"pat": [], "start": [], "time": [], "event": [], "dose": []}
    for n in range(60):
        end, event = round(float(rng.uniform(2, 40)), 2), int(rng.random() < 0.6)
        first, second = (round(float(d), 2) for d in rng.uniform(10, 30, 2))
        for column, value in zip(patients, (f"p{n}", end, event, first + second), strict=True):
            patients[column].append(value)
        doses = (first, first + second, first + second + later * n, first + second + 3 * later * n)
        for begin, stop, dose in zip((0, 4, 12, 20), (4, 12, 20, np.inf), doses, strict=True):
            if begin < end:
                row = (f"p{n}", begin, min(stop, end), event if end <= stop else 0, dose)
                for column, value in zip(intervals, row, strict=True):
                    intervals[column].append(value)
    return patients, intervals


@pytest.mark.parametrize("later", [0.0, 5.0])
def test_intervals_tell_what_was_known_at_the_landmark_and_nothing_later(later: float) -> None:
    patients, intervals = _people(later)
    of_patients = _fit(OF_PATIENTS, patients)
    of_intervals = _fit(OF_INTERVALS, patients, intervals)
    assert of_intervals.n == of_patients.n == sum(float(t) > LANDMARK for t in patients["time"])
    assert of_intervals.numbers["events"] == of_patients.numbers["events"]
    one, other = of_intervals.coefficients["dose"], of_patients.coefficients["dose"]
    assert (one.estimate, one.se) == pytest.approx((other.estimate, other.se), rel=1e-9)


def test_a_missing_value_before_or_after_the_landmark_does_not_matter() -> None:
    patients, intervals = _people(5.0)
    whole = _fit(OF_INTERVALS, patients, intervals)
    intervals["dose"] = ["" if s != 4 else d for s, d in zip(intervals["start"], intervals["dose"], strict=True)]
    found = _fit(OF_INTERVALS, patients, intervals)
    assert found.coefficients["dose"].estimate == pytest.approx(whole.coefficients["dose"].estimate)
    assert not found.missing


def test_events_that_do_not_bound_an_effect_are_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = FirthCoxFit([1.0], [2.0], [[-1.0, np.inf]], [0.3], -5.0, converged=True)
    monkeypatch.setattr(kinds, "fit_firth_cox", lambda *_: endless)
    found = _fit(OF_PATIENTS.replace("landmark", 'penalty = "firth"\nlandmark'), _people(0.0)[0])
    assert not found.coefficients
    assert any("interval has no end" in finding.text for finding in found.findings)
