"""SPECT that are projected and reconstructed, through the whole study: what comes out is the activity that was put in."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from attrs import evolve

from lutra.pipeline.calibrations import FOLDER
from lutra.pipeline.study import StudyFolder
from lutra.simulate.compare import Comparison, Pair, compare
from lutra.simulate.missing import MissingRule, MissingSettings
from lutra.simulate.spect import Acquisition
from lutra.simulate.trial import TrialSettings, WrittenTrial, simulate_trial

from .conftest import ONE_CYCLE, TINY

FACTOR_SD = 0.016
"""Of the camera factor of the patient whose SPECT are in counts."""
SPECT_ALONE = MissingSettings({kind: MissingRule(0.999) for kind in ("fdg", "sstr", "dwi")})


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> WrittenTrial:
    """Two patients, the second with SPECT in counts: 32 views of 75 s, on voxels of 10 mm."""
    size = evolve(TINY, low_dose_ct_mm=(5, 5, 5))
    how = Acquisition(views=32, s_per_view=75.0)
    settings = TrialSettings(size, ONE_CYCLE, SPECT_ALONE, mode="full", acquisition=how)
    return simulate_trial(tmp_path_factory.mktemp("full") / "trial", 2, 5, settings)


@pytest.fixture(scope="module")
def compared(trial: WrittenTrial, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    study = StudyFolder.create(tmp_path_factory.mktemp("full") / "study", "demo")
    for path in trial.calibration.iterdir():
        (study.root / FOLDER / path.name).write_bytes(path.read_bytes())
    study.add([trial.dicom / "SIM-002"])
    study.run()
    return compare(study, trial.truth)


def errors(compared: Comparison, image: str, quantity: str, name: str = "") -> list[float]:
    return [p.found / p.true - 1 for p in chosen(compared, image, quantity, name)]


def chosen(compared: Comparison, image: str, quantity: str, name: str = "") -> list[Pair]:
    return [p for p in compared.pairs if (p.image, p.quantity) == (image, quantity) and name in p.name]


def test_the_site_writes_its_calibration_under_the_name_in_its_images(trial: WrittenTrial) -> None:
    (path,) = trial.calibration.iterdir()
    written = tomllib.loads(path.read_text("utf-8"))
    assert written["camera"]["serial_number"] == "SIM-002"
    assert written["camera"]["collimator"] == "MELP"
    assert {"camera_factor", "dose_calibrator", "dead_time", "recovery"} <= set(written)


def test_every_source_of_a_calibrated_scan_is_evaluated(compared: Comparison) -> None:
    """The calibration file says all that activity in counts needs, so the intervals are whole."""
    found = chosen(compared, "organ, therapy-spect", "activity")
    assert len(found) == 12
    assert all(p.low is not None for p in found)


def test_the_whole_field_holds_the_activity_that_was_put_in(compared: Comparison) -> None:
    """OSEM keeps counts: left are twice the error of the camera factor, and 2 % by scatter windows that see too much."""
    found = errors(compared, "therapy-spect", "total-activity")
    assert len(found) == 3
    assert max(abs(e) for e in found) < 2 * FACTOR_SD + 0.02


def test_kidneys_and_lesions(compared: Comparison) -> None:
    """Both are corrected as spheres of their volume, on voxels of 10 mm: published errors of that are 5 to 15 %."""
    assert abs(np.median(errors(compared, "organ, therapy-spect", "activity", "kidney"))) < 0.1
    large = [p for p in chosen(compared, "therapy-spect", "concentration") if p.name in large_lesions(compared)]
    assert large
    assert abs(np.median([p.found / p.true - 1 for p in large])) < 0.15


def large_lesions(compared: Comparison) -> set[str]:
    """Lesions of 8 mL and more, from which the sphere is said to hold."""
    return {p.name for p in chosen(compared, "therapy-spect", "volume") if p.true > 8}
