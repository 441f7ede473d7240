"""RECIST 1.1: from the readings of a subject to the response at each visit and to endpoints."""

from lutra.response.recist.assess import assess_course
from lutra.response.recist.endpoints import Endpoints, EndpointSettings, endpoints

__all__ = ["EndpointSettings", "Endpoints", "assess_course", "endpoints"]
