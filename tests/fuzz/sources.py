"""Small series to be mutated: a few slices cut out of each real archive.

Headers are left as the scanners wrote them; only the matrix is cut to the surroundings of a region or of the middle, so that
thousands of files are made and read in minutes.
"""

from __future__ import annotations

import gzip
import struct
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import frozen

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
        """One slice per file, with its own position."""
        return bool(self.images) and all(
            f.get("NumberOfFrames") is None and f.get("ImagePositionPatient") for f in self.images
        )

    @property
    def files(self) -> tuple[RawFile, ...]:
        return (*self.images, *self.others)


Unpack = Callable[[str], Path]


ARCHIVES = {
    "ct_lung1_001_rtstruct": "*.dcm",
    "spect_lu177_umich": "*.dcm",
    "pet_fdg_ge_sts001": "*.dcm",
    "pet_fdg_siemens_qinhn0139_seg": "*.dcm",
    "adc_abdomen_toshiba_cmbcrc": "*.dcm",
    "dwi_ge_dcmqa": "i*",
    "dwi_uih_dcmqa": "*.dcm",
    "dwi_philips_dcmqa": "IM_*.gz",
    "seg_dcmqi": "*x38x3/*/*.dcm",
}
"""Name of an archive, and of its images."""


SEGMENTATIONS = ("liver.dcm", "sparse-labelmap-noppv.dcm", "sparse-labelmap-ppv5.dcm", "23x38x3/seg/label.seg")
DOSE_FRAMES = 6


def real(unpack: Unpack) -> Iterator[Base]:
    """Every image series of the archives, with its structures where there are some; segmentations and a dose."""
    for archive, pattern in ARCHIVES.items():
        yield from _of_archive(archive, unpack(archive), pattern)
    folder = next(unpack("seg_dcmqi").rglob("segmentations"))
    for name in SEGMENTATIONS:
        path = folder / name
        yield Base(f"seg_dcmqi/{path.stem}", (parse(path.name, path.read_bytes()),))
    path = next(unpack("rt_dose_struct_dicompyler").rglob("rtdose.dcm"))
    yield Base("rt_dose_struct_dicompyler/dose", (_small_dose(parse(path.name, path.read_bytes())),))


def _small_dose(file: RawFile) -> RawFile:
    """The corner of the first frames, where the dose is low but not all the same."""
    rows, columns, size = file.number("Rows"), file.number("Columns"), file.number("BitsAllocated") // 8
    pixels = next(e for e in file.elements if e.tag == PIXELS)
    frames = np.frombuffer(pixels.value, f"V{size}").reshape(-1, rows, columns)
    middle = len(frames) // 2
    pixels.value = frames[middle : middle + DOSE_FRAMES, : WINDOW - 4, :WINDOW].tobytes()
    file.set_number("Rows", min(rows, WINDOW - 4))
    file.set_number("Columns", min(columns, WINDOW))
    file.set("NumberOfFrames", str(DOSE_FRAMES))
    offsets = file.text("GridFrameOffsetVector").split("\\")
    file.set("GridFrameOffsetVector", "\\".join(offsets[:DOSE_FRAMES]))
    return file


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


def _of_archive(archive: str, folder: Path, pattern: str) -> Iterator[Base]:
    series: defaultdict[str, list[RawFile]] = defaultdict(list)
    for path in sorted(folder.rglob(pattern)):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if content[128:132] == b"DICM":
            file = parse(path.name.removesuffix(".gz"), content)
            series[file.text("SeriesInstanceUID")].append(file)
    structures = [files[0] for files in series.values() if files[0].text("Modality") == "RTSTRUCT"]
    images = [files for files in series.values() if files[0].text("Modality") in {"CT", "MR", "NM", "PT"}]
    for n, files in enumerate(files for files in images if files[0].get("PixelData")):
        drawn = [s for s in structures if _reference(s) == files[0].text("FrameOfReferenceUID")]
        name = f"{archive}/{n}"
        if all(f.get("ImagePositionPatient") for f in files):
            yield _cut(name, _thinned(files), drawn[0] if drawn else None)
        else:
            yield Base(name, tuple(files[:SLICES]))


def _thinned(files: list[RawFile]) -> list[RawFile]:
    """Of a diffusion series with many volumes, the first two places."""
    places = sorted({_height(f) for f in files})
    return [f for f in files if _height(f) in places[:2]] if len(files) > 3 * len(places) else files


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


def us(value: int) -> bytes:
    return struct.pack("<H", value)
