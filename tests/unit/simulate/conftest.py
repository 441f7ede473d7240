"""A header without any facts of a scanner."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lutra.core.grid import Grid
from lutra.core.study import SIMULATED_BY, SeriesHeader
from lutra.export import stable_uid


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
