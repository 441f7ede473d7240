"""A subject as objects that leave the study for an archive refer to it: its images, identifiers and regions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path

from attrs import evolve, field, frozen

from lutra import __version__
from lutra.core.finding import Finding, Severity
from lutra.core.region import Region
from lutra.core.study import Role, SeriesHeader
from lutra.export import Algorithm, stable_uid, write_segmentation
from lutra.export.measurement_report import Verified
from lutra.export.part10 import long_string
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.record import LesionRecord, ObservationRecord, SubjectRecord
from lutra.pipeline.results import slug
from lutra.pipeline.signed import Signatures
from lutra.pipeline.study import StudyFolder

HALF = 0.5
"""Share of a voxel from which a segment holds it."""
MADE_BY = Algorithm("Lutra", __version__, "SEMIAUTOMATIC")


@frozen
class Segments:
    """A file of segments, and the number of each lesion's in it."""

    path: Path
    numbers: Mapping[str, int]


@frozen
class _Part:
    """A region, its address in the store, and the lesion it is of (empty for others)."""

    reference: str
    region: Region
    lesion_id: str


@frozen(eq=False)
class DicomSubject:
    """A subject with what is needed to refer to its images.

    Parameters
    ----------
    folder
        Where its objects go.
    findings
        Doubts met on the way.
    """

    study: StudyFolder
    protocol: Protocol
    conductor: Conductor
    record: SubjectRecord
    signatures: Signatures
    folder: Path
    made_at: datetime
    findings: list[Finding] = field(factory=list)

    @property
    def name(self) -> str:
        """Pseudonym or name of the subject."""
        return self.record.subject.subject_id

    @cached_property
    def headers(self) -> dict[str, SeriesHeader]:
        """Of every image that could be read, by series."""
        return {s.series_uid: self.conductor.value(s.header) for s in self.record.series if s.header}

    @cached_property
    def labels(self) -> dict[str, str]:
        """Names of the images in the course of treatment, by series."""
        return {t.series_uid: t.label for t in self.record.subject.timepoints}

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for source in self.study.ledger.sources(self.name):
            found.setdefault(source.series_uid, []).append(Path(source.path))
        return found

    @cached_property
    def spects(self) -> dict[int | None, list[str]]:
        """Series of therapy SPECT, by cycle."""
        found: dict[int | None, list[str]] = {}
        for t in self.record.subject.timepoints:
            if t.role is Role.THERAPY_SPECT:
                found.setdefault(t.cycle, []).append(t.series_uid)
        return found

    def images(self, series_uid: str) -> tuple[Path, ...]:
        """Files of a series."""
        return tuple(self._files.get(series_uid, ()))

    def uid(self, *parts: str) -> str:
        """Give the identifier that follows from these parts, the protocol and the subject."""
        return stable_uid(self.protocol.digest, self.name, *parts)

    def path(self, kind: str, label: str) -> Path:
        """File of an object: `sr-CT-29-Dec-2025.dcm`."""
        return self.folder / f"{kind}-{slug(label)}.dcm"

    def lesion_name(self, lesion: LesionRecord) -> str:
        """Tracking identifier of a lesion: the same in every object."""
        return long_string(f"{lesion.lesion_id} {lesion.name}")

    def lesion_uid(self, lesion: LesionRecord) -> str:
        """Tracking unique identifier of a lesion: the same in every object."""
        return self.uid("lesion", lesion.lesion_id)

    def transforms(self) -> tuple[Made, ...]:
        """Every map between frames of reference that the run made."""
        return tuple(t.transform for t in self.record.transforms if t.transform)

    def verified(self, series_uid: str, values: Iterable[Made]) -> Verified | None:
        """Who stands for numbers of an image, and for which organization."""
        signed = self.signatures.on_image(series_uid, values)
        organization = long_string(f"study {self.protocol.study.name}")
        return None if signed is None else Verified(signed.by, signed.at, organization)

    def segments(self, series_uid: str) -> Segments | None:
        """Write every region that the study used on an image; None if it used none there."""
        label, header = self.labels[series_uid], self.headers.get(series_uid)
        parts = {part.reference: part for part in self._parts(series_uid) if self._fills_a_voxel(part, label)}
        if not parts or header is None:
            return None
        path = write_segmentation(
            self.path("seg", label),
            [part.region for part in parts.values()],
            self.images(series_uid),
            header,
            series_uid=self.uid("seg series", series_uid),
            instance_uid=self.uid("seg", series_uid, *parts),
            drawn_at=self.made_at,
            kind="BINARY",
            algorithm=MADE_BY,
            description=f"Regions, {label}",
        )
        lesions = {part.lesion_id: number for number, part in enumerate(parts.values(), start=1) if part.lesion_id}
        return Segments(path, lesions)

    def _parts(self, series_uid: str) -> Iterator[_Part]:
        """Regions of an image under the names that they have in every object; what shares a region comes once."""
        for lesion in self.record.lesions:
            named = self.lesion_name(lesion), self.lesion_uid(lesion)
            yield from self._named(
                (o for o in lesion.observations if o.series_uid == series_uid), named, lesion.lesion_id
            )
        for organ in self.record.organs:
            if organ.series_uid == series_uid:
                yield from self._named([organ], (long_string(organ.region_name), self.uid("region", organ.region_name)))

    def _named(self, seen: Iterable[ObservationRecord], named: tuple[str, str], lesion_id: str = "") -> Iterator[_Part]:
        for observation in seen:
            digest, _, index = observation.region.rstrip("]").partition("[")
            region = self.conductor.value(Made(digest, "", int(index) if index else None)) if digest else None
            if isinstance(region, Region):  # a tumour burden is a sum of many and no region of its own
                name, uid = named
                yield _Part(
                    observation.region, evolve(region, name=name, tracking_id=name, tracking_uid=uid), lesion_id
                )

    def _fills_a_voxel(self, part: _Part, label: str) -> bool:
        fills = bool(part.region.fraction.max(initial=0) >= HALF)
        if not fills:
            text = f"{self.name}: {part.region.name} fills no voxel of {label} by half, and has no segment"
            self.findings.append(Finding(Severity.INFO, "export.no-segment", text, {"subject": self.name}))
        return fills
