"""A header without any facts of a scanner; and one digital patient with one cycle, and a small trial of such, made once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve

from lutra.core.grid import Grid
from lutra.core.study import SIMULATED_BY, SeriesHeader
from lutra.export import stable_uid
from lutra.simulate.clinic import ClinicSettings
from lutra.simulate.patient import DigitalPatient, PatientSettings, digital_patient
from lutra.simulate.sizes import SMALL
from lutra.simulate.trial import TrialSettings, WrittenTrial, simulate_trial

TINY = evolve(SMALL, name="tiny", ct_mm=(7, 7, 8), low_dose_ct_mm=(7, 7, 7), pet_mm=(10, 10, 10), dwi_mm=(8, 8, 12))
ONE_CYCLE = PatientSettings(clinic=ClinicSettings(cycles=1))
BRUSSELS = ZoneInfo("Europe/Brussels")


@pytest.fixture
def plain_header() -> Callable[[Grid], SeriesHeader]:
    """Make one for a grid."""

    def make(grid: Grid, modality: str = "PT", planes: int | None = None) -> SeriesHeader:
        n = planes or grid.shape[2]
        return SeriesHeader(
            series_uid=stable_uid("series", modality),
            study_uid=stable_uid("study"),
            subject_id="SIM-1",
            modality=modality,
            sop_class_uid="",
            description="test",
            manufacturer=SIMULATED_BY,
            model="glasshouse",
            image_type=("ORIGINAL", "PRIMARY"),
            frame_of_reference=grid.frame_of_reference,
            instances=tuple(stable_uid("series", modality, str(k)) for k in range(n)),
            grid=grid,
        )

    return make


@pytest.fixture(scope="session")
def digital() -> DigitalPatient:
    """A patient of the whole population under one cycle."""
    return digital_patient("SIM-001", 7, datetime(2026, 3, 23, tzinfo=BRUSSELS), ONE_CYCLE)


@pytest.fixture(scope="session")
def tiny_settings() -> TrialSettings:
    """One cycle on coarse grids, all scans there."""
    return TrialSettings(TINY, ONE_CYCLE)


@pytest.fixture(scope="session")
def tiny_trial(tiny_settings: TrialSettings, tmp_path_factory: pytest.TempPathFactory) -> WrittenTrial:
    """Two patients by one process: one with a SPECT as PET slices, one in counts."""
    return simulate_trial(tmp_path_factory.mktemp("tiny") / "trial", 2, 3, tiny_settings)
