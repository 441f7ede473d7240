"""One header for all instances of a series, or the reason why they do not make one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import evolve
from pydicom import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    MRImageStorage,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
)

from lutra.core.errors import InputError
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import Camera, DecayCorrection, SeriesHeader
from lutra.ingest.agreement import require_agreement, require_one_geometry, require_same_storage
from lutra.ingest.classic import classic_frame
from lutra.ingest.clock import moment
from lutra.ingest.diffusion import weigh
from lutra.ingest.elements import many, positive, text
from lutra.ingest.enhanced import ENHANCED, enhanced_frames
from lutra.ingest.files import parsed
from lutra.ingest.frames import Frame
from lutra.ingest.geometry import Stack, stack
from lutra.ingest.mosaic import mr_frames
from lutra.ingest.nm import by_energy_window, nm_facts, nm_frames
from lutra.ingest.pet import pet_facts, require_all_slices
from lutra.ingest.pixels import require_believable
from lutra.ingest.quiet import quietly
from lutra.ingest.settings import IngestSettings
from lutra.ingest.times import acquisition, require_series_time

FrameReader = Callable[[Path, Dataset, str], tuple[Frame, ...]]


def _one_frame(path: Path, header: Dataset, zone: str) -> tuple[Frame, ...]:
    return (classic_frame(path, header, zone),)


READERS: dict[str, tuple[str, FrameReader]] = {
    CTImageStorage: ("CT", _one_frame),
    MRImageStorage: ("MR", mr_frames),
    NuclearMedicineImageStorage: ("NM", nm_frames),
    PositronEmissionTomographyImageStorage: ("PT", _one_frame),
    **{uid: (modality, enhanced_frames) for uid, modality in ENHANCED.items()},
}
"""What is read: SOP class (0008,0016), the modality (0008,0060) it must state, and who makes frames of a file."""
NUCLEAR = {"PT", "NM"}


@quietly()
def read_header(paths: Sequence[Path], settings: IngestSettings) -> Outcome[SeriesHeader]:
    """Read what one series says about itself.

    Parameters
    ----------
    paths
        All files of one series, in any order.

    Returns
    -------
    Outcome
        The header with slices in spatial order, or none with an ERROR Finding that names file, tag, what is required and
        what to do.
    """
    findings: list[Finding] = []
    if not paths:
        return Outcome(None, (Finding(Severity.ERROR, "ingest.series-refused", "(0020,000E): a series without files"),))
    try:
        files = [(path, parsed(path).header) for path in sorted(paths)]
        require_agreement(files)
        first = files[0][1]
        if text(first, "SOPClassUID") not in READERS:
            return _not_an_image(files[0])
        frames = [frame for path, header in files for frame in _frames(path, header, settings)]
        if len(frames) > len(files):
            require_same_storage([(frame.path, frame.header) for frame in frames])
        require_one_geometry(frames)
        if text(first, "Modality") == "PT":
            require_all_slices(frames)
        if text(first, "Modality") == "NM":
            frames = by_energy_window(frames)
        if text(first, "Modality") == "MR":
            frames = weigh(frames, findings)
        stacked = stack(frames, text(first, "FrameOfReferenceUID"), settings, findings)
        return Outcome(_header(stacked, settings, findings), findings)
    except InputError as error:
        return Outcome(None, (*findings, Finding(Severity.ERROR, "ingest.series-refused", str(error))))


def _frames(path: Path, header: Dataset, settings: IngestSettings) -> tuple[Frame, ...]:
    modality, reader = READERS[text(header, "SOPClassUID")]
    if text(header, "Modality") != modality:
        raise InputError(
            f"modality {text(header, 'Modality') or 'missing'} in an object of class {UID(text(header, 'SOPClassUID')).name}",
            where=f"{path} (0008,0060)",
            required=modality,
            do="export the file again from its source",
        )
    if reader in {_one_frame, mr_frames} and text(header, "NumberOfFrames") not in {"", "1"}:
        raise InputError(
            f"{text(header, 'NumberOfFrames')} frames in an object of one frame",
            where=f"{path} (0028,0008)",
            required="one slice per file, or an enhanced object",
            do="export the series again",
        )
    if reader not in {_one_frame, mr_frames}:
        require_believable(path, header)
    return reader(path, header, settings.time_zone)


def _not_an_image(file: tuple[Path, Dataset]) -> Outcome[SeriesHeader]:
    path, header = file
    modality = text(header, "Modality")
    if modality in {"RTSTRUCT", "SEG"}:
        note = f"{path}: regions, not an image; they are read with the images of their frame of reference"
        return Outcome(None, (Finding(Severity.INFO, "ingest.not-an-image", note),))
    kind = UID(text(header, "SOPClassUID")).name or "unknown"
    text_ = (
        f"{path}: objects of class {kind} (0008,0016), modality {modality or 'unknown'} (0008,0060), are not read by this version. "
        f"Required: {', '.join(UID(uid).name for uid in READERS)} or RT Structure Set Storage. To do: nothing, or export the "
        "images as one of these"
    )
    return Outcome(None, (Finding(Severity.WARNING, "ingest.modality-not-read", text_),))


def _header(stacked: Stack, settings: IngestSettings, findings: list[Finding]) -> SeriesHeader:
    frames, zone = stacked.frames, settings.time_zone
    first, where = frames[0].header, frames[0].path.parent
    if not text(first, "TimezoneOffsetFromUTC"):
        findings.append(
            Finding(
                Severity.INFO,
                "ingest.no-time-zone",
                f"{where}: the files name no time zone (0008,0201); the study's zone {zone} applies. To do: set "
                "study.time_zone in protocol.toml if that is not where the scanner stands",
            )
        )
    acquired_at, slice_times = acquisition(frames, decays=text(first, "Modality") in NUCLEAR, findings=findings)
    several = len({f.uid for f in frames}) < len(frames)
    header = SeriesHeader(
        series_uid=text(first, "SeriesInstanceUID"),
        study_uid=text(first, "StudyInstanceUID"),
        subject_id=text(first, "PatientID"),
        modality=text(first, "Modality"),
        sop_class_uid=text(first, "SOPClassUID"),
        description=text(first, "SeriesDescription"),
        manufacturer=text(first, "Manufacturer"),
        model=text(first, "ManufacturerModelName"),
        image_type=tuple(str(v) for v in many(first, "ImageType")),
        frame_of_reference=text(first, "FrameOfReferenceUID"),
        instances=tuple(f.uid for f in frames),
        frame_indices=tuple(f.index for f in frames) if several else (),
        grid=stacked.grid,
        volumes=stacked.volumes,
        stored_unit=text(first, "Units") or text(first, "RescaleType") or None,
        has_rescale="RescaleSlope" in first,
        series_started_at=moment(first, "SeriesDate", "SeriesTime", zone),
        acquired_at=acquired_at,
        slice_acquired_at=slice_times,
        patient_weight_kg=positive(first, "PatientWeight"),
        patient_height_m=positive(first, "PatientSize"),
        patient_sex=text(first, "PatientSex") or None,
        slice_thickness_mm=positive(first, "SliceThickness"),
        camera=Camera(
            text(first, "Manufacturer"),
            text(first, "ManufacturerModelName"),
            text(first, "DeviceSerialNumber"),
            text(first, "StationName"),
        ),
        dates_moved=text(first, "LongitudinalTemporalInformationModified") in ("MODIFIED", "REMOVED"),
    )
    facts = {"PT": pet_facts, "NM": nm_facts}.get(header.modality)
    if facts is None:
        return header
    if text(first, "DecayCorrection") == DecayCorrection.START:
        require_series_time(header, frames[0], findings)
    return evolve(header, **facts(header, frames, zone, findings))
