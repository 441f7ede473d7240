"""CT numbers."""

from __future__ import annotations

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume


def to_hu(header: SeriesHeader, image: Volume) -> Outcome[Volume]:
    """Take rescaled CT values as Hounsfield units; refused without a rescale."""
    if not header.has_rescale or header.stored_unit not in {None, "HU"}:
        text = (
            f"series {header.series_uid}: rescale (0028,1053) {'there' if header.has_rescale else 'missing'}, type (0028,1054) "
            f"{header.stored_unit or 'not given'}; required: rescale to HU"
        )
        return Outcome(None, (Finding(Severity.UNDETERMINED, "quantify.no-hu", text),))
    return Outcome(Volume(image.values, image.grid, Unit.HU, header.acquired_at))
