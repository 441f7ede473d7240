"""Three FDG PET of one lesion through the whole study: a real rise, a change that is noise, a scanner that is another one."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from lutra.core.grid import Grid
from lutra.core.region import ContourSet
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series, write_rtstruct
from lutra.export.dicom_image import STORAGE
from lutra.pipeline.report import write_study_report
from lutra.pipeline.study import StudyFolder

FIRST = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)
PATIENT = PatientIdentity("P1", "P1", "F", 70.0, 1.7)
SHAPE, SPACING_MM = (24, 24, 12), (4.0, 4.0, 4.0)
ACTIVITY_BQ, HALF_LIFE_S = 250e6, 6586.2
BQ_PER_SUV = ACTIVITY_BQ * 2 ** (-3600 / HALF_LIFE_S) / 70e3
"""Concentration of SUV 1 an hour after the injection. [Bq/mL]"""


def write_scan(
    folder: Path, name: str, at: datetime, suv: float, model: str = "Biograph", patient: PatientIdentity = PATIENT
) -> None:
    """Write a PET with a box of 6 x 6 x 6 voxels of one SUV in a background of 1, and the contours of the box."""
    affine = np.diag([*SPACING_MM, 1.0])
    grid = Grid(SHAPE, affine, stable_uid("frame", name))
    values = np.full(SHAPE, BQ_PER_SUV)
    values[9:15, 9:15, 3:9] = suv * BQ_PER_SUV
    header = SeriesHeader(
        series_uid=stable_uid("pet", name),
        study_uid=stable_uid("study", name),
        subject_id=patient.patient_id,
        modality="PT",
        sop_class_uid=str(STORAGE["PT"]),
        description=f"FDG {name}",
        manufacturer="SIEMENS",
        model=model,
        image_type=("ORIGINAL", "PRIMARY"),
        frame_of_reference=grid.frame_of_reference,
        instances=tuple(stable_uid("pet", name, str(k)) for k in range(SHAPE[2])),
        grid=grid,
        decay_correction=DecayCorrection.START,
        series_started_at=at,
        acquired_at=at,
        frame_duration_s=180.0,
        frame_reference_time_s=90.0,
        decay_factor=1.0095,
        radiopharmaceutical=Radiopharmaceutical(
            "F-18", "Fluorodeoxyglucose", ACTIVITY_BQ, at - timedelta(hours=1), HALF_LIFE_S
        ),
    )
    write_image_series(folder / name, header, Volume(values, grid, Unit.BQ_PER_ML), patient, at)
    square = np.array([[8.5, 8.5], [14.5, 8.5], [14.5, 14.5], [8.5, 14.5]]) * 4.0
    planes = tuple(np.column_stack([square, np.full(4, k * 4.0)]) for k in range(3, 9))
    drawn = ContourSet("lesion 1 liver", planes, grid.frame_of_reference, header.series_uid, "")
    write_rtstruct(
        folder / f"{name}.dcm",
        [drawn],
        header,
        patient,
        series_uid=stable_uid("rt", name),
        instance_uid=stable_uid("rt", name, "1"),
        drawn_at=at,
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    folder = tmp_path_factory.mktemp("changes")
    write_scan(folder, "baseline", FIRST, 5.0)
    write_scan(folder, "second", FIRST + timedelta(days=80), 9.0)
    write_scan(folder, "third", FIRST + timedelta(days=160), 6.0)
    write_scan(folder, "elsewhere", FIRST + timedelta(days=240), 9.0, model="Vision")
    made = StudyFolder.create(folder / "study")
    made.add([folder])
    made.run()
    write_study_report(made)
    return made


def table(study: StudyFolder, name: str) -> list[dict[str, str]]:
    with (study.root / "report" / "tables" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_scan_is_judged_against_the_first(study: StudyFolder) -> None:
    rows = table(study, "changes")
    assert [row["quantity"] for row in rows] == ["fdg-pet.suv_max"] * 3
    assert [row["baseline"] for row in rows] == ["FDG PET 12 Jan 2026"] * 3
    assert [row["verdict"] for row in rows] == ["increase", "within noise", "not known"]
    assert [float(row["change"]) for row in rows] == pytest.approx([0.8, 0.2, 0.8], abs=0.002)
    assert float(rows[0]["before"]) == pytest.approx(5, rel=1e-3)
    assert float(rows[0]["lower_limit"]) == pytest.approx(-0.28, abs=0.005)
    assert float(rows[0]["upper_limit"]) == pytest.approx(0.39, abs=0.005)
    assert rows[0]["limits_confirmed"] == "False"


def test_another_scanner_is_a_finding(study: StudyFolder) -> None:
    (finding,) = [row for row in table(study, "findings") if row["code"] == "quantify.not-comparable"]
    assert "model Biograph and Vision" in finding["text"]
    assert "model Biograph and Vision" in table(study, "changes")[2]["reason"]


def test_every_row_leads_back_to_its_images(study: StudyFolder) -> None:
    paths = {row.path for row in study.ledger.results()}
    assert {row["key"] for row in table(study, "changes")} <= paths
    assert {row["key"] for row in table(study, "features")} <= paths


def test_features_stand_in_the_tables_and_not_on_the_page(study: StudyFolder) -> None:
    """The box is 24 mm wide: volume 13.824 mL, mean 5, extent along its diagonal."""
    rows = {row["feature"]: row for row in table(study, "features") if row["series"] == "FDG PET 12 Jan 2026"}
    assert rows["stat.mean"]["ibsi"] == "Q4LE"
    assert float(rows["stat.mean"]["value"]) == pytest.approx(5, rel=1e-3)
    assert float(rows["morph.vol_approx"]["value"]) == pytest.approx(13.824, rel=1e-6)
    assert rows["stat.mean"]["delineation"].startswith("imported: ")
    (page,) = (study.root / "report" / "subjects").glob("*.html")
    text = page.read_text(encoding="utf-8")
    assert "SUVpeak" in text
    assert "SULpeak" in text
    assert "SULpeak, James" not in text.split("<script")[0]
    assert "Sphericity" not in text
    assert "Metabolic tumour volume" not in text.split("<script")[0]


def test_the_page_says_what_is_real(study: StudyFolder) -> None:
    (page,) = (study.root / "report" / "subjects").glob("*.html")
    text = page.read_text(encoding="utf-8")
    at = [text.index(f'<span class="soft nw">{word}</span>') for word in ("real", "within noise", "not judged")]
    assert at == sorted(at)  # in the order of the scans


def test_measurements_name_their_region(study: StudyFolder) -> None:
    (row,) = [r for r in table(study, "measurements") if r["key"].endswith("FDG-PET-12-Jan-2026/mtv")]
    assert row["delineation"].startswith("imported: contours of ")
    assert float(row["value"]) == pytest.approx(13.824, rel=1e-3)
