"""Published dose-response points through the models, against what was printed, scipy and statsmodels: docs/published.md."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

from lutra.core.data_table import DataTable

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "published_points.py"
Points = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The script that makes docs/published.md."""
    spec = importlib.util.spec_from_file_location("published_points", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "clinical" / "prrt_dose_response"


@pytest.fixture(scope="module")
def points(bench: ModuleType, folder: Path) -> Points:
    return {figure.name: bench.read_points(folder, figure) for figure in bench.FIGURES}


@pytest.fixture(scope="module")
def cycles(bench: ModuleType, folder: Path) -> DataTable:
    return bench.cycles_table(folder)


R2 = {  # on the dose, and on its logarithm
    "Jahn 2021, 6A": (0.330, 0.371),
    "Jahn 2021, 7A": (0.209, 0.287),
    "Jahn 2021, 6B": (0.304, 0.296),
    "Jahn 2021, 7B": (0.214, 0.268),
    "Ha 2024, 2A": (0.184, 0.240),
    "Ha 2024, 2B": (0.177, 0.233),
    "Ha 2024, 2C": (0.179, 0.234),
    "Ha 2024, 3A": (0.091, 0.096),
    "Ha 2024, 3B": (0.090, 0.091),
    "Ha 2024, 3C": (0.091, 0.094),
}


@pytest.mark.parametrize("name", R2)
def test_r2_of_every_figure(bench: ModuleType, points: Points, name: str) -> None:
    figure = next(f for f in bench.FIGURES if f.name == name)
    assert bench.both_r2(figure, points[name]) == pytest.approx(R2[name], abs=5e-4)


def test_models_of_a_figure_are_those_of_scipy(bench: ModuleType, points: Points) -> None:
    dose, shrinkage = points["Jahn 2021, 7B"].T
    for result, x in zip(bench.figure_models(points["Jahn 2021, 7B"]), (dose, np.log2(dose)), strict=True):
        truth, c = stats.linregress(x, shrinkage), bench.slope(result)
        assert c.estimate == pytest.approx(truth.slope, rel=1e-8)
        assert c.se == pytest.approx(truth.stderr, rel=1e-8)
        assert c.p == pytest.approx(truth.pvalue, rel=1e-4)
        assert bench.r2_of(result) == pytest.approx(truth.rvalue**2, rel=1e-8)
        assert "icc" not in result.numbers


def test_published_r2_is_that_of_the_logarithm(bench: ModuleType, points: Points) -> None:
    """Jahn 2021, figure 6A prints .37; a straight line cannot read it within the error of reading the points."""
    published = next(f.published_r2 for f in bench.FIGURES if f.name == "Jahn 2021, 6A")
    one = points["Jahn 2021, 6A"]
    straight, log = (bench.redrawn_r2(one, bench.READING, log=log) for log in (False, True))
    assert straight.max() < published - 0.005
    low, high = np.percentile(log, [2.5, 97.5])
    assert low < published < high
    assert (np.round(log, 2) == published).mean() == pytest.approx(0.76, abs=0.02)


def test_without_one_point_a_straight_line_could(bench: ModuleType, points: Points) -> None:
    """Why the logarithm is an explanation and no proof."""
    assert bench.without_one(points["Jahn 2021, 6A"]) == pytest.approx((0.297, 0.410), abs=2e-3)


def test_reading_error_is_a_fifth_of_a_percent(bench: ModuleType, points: Points) -> None:
    found = bench.reading_errors(points)
    assert [lesions for lesions, _, _ in found.values()] == [16, 19, 20]
    assert [error for _, error, _ in found.values()] == pytest.approx([0.71, 0.44, 0.29], abs=5e-3)
    assert max(share for _, _, share in found.values()) == pytest.approx(bench.READING, rel=0.15)


def test_numbers_of_lesions(bench: ModuleType, points: Points) -> None:
    """23 and 25 by the abstract of Jahn 2021; two of 25 are missing from 6B."""
    lost = {f.name: f.lesions - len(points[f.name]) for f in bench.FIGURES if f.lesions}
    assert lost == {"Jahn 2021, 6A": 0, "Jahn 2021, 7A": 0, "Jahn 2021, 6B": 2, "Jahn 2021, 7B": 0}


def test_axis_of_figure_3b_was_taken_wrongly(points: Points) -> None:
    right, wrong = (np.sort(points[f"Ha 2024, 3{letter}"][:, 1]) for letter in "AB")
    scale, offset = np.polyfit(right, wrong, 1)
    assert scale == pytest.approx(0.650, abs=2e-3)
    assert offset == pytest.approx(-42.1, abs=0.1)
    assert np.std(wrong - scale * right - offset) < 0.4


def test_printed_totals_are_the_sums_of_the_cycles(cycles: DataTable) -> None:
    last = cycles.where({"last": "1"})
    assert len(last) == 25
    assert last.numbers("cumulative") == pytest.approx(last.numbers("total"), abs=0.005)


def test_both_papers_of_jahn_have_the_same_patients(bench: ModuleType, points: Points, cycles: DataTable) -> None:
    totals = cycles.where({"last": "1"}).numbers("total")
    met, chance = bench.totals_met(points["Jahn 2021, 7B"][:, 0], totals)
    assert met == 22
    assert chance == pytest.approx(8, abs=0.5)


def test_fall_of_the_dose_over_the_cycles(bench: ModuleType, cycles: DataTable) -> None:
    """statsmodels' mixed model of the same table."""
    sm: Any = pytest.importorskip("statsmodels.api")
    everything, first_three = bench.trend_models(cycles)
    x = sm.add_constant(cycles.numbers("cycle"))
    other = sm.MixedLM(cycles.numbers("log_dose"), x, groups=np.array(cycles.text("pat"))).fit(reml=True)
    assert bench.slope(everything).estimate == pytest.approx(other.fe_params[1], abs=1e-5)
    assert bench.slope(everything).se == pytest.approx(other.bse_fe[1], rel=1e-3)
    assert everything.numbers["sd_random"] == pytest.approx(float(other.cov_re[0, 0]) ** 0.5, rel=2e-3)
    assert bench.changes(bench.slope(everything)) == ("−3.3 %", "−6.2 % to −0.2 %")
    assert bench.changes(bench.slope(first_three)) == ("−6.7 %", "−11.9 % to −1.2 %")
    assert (everything.n, first_three.n, everything.n_clusters) == (124, 75, 25)


def test_no_relation_of_dose_and_response_by_cycle(bench: ModuleType, cycles: DataTable) -> None:
    results = bench.response_models(cycles)
    p = [bench.slope(result).p for result in results.values()]
    adjusted = [result.numbers["p_bh"] for result in results.values()]
    assert adjusted == pytest.approx(list(stats.false_discovery_control(p)), rel=1e-12)
    assert len(adjusted) == 14
    assert min(adjusted) == pytest.approx(0.911, abs=1e-3)
    low, high = bench.slope(results["diameter", "dose of cycle 1"]).ci95
    assert (bench.percent(low), bench.percent(high)) == ("−11.7 %", "+4.7 %")


def test_a_landmark_asks_only_those_still_treated(bench: ModuleType, cycles: DataTable) -> None:
    results = bench.response_models(cycles)
    assert [results["diameter", f"sum of cycles 1 to {k}"].n_clusters for k in (2, 3, 4, 5)] == [25, 25, 20, 16]
    truth = cycles.where({"cycle": "4"})
    slope = stats.linregress(np.log2(truth.numbers("cumulative")), truth.numbers("log_volume")).slope
    assert bench.slope(results["volume", "sum of cycles 1 to 4"]).estimate == pytest.approx(slope, rel=1e-8)


def test_one_growing_lesion_carries_figure_2_of_ha(bench: ModuleType, points: Points) -> None:
    c = bench.slope(bench.figure_models(points["Ha 2024, 2A"])[1])
    assert (c.p, c.robust["p"]) == pytest.approx((0.028, 0.121), abs=1e-3)
    assert bench.slopes_without_one(points["Ha 2024, 2A"])[0] == pytest.approx(9.0, abs=0.1)
