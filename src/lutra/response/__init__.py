"""STAGE 9, regions over time -> diameters, and the category a criterion gives their change."""

from lutra.response.lesion_diameter import LesionDiameter
from lutra.response.measure import measure_diameters
from lutra.response.settings import ResponseSettings

__all__ = ["LesionDiameter", "ResponseSettings", "measure_diameters"]
