"""Says what each series of some files is, without a study."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import asdict, evolve, field, frozen

from lutra.core.finding import Finding
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.core.grid import Grid
from lutra.core.study import Camera, EnergyWindow, Role, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.ingest import IngestSettings, UnpackSettings, read_header, read_volumes, scan_unpacked
from lutra.pipeline.contents import contents
from lutra.quantify import (
    QuantifySettings,
    SuvFactor,
    decay_reference,
    quantify,
    role_of,
    suv_bw_factor,
    suv_scales,
    to_activity,
)

BQ_PER_MBQ = 1e6


@frozen
class SeriesInspection:
    """One series as `lutra inspect` shows it; what cannot be determined is None.

    Parameters
    ----------
    suv_case
        Names of the rules that gave the SUVbw factor or refused it, as docs/suv.md lists them; None for CT and MR.
    suv_factors
        From stored values to `suv_bw`, `sul`, `sul_james` and `suv_bsa`: one for the series, or one per slice.
    """

    series_uid: str
    modality: str
    description: str
    grid: Grid | None
    unit: str | None
    acquired_at: str | None
    decay_referenced_to: str | None
    suv_bw_factor: float | None
    suv_bw_reason: str
    total_activity_mbq: float | None
    findings: tuple[Finding, ...]
    total_counts: tuple[float, ...] = ()
    acquisition_duration_s: float | None = None
    camera: Camera | None = None
    energy_windows: tuple[EnergyWindow, ...] = ()
    b_values_s_per_mm2: tuple[float, ...] = ()
    suv_case: str | None = None
    suv_factors: FrozenMap[str, tuple[float, ...]] = field(factory=FrozenMap, converter=frozen_map)
    holds: tuple[str, ...] = ()
    """Regions of an RTSTRUCT or SEG, dose of an RTDOSE: a line for each."""

    def as_json(self) -> dict[str, Any]:
        """Plain data with the field names other programs rely on."""
        return {
            "series_uid": self.series_uid,
            "modality": self.modality,
            "description": self.description,
            "shape": list(self.grid.shape) if self.grid else None,
            "spacing_mm": list(self.grid.spacing_mm) if self.grid else None,
            "unit": self.unit,
            "acquired_at": self.acquired_at,
            "decay_referenced_to": self.decay_referenced_to,
            "suv_bw_factor": self.suv_bw_factor,
            "suv_bw_reason": self.suv_bw_reason,
            "suv_case": self.suv_case,
            "suv_factors": {name: list(factors) for name, factors in self.suv_factors.items()},
            "total_activity_mbq": self.total_activity_mbq,
            "total_counts": list(self.total_counts),
            "acquisition_duration_s": self.acquisition_duration_s,
            "camera": asdict(self.camera) if self.camera else None,
            "b_values_s_per_mm2": list(self.b_values_s_per_mm2),
            "energy_windows": [asdict(window) for window in self.energy_windows],
            "holds": list(self.holds),
            "findings": [{"severity": f.severity.value, "code": f.code, "text": f.text} for f in self.findings],
        }


def inspect(
    paths: Iterable[Path], ingest: IngestSettings | None = None, quantification: QuantifySettings | None = None
) -> tuple[tuple[SeriesInspection, ...], tuple[Finding, ...]]:
    """Inspect every series in files, folders and containers.

    Returns
    -------
    tuple
        The series, and the Findings that belong to no series.
    """
    ingest, quantification = ingest or IngestSettings(), quantification or QuantifySettings()
    series = []
    with TemporaryDirectory(prefix="lutra-inspect-") as folder:
        intake = scan_unpacked(paths, Path(folder), UnpackSettings())
        files = sorted(intake.files, key=lambda f: (f.series_uid, f.path))
        for uid, group in groupby(files, key=lambda f: f.series_uid):
            members = tuple(group)
            places = tuple(Path(f.path) for f in members)
            one = _inspect(uid, members[0].modality, places, ingest, quantification)
            series.append(evolve(one, findings=tuple(_as_the_user_knows_it(f, intake.names) for f in one.findings)))
    return tuple(series), intake.findings


def _as_the_user_knows_it(finding: Finding, names: Mapping[str, str]) -> Finding:
    """Name the member of a container, not the file it was unpacked to: that is gone when this is read."""
    if not names:
        return finding
    folder = str(Path(next(iter(names))).parent)
    file = re.compile(rf"(?:{re.escape(folder)}/)?(?<![\d.])(\d{{7}})(?![\d.])")
    text = file.sub(lambda found: names.get(f"{folder}/{found[1]}", found[0]), finding.text)
    return evolve(finding, text=text.replace(folder, str(Path(next(iter(names.values()))).parent)))


def _inspect(
    uid: str, modality: str, paths: tuple[Path, ...], ingest: IngestSettings, quantification: QuantifySettings
) -> SeriesInspection:
    held = contents(modality, paths)
    if held is not None:
        return SeriesInspection(
            uid, modality, "", None, None, None, None, None, "not an image", None, held.findings, holds=held.value or ()
        )
    outcome = read_header(paths, ingest)
    header, findings = outcome.value, list(outcome.findings)
    if header is None or header.grid is None:
        reason = "the series was refused"
        return SeriesInspection(
            uid,
            modality,
            header.description if header else "",
            None,
            None,
            None,
            None,
            None,
            reason,
            None,
            tuple(findings),
        )
    suv = suv_bw_factor(header)
    nuclear = header.modality in {"PT", "NM"}
    if nuclear:
        findings += suv.findings
    read = read_volumes(paths, header, ingest)
    findings += read.findings
    volumes = read.value or ()
    image = volumes[0] if len(volumes) == 1 else None
    unit, total = _unit(header, volumes, quantification, findings)
    if image is not None and header.stored_unit == "BQML":
        activity = to_activity(header, image)
        findings += activity.findings
        total = activity.value.integral() / BQ_PER_MBQ if activity.value else None
    reference = decay_reference(header).value if nuclear else None
    factors = _suv_factors(header, suv, findings)
    return SeriesInspection(
        uid,
        modality,
        header.description,
        header.grid,
        unit,
        header.acquired_at.isoformat() if header.acquired_at else None,
        reference.at.isoformat() if reference else None,
        suv.value,
        suv.reason,
        total,
        tuple(dict.fromkeys(findings)),
        tuple(float(v.values.sum(dtype=float)) for v in volumes if header.stored_unit == "CNTS"),
        header.acquisition_duration_s,
        header.camera,
        header.energy_windows,
        tuple(key.b_value_s_per_mm2 for key in header.volumes if key.b_value_s_per_mm2 is not None),
        suv_case=suv.case if nuclear else None,
        suv_factors=factors,
    )


def _suv_factors(header: SeriesHeader, suv: SuvFactor, findings: list[Finding]) -> FrozenMap[str, tuple[float, ...]]:
    """SUVbw and its other normalisations, where there is one."""
    body_weight = suv.slice_values or (() if suv.value is None else (suv.value,))
    if not body_weight:
        return FrozenMap()
    scales = suv_scales(header)
    findings += scales.findings
    others = (scales.value or {}).items()
    return FrozenMap({"suv_bw": body_weight, **{name: tuple(f * scale for f in body_weight) for name, scale in others}})


def _unit(
    header: SeriesHeader, volumes: tuple[Volume, ...], settings: QuantifySettings, findings: list[Finding]
) -> tuple[str | None, None]:
    """Find the unit of the stored values; that of CT and MR is what quantification makes of them."""
    stored = {"BQML": Unit.BQ_PER_ML, "GML": Unit.SUV_BW}.get(header.stored_unit or "")
    if stored is Unit.SUV_BW and header.suv_type not in {None, "BW"}:
        return f"{Unit.G_PER_ML.value} ({header.suv_type})", None
    if stored or header.modality in {"PT", "NM"}:
        return (stored.value if stored else header.stored_unit), None
    role = role_of(header)
    findings += role.findings
    if role.value is None or not volumes:
        return None, None
    quantified = quantify(header, volumes, Role(role.value), settings)
    findings += quantified.findings
    return (quantified.value.unit.value if quantified.value else None), None
