"""STAGE 3, two image grids -> the Transform between them, or the word that there is none."""

from lutra.align.plan import FrameImage, Link, Plan, plan_links
from lutra.align.settings import AlignSettings
from lutra.align.shared_frame import SharedFrame

__all__ = ["AlignSettings", "FrameImage", "Link", "Plan", "SharedFrame", "plan_links"]
