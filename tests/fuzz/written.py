"""Series the project writes itself: those of every kind that no archive has, and those that need no archive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from lutra.core.grid import Grid
from lutra.core.region import ContourSet
from lutra.core.study import (
    Camera,
    DecayCorrection,
    EnergyWindow,
    Radiopharmaceutical,
    RealWorldMap,
    SeriesHeader,
    VolumeKey,
)
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import (
    PatientIdentity,
    stable_uid,
    write_diffusion_series,
    write_enhanced_diffusion,
    write_image_series,
    write_nm_recon,
    write_rtstruct,
)
from lutra.export.dicom_image import STORAGE

from .raw import Element, parse, put
from .sources import SLICES, Base

SCAN = datetime(2026, 1, 12, 13, 0, tzinfo=UTC)
AFFINE = np.array([[2.0, 0, 0, -10], [0, 3.0, 0, 5], [0, 0, 4.0, 100], [0, 0, 0, 1]])


def written(folder: Path) -> Iterator[Base]:
    """A CT with contours, an FDG PET, a therapy SPECT as PT slices and an ADC map."""
    shape = (12, 10, SLICES)
    rng = np.random.default_rng(7)
    ramp = np.linspace(1, 2, shape[2])
    for name, modality, unit, scale, nuclide, hours in (
        ("ct", "CT", Unit.HU, 300.0, None, 0),
        ("pet", "PT", Unit.BQ_PER_ML, 5000.0, ("F-18", "FDG", 3e8, 6586.2), 1),
        ("spect", "PT", Unit.BQ_PER_ML, 9e5, ("Lu-177", "177Lu-octreotate", 7.4e9, 574300.0), 27),
        ("adc", "MR", Unit.MM2_PER_S, 1e-3, None, 0),
    ):
        grid = Grid(shape, AFFINE, stable_uid("frame", name))
        given = nuclide and Radiopharmaceutical(
            nuclide[0], nuclide[1], nuclide[2], SCAN - timedelta(hours=hours), nuclide[3]
        )
        admin = name == "spect"
        header = SeriesHeader(
            series_uid=stable_uid("series", name),
            study_uid=stable_uid("study"),
            subject_id="P1",
            modality=modality,
            sop_class_uid=STORAGE[modality],
            description=name,
            manufacturer="test",
            model="",
            image_type=("DERIVED", "PRIMARY", "ADC") if name == "adc" else ("ORIGINAL", "PRIMARY"),
            frame_of_reference=grid.frame_of_reference,
            instances=tuple(stable_uid(name, str(k)) for k in range(shape[2])),
            acquired_at=SCAN,
            series_started_at=SCAN,
            stored_unit="BQML",
            decay_correction=DecayCorrection.ADMIN if admin else DecayCorrection.START,
            corrected_image=("DECY", "ATTN", "SCAT"),
            decay_factor=2 ** (hours * 3600 / 574300.0) if admin else 1.0,
            frame_reference_time_s=60.0,
            frame_duration_s=120.0,
            radiopharmaceutical=given or None,
        )
        identity = PatientIdentity("P1", "P1", "F", 70, 1.7)
        volume = Volume(rng.uniform(0.1, 1, shape) * ramp * scale, grid, unit)
        paths = write_image_series(folder / name, header, volume, identity, SCAN)
        others = ()
        if name == "ct":
            square = np.array([[-4.0, 8, 0], [6, 8, 0], [6, 20, 0], [-4, 20, 0]])
            drawn = tuple(square + np.array([0, 0, 100 + 4 * k]) for k in range(1, SLICES - 1))
            contours = ContourSet("Lesion 1", drawn, grid.frame_of_reference, header.series_uid, "")
            target = folder / "struct.dcm"
            write_rtstruct(
                target,
                [contours],
                header,
                identity,
                series_uid=stable_uid("struct"),
                instance_uid=stable_uid("struct", "1"),
                drawn_at=SCAN,
            )
            others = (parse("struct.dcm", target.read_bytes()),)
        yield Base(f"written/{name}", tuple(parse(p.name, p.read_bytes()) for p in paths), others)
    yield from written_nm(folder)
    yield from written_diffusion(folder)


def written_nm(folder: Path) -> Iterator[Base]:
    """Reconstructed SPECT as multi-frame NM: counts in two energy windows, and Bq/mL through a real world map."""
    rng = np.random.default_rng(8)
    shape = (12, 10, SLICES)
    for name, unit, windows in (
        ("nm-counts", Unit.STORED, (EnergyWindow("208", 187.2, 228.8), EnergyWindow("113", 101.7, 124.3))),
        ("nm-activity", Unit.BQ_PER_ML, (EnergyWindow("208", 187.2, 228.8),)),
    ):
        grid = Grid(shape, AFFINE, stable_uid("frame", name))
        header = SeriesHeader(
            series_uid=stable_uid("series", name),
            study_uid=stable_uid("study"),
            subject_id="P1",
            modality="NM",
            sop_class_uid="",
            description=name,
            manufacturer="m",
            model="n",
            image_type=(),
            frame_of_reference=grid.frame_of_reference,
            instances=(stable_uid(name),),
            decay_correction=DecayCorrection.START,
            acquired_at=SCAN,
            series_started_at=SCAN,
            frame_duration_s=25.0,
            acquisition_duration_s=1500.0,
            radiopharmaceutical=Radiopharmaceutical("Lu-177", "x", 7.4e9, SCAN - timedelta(days=1), 574300.0),
            energy_windows=windows,
            real_world=RealWorldMap(12.5, 0.0, "Bq/ml") if unit is Unit.BQ_PER_ML else None,
            camera=Camera("m", "n", "sn", "st", "MEGP"),
        )
        volumes = [
            Volume(rng.integers(0, 3000, shape) * (12.5 if header.real_world else 1), grid, unit) for _ in windows
        ]
        path = write_nm_recon(
            folder / f"{name}.dcm",
            header,
            volumes,
            PatientIdentity("P1", "P1", "F", 70, 1.7),
            SCAN,
            against_normal=name == "nm-counts",
        )
        yield Base(f"written/{name}", (parse(path.name, path.read_bytes()),))


def written_diffusion(folder: Path) -> Iterator[Base]:
    """Three b-values, as classic slices and as one enhanced object."""
    rng = np.random.default_rng(9)
    keys = (VolumeKey(0.0), VolumeKey(50.0), VolumeKey(800.0))
    grid = Grid((12, 10, SLICES), AFFINE, stable_uid("frame", "dwi"))
    volumes = tuple(Volume(np.rint(rng.uniform(1, 4000, grid.shape)), grid, Unit.STORED) for _ in keys)
    for name, instances in (("dwi", SLICES * len(keys)), ("dwi-enhanced", 1)):
        header = SeriesHeader(
            series_uid=stable_uid("series", name),
            study_uid=stable_uid("study"),
            subject_id="P1",
            modality="MR",
            sop_class_uid="",
            description=name,
            manufacturer="test",
            model="",
            image_type=("ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"),
            frame_of_reference=grid.frame_of_reference,
            instances=tuple(stable_uid(name, str(n)) for n in range(instances)),
            grid=grid,
            acquired_at=SCAN,
            volumes=keys,
        )
        identity = PatientIdentity("P1", "P1", "F", 70, 1.7)
        if instances > 1:
            paths = write_diffusion_series(folder / name, header, volumes, identity, SCAN)
        else:
            paths = (write_enhanced_diffusion(folder / f"{name}.dcm", header, volumes, identity, SCAN),)
        yield Base(f"written/{name}", tuple(parse(p.name, p.read_bytes()) for p in paths))


def vendor_headers(pet: Base, data: Path) -> Iterator[Base]:
    """The real header sets of four vendors laid over slices that were written."""
    for path in sorted((data / "dicom" / "pet_headers").glob("*-instances.json")):
        facts = json.loads(path.read_text())[0]
        files = [file.copy() for file in pet.images]
        for n, file in enumerate(files):
            agent = file.sequence("RadiopharmaceuticalInformationSequence")
            for keyword, value in facts.items():
                if keyword == "PhilipsPETPrivateGroup":
                    put(file.elements, Element(0x70530010, b"LO", b"Philips PET Private Group "))
                    for tag, name in ((0x70531000, "SUVScaleFactor"), (0x70531009, "ActivityConcentrationScaleFactor")):
                        if name in value:
                            text = value[name].strip().encode()
                            put(file.elements, Element(tag, b"DS", text + b" " * (len(text) % 2)))
                    continue
                text = "\\".join(value) if isinstance(value, list) else str(value)
                inner = keyword.startswith("Radio")
                file.set(keyword, text, agent if inner else None)
            if "RadiopharmaceuticalStartDateTime" not in facts:
                agent[:] = [e for e in agent if e.keyword != "RadiopharmaceuticalStartDateTime"]
            file.set("TimezoneOffsetFromUTC", "")
            file.set("SeriesInstanceUID", stable_uid(path.name))
            file.set("SOPInstanceUID", stable_uid(path.name, str(n)))
        yield Base(f"headers/{path.name.removesuffix('-instances.json')}", tuple(files))
