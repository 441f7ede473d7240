"""Real diffusion series of three makers, against dcm2niix v1.0.20260724 and against what brains are known to have.

dcm2niix writes directions in the axes of its own images (FSL's convention, first component turned round where the axes are
right-handed); ours are in the patient. Both are compared in the patient, by the affine of its NIfTI file: rows, columns turned
round, slices.
"""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lutra.core.study import Role, SeriesHeader
from lutra.core.volume import Volume
from lutra.ingest import IngestSettings, read_header, read_volumes
from lutra.quantify import QuantifySettings, fit_diffusion, role_of

Archive = Callable[[str], Path]

BRAIN_TISSUE_MM2_PER_S = (0.62e-3, 0.89e-3)
"""From the lowest white matter to the mean of cortical grey matter of 80 healthy people: white (0.70 ± 0.03)e-3, range 0.62 to
0.79; cortical grey (0.89 ± 0.04)e-3 [helenius2002, AJNR 23:194]. Voxels of 3.5 x 3.5 x 4.2 mm (UIH) hold both."""
FREE_WATER_37C_MM2_PER_S = 3.0e-3


@pytest.fixture(scope="module")
def philips(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The images are gzipped one by one inside their archive."""
    folder = tmp_path_factory.mktemp("philips")
    with tarfile.open(shared_data / "dicom" / "dwi_philips_dcmqa.tar.gz") as tar:
        for member in tar.getmembers():
            packed = tar.extractfile(member) if Path(member.name).name.startswith("IM_") else None
            if packed is not None:
                (folder / Path(member.name).stem).write_bytes(gzip.decompress(packed.read()))
    # IM_0002 and the like hold Philips' private objects beside the 544 slices.
    return sorted(p for p in folder.iterdir() if p.stat().st_size > 20_000)


def read(paths: list[Path]) -> tuple[SeriesHeader, tuple[Volume, ...]]:
    header = read_header(paths, IngestSettings())
    assert header.value is not None, header.findings
    assert role_of(header.value).value is Role.DWI
    volumes = read_volumes(paths, header.value, IngestSettings()).value
    assert volumes is not None
    return header.value, volumes


def bvecs(header: SeriesHeader) -> np.ndarray:
    """Directions in the axes of dcm2niix' image: rows, columns turned round, slices; left-handed, so FSL turns nothing."""
    assert header.grid is not None
    axes = header.grid.affine_lps_mm[:3, :3] / np.array(header.grid.spacing_mm)
    local = np.array([k.gradient_lps or (0, 0, 0) for k in header.volumes]) @ axes
    return local * (1, -1, 1)


def assert_same_set(found: np.ndarray, expected: np.ndarray) -> None:
    distances = np.linalg.norm(found[:, None] - expected, axis=2)
    assert sorted(distances.argmin(axis=1)) == list(range(len(expected)))
    assert distances.min(axis=1).max() < 1e-3


def test_ge_directions_as_dcm2niix(archive: Archive) -> None:
    header, volumes = read(sorted(archive("dwi_ge_dcmqa").rglob("*.MRDC.*")))
    assert [k.b_value_s_per_mm2 for k in header.volumes] == [0] + [1000] * 6
    expected = [
        (-0.492355, 0.844098, -0.212332),
        (0.007065, 0.291918, -0.956386),
        (0.858745, 0.095799, 0.504192),
        (0.55822, 0.800492, -0.217344),
        (0.034586, 0.723331, 0.690114),
        (-0.84086, 0.169361, 0.513156),
    ]
    assert_same_set(bvecs(header)[1:], np.array(expected))
    # The pixels are the maker's test pattern, the same at every b-value: what does not fall has no diffusion.
    maps = fit_diffusion(header, volumes, QuantifySettings()).value
    assert maps is not None
    pattern = volumes[0].values > 500
    assert np.abs(np.median(maps.volume.values[pattern])) < 0.02e-3


def test_uih_mosaic_as_dcm2niix(archive: Archive) -> None:
    header, volumes = read(sorted(archive("dwi_uih_dcmqa").rglob("*.dcm")))
    assert header.grid is not None
    assert (header.grid.shape, len(volumes)) == ((64, 64, 20), 17)
    b_values = [k.b_value_s_per_mm2 for k in header.volumes]
    assert b_values == pytest.approx([1.25194] + [928.289] * 16, abs=1e-3)
    expected = np.array(
        [
            [
                0.554117,
                0.754528,
                0.552206,
                0.555733,
                -0.791944,
                -0.199777,
                0.324893,
                0.794597,
                0.627691,
                0.73786,
                -0.23711,
                -0.328485,
                -0.785307,
                -0.460338,
                -0.513316,
                -0.622675,
            ],
            [
                0.241679,
                0.304648,
                0.637805,
                -0.492474,
                0.387713,
                -0.786477,
                -0.521048,
                -0.590016,
                -0.76116,
                0.670087,
                0.587135,
                0.770315,
                -0.339545,
                -0.618229,
                -0.796069,
                0.175899,
            ],
            [
                -0.796584,
                -0.581272,
                -0.536911,
                -0.669798,
                -0.471702,
                -0.584417,
                -0.789274,
                -0.143165,
                0.163216,
                0.0809055,
                -0.773984,
                -0.546545,
                -0.517689,
                -0.637089,
                0.320595,
                -0.762453,
            ],
        ]
    ).T
    assert_same_set(bvecs(header)[1:], expected)


def test_philips_as_dcm2niix(philips: list[Path]) -> None:
    header, volumes = read(philips)
    assert header.grid is not None
    assert (header.grid.shape, len(volumes)) == ((112, 112, 32), 17)
    b_values = [k.b_value_s_per_mm2 for k in header.volumes]
    assert b_values == [0, 0.001, 0.002, 0.003, 0.004] + [1000] * 12  # repeated b = 0, told apart by Philips
    expected = np.array(
        [
            [
                0.0281017,
                0.778246,
                0.344524,
                -0.98351,
                0.105615,
                -0.651583,
                0.864102,
                -0.621019,
                -0.33715,
                0.162829,
                -0.0552709,
                0.421086,
            ],
            [
                -0.998377,
                -0.558211,
                -0.021745,
                0.168446,
                -0.965625,
                0.758021,
                0.224015,
                -0.718414,
                -0.259621,
                -0.734573,
                -0.568793,
                -0.62857,
            ],
            [
                -0.0495305,
                0.287636,
                -0.938526,
                -0.0658388,
                0.237518,
                0.0290629,
                0.450717,
                0.313394,
                -0.904946,
                -0.658703,
                -0.820622,
                -0.653901,
            ],
        ]
    ).T
    assert_same_set(bvecs(header)[5:], expected)


def assert_a_brain(header: SeriesHeader, volumes: tuple[Volume, ...]) -> None:
    """The peak of the histogram is brain tissue. What is brightest at b = 0 is fluid: nearly free water, with partial volume."""
    maps = fit_diffusion(header, volumes, QuantifySettings()).value
    assert maps is not None
    assert maps.primary == "adc_all_b"  # two b-values only
    adc, bright = maps.volume.values, volumes[0].values
    tissue = bright > 0.4 * np.percentile(bright, 95)
    counts, edges = np.histogram(adc[tissue], bins=np.arange(0, 4e-3, 0.02e-3))
    peak = edges[np.convolve(counts, np.ones(5), "same").argmax()] + 0.01e-3
    low, high = BRAIN_TISSUE_MM2_PER_S
    assert low <= peak <= high
    fluid = adc[bright > np.percentile(bright, 99.5)]
    assert 0.6 * FREE_WATER_37C_MM2_PER_S < np.median(fluid) < 1.1 * FREE_WATER_37C_MM2_PER_S


def test_adc_of_a_brain_on_uih(archive: Archive) -> None:
    assert_a_brain(*read(sorted(archive("dwi_uih_dcmqa").rglob("*.dcm"))))


def test_adc_of_a_brain_on_philips(philips: list[Path]) -> None:
    assert_a_brain(*read(philips))


def test_a_missing_slice_of_one_direction_refuses_the_series(archive: Archive) -> None:
    paths = sorted(archive("dwi_ge_dcmqa").rglob("*.MRDC.*"))
    outcome = read_header(paths[:-1], IngestSettings())
    assert outcome.value is None
    assert "has 1 slices and the first volume 2" in outcome.findings[-1].text


def test_file_order_does_not_matter(archive: Archive) -> None:
    paths = sorted(archive("dwi_ge_dcmqa").rglob("*.MRDC.*"))
    one, other = (read_header(order, IngestSettings()).value for order in (paths, paths[::-1]))
    assert one is not None
    assert other is not None
    assert (one.volumes, one.instances) == (other.volumes, other.instances)


def test_toshiba_adc_maps_are_maps_though_they_name_a_b_value(archive: Archive) -> None:
    by_series: dict[str, list[Path]] = {}
    for path in sorted(archive("adc_abdomen_toshiba_cmbcrc").rglob("*.dcm")):
        by_series.setdefault(str(path.parent), []).append(path)
    for paths in by_series.values():
        header = read_header(paths, IngestSettings()).value
        assert header is not None
        assert role_of(header).value is Role.ADC
