"""STAGE 5, regions over time -> Lesions: identities issued once per subject, never reused."""

from lutra.track.candidates import Candidate, ImageField, candidate
from lutra.track.correspondence import correspondences
from lutra.track.identify import identify
from lutra.track.matching import Edge, EdgeKind, Given, Matching, match
from lutra.track.settings import TrackSettings
from lutra.track.spots import Spots, ball_spread_mm2

__all__ = [
    "Candidate",
    "Edge",
    "EdgeKind",
    "Given",
    "ImageField",
    "Matching",
    "Spots",
    "TrackSettings",
    "ball_spread_mm2",
    "candidate",
    "correspondences",
    "identify",
    "match",
]
