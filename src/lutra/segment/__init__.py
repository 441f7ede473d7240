"""STAGE 4, an image grid -> Regions on it: contours that others drew become partial voxels with a coded meaning."""

from lutra.segment.from_contours import regions_from_contours
from lutra.segment.settings import SegmentSettings

__all__ = ["SegmentSettings", "regions_from_contours"]
