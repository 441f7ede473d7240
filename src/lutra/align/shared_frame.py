"""Images of one frame of reference need no registration; others are not aligned by assumption."""

from __future__ import annotations

import numpy as np

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.region import Region
from lutra.core.transform import Transform
from lutra.core.volume import Volume
from lutra.ports import Settings


class SharedFrame:
    """Registrar that trusts the scanner's frame of reference and nothing else."""

    def register(
        self,
        fixed: Volume,
        moving: Volume,
        settings: Settings,  # noqa: ARG002 part of the port
        seed: int,  # noqa: ARG002
        start: Transform | None = None,  # noqa: ARG002
        fixed_mask: Region | None = None,  # noqa: ARG002
    ) -> Outcome[Transform]:
        """Return the identity for two images of one DICOM frame of reference, or say why there is no transform.

        The error is not evaluated: the patient may have moved between the two acquisitions.
        """
        frame, other = fixed.grid.frame_of_reference, moving.grid.frame_of_reference
        if frame and frame == other:
            return Outcome(Transform(frame, frame, np.eye(4), None, "same DICOM frame of reference (0020,0052)"))
        frames = {"fixed": frame or "none", "moving": other or "none"}
        doubt = Finding(
            Severity.UNDETERMINED,
            "align.no-shared-frame",
            f"The images are in different frames of reference (0020,0052): {frames['fixed']} and {frames['moving']}. "
            "Required: one frame, or a registration between them. Register the images, or draw the contours "
            "on this image.",
            frames,
        )
        return Outcome(None, (doubt,))
