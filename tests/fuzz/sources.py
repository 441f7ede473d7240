"""Small series to be mutated: a few slices cut out of each real archive, and series the project writes itself.

Headers are left as the scanners wrote them; only the matrix is cut to the surroundings of a region or of the middle, so that
thousands of files are made and read in minutes.
"""

from __future__ import annotations

import struct
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.grid import Grid
from lutra.core.region import ContourSet
from lutra.core.study import Camera, DecayCorrection, EnergyWindow, Radiopharmaceutical, RealWorldMap, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series, write_nm_recon, write_rtstruct
from lutra.export.dicom_image import STORAGE

from .raw import PIXELS, Element, RawFile, parse

SLICES = 6
WINDOW = 40
"""Most pixels along an edge."""


@frozen(eq=False)
class Base:
    """A series that reads without fault, and contours drawn on it if there are some."""

    name: str
    images: tuple[RawFile, ...]
    others: tuple[RawFile, ...] = ()

    @property
    def modality(self) -> str:
        return self.images[0].text("Modality") if self.images else self.others[0].text("Modality")

    @property
    def classic(self) -> bool:
        """One slice per file."""
        return bool(self.images) and self.images[0].get("NumberOfFrames") is None

    @property
    def files(self) -> tuple[RawFile, ...]:
        return (*self.images, *self.others)


Unpack = Callable[[str], Path]


def real(unpack: Unpack) -> Iterator[Base]:
    """Every image series of the archives, with its structures where there are some."""
    for archive in (
        "ct_lung1_001_rtstruct",
        "spect_lu177_umich",
        "pet_fdg_ge_sts001",
        "pet_fdg_siemens_qinhn0139_seg",
        "adc_abdomen_toshiba_cmbcrc",
        "dwi_ge_dcmqa",
        "dwi_uih_dcmqa",
    ):
        yield from _of_archive(archive, unpack(archive))


def unpacked_in(folder: Path, data: Path) -> Unpack:
    """Unpack archives into a folder, for runs outside the tests."""

    def unpack(name: str) -> Path:
        target = folder / name
        if not target.exists():
            (packed,) = (data / "dicom").glob(f"{name}.tar.*")
            with tarfile.open(packed) as tar:
                tar.extractall(target, filter="data")
        return target

    return unpack


def _of_archive(archive: str, folder: Path) -> Iterator[Base]:
    series: defaultdict[str, list[RawFile]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if content[128:132] == b"DICM":
            file = parse(path.name, content)
            series[file.text("SeriesInstanceUID")].append(file)
    structures = [files[0] for files in series.values() if files[0].text("Modality") == "RTSTRUCT"]
    images = [
        files
        for files in series.values()
        if files[0].get("PixelData") and all(f.get("ImagePositionPatient") for f in files)
    ]
    for n, files in enumerate(images):
        drawn = [s for s in structures if _reference(s) == files[0].text("FrameOfReferenceUID")]
        yield _cut(f"{archive}/{n}", files, drawn[0] if drawn else None)


def _reference(structure: RawFile) -> str:
    (frame, *_) = structure.sequence("ReferencedFrameOfReferenceSequence") or [Element(0, b"", b"")]
    return frame.text


def _cut(name: str, files: Sequence[RawFile], structure: RawFile | None) -> Base:
    files = sorted(files, key=_height)
    if structure is None:
        half = len(files) // 2
        chosen, centre = _around_a_join(files, half), None
    else:
        heights = [h for h, _ in _contours(structure)]
        middle = float(np.median(heights))
        nearest = int(np.argmin([abs(_position(f)[2] - middle) for f in files]))
        first = max(0, min(nearest - SLICES // 2, len(files) - SLICES))
        chosen = files[first : first + SLICES]
        centre = np.concatenate([points for h, points in _contours(structure) if abs(h - middle) < 5])
    cut = tuple(_cropped(file, centre) for file in chosen)
    for file in cut:
        if file.get("NumberOfSlices"):
            file.set_number("NumberOfSlices", len(cut))
    others = () if structure is None else (_trimmed(structure, cut),)
    return Base(name, cut, others)


def _around_a_join(files: Sequence[RawFile], half: int) -> list[RawFile]:
    """Slices of two bed positions where the series has some, so that their times differ."""
    times = [f.text("AcquisitionTime") for f in files]
    joins = [n for n in range(1, len(files)) if times[n] != times[n - 1]]
    at = min(joins, key=lambda n: abs(n - half)) if files[0].text("Modality") == "PT" and joins else half
    at = max(SLICES // 2, min(at, len(files) - SLICES // 2))
    diffusion = len({_height(f) for f in files}) < len(files)
    return list(files) if diffusion else list(files[at - SLICES // 2 : at + SLICES // 2])


def numbers_of(text: str) -> list[float]:
    return [float(part) for part in text.split("\\")]


def _position(file: RawFile) -> npt.NDArray[np.float64]:
    return np.array(numbers_of(file.text("ImagePositionPatient")))


def _axes(file: RawFile) -> npt.NDArray[np.float64]:
    return np.array(numbers_of(file.text("ImageOrientationPatient"))).reshape(2, 3)


def _height(file: RawFile) -> float:
    return float(_position(file) @ np.cross(*_axes(file)))


def _contours(structure: RawFile) -> list[tuple[float, npt.NDArray[np.float64]]]:
    """Height and points of the contours of the region that matters most: a tumour, or the first."""
    rois = structure.get("StructureSetROISequence")
    drawn = structure.get("ROIContourSequence")
    assert rois is not None and rois.items and drawn is not None and drawn.items  # noqa: PT018
    names = {_in(item, 0x30060022): _in(item, 0x30060026) for item in rois.items}
    tumours = [i for i in drawn.items if any(w in names[_in(i, 0x30060084)].lower() for w in ("gtv", "lesion1"))]
    wanted = (tumours or drawn.items)[0]
    found = []
    for contour in next(e for e in wanted if e.tag == 0x30060040).items or []:
        points = np.array(numbers_of(_in(contour, 0x30060050))).reshape(-1, 3)
        found.append((float(points[0, 2]), points))
    return found


def _in(item: list[Element], tag: int) -> str:
    return next((e.text for e in item if e.tag == tag), "")


def _cropped(file: RawFile, centre: npt.NDArray[np.float64] | None) -> RawFile:
    """Cut the matrix around some points, or around its middle, and move the origin along."""
    file = file.copy()
    rows, columns = file.number("Rows"), file.number("Columns")
    spacing = numbers_of(file.text("PixelSpacing"))
    axes, position = _axes(file), _position(file)
    pixel = np.array([spacing[1], spacing[0]])
    ij = np.array([columns / 2, rows / 2]) if centre is None else ((centre - position) @ axes.T / pixel).mean(axis=0)
    wide, high = min(WINDOW, columns), min(WINDOW - 4, rows)  # not square, so that rows and columns cannot be confused
    i = int(np.clip(ij[0] - wide / 2, 0, columns - wide))
    j = int(np.clip(ij[1] - high / 2, 0, rows - high))
    pixels = next(e for e in file.elements if e.tag == PIXELS)
    width = file.number("BitsAllocated") // 8
    plane = np.frombuffer(pixels.value[: rows * columns * width], f"V{width}").reshape(rows, columns)
    pixels.value = plane[j : j + high, i : i + wide].tobytes()
    file.set_number("Rows", high)
    file.set_number("Columns", wide)
    moved = position + np.array([i, j]) * pixel @ axes
    file.set("ImagePositionPatient", decimals(moved))
    return file


def decimals(numbers: npt.ArrayLike) -> str:
    return "\\".join(f"{float(x):.9g}" for x in np.ravel(numbers))


def _trimmed(structure: RawFile, images: Sequence[RawFile]) -> RawFile:
    """Only the contours within the slices that were kept."""
    structure = structure.copy()
    low, high = sorted((_position(images[0])[2], _position(images[-1])[2]))
    drawn = structure.get("ROIContourSequence")
    assert drawn is not None and drawn.items is not None  # noqa: PT018
    for item in drawn.items:
        for element in item:
            if element.tag == 0x30060040:
                element.items = [
                    c for c in element.items or [] if low - 0.1 <= numbers_of(_in(c, 0x30060050))[2] <= high + 0.1
                ][:12]
    drawn.items = [i for i in drawn.items if any(e.tag == 0x30060040 and e.items for e in i)][:3]
    return structure


# ---- series written by the project ----
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
            corrected_image=("DECY",),
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


def us(value: int) -> bytes:
    return struct.pack("<H", value)
