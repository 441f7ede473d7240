"""What a perfect analysis of the images would find, in the tables and units of the results.

Long tables: one row per quantity, named as in the study's own tables and on the command line, in the unit those show. What a
lesion is called there is what its reader called it.

Absorbed doses are stated for each engine as what it would find with the true activity, mass and time course: `local` counts
electrons alone, `sphere` a sphere of the lesion's mass with its own photons. The dose that kills in the digital patient is that
of the living part as a sphere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.dose.region_means import self_dose
from lutra.physics.homogeneous_dose import KEV_PER_G_IN_GY
from lutra.pipeline.views import SHOWN
from lutra.reference.nuclides import nuclide
from lutra.simulate.disease import SeenLesion
from lutra.simulate.drawn import ORGANS, organ_regions
from lutra.simulate.images import dwi_tissue, lesion_adc
from lutra.simulate.patient import DigitalPatient
from lutra.simulate.scene import LESION_TISSUE_FDG_MEAN, Scene, fdg_of_lesions, lesion_activity_bq
from lutra.simulate.tissues import TISSUES
from lutra.simulate.truth_dose import doses_gy
from lutra.simulate.uptake import EARLY_S, LATE_S, UptakeCurves
from lutra.simulate.visits import Kind, Scan

Row = dict[str, str | float | int | None]

TEXT, FLOAT, INT = pa.string(), pa.float64(), pa.int32()
QUANTITY = [("quantity", TEXT), ("value", FLOAT), ("unit", TEXT)]
SCHEMAS = {
    "scans": pa.schema(
        [
            *((name, TEXT) for name in ("subject", "lesion", "series_uid", "scan", "image")),
            ("cycle", INT),
            ("day", FLOAT),
            *QUANTITY,
        ]
    ),
    "cycles": pa.schema([("subject", TEXT), ("lesion", TEXT), ("cycle", INT), ("day", FLOAT), *QUANTITY]),
    "organs": pa.schema(
        [
            *((name, TEXT) for name in ("subject", "organ", "series_uid", "scan", "image")),
            ("cycle", INT),
            *QUANTITY,
        ]
    ),
    "lesions": pa.schema(
        [
            *((name, TEXT) for name in ("subject", "lesion", "lesion_id", "site", "parents")),
            ("grade", INT),
            ("appears_day", FLOAT),
            *(
                (name, FLOAT)
                for name in (
                    "alpha_per_gy",
                    "growth_per_month",
                    "inert_share",
                    "core_share",
                    "uptake_cv",
                    "fdg_suv_max",
                )
            ),
        ]
    ),
    "fields": pa.schema([(name, TEXT) for name in ("subject", "scan", "series_uid", "key")]),
    "labs": pa.schema([("subject", TEXT), ("day", INT), *QUANTITY, ("grade", INT)]),
    "patients": pa.schema(
        [
            *((name, TEXT) for name in ("subject", "sex", "primary")),
            *((name, FLOAT) for name in ("age_y", "height_m", "weight_kg", "gfr_ml_per_min")),
            ("grade", INT),
            ("cycles", INT),
            ("stop_cause", TEXT),
            ("progression_day", FLOAT),
            *((name, TEXT) for name in ("progression_cause", "best_response")),
            *((name, FLOAT) for name in ("sum_change", "death_day", "marrow_gy", "kidney_bed_gy")),
        ]
    ),
    "responses": pa.schema(
        [
            *((name, TEXT) for name in ("subject", "lesion", "scan")),
            ("follow_up", INT),
            *((name, FLOAT) for name in ("baseline_mm", "current_mm", "change")),
        ]
    ),
}
"""Columns of every table. `scans` and `organs` speak of one image, `cycles` of one administration; `fields` may be empty."""


def shown(value: float, unit: Unit) -> tuple[float, str]:
    """Value and symbol as the tables of a report have them."""
    return value * SHOWN[unit].factor, SHOWN[unit].symbol


# ---- one scan ----
def scan_rows(
    scene: Scene, scan: Scan, series_uid: str, held: Mapping[str, float], painted: Volume | None = None
) -> Iterator[Row]:
    """Lesions in one image, and the activity in all of it.

    Parameters
    ----------
    held
        Bq/mL or SUV by region; empty for CT and MR.
    painted
        What the scanner saw, in Bq/mL.
    """
    head: Row = {
        "subject": scene.patient.subject_id,
        "series_uid": series_uid,
        "scan": scan.name,
        "image": scan.kind.role.value,
        "cycle": scan.cycle,
        "day": scan.day,
    }
    if painted is not None:
        yield {**head, "lesion": None, **_quantity("total-activity", painted.integral(), Unit.BQ)}
    for lesion in scene.seen:
        for name, value, unit in _in_scan(scene, scan, lesion, held):
            yield {**head, "lesion": lesion.name, **_quantity(name, value, unit)}


def _in_scan(
    scene: Scene, scan: Scan, lesion: SeenLesion, held: Mapping[str, float]
) -> Iterator[tuple[str, float, Unit]]:
    volume_ml, size = lesion.size.volume_ml, lesion.size
    yield "volume", volume_ml, Unit.ML
    if scan.kind in (Kind.CT, Kind.LOW_DOSE_CT, Kind.DWI):
        yield "longest-diameter", size.longest_mm, Unit.MM
        yield "short-axis", size.short_mm, Unit.MM
    core_share = scene.painted_ml(f"{lesion.lesion_id} core") / scene.whole(lesion).volume_ml
    match scan.kind:
        case Kind.CT | Kind.LOW_DOSE_CT:
            yield "hu-mean", _hu(scan, core_share), Unit.HU
        case Kind.SPECT:
            uptake = scene.patient.therapy[(scan.cycle or 1) - 1]
            activity = lesion_activity_bq(lesion, uptake, scan.since_s or 0.0)
            yield "activity", activity, Unit.BQ
            yield "concentration", activity / volume_ml, Unit.BQ_PER_ML
        case Kind.DWI:
            adc = lesion_adc(scene.patient, lesion.parts, scene.day)
            yield "adc-median", adc, Unit.MM2_PER_S
            core = dwi_tissue(scene, f"{lesion.lesion_id} core").d_mm2_per_s if core_share else 0.0
            yield "adc-mean", (1 - core_share) * adc + core_share * core, Unit.MM2_PER_S
        case _:
            living = held[lesion.lesion_id]
            mean = living * (1 - core_share)
            yield "suv-mean", mean, Unit.SUV_BW
            yield "suv-max", living * _highest_texture(scene, lesion), Unit.SUV_BW
            names = ("mtv", "tlg") if scan.kind is Kind.FDG_PET else ("sstr-tv", "tl-sstr")
            yield names[0], volume_ml, Unit.ML
            yield names[1], mean * volume_ml, Unit.SUV_BW_ML


def _highest_texture(scene: Scene, lesion: SeenLesion) -> float:
    """Largest uptake over the mean, among voxels that are mostly of the lesion; of a small one, among the fullest."""
    fraction = scene.regions[lesion.lesion_id].fraction
    return float(scene.texture_in(lesion)[fraction >= min(0.5, float(fraction.max()))].max())


def _hu(scan: Scan, core_share: float) -> float:
    living, core = TISSUES["lesion"], TISSUES["necrosis"]
    portal = scan.kind is Kind.CT
    values = (living.hu_portal, core.hu_portal) if portal else (living.hu, core.hu)
    return (1 - core_share) * values[0] + core_share * values[1]


def organ_rows(scene: Scene, scan: Scan, series_uid: str, held: Mapping[str, float]) -> Iterator[Row]:
    """Organs in one image: their volume within the field, and their activity or SUV."""
    head: Row = {
        "subject": scene.patient.subject_id,
        "series_uid": series_uid,
        "scan": scan.name,
        "image": scan.kind.role.value,
        "cycle": scan.cycle,
    }
    for region in organ_regions(scene):
        own = {**head, "organ": region.name}
        yield {**own, **_quantity("volume", region.volume_ml, Unit.ML)}
        if not held:
            continue
        parts = [part for part in ORGANS[region.name] if part in scene.regions]
        mean = float(np.average([held[p] for p in parts], weights=[scene.regions[p].volume_ml for p in parts]))
        if scan.kind is Kind.SPECT:
            yield {**own, **_quantity("concentration", mean, Unit.BQ_PER_ML)}
            yield {**own, **_quantity("activity", mean * region.volume_ml, Unit.BQ)}
        else:
            yield {**own, **_quantity("suv-mean", mean, Unit.SUV_BW)}


# ---- one cycle ----
def cycle_rows(patient: DigitalPatient) -> Iterator[Row]:
    """Lesions in every cycle: time-integrated activity, half-life, mass and dose."""
    for cycle, (uptake, day) in enumerate(zip(patient.therapy, patient.treatment.cycle_days, strict=True), start=1):
        for lesion in patient.disease.seen(day):
            head: Row = {"subject": patient.subject_id, "lesion": lesion.name, "cycle": cycle, "day": float(day)}
            for name, value, unit in _in_cycle(lesion, uptake):
                yield {**head, **_quantity(name, value, unit)}


def _in_cycle(lesion: SeenLesion, uptake: UptakeCurves) -> Iterator[tuple[str, float, Unit]]:
    parts = [part for part in lesion.parts if part in uptake.lesions]
    if not parts:
        return
    integrated = sum(uptake.time_integrated_bq_s(part) for part in parts)
    early, late = (float(sum(uptake.activity_bq(part, t) for part in parts)) for t in (EARLY_S, LATE_S))
    mass_g = lesion.size.volume_ml * TISSUES["lesion"].density_g_per_ml
    electrons_kev = nuclide(uptake.nuclide).electron_kev_per_decay
    yield "time-integrated-activity", integrated, Unit.BQ_S
    yield "effective-half-life", (LATE_S - EARLY_S) * log(2) / log(early / late), Unit.S
    yield "mass", mass_g, Unit.G
    yield "absorbed-dose.local", integrated * KEV_PER_G_IN_GY * electrons_kev / mass_g, Unit.GY
    s = self_dose(uptake.nuclide, mass_g, TISSUES["lesion"].density_g_per_ml)
    yield "absorbed-dose.sphere", integrated * (s.electrons + s.photons), Unit.GY


def organ_dose_rows(patient: DigitalPatient) -> Iterator[Row]:
    """Organs in every cycle: dose as spheres of their mass, marrow with the rest of the body."""
    for cycle, uptake in enumerate(patient.therapy, start=1):
        head: Row = {"subject": patient.subject_id, "cycle": cycle}
        found = doses_gy(uptake, patient.kinetics)
        for organ in ("kidneys", "spleen", "liver", "marrow"):
            dose = {**head, "organ": organ, **_quantity("absorbed-dose.sphere", found[organ], Unit.GY)}
            yield dose
            integrated = uptake.time_integrated_bq_s(organ)
            yield {**head, "organ": organ, **_quantity("time-integrated-activity", integrated, Unit.BQ_S)}
            half_life = uptake.half_life_eff_s(organ)
            yield {**head, "organ": organ, **_quantity("effective-half-life", half_life, Unit.S)}


# ---- lesions and their course ----
def lesion_rows(patient: DigitalPatient, scans: Sequence[Scan]) -> Iterator[Row]:
    """Every lesion that was there at a scan, with what decides its course: that of its first part."""
    met: dict[str, SeenLesion] = {}
    fdg = fdg_of_lesions(patient)
    for scan in scans:
        for lesion in patient.disease.seen(scan.day):
            met.setdefault(lesion.name, lesion)
    for name, lesion in met.items():
        own = patient.disease.course(lesion.parts[0]).lesion
        yield {
            "subject": patient.subject_id,
            "lesion": name,
            "lesion_id": lesion.lesion_id,
            "site": lesion.site,
            "parents": "; ".join(lesion.parents),
            "grade": own.grade,
            "appears_day": own.appears_day,
            "alpha_per_gy": own.growth.alpha_per_gy,
            "growth_per_month": own.growth.growth_per_month,
            "inert_share": own.growth.inert_share,
            "core_share": own.core_share,
            "uptake_cv": own.uptake_cv,
            "fdg_suv_max": fdg[own.lesion_id] / LESION_TISSUE_FDG_MEAN,
        }


def response_rows(scans: Sequence[Row]) -> Iterator[Row]:
    """Diameters on diagnostic CT against the first, from the rows of one patient's scans in order of time."""
    first: dict[str, float] = {}
    seen: dict[str, int] = {}
    for row in scans:
        if row["quantity"] != "longest-diameter" or row["image"] != Kind.CT.role.value or row["cycle"] is not None:
            continue
        lesion, value = str(row["lesion"]), float(row["value"] or 0.0)
        if lesion in first:
            seen[lesion] = seen.get(lesion, 0) + 1
            yield {
                "subject": row["subject"],
                "lesion": lesion,
                "scan": row["scan"],
                "follow_up": seen[lesion],
                "baseline_mm": first[lesion],
                "current_mm": value,
                "change": value / first[lesion] - 1,
            }
        first.setdefault(lesion, value)


# ---- on disk ----
def write_table(folder: Path, name: str, rows: Sequence[Row]) -> Path:
    """Write one table as Parquet."""
    schema = SCHEMAS[name]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.parquet"
    filled = [{column: row.get(column) for column in schema.names} for row in rows]
    pq.write_table(pa.Table.from_pylist(filled, schema=schema), path)
    return path


def read_table(folder: Path, name: str) -> list[Row]:
    """Read one table."""
    found: list[Row] = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return found


def _quantity(name: str, value: float, unit: Unit) -> Row:
    number, symbol = shown(value, unit)
    return {"quantity": name, "value": number, "unit": symbol}
