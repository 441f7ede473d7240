"""NIfTI label maps with damaged bytes: refused, or the volumes that the file then honestly holds."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from random import Random
from typing import Any

import nibabel
import numpy as np
import pytest

from lutra.core.finding import Severity
from lutra.ingest import read_label_map

from .judge import close
from .run import time_limit

FILES = 250
HEADER_BYTES = 352


@pytest.fixture(scope="module")
def content() -> bytes:
    labels = np.zeros((12, 10, 6), np.uint8)
    labels[2:6, 3:7, 1:4], labels[8:10, 2:9, 2:5] = 1, 7
    image = nibabel.Nifti1Image(labels, np.diag([-2.0, -3.0, 4.0, 1.0]))
    image.set_qform(image.affine, 1)
    image.header.set_xyzt_units("mm")
    return bytes(image.to_bytes())


def mutated(content: bytes, rng: Random) -> bytes:
    data = bytearray(content)
    match rng.randrange(5):
        case 0:
            return bytes(data[: rng.randrange(len(data))])
        case 1 | 2:
            for _ in range(rng.choice([1, 2, 8])):
                data[rng.randrange(HEADER_BYTES)] = rng.randrange(256)
        case 3:  # dimensions, pixel type, voxel size, scaling or place at their limits
            at = rng.choice([40, 42, 44, 46, 70, 72, 76, 80, 84, 88, 108, 112, 116, 123, 252, 254, 280, 300, 324])
            data[at : at + 4] = rng.choice(
                [b"\xff" * 4, bytes(4), b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\x7f\xff\x7f"]
            )
        case _:
            data[rng.randrange(HEADER_BYTES, len(data))] = rng.randrange(256)
    return bytes(data)


def honest_ml(path: Path) -> dict[int, float] | None:
    """Voxels of each label times the volume of one, by nibabel; None if it cannot say."""
    try:
        image: Any = nibabel.load(path)
        size_mm3 = abs(float(np.linalg.det(image.affine[:3, :3])))
        unit = {"meter": 1e9, "micron": 1e-9}.get(image.header.get_xyzt_units()[0], 1.0)
        values, counts = np.unique(np.asarray(image.dataobj), return_counts=True)
    except Exception:  # noqa: BLE001  (whatever is wrong, nothing is said)
        return None
    return {int(v): n * size_mm3 * unit / 1000 for v, n in zip(values, counts, strict=True) if v != 0}


@pytest.mark.parametrize("zipped", [False, True])
def test_damaged_label_maps(content: bytes, tmp_path: Path, zipped: bool) -> None:
    refused = read = 0
    for seed in range(FILES):
        rng = Random(f"{seed}/{zipped}")  # noqa: S311
        data = mutated(content, rng)
        path = tmp_path / f"{seed}.nii{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(data, 1) if zipped else data)
        if zipped and rng.random() < 0.2:
            path.write_bytes(path.read_bytes()[: rng.randrange(20, 200)])
        with time_limit(), warnings.catch_warnings():
            warnings.simplefilter("error")
            outcome = read_label_map(path)
        if outcome.value is None:
            refused += 1
            assert any(
                f.severity in {Severity.ERROR, Severity.WARNING} and path.name in f.text for f in outcome.findings
            )
            continue
        read += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = honest_ml(path)
        assert expected is not None, seed
        found = sorted(region.volume_ml for region in outcome.value)
        assert close(found, sorted(ml for label, ml in expected.items() if label > 0)), seed
    assert refused > 50
    assert read > 50
