"""STAGE 4, an image grid -> Regions on it: what others drew becomes partial voxels with a coded meaning, and contours again."""

from lutra.segment.algebra import evaluate_algebra
from lutra.segment.from_contours import regions_from_contours
from lutra.segment.marrow import marrow_region
from lutra.segment.on_grid import regions_on_grid
from lutra.segment.settings import SegmentSettings
from lutra.segment.small_voi import small_vois
from lutra.segment.to_contours import contours_of_region

__all__ = [
    "SegmentSettings",
    "contours_of_region",
    "evaluate_algebra",
    "marrow_region",
    "regions_from_contours",
    "regions_on_grid",
    "small_vois",
]
