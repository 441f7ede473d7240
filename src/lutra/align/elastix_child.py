"""What runs in the process of elastix: a folder with two images and a task in, a displacement field out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def main(folder: Path) -> None:
    """Register `fixed.npy` and `moving.npy` as `task.json` says and leave `field.npy`, vectors in mm by (i, j, k)."""
    import itk  # noqa: PLC0415 an extra, and only this process may load it

    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    fixed, moving = (_image(itk, np.load(folder / f"{name}.npy"), task) for name in ("fixed", "moving"))
    parameters = itk.ParameterObject.New()
    parameters.AddParameterMap({name: tuple(values) for name, values in task["parameters"].items()})
    registration = itk.ElastixRegistrationMethod.New(fixed, moving)
    registration.SetParameterObject(parameters)
    registration.SetLogToConsole(False)  # noqa: FBT003 theirs
    registration.UpdateLargestPossibleRegion()
    transformix = itk.TransformixFilter.New(moving)
    transformix.SetTransformParameterObject(registration.GetTransformParameterObject())
    transformix.SetComputeDeformationField(True)  # noqa: FBT003 theirs
    transformix.UpdateLargestPossibleRegion()
    vectors = itk.array_from_image(transformix.GetOutputDeformationField())
    np.save(folder / "part.npy", np.ascontiguousarray(vectors.transpose(2, 1, 0, 3), np.float32))
    (folder / "part.npy").rename(folder / "field.npy")  # whole or not at all


def _image(itk: Any, values: np.ndarray, task: dict[str, Any]) -> Any:
    image = itk.image_from_array(np.ascontiguousarray(values.T, np.float32))
    image.SetSpacing(list(task["spacing_mm"]))
    image.SetOrigin(list(task["origin_mm"]))
    return image


if __name__ == "__main__":
    main(Path(sys.argv[1]))
