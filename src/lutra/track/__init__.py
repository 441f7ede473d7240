"""STAGE 5, regions over time -> Lesions: identities issued once per subject, never reused."""

from lutra.track.identify import Candidate, identify
from lutra.track.settings import TrackSettings

__all__ = ["Candidate", "TrackSettings", "identify"]
