"""Exploratory: what became of the imaging parameters of a lesion since its first image of a kind, and whether that is real."""

from __future__ import annotations

from collections.abc import Sequence

from lutra.core.lesion import Lesion
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.images import Image
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.record import ObservationRecord
from lutra.quantify import FOLLOWED, change_from_baseline


def changes_from_baseline(
    conductor: Conductor,
    protocol: Protocol,
    lesion: Lesion,
    observations: Sequence[ObservationRecord],
    images: Sequence[Image],
) -> tuple[Made, ...]:
    """Compare every image of a followed role with the lesion's first one.

    Parameters
    ----------
    images
        Of the subject, in time order.
    """
    measured = {o.series_uid: o.measurements for o in observations if o.measurements}
    changes = []
    for role in FOLLOWED:
        course = [i for i in images if i.role is role and i.header.series_uid in measured]
        changes += [
            conductor.step(
                "quantify.change",
                change_from_baseline,
                {
                    "before": measured[course[0].header.series_uid],
                    "after": measured[later.header.series_uid],
                    "headers": (course[0].header_step, later.header_step),
                    "role": role,
                    "lesion_name": lesion.name,
                },
                settings=protocol.quantify,
            )
            for later in course[1:]
        ]
    return tuple(changes)
