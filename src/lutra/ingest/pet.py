"""What a header of a PET-type image says about radioactivity: decay correction, frame times, administration, private factors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve
from pydicom import Dataset

from lutra.core.errors import InconsistentSeries
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.ingest.clock import moment, parse
from lutra.ingest.elements import alike, items, many, number, positive, private, text
from lutra.ingest.frames import Frame
from lutra.ingest.radiopharmaceutical import read_radiopharmaceutical

MS_PER_S = 1000.0
PHILIPS_FACTORS = {"philips_suv": 0x00, "philips_activity": 0x09}
"""Name here, and element of the private group 7053."""
ADMINISTRATION_FACTS = {
    "nuclide": "nuclide (0054,0300)",
    "activity_bq": "injected activity (0018,1074)",
    "administered_at": "administration time (0018,1078) or (0018,1072)",
    "half_life_s": "half-life (0018,1075)",
    "residual_activity_bq": "residual activity (0009,103C)",
}
"""What must be one value in a series; the agent's name is only shown."""
SERIES_TAGS = (
    "PatientWeight",
    "PatientSize",
    "PatientSex",
    "SeriesDate",
    "SeriesTime",
    "TimezoneOffsetFromUTC",
    "CorrectedImage",
    "SUVType",
)
AGENT_TAGS = (
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartDateTime",
    "RadiopharmaceuticalStartTime",
)
PRIVATE_ELEMENTS = {0x0009: {0x0D, 0x38, 0x39, 0x3C, 0x3D}, 0x0071: {0x22}, 0x7053: {0x00, 0x09}}
T = TypeVar("T")


def pet_facts(header: SeriesHeader, frames: Sequence[Frame], zone: str, findings: list[Finding]) -> dict[str, Any]:
    """Fields of :class:`~lutra.core.study.SeriesHeader` that only nuclear images have, by name.

    What must be one value in a series and is not is left out, with a Finding: the first slice does not decide.
    """
    distinct: dict[tuple[Any, ...], tuple[Path, Dataset]] = {}
    for frame in frames:
        distinct.setdefault(_raw(frame.header), (frame.path, frame.header))
    files = tuple(distinct.values())
    first = files[0][1]

    def agreed(what: str, read: Callable[[Dataset], T | None]) -> T | None:
        return _agreed(files, what, read, findings)

    dated = [frame for frame in frames if frame.acquired_at is not None]
    undated = next((frame for frame in frames if frame.acquired_at is None), None)
    if dated and undated:
        what = "acquisition time (0008,0022), (0008,0032)"
        findings.append(_disagreement(dated[0].path, what, dated[0].acquired_at, undated.path, None))
    weight_kg = agreed("patient weight (0010,1030)", lambda h: positive(h, "PatientWeight"))
    if header.patient_weight_kg is None:
        findings.append(
            Finding(
                Severity.WARNING,
                "ingest.no-weight",
                f"{files[0][0].parent}: patient weight (0010,1030) is {text(first, 'PatientWeight') or 'missing'}, so there is no "
                "SUV. To do: have it entered at the source",
            )
        )
    return {
        "acquired_at": None if undated else header.acquired_at,
        "patient_weight_kg": weight_kg,
        "patient_height_m": agreed("patient size (0010,1020)", lambda h: positive(h, "PatientSize")),
        "patient_sex": agreed("patient sex (0010,0040)", lambda h: text(h, "PatientSex") or None),
        "series_started_at": agreed(
            "series time (0008,0021), (0008,0031)", lambda h: moment(h, "SeriesDate", "SeriesTime", zone)
        ),
        "decay_correction": decay_correction(first),
        "corrected_image": _corrections(files),
        "decay_factor": positive(first, "DecayFactor"),
        "scan_reference_at": agreed(
            "private scan time (0009,100D) or (0071,1022)", lambda h: _private_scan_time(h, zone)
        ),
        "frame_reference_time_s": _seconds(first, "FrameReferenceTime"),
        "frame_duration_s": _seconds(first, "ActualFrameDuration"),
        "slice_frame_reference_s": _of_every_slice(frames, "FrameReferenceTime"),
        "slice_frame_duration_s": _of_every_slice(frames, "ActualFrameDuration"),
        "radiopharmaceutical": _one_administration(files, header.acquired_at, zone, findings),
        "vendor_factors": FrozenMap(
            {
                name: factor
                for name, element in PHILIPS_FACTORS.items()
                if (factor := agreed(f"{name} (7053,10{element:02X})", partial(_philips_factor, element=element)))
            }
        ),
        "suv_type": _suv_type([text(h, "SUVType").upper() for _, h in files]),
        "reconstruction": "; ".join(
            str(v) for tag in ("ReconstructionMethod", "ConvolutionKernel") for v in many(first, tag)
        ),
    }


def require_all_slices(frames: Sequence[Frame]) -> None:
    """Refuse a series that says it has more slices, (0054,0081), than are there.

    Raises
    ------
    InconsistentSeries
        Naming both numbers.
    """
    stated = positive(frames[0].header, "NumberOfSlices")
    if stated is not None and len(frames) < int(stated):
        raise InconsistentSeries(
            f"{len(frames)} of {int(stated)} slices are there",
            where=f"{frames[0].path.parent} (0054,0081)",
            required="all slices",
            do="export the series again, whole",
        )


def decay_correction(header: Dataset) -> DecayCorrection | None:
    """(0054,1102) Decay Correction; None if it is missing or no term of the standard."""
    stated = text(header, "DecayCorrection")
    return DecayCorrection(stated) if stated in set(DecayCorrection) else None


def _raw(header: Dataset) -> tuple[Any, ...]:
    """Everything that must agree, as it lies in the file: of slices with the same bytes one speaks for all.

    Reading the values of every slice would take longer than reading the series.
    """
    raw = [_bytes(header, tag) for tag in SERIES_TAGS]
    for agent in items(header, "RadiopharmaceuticalInformationSequence"):
        raw += [_bytes(agent, tag) for tag in AGENT_TAGS]
        raw += [_bytes(code, "CodeValue") for code in items(agent, "RadionuclideCodeSequence")]
    own = (t for t in header.keys() if t.group in PRIVATE_ELEMENTS)  # noqa: SIM118  (a dataset iterates over values)
    private_tags = (t for t in own if t.element < 0x100 or t.element & 0xFF in PRIVATE_ELEMENTS[t.group])
    return (*raw, *((t, _bytes(header, t)) for t in private_tags))


def _bytes(dataset: Dataset, tag: Any) -> bytes | str:
    element = dataset.get_item(tag)
    if element is None:
        return ""
    return element.value if isinstance(element.value, bytes) else str(element.value)


def _agreed(
    files: Sequence[tuple[Path, Dataset]], what: str, read: Callable[[Dataset], T | None], findings: list[Finding]
) -> T | None:
    """Read one value from all files of a series; None, with a Finding, if they contradict each other."""
    (path, first), *others = files
    value = read(first)
    for other_path, other in others:
        if (there := read(other)) != value:
            findings.append(_disagreement(path, what, value, other_path, there))
            return None
    return value


def _disagreement(path: Path, what: str, value: object, other_path: Path, other: object) -> Finding:
    here, there = ("missing" if v is None else str(v) for v in (value, other))
    return Finding(
        Severity.ERROR,
        "ingest.slices-disagree",
        f"{path.parent}: {what} is {here} in {path.name} and {there} in {other_path.name}; it is not used. Required: one value in "
        "a series. To do: separate the series at its source, or export it again",
    )


def _one_administration(
    files: Sequence[tuple[Path, Dataset]], acquired_at: datetime | None, zone: str, findings: list[Finding]
) -> Radiopharmaceutical | None:
    (path, first), *others = files
    agent = read_radiopharmaceutical(first, acquired_at, zone, findings)
    unheard: list[Finding] = []
    for other_path, header in others:
        other = read_radiopharmaceutical(header, acquired_at, zone, unheard)
        if other == agent:
            continue
        if agent is None or other is None:
            what = "radiopharmaceutical information (0054,0016)"
            findings.append(_disagreement(path, what, agent and "there", other_path, other and "there"))
            return None
        for name, what in ADMINISTRATION_FACTS.items():
            here, there = getattr(agent, name), getattr(other, name)
            if here is not None and here != there:
                findings.append(_disagreement(path, what, here, other_path, there))
                agent = evolve(agent, **{name: None})
    return agent


def _suv_type(stated: Sequence[str]) -> str | None:
    """One type, or all that are met; an absent one beside others is BW, as the standard reads it."""
    return " and ".join(sorted({one or "BW" for one in stated})) if any(stated) else None


def _corrections(files: Sequence[tuple[Path, Dataset]]) -> tuple[str, ...]:
    """Name the corrections that every slice has had."""
    (_, first), *others = files
    applied = [str(v) for v in many(first, "CorrectedImage")]
    for _, other in others:
        if not alike(first, other, "CorrectedImage"):
            applied = [v for v in applied if v in {str(w) for w in many(other, "CorrectedImage")}]
    return tuple(applied)


def _private_scan_time(header: Dataset, zone: str) -> datetime | None:
    """Scan date and time of GE (0009,100D), or decay correction date and time of Siemens (0071,1022)."""
    for group, creator, element in ((0x0009, "GEMS_PETD_01", 0x0D), (0x0071, "SIEMENS MED PT", 0x22)):
        value = private(header, group, creator, element)
        if value is not None and (at := parse(str(value), zone, text(header, "TimezoneOffsetFromUTC"))):
            return at
    return None


def _philips_factor(header: Dataset, element: int) -> float | None:
    try:
        factor = float(private(header, 0x7053, "Philips PET Private Group", element))
    except (ValueError, TypeError):
        return None
    return factor if 0 < factor < float("inf") else None


def _of_every_slice(frames: Sequence[Frame], tag: str) -> tuple[float, ...]:
    values = [_seconds(frame.header, tag) for frame in frames]
    return tuple(v for v in values if v is not None) if None not in values else ()


def _seconds(header: Dataset, tag: str) -> float | None:
    value = number(header, tag)
    return None if value is None else value / MS_PER_S
