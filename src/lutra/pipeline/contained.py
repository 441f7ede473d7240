"""What of a subject can be pointed at: its series, frames of reference, regions and lesions, by the names people use."""

from __future__ import annotations

from attrs import field, frozen

from lutra.core.errors import UsageError
from lutra.core.finding import few
from lutra.core.frozen import FrozenMap
from lutra.core.lesion import Lesion
from lutra.core.study import SeriesHeader
from lutra.pipeline.record import SubjectRecord
from lutra.pipeline.results import slug
from lutra.store import ArtifactStore, Ledger


@frozen(eq=False)
class Contained:
    """Contents of a subject as its last run knows them.

    Parameters
    ----------
    headers
        Of every series that could be read.
    labels
        Name of each series on pages and in results, by its UID.
    regions
        Names of the regions on each series, by its UID.
    lesions
        Lesion identifiers issued.
    record
        The last run.
    """

    headers: tuple[SeriesHeader, ...]
    labels: FrozenMap[str, str]
    regions: FrozenMap[str, tuple[str, ...]]
    lesions: tuple[str, ...]
    record: SubjectRecord = field(repr=False)

    def header(self, series: str) -> SeriesHeader:
        """Find a series by UID or label, in any case and with hyphens for what is no letter or number.

        Raises
        ------
        UsageError
            If there is none or more than one; lists what there is.
        """
        wanted = slug(series).casefold()
        found = [h for h in self.headers if h.series_uid == series] or [
            h for h in self.headers if slug(self.labels.get(h.series_uid, "")).casefold() == wanted
        ]
        if len(found) != 1:
            how_many = "no" if not found else f"{len(found)}"
            raise UsageError(f"{how_many} series {series!r} in {self.subject_id}", required=f"one of: {self._listed()}")
        return found[0]

    def frame(self, name: str) -> str:
        """Find a frame of reference by its UID, or by a series in it.

        Raises
        ------
        UsageError
            If there is none, or the series has none.
        """
        if any(header.frame_of_reference == name for header in self.headers):
            return name
        header = self.header(name)
        if not header.frame_of_reference:
            raise UsageError(f"series {header.series_uid} has no frame of reference (0020,0052)")
        return header.frame_of_reference

    def in_frame(self, frame: str) -> tuple[SeriesHeader, ...]:
        """Series of a frame of reference."""
        return tuple(header for header in self.headers if header.frame_of_reference == frame)

    def require_region(self, series_uid: str, region: str) -> None:
        """Raise unless a series has a region of this name."""
        names = self.regions.get(self.header(series_uid).series_uid, ())
        if region not in names:
            raise UsageError(
                f"no region {region!r} on series {self.labels.get(series_uid, series_uid)}",
                required=f"one of: {few(names, 20)}" if names else "a series with regions",
            )

    def require_lesion(self, lesion_id: str) -> None:
        """Raise unless this lesion was issued."""
        if lesion_id not in self.lesions:
            raise UsageError(
                f"no lesion {lesion_id!r} in {self.subject_id}",
                required=f"one of: {few(self.lesions, 20) or 'none yet'}",
            )

    @property
    def subject_id(self) -> str:
        """Whose contents these are."""
        return self.record.subject.subject_id

    def _listed(self) -> str:
        lines = (f"{self.labels.get(h.series_uid) or h.modality} ({h.series_uid})" for h in self.headers)
        return "; ".join(lines) or "none"


def contained(ledger: Ledger, store: ArtifactStore, subject_id: str) -> Contained:
    """Load what a subject contains.

    Raises
    ------
    UsageError
        If there is no such subject, or it has not been run.
    """
    if subject_id not in ledger.subject_ids():
        required = f"one of: {', '.join(ledger.subject_ids()) or 'none yet'}"
        raise UsageError(f"no subject {subject_id!r} in this study", required=required)
    digest = ledger.current_records().get(subject_id)
    if digest is None:
        raise UsageError(
            f"subject {subject_id} has not been run",
            required="its series, frames and lesions",
            do="lutra run, then again",
        )
    record: SubjectRecord = store.get(digest)
    issued = ledger.lesion_list(subject_id)
    listed: tuple[Lesion, ...] = store.get(issued.issued) if issued else ()
    regions: dict[str, dict[str, None]] = {}
    for observation in (*record.organs, *(o for lesion in record.lesions for o in lesion.observations)):
        regions.setdefault(observation.series_uid, {})[observation.region_name] = None
    return Contained(
        tuple(store.get(series.header.output) for series in record.series if series.header.output is not None),
        FrozenMap({series.series_uid: series.label for series in record.series}),
        FrozenMap({uid: tuple(names) for uid, names in regions.items()}),
        tuple(dict.fromkeys((*(lesion.lesion_id for lesion in listed), *(e.lesion_id for e in record.lesions)))),
        record,
    )
