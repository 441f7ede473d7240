"""Measure the character of every camera with the default protocol, over the size of the voxels: the rows of characters.toml.

python bench/spect_characters.py > src/lutra/simulate/spect/characters.toml
"""

from __future__ import annotations

from lutra.simulate.spect import Acquisition, gamma_cameras
from lutra.simulate.spect.character import measured_character

SIZES_MM = (4.0, 4.8, 6.4, 8.0)


def main() -> None:
    """Print the table."""
    print("# What each camera does to an image with the default protocol, measured by bench/spect_characters.py.")
    print("# Rows: voxel [mm], blur FWHM [mm], noise constant [1], grain FWHM [mm], factor of both heads [cps/MBq].")
    for name, camera in gamma_cameras().items():
        print(f"\n[{name}]\nrows = [")
        for size in SIZES_MM:
            c = measured_character(camera, Acquisition(), size)
            print(
                f"  [{size}, {c.fwhm_mm:.2f}, {c.noise:.2f}, {c.grain_fwhm_mm:.2f}, {c.factor.value:.3f}],", flush=True
            )
        print("]")


if __name__ == "__main__":
    main()
