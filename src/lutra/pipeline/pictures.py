"""Cuts the pictures of a subject's lesions out of stored images, image by image so that each is loaded once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.errors import OutsideValidity
from lutra.core.region import Region
from lutra.core.response import DiameterPair
from lutra.core.study import Role, Timepoint
from lutra.core.volume import Volume
from lutra.imaging.colour import Scale
from lutra.imaging.projection import mip_png, outline_in_mip, projected_width
from lutra.imaging.render import crop_png, fused_png
from lutra.imaging.section import Section
from lutra.pipeline.conductor import Conductor
from lutra.pipeline.record import ObservationRecord, SeriesRecord, SubjectRecord
from lutra.pipeline.results import slug
from lutra.pipeline.series_roles import beside_spect, frames_of
from lutra.report.model import Line, Picture, Projection

FIELD_MM = 100.0
"""Edge of a picture. [mm]"""
LARGE_FIELD_MM = 220.0
"""Edge for a lesion that would fill the small one. [mm]"""

PROJECTION_PIXELS = 300
"""Height of a projection."""
SPECT_TOP_PERCENTILE = 99.9
"""Of the first SPECT: the top of the window of all, so that a single hot voxel does not leave the rest white. [%]"""


@frozen
class Shown:
    """How images of a role are shown: window, colours and the words for it."""

    low: float
    high: float
    scale: Scale
    text: str


ADC = Shown(0.0, 3e-3, "grey", "ADC 0 to 3 · 10⁻³ mm²/s")
CT = Shown(-60.0, 160.0, "grey", "CT −60 to 160 HU")
LOW_DOSE_WINDOW_HU = (-160.0, 240.0)
"""Under a SPECT or PET: wide, as its noise is not what the picture is about."""
SHOWN = {
    Role.CT: CT,
    Role.ADC: ADC,
    Role.DWI: ADC,
    Role.FDG_PET: Shown(0.0, 7.0, "inverted", "SUV 0 to 7"),
    Role.OTHER_PET: Shown(0.0, 7.0, "inverted", "SUV 0 to 7"),
    Role.SSTR_PET: Shown(0.0, 25.0, "inverted", "SUV 0 to 25"),
}
FUNCTIONAL = {Role.THERAPY_SPECT, Role.FDG_PET, Role.OTHER_PET, Role.SSTR_PET}
Seen = tuple[str, ObservationRecord]
"""A lesion's id and one observation of it."""


class PictureCutter:
    """Makes the pictures of one subject.

    Parameters
    ----------
    images
        Filled with PNG files by name.
    """

    def __init__(
        self, conductor: Conductor, record: SubjectRecord, subject_slug: str, images: dict[str, bytes]
    ) -> None:
        self._conductor, self._record, self._slug, self._images = conductor, record, subject_slug, images
        self._timepoints = {t.series_uid: t for t in record.subject.timepoints}
        self._frames = frames_of(conductor, record)
        self._left_out = beside_spect(conductor, record)
        self._seen: dict[str, list[Seen]] = {}
        for lesion in record.lesions:
            for observation in lesion.observations:
                self._seen.setdefault(observation.series_uid, []).append((lesion.lesion_id, observation))
        self._regions: dict[str, Region] = {}

    def lesions(self) -> dict[tuple[str, str], Picture]:
        """Show every lesion in every image, by lesion and series: CT with its diameters, SPECT and PET over the CT of their frame.

        A CT beside a SPECT gets no picture of its own.
        """
        made: dict[tuple[str, str], Picture] = {}
        tops = self._spect_tops()
        for series in self._record.series:
            seen, timepoint = self._seen.get(series.series_uid, []), self._timepoints.get(series.series_uid)
            if not seen or timepoint is None or not series.image or series.series_uid in self._left_out:
                continue
            volume: Volume = self._conductor.value(series.image)
            anatomy = self._anatomy(series, timepoint)
            for lesion_id, observation in seen:
                shown = SHOWN.get(timepoint.role)
                if timepoint.role is Role.THERAPY_SPECT:
                    top = tops[lesion_id, timepoint.cycle]
                    shown = Shown(0.0, top, "hot", f"{top * 1e-3:.0f} kBq/mL at the top")
                if shown is not None:
                    made[lesion_id, series.series_uid] = self._picture(lesion_id, observation, volume, anatomy, shown)
        return made

    def projections(self) -> tuple[Projection, ...]:
        """Project every PET and the first SPECT of every cycle from the front, with the lesions seen in it.

        One window for all SPECT, from the first. An image too oblique to be projected is left out.
        """
        made: list[Projection] = []
        spect: Shown | None = None
        cycles: set[int | None] = set()
        for series in self._record.series:
            timepoint = self._timepoints.get(series.series_uid)
            if timepoint is None or timepoint.role not in FUNCTIONAL or not series.image:
                continue
            of_spect = timepoint.role is Role.THERAPY_SPECT
            if of_spect and timepoint.cycle in cycles:
                continue
            volume: Volume = self._conductor.value(series.image)
            if of_spect:
                cycles.add(timepoint.cycle)
                top = float(np.percentile(volume.values, SPECT_TOP_PERCENTILE)) if spect is None else spect.high
                spect = Shown(0.0, top, "inverted", f"0 to {top * 1e-3:.0f} kBq/mL")
            shown = spect if of_spect and spect else SHOWN[timepoint.role]
            try:
                made.append(self._projection(series, timepoint.label, volume, shown))
            except OutsideValidity:
                continue
        return tuple(made)

    def _projection(self, series: SeriesRecord, label: str, volume: Volume, shown: Shown) -> Projection:
        name = f"{self._slug}-mip-{slug(label)}.png"
        width = projected_width(volume.grid, PROJECTION_PIXELS)
        picture = mip_png(volume, (shown.low, shown.high), shown.scale, PROJECTION_PIXELS)
        marks = tuple(
            (lesion_id, tuple(map(_line, outline_in_mip(self._region(observation), volume.grid))))
            for lesion_id, observation in self._seen.get(series.series_uid, [])
        )
        self._images[name] = picture
        return Projection(name, label, shown.text, width, PROJECTION_PIXELS, marks)

    def _picture(
        self, lesion_id: str, observation: ObservationRecord, volume: Volume, anatomy: Volume | None, shown: Shown
    ) -> Picture:
        region = self._region(observation)
        pair: DiameterPair | None = None
        if shown is CT and observation.diameters:
            pair = self._conductor.value(observation.diameters)
        section = _section(region, pair)
        name = f"{self._slug}-{lesion_id}-{slug(observation.label)}.png"
        window = (shown.low, shown.high)
        if anatomy is None:
            self._images[name] = crop_png(volume, section, window, shown.scale)
        else:
            self._images[name] = fused_png(anatomy, volume, section, LOW_DOSE_WINDOW_HU, window)
        ends = () if pair is None else (pair.long_ends_lps_mm, pair.short_ends_lps_mm)
        return Picture(
            file=name,
            outlines=tuple(map(_line, section.outlines(region))),
            window_text=f"{shown.text}{', over CT' if anatomy else ''}, field {section.field_mm:.0f} mm",
            diameters=tuple(_line(section.shares(line)) for line in ends),
            drawn_by="" if pair is None else pair.drawn_by,
            white=anatomy is None and shown.scale == "inverted",
        )

    def _anatomy(self, series: SeriesRecord, timepoint: Timepoint) -> Volume | None:
        """CT in the frame of a functional image, the nearest in time; None if there is none."""
        frame = self._frames.get(series.series_uid)
        if timepoint.role not in FUNCTIONAL or not frame:
            return None

        def apart_s(other: Timepoint | None) -> float:
            if other is None or other.acquired_at is None or timepoint.acquired_at is None:
                return np.inf
            return abs((other.acquired_at - timepoint.acquired_at).total_seconds())

        fitting = [
            (apart_s(self._timepoints.get(ct.series_uid)), ct.series_uid, ct.image)
            for ct in self._record.series
            if ct.image and self._frames.get(ct.series_uid) == frame and self._role(ct.series_uid) is Role.CT
        ]
        if not fitting:
            return None
        nearest: Volume = self._conductor.value(min(fitting, key=lambda item: item[:2])[2])
        return nearest

    def _spect_tops(self) -> dict[tuple[str, int | None], float]:
        """Highest concentration of a lesion in a cycle: one window for all its scans. [Bq/mL]"""
        tops: dict[tuple[str, int | None], float] = {}
        for series in self._record.series:
            seen, timepoint = self._seen.get(series.series_uid, []), self._timepoints.get(series.series_uid)
            if seen and series.image and timepoint is not None and timepoint.role is Role.THERAPY_SPECT:
                volume: Volume = self._conductor.value(series.image)
                for lesion_id, observation in seen:
                    highest = float(volume.values[self._region(observation).box].max())
                    key = lesion_id, timepoint.cycle
                    tops[key] = max(tops.get(key, 0.0), highest)
        return tops

    def _role(self, series_uid: str) -> Role | None:
        timepoint = self._timepoints.get(series_uid)
        return timepoint.role if timepoint else None

    def _region(self, observation: ObservationRecord) -> Region:
        if observation.region not in self._regions:
            output, _, _ = observation.region.rstrip("]").partition("[")
            stored: Region | tuple[Region, ...] = self._conductor.store.get(output)
            each = (
                {output: stored} if isinstance(stored, Region) else {f"{output}[{n}]": r for n, r in enumerate(stored)}
            )
            self._regions |= each
        return self._regions[observation.region]


def _section(region: Region, pair: DiameterPair | None) -> Section:
    """Section through the centre of a lesion; where diameters are shown, through their slice."""
    extent_mm = max(n * s for n, s in zip(region.fraction.shape, region.grid.spacing_mm, strict=True))
    field_mm = FIELD_MM if extent_mm < 0.8 * FIELD_MM else max(LARGE_FIELD_MM, 1.3 * extent_mm)
    centre = region.centroid_lps_mm
    if pair is not None:
        centre = np.array([*centre[:2], pair.long_ends_lps_mm[:, 2].mean()])
    return Section(centre, field_mm)


def _line(points: npt.NDArray[np.float64]) -> Line:
    return tuple((float(x), float(y)) for x, y in points)
