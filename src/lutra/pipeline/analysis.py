"""Runs the plan of analysis of a study on its own tables."""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from math import exp
from pathlib import Path
from typing import Any

from attrs import frozen

from lutra import __version__
from lutra.core.analysis_table import AnalysisTable
from lutra.core.finding import Finding
from lutra.core.frozen import FrozenMap
from lutra.export.analysis import table_files
from lutra.pipeline.analysis_tables import AnalysisTables, analysis_tables
from lutra.pipeline.given_files import empty_folder, text_of
from lutra.pipeline.study import StudyFolder
from lutra.predict import AnalysisSpec, ModelResult, ModelSpec, fit_models, parse_spec
from lutra.predict.expected import expected_by_others, predicting_model
from lutra.predict.statements import Effect, amount, effective_size, effects, equation, p_text, statement
from lutra.report.analysis_model import AnalysisView, EffectView, ModelView
from lutra.report.model import ExpectedView
from lutra.report.numbers import change_text

PLAN = "analysis.toml"
"""Plan of a study, in its folder beside the protocol."""
SHIPPED = "lesion_response.toml"
COMPUTED_WITH = ("numpy", "scipy", "statsmodels")


@frozen
class Plan:
    """What a study analyses.

    Parameters
    ----------
    name
        Of the file, or that it is the one that comes with Lutra.
    """

    name: str
    text: str
    spec: AnalysisSpec

    @property
    def digest(self) -> str:
        """Identity of the plan. [hex]"""
        return sha256(self.text.encode()).hexdigest()


@frozen
class StudyAnalysis:
    """The tables, the plan, and what each model found."""

    plan: Plan
    tables: AnalysisTables
    results: tuple[ModelResult, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all models."""
        return tuple(finding for result in self.results for finding in result.findings)

    def as_json(self) -> dict[str, Any]:
        """Plain data, with what is needed to repeat it."""
        return {
            "plan": {"name": self.plan.name, "sha256": self.plan.digest},
            "tables": {t.name: {"rows": len(t), "sha256": t.as_data_table().digest} for t in self.tables.all},
            "versions": versions(),
            "models": [result.as_json() for result in self.results],
        }


def study_plan(study: StudyFolder, path: Path | None = None) -> Plan:
    """Read the plan that was named, else that of the study's folder, else the one that comes with Lutra.

    Raises
    ------
    InputError, ProtocolError
        If it cannot be read, or is not right.
    """
    own = path or study.root / PLAN
    if path is not None or own.exists():
        text = text_of(own)
        return Plan(own.name, text, parse_spec(text, str(own)))
    text = (files("lutra.predict") / "plans" / SHIPPED).read_text("utf-8")
    return Plan(f"Lutra's plan ({SHIPPED})", text, parse_spec(text, SHIPPED))


def analyse(study: StudyFolder, path: Path | None = None) -> StudyAnalysis:
    """Gather the tables of a study and fit every model of its plan.

    Raises
    ------
    UsageError
        If the study has not been run.
    ProtocolError, InputError
        If the plan is not right, or names columns that the tables have not.
    """
    plan = study_plan(study, path)
    tables = analysis_tables(study)
    lesions, patients, intervals = (table.as_data_table() for table in tables.all)
    return StudyAnalysis(plan, tables, fit_models(plan.spec, lesions, patients, intervals))


def analysis_view(found: StudyAnalysis) -> AnalysisView:
    """Give an analysis as the report shows it."""
    labels = labels_of(found.tables.all)
    models = tuple(
        model_view(model, result, labels) for model, result in zip(found.plan.spec.models, found.results, strict=True)
    )
    return AnalysisView(
        plan_name=found.plan.name,
        plan_digest=found.plan.digest,
        models=models,
        lesions=found.tables.lesions,
        patients=found.tables.patients,
        intervals=found.tables.intervals,
        labels=FrozenMap({name: label for name, (label, _) in labels.items()}),
        digests=FrozenMap({t.name: t.as_data_table().digest for t in found.tables.all}),
        versions=FrozenMap(versions()),
        seeds=FrozenMap({m.name: m.seed for m in found.plan.spec.models if m.error_cv}),
        files=FrozenMap(analysis_files(found)),
    )


def expected_views(found: StudyAnalysis) -> dict[tuple[str, str], ExpectedView]:
    """Say of each lesion what the other patients lead one to expect, by subject and lesion; of log ratios of its diameter alone."""
    model = predicting_model(found.plan.spec)
    if model is None or model.outcome != "log_ratio":
        return {}
    views = {}
    for key, e in expected_by_others(found.plan.spec, model, found.tables.lesions.as_data_table()).items():
        best, low, high = (change_text(exp(v) - 1) for v in (e.value, e.low, e.high))
        words = (
            f"By “{model.name}”, fitted to {e.rows} lesions of {e.patients} other patients; in brackets where 95 % of such lesions "
            "would lie. What is seen in this patient is not in it. An association, and no ground for a decision."
        )
        if e.beyond:
            words += f" It reaches beyond what the others have in {', '.join(e.beyond)}."
        views[key] = ExpectedView(f"Expected change of the diameter: {best} ({low} to {high})", words)
    return views


def write_study_analysis(study: StudyFolder, found: StudyAnalysis, out: Path) -> tuple[Path, ...]:
    """Write tables, dictionary, lineage, plan and results.

    Raises
    ------
    UsageError
        If something stands in `out`.
    """
    made = empty_folder(out)
    paths = []
    for name, content in analysis_files(found).items():
        (made / name).write_bytes(content)
        paths.append(made / name)
    study.log("analyse", {"out": str(out), "plan": found.plan.digest})
    return tuple(paths)


def analysis_files(found: StudyAnalysis) -> dict[str, bytes]:
    """Give tables, dictionary, lineage, plan and results as files, by name."""
    written = dict(table_files(found.tables.all))
    written["plan.toml"] = found.plan.text.encode()
    written["analysis.json"] = json.dumps(found.as_json(), indent=1).encode()
    return written


def labels_of(tables: tuple[AnalysisTable, ...]) -> dict[str, tuple[str, str]]:
    """Label and unit of every column."""
    return {c.name: (c.label, c.unit) for table in reversed(tables) for c in table.columns}


def model_view(model: ModelSpec, result: ModelResult, labels: dict[str, tuple[str, str]]) -> ModelView:
    """Give one model as the report shows it."""
    return ModelView(
        model.name,
        model.question or "models",
        model.kind,
        model.outcome or model.time,
        result.n,
        result.n_clusters,
        result.converged,
        statement(model, result, labels),
        equation(model, result),
        tuple(_effect(e) for e in effects(model, result, labels)),
        result.numbers,
        result.missing,
        result.findings,
        effective_size(result),
    )


def _effect(e: Effect) -> EffectView:
    p = "" if e.p is None else p_text(e.p)
    adjusted = "" if e.adjusted is None else f"; {p_text(e.adjusted)} in its family"
    interval = f"{amount(e.low, e.scale)} to {amount(e.high, e.scale)}"
    scale = f"{e.scale} " if e.scale not in ("", "%") else ""
    return EffectView(e.name, e.label, e.per, f"{scale}{amount(e.value, e.scale)}", interval, p + adjusted, e.per_sd)


def versions() -> dict[str, str]:
    """Versions of everything that computes a model."""
    found = {"lutra": __version__, "python": ".".join(map(str, sys.version_info[:3]))}
    for name in COMPUTED_WITH:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
