"""Gathers what the reading room shows of a subject's images: the images, the regions on them, how one lies on another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from lutra.core.errors import UsageError
from lutra.core.finding import Finding, Severity
from lutra.core.grid import Grid
from lutra.core.measurement import Measurements
from lutra.core.region import Region, RegionKind
from lutra.core.response import DiameterPair
from lutra.core.study import Role
from lutra.core.transform import Transform
from lutra.core.volume import Volume
from lutra.imaging.sample import sampled
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.contained import Contained, contained
from lutra.pipeline.corrections import known_transform
from lutra.pipeline.derived import BURDEN, SPHERES
from lutra.pipeline.edits import transforms_of
from lutra.pipeline.pictures import FUNCTIONAL, SHOWN, SPECT_TOP_PERCENTILE, Shown
from lutra.pipeline.record import ObservationRecord
from lutra.pipeline.results import slug
from lutra.pipeline.series_roles import beside_spect
from lutra.pipeline.study import StudyFolder
from lutra.report.blinding import READ_ROLES

INSIDE = 0.5
"""A voxel with this share of a region counts as its own where voxels are whole."""
SAME_FRAME, NOT_REGISTERED = "same frame of reference", "not registered: coordinates taken as the same"


@frozen
class ImageView:
    """An image of a subject.

    Parameters
    ----------
    name
        Label as it stands in addresses; unique within the subject.
    open_to_readers
        Whether a reader of response may see it: anatomy, and not what belongs to a therapy scan.
    """

    series_uid: str
    name: str
    label: str
    role: Role
    cycle: int | None
    acquired_at: datetime | None
    grid: Grid
    image: Made
    open_to_readers: bool


@frozen
class RegionView:
    """A region on an image, with what is known of it there.

    Parameters
    ----------
    number
        Of its voxels in the label volume.
    lesion_id
        Empty for organs.
    delineation
        How it came about.
    findings
        Doubts met when it was measured there.
    """

    number: int
    name: str
    kind: RegionKind
    lesion_id: str
    volume_ml: float
    delineation: str
    centre_lps_mm: tuple[float, float, float]
    diameters: DiameterPair | None
    findings: tuple[Finding, ...]


class SubjectImages:
    """Images of one subject as its last run knows them.

    Raises
    ------
    UsageError
        If there is no such subject, or it has not been run.
    """

    def __init__(self, study: StudyFolder, subject_id: str) -> None:
        self.study = study
        self.there: Contained = contained(study.ledger, study.store, subject_id)
        self.record = self.there.record
        self._conductor = Conductor(study.store, study.ledger)
        self._regions: dict[str, Region] = {}

    @cached_property
    def all(self) -> tuple[ImageView, ...]:
        """Every image that could be made, in the order of acquisition."""
        timepoints = {t.series_uid: t for t in self.record.subject.timepoints}
        grids = {h.series_uid: h.grid for h in self.there.headers}
        of_therapy = beside_spect(self._conductor, self.record)
        return tuple(
            ImageView(
                s.series_uid,
                slug(s.label).casefold(),
                s.label,
                t.role,
                t.cycle,
                t.acquired_at,
                grid,
                s.image,
                t.role.value in READ_ROLES and s.series_uid not in of_therapy,
            )
            for s in self.record.series
            if (t := timepoints.get(s.series_uid)) and s.image and (grid := grids.get(s.series_uid))
        )

    def image(self, name: str) -> ImageView:
        """Find an image by its name in addresses.

        Raises
        ------
        UsageError
            If this subject has none.
        """
        for image in self.all:
            if image.name == name:
                return image
        raise UsageError(f"no image {name!r} in {self.there.subject_id}")

    @cached_property
    def changed_since_run(self) -> int:
        """Edits made since the subject was run: what is shown is from before them."""
        subject = self.there.subject_id
        runs = [
            datetime.fromisoformat(entry["detail"].get("begun", entry["at"]))
            for entry in self.study.ledger.audit_trail()
            if entry["action"] == "run" and subject in entry["detail"]["subjects"]
        ]
        return sum(edit.at > max(runs) for edit in self.study.ledger.edits(subject)) if runs else 0

    def volume(self, image: ImageView) -> Volume:
        """Load the voxels of an image, in the unit of the study."""
        volume: Volume = self._conductor.value(image.image)
        return volume

    def shown(self, image: ImageView) -> Shown:
        """Window and colours of an image: as in the report; where that has none, up to the image's own brightest part."""
        if image.role in SHOWN:
            return SHOWN[image.role]
        top = float(np.percentile(self.volume(image).values, SPECT_TOP_PERCENTILE))
        return Shown(0.0, top, "hot" if image.role is Role.THERAPY_SPECT else "grey", "")

    def known(self, name: str) -> bool:
        """Tell whether there is an image of this name."""
        return any(image.name == name for image in self.all)

    def beneath(self, image: ImageView) -> ImageView:
        """Image that is shown under another: for a PET or SPECT the CT of its frame that is nearest in time, if there is one."""
        if image.role not in FUNCTIONAL:
            return image

        def apart_s(other: ImageView) -> float:
            if other.acquired_at is None or image.acquired_at is None:
                return np.inf
            return abs((other.acquired_at - image.acquired_at).total_seconds())

        frame = image.grid.frame_of_reference
        cts = [i for i in self.all if i.role is Role.CT and i.grid.frame_of_reference == frame and frame]
        return min(cts, key=apart_s, default=image)

    # ---- one image on another ----
    def others(self, fixed: ImageView) -> tuple[tuple[ImageView, str], ...]:
        """Every other image, and in words how it is known to lie on this one."""
        known = {
            frozenset((t.fixed_frame, t.moving_frame)): t for t in transforms_of(self.study, self.there.subject_id)
        }
        found = []
        for image in self.all:
            frames = frozenset((fixed.grid.frame_of_reference, image.grid.frame_of_reference))
            if image != fixed:
                method = known[frames].method if frames in known else NOT_REGISTERED
                found.append((image, SAME_FRAME if len(frames) == 1 and all(frames) else method))
        return tuple(found)

    def transform(self, fixed: ImageView, moving: ImageView) -> Transform:
        """Map of two images; where none is known the coordinates of both are taken as the same, as a nudge begins."""
        frames = fixed.grid.frame_of_reference, moving.grid.frame_of_reference
        if frames[0] and frames[0] == frames[1]:
            return Transform(*frames, np.eye(4), 0.0, SAME_FRAME)
        known = known_transform(self.study, self.there.subject_id, *frames)
        return known or Transform(*frames, np.eye(4), None, NOT_REGISTERED)

    def carried(self, fixed: ImageView, moving: ImageView) -> Volume:
        """Put an image where it lies on another: on its own voxels, moved as a whole, unless the map bends it."""
        volume, transform = self.volume(moving), self.transform(fixed, moving)
        if transform.displacement is None:
            affine = transform.fixed_from_moving @ volume.grid.affine_lps_mm
            return evolve(volume, grid=Grid(volume.grid.shape, affine, transform.fixed_frame))
        points = fixed.grid.to_lps_mm(np.stack(np.meshgrid(*map(np.arange, fixed.grid.shape), indexing="ij"), axis=-1))
        return evolve(volume, values=sampled(volume, transform.moving_points(points)), grid=fixed.grid)

    # ---- regions ----
    def regions(self, image: ImageView) -> tuple[RegionView, ...]:
        """Every region on an image: organs, then lesions."""
        return tuple(
            self._region(number, lesion_id, observation)
            for number, (lesion_id, observation) in enumerate(self._observed(image.series_uid), start=1)
        )

    def region(self, image: ImageView, name: str) -> Region:
        """Load a region by its name.

        Raises
        ------
        UsageError
            If there is none.
        """
        for _, observation in self._observed(image.series_uid):
            if observation.region_name == name:
                return self._stored(observation)
        raise UsageError(f"no region {name!r} on {image.label}")

    def labels(self, image: ImageView) -> npt.NDArray[np.uint16]:
        """Give every voxel the number of its region, see :class:`RegionView`; a lesion goes before its organ. (i, j, k)"""
        numbers = np.zeros(image.grid.shape, np.uint16)
        for number, (_, observation) in enumerate(self._observed(image.series_uid), start=1):
            region = self._stored(observation)
            numbers[region.box][region.fraction >= min(INSIDE, float(region.fraction.max()))] = number
        return numbers

    def _observed(self, series_uid: str) -> Iterator[tuple[str, ObservationRecord]]:
        """Regions on a series with their lesions; what is measured in a region without being one is left out."""
        organs = (
            ("", o) for o in self.record.organs if o.region_name != BURDEN and not o.region_name.endswith(SPHERES)
        )
        lesions = ((lesion.lesion_id, o) for lesion in self.record.lesions for o in lesion.observations)
        return ((i, o) for i, o in (*organs, *lesions) if o.series_uid == series_uid)

    def _stored(self, observation: ObservationRecord) -> Region:
        """Load a region; of several that one step made each is kept, as the next one is most likely among them."""
        if observation.region not in self._regions:
            output = observation.region.partition("[")[0]
            made: Region | tuple[Region, ...] = self.study.store.get(output)
            each = {output: made} if isinstance(made, Region) else {f"{output}[{n}]": r for n, r in enumerate(made)}
            self._regions |= each
        return self._regions[observation.region]

    def _region(self, number: int, lesion_id: str, observation: ObservationRecord) -> RegionView:
        region = self._stored(observation)
        steps = [m for m in (observation.measurements, observation.diameters, observation.features) if m]
        made = self.study.ledger.receipt_of_output(observation.region.partition("[")[0])
        findings = self._conductor.findings([m.receipt for m in steps])
        if made is not None:
            findings = (*(f for f in made.findings if region.name in f.text), *findings)
        measured: Measurements | None = (
            self._conductor.value(observation.measurements) if observation.measurements else None
        )
        volume = measured.values.get("volume") if measured else None
        centre = region.centroid_lps_mm
        return RegionView(
            number,
            region.name,
            region.kind,
            lesion_id,
            region.volume_ml if volume is None else volume.value,
            region.delineation,
            (float(centre[0]), float(centre[1]), float(centre[2])),
            self._conductor.value(observation.diameters) if observation.diameters else None,
            tuple(f for f in findings if f.severity is not Severity.INFO),
        )
