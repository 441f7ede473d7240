"""The report of one made-up study, rendered once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from lutra.report import write_report
from lutra.report.model import StudyView


@pytest.fixture(scope="session")
def factory() -> ModuleType:
    """Module with the makers of views."""
    spec = importlib.util.spec_from_file_location("report_factory", Path(__file__).with_name("factory.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def study(factory: ModuleType) -> StudyView:
    view: StudyView = factory.study()
    return view


@pytest.fixture(scope="session")
def report(factory: ModuleType, study: StudyView, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "report"
    write_report(study, factory.images(study), out)
    return out
