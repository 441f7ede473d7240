"""The plan that comes with Lutra on a study of twenty patients, and its page."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lutra.core.analysis_table import AnalysisTable, Cell
from lutra.core.errors import LutraError, UsageError
from lutra.core.lesion import Sighting
from lutra.core.study import Role
from lutra.pipeline import analysis_lesions
from lutra.pipeline.analysis import SHIPPED, Plan, StudyAnalysis, analysis_files, analysis_view, study_plan
from lutra.pipeline.analysis_columns import INTERVAL_COLUMNS, PATIENT_COLUMNS, lesion_columns
from lutra.pipeline.analysis_tables import AnalysisTables
from lutra.pipeline.given_files import empty_folder
from lutra.pipeline.patient_model import make_patient_model
from lutra.pipeline.study import StudyFolder
from lutra.predict import fit_models, parse_spec
from lutra.report.analysis_model import AnalysisView
from lutra.report.analysis_page import analysis_page
from lutra.report.model import StudyView
from lutra.report.pages import environment
from lutra.response.settings import ResponseSettings

PATIENTS, LESIONS, CYCLES = 20, 5, 4
Cells = dict[str, Cell]


def _patient(p: int, rng: np.random.Generator) -> tuple[list[Cells], Cells, list[Cells]]:
    who, own = f"P<{p:02d}>", rng.normal()
    lesions: list[Cells] = []
    grade = Cell("G2" if p % 2 else "G1")
    for le in range(LESIONS):
        doses = 25 * np.exp(0.4 * own + rng.normal(0, 0.5) - 0.1 * np.arange(CYCLES) + rng.normal(0, 0.05, CYCLES))
        fdg, sstr, adc = np.exp(rng.normal(1.2, 0.5)), np.exp(rng.normal(2.5, 0.4)), rng.normal(1.1, 0.2)
        before = float(20 + 15 * rng.random())
        log_ratio = float(-0.1 - 0.003 * doses.sum() + 0.06 * np.log2(fdg) + rng.normal(0, 0.1))
        fixed = {
            "subject": Cell(who),
            "lesion": Cell(f"L{le + 1:02d}"),
            "name": Cell("liver"),
            "organ": Cell("liver" if le % 2 else "node"),
            "grade": grade,
            "fdg_suv_max": Cell(float(fdg)) if rng.random() > 0.1 else Cell(reason="not seen on the fdg-pet"),
            "sstr_suv_max": Cell(float(sstr)),
            "adc_median": Cell(float(adc)) if rng.random() > 0.1 else Cell(reason="out of the field of the adc"),
            "ltd_baseline": Cell(before),
            "short_axis_baseline": Cell(0.8 * before),
            "volume_baseline": Cell(before**3 / 2000, 0.5),
            "ltd_outcome": Cell(before * float(np.exp(log_ratio)), path="outcome"),
            "log_ratio": Cell(log_ratio),
            "change": Cell(float(np.exp(log_ratio) - 1)),
            "shrinkage": Cell(bool(log_ratio <= np.log(0.7))),
            "category": Cell("a-shrinkage" if log_ratio <= np.log(0.7) else "b-stable"),
        }
        for k in range(CYCLES + 1):
            row = {**fixed, "landmark": Cell(k), "end_of_treatment": Cell(k == CYCLES)}
            row["dose_cumulative"] = Cell(float(doses[:k].sum()), 0.2 * float(doses[:k].sum())) if k else Cell()
            row["dose_latest"] = Cell(float(doses[k - 1])) if k else Cell(reason="before treatment")
            row["log_dose_latest"] = Cell(float(np.log(doses[k - 1]))) if k else Cell()
            row["dose_change"] = Cell(float(doses[k - 1] / doses[0] - 1)) if k else Cell()
            row["half_life_latest"] = Cell(float(60 + 5 * rng.normal())) if k else Cell()
            row["ltd_after"] = (
                Cell(before * float(np.exp(log_ratio / 2)), path="mid") if k == 2 else Cell(reason="no CT")
            )
            row["log_ratio_after"] = Cell(log_ratio / 2 + rng.normal(0, 0.02)) if k == 2 else Cell(reason="no CT")
            row |= {f"dose_cycle_{c}": Cell(float(doses[c - 1])) for c in range(1, k + 1)}
            lesions.append(row)
    days, event = int(rng.integers(200, 700)), bool(rng.random() < 0.5)
    changes = [float(row["change"].value or 0.0) for row in lesions if row["end_of_treatment"].value]
    best = "PR" if np.mean(changes) <= -0.3 else "PD" if event and days < 300 else "SD"
    patient = {
        "subject": Cell(who), "sex": Cell("F"), "age": Cell(60.0), "grade": grade, "primary_site": Cell("ileum"),
        "cycles_given": Cell(CYCLES), "activity": Cell(29.0), "lesions": Cell(LESIONS), "lesions_with_outcome": Cell(LESIONS),
        "kidney_dose": Cell(15.0, 1.0), "dose_cycle_1_max": Cell(float(30 + 10 * own)), "dose_cycle_1_mean": Cell(20.0),
        "dose_cumulative_mean": Cell(80.0 + 10 * own),
        "best_response": Cell(best), "response": Cell(best == "PR"), "new_lesion": Cell(best == "PD"),
        "best_sum_change": Cell(float(np.mean(changes))), "pfs_days": Cell(days), "pfs_event": Cell(event),
    }  # fmt: skip
    pieces = [(80 * n, min(80 * (n + 1) if n < 3 else 10_000, days)) for n in range(CYCLES) if 80 * n < days]
    intervals = [
        {
            "subject": Cell(who), "start": Cell(a), "stop": Cell(b), "event": Cell(event and b == days),
            "cycles_so_far": Cell(n + 1), "dose_so_far": Cell(20.0 * (n + 1) + own),
        }
        for n, (a, b) in enumerate(pieces)
    ]  # fmt: skip
    return lesions, patient, intervals


@pytest.fixture(scope="module")
def analysis() -> StudyAnalysis:
    rng = np.random.default_rng(5)
    made = [_patient(p, rng) for p in range(PATIENTS)]
    tables = AnalysisTables(
        AnalysisTable(
            "lesions", ("subject", "lesion", "landmark"), lesion_columns(CYCLES), [r for le, _, _ in made for r in le]
        ),
        AnalysisTable("patients", ("subject",), PATIENT_COLUMNS, [p for _, p, _ in made]),
        AnalysisTable("intervals", ("subject", "start"), INTERVAL_COLUMNS, [r for _, _, i in made for r in i]),
    )
    text = (files("lutra.predict") / "plans" / SHIPPED).read_text("utf-8").replace("bootstrap = 200", "bootstrap = 20")
    text = text.replace("repeats = 10", "repeats = 2")
    plan = Plan("plan", text, parse_spec(text, "plan"))
    return StudyAnalysis(plan, tables, fit_models(plan.spec, *(t.as_data_table() for t in tables.all)))


@pytest.fixture(scope="module")
def view(analysis: StudyAnalysis) -> AnalysisView:
    return analysis_view(analysis)


@pytest.fixture(scope="module")
def page(view: AnalysisView) -> str:
    study = StudyView("S", "", "S", "0" * 64, "Europe/Vienna", "Lutra", "now", (), (), simulated=True, analysed=True)
    return analysis_page(environment("Europe/Vienna"), study, view)


def test_what_was_put_in_is_found(analysis: StudyAnalysis) -> None:
    found = {r.name: r for r in analysis.results}
    dose = found["dose alone"].coefficients["dose_cumulative"]
    assert dose.ci95[0] < -0.003 < dose.ci95[1] < 0
    assert found["dose alone"].numbers["p_holm"] < 0.05
    assert found["SSTR alone"].numbers["p_holm"] > 0.05
    together = found["all four together"].numbers
    assert together["imputed"]["n"] == PATIENTS * LESIONS > found["all four together"].n
    assert together["validation"]["corrected"]["r2"] > 0.3
    fall = found["dose over the cycles"].coefficients["landmark"].estimate
    assert fall == pytest.approx(-0.1, abs=0.01)


def test_models_without_data_say_why_and_the_others_go_on(analysis: StudyAnalysis) -> None:
    lost = {r.name for r in analysis.results if not r.converged}
    assert {"change of FDG uptake by cycle 2", "change of SSTR uptake by cycle 2", "change of ADC by cycle 2"} <= lost
    assert all(r.findings for r in analysis.results if not r.converged)
    assert len(lost) < len(analysis.results) / 3


def test_the_page_states_findings_and_nulls(page: str) -> None:
    assert "Related to the change of diameter:" in page
    assert "No relation shown: SSTR SUVmax per doubling" in page
    assert "No result:" in page


def test_the_flow_counts_and_says_why(page: str, analysis: StudyAnalysis) -> None:
    steps = re.findall(r"<li><b>(\d+)</b>([^<]+)", page)
    assert steps[0] == (str(PATIENTS), "subjects in study")
    assert {words: n for n, words in steps}["lesions followed"] == str(PATIENTS * LESIONS)
    together = next(r for r in analysis.results if r.name == "all four together")
    assert steps[-1] == (str(together.n), "and all four predictors")
    assert "not seen on the fdg-pet" in page


def test_every_figure_is_there(page: str) -> None:
    labels = " ".join(re.findall(r'aria-label="([^"]+)"', page))
    for words in (
        "per standard deviation", "ROC curves", "Observed against predicted", "Net benefit", "against cumulative dose",
        "of each lesion at the outcome", "RECIST sum", "over the cycles", "in each cycle", "to progression",
        "without the event over time",
    ):  # fmt: skip
        assert words in labels, words


def test_names_are_escaped_and_nothing_else_breaks_the_markup(page: str) -> None:
    assert "P<0" not in page
    assert "P&lt;0" in page
    assert "nan" not in re.sub(r"<[^>]+>", " ", page).split()
    assert 'y1="nan"' not in page
    assert page.count("<svg") == page.count("</svg>")


def test_the_files_repeat_the_page(view: AnalysisView, analysis: StudyAnalysis) -> None:
    written = analysis_files(analysis)
    assert set(written) >= {
        "lesions.csv",
        "patients.parquet",
        "dictionary.csv",
        "lineage.csv",
        "plan.toml",
        "analysis.json",
    }
    found = json.loads(written["analysis.json"])
    assert {name: t["sha256"] for name, t in found["tables"].items()} == dict(view.digests)
    assert len(found["models"]) == len(view.models)


# ---- the outcome of a lesion ----
def _outcome_on(sighting: Sighting, size_mm: float | None, before_mm: float = 20.0) -> dict[str, Cell]:
    """Outcome of a lesion on one CT 40 days after its only cycle."""
    given = datetime(2026, 1, 1, tzinfo=UTC)
    ct = SimpleNamespace(series_uid="1.2", role=Role.CT, acquired_at=given + timedelta(days=40), label="CT", cycle=1)
    observations = []
    if size_mm is not None:
        observations = [SimpleNamespace(series_uid="1.2", label="CT", diameters=SimpleNamespace(receipt="r-size"))]
    course = SimpleNamespace(
        subject="S",
        cycles=(1,),
        started=lambda cycle: given,
        diagnostic=(ct,),
        sightings={("L01", "1.2"): SimpleNamespace(sighting=sighting)},
        record=SimpleNamespace(correspondences=SimpleNamespace(receipt="r-track")),
        conductor=SimpleNamespace(value=lambda made: SimpleNamespace(long_mm=size_mm, short_mm=size_mm)),
    )
    lesion = SimpleNamespace(lesion_id="L01", name="lesion", observations=observations)
    row = analysis_lesions._Lesion(course, lesion, ResponseSettings())  # type: ignore[arg-type]
    return row._outcome(Cell(before_mm, path="S/L01/ct/longest-diameter"))


def test_a_lesion_that_is_gone_is_the_best_response_and_not_a_missing_value() -> None:
    gone = _outcome_on(Sighting.NOT_SEEN, None)
    assert (gone["ltd_outcome"].value, gone["change"].value, gone["category"].value) == (0.0, -1.0, "a-shrinkage")
    assert gone["shrinkage"].value is True
    assert gone["log_ratio"].value == pytest.approx(np.log(5 / 20))
    assert gone["ltd_outcome"].receipt == "r-track"
    assert _outcome_on(Sighting.NOT_SEEN, None, before_mm=4.0)["log_ratio"].value == 0.0


@pytest.mark.parametrize("sighting", [Sighting.NOT_ASSESSABLE, Sighting.OUT_OF_FIELD, Sighting.MERGED])
def test_a_lesion_that_nobody_could_see_has_no_outcome(sighting: Sighting) -> None:
    unknown = _outcome_on(sighting, None)
    assert unknown["outcome_sighting"].value == sighting.value
    assert all(unknown[name].value is None and unknown[name].reason for name in ("ltd_outcome", "log_ratio", "change"))


@pytest.mark.parametrize(
    ("after_mm", "category"), [(14.0, "a-shrinkage"), (14.1, "b-stable"), (24.9, "b-stable"), (25.0, "c-growth")]
)
def test_levels_meet_their_thresholds_as_recist_does(after_mm: float, category: str) -> None:
    found = _outcome_on(Sighting.SEEN, after_mm)
    assert found["category"].value == category
    assert found["shrinkage"].value is (category == "a-shrinkage")
    assert found["log_ratio"].value == pytest.approx(np.log(after_mm / 20))


# ---- files that people name ----
@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"[[model"])
def test_a_plan_that_cannot_be_read_is_an_error_that_says_so(tmp_path: Path, content: bytes | None) -> None:
    plan = tmp_path / "plan.toml"
    if content is not None:
        plan.write_bytes(content)
    study = StudyFolder.create(tmp_path / "study")
    with pytest.raises(LutraError, match=r"plan\.toml"):
        study_plan(study, plan)
    with pytest.raises(LutraError, match=r"plan\.toml"):
        make_patient_model(tmp_path / "lesions.csv", tmp_path / "patients.csv", plan)


def test_a_folder_to_write_into_is_empty_or_made(tmp_path: Path) -> None:
    assert empty_folder(tmp_path / "new" / "deep").is_dir()
    (tmp_path / "new" / "file").touch()
    for taken in (tmp_path / "new", tmp_path / "new" / "file"):
        with pytest.raises(UsageError, match="something stands here"):
            empty_folder(taken)
