"""A region measured in an image: what it holds, how large it is, what its voxels look like."""

from __future__ import annotations

from typing import Any

from lutra.core.region import RegionKind, RegionOrigin
from lutra.core.study import Role, Timepoint
from lutra.pipeline import wiring
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.images import Image
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.record import ObservationRecord
from lutra.pipeline.regions import Seen
from lutra.quantify import measure_features
from lutra.quantify.comparable import PET
from lutra.response import measure_diameters

ANATOMICAL = frozenset({Role.CT, Role.ADC, Role.DWI, Role.OTHER_MR})
"""Images that lesions are measured on. RECIST 1.1 takes no diameter from SPECT or PET: there a border is a matter of uptake and
blur, and the voxels are as large as the lesions."""


def observe(
    conductor: Conductor,
    protocol: Protocol,
    seen: Seen,
    region_id: str,
    timepoints: dict[str, Timepoint],
    line: Any = None,
) -> ObservationRecord:
    """Measure a region in an image; `line` is a diameter that somebody drew there."""
    uid = seen.image.header.series_uid
    what = {"volume": seen.image.volume, "region": seen.step, "region_id": region_id, "series_uid": uid}
    measurements = measured(conductor, protocol, seen, region_id)
    diameters = features = None
    if seen.region.kind is RegionKind.LESION:
        # A propagated outline is that of another day: it shows where the lesion is, not how large.
        outlined = seen.image.role in ANATOMICAL and seen.region.origin is not RegionOrigin.PROPAGATED
        if outlined or line is not None:
            edited = {} if line is None else {"edited": line}
            diameters = conductor.step("response.diameters", measure_diameters, {"region": seen.step, **edited})
        features = conductor.step("quantify.features", measure_features, what)
    return ObservationRecord(
        uid, timepoints[uid].label, seen.step.reference, seen.region.name, measurements, diameters, features
    )


def measured(conductor: Conductor, protocol: Protocol, seen: Seen, region_id: str) -> Made:
    """Read the quantities of a region off an image."""
    uid = seen.image.header.series_uid
    return conductor.step(
        "quantify.region",
        wiring.measure_region,
        {
            "volume": seen.image.volume,
            "region": seen.step,
            "region_id": region_id,
            "series_uid": uid,
            "role": seen.image.role,
            **_known_of(seen.image),
        },
        settings=protocol.quantify,
        code="lutra.quantify",
    )


def _known_of(image: Image) -> dict[str, Made]:
    """Gather what else this image needs to be measured: the calibration of a SPECT, the body of a PET."""
    known = {"calibration": image.calibration} if image.calibration else {}
    return known | ({"header": image.header_step} if image.role in PET else {})
