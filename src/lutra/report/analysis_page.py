"""Fills the analysis page: each figure with a title that says what it shows, a null as plainly as a finding."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen
from jinja2 import Environment
from markupsafe import Markup

from lutra.report import analysis_charts as charts
from lutra.report.analysis_model import AnalysisView, ModelView
from lutra.report.charts import Chart
from lutra.report.description import (
    FOUR,
    LESION_ROWS,
    PATIENT_ROWS,
    Row,
    final_rows,
    flow,
    missing_rows,
    numbers_of,
    table_one,
)
from lutra.report.model import StudyView
from lutra.report.titles import plural
from lutra.report.tripod import ITEMS

TITLES = {
    "primary": "Primary: what predicts the change of a lesion's longest diameter?",
    "supportive": "Supportive: shrinkage by 30 %, and three levels",
    "dose-response": "Dose and response",
    "discrimination": "Discrimination",
    "exploratory": "Exploratory: what is known after each cycle",
    "survival": "Progression-free survival",
}


@frozen
class Figure:
    """A chart with its words.

    Parameters
    ----------
    rows
        Of a table beside it: colour, name, value, interval.
    """

    title: str
    subtitle: str
    chart: Chart
    rows: tuple[tuple[str, str, str, str], ...] = ()
    note: str = ""


def analysis_page(env: Environment, study: StudyView, analysis: AnalysisView) -> str:
    """Render the analysis of a study."""
    final = final_rows(analysis.lesions)
    return env.get_template("analysis.html").render(
        study=study,
        analysis=analysis,
        root="",
        why=Markup("{}"),
        titles_of=TITLES,
        steps=flow(analysis.lesions, analysis.patients),
        figures=list(figures(analysis, final)),
        patients_one=list(table_one(analysis.patients, analysis.patients.rows, PATIENT_ROWS, "response")),
        lesions_one=list(table_one(analysis.lesions, final, LESION_ROWS, "shrinkage")),
        missing=list(missing_rows(analysis.lesions, final, (*FOUR, "ltd_baseline", "ltd_outcome"))),
        findings=[(m, f) for m in analysis.models for f in m.findings if f.severity.value != "info"],
        tripod=ITEMS,
    )


def figures(analysis: AnalysisView, final: list[Row]) -> Iterator[Figure]:
    """Give every figure that the data can fill."""
    primary = [m for m in analysis.of("primary") if m.converged]
    alone = [m for m in primary if len(m.effects) == 1]
    together = next((m for m in primary if len(m.effects) > 1), None)
    forest = charts.forest(alone, together)
    if forest:
        shown = [m.effects[0].label for m in alone if _shown(m)]
        title = (
            f"Related to the change of diameter: {_list(shown)}"
            if shown
            else "No predictor is shown to be related to the change of diameter"
        )
        words = "Change of diameter per standard deviation of the predictor; filled: all together, open: each alone"
        yield Figure(title, words, forest)
    yield from _discrimination(analysis)
    yield from _dose_response(analysis, final)
    yield from _courses(analysis, final)


def _shown(model: ModelView) -> bool:
    """Whether the first effect holds after adjustment for its family."""
    p = model.numbers.get("p_holm", model.numbers.get("p_bh"))
    return isinstance(p, float) and p < 0.05


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _discrimination(analysis: AnalysisView) -> Iterator[Figure]:
    for model in analysis.models:
        drawn = charts.roc(model) if model.kind == "auc" else None
        if drawn:
            chart, rows = drawn
            named = tuple((hue, analysis.labels.get(name, name), area, band) for hue, name, area, band in rows)
            apart = [label for _, label, _, band in named if "to" in band and not _holds(band, 0.5)]
            title = (
                f"Better than chance: {_list(apart)}"
                if apart
                else "No predictor is shown to separate better than chance"
            )
            outcome = analysis.labels.get(model.outcome, model.outcome)
            note = f"{outcome}: {model.numbers.get('events')} of {model.n} lesions. Variance clustered by patient."
            yield Figure(
                title,
                "Sensitivity against 1 − specificity; band of the largest area and intervals, 95 %, by patient",
                chart,
                named,
                note,
            )
        validation = model.numbers.get("validation") or {}
        groups = validation.get("calibration_curve") or ()
        calibration = charts.calibration([(g["predicted"], g["observed"], *g["ci95"]) for g in groups])
        if calibration:
            slope = validation["corrected"]["slope"]
            title = "Calibration" if slope is None else f"Calibration slope {slope:.2f}"
            words = f"{model.name.capitalize()}: observed against predicted, of patients not seen; by fifths"
            yield Figure(title, words, calibration)
        decision = charts.decision(validation.get("decision_curve") or ())
        if decision:
            words = (
                f"{model.name.capitalize()}: net benefit of acting by the model (line), on all (dashed), on none (0)"
            )
            yield Figure("Decision curve", words, decision)


def _holds(band: str, value: float) -> bool:
    low, high = (float(end) for end in band.split(" to "))
    return low <= value <= high


def _dose_response(analysis: AnalysisView, final: list[Row]) -> Iterator[Figure]:
    spline = next((m for m in analysis.models if m.numbers.get("curve") and m.kind == "linear-mixed"), None)
    points = [
        (float(row["dose_cumulative"].value), row["dose_cumulative"].sd or 0.0, float(row["change"].value))
        for row in final
        if isinstance(row["dose_cumulative"].value, float) and isinstance(row["change"].value, float)
    ]
    chart = charts.dose_response(points, spline.numbers["curve"] if spline else ())
    if chart:
        linear = next((m for m in analysis.models if m.name == "dose alone" and m.converged), None)
        title = f"{linear.effects[0].text} {linear.effects[0].per}" if linear else "change of diameter"
        note = "" if spline else "The spline gave no result."
        yield Figure(
            f"Dose: {title}",
            f"{len(points)} lesions, cumulative dose ± its uncertainty; spline with 95 % band",
            chart,
            note=note,
        )


def _courses(analysis: AnalysisView, final: list[Row]) -> Iterator[Figure]:
    bars = [
        (
            f"{row['subject'].value} {row['lesion'].value}",
            float(row["change"].value),
            _hue_of_change(float(row["change"].value)),
            "",
        )
        for row in final
        if isinstance(row["change"].value, float)
    ]
    falls = charts.waterfall(bars, "Change of the longest diameter of each lesion at the outcome")
    if falls:
        shrunk = sum(b[1] <= -0.3 for b in bars)
        yield Figure(
            f"{shrunk} of {len(bars)} lesions shrink by 30 %", "Change of the longest diameter at the outcome, %", falls
        )
    sums = [
        (
            str(row["subject"].value),
            float(row["best_sum_change"].value),
            charts.RESPONSE_HUES.get(str(row["best_response"].value), "k-mute"),
            "N" if row["new_lesion"].value else "",
        )
        for row in analysis.patients.rows
        if isinstance(row["best_sum_change"].value, float)
    ]
    best = charts.waterfall(sums, "Best change of the RECIST sum of each patient")
    if best:
        responses = sum(row["response"].value is True for row in analysis.patients.rows)
        title = f"{responses} of {len(sums)} patients reach CR or PR"
        yield Figure(title, "Best change of the RECIST sum, %; N: a new lesion", best)
    yield from _over_landmarks(analysis)
    courses = [
        (
            str(row["subject"].value),
            float(days),
            bool(row["pfs_event"].value),
            str(row["best_response"].value),
            [
                float(r["start"].value or 0)
                for r in analysis.intervals.rows
                if r["subject"].value == row["subject"].value
            ],
        )
        for row in analysis.patients.rows
        if isinstance(days := row["pfs_days"].value, int)
    ]
    swim = charts.swimmer(courses)
    if swim:
        events = sum(row["pfs_event"].value is True for row in analysis.patients.rows)
        yield Figure(
            f"Progression or death in {plural(events, 'patient')}",
            "Each patient to progression or the last visit; dots are cycles",
            swim,
        )
    for model in analysis.models:
        curve = charts.survival(model) if model.kind == "km" and model.converged else None
        if curve:
            yield Figure(model.name.capitalize(), model.sentence, curve)


def _over_landmarks(analysis: AnalysisView) -> Iterator[Figure]:
    last = max((int(v) for (v,) in numbers_of(analysis.lesions.rows, "landmark")), default=0)
    labels = ["before", *(f"cycle {n}" for n in range(1, last + 1)), "outcome"]
    sizes: dict[str, dict[float, float]] = {}
    doses: dict[str, dict[float, float]] = {}
    for row in analysis.lesions.rows:
        name, at = f"{row['subject'].value} {row['lesion'].value}", row["landmark"].value
        assert isinstance(at, int)  # noqa: S101  (a key of the table)
        course = sizes.setdefault(name, {0: 0.0})
        for size, place in ((row["ltd_after"], at), (row["ltd_outcome"], last + 1)):
            base = row["ltd_baseline"].value
            is_outcome = size.path == row["ltd_outcome"].path
            if isinstance(base, float) and isinstance(size.value, float) and is_outcome == (place > last):
                course[place] = 100 * (size.value / base - 1)
        if isinstance(row["dose_latest"].value, float):
            doses.setdefault(name, {})[at - 1] = row["dose_latest"].value
    lines = [
        (name, sorted(course.items()), _hue_of_change(course[max(course)] / 100)) for name, course in sizes.items()
    ]
    spider = charts.spider(
        [ln for ln in lines if len(ln[1]) > 1],
        labels,
        "Change of the longest diameter of each lesion over the cycles",
        " %",
    )
    if spider:
        yield Figure(
            "Size of each lesion over the treatment",
            "Change of the longest diameter since baseline on each diagnostic CT",
            spider,
        )
    courses = [(name, sorted(course.items()), "k-dose") for name, course in doses.items() if len(course) > 1]
    chart = charts.spider(courses, labels[1:-1], "Dose of each lesion in each cycle", " Gy")
    if chart:
        yield Figure("Dose of each lesion, cycle by cycle", "Absorbed dose, Gy", chart)


def _hue_of_change(change: float) -> str:
    return "k-pr" if change <= -0.3 else "k-pd" if change >= 0.2 else "k-sd"
