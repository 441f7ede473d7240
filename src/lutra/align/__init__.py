"""STAGE 3, two images -> the Transform between them with its error and checks, or the word that there is none."""

from lutra.align.failure import beyond
from lutra.align.landmarks import from_landmarks, target_error_mm
from lutra.align.nudge import nudged
from lutra.align.plan import FrameImage, Link, Plan, plan_links
from lutra.align.settings import AlignSettings
from lutra.align.shared_frame import SharedFrame

__all__ = [
    "AlignSettings",
    "FrameImage",
    "Link",
    "Plan",
    "SharedFrame",
    "beyond",
    "from_landmarks",
    "nudged",
    "plan_links",
    "target_error_mm",
]
