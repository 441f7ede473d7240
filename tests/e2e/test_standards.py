"""The demo's results as DICOM and FHIR: the numbers of the tables, final where somebody signed."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import highdicom as hd
import pydicom
import pytest
from attrs import frozen
from typer.testing import CliRunner

from lutra.cli.main import app
from lutra.pipeline.decide import answer, sign
from lutra.pipeline.study import StudyFolder

PHYSICIST = "P. Hysicist"


@frozen
class Exported:
    """Folders of a study in which the decision on cycle 2 is signed, and what the command said."""

    dicom: Path
    bundle: dict[str, Any]
    findings: list[dict[str, Any]]


@pytest.fixture(scope="module")
def exported(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("standards")
    shutil.copytree(demo / "study", folder / "study")
    study = StudyFolder(folder / "study")
    (subject,) = study.ledger.subject_ids()
    sign(study, answer(study, subject, 2), PHYSICIST)
    said = CliRunner().invoke(app, ["export", "dicom", str(study.root), "--out", str(folder / "dicom"), "--json"])
    assert said.exit_code in {0, 3, 4}, said.output
    assert CliRunner().invoke(app, ["export", "fhir", str(study.root), "--out", str(folder / "fhir")]).exit_code == 0
    bundle = json.loads((folder / "fhir" / f"{subject}.json").read_text("utf-8"))
    return Exported(folder / "dicom" / subject, bundle, json.loads(said.output)["findings"])


def rows(demo: Path) -> list[dict[str, str]]:
    with (demo / "study" / "report" / "tables" / "dosimetry.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def observations(bundle: dict[str, Any]) -> dict[str, dict[str, Any]]:
    resources = [entry["resource"] for entry in bundle["entry"]]
    return {r["identifier"][0]["value"]: r for r in resources if r["resourceType"] == "Observation"}


def test_doses_of_the_signed_cycle_are_final(exported: Exported) -> None:
    for cycle, final in ((1, True), (2, False)):
        file = pydicom.dcmread(exported.dicom / f"sr-dose-cycle-{cycle}.dcm")
        assert (file.VerificationFlag == "VERIFIED", file.PreliminaryFlag == "FINAL") == (final, final)
        if final:
            assert file.VerifyingObserverSequence[0].VerifyingObserverName == PHYSICIST
    found = observations(exported.bundle)
    statuses = {
        cycle: {o["status"] for path, o in found.items() if f"/cycle-{cycle}/absorbed-dose" in path} for cycle in (1, 2)
    }
    assert statuses == {1: {"final"}, 2: {"preliminary"}}


def test_doses_are_those_of_the_tables(exported: Exported, demo: Path) -> None:
    """Of FHIR all, with their uncertainties; of DICOM those of lesions."""
    found = observations(exported.bundle)
    lesions = {}
    for cycle in (1, 2, 3, 4):
        report = hd.sr.srread(exported.dicom / f"sr-dose-cycle-{cycle}.dcm").content
        for group in (*report.get_volumetric_roi_measurement_groups(), *report.get_image_measurement_groups()):
            lesions[group.tracking_identifier.split()[0], str(cycle)] = group.get_measurements()[0].value
    compared = 0
    for row in rows(demo):
        if row["quantity"] != "absorbed-dose.hybrid" or row["cycle"] not in {"1", "2", "3", "4"} or not row["value"]:
            continue
        number = found[row["key"]]["valueQuantity"]
        assert number["value"] == pytest.approx(float(row["value"]), rel=1e-9)
        assert number["code"] == "Gy"
        if (row["lesion"], row["cycle"]) in lesions:
            assert lesions[row["lesion"], row["cycle"]] == pytest.approx(float(row["value"]), rel=1e-9)
            compared += 1
    assert compared == len(lesions) > 4


def test_responses_are_those_of_the_tables(exported: Exported, demo: Path) -> None:
    with (demo / "study" / "report" / "tables" / "recist.csv").open(encoding="utf-8") as file:
        said = sorted(row["overall"] for row in csv.DictReader(file))
    of = [o for path, o in observations(exported.bundle).items() if "/recist/" in path]
    assert sorted(o["valueCodeableConcept"]["coding"][0]["display"] for o in of) == said
    assert {o["status"] for o in of} == {"preliminary"}


def test_a_sum_that_cannot_be_given_is_said(exported: Exported) -> None:
    """The demo registers nothing, as its lesions have names: dose maps of its cycles lie on bodies nobody related."""
    assert not list(exported.dicom.glob("dose-sum*"))
    assert "dose.sum-no-transform" in {f["code"] for f in exported.findings}


def test_documents_are_in_the_archive(exported: Exported) -> None:
    pytest.importorskip("typst")
    titles = {pydicom.dcmread(path).DocumentTitle for path in exported.dicom.glob("pdf-*.dcm")}
    assert len(titles) == 3
    assert any("Dosimetry" in title for title in titles)
