"""What the series of a subject are for, and which of them share a frame of reference."""

from __future__ import annotations

from collections.abc import Mapping

from lutra.core.study import Role, SeriesHeader
from lutra.pipeline.conductor import Conductor
from lutra.pipeline.record import SubjectRecord


def frames_of(conductor: Conductor, record: SubjectRecord) -> Mapping[str, str]:
    """Give the frame of reference of each series whose header could be read."""
    frames = {}
    for series in record.series:
        if series.header:
            header: SeriesHeader = conductor.value(series.header)
            frames[series.series_uid] = header.frame_of_reference
    return frames


def roles_of(record: SubjectRecord) -> Mapping[str, Role]:
    """Give what each series is for."""
    return {t.series_uid: t.role for t in record.subject.timepoints}


def beside_spect(conductor: Conductor, record: SubjectRecord) -> frozenset[str]:
    """Name the CT series that share the frame of a therapy SPECT: they are there for it."""
    frames, roles = frames_of(conductor, record), roles_of(record)
    of_spect = {frames[uid] for uid in frames if roles.get(uid) is Role.THERAPY_SPECT}
    return frozenset(uid for uid in frames if roles.get(uid) is Role.CT and frames[uid] in of_spect)
