"""STAGE 9, tables of lesions and patients -> models of what predicts their outcome."""

from lutra.predict.fit import fit_model, fit_models
from lutra.predict.result import Coefficient, ModelResult
from lutra.predict.spec import KINDS, AnalysisSpec, ModelSpec, parse_spec

__all__ = ["KINDS", "AnalysisSpec", "Coefficient", "ModelResult", "ModelSpec", "fit_model", "fit_models", "parse_spec"]
