"""Models of any pair of tables, without a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import frozen

from lutra.core.finding import Finding
from lutra.ingest.data_table import read_data_table
from lutra.pipeline.given_files import text_of
from lutra.predict import ModelResult, fit_models, parse_spec


@frozen
class Prediction:
    """Every model of a specification."""

    models: tuple[ModelResult, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all models."""
        return tuple(finding for model in self.models for finding in model.findings)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"models": [model.as_json() for model in self.models]}


def predict_tables(lesions: Path, patients: Path, spec: Path, intervals: Path | None = None) -> Prediction:
    """Fit every model of a specification to two tables.

    Raises
    ------
    ProtocolError
        If the specification is not right, or asks for a split by lesion.
    InputError
        If a table cannot be read, a column is not there, or a value cannot be.
    """
    asked = parse_spec(text_of(spec), str(spec))
    pieces = None if intervals is None else read_data_table(intervals)
    return Prediction(fit_models(asked, read_data_table(lesions), read_data_table(patients), pieces))
