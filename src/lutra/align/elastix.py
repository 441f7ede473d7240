"""Deformable registration by cubic B-splines and mutual information, with elastix [klein2010] in a process of its own.

Mutual information asks only that equal tissue has equal values within each image, so contrast medium in one of them does not
mislead it. The library is C++ of another project: if it crashes, hangs or fills the memory, that is the end of its process and
of this registration, not of the study.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from lutra.align.deformable import refined
from lutra.align.settings import numbers
from lutra.core.errors import MissingExtra, Undetermined
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.region import Region
from lutra.core.transform import Transform
from lutra.core.volume import Volume
from lutra.ports import Settings

CHILD = "lutra.align.elastix_child"
DISTRIBUTION = "itk-elastix"
THREADS = 2
SPACING_MM, CONTROL_MM, ITERATIONS, TIMEOUT_S = 4.0, 24.0, 250.0, 600.0
LEVELS, SAMPLES, HISTOGRAM_BINS = 3, 4000, 32
LAST_WORDS = 300
"""Characters of what the process said last that are worth showing."""


class BSpline:
    """Registrar for images whose organs moved and whose contrast may differ."""

    def register(
        self,
        fixed: Volume,
        moving: Volume,
        settings: Settings,
        seed: int,
        start: Transform | None = None,
        fixed_mask: Region | None = None,
    ) -> Outcome[Transform]:
        """Bend what `start` leaves unexplained.

        Settings: `spacing_mm`, of the images compared and the field kept [mm] (4); `control_mm`, between control points at the
        finest level [mm] (24: half the thickness of a kidney); `iterations` per level (250); `timeout_s`, for each direction
        [s] (600).

        Parameters
        ----------
        seed
            Of the points at which elastix compares the images.
        start
            Rigid; without one the images must share a frame of reference.
        fixed_mask
            Where the checks are made; the field is found everywhere.

        Raises
        ------
        MissingExtra
            If itk-elastix is not installed.
        """
        version = elastix_version()
        defaults = {
            "spacing_mm": SPACING_MM,
            "control_mm": CONTROL_MM,
            "iterations": ITERATIONS,
            "timeout_s": TIMEOUT_S,
        }
        options = numbers(settings, defaults, "bspline")
        parameters = elastix_parameters(options["control_mm"], round(options["iterations"]), seed)

        def engine(one: Volume, other: Volume, _: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
            return displacement(one, other, parameters, options["timeout_s"])

        try:
            return refined(
                fixed,
                moving,
                start,
                fixed_mask,
                spacing_mm=options["spacing_mm"],
                engine=engine,
                method=f"elastix {version}, {_described(parameters)}",
            )
        except Undetermined as error:
            return Outcome(
                None, (Finding(Severity.WARNING, "align.process-failed", f"{error}. The rigid one stands."),)
            )


def elastix_version() -> str:
    """Version of the library.

    Raises
    ------
    MissingExtra
        If it is not installed; says how to.
    """
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        raise MissingExtra(
            f"{DISTRIBUTION} is not installed",
            where="registrar bspline",
            do="pip install 'lutra[elastix]', or use demons, which needs nothing",
        ) from error


def elastix_parameters(control_mm: float, iterations: int, seed: int) -> dict[str, list[str]]:
    """Parameter file of elastix; everything that is not here is its default.

    One metric: with several, elastix has ended without a word on some platforms.
    """
    given: dict[str, str | float] = {
        "Registration": "MultiResolutionRegistration",
        "Metric": "AdvancedMattesMutualInformation",
        "NumberOfHistogramBins": HISTOGRAM_BINS,
        "Transform": "BSplineTransform",
        "FinalGridSpacingInPhysicalUnits": control_mm,
        "HowToCombineTransforms": "Compose",
        "AutomaticTransformInitialization": "false",
        "Optimizer": "AdaptiveStochasticGradientDescent",
        "MaximumNumberOfIterations": iterations,
        "NumberOfResolutions": LEVELS,
        "FixedImagePyramid": "FixedSmoothingImagePyramid",
        "MovingImagePyramid": "MovingSmoothingImagePyramid",
        "ImageSampler": "RandomCoordinate",
        "NumberOfSpatialSamples": SAMPLES,
        "NewSamplesEveryIteration": "true",
        "RandomSeed": seed % 2**31,
        "Interpolator": "LinearInterpolator",
        "Resampler": "DefaultResampler",
        "ResampleInterpolator": "FinalLinearInterpolator",
        "FixedInternalImagePixelType": "float",
        "MovingInternalImagePixelType": "float",
        "FixedImageDimension": 3,
        "MovingImageDimension": 3,
        "WriteResultImage": "false",
    }
    return {name: [str(value)] for name, value in given.items()}


def displacement(
    fixed: Volume, moving: Volume, parameters: dict[str, list[str]], timeout_s: float
) -> npt.NDArray[np.float32]:
    """Displacement that takes points of the fixed image to the moving one; both on one upright grid. [mm] (i, j, k, 3)

    Raises
    ------
    Undetermined
        If the process ends without a result, or not in time.
    """
    with TemporaryDirectory(prefix="lutra-elastix-") as name:
        folder = Path(name)
        np.save(folder / "fixed.npy", fixed.values)
        np.save(folder / "moving.npy", moving.values)
        task = {
            "spacing_mm": fixed.grid.spacing_mm,
            "origin_mm": fixed.grid.affine_lps_mm[:3, 3].tolist(),
            "parameters": parameters,
        }
        (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
        _run(folder, timeout_s)
        found: npt.NDArray[np.float32] = np.load(folder / "field.npy", allow_pickle=False)
    return found


def _run(folder: Path, timeout_s: float) -> None:
    package = str(Path(__file__).resolve().parents[2])  # the child imports the same Lutra, wherever this one came from
    paths = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(THREADS)}
    # Transformix leaves files where it runs.
    command = [sys.executable, "-m", CHILD, str(folder)]
    try:
        ended = subprocess.run(  # noqa: S603
            command, env=environment, timeout=timeout_s, capture_output=True, check=False, cwd=folder
        )
    except subprocess.TimeoutExpired as error:
        raise Undetermined(
            f"elastix was stopped after {timeout_s:g} s",
            required="an answer in that time",
            do="raise align.options.bspline timeout_s, or use demons",
        ) from error
    if ended.returncode or not (folder / "field.npy").is_file():
        words = ended.stderr.decode("utf-8", "replace").strip()[-LAST_WORDS:]
        raise Undetermined(
            f"the process of elastix ended with {ended.returncode} and no result{f' ({words})' if words else ''}",
            do="use demons, or look whether memory ran out",
        )


def _described(parameters: dict[str, list[str]]) -> str:
    names = {
        "Metric": "",
        "Transform": "",
        "FinalGridSpacingInPhysicalUnits": "control points every mm: ",
        "NumberOfResolutions": "levels: ",
        "MaximumNumberOfIterations": "iterations: ",
        "NumberOfSpatialSamples": "samples: ",
        "RandomSeed": "seed: ",
    }
    return ", ".join(f"{words}{parameters[name][0]}" for name, words in names.items())
