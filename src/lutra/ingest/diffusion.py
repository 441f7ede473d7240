"""Diffusion weighting of MR frames: b-values as vendors write them. A frame without one is refused, never taken as b = 0."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen
from pydicom import Dataset

from lutra.core.errors import InconsistentSeries, InputError
from lutra.core.finding import Finding, Severity
from lutra.core.study import VolumeKey
from lutra.core.time import in_utc
from lutra.ingest.elements import items, many, number, text
from lutra.ingest.frames import Frame, directions

Vector = tuple[float, float, float]

DERIVED_MAPS = {"ADC", "EADC", "FA", "CALC_BVALUE", "TENSOR", "TENSOR_B0"}
"""Image or frame types, (0008,0008) and (0008,9007), that were computed from the weighted images, not acquired."""
B_LIMIT_S_PER_MM2 = 50_000.0
"""No human scanner reaches it; the largest research gradients stay below."""
AGREEMENT = 0.02
"""Relative difference up to which two elements of a file state one b-value: some round it."""
AGREEMENT_S_PER_MM2 = 2.0
GE_BIAS = 1_000_000_000
"""GE adds it to the b-value of series with several and of synthetic ones, see (0043,107F) [dcm2niix issues 149, 602]."""
GE_TENSOR_IMAGE = 16
"""(0043,1030) of an image of a tensor scan, whose b-value is scaled by the square of its gradient's length."""
SAME_PLACE_MM = 0.01
SAME_GAIN = 1e-4


@frozen
class Weighting:
    """What one rule finds in a frame.

    Parameters
    ----------
    b_s_per_mm2
        B-value. [s/mm2]
    gradient_lps
        Unit vector; None if there is none or the rule does not give it.
    nominal_s_per_mm2
        B-value as written, where that is not the one applied. [s/mm2]
    """

    b_s_per_mm2: float
    gradient_lps: Vector | None = None
    nominal_s_per_mm2: float | None = None


@frozen
class Rule:
    """One way to write a b-value: a name for the record, and the function that reads it or finds nothing."""

    name: str
    read: Callable[[Dataset], Weighting | None] = field(repr=False)


def _standard(header: Dataset) -> Weighting | None:
    b = number(header, "DiffusionBValue")
    if b is None and text(header, "DiffusionDirectionality") == "NONE":
        b = 0.0  # stated, not assumed: PS3.3 C.8.13.5.9, "no diffusion weighting"
    if b is None:
        return None
    stated = many(header, "DiffusionGradientOrientation")
    for item in items(header, "DiffusionGradientDirectionSequence"):
        stated = stated or many(item, "DiffusionGradientOrientation")
    if text(header, "DiffusionDirectionality") in {"NONE", "ISOTROPIC"}:
        stated = []
    return Weighting(b, _unit(_floats(stated)))


def _standard_b_matrix(header: Dataset) -> Weighting | None:
    for item in items(header, "DiffusionBMatrixSequence"):
        elements = [number(item, f"DiffusionBValue{axes}") for axes in ("XX", "XY", "XZ", "YY", "YZ", "ZZ")]
        if None not in elements:
            return _from_b_matrix(_floats(elements))
    return None


def _ge(header: Dataset) -> Weighting | None:
    """(0043,1039); direction (0019,10BB..BD) along frequency, phase and slice.

    In tensor scans with several shells b is that of the longest gradient, and goes with the square of the length [dcm2niix
    issues 163, 245]; their b = 0 images have length 0 [issue 777]. Signs as dcm2niix 1.0.20260724 finds them with phase encoding
    along the columns; along the rows they are not validated by anybody. No diffusivity depends on them.
    """
    b = private_numbers(header, 0x0043, "GEMS_PARM_01", 0x39)
    if not b:
        return None
    nominal = b[0] % GE_BIAS
    components = [private_numbers(header, 0x0019, "GEMS_ACQU_01", n) for n in (0xBB, 0xBC, 0xBD)]
    if not all(components):
        return Weighting(nominal)
    x, y, z = (c[0] for c in components)
    length = float(np.linalg.norm([x, y, z]))
    kind = private_numbers(header, 0x0043, "GEMS_PARM_01", 0x30)
    applied = nominal
    if kind and int(kind[0]) % 100 == GE_TENSOR_IMAGE and not np.isclose(length, 1, atol=0.03):
        applied = nominal * length**2
    along = (-y, x, z) if text(header, "InPlanePhaseEncodingDirection") == "ROW" else (-x, -y, z)
    return Weighting(applied, _in_patient(header, along), nominal)


def _siemens(header: Dataset) -> Weighting | None:
    b = private_numbers(header, 0x0019, "SIEMENS MR HEADER", 0x0C)
    g = private_numbers(header, 0x0019, "SIEMENS MR HEADER", 0x0E, "<f8")
    return Weighting(b[0], _unit(g)) if b else None


def _siemens_b_matrix(header: Dataset) -> Weighting | None:
    elements = private_numbers(header, 0x0019, "SIEMENS MR HEADER", 0x27, "<f8")
    return _from_b_matrix(elements) if len(elements) == 6 else None


def _philips(header: Dataset) -> Weighting | None:
    """(2001,1003), a float written as UN by many archives; direction (2005,10B0..B2), none for isotropic images."""
    b = private_numbers(header, 0x2001, "Philips Imaging DD 001", 0x03, "<f4")
    if not b:
        return None
    components = [private_numbers(header, 0x2005, "Philips MR Imaging DD 001", n, "<f4") for n in (0xB0, 0xB1, 0xB2)]
    isotropic = _private(header, 0x2001, "Philips Imaging DD 001", 0x04) in {"I", b"I ", b"I"}
    return Weighting(b[0], None if isotropic or not all(components) else _unit([c[0] for c in components]))


def _uih(header: Dataset) -> Weighting | None:
    """(0065,1009), the value applied; direction (0065,1037) along rows, columns and slices [dcm2niix, read from its output]."""
    b = private_numbers(header, 0x0065, "Image Private Header", 0x09, "<f8")
    g = private_numbers(header, 0x0065, "Image Private Header", 0x37, "<f8")
    return Weighting(b[0], _in_patient(header, g) if len(g) == 3 else None) if b else None


CANON_COMMENT = re.compile(r"b\s*=\s*(\d+(?:\.\d+)?)\s*(?:\(([^()]*)\))?", re.IGNORECASE)


def _canon(header: Dataset) -> Weighting | None:
    """(0020,4000) such as `b=1500(0.445,0.000,0.895)`, in the order column, row, -slice [dcm2niix issues 388, 422]."""
    if not text(header, "Manufacturer").upper().startswith(("CANON", "TOSHIBA")):
        return None
    found = CANON_COMMENT.search(text(header, "ImageComments"))
    if not found:
        return None
    g = _floats((found.group(2) or "").split(","))
    return Weighting(float(found.group(1)), _in_patient(header, (g[1], -g[0], -g[2])) if len(g) == 3 else None)


RULES = (
    Rule("GE (0043,1039)", _ge),
    Rule("Siemens (0019,100C)", _siemens),
    Rule("Philips (2001,1003)", _philips),
    Rule("UIH (0065,1009)", _uih),
    Rule("Canon (0020,4000)", _canon),
    Rule("standard (0018,9087)", _standard),
    Rule("standard b-matrix (0018,9601)", _standard_b_matrix),
    Rule("Siemens b-matrix (0019,1027)", _siemens_b_matrix),
)
"""In order of preference: what a vendor writes of its own scan, then the standard, then what has to be computed."""
COMPUTED = {"standard b-matrix (0018,9601)", "Siemens b-matrix (0019,1027)"}
"""These contain the imaging gradients as well, so they need not agree with the others."""


def weighting(header: Dataset) -> tuple[str, Weighting] | None:
    """Find the diffusion weighting of a frame.

    Parameters
    ----------
    header
        Attributes of the frame at the top, as classic files have them.

    Returns
    -------
    tuple or None
        Name of the rule that gave the b-value, and the weighting, its direction from the first rule that has one; None if no
        rule finds a b-value.

    Raises
    ------
    InputError
        If a b-value is impossible, or two elements contradict each other.
    """
    found = [(rule.name, w) for rule in RULES if (w := rule.read(header)) is not None]
    if not found:
        return None
    where = str(getattr(header, "filename", "") or "")
    for name, w in found:
        if not 0 <= w.b_s_per_mm2 <= B_LIMIT_S_PER_MM2:
            raise InputError(
                f"b-value {w.b_s_per_mm2:g} s/mm2 by rule {name}", where=where, required=f"0 to {B_LIMIT_S_PER_MM2:g}"
            )
    name, first = found[0]
    for other, w in found[1:]:
        if other not in COMPUTED and not (_agree(first, w.b_s_per_mm2)):
            raise InputError(
                f"two b-values: {first.b_s_per_mm2:g} s/mm2 by rule {name}, {w.b_s_per_mm2:g} by rule {other}",
                where=where,
                required="one b-value",
                do="find out which is right at the scanner, and have the other removed",
            )
    gradient = next((w.gradient_lps for _, w in found if w.gradient_lps is not None), None)
    return name, evolve(first, gradient_lps=gradient)


def weigh(frames: Sequence[Frame], findings: list[Finding]) -> list[Frame]:
    """Give the frames of an MR series their diffusion keys.

    Frames of computed maps inside a diffusion series (Philips appends its ADC) are left out with a Finding. Repetitions of one
    weighting at one position are numbered in the order of their acquisition, as time slots.

    Parameters
    ----------
    frames
        All frames of one series.

    Returns
    -------
    list of Frame
        As they came, if no frame states a b-value, or if all are computed maps.

    Raises
    ------
    InconsistentSeries
        If some frames state a b-value and others do not.
    """
    acquired = [f for f in frames if not _is_map(f.header)]
    found = [weighting(f.header) for f in acquired]
    if not any(found):
        return list(frames)
    without = [f.name for f, w in zip(acquired, found, strict=True) if w is None]
    if without:
        raise InconsistentSeries(
            f"{len(without)} of {len(acquired)} frames state no b-value, {without[0]} the first of them",
            where=f"{acquired[0].path.parent}",
            required=f"a b-value in each frame of a diffusion series, by one of {', '.join(rule.name for rule in RULES)}",
            do="export the series again with private elements; b = 0 is not assumed",
        )
    if len(acquired) < len(frames):
        _require_same_places(frames, acquired)
        note = (
            f"{frames[0].path.parent}: {len(frames) - len(acquired)} of {len(frames)} frames are maps the scanner computed "
            "(ImageType (0008,0008)); the diffusion series is read without them"
        )
        findings.append(Finding(Severity.INFO, "ingest.computed-maps-left-out", note))
    _require_one_scale(acquired)
    weighted = [(f, *w) for f, w in zip(acquired, found, strict=True) if w is not None]
    rules = sorted({name for _, name, _ in weighted})
    keyed = [evolve(f, key=VolumeKey(round(w.b_s_per_mm2, 4), w.gradient_lps)) for f, _, w in weighted]
    values = Counter(f.key.b_value_s_per_mm2 for f in keyed)
    counts = ", ".join(f"{b:g} in {n}" for b, n in sorted(values.items(), key=lambda entry: entry[0] or 0.0))
    note = f"{frames[0].path.parent}: b-values by rule {' and '.join(rules)}: {counts} frames"
    findings.append(Finding(Severity.INFO, "ingest.b-value-rule", note))
    return _number_repetitions(keyed)


def _require_same_places(frames: Sequence[Frame], acquired: Sequence[Frame]) -> None:
    """Refuse computed maps that lie elsewhere than the signals.

    A map that lost its mark (0008,0008) would otherwise be taken for all that was measured, and the others left out.
    """
    measured = {_place(frame) for frame in acquired}
    alone = [frame for frame in frames if _place(frame) not in measured]
    if alone:
        raise InconsistentSeries(
            f"{len(alone)} computed maps lie where nothing was measured, {alone[0].name} the first of them",
            where=f"{alone[0].path} (0008,0008), (0020,0032)",
            required="maps of the slices that were measured, or a series of maps alone",
            do="export the series again",
        )


def _place(frame: Frame) -> tuple[float, ...]:
    return tuple(float(x) for x in np.round(frame.position_lps_mm, 1))


def _require_one_scale(frames: Sequence[Frame]) -> None:
    """Refuse Philips frames whose signals are scaled differently: (2005,100E) times the rescale slope is the gain of a frame.

    The rescaled values are proportional to the signal only while that product is the same for all [chenevert2014, Transl Oncol
    7:65].
    """
    gains = []
    for frame in frames:
        scale = private_numbers(frame.header, 0x2005, "Philips MR Imaging DD 001", 0x0E, "<f4")
        slope = number(frame.header, "RescaleSlope")
        if scale and slope:
            gains.append(scale[0] * slope)
    if gains and max(gains) > min(gains) * (1 + SAME_GAIN):
        raise InconsistentSeries(
            f"signals scaled differently: (2005,100E) times (0028,1053) is {min(gains):.6g} to {max(gains):.6g}",
            where=str(frames[0].path.parent),
            required="one scale for all b-values",
            do="export the series with one fixed scaling",
        )


def _number_repetitions(frames: list[Frame]) -> list[Frame]:
    groups: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for n, frame in enumerate(frames):
        groups[frame.key, tuple(np.round(frame.position_lps_mm / SAME_PLACE_MM).astype(int))].append(n)
    numbered = list(frames)
    for members in groups.values():
        if len(members) > 1:
            members.sort(key=lambda n: _acquisition_order(frames[n]))
            for slot, n in enumerate(members, start=1):
                numbered[n] = evolve(frames[n], key=evolve(frames[n].key, time_slot=slot))
    return numbered


def _acquisition_order(frame: Frame) -> tuple[Any, ...]:
    tags = ("TemporalPositionIdentifier", "TemporalPositionIndex", "AcquisitionNumber")
    numbers = [number(frame.header, tag) or 0.0 for tag in tags]
    at = in_utc(frame.acquired_at) if frame.acquired_at else datetime.min.replace(tzinfo=UTC)
    return (*numbers, at, number(frame.header, "InstanceNumber") or 0.0, frame.index)


def _is_map(header: Dataset) -> bool:
    types = {str(v).upper() for tag in ("ImageType", "FrameType") for v in many(header, tag)}
    return bool(types & DERIVED_MAPS)


def private_numbers(header: Dataset, group: int, creator: str, element: int, binary: str = "") -> list[float]:
    """Numbers of a private element, whatever became of its value representation; empty if there are none.

    Parameters
    ----------
    binary
        How the numbers lie in the element if it comes as bytes (UN, OB): `<f8` of FD, `<f4` of FL; empty for IS and DS.
    """
    value = _private(header, group, creator, element)
    if isinstance(value, (bytes, bytearray)):
        if binary and len(value) % np.dtype(binary).itemsize == 0:
            return _floats(np.frombuffer(bytes(value), binary))
        value = bytes(value).decode("ascii", "ignore").strip("\0 ").split("\\")
    if value is None or isinstance(value, str):
        value = (value or "").split("\\")
    return _floats(value if isinstance(value, list) or hasattr(value, "__iter__") else [value])


def _private(header: Dataset, group: int, creator: str, element: int) -> Any:
    if not any(tag >> 16 == group for tag in header.keys()):  # noqa: SIM118  (pydicom's own look-up sorts all elements)
        return None
    try:
        return header.private_block(group, creator)[element].value
    except Exception:  # noqa: BLE001  (a vendor's own element: no standard says what it must be)
        return None


def _floats(values: Any) -> list[float]:
    """Plain finite numbers; none at all if one of them is no number."""
    try:
        found = [float(v) for v in values]
    except (TypeError, ValueError):
        return []
    return found if np.isfinite(found).all() else []


def _unit(vector: Sequence[float]) -> Vector | None:
    """Vector of length 1, rounded so that slices of one volume agree; None if it is none."""
    length = float(np.linalg.norm(vector)) if len(vector) == 3 else 0.0
    if length < 1e-3:
        return None
    x, y, z = (round(float(c) / length, 4) + 0.0 for c in vector)  # -0.0 would be another direction
    return x, y, z


def _in_patient(header: Dataset, along: Sequence[float]) -> Vector | None:
    row, column = directions(header)
    vector: npt.NDArray[np.float64] = along[0] * row + along[1] * column + along[2] * np.cross(row, column)
    return _unit(vector.tolist())


def _from_b_matrix(elements: Sequence[float]) -> Weighting | None:
    if len(elements) != 6:
        return None
    xx, xy, xz, yy, yz, zz = elements
    values, vectors = np.linalg.eigh(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
    return Weighting(float(xx + yy + zz), _unit(vectors[:, -1].tolist()) if values[-1] > 0 else None)


def _agree(first: Weighting, b: float) -> bool:
    stated = (first.b_s_per_mm2, first.nominal_s_per_mm2 if first.nominal_s_per_mm2 is not None else first.b_s_per_mm2)
    return any(abs(b - s) <= max(AGREEMENT_S_PER_MM2, AGREEMENT * s) for s in stated)
