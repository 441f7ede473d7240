"""A digital patient whose body is a real labelled CT, through the whole study, against its truth and the labels themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from lutra.cli.main import app
from lutra.core.errors import GridMismatch, InputError
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.ingest import read_label_map
from lutra.pipeline.study import StudyFolder
from lutra.reference.label_names import shipped_labels
from lutra.simulate.anatomy import LabelledAnatomy, anatomy_of, painted_name, read_anatomy
from lutra.simulate.body import regions_on
from lutra.simulate.clinic import ClinicSettings
from lutra.simulate.compare import Comparison, compare
from lutra.simulate.missing import MissingRule, MissingSettings
from lutra.simulate.patient import PatientSettings
from lutra.simulate.sizes import SMALL, Size
from lutra.simulate.trial import TrialSettings, WrittenTrial, simulate_patient
from lutra.simulate.truth import read_table

CT, LABELS, NAMES = "example_ct.nii.gz", "example_seg_fast_force_split.nii.gz", "totalsegmentator-total"
COARSE = Size("coarse", SMALL.field_mm, (5, 5, 6), (5, 5, 5), (10, 10, 10), (8, 8, 12), 2, (1, 1, 1), 1)


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "ct_labelled"


@pytest.fixture(scope="module")
def anatomy(folder: Path) -> LabelledAnatomy:
    return read_anatomy(folder / CT, folder / LABELS, NAMES)


@pytest.fixture(scope="module")
def patient(anatomy: LabelledAnatomy, tmp_path_factory: pytest.TempPathFactory) -> WrittenTrial:
    few = MissingSettings({"fdg": MissingRule(0.999), "dwi": MissingRule(0.999)})
    settings = TrialSettings(COARSE, PatientSettings(clinic=ClinicSettings(cycles=1), anatomy=anatomy), few)
    return simulate_patient(tmp_path_factory.mktemp("labelled") / "patient", 3, settings)


@pytest.fixture(scope="module")
def compared(patient: WrittenTrial, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    study = StudyFolder.create(tmp_path_factory.mktemp("labelled") / "study", "demo")
    study.add([patient.dicom])
    study.run()
    return compare(study, patient.truth)


def test_what_the_ct_cuts_off_is_named(anatomy: LabelledAnatomy, patient: WrittenTrial) -> None:
    """This CT ends in liver and spleen; the kidneys are whole, so their mass is that of their labels: 330 mL of 1.05 g/mL."""
    assert anatomy.cut_organs == ("liver", "spleen")
    said = json.loads((patient.truth / "trial.json").read_text("utf-8"))
    assert said["cut_organs"] == ["liver", "spleen"]
    low, high = said["field_mm"][2]
    assert anatomy.field_mm[2][0] < low < high < anatomy.field_mm[2][1]
    masses = [anatomy.body(seed).masses_g for seed in range(20)]
    assert [m["kidneys"] for m in masses] == pytest.approx([1.05 * (192.6 + 137.4)] * 20, rel=1e-3)
    assert min(m["liver"] for m in masses) >= 1.06 * 1125
    assert len({m["liver"] for m in masses}) > 10


def test_labels_keep_their_volume_under_their_new_names(folder: Path, anatomy: LabelledAnatomy) -> None:
    """Kidneys, and vertebrae with their marrow, painted on 3.5 mm in the place of the digital body: within 2 and 3 %."""
    labels = read_label_map(folder / LABELS, shipped_labels(NAMES)).value
    assert labels is not None
    grid = anatomy.within(SMALL).grid((3.5, 3.5, 3.5), "")
    painted = {r.name: r.volume_ml for r in regions_on(anatomy.body(1), (), grid)}
    true = {painted_name(r.name): r.volume_ml for r in labels}
    for kidney in ("left kidney cortex", "right kidney cortex"):
        assert painted[kidney] == pytest.approx(true[kidney], rel=0.02)
    for level in ("L1", "L2", "L3"):
        whole = painted[f"vertebra {level}"] + painted[f"marrow {level}"]
        assert whole == pytest.approx(true[f"vertebra {level}"], rel=0.03)
        assert 0.2 < painted[f"marrow {level}"] / whole < 0.7


def test_the_spine_lies_where_that_of_the_digital_body_does(anatomy: LabelledAnatomy) -> None:
    low, high = (np.array([s.bounds_lps_mm for s in anatomy.body(1).shapes(f"marrow {n}")])[0] for n in ("L2", "L1"))
    assert abs((low[:, 0].mean() + high[:, 0].mean()) / 2) < 8
    assert low[:, 2].mean() < 0 < high[:, 2].mean()


def test_the_study_finds_its_truth(patient: WrittenTrial, compared: Comparison) -> None:
    """Lesions, kidneys and the whole field: the camera's 3 %, recovery by spheres, contours on slices of 5 mm."""
    total = [p.found / p.true - 1 for p in compared.pairs if p.quantity == "total-activity"]
    assert len(total) == 3
    assert max(abs(e) for e in total) < 0.09
    kidneys = [p for p in compared.pairs if p.image == "organ, therapy-spect" and "kidney" in p.name]
    activity = [p.found / p.true - 1 for p in kidneys if p.quantity == "activity"]
    assert len(activity) == 6
    assert abs(np.median(activity)) < 0.15
    volumes = [p.found / p.true - 1 for p in compared.pairs if (p.image, p.quantity) == ("ct", "volume") and p.true > 3]
    assert len(volumes) > 4
    assert abs(np.median(volumes)) < 0.07
    assert any(p.image == "cycle" and p.quantity == "absorbed-dose.sphere" for p in compared.pairs)


def test_a_cut_organ_is_true_for_the_part_in_the_field(anatomy: LabelledAnatomy, patient: WrittenTrial) -> None:
    """Its volume in every scan is below that of the label, and its concentration is that of the whole organ."""
    rows = [r for r in read_table(patient.truth, "organs") if r["organ"] == "liver" and r["image"] == "therapy-spect"]
    volumes = [float(r["value"] or 0) for r in rows if r["quantity"] == "volume"]
    assert volumes
    assert all(0.5 * 1125 < v < 1125 for v in volumes)
    activity, concentration = (
        [float(r["value"] or 0) for r in rows if r["quantity"] == name] for name in ("activity", "concentration")
    )
    assert activity == pytest.approx([c * v / 1000 for c, v in zip(concentration, volumes, strict=True)], rel=1e-3)


def test_what_is_no_anatomy_is_refused(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "names.toml"
    table.write_text('5 = "liver"\n', encoding="utf-8")
    with pytest.raises(InputError, match="vertebra L1"):
        read_anatomy(folder / CT, folder / LABELS, table)
    table.write_text("no table", encoding="utf-8")
    with pytest.raises(InputError, match="table of names"):
        read_anatomy(folder / CT, folder / LABELS, table)


def test_labels_on_another_grid_and_a_short_ct_are_refused(folder: Path, anatomy: LabelledAnatomy) -> None:
    labels = read_label_map(folder / LABELS, shipped_labels(NAMES)).value
    assert labels is not None
    grid = labels[0].grid
    thicker = evolve(grid, affine_lps_mm=grid.affine_lps_mm @ np.diag([1, 1, 1.1, 1]))
    ct = Volume(np.zeros(grid.shape, np.float32), thicker, Unit.HU)
    with pytest.raises(GridMismatch):
        anatomy_of(ct, labels, "test")
    with pytest.raises(InputError, match="of the trunk"):
        evolve(anatomy, field_mm=(*anatomy.field_mm[:2], (-50.0, 50.0))).within(SMALL)


def test_half_an_anatomy_is_a_usage_error(folder: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    ran = CliRunner().invoke(app, ["simulate", "patient", str(tmp_path / "out"), "--anatomy-ct", str(folder / CT)])
    assert ran.exit_code == 2
