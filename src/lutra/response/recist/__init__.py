"""RECIST 1.1: from the readings of a subject to the response at each visit and to endpoints."""

from lutra.core.tumour import Endpoints
from lutra.response.recist.assess import assess_course
from lutra.response.recist.baseline import check_baseline
from lutra.response.recist.endpoints import EndpointSettings, Known, endpoints
from lutra.response.recist.readers import adjudicated, disagreements

__all__ = [
    "EndpointSettings",
    "Endpoints",
    "Known",
    "adjudicated",
    "assess_course",
    "check_baseline",
    "disagreements",
    "endpoints",
]
