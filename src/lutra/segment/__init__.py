"""STAGE 4, an image grid -> Regions on it: what others drew becomes partial voxels with a coded meaning, and contours again.

Lesions are delineated from a seed (`delineate`, by `threshold` or `gradient`, guarded by `leak`), and `burden` finds the tumour of
the whole body. Organs follow from one another by `algebra`; kidneys are sampled by `small_voi`, marrow by `marrow`. What somebody
drew is `drawn`.
"""

from lutra.segment.algebra import evaluate_algebra
from lutra.segment.burden import tumour_burden
from lutra.segment.delineate import delineate
from lutra.segment.drawn import drawn_region, shown_mask
from lutra.segment.from_contours import regions_from_contours
from lutra.segment.marrow import marrow_region
from lutra.segment.on_grid import regions_on_grid
from lutra.segment.propagate import propagate_region
from lutra.segment.settings import SPECT, BurdenSettings, DelineationSettings, Method, SegmentSettings
from lutra.segment.small_voi import small_vois
from lutra.segment.threshold import liver_threshold
from lutra.segment.to_contours import contours_of_region

__all__ = [
    "SPECT",
    "BurdenSettings",
    "DelineationSettings",
    "Method",
    "SegmentSettings",
    "contours_of_region",
    "delineate",
    "drawn_region",
    "evaluate_algebra",
    "liver_threshold",
    "marrow_region",
    "propagate_region",
    "regions_from_contours",
    "regions_on_grid",
    "shown_mask",
    "small_vois",
    "tumour_burden",
]
