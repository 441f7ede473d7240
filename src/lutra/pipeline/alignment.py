"""Stage 3 for one subject: one map per frame of reference, made when somebody needs it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from attrs import frozen

from lutra.align import FrameImage, Link, Plan, plan_links
from lutra.core.frozen import FrozenMap
from lutra.core.source import SourceFile
from lutra.core.transform import Transform
from lutra.ingest import read_spatial_registration
from lutra.pipeline import plugins, wiring
from lutra.pipeline.conductor import Conductor, Made, OneFile
from lutra.pipeline.images import Image
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.record import TransformRecord
from lutra.pipeline.seeds import seed_of

REGISTRATION = "REG"
"""(0008,0060) of files that say how two frames of reference map to each other."""


@frozen
class ByHand:
    """A map a person made, or brought: it stands in place of a registration."""

    transform: Transform
    note: str


def maps_by_hand(
    conductor: Conductor, registrations: Sequence[SourceFile], edits: Mapping[str, Any]
) -> tuple[ByHand, ...]:
    """Gather the maps that came with the images and those that people made; the last of a pair of frames holds.

    Parameters
    ----------
    registrations
        Files of modality REG.
    edits
        Transforms in force.
    """
    given = []
    for source in registrations:
        made = conductor.step("ingest.registration", read_spatial_registration, {"path": OneFile(source)})
        transforms: tuple[Transform, ...] = conductor.value(made) if made else ()
        given += [ByHand(t, f"it came with the images, {source.sop_instance_uid}") for t in transforms]
    return (*given, *(ByHand(t, t.method) for t in edits.values()))


class Alignment:
    """Registers frames of reference on demand and remembers what it made.

    Parameters
    ----------
    drawn
        Frames that have regions of their own.
    by_hand
        Maps made by people, in any direction.
    """

    def __init__(
        self,
        conductor: Conductor,
        protocol: Protocol,
        subject_id: str,
        images: Sequence[Image],
        drawn: Collection[str],
        by_hand: Sequence[ByHand] = (),
    ) -> None:
        self._conductor, self._protocol, self._subject_id = conductor, protocol, subject_id
        self._images = {image.header.series_uid: image for image in images}
        self._by_hand = {}
        for given in by_hand:
            self._by_hand.update(_both_ways(given))
        towards = dict(self._by_hand.keys())
        self.plan: Plan | None = plan_links([_seen(image) for image in images], drawn, towards)
        self._links: dict[tuple[str, str], Made | None] = {}
        self.records: list[TransformRecord] = []

    @property
    def reference(self) -> str:
        """Frame of reference in which positions are compared; empty if no image has one."""
        return self.plan.reference if self.plan else ""

    def to_reference(self, frame: str) -> Made | None:
        """Map of a frame's points to the reference; None if there is none."""
        return self.between(frame, self.reference)

    def source_of(self, frame: str, drawn: Collection[str]) -> str:
        """Nearest frame with regions on the way to the reference; empty if there is none."""
        for link in self.plan.path(frame) if self.plan else ():
            if link.moving.frame in drawn:
                return link.moving.frame
        return ""

    def between(self, fixed: str, moving: str) -> Made | None:
        """Map of points of `fixed` to `moving`, a frame on its way to the reference; None if there is none."""
        if self.plan is None or self._protocol.align.when == "never":
            return None
        if fixed == moving:
            return self._conductor.step("align.identity", wiring.identity, {"frame": fixed})
        path = self.plan.path(fixed, moving)
        links = [self._link(link) for link in path]
        if not links or not all(links):
            return None
        made = tuple(link for link in links if link)
        return made[0] if len(made) == 1 else self._conductor.step("align.chain", wiring.chained, {"links": made})

    def _link(self, link: Link) -> Made | None:
        frames = link.fixed.frame, link.moving.frame
        if frames not in self._links:
            made = self._given(frames) or self._registered(link)
            self._links[frames] = made
            self.records.append(TransformRecord(*frames, link.fixed.series_uid, link.moving.series_uid, made))
        return self._links[frames] or None

    def _given(self, frames: tuple[str, str]) -> Made | None:
        given = self._by_hand.get(frames)
        if given is None:
            return None
        return self._conductor.step("align.by-hand", wiring.by_hand, {"transform": given.transform, "note": given.note})

    def _registered(self, link: Link) -> Made:
        """Register two images, rigidly and then, if the protocol asks for it, with deformation."""
        settings = self._protocol.align
        images = {
            "fixed": self._images[link.fixed.series_uid].volume,
            "moving": self._images[link.moving.series_uid].volume,
        }
        rigid = self._run(settings.registrar, images)
        if not rigid or settings.deformable == "none":
            return rigid
        return self._run(settings.deformable, images | {"start": rigid}) or rigid

    def _run(self, short_name: str, inputs: Mapping[str, Made]) -> Made:
        name, registrar = plugins.load("registrar", short_name)
        return self._conductor.step(
            f"align.register {name}",
            partial(wiring.register, registrar),
            {**inputs, "error_limit_mm": self._protocol.align.error_limit_mm},
            settings=self._protocol.align.options.get(short_name, FrozenMap()),
            seed=seed_of(self._protocol, self._subject_id, *(made.reference for made in inputs.values())),
            code="lutra.align",
        )


def _both_ways(given: ByHand) -> dict[tuple[str, str], ByHand]:
    one = given.transform
    ways = {(one.fixed_frame, one.moving_frame): given}
    if one.displacement is None:
        ways[one.moving_frame, one.fixed_frame] = ByHand(one.inverse(), given.note)
    return ways


def _seen(image: Image) -> FrameImage:
    header = image.header
    grid = header.grid
    assert grid is not None  # noqa: S101  (an image without geometry is not made)
    return FrameImage(
        series_uid=header.series_uid,
        frame=grid.frame_of_reference,
        role=image.role,
        study_uid=header.study_uid,
        at_s=header.acquired_at.timestamp() if header.acquired_at else np.inf,
        extent_ml=float(np.prod(grid.shape)) * grid.voxel_volume_ml,
    )
