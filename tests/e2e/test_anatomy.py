"""Regions drawn once and followed through every scan, lesions matched by place, and what a person corrects."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest

from .conftest import lutra

ONE_CYCLE = ("baseline-ct", "cycle-1-24h-ct", "cycle-1-24h-spect", "cycle-1-96h-ct", "cycle-1-96h-spect")
DRAWN = ("baseline-ct-rtstruct", "cycle-1-24h-ct-rtstruct")
CT_OF_96_H = "CT-16-Jan-2026"
EVERYWHERE = (*DRAWN, "cycle-1-96h-ct-rtstruct")


def study_of(out: Path, sources: Iterator[Path]) -> Path:
    assert lutra("study", "init", out, "--protocol", "demo").code == 0
    assert lutra("study", "add", out, *sources).code == 0
    return out


def run(study: Path) -> int:
    ran = lutra("run", study, "--json")
    assert ran.code in (0, 3, 4), ran.err
    computed: int = json.loads(ran.out)["computed"]
    return computed


def results(study: Path, quantity: str) -> dict[str, float]:
    """Values by path, of the second SPECT."""
    ran = lutra("why", study, "--json")
    rows = json.loads(ran.out)["results"]
    return {r["path"]: float(r["value"].split()[0]) for r in rows if r["path"].endswith(quantity)}


@pytest.fixture(scope="module")
def propagated(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One cycle with outlines on the first SPECT/CT alone, and with outlines on both."""
    scans = demo / "simulated" / "dicom" / "SIM-001"
    out = tmp_path_factory.mktemp("anatomy")
    once = study_of(out / "once", (scans / name for name in (*ONE_CYCLE, *DRAWN)))
    both = study_of(out / "both", (scans / name for name in (*ONE_CYCLE, *EVERYWHERE)))
    run(once), run(both)
    return once, both


def test_organs_drawn_once_are_measured_in_the_next_scan(propagated: tuple[Path, Path]) -> None:
    """Activity in kidneys, liver and spleen within 5 % of that in outlines drawn on the scan itself."""
    once, both = (results(study, "h/activity") for study in propagated)
    second = [path for path in both if any(organ in path for organ in ("kidney", "liver", "spleen"))]
    assert len(second) == 8  # four organs, two scans
    assert {path: once[path] for path in second} == pytest.approx({path: both[path] for path in second}, rel=0.05)


def test_lesions_drawn_once_have_a_curve(propagated: tuple[Path, Path]) -> None:
    once, both = (results(study, "time-integrated-activity") for study in propagated)
    assert once.keys() == both.keys() != set()


def test_no_diameter_is_read_off_an_outline_of_another_day(propagated: tuple[Path, Path]) -> None:
    once, both = (results(study, "longest-diameter") for study in propagated)
    brought = set(both) - set(once)
    assert brought
    assert all(CT_OF_96_H in path for path in brought), brought


def test_the_report_says_how_the_images_were_put_on_one_another(propagated: tuple[Path, Path]) -> None:
    once, _ = propagated
    assert lutra("report", once).code == 0
    with (once / "report" / "tables" / "registrations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["method"].split(",")[0] for row in rows} == {"rigid"}
    assert all(0 < float(row["error_mm"]) < 5 for row in rows)
    page = (once / "report" / "subjects" / "SIM-001.html").read_text("utf-8")
    assert 'id="registration"' in page
    assert "Checkerboard of" in page


def test_a_correction_reruns_what_rests_on_it_and_can_be_taken_back(propagated: tuple[Path, Path]) -> None:
    once, _ = propagated
    assert run(once) == 0
    before = results(once, "h/activity")
    with (once / "report" / "tables" / "registrations.csv").open() as file:
        row = next(csv.DictReader(file))
    shift = ("--shift-mm", "0", "0", "15", "--reason", "to see what it does")
    nudged = lutra("align", "nudge", once, "SIM-001", row["fixed"], row["moving"], *shift)
    assert nudged.code in (0, 3), nudged.err
    assert 0 < run(once) < 200  # of some 600
    moved = results(once, "h/activity")
    changed = {path for path in before if moved.get(path) != before[path]}
    assert changed
    assert all("/cycle-1-9" in path for path in changed)  # the scan at about 96 h, that was nudged, and no other
    assert lutra("edits", "undo", once, "1", "--reason", "it was only a test").code == 0
    assert run(once) <= 2  # but for the list of lesions, which remembers the nudged one, all is found again
    assert results(once, "h/activity") == before


def test_lesions_of_a_real_patient_are_matched_by_place(archive: Callable[[str], Path], tmp_path: Path) -> None:
    """Two liver lesions on two SPECTs of one patient, each with its own frame of reference; all four are called GTV here."""
    root = archive("spect_lu177_umich")
    drawings = tmp_path / "drawings"
    drawings.mkdir()
    images = []
    named: dict[str, list[str]] = {}
    for n, folder in enumerate(sorted(p for p in root.rglob("*") if p.is_dir() and any(p.glob("*.dcm")))):
        first = pydicom.dcmread(next(folder.glob("*.dcm")), stop_before_pixels=True)
        if first.Modality != "RTSTRUCT":
            images.append(folder)
            continue
        named[first.SOPInstanceUID] = [item.ROIName for item in first.StructureSetROISequence]
        for item in first.StructureSetROISequence:
            item.ROIName = "GTV"
        first.save_as(drawings / f"{n}.dcm")
    assert [len(names) for names in named.values()] == [2, 2]
    study = study_of(tmp_path / "study", iter([*images, drawings]))
    run(study)
    assert lutra("report", study).code == 0
    with (study / "report" / "tables" / "correspondences.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["lesion"] for row in rows) == ["L01", "L01", "L02", "L02"]
    assert {row["sighting"] for row in rows} == {"seen"}
    second = [row for row in rows if row["confidence"]]
    assert [row["matched_by"] for row in second] == ["position and size"] * 2
    assert all(float(row["confidence"]) > 0.9 and float(row["distance_mm"]) < 12 for row in second)
    assert all(0.5 < float(row["volume_ratio"]) < 2 for row in second)
